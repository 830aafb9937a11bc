"""All that the fake service remembers: keys, aliases, identity policies, in every region and account."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from envelope.testing.kms_faults import KmsFault
from envelope.testing.kms_keys import DAY_S, KmsKey, Rotation, key_arn, partition_of
from envelope.testing.kms_policy import Policy

__all__ = ["Alias", "KmsState"]

_KEY_ID = re.compile(r"(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})")
_ARN_PARTS = 6


@dataclass(slots=True)
class Alias:
    """A second name of a key, in one region and account."""

    name: str
    region: str
    account: str
    key_id: str
    created_s: float
    updated_s: float

    @property
    def arn(self) -> str:
        return f"arn:{partition_of(self.region)}:kms:{self.region}:{self.account}:{self.name}"


@dataclass(slots=True)
class KmsState:
    """The memory of the service. Whoever uses it holds the service's lock.

    Attributes:
        keys: by region and key id.
        aliases: by region, account and name.
        identity_policies: by the ARN of a user or role; who is not in it may do everything.
        grant_delay_s: so long a new grant needs its token.
    """

    now: Callable[[], float]
    random_bytes: Callable[[int], bytes]
    grant_delay_s: float
    keys: dict[tuple[str, str], KmsKey] = field(default_factory=dict)
    aliases: dict[tuple[str, str, str], Alias] = field(default_factory=dict)
    identity_policies: dict[str, Policy] = field(default_factory=dict)

    def new_id(self) -> str:
        return str(uuid.UUID(bytes=self.random_bytes(16), version=4))

    def related(self, key: KmsKey) -> list[KmsKey]:
        """The key and its replicas or primary, in all regions."""
        return [other for other in self.keys.values() if other.shared is key.shared]

    def key_in(self, region: str, key_id: str) -> KmsKey | None:
        """The key with this id, whatever its account, as it is now."""
        self.settle()
        return self.keys.get((region, key_id))

    def resolve(self, key_name: str, *, region: str, account: str) -> tuple[str, KmsKey | None]:
        """The ARN of what a KeyId names, and the key if there is one.

        Args:
            key_name: key id, key ARN, alias name or alias ARN.

        Raises:
            KmsFault: NotFoundException: it names nothing, or something in another region.
        """
        arn, resource = self._split(key_name, region, account)
        owner = arn.split(":")[4]
        if resource.startswith("alias/"):
            alias = self.aliases.get((region, owner, resource))
            if alias is None:
                return arn, None
            resource = f"key/{alias.key_id}"
        key_id = resource.removeprefix("key/")
        key = self.key_in(region, key_id)
        return key_arn(region, owner, key_id), key if key is not None and key.account == owner else None

    def settle(self) -> None:
        """Do what the time has brought: delete, expire, rotate."""
        for key in sorted(self.keys.values(), key=lambda key: key.is_primary):  # a primary waits for its replicas
            self._delete_if_due(key)
        for key in self.keys.values():
            self._expire_if_due(key)
            self._rotate_if_due(key)

    @staticmethod
    def _split(key_name: str, region: str, account: str) -> tuple[str, str]:
        if not key_name.startswith("arn:"):
            is_alias = key_name.startswith("alias/")
            if not is_alias and _KEY_ID.fullmatch(key_name) is None:
                raise KmsFault("NotFoundException", f"Invalid keyId {key_name!r}")
            resource = key_name if is_alias else f"key/{key_name}"
            return f"arn:{partition_of(region)}:kms:{region}:{account}:{resource}", resource
        parts = key_name.split(":", _ARN_PARTS - 1)
        is_kms = len(parts) == _ARN_PARTS and parts[1:3] == [partition_of(region), "kms"]
        if not is_kms or not parts[5].startswith(("key/", "alias/")):
            raise KmsFault("InvalidArnException", f"Invalid arn {key_name}")
        if parts[3] != region:
            raise KmsFault("NotFoundException", f"Invalid arn {parts[3]}")
        return key_name, parts[5]

    def _delete_if_due(self, key: KmsKey) -> None:
        if key.deletion_s is None or self.now() < key.deletion_s:
            return
        del self.keys[key.region, key.key_id]
        for place, alias in list(self.aliases.items()):
            if (alias.region, alias.key_id) == (key.region, key.key_id):
                del self.aliases[place]
        related = self.related(key)
        if len(related) == 1 and related[0].pending_window_days is not None:
            related[0].deletion_s = key.deletion_s + related[0].pending_window_days * DAY_S
            related[0].pending_window_days = None

    def _expire_if_due(self, key: KmsKey) -> None:
        if key.valid_to_s is not None and self.now() >= key.valid_to_s:
            key.material_present = False
            key.valid_to_s = None

    def _rotate_if_due(self, key: KmsKey) -> None:
        shared = key.shared
        for due_s in self._due_rotations(key):
            material = shared.add_material(self.random_bytes(32))
            shared.rotations.append(Rotation(material.material_id, due_s, "AUTOMATIC"))

    def _due_rotations(self, key: KmsKey) -> Iterator[float]:
        shared = key.shared
        while shared.rotation_period_days and shared.next_rotation_s and shared.next_rotation_s <= self.now():
            yield shared.next_rotation_s
            shared.next_rotation_s += shared.rotation_period_days * DAY_S
