"""What one message is encrypted with: the data key, its wrapped forms, and what keyrings are asked for.

Nothing here knows the message format, so other formats can stand on the same keyrings and the same cache.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NoReturn

from envelope.context import EncryptionContext
from envelope.suites import Suite

__all__ = [
    "DataKey",
    "EncryptedDataKey",
    "UnwrapRequest",
    "UnwrappedBy",
    "UnwrappedDataKey",
    "WrapRequest",
]

MAX_FIELD_BYTES = 65_535
"""Each field of an encrypted data key is counted in two bytes."""


class _HoldsKey:
    """Refuses to be pickled: a data key must not land in a queue, a cache server or a crash dump by accident."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(f"{type(self).__name__} holds a data key and cannot be pickled or copied")


@dataclass(frozen=True, slots=True)
class EncryptedDataKey:
    """A data key wrapped under one key.

    Attributes:
        provider_id: the key provider, like ``aws-kms`` or the namespace of a raw keyring.
        provider_info: which key of the provider, 0 to 65,535 bytes; a key ARN in UTF-8 for ``aws-kms``.
        ciphertext: the wrapped data key, 0 to 65,535 bytes.

    Source: AWS Encryption SDK specification, framework/structures.md#encrypted-data-key.
    """

    provider_id: str
    provider_info: bytes
    ciphertext: bytes = field(repr=False)

    def __hash__(self) -> int:
        # Tuples of keys are looked up for every message, and bytes remember their hash.
        return hash(self.ciphertext)


@dataclass(frozen=True, slots=True)
class WrapRequest(_HoldsKey):
    """What a keyring is asked on encryption.

    Attributes:
        suite: the suite of the message; the data key has `suite.data_key_bytes` bytes.
        encryption_context: all pairs, stored or not, and the public signing key where the suite signs.
        data_key: the key to wrap, or None: make a new one, then wrap it.
    """

    suite: Suite
    encryption_context: EncryptionContext
    data_key: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class DataKey(_HoldsKey):
    """A data key in the clear and its wrapped forms, in the order in which they are tried on decryption."""

    plaintext: bytes = field(repr=False)
    encrypted_data_keys: tuple[EncryptedDataKey, ...]


@dataclass(frozen=True, slots=True)
class UnwrapRequest:
    """What a keyring is asked on decryption. Nothing of it is authenticated yet.

    Attributes:
        suite: the suite that the message names.
        encryption_context: the pairs that the message stores and those that the caller added.
        encrypted_data_keys: in the order of the message, at least one.
    """

    suite: Suite
    encryption_context: EncryptionContext
    encrypted_data_keys: tuple[EncryptedDataKey, ...]


@dataclass(frozen=True, slots=True)
class UnwrappedBy:
    """Who unwrapped the data key: the keyring's own name for itself, and the key as the message names it."""

    keyring: str
    provider_id: str
    key_name: str


@dataclass(frozen=True, slots=True)
class UnwrappedDataKey(_HoldsKey):
    """A data key in the clear, `suite.data_key_bytes` bytes, and who unwrapped it."""

    plaintext: bytes = field(repr=False)
    unwrapped_by: UnwrappedBy
