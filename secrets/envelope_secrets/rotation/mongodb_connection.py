"""A connection to MongoDB: one login, commands with a timeout, and what the driver's exceptions mean.

Source of the codes: MongoDB, ``src/mongo/base/error_codes.yml``; Amazon DocumentDB answers what it lacks with 303.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from envelope_secrets.rotation.database import DatabaseCredentials
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.rotation.driver_loading import load_driver
from envelope_secrets.rotation.driver_options import check_credentials
from envelope_secrets.rotation.driver_tls import trusted_certificates
from envelope_secrets.rotation.failures import (
    AccountLocked,
    LoginRefused,
    PrivilegeMissing,
    TargetError,
    TargetUnreachable,
    TlsFailed,
)
from envelope_secrets.rotation.tls import Tls

__all__ = ["REFUSED_CODES", "MongoDbConnection", "connect", "login_failure"]

T = TypeVar("T")

REFUSED_CODES = frozenset({18, 8000})
"""AuthenticationFailed, and what Atlas says instead. Both are for unknown users and for wrong passwords."""

SWAMPED_CODES = frozenset({261, 462})
"""TooManyLogicalSessions, IngressRequestRateLimitExceeded: asking again makes it worse."""

NONE_EXPECTED: frozenset[int] = frozenset()

NOT_KNOWN_CODES = frozenset({115, 238, 303, 40_415})
"""CommandNotSupported, NotImplemented, DocumentDB's feature not supported, IDLUnknownField: nothing was done."""

NOT_CONFIRMED_CODES = frozenset({64, 100})
"""WriteConcernFailed, UnsatisfiableWriteConcern."""

_TLS_WORDS = re.compile(r"\[SSL[:_ ]|SSL routines")
"""What Python and pyOpenSSL begin their errors with, in no language. The driver keeps the text of them and no more."""

_PARAMETERS: Mapping[str, Mapping[str, bool]] = {
    "verify-full": {"tls": True},
    "verify-ca": {"tls": True, "tlsAllowInvalidHostnames": True},
    "require": {"tls": True, "tlsAllowInvalidCertificates": True},
    "disable": {"tls": False},
}


class MongoDbConnection:
    """A logged-in client with one connection.

    Args:
        raw: the driver's client; closed with this one.
        driver: its module.
        timeout_s: for one command, at most.
    """

    __slots__ = ("_deadline", "_driver", "_raw", "_timeout_s")

    def __init__(self, raw: Any, driver: Any, *, deadline: Deadline, timeout_s: float) -> None:
        self._raw = raw
        self._driver = driver
        self._deadline = deadline
        self._timeout_s = timeout_s

    def ask(
        self, database: str, command: Mapping[str, Any], *, what: str, expected: frozenset[int] = NONE_EXPECTED
    ) -> Mapping[str, Any]:
        """The answer to a command.

        Args:
            command: its name comes first.
            expected: codes of failures that are given back, as the answer's ``code``.

        Raises:
            TargetError: it failed; a subclass says how. `what` was to be done is in the text, and no value.
            OutOfTime: no time is left to begin it.
        """
        timeout_s = self._deadline.at_most(self._timeout_s)
        failure: TargetError
        try:
            with self._driver.timeout(timeout_s):
                answer: Mapping[str, Any] = self._raw[database].command(dict(command))
                return answer
        except (self._driver.errors.PyMongoError, OSError, ValueError) as error:
            code = getattr(error, "code", None)
            if code in expected:
                return {"code": code}
            failure = _failure(self._driver, error, what)
        raise failure

    def ask_fully(
        self, database: str, command: Mapping[str, Any], *, more: Mapping[str, Any], what: str
    ) -> Mapping[str, Any]:
        """The answer to a command with fields that some servers do not know; without them on such a server."""
        answer = self.ask(database, {**command, **more}, what=what, expected=NOT_KNOWN_CODES)
        return self.ask(database, command, what=what) if "code" in answer else answer

    def change(
        self, database: str, command: Mapping[str, Any], *, what: str, expected: frozenset[int] = NONE_EXPECTED
    ) -> bool:
        """Do a command that changes something, and wait until most members of a replica set have it.

        Returns:
            Whether it was done; False if it failed by one of the expected codes.
        """
        wait_ms = int(self._deadline.at_most(self._timeout_s) * 1_000)
        wanted = {**command, "writeConcern": {"w": "majority", "wtimeout": wait_ms}}
        answer = self.ask(database, wanted, what=what, expected=expected)
        if "writeConcernError" in answer:
            raise _not_confirmed(what)
        return "code" not in answer

    def close(self) -> None:
        """End it."""
        with suppress(self._driver.errors.PyMongoError):
            self._raw.close()


def connect(
    credentials: DatabaseCredentials,
    *,
    deadline: Deadline,
    tls: Tls,
    auth_database: str,
    is_direct: bool,
    connect_timeout_s: float,
    statement_timeout_s: float,
) -> MongoDbConnection:
    """Log in to the primary: one attempt. Errors as of `Database.connect`."""
    driver = load_driver("pymongo", "mongodb")
    check_credentials(credentials)
    timeout_s = deadline.at_most(connect_timeout_s)
    raw = _client(driver, {
        "host": f"[{credentials.host}]" if ":" in credentials.host else credentials.host,
        "port": credentials.port,
        "username": credentials.username,
        "password": credentials.password,
        "authSource": auth_database,
        "directConnection": is_direct,
        "serverSelectionTimeoutMS": int(timeout_s * 1_000),
        "connectTimeoutMS": int(timeout_s * 1_000),
        "socketTimeoutMS": int(statement_timeout_s * 1_000),
        "maxPoolSize": 1,
        "retryReads": False,
        "retryWrites": False,  # DocumentDB has none, and no command of ours is one
        "serverMonitoringMode": "poll",
        "datetime_conversion": "DATETIME_AUTO",  # what customData has is to come back as it was
        "appname": "envelope secrets rotation",
        **_PARAMETERS[tls.mode],
        **({"tlsCAFile": trusted_certificates(tls)} if tls.mode in ("verify-full", "verify-ca") else {}),
    })  # fmt: skip
    _log_in(raw, driver, timeout_s)
    return MongoDbConnection(raw, driver, deadline=deadline, timeout_s=statement_timeout_s)


def _client(driver: Any, parameters: Mapping[str, Any]) -> Any:
    """The driver's client, which has sent nothing yet. Its errors quote the parameters."""
    try:
        return driver.MongoClient(**parameters)
    except Exception as error:  # noqa: BLE001 - see above
        is_of_tls = any(isinstance(link, OSError) for link in _links(error))
    if is_of_tls:
        raise TlsFailed("the file with trusted certificates is not a PEM file", hint="ca_file names it")
    raise TargetError("the driver does not take what it would have to log in with", hint="see the host and the user")


def _log_in(raw: Any, driver: Any, timeout_s: float) -> None:
    """Have the driver open its connection, and close it all if that fails."""
    failure: TargetError
    try:
        with driver.timeout(timeout_s):
            raw.admin.command("ping")
        return
    except (driver.errors.PyMongoError, OSError, ValueError, IndexError) as error:
        failure = login_failure(driver, error)
        raw.close()
    except BaseException:
        raw.close()
        raise
    raise failure


def login_failure(driver: Any, error: Exception) -> TargetError:
    """What a login has failed by.

    Args:
        driver: the module.
    """
    code = getattr(error, "code", None)
    if code in REFUSED_CODES:
        return LoginRefused(
            f"the server does not accept this user and password ({code})",
            hint="it says the same of users of another authentication database, and of addresses that it lets not in",
        )
    if isinstance(error, (ValueError, IndexError)):  # the driver's, of the normal form of passwords
        return LoginRefused("the password has characters that SCRAM-SHA-256 forbids, so no account can have it")
    if _TLS_WORDS.search(str(error)):
        return TlsFailed(
            "no TLS connection could be made that the settings allow",
            hint="check ca_file, the host's name in the certificate, and that the port speaks TLS",
        )
    return _failure(driver, error, "the login")


def _links(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it came from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _failure(driver: Any, error: Exception, what: str) -> TargetError:
    kinds, code = driver.errors, getattr(error, "code", None)
    if code in NOT_CONFIRMED_CODES:
        return _not_confirmed(what)
    if code in NOT_KNOWN_CODES:
        return TargetError(f"{what} failed: the server does not know this ({code})")
    if code in SWAMPED_CODES:
        return AccountLocked(f"{what} failed: the server takes no more of it for now ({code})")
    if isinstance(error, (kinds.ConnectionFailure, kinds.ExecutionTimeout, kinds.NetworkTimeout, OSError)):
        return TargetUnreachable(
            f"{what} failed: the server does not answer, has no primary, or not in time",
            hint="check host, port, network and, if the port speaks TLS only, tls",
        )
    kind, text, hint = _CODES.get(code or 0, (TargetError, "the server answered with an error", ""))
    return kind(f"{what} failed: {text} ({type(error).__name__ if code is None else code})", hint=hint)


def _not_confirmed(what: str) -> TargetUnreachable:
    return TargetUnreachable(
        f"{what} was done, and most members of the replica set have not confirmed it in time",
        hint="let the step be repeated once the members answer one another",
    )


_CODES: Mapping[int, tuple[Callable[..., TargetError], str, str]] = {
    11: (TargetError, "the server has no such account", "accounts belong to a database: see auth_database"),
    13: (PrivilegeMissing, "this account may not do it", "see the roles that the guide names for it"),
    31: (TargetError, "the server has no such role", ""),
    334: (TargetError, "the server does not have the account's way to log in", "see authenticationMechanisms there"),
}
