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
        thread_id: of the thread that makes the call, once it does.
        number: of the call, once it has begun, in the order in which the cache's calls began; before that 0.
        was_current: False once it has brought something that was not kept, because the flight was superseded.
        is_forced: whether somebody wants a call that starts now; what other flights bring is too old for that.
    """

    __slots__ = ("future", "is_forced", "number", "thread_id", "was_current")

    def __init__(self, *, is_forced: bool = False) -> None:
        self.future: Future[Outcome[V]] = Future()
        self.future.set_running_or_notify_cancel()
        self.thread_id: int | None = None
        self.number = 0
        self.was_current = True
        self.is_forced = is_forced

    def land(self, outcome: Outcome[V]) -> None:
        """Wake everybody who waits. Only the first outcome counts."""
        if not self.future.done():
            self.future.set_result(outcome)


MAX_CAUSES = 8
"""How deep the causes of an error are copied."""


def own_copy(error: Exception, *, depth: int = MAX_CAUSES) -> Exception:
    """The same error for one more caller, with the errors behind it, and nobody's stack.

    An exception object that is raised in many threads would collect the frames of all of them; and one that is kept
    would keep whatever the frames of its traceback hold: messages, plaintext, data keys.
    """
    try:
        copied = copy.copy(error).with_traceback(None)
    except Exception:  # noqa: BLE001 - somebody else's exception, made of more than its arguments
        return RuntimeError(f"{type(error).__name__}: {error}")
    causes = getattr(error, "errors", None)
    if isinstance(causes, tuple):
        copied.errors = _copies(causes, depth)  # type: ignore[attr-defined]  # it has them: see above
    if hasattr(error, "__notes__"):
        copied.__notes__ = list(error.__notes__)
    copied.__cause__ = next(iter(_copies((error.__cause__,), depth)), None)
    return copied


def _copies(errors: tuple[object, ...], depth: int) -> tuple[Exception, ...]:
    return tuple(own_copy(error, depth=depth - 1) for error in errors if isinstance(error, Exception) and depth)
