"""Raw AES keyring: data keys wrapped under an AES key that the application holds.

    provider id     the namespace
    provider info   key name | tag length in bits, 4 bytes: 128 | IV length in bytes, 4 bytes: 12 | IV
    ciphertext      AES-GCM(wrapping key, IV, data key, associated data = serialized encryption context)

Source: AWS Encryption SDK specification, framework/raw-aes-keyring.md.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from envelope.crypto.gcm import AESGCM, InvalidTag
from envelope.errors import InvalidArgument
from envelope.key_names import check_key_name, check_namespace
from envelope.keyrings.protocol import UnwrapRefused, shown_key, shown_key_name, unwrap_first
from envelope.materials import (
    MAX_FIELD_BYTES,
    DataKey,
    EncryptedDataKey,
    UnwrappedDataKey,
    UnwrapRequest,
    WrapRequest,
)
from envelope.suites import IV_BYTES, TAG_BYTES

__all__ = ["RawAesKeyring"]

_FIXED_INFO = (TAG_BYTES * 8).to_bytes(4, "big") + IV_BYTES.to_bytes(4, "big")
_INFO_OVERHEAD_BYTES = len(_FIXED_INFO) + IV_BYTES
_WRAPPING_KEY_BYTES = (16, 24, 32)


@dataclass(frozen=True, slots=True)
class AesWrappingKey:
    """One AES wrapping key and the name it has in messages. Checked where it is made.

    The IVs are random: wrap fewer than 2**32 data keys under one key (NIST SP 800-38D section 8.3).
    """

    namespace: str
    name: str
    cipher: AESGCM = field(repr=False)

    def wrap(self, data_key: bytes, associated_data: bytes) -> EncryptedDataKey:
        iv = os.urandom(IV_BYTES)
        ciphertext = self.cipher.encrypt(iv, data_key, associated_data)
        return EncryptedDataKey(self.namespace, self.name.encode() + _FIXED_INFO + iv, ciphertext)

    def unwrap(self, key: EncryptedDataKey, associated_data: bytes) -> bytes:
        name = self.name.encode()
        info = key.provider_info
        if key.provider_id != self.namespace or not info.startswith(name):
            raise UnwrapRefused(f"the data key is wrapped under another key, {shown_key(key)}")
        if len(info) != len(name) + _INFO_OVERHEAD_BYTES or info[len(name) : -IV_BYTES] != _FIXED_INFO:
            raise UnwrapRefused("the provider information is not that of this key")
        try:
            return self.cipher.decrypt(info[-IV_BYTES:], key.ciphertext, associated_data)
        except InvalidTag as error:
            raise UnwrapRefused(
                "the wrapped data key is not authentic: another wrapping key or encryption context, or changed bytes"
            ) from error


def stored_name(key: EncryptedDataKey) -> str:
    """The key name in the provider information that a raw AES keyring wrote."""
    return key.provider_info[:-_INFO_OVERHEAD_BYTES].decode(errors="replace")


def make_wrapping_key(namespace: object, name: object, wrapping_key: object) -> AesWrappingKey:
    """Check the parts of a wrapping key and put them together."""
    if not isinstance(wrapping_key, (bytes, bytearray, memoryview)):
        raise InvalidArgument(
            f"wrapping key must be bytes, not {type(wrapping_key).__name__}",
            hint="os.urandom(32) makes one; text has to be decoded first, for example from base64",
        )
    key = bytes(wrapping_key)
    if len(key) not in _WRAPPING_KEY_BYTES:
        raise InvalidArgument(f"wrapping key has {len(key)} bytes; AES keys have 16, 24 or 32")
    checked_name = check_key_name(name, most_bytes=MAX_FIELD_BYTES - _INFO_OVERHEAD_BYTES)
    return AesWrappingKey(check_namespace(namespace), checked_name, AESGCM(key))


class RawAesKeyring:
    """Wraps data keys under one AES key, bound to the encryption context.

    Args:
        namespace: names the system the key belongs to; not empty, and not ``aws-kms``.
        name: names the key; not empty. Both stand in the message in the clear.
        wrapping_key: 16, 24 or 32 bytes; 32 are recommended for every suite.

    Raises:
        InvalidArgument: a name is empty or reserved, or the key has another length.
    """

    __slots__ = ("_key",)

    def __init__(self, namespace: str, name: str, wrapping_key: bytes | bytearray | memoryview) -> None:
        self._key = make_wrapping_key(namespace, name, wrapping_key)

    def __repr__(self) -> str:
        return f"RawAesKeyring({self._key.namespace!r}, {self._key.name!r})"

    def wrap(self, request: WrapRequest) -> DataKey:
        """See `Keyring.wrap`."""
        data_key = request.data_key or os.urandom(request.suite.data_key_bytes)
        return DataKey(data_key, (self._key.wrap(data_key, request.encryption_context.serialized),))

    def unwrap(self, request: UnwrapRequest) -> UnwrappedDataKey:
        """See `Keyring.unwrap`."""
        associated_data = request.encryption_context.serialized
        return unwrap_first(
            request,
            keyring=repr(self),
            unwrap_one=lambda key: self._key.unwrap(key, associated_data),
            key_name=shown_key_name,
        )
