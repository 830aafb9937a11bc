"""All labelled versions of a secret as of one moment: sign with the current one, verify with every one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import NoReturn

from envelope_secrets.errors import SecretConflict, SecretDeleted, SecretNotFound
from envelope_secrets.stages import AWSCURRENT, AWSPENDING, AWSPREVIOUS
from envelope_secrets.stores.protocol import SecretDescription, SecretStore
from envelope_secrets.value import HidesValue, Secret

__all__ = ["KeyRing", "read_key_ring"]

MAX_LOOKS = 4
"""Labels that move on between four looks are not those of a rotation."""

_ORDER = (AWSCURRENT, AWSPREVIOUS, AWSPENDING)


class KeyRing(HidesValue):
    """The versions of a secret that have a label and a value. Immutable.

    Iteration gives the current version, then the previous one, the pending one, and those with other labels only; each
    once. A token that was signed a moment before a rotation or a moment after it verifies with one of them.

    Attributes:
        name: the name of the secret.
        arn: its full ARN.
        previous, pending: the version with that label; None if there is none, or it has no value yet.
    """

    __slots__ = ("_versions", "arn", "name")

    name: str
    arn: str
    _versions: tuple[Secret, ...]

    def __init__(self, versions: tuple[Secret, ...], *, name: str, arn: str) -> None:
        put = object.__setattr__
        put(self, "_versions", tuple(sorted(versions, key=_rank)))
        put(self, "name", name)
        put(self, "arn", arn)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a KeyRing does not change; {name} stays")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a KeyRing does not change; {name} stays")

    def __repr__(self) -> str:
        shown = ", ".join(f"{version.version_id} {'+'.join(version.stages)}" for version in self._versions)
        return f"KeyRing({self.name!r}: {shown or 'no versions'})"

    def __iter__(self) -> Iterator[Secret]:
        return iter(self._versions)

    def __len__(self) -> int:
        return len(self._versions)

    @property
    def current(self) -> Secret:
        """The version to sign or encrypt with.

        Raises:
            SecretNotFound: no version is current yet.
        """
        current = self._with(AWSCURRENT)
        if current is None:
            raise SecretNotFound(f"{self.name} has no current version", hint="promote a version, or put a value")
        return current

    @property
    def previous(self) -> Secret | None:
        """The version that was current before."""
        return self._with(AWSPREVIOUS)

    @property
    def pending(self) -> Secret | None:
        """The version that a rotation is about to make current."""
        return self._with(AWSPENDING)

    def _with(self, stage: str) -> Secret | None:
        return next((version for version in self._versions if stage in version.stages), None)


def read_key_ring(store: SecretStore, secret_id: str, before: KeyRing | None = None) -> KeyRing:
    """The key ring of a secret: one look at its labels, and the values of these versions by their ids.

    A value never changes, so those that `before` has are not read again, but for the current one: whoever may not read
    it any more is told so.

    Raises:
        SecretDeleted: the secret is scheduled for deletion; its description can still be read then.
        SecretConflict: the labels moved again and again while the values were read.
    """
    description = store.describe(secret_id)
    known = {} if before is None or before.arn != description.arn else {one.version_id: one for one in before}
    known.pop(description.labels.holder(AWSCURRENT) or "", None)
    for _ in range(MAX_LOOKS):
        _check_not_deleted(description)
        labelled = [version_id for version_id, stages in description.labels.by_version.items() if stages]
        for version_id in labelled:
            if version_id not in known:
                _read_into(known, store, secret_id, version_id)
        # A version without a value is announced and not stored yet; one that is gone had lost its labels before that.
        again = description if known.keys() >= set(labelled) else store.describe(secret_id)
        if _is_same(again, description):
            found = [_with_stages(known[one], description) for one in labelled if one in known]
            return KeyRing(tuple(found), name=description.name, arn=description.arn)
        description = again
    raise SecretConflict(f"the labels of {description.name} moved {MAX_LOOKS} times while its versions were read")


def _check_not_deleted(description: SecretDescription) -> None:
    if description.deleted is not None:
        raise SecretDeleted(f"{description.name} is scheduled for deletion", hint="restore it, while that is possible")


def _read_into(known: dict[str, Secret], store: SecretStore, secret_id: str, version_id: str) -> None:
    with contextlib.suppress(SecretNotFound):
        known[version_id] = store.read(secret_id, stage=None, version_id=version_id)


def _is_same(one: SecretDescription, other: SecretDescription) -> bool:
    return (one.arn, one.deleted, one.labels.by_version) == (other.arn, other.deleted, other.labels.by_version)


def _with_stages(version: Secret, description: SecretDescription) -> Secret:
    """The version with the labels of that one look, not with those it had when it was read."""
    stages = tuple(sorted(description.labels.stages_of(version.version_id)))
    if version.stages == stages:
        return version
    return Secret(
        version.binary if version.is_binary else version.text,
        name=version.name,
        arn=version.arn,
        version_id=version.version_id,
        stages=stages,
        created=version.created,
    )


def _rank(version: Secret) -> tuple[int, str]:
    ranks = [_ORDER.index(stage) for stage in version.stages if stage in _ORDER]
    return (min(ranks, default=len(_ORDER)), version.version_id)
