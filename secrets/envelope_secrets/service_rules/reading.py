"""Which version is read, and which are listed.

Source: AWS Secrets Manager API reference, GetSecretValue and ListSecretVersionIds.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TypeVar

from envelope_secrets.service_rules.broken import RuleBroken, no_such_version
from envelope_secrets.service_rules.deletion import DAY_S, check_not_deleted
from envelope_secrets.service_rules.state import SecretState, StoredVersion
from envelope_secrets.stages import AWSCURRENT

__all__ = ["accessed", "found_value", "found_version", "listed_stages", "listed_versions"]

V = TypeVar("V")


def found_version(state: SecretState[V], version_id: str | None = None, stage: str | None = None) -> str:
    """The id of the version that GetSecretValue returns: as `found_value`, which tells the errors too."""
    return found_value(state, version_id, stage)[0]


def found_value(state: SecretState[V], version_id: str | None = None, stage: str | None = None) -> tuple[str, V]:
    """The version that GetSecretValue returns, by id, by label, by both if they agree, or the current one; its value.

    Raises:
        RuleBroken: ResourceNotFoundException: no such version, or it has no value yet. InvalidRequestException: the
            version does not have the label, or the secret is scheduled for deletion.
    """
    check_not_deleted(state)
    if version_id is None:
        wanted = AWSCURRENT if stage is None else stage
        return _with_value(state, state.labels.holder(wanted), "staging label", wanted)
    found = _with_value(state, version_id, "VersionId", version_id)
    if stage is not None and stage not in state.labels.stages_of(version_id):
        raise RuleBroken(
            "InvalidRequestException",
            "You provided a VersionStage that is not associated to the provided VersionId.",
        )
    return found


def accessed(state: SecretState[V], version_id: str, now_s: float) -> SecretState[V]:
    """The secret after a version was read: the service keeps the day."""
    day_s = now_s // DAY_S * DAY_S
    version = state.versions[version_id]
    if state.accessed_s == version.accessed_s == day_s:
        return state
    versions = {**state.versions, version_id: replace(version, accessed_s=day_s)}
    return replace(state, versions=MappingProxyType(versions), accessed_s=day_s)


def listed_versions(state: SecretState[V], *, include_deprecated: bool = False) -> dict[str, StoredVersion[V]]:
    """The versions that ListSecretVersionIds shows, the youngest first: those with a value, and a label if need be."""
    return {
        version_id: version
        for version_id, version in reversed(list(state.versions.items()))
        if version.value is not None and (include_deprecated or state.labels.stages_of(version_id))
    }


def listed_stages(state: SecretState[V]) -> dict[str, list[str]]:
    """What DescribeSecret shows: every version that has a label, announced ones too."""
    return {
        version_id: sorted(state.labels.stages_of(version_id))
        for version_id in state.versions
        if state.labels.stages_of(version_id)
    }


def _with_value(state: SecretState[V], version_id: str | None, selector: str, wanted: str) -> tuple[str, V]:
    version = None if version_id is None else state.versions.get(version_id)
    if version_id is None or version is None or version.value is None:
        raise no_such_version(selector, wanted)
    return version_id, version.value
