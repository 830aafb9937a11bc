"""What the service refuses about a request before it looks at any key.

botocore checks types, required members and lower bounds. The rest is here.

Source: AWS KMS API reference; the constraints of botocore's model of KMS.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from envelope.testing.kms_faults import KmsFault, validation_fault

__all__ = ["blob_of", "check_request", "page"]

_BLOB_BYTES = {"Plaintext": 4_096, "CiphertextBlob": 6_144}
_TEXT_CHARACTERS = {"KeyId": 2_048, "AliasName": 256, "Description": 8_192, "Name": 256, "Policy": 131_072}
_NUMBERS = {
    "NumberOfBytes": (1, 1_024),
    "PendingWindowInDays": (7, 30),
    "RotationPeriodInDays": (90, 2_560),
    "Limit": (1, 1_000),
}
_CONTEXTS = ("EncryptionContext", "SourceEncryptionContext", "DestinationEncryptionContext")
MAX_GRANT_TOKENS = 10
_REGION = re.compile(r"([a-z]+-){2,3}\d+")
_ALGORITHMS = ("EncryptionAlgorithm", "SourceEncryptionAlgorithm", "DestinationEncryptionAlgorithm")


def check_request(parameters: Mapping[str, Any]) -> None:
    """Raise ValidationException for whatever is out of its range.

    Raises:
        KmsFault: ValidationException; UnsupportedOperationException for what the fake does not have.
    """
    for name, most_bytes in _BLOB_BYTES.items():
        if name in parameters and not 1 <= len(blob_of(parameters, name)) <= most_bytes:
            raise _out_of_range(name, f"length between 1 and {most_bytes}")
    for name, most_characters in _TEXT_CHARACTERS.items():
        if len(parameters.get(name) or "") > most_characters:
            raise _out_of_range(name, f"length less than or equal to {most_characters}")
    for name, (least, most) in _NUMBERS.items():
        if name in parameters and not least <= parameters[name] <= most:
            raise _out_of_range(name, f"value between {least} and {most}")
    for name in _CONTEXTS:
        _check_context(name, parameters.get(name) or {})
    _check_tokens_and_regions(parameters)
    _check_choices(parameters)


def blob_of(parameters: Mapping[str, Any], name: str) -> bytes:
    """The bytes of a blob, which travels as base64."""
    return base64.b64decode(parameters[name])


def page(call_parameters: Mapping[str, Any], name: str, items: list[Any]) -> dict[str, Any]:
    """One page of a list, and where the next one begins.

    Raises:
        KmsFault: InvalidMarkerException.
    """
    marker = call_parameters.get("Marker", "0")
    if not marker.isdecimal() or int(marker) > len(items):
        raise KmsFault("InvalidMarkerException", "the marker is not one that this list gave")
    end = int(marker) + call_parameters.get("Limit", 100)
    listed = {name: items[int(marker) : end], "Truncated": end < len(items)}
    return {**listed, "NextMarker": str(end)} if end < len(items) else listed


def _check_context(name: str, context: Mapping[str, str]) -> None:
    if not all(context) or not all(context.values()):
        raise _out_of_range(name, "length greater than or equal to 1 in every key and value")


def _check_tokens_and_regions(parameters: Mapping[str, Any]) -> None:
    if len(parameters.get("GrantTokens") or ()) > MAX_GRANT_TOKENS:
        raise _out_of_range("GrantTokens", f"length less than or equal to {MAX_GRANT_TOKENS}")
    for name in ("ReplicaRegion", "PrimaryRegion"):
        if name in parameters and _REGION.fullmatch(parameters[name]) is None:
            raise _out_of_range(name, "the form of a region")


def _check_choices(parameters: Mapping[str, Any]) -> None:
    for name in _ALGORITHMS:
        if parameters.get(name, "SYMMETRIC_DEFAULT") != "SYMMETRIC_DEFAULT":
            raise _out_of_range(name, "enum value set: [SYMMETRIC_DEFAULT], all that FakeKms has")
    for name in ("Recipient", "DryRunModifiers", "CustomKeyStoreId", "XksKeyId"):
        if name in parameters:
            raise KmsFault("UnsupportedOperationException", f"FakeKms does not have {name}")


def _out_of_range(name: str, constraint: str) -> KmsFault:
    shown = name[0].lower() + name[1:]
    return validation_fault(
        f"1 validation error detected: Value at '{shown}' failed to satisfy constraint: "
        f"Member must satisfy {constraint}"
    )
