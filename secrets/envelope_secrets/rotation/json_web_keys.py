"""The public halves of a secret's signing keys, for verifiers who may not read the secret.

Source: RFC 7517 (JSON Web Key Set).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from envelope_secrets.errors import SecretFormatError
from envelope_secrets.rotation.signing_key import HMAC_KIND, key_id_of, private_key_of
from envelope_secrets.stages import AWSCURRENT, AWSPENDING, AWSPREVIOUS
from envelope_secrets.value import Secret

__all__ = ["jwks"]

PUBLISHED = frozenset({AWSCURRENT, AWSPREVIOUS, AWSPENDING})


def jwks(key_ring: Iterable[Secret]) -> dict[str, list[dict[str, Any]]]:
    """The JSON Web Key Set of a key ring: the public keys of its current, previous and pending version.

    Symmetric keys are never in it: whoever has one can sign. A previous or pending version that is no signing key, as
    of the time before the secret was one, is left out.

    Returns:
        A JSON object, fit to be published: ``{"keys": [...]}``, the current key first, each key once.

    Raises:
        SecretFormatError: the current version holds no signing key.
    """
    keys: dict[str, dict[str, Any]] = {}
    for version in key_ring:
        if PUBLISHED.isdisjoint(version.stages):
            continue
        try:
            key = _public_key(version)
        except SecretFormatError:
            if AWSCURRENT in version.stages:
                raise
            continue
        if key is not None:
            keys.setdefault(key["kid"], key)
    return {"keys": list(keys.values())}


def _public_key(version: Secret) -> dict[str, Any] | None:
    """None for a symmetric key."""
    if version.json.get("kind") == HMAC_KIND:
        return None
    key = private_key_of(version)
    return {**key.public_jwk(), "alg": key.algorithm, "kid": key_id_of(version), "use": "sig"}
