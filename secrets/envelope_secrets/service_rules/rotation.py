"""Rotations as the service starts, ends and cancels them. What a rotation does in between is not the service's.

Source: AWS Secrets Manager API reference, RotateSecret and CancelRotateSecret.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TypeVar

from envelope_secrets.limits import schedule_problem, token_problem
from envelope_secrets.schedules import MAX_ROTATION_DAYS, fit_problem, window_problem
from envelope_secrets.service_rules.broken import RuleBroken, check_parameter
from envelope_secrets.service_rules.deletion import check_not_deleted
from envelope_secrets.service_rules.state import RotationState, SecretState, StoredVersion, without_versions
from envelope_secrets.service_rules.writing import check_stage_count
from envelope_secrets.stages import AWSCURRENT, AWSPENDING, StageMove, StagingLabels, after_move, pending_removal

__all__ = [
    "announced",
    "cancelled",
    "check_startable",
    "completed",
    "configured",
    "is_complete",
    "started",
    "trial_ended",
    "trial_started",
    "without_pending",
]

V = TypeVar("V")


def configured(
    state: SecretState[V],
    *,
    now_s: float,
    lambda_arn: str | None = None,
    schedule: str | None = None,
    after_days: int | None = None,
    window: str | None = None,
) -> SecretState[V]:
    """The secret with rotation turned on; what is None stays as it is.

    Raises:
        RuleBroken: InvalidParameterException; InvalidRequestException: no function, or scheduled for deletion.
    """
    check_not_deleted(state)
    _check_rules(schedule, after_days, window)
    known = state.rotation or RotationState(since_s=now_s)
    function = known.lambda_arn if lambda_arn is None else lambda_arn
    if not function:
        raise RuleBroken("InvalidRequestException", "No Lambda rotation function ARN is associated with this secret.")
    rotation = replace(known, enabled=True, lambda_arn=function)
    if schedule is not None or after_days is not None:
        rotation = replace(rotation, schedule=schedule or "", after_days=after_days, window="")
    if window is not None:
        rotation = replace(rotation, window=window)
    return replace(state, rotation=rotation, changed_s=now_s)


def started(state: SecretState[V], token: str, *, now_s: float) -> SecretState[V]:
    """The secret with AWSPENDING announced for a rotation that has been configured.

    Returns:
        The very same state if the token is that of a version already: the call is a repetition.

    Raises:
        RuleBroken: InvalidRequestException: another rotation has not ended, none is configured, or the secret is
            scheduled for deletion. InvalidParameterException.
    """
    if state.rotation is None or not state.rotation.lambda_arn:
        raise RuleBroken("InvalidRequestException", "No Lambda rotation function ARN is associated with this secret.")
    pending = announced(state, token, now_s=now_s)
    if pending is state:
        return state
    return replace(pending, rotation=replace(state.rotation, token=token))


def announced(state: SecretState[V], token: str, *, now_s: float) -> SecretState[V]:
    """The secret with AWSPENDING on a version that has no value yet. For whoever rotates without the service.

    Returns:
        The very same state if the token is that of a version already.

    Raises:
        RuleBroken: InvalidRequestException: AWSPENDING is on a version that is not the current one, or the secret is
            scheduled for deletion. InvalidParameterException. LimitExceededException.
    """
    if not check_startable(state, token):
        return state
    pending = state.labels.holder(AWSPENDING)
    # Not `after_put`: an announced version is not the first one, and AWSCURRENT waits for a value.
    known = StagingLabels.of({**state.labels.by_version, token: ()})
    labels = after_move(known, StageMove(AWSPENDING, token, pending))
    check_stage_count(labels)
    version: StoredVersion[V] = StoredVersion(None, now_s)
    return replace(state, versions=MappingProxyType({**state.versions, token: version}), labels=labels, changed_s=now_s)


def check_startable(state: SecretState[V], token: str) -> bool:
    """Whether a rotation with this token is new; False for the repetition of one that was started before.

    Raises:
        RuleBroken: as `announced`.
    """
    check_parameter("ClientRequestToken", token_problem(token))
    check_not_deleted(state)
    if token in state.versions:
        return False
    if not is_complete(state):
        raise RuleBroken(
            "InvalidRequestException", "A previous rotation isn't complete. That rotation will be reattempted."
        )
    return True


def trial_started(state: SecretState[V], token: str, value: V | None, *, now_s: float) -> SecretState[V]:
    """The secret with AWSPENDING on a copy of the current version, for RotateSecret that is not to rotate immediately.

    Raises:
        RuleBroken: as `announced`.
    """
    pending = announced(state, token, now_s=now_s)
    copy = replace(pending.versions[token], value=value)
    return replace(pending, versions=MappingProxyType({**pending.versions, token: copy}))


def trial_ended(state: SecretState[V], token: str) -> SecretState[V]:
    """The secret without that copy."""
    versions, labels = without_versions(state.versions, state.labels, frozenset({token}))
    return replace(state, versions=versions, labels=labels)


def is_complete(state: SecretState[V]) -> bool:
    """Whether AWSPENDING is where a rotation that has ended leaves it: on the current version, or nowhere."""
    return state.labels.holder(AWSPENDING) in (None, state.labels.holder(AWSCURRENT))


def completed(state: SecretState[V], *, now_s: float) -> SecretState[V]:
    """The secret after the last step of a rotation has succeeded; the labels stay as the steps have left them."""
    rotation = state.rotation and replace(state.rotation, since_s=now_s)
    return replace(state, rotation=rotation, rotated_s=now_s, changed_s=now_s)


def without_pending(state: SecretState[V]) -> SecretState[V]:
    """The secret without AWSPENDING, wherever it was; the service does this some time after a rotation, or not."""
    move = pending_removal(state.labels)
    return state if move is None else replace(state, labels=after_move(state.labels, move))


def cancelled(state: SecretState[V], *, now_s: float) -> SecretState[V]:
    """The secret with rotation turned off. AWSPENDING stays where it is.

    Raises:
        RuleBroken: InvalidRequestException: it is not rotated, or scheduled for deletion.
    """
    check_not_deleted(state)
    if state.rotation is None or not state.rotation.enabled:
        raise RuleBroken("InvalidRequestException", "You can't cancel rotation: the secret is not being rotated.")
    return replace(state, rotation=replace(state.rotation, enabled=False), changed_s=now_s)


def _check_rules(schedule: str | None, after_days: int | None, window: str | None) -> None:
    if schedule is not None and after_days is not None:
        raise RuleBroken(
            "InvalidParameterException", "You can't specify both AutomaticallyAfterDays and ScheduleExpression."
        )
    if schedule is not None:
        check_parameter("ScheduleExpression", schedule_problem(schedule))
    if window is not None:
        check_parameter("Duration", window_problem(window))
    if schedule is not None and window is not None:
        check_parameter("Duration", fit_problem(schedule, window))
    if after_days is not None and not 1 <= after_days <= MAX_ROTATION_DAYS:
        check_parameter("AutomaticallyAfterDays", f"must be 1 to {MAX_ROTATION_DAYS:,}")
