"""A kind of database server in memory: accounts, passwords, grants, lock-out; each statement takes effect by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from envelope_secrets.password import PasswordPolicy
from envelope_secrets.rotation.database import DatabaseCredentials
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.rotation.failures import (
    AccountLocked,
    LoginRefused,
    PasswordExpired,
    PasswordRefused,
    PrivilegeMissing,
    TargetError,
    TargetUnreachable,
)
from tests.crash_points import CrashPoints

HOST = "db.example"


@dataclass(slots=True)
class Account:
    """`passwords` are all that work."""

    passwords: tuple[str, ...] = ()
    grants: set[str] = field(default_factory=set)
    is_locked: bool = False
    has_expired: bool = False
    requires_tls: bool = False
    is_admin: bool = False
    failed_logins: int = 0
    former_passwords: set[str] = field(default_factory=set)

    def take(self, *passwords: str) -> None:
        self.former_passwords.update(self.passwords)
        self.passwords = passwords
        self.is_locked = self.has_expired = False


class FakeServer:
    """A server.

    Args:
        locks_after: failed logins in a row that lock an account; 0 for never.
        refuses_former: whether a password that was in force before is refused.

    Attributes:
        points: passed before and after every statement and login.
        hosts: its names.
        logins: every attempt: user, and whether it succeeded.
        failure: raised by every login, if set.
    """

    def __init__(
        self,
        points: CrashPoints | None = None,
        *,
        locks_after: int = 0,
        refuses_former: bool = False,
        keeps_two_passwords: bool = True,
    ) -> None:
        self.points = points or CrashPoints()
        self.locks_after = locks_after
        self.refuses_former = refuses_former
        self.keeps_two_passwords = keeps_two_passwords
        self.accounts: dict[str, Account] = {}
        self.hosts = {HOST}
        self.logins: list[tuple[str, bool]] = []
        self.statements: list[str] = []
        self.open_sessions = 0
        self.failure: Exception | None = None

    def accepts(self, username: str, password: str) -> bool:
        """Whether these credentials work. No attempt to log in."""
        account = self.accounts.get(username)
        is_open = account is not None and not account.is_locked and not account.has_expired
        return is_open and account is not None and password in account.passwords

    def login(self, credentials: DatabaseCredentials) -> FakeSession:
        with self.points.around("connect"):
            if self.failure is not None:
                raise self.failure
            if credentials.host not in self.hosts:
                raise TargetUnreachable("there is no such host")
            self._check(credentials)
            self.open_sessions += 1
            session = FakeTwoPasswordSession if self.keeps_two_passwords else FakeSession
            return session(self, credentials.username)

    def _check(self, credentials: DatabaseCredentials) -> None:
        account = self.accounts.get(credentials.username)
        if account is not None and account.is_locked:
            self.logins.append((credentials.username, False))
            raise AccountLocked("the account is locked")
        works = account is not None and credentials.password in account.passwords
        self.logins.append((credentials.username, works))
        if account is not None:
            account.failed_logins = 0 if works else account.failed_logins + 1
            account.is_locked = 0 < self.locks_after <= account.failed_logins
        if not works:
            raise LoginRefused("wrong user or password")
        if account is not None and account.has_expired:
            raise PasswordExpired("the password has expired")

    @contextmanager
    def statement(self, text: str) -> Iterator[None]:
        with self.points.around(text):
            yield
            self.statements.append(text)


class FakeSession:
    """A `DatabaseSession`."""

    def __init__(self, server: FakeServer, username: str) -> None:
        self.server = server
        self.username = username
        self.account = server.accounts[username]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.server.open_sessions -= 1

    def set_password(self, username: str, password: str) -> None:
        with self.server.statement("set password"):
            self._account(username, password).take(password)

    def prepare_account(self, username: str, like: str) -> None:
        accounts = self.server.accounts
        self._check_admin()
        model = accounts[like]
        if username not in accounts:
            with self.server.statement("create account"):
                accounts.setdefault(username, Account(is_locked=True))
        clone = accounts[username]
        for grant in sorted(model.grants - clone.grants):
            with self.server.statement(f"grant {grant}"):
                clone.grants.add(grant)
        for grant in sorted(clone.grants - model.grants):
            with self.server.statement(f"revoke {grant}"):
                clone.grants.remove(grant)
        with self.server.statement("require tls"):
            clone.requires_tls = model.requires_tls

    def missing_privileges(self, username: str, like: str) -> tuple[str, ...]:
        with self.server.statement("show grants"):
            clone, model = self.server.accounts[username], self.server.accounts[like]
            tls = ("TLS requirement",) if model.requires_tls and not clone.requires_tls else ()
            return (*sorted(model.grants - clone.grants), *tls)

    def check_use(self) -> None:
        with self.server.statement("select 1"):
            if self.server.accounts.get(self.username) is not self.account:
                raise TargetUnreachable("the account of this session was dropped")
            if not self.server.accounts[self.username].grants:
                raise PrivilegeMissing("the login may do nothing")

    def _account(self, username: str, password: str) -> Account:
        if username != self.username:
            self._check_admin()
        account = self.server.accounts[username]
        if self.server.refuses_former and password in {*account.passwords, *account.former_passwords}:
            raise PasswordRefused("the password was used before")
        return account

    def _check_admin(self) -> None:
        if not self.server.accounts[self.username].is_admin:
            raise PrivilegeMissing("only an administrator may do that")


class FakeTwoPasswordSession(FakeSession):
    """A `DatabaseSession` that `KeepsTwoPasswords`."""

    def add_password(self, username: str, password: str, *, current: str) -> None:
        with self.server.statement("add password"):
            account = self._account(username, password)
            if current not in account.passwords:
                raise TargetError("the current password does not work")
            account.take(password, current)


@dataclass(frozen=True, slots=True)
class FakeDatabase:
    """A `Database`."""

    server: FakeServer
    engines: frozenset[str] = frozenset({"postgres", "aurora-postgresql"})
    default_port: int = 5432
    max_username_characters: int = 63
    password_policy: PasswordPolicy = field(default_factory=PasswordPolicy)
    tls: Any = "verify-full"
    most_refusals: int = 4

    def connect(self, credentials: DatabaseCredentials, *, deadline: Deadline) -> FakeSession:
        deadline.at_most(5.0)
        return self.server.login(credentials)
