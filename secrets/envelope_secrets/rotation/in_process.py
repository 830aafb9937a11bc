"""The same four steps in this process: for local stores, for AWS without a function, and for tests."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from envelope.arguments import check_function, check_seconds
from envelope.errors import InvalidArgument
from envelope_secrets.limits import token_problem
from envelope_secrets.password import PasswordPolicy
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.rotation.engine import run_step
from envelope_secrets.rotation.events import RotationEvent, Step
from envelope_secrets.rotation.failures import RotationRefused
from envelope_secrets.rotation.handler import check_password_policy, check_store
from envelope_secrets.rotation.strategy import Strategy, rotator_of
from envelope_secrets.stages import AWSCURRENT, AWSPENDING
from envelope_secrets.stores.protocol import SecretDescription, SecretStore, VersionPlace

__all__ = ["RotationResult", "rotate"]

DEFAULT_TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True)
class RotationResult:
    """What a rotation did.

    Attributes:
        version_id: the version that is current now.
        previous_version_id: the one that was current when the call began; None for the first value of a secret.
        was_resumed: whether an earlier rotation had begun it.
    """

    version_id: str
    previous_version_id: str | None
    was_resumed: bool


@runtime_checkable
class _Announces(Protocol):
    """A store that begins a rotation only if none is under way."""

    def announce(self, secret_id: str, token: str) -> VersionPlace: ...


def rotate(
    store: SecretStore,
    secret_id: str,
    target: object,
    strategy: Strategy | None = None,
    *,
    token: str | None = None,
    password_policy: PasswordPolicy | None = None,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> RotationResult:
    """Rotate a secret now, in this process. A rotation that stopped half-way is taken up where it stopped.

    One process at a time may rotate a secret. A local store sees to that. On AWS nothing does without a rotation
    function: of two processes one fails, and may leave the target with the pending password of the other.

    Args:
        secret_id: a name or an ARN.
        target, strategy, password_policy, clock, sleep: as of `rotation_handler`.
        token: becomes the id of the new version, unless an earlier call has begun one that is pending; drawn if
            None. Repeated with the token of the version that is current, the call changes nothing.
        timeout_s: for the four steps together.

    Raises:
        RotationRefused: a function rotates this secret, or its labels do not allow it.
        EnvelopeError: a step failed; call it again, and it goes on with the same pending value.
        InvalidArgument: the arguments do not go together.
    """
    rotator = rotator_of(target, strategy)
    check_function("clock", clock)
    check_function("sleep", sleep)
    check_password_policy(password_policy)
    deadline = Deadline(check_seconds("timeout_s", timeout_s), clock=clock, sleep=sleep)
    _check_token(token)
    description = check_store(store).describe(secret_id)
    _check_rotated_here(description)
    begun = _begun(description)
    chosen = begun or token or str(uuid.uuid4())
    _announce(store, description, chosen)
    for step in Step:
        event = RotationEvent(step, description.arn, chosen, is_announced=False)
        run_step(store, rotator, event, deadline, password_policy=password_policy)
    return RotationResult(chosen, description.labels.holder(AWSCURRENT), begun is not None)


def _check_token(token: object) -> None:
    problem = None if token is None else token_problem(token)
    if problem is not None:
        raise InvalidArgument(f"token {problem}")


def _begun(description: SecretDescription) -> str | None:
    """The version of a rotation that has not finished."""
    pending = description.labels.holder(AWSPENDING)
    return None if pending == description.labels.holder(AWSCURRENT) else pending


def _announce(store: SecretStore, description: SecretDescription, token: str) -> None:
    """Begin the rotation where the store has a way to; elsewhere the first value that is put does it.

    Raises:
        SecretConflict: another process has begun one.
        RotationRefused: the secret has no value, and the first one that is put would be current at once, untried.
    """
    if isinstance(store, _Announces):
        store.announce(description.arn, token)
    elif description.labels.holder(AWSCURRENT) is None and _begun(description) is None:
        raise RotationRefused(
            f"{description.name} has no current version, and its first value would be current before it is tried",
            hint="put a first version by hand, or let RotateSecret start the rotation",
        )


def _check_rotated_here(description: SecretDescription) -> None:
    if description.rotation.enabled and description.rotation.lambda_arn:
        raise RotationRefused(
            f"{description.name} is rotated by {description.rotation.lambda_arn}",
            hint="start that rotation: envelope secrets rotate; two rotators of one secret would lock each other out",
        )
