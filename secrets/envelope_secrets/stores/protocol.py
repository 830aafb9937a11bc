"""What a store of secrets is, and what it tells of a secret. Anybody may write one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Protocol, runtime_checkable

from envelope.errors import EnvelopeError
from envelope_secrets.stages import AWSCURRENT, StageMove, StagingLabels
from envelope_secrets.value import HidesValue, Secret

__all__ = [
    "HasPolicies",
    "HasTrees",
    "NewSecret",
    "NewVersion",
    "PolicyFinding",
    "Replica",
    "Replicates",
    "Rotates",
    "RotationStatus",
    "SecretDescription",
    "SecretStore",
    "SecretVersion",
    "VersionPlace",
]

NO_TAGS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class SecretVersion:
    """One version of a secret, without its value.

    Attributes:
        version_id: 32 to 64 characters in Secrets Manager; a number in Parameter Store.
        stages: its staging labels in alphabetical order; none for a deprecated version.
        created: when it was made; None where the store does not tell, as for a version that has no value yet.
        has_value: False for a version that a rotation has announced and not stored yet.
        last_accessed: the day of the last read, where the store tells.
    """

    version_id: str
    stages: tuple[str, ...]
    created: datetime | None = None
    has_value: bool = True
    last_accessed: datetime | None = None


@dataclass(frozen=True, slots=True)
class RotationStatus:
    """How a secret is rotated.

    Attributes:
        enabled: whether it is; None where the store says nothing, as for a secret that never was.
        lambda_arn: the function that rotates it, or an empty string.
        schedule: ``rate(30 days)`` or ``cron(...)``, or an empty string.
        window: how long a rotation may take from its scheduled start, like ``3h``, or an empty string.
        last_rotated, next_rotation: None where there is none.
    """

    enabled: bool | None = None
    lambda_arn: str = ""
    schedule: str = ""
    window: str = ""
    last_rotated: datetime | None = None
    next_rotation: datetime | None = None


@dataclass(frozen=True, slots=True)
class Replica:
    """A copy of a secret in another region. `status` is InSync, InProgress or Failed."""

    region: str
    status: str
    kms_key_id: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class SecretDescription:
    """What a store tells of a secret without its value.

    Attributes:
        labels: which version has which staging labels; of listed versions only.
        deleted: from when on it is not to be had any more (the date the deletion was asked for, as the service
            shows it); None unless it is scheduled for deletion.
        kms_key_id: the key that encrypts it, or an empty string for the store's default key.
        primary_region: where it can be written, or an empty string where there is one region only.
        owning_service: the AWS service that manages it, or an empty string.
    """

    name: str
    arn: str
    labels: StagingLabels
    description: str = ""
    kms_key_id: str = ""
    tags: Mapping[str, str] = field(default_factory=lambda: NO_TAGS)
    created: datetime | None = None
    changed: datetime | None = None
    last_accessed: datetime | None = None
    deleted: datetime | None = None
    rotation: RotationStatus = RotationStatus()
    replicas: tuple[Replica, ...] = ()
    primary_region: str = ""
    owning_service: str = ""


@dataclass(frozen=True, slots=True)
class VersionPlace:
    """Which version a call has written, and which labels that version has now, as far as the store tells."""

    arn: str
    name: str
    version_id: str
    stages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NewVersion(HidesValue):
    """A value to be stored.

    Attributes:
        value: text of 1 to 65,536 bytes in UTF-8, or 1 to 65,536 bytes.
        token: the ClientRequestToken, 32 to 64 characters, which becomes the version's id: a call that is repeated with
            the same token and value changes nothing.
        stages: exactly these labels move to it; AWSCURRENT by default.
        rotation_token: what a rotation event brought; passed on, and shown nowhere.
    """

    value: str | bytes = field(repr=False)
    token: str
    stages: tuple[str, ...] = (AWSCURRENT,)
    rotation_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class NewSecret(HidesValue):
    """A secret to be created.

    Attributes:
        name: 1 to 512 characters: letters, digits and ``/_+=.@-``.
        version: its first value; None for a secret that gets its first value from a rotation.
        replica_regions: region and key of each copy; an empty key for the region's default.
    """

    name: str
    version: NewVersion | None = None
    description: str = ""
    kms_key_id: str = ""
    tags: Mapping[str, str] = field(default_factory=lambda: NO_TAGS)
    replica_regions: Mapping[str, str] = field(default_factory=lambda: NO_TAGS)


@runtime_checkable
class SecretStore(Protocol):
    """A store of secrets with versions and staging labels. Safe for threads.

    `secret_id` is a name or an ARN. Every method raises `SecretNotFound`, `SecretDeleted`, `SecretConflict`,
    `SecretRefused`, `SecretKeyUnavailable` as their names say, `InvalidArgument` for what no store would take, and for
    AWS the `AwsError` family.
    """

    def read(self, secret_id: str, *, stage: str | None = AWSCURRENT, version_id: str | None = None) -> Secret:
        """The value of one version. If both are given, the version must have the label (`SecretConflict`)."""
        ...

    def read_many(self, secret_ids: Sequence[str]) -> Mapping[str, Secret | EnvelopeError]:
        """The current value of each, or the error that came in its place. Any number; without duplicates."""
        ...

    def describe(self, secret_id: str) -> SecretDescription:
        """What is known of a secret without its value; also of one that is scheduled for deletion."""
        ...

    def versions(self, secret_id: str, *, include_deprecated: bool = False) -> tuple[SecretVersion, ...]:
        """The versions that have a value, or are announced by a label; the youngest first."""
        ...

    def list(self, *, prefix: str = "", include_deleted: bool = False) -> Iterator[SecretDescription]:
        """All secrets whose names begin with `prefix`, by name where the store sorts them."""
        ...

    def create(self, secret: NewSecret) -> VersionPlace:
        """Create a secret. Repeated with the same token and value, it changes nothing.

        Returns:
            `version_id` is empty for a secret without a value.
        """
        ...

    def put(self, secret_id: str, version: NewVersion) -> VersionPlace:
        """Store a new version. Repeated with the same token and value, it changes nothing, not even labels.

        Raises:
            SecretConflict: the token is that of a version with another value.
        """
        ...

    def update(self, secret_id: str, *, description: str | None = None, kms_key_id: str | None = None) -> None:
        """Change what belongs to the secret and not to a version; None leaves it as it is."""
        ...

    def move_stage(self, secret_id: str, move: StageMove) -> None:
        """Move or take away one label, if it is where `move` says.

        Raises:
            SecretConflict: it is elsewhere; nothing was changed.
        """
        ...

    def delete(self, secret_id: str, *, recovery_window_days: int | None = 30) -> datetime | None:
        """Schedule a deletion, 7 to 30 days from now; None deletes at once and for good. The date, where it is told."""
        ...

    def restore(self, secret_id: str) -> None:
        """Take back a deletion that is scheduled."""
        ...

    def tag(self, secret_id: str, tags: Mapping[str, str]) -> None:
        """Set these tags; others stay."""
        ...

    def untag(self, secret_id: str, names: Iterable[str]) -> None:
        """Take away these tags."""
        ...


@runtime_checkable
class Rotates(Protocol):
    """A store that starts rotations itself."""

    def rotate(
        self,
        secret_id: str,
        *,
        token: str,
        lambda_arn: str | None = None,
        schedule: str | None = None,
        window: str | None = None,
        immediately: bool = True,
    ) -> VersionPlace:
        """Configure what is given, and start a rotation (or test it only, unless `immediately`)."""
        ...

    def cancel_rotation(self, secret_id: str) -> VersionPlace:
        """Turn rotation off; the version is the one of the rotation that was under way, or empty."""
        ...


@dataclass(frozen=True, slots=True)
class PolicyFinding:
    """One objection to a resource policy: the check that made it, and what it says."""

    check: str
    text: str


@runtime_checkable
class HasPolicies(Protocol):
    """A store whose secrets have resource policies. A policy is the text of a JSON document, 1 to 20,480 characters."""

    def policy(self, secret_id: str) -> str | None:
        """The policy, or None."""
        ...

    def put_policy(self, secret_id: str, policy: str, *, block_public: bool = True) -> None:
        """Replace the policy.

        Raises:
            SecretRefused: it is malformed, or opens the secret to the public.
        """
        ...

    def delete_policy(self, secret_id: str) -> None:
        """Take the policy away."""
        ...

    def validate_policy(self, policy: str, *, secret_id: str | None = None) -> tuple[PolicyFinding, ...]:
        """What the service objects to; nothing if it would take it."""
        ...


@runtime_checkable
class Replicates(Protocol):
    """A store whose secrets have copies in other regions."""

    def replicate(self, secret_id: str, regions: Mapping[str, str], *, overwrite: bool = False) -> tuple[Replica, ...]:
        """Copy the secret to these regions; the value of each is a KMS key, or empty for the region's default."""
        ...

    def remove_replicas(self, secret_id: str, regions: Iterable[str]) -> tuple[Replica, ...]:
        """Delete copies, at once."""
        ...

    def stop_replication(self, secret_id: str) -> str:
        """In the region of a copy: make it a secret of its own. Its ARN."""
        ...


@runtime_checkable
class HasTrees(Protocol):
    """A store whose names form hierarchies."""

    def read_tree(self, path: str) -> Mapping[str, Secret]:
        """Every current value below a path like ``/app/``, by full name."""
        ...
