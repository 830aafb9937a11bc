"""Why a login to PostgreSQL failed, found out from the messages of a server that says whatever a test wants."""

import socket
import struct
from collections.abc import Callable
from itertools import count
from types import TracebackType
from typing import Any, Self

import pytest

from envelope_secrets.rotation.database import DatabaseCredentials
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.rotation.driver_loading import load_driver
from envelope_secrets.rotation.driver_tls import ssl_context
from envelope_secrets.rotation.failures import (
    AccountLocked,
    LoginRefused,
    TargetError,
    TargetUnreachable,
    TlsFailed,
)
from envelope_secrets.rotation.postgresql_login import check_login, prepared_password
from envelope_secrets.rotation.postgresql_session import PostgreSqlSession
from envelope_secrets.rotation.tls import Tls
from tests.servers.logins import fails_of

LOGIN = DatabaseCredentials("postgres", "db.example", 5432, "app", "canary")
PLAIN = Tls("disable")
Failing = Callable[..., TargetError]


class ScriptedServer:
    """Stands for a connected socket.

    Args:
        answers: what it sends, in parts as it likes.
    """

    def __init__(self, answers: bytes) -> None:
        self.answers = answers
        self.received = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def settimeout(self, timeout_s: float) -> None:
        assert 0 < timeout_s <= 1.0

    def sendall(self, sent: bytes) -> None:
        self.received += sent

    def recv(self, count: int) -> bytes:
        count = min(count, 3)  # a message comes in pieces
        part, self.answers = self.answers[:count], self.answers[count:]
        return part


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def wants(kind: int, rest: bytes = b"") -> bytes:
    """A message about authentication."""
    return message(b"R", struct.pack("!i", kind) + rest)


def refused(code: str) -> bytes:
    return message(b"E", b"SFATAL\0" + b"C" + code.encode() + b"\0Mcanary\0\0")


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Failing:
    """The error that is found for a login to a server with a script."""

    def failure(*answers: bytes, tls: Tls = PLAIN) -> TargetError:
        server = ScriptedServer(b"".join(answers))
        monkeypatch.setattr(socket, "create_connection", lambda address, timeout_s: server)
        failure.server = server  # type: ignore[attr-defined]
        with pytest.raises(TargetError) as raised:
            check_login(LOGIN, tls, 1.0)
        assert "canary" not in f"{raised.value} {raised.value.hint}"
        assert raised.value.__context__ is None
        return raised.value

    return failure


@pytest.mark.parametrize(
    ("code", "before", "after"),
    [
        ("28P01", LoginRefused, LoginRefused),
        ("28000", TlsFailed, AccountLocked),
        ("53300", TargetUnreachable, AccountLocked),
        ("57P03", TargetUnreachable, TargetUnreachable),
        ("XX000", TargetUnreachable, TargetUnreachable),
        ("99999", TargetError, TargetError),
    ],
)
def test_a_code_means_something_else_before_the_password_than_after(
    failing: Failing, code: str, before: type[TargetError], after: type[TargetError]
) -> None:
    assert type(failing(refused(code))) is before
    assert type(failing(wants(5, b"salt"), refused(code))) is after


def test_a_rule_that_is_missing_is_no_matter_of_tls_where_there_is_tls(
    failing: Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Context:
        def wrap_socket(self, plain: Any, server_hostname: str) -> Any:
            return plain

    monkeypatch.setattr("envelope_secrets.rotation.postgresql_login.ssl_context", lambda tls: Context())
    assert type(failing(b"S", refused("28000"), tls=Tls("require"))) is TargetError
    assert "in the clear" in str(failing(b"S", wants(3), refused("28P01"), tls=Tls("require")))
    assert type(failing(b"S", wants(3), refused("28P01"), tls=Tls("verify-ca"))) is LoginRefused
    assert type(failing(b"N", tls=Tls("require"))) is TlsFailed
    assert type(failing(b"E", tls=Tls("require"))) is TargetUnreachable
    assert type(failing(b"", tls=Tls("require"))) is TargetUnreachable


READY = message(b"S", b"a\0b\0") + message(b"Z", b"I")


def test_a_login_that_works_ends_politely(monkeypatch: pytest.MonkeyPatch) -> None:
    server = ScriptedServer(wants(5, b"salt") + wants(0) + READY)
    monkeypatch.setattr(socket, "create_connection", lambda address, timeout_s: server)
    check_login(LOGIN, PLAIN, 1.0)
    assert server.received.endswith(message(b"X"))


def test_a_login_without_a_password_proves_nothing(failing: Failing) -> None:
    assert "without its password" in str(failing(wants(0), READY))
    assert failing.server.received.endswith(message(b"X"))  # type: ignore[attr-defined]


def test_all_messages_together_have_one_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    server = ScriptedServer(wants(5, b"salt") + wants(0) + READY)
    monkeypatch.setattr(socket, "create_connection", lambda address, timeout_s: server)
    moments = count(0.0, 0.25)  # each look at the clock is a quarter of a second later
    error = fails_of(lambda: check_login(LOGIN, PLAIN, 1.0, clock=lambda: next(moments)), TargetUnreachable)
    assert "not in time" in str(error)


def test_the_password_is_not_sent_in_the_clear(failing: Failing) -> None:
    assert "in the clear" in str(failing(wants(3), refused("28P01")))
    assert b"canary" not in failing.server.received  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "answers",
    [
        wants(7),  # GSSAPI
        wants(10, b"SCRAM-SHA-256\0\0") + wants(11, b"r=other,s=c2FsdA==,i=4096"),
        wants(10, b"SCRAM-SHA-256\0\0") + wants(11, b"r=,s=c2FsdA==,i=9999999"),
        wants(10, b"SCRAM-SHA-256\0\0") + wants(11, b"s=c2FsdA=="),
        wants(10, b"SCRAM-SHA-256\0\0") + wants(11, b"\xff"),
        message(b"R", b""),
        message(b"E", b"Mno code\0\0"),
        message(b"E", b"C28\x1b[31\0\0"),  # the code is shown, and logged
        message(b"E", b"C" + b"A" * 1_000 + b"\0\0"),
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"E" + struct.pack("!i", 3),
        b"E" + struct.pack("!i", 70_000),
        message(b"N") * 300,
    ],
)
def test_what_is_no_postgresql_is_told(failing: Failing, answers: bytes) -> None:
    assert type(failing(answers)) is TargetError


def test_a_server_that_hangs_up_is_not_reachable(failing: Failing) -> None:
    assert type(failing(b"")) is TargetUnreachable
    assert type(failing(wants(5, b"salt"))) is TargetUnreachable


@pytest.mark.parametrize(
    ("password", "prepared"),
    [
        ("plain", "plain"),
        ("a\u00a0b", "a b"),  # another space
        ("a\u00adb", "ab"),  # a soft hyphen
        ("\u2168", "IX"),
        ("\u00ad", "\u00ad"),  # nothing would be left
        ("tab\t", "tab\t"),  # forbidden, so left as it is
        ("\u0627\u0628", "\u0627\u0628"),
        ("\u0627b\u0628", "\u0627b\u0628"),
        ("\u06271\u2168", "\u06271\u2168"),
    ],
)
def test_a_password_is_prepared_as_the_server_does(password: str, prepared: str) -> None:
    assert prepared_password(password) == prepared.encode()


def test_a_driver_that_is_not_installed_names_the_extra() -> None:
    error = fails_of(lambda: load_driver("no_such_driver", "postgresql"), TargetError)
    assert error.hint == "pip install 'envelope-kms[postgresql]'"


def test_a_context_for_tls_without_certificates_trusts_everybody_only_by_name() -> None:
    context = ssl_context(Tls("require"))
    assert not context.check_hostname
    assert ssl_context(Tls("verify-full")).check_hostname


class ScriptedDriver:
    """Stands for the driver's connection to PostgreSQL 16 or later, which is not at hand."""

    def __init__(self) -> None:
        import psycopg

        self.info = type("Info", (), {"server_version": 160_004})
        self.statements: list[str] = []
        self.sql = psycopg.sql
        self.model = (False,) * 3 + (True,) + (False,) * 2 + (True, -1, "infinity")

    def execute(self, statement: Any) -> Any:
        text = statement if isinstance(statement, str) else statement.as_string(None)
        self.statements.append(text)
        rows = [self.model] if "rolinherit" in text else []
        return type("Cursor", (), {"description": bool(rows) or "SELECT" in text, "fetchall": lambda self: rows})()


def test_from_postgresql_16_on_a_membership_says_that_it_is_inherited() -> None:
    driver = ScriptedDriver()
    PostgreSqlSession(driver, driver, "admin", deadline=Deadline(60), statement_timeout_s=10.0).prepare_account(
        "b", "a"
    )
    assert 'GRANT "a" TO "b" WITH INHERIT TRUE, SET TRUE' in driver.statements


def test_less_time_makes_a_shorter_timeout() -> None:
    now = [0.0]
    driver = ScriptedDriver()
    deadline = Deadline(11.0, clock=lambda: now[0])
    session = PostgreSqlSession(driver, driver, "admin", deadline=deadline, statement_timeout_s=10.0)
    for now[0] in (0.0, 4.0, 4.0):
        session._role("a")
    set_to = [statement for statement in driver.statements if "statement_timeout" in statement]
    assert [timeout in text for timeout, text in zip(("'10000'", "'6000'"), set_to, strict=True)] == [True, True]
