"""The same four steps in this process: for local stores, for AWS without a function, and for tests."""

from __future__ import annotations

import shlex
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from envelope.arguments import check_flag, check_function, check_seconds
from envelope.errors import InvalidArgument
from envelope_secrets.limits import token_problem
from envelope_secrets.password import PasswordPolicy
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.rotation.engine import run_step
from envelope_secrets.rotation.events import RotationEvent, Step
from envelope_secrets.rotation.failures import RotationRefused
from envelope_secrets.rotation.handler import check_password_policy, check_store, policy_of
from envelope_secrets.rotation.password_policies import PasswordPolicies
from envelope_secrets.rotation.steps import Action
from envelope_secrets.rotation.strategy import Strategy, rotator_of
from envelope_secrets.stages import AWSCURRENT, AWSPENDING
from envelope_secrets.stores.protocol import SecretDescription, SecretStore, VersionPlace

__all__ = [
    "Progress",
    "RotationResult",
    "StepProgress",
    "check_can_begin",
    "check_no_function",
    "function_of",
    "rotate",
]

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


@dataclass(frozen=True, slots=True)
class StepProgress:
    """How far a rotation is.

    Attributes:
        version_id: the version that is being made.
        action: what the step did; None when it begins.
    """

    step: Step
    version_id: str
    action: Action | None = None


Progress = Callable[[StepProgress], object]
"""Told when a step begins and when it is done. What it raises ends the rotation there."""


@runtime_checkable
class _Announces(Protocol):
    """A store that begins a rotation only if none is under way."""

    def announce(self, secret_id: str, token: str) -> VersionPlace: ...


def rotate(  # noqa: PLR0913 - options, all but the first of them keyword-only
    store: SecretStore,
    secret_id: str,
    target: object,
    strategy: Strategy | None = None,
    *,
    token: str | None = None,
    password_policy: PasswordPolicy | PasswordPolicies | None = None,
    despite_function: bool = False,
    progress: Progress | None = None,
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
        despite_function: rotate also a secret that a function rotates. If that one begins to at the same time, one of
            the two fails, and readers may be locked out meanwhile.
        progress: is told of every step; see `Progress`.
        timeout_s: for the four steps together.

    Raises:
        RotationRefused: a function rotates this secret, or its labels do not allow it.
        EnvelopeError: a step failed; call it again, and it goes on with the same pending value.
        InvalidArgument: the arguments do not go together.
    """
    rotator = rotator_of(target, strategy)
    check_function("clock", clock)
    check_function("sleep", sleep)
    check_flag("despite_function", despite_function)
    tell = _told(progress)
    check_password_policy(password_policy)
    deadline = Deadline(check_seconds("timeout_s", timeout_s), clock=clock, sleep=sleep)
    _check_token(token)
    store = check_store(store)
    description = store.describe(secret_id)
    if not despite_function:
        check_no_function(description.name, function_of(description))
    begun = _begun(description)
    check_can_begin(store, description.name, has_version=begun is not None or _has_current(description))
    chosen = begun or token or str(uuid.uuid4())
    if isinstance(store, _Announces):  # elsewhere the first value that is put begins it
        store.announce(description.arn, chosen)
    policy = policy_of(password_policy, description.arn)
    for step in Step:
        event = RotationEvent(step, description.arn, chosen, is_announced=False)
        tell(StepProgress(step, chosen))
        action = run_step(store, rotator, event, deadline, password_policy=policy)
        tell(StepProgress(step, chosen, action))
    return RotationResult(chosen, description.labels.holder(AWSCURRENT), begun is not None)


def _told(progress: Progress | None) -> Progress:
    if progress is None:
        return lambda _: None
    check_function("progress", progress)
    return progress


def _check_token(token: object) -> None:
    problem = None if token is None else token_problem(token)
    if problem is not None:
        raise InvalidArgument(f"token {problem}")


def _begun(description: SecretDescription) -> str | None:
    """The version of a rotation that has not finished."""
    pending = description.labels.holder(AWSPENDING)
    return None if pending == description.labels.holder(AWSCURRENT) else pending


def _has_current(description: SecretDescription) -> bool:
    return description.labels.holder(AWSCURRENT) is not None


def check_can_begin(store: SecretStore, name: str, *, has_version: bool) -> None:
    """Make sure that a rotation in this process can begin.

    Args:
        has_version: whether there is a current or a pending one.

    Raises:
        RotationRefused: the secret has no value, and the first one that is put would be current at once, untried.
    """
    if not has_version and not isinstance(store, _Announces):
        raise RotationRefused(
            f"{name} has no current version, and its first value would be current before it is tried",
            hint="put a first version by hand, or let RotateSecret start the rotation",
        )


def function_of(description: SecretDescription) -> str:
    """The function that rotates a secret, or an empty string."""
    return description.rotation.lambda_arn if description.rotation.enabled else ""


def check_no_function(name: str, function_arn: str) -> None:
    """Make sure that no function rotates a secret.

    Raises:
        RotationRefused: one does.
    """
    if function_arn:
        raise RotationRefused(
            f"{name} is rotated by {function_arn}",
            hint=f"start that rotation: `envelope secrets rotate {shlex.quote(name)}`; two rotators would lock "
            "each other out",
        )
