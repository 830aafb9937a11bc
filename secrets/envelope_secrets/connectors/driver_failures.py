"""Why a driver could not log in: told apart by the codes of the protocols, and said without the driver's own words.

The text of a driver's error can quote the whole connection string. So none is shown, and none is chained.

Sources: PostgreSQL documentation, appendix A (SQLSTATE); MySQL reference manual, server and client error messages;
MariaDB error codes.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from envelope_secrets.connectors.attempts import Failure
from envelope_secrets.rotation.failures import (
    AccountLocked,
    LoginRefused,
    PrivilegeMissing,
    TargetError,
    TargetUnreachable,
    TlsFailed,
)

__all__ = ["BY_ERRNO", "BY_SQLSTATE", "Failed", "error_for", "failure_of"]

BY_SQLSTATE: Mapping[str, Failure] = {
    "28P01": Failure.REFUSED,  # invalid_password
    "28000": Failure.REFUSED,  # invalid_authorization_specification: no such role, or one that may not log in
    "42501": Failure.PRIVILEGE,  # insufficient_privilege: no CONNECT on the database
    "53300": Failure.LOCKED,  # too_many_connections
    "57P03": Failure.UNREACHABLE,  # cannot_connect_now: starting or stopping
}
BY_SQLSTATE_CLASS: Mapping[str, Failure] = {"08": Failure.UNREACHABLE, "28": Failure.REFUSED}

BY_ERRNO: Mapping[int, Failure] = {
    1045: Failure.REFUSED,  # ER_ACCESS_DENIED_ERROR: user or password
    1698: Failure.REFUSED,  # ER_ACCESS_DENIED_NO_PASSWORD_ERROR
    1044: Failure.PRIVILEGE,  # ER_DBACCESS_DENIED_ERROR
    1040: Failure.LOCKED,  # ER_CON_COUNT_ERROR
    1129: Failure.LOCKED,  # ER_HOST_IS_BLOCKED
    1203: Failure.LOCKED,  # ER_TOO_MANY_USER_CONNECTIONS
    1226: Failure.LOCKED,  # ER_USER_LIMIT_REACHED
    1820: Failure.LOCKED,  # ER_MUST_CHANGE_PASSWORD
    1862: Failure.LOCKED,  # ER_MUST_CHANGE_PASSWORD_LOGIN: the password has expired
    3118: Failure.LOCKED,  # ER_ACCOUNT_HAS_BEEN_LOCKED
    3955: Failure.LOCKED,  # ER_USER_ACCESS_DENIED_FOR_USER_ACCOUNT_BLOCKED_BY_PASSWORD_LOCK
    4151: Failure.LOCKED,  # MariaDB: ER_ACCOUNT_HAS_BEEN_LOCKED
    2002: Failure.UNREACHABLE,  # CR_CONNECTION_ERROR
    2003: Failure.UNREACHABLE,  # CR_CONN_HOST_ERROR
    2005: Failure.UNREACHABLE,  # CR_UNKNOWN_HOST
    2006: Failure.UNREACHABLE,  # CR_SERVER_GONE_ERROR
    2013: Failure.UNREACHABLE,  # CR_SERVER_LOST
    2026: Failure.TLS,  # CR_SSL_CONNECTION_ERROR
    2055: Failure.UNREACHABLE,  # CR_SERVER_LOST_EXTENDED
    3159: Failure.TLS,  # ER_SECURE_TRANSPORT_REQUIRED
}

# libpq gives no code for what happens before a connection is there. With psycopg 3 it says whether the server has asked
# for the password: everything about the login is decided there. With psycopg2 there is its text alone: what a server
# says has a severity and two spaces in every language. What a server refuses besides, these English texts tell; where
# it speaks another language it counts as a refused login, which costs time and no more than `attempts` logins.
_AFTER_LOGIN: Mapping[re.Pattern[str], Failure] = {
    re.compile(r'database ".*" does not exist', re.DOTALL): Failure.OTHER,
    re.compile(r"too many connections|remaining connection slots|too many clients"): Failure.LOCKED,
    re.compile(r"permission denied for database"): Failure.PRIVILEGE,
    re.compile(r"server closed the connection|could not (receive|send) data|timeout expired"): Failure.UNREACHABLE,
    re.compile(r"the database system is (starting|shutting|not|in)"): Failure.UNREACHABLE,
}
_TLS = re.compile(r"\bSSL\b|certificate")
_SAID_BY_SERVER = re.compile(r"(?:^|failed: )\w+:  ")  # libpq before 14 begins with it


@dataclass(frozen=True, slots=True)
class Failed:
    """A login that did not succeed.

    Attributes:
        said_by: the driver's class and code, like ``psycopg.OperationalError``; fit to be shown.
    """

    failure: Failure
    said_by: str


def failure_of(error: Exception, is_refused: Callable[[Exception], bool] | None = None) -> Failed:
    """Tell why a driver raised.

    Args:
        is_refused: decides by itself whether it was for the credentials, for drivers that are not known here.
    """
    failure = _failure(error)
    if is_refused is not None:
        refused = is_refused(error)
        failure = Failure.REFUSED if refused else Failure.OTHER if failure is Failure.REFUSED else failure
    kind = type(error)
    code = _errno(error) or _sqlstate(error)
    return Failed(failure, f"{kind.__module__.partition('.')[0]}.{kind.__name__}" + (f" {code}" if code else ""))


def error_for(failed: Failed, secret_id: str) -> TargetError:
    """The exception that says so."""
    kind, problem, hint = _ERRORS[failed.failure]
    return kind(f"the target of secret {secret_id} {problem} ({failed.said_by})", hint=hint)


_ERRORS: Mapping[Failure, tuple[type[TargetError], str, str]] = {
    Failure.REFUSED: (LoginRefused, "refuses the credentials", ""),
    Failure.LOCKED: (
        AccountLocked,
        "takes no login of this account now: locked, expired, or too many connections",
        "no other version was tried: more attempts would keep it locked",
    ),
    Failure.UNREACHABLE: (TargetUnreachable, "did not answer", "this says nothing about the credentials"),
    Failure.TLS: (
        TlsFailed,
        "could not be connected to by TLS",
        "give the driver the certificate of the authority, and the host name that the server's certificate has",
    ),
    Failure.PRIVILEGE: (PrivilegeMissing, "took the login and denies the account the database", ""),
    Failure.OTHER: (
        TargetError,
        "took no connection, for another reason than the credentials",
        "does the database exist, and does the server let this account in from this host?",
    ),
}


def _failure(error: Exception) -> Failure:
    """By the first thing that is certain."""
    caught = (error, error.__cause__, getattr(error, "original_exception", None))  # the last is PyMySQL's
    if any(isinstance(one, ssl.SSLError) for one in caught):
        return Failure.TLS
    sqlstate, errno = _sqlstate(error), _errno(error)
    if errno:  # first: to MySQL's SQLSTATE, a locked account is a general error
        return BY_ERRNO.get(errno, Failure.OTHER)
    if sqlstate:
        return BY_SQLSTATE.get(sqlstate) or BY_SQLSTATE_CLASS.get(sqlstate[:2], Failure.OTHER)
    names = {(kind.__module__.partition(".")[0], kind.__name__) for kind in type(error).__mro__}
    if any(driver == "redis" for driver, _ in names):
        return next((failure for name, failure in _REDIS if ("redis", name) in names), Failure.OTHER)
    if ("psycopg", "OperationalError") in names:
        return _failure_of_libpq(error, ("psycopg", "ConnectionTimeout") in names)
    if ("psycopg2", "OperationalError") in names:
        return _failure_by_text(str(error), was_asked=_SAID_BY_SERVER.search(str(error)) is not None)
    return Failure.UNREACHABLE if isinstance(error, OSError) else Failure.OTHER


_REDIS = (
    ("AuthenticationError", Failure.REFUSED),
    ("AuthenticationWrongNumberOfArgsError", Failure.REFUSED),
    ("NoPermissionError", Failure.PRIVILEGE),
    ("ConnectionError", Failure.UNREACHABLE),
    ("TimeoutError", Failure.UNREACHABLE),
)
"""redis-py's classes, the first that fits: its AuthenticationError is a ConnectionError."""


def _failure_of_libpq(error: Exception, is_timeout: bool) -> Failure:
    connection = getattr(error, "pgconn", None)
    if is_timeout or connection is None:
        return Failure.UNREACHABLE
    return _failure_by_text(str(error), was_asked=connection.used_password)


def _failure_by_text(text: str, *, was_asked: bool) -> Failure:
    if "pg_hba.conf" in text:  # the server's answer to who asks from where, before it asks for a password
        return Failure.OTHER
    if was_asked:
        return next((failure for words, failure in _AFTER_LOGIN.items() if words.search(text)), Failure.REFUSED)
    return Failure.TLS if _TLS.search(text) else Failure.UNREACHABLE


def _sqlstate(error: Exception) -> str:
    """Of psycopg, asyncpg and others that call it so; empty where there is none."""
    sqlstate = getattr(error, "sqlstate", None)
    return sqlstate if isinstance(sqlstate, str) and re.fullmatch(r"[0-9A-Z]{5}", sqlstate) else ""


_OF_MYSQL = frozenset({"pymysql", "MySQLdb", "mysql", "mariadb"})
"""aiomysql raises PyMySQL's exceptions; asyncmy and others are told by `is_refused`."""


def _errno(error: Exception) -> int:
    """Of the drivers of MySQL: an attribute or the first argument; 0 where there is none."""
    drivers = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
    number = error.args[0] if error.args and drivers & _OF_MYSQL else 0
    number = getattr(error, "errno", number) if drivers & {"mysql", "mariadb"} else number
    return number if type(number) is int and 0 < number < 100_000 else 0
