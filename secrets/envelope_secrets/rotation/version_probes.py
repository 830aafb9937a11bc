"""Trying the value of one version on the target, as an application would use it. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from envelope.errors import EnvelopeError
from envelope_secrets.rotation.accounts import Accounts
from envelope_secrets.rotation.alternating_users import AlternatingUsers
from envelope_secrets.rotation.credentials import parse_credentials
from envelope_secrets.rotation.database import Database, DatabaseCredentials, DatabaseSession
from envelope_secrets.rotation.diagnosis import Answer, VersionAnswer
from envelope_secrets.rotation.failures import (
    AccountLocked,
    LoginRefused,
    PasswordExpired,
    PrivilegeMissing,
    RotationRefused,
    TargetError,
)
from envelope_secrets.rotation.hosts import EqualHosts, HostCheck
from envelope_secrets.rotation.probing import Source
from envelope_secrets.rotation.rotator import Rotation, Rotator
from envelope_secrets.rotation.strategy import Strategy
from envelope_secrets.value import Secret

__all__ = ["Probe", "answered", "probe_of"]

Probe = Callable[[Rotation, Secret], None]
"""Tries a version; returns if the target accepts it with all that it needs, and raises as `Rotator.verify` does."""

_ANSWERS: Mapping[type[EnvelopeError], Answer] = {
    AccountLocked: Answer.UNKNOWN,
    PasswordExpired: Answer.EXPIRED,
    LoginRefused: Answer.REFUSED,
    PrivilegeMissing: Answer.WEAK,
    RotationRefused: Answer.UNFIT,
}
"""By the nearest class; any other error tells nothing of the version."""


def probe_of(target: object, strategy: Strategy | None, rotator: Rotator) -> Probe:
    """How the versions of a secret are tried: by logins for a database, and else as testSecret does it."""
    if strategy is None or not isinstance(target, Database):
        return rotator.verify
    has_two_accounts = isinstance(strategy, AlternatingUsers)
    return _DatabaseProbe(target, rotator, getattr(strategy, "same_host", EqualHosts()), has_two_accounts)


@dataclass(frozen=True, slots=True)
class _DatabaseProbe:
    """Logs in with a version."""

    database: Database
    rotator: Rotator
    same_host: HostCheck
    has_two_accounts: bool

    def __call__(self, rotation: Rotation, version: Secret) -> None:
        credentials = self._credentials(rotation, version)
        # An account that is pending alone is locked until its password is set, and is not the one in use.
        is_other_account = self.has_two_accounts and version.version_id == rotation.token
        try:
            session = self.database.connect(credentials, deadline=rotation.deadline)
        except AccountLocked as error:
            if not is_other_account:
                raise
            locked = str(error)
        else:
            with session:
                _check_use(session)
            if is_other_account:
                _compare(self.rotator, rotation, version)
            return
        raise LoginRefused(locked)

    def _credentials(self, rotation: Rotation, version: Secret) -> DatabaseCredentials:
        """Those of a version that is for the same server as the current one; for any other nothing connects."""
        found = parse_credentials(version, self.database)
        if rotation.current is None or rotation.current.version_id == version.version_id:
            return found
        if version.version_id == rotation.token:
            fit = Accounts.of if self.has_two_accounts else Accounts.of_one_user
            return fit(rotation, self.database, self.same_host, version).pending
        current = parse_credentials(rotation.current, self.database)
        is_other_user = found.username != current.username and not self.has_two_accounts
        if is_other_user or not self.same_host(found, current):
            raise RotationRefused(f"version {version.version_id} names another server or user than the current one")
        return found


def _check_use(session: DatabaseSession) -> None:
    """Try what an application does. Where only that fails, the credentials work.

    Raises:
        PrivilegeMissing: it fails, for whatever reason but that the server is gone.
    """
    try:
        session.check_use()
    except TargetError as error:
        if type(error) is not TargetError:
            raise
        problem, hint = str(error), error.hint
    else:
        return
    raise PrivilegeMissing(problem, hint=hint)


def _compare(rotator: Rotator, rotation: Rotation, version: Secret) -> None:
    """Compare the privileges of a pending version, which logs in, with those of the current one.

    Raises:
        PrivilegeMissing: some are missing, or it cannot be told.
    """
    try:
        return rotator.verify(rotation, version)
    except PrivilegeMissing:
        raise
    except EnvelopeError as error:
        problem, hint = str(error), error.hint
    raise PrivilegeMissing(f"its privileges cannot be compared: {problem}", hint=hint)


def answered(probe: Probe, rotation: Rotation, version: Secret, source: Source) -> VersionAnswer:
    """What the target says of a version."""
    try:
        probe(rotation, version)
    except EnvelopeError as error:
        answer = next((_ANSWERS[kind] for kind in type(error).__mro__ if kind in _ANSWERS), Answer.UNKNOWN)
        return VersionAnswer(source, version.version_id, answer, str(error), error.hint)
    except Exception as error:  # noqa: BLE001 - a rotator may be anybody's; its exceptions may quote a value
        detail = f"the rotator has raised {type(error).__name__}"
        return VersionAnswer(source, version.version_id, Answer.UNKNOWN, detail)
    return VersionAnswer(source, version.version_id, Answer.ACCEPTED)
