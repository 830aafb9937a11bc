"""The fields of a database secret, as the arguments of a driver's connect function.

Source of the fields: AWS Secrets Manager User Guide, "JSON structure of AWS Secrets Manager secrets".
"""

from __future__ import annotations

import functools
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from envelope.errors import InvalidArgument
from envelope_secrets.errors import SecretFormatError
from envelope_secrets.value import Secret

__all__ = ["Arguments", "check_arguments", "driver_arguments", "driver_of", "same_target"]

Arguments: TypeAlias = Mapping[str, object] | Callable[[Secret], Mapping[str, object]]
"""Arguments besides those of the secret; or a function that makes all of them, for secrets in another form."""

_SSL: Mapping[object, bool] = {True: True, "true": True, False: False, "false": False}


@dataclass(frozen=True, slots=True)
class _Driver:
    """How a driver names what a secret has.

    Attributes:
        tls: what makes it check certificate and host name; None where that is not known.
    """

    database: str = "database"
    user: str = "user"
    tls: Callable[[], Mapping[str, object]] | None = None


_OTHER = _Driver()
_DRIVERS: Mapping[str, _Driver] = {
    "psycopg": _Driver(database="dbname", tls=lambda: {"sslmode": "verify-full"}),
    # With the flags ssl_verify_* and no file of an authority, PyMySQL does not look at the host name.
    "pymysql": _Driver(tls=lambda: {"ssl": ssl.create_default_context()}),
    "MySQLdb": _Driver(tls=lambda: {"ssl_mode": "VERIFY_IDENTITY"}),
    "psycopg2": _Driver(database="dbname", tls=lambda: {"sslmode": "verify-full"}),
    # With the text "verify-full" it looks for a file of an authority in the home directory, and fails without.
    "asyncpg": _Driver(tls=lambda: {"ssl": ssl.create_default_context()}),
    "aiomysql": _Driver(database="db", tls=lambda: {"ssl": ssl.create_default_context()}),
    "pymongo": _Driver(database="", user="username", tls=lambda: {"tls": True}),
    "redis": _Driver(database="", user="username", tls=lambda: {"ssl": True}),
}


def driver_of(make: Callable[..., Any]) -> str:
    """The top-level module of what makes connections; whatever wraps it with `functools.partial`."""
    while isinstance(make, functools.partial):
        make = make.func
    return str(getattr(make, "__module__", None) or "").partition(".")[0]


def check_arguments(arguments: object) -> None:
    """Raise `InvalidArgument` unless these can be `Arguments`, and leave the password to the secret."""
    if callable(arguments):
        return
    if not isinstance(arguments, Mapping) or not all(isinstance(name, str) for name in arguments):
        raise InvalidArgument(
            f"arguments must be a mapping of names, or a function, not {type(arguments).__name__}",
            hint="they are what the driver's connect function is called with, besides what the secret has",
        )
    if not {"password", "passwd"}.isdisjoint(arguments):
        raise InvalidArgument("arguments must not have a password", hint="it is read from the secret")


def driver_arguments(secret: Secret, driver: str, arguments: Arguments) -> Mapping[str, object]:
    """What to call the driver's connect function with. The caller's arguments win over the fields of the secret.

    The field ``ssl`` weakens nothing: true asks for TLS with a checked host name, unless the caller has an argument
    whose name begins with ``ssl``; otherwise the driver's own default counts.

    Raises:
        SecretFormatError: the value is no JSON object, or lacks a password, or has a malformed field.
        InvalidArgument: the secret asks for TLS, and how to ask this driver for it is not known.
    """
    if callable(arguments):
        return arguments(secret)
    known = _DRIVERS.get(driver, _OTHER)
    found: dict[str, object] = {
        known.user: _field(secret, "username"),
        "password": _field(secret, "password", is_needed=True),
        "host": _field(secret, "host"),
        "port": _port(secret),
        known.database: _field(secret, "dbname") or _field(secret, "database"),
    }
    given = {name: value for name, value in found.items() if name and value is not None}
    return {**given, **_tls(secret, known, arguments), **arguments}


def same_target(one: Secret, other: Secret) -> bool:
    """Whether two versions of a secret mean the same server.

    Who may write AWSPENDING and not AWSCURRENT must not have the logins of others sent to a server of theirs.
    """
    return _place(one) == _place(other)


def _place(secret: Secret) -> tuple[str, str] | None:
    try:
        fields = secret.json
    except SecretFormatError:  # a form of the caller's own
        return None
    return (str(fields.get("host") or "").lower().removesuffix("."), str(fields.get("port") or ""))


def _field(secret: Secret, name: str, *, is_needed: bool = False) -> str | None:
    value = secret.json.get(name)
    if value in (None, "") and not is_needed:
        return None
    if not isinstance(value, str) or not value or "\0" in value:
        raise _malformed(secret, name, "text that is not empty")
    return value


def _port(secret: Secret) -> int | None:
    """The console writes numbers as text."""
    value = secret.json.get("port")
    if value in (None, ""):
        return None
    number = int(value) if isinstance(value, str) and value.isdecimal() and len(value) <= 5 else value
    if type(number) is not int or not 0 < number < 65_536:
        raise _malformed(secret, "port", "a number of 1 to 65,535")
    return number


def _tls(secret: Secret, driver: _Driver, arguments: Mapping[str, object]) -> Mapping[str, object]:
    wanted = secret.json.get("ssl", False)
    if not isinstance(wanted, (bool, str)) or wanted not in _SSL:
        raise _malformed(secret, "ssl", "true or false")
    if not _SSL[wanted] or any(name.startswith("ssl") for name in arguments):
        return {}
    if driver.tls is None:
        raise InvalidArgument(
            f"secret {secret.name} asks for TLS, and how to ask this driver for it is not known",
            hint="give the driver's own arguments, as a function of the secret",
        )
    return driver.tls()


def _malformed(secret: Secret, name: str, what: str) -> SecretFormatError:
    return SecretFormatError(
        f"version {secret.version_id} of {secret.name} cannot log in: its field {name} must be {what}",
        hint="store a JSON object with username, password and host, or give arguments as a function of the secret",
    )
