"""A sample of a fleet, moment by moment: real data-key caches, a simulated KMS, and a queue of what happens next.

What is exact: everything that a cache decides, because the caches are `DataKeyCache` objects with the clock, the chance
and the threads of the simulation; the token bucket of KMS; botocore's pauses and retry quota.

What is sampled: a part of the pairs of a process and a context. Pairs do not know of each other but for three things
that they share, and each of them is scaled: the quota of KMS; the retry quota of a process and the number of renewals
that run in it at a time, which `Pool` gives to as many pairs as a process has.

What is left out: messages that come while a data key is there and before it is due. They are hits, and change nothing
as long as only ages matter; so the next message that is drawn is the first after the data key is due.
Messages come at random, independently of each other (a Poisson process with the rate of the moment), so that one is an
exponential draw later.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from random import Random

from benchmarks.fleet.counts import Counts
from benchmarks.fleet.day import DAY_S, Day
from benchmarks.fleet.kms import (
    LATENCY_S,
    MAX_ATTEMPTS,
    RETRY_TOKENS,
    Answer,
    Call,
    Clock,
    NeedsKms,
    QuotaKms,
    RetryQuota,
    SimulatedKeyring,
    pause_s,
)
from envelope import DataKeyCache, KeyUnavailable, Suite, WrapRequest
from envelope.cache.loading import MAX_REFRESHES
from envelope.cache.refresh import refresh_fraction
from envelope.context import check_context

__all__ = ["Sample", "Scenario", "simulate"]

MESSAGE_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Scenario:
    """The options of the caches. Without jitter, every chance is the one that is latest in its range."""

    max_age_s: float = 300.0
    refresh_ahead: float = 0.8
    has_jitter: bool = True


@dataclass(frozen=True, slots=True)
class Sample:
    """How many processes are simulated, and how many contexts of each."""

    processes: int = 40
    contexts: int = 40
    seed: int = 1

    def share_of(self, day: Day) -> float:
        """Which part of the fleet that is."""
        return self.processes * self.contexts / day.pairs


class Pool:
    """What the contexts of one process share, for as many pairs as a process has contexts.

    Args:
        part: of a process, where the sample has fewer pairs than that.
    """

    def __init__(self, part: float) -> None:
        self.retry_quota = RetryQuota(RETRY_TOKENS * part)
        self.free_renewals = max(1, round(MAX_REFRESHES * part))


class Pair:
    """One context in one process.

    Attributes:
        refresh_s: from then on its data key is due; likewise `expires_s`.
        call: for a data key, while it is on its way.
        next_message: the number of the event that is the next message; whatever was planned before is void.
    """

    __slots__ = ("cache", "call", "expires_s", "next_message", "pool", "refresh_s", "request")

    def __init__(self, request: WrapRequest, pool: Pool) -> None:
        self.request = request
        self.pool = pool
        self.cache: DataKeyCache
        self.call: Call | None = None
        self.refresh_s = self.expires_s = -math.inf
        self.next_message = -1


class Simulation:
    """The sample and its day; `run` once."""

    def __init__(self, day: Day, scenario: Scenario, sample: Sample) -> None:
        self._day, self._scenario, self._sample = day, scenario, sample
        self.counts = Counts(day, sample.share_of(day))
        self._random = Random(sample.seed)
        self._clock = Clock()
        self._keyring = SimulatedKeyring(self._clock)
        self._kms = QuotaKms(day, sample.share_of(day))
        self._events: list[tuple[float, int, Callable[[int], None]]] = []
        self._number = count()
        self._last_chance = 0.0
        self._asking: Pair
        self._processes = self._make_processes()

    def _make_processes(self) -> list[list[Pair]]:
        sample = self._sample
        pairs = sample.processes * sample.contexts
        part = min(1.0, pairs / self._day.contexts)
        pools = [Pool(part) for _ in range(max(1, round(pairs / self._day.contexts)))]
        requests = [
            WrapRequest(
                Suite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
                check_context({"tenant": str(number)}, reserved_allowed=False),
            )
            for number in range(sample.contexts)
        ]
        # One after the other, so that each pool has pairs of early and of late processes.
        numbers = count()
        return [
            [Pair(request, pools[next(numbers) % len(pools)]) for request in requests] for _ in range(sample.processes)
        ]

    def run(self) -> Counts:
        """Simulate the hours before midnight in which the caches fill, and the day."""
        day, age_s = self._day, self._scenario.max_age_s
        for number, process in enumerate(self._processes):
            place = (number + 0.5) / len(self._processes)
            self._at(-age_s * (1 + place), partial(self._start, process))
            self._at(day.restart_at_s + day.restart_s * place, partial(self._start, process))
        events = self._events
        while events and events[0][0] < DAY_S:
            self._clock.now_s, number, happens = heapq.heappop(events)
            happens(number)
        return self.counts

    def _at(self, when_s: float, happens: Callable[[int], None]) -> int:
        number = next(self._number)
        heapq.heappush(self._events, (when_s, number, happens))
        return number

    def _start(self, process: list[Pair], _: int) -> None:
        """Start a process, or start it anew with an empty cache."""
        scenario = self._scenario
        cache = DataKeyCache(
            self._keyring,
            max_age_s=scenario.max_age_s,
            refresh_ahead=scenario.refresh_ahead,
            clock=self._clock,
            random=self._chance if scenario.has_jitter else lambda: 0.0,
            start_thread=self._start_thread,
        )
        for pair in process:
            if pair.call is not None and pair.call.renew is not None:
                pair.pool.free_renewals += 1
            pair.cache, pair.call = cache, None
            pair.refresh_s = pair.expires_s = -math.inf
            self._expect_message(pair, self._clock.now_s)

    def _chance(self) -> float:
        self._last_chance = self._random.random()
        return self._last_chance

    def _expect_message(self, pair: Pair, after_s: float) -> None:
        """Draw the first message of a pair after a moment."""
        messages_per_s = self._day.messages_at(after_s) / self._day.pairs
        when_s = after_s + self._random.expovariate(messages_per_s)
        pair.next_message = self._at(when_s, partial(self._message, pair))

    def _message(self, pair: Pair, number: int) -> None:
        if number != pair.next_message:
            return
        now_s = self._clock.now_s
        if pair.call is not None:  # the data key has expired meanwhile: single flight
            pair.call.waiting_since_s.append(now_s)
        else:
            self._asking = pair
            try:
                pair.cache.wrap_for(pair.request, MESSAGE_BYTES)
            except NeedsKms:
                self._call(pair, None)
                return
            except KeyUnavailable:  # a call has failed a moment ago
                self.counts.failure(now_s)
            if pair.next_message != number:  # a renewal has begun
                return
        self._expect_message(pair, now_s)

    def _start_thread(self, renew: Callable[[], None]) -> None:
        """Begin a renewal for the pair whose message it is.

        Raises:
            RuntimeError: as many run as a process allows.
        """
        if not self._asking.pool.free_renewals:
            raise RuntimeError
        self._asking.pool.free_renewals -= 1
        self._call(self._asking, renew)

    def _call(self, pair: Pair, renew: Callable[[], None] | None) -> None:
        """Begin a call of KMS. Those messages count that come before its end and find no usable data key."""
        now_s = self._clock.now_s
        pair.call = Call(now_s, renew)
        if renew is None:
            pair.call.waiting_since_s.append(now_s)
        self._expect_message(pair, max(now_s, pair.expires_s))
        self._attempt(pair, pair.call, -1)

    def _attempt(self, pair: Pair, call: Call, _: int) -> None:
        """Send a request, unless the process was restarted since the call began."""
        if pair.call is not call:
            return
        now_s = self._clock.now_s
        answer = self._kms.answer(now_s)
        call.attempts += 1
        self.counts.request(now_s, is_answered=answer is Answer.DATA_KEY)
        latency_s = LATENCY_S * (0.5 + self._random.expovariate(2.0))
        self._at(now_s + latency_s, partial(self._answered, pair, call, answer))

    def _answered(self, pair: Pair, call: Call, answer: Answer, _: int) -> None:
        if pair.call is not call:
            return
        now_s, retry_quota = self._clock.now_s, pair.pool.retry_quota
        if answer is Answer.DATA_KEY:
            retry_quota.give_back(call.retry_tokens)
            call.succeeded = True
        elif call.attempts < MAX_ATTEMPTS and retry_quota.take(answer.retry_tokens):
            call.retry_tokens = answer.retry_tokens
            pause = pause_s(answer, call.attempts, self._random.random())
            self._at(now_s + pause, partial(self._attempt, pair, call))
            return
        call.ended_s = now_s
        self._end(pair, call)

    def _end(self, pair: Pair, call: Call) -> None:
        """Give the cache its answer, as of the moment in which it asked; the keyring moves the clock to the end."""
        self._keyring.call, self._clock.now_s = call, call.started_s
        if call.renew is not None:
            pair.pool.free_renewals += 1
            call.renew()
        else:
            try:
                pair.cache.wrap_for(pair.request, MESSAGE_BYTES)
            except KeyUnavailable:
                assert not call.succeeded
        assert self._clock.now_s == call.ended_s
        pair.call = None
        for since_s in call.waiting_since_s:
            self.counts.wait(since_s, call.ended_s)
            if not call.succeeded:
                self.counts.failure(since_s)
        if call.succeeded:
            self._loaded(pair, call.started_s)
        self._expect_message(pair, max(call.ended_s, min(pair.refresh_s, pair.expires_s)))

    def _loaded(self, pair: Pair, started_s: float) -> None:
        """Note when the new data key is due: the cache has just drawn the chance of that."""
        scenario = self._scenario
        chance = self._last_chance if scenario.has_jitter else 0.0
        pair.expires_s = started_s + scenario.max_age_s
        pair.refresh_s = started_s + scenario.max_age_s * refresh_fraction(scenario.refresh_ahead, chance)


def simulate(day: Day, scenario: Scenario, sample: Sample) -> Counts:
    """Run one day. The same arguments give the same figures."""
    return Simulation(day, scenario, sample).run()
