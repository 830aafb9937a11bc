"""From a data key to the keys of one message.

Source: AWS Encryption SDK specification, framework/algorithm-suites.md#key-derivation-settings.
"""

from __future__ import annotations

import hmac

from envelope.crypto.kdf import derive_committed_keys, derive_content_key
from envelope.errors import NotAuthentic
from envelope.suites import Suite

__all__ = ["check_commitment", "derive_keys"]


def derive_keys(suite: Suite, data_key: bytes, message_id: bytes) -> tuple[bytes, bytes]:
    """The content key and the commitment of one message; the commitment is empty where the suite has none.

    Args:
        data_key: `suite.data_key_bytes` bytes.
        message_id: `suite.message_id_bytes` bytes, never twice with one data key.
    """
    if suite.is_committing:
        return derive_committed_keys(suite.id_bytes, data_key, message_id)
    if suite.hkdf_hash is None:
        return data_key, b""
    return derive_content_key(suite.hkdf_hash, data_key, suite.id_bytes + message_id), b""


def derive_net_4_0_0_key(suite: Suite, data_key: bytes, message_id: bytes) -> bytes:
    """The content key as ESDK .NET 4.0.0 derived it: without the message id in version 1."""
    if suite.is_committing or suite.hkdf_hash is None:
        return derive_keys(suite, data_key, message_id)[0]
    return derive_content_key(suite.hkdf_hash, data_key, suite.id_bytes)


def check_commitment(expected: bytes, stored: bytes) -> None:
    """Raise `NotAuthentic` if the message was not written under this data key; in constant time."""
    if not hmac.compare_digest(expected, stored):
        raise NotAuthentic(
            "the message does not commit to this data key",
            hint="the message was changed, or made to open differently under two keys; do not use it",
        )
