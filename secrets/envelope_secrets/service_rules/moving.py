"""One label moved: UpdateSecretVersionStage is a compare-and-swap.

Source: AWS Secrets Manager API reference, UpdateSecretVersionStage.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from envelope_secrets.limits import stages_problem
from envelope_secrets.service_rules.broken import RuleBroken, check_parameter, no_such_version
from envelope_secrets.service_rules.deletion import check_not_deleted
from envelope_secrets.service_rules.state import SecretState, without_versions
from envelope_secrets.service_rules.writing import check_stage_count
from envelope_secrets.stages import AWSCURRENT, StageConflict, StageMove, after_move

__all__ = ["moved"]

V = TypeVar("V")


def moved(state: SecretState[V], move: StageMove, *, now_s: float) -> SecretState[V]:
    """The secret after a label has moved, or was taken away.

    An announced version that loses its last label never was: it has no value.

    Raises:
        RuleBroken: InvalidParameterException: the label is not where the call says, or AWSCURRENT would be nowhere.
            ResourceNotFoundException: no version with a value to move it to. LimitExceededException.
            InvalidRequestException: scheduled for deletion.
    """
    check_parameter("VersionStage", stages_problem((move.stage,)))
    check_not_deleted(state)
    _check_target(state, move)
    holder = state.labels.holder(move.stage)
    if move.from_version is None and holder not in (None, move.to_version):
        raise RuleBroken(
            "InvalidParameterException",
            f"The parameter RemoveFromVersionId can't be empty. Staging label {move.stage} is currently attached to "
            f"version {holder}, so you must explicitly reference that version in RemoveFromVersionId.",
        )
    try:
        labels = after_move(state.labels, move)
    except StageConflict as conflict:
        raise RuleBroken("InvalidParameterException", f"{conflict}.") from None
    check_stage_count(labels)
    announced = frozenset(v for v in state.versions if not state.has_value(v) and not labels.stages_of(v))
    versions, labels = without_versions(state.versions, labels, announced)
    return replace(state, versions=versions, labels=labels, changed_s=now_s)


def _check_target(state: SecretState[V], move: StageMove) -> None:
    if move.to_version is None and move.from_version is None:
        raise RuleBroken("InvalidParameterException", "Either MoveToVersionId or RemoveFromVersionId must be given.")
    if move.to_version is None and move.stage == AWSCURRENT:
        raise RuleBroken(
            "InvalidParameterException",
            f"You can only move staging label {AWSCURRENT} to a different secret version. "
            "It can't be completely removed.",
        )
    if move.to_version is not None and not state.has_value(move.to_version):
        raise no_such_version("VersionId", move.to_version)
