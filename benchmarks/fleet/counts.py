"""What is counted of a simulated day, scaled to the whole fleet."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from benchmarks.fleet.day import DAY_S, Day, Trouble

__all__ = ["MINUTE_S", "Counts", "dollars"]

MINUTE_S = 60

DOLLARS_PER_REQUEST = 0.03 / 10_000


def dollars(requests: float) -> float:
    """What KMS asks for so many requests."""
    return requests * DOLLARS_PER_REQUEST


@dataclass(slots=True)
class Counts:
    """What happened from midnight to midnight; what is before or after is left out.

    Attributes:
        share: how much of the fleet was simulated. Every figure that a method gives is divided by it.
        requests: to KMS, by minute, those included that it did not answer with a data key.
        answered: those that it did.
        waited: messages that waited for a call.
        failed: messages that were not encrypted, by what was wrong with KMS.
        longest_wait_s: of a message, whether it failed then or not.
    """

    day: Day
    share: float
    requests: Counter[int] = field(default_factory=Counter)
    answered: Counter[int] = field(default_factory=Counter)
    waited: int = 0
    failed: Counter[Trouble] = field(default_factory=Counter)
    longest_wait_s: float = 0.0

    def request(self, now_s: float, *, is_answered: bool) -> None:
        """KMS was asked."""
        if 0 <= now_s < DAY_S:
            minute = int(now_s // MINUTE_S)
            self.requests[minute] += 1
            self.answered[minute] += is_answered

    def wait(self, since_s: float, now_s: float) -> None:
        """A message waited."""
        if 0 <= since_s < DAY_S:
            self.waited += 1
            self.longest_wait_s = max(self.longest_wait_s, now_s - since_s)

    def failure(self, since_s: float) -> None:
        """A message that came then was not encrypted."""
        if 0 <= since_s < DAY_S:
            self.failed[self.day.trouble_at(since_s)] += 1

    def requests_per_s(self) -> list[float]:
        """Requests of each minute, per second, from the fewest to the most."""
        return sorted(self.requests[minute] / MINUTE_S / self.share for minute in range(int(DAY_S // MINUTE_S)))

    def answered_per_s(self, from_s: float, to_s: float) -> float:
        """The mean of the requests that gave a data key, per second, between two full minutes."""
        minutes = range(int(from_s // MINUTE_S), int(to_s // MINUTE_S))
        return sum(self.answered[minute] for minute in minutes) / len(minutes) / MINUTE_S / self.share

    def busiest_good_minute_per_s(self) -> float:
        """Requests per second of the busiest minute in which nothing was or had just been wrong with KMS."""
        good = (
            count for minute, count in self.requests.items() if self.day.trouble_at(minute * MINUTE_S) is Trouble.NONE
        )
        return max(good, default=0) / MINUTE_S / self.share

    def failed_messages(self, *troubles: Trouble) -> float:
        """Messages that were not encrypted."""
        return sum(self.failed[trouble] for trouble in troubles or Trouble) / self.share

    def dollars(self) -> float:
        """For the requests that were answered."""
        return dollars(self.answered.total() / self.share)
