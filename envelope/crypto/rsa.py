"""RSA encryption of data keys, and the PEM forms that it takes.

Every cryptography exception becomes a ValueError with a text of ours here; the keyring makes it one of our own.
"""

from __future__ import annotations

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

__all__ = ["RSAPrivateKey", "RSAPublicKey", "load_private_key", "load_public_key", "unwrap", "wrap"]

_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),  # noqa: S303 - OAEP does not rest on collision resistance; other implementations offer it
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


def load_public_key(pem: bytes) -> RSAPublicKey:
    """An RSA public key from PEM (SubjectPublicKeyInfo)."""
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("not a public key in PEM") from error
    if not isinstance(key, RSAPublicKey):
        raise ValueError("a public key in PEM, but not of RSA")
    return key


def load_private_key(pem: bytes) -> RSAPrivateKey:
    """An RSA private key from PEM (PKCS #8 or PKCS #1) without a passphrase."""
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except TypeError as error:
        raise ValueError("a private key in PEM under a passphrase; load it and give the key object") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("not a private key in PEM") from error
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("a private key in PEM, but not of RSA")
    return key


def wrap(key: RSAPublicKey, data_key: bytes, oaep_hash: str | None) -> bytes:
    """Encrypt a data key; without an OAEP hash by PKCS #1 v1.5."""
    return key.encrypt(data_key, _padding(oaep_hash))


def unwrap(key: RSAPrivateKey, ciphertext: bytes, oaep_hash: str | None) -> bytes:
    """Decrypt a data key; without an OAEP hash by PKCS #1 v1.5, where a wrong padding gives random bytes.

    Raises:
        ValueError: the ciphertext does not decrypt, for a reason that must not be told apart.
    """
    return key.decrypt(ciphertext, _padding(oaep_hash))


def _padding(oaep_hash: str | None) -> padding.AsymmetricPadding:
    if oaep_hash is None:
        return padding.PKCS1v15()
    algorithm = _HASHES[oaep_hash]
    return padding.OAEP(mgf=padding.MGF1(algorithm), algorithm=algorithm, label=None)
