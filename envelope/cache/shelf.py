"""What a loading cache knows: entries, calls in flight, failures, counts. It makes no call and reads no clock.

One lock guards all of it, and the cache holds it: every method here is called under the lock. What may be read without
the lock says so.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from envelope.cache.entries import Counts, Entry, Limits
from envelope.cache.refresh import MOST_BACK_OFF_S, back_off_s, renewal_back_off_s
from envelope.cache.single_flight import Flight

__all__ = ["CallsItself", "Failure", "Shelf"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

MAX_REFRESHES = 16
"""So many renewals of a group run at a time; what else is due starts with a later use."""

MAX_REFRESHES_OF_ALL = 256

MAX_WAITS = 2
"""Who has waited for so many calls, and each time others have used up what came, makes a call of his own. It does not
happen where uses and amounts have no limit."""

SWEEPS_PER_AGE = 4
"""So often in the life of an entry, a call that loads another one looks for entries that nobody asks for any more."""


class CallsItself(RuntimeError):
    """What loads a key asks the cache for the same key, and would wait for itself."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that failed: nobody calls again before `until_s`. `number` is that of the call, as of `Entry`."""

    error: Exception
    until_s: float
    in_a_row: int
    number: int

    def is_over(self, now_s: float) -> bool:
        """Whether it was so long ago that it counts no more."""
        return now_s >= self.until_s + MOST_BACK_OFF_S


class Shelf(Generic[K, V]):
    """The state of one cache.

    Attributes:
        lock: to be held around everything below.
        entries: by key. May be read without the lock, by one `get` of a key: in a `dict` that is one step, with the GIL
            and in free-threaded Python ("Thread Safety Guarantees" in the Python documentation). Not so in an
            `OrderedDict`, which is why the order has one of its own, for the holder of the lock alone.
        flights: the call whose answer will be kept, by key. A flight that is not here any more was superseded.
        failures: the newest of each key, as long as it counts.
        most_waits: how often one waits for the calls of others.
        number: of the call that began last; never set back, so entries stay in order after a reset.
        hits: see `Counts`; without those of `glances`.
        glances: counts hits without the lock: its `next` is one step that no other thread can come into, in
            free-threaded Python too (since 3.13.0, the first that there was).
    """

    def __init__(self, limits: Limits, capacity: int) -> None:
        self._limits = limits
        self._capacity = capacity
        self.most_waits = MAX_WAITS if min(limits.max_uses, limits.max_amount) < math.inf else math.inf
        self.number = 0
        self.reset()

    def reset(self) -> None:
        """Begin anew: empty, with a new lock, all counts at zero and no call in flight."""
        self.lock = threading.Lock()
        self.entries: dict[K, Entry[K, V]] = {}
        self._by_last_use: OrderedDict[K, Entry[K, V]] = OrderedDict()  # the same, what was not used for longest first
        self.flights: dict[K, Flight[Entry[K, V]]] = {}
        self.failures: OrderedDict[K, Failure] = OrderedDict()
        self._renewals: dict[Flight[Entry[K, V]], Hashable] = {}
        self._swept_s = -math.inf
        self.glances = itertools.count()
        self._looks = 0
        self.hits = self._misses = self._waits = self._refused = 0
        self._refreshes = self._evictions = self._calls = self._failed = 0

    def counts(self) -> Counts:
        """What happened so far."""
        glances = next(self.glances) - self._looks  # to look is to count one
        self._looks += 1
        return Counts(
            hits=self.hits + glances,
            misses=self._misses,
            waits=self._waits,
            refused=self._refused,
            refreshes=self._refreshes,
            evictions=self._evictions,
            calls=self._calls,
            failures=self._failed,
        )

    def clear(self, is_meant: Callable[[K], bool]) -> None:
        """Forget everything that is meant; what calls in flight bring of it is not kept either."""
        for key in [key for key in self.entries if is_meant(key)]:
            self._drop(key)
        for known in (self.failures, self.flights):
            for key in [key for key in known if is_meant(key)]:
                del known[key]

    def _drop(self, key: K) -> None:
        # In this order, and the other one in `keep`: an interrupt between the two leaves no entry without its place.
        self.entries.pop(key, None)
        self._by_last_use.pop(key, None)

    def take(self, key: K, amount: int, now_s: float) -> Entry[K, V] | None:
        """Use an entry; drop it if that is over its limits."""
        entry = self.entries.get(key)
        if entry is None:
            return None
        limits, uses, total = self._limits, entry.uses + 1, entry.amount + amount
        if now_s >= entry.expires_s or uses > limits.max_uses or total > limits.max_amount:
            self._drop(key)
            return None
        entry.uses, entry.amount = uses, total
        self._by_last_use.move_to_end(key)
        return entry

    def use(self, entry: Entry[K, V], amount: int, now_s: float) -> bool:
        """Use an entry that somebody has brought, whether it is still kept or not; False if that is over its limits."""
        uses, total = entry.uses + 1, entry.amount + amount
        if now_s >= entry.expires_s or uses > self._limits.max_uses or total > self._limits.max_amount:
            return False
        entry.uses, entry.amount = uses, total
        return True

    def turn(
        self, key: K, amount: int, own: Flight[Entry[K, V]], waits: int, now_s: float
    ) -> Entry[K, V] | Flight[Entry[K, V]] | Failure:
        """What a caller who found nothing does: use what has come in since, make his own flight, or wait for another.

        Or fail, because a call failed a moment ago. Each request counts once, when it comes here for the first time.
        """
        is_first = waits == 0
        entry = self.take(key, amount, now_s)
        if entry is not None:
            self.hits += is_first
            return entry
        flight = self._flight_of_others(key)
        if flight is not None:
            self._waits += is_first
            return flight if waits < self.most_waits else own
        failure = self.failures.get(key)
        if failure is not None and now_s < failure.until_s:
            self._refused += is_first
            return failure
        self._misses += is_first
        self.flights[key] = own
        return own

    def turn_to_renew(
        self,
        key: K,
        own: Flight[Entry[K, V]],
        waits: int,
        now_s: float,
        *,
        is_new: Callable[[Entry[K, V]], bool],
    ) -> Entry[K, V] | Flight[Entry[K, V]]:
        """What a caller does for whom an entry may be too old: use a new one, make his own flight, or wait for another.

        A flight that nobody forced is superseded: what it brings would be too old, and must not replace what is newer.

        Args:
            is_new: whether an entry is new enough; called under the lock.
        """
        is_first, entry = waits == 0, self.entries.get(key)
        if entry is not None and is_new(entry):
            entry = self.take(key, 0, now_s)
            if entry is not None:
                self.hits += is_first
                return entry
        flight = self._flight_of_others(key)
        if flight is not None and flight.is_forced:
            self._waits += is_first
            return flight
        self._misses += is_first
        self.flights[key] = own
        return own

    def _flight_of_others(self, key: K) -> Flight[Entry[K, V]] | None:
        flight = self.flights.get(key)
        if flight is not None and flight.thread_id == threading.get_ident():
            raise CallsItself("what loads a key asks for the same key")
        return flight

    def begin(self, flights: Iterable[Flight[Entry[K, V]]]) -> int:
        """Have the calling thread make one call for all these flights. Its number."""
        self.number += 1
        self._calls += 1
        for flight in flights:
            flight.number = self.number
            flight.thread_id = threading.get_ident()
        return self.number

    def is_current(self, key: K, flight: Flight[Entry[K, V]]) -> bool:
        """Whether what a flight brings is to be kept: nothing was forgotten, and no newer call began, meanwhile."""
        return self.flights.get(key) is flight

    def keep(self, entry: Entry[K, V], now_s: float) -> tuple[Entry[K, V] | None, list[Entry[K, V]]]:
        """Keep what a flight brought. The entry before it, and those that make room."""
        self.failures.pop(entry.key, None)
        self._sweep(now_s)
        before = self.entries.get(entry.key)
        self._by_last_use[entry.key] = entry
        self._by_last_use.move_to_end(entry.key)
        self.entries[entry.key] = entry
        evicted = self._evicted(entry)
        self._evictions += len(evicted)
        return before, evicted

    def _evicted(self, newest: Entry[K, V]) -> list[Entry[K, V]]:
        """Take out what is too much: what was not used for longest, where what was seen since is spared once."""
        evicted: list[Entry[K, V]] = []
        chances = len(self._by_last_use)
        while len(self._by_last_use) > self._capacity:
            key, oldest = next(iter(self._by_last_use.items()))
            if oldest is newest or (oldest.was_seen and chances > 0):
                oldest.was_seen = False
                chances -= 1
                self._by_last_use.move_to_end(key)
            else:
                self._drop(key)
                evicted.append(oldest)
        return evicted

    def _sweep(self, now_s: float) -> None:
        """Drop entries that have expired; at most some times in the life of an entry."""
        if now_s < self._swept_s + self._limits.max_age_s / SWEEPS_PER_AGE:
            return
        self._swept_s = now_s
        for key in [key for key, entry in self.entries.items() if now_s >= entry.expires_s]:
            self._drop(key)

    def count_failure(self) -> None:
        """Count a call that failed, whether anybody still wants it or not."""
        self._failed += 1

    def keep_failure(
        self, key: K, error: Exception, *, number: int, now_s: float, chance: float, keeps_entry: bool
    ) -> None:
        """Remember that a call has failed; the entry, if there is one, is not renewed for a while, or dropped."""
        before = self.failures.pop(key, None)
        in_a_row = 1 if before is None or before.is_over(now_s) else before.in_a_row + 1
        self.failures[key] = Failure(error, now_s + back_off_s(in_a_row, chance), in_a_row, number)
        oldest = next(iter(self.failures))
        while len(self.failures) > self._capacity or self.failures[oldest].is_over(now_s):
            del self.failures[oldest]
            oldest = next(iter(self.failures))
        entry = self.entries.get(key)
        if entry is not None and keeps_entry:
            left_s = entry.expires_s - now_s
            entry.retry_s = now_s + renewal_back_off_s(in_a_row, left_s, chance, self._limits.most_retry_s)
        elif entry is not None:
            self._drop(key)

    def start_renewal(self, key: K, flight: Flight[Entry[K, V]], *, group: Hashable, entry: Entry[K, V] | None) -> bool:
        """Make this the flight of a key, unless one is on its way, many are running, or its entry is another by now."""
        running = list(self._renewals.values())
        if len(running) >= MAX_REFRESHES_OF_ALL or running.count(group) >= MAX_REFRESHES:
            return False
        if key in self.flights or self.entries.get(key) is not entry:
            return False
        self._renewals[flight] = group
        self._refreshes += 1
        self.flights[key] = flight
        return True

    def end(self, key: K, flight: Flight[Entry[K, V]]) -> None:
        """Forget a flight that is over."""
        self._renewals.pop(flight, None)
        if self.flights.get(key) is flight:
            del self.flights[key]
