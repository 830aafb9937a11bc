"""A connection to MySQL or MariaDB by PyMySQL: made privately, with timeouts, and with failures told apart by number.

Source: MySQL 9 and MariaDB 10.11 error references; both numbers of a failure are here where they differ.
"""

from __future__ import annotations

import math
import ssl
from collections.abc import Mapping
from typing import Any

from envelope_secrets.rotation.database import DatabaseCredentials
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.rotation.driver_loading import load_driver
from envelope_secrets.rotation.driver_options import check_credentials
from envelope_secrets.rotation.driver_timeouts import ends_after
from envelope_secrets.rotation.driver_tls import ssl_context
from envelope_secrets.rotation.failures import (
    AccountLocked,
    LoginRefused,
    PasswordExpired,
    PasswordRefused,
    PrivilegeMissing,
    TargetError,
    TargetUnreachable,
    TlsFailed,
)
from envelope_secrets.rotation.tls import Tls

__all__ = ["MySqlConnection", "connect"]

Failures = Mapping[int, tuple[type[TargetError], str, str]]
"""An error, its text and its hint, for numbers of errors."""

_NO_ANSWER = (TargetUnreachable, "the server did not answer, or not in time", "")
_NO_PRIVILEGE = "the login lacks a privilege for {what}"
LOST = 2013
_BLOCKED = "the account is locked, or blocked after failed logins"

_WITH_EXPIRED = """\
let an administrator set another: a rotation does where masterarn names one (SingleUser by recover_with_admin=True); \
or set that of AWSPENDING, else of AWSCURRENT, by hand: it counts as new"""
_EXPIRED = (PasswordExpired, "the account's password has expired", _WITH_EXPIRED)

LOGIN: Failures = {
    **dict.fromkeys((1040, 1042, 1053, 1129), (TargetUnreachable, "the server takes no connections now", "")),
    **dict.fromkeys((2002, 2003, 2005, 2006, LOST, 2055), _NO_ANSWER),
    **dict.fromkeys((1045, 1698), (LoginRefused, "the server does not accept this user and password", "")),
    **dict.fromkeys((3118, 3955, 4150, 4151), (AccountLocked, _BLOCKED, "unlock it: ALTER USER ... ACCOUNT UNLOCK")),
    **dict.fromkeys((1820, 1862), _EXPIRED),
    **dict.fromkeys((1203, 1226), (AccountLocked, "the account has too many connections, or made too many", "")),
    2026: (TlsFailed, "the server has no TLS", 'only tls="disable" does without'),
    3159: (TlsFailed, "the server wants TLS", 'tls="disable" cannot be used with it'),
    1044: (PrivilegeMissing, "the login works, and may not use the database that the secret names", ""),
    1049: (TargetError, "the login works, and the server has no database of the name in the secret", "see dbname"),
    1130: (TargetError, "the server has no account at all for the address this comes from", "see the accounts' hosts"),
    **dict.fromkeys(
        (1251, 2059, 2061),
        (TargetError, "the driver does not know how this account proves its password", "ed25519 needs PyNaCl"),
    ),
}

STATEMENT: Failures = {
    **dict.fromkeys((1205, 1317, 1969, 2006, LOST, 2055, 3024), _NO_ANSWER),
    **dict.fromkeys(
        (1044, 1045, 1142, 1143, 1227, 1370, 1410, 1419, 1698, 3619, 3878),
        (PrivilegeMissing, _NO_PRIVILEGE, "grant it to this login, WITH GRANT OPTION where it gives it to another"),
    ),
    **dict.fromkeys((1819, 3638), (PasswordRefused, "the server's password policy refuses {what}", "")),
    1820: _EXPIRED,
    1290: (TargetError, "an option of the server forbids {what}", "is this the read-only end of a cluster?"),
}


class MySqlConnection:
    """A logged-in connection; `connect` makes it. One statement at a time, each with a timeout.

    Args:
        raw: the driver's connection.
        driver: its module.
    """

    __slots__ = ("_deadline", "_driver", "_raw", "_statement_timeout_s")

    def __init__(self, raw: Any, driver: Any, deadline: Deadline, statement_timeout_s: float) -> None:
        self._raw = raw
        self._driver = driver
        self._deadline = deadline
        self._statement_timeout_s = statement_timeout_s

    def rows(self, statement: str, *values: object, what: str, passing: frozenset[int] = frozenset()) -> Any:
        """Run a statement and return its rows.

        Args:
            values: for each ``%s``; without any, the statement is sent as it is.
            what: is said of the statement in errors, which never show its text.
            passing: numbers of errors that count as no rows: None is returned.

        Raises:
            TargetError: it failed; a subclass says how.
            OutOfTime: there is no time for it; it was not sent.
        """
        # The driver has this for a whole connection only; what is left shrinks with each statement.
        longest_s = self._deadline.at_most(self._statement_timeout_s)
        self._raw._read_timeout = longest_s
        failure: TargetError
        try:
            with ends_after(longest_s, self._raw._sock.fileno), self._raw.cursor() as cursor:
                cursor.execute(statement, values or None)
                return cursor.fetchall()
        except Exception as error:  # noqa: BLE001 - whatever a driver raises can quote the statement
            number = _number_of(error)
            if number in passing:
                return None
            failure = _failure(STATEMENT, number if self._raw.open else LOST, what)
        raise failure

    def quoted(self, text: str) -> str:
        """A literal, by the driver's own means."""
        literal: str = self._raw.escape(text)
        return literal

    def account(self, name: str, host: str) -> str:
        """An account as statements name it."""
        return f"{self.quoted(name)}@{self.quoted(host)}"

    def wait(self, wanted_s: float, what: str) -> None:
        """Wait so long.

        Raises:
            OutOfTime: there is not so much time.
        """
        self._deadline.require(wanted_s, what)
        self._deadline.pause(wanted_s)

    def close(self) -> None:
        """Say goodbye to the server; if that fails, just go."""
        if self._raw.open:
            self._raw.close()


def connect(
    credentials: DatabaseCredentials,
    *,
    deadline: Deadline,
    tls: Tls,
    connect_timeout_s: float,
    statement_timeout_s: float,
    sql_mode: str,
) -> MySqlConnection:
    """Log in, once.

    Raises:
        TargetError: as `Database.connect`; in addition `PrivilegeMissing` or `TargetError` itself where the login works
            and the database does not.
    """
    check_credentials(credentials)
    driver = load_driver("pymysql", "mysql")
    protection = {"ssl": ssl_context(tls)} if tls.is_used else {"ssl_disabled": True}
    timeout_s = deadline.at_most(connect_timeout_s)
    failure: TargetError
    try:
        raw = driver.connect(
            host=credentials.host,
            port=credentials.port,
            user=credentials.username,
            password=credentials.password.encode(),  # text would be sent as Latin-1
            database=credentials.database or None,
            charset="utf8mb4",
            sql_mode=sql_mode,
            init_command=f"SET SESSION lock_wait_timeout = {math.ceil(statement_timeout_s)}",
            autocommit=True,
            connect_timeout=timeout_s,
            read_timeout=timeout_s,
            write_timeout=timeout_s,
            defer_connect=True,
            auth_plugin_map=dict.fromkeys(("mysql_clear_password", "mysql_old_password", "dialog"), _RefusesToSend),
            **protection,
        )
        with ends_after(timeout_s, lambda: int(raw._sock.fileno())):
            raw.connect()
            raw.query("DO 1")  # some servers let in whose password has expired, and then refuse everything
        return MySqlConnection(raw, driver, deadline, statement_timeout_s)
    except TargetError as error:
        failure = error
    except Exception as error:  # noqa: BLE001 - whatever a driver raises can quote the credentials
        failure = _login_failure(error, tls)
    raise failure.with_traceback(None)


class _RefusesToSend:
    """Answers a server that asks for the password itself, or for what is as good as that."""

    def __init__(self, raw: object) -> None: ...

    def authenticate(self, packet: object) -> None:  # noqa: ARG002 - the driver's protocol
        raise TargetError(
            "the server asks for the password in the clear, and does not get it",
            hint="give the account a password plugin: caching_sha2_password, ed25519, mysql_native_password",
        )


def _login_failure(error: Exception, tls: Tls) -> TargetError:
    if isinstance(getattr(error, "original_exception", error), ssl.SSLError):
        return TlsFailed(
            "there is no private connection: the server's certificate or its TLS is not accepted",
            hint="see ca_file, and whether the secret's host is a name in the certificate",
        )
    number = _number_of(error)
    failure = _failure(LOGIN, number, "the login")
    if number == 1045 and not tls.is_used:
        failure.hint = "an account that requires TLS is refused in the same words"
    return failure


def _failure(failures: Failures, number: int, what: str) -> TargetError:
    if number not in failures:
        return TargetError(f"the server refused {what}: error {number}" if number else f"{what} failed in the driver")
    kind, text, hint = failures[number]
    return kind(f"{text.format(what=what)} (error {number})", hint=hint)


def _number_of(error: Exception) -> int:
    """The server's or the driver's number of an error; 0 if it has none."""
    number = error.args[0] if error.args else 0
    return number if isinstance(number, int) else 0
