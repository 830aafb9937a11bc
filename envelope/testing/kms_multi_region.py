"""Operations on multi-Region keys: replicas, and which of them is the primary."""

from __future__ import annotations

from typing import Any

from envelope.testing.kms_access import Call, key_of
from envelope.testing.kms_faults import KmsFault, unsupported
from envelope.testing.kms_keys import KmsKey, partition_of
from envelope.testing.kms_lifecycle import metadata, policy_for, tags_of
from envelope.testing.kms_policy import default_key_policy, parse_policy

__all__ = ["replicate_key", "update_primary_region"]


def replicate_key(call: Call) -> dict[str, Any]:
    primary = _primary(call)
    region = call.parameters["ReplicaRegion"]
    if call.state.key_in(region, primary.key_id) is not None:
        raise KmsFault("AlreadyExistsException", f"A related multi-Region key already exists in {region}.")
    default_policy = default_key_policy(primary.account, partition_of(region))
    replica = KmsKey(
        shared=primary.shared,
        region=region,
        policy=parse_policy(default_policy, has_principals=True),
        created_s=call.now_s,
        description=call.get("Description", primary.description),
        material_present=primary.shared.origin == "AWS_KMS",
        tags=tags_of(call),
    )
    replica.policy = policy_for(call, replica)
    call.state.keys[region, replica.key_id] = replica
    told = [{"TagKey": name, "TagValue": value} for name, value in replica.tags.items()]
    return {
        "ReplicaKeyMetadata": metadata(call, replica),
        "ReplicaPolicy": replica.policy.text,
        "ReplicaTags": told,
    }


def update_primary_region(call: Call) -> dict[str, Any]:
    primary = _primary(call)
    region = call.parameters["PrimaryRegion"]
    replica = call.state.key_in(region, primary.key_id)
    if replica is None:
        raise KmsFault("NotFoundException", f"There is no related multi-Region key in {region}.")
    replica.check_usable()
    primary.shared.primary_region = region
    return {}


def _primary(call: Call) -> KmsKey:
    key = key_of(call)
    if not key.shared.multi_region:
        raise unsupported(f"{key.arn} is not a multi-Region key.")
    if not key.is_primary:
        raise unsupported(f"{key.arn} is not the primary key.")
    key.check_usable()
    return key
