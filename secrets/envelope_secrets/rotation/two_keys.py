"""Two keys in turn, for targets that make the keys themselves: whose a key is, and which ones must go. Pure.

The next key is made while the one in use goes on working. What is made for a secret is named after the secret and the
rotation before it is made, so that it can be found again when the call that made it was interrupted: its secret part is
lost then, and all that is left to do is to remove it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from envelope.errors import InvalidArgument
from envelope_secrets.rotation.failures import RotationRefused
from envelope_secrets.value import HidesValue

__all__ = ["Creation", "HeldKeys", "KeyNames", "ListedKey", "NewKey", "plan_creation", "stale_keys"]

DIGEST_CHARACTERS = 12
"""Of SHA-256 of the secret's ARN, in hexadecimal: 48 bits, so that keys of several secrets can be under one account."""


@dataclass(frozen=True, slots=True)
class ListedKey:
    """A key as its target lists it: never with its secret part.

    Attributes:
        name: what it was made with; empty for a key without a name.
    """

    key_id: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class NewKey(HidesValue):
    """A key that was made.

    Attributes:
        key_id: by which the target lists and deletes it; not empty.
        fields: what an application needs to use it, the secret part among them. They become fields of the secret.

    Raises:
        InvalidArgument: a wrong type.
    """

    key_id: str
    fields: Mapping[str, Any] = field(repr=False)

    def __post_init__(self) -> None:
        key_id: object = self.key_id
        fields: object = self.fields
        if not isinstance(key_id, str) or not key_id:
            raise InvalidArgument("the id of a new key must be text that is not empty")
        if not isinstance(fields, Mapping):
            raise InvalidArgument(f"the fields of a new key must be a mapping, not {type(fields).__name__}")


@dataclass(frozen=True, slots=True)
class KeyNames:
    """The names of keys that one rotation makes: ``<prefix>-<digest of the secret's ARN>.<token>.<attempt>``.

    That is 60 characters for the prefix ``envelope`` and a token that is a UUID.
    """

    stem: str
    token: str

    @classmethod
    def of(cls, prefix: str, secret_arn: str, token: str) -> KeyNames:
        """The names for one secret and one rotation."""
        digest = hashlib.sha256(secret_arn.encode()).hexdigest()[:DIGEST_CHARACTERS]
        return cls(f"{prefix}-{digest}", token)

    def name(self, attempt: int) -> str:
        """The name of the key that is made by this attempt, from 1."""
        return f"{self.stem}.{self.token}.{attempt}"

    def is_ours(self, name: str) -> bool:
        """Whether some rotation of this secret has made a key with this name."""
        return name.startswith(f"{self.stem}.")

    def attempt(self, name: str) -> int | None:
        """Which attempt of this rotation has made a key with this name."""
        found = re.fullmatch(rf"{re.escape(self.name(0)[:-1])}([0-9]{{1,9}})", name, re.ASCII)
        return None if found is None else int(found[1])


@dataclass(frozen=True, slots=True)
class HeldKeys:
    """The ids of the keys that versions of the secret hold.

    Attributes:
        labelled: held by the current version, the pending one, and every other that has a staging label.
        previous: held by the version with AWSPREVIOUS and no other label.
        unlabelled: held by versions that nobody reads any more.
    """

    labelled: frozenset[str]
    previous: frozenset[str]
    unlabelled: frozenset[str]


@dataclass(frozen=True, slots=True)
class Creation:
    """What createSecret does: which keys it removes, in this order, and how it names the one that it makes."""

    remove: tuple[str, ...]
    name: str


def stale_keys(
    keys: Iterable[ListedKey], names: KeyNames, held: HeldKeys, *, spared: Iterable[str] = ()
) -> tuple[str, ...]:
    """The keys of this secret that nobody can be using: no version with a label holds them.

    Keys that neither the name nor a version connects with the secret are somebody else's.
    """
    kept = held.labelled | held.previous | set(spared)
    return tuple(
        key.key_id
        for key in keys
        if key.key_id not in kept and (names.is_ours(key.name) or key.key_id in held.unlabelled)
    )


def plan_creation(keys: Sequence[ListedKey], names: KeyNames, held: HeldKeys, most_keys: int | None) -> Creation:
    """Make room for one more key, and name it.

    The last key that was made for this very rotation is spared as long as there is room: another delivery of the same
    event may be storing it at this moment. setSecret, where one of them is stored, removes the others.

    Args:
        most_keys: so many are allowed at once; None for no limit.

    Raises:
        RotationRefused: there is no room, and nothing that may be removed.
    """
    kept = held.labelled | held.previous
    attempts = sorted(
        (attempt, key.key_id)
        for key in keys
        if (attempt := names.attempt(key.name)) is not None and key.key_id not in kept
    )
    number, last = attempts[-1] if attempts else (0, "")
    remove = list(stale_keys(keys, names, held, spared=[last]))
    previous = [key.key_id for key in keys if key.key_id in held.previous - held.labelled]
    for key_id in [last] * bool(attempts) + previous:
        if most_keys is not None and len(keys) - len(remove) >= most_keys and key_id not in remove:
            remove.append(key_id)
    if most_keys is not None and len(keys) - len(remove) >= most_keys:
        raise RotationRefused(
            f"there are {len(keys)} keys, and {most_keys} are allowed: there is no room for the next one",
            hint="remove a key that no version of this secret holds: the rotation touches none that it did not make",
        )
    return Creation(tuple(remove), names.name(number + 1))
