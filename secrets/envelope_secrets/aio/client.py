"""The front door for asyncio: the methods of `SecretsClient` as coroutines, over the same cache."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, TypeVar

from envelope.aio.worker import to_its_end
from envelope.arguments import check_function
from envelope.cache.clock import elapsed_s, system_chance
from envelope.cache.workers import StartThread, start_daemon
from envelope.errors import EnvelopeError, InvalidArgument
from envelope_secrets.aio.operations import AsyncPolicyControl, AsyncRotationControl, AsyncStageOperations
from envelope_secrets.batch import SecretBatch
from envelope_secrets.cache.keys import Whole, checked_id, version_key
from envelope_secrets.cache.limits import CacheLimits, CacheStats
from envelope_secrets.client import SecretsClient
from envelope_secrets.events import SecretChange, SecretEvent
from envelope_secrets.inject import inject
from envelope_secrets.key_ring import KeyRing
from envelope_secrets.references import SecretReference
from envelope_secrets.stages import AWSCURRENT
from envelope_secrets.stores.hidden_values import hidden
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
from envelope_secrets.watching import Subscription, Wait

__all__ = ["AsyncSecretsClient"]

_Function = TypeVar("_Function", bound=Callable[..., Any])


class AsyncSecretsClient(HidesValue):
    """`SecretsClient` for asyncio: the same arguments, values and errors. Share it between tasks and event loops.

    A secret that is in memory never leaves the event loop. One that is missing is asked for in a worker thread, once
    for all tasks and threads that miss it; a task that is cancelled leaves the call to the others. Writing calls run
    in a worker thread to their end, and a task that is cancelled waits for that.

    Args:
        See `SecretsClient`.
    """

    __slots__ = ("__weakref__", "_blocking", "_cache", "_glance")

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
        self._stand_on(
            SecretsClient(
                store,
                limits=limits,
                on_event=on_event,
                clock=clock,
                random=random,
                start_thread=start_thread,
                wait=wait,
            )
        )

    @classmethod
    def sharing(cls, client: SecretsClient) -> AsyncSecretsClient:
        """A client on the cache of another one, for programs whose tasks and threads need the same secrets."""
        if not isinstance(client, SecretsClient):
            raise InvalidArgument(f"client must be a SecretsClient, not {type(client).__name__}")
        shared = cls.__new__(cls)
        shared._stand_on(client)
        return shared

    def _stand_on(self, blocking: SecretsClient) -> None:
        self._blocking = blocking
        self._cache = blocking._cache
        self._glance = self._cache.glance

    def __repr__(self) -> str:
        return f"Async{self._blocking!r}"

    async def __aenter__(self) -> AsyncSecretsClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """See `SecretsClient.close`."""
        self._blocking.close()

    # --- reading --------------------------------------------------------------------------------------

    async def get(self, secret_id: str, *, stage: str | None = None, version_id: str | None = None) -> Secret:
        """See `SecretsClient.get`."""
        if stage is None and version_id is None:
            stage = AWSCURRENT
        try:
            entry = self._glance((secret_id, stage, version_id))
        except TypeError:  # what is not hashable is no id, and said to be none below
            entry = None
        if entry is not None:
            found: Secret = entry.value
            return found
        secret: Secret = await self._cache.get_async(version_key(secret_id, stage, version_id))
        return secret

    async def refresh(
        self,
        secret_id: str,
        *,
        stage: str | None = None,
        version_id: str | None = None,
        replacing: Secret | None = None,
    ) -> Secret:
        """See `SecretsClient.refresh`."""
        return await self._cache.renew_async(version_key(secret_id, stage, version_id), replacing)

    async def get_many(self, secret_ids: Iterable[str]) -> SecretBatch:
        """See `SecretsClient.get_many`."""
        return await self._cache.many_async(secret_ids)

    async def prefetch(self, secret_ids: Iterable[str]) -> Mapping[str, EnvelopeError]:
        """See `SecretsClient.prefetch`."""
        return (await self._cache.many_async(secret_ids)).errors

    async def key_ring(self, secret_id: str) -> KeyRing:
        """See `SecretsClient.key_ring`."""
        ring: KeyRing = await self._cache.get_async((checked_id(secret_id), Whole.KEY_RING, None))
        return ring

    async def get_tree(self, path: str) -> Mapping[str, Secret]:
        """See `SecretsClient.get_tree`."""
        self._cache.access.trees()
        tree: Mapping[str, Secret] = await self._cache.get_async((checked_id(path, "path"), Whole.TREE, None))
        return tree

    def invalidate(self, secret_id: str | None = None) -> None:
        """See `SecretsClient.invalidate`."""
        self._blocking.invalidate(secret_id)

    def on_change(
        self, secret_id: str, callback: Callable[[SecretChange], object], *, stage: str | None = None
    ) -> Subscription:
        """See `SecretsClient.on_change`; to be called in a running event loop, which calls back.

        Args:
            callback: a function, or a coroutine function, of which a task is made for each change. Once its event loop
                is closed, the subscription ends at the next look, with a warning in the log.

        Raises:
            InvalidArgument: no event loop is running.
        """
        check_function("callback", callback)
        in_loop = _LoopCallback(callback)
        return self._blocking._subscribe(secret_id, in_loop, stage, is_over=in_loop.is_over)

    def inject(self, **parameters: str | SecretReference) -> Callable[[_Function], _Function]:
        """See `SecretsClient.inject`; for coroutine functions and asynchronous generators."""
        return inject(self.get, **parameters)

    def stats(self) -> CacheStats:
        """See `SecretsClient.stats`."""
        return self._blocking.stats()

    # --- writing --------------------------------------------------------------------------------------

    async def create(
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
        """See `SecretsClient.create`."""
        value = hidden(value)
        return await to_its_end(
            self._blocking.create,
            name,
            value,
            description=description,
            kms_key_id=kms_key_id,
            tags=tags,
            replica_regions=replica_regions,
            token=token,
        )

    async def put(
        self,
        secret_id: str,
        value: str | bytes | Mapping[str, Any],
        *,
        stages: Iterable[str] = (AWSCURRENT,),
        token: str | None = None,
        expected_version_id: str | None = None,
        rotation_token: str | None = None,
    ) -> VersionPlace:
        """See `SecretsClient.put`."""
        value, rotation_token = hidden(value), hidden(rotation_token)
        return await to_its_end(
            self._blocking.put,
            secret_id,
            value,
            stages=stages,
            token=token,
            expected_version_id=expected_version_id,
            rotation_token=rotation_token,
        )

    async def update(self, secret_id: str, *, description: str | None = None, kms_key_id: str | None = None) -> None:
        """See `SecretsClient.update`."""
        await to_its_end(self._blocking.update, secret_id, description=description, kms_key_id=kms_key_id)

    async def describe(self, secret_id: str) -> SecretDescription:
        """See `SecretsClient.describe`."""
        return await to_its_end(self._blocking.describe, secret_id)

    async def versions(self, secret_id: str, *, include_deprecated: bool = False) -> tuple[SecretVersion, ...]:
        """See `SecretsClient.versions`."""
        return await to_its_end(self._blocking.versions, secret_id, include_deprecated=include_deprecated)

    async def list(self, *, prefix: str = "", include_deleted: bool = False) -> AsyncIterator[SecretDescription]:
        """See `SecretsClient.list`; for `async for`. Each is fetched in a worker thread when it is asked for."""
        found = await to_its_end(self._blocking.list, prefix=prefix, include_deleted=include_deleted)
        while (description := await to_its_end(next, found, None)) is not None:
            yield description

    async def delete(self, secret_id: str, *, recovery_window_days: int | None = 30) -> datetime | None:
        """See `SecretsClient.delete`."""
        return await to_its_end(self._blocking.delete, secret_id, recovery_window_days=recovery_window_days)

    async def restore(self, secret_id: str) -> None:
        """See `SecretsClient.restore`."""
        await to_its_end(self._blocking.restore, secret_id)

    async def tag(self, secret_id: str, tags: Mapping[str, str]) -> None:
        """See `SecretsClient.tag`."""
        await to_its_end(self._blocking.tag, secret_id, tags)

    async def untag(self, secret_id: str, names: Iterable[str]) -> None:
        """See `SecretsClient.untag`."""
        await to_its_end(self._blocking.untag, secret_id, names)

    async def replicate(
        self, secret_id: str, regions: Mapping[str, str], *, overwrite: bool = False
    ) -> tuple[Replica, ...]:
        """See `SecretsClient.replicate`."""
        return await to_its_end(self._blocking.replicate, secret_id, regions, overwrite=overwrite)

    async def remove_replicas(self, secret_id: str, regions: Iterable[str]) -> tuple[Replica, ...]:
        """See `SecretsClient.remove_replicas`."""
        return await to_its_end(self._blocking.remove_replicas, secret_id, regions)

    async def stop_replication(self, secret_id: str) -> str:
        """See `SecretsClient.stop_replication`."""
        return await to_its_end(self._blocking.stop_replication, secret_id)

    @property
    def stages(self) -> AsyncStageOperations:
        """See `SecretsClient.stages`."""
        return AsyncStageOperations(self._blocking.stages)

    @property
    def rotation(self) -> AsyncRotationControl:
        """See `SecretsClient.rotation`."""
        return AsyncRotationControl(self._blocking.rotation)

    @property
    def policy(self) -> AsyncPolicyControl:
        """See `SecretsClient.policy`."""
        return AsyncPolicyControl(self._blocking.policy)

    async def validate_policy(self, policy: str, *, secret_id: str | None = None) -> tuple[PolicyFinding, ...]:
        """See `SecretsClient.validate_policy`."""
        return await to_its_end(self._blocking.validate_policy, policy, secret_id=secret_id)


class _LoopCallback:
    """Calls back in the event loop that was running when it was made."""

    def __init__(self, callback: Callable[[SecretChange], object]) -> None:
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            raise InvalidArgument("on_change must be called in a running event loop") from None
        self._callback = callback
        self._tasks: set[asyncio.Future[Any]] = set()

    def is_over(self) -> bool:
        """Whether the event loop will call nothing back any more."""
        return self._loop.is_closed()

    def __call__(self, change: SecretChange) -> None:
        try:
            self._loop.call_soon_threadsafe(self._call, change)
        except RuntimeError:  # it was closed meanwhile, which the watcher finds next
            if not self._loop.is_closed():
                raise

    def _call(self, change: SecretChange) -> None:
        try:
            answer = self._callback(change)
        except Exception:
            logging.getLogger(__name__).exception("a callback of on_change raised")
            return
        if inspect.isawaitable(answer):
            task = asyncio.ensure_future(answer)
            self._tasks.add(task)  # the loop alone would not keep it
            task.add_done_callback(self._end)

    def _end(self, task: asyncio.Future[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logging.getLogger(__name__).error("a callback of on_change raised", exc_info=task.exception())
