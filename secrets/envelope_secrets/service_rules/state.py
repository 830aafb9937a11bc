"""One secret as a store keeps it: frozen values that the rules turn into others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Generic, TypeVar

from envelope_secrets.stages import StagingLabels

__all__ = ["NO_TAGS", "ReplicaState", "RotationState", "SecretState", "StoredVersion", "without_versions"]

V = TypeVar("V")

NO_TAGS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class StoredVersion(Generic[V]):
    """One version.

    Attributes:
        value: its stored form, which the rules never look into; None while a rotation has only announced it.
        created_s: when its value was put; when it was announced, as long as it has none.
        accessed_s: when it was read last, or None.
        kms_key_ids: the keys that open it, as the store names them.
    """

    value: V | None = field(repr=False)
    created_s: float
    accessed_s: float | None = None
    kms_key_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RotationState:
    """How a secret is rotated.

    Attributes:
        enabled: whether it is.
        lambda_arn: the function that does it.
        schedule: ``rate(...)`` or ``cron(...)``; empty where `after_days` says it.
        after_days: the older way to say it; None where there is a schedule or nothing at all.
        window: like ``3h``, or empty.
        token: the version that the last rotation was started for; empty before the first.
        since_s: from when on the next date counts: the last rotation or change by hand.
    """

    enabled: bool = False
    lambda_arn: str = ""
    schedule: str = ""
    after_days: int | None = None
    window: str = ""
    token: str = ""
    since_s: float | None = None


@dataclass(frozen=True, slots=True)
class ReplicaState:
    """A copy in another region. `status` is InSync, InProgress or Failed."""

    region: str
    kms_key_id: str = ""
    status: str = "InSync"
    message: str = ""


@dataclass(frozen=True, slots=True)
class SecretState(Generic[V]):
    """One secret.

    Attributes:
        kms_key_id: as it was given; empty for the store's default key.
        changed_s: the last change of anything but the date of access.
        rotated_s: the end of the last rotation, or None.
        deleted_s, deletes_s: when its deletion was asked for, and from when on it is gone; None unless it was.
        versions: in the order in which they were made; read-only.
        labels: the staging labels of the same versions.
        rotation: None for a secret that never was to be rotated.
        policy: the text of its resource policy, or None.
    """

    name: str
    arn: str
    created_s: float
    changed_s: float
    description: str = ""
    kms_key_id: str = ""
    tags: Mapping[str, str] = field(default_factory=lambda: NO_TAGS)
    accessed_s: float | None = None
    rotated_s: float | None = None
    deleted_s: float | None = None
    deletes_s: float | None = None
    versions: Mapping[str, StoredVersion[V]] = field(default_factory=lambda: MappingProxyType({}))
    labels: StagingLabels = field(default_factory=lambda: StagingLabels.of({}))
    rotation: RotationState | None = None
    policy: str | None = None
    replicas: tuple[ReplicaState, ...] = ()

    def has_value(self, version_id: str) -> bool:
        """Whether there is such a version, and more than its announcement."""
        version = self.versions.get(version_id)
        return version is not None and version.value is not None


def without_versions(
    versions: Mapping[str, StoredVersion[V]], labels: StagingLabels, gone: frozenset[str]
) -> tuple[Mapping[str, StoredVersion[V]], StagingLabels]:
    """The same without some versions."""
    kept = {version_id: version for version_id, version in versions.items() if version_id not in gone}
    labelled = {version_id: stages for version_id, stages in labels.by_version.items() if version_id not in gone}
    return MappingProxyType(kept), StagingLabels.of(labelled)
