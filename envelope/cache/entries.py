"""One loaded value, its limits, and how much of them is used up."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from envelope.cache.refresh import refresh_fraction

__all__ = ["Counts", "Entry", "Limits"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long and how much an entry is used. All of them are hard.

    Attributes:
        max_age_s: seconds from the start of the call that loaded it.
        max_uses: how often.
        max_amount: the sum of what its users add.
        refresh_ahead: the fraction of a limit from which on the entry is renewed; from 1 on, never.
        most_retry_s: the longest time until a renewal that failed is tried again; see `renewal_back_off_s`.
    """

    max_age_s: float
    max_uses: float = math.inf
    max_amount: float = math.inf
    refresh_ahead: float = 1.0
    most_retry_s: float = math.inf


@dataclass(frozen=True, slots=True)
class Counts:
    """What a cache did since it was made. Each request is a hit, a miss, a wait or refused.

    Attributes:
        hits: served at once.
        misses: made the call.
        waits: waited for the call of somebody else.
        refused: refused, because a call had failed a moment before.
        refreshes: renewals that were started.
        evictions: entries that made room for others.
        calls: calls that were made, renewals included.
        failures: those of them that failed.
    """

    hits: int = 0
    misses: int = 0
    waits: int = 0
    refused: int = 0
    refreshes: int = 0
    evictions: int = 0
    calls: int = 0
    failures: int = 0


class Entry(Generic[K, V]):
    """A loaded value and how much of it is used up. Its cache changes it, under the cache's lock.

    Attributes:
        key: what it was loaded for.
        value: what was loaded.
        load: loads it anew.
        number: of the call that loaded it, in the order in which the cache's calls began.
        loaded_s: when that call began.
        uses: how often it was used.
        amount: the sum of what its users added.
        expires_s: from then on it is not used any more.
        refresh_s: from then on its next use renews it; likewise `refresh_uses` and `refresh_amount`.
        retry_s: but not before, because a renewal has failed.
        fresh_until_s: before that it is neither due nor expired.
        was_seen: whether it was used without the lock since it last could have made room; see `LoadingCache.glance`.
    """

    __slots__ = (
        "amount",
        "expires_s",
        "fresh_until_s",
        "key",
        "load",
        "loaded_s",
        "number",
        "refresh_amount",
        "refresh_s",
        "refresh_uses",
        "retry_s",
        "uses",
        "value",
        "was_seen",
    )

    def __init__(
        self,
        key: K,
        value: V,
        load: Callable[[], V],
        *,
        limits: Limits,
        loaded_s: float,
        chance: float,
        number: int = 0,
    ) -> None:
        fraction = refresh_fraction(limits.refresh_ahead, chance)
        refresh_uses = limits.max_uses * fraction
        self.key = key
        self.value = value
        self.load = load
        self.number = number
        self.loaded_s = loaded_s
        self.uses = 0
        self.amount = 0
        self.expires_s = loaded_s + limits.max_age_s
        self.refresh_s = loaded_s + limits.max_age_s * fraction
        # Where no use would be left, a renewal would be a call too many.
        self.refresh_uses = refresh_uses if limits.max_uses - refresh_uses >= 1 else math.inf
        self.refresh_amount = limits.max_amount * fraction
        self.retry_s = -math.inf
        self.fresh_until_s = min(self.refresh_s, self.expires_s)
        self.was_seen = False

    @property
    def due_s(self) -> float:
        """From when on a use makes a call, as far as age decides: a renewal, or the call of who finds it expired."""
        return min(max(self.refresh_s, self.retry_s), self.expires_s)
