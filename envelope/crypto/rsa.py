"""RSA encryption of data keys, and the PEM forms that it takes.

Every cryptography exception becomes a ValueError with a text of ours; the keyring puts the argument's name before it.
"""

from __future__ import annotations

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

__all__ = ["RSAPrivateKey", "RSAPublicKey", "as_private_key", "as_public_key", "unwrap", "wrap"]

_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),  # noqa: S303 - OAEP does not rest on collision resistance; other implementations offer it
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


def as_public_key(key: object) -> RSAPublicKey:
    """An RSA public key: a key object, or PEM bytes (SubjectPublicKeyInfo)."""
    if isinstance(key, RSAPublicKey):
        return key
    if not isinstance(key, bytes):
        raise ValueError(f"must be PEM bytes or an RSA public key object, not {type(key).__name__}")
    try:
        loaded = serialization.load_pem_public_key(key)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("is not a public key in PEM") from error
    if not isinstance(loaded, RSAPublicKey):
        raise ValueError("is a public key in PEM, but not of RSA")
    return loaded


def as_private_key(key: object) -> RSAPrivateKey:
    """An RSA private key: a key object, or PEM bytes (PKCS #8 or PKCS #1) without a passphrase."""
    if isinstance(key, RSAPrivateKey):
        return key
    if not isinstance(key, bytes):
        raise ValueError(f"must be PEM bytes or an RSA private key object, not {type(key).__name__}")
    try:
        loaded = serialization.load_pem_private_key(key, password=None)
    except TypeError as error:
        raise ValueError("is a private key in PEM under a passphrase; load it and give the key object") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("is not a private key in PEM") from error
    if not isinstance(loaded, RSAPrivateKey):
        raise ValueError("is a private key in PEM, but not of RSA")
    return loaded


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
