"""The day: how many messages there are, what KMS answers when, and when the fleet is restarted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

__all__ = ["DAY_S", "Day", "Trouble"]

HOUR_S = 3_600.0
DAY_S = 24 * HOUR_S


class Trouble(Enum):
    """What is wrong with KMS at a moment. Failures within a quarter of an hour after its end count as its own."""

    THROTTLING = "throttling"
    OUTAGE = "outage"
    NONE = "neither"


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One day from midnight. All times in seconds, all rates those of the whole fleet.

    Attributes:
        processes: each of them with a cache of its own.
        contexts: tenants; each process encrypts for all of them, equally often.
        messages_per_s: the mean of the day.
        swing: the busiest hour has 1 + `swing` times the mean, the quietest 1 - `swing`; a sine, highest at 15:00.
        quota_per_s: requests that KMS answers; a token bucket that holds one second of them.
        throttled_at_s: when spells begin in which the quota is `throttled_to` of what it was, for `throttled_s`.
        outage_at_s: when KMS begins to answer nothing but 500, for `outage_s`.
        restart_at_s: when the processes are restarted one after the other, in `restart_s` altogether.
    """

    processes: int = 1_000
    contexts: int = 1_000
    messages_per_s: float = 200_000.0
    swing: float = 0.6
    quota_per_s: float = 10_000.0
    throttled_at_s: tuple[float, ...] = (6 * HOUR_S, 11 * HOUR_S, 20 * HOUR_S)
    throttled_s: float = 300.0
    throttled_to: float = 0.1
    outage_at_s: float = 14 * HOUR_S
    outage_s: float = 600.0
    restart_at_s: float = 9 * HOUR_S
    restart_s: float = 180.0

    AFTERMATH_S = 900.0

    @property
    def pairs(self) -> int:
        """So many pairs of a process and a context there are; each needs a data key of its own."""
        return self.processes * self.contexts

    def messages_at(self, now_s: float) -> float:
        """Messages per second."""
        return self.messages_per_s * (1 + self.swing * math.sin(2 * math.pi * (now_s - 9 * HOUR_S) / DAY_S))

    def quota_at(self, now_s: float) -> float:
        """Requests per second that KMS answers; 0 in the outage."""
        trouble = self._trouble_at(now_s, 0.0)
        if trouble is Trouble.OUTAGE:
            return 0.0
        return self.quota_per_s * (self.throttled_to if trouble is Trouble.THROTTLING else 1.0)

    def trouble_at(self, now_s: float) -> Trouble:
        """What a failure at this moment is put down to."""
        return self._trouble_at(now_s, self.AFTERMATH_S)

    def _trouble_at(self, now_s: float, aftermath_s: float) -> Trouble:
        if self.outage_at_s <= now_s < self.outage_at_s + self.outage_s + aftermath_s:
            return Trouble.OUTAGE
        if any(start_s <= now_s < start_s + self.throttled_s + aftermath_s for start_s in self.throttled_at_s):
            return Trouble.THROTTLING
        return Trouble.NONE
