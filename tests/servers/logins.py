"""Logging in to the servers, and what is hard to quote."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from envelope.errors import EnvelopeError
from envelope_secrets.rotation.database import Database, DatabaseCredentials, DatabaseSession
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.rotation.failures import LoginRefused
from tests.servers.running import RunningServer

__all__ = [
    "HARD_NAMES",
    "HARD_PASSWORDS",
    "Interrupted",
    "accepts",
    "admin",
    "credentials",
    "deadline",
    "fails_of",
    "interruptions",
]

HARD_TEXTS = (
    "o'neil",
    'say "hi"',
    "back\\slash\\'",
    "100%s %d %(a)s",
    "a;b -- c",
    " spaces  in it ",
    "Ärger-пароль-密码-🔑",
    "`tick`",
)
HARD_NAMES = HARD_TEXTS
HARD_PASSWORDS = (*HARD_TEXTS, "{}", "\t", "${x}$$", "~" * 200)


def deadline(left_s: float = 60.0) -> Deadline:
    return Deadline(left_s)


def credentials(
    server: RunningServer,
    username: str | None = None,
    password: str | None = None,
    *,
    database: str = "",
    host: str | None = None,
    port: int | None = None,
) -> DatabaseCredentials:
    """The administrator's, unless others are given."""
    return DatabaseCredentials(
        server.engine,
        server.host if host is None else host,
        server.port if port is None else port,
        server.admin if username is None else username,
        server.password if password is None else password,
        database,
    )


def admin(database: Database, server: RunningServer) -> DatabaseSession:
    return database.connect(credentials(server), deadline=deadline())


def accepts(database: Database, server: RunningServer, username: str, password: str) -> bool:
    """Whether the server lets this login in."""
    try:
        database.connect(credentials(server, username, password), deadline=deadline()).__exit__(None, None, None)
    except LoginRefused:
        return False
    return True


def fails_of(call: Callable[[], object], kind: type[EnvelopeError], *secrets: str) -> EnvelopeError:
    """The error of a call, which is of exactly this kind, has no driver's error behind it, and shows no secret."""
    with pytest.raises(kind) as raised:
        call()
    error = raised.value
    assert type(error) is kind, repr(error)
    assert error.__cause__ is None
    assert error.__context__ is None
    shown = f"{error!r} {error} {error.hint}"
    assert not [secret for secret in secrets if secret and secret in shown]
    return error


class Interrupted(BaseException):
    """The process is gone at this point."""


@contextmanager
def interrupted(owner: type, method: str, dies_at: int, patch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Let the method of a connection die before (even points) and after (odd points) one of its calls."""
    original = getattr(owner, method)
    passed: list[str] = []

    def point(name: str) -> None:
        passed.append(name)
        if len(passed) - 1 == dies_at:
            raise Interrupted(name)

    def watched(self: Any, *arguments: Any, **options: Any) -> Any:
        if dies_at in range(len(passed)):
            raise Interrupted("the process is gone already")  # nothing more is sent, not even on the way out
        point("before")
        answer = original(self, *arguments, **options)
        point("after")
        return answer

    with patch.context() as changed:
        changed.setattr(owner, method, watched)
        yield passed


def interruptions(
    owner: type, method: str, action: Callable[[], object], patch: pytest.MonkeyPatch, *, each: int = 1
) -> Iterator[int]:
    """Run the action again and again, interrupted at each so many-th of its points; yields after each interruption."""
    dies_at = 0
    while True:
        with interrupted(owner, method, dies_at, patch):
            try:
                action()
            except Interrupted:
                pass
            else:
                return
        yield dies_at
        dies_at += each
