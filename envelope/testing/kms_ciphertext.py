"""Ciphertext blobs: AES-GCM over the plaintext, bound to key, material and encryption context.

    version, 1 byte: 1 | length of the key id, 1 byte | key id | material id, 32 bytes | IV, 12 bytes | AES-GCM

The service's own blobs are opaque; so should these be to whoever tests with them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from envelope.crypto.gcm import InvalidTag
from envelope.testing.kms_faults import KmsFault
from envelope.testing.kms_keys import Material, SharedKey

__all__ = ["Blob", "open_blob", "parse_blob", "seal_blob"]

_VERSION = 1
_MATERIAL_ID_BYTES = 32
_IV_BYTES = 12
_TAG_BYTES = 16


@dataclass(frozen=True, slots=True)
class Blob:
    """A ciphertext blob in its parts; `prefix` is what stands before the IV, and is authenticated."""

    key_id: str
    material_id: str
    prefix: bytes
    iv: bytes
    sealed: bytes


def seal_blob(
    shared: SharedKey,
    material: Material,
    plaintext: bytes,
    context: Mapping[str, str],
    random_bytes: Callable[[int], bytes],
) -> bytes:
    """Encrypt under this material of this key."""
    key_id = shared.key_id.encode()
    prefix = bytes([_VERSION, len(key_id)]) + key_id + bytes.fromhex(material.material_id)
    iv = random_bytes(_IV_BYTES)
    return prefix + iv + material.cipher.encrypt(iv, plaintext, prefix + _canonical(context))


def parse_blob(blob: bytes) -> Blob:
    """Take a blob apart.

    Raises:
        KmsFault: InvalidCiphertextException.
    """
    if len(blob) < 2 or blob[0] != _VERSION:
        raise _invalid()
    key_id_end = 2 + blob[1]
    prefix_end = key_id_end + _MATERIAL_ID_BYTES
    iv_end = prefix_end + _IV_BYTES
    if len(blob) < iv_end + _TAG_BYTES:
        raise _invalid()
    key_id = blob[2:key_id_end].decode("ascii", errors="replace")
    material_id = blob[key_id_end:prefix_end].hex()
    return Blob(key_id, material_id, blob[:prefix_end], blob[prefix_end:iv_end], blob[iv_end:])


def open_blob(shared: SharedKey, blob: Blob, context: Mapping[str, str]) -> bytes:
    """Decrypt.

    Raises:
        KmsFault: InvalidCiphertextException, without a text, whatever it is that does not fit.
    """
    material = shared.materials.get(blob.material_id)
    if material is None:
        raise _invalid()
    try:
        return material.cipher.decrypt(blob.iv, blob.sealed, blob.prefix + _canonical(context))
    except InvalidTag:
        raise _invalid() from None


def _canonical(context: Mapping[str, str]) -> bytes:
    return json.dumps(sorted(context.items())).encode()


def _invalid() -> KmsFault:
    return KmsFault("InvalidCiphertextException")
