"""A connection to Redis: one login, commands with a timeout, and what the driver's exceptions mean."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any, TypeVar

from envelope_secrets.rotation.database import DatabaseCredentials
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.rotation.driver_loading import load_driver
from envelope_secrets.rotation.driver_options import check_credentials
from envelope_secrets.rotation.driver_timeouts import ends_after
from envelope_secrets.rotation.driver_tls import ssl_context
from envelope_secrets.rotation.failures import (
    AccountLocked,
    LoginRefused,
    PrivilegeMissing,
    TargetError,
    TargetUnreachable,
    TlsFailed,
)
from envelope_secrets.rotation.tls import Tls

__all__ = ["RedisConnection", "connect"]

T = TypeVar("T")

MOST_DATABASES = 1_000_000

TOO_MANY_CLIENTS = "max number of clients reached"
"""The server sends it with the code ERR, which says nothing. Its texts are not translated."""


class RedisConnection:
    """A logged-in connection.

    Args:
        raw: the driver's connection; closed with this one.
        driver: its module.
    """

    __slots__ = ("_deadline", "_driver", "_raw", "_statement_timeout_s")

    def __init__(self, raw: Any, driver: Any, deadline: Deadline, statement_timeout_s: float) -> None:
        self._raw = raw
        self._driver = driver
        self._deadline = deadline
        self._statement_timeout_s = statement_timeout_s

    def ask(self, *words: str | bytes, what: str) -> Any:
        """The answer to one command.

        Raises:
            TargetError: it failed; a subclass says how. `what` was to be done is in the text, and no word of it.
            OutOfTime: no time is left to begin it.
        """
        longest_s = self._deadline.at_most(self._statement_timeout_s)

        def asked() -> Any:
            with ends_after(longest_s, lambda: int(self._raw._sock.fileno())):
                self._raw.send_command(*words, check_health=False)
                return self._raw.read_response()

        return _translated(self._driver, asked, what)

    def together(self, *commands: tuple[str | bytes, ...], what: str) -> None:
        """Do all of these commands, or none if one of them is refused before it is begun."""
        self.ask("MULTI", what=what)
        try:
            for command in commands:
                self.ask(*command, what=what)
        except TargetUnreachable:
            raise
        except TargetError:
            self.ask("DISCARD", what=what)
            raise
        answers = self.ask("EXEC", what=what)
        for answer in answers:
            if isinstance(answer, Exception):
                raise _failure(self._driver, answer, what)

    def close(self) -> None:
        """Close it."""
        self._raw.disconnect()


def connect(
    credentials: DatabaseCredentials,
    *,
    deadline: Deadline,
    tls: Tls,
    connect_timeout_s: float,
    statement_timeout_s: float,
) -> RedisConnection:
    """Log in: one attempt. Errors as of `Database.connect`."""
    driver = load_driver("redis", "redis")
    check_credentials(credentials)
    options: dict[str, Any] = {
        "host": credentials.host,
        "port": credentials.port,
        "db": _database(credentials.database),
        "username": credentials.username,
        "password": credentials.password,
        "socket_connect_timeout": deadline.at_most(connect_timeout_s),
        "socket_timeout": deadline.at_most(statement_timeout_s),
        # The driver tries again by itself otherwise, also after a wrong password.
        "retry": driver.retry.Retry(driver.backoff.NoBackoff(), 0),
        "protocol": 2,
    }
    raw = _with_tls(driver, options, tls) if tls.is_used else driver.connection.Connection(**options)

    longest_s = deadline.at_most(connect_timeout_s)

    def log_in() -> None:
        with ends_after(longest_s, lambda: int(raw._sock.fileno())):
            raw.connect()

    _translated(driver, log_in, "the login", login=True)
    return RedisConnection(raw, driver, deadline, statement_timeout_s)


def _with_tls(driver: Any, options: dict[str, Any], tls: Tls) -> Any:
    """A connection whose trusted certificates are those of `tls` alone; the driver would add the system's to them."""
    context, host = ssl_context(tls), options["host"]
    raw = driver.connection.SSLConnection(
        **options,
        ssl_cert_reqs="none" if tls.mode == "require" else "required",
        ssl_check_hostname=context.check_hostname,
        ssl_ca_certs=tls.ca_path,
    )
    raw._wrap_socket_with_ssl = lambda sock: context.wrap_socket(sock, server_hostname=host)  # it takes no context
    return raw


def _database(text: str) -> int:
    """The number of a database; 0 where the secret has none."""
    if not text.isascii() or not (text or "0").isdigit() or int(text or "0") >= MOST_DATABASES:
        raise TargetError("the secret's dbname is not the number of a database", hint='like "0", or leave it out')
    return int(text or "0")


def _translated(driver: Any, call: Callable[[], T], what: str, *, login: bool = False) -> T:
    """What the driver gives, or an error of ours without the driver's, whose text may quote what was sent."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - of a driver, whatever the server has sent it
        failure = (_login_failure if login else _failure)(driver, error, what)
    raise failure


def _login_failure(driver: Any, error: Exception, what: str) -> TargetError:
    if isinstance(error, driver.exceptions.AuthenticationError):
        return LoginRefused(
            "the server does not accept this user and password",
            hint="a user that is off is refused with the same answer: see ACL GETUSER",
        )
    if isinstance(error, ssl.SSLError) or isinstance(error.__context__, ssl.SSLError):
        return TlsFailed(
            "no TLS connection could be made that the settings allow",
            hint="check ca_file, the host's name in the certificate, and that the port speaks TLS",
        )
    return _failure(driver, error, what)


def _failure(driver: Any, error: Exception, what: str) -> TargetError:
    kinds = driver.exceptions
    if isinstance(error, kinds.NoPermissionError):
        return PrivilegeMissing(
            f"{what} is not allowed to this user", hint="see ACL LOG on the server for what it lacks"
        )
    if TOO_MANY_CLIENTS in str(error):
        return AccountLocked("the server has as many clients as it takes", hint="raise maxclients, or close some")
    if isinstance(error, (kinds.ConnectionError, kinds.TimeoutError, OSError)):
        return TargetUnreachable(
            f"{what} failed: the server does not answer, or not in time",
            hint="check host, port, network and, if the port speaks TLS only, tls",
        )
    return TargetError(f"{what} failed: the server answered with an error ({type(error).__name__})")
