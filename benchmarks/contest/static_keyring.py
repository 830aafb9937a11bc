"""A keyring with the data key at hand: what is measured is the library, and nothing that unwraps keys."""

from __future__ import annotations

import os

from envelope import (
    Client,
    DataKey,
    EncryptedDataKey,
    UnwrappedBy,
    UnwrappedDataKey,
    UnwrapRequest,
    WrapRequest,
)

__all__ = ["static_client"]

_ARN = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
_KMS_CIPHERTEXT_BYTES = 184
"""So long is a 32-byte data key that a symmetric KMS key has encrypted."""


class StaticKeyring:
    """Hands out one data key, wrapped once as KMS would have wrapped it."""

    def __init__(self) -> None:
        plaintext = os.urandom(32)
        wrapped = EncryptedDataKey("aws-kms", _ARN.encode(), os.urandom(_KMS_CIPHERTEXT_BYTES))
        self._data_key = DataKey(plaintext, (wrapped,))
        self._unwrapped = UnwrappedDataKey(plaintext, UnwrappedBy("static", "aws-kms", _ARN))

    def wrap(self, _request: WrapRequest, /) -> DataKey:
        return self._data_key

    def unwrap(self, _request: UnwrapRequest, /) -> UnwrappedDataKey:
        return self._unwrapped


def static_client() -> Client:
    """A client with the default options over a `StaticKeyring`."""
    return Client(StaticKeyring())
