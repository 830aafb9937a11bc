"""The front door: give me this secret. Reading stands on the cache, everything else on the store."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from envelope.arguments import check_function
from envelope.cache.clock import elapsed_s, system_chance
from envelope.cache.workers import StartThread, start_daemon
from envelope.errors import EnvelopeError
from envelope_secrets.batch import SecretBatch
from envelope_secrets.cache.keys import Whole, checked_id, version_key
from envelope_secrets.cache.limits import CacheLimits, CacheStats
from envelope_secrets.cache.secrets import SecretCache
from envelope_secrets.events import SecretChange, SecretEvent
from envelope_secrets.key_ring import KeyRing
from envelope_secrets.stages import AWSCURRENT
from envelope_secrets.stores.access import StoreAccess
from envelope_secrets.stores.protocol import (
    NO_TAGS,
    PolicyFinding,
    Replica,
    SecretDescription,
    SecretStore,
    SecretVersion,
    VersionPlace,
)
from envelope_secrets.value import HidesValue, Secret
from envelope_secrets.watching import Subscription, Wait, Watcher

if TYPE_CHECKING:  # what a program that only reads does not need is imported where it is used: a quarter of the time
    from envelope_secrets.policies import PolicyControl
    from envelope_secrets.references import SecretReference
    from envelope_secrets.rotation_control import RotationControl
    from envelope_secrets.stage_operations import StageOperations

__all__ = ["SecretsClient"]

_Function = TypeVar("_Function", bound=Callable[..., Any])


class SecretsClient(HidesValue):
    """Secrets from a store, kept in memory within limits. Share one between threads; it is safe for them and for forks.

    A secret that was read before is there in about a microsecond. Past its soft age one call renews it in the
    background while everybody goes on with what there is; while the store does not answer, it serves up to the hard
    age. Denied, deleted and missing are answers: then nothing serves any more.

    A `secret_id` is a name or an ARN, as the store takes it. Each spelling is kept apart, and what one has found out
    has the others renewed at their next use.

    Args:
        store: where the secrets are; AWS Secrets Manager by the process's own configuration if there is none given.
        limits: how old a value may become, and how many are kept.
        on_event: told of calls, failures and changes; never of a value. What it raises is logged and ignored.
        clock: monotonic seconds.
        random: a number from 0 to 1, each time another one.
        start_thread: runs what it is given without waiting for it.
        wait: waits for an event, up to a number of seconds; what subscriptions sleep with.

    Raises:
        InvalidArgument: an option of a wrong kind or out of its range; and every method once the client is closed.
    """

    __slots__ = ("__weakref__", "_access", "_cache", "_glance", "_watcher")

    def __init__(
        self,
        store: SecretStore | None = None,
        *,
        limits: CacheLimits = CacheLimits(),  # noqa: B008 - frozen
        on_event: Callable[[SecretEvent], object] | None = None,
        clock: Callable[[], float] = elapsed_s,
        random: Callable[[], float] = system_chance,
        start_thread: StartThread = start_daemon,
        wait: Wait = threading.Event.wait,
    ) -> None:
        check_function("wait", wait)
        self._access = StoreAccess(store)
        self._watcher = Watcher(self._tend, clock=clock, start_thread=start_thread, wait=wait)
        self._cache = SecretCache(
            self._access,
            limits,
            on_event=on_event,
            saw=self._watcher.saw,
            was_refused=self._watcher.was_refused,
            clock=clock,
            random=random,
            start_thread=start_thread,
        )
        self._glance = self._cache.glance

    def __repr__(self) -> str:
        return f"SecretsClient({self._access!r})"

    def __enter__(self) -> SecretsClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Forget every value and end all subscriptions. Nothing can be asked for afterwards; closing again is fine."""
        self._cache.close()
        self._watcher.close()

    # --- reading --------------------------------------------------------------------------------------

    def get(self, secret_id: str, *, stage: str | None = None, version_id: str | None = None) -> Secret:
        """One version of a secret, from memory if it is there.

        Args:
            stage: the staging label; AWSCURRENT if neither is given.
            version_id: this version whatever its labels are; together with `stage`, only if it has that label.

        Raises:
            SecretNotFound, SecretDeleted, SecretConflict, SecretKeyUnavailable, AwsError and what else the store
            raises, each time as another object. For a tenth of a second to two after a call that failed, its error is
            raised without another call.
        """
        if stage is None and version_id is None:
            stage = AWSCURRENT
        try:
            entry = self._glance((secret_id, stage, version_id))
        except TypeError:  # what is not hashable is no id, and said to be none below
            entry = None
        secret: Secret = self._cache.get(version_key(secret_id, stage, version_id)) if entry is None else entry.value
        return secret

    def refresh(
        self,
        secret_id: str,
        *,
        stage: str | None = None,
        version_id: str | None = None,
        replacing: Secret | None = None,
    ) -> Secret:
        """A secret as a call tells it that starts now, or later. For everybody who wants that at once it is one call.

        After a login that was refused, give the secret that did not work as `replacing`: if another thread has brought
        another version meanwhile, that is returned without a call, and a call under way is shared. It may be the same
        version again, when the store has no other one yet.

        Raises:
            As `get`. If the store does not answer, the value in memory goes on serving others.
        """
        return self._cache.renew(version_key(secret_id, stage, version_id), replacing)

    def get_many(self, secret_ids: Iterable[str]) -> SecretBatch:
        """The current versions of many secrets, or their errors. What is in memory is not asked for.

        The others come by calls for 20 at a time, one after the other.
        """
        return self._cache.many(secret_ids)

    def prefetch(self, secret_ids: Iterable[str]) -> Mapping[str, EnvelopeError]:
        """Read what a program is going to need, as when it starts. Returns the errors, by id; none is raised."""
        return self._cache.many(secret_ids).errors

    def key_ring(self, secret_id: str) -> KeyRing:
        """All versions with a label, as of one moment: for who signs with the current one and verifies with them all.

        Raises:
            As `get`. SecretConflict: the labels moved again and again while they were read.
        """
        ring: KeyRing = self._cache.get((checked_id(secret_id), Whole.KEY_RING, None))
        return ring

    def get_tree(self, path: str) -> Mapping[str, Secret]:
        """Every current value below a path like ``/app/``, by full name.

        Raises:
            NotSupported: the names of the store form no hierarchies.
        """
        self._access.trees()
        tree: Mapping[str, Secret] = self._cache.get((checked_id(path, "path"), Whole.TREE, None))
        return tree

    def invalidate(self, secret_id: str | None = None) -> None:
        """Forget a secret by any of its names, or everything: it is asked for when it is next needed."""
        self._access.check_open()
        self._cache.invalidate(secret_id)

    def on_change(
        self, secret_id: str, callback: Callable[[SecretChange], object], *, stage: str | None = None
    ) -> Subscription:
        """Have `callback` called once for each move of a label to another version, whoever reads or does not read.

        One thread for all subscriptions asks when a value has reached its soft age. It calls them one after the other,
        so be quick; what a callback raises is logged and ignored. The version that there is now is no change; a label
        that no version has now is told of when one gets it. That a label goes away is not told.

        Args:
            stage: AWSCURRENT by default.
        """
        return self._subscribe(secret_id, callback, stage, is_over=lambda: False)

    def _subscribe(
        self,
        secret_id: str,
        callback: Callable[[SecretChange], object],
        stage: str | None,
        *,
        is_over: Callable[[], bool],
    ) -> Subscription:
        check_function("callback", callback)
        self._access.check_open()
        key = version_key(secret_id, stage)
        subscription = self._watcher.subscribe(key[0], str(key[1]), callback, is_over=is_over)
        known = self._cache.peek(key)
        if known is not None:
            self._watcher.saw(key[0], str(key[1]), (known.value.arn, known.value.version_id), known.number)
        return subscription

    def inject(self, **parameters: str | SecretReference) -> Callable[[_Function], _Function]:
        """See `envelope_secrets.inject`: a decorator that gives a function secrets as arguments, read at each call."""
        from envelope_secrets.inject import inject

        return inject(self.get, **parameters)

    def stats(self) -> CacheStats:
        """What happened since this client was made, or its process was forked."""
        return self._cache.stats(len(self._watcher))

    # --- writing --------------------------------------------------------------------------------------

    def create(
        self,
        name: str,
        value: str | bytes | Mapping[str, Any] | None = None,
        *,
        description: str = "",
        kms_key_id: str = "",
        tags: Mapping[str, str] = NO_TAGS,
        replica_regions: Mapping[str, str] = NO_TAGS,
        token: str | None = None,
    ) -> VersionPlace:
        """Create a secret, with a first value unless that is to come from a rotation.

        Args:
            value: text, bytes, or a mapping that is stored as JSON.
            replica_regions: region and KMS key of each copy; an empty key for the region's default.
            token: see `put`.

        Raises:
            SecretConflict: there is a secret of that name.
        """
        from envelope_secrets.stores.hidden_values import hidden
        from envelope_secrets.writing import create, new_secret

        value = hidden(value)
        secret = new_secret(
            name,
            value,
            description=description,
            kms_key_id=kms_key_id,
            tags=tags,
            replica_regions=replica_regions,
            token=token,
        )
        with self._cache.changing(name):
            return create(self._access.store(), secret)

    def put(
        self,
        secret_id: str,
        value: str | bytes | Mapping[str, Any],
        *,
        stages: Iterable[str] = (AWSCURRENT,),
        token: str | None = None,
        expected_version_id: str | None = None,
        rotation_token: str | None = None,
    ) -> VersionPlace:
        """Store a new version.

        Args:
            value: text, bytes, or a mapping that is stored as JSON.
            stages: exactly these labels move to it.
            token: 32 to 64 characters that become the version's id; a call that is repeated with the same token and
                value changes nothing. Drawn unless given.
            expected_version_id: make it current only if this version is current until then.

        Raises:
            SecretConflict: the token is another value's, or another version than the expected one is current.
        """
        from envelope_secrets.stores.hidden_values import hidden
        from envelope_secrets.writing import new_version, put, put_if_current

        value, rotation_token = hidden(value), hidden(rotation_token)
        version = new_version(value, token=token, stages=stages, rotation_token=rotation_token)
        with self._cache.changing(secret_id):
            if expected_version_id is not None:
                return put_if_current(self._access.store(), secret_id, version, expected_version_id)
            return put(self._access.store(), secret_id, version)

    def update(self, secret_id: str, *, description: str | None = None, kms_key_id: str | None = None) -> None:
        """Change what belongs to the secret and not to a version; None leaves it as it is."""
        with self._cache.changing(secret_id):
            self._access.store().update(secret_id, description=description, kms_key_id=kms_key_id)

    def describe(self, secret_id: str) -> SecretDescription:
        """What is known of a secret without its value; asked for each time."""
        return self._access.store().describe(secret_id)

    def versions(self, secret_id: str, *, include_deprecated: bool = False) -> tuple[SecretVersion, ...]:
        """The versions that have a value or are announced by a label, the youngest first; asked for each time."""
        return self._access.store().versions(secret_id, include_deprecated=include_deprecated)

    def list(self, *, prefix: str = "", include_deleted: bool = False) -> Iterator[SecretDescription]:
        """All secrets whose names begin with `prefix`."""
        return self._access.store().list(prefix=prefix, include_deleted=include_deleted)

    def delete(self, secret_id: str, *, recovery_window_days: int | None = 30) -> datetime | None:
        """Schedule a deletion in 7 to 30 days; None deletes at once and for good. The date, where it is told."""
        with self._cache.changing(secret_id):
            return self._access.store().delete(secret_id, recovery_window_days=recovery_window_days)

    def restore(self, secret_id: str) -> None:
        """Take back a deletion that is scheduled."""
        with self._cache.changing(secret_id):
            self._access.store().restore(secret_id)

    def tag(self, secret_id: str, tags: Mapping[str, str]) -> None:
        """Set these tags; others stay."""
        self._access.store().tag(secret_id, tags)

    def untag(self, secret_id: str, names: Iterable[str]) -> None:
        """Take away these tags."""
        self._access.store().untag(secret_id, names)

    def replicate(self, secret_id: str, regions: Mapping[str, str], *, overwrite: bool = False) -> tuple[Replica, ...]:
        """Copy the secret to these regions; the value of each is a KMS key, or empty for the region's default.

        Raises:
            NotSupported, here and in the next two: the store has one region.
        """
        return self._access.replicates().replicate(secret_id, regions, overwrite=overwrite)

    def remove_replicas(self, secret_id: str, regions: Iterable[str]) -> tuple[Replica, ...]:
        """Delete copies, at once."""
        return self._access.replicates().remove_replicas(secret_id, regions)

    def stop_replication(self, secret_id: str) -> str:
        """In the region of a copy: make it a secret of its own. Its ARN."""
        with self._cache.changing(secret_id):
            return self._access.replicates().stop_replication(secret_id)

    @property
    def stages(self) -> StageOperations:
        """Promote, roll back, repair: moves of staging labels."""
        from envelope_secrets.stage_operations import StageOperations

        return StageOperations(self._access.store(), changed=self._cache.invalidate)

    @property
    def rotation(self) -> RotationControl:
        """Configure, start and cancel rotations."""
        from envelope_secrets.rotation_control import RotationControl

        return RotationControl(self._access.store(), changed=self._cache.invalidate)

    @property
    def policy(self) -> PolicyControl:
        """Resource policies: who else may read a secret."""
        from envelope_secrets.policies import PolicyControl

        return PolicyControl(self._access.store())

    def validate_policy(self, policy: str, *, secret_id: str | None = None) -> tuple[PolicyFinding, ...]:
        """What the service objects to in a resource policy; nothing if it would take it.

        Raises:
            NotSupported: the store has no policies.
        """
        return self._access.policies().validate_policy(policy, secret_id=secret_id)

    def _tend(self, secret_id: str, stage: str) -> float:
        return self._cache.tend(secret_id, stage)
