"""A clock that stands still until a test moves it."""

from __future__ import annotations

import threading

from envelope.errors import InvalidArgument
from envelope.process_state import reset_in_children

__all__ = ["FakeClock"]

NEW_YEAR_2026_S = 1_767_225_600.0
"""2026-01-01T00:00:00Z as seconds since 1970."""

DEFAULT_PATIENCE_S = 10.0
MOST_S = 1e12
"""Some 30,000 years at a time."""

_NS = 1_000_000_000


class FakeClock:
    """Seconds that pass when `advance` says so. Safe for threads.

    It is both clocks of a program: its seconds never go back, and counted from 1970 they are a date. It counts whole
    nanoseconds, so that many short steps are as long as the sleep that waits for them. A forked child has a clock of
    its own that shows the same time, and nobody sleeps there yet.

    Args:
        start_s: the time it shows first; 2026-01-01T00:00:00Z unless another is given.

    Raises:
        InvalidArgument: seconds, here and in the methods, that are no number up to 10^12.
    """

    def __init__(self, start_s: float = NEW_YEAR_2026_S) -> None:
        self._now_ns = _nanoseconds("start_s", start_s)
        self.reset_after_fork()
        reset_in_children(self)

    def __repr__(self) -> str:
        return f"FakeClock({self.now()!r}, sleepers={self.sleepers})"

    def reset_after_fork(self) -> None:
        """Forget the sleeping threads, and the lock that one of them may hold: they do not exist in a forked child."""
        self._sleepers = 0
        self._changed = threading.Condition()

    def __call__(self) -> float:
        """The same as `now`: the clock can be given wherever ``time.monotonic`` can."""
        return self.now()

    def now(self) -> float:
        """The time in seconds."""
        with self._changed:
            return self._now_ns / _NS

    @property
    def sleepers(self) -> int:
        """How many threads are inside `sleep`."""
        with self._changed:
            return self._sleepers

    def advance(self, seconds: float) -> None:
        """Move the time forward and wake every thread whose sleep is over.

        Raises:
            InvalidArgument: the time would go back.
        """
        step_ns = _nanoseconds("seconds", seconds)
        if step_ns < 0:
            raise InvalidArgument(f"a clock goes forward only, not by {seconds!r} s")
        with self._changed:
            self._now_ns += step_ns
            self._changed.notify_all()

    def sleep(self, seconds: float) -> None:
        """Block the calling thread until other threads have advanced the clock by so many seconds.

        Nothing to wait for if `seconds` is not above zero.
        """
        length_ns = _nanoseconds("seconds", seconds)
        with self._changed:
            wakes_at_ns = self._now_ns + length_ns
            if wakes_at_ns <= self._now_ns:
                return
            self._sleepers += 1
            self._changed.notify_all()
            try:
                self._changed.wait_for(lambda: self._now_ns >= wakes_at_ns)
            finally:
                self._sleepers -= 1
                self._changed.notify_all()

    def wait_for_sleepers(self, count: int, *, timeout_s: float = DEFAULT_PATIENCE_S) -> None:
        """Wait, in real time, until exactly `count` threads are inside `sleep`.

        Raises:
            TimeoutError: another number of threads slept all the time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._sleepers == count, timeout_s):
                raise TimeoutError(f"{self._sleepers} threads sleep, not {count}, after {timeout_s:g} s")


def _nanoseconds(option: str, seconds: object) -> int:
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise InvalidArgument(f"{option} must be a number of seconds, not {type(seconds).__name__}")
    if not -MOST_S <= seconds <= MOST_S:  # neither is a NaN
        raise InvalidArgument(f"{option} must be a number of seconds up to {MOST_S:.0e} either way")
    return round(seconds * _NS)
