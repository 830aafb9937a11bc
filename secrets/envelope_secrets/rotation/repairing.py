"""Doing what the status of a rotation proposes: one move of one label, or the rotation itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from envelope.arguments import check_function, check_seconds
from envelope.errors import InvalidArgument
from envelope_secrets.label_moves import make_move
from envelope_secrets.password import PasswordPolicy
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.rotation.diagnosis import Answer, RotationAction, RotationDiagnosis, Verdict, VersionAnswer
from envelope_secrets.rotation.failures import RotationRefused
from envelope_secrets.rotation.handler import check_store
from envelope_secrets.rotation.in_process import DEFAULT_TIMEOUT_S, Progress, RotationResult, rotate
from envelope_secrets.rotation.password_policies import PasswordPolicies
from envelope_secrets.rotation.probing import Source
from envelope_secrets.rotation.rotator import Rotation
from envelope_secrets.rotation.strategy import Strategy, rotator_of
from envelope_secrets.rotation.version_probes import Probe, answered, probe_of
from envelope_secrets.stages import AWSCURRENT, StageMove
from envelope_secrets.stores.protocol import SecretStore

__all__ = ["RotationRepair", "chosen_action", "repair_rotation"]

MAX_SHOWN_CHARACTERS = 80

_UNDONE = (Verdict.WELL, Verdict.CURRENT_IS_WEAK)


@dataclass(frozen=True, slots=True)
class RotationRepair:
    """What a repair did.

    Attributes:
        action: what it did; None if nothing was to be done.
        move: the label that it moved, if that was it.
        result: of the rotation, if that was it.
    """

    action: RotationAction | None = None
    move: StageMove | None = None
    result: RotationResult | None = None


def repair_rotation(  # noqa: PLR0913 - options, most of them keyword-only
    store: SecretStore,
    diagnosis: RotationDiagnosis,
    target: object,
    strategy: Strategy | None = None,
    *,
    action: RotationAction | str | None = None,
    despite_function: bool = False,
    password_policy: PasswordPolicy | PasswordPolicies | None = None,
    progress: Progress | None = None,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> RotationRepair:
    """Do what `rotation_status` proposes, or one of the other actions that it has found possible.

    Labels move by compare-and-swap from where they were seen. Before AWSPENDING is taken away, the current version is
    tried once more: a rotation may have gone on since the diagnosis. A repair that has made a working version current
    may leave a pending label: look again, until the diagnosis is well.

    Args:
        diagnosis: of `rotation_status`, with the same store, target and strategy.
        action: one of `diagnosis.actions`, or its text; None for the first of them.
        password_policy, despite_function, progress, timeout_s, clock, sleep: as of `rotate`.

    Returns:
        What was done: nothing if nothing was to be done.

    Raises:
        RotationRefused: nothing is clear enough, or `action` is not possible, or the current version, which worked
            at the diagnosis, does not any more. Nothing was changed.
        SecretConflict: a label has moved since the diagnosis. Nothing was changed.
        EnvelopeError: of the store, or of a rotation.
        InvalidArgument: the arguments do not go together.
    """
    wanted = _checked_action(action)
    rotator = rotator_of(target, strategy)
    check_function("clock", clock)
    check_function("sleep", sleep)
    deadline = Deadline(check_seconds("timeout_s", timeout_s), clock=clock, sleep=sleep, waits=False)
    chosen = chosen_action(_checked_diagnosis(diagnosis), wanted)
    if chosen is None:
        return RotationRepair()
    if chosen is not RotationAction.ROTATE:
        move = diagnosis.moves[chosen]
        if chosen is RotationAction.DROP_PENDING:
            rotation = Rotation(diagnosis.arn, move.from_version or "", check_store(store), deadline, None)
            _check_current_works(rotation, probe_of(target, strategy, rotator))
        make_move(check_store(store), diagnosis.arn, move, pause=sleep)
        return RotationRepair(chosen, move)
    result = rotate(
        store,
        diagnosis.arn,
        target,
        strategy,
        password_policy=password_policy,
        despite_function=despite_function,
        progress=progress,
        timeout_s=timeout_s,
        clock=clock,
        sleep=sleep,
    )
    return RotationRepair(chosen, None, result)


def _check_current_works(rotation: Rotation, probe: Probe) -> None:
    """Where the pending value has come into force, it is the only one that works: its label must stay."""
    current = rotation.store.read(rotation.secret_id, stage=AWSCURRENT)
    found = answered(probe, replace(rotation, current=current), current, Source.CURRENT)
    if found.answer not in (Answer.ACCEPTED, Answer.WEAK):
        raise RotationRefused(
            f"the current version worked at the diagnosis, and is not seen to work now: {found.detail}",
            hint="a rotation has gone on meanwhile, or the target has a trouble: look at the status again",
        )


def _checked_action(action: object) -> RotationAction | None:
    if action is None or isinstance(action, RotationAction):
        return action
    if not isinstance(action, str) or action not in list(RotationAction):
        raise InvalidArgument(
            f"action must be one of {', '.join(RotationAction)}, or None, not {str(action)[:MAX_SHOWN_CHARACTERS]!r}"
        )
    return RotationAction(action)


def _checked_diagnosis(diagnosis: object) -> RotationDiagnosis:
    if not isinstance(diagnosis, RotationDiagnosis):
        raise InvalidArgument(f"diagnosis must be one of rotation_status, not {type(diagnosis).__name__}")
    return diagnosis


def chosen_action(diagnosis: RotationDiagnosis, wanted: RotationAction | None) -> RotationAction | None:
    """What a repair does; None if nothing is to be done.

    Raises:
        RotationRefused: nothing is clear enough, or it is not possible.
    """
    chosen = wanted or diagnosis.proposed
    if chosen is None and diagnosis.verdict in _UNDONE:
        return None
    if chosen is None or chosen not in diagnosis.actions:
        what = "nothing can be done without more being known" if chosen is None else f"{chosen} is not possible"
        raise RotationRefused(f"{what}: {diagnosis.verdict.value}", hint=_hint(diagnosis))
    return chosen


def _hint(diagnosis: RotationDiagnosis) -> str:
    if diagnosis.actions:
        return f"what can be done now: {', '.join(diagnosis.actions)}"
    if diagnosis.verdict is Verdict.RUNNING:
        return "wait until it has ended, or look with min_age_s=0 if you know that none runs"
    untold = next(filter(_has_detail, diagnosis.answers), None)
    if untold is not None:
        return ": ".join(filter(None, (untold.detail, untold.hint)))
    if diagnosis.verdict in _UNDONE:
        return "nothing is to be done"
    return "set the value in the target by hand to that of AWSCURRENT, then look again"


def _has_detail(answer: VersionAnswer) -> bool:
    return bool(answer.detail)
