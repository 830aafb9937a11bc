"""Operations that use a key: data keys, encryption, decryption, random bytes."""

from __future__ import annotations

import base64
from typing import Any

from envelope.testing.kms_access import (
    Call,
    authorize,
    authorize_account,
    denied_ciphertext,
    find_key,
    key_of,
    stop_dry_run,
)
from envelope.testing.kms_ciphertext import Blob, open_blob, parse_blob, seal_blob
from envelope.testing.kms_faults import KmsFault, validation_fault
from envelope.testing.kms_keys import KmsKey, Material
from envelope.testing.kms_limits import blob_of

__all__ = [
    "decrypt",
    "encrypt",
    "generate_data_key",
    "generate_data_key_without_plaintext",
    "generate_random",
    "re_encrypt",
]

_ALGORITHM = "SYMMETRIC_DEFAULT"
_KEY_SPEC_BYTES = {"AES_256": 32, "AES_128": 16}


def generate_data_key(call: Call) -> dict[str, Any]:
    length_bytes = _data_key_bytes(call)
    key = _usable_key(call)
    stop_dry_run(call)
    plaintext = call.state.random_bytes(length_bytes)
    material = key.shared.current_material()
    blob = _sealed(call, key, material, plaintext, call.context())
    return {
        "KeyId": key.arn,
        "Plaintext": _base64(plaintext),
        "CiphertextBlob": blob,
        "KeyMaterialId": material.material_id,
    }


def generate_data_key_without_plaintext(call: Call) -> dict[str, Any]:
    answer = generate_data_key(call)
    del answer["Plaintext"]
    return answer


def encrypt(call: Call) -> dict[str, Any]:
    key = _usable_key(call)
    stop_dry_run(call)
    blob = _sealed(call, key, key.shared.current_material(), blob_of(call.parameters, "Plaintext"), call.context())
    return {"KeyId": key.arn, "CiphertextBlob": blob, "EncryptionAlgorithm": _ALGORITHM}


def decrypt(call: Call) -> dict[str, Any]:
    blob = parse_blob(_ciphertext(call))
    key = _key_of_ciphertext(call, blob, key_name=call.get("KeyId"), action="Decrypt", context=call.context())
    plaintext = open_blob(key.shared, blob, call.context())
    stop_dry_run(call)
    return {
        "KeyId": key.arn,
        "Plaintext": _base64(plaintext),
        "EncryptionAlgorithm": _ALGORITHM,
        "KeyMaterialId": blob.material_id,
    }


def re_encrypt(call: Call) -> dict[str, Any]:
    blob = parse_blob(_ciphertext(call))
    from_context = call.context("SourceEncryptionContext")
    to_context = call.context("DestinationEncryptionContext")
    source = _key_of_ciphertext(
        call, blob, key_name=call.get("SourceKeyId"), action="ReEncryptFrom", context=from_context
    )
    destination = find_key(call, call.parameters["DestinationKeyId"])
    authorize(call, destination, action="ReEncryptTo", context=to_context)
    _check_usable(call, destination)
    plaintext = open_blob(source.shared, blob, from_context)
    stop_dry_run(call)
    material = destination.shared.current_material()
    return {
        "CiphertextBlob": _sealed(call, destination, material, plaintext, to_context),
        "SourceKeyId": source.arn,
        "KeyId": destination.arn,
        "SourceEncryptionAlgorithm": _ALGORITHM,
        "DestinationEncryptionAlgorithm": _ALGORITHM,
        "SourceKeyMaterialId": blob.material_id,
        "DestinationKeyMaterialId": material.material_id,
    }


def generate_random(call: Call) -> dict[str, Any]:
    authorize_account(call)
    if "NumberOfBytes" not in call.parameters:
        raise validation_fault("NumberOfBytes is required.")
    return {"Plaintext": _base64(call.state.random_bytes(call.parameters["NumberOfBytes"]))}


def _data_key_bytes(call: Call) -> int:
    spec, number = call.get("KeySpec"), call.get("NumberOfBytes")
    if (spec is None) == (number is None):
        raise validation_fault("Please specify either number of bytes or key spec.")
    if spec is not None and spec not in _KEY_SPEC_BYTES:
        raise validation_fault("1 validation error detected: Value at 'keySpec' must be AES_256 or AES_128")
    return number if spec is None else _KEY_SPEC_BYTES[spec]


def _ciphertext(call: Call) -> bytes:
    if "CiphertextBlob" not in call.parameters:
        raise validation_fault("1 validation error detected: Value at 'ciphertextBlob' must not be null")
    return blob_of(call.parameters, "CiphertextBlob")


def _usable_key(call: Call) -> KmsKey:
    key = key_of(call, context=call.context())
    _check_usable(call, key)
    return key


def _check_usable(call: Call, key: KmsKey) -> None:
    key.check_usable()
    if key.shared.usage != "ENCRYPT_DECRYPT":
        raise KmsFault(
            "InvalidKeyUsageException",
            f"{key.arn} key usage is {key.shared.usage} which is not valid for {call.operation}.",
        )


def _key_of_ciphertext(call: Call, blob: Blob, *, key_name: str | None, action: str, context: dict[str, str]) -> KmsKey:
    """The key under which the blob was encrypted, if the caller may use it and it is the one that was asked for."""
    key = _named_by(call, blob, action) if key_name is None else find_key(call, key_name)
    authorize(call, key, action=action, context=context)
    _check_usable(call, key)
    if key.key_id != blob.key_id:
        known = any(key_id == blob.key_id for _, key_id in call.state.keys)
        raise KmsFault(*_INCORRECT_KEY) if known else KmsFault("InvalidCiphertextException")
    return key


_INCORRECT_KEY = (
    "IncorrectKeyException",
    "The key ID in the request does not identify a CMK that can perform this operation.",
)


def _named_by(call: Call, blob: Blob, action: str) -> KmsKey:
    key = call.state.key_in(call.caller.region, blob.key_id)
    if key is None:
        known = any(key_id == blob.key_id for _, key_id in call.state.keys)
        raise denied_ciphertext(call, action) if known else KmsFault("InvalidCiphertextException")
    call.key_arn = key.arn
    return key


def _sealed(call: Call, key: KmsKey, material: Material, plaintext: bytes, context: dict[str, str]) -> str:
    return _base64(seal_blob(key.shared, material, plaintext, context, call.state.random_bytes))


def _base64(blob: bytes) -> str:
    return base64.b64encode(blob).decode()
