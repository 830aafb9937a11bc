"""Raw RSA keyring: data keys encrypted to an RSA public key.

    provider id     the namespace
    provider info   the key name
    ciphertext      RSA(data key)

RSA binds no associated data: the encryption context is not bound to the wrapped key, only to the message.

Source: AWS Encryption SDK specification, framework/raw-rsa-keyring.md.
"""

from __future__ import annotations

import os
from enum import Enum
from typing import TYPE_CHECKING

from envelope.errors import InvalidArgument
from envelope.key_names import check_key_name, check_namespace
from envelope.keyrings.protocol import UnwrapRefused, shown_key, shown_key_name, unwrap_first
from envelope.materials import DataKey, EncryptedDataKey, UnwrappedDataKey, UnwrapRequest, WrapRequest

if TYPE_CHECKING:
    from envelope.crypto.rsa import RSAPrivateKey, RSAPublicKey

__all__ = ["RawRsaKeyring", "RsaPadding"]

MIN_WRAPPING_BITS = 2048
"""NIST SP 800-131A: shorter keys may only decrypt what was encrypted before."""


class RsaPadding(Enum):
    """How a data key is padded. OAEP uses the same hash for the label and for MGF1."""

    PKCS1 = None
    """PKCS #1 v1.5, only for systems that have nothing else."""
    OAEP_SHA1 = "sha1"
    OAEP_SHA256 = "sha256"
    OAEP_SHA384 = "sha384"
    OAEP_SHA512 = "sha512"


class RawRsaKeyring:
    """Wraps data keys under an RSA public key and unwraps them with the private key.

    Args:
        namespace: names the system the key belongs to; not empty, and not ``aws-kms``.
        name: names the key; not empty. Both stand in the message in the clear.
        public_key: PEM bytes or a key object, to encrypt; taken from the private key where that alone is given.
            At least 2,048 bits.
        private_key: PEM bytes without a passphrase or a key object, to decrypt.
        padding: both sides must use the same.

    Raises:
        InvalidArgument: no key, a key that cannot be read, or two keys that are no pair.
    """

    __slots__ = ("_name", "_namespace", "_padding", "_private_key", "_public_key")

    def __init__(
        self,
        namespace: str,
        name: str,
        *,
        public_key: bytes | RSAPublicKey | None = None,
        private_key: bytes | RSAPrivateKey | None = None,
        padding: RsaPadding = RsaPadding.OAEP_SHA256,
    ) -> None:
        self._namespace = check_namespace(namespace)
        self._name = check_key_name(name)
        if not isinstance(padding, RsaPadding):
            raise InvalidArgument(f"padding must be an envelope.RsaPadding, not {type(padding).__name__}")
        self._padding = padding
        self._public_key, self._private_key = _key_pair(public_key, private_key)

    def __repr__(self) -> str:
        return f"RawRsaKeyring({self._namespace!r}, {self._name!r})"

    def wrap(self, request: WrapRequest) -> DataKey:
        """See `Keyring.wrap`."""
        if self._public_key.key_size < MIN_WRAPPING_BITS:
            raise InvalidArgument(
                f"{self!r} has an RSA key of less than {MIN_WRAPPING_BITS:,} bits, which may only decrypt",
                hint="encrypt under a new key of 3,072 bits or more",
            )
        data_key = request.data_key or os.urandom(request.suite.data_key_bytes)
        from envelope.crypto import rsa

        ciphertext = rsa.wrap(self._public_key, data_key, self._padding.value)
        return DataKey(data_key, (EncryptedDataKey(self._namespace, self._name.encode(), ciphertext),))

    def unwrap(self, request: UnwrapRequest) -> UnwrappedDataKey:
        """See `Keyring.unwrap`."""
        return unwrap_first(request, keyring=repr(self), unwrap_one=self._unwrap_one, key_name=shown_key_name)

    def _unwrap_one(self, key: EncryptedDataKey) -> bytes:
        if key.provider_id != self._namespace or key.provider_info != self._name.encode():
            raise UnwrapRefused(f"the data key is wrapped under another key, {shown_key(key)}")
        if self._private_key is None:
            raise UnwrapRefused("this keyring has no private key, so it only encrypts")
        from envelope.crypto import rsa

        try:
            return rsa.unwrap(self._private_key, key.ciphertext, self._padding.value)
        except ValueError as error:
            raise UnwrapRefused("the wrapped data key does not decrypt under this key and padding") from error


def _key_pair(public_key: object, private_key: object) -> tuple[RSAPublicKey, RSAPrivateKey | None]:
    from envelope.crypto import rsa  # 15 ms that programs without RSA never need

    try:
        public = None if public_key is None else rsa.as_public_key(public_key)
    except ValueError as error:
        raise InvalidArgument(f"public_key {error}") from error
    try:
        private = None if private_key is None else rsa.as_private_key(private_key)
    except ValueError as error:
        raise InvalidArgument(f"private_key {error}") from error
    if private is None:
        if public is None:
            raise InvalidArgument("a raw RSA keyring needs a public_key to encrypt, a private_key to decrypt, or both")
        return public, None
    own = private.public_key()
    if public is not None and public.public_numbers() != own.public_numbers():
        raise InvalidArgument("public_key and private_key are not a pair")
    return own, private
