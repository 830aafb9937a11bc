"""Operations that give a key new material: rotation, and deletion of imported material."""

from __future__ import annotations

from typing import Any

from envelope.testing.kms_access import Call, key_of
from envelope.testing.kms_faults import KmsFault, unsupported
from envelope.testing.kms_keys import DAY_S, KmsKey, Rotation
from envelope.testing.kms_limits import page

__all__ = [
    "delete_imported_key_material",
    "disable_key_rotation",
    "enable_key_rotation",
    "get_key_rotation_status",
    "list_key_rotations",
    "rotate_key_on_demand",
]

_DEFAULT_PERIOD_DAYS = 365
MAX_ROTATIONS_ON_DEMAND = 25


def enable_key_rotation(call: Call) -> dict[str, Any]:
    key = _rotatable_key(call)
    days = call.get("RotationPeriodInDays", _DEFAULT_PERIOD_DAYS)
    key.shared.rotation_period_days = days
    key.shared.next_rotation_s = call.now_s + days * DAY_S
    return {}


def disable_key_rotation(call: Call) -> dict[str, Any]:
    key = _rotatable_key(call)
    key.shared.rotation_period_days = key.shared.next_rotation_s = None
    return {}


def get_key_rotation_status(call: Call) -> dict[str, Any]:
    key = key_of(call)
    _check_kind(key)
    key.check_not_pending_deletion()
    told: dict[str, Any] = {"KeyId": key.arn, "KeyRotationEnabled": key.shared.rotation_period_days is not None}
    if key.shared.rotation_period_days is None:
        return told
    return {
        **told,
        "RotationPeriodInDays": key.shared.rotation_period_days,
        "NextRotationDate": key.shared.next_rotation_s,
    }


def rotate_key_on_demand(call: Call) -> dict[str, Any]:
    key = _rotatable_key(call)
    shared = key.shared
    if sum(rotation.kind == "ON_DEMAND" for rotation in shared.rotations) >= MAX_ROTATIONS_ON_DEMAND:
        raise KmsFault("LimitExceededException", f"{key.arn} has been rotated on demand as often as it can be.")
    material = shared.add_material(call.state.random_bytes(32))
    shared.rotations.append(Rotation(material.material_id, call.now_s, "ON_DEMAND"))
    return {"KeyId": key.arn}


def list_key_rotations(call: Call) -> dict[str, Any]:
    key = key_of(call)
    _check_kind(key)
    if call.get("IncludeKeyMaterial", "ROTATIONS_ONLY") != "ROTATIONS_ONLY":
        raise unsupported("FakeKms lists rotations only")
    rotations = [
        {
            "KeyId": key.arn,
            "KeyMaterialId": rotation.material_id,
            "RotationDate": rotation.date_s,
            "RotationType": rotation.kind,
        }
        for rotation in key.shared.rotations
    ]
    return page(call.parameters, "Rotations", rotations)


def delete_imported_key_material(call: Call) -> dict[str, Any]:
    key = key_of(call)
    if key.shared.origin != "EXTERNAL":
        raise unsupported(f"{key.arn} origin is {key.shared.origin} which is not valid for this operation.")
    key.check_not_pending_deletion()
    told = {"KeyId": key.arn}
    if key.material_present:
        told["KeyMaterialId"] = key.shared.current_material().material_id
    key.material_present, key.valid_to_s = False, None
    return told


def _rotatable_key(call: Call) -> KmsKey:
    key = key_of(call)
    _check_kind(key)
    if not key.is_primary:
        raise unsupported(f"{key.arn} is a replica key: rotate the primary key.")
    key.check_usable()
    return key


def _check_kind(key: KmsKey) -> None:
    if key.shared.origin != "AWS_KMS" or key.shared.usage != "ENCRYPT_DECRYPT":
        raise unsupported(f"{key.arn} does not support rotation.")
