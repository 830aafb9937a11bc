"""The keystore file: values to bytes and back. No I/O.

A JSON object. Under a passphrase all keys are sealed together, so that a key that was edited, removed or taken from
another keystore is noticed; the parameters in the clear are the associated data. A checksum tells damage from a wrong
passphrase.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from envelope.crypto.gcm import AESGCM, InvalidTag
from envelope.crypto.kdf import derive_from_passphrase
from envelope.errors import InvalidArgument, KeystoreError, PassphraseRefused

__all__ = [
    "KeyVersion",
    "Keys",
    "Protection",
    "ScryptCost",
    "parse_keys",
    "parse_outer",
    "read_protection",
    "serialize",
]

FORMAT = "envelope-keystore/1"
WRAPPING_KEY_BYTES = 32
MAX_FILE_BYTES = 16 * 1024 * 1024
_NONCE_BYTES = 12
_SALT_BYTES = 16


@dataclass(frozen=True, slots=True)
class ScryptCost:
    """How much work one guess of a passphrase takes: 128 * n * r bytes of memory, p times.

    The default (128 MiB, some 0.3 s) is the first choice of the OWASP Password Storage Cheat Sheet; n may be a power
    of two from 2**14 to 2**20, which also bounds what a file from outside can make us spend (RFC 7914).
    """

    n: int = 2**17
    r: int = 8
    p: int = 1

    def __post_init__(self) -> None:
        for value in (self.n, self.r, self.p):
            if type(value) is not int:
                raise InvalidArgument("scrypt costs must be whole numbers")
        if not 2**14 <= self.n <= 2**20 or self.n & (self.n - 1):
            raise InvalidArgument(f"scrypt cost n must be a power of two from 2**14 to 2**20, not {self.n}")
        if self.r != 8 or not 1 <= self.p <= 16:
            raise InvalidArgument("scrypt cost r must be 8 and p must be 1 to 16")


@dataclass(frozen=True, slots=True)
class Protection:
    """The key that seals a keystore, and the parameters that lead to it from the passphrase."""

    cost: ScryptCost
    salt: bytes
    cipher: AESGCM = field(repr=False)

    @classmethod
    def from_passphrase(cls, passphrase: bytes, cost: ScryptCost, salt: bytes | None = None) -> Protection:
        salt = os.urandom(_SALT_BYTES) if salt is None else salt
        key = derive_from_passphrase(passphrase, salt, n=cost.n, r=cost.r, p=cost.p)
        return cls(cost, salt, AESGCM(key))

    def parameters(self) -> dict[str, Any]:
        return {"kind": "scrypt", "n": self.cost.n, "r": self.cost.r, "p": self.cost.p, "salt": _encode(self.salt)}


@dataclass(frozen=True, slots=True)
class KeyVersion:
    """One version of a key: its number from 1, when it was made (ISO 8601, UTC), and 32 bytes."""

    version: int
    created: str
    wrapping_key: bytes = field(repr=False)


Keys = Mapping[str, tuple[KeyVersion, ...]]
"""Key names, and the versions of each in ascending order."""


def serialize(keystore_id: str, keys: Keys, protection: Protection | None) -> bytes:
    """The bytes of a keystore file; without protection the keys stand in it in the clear."""
    payload = _canonical(
        {
            name: [{"version": v.version, "created": v.created, "key": _encode(v.wrapping_key)} for v in versions]
            for name, versions in keys.items()
        }
    )
    outer: dict[str, Any] = {"format": FORMAT, "id": keystore_id, "protection": {"kind": "none"}}
    if protection is None:
        outer["keys"] = _encode(payload)
    else:
        outer["protection"] = protection.parameters()
        nonce = os.urandom(_NONCE_BYTES)
        outer["keys"] = _encode(nonce + protection.cipher.encrypt(nonce, payload, _canonical(outer)))
    outer["checksum"] = _checksum(outer)
    return json.dumps(outer, indent=1).encode() + b"\n"


def parse_outer(content: bytes) -> dict[str, Any]:
    """The outer object of a keystore file, its checksum checked.

    Raises:
        KeystoreError: it is no keystore, one of a later format, or damaged.
    """
    try:
        outer = json.loads(content)
        checksum = outer.pop("checksum")
        intact = checksum == _checksum(outer) and isinstance(outer["id"], str) and isinstance(outer["keys"], str)
        kind = outer["protection"]["kind"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged("it is no keystore, or cut off") from error
    if not intact:
        raise _damaged("its checksum does not fit")
    if outer["format"] != FORMAT or kind not in ("scrypt", "none"):
        raise KeystoreError(
            f"the keystore has format {outer['format']!r:.40}, which this version does not read",
            hint="upgrade envelope-kms",
        )
    return dict(outer)


def read_protection(outer: dict[str, Any], passphrase: bytes) -> Protection:
    """The protection of a parsed keystore, with the key made from the passphrase."""
    parameters = outer["protection"]
    try:
        cost = ScryptCost(parameters["n"], parameters["r"], parameters["p"])
        salt = _decode(parameters["salt"])
    except (KeyError, ValueError, TypeError, InvalidArgument) as error:
        raise _damaged("its scrypt parameters are out of range") from error
    return Protection.from_passphrase(passphrase, cost, salt)


def parse_keys(outer: dict[str, Any], protection: Protection | None) -> Keys:
    """Open and parse the keys of a parsed keystore.

    Raises:
        PassphraseRefused: the seal does not open.
        KeystoreError: the content is not what this package writes.
    """
    outer = dict(outer)
    try:
        payload = _decode(outer.pop("keys"))
        if protection is not None:
            nonce, sealed = payload[:_NONCE_BYTES], payload[_NONCE_BYTES:]
            payload = protection.cipher.decrypt(nonce, sealed, _canonical(outer))
        return {name: _parse_versions(versions) for name, versions in json.loads(payload).items()}
    except InvalidTag as error:
        raise PassphraseRefused(
            "the passphrase does not open the keystore",
            hint="another passphrase, one that was changed meanwhile (then open the keystore again), or an edited file",
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged("its keys are not what this package writes") from error


def _parse_versions(versions: list[dict[str, Any]]) -> tuple[KeyVersion, ...]:
    parsed = tuple(KeyVersion(entry["version"], entry["created"], _decode(entry["key"])) for entry in versions)
    numbers = [version.version for version in parsed]
    if numbers != list(range(1, len(parsed) + 1)) or not parsed:
        raise ValueError("versions are not numbered from 1")
    if any(len(version.wrapping_key) != WRAPPING_KEY_BYTES for version in parsed):
        raise ValueError("a key has another length")
    return parsed


def _checksum(outer: dict[str, Any]) -> str:
    return hashlib.sha256(_canonical(outer)).hexdigest()


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _encode(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _damaged(what: str) -> KeystoreError:
    return KeystoreError(
        f"the keystore is damaged: {what}",
        hint="restore it from a backup; do not create a new one in its place, its keys are needed",
    )
