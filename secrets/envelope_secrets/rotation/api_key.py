"""Keys that a service issues, like the keys of a REST API or the clients of an OAuth server: two of them in turn."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from functools import partial
from typing import Any, Protocol, TypeVar

from envelope.arguments import check_count, check_seconds
from envelope.errors import EnvelopeError, InvalidArgument
from envelope_secrets.errors import SecretFormatError, SecretNotFound, SecretsError
from envelope_secrets.rotation.failures import AccountLocked, LoginRefused, RotationRefused, TargetError
from envelope_secrets.rotation.rotator import NewValue, Rotation
from envelope_secrets.rotation.steps import FROM_PREFIX
from envelope_secrets.rotation.two_keys import HeldKeys, KeyNames, ListedKey, NewKey, plan_creation, stale_keys
from envelope_secrets.stages import AWSPREVIOUS
from envelope_secrets.value import Secret, SecretFields

__all__ = ["ApiKey", "ApiKeyService"]

T = TypeVar("T")

_log = logging.getLogger("envelope_secrets.rotation")

MOST_KEYS = 10_000
MOST_UNLABELLED = 10
"""So many versions without a label are read for the id of a key that was made by hand; each costs one call."""

CHECK_PAUSE_S = 1.0

_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}", re.ASCII)


class ApiKeyService(Protocol):
    """A service that issues keys. Safe for threads.

    Every method gets the rotation: for `rotation.deadline.at_most(5.0)`, which is the timeout of a request, and for
    `rotation.other_secret("prod/issuer-admin")`, which is where the credentials for the service can be.

    They raise `TargetUnreachable`, `LoginRefused` and the like, see `envelope_secrets.rotation.failures`. Any other
    exception becomes a `TargetError` that names its class alone: its text may quote a key.
    """

    def create(self, rotation: Rotation, name: str) -> NewKey:
        """Make a key with this name, which need not be unique to the service. Keys that exist go on working."""
        ...

    def list(self, rotation: Rotation) -> Iterable[ListedKey]:
        """All keys of the account, the owner or whatever else a limit counts; every page of them."""
        ...

    def delete(self, rotation: Rotation, key_id: str) -> None:
        """Delete a key; do nothing if there is none with this id."""
        ...

    def check(self, rotation: Rotation, fields: SecretFields) -> None:
        """Use a key as an application does, with these fields of the secret. Changes nothing.

        Raises:
            LoginRefused: the service does not know the key. A new one is tried again for a while.
            PrivilegeMissing: the key works, and may not do what the application needs.
        """
        ...


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Rotates a key that a service issues: the next one is made while the current one and the previous one work.

    The secret is a JSON object. Its other fields, like a URL, are carried over from the current version. The key of
    AWSPREVIOUS works until the version has lost that label: the rotation after that removes it. So there are three keys
    between two rotations; a service that allows fewer needs `most_keys`.

    A key is removed only if its name says that it was made for this secret, or an older version of the secret holds it.

    Args:
        service: issues, lists, deletes and checks keys.
        id_field: the field of the secret that holds the key's id.
        prefix: what the names of keys begin with: 1 to 32 letters, digits, ``_`` and ``-``. Do not change it while
            keys with the old one are there.
        most_keys: as many keys as the service allows at once, 2 or more. createSecret keeps to it: it removes the key
            of AWSPREVIOUS if there is no other way to make room. None where there is no limit to think of.
        propagation_s: how long the service may take to know a new key everywhere.
        creation_s: how long it may take to make one; no key is made if there is less time left.

    Raises:
        InvalidArgument: an option of the wrong type or out of range.
    """

    service: ApiKeyService = field(repr=False)
    _: KW_ONLY
    id_field: str = "key_id"
    prefix: str = "envelope"
    most_keys: int | None = None
    propagation_s: float = 10.0
    creation_s: float = 5.0

    def __post_init__(self) -> None:
        for method in ("create", "list", "delete", "check"):
            if not callable(getattr(self.service, method, None)):
                raise InvalidArgument(f"service must be an ApiKeyService, and has no {method}")
        id_field: Any = self.id_field
        if not isinstance(id_field, str) or not id_field:
            raise InvalidArgument("id_field must be the name of a field")
        prefix: Any = self.prefix
        if not isinstance(prefix, str) or _PREFIX.fullmatch(prefix) is None:
            raise InvalidArgument("prefix must be 1 to 32 letters, digits, _ and -, and begin with a letter or digit")
        if self.most_keys is not None:
            check_count("most_keys", self.most_keys, 2, MOST_KEYS)
        check_seconds("propagation_s", self.propagation_s)
        check_seconds("creation_s", self.creation_s)

    def new_value(self, rotation: Rotation) -> NewValue:
        """Remove what earlier rotations have left, and make a key."""
        names, held = self._names_and_held(rotation)
        if rotation.current is not None and self._id_in(rotation.current) is None:
            _log.warning(
                "version %s of %s has no field %s: its key will never be removed",
                rotation.current.version_id,
                rotation.secret_id,
                self.id_field,
            )
        plan = plan_creation(self._listed(rotation), names, held, self.most_keys)
        rotation.deadline.require(self.creation_s, "making a key")
        self._delete(rotation, plan.remove)
        key = _asked("making a key", partial(self.service.create, rotation, plan.name))
        _check_kind("create must return a NewKey", key, NewKey)
        return {**_carried_over(rotation.current), **key.fields, self.id_field: key.key_id}

    def apply(self, rotation: Rotation, pending: Secret) -> None:
        """Remove what other attempts of createSecret have made: one of them is stored now."""
        self._key_id(pending)
        self._remove_stale(rotation, pending)

    def verify(self, rotation: Rotation, pending: Secret) -> None:
        """Use the pending key, again and again as long as the service may not know it yet."""
        key_id = self._key_id(pending)
        locked: list[AccountLocked] = []

        def attempt() -> None:
            try:
                _asked("checking a key", partial(self.service.check, rotation, pending.json))
            except AccountLocked as error:  # a LoginRefused that must not be tried again
                locked.append(error)

        try:
            rotation.wait_until(attempt, again_after=(LoginRefused,), pause_s=CHECK_PAUSE_S, most_s=self.propagation_s)
        except LoginRefused as error:
            error.hint = error.hint or (
                f"if the service does not list {key_id} any more, take AWSPENDING away from version "
                f"{pending.version_id}, and rotate again"
            )
            raise
        if locked:
            raise locked[0]

    def retire(self, rotation: Rotation, pending: Secret) -> None:
        """Remove the keys that no version with a label holds."""
        self._remove_stale(rotation, pending)

    def _remove_stale(self, rotation: Rotation, pending: Secret) -> None:
        names, held = self._names_and_held(rotation, pending)
        self._delete(rotation, stale_keys(self._listed(rotation), names, held))

    def _listed(self, rotation: Rotation) -> tuple[ListedKey, ...]:
        listed = _asked("listing the keys", lambda: tuple(self.service.list(rotation)))
        for key in listed:
            _check_kind("list must return values of ListedKey", key, ListedKey)
        return listed

    def _delete(self, rotation: Rotation, key_ids: Iterable[str]) -> None:
        for key_id in key_ids:
            _asked("deleting a key", partial(self.service.delete, rotation, key_id))
            _log.info("key %s of %s is deleted", key_id, rotation.secret_id)

    def _names_and_held(self, rotation: Rotation, pending: Secret | None = None) -> tuple[KeyNames, HeldKeys]:
        """The names of this rotation's keys, and the keys that the versions of the secret hold.

        The store may be late. So what is known to be current and pending counts as labelled, whatever the store tells.
        """
        description = rotation.store.describe(rotation.secret_id)
        known = {version.version_id: version for version in (rotation.current, pending) if version is not None}
        labels = {
            version_id: {stage for stage in stages if not stage.startswith(FROM_PREFIX)}
            for version_id, stages in description.labels.by_version.items()
        }
        previous = {version_id for version_id, stages in labels.items() if stages == {AWSPREVIOUS}} - known.keys()
        labelled = {version_id for version_id, stages in labels.items() if stages} - previous | known.keys()
        held = HeldKeys(
            self._ids(rotation, labelled, known),
            self._ids(rotation, previous, known),
            self._unlabelled(rotation, labelled | previous),
        )
        return KeyNames.of(self.prefix, description.arn, rotation.token), held

    def _ids(self, rotation: Rotation, version_ids: Iterable[str], known: Mapping[str, Secret]) -> frozenset[str]:
        """The keys of versions that must be readable, if they have a value: else a key in use might be removed."""
        found = set()
        for version_id in version_ids:
            try:
                version = known.get(version_id) or _read(rotation, version_id)
            except SecretNotFound:  # it is announced, and has no value yet
                continue
            found.add(self._id_in(version))
        return frozenset(key_id for key_id in found if key_id is not None)

    def _unlabelled(self, rotation: Rotation, labelled: set[str]) -> frozenset[str]:
        listed = [
            version.version_id
            for version in rotation.store.versions(rotation.secret_id, include_deprecated=True)
            if version.has_value and version.version_id not in labelled | {rotation.token}
        ]
        found = set()
        for version_id in listed[:MOST_UNLABELLED]:
            try:
                found.add(self._id_in(_read(rotation, version_id)))
            except SecretsError:  # gone meanwhile, or under a key that is: then its name must do
                continue
        return frozenset(key_id for key_id in found if key_id is not None)

    def _id_in(self, version: Secret) -> str | None:
        """The id of the key that a version holds; None for a value that somebody made up."""
        try:
            key_id = version.json.get(self.id_field)
        except SecretFormatError:
            return None
        return key_id if isinstance(key_id, str) and key_id else None

    def _key_id(self, pending: Secret) -> str:
        key_id = self._id_in(pending)
        if key_id is None:
            raise RotationRefused(
                f"the pending version {pending.version_id} has no field {self.id_field}",
                hint="it was not made by this rotation: take AWSPENDING away from it, and rotate again",
            )
        return key_id


def _check_kind(demand: str, value: object, kind: type) -> None:
    if not isinstance(value, kind):
        raise InvalidArgument(f"{demand}, not {type(value).__name__}")


def _read(rotation: Rotation, version_id: str) -> Secret:
    return rotation.store.read(rotation.secret_id, stage=None, version_id=version_id)


def _carried_over(current: Secret | None) -> dict[str, Any]:
    """The fields of the current version; none of a first value, or of one that is no JSON object."""
    try:
        return {} if current is None else dict(current.json)
    except SecretFormatError:
        return {}


def _asked(what: str, call: Callable[[], T]) -> T:
    """What a service says, or an error of ours."""
    try:
        return call()
    except EnvelopeError:
        raise
    except Exception as error:  # noqa: BLE001 - a service may be anybody's; its exceptions may quote a key
        name = type(error).__name__
    raise TargetError(
        f"{what} failed: {name}",
        hint="the service's client raised it; its text is not shown, because it may quote keys",
    )
