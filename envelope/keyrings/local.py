"""Local keyring: data keys wrapped under a key of a local keystore.

Its encrypted data keys are those of a raw AES keyring whose namespace is ``local-keystore/<keystore id>`` and whose
key name is ``<key>/<version>``, so any other implementation opens the messages given the exported key.
"""

from __future__ import annotations

import os

from envelope.errors import InvalidArgument
from envelope.keyrings.protocol import UnwrapRefused, shown_key, shown_key_name, unwrap_first
from envelope.keyrings.raw_aes import AesWrappingKey, make_wrapping_key, stored_name
from envelope.keystore.store import LocalKeystore, version_name
from envelope.materials import DataKey, EncryptedDataKey, UnwrappedDataKey, UnwrapRequest, WrapRequest

__all__ = ["LocalKeyring"]


class LocalKeyring:
    """Wraps data keys under the newest version of a key in a local keystore; unwraps under the version that was used.

    Args:
        keystore: an open keystore.
        name: a key in it.

    Raises:
        KeystoreError: the keystore has no such key.
    """

    __slots__ = ("_keystore", "_name")

    def __init__(self, keystore: LocalKeystore, name: str) -> None:
        if not isinstance(keystore, LocalKeystore):
            raise InvalidArgument(f"keystore must be an envelope.LocalKeystore, not {type(keystore).__name__}")
        keystore.versions(name)
        self._keystore = keystore
        self._name = name

    def __repr__(self) -> str:
        return f"LocalKeyring({self._keystore!r}, {self._name!r})"

    def wrap(self, request: WrapRequest) -> DataKey:
        """See `Keyring.wrap`. The newest version of the key as it is in the file now."""
        newest = self._keystore.versions(self._name)[-1]
        data_key = request.data_key or os.urandom(request.suite.data_key_bytes)
        wrapping_key = self._wrapping_key(newest.version, newest.wrapping_key)
        return DataKey(data_key, (wrapping_key.wrap(data_key, request.encryption_context.serialized),))

    def unwrap(self, request: UnwrapRequest) -> UnwrappedDataKey:
        """See `Keyring.unwrap`."""
        associated_data = request.encryption_context.serialized
        return unwrap_first(
            request,
            keyring=repr(self),
            unwrap_one=lambda key: self._unwrap_one(key, associated_data),
            key_name=shown_key_name,
        )

    def _unwrap_one(self, key: EncryptedDataKey, associated_data: bytes) -> bytes:
        name, _, number = stored_name(key).rpartition("/")
        if key.provider_id != self._keystore.namespace or name != self._name:
            raise UnwrapRefused(f"the data key is wrapped under another key, {shown_key(key)}")
        version = self._keystore.known_version(name, int(number)) if _is_number(number) else None
        if version is None:
            raise UnwrapRefused(f"the keystore has no version {number} of key {name!r}")
        return self._wrapping_key(version.version, version.wrapping_key).unwrap(key, associated_data)

    def _wrapping_key(self, version: int, wrapping_key: bytes) -> AesWrappingKey:
        return make_wrapping_key(self._keystore.namespace, version_name(self._name, version), wrapping_key)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9
