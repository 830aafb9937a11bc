"""Whose credentials a rotation is about: those of its versions, checked against one another before it connects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from envelope.errors import InvalidArgument
from envelope_secrets.rotation.credentials import parse_credentials
from envelope_secrets.rotation.database import Database, DatabaseCredentials, DatabaseSession, SavesAccounts
from envelope_secrets.rotation.failures import AccountLocked, LoginRefused, PrivilegeMissing, RotationRefused
from envelope_secrets.rotation.hosts import HostCheck
from envelope_secrets.rotation.probing import Candidate, Source
from envelope_secrets.rotation.rotator import Rotation
from envelope_secrets.value import HidesValue, Secret

__all__ = [
    "CHANGE_S",
    "Accounts",
    "check_database",
    "check_host_check",
    "check_names_admin",
    "open_admin",
    "save_again",
]

CHANGE_S = 3.0
"""A change of a password or of grants is begun only if so many seconds are left."""


def check_database(target: object) -> Database:
    """The target, if it is a kind of database.

    Raises:
        InvalidArgument: it is not.
    """
    if isinstance(target, type) or not isinstance(target, Database):
        shown = target.__name__ if isinstance(target, type) else type(target).__name__
        raise InvalidArgument(
            f"target must be a kind of database, like PostgreSql(), not {shown}",
            hint="a rotator of your own is given without a strategy",
        )
    return target


def check_host_check(check: object) -> None:
    """Raise `InvalidArgument` unless it can be called."""
    if not callable(check) or isinstance(check, type):
        raise InvalidArgument(f"same_host must be a function of two credentials, not {type(check).__name__}")


@dataclass(frozen=True, slots=True)
class Accounts(HidesValue):
    """The credentials of the pending and the current version, which mean the same server."""

    rotation: Rotation
    database: Database
    same_host: HostCheck
    pending: DatabaseCredentials
    current: DatabaseCredentials

    @classmethod
    def of(cls, rotation: Rotation, database: Database, same_host: HostCheck, pending: Secret) -> Accounts:
        """Read both.

        Raises:
            RotationRefused: one is malformed, or they mean different servers or administrators.
        """
        wanted = parse_credentials(pending, database)
        current = current_credentials(rotation, database)
        if wanted.engine != current.engine or not same_host(wanted, current):
            raise _other(pending, "another server")
        if wanted.admin_secret_id != current.admin_secret_id:
            raise _other(pending, "another administrator's secret")
        return cls(rotation, database, same_host, wanted, current)

    @classmethod
    def of_one_user(cls, rotation: Rotation, database: Database, same_host: HostCheck, pending: Secret) -> Accounts:
        """As `of`, where both must be for one user."""
        accounts = cls.of(rotation, database, same_host, pending)
        if accounts.pending.username != accounts.current.username:
            raise _other(pending, "another user")
        return accounts

    def likeliest_first(self) -> Iterator[Candidate]:
        """What may log in as the current user where an account has one password.

        The current version does, unless a rotation was interrupted, cancelled or rolled back: what is newer than the
        current version then has the password that is in force. Versions that do not fit are left out.
        """
        yield Source.CURRENT, self.current
        previous = self.rotation.previous()
        older = [] if previous is None else [previous]
        is_rolled_back = previous is not None and _is_newer(previous, self.rotation.current)
        if is_rolled_back:
            yield from self._of(Source.PREVIOUS, older)
        yield from self._of(Source.ORPHAN, self.rotation.orphans())
        yield Source.PENDING, self.pending
        yield from self._of(Source.PREVIOUS, older)

    def pending_first(self) -> Iterator[Candidate]:
        """What may log in as the current user where an account has two: the current version may work either way."""
        yield Source.PENDING, self.pending
        yield Source.CURRENT, self.current
        previous = self.rotation.previous()
        yield from self._of(Source.PREVIOUS, [] if previous is None else [previous])
        yield from self._of(Source.ORPHAN, self.rotation.orphans())

    def _of(self, source: Source, secrets: Iterable[Secret]) -> Iterator[Candidate]:
        for credentials in self._fitting(secrets, self.current.username):
            yield source, credentials

    def earlier(self, username: str) -> Iterator[DatabaseCredentials]:
        """What the previous version and those of cancelled rotations have for a user, read when it is needed."""
        previous = self.rotation.previous()
        yield from self._fitting(() if previous is None else (previous,), username)
        yield from self._fitting(self.rotation.orphans(), username)

    def _fitting(self, secrets: Iterable[Secret], username: str) -> Iterator[DatabaseCredentials]:
        for secret in secrets:
            try:
                found = parse_credentials(secret, self.database)
            except RotationRefused:
                continue
            if found.username == username and self.same_host(found, self.current):
                yield found


def _is_newer(one: Secret, other: Secret | None) -> bool:
    """Whether it is known to be: not every store tells when a version was made."""
    made = (one.created, None if other is None else other.created)
    return made[0] is not None and made[1] is not None and made[0] > made[1]


def current_credentials(rotation: Rotation, database: Database) -> DatabaseCredentials:
    """Those of the current version.

    Raises:
        RotationRefused: there is none, or it is malformed.
    """
    return parse_credentials(current_secret(rotation), database)


def current_secret(rotation: Rotation) -> Secret:
    """The current version.

    Raises:
        RotationRefused: there is none.
    """
    if rotation.current is None:
        raise RotationRefused(
            "the secret has no current version, so nothing says which account of which server is meant",
            hint="put a first version with engine, host, username and password; then rotate",
        )
    return rotation.current


def open_admin(
    rotation: Rotation, database: Database, like: DatabaseCredentials, same_host: HostCheck
) -> DatabaseSession:
    """Log in as the administrator whose secret the field ``masterarn`` of `like` names.

    If that secret is being rotated itself, it is read once more.

    Raises:
        RotationRefused: no such field, or the secret is malformed or for another server.
        LoginRefused: the administrator's secret does not work; `AccountLocked`, if its account is locked.
    """
    secret = _admin_secret(rotation, like)
    try:
        return database.connect(_admin_credentials(secret, database, like, same_host), deadline=rotation.deadline)
    except AccountLocked as error:
        raise AccountLocked(f"the administrator's secret that masterarn names: {error}", hint=error.hint) from None
    except LoginRefused as error:
        newer = _admin_secret(rotation, like)
        if newer.version_id == secret.version_id:
            raise LoginRefused(
                "the server does not accept the administrator's secret that masterarn names", hint=error.hint
            ) from None
    return database.connect(_admin_credentials(newer, database, like, same_host), deadline=rotation.deadline)


def save_again(session: DatabaseSession, accounts: Accounts, *, asks_admin: bool) -> None:
    """For a repeated step that finds its password in force: the run that set it may have died before it was saved.

    Whoever set it may save. That was this login, or else the administrator, if `asks_admin` says that one may have.
    """
    try:
        _save(session)
    except PrivilegeMissing:
        if asks_admin and accounts.current.admin_secret_id:
            with open_admin(accounts.rotation, accounts.database, accounts.current, accounts.same_host) as admin:
                _save(admin)


def _save(session: DatabaseSession) -> None:
    if isinstance(session, SavesAccounts):
        session.save_accounts()


def check_names_admin(like: DatabaseCredentials) -> None:
    """Make sure that a secret names that of an administrator; to be asked before anything is stored.

    Raises:
        RotationRefused: it does not.
    """
    if not like.admin_secret_id:
        raise RotationRefused(
            "the secret has no field masterarn, which names the secret of an administrator",
            hint="put a version that has it: the ARN of a secret whose account may make others",
        )


def _admin_secret(rotation: Rotation, like: DatabaseCredentials) -> Secret:
    check_names_admin(like)
    return rotation.other_secret(like.admin_secret_id)


def _admin_credentials(
    secret: Secret, database: Database, like: DatabaseCredentials, same_host: HostCheck
) -> DatabaseCredentials:
    admin = parse_credentials(secret, database)
    if admin.engine != like.engine or not same_host(admin, like):
        raise RotationRefused(
            "the administrator's secret that masterarn names is for another server",
            hint="if both names mean one server, say so: same_host=HostAliases(...); RdsHosts() asks RDS",
        )
    return admin


def _other(pending: Secret, what: str) -> RotationRefused:
    return RotationRefused(
        f"version {pending.version_id} of {pending.name} names {what} than the current version",
        hint="the target was not touched: take AWSPENDING away from this version, and rotate again",
    )
