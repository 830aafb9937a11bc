"""KMS keys, their material and their states."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from envelope.crypto.gcm import AESGCM
from envelope.testing.kms_faults import KmsFault
from envelope.testing.kms_grants import Grant
from envelope.testing.kms_policy import Policy

__all__ = ["DAY_S", "KmsKey", "Material", "Rotation", "SharedKey", "key_arn", "partition_of"]

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Material:
    """One generation of a key's secret bytes."""

    material_id: str
    cipher: AESGCM = field(repr=False)

    @classmethod
    def of(cls, secret: bytes) -> Material:
        """The same secret has the same id, so that material imported again is known again."""
        return cls(hashlib.sha256(b"key material id" + secret).hexdigest(), AESGCM(secret))


@dataclass(frozen=True, slots=True)
class Rotation:
    """When a key got new material, and why: ``AUTOMATIC`` or ``ON_DEMAND``."""

    material_id: str
    date_s: float
    kind: str


@dataclass(slots=True)
class SharedKey:
    """What the related keys of a multi-Region key have in common; a single-Region key has it alone.

    Attributes:
        materials: by material id, the newest last; ciphertext under old material stays readable.
        primary_region: where the primary key is.
    """

    key_id: str
    account: str
    usage: str
    spec: str
    origin: str
    multi_region: bool
    primary_region: str
    materials: dict[str, Material] = field(default_factory=dict)
    rotations: list[Rotation] = field(default_factory=list)
    rotation_period_days: int | None = None
    next_rotation_s: float | None = None

    def add_material(self, secret: bytes) -> Material:
        """Make these bytes the current material."""
        material = Material.of(secret)
        self.materials[material.material_id] = material
        return material

    def current_material(self) -> Material:
        return list(self.materials.values())[-1]


@dataclass(slots=True)
class KmsKey:
    """A key in one region.

    Attributes:
        pending_window_days: set while a primary key waits for its replicas to be deleted.
        deletion_s: when it is going to be deleted, or None.
        material_present: false for a key with imported material while it has none.
        valid_to_s: when imported material expires, or None.
    """

    shared: SharedKey
    region: str
    policy: Policy
    created_s: float
    description: str = ""
    enabled: bool = True
    deletion_s: float | None = None
    pending_window_days: int | None = None
    material_present: bool = True
    valid_to_s: float | None = None
    tags: dict[str, str] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict)

    @property
    def key_id(self) -> str:
        return self.shared.key_id

    @property
    def account(self) -> str:
        return self.shared.account

    @property
    def arn(self) -> str:
        return key_arn(self.region, self.account, self.key_id)

    @property
    def is_primary(self) -> bool:
        return self.region == self.shared.primary_region

    def state(self) -> str:
        """The state as DescribeKey names it."""
        if self.deletion_s is not None:
            return "PendingDeletion"
        if self.pending_window_days is not None:
            return "PendingReplicaDeletion"
        if not self.material_present:
            return "PendingImport"
        return "Enabled" if self.enabled else "Disabled"

    def check_usable(self) -> None:
        """Raise the fault of a key that is not enabled."""
        for state, fault in self._obstacles():
            if self.state() == state:
                raise fault

    def check_not_pending_deletion(self) -> None:
        """Raise the fault of a key that is going to be deleted."""
        if self.state() in ("PendingDeletion", "PendingReplicaDeletion"):
            self.check_usable()

    def _obstacles(self) -> Iterator[tuple[str, KmsFault]]:
        yield "Disabled", KmsFault("DisabledException", f"{self.arn} is disabled.")
        yield "PendingDeletion", KmsFault("KMSInvalidStateException", f"{self.arn} is pending deletion.")
        yield (
            "PendingReplicaDeletion",
            KmsFault("KMSInvalidStateException", f"{self.arn} is pending replica deletion."),
        )
        yield "PendingImport", KmsFault("KMSInvalidStateException", f"{self.arn} is pending import.")


def partition_of(region: str) -> str:
    """The partition that a region belongs to."""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


def key_arn(region: str, account: str, key_id: str) -> str:
    return f"arn:{partition_of(region)}:kms:{region}:{account}:key/{key_id}"
