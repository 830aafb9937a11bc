"""What the methods of a local store return of a secret."""

from __future__ import annotations

from datetime import UTC, datetime

from envelope_secrets.service_rules import reading
from envelope_secrets.stages import StagingLabels
from envelope_secrets.stores.local_records import LocalState
from envelope_secrets.stores.protocol import SecretDescription, SecretVersion, VersionPlace

__all__ = ["date_of", "described", "place_of", "version_of"]


def described(state: LocalState) -> SecretDescription:
    """The secret without its values."""
    return SecretDescription(
        name=state.name,
        arn=state.arn,
        labels=StagingLabels.of(reading.listed_stages(state)),
        description=state.description,
        tags=state.tags,
        created=date_of(state.created_s),
        changed=date_of(state.changed_s),
        deleted=None if state.deleted_s is None else date_of(state.deleted_s),
    )


def version_of(state: LocalState, version_id: str) -> SecretVersion:
    """One version, which may only be announced."""
    stages = tuple(sorted(state.labels.stages_of(version_id)))
    if not state.has_value(version_id):
        return SecretVersion(version_id, stages, has_value=False)
    return SecretVersion(version_id, stages, date_of(state.versions[version_id].created_s))


def place_of(state: LocalState, version_id: str) -> VersionPlace:
    """Where a version is now."""
    return VersionPlace(state.arn, state.name, version_id, tuple(sorted(state.labels.stages_of(version_id))))


def date_of(seconds: float) -> datetime:
    """A date, given in seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC)
