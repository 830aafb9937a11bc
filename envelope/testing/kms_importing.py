"""Import of key material, without the RSA wrapping in which it travels to the service."""

from __future__ import annotations

from types import NoneType

from envelope.errors import InvalidArgument
from envelope.testing.kms_keys import KmsKey, Material
from envelope.testing.kms_state import KmsState

__all__ = ["import_key_material"]

MATERIAL_BYTES = 32


def import_key_material(state: KmsState, key_arn: str, secret: bytes, valid_to_s: float | None) -> None:
    """Give a key its imported material; whoever calls holds the service's lock.

    Raises:
        InvalidArgument: no such key, a key of another origin or pending deletion, or other material.
    """
    given: object = secret
    if not isinstance(given, bytes):
        raise InvalidArgument(f"key material must be bytes, not {type(given).__name__}")
    expiry: object = valid_to_s
    if isinstance(expiry, bool) or not isinstance(expiry, (int, float, NoneType)):
        raise InvalidArgument(f"valid_to_s must be a number of seconds, not {type(expiry).__name__}")
    key = next((key for key in state.keys.values() if key.arn == key_arn), None)
    if key is None or key.shared.origin != "EXTERNAL":
        raise InvalidArgument(f"{key_arn} is no key for imported material", hint='CreateKey with Origin="EXTERNAL"')
    if len(secret) != MATERIAL_BYTES:
        raise InvalidArgument(f"key material has {len(secret)} bytes, not {MATERIAL_BYTES}")
    if key.state() in ("PendingDeletion", "PendingReplicaDeletion"):
        raise InvalidArgument(f"{key_arn} is pending deletion")
    _check_same(key, secret)
    key.shared.add_material(secret)
    key.material_present, key.valid_to_s = True, valid_to_s


def _check_same(key: KmsKey, secret: bytes) -> None:
    if key.shared.materials.keys() - {Material.of(secret).material_id}:
        raise InvalidArgument(f"{key.arn} was given other material before: only the same can be imported again")
