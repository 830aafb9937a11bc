"""Rounds in which contenders take turns.

Two figures from different minutes of a shared machine say nothing about each other. So all contenders of one question
run in one process, a slice of some milliseconds each, in an order drawn anew for each round. Other processes only ever
add time, to some rounds more than to others; so what counts of each contender is the first decile of its rounds: near
the fastest, but not a single lucky one.
"""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import repeat

__all__ = ["Call", "Timing", "interleave"]

Call = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Timing:
    """How long one call of a contender took.

    Attributes:
        rounds_s: seconds per call, one figure for each round.
    """

    rounds_s: tuple[float, ...]

    @property
    def median_s(self) -> float:
        return statistics.median(self.rounds_s)

    @property
    def undisturbed_s(self) -> float:
        """The first decile of the rounds."""
        return sorted(self.rounds_s)[len(self.rounds_s) // 10]

    def ratio_to(self, other: Timing) -> float:
        """How many times as long as `other`, both undisturbed."""
        return self.undisturbed_s / other.undisturbed_s


def interleave(contenders: Mapping[str, Call], *, rounds: int, slice_s: float = 0.003) -> dict[str, Timing]:
    """Time each contender once in each round.

    Args:
        slice_s: how long a contender runs before the next one takes its turn; one call at least.
    """
    calls = {name: _calls_in(contender, slice_s) for name, contender in contenders.items()}
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    order = list(contenders)
    shuffle = random.Random(rounds).shuffle
    gc.collect()
    gc.freeze()  # what the peers' imports left behind is not to be walked through again and again
    for _ in range(rounds):
        shuffle(order)
        for name in order:
            taken[name].append(_slice_s(contenders[name], calls[name]) / calls[name])
    gc.unfreeze()
    return {name: Timing(tuple(seconds)) for name, seconds in taken.items()}


def _calls_in(contender: Call, slice_s: float) -> int:
    contender()  # the first call fills caches
    calls = 1
    while (taken_s := _slice_s(contender, calls)) < slice_s / 4:
        calls *= 4
    return max(1, round(calls * slice_s / taken_s))


def _slice_s(contender: Call, calls: int) -> float:
    start_s = time.perf_counter()
    for _ in repeat(None, calls):
        contender()
    return time.perf_counter() - start_s
