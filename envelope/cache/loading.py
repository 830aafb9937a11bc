"""A cache that loads what it does not have: bounded, expiring, single-flight, renewed ahead of time.

    entry = cache.find(key, amount)             a usable entry, counted as used; None where there is none. Never waits
    entry = cache.glance(key)                   the same without the lock, where only age limits entries
    entry = cache.get(key, load, amount)        loads what is missing: one call for everybody who misses the same key
    entry = cache.renew(key, load)              what a call brings that begins now: one call for all who want it
    entries = cache.get_all(loads, load_all)    loads what is missing of many keys by one call
    cache.add(entry, amount)                    more of an entry is used up while it is in use

An entry is usable up to its limits: an age, a number of uses, an amount. Past a fraction of them the next use starts a
renewal in a thread of its own, and everybody goes on with the entry; if that fails, the entry serves until its limits,
unless the failure is one after which it must not. What an older call brings never replaces what a newer one brought.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import partial
from typing import Generic, TypeAlias, TypeVar

from envelope.cache.calls import Calls, Hooks, LoadAll, Loads
from envelope.cache.entries import Counts, Entry, Limits
from envelope.cache.shelf import MAX_REFRESHES, CallsItself, Failure, Shelf
from envelope.cache.single_flight import Flight, Outcome, own_copy
from envelope.cache.steps import Step, Steps, driven, driven_async
from envelope.cache.workers import StartThread, Workers, start_daemon
from envelope.process_state import reset_in_children

__all__ = ["MAX_REFRESHES", "CallsItself", "LoadingCache"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
R = TypeVar("R")

_Step: TypeAlias = Step[Entry[K, V]]
_Steps: TypeAlias = Steps[Entry[K, V], R]


class LoadingCache(Generic[K, V]):
    """Safe for threads, with the GIL and without it. A forked child begins with an empty one.

    What changes, changes under one lock. Without it, an entry is looked up and a hit counted (`glance`), each by one
    step that free-threaded Python guarantees too (see `Shelf`), and attributes of an entry are read.

    What it is given to tell of something is called outside of the lock, and must not raise.

    Args:
        limits: of every entry.
        capacity: how many entries there are at most; the one that was not used for longest makes room.
        clock: monotonic seconds.
        random: a number from 0 to 1, each time another one.
        start_thread: runs what it is given without waiting for it.
        on_refresh: told of each entry whose renewal starts.
        on_evict: told of each entry that makes room.
        on_load: told of each entry that is kept, and of the one before it; in any order, see `Entry.number`.
        on_failure: told of each call that failed: key, error, and the entry that there was for the key then.
        keeps_entry_after: whether an entry serves on after its renewal has failed so.
        group_of: the group of a key: renewals of one group that hang do not keep those of another from starting.
    """

    def __init__(  # noqa: PLR0913 - options, all but the first of them keyword-only
        self,
        limits: Limits,
        *,
        capacity: int,
        clock: Callable[[], float],
        random: Callable[[], float],
        start_thread: StartThread = start_daemon,
        on_refresh: Callable[[Entry[K, V]], None] = lambda _: None,
        on_evict: Callable[[Entry[K, V]], None] = lambda _: None,
        on_load: Callable[[Entry[K, V], Entry[K, V] | None], None] = lambda _, __: None,
        on_failure: Callable[[K, Exception, Entry[K, V] | None], None] = lambda _, __, ___: None,
        keeps_entry_after: Callable[[Exception], bool] = lambda _: True,
        group_of: Callable[[K], Hashable] = lambda _: None,
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._start_thread = start_thread
        self._shelf: Shelf[K, V] = Shelf(limits, capacity)
        hooks = Hooks(
            on_refresh=on_refresh,
            on_evict=on_evict,
            on_load=on_load,
            on_failure=on_failure,
            keeps_entry_after=keeps_entry_after,
            group_of=group_of,
        )
        self._calls = Calls(self._shelf, limits, hooks, clock=clock, random=random, start_thread=start_thread)
        self.reset_after_fork()
        reset_in_children(self)

    def reset_after_fork(self) -> None:
        """Begin anew: empty, with a new lock, all counts at zero and no call in flight."""
        self._shelf.reset()
        self._workers = Workers(self._start_thread)

    def __len__(self) -> int:
        return len(self._shelf.entries)

    def counts(self) -> Counts:
        """What happened so far, as of one moment."""
        with self._shelf.lock:
            return self._shelf.counts()

    def clear(self, is_meant: Callable[[K], bool] = lambda _: True) -> None:
        """Forget everything that is meant; what calls in flight bring of it is not kept either."""
        with self._shelf.lock:
            self._shelf.clear(is_meant)

    def peek(self, key: K) -> Entry[K, V] | None:
        """The entry of a key, if it has not expired, without using it."""
        now_s = self._clock()
        with self._shelf.lock:
            entry = self._shelf.entries.get(key)
            return None if entry is None or now_s >= entry.expires_s else entry

    def failure(self, key: K) -> Failure | None:
        """The failure of the newest call for a key, for a moment after it; None once a newer one has succeeded."""
        with self._shelf.lock:
            return self._shelf.failures.get(key)

    def hasten(self, keys: Iterable[K]) -> None:
        """Have what there is for these keys renewed at its next use, as if it had aged.

        The pause after a renewal that has failed stays.
        """
        with self._shelf.lock:
            for entry in filter(None, map(self._shelf.entries.get, keys)):
                entry.refresh_s = entry.fresh_until_s = -math.inf

    def items(self) -> list[tuple[K, V]]:
        """What there is at this moment, without using it; some of it may have expired."""
        with self._shelf.lock:
            return [(key, entry.value) for key, entry in self._shelf.entries.items()]

    def find(self, key: K, amount: int = 0) -> Entry[K, V] | None:
        """A usable entry, counted as used; None where there is none. Never waits, and starts a renewal that is due."""
        now_s, shelf = self._clock(), self._shelf
        with shelf.lock:
            entry = shelf.take(key, amount, now_s)
            if entry is None:
                return None
            shelf.hits += 1
        # Read without the lock: who comes a use too early or too late does no harm, and `start` looks again.
        is_due = now_s >= entry.refresh_s or entry.uses >= entry.refresh_uses or entry.amount >= entry.refresh_amount
        if is_due and now_s >= entry.retry_s:
            self._calls.start(key, entry.load, entry)
        return entry

    def glance(self, key: K) -> Entry[K, V] | None:
        """An entry that is not due for renewal, counted as a hit; None where `find` or `get` must look closer.

        Takes no lock, for which many threads would queue. So nothing of the entry is used up, and it does not move
        among the entries by their last use: it is marked, and spared once when others make room. Only for caches
        whose limit is an age.
        """
        shelf = self._shelf
        entry = shelf.entries.get(key)
        if entry is None or self._clock() >= entry.fresh_until_s:
            return None
        entry.was_seen = True
        next(shelf.glances)
        return entry

    def get(self, key: K, load: Callable[[], V], amount: int = 0) -> Entry[K, V]:
        """A usable entry, counted as used; where there is none, what `load` returns.

        Raises:
            Exception: what `load` raised: here, in the call that this one waited for, or a moment ago. Each caller
                gets an exception object of its own.
            CallsItself: this is called by what loads the same key.
        """
        entry = self.find(key, amount)
        return driven(self._loading(key, load, amount)) if entry is None else entry

    async def get_async(self, key: K, load: Callable[[], V], amount: int = 0) -> Entry[K, V]:
        """Like `get`, for a task: `load` runs in a worker thread.

        A task that is cancelled leaves the call to those who wait for it.
        """
        entry = self.find(key, amount)
        return await driven_async(self._loading(key, load, amount), self._workers) if entry is None else entry

    def renew(self, key: K, load: Callable[[], V], *, is_other: Callable[[V], bool] | None = None) -> Entry[K, V]:
        """What a call brings that begins now or later, as one call for everybody who wants that meanwhile.

        It heeds no back-off. A call in flight that nobody forced is superseded: what it brings is not kept. If one was
        forced, this waits for its end, and then the next one is made once for all who waited. If it fails, an entry
        that there is serves on.

        Args:
            is_other: whether a value is another one than that which has proved wrong. If one is there already it is
                taken, and a forced call in flight is new enough.

        Raises:
            As `get`.
        """
        return driven(self._renewing(key, load, is_other))

    async def renew_async(
        self, key: K, load: Callable[[], V], *, is_other: Callable[[V], bool] | None = None
    ) -> Entry[K, V]:
        """Like `renew`, for a task: `load` runs in a worker thread, and goes on for the others if this is cancelled."""
        return await driven_async(self._renewing(key, load, is_other), self._workers)

    def get_all(self, loads: Loads[K, V], load_all: LoadAll[K, V]) -> dict[K, Entry[K, V] | Exception]:
        """Usable entries of many keys, or the errors that came in their place; none of these is raised.

        Args:
            loads: what loads each of the keys alone, when it is renewed.
            load_all: loads by one call what is missing and nobody else is loading: the value of each key that it is
                given, or its error.
        """
        return driven(self._loading_all(loads, load_all))

    async def get_all_async(self, loads: Loads[K, V], load_all: LoadAll[K, V]) -> dict[K, Entry[K, V] | Exception]:
        """Like `get_all`, for a task: what loads runs in worker threads."""
        return await driven_async(self._loading_all(loads, load_all), self._workers)

    def tend(self, key: K, load: Callable[[], V]) -> float:
        """Do what a use would do, in the background, without one: start the call that is missing or due.

        Returns:
            The clock's seconds at which the next one is due; now or earlier while one is on its way.
        """
        now_s = self._clock()
        with self._shelf.lock:
            entry, failure = self._shelf.entries.get(key), self._shelf.failures.get(key)
        if entry is not None and now_s < entry.expires_s:
            due_s = entry.due_s
        else:
            due_s = now_s if failure is None else failure.until_s
        if now_s >= due_s:
            self._calls.start(key, load, entry)
        return due_s

    def add(self, entry: Entry[K, V], amount: int) -> bool:
        """Use up more of an entry, whether it is still kept or not; False, and nothing, if that is over its limit."""
        with self._shelf.lock:
            if entry.amount + amount > self._limits.max_amount:
                return False
            entry.amount += amount
            return True

    def _turn(self, key: K, amount: int, own: Flight[Entry[K, V]], waits: int) -> Entry[K, V] | Flight[Entry[K, V]]:
        now_s = self._clock()
        with self._shelf.lock:
            turn = self._shelf.turn(key, amount, own, waits, now_s)
        if isinstance(turn, Failure):
            raise own_copy(turn.error)
        return turn

    def _own_step(self, key: K, load: Callable[[], V], amount: int = 0, *, is_forced: bool = False) -> _Step[K, V]:
        flight = Flight[Entry[K, V]](is_forced=is_forced)
        return Step(flight, partial(self._calls.make, key, load, amount, flight))

    def _loading(self, key: K, load: Callable[[], V], amount: int = 0, waits: int = 0) -> _Steps[K, V, Entry[K, V]]:
        own = self._own_step(key, load, amount)
        try:
            while True:
                turn = self._turn(key, amount, own.flight, waits)
                if isinstance(turn, Entry):
                    return turn
                leads, waits = turn is own.flight, waits + 1
                outcome = yield own if leads else Step(turn)
                if self._is_overtaken(key, turn, waits):
                    own = self._own_step(key, load, amount) if leads else own
                    continue
                entry = _settled(outcome, leads=leads) or self._joined(key, outcome, amount)
                if entry is not None:
                    return entry
        finally:
            self._end_unless_handed_over({key: own})

    def _renewing(
        self, key: K, load: Callable[[], V], is_other: Callable[[V], bool] | None
    ) -> _Steps[K, V, Entry[K, V]]:
        with self._shelf.lock:
            begun = self._shelf.number
        own, waits = self._own_step(key, load, is_forced=True), 0

        def is_new(entry: Entry[K, V]) -> bool:
            return entry.number > begun if is_other is None else is_other(entry.value)

        try:
            while True:
                now_s = self._clock()
                with self._shelf.lock:
                    turn = self._shelf.turn_to_renew(key, own.flight, waits, now_s, is_new=is_new)
                if isinstance(turn, Entry):
                    return turn
                leads, waits = turn is own.flight, waits + 1
                outcome = yield own if leads else Step(turn)
                if self._is_overtaken(key, turn, waits):
                    own = self._own_step(key, load, is_forced=True) if leads else own
                elif leads or turn.number > begun or is_other is not None:
                    entry = _settled(outcome, leads=leads) or self._joined(key, outcome, 0)
                    if entry is not None:
                        return entry
        finally:
            self._end_unless_handed_over({key: own})

    def _is_overtaken(self, key: K, flight: Flight[Entry[K, V]], waits: int) -> bool:
        """Whether a flight was superseded, and what did so is there or on its way.

        Who took what the superseded one brought could find something older the next time.
        """
        if flight.was_current or waits > self._shelf.most_waits:
            return False
        with self._shelf.lock:
            return key in self._shelf.flights or key in self._shelf.entries

    def _joined(self, key: K, outcome: Outcome[Entry[K, V]], amount: int) -> Entry[K, V] | None:
        """What there is after the flight of another, or what that has brought and has made room for others already."""
        now_s, brought = self._clock(), outcome.value
        with self._shelf.lock:
            entry = self._shelf.take(key, amount, now_s)
            if entry is None and brought is not None and self._shelf.use(brought, amount, now_s):
                return brought
            return entry

    def _loading_all(
        self, loads: Loads[K, V], load_all: LoadAll[K, V]
    ) -> _Steps[K, V, dict[K, Entry[K, V] | Exception]]:
        found: dict[K, Entry[K, V] | Exception] = {}
        others: dict[K, _Step[K, V]] = {}
        own: dict[K, _Step[K, V]] = {}
        try:
            for key in loads:
                flight = Flight[Entry[K, V]]()
                own[key] = Step(flight)  # before it is on the shelf, so that it is ended whatever happens
                turn = self._first_turn(key, flight)
                if turn is flight:
                    continue
                del own[key]
                if isinstance(turn, Flight):
                    others[key] = Step(turn)
                else:
                    found[key] = turn
            work: Callable[[], None] | None = partial(
                self._calls.make_one_for_all, {key: step.flight for key, step in own.items()}, loads, load_all
            )
            for key, step in own.items():
                step.work, work = work, None  # the first one makes the call of all
                found[key] = yield from self._finishing(key, loads[key], step, leads=True)
        finally:
            self._end_unless_handed_over(own)
        for key, step in others.items():
            found[key] = yield from self._finishing(key, loads[key], step, leads=False)
        return found

    def _first_turn(self, key: K, own: Flight[Entry[K, V]]) -> Entry[K, V] | Flight[Entry[K, V]] | Exception:
        entry = self.find(key)
        if entry is not None:
            return entry
        try:
            return self._turn(key, 0, own, 0)
        except Exception as error:  # noqa: BLE001 - the answer for this key
            return error

    def _finishing(
        self, key: K, load: Callable[[], V], step: _Step[K, V], *, leads: bool
    ) -> _Steps[K, V, Entry[K, V] | Exception]:
        try:
            outcome = yield step
            entry = None
            if not self._is_overtaken(key, step.flight, 1):
                entry = _settled(outcome, leads=leads) or self._joined(key, outcome, 0)
            return (yield from self._loading(key, load, waits=1)) if entry is None else entry
        except Exception as error:  # noqa: BLE001 - the answer for this key
            return own_copy(error)

    def _end_unless_handed_over(self, steps: Mapping[K, Step[Entry[K, V]]]) -> None:
        """Leave the calls of who was interrupted to somebody else; a worker goes on with what it was given."""
        if not any(step.is_handed_over for step in steps.values()):
            for key, step in steps.items():
                self._calls.end(key, step.flight, Outcome())


def _settled(outcome: Outcome[Entry[K, V]], *, leads: bool) -> Entry[K, V] | None:
    """What a flight means to one caller: the entry of who made it, nothing yet for who waited, or the error."""
    if outcome.error is not None:
        raise outcome.error if leads else own_copy(outcome.error)
    if leads and outcome.value is None:
        raise RuntimeError("the call was interrupted")  # in a worker, which has nobody to raise it to
    return outcome.value if leads else None
