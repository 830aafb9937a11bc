"""Two accounts with the same privileges, whose passwords change in turn, set by an administrator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from envelope.errors import InvalidArgument
from envelope_secrets.rotation.accounts import (
    CHANGE_S,
    Accounts,
    check_database,
    check_host_check,
    check_names_admin,
    current_credentials,
    current_secret,
    open_admin,
)
from envelope_secrets.rotation.credentials import parse_credentials, with_login
from envelope_secrets.rotation.database import Database, DatabaseCredentials, DatabaseSession
from envelope_secrets.rotation.failures import (
    AccountLocked,
    LoginRefused,
    PasswordExpired,
    PrivilegeMissing,
    RotationRefused,
    joined_hints,
)
from envelope_secrets.rotation.hosts import EqualHosts, HostCheck
from envelope_secrets.rotation.rotator import NewValue, Rotation, Rotator
from envelope_secrets.value import Secret

__all__ = ["AlternatingUsers"]

MOST_SUFFIX_CHARACTERS = 30
MOST_SHOWN_PRIVILEGES = 10


@dataclass(frozen=True, slots=True)
class AlternatingUsers:
    """A strategy: the secret names the account and its clone in turn, so that the one that is current always works.

    The administrator whose secret the field ``masterarn`` names makes the clone at the first rotation, and gives it
    what the account has at every rotation. It acts only if the current version can log in, and sets the account's own
    password only if an earlier version of the secret can log in as that one: whoever writes another user's name into
    the secret gains nothing. An account with the clone's name is taken for the clone, so no other may have it.

    Attributes:
        suffix: the clone's name is the account's and this; 1 to 30 characters.
        same_host: says whether two secrets mean the same server.

    Raises:
        InvalidArgument: an option of the wrong type or length.
    """

    suffix: str = "_clone"
    same_host: HostCheck = field(default_factory=EqualHosts)

    def __post_init__(self) -> None:
        suffix: object = self.suffix
        if not isinstance(suffix, str) or not 0 < len(suffix) <= MOST_SUFFIX_CHARACTERS or "\0" in suffix:
            raise InvalidArgument(f"suffix must be text of 1 to {MOST_SUFFIX_CHARACTERS} characters")
        check_host_check(self.same_host)

    def rotator(self, target: Any) -> Rotator:
        """See `Strategy.rotator`."""
        return _AlternatingUsersRotator(check_database(target), self)


@dataclass(frozen=True, slots=True)
class _AlternatingUsersRotator:
    database: Database
    options: AlternatingUsers

    def new_value(self, rotation: Rotation) -> NewValue:
        current = current_credentials(rotation, self.database)
        check_names_admin(current)
        username = self._other_user(rotation, current)
        password = rotation.new_password(self.database.password_policy)
        return with_login(current_secret(rotation), username, password)

    def apply(self, rotation: Rotation, pending: Secret) -> None:
        """Grants first, the password last: whoever can log in as the clone can do all that the account can.

        A clone that is current is in use. It becomes like the account only when that one is seen to log in: else it
        would be locked or past its time with it.
        """
        accounts = Accounts.of(rotation, self.database, self.options.same_host, pending)
        account, clone = self._pair(accounts, pending)
        self._check_current(accounts)
        with open_admin(rotation, self.database, accounts.current, self.options.same_host) as admin:
            if accounts.pending.username == clone:
                self._prepare(admin, rotation, clone, account)
                self._set_password(admin, accounts)
            else:
                self._set_password(admin, accounts, proof=self._check_is_owned)
                with self.database.connect(accounts.pending, deadline=rotation.deadline):
                    pass
                self._prepare(admin, rotation, clone, account)

    def verify(self, rotation: Rotation, pending: Secret) -> None:
        accounts = Accounts.of(rotation, self.database, self.options.same_host, pending)
        with self.database.connect(accounts.pending, deadline=rotation.deadline) as session:
            session.check_use()
        if accounts.pending.username != accounts.current.username:  # else it is a test, on a copy of the current value
            account, clone = self._pair(accounts, pending)
            with open_admin(rotation, self.database, accounts.current, self.options.same_host) as admin:
                _check_complete(admin.missing_privileges(clone, account))

    def retire(self, rotation: Rotation, pending: Secret) -> None:
        """There is nothing: the other account stays for the sessions that it has, and for the next rotation."""

    def _prepare(self, admin: DatabaseSession, rotation: Rotation, clone: str, account: str) -> None:
        rotation.deadline.require(CHANGE_S, "preparing an account")
        admin.prepare_account(clone, account)

    def _set_password(
        self, admin: DatabaseSession, accounts: Accounts, *, proof: Callable[[Accounts], None] = lambda _: None
    ) -> None:
        if not self._works(accounts):
            proof(accounts)
            if accounts.rotation.may_change(CHANGE_S, "setting a password"):
                admin.set_password(accounts.pending.username, accounts.pending.password)

    def _works(self, accounts: Accounts) -> bool:
        """Whether the pending password is in force. A clone that is locked until it has a password refuses it too."""
        try:
            with self.database.connect(accounts.pending, deadline=accounts.rotation.deadline):
                return True
        except LoginRefused:
            return False

    def _check_current(self, accounts: Accounts) -> None:
        """Make sure that the owner of the secret knows the account's password: only then an administrator acts."""
        try:
            with self.database.connect(accounts.current, deadline=accounts.rotation.deadline):
                return
        except PasswordExpired:
            return
        except AccountLocked:
            raise
        except LoginRefused as error:
            refused, hint = str(error), error.hint
        raise LoginRefused(
            f"AWSCURRENT does not log in, and without that no administrator acts for it: {refused}",
            hint=joined_hints(
                hint,
                "`envelope secrets rotation repair` makes the version current that works, if the secret has one; else "
                "set the account's password by hand to that of AWSCURRENT",
            ),
        )

    def _check_is_owned(self, accounts: Accounts) -> None:
        """Make sure that whoever writes the secret has known a password of the account whose clone is current.

        Else a version that names somebody's account, and another with a login of one's own that is called like its
        clone, would make the administrator give that account a password from this secret.
        """
        for credentials in accounts.earlier(accounts.pending.username):
            try:
                with self.database.connect(credentials, deadline=accounts.rotation.deadline):
                    return
            except PasswordExpired:
                return
            except AccountLocked:
                raise
            except LoginRefused:
                continue
        raise LoginRefused(
            "no earlier version of the secret can log in as the account whose clone is current, so nothing shows that "
            "its password may be set",
            hint="set the account's password by hand to that of AWSPREVIOUS, and let the rotation be repeated",
        )

    def _other_user(self, rotation: Rotation, current: DatabaseCredentials) -> str:
        username, suffix = current.username, self.options.suffix
        account = username.removesuffix(suffix)
        if account in ("", username):
            return self._checked_length(username + suffix)
        if account in self._known_users(rotation):
            return account
        raise RotationRefused(
            f"the current user's name ends with {suffix!r}, and no version of the secret shows whether it is a clone",
            hint="put back a version with the account's own name; or give the strategy a suffix no account's name ends "
            "with",
        )

    def _known_users(self, rotation: Rotation) -> set[str]:
        """The users of earlier versions, as far as they can be read."""
        previous = rotation.previous()
        known = set()
        for secret in (*(() if previous is None else (previous,)), *rotation.orphans()):
            try:
                known.add(parse_credentials(secret, self.database).username)
            except RotationRefused:
                continue
        return known

    def _checked_length(self, username: str) -> str:
        most = self.database.max_username_characters
        if len(username) > most:
            raise RotationRefused(
                f"the clone's name would have {len(username)} characters, and the server takes {most}",
                hint='a shorter suffix helps: AlternatingUsers(suffix="_2")',
            )
        return username

    def _pair(self, accounts: Accounts, pending: Secret) -> tuple[str, str]:
        """The account and its clone, one of which is pending, the other current."""
        users = accounts.pending.username, accounts.current.username
        for account, clone in (users, users[::-1]):
            if clone == account + self.options.suffix:
                return account, clone
        raise RotationRefused(
            f"version {pending.version_id} of {pending.name} is neither for the clone of the current user, nor for the "
            "account whose clone that is",
            hint="the target was not touched: take AWSPENDING away from this version, and rotate again",
        )


def _check_complete(missing: tuple[str, ...]) -> None:
    if missing:
        more = f" and {len(missing) - MOST_SHOWN_PRIVILEGES} more" if len(missing) > MOST_SHOWN_PRIVILEGES else ""
        raise PrivilegeMissing(
            f"the clone lacks what the account has: {', '.join(missing[:MOST_SHOWN_PRIVILEGES])}{more}",
            hint="let the rotation be repeated; if it says so again, the administrator may not grant this",
        )
