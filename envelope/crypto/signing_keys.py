"""Private keys that applications sign with: made, written as PEM, used, and shown to verifiers as JSON Web Keys.

Signatures have the form of JSON Web Signatures, so that whatever verifies those verifies these.

Source: RFC 7518 sections 3.3, 3.4, 6.2 and 6.3 (RSA and EC); RFC 8037 (Ed25519); RFC 7638 (thumbprints).
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

__all__ = ["PrivateSigningKey", "thumbprint"]

LEAST_RSA_BITS = 2_048
"""RFC 7518 section 3.3."""

MOST_RSA_BITS = 8_192
"""Larger ones take seconds to sign with."""

MOST_PEM_CHARACTERS = 16_384

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

_NEW: Mapping[str, Callable[[], PrivateKey]] = {
    "rsa-3072": lambda: rsa.generate_private_key(public_exponent=65_537, key_size=3_072),
    "ec-p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ec-p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}

# By the name of the curve: its name in a JWK, the algorithm, the hash, the bytes of a coordinate.
_CURVES: Mapping[str, tuple[str, str, hashes.HashAlgorithm, int]] = {
    "secp256r1": ("P-256", "ES256", hashes.SHA256(), 32),
    "secp384r1": ("P-384", "ES384", hashes.SHA384(), 48),
}


class PrivateSigningKey:
    """A private key for signatures. Its repr shows nothing of it, and it cannot be pickled.

    Attributes:
        algorithm: the name that JSON Web Signatures have for it: RS256, ES256, ES384 or EdDSA.
    """

    __slots__ = ("_key", "algorithm")

    def __init__(self, key: PrivateKey) -> None:
        self._key = key
        self.algorithm = _algorithm(key)

    @classmethod
    def new(cls, kind: str) -> PrivateSigningKey:
        """A fresh key: rsa-3072, ec-p256, ec-p384 or ed25519. RSA takes up to a second or two."""
        return cls(_NEW[kind]())

    @classmethod
    def parse(cls, pem: str) -> PrivateSigningKey:
        """A key in PEM (PKCS #8, or one of the older forms) without a passphrase.

        Raises:
            ValueError: it is none of RSA with 2,048 to 8,192 bits, P-256, P-384 and Ed25519. Nothing of it is quoted.
        """
        if len(pem) > MOST_PEM_CHARACTERS:
            raise ValueError("is too long for a private key")
        try:
            key = load_pem_private_key(pem.encode(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, PrivateKey):
            raise ValueError("is no private key of RSA, P-256, P-384 or Ed25519 in PEM without a passphrase")
        return cls(key)

    def __repr__(self) -> str:
        return f"PrivateSigningKey({self.algorithm})"

    def pem(self) -> str:
        """The key as PKCS #8 in PEM, not encrypted."""
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    def sign(self, message: bytes) -> bytes:
        """The signature in the form of JWS: for ECDSA both numbers side by side, each of the length of a coordinate."""
        if isinstance(self._key, rsa.RSAPrivateKey):
            return self._key.sign(message, padding.PKCS1v15(), hashes.SHA256())
        if isinstance(self._key, ed25519.Ed25519PrivateKey):
            return self._key.sign(message)
        _, _, algorithm, size = _CURVES[self._key.curve.name]
        r, s = decode_dss_signature(self._key.sign(message, ec.ECDSA(algorithm)))
        return r.to_bytes(size) + s.to_bytes(size)

    def is_valid(self, message: bytes, signature: bytes) -> bool:
        """Whether the signature is one of this key."""
        try:
            self._verify(message, signature)
        except InvalidSignature:
            return False
        return True

    def _verify(self, message: bytes, signature: bytes) -> None:
        if isinstance(self._key, rsa.RSAPrivateKey):
            return self._key.public_key().verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
        if isinstance(self._key, ed25519.Ed25519PrivateKey):
            return self._key.public_key().verify(signature, message)
        _, _, algorithm, size = _CURVES[self._key.curve.name]
        if len(signature) != 2 * size:
            raise InvalidSignature
        der = encode_dss_signature(int.from_bytes(signature[:size]), int.from_bytes(signature[size:]))
        return self._key.public_key().verify(der, message, ec.ECDSA(algorithm))

    def public_jwk(self) -> dict[str, str]:
        """The members of a JSON Web Key that make the public key: no kid, no alg, and nothing private."""
        if isinstance(self._key, rsa.RSAPrivateKey):
            rsa_numbers = self._key.public_key().public_numbers()
            return {"e": _text(_shortest(rsa_numbers.e)), "kty": "RSA", "n": _text(_shortest(rsa_numbers.n))}
        if isinstance(self._key, ed25519.Ed25519PrivateKey):
            point = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
            return {"crv": "Ed25519", "kty": "OKP", "x": _text(point)}
        curve, _, _, size = _CURVES[self._key.curve.name]
        numbers = self._key.public_key().public_numbers()
        return {"crv": curve, "kty": "EC", "x": _text(numbers.x.to_bytes(size)), "y": _text(numbers.y.to_bytes(size))}


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """The SHA-256 thumbprint of a key whose members are those of `PrivateSigningKey.public_jwk`: the required ones."""
    canonical = json.dumps(dict(jwk), sort_keys=True, separators=(",", ":"))
    return _text(hashlib.sha256(canonical.encode()).digest())


def _algorithm(key: PrivateKey) -> str:
    if isinstance(key, rsa.RSAPrivateKey):
        if not LEAST_RSA_BITS <= key.key_size <= MOST_RSA_BITS:
            raise ValueError(
                f"is a key of RSA with {key.key_size} bits; {LEAST_RSA_BITS:,} to {MOST_RSA_BITS:,} are taken"
            )
        return "RS256"
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "EdDSA"
    if key.curve.name not in _CURVES:
        raise ValueError(f"is a key on the curve {key.curve.name}; P-256 and P-384 are taken")
    return _CURVES[key.curve.name][1]


def _shortest(number: int) -> bytes:
    """Big-endian, without a leading zero byte: RFC 7518 section 2, Base64urlUInt."""
    return number.to_bytes((number.bit_length() + 7) // 8)


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
