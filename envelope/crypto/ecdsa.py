"""ECDSA signatures of messages: key pairs, compressed points, DER of a fixed length.

Source: AWS Encryption SDK specification, data-format/message-footer.md; SEC 1 section 2.3.3 for compressed points.
"""

from __future__ import annotations

import base64

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    Prehashed,
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

__all__ = ["SigningKey", "VerificationKey"]

_CURVES: dict[str, ec.EllipticCurve] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1()}
_PREHASHED = {"sha256": Prehashed(hashes.SHA256()), "sha384": Prehashed(hashes.SHA384())}
_COMPRESSED_BYTES = {"P-256": 33, "P-384": 49}

# FIPS 186-4, appendices D.1.2.3 and D.1.2.4.
_GROUP_ORDERS = {
    "P-256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "P-384": int(
        "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973", 16
    ),
}

_SIGNATURE_BYTES = {"P-256": 71, "P-384": 103}


class SigningKey:
    """A fresh private key for the signature of one message; it is never stored.

    Attributes:
        signature_bytes: the one DER length that is written: the most frequent one, so that the length of a message is
            known before.
    """

    __slots__ = ("_curve", "_private_key", "signature_bytes")

    def __init__(self, curve: str) -> None:
        self._curve = curve
        self.signature_bytes = _SIGNATURE_BYTES[curve]
        self._private_key = ec.generate_private_key(_CURVES[curve])

    def public_key_text(self) -> str:
        """The public key as the encryption context holds it: base64 of the compressed point."""
        point = self._private_key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
        return base64.b64encode(point).decode()

    def sign(self, digest: bytes, hash_name: str) -> bytes:
        """A DER signature of exactly `signature_bytes` bytes.

        With (r, s) also (r, n - s) is a valid signature, of another length in half of the cases.
        """
        algorithm = ec.ECDSA(_PREHASHED[hash_name])
        while True:
            r, s = decode_dss_signature(self._private_key.sign(digest, algorithm))
            for candidate in (s, _GROUP_ORDERS[self._curve] - s):
                signature = encode_dss_signature(r, candidate)
                if len(signature) == self.signature_bytes:
                    return signature


class VerificationKey:
    """The public key that a signed message names in its encryption context."""

    __slots__ = ("_public_key",)

    def __init__(self, curve: str, text: str) -> None:
        """Parse the text of the pair.

        Raises:
            ValueError: it is not base64, or not a compressed point on this curve.
        """
        try:
            point = base64.b64decode(text, validate=True)
        except ValueError as error:
            raise ValueError("the public key is not base64") from error
        if len(point) != _COMPRESSED_BYTES[curve] or point[0] not in (2, 3):
            raise ValueError("the public key is not a compressed point of the suite's curve")
        self._public_key = ec.EllipticCurvePublicKey.from_encoded_point(_CURVES[curve], point)

    def is_valid(self, signature: bytes, digest: bytes, hash_name: str) -> bool:
        """Whether the DER signature of any length fits the digest."""
        try:
            self._public_key.verify(signature, digest, ec.ECDSA(_PREHASHED[hash_name]))
        except InvalidSignature:
            return False
        return True
