"""A cache that loads what it does not have: bounded, expiring, single-flight, renewed ahead of time.

    entry = cache.find(key, amount)             a usable entry, counted as used; None where there is none. Never waits
    entry = cache.get(key, load, amount)        loads what is missing: one call for everybody who misses the same key
    cache.add(entry, amount)                    more of an entry is used up while it is in use

An entry is usable up to its limits: an age, a number of uses, an amount. Past a fraction of them the next use starts a
renewal in a thread of its own, and everybody goes on with the entry; if that fails, the entry serves until its limits.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from envelope.cache.entries import Counts, Entry, Limits
from envelope.cache.refresh import MOST_BACK_OFF_S, back_off_s, renewal_back_off_s
from envelope.cache.single_flight import Flight, Outcome, own_copy
from envelope.cache.workers import StartThread, Workers, start_daemon
from envelope.process_state import reset_in_children

__all__ = ["CallsItself", "LoadingCache"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

MAX_REFRESHES = 16
"""So many renewals of a group run at a time; what else is due starts with a later use."""

MAX_REFRESHES_OF_ALL = 256

MAX_WAITS = 2
"""Who has waited for so many calls, and each time others have used up what came, makes a call of his own."""

SWEEPS_PER_AGE = 4
"""So often in the life of an entry, a call that loads another one looks for entries that nobody asks for any more."""


@dataclass(frozen=True, slots=True)
class _Failure:
    """A call that failed: nobody calls again before `until_s`."""

    error: Exception
    until_s: float
    in_a_row: int

    def is_over(self, now_s: float) -> bool:
        """Whether it was so long ago that it counts no more."""
        return now_s >= self.until_s + MOST_BACK_OFF_S


class CallsItself(RuntimeError):
    """What loads a key asks the cache for the same key, and would wait for itself."""


class LoadingCache(Generic[K, V]):
    """Safe for threads; relies on its lock alone, not on the GIL. A forked child begins with an empty one.

    Args:
        limits: of every entry.
        capacity: how many entries there are at most; the one that was not used for longest makes room.
        clock: monotonic seconds.
        random: a number from 0 to 1, each time another one.
        start_thread: runs what it is given without waiting for it.
        on_refresh: told of each entry whose renewal starts; not under the lock.
        on_evict: told of each entry that makes room; not under the lock.
        group_of: the group of a key: renewals of one group that hang do not keep those of another from starting.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        capacity: int,
        clock: Callable[[], float],
        random: Callable[[], float],
        start_thread: StartThread = start_daemon,
        on_refresh: Callable[[Entry[K, V]], None] = lambda _: None,
        on_evict: Callable[[Entry[K, V]], None] = lambda _: None,
        group_of: Callable[[K], Hashable] = lambda _: None,
    ) -> None:
        self._limits = limits
        self._capacity = capacity
        self._clock = clock
        self._random = random
        self._start_thread = start_thread
        self._on_refresh = on_refresh
        self._on_evict = on_evict
        self._group_of = group_of
        self.reset_after_fork()
        reset_in_children(self)

    def reset_after_fork(self) -> None:
        """Begin anew: empty, with a new lock, all counts at zero and no call in flight."""
        self._lock = threading.Lock()
        self._workers = Workers(self._start_thread)
        self._entries: OrderedDict[K, Entry[K, V]] = OrderedDict()
        self._flights: dict[K, Flight[Entry[K, V]]] = {}
        self._renewals: dict[Flight[Entry[K, V]], Hashable] = {}
        self._failures: OrderedDict[K, _Failure] = OrderedDict()
        self._swept_s = -math.inf
        self._hits = self._misses = self._waits = self._refused = 0
        self._refreshes = self._evictions = self._calls = self._failed = 0

    def __len__(self) -> int:
        return len(self._entries)

    def counts(self) -> Counts:
        """What happened so far, as of one moment."""
        with self._lock:
            return Counts(
                hits=self._hits,
                misses=self._misses,
                waits=self._waits,
                refused=self._refused,
                refreshes=self._refreshes,
                evictions=self._evictions,
                calls=self._calls,
                failures=self._failed,
            )

    def clear(self, is_meant: Callable[[K], bool] = lambda _: True) -> None:
        """Forget everything that is meant; what calls in flight bring of it is not kept either."""
        with self._lock:
            for known in (self._entries, self._failures, self._flights):
                for key in [key for key in known if is_meant(key)]:
                    del known[key]

    def find(self, key: K, amount: int = 0) -> Entry[K, V] | None:
        """A usable entry, counted as used; None where there is none. Never waits, and starts a renewal that is due."""
        now_s = self._clock()
        with self._lock:
            entry = self._take(key, amount, now_s)
            if entry is None:
                return None
            self._hits += 1
        # Read without the lock: who comes a use too early or too late does no harm, and _refresh looks again.
        is_due = now_s >= entry.refresh_s or entry.uses >= entry.refresh_uses or entry.amount >= entry.refresh_amount
        if is_due and now_s >= entry.retry_s:
            self._refresh(entry)
        return entry

    def get(self, key: K, load: Callable[[], V], amount: int = 0) -> Entry[K, V]:
        """A usable entry, counted as used; where there is none, what `load` returns.

        Raises:
            Exception: what `load` raised: here, in the call that this one waited for, or a moment ago. Each caller
                gets an exception object of its own.
            CallsItself: this is called by what loads the same key.
        """
        entry, waits, own = self.find(key, amount), 0, Flight[Entry[K, V]]()
        try:
            while entry is None:
                turn = self._turn(key, amount, own, waits)
                if isinstance(turn, Entry):
                    return turn
                if turn is own:
                    self._fly(key, load, amount, own)
                entry, waits = _settled(turn.future.result(), leads=turn is own), waits + 1
            return entry
        finally:
            self._end(key, own, Outcome())  # interrupted: somebody else has to make the call

    async def get_async(self, key: K, load: Callable[[], V], amount: int = 0) -> Entry[K, V]:
        """Like `get`, for a task: `load` runs in a worker thread.

        A task that is cancelled leaves the call to those who wait for it.
        """
        import asyncio  # 30 ms that a program without an event loop never needs

        entry, waits, own = self.find(key, amount), 0, Flight[Entry[K, V]]()
        is_handed_over = False
        try:
            while entry is None:
                turn = self._turn(key, amount, own, waits)
                if isinstance(turn, Entry):
                    return turn
                if turn is own:
                    self._workers.run(partial(self._fly, key, load, amount, own))
                    is_handed_over = True
                entry, waits = _settled(await asyncio.wrap_future(turn.future), leads=turn is own), waits + 1
            return entry
        finally:
            if not is_handed_over:
                self._end(key, own, Outcome())

    def add(self, entry: Entry[K, V], amount: int) -> bool:
        """Use up more of an entry, whether it is still kept or not; False, and nothing, if that is over its limit."""
        with self._lock:
            if entry.amount + amount > self._limits.max_amount:
                return False
            entry.amount += amount
            return True

    def _take(self, key: K, amount: int, now_s: float) -> Entry[K, V] | None:
        """Use an entry; drop it if that is over its limits. Under the lock."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        limits, uses, total = self._limits, entry.uses + 1, entry.amount + amount
        if now_s >= entry.expires_s or uses > limits.max_uses or total > limits.max_amount:
            del self._entries[key]
            return None
        entry.uses, entry.amount = uses, total
        self._entries.move_to_end(key)
        return entry

    def _turn(self, key: K, amount: int, own: Flight[Entry[K, V]], waits: int) -> Entry[K, V] | Flight[Entry[K, V]]:
        """What a caller who found nothing does: use what has come in since, make his own flight, or wait for another.

        Each request counts once, when it comes here for the first time.
        """
        is_first, now_s = waits == 0, self._clock()
        with self._lock:
            entry = self._take(key, amount, now_s)
            if entry is not None:
                self._hits += is_first
                return entry
            flight = self._flights.get(key)
            if flight is not None and flight.thread_id == threading.get_ident():
                raise CallsItself("what loads a key asks for the same key")
            if flight is not None:
                self._waits += is_first
                return flight if waits < MAX_WAITS else own
            failure = self._failures.get(key)
            if failure is None or now_s >= failure.until_s:
                self._misses += is_first
                self._flights[key] = own
                return own
            self._refused += is_first
        raise own_copy(failure.error)

    def _fly(self, key: K, load: Callable[[], V], amount: int, flight: Flight[Entry[K, V]], *, uses: int = 1) -> None:
        """Make the call and land the flight, with `uses` of what it brings used up already."""
        outcome: Outcome[Entry[K, V]] = Outcome()
        try:
            outcome = self._outcome(key, load, amount, flight, uses)
        finally:
            self._end(key, flight, outcome)

    def _outcome(
        self, key: K, load: Callable[[], V], amount: int, flight: Flight[Entry[K, V]], uses: int
    ) -> Outcome[Entry[K, V]]:
        flight.thread_id = threading.get_ident()
        with self._lock:
            self._calls += 1
        started_s = self._clock()
        try:
            value = load()
        except Exception as error:  # noqa: BLE001 - handed to everybody who waits, and raised there
            self._keep_failure(key, flight, error)
            return Outcome(error=error)
        entry = Entry(key, value, load, limits=self._limits, loaded_s=started_s, chance=self._random())
        entry.uses, entry.amount = uses, amount
        self._keep(entry, flight)
        return Outcome(value=entry)

    def _keep(self, entry: Entry[K, V], flight: Flight[Entry[K, V]]) -> None:
        """Keep what a flight brought, unless everything was forgotten since it started."""
        evicted: list[Entry[K, V]] = []
        now_s = self._clock()
        with self._lock:
            if self._flights.get(entry.key) is not flight:
                return
            self._failures.pop(entry.key, None)
            self._sweep(now_s)
            self._entries.pop(entry.key, None)
            self._entries[entry.key] = entry
            while len(self._entries) > self._capacity:
                evicted.append(self._entries.popitem(last=False)[1])
            self._evictions += len(evicted)
        for old in evicted:
            self._on_evict(old)

    def _sweep(self, now_s: float) -> None:
        """Drop entries that have expired; at most some times in the life of an entry. Under the lock."""
        if now_s < self._swept_s + self._limits.max_age_s / SWEEPS_PER_AGE:
            return
        self._swept_s = now_s
        for key in [key for key, entry in self._entries.items() if now_s >= entry.expires_s]:
            del self._entries[key]

    def _keep_failure(self, key: K, flight: Flight[Entry[K, V]], error: Exception) -> None:
        now_s, chance, kept = self._clock(), self._random(), own_copy(error)
        with self._lock:
            self._failed += 1
            if self._flights.get(key) is not flight:
                return
            before = self._failures.pop(key, None)
            in_a_row = 1 if before is None or before.is_over(now_s) else before.in_a_row + 1
            self._failures[key] = _Failure(kept, now_s + back_off_s(in_a_row, chance), in_a_row)
            oldest = next(iter(self._failures))
            while len(self._failures) > self._capacity or self._failures[oldest].is_over(now_s):
                del self._failures[oldest]
                oldest = next(iter(self._failures))
            entry = self._entries.get(key)
            if entry is not None:
                entry.retry_s = now_s + renewal_back_off_s(in_a_row, entry.expires_s - now_s, chance)

    def _end(self, key: K, flight: Flight[Entry[K, V]], outcome: Outcome[Entry[K, V]]) -> None:
        """End a flight, if it has not ended."""
        with self._lock:
            self._renewals.pop(flight, None)
            if self._flights.get(key) is flight:
                del self._flights[key]
        flight.land(outcome)

    def _refresh(self, entry: Entry[K, V]) -> None:
        """Start a renewal, unless one is on its way or many are running."""
        key, group, flight, is_started = entry.key, self._group_of(entry.key), Flight[Entry[K, V]](), False
        try:
            with self._lock:
                running = list(self._renewals.values())
                if len(running) >= MAX_REFRESHES_OF_ALL or running.count(group) >= MAX_REFRESHES:
                    return
                if key in self._flights or self._entries.get(key) is not entry:
                    return
                self._renewals[flight] = group
                self._refreshes += 1
                self._flights[key] = flight
            self._on_refresh(entry)
            self._start_thread(partial(self._fly, key, entry.load, 0, flight, uses=0))
            is_started = True
        except Exception:  # noqa: BLE001 - no thread can be started, as when the interpreter is going down
            return  # a later use tries again
        finally:
            if not is_started:
                self._end(key, flight, Outcome())


def _settled(outcome: Outcome[Entry[K, V]], *, leads: bool) -> Entry[K, V] | None:
    """What a flight means to one caller: the entry of who made it, nothing yet for who waited, or the error."""
    if outcome.error is not None:
        raise outcome.error if leads else own_copy(outcome.error)
    if leads and outcome.value is None:
        raise RuntimeError("the call was interrupted")  # in a worker, which has nobody to raise it to
    return outcome.value if leads else None
