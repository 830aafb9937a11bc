"""Operations on keys as such: create, describe, list, enable, disable, delete, policies, tags."""

from __future__ import annotations

import uuid
from typing import Any

from envelope.testing.kms_access import Call, authorize, authorize_account, key_of
from envelope.testing.kms_conditions import malformed
from envelope.testing.kms_faults import KmsFault, unsupported, validation_fault
from envelope.testing.kms_keys import DAY_S, KmsKey, SharedKey, partition_of
from envelope.testing.kms_limits import page
from envelope.testing.kms_policy import Policy, default_key_policy, parse_policy

__all__ = [
    "cancel_key_deletion",
    "create_key",
    "describe_key",
    "disable_key",
    "enable_key",
    "get_key_policy",
    "list_key_policies",
    "list_keys",
    "list_resource_tags",
    "metadata",
    "policy_for",
    "put_key_policy",
    "schedule_key_deletion",
    "tag_resource",
    "tags_of",
    "untag_resource",
    "update_key_description",
]

_SYMMETRIC = "SYMMETRIC_DEFAULT"
_DEFAULT_WINDOW_DAYS = 30
_UNUSED_USAGES = ("GENERATE_VERIFY_MAC", "SIGN_VERIFY", "KEY_AGREEMENT", "ENCAPSULATE_DECAPSULATE")


def create_key(call: Call) -> dict[str, Any]:
    authorize_account(call)
    usage = call.get("KeyUsage", "ENCRYPT_DECRYPT")
    spec = call.get("KeySpec", call.get("CustomerMasterKeySpec", _SYMMETRIC))
    origin = call.get("Origin", "AWS_KMS")
    _check_kind(usage, spec, origin)
    call_region, account, multi_region = call.caller.region, call.caller.account, call.get("MultiRegion", False)
    key_id = call.state.new_id()
    shared = SharedKey(
        key_id=f"mrk-{uuid.UUID(key_id).hex}" if multi_region else key_id,
        account=account,
        usage=usage,
        spec=spec,
        origin=origin,
        multi_region=multi_region,
        primary_region=call_region,
    )
    if origin == "AWS_KMS":
        shared.add_material(call.state.random_bytes(32))
    key = KmsKey(
        shared=shared,
        region=call_region,
        policy=parse_policy(default_key_policy(account, partition_of(call_region)), has_principals=True),
        created_s=call.now_s,
        description=call.get("Description", ""),
        material_present=bool(shared.materials),
        tags=tags_of(call),
    )
    key.policy = policy_for(call, key)
    call.state.keys[call_region, key.key_id] = key
    call.key_arn = key.arn
    return {"KeyMetadata": metadata(call, key)}


def describe_key(call: Call) -> dict[str, Any]:
    return {"KeyMetadata": metadata(call, key_of(call))}


def list_keys(call: Call) -> dict[str, Any]:
    authorize_account(call)
    place = (call.caller.region, call.caller.account)
    keys = [key for key in call.state.keys.values() if (key.region, key.account) == place]
    return page(call.parameters, "Keys", [{"KeyId": key.key_id, "KeyArn": key.arn} for key in keys])


def enable_key(call: Call) -> dict[str, Any]:
    return _set_enabled(call, enabled=True)


def disable_key(call: Call) -> dict[str, Any]:
    return _set_enabled(call, enabled=False)


def schedule_key_deletion(call: Call) -> dict[str, Any]:
    key = key_of(call)
    key.check_not_pending_deletion()
    days = call.get("PendingWindowInDays", _DEFAULT_WINDOW_DAYS)
    answer = {"KeyId": key.arn, "PendingWindowInDays": days}
    if key.is_primary and len(call.state.related(key)) > 1:
        key.pending_window_days = days
        return {**answer, "KeyState": key.state()}
    key.deletion_s = call.now_s + days * DAY_S
    return {**answer, "KeyState": key.state(), "DeletionDate": key.deletion_s}


def cancel_key_deletion(call: Call) -> dict[str, Any]:
    key = key_of(call)
    if key.deletion_s is None and key.pending_window_days is None:
        raise KmsFault("KMSInvalidStateException", f"{key.arn} is not pending deletion.")
    key.deletion_s = key.pending_window_days = None
    key.enabled = False
    return {"KeyId": key.arn}


def put_key_policy(call: Call) -> dict[str, Any]:
    key = key_of(call)
    key.check_not_pending_deletion()
    _check_policy_name(call)
    key.policy = policy_for(call, key)
    return {}


def get_key_policy(call: Call) -> dict[str, Any]:
    key = key_of(call)
    _check_policy_name(call)
    return {"Policy": key.policy.text, "PolicyName": "default"}


def list_key_policies(call: Call) -> dict[str, Any]:
    key_of(call)
    return page(call.parameters, "PolicyNames", ["default"])


def tag_resource(call: Call) -> dict[str, Any]:
    key = key_of(call)
    key.check_not_pending_deletion()
    key.tags.update(tags_of(call))
    return {}


def untag_resource(call: Call) -> dict[str, Any]:
    key = key_of(call)
    key.check_not_pending_deletion()
    for name in call.parameters["TagKeys"]:
        key.tags.pop(name, None)
    return {}


def list_resource_tags(call: Call) -> dict[str, Any]:
    tags = key_of(call).tags
    return page(call.parameters, "Tags", [{"TagKey": name, "TagValue": value} for name, value in tags.items()])


def update_key_description(call: Call) -> dict[str, Any]:
    key = key_of(call)
    key.check_not_pending_deletion()
    key.description = call.parameters["Description"]
    return {}


def tags_of(call: Call) -> dict[str, str]:
    return {tag["TagKey"]: tag["TagValue"] for tag in call.get("Tags") or ()}


def policy_for(call: Call, key: KmsKey) -> Policy:
    """The policy of the request, or the one that the key has.

    Raises:
        KmsFault: MalformedPolicyDocumentException, also if the caller could not change the policy any more.
    """
    if "Policy" not in call.parameters:
        return key.policy
    policy = parse_policy(call.parameters["Policy"], has_principals=True)
    if not call.get("BypassPolicyLockoutSafetyCheck", False):
        try:
            authorize(call, key, action="PutKeyPolicy", policy=policy)
        except KmsFault as fault:
            raise malformed("The new key policy will not allow you to update the key policy in the future.") from fault
    return policy


def metadata(call: Call, key: KmsKey) -> dict[str, Any]:
    """The answer of DescribeKey."""
    shared = key.shared
    told: dict[str, Any] = {
        "AWSAccountId": key.account,
        "KeyId": key.key_id,
        "Arn": key.arn,
        "CreationDate": key.created_s,
        "Enabled": key.state() == "Enabled",
        "Description": key.description,
        "KeyUsage": shared.usage,
        "KeyState": key.state(),
        "Origin": shared.origin,
        "KeyManager": "CUSTOMER",
        "CustomerMasterKeySpec": shared.spec,
        "KeySpec": shared.spec,
        "MultiRegion": shared.multi_region,
    }
    if shared.usage == "ENCRYPT_DECRYPT":
        told["EncryptionAlgorithms"] = [_SYMMETRIC]
    if shared.materials and key.material_present:
        told["CurrentKeyMaterialId"] = shared.current_material().material_id
    if shared.origin == "EXTERNAL" and key.material_present:
        expires = key.valid_to_s is not None
        told["ExpirationModel"] = "KEY_MATERIAL_EXPIRES" if expires else "KEY_MATERIAL_DOES_NOT_EXPIRE"
    dates = {
        "ValidTo": key.valid_to_s,
        "DeletionDate": key.deletion_s,
        "PendingDeletionWindowInDays": key.pending_window_days,
    }
    told |= {name: value for name, value in dates.items() if value is not None}
    return told | (_multi_region(call, key) if shared.multi_region else {})


def _multi_region(call: Call, key: KmsKey) -> dict[str, Any]:
    places = [(other.is_primary, {"Arn": other.arn, "Region": other.region}) for other in call.state.related(key)]
    return {
        "MultiRegionConfiguration": {
            "MultiRegionKeyType": "PRIMARY" if key.is_primary else "REPLICA",
            "PrimaryKey": next(place for is_primary, place in places if is_primary),
            "ReplicaKeys": [place for is_primary, place in places if not is_primary],
        }
    }


def _set_enabled(call: Call, *, enabled: bool) -> dict[str, Any]:
    key = key_of(call)
    if key.state() not in ("Enabled", "Disabled"):
        key.check_usable()
    key.enabled = enabled
    return {}


def _check_kind(usage: str, spec: str, origin: str) -> None:
    if origin not in ("AWS_KMS", "EXTERNAL"):
        raise unsupported(f"FakeKms does not have keys of origin {origin}")
    if usage != "ENCRYPT_DECRYPT" and usage not in _UNUSED_USAGES:
        raise validation_fault("1 validation error detected: Value at 'keyUsage' is not a key usage")
    if (usage == "ENCRYPT_DECRYPT") != (spec == _SYMMETRIC):
        raise unsupported(f"FakeKms does not have {usage} keys of spec {spec}")


def _check_policy_name(call: Call) -> None:
    if call.get("PolicyName", "default") != "default":
        raise KmsFault("NotFoundException", "No such policy exists")
