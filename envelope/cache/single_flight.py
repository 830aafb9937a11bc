"""One call for everybody who needs its result at the same time.

The first who asks makes the call; the others, threads or tasks, wait for the flight. A flight ends once: with a value,
with an error, or abandoned because its caller was interrupted, and then somebody else has to make the call.
"""

from __future__ import annotations

import copy
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Flight", "Outcome", "own_copy"]

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Outcome(Generic[V]):
    """What came of a flight: a value, an error, or neither when it was abandoned."""

    value: V | None = None
    error: Exception | None = None


class Flight(Generic[V]):
    """One call in progress.

    Attributes:
        future: gets the outcome, and never an exception: each waiter raises a copy of its own. It counts as running
            from the start, so a waiting task that is cancelled cannot cancel it for the others.
    """

    __slots__ = ("future",)

    def __init__(self) -> None:
        self.future: Future[Outcome[V]] = Future()
        self.future.set_running_or_notify_cancel()

    def land(self, outcome: Outcome[V]) -> None:
        """Wake everybody who waits."""
        self.future.set_result(outcome)


def own_copy(error: Exception) -> Exception:
    """The same error for one more caller.

    An exception object that is raised in many threads would collect the frames of all of them.
    """
    copied = copy.copy(error).with_traceback(None)
    copied.__cause__ = error.__cause__
    return copied
