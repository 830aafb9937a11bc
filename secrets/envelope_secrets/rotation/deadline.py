"""How much time is left: of a Lambda invocation, or of whatever the caller allows."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from envelope_secrets.rotation.failures import OutOfTime

__all__ = ["Deadline"]

MARGIN_S = 1.0
"""Kept back for closing connections and for the answer."""


class Deadline:
    """A moment by which everything must be done.

    Args:
        left_s: seconds from now.
        clock: monotonic seconds.
        sleep: waits so many seconds.
        waits: whether there are pauses at all; False for a look at what is there now.
    """

    __slots__ = ("_clock", "_ends_s", "_sleep", "_waits")

    def __init__(
        self,
        left_s: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
        waits: bool = True,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._waits = waits
        self._ends_s = clock() + left_s

    @classmethod
    def of_lambda(
        cls,
        context: Any,
        *,
        default_s: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> Deadline:
        """That of a Lambda invocation; `default_s` from now where there is no Lambda context."""
        remaining = getattr(context, "get_remaining_time_in_millis", None)
        return cls(default_s if remaining is None else remaining() / 1000, clock=clock, sleep=sleep)

    @property
    def left_s(self) -> float:
        """Seconds that may still be used; never below 0."""
        return max(self._ends_s - self._clock() - MARGIN_S, 0.0)

    def require(self, needed_s: float, what: str) -> None:
        """Go on only if there is time for what must not be interrupted.

        Raises:
            OutOfTime: less than `needed_s` is left.
        """
        if self.left_s < needed_s:
            raise OutOfTime(
                f"{self.left_s:.1f} s are left, and {what} may take {needed_s:g} s",
                hint="give the function a longer timeout; the step can be repeated, nothing was begun",
            )

    def at_most(self, wanted_s: float) -> float:
        """A timeout that fits: `wanted_s`, or what is left if that is less.

        Raises:
            OutOfTime: nothing is left.
        """
        self.require(0.1, "the next call")
        return min(wanted_s, self.left_s)

    def pause(self, wanted_s: float) -> bool:
        """Wait so long and return True; False, at once, if there is not so much time, or no waiting."""
        if not self._waits or self.left_s <= wanted_s:
            return False
        self._sleep(wanted_s)
        return True
