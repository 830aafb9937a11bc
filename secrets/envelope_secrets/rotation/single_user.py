"""One account that changes its own password."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from envelope.arguments import check_flag
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
from envelope_secrets.rotation.database import Database, DatabaseSession
from envelope_secrets.rotation.failures import AccountLocked, LoginRefused, PasswordExpired
from envelope_secrets.rotation.hosts import EqualHosts, HostCheck
from envelope_secrets.rotation.probing import Login, Source, find_login
from envelope_secrets.rotation.rotator import NewValue, Rotation, Rotator
from envelope_secrets.value import Secret

__all__ = ["SingleUser"]


@dataclass(frozen=True, slots=True)
class SingleUser:
    """A strategy: the account changes its own password. Needs no other account and no other secret.

    Between setSecret and finishSecret, usually less than a second or two, new logins with AWSCURRENT fail; AWSPENDING
    works there. Sessions that are open go on.

    Attributes:
        recover_with_admin: if no password works that the secret has ever had, or the one that does has expired, let the
            administrator whose secret the field ``masterarn`` names set the pending one. Whoever may write the secret
            could then have the password of any account of that server set, so the secret must be as well guarded as the
            administrator's.
        same_host: says whether two secrets mean the same server.

    Raises:
        InvalidArgument: an option of the wrong type.
    """

    recover_with_admin: bool = False
    same_host: HostCheck = field(default_factory=EqualHosts)

    def __post_init__(self) -> None:
        check_flag("recover_with_admin", self.recover_with_admin)
        check_host_check(self.same_host)

    def rotator(self, target: Any) -> Rotator:
        """See `Strategy.rotator`."""
        return _SingleUserRotator(check_database(target), self)


@dataclass(frozen=True, slots=True)
class _SingleUserRotator:
    database: Database
    options: SingleUser

    def new_value(self, rotation: Rotation) -> NewValue:
        current = current_credentials(rotation, self.database)
        password = rotation.new_password(self.database.password_policy)
        return with_login(current_secret(rotation), current.username, password)

    def apply(self, rotation: Rotation, pending: Secret) -> None:
        """Set the password if the account can do its work: else testSecret would fail, and readers be locked out."""
        accounts = self._accounts(rotation, pending)
        login = self._login(accounts)
        if login is None:
            with open_admin(rotation, self.database, accounts.current, self.options.same_host) as admin:
                self._set(admin, accounts)
            return
        with login.session as session:
            if login.source is Source.PENDING:
                save_again(session, accounts, asks_admin=self.options.recover_with_admin)
                return
            session.check_use()
            self._set(session, accounts)

    def verify(self, rotation: Rotation, pending: Secret) -> None:
        accounts = self._accounts(rotation, pending)
        with self.database.connect(accounts.pending, deadline=rotation.deadline) as session:
            session.check_use()

    def retire(self, rotation: Rotation, pending: Secret) -> None:
        """There is nothing: the old password does not work any more."""

    def _login(self, accounts: Accounts) -> Login | None:
        """What the account logs in with; None if an administrator has to help."""
        try:
            return find_login(self.database, accounts.likeliest_first(), accounts.rotation.deadline)
        except LoginRefused as error:
            is_locked = isinstance(error, AccountLocked) and not isinstance(error, PasswordExpired)
            if is_locked or not self.options.recover_with_admin or not accounts.current.admin_secret_id:
                raise
            return None

    def _set(self, session: DatabaseSession, accounts: Accounts) -> None:
        if accounts.rotation.may_change(CHANGE_S, "setting a password"):
            session.set_password(accounts.pending.username, accounts.pending.password)

    def _accounts(self, rotation: Rotation, pending: Secret) -> Accounts:
        return Accounts.of_one_user(rotation, self.database, self.options.same_host, pending)
