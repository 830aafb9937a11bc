"""What each step does, by the state of the version that it is about: a table. Pure.

Every step can be delivered twice, late, in parallel, or alone, and after a crash at any point of an earlier attempt.

Source: AWS Secrets Manager User Guide, "Rotation by Lambda function"; PutSecretValue and UpdateSecretVersionStage.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from envelope_secrets.rotation.events import Step
from envelope_secrets.rotation.failures import RotationRefused
from envelope_secrets.stages import AWSCURRENT, AWSPENDING, StageMove, StagingLabels

__all__ = [
    "FROM_PREFIX",
    "Action",
    "VersionState",
    "decide",
    "finishing_move",
    "from_label",
    "rotated_from",
    "state_of",
]

FROM_PREFIX = "rotated-from-"
"""A label of the pending version that ends with the id of the version it is made to replace. It is set in the same call
as the value, so that finishSecret can tell whether somebody else has moved AWSCURRENT meanwhile."""

NO_VERSION = "none"
"""Stands in that label for the id, where the secret has no current version yet."""


class VersionState(Enum):
    """The state of the version whose id is the event's token."""

    UNKNOWN = "the secret has no version with the token of this event"
    CURRENT = "the version is current"
    NOT_PENDING = "the version does not have the staging label AWSPENDING"
    EMPTY = "the version is pending and has no value: createSecret has not stored one"
    STORED = "the version is pending and has a value"


class Action(Enum):
    """What a step does."""

    NOTHING = "nothing is left to do"
    CREATE = "a value is made and stored"
    APPLY = "the target is made to take the pending value"
    VERIFY = "the pending value is tried"
    FINISH = "what only older versions need is cleaned up, then the pending version becomes current"


TABLE: Mapping[tuple[VersionState, Step], Action] = {
    **{(VersionState.CURRENT, step): Action.NOTHING for step in Step},
    (VersionState.EMPTY, Step.CREATE): Action.CREATE,
    (VersionState.STORED, Step.CREATE): Action.NOTHING,
    (VersionState.STORED, Step.SET): Action.APPLY,
    (VersionState.STORED, Step.TEST): Action.VERIFY,
    (VersionState.STORED, Step.FINISH): Action.FINISH,
}
"""Whatever is not here is refused."""


def state_of(labels: StagingLabels, token: str, *, has_value: bool) -> VersionState:
    """The state of the version `token`."""
    if token not in labels.by_version:
        return VersionState.UNKNOWN
    stages = labels.stages_of(token)
    if AWSCURRENT in stages:
        return VersionState.CURRENT
    if AWSPENDING not in stages:
        return VersionState.NOT_PENDING
    return VersionState.STORED if has_value else VersionState.EMPTY


def decide(step: Step, state: VersionState) -> Action:
    """What a step does.

    Raises:
        RotationRefused: the step makes no sense in this state.
    """
    action = TABLE.get((state, step))
    if action is None:
        raise RotationRefused(f"{step.value} cannot be done: {state.value}", hint=_HINTS[state])
    return action


_HINTS = {
    VersionState.UNKNOWN: "start the rotation with RotateSecret, which announces the version",
    VersionState.NOT_PENDING: "the rotation was cancelled or replaced; `envelope secrets rotation status` tells which "
    "version the target accepts",
    VersionState.EMPTY: "let Secrets Manager repeat the rotation from createSecret, or take AWSPENDING away",
}


def from_label(labels: StagingLabels) -> tuple[str, ...]:
    """The label for a pending version that is made now."""
    return (FROM_PREFIX + (labels.holder(AWSCURRENT) or NO_VERSION),)


def rotated_from(labels: StagingLabels, token: str) -> str | None:
    """The version that `token` was made to replace, or `NO_VERSION`; None where nobody said, as for a test alone."""
    origins = [stage for stage in labels.stages_of(token) if stage.startswith(FROM_PREFIX)]
    return origins[0].removeprefix(FROM_PREFIX) if origins else None


def finishing_move(labels: StagingLabels, token: str) -> StageMove:
    """The move that makes `token` current.

    Raises:
        RotationRefused: AWSCURRENT is not on the version that `token` was made to replace.
    """
    current = labels.holder(AWSCURRENT)
    check_origin(labels, token)
    return StageMove(AWSCURRENT, token, current)


def check_origin(labels: StagingLabels, token: str) -> None:
    """Make sure that nobody has moved AWSCURRENT since `token` was made.

    Raises:
        RotationRefused: somebody has.
    """
    origin, current = rotated_from(labels, token), labels.holder(AWSCURRENT)
    if origin is not None and (current or NO_VERSION) != origin:
        was_on = "no version" if origin == NO_VERSION else f"version {origin}"
        raise RotationRefused(
            f"AWSCURRENT has moved from {was_on} to {current or 'no version'} since this rotation began",
            hint="somebody put or promoted a version meanwhile; decide which one is right, take AWSPENDING away from "
            f"version {token}, and rotate again: both values are kept",
        )


def left_over_labels(labels: StagingLabels, token: str) -> tuple[StageMove, ...]:
    """The moves that take away the labels of earlier rotations."""
    return tuple(
        StageMove(stage, None, version_id)
        for version_id, stages in labels.by_version.items()
        if version_id != token
        for stage in sorted(stages)
        if stage.startswith(FROM_PREFIX)
    )
