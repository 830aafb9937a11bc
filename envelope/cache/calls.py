"""The calls of a loading cache: one makes a call, keeps what it brings or that it failed, and lands its flight."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeAlias, TypeVar

from envelope.cache.entries import Entry, Limits
from envelope.cache.shelf import Shelf
from envelope.cache.single_flight import Flight, Outcome, own_copy
from envelope.cache.workers import StartThread

__all__ = ["Calls", "Hooks", "LoadAll", "Loads"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T")

Loads: TypeAlias = Mapping[K, Callable[[], V]]
LoadAll: TypeAlias = Callable[[Sequence[K]], Mapping[K, V | Exception]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks(Generic[K, V]):
    """What the owner of a cache is told, and decides; see `LoadingCache`."""

    on_refresh: Callable[[Entry[K, V]], None]
    on_evict: Callable[[Entry[K, V]], None]
    on_load: Callable[[Entry[K, V], Entry[K, V] | None], None]
    on_failure: Callable[[K, Exception, Entry[K, V] | None], None]
    keeps_entry_after: Callable[[Exception], bool]
    group_of: Callable[[K], Hashable]


class Calls(Generic[K, V]):
    """Makes calls for one shelf, in the thread that it is called in, or in the background."""

    def __init__(
        self,
        shelf: Shelf[K, V],
        limits: Limits,
        hooks: Hooks[K, V],
        *,
        clock: Callable[[], float],
        random: Callable[[], float],
        start_thread: StartThread,
    ) -> None:
        self._shelf = shelf
        self._limits = limits
        self._hooks = hooks
        self._clock = clock
        self._random = random
        self._start_thread = start_thread

    def make(self, key: K, load: Callable[[], V], amount: int, flight: Flight[Entry[K, V]], *, uses: int = 1) -> None:
        """Make the call and land the flight, with `uses` of what it brings used up already."""
        outcome: Outcome[Entry[K, V]] = Outcome()
        try:
            answer, started_s = self._answer(load, (flight,))
            outcome = self._outcome(key, load, flight, answer, started_s, amount=amount, uses=uses)
        finally:
            self.end(key, flight, outcome)

    def make_one_for_all(
        self, flights: Mapping[K, Flight[Entry[K, V]]], loads: Loads[K, V], load_all: LoadAll[K, V]
    ) -> None:
        """Make one call for the flights of many keys, and land them."""
        outcomes: dict[K, Outcome[Entry[K, V]]] = {}
        try:
            answers, started_s = self._answer(partial(load_all, list(flights)), flights.values())
            for key, flight in flights.items():
                answer = answers if isinstance(answers, Exception) else answers[key]
                outcomes[key] = self._outcome(key, loads[key], flight, answer, started_s, amount=0, uses=1)
        finally:
            for key, flight in flights.items():
                self.end(key, flight, outcomes.get(key, Outcome()))

    def start(self, key: K, load: Callable[[], V], entry: Entry[K, V] | None) -> None:
        """Start a call in the background for what is due or missing, unless one is on its way or many are running.

        Args:
            entry: the one there is for the key, as the caller has seen.
        """
        flight, is_started, group = Flight[Entry[K, V]](), False, self._hooks.group_of(key)
        try:
            with self._shelf.lock:
                if not self._shelf.start_renewal(key, flight, group=group, entry=entry):
                    return
            if entry is not None:
                self._hooks.on_refresh(entry)
            self._start_thread(partial(self.make, key, load, 0, flight, uses=0))
            is_started = True
        except Exception:  # noqa: BLE001 - no thread can be started, as when the interpreter is going down
            return  # a later use tries again
        finally:
            if not is_started:
                self.end(key, flight, Outcome())

    def end(self, key: K, flight: Flight[Entry[K, V]], outcome: Outcome[Entry[K, V]]) -> None:
        """End a flight, if it has not ended."""
        with self._shelf.lock:
            self._shelf.end(key, flight)
        flight.land(outcome)

    def _answer(self, load: Callable[[], T], flights: Iterable[Flight[Entry[K, V]]]) -> tuple[T | Exception, float]:
        """What a call brings, or its error, and when it began."""
        with self._shelf.lock:
            self._shelf.begin(flights)
        started_s = self._clock()
        try:
            return load(), started_s
        except Exception as error:  # noqa: BLE001 - handed to everybody who waits, and raised there
            return error, started_s

    def _outcome(
        self,
        key: K,
        load: Callable[[], V],
        flight: Flight[Entry[K, V]],
        answer: V | Exception,
        started_s: float,
        *,
        amount: int,
        uses: int,
    ) -> Outcome[Entry[K, V]]:
        if isinstance(answer, Exception):
            self._keep_failure(key, flight, answer)
            return Outcome(error=answer)
        chance = self._random()
        entry = Entry(key, answer, load, limits=self._limits, loaded_s=started_s, chance=chance, number=flight.number)
        entry.uses, entry.amount = uses, amount
        self._keep(entry, flight)
        return Outcome(value=entry)

    def _keep(self, entry: Entry[K, V], flight: Flight[Entry[K, V]]) -> None:
        """Keep what a flight brought, unless it was superseded."""
        now_s = self._clock()
        with self._shelf.lock:
            flight.was_current = self._shelf.is_current(entry.key, flight)
            if not flight.was_current:
                return
            before, evicted = self._shelf.keep(entry, now_s)
        self._hooks.on_load(entry, before)
        for old in evicted:
            self._hooks.on_evict(old)

    def _keep_failure(self, key: K, flight: Flight[Entry[K, V]], error: Exception) -> None:
        now_s, chance, kept = self._clock(), self._random(), own_copy(error)
        keeps_entry = self._hooks.keeps_entry_after(error)
        with self._shelf.lock:
            self._shelf.count_failure()
            entry = self._shelf.entries.get(key)
            if self._shelf.is_current(key, flight):
                self._shelf.keep_failure(
                    key, kept, number=flight.number, now_s=now_s, chance=chance, keeps_entry=keeps_entry
                )
        self._hooks.on_failure(key, error, entry)
