"""Staging labels: which version of a secret is current, pending, previous. Pure functions, the only place of the rules.

A label sits on one version at most. A version without a label is deprecated: it is still there, but nobody lists it.

Source: AWS Secrets Manager API reference, PutSecretValue, UpdateSecretVersionStage, RotateSecret; where those are
silent, what the service was seen to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

__all__ = [
    "AWSCURRENT",
    "AWSPENDING",
    "AWSPREVIOUS",
    "SWAP_STAGE_PREFIX",
    "Finding",
    "StageConflict",
    "StageMove",
    "StagingLabels",
    "after_move",
    "after_put",
    "diagnose",
    "pending_removal",
    "promotion",
    "rollback",
    "swap_removals",
]

AWSCURRENT = "AWSCURRENT"
AWSPENDING = "AWSPENDING"
AWSPREVIOUS = "AWSPREVIOUS"
SWAP_STAGE_PREFIX = "envelope-swap-"
"""Of the label under which a value is put whose turn to be current comes by a compare-and-swap; it goes afterwards."""

_NO_STAGES: frozenset[str] = frozenset()


class StageConflict(ValueError):
    """A label is not where the call supposes it. The text says where it is; it is fit to be shown."""


@dataclass(frozen=True, slots=True)
class StagingLabels:
    """The labels of one secret: every known version with its labels, the deprecated ones with none.

    Attributes:
        by_version: read-only.
    """

    by_version: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, stages: Mapping[str, Iterable[str]]) -> StagingLabels:
        """From a mapping like ``VersionIdsToStages``."""
        return cls(MappingProxyType({version_id: frozenset(labels) for version_id, labels in stages.items()}))

    def holder(self, stage: str) -> str | None:
        """The id of the version that has the label."""
        return next((version_id for version_id, stages in self.by_version.items() if stage in stages), None)

    def stages_of(self, version_id: str) -> frozenset[str]:
        """The labels of a version; none if there is no such version."""
        return self.by_version.get(version_id, _NO_STAGES)

    def problems(self) -> list[str]:
        """What no secret may look like; empty unless a store is broken."""
        found = []
        for stage in sorted({stage for stages in self.by_version.values() for stage in stages}):
            holders = sum(stage in stages for stages in self.by_version.values())
            if holders > 1:
                found.append(f"{stage} is on {holders} versions")
        if self.holder(AWSPREVIOUS) is not None and self.holder(AWSCURRENT) is None:
            found.append(f"{AWSPREVIOUS} without {AWSCURRENT}")
        return found


@dataclass(frozen=True, slots=True)
class StageMove:
    """One call of UpdateSecretVersionStage: a compare-and-swap, because it names the version the label leaves.

    Attributes:
        stage: the label.
        to_version: where it goes; None takes it away.
        from_version: where it is now; None if it is nowhere.
    """

    stage: str
    to_version: str | None
    from_version: str | None


def after_put(labels: StagingLabels, version_id: str, stages: Iterable[str] | None = None) -> StagingLabels:
    """The labels after a new value was put as `version_id`.

    Args:
        stages: exactly these labels move to it, from wherever they are; AWSCURRENT by default. The first version of a
            secret gets AWSCURRENT whatever is asked for.
    """
    asked = {AWSCURRENT} if stages is None else set(stages)
    if not any(labels.by_version.values()):
        asked.add(AWSCURRENT)
    left = labels.holder(AWSCURRENT)
    moved = _added(labels, version_id)
    for stage in sorted(asked):
        moved = _moved(moved, stage, version_id)
    if AWSCURRENT in asked and left is not None and left != version_id:
        # Seen in the service: a version that was current and pending is only previous after the next value.
        moved = _without(moved, AWSPENDING, left)
    return moved


def after_move(labels: StagingLabels, move: StageMove) -> StagingLabels:
    """The labels after a call of UpdateSecretVersionStage. AWSPREVIOUS goes to the version that AWSCURRENT leaves.

    Raises:
        StageConflict: the label is not on `from_version`, or `to_version` does not exist.
    """
    holder = labels.holder(move.stage)
    if move.to_version is not None and move.to_version not in labels.by_version:
        raise StageConflict(f"there is no version {move.to_version}")
    if holder is not None and move.from_version is None and holder != move.to_version:
        raise StageConflict(f"{move.stage} is on version {holder}, which the call does not name")
    if move.from_version is not None and holder != move.from_version:
        where = "on no version" if holder is None else f"on version {holder}"
        raise StageConflict(f"{move.stage} is {where}, not on version {move.from_version}")
    if move.to_version is None:
        return labels if holder is None else _without(labels, move.stage, holder)
    return _moved(labels, move.stage, move.to_version)


def promotion(labels: StagingLabels, version_id: str) -> StageMove | None:
    """The move that makes a version current; None if it is.

    Raises:
        StageConflict: there is no such version.
    """
    if version_id not in labels.by_version:
        raise StageConflict(f"there is no version {version_id}")
    current = labels.holder(AWSCURRENT)
    return None if current == version_id else StageMove(AWSCURRENT, version_id, current)


def rollback(labels: StagingLabels) -> StageMove:
    """The move that swaps AWSCURRENT and AWSPREVIOUS.

    Raises:
        StageConflict: no version has AWSPREVIOUS, or none has AWSCURRENT.
    """
    current, previous = labels.holder(AWSCURRENT), labels.holder(AWSPREVIOUS)
    if current is None or previous is None:
        raise StageConflict(f"no version has {AWSPREVIOUS if previous is None else AWSCURRENT}")
    return StageMove(AWSCURRENT, previous, current)


def pending_removal(labels: StagingLabels) -> StageMove | None:
    """The move that takes AWSPENDING away; None if no version has it."""
    pending = labels.holder(AWSPENDING)
    return None if pending is None else StageMove(AWSPENDING, None, pending)


def swap_removals(labels: StagingLabels) -> tuple[StageMove, ...]:
    """The moves that take the labels of unfinished swaps away. A swap that still runs gets on without its label."""
    held = ((version_id, stage) for version_id, stages in labels.by_version.items() for stage in sorted(stages))
    return tuple(
        StageMove(stage, None, version_id) for version_id, stage in held if stage.startswith(SWAP_STAGE_PREFIX)
    )


class Finding(Enum):
    """What can be wrong with the labels of a secret. The value explains it."""

    NO_CURRENT = "no version has AWSCURRENT: nobody can read the secret before a version is promoted"
    EMPTY_PENDING = (
        "AWSPENDING is on a version without a value: a rotation has begun and stored nothing; it blocks the next one"
    )
    STUCK_PENDING = (
        "AWSPENDING is on a version with a value that is not current: a rotation runs, or has stopped half-way, and "
        "its target may know the pending value already"
    )
    ORPHANED_PENDING = (
        "a version that is newer than the current one has no label: a rotation was cancelled or its label was taken "
        "away, and its target may know that value already"
    )
    SWAP_LEFT = (
        "a put that was to swap the current version was ended from outside, and has left its label; each counts "
        "towards the 20 labels of a secret"
    )


def diagnose(labels: StagingLabels, *, with_value: Iterable[str], newer: Iterable[str] = ()) -> tuple[Finding, ...]:
    """What is wrong with the labels of a secret; nothing, if a version is current and nothing is left over.

    Args:
        with_value: the versions that have a value.
        newer: the versions that are younger than the current one.
    """
    found = []
    current, pending = labels.holder(AWSCURRENT), labels.holder(AWSPENDING)
    if current is None:
        found.append(Finding.NO_CURRENT)
    if pending is not None and pending not in set(with_value):
        found.append(Finding.EMPTY_PENDING)
    elif pending is not None and pending != current:
        found.append(Finding.STUCK_PENDING)
    if any(not labels.stages_of(version_id) for version_id in newer):
        found.append(Finding.ORPHANED_PENDING)
    if swap_removals(labels):
        found.append(Finding.SWAP_LEFT)
    return tuple(found)


def _moved(labels: StagingLabels, stage: str, to_version: str) -> StagingLabels:
    """Move one label from wherever it is; AWSPREVIOUS follows AWSCURRENT."""
    holder = labels.holder(stage)
    if holder == to_version:
        return labels
    moved = labels if holder is None else _without(labels, stage, holder)
    moved = _with(moved, stage, to_version)
    if stage == AWSCURRENT and holder is not None:
        moved = _moved(moved, AWSPREVIOUS, holder)
    return moved


def _added(labels: StagingLabels, version_id: str) -> StagingLabels:
    return StagingLabels.of({**labels.by_version, version_id: labels.stages_of(version_id)})


def _with(labels: StagingLabels, stage: str, version_id: str) -> StagingLabels:
    return StagingLabels.of({**labels.by_version, version_id: labels.stages_of(version_id) | {stage}})


def _without(labels: StagingLabels, stage: str, version_id: str) -> StagingLabels:
    return StagingLabels.of({**labels.by_version, version_id: labels.stages_of(version_id) - {stage}})
