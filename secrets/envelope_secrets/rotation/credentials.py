"""Database secrets in the format of Secrets Manager: read strictly, before anything connects, and written back whole.

Source: AWS Secrets Manager User Guide, "JSON structure of AWS Secrets Manager secrets".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from envelope_secrets.errors import SecretFormatError
from envelope_secrets.rotation.database import Database, DatabaseCredentials
from envelope_secrets.rotation.failures import RotationRefused
from envelope_secrets.rotation.tls import Tls
from envelope_secrets.stages import AWSCURRENT, AWSPENDING
from envelope_secrets.stores.hidden_values import hidden_text
from envelope_secrets.value import Secret

__all__ = ["parse_credentials", "with_login"]

_NAMED = frozenset({"engine", "host", "port", "username", "password", "dbname", "masterarn"})
# A name or an address, and nothing that a driver takes for a socket, a list of hosts or an option.
_HOST = re.compile(r"[A-Za-z0-9_:][A-Za-z0-9._:-]{0,252}")
_FORBIDDEN = re.compile("[\0\ud800-\udfff]")
"""A NUL, and halves of surrogate pairs, which no server can be sent."""
_PORT = re.compile(r"[0-9]{1,5}")
MOST_CHARACTERS = 4_096
_SSL: Mapping[object, bool] = {True: True, "true": True, False: False, "false": False}


def parse_credentials(secret: Secret, database: Database) -> DatabaseCredentials:
    """The credentials that a version of a secret holds.

    The field ``ssl`` weakens nothing: the target's own ``tls`` counts. A secret that asks for TLS where the target is
    configured without is refused; one that asks for none is read, and TLS is used all the same.

    Raises:
        RotationRefused: the value is no JSON object, lacks a field, has a malformed one, or means another engine. The
            text names the field and shows no value.
    """
    try:
        return _parsed(secret.json, database)
    except (SecretFormatError, _Malformed) as error:
        problem = str(error)
    raise RotationRefused(
        f"version {secret.version_id} of {secret.name} is no database secret for this rotation: {problem}",
        hint=_hint(secret),
    )


def with_login(secret: Secret, username: str, password: str) -> Mapping[str, Any]:
    """All fields of a secret, with another user and password."""
    return {**secret.json, "username": username, "password": password}


class _Malformed(Exception):
    """A field is not as it must be; the text shows no value."""


def _parsed(fields: Mapping[str, Any], database: Database) -> DatabaseCredentials:
    engine = _text(fields, "engine")
    if engine not in database.engines:
        raise _Malformed(f"its field engine is none of {', '.join(sorted(database.engines))}")
    username = _text(fields, "username")
    if len(username) > database.max_username_characters:
        raise _Malformed(f"its field username has more than {database.max_username_characters} characters")
    _check_ssl(fields, database)
    return DatabaseCredentials(
        engine=engine,
        host=_host(fields),
        port=_port(fields, database),
        username=username,
        password=hidden_text(_text(fields, "password")),  # for the frames of whatever fails with it
        database=_text(fields, "dbname", default=""),
        admin_secret_id=_text(fields, "masterarn", default=""),
        others={name: value for name, value in fields.items() if name not in _NAMED},
    )


def _text(fields: Mapping[str, Any], name: str, *, default: str | None = None) -> str:
    value = fields.get(name)
    if default is not None and value in (None, ""):
        return default
    if not isinstance(value, str) or not 0 < len(value) <= MOST_CHARACTERS or _FORBIDDEN.search(value):
        raise _Malformed(f"its field {name} is missing, or is no text of 1 to {MOST_CHARACTERS:,} characters")
    return value


def _host(fields: Mapping[str, Any]) -> str:
    host = _text(fields, "host")
    if _HOST.fullmatch(host) is None:
        raise _Malformed("its field host is no name or address of a host")
    return host


def _port(fields: Mapping[str, Any], database: Database) -> int:
    """The console writes numbers as text."""
    value = fields.get("port", database.default_port)
    number = int(value) if isinstance(value, str) and _PORT.fullmatch(value) else value
    if type(number) is not int or not 0 < number < 65_536:
        raise _Malformed("its field port is no number of 1 to 65,535")
    return number


def _check_ssl(fields: Mapping[str, Any], database: Database) -> None:
    given = fields.get("ssl", False)
    if not isinstance(given, (bool, str)) or given not in _SSL:
        raise _Malformed("its field ssl is neither true nor false")
    if _SSL[given] and not _has_tls(database):
        raise _Malformed("its field ssl asks for TLS, and the rotation is configured to do without")


def _has_tls(database: Database) -> bool:
    tls: object = getattr(database, "tls", None)
    return tls.is_used if isinstance(tls, Tls) else tls != "disable"


def _hint(secret: Secret) -> str:
    if AWSPENDING in secret.stages and AWSCURRENT not in secret.stages:
        return "the target was not touched: take AWSPENDING away from this version, and rotate again"
    return "put a version that is a JSON object with engine, host, username and password"
