"""The data-key cache: one data key for many messages, none of which begins beyond its limits.

A keyring around a keyring. Nothing here knows the message format. docs/caching.md says how to choose the limits.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace
from functools import partial
from typing import TypeVar

from envelope.arguments import check_count, check_flag, check_fraction, check_function, check_seconds
from envelope.cache.clock import elapsed_s, system_chance
from envelope.cache.entries import Limits
from envelope.cache.loading import LoadingCache
from envelope.cache.workers import StartThread, start_daemon
from envelope.context import PUBLIC_KEY_NAME
from envelope.data_key_events import CacheStats, DataKeyEvent, EventTeller
from envelope.errors import InvalidArgument, LimitExceeded
from envelope.kept_data_keys import KeptDataKeys, KeptEntry
from envelope.keyrings.guard import check_data_key, check_unwrapped, guarded
from envelope.keyrings.protocol import CountingKeyring, Keyring, check_keyring
from envelope.materials import DataKey, HoldsKey, UnwrappedDataKey, UnwrapRequest, WrapRequest
from envelope.signing import with_signing_key

__all__ = ["DataKeyCache"]

_Answer = TypeVar("_Answer")

DEFAULT_MAX_AGE_S = 300.0
"""So long a caller goes on whose rights were taken away; and one call for each encryption context in four minutes."""

DEFAULT_MAX_MESSAGES = 2**20
"""The specification's bound is 2**32. With a 4096th of it KMS still has a millionth of the work."""

DEFAULT_MAX_BYTES = 2**40
"""2**20 messages of 1 MiB; the specification's bound is 2**63 - 1."""

DEFAULT_CAPACITY = 1_000

SPECIFIED_MAX_MESSAGES = 2**32
SPECIFIED_MAX_BYTES = 2**63 - 1
MAX_CAPACITY = 10_000_000

MAX_IDENTITY_BYTES = 16_384
"""Requests that are longer, by their encryption context and encrypted data keys, are not kept: anybody can append to a
message what makes it long, and the data key is unwrapped before that shows."""

STREAM_BYTES = 64 * 1024 * 1024
"""A stream of unknown length takes so much of its data key from the start, so that a short one never fails half-way."""

STREAMS_PER_KEY = 16
"""But never more than this part of `max_bytes`."""


class DataKeyCache(HoldsKey):
    """A keyring that asks another one once for many messages. Safe to share between threads, tasks and clients.

    Encryption: a data key serves one suite and one encryption context (unstored pairs included), until one of the
    limits. Decryption: a data key serves messages with the same suite, encryption context and encrypted data keys,
    until `max_age_s`. Never cached, in either direction, are suites without key derivation, and requests whose
    encryption context and encrypted data keys take more than 16,384 bytes together.

    While a usable data key exists, nobody waits for the keyring: past `refresh_ahead` of a limit, less up to a fifth of
    that by chance, one use starts a renewal in the background, and if it fails, the data key serves until its limits.
    Threads and tasks that miss the same data key wait for one call. After a failed call its error is raised again for
    0.05 to 2 seconds, longer after each failure in a row, before the next call is made.

    The limits are for the moment in which a message begins. A stream that has begun goes on under its data key when
    that has become too old. And who made a call that itself took longer than `max_age_s` gets what it brought, for the
    one message that he made it for; nobody else does.

    A message longer than `max_bytes` gets a data key of its own. A stream whose length is not known is counted as it
    flows, before it is sealed: one that outgrows what its data key has left fails with `LimitExceeded`. That cannot
    happen within its first 64 MiB or sixteenth of `max_bytes`, whichever is less.

    Signed messages under one data key share one signing key, because the data key is bound to the public key.

    A forked child and a restored snapshot begin with an empty cache, new locks and counts at zero. Signal handlers and
    finalizers must not use it: they can run while this very thread holds its lock.

    Args:
        keyring: makes and unwraps the data keys.
        max_age_s: seconds from the start of the keyring's call, on a monotonic clock; above 0.
        max_messages: under one data key; 1 to 2**32.
        max_bytes: of plaintext under one data key; 1 to 2**63 - 1.
        capacity: data keys held at most, for each direction; the one that was not used for longest makes room.
        refresh_ahead: the fraction of the limits from which on a data key is renewed; above 0, and 1 for never.
        partition: a name to share data keys with other caches of `with_keyring`; by default nobody shares them.
        on_event: is given a `DataKeyEvent` for whatever happens, in the thread where it happens. It should be quick;
            what it raises is logged and ignored. It must not encrypt or decrypt through this cache.
        events_show_context_values: events have the values of the encryption context, not only its names.
        clock: monotonic seconds.
        random: a number from 0 to 1, each time another one; for jitter only.
        start_thread: runs a function in the background.

    Raises:
        InvalidArgument: an option of the wrong type or out of range, or something that is no keyring.
    """

    __slots__ = (
        "__weakref__",
        "_ask_unwrap",
        "_ask_wrap",
        "_keyring",
        "_max_bytes",
        "_partition",
        "_unwraps",
        "_wraps",
    )

    _wraps: KeptDataKeys[WrapRequest, DataKey]
    _unwraps: KeptDataKeys[UnwrapRequest, UnwrappedDataKey]

    def __init__(  # noqa: PLR0913 - options, all of them keyword-only
        self,
        keyring: Keyring,
        *,
        max_age_s: float = DEFAULT_MAX_AGE_S,
        max_messages: int = DEFAULT_MAX_MESSAGES,
        max_bytes: int = DEFAULT_MAX_BYTES,
        capacity: int = DEFAULT_CAPACITY,
        refresh_ahead: float = 0.8,
        partition: str | None = None,
        on_event: Callable[[DataKeyEvent], object] | None = None,
        events_show_context_values: bool = False,
        clock: Callable[[], float] = elapsed_s,
        random: Callable[[], float] = system_chance,
        start_thread: StartThread = start_daemon,
    ) -> None:
        age = check_seconds("max_age_s", max_age_s)
        fraction = check_fraction("refresh_ahead", refresh_ahead)
        self._max_bytes = check_count("max_bytes", max_bytes, 1, SPECIFIED_MAX_BYTES)
        for name, function in (("clock", clock), ("random", random), ("start_thread", start_thread)):
            check_function(name, function)
        if on_event is not None:
            check_function("on_event", on_event)
        teller = EventTeller(on_event, check_flag("events_show_context_values", events_show_context_values))
        make_cache = partial(
            LoadingCache,
            capacity=check_count("capacity", capacity, 1, MAX_CAPACITY),
            clock=clock,
            random=random,
            start_thread=start_thread,
        )
        wrap_limits = Limits(
            max_age_s=age,
            max_uses=check_count("max_messages", max_messages, 1, SPECIFIED_MAX_MESSAGES),
            max_amount=self._max_bytes,
            refresh_ahead=fraction,
        )
        self._wraps = KeptDataKeys(
            partial(make_cache, wrap_limits),
            encrypted_data_keys=lambda _, data_key: data_key.encrypted_data_keys,
            teller=teller,
            clock=clock,
        )
        self._unwraps = KeptDataKeys(
            partial(make_cache, Limits(max_age_s=age, refresh_ahead=fraction)),
            encrypted_data_keys=lambda request, _: request.encrypted_data_keys,
            teller=teller,
            clock=clock,
        )
        self._set_keyring(keyring, partition)

    def _set_keyring(self, keyring: object, partition: object) -> None:
        if partition is not None and (not isinstance(partition, str) or not partition):
            raise InvalidArgument("partition must be a name, or None for a partition of its own")
        self._keyring = check_keyring(keyring)
        if isinstance(keyring, CountingKeyring):
            raise _counts_itself()
        self._partition: Hashable = object() if partition is None else partition
        self._ask_wrap = guarded(partial(_wrapped, self._keyring), self._keyring, "wrap a data key")
        self._ask_unwrap = guarded(partial(_unwrapped, self._keyring), self._keyring, "unwrap the data key")

    def __repr__(self) -> str:
        return f"DataKeyCache({self._keyring!r})"

    def with_keyring(self, keyring: Keyring, *, partition: str | None = None) -> DataKeyCache:
        """A cache for another keyring, with the limits, capacity, counts and events of this one.

        For many keyrings in one process, as one for each tenant. Data keys are shared only between caches of the same
        `partition`: name one only for keyrings that have the same rights, because what one of them unwrapped serves
        the others.
        """
        other = object.__new__(DataKeyCache)
        other._max_bytes, other._wraps, other._unwraps = self._max_bytes, self._wraps, self._unwraps
        other._set_keyring(keyring, partition)
        return other

    def stats(self) -> CacheStats:
        """What happened since this cache was made, or since the fork; with the caches of `with_keyring`."""
        return CacheStats(self._wraps.stats(), self._unwraps.stats(), len(self._wraps) + len(self._unwraps))

    def clear(self) -> None:
        """Forget the data keys of this cache's partition; the next messages get new ones.

        Data keys in use by a writer or reader, and copies that Python made, stay in memory until they are freed and
        overwritten: see SECURITY.md.
        """
        self._wraps.clear(self._partition)
        self._unwraps.clear(self._partition)

    def wrap(self, request: WrapRequest) -> DataKey:
        """See `Keyring.wrap`."""
        return self.wrap_stream(request, None)

    def wrap_for(self, request: WrapRequest, plaintext_bytes: int) -> DataKey:
        """See `CountingKeyring.wrap_for`."""
        if plaintext_bytes <= self._max_bytes and request.data_key is None:
            entry = self._wraps.find(self._partition, request, plaintext_bytes)
            if entry is not None:
                return entry.value.answer
        if self._is_uncached(request, plaintext_bytes):
            return self._wraps.ask_uncached(request, self._ask_wrap)
        return self._wraps.get(self._partition, request, self._ask_wrap, plaintext_bytes).value.answer

    def wrap_stream(self, request: WrapRequest, least_bytes: int | None) -> DataKey:
        """See `CountingKeyring.wrap_stream`."""
        taken = self._taken_bytes(least_bytes)
        if self._is_uncached(request, taken):
            return self._wraps.ask_uncached(request, self._ask_wrap)
        return self._counted(self._wraps.get(self._partition, request, self._ask_wrap, taken), taken)

    def unwrap(self, request: UnwrapRequest) -> UnwrappedDataKey:
        """See `Keyring.unwrap`."""
        entry = self._unwraps.find(self._partition, request)
        if entry is not None:
            return entry.value.answer
        if _is_never_kept(request):
            return self._unwraps.ask_uncached(request, self._ask_unwrap)
        return self._unwraps.get(self._partition, request, self._ask_unwrap).value.answer

    async def wrap_for_async(self, request: WrapRequest, plaintext_bytes: int) -> DataKey:
        """Like `wrap_for`, for a task: only a miss leaves the event loop."""
        if self._is_uncached(request, plaintext_bytes):
            return await _in_thread(self._wraps.ask_uncached, request, self._ask_wrap)
        entry = await self._wraps.get_async(self._partition, request, self._ask_wrap, plaintext_bytes)
        return entry.value.answer

    async def wrap_stream_async(self, request: WrapRequest, least_bytes: int | None) -> DataKey:
        """Like `wrap_stream`, for a task."""
        taken = self._taken_bytes(least_bytes)
        if self._is_uncached(request, taken):
            return await _in_thread(self._wraps.ask_uncached, request, self._ask_wrap)
        return self._counted(await self._wraps.get_async(self._partition, request, self._ask_wrap, taken), taken)

    async def unwrap_async(self, request: UnwrapRequest) -> UnwrappedDataKey:
        """Like `unwrap`, for a task."""
        if _is_never_kept(request):
            return await _in_thread(self._unwraps.ask_uncached, request, self._ask_unwrap)
        return (await self._unwraps.get_async(self._partition, request, self._ask_unwrap)).value.answer

    def _is_uncached(self, request: WrapRequest, plaintext_bytes: int) -> bool:
        """Whether a request goes past the cache.

        A given data key is for one message. A public key in the encryption context was made for one message.
        """
        return (
            plaintext_bytes > self._max_bytes
            or _is_never_kept(request)
            or request.data_key is not None
            or PUBLIC_KEY_NAME in request.encryption_context
        )

    def _taken_bytes(self, least_bytes: int | None) -> int:
        """How much of its data key a stream takes at its start: its length, as far as that is known."""
        return min(STREAM_BYTES, self._max_bytes // STREAMS_PER_KEY) if least_bytes is None else least_bytes

    def _counted(self, entry: KeptEntry[WrapRequest, DataKey], taken_bytes: int) -> DataKey:
        return replace(entry.value.answer, count_bytes=_StreamCount(self._wraps, entry, taken_bytes, self._max_bytes))


class _StreamCount:
    """Counts the bytes of one stream on its data key. Not for two threads at once, as the stream itself."""

    __slots__ = ("_entry", "_left_bytes", "_max_bytes", "_wraps")

    def __init__(
        self,
        wraps: KeptDataKeys[WrapRequest, DataKey],
        entry: KeptEntry[WrapRequest, DataKey],
        taken_bytes: int,
        max_bytes: int,
    ) -> None:
        self._wraps = wraps
        self._entry = entry
        self._left_bytes = taken_bytes
        self._max_bytes = max_bytes

    def __call__(self, count: int) -> None:
        missing = count - self._left_bytes
        if missing > 0 and not self._wraps.add(self._entry, missing):
            error = LimitExceeded(
                f"the stream takes more bytes than its data key has left of max_bytes, {self._max_bytes:,}",
                hint="say the length of the stream before it starts, which gives a long one a data key of its own, "
                "or raise max_bytes of the data-key cache",
            )
            self._wraps.tell_refusal(self._entry.value.request, error)
            raise error
        self._left_bytes = max(-missing, 0)


def _wrapped(keyring: Keyring, request: WrapRequest) -> DataKey:
    """A data key of a keyring, with a signing key where the suite signs and the request does not name one yet."""
    curve = request.suite.curve
    if curve is None or request.data_key is not None or PUBLIC_KEY_NAME in request.encryption_context:
        return _uncounted(check_data_key(keyring.wrap(request), request.suite))
    signed_request, signing_key = with_signing_key(request, curve)
    data_key = _uncounted(check_data_key(keyring.wrap(signed_request), request.suite))
    return replace(data_key, signing_key=signing_key)


def _uncounted(data_key: DataKey) -> DataKey:
    if data_key.count_bytes is not None:
        raise _counts_itself()
    return data_key


def _counts_itself() -> InvalidArgument:
    return InvalidArgument(
        "a DataKeyCache cannot have a keyring that counts messages itself: its limits would not hold",
        hint="one cache, outside of all other keyrings",
    )


def _is_never_kept(request: WrapRequest | UnwrapRequest) -> bool:
    return not request.suite.derives_keys or len(request.identity) > MAX_IDENTITY_BYTES


def _unwrapped(keyring: Keyring, request: UnwrapRequest) -> UnwrappedDataKey:
    return check_unwrapped(keyring.unwrap(request), request.suite)


async def _in_thread(function: Callable[..., _Answer], *arguments: object) -> _Answer:
    import asyncio  # 30 ms that a program without an event loop never needs

    return await asyncio.to_thread(function, *arguments)
