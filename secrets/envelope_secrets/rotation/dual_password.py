"""One account with two passwords at a time: the new one works before the old one stops."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from envelope.errors import InvalidArgument
from envelope_secrets.rotation.accounts import (
    CHANGE_S,
    Accounts,
    check_database,
    check_host_check,
    current_credentials,
    current_secret,
    open_admin,
    save_again,
)
from envelope_secrets.rotation.credentials import with_login
from envelope_secrets.rotation.database import Database, DatabaseSession, KeepsTwoPasswords
from envelope_secrets.rotation.failures import PasswordExpired, TargetError
from envelope_secrets.rotation.hosts import EqualHosts, HostCheck
from envelope_secrets.rotation.probing import Login, Source, find_login
from envelope_secrets.rotation.rotator import NewValue, Rotation, Rotator
from envelope_secrets.value import Secret

__all__ = ["DualPassword"]


@dataclass(frozen=True, slots=True)
class DualPassword:
    """A strategy: the account gets a second password, and keeps the current one until the rotation after that.

    No login fails at any time, and no second account is needed. An administrator, if the secret's field ``masterarn``
    names one, sets the password; else the account itself, where the server lets it.

    Attributes:
        same_host: says whether two secrets mean the same server.

    Raises:
        InvalidArgument: an option of the wrong type; and, with a target, one whose accounts have one password.
    """

    same_host: HostCheck = field(default_factory=EqualHosts)

    def __post_init__(self) -> None:
        check_host_check(self.same_host)

    def rotator(self, target: Any) -> Rotator:
        """See `Strategy.rotator`."""
        database = check_database(target)
        if not getattr(database, "keeps_two_passwords", True):
            raise InvalidArgument(
                f"DualPassword needs accounts with two passwords, and those of {type(target).__name__} have one",
                hint="use AlternatingUsers(), or SingleUser()",
            )
        return _DualPasswordRotator(database, self)


@dataclass(frozen=True, slots=True)
class _DualPasswordRotator:
    database: Database
    options: DualPassword

    def new_value(self, rotation: Rotation) -> NewValue:
        current = current_credentials(rotation, self.database)
        password = rotation.new_password(self.database.password_policy)
        return with_login(current_secret(rotation), current.username, password)

    def apply(self, rotation: Rotation, pending: Secret) -> None:
        accounts = self._accounts(rotation, pending)
        login = self._login(accounts)
        if login is not None:
            with login.session as session:
                if login.source is Source.PENDING:
                    save_again(session, accounts, asks_admin=True)
                    return
                if not accounts.current.admin_secret_id:
                    self._change(session, accounts, login)
                    return
        with open_admin(rotation, self.database, accounts.current, self.options.same_host) as admin:
            self._change(admin, accounts, login)

    def verify(self, rotation: Rotation, pending: Secret) -> None:
        accounts = self._accounts(rotation, pending)
        with self.database.connect(accounts.pending, deadline=rotation.deadline) as session:
            session.check_use()

    def retire(self, rotation: Rotation, pending: Secret) -> None:
        """There is nothing: clients may use the older password until the next rotation replaces it."""

    def _login(self, accounts: Accounts) -> Login | None:
        """What the account logs in with; None if that has expired, and an administrator can help."""
        try:
            return find_login(self.database, accounts.pending_first(), accounts.rotation.deadline)
        except PasswordExpired:
            if not accounts.current.admin_secret_id:
                raise
            return None

    def _change(self, session: DatabaseSession, accounts: Accounts, login: Login | None) -> None:
        """Add the pending password; instead of one that has expired, which nobody can use, set it."""
        if not isinstance(session, KeepsTwoPasswords):
            raise TargetError(
                "the server has one password for each account",
                hint="use AlternatingUsers(), or SingleUser()",
            )
        wanted = accounts.pending
        if not accounts.rotation.may_change(CHANGE_S, "adding a password"):
            return
        if login is None:
            session.set_password(wanted.username, wanted.password)
        else:
            session.add_password(wanted.username, wanted.password, current=login.credentials.password)

    def _accounts(self, rotation: Rotation, pending: Secret) -> Accounts:
        return Accounts.of_one_user(rotation, self.database, self.options.same_host, pending)
