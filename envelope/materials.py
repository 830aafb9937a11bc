"""What one message is encrypted with: the data key, its wrapped forms, and what keyrings are asked for.

Nothing here knows the message format, so other formats can stand on the same keyrings and the same cache.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol

from envelope.context import EncryptionContext
from envelope.suites import Suite

__all__ = [
    "DataKey",
    "EncryptedDataKey",
    "Signer",
    "UnwrapRequest",
    "UnwrappedBy",
    "UnwrappedDataKey",
    "WrapRequest",
]

MAX_FIELD_BYTES = 65_535
"""Each field of an encrypted data key is counted in two bytes."""


class HoldsKey:
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
class WrapRequest(HoldsKey):
    """What a keyring is asked on encryption.

    Attributes:
        suite: the suite of the message; the data key has `suite.data_key_bytes` bytes.
        encryption_context: all pairs, stored or not, and the public signing key where the suite signs.
        data_key: the key to wrap, or None: make a new one, then wrap it.
        identity: bytes that two requests have in common if suite and encryption context are the same.
    """

    suite: Suite
    encryption_context: EncryptionContext
    data_key: bytes | None = field(default=None, repr=False)
    identity: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "identity", self.suite.id_bytes + self.encryption_context.serialized)


class Signer(Protocol):
    """A signing key: of a single message, or of all messages under one data key.

    Attributes:
        signature_bytes: the length of every signature.
    """

    signature_bytes: int

    def public_key_text(self) -> str:
        """The public key as the encryption context holds it."""
        ...

    def sign(self, digest: bytes, hash_name: str) -> bytes:
        """A DER signature of `signature_bytes` bytes."""
        ...


@dataclass(frozen=True, slots=True)
class DataKey(HoldsKey):
    """A data key in the clear and its wrapped forms.

    Attributes:
        plaintext: the data key.
        encrypted_data_keys: in the order in which they are tried on decryption.
        signing_key: signs the messages; its public key is in the encryption context that the data key was wrapped with.
            A keyring that gives one data key for several messages makes the signing key with it; the others leave None.
        count_bytes: told of bytes before they are sealed; raises if the data key must not take them. None where nobody
            counts.
        remembered: what a message format made of this data key, and for what: the next message under it may want it.
    """

    plaintext: bytes = field(repr=False)
    encrypted_data_keys: tuple[EncryptedDataKey, ...]
    signing_key: Signer | None = field(default=None, repr=False)
    count_bytes: Callable[[int], None] | None = field(default=None, repr=False, compare=False)
    remembered: tuple[object, Any] | None = field(default=None, init=False, repr=False, compare=False)

    def remember(self, purpose: object, value: object) -> None:
        """Keep something as long as the data key itself; it takes the place of what was kept before."""
        object.__setattr__(self, "remembered", (purpose, value))


@dataclass(frozen=True, slots=True)
class UnwrapRequest:
    """What a keyring is asked on decryption. Nothing of it is authenticated yet.

    Attributes:
        suite: the suite that the message names.
        encryption_context: the pairs that the message stores and those that the caller added.
        encrypted_data_keys: in the order of the message, at least one.
        identity: bytes that two requests have in common if all three are the same.
    """

    suite: Suite
    encryption_context: EncryptionContext
    encrypted_data_keys: tuple[EncryptedDataKey, ...]
    identity: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Every field with its length, so that no two requests have the same bytes.
        fields = [self.encryption_context.serialized]
        for key in self.encrypted_data_keys:
            fields += (key.provider_id.encode(), key.provider_info, key.ciphertext)
        lengths = b"".join(len(field).to_bytes(4, "big") for field in fields)
        object.__setattr__(self, "identity", b"".join((self.suite.id_bytes, lengths, *fields)))


@dataclass(frozen=True, slots=True)
class UnwrappedBy:
    """Who unwrapped the data key: the keyring's own name for itself, and the key as the message names it."""

    keyring: str
    provider_id: str
    key_name: str


@dataclass(frozen=True, slots=True)
class UnwrappedDataKey(HoldsKey):
    """A data key in the clear, `suite.data_key_bytes` bytes, and who unwrapped it."""

    plaintext: bytes = field(repr=False)
    unwrapped_by: UnwrappedBy
