"""One look at the labels of a secret: what is wrong with them, and which moves could mend it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from envelope_secrets.stages import (
    AWSCURRENT,
    AWSPENDING,
    Finding,
    StageMove,
    StagingLabels,
    diagnose,
    pending_removal,
    promotion,
    swap_removals,
)
from envelope_secrets.stores.protocol import SecretDescription, SecretStore, SecretVersion

__all__ = ["LabelState", "RepairAction", "look"]


class RepairAction(StrEnum):
    """What can be done about stuck labels."""

    DROP_PENDING = "drop-pending"
    """Take AWSPENDING away: the target does not know the pending value, or nobody wants it."""

    PROMOTE_PENDING = "promote-pending"
    """Make the pending version current: the target knows its value already."""

    PROMOTE_NEWEST = "promote-newest"
    """Make the youngest version current that has a value and no label: the target knows its value already."""

    DROP_SWAP_LABELS = "drop-swap-labels"
    """Take the labels away that killed calls of ``put(expected_version_id=...)`` have left."""


@dataclass(frozen=True, slots=True)
class LabelState:
    """The labels of a secret and its versions, as one look has shown them.

    Attributes:
        versions: with the deprecated ones, by id.
    """

    description: SecretDescription
    versions: Mapping[str, SecretVersion]

    @property
    def labels(self) -> StagingLabels:
        """The labels, those of deprecated versions too: they have none."""
        deprecated: dict[str, frozenset[str]] = dict.fromkeys(self.versions, frozenset())
        return StagingLabels.of({**deprecated, **self.description.labels.by_version})

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong."""
        return diagnose(self.labels, with_value=self._with_value(), newer=self._newer())

    def explanation(self) -> str:
        """What is wrong, one sentence for each finding, with version ids and dates."""
        sentences = [f"{finding.value} ({self._shown(self._version_of(finding))})" for finding in self.findings]
        return "; ".join(sentences).replace(" ()", "") or "nothing is wrong with the labels"

    def actions(self) -> dict[RepairAction, tuple[StageMove, ...]]:
        """What can be done about the findings, each with its moves."""
        found = self.findings
        moves: dict[RepairAction, StageMove | None] = {}
        if Finding.EMPTY_PENDING in found or Finding.STUCK_PENDING in found:
            moves[RepairAction.DROP_PENDING] = pending_removal(self.labels)
        if Finding.STUCK_PENDING in found:
            moves[RepairAction.PROMOTE_PENDING] = self._promotion(self.labels.holder(AWSPENDING))
        if Finding.ORPHANED_PENDING in found or Finding.NO_CURRENT in found:
            moves[RepairAction.PROMOTE_NEWEST] = self._promotion(self._youngest_unlabelled())
        actions: dict[RepairAction, tuple[StageMove, ...]] = {
            action: (move,) for action, move in moves.items() if move is not None
        }
        if Finding.SWAP_LEFT in found:
            actions[RepairAction.DROP_SWAP_LABELS] = swap_removals(self.labels)
        return actions

    def _promotion(self, version_id: str | None) -> StageMove | None:
        return None if version_id is None else promotion(self.labels, version_id)

    def _with_value(self) -> set[str]:
        return {version_id for version_id, version in self.versions.items() if version.has_value}

    def _newer(self) -> list[str]:
        """The versions with a value that are younger than the current one, as far as their dates are told."""
        current = self._created(self.labels.holder(AWSCURRENT))
        made = {version_id: self._created(version_id) for version_id in self._with_value()}
        return [version_id for version_id, when in made.items() if current and when and when > current]

    def _youngest_unlabelled(self) -> str | None:
        """By date; where there are none, the first in the order of the store, which lists the youngest first."""
        labels = self.labels
        free = [one for one in self.versions.values() if one.has_value and not labels.stages_of(one.version_id)]
        dated = [one for one in free if one.created is not None]
        best = max(dated, key=lambda one: one.created.timestamp() if one.created else 0.0, default=None)
        chosen = best or next(iter(free), None)
        return None if chosen is None else chosen.version_id

    def _version_of(self, finding: Finding) -> str | None:
        if finding in (Finding.EMPTY_PENDING, Finding.STUCK_PENDING):
            return self.labels.holder(AWSPENDING)
        if finding is Finding.SWAP_LEFT:
            return swap_removals(self.labels)[0].from_version
        return self._youngest_unlabelled()

    def _created(self, version_id: str | None) -> datetime | None:
        version = self.versions.get(version_id or "")
        return None if version is None else version.created

    def _shown(self, version_id: str | None) -> str:
        if version_id is None:
            return ""
        created = self._created(version_id)
        return f"version {version_id}" + (f", made {created:%Y-%m-%d %H:%M %Z}".rstrip() if created else "")


def look(store: SecretStore, secret_id: str) -> LabelState:
    """The labels and versions of a secret. Two calls, which a change can come between: moves are compare-and-swaps."""
    description = store.describe(secret_id)
    versions = store.versions(secret_id, include_deprecated=True)
    return LabelState(description, {version.version_id: version for version in versions})
