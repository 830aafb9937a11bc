"""Signing keys that rotate: made here, known to nobody else, verified with for as long as a version keeps its label.

There is no target to change: the next key is in the secret, and that is all. Signers use the current version; verifiers
take every key of the key ring, or what `jwks` publishes of it.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from envelope.crypto.signing_keys import PrivateSigningKey, thumbprint
from envelope.errors import InvalidArgument, NotAuthentic
from envelope_secrets.errors import SecretFormatError
from envelope_secrets.rotation.failures import RotationRefused
from envelope_secrets.rotation.rotator import NewValue, Rotation
from envelope_secrets.value import Secret

__all__ = ["SigningKey", "SigningKeyKind", "key_id_of", "private_key_of", "sign", "verify_signature"]

SigningKeyKind = Literal["hmac-sha256", "rsa-3072", "ec-p256", "ec-p384", "ed25519"]

HMAC_KIND = "hmac-sha256"
HMAC_KEY_BYTES = 32
"""RFC 7518 section 3.2: as many as the hash has, at the least."""

OWN_FIELDS = frozenset({"kind", "kid", "private_key", "key"})

_TRIAL = b"a message that nobody sends"

_ALGORITHMS = {
    "hmac-sha256": "HS256",
    "rsa-3072": "RS256",
    "ec-p256": "ES256",
    "ec-p384": "ES384",
    "ed25519": "EdDSA",
}


@dataclass(frozen=True, slots=True)
class SigningKey:
    """Rotates a key for signatures. There is no window in which a signer or a verifier that reads the secret fails.

    The secret is a JSON object with the fields ``kind``, ``kid`` and either ``private_key`` (PKCS #8 in PEM) or ``key``
    (base64 of 32 bytes, for HMAC); its other fields, like an issuer, are carried over. ``kid`` is the thumbprint of the
    public key (RFC 7638), which everybody who has the key can compute; that of a symmetric key would help to guess it,
    so its ``kid`` is the id of the version.

    What is signed must not be valid for longer than the time between two rotations: the key of AWSPREVIOUS is the
    oldest that verifiers know.

    Args:
        kind: of the keys that are made; the next rotation changes the kind of a secret.

    Raises:
        InvalidArgument: there is no such kind.
    """

    kind: SigningKeyKind = "ed25519"

    def __post_init__(self) -> None:
        kind: object = self.kind
        if kind not in get_args(SigningKeyKind):
            raise InvalidArgument(f"kind must be one of {', '.join(get_args(SigningKeyKind))}")

    def new_value(self, rotation: Rotation) -> NewValue:
        """A fresh key."""
        others = _other_fields(rotation.current)
        if self.kind == HMAC_KIND:
            key = base64.b64encode(secrets.token_bytes(HMAC_KEY_BYTES)).decode()
            return {**others, "kind": self.kind, "kid": rotation.token, "key": key}
        private_key = PrivateSigningKey.new(self.kind)
        kid = thumbprint(private_key.public_jwk())
        return {**others, "kind": self.kind, "kid": kid, "private_key": private_key.pem()}

    def apply(self, rotation: Rotation, pending: Secret) -> None:
        """Nothing has to be told."""

    def verify(self, rotation: Rotation, pending: Secret) -> None:  # noqa: ARG002 - as of every rotator
        """Sign with the pending key, and verify the signature.

        Raises:
            RotationRefused: the pending version holds no signing key.
        """
        try:
            verify_signature([pending], _TRIAL, sign(pending, _TRIAL))
        except SecretFormatError as error:
            problem = str(error)
        else:
            return
        raise RotationRefused(
            f"the pending version holds no signing key: {problem}",
            hint="it was not made by this rotation: take AWSPENDING away from it, and rotate again",
        )

    def retire(self, rotation: Rotation, pending: Secret) -> None:
        """Nothing has to be removed: a version without a label is nobody's key."""


def sign(secret: Secret, message: bytes) -> bytes:
    """The signature of a message under the key of one version, in the form of JWS; for HMAC its 32 bytes.

    Raises:
        SecretFormatError: the version holds no signing key.
    """
    _check_bytes("message", message)
    if _kind_of(secret) == HMAC_KIND:
        return hmac.digest(_hmac_key_of(secret), message, "sha256")
    return private_key_of(secret).sign(message)


def verify_signature(versions: Iterable[Secret], message: bytes, signature: bytes) -> Secret:
    """The version whose key has signed the message: give the whole key ring, or the versions with the right key id.

    Versions that hold no signing key are passed over.

    Raises:
        NotAuthentic: none of them has.
    """
    _check_bytes("message", message)
    _check_bytes("signature", signature)
    for version in versions:
        try:
            is_valid = _validity(version)
        except SecretFormatError:
            continue
        if is_valid(message, signature):
            return version
    raise NotAuthentic(
        "the signature is of none of the keys", hint="is the key ring of the signer's secret, and fresh?"
    )


def key_id_of(secret: Secret) -> str:
    """What the ``kid`` of a signature under this version says: the field of the version, or the thumbprint of its key.

    Raises:
        SecretFormatError: the version holds no signing key, or a symmetric one without the field.
    """
    kid = secret.json.get("kid")
    if isinstance(kid, str) and kid:
        return kid
    if _kind_of(secret) == HMAC_KIND:
        raise _not_one(secret, "its field kid is missing or no text")
    return thumbprint(private_key_of(secret).public_jwk())


def private_key_of(secret: Secret) -> PrivateSigningKey:
    """The private key of a version.

    Raises:
        SecretFormatError: it holds none.
    """
    kind = _kind_of(secret)
    pem = secret.json.get("private_key")
    if not isinstance(pem, str):
        raise _not_one(secret, "its field private_key is missing or no text")
    try:
        key = PrivateSigningKey.parse(pem)
    except ValueError as error:
        problem = f"its field private_key {error}"
    else:
        if key.algorithm == _ALGORITHMS[kind]:
            return key
        problem = f"its field private_key is a key for {key.algorithm}, and its kind says {kind}"
    raise _not_one(secret, problem)


def _check_bytes(name: str, value: object) -> None:
    if not isinstance(value, bytes):
        raise InvalidArgument(f"{name} must be bytes, not {type(value).__name__}")


def _validity(secret: Secret) -> Callable[[bytes, bytes], bool]:
    if _kind_of(secret) != HMAC_KIND:
        return private_key_of(secret).is_valid
    key = _hmac_key_of(secret)
    return lambda message, signature: hmac.compare_digest(hmac.digest(key, message, "sha256"), signature)


def _kind_of(secret: Secret) -> str:
    kind: Any = secret.json.get("kind")
    if kind not in get_args(SigningKeyKind):
        raise _not_one(secret, "its field kind names none that is known")
    return str(kind)


def _hmac_key_of(secret: Secret) -> bytes:
    text = secret.json.get("key")
    try:
        key = base64.b64decode(text if isinstance(text, str) else "", validate=True)
    except ValueError:
        key = b""
    if len(key) < HMAC_KEY_BYTES:
        raise _not_one(secret, f"its field key is no base64 of {HMAC_KEY_BYTES} bytes or more")
    return key


def _other_fields(current: Secret | None) -> dict[str, Any]:
    """The fields of the current version that are not about its key; none of a value that is no JSON object."""
    try:
        fields = {} if current is None else dict(current.json)
    except SecretFormatError:
        return {}
    return {name: value for name, value in fields.items() if name not in OWN_FIELDS}


def _not_one(secret: Secret, problem: str) -> SecretFormatError:
    return SecretFormatError(
        f"version {secret.version_id} of {secret.name} is no signing key: {problem}",
        hint="a rotation with SigningKey() makes one",
    )
