"""What a rotator is, and what it sees of a rotation. Anybody may write one: four methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from envelope.errors import EnvelopeError
from envelope_secrets.errors import SecretsError
from envelope_secrets.password import PasswordPolicy, random_password
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.rotation.events import Step
from envelope_secrets.rotation.steps import FROM_PREFIX, Action, check_origin, decide, state_of
from envelope_secrets.stages import AWSCURRENT, AWSPREVIOUS
from envelope_secrets.stores.protocol import SecretStore, SecretVersion
from envelope_secrets.value import HidesValue, Secret

__all__ = ["MOST_ORPHANS", "NewValue", "Rotation", "Rotator"]

NewValue = str | bytes | Mapping[str, Any]
"""A mapping is stored as a JSON object."""

MOST_ORPHANS = 2
"""So many values of cancelled rotations are looked at: each costs a read, and a login that counts towards lock-out."""


@dataclass(frozen=True, slots=True)
class Rotation(HidesValue):
    """One rotation of one secret, as its rotator sees it. Nothing is cached: every read asks the store.

    Attributes:
        secret_id: the ARN of the secret.
        token: the id of the pending version.
        store: where the secret is.
        deadline: by when the step must be done.
        current: the version that is current; None for the first value of a secret.
        password_policy: for passwords that this rotation makes; None for the target's own.
    """

    secret_id: str
    token: str
    store: SecretStore
    deadline: Deadline
    current: Secret | None = field(repr=False)
    password_policy: PasswordPolicy | None = None

    def new_password(self, policy: PasswordPolicy) -> str:
        """A random password, by the policy of this rotation, or else by that of the target."""
        return random_password(self.password_policy or policy)

    def previous(self) -> Secret | None:
        """The version with AWSPREVIOUS; None where there is none, or none that can be read."""
        try:
            return self.store.read(self.secret_id, stage=AWSPREVIOUS)
        except SecretsError:
            return None

    def other_secret(self, secret_id: str) -> Secret:
        """The current version of another secret, as of an administrator."""
        return self.store.read(secret_id, stage=AWSCURRENT)

    def orphans(self) -> tuple[Secret, ...]:
        """Values of rotations that were cancelled half-way, the newest first: the target may know one of them."""
        versions = self.store.versions(self.secret_id, include_deprecated=True)
        newest = [version.version_id for version in versions if self._is_orphan(version)][:MOST_ORPHANS]
        found = (self._readable(version_id) for version_id in newest)
        return tuple(secret for secret in found if secret is not None)

    def _is_orphan(self, version: SecretVersion) -> bool:
        """Whether nobody has it by a label but this package, and it is no older than the current version."""
        since = self.current.created if self.current is not None else None
        is_young = since is None or version.created is None or version.created >= since
        is_free = all(stage.startswith(FROM_PREFIX) for stage in version.stages)
        return version.has_value and is_free and is_young and version.version_id != self.token

    def _readable(self, version_id: str) -> Secret | None:
        try:
            return self.store.read(self.secret_id, stage=None, version_id=version_id)
        except SecretsError:
            return None

    def may_change(self, needed_s: float, what: str) -> bool:
        """The last look before setSecret changes the target: is it still this rotation's turn, and is there time?

        The process can have been stopped for minutes since the step began, and other rotations have ended meanwhile.

        Returns:
            False where nothing is left to do: somebody has finished this very rotation.

        Raises:
            RotationRefused: another rotation has overtaken this one, or somebody has moved AWSCURRENT.
            OutOfTime: less than `needed_s` seconds are left.
        """
        labels = self.store.describe(self.secret_id).labels
        if decide(Step.SET, state_of(labels, self.token, has_value=True)) is Action.NOTHING:
            return False
        check_origin(labels, self.token)
        self.deadline.require(needed_s, what)
        return True

    def wait_until(
        self,
        attempt: Callable[[], None],
        *,
        again_after: tuple[type[EnvelopeError], ...],
        pause_s: float,
        most_s: float,
    ) -> None:
        """Try until it works, as long as it fails in one of these ways and there is time.

        Args:
            pause_s: before each further attempt.
            most_s: of pauses altogether.

        Raises:
            EnvelopeError: that of the last attempt.
        """
        waited_s = 0.0
        while True:
            try:
                return attempt()
            except again_after:
                if waited_s + pause_s > most_s or not self.deadline.pause(pause_s):
                    raise
            waited_s += pause_s


class Rotator(Protocol):
    """How the value of a secret is made, and how its target is made to take it. Safe for threads.

    Every method may be called again after it succeeded, failed, or was interrupted anywhere, with the same pending
    value. Every failure raises; what is returned is not looked at but for `new_value`.
    """

    def new_value(self, rotation: Rotation) -> NewValue:
        """createSecret: the value of the next version. The target does not change.

        Where the target itself makes keys, the key must be findable by `rotation.token`, so that a repeated call can
        remove what an interrupted one has made: see `ApiKey`.
        """
        ...

    def apply(self, rotation: Rotation, pending: Secret) -> None:
        """setSecret: make the target take the pending value, in full; do nothing if it has."""
        ...

    def verify(self, rotation: Rotation, pending: Secret) -> None:
        """testSecret: use the pending value as an application does. Changes nothing.

        It may be called alone, with a pending copy of the current value: a test of the rotation's configuration.
        """
        ...

    def retire(self, rotation: Rotation, pending: Secret) -> None:
        """finishSecret, before the label moves: remove what neither the pending nor the current version needs."""
        ...
