"""What the strategies ask of a database: one file for each kind of server implements it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from envelope_secrets.password import PasswordPolicy
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.value import HidesValue

__all__ = ["Database", "DatabaseCredentials", "DatabaseSession", "KeepsTwoPasswords", "SavesAccounts"]


@dataclass(frozen=True, slots=True)
class DatabaseCredentials(HidesValue):
    """The fields of a database secret, in the format of Secrets Manager.

    Attributes:
        engine: ``postgres``, ``mysql``, ``mariadb``, ... as the secret says.
        port: the engine's own where the secret has none.
        database: to connect to; the engine's default where the secret has none.
        admin_secret_id: the secret of the account that makes others (``masterarn``), or an empty string.
        others: all fields that are not named here; they are carried over to the next version.
    """

    engine: str
    host: str
    port: int
    username: str
    password: str = field(repr=False)
    database: str = ""
    admin_secret_id: str = ""
    others: Mapping[str, object] = field(default_factory=dict, repr=False)


class DatabaseSession(Protocol):
    """A logged-in connection. Every statement has a timeout that fits the deadline it was opened with.

    Names and passwords are quoted by the driver's own means, whatever characters they have.
    All methods raise `TargetError` or a subclass. All that change something can be repeated.
    """

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def set_password(self, username: str, password: str) -> None:
        """Set the password of an account, the own one included. After that the old password does not work any more.

        Raises:
            PasswordRefused: the server's policy does not take it; the old one is in force.
            PrivilegeMissing: this account may not do it.
        """
        ...

    def prepare_account(self, username: str, like: str) -> None:
        """Make sure that an account exists that has every privilege, role and TLS requirement of `like`, and no more.

        If it did not exist, nobody can log in to it before `set_password`. It owns nothing: what it creates belongs to
        `like`, where the engine can do that.
        """
        ...

    def missing_privileges(self, username: str, like: str) -> tuple[str, ...]:
        """What `like` has and `username` lacks, in words fit to be shown; empty if nothing."""
        ...

    def check_use(self) -> None:
        """Raise `PrivilegeMissing` unless this login can do what an application does at the least. Changes nothing."""
        ...


@runtime_checkable
class KeepsTwoPasswords(Protocol):
    """A session with a server whose accounts can have two passwords at a time."""

    def add_password(self, username: str, password: str, *, current: str) -> None:
        """From now on `password` works, and `current` still does; every other password does not."""
        ...


@runtime_checkable
class SavesAccounts(Protocol):
    """A session with a server that may forget a change of its accounts when it dies, unless it is seen to be saved."""

    def save_accounts(self) -> None:
        """Have them written down, also what an earlier run has set.

        Raises:
            PrivilegeMissing: this login may not.
        """
        ...


@runtime_checkable
class Database(Protocol):
    """A kind of database server, with options like TLS. Immutable and safe for threads.

    It may also have a number ``most_refusals``, see `refusals_of`.

    Attributes:
        engines: values of the secret's field ``engine`` that mean this kind of server.
        default_port: where the secret has none.
        max_username_characters: longer names are refused by the server.
        password_policy: for passwords that every version of the server and its usual clients take.
    """

    @property
    def engines(self) -> frozenset[str]: ...

    @property
    def default_port(self) -> int: ...

    @property
    def max_username_characters(self) -> int: ...

    @property
    def password_policy(self) -> PasswordPolicy: ...

    def connect(self, credentials: DatabaseCredentials, *, deadline: Deadline) -> DatabaseSession:
        """Log in: one attempt.

        Raises:
            TargetUnreachable: no answer; says nothing about the credentials.
            TlsFailed: no private connection.
            LoginRefused: wrong user or password; `AccountLocked` if trying more would make it worse.
            OutOfTime: no time is left.
        """
        ...


DEFAULT_REFUSALS = 4
MOST_REFUSALS = 100


def refusals_of(database: object) -> int:
    """How many refused logins of one account a step may cause: the target's ``most_refusals``, 4 if it has none."""
    return int(getattr(database, "most_refusals", DEFAULT_REFUSALS))
