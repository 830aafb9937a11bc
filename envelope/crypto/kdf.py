"""Key derivation: HKDF (RFC 5869) as the algorithm suites use it, and scrypt (RFC 7914) for passphrases."""

from __future__ import annotations

try:
    # OpenSSL's HMAC, which `hmac.new` wraps. Three of them make up half the time of a small message, and
    # the wrapper adds 40 % to each (benchmarks/README.md).
    from _hashlib import hmac_new
except ImportError:  # a Python built without OpenSSL
    from hmac import new as hmac_new  # type: ignore[assignment]  # same call, without the keyword forms used nowhere

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

__all__ = ["derive_committed_keys", "derive_content_key", "derive_from_passphrase"]

_HASH_BYTES = {"sha256": 32, "sha384": 48, "sha512": 64}


def derive_content_key(hash_name: str, data_key: bytes, info: bytes) -> bytes:
    """HKDF without a salt, expanded to the length of the data key (which is at most one hash long).

    Source: framework/algorithm-suites.md, suites of version 1: the salt is as many zero bytes as the hash is long.
    """
    pseudorandom_key = hmac_new(bytes(_HASH_BYTES[hash_name]), data_key, hash_name).digest()
    return hmac_new(pseudorandom_key, info + b"\x01", hash_name).digest()[: len(data_key)]


def derive_committed_keys(suite_id: bytes, data_key: bytes, message_id: bytes) -> tuple[bytes, bytes]:
    """The content key and the commitment of a message of version 2, 32 bytes each.

    Args:
        data_key: 32 bytes.
        message_id: 32 bytes; the salt of the HKDF, so never twice with one data key.

    Source: framework/algorithm-suites.md: one HKDF-SHA512 extract, two expands of one block each.
    """
    pseudorandom_key = hmac_new(message_id, data_key, "sha512").digest()
    content_key = hmac_new(pseudorandom_key, b"", "sha512")
    commitment = content_key.copy()
    content_key.update(suite_id + b"DERIVEKEY\x01")
    commitment.update(b"COMMITKEY\x01")
    return content_key.digest()[:32], commitment.digest()[:32]


def derive_from_passphrase(passphrase: bytes, salt: bytes, *, n: int, r: int, p: int) -> bytes:
    """A 32-byte key from a passphrase by scrypt; takes 128 * n * r bytes of memory."""
    return Scrypt(salt=salt, length=32, n=n, r=r, p=p).derive(passphrase)
