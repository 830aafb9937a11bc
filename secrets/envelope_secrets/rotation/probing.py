"""Which credentials a rotation tries when it does not know which ones the server knows, in which order, and when not.

Each attempt that fails counts on the server: some lock an account after three. So there are few, each password is tried
once, and the first answer that more attempts would not change ends it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from envelope_secrets.rotation.database import Database, DatabaseCredentials, DatabaseSession
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.rotation.failures import (
    AccountLocked,
    LoginRefused,
    OutOfTime,
    PrivilegeMissing,
    TargetError,
    TargetUnreachable,
    TlsFailed,
)

__all__ = ["ORDER", "TRIES_OTHERS", "Candidates", "Login", "Source", "find_login", "tries_others"]


class Source(Enum):
    """Where credentials come from."""

    PENDING = "pending"
    CURRENT = "current"
    PREVIOUS = "previous"
    ORPHAN = "left by a cancelled rotation"


ORDER = (Source.PENDING, Source.CURRENT, Source.PREVIOUS, Source.ORPHAN)
"""The likeliest after an interruption first; what costs another read of the secret last."""

TRIES_OTHERS: Mapping[type[TargetError | OutOfTime], bool] = {
    LoginRefused: True,
    AccountLocked: False,
    TargetUnreachable: False,
    TlsFailed: False,
    PrivilegeMissing: False,
    TargetError: False,
    OutOfTime: False,
}
"""Whether other credentials are tried after an attempt that ended so."""

Candidates = Callable[[Source], Iterable[DatabaseCredentials]]
"""The credentials of one source, read when they are needed."""


@dataclass(frozen=True, slots=True)
class Login:
    """An attempt that succeeded."""

    source: Source
    credentials: DatabaseCredentials
    session: DatabaseSession


def tries_others(error: LoginRefused) -> bool:
    """Whether other credentials are tried after this answer; the nearest class of the table decides."""
    return next(TRIES_OTHERS[kind] for kind in type(error).__mro__ if kind in TRIES_OTHERS)


def find_login(database: Database, candidates: Candidates, deadline: Deadline) -> Login:
    """Log in with the first credentials that work.

    Raises:
        LoginRefused: none works.
        TargetError: an answer that makes further attempts useless or harmful.
        OutOfTime: no time is left.
    """
    tried: list[DatabaseCredentials] = []
    asked: list[str] = []
    for source, credentials in _in_turn(candidates):
        if any(credentials.password == one.password for one in tried):
            continue
        tried.append(credentials)
        asked.append(source.value)
        session = _session(database, credentials, deadline)
        if session is not None:
            return Login(source, credentials, session)
    for credentials in candidates(Source.PENDING):  # another delivery of the event may have set it meanwhile
        session = _session(database, credentials, deadline)
        if session is not None:
            return Login(Source.PENDING, credentials, session)
    raise LoginRefused(
        f"the server accepts none of the passwords that were tried: {', '.join(asked)}",
        hint="set the password of the account by hand to that of AWSCURRENT, or let an administrator's secret do it: "
        "SingleUser(recover_with_admin=True)",
    )


def _session(database: Database, credentials: DatabaseCredentials, deadline: Deadline) -> DatabaseSession | None:
    """One attempt; None if the answer lets others be tried."""
    try:
        return database.connect(credentials, deadline=deadline)
    except LoginRefused as error:
        if not tries_others(error):
            raise
    return None


def _in_turn(candidates: Candidates) -> Iterator[tuple[Source, DatabaseCredentials]]:
    for source in ORDER:
        for credentials in candidates(source):
            yield source, credentials
