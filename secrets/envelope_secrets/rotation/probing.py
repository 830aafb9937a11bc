"""Which credentials a rotation tries when it does not know which ones the server knows, and when it stops.

Each attempt that fails counts on the server: some lock an account after three, and then refuse the right password too.
So there are few, the likeliest first, each password is tried once, and the first answer that more attempts would not
change ends it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from envelope_secrets.rotation.database import Database, DatabaseCredentials, DatabaseSession, refusals_of
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.rotation.failures import (
    AccountLocked,
    LoginRefused,
    OutOfTime,
    PrivilegeMissing,
    TargetError,
    TargetUnreachable,
    TlsFailed,
    joined_hints,
)

__all__ = ["TRIES_OTHERS", "Candidate", "Login", "Source", "find_login", "tries_others"]


class Source(Enum):
    """Where credentials come from."""

    PENDING = "pending"
    CURRENT = "current"
    PREVIOUS = "previous"
    ORPHAN = "left by a cancelled rotation"


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

Candidate: TypeAlias = tuple[Source, DatabaseCredentials]


@dataclass(frozen=True, slots=True)
class Login:
    """An attempt that succeeded."""

    source: Source
    credentials: DatabaseCredentials
    session: DatabaseSession


def tries_others(error: LoginRefused) -> bool:
    """Whether other credentials are tried after this answer; the nearest class of the table decides."""
    return next(TRIES_OTHERS[kind] for kind in type(error).__mro__ if kind in TRIES_OTHERS)


def find_login(database: Database, candidates: Iterable[Candidate], deadline: Deadline) -> Login:
    """Log in with the first credentials that work.

    Args:
        candidates: the likeliest first; the next one is asked for only when it is needed.

    Raises:
        LoginRefused: none works, of as many as may be tried.
        TargetError: an answer that makes further attempts useless or harmful.
        OutOfTime: no time is left.
    """
    refused: dict[str, str] = {}  # and the hint that came with the refusal
    asked: list[str] = []
    for source, credentials in candidates:
        if credentials.password in refused:
            continue
        if len(refused) == refusals_of(database):
            raise _too_many(asked, source)
        answer = _answer(database, credentials, deadline)
        if not isinstance(answer, str):
            return Login(source, credentials, answer)
        refused[credentials.password] = answer
        asked.append(source.value)
    raise LoginRefused(
        f"the server accepts none of the passwords that were tried: {', '.join(asked)}",
        hint=joined_hints(*refused.values(), _BY_HAND),
    )


_BY_HAND = (
    "`envelope secrets rotation repair` makes the version current that works, if the secret has one; else set the "
    "account's password by hand to that of AWSCURRENT, or let an administrator's secret do it: "
    "SingleUser(recover_with_admin=True)"
)


def _too_many(asked: Iterable[str], following: Source) -> LoginRefused:
    tried = ", ".join(asked)
    return LoginRefused(
        f"the server accepts none of the passwords that were tried: {tried}; the next one ({following.value}) was not, "
        "because one more refusal could lock the account",
        hint=joined_hints("where the account takes it, allow more: most_refusals=5 of the target", _BY_HAND),
    )


def _answer(database: Database, credentials: DatabaseCredentials, deadline: Deadline) -> DatabaseSession | str:
    """One attempt: a session, or the hint of a refusal that lets others be tried."""
    try:
        return database.connect(credentials, deadline=deadline)
    except LoginRefused as error:
        if not tries_others(error):
            raise
        return error.hint
