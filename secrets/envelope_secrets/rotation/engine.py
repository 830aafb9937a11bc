"""One step of a rotation: what is known of the version, what the table says, and its effect."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from envelope.errors import AwsUnavailable, EnvelopeError, InvalidArgument
from envelope_secrets.errors import SecretConflict, SecretDeleted, SecretNotFound
from envelope_secrets.label_moves import make_move
from envelope_secrets.password import PasswordPolicy
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.rotation.events import RotationEvent, Step
from envelope_secrets.rotation.failures import RotationRefused, TargetError
from envelope_secrets.rotation.rotator import NewValue, Rotation, Rotator
from envelope_secrets.rotation.steps import (
    Action,
    VersionState,
    check_origin,
    decide,
    finishing_move,
    from_label,
    left_over_labels,
    state_of,
)
from envelope_secrets.stages import AWSCURRENT, AWSPENDING, StagingLabels
from envelope_secrets.stores.hidden_values import hidden
from envelope_secrets.stores.protocol import NewVersion, SecretDescription, SecretStore
from envelope_secrets.value import Secret
from envelope_secrets.writing import new_version

__all__ = ["run_step"]

T = TypeVar("T")

_log = logging.getLogger("envelope_secrets.rotation")

PAUSES_S = (0.2, 0.4, 0.8, 1.6)
"""The service is eventually consistent: what an earlier step wrote may be a moment late."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known when a step begins."""

    labels: StagingLabels
    pending: Secret | None
    state: VersionState


@dataclass(frozen=True, slots=True)
class _Run:
    """What a step works with."""

    store: SecretStore
    rotator: Rotator
    event: RotationEvent
    deadline: Deadline
    password_policy: PasswordPolicy | None

    def rotation(self, known: _Known) -> Rotation:
        """What the rotator sees."""
        secret_id, token = self.event.secret_id, self.event.token
        current_id = known.labels.holder(AWSCURRENT)
        current = None if current_id is None else self.store.read(secret_id, stage=None, version_id=current_id)
        return Rotation(secret_id, token, self.store, self.deadline, current, self.password_policy)


def run_step(
    store: SecretStore,
    rotator: Rotator,
    event: RotationEvent,
    deadline: Deadline,
    *,
    password_policy: PasswordPolicy | None = None,
) -> Action:
    """Do one step.

    Args:
        password_policy: for passwords that the rotation makes; None for the target's own.

    Returns:
        What was done; `Action.NOTHING` where it had been done before.

    Raises:
        RotationRefused: the step makes no sense now; nothing was touched.
        EnvelopeError: the step failed and can be repeated.
    """
    try:
        known = _known(store, event, deadline)
        action = decide(event.step, known.state)
        _log.info("%s of %s, version %s: %s", event.step.value, event.secret_id, event.token, action.value)
        if action is not Action.NOTHING:
            _EFFECTS[action](_Run(store, rotator, event, deadline, password_policy), known)
    except SecretDeleted as error:
        if event.step in _AFTER_THE_CHANGE:
            error.hint = (
                f"the target has the value of version {event.token} since setSecret: restore the secret, and let the "
                "rotation be repeated, or the value that is in force is lost with it"
            )
        raise
    return action


_AFTER_THE_CHANGE = frozenset({Step.TEST, Step.FINISH})


def _known(store: SecretStore, event: RotationEvent, deadline: Deadline) -> _Known:
    """Look at the version, and look again while it could only be that the service is late."""
    pauses = iter(PAUSES_S)
    while True:
        description = store.describe(event.secret_id)
        if event.is_announced:
            _check_enabled(description)
        known = _look(store, event, description.labels)
        if (event.step, known.state) not in _MAY_BE_LATE or not _paused(pauses, deadline):
            return known


def _paused(pauses: Iterator[float], deadline: Deadline) -> bool:
    """Whether there was a pause left, and time for it."""
    pause_s = next(pauses, None)
    return pause_s is not None and deadline.pause(pause_s)


_MAY_BE_LATE = {
    *((step, VersionState.UNKNOWN) for step in Step),
    *((step, VersionState.NOT_PENDING) for step in Step),
    *((step, VersionState.EMPTY) for step in Step if step is not Step.CREATE),
}


def _check_enabled(description: SecretDescription) -> None:
    if description.rotation.enabled is False:
        raise RotationRefused(
            "rotation is turned off for this secret",
            hint="it may have been cancelled while it was under way: see the status of the rotation, then turn it on",
        )


def _look(store: SecretStore, event: RotationEvent, labels: StagingLabels) -> _Known:
    pending = None
    if AWSPENDING in labels.stages_of(event.token):
        pending = _read(store, event.secret_id, event.token)
    state = state_of(labels, event.token, has_value=pending is not None)
    if state is VersionState.UNKNOWN and event.step is Step.CREATE and not event.is_announced:
        state = VersionState.EMPTY
    return _Known(labels, pending, state)


def _read(store: SecretStore, secret_id: str, version_id: str) -> Secret | None:
    try:
        return store.read(secret_id, stage=None, version_id=version_id)
    except SecretNotFound:
        return None


def _create(run: _Run, known: _Known) -> None:
    """Store a value, once: the service keeps the first one that comes with a token."""
    for move in left_over_labels(known.labels, run.event.token):
        make_move(run.store, run.event.secret_id, move, pause=run.deadline.pause)
    value = hidden(_guarded(run.rotator.new_value, run.rotation(known)))
    stages = (AWSPENDING, *from_label(known.labels))
    version = _version(value, run.event, stages)
    try:
        run.store.put(run.event.secret_id, version)
    except SecretConflict:
        _await_value(run)  # an earlier delivery of this event has stored another value: that counts


def _version(value: NewValue, event: RotationEvent, stages: tuple[str, ...]) -> NewVersion:
    """What is stored.

    Raises:
        RotationRefused: the rotator has made nothing that a secret can hold. It is no argument of whoever calls.
    """
    try:
        return new_version(value, token=event.token, stages=stages, rotation_token=event.rotation_token)
    except InvalidArgument as error:
        problem, hint = str(error), error.hint
    raise RotationRefused(f"the next value cannot be stored: {problem}", hint=hint)


def _await_value(run: _Run) -> None:
    pauses = iter(PAUSES_S)
    while _read(run.store, run.event.secret_id, run.event.token) is None:
        if not _paused(pauses, run.deadline):
            raise RotationRefused(
                f"version {run.event.token} has a value that cannot be read yet",
                hint="the service is late; let it repeat the rotation: the value that is stored will be used",
            )


def _apply(run: _Run, known: _Known) -> None:
    check_origin(known.labels, run.event.token)
    _guarded(run.rotator.apply, run.rotation(known), _pending(known))


def _verify(run: _Run, known: _Known) -> None:
    _guarded(run.rotator.verify, run.rotation(known), _pending(known))


def _finish(run: _Run, known: _Known) -> None:
    """Clean up, then move the label: what came after the move would be lost if this were interrupted there.

    AWSPENDING stays: the service takes it away itself, and may also leave it.
    """
    move = finishing_move(known.labels, run.event.token)
    _guarded(run.rotator.retire, run.rotation(known), _pending(known))
    try:
        run.store.move_stage(run.event.secret_id, move)
    except (SecretConflict, AwsUnavailable):
        # A lost reply, or another delivery that was faster, is no failure.
        labels = run.store.describe(run.event.secret_id).labels
        if labels.holder(AWSCURRENT) != run.event.token:
            check_origin(labels, run.event.token)
            raise


def _guarded(method: Callable[..., T], *arguments: object) -> T:
    """What a method of a rotator returns, which can be anybody's.

    Raises:
        TargetError: it raised something that is no error of this package. That is not chained: its text may quote a
            value.
    """
    try:
        return method(*arguments)
    except EnvelopeError:
        raise
    except Exception as error:  # noqa: BLE001 - see above
        failure = TargetError(
            f"the rotator raised {type(error).__name__} in {getattr(method, '__name__', 'a method')}",
            hint="a rotator raises EnvelopeError only, like TargetError; other texts may hold a value, and are hidden",
        )
    raise failure


def _pending(known: _Known) -> Secret:
    """The pending value, which `VersionState.STORED` says is there."""
    assert known.pending is not None  # noqa: S101 - for the type checker
    return known.pending


_EFFECTS: Mapping[Action, Callable[[_Run, _Known], None]] = {
    Action.CREATE: _create,
    Action.APPLY: _apply,
    Action.VERIFY: _verify,
    Action.FINISH: _finish,
}
