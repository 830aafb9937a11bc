"""The data keys of one direction: those wrapped for encryption, or those unwrapped for decryption."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from envelope.aws.kms import kms_calls
from envelope.cache.entries import Entry
from envelope.cache.loading import CallsItself, LoadingCache
from envelope.data_key_events import EventKind, EventTeller, OperationStats, operation_of
from envelope.errors import EnvelopeError, KeyUnavailable
from envelope.materials import EncryptedDataKey, UnwrapRequest, WrapRequest
from envelope.process_state import reset_in_children

__all__ = ["Kept", "KeptDataKeys", "KeptEntry"]

R = TypeVar("R", bound=WrapRequest | UnwrapRequest)
A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Kept(Generic[R, A]):
    """What a keyring was asked, what it answered, and the encrypted data keys of that."""

    request: R
    answer: A
    encrypted_data_keys: tuple[EncryptedDataKey, ...]


_Key = tuple[Hashable, bytes]
KeptEntry = Entry[_Key, Kept[R, A]]
MakeCache = Callable[..., LoadingCache[Any, Any]]


class KeptDataKeys(Generic[R, A]):
    """A loading cache of what a keyring answers, with its events and counts.

    Args:
        make_cache: makes the loading cache, given what to call on a refresh and on an eviction.
        encrypted_data_keys: those of a request and its answer, for the events.
        teller: tells of events.
        clock: seconds, for the durations in events.
    """

    def __init__(
        self,
        make_cache: MakeCache,
        *,
        encrypted_data_keys: Callable[[R, A], tuple[EncryptedDataKey, ...]],
        teller: EventTeller,
        clock: Callable[[], float],
    ) -> None:
        self._cache: LoadingCache[_Key, Kept[R, A]] = make_cache(
            on_refresh=partial(self._tell_entry, "refresh"),
            on_evict=partial(self._tell_entry, "eviction"),
            group_of=lambda key: key[0],
        )
        self._encrypted_data_keys = encrypted_data_keys
        self._teller = teller
        self._is_heard = teller.on_event is not None
        self._clock = clock
        self.add = self._cache.add
        self.reset_after_fork()
        reset_in_children(self)

    def reset_after_fork(self) -> None:
        """Count anew, with a new lock."""
        self._lock = threading.Lock()
        self._uncached = 0
        self._kms_calls = 0

    def __len__(self) -> int:
        return len(self._cache)

    def stats(self) -> OperationStats:
        """The counts so far."""
        with self._lock:
            uncached, calls = self._uncached, self._kms_calls
        return OperationStats(**asdict(self._cache.counts()), uncached=uncached, kms_calls=calls)

    def clear(self, partition: Hashable) -> None:
        """Forget the data keys of a partition."""
        self._cache.clear(lambda key: key[0] == partition)

    def find(self, partition: Hashable, request: R, amount: int = 0) -> KeptEntry[R, A] | None:
        """What is kept for a request, if it may still be used. Never waits."""
        entry = self._cache.find((partition, request.identity), amount)
        if self._is_heard and entry is not None:
            self._teller.tell("hit", request, entry.value.encrypted_data_keys)
        return entry

    def get(self, partition: Hashable, request: R, ask: Callable[[R], A], amount: int = 0) -> KeptEntry[R, A]:
        """What is kept for a request, or what `ask` answers; one call of it for everybody who needs the same."""
        entry = self.find(partition, request, amount)
        if entry is not None:
            return entry
        started_s = self._clock()
        try:
            entry = self._cache.get((partition, request.identity), partial(self._asked, ask, request), amount)
        except CallsItself as error:
            raise _calls_itself() from error
        except EnvelopeError as error:
            self._tell_failed("refusal", request, started_s, error)
            raise
        self._tell_since("miss", entry.value, started_s)
        return entry

    async def get_async(
        self, partition: Hashable, request: R, ask: Callable[[R], A], amount: int = 0
    ) -> KeptEntry[R, A]:
        """Like `get`, for a task."""
        entry = self.find(partition, request, amount)
        if entry is not None:
            return entry
        started_s = self._clock()
        load = partial(self._asked, ask, request)
        try:
            entry = await self._cache.get_async((partition, request.identity), load, amount)
        except EnvelopeError as error:
            self._tell_failed("refusal", request, started_s, error)
            raise
        self._tell_since("miss", entry.value, started_s)
        return entry

    def ask_uncached(self, request: R, ask: Callable[[R], A]) -> A:
        """What `ask` answers; nothing of it is kept."""
        with self._lock:
            self._uncached += 1
        return self._asked(ask, request).answer

    def tell_refusal(self, request: R, error: EnvelopeError) -> None:
        """Tell that a limit forbids a request."""
        self._tell_failed("refusal", request, self._clock(), error)

    def _asked(self, ask: Callable[[R], A], request: R) -> Kept[R, A]:
        """Call the keyring; count and tell it."""
        started_s = self._clock()
        with kms_calls() as tally:
            try:
                answer = ask(request)
            except EnvelopeError as error:
                self._tell_failed(operation_of(request), request, started_s, error)
                raise
            finally:
                with self._lock:
                    self._kms_calls += tally.count
        kept = Kept(request, answer, self._encrypted_data_keys(request, answer))
        self._tell_since(operation_of(request), kept, started_s)
        return kept

    def _tell_since(self, kind: EventKind, kept: Kept[R, A], started_s: float) -> None:
        duration_s = self._clock() - started_s
        self._teller.tell(kind, kept.request, kept.encrypted_data_keys, duration_s=duration_s)

    def _tell_failed(self, kind: EventKind, request: R, started_s: float, error: EnvelopeError) -> None:
        self._teller.tell(kind, request, duration_s=self._clock() - started_s, error=str(error))

    def _tell_entry(self, kind: EventKind, entry: KeptEntry[R, A]) -> None:
        self._teller.tell(kind, entry.value.request, entry.value.encrypted_data_keys)


def _calls_itself() -> KeyUnavailable:
    return KeyUnavailable(
        "a data-key cache was asked for a data key by the call that gets it",
        hint="on_event and the keyring of a DataKeyCache must not encrypt or decrypt through that cache",
    )
