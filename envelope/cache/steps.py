"""How threads and tasks go through the same steps: make a call, or wait for the call of somebody else.

What a request does is written once, as a generator that yields a step and is sent the outcome of its flight. A thread
makes its calls itself; a task has them made by a worker, so that its event loop goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Generic, TypeAlias, TypeVar

from envelope.cache.single_flight import Flight, Outcome
from envelope.cache.workers import Workers

__all__ = ["Step", "Steps", "driven", "driven_async"]

T = TypeVar("T")
R = TypeVar("R")


class Step(Generic[T]):
    """Wait for the end of a flight.

    Attributes:
        flight: the flight.
        work: makes the call of the flight, if it is the caller's own to make. It lands the flight, come what may.
        is_handed_over: whether a worker makes it, also for the others when this caller waits no more.
    """

    __slots__ = ("flight", "is_handed_over", "work")

    def __init__(self, flight: Flight[T], work: Callable[[], None] | None = None) -> None:
        self.flight = flight
        self.work = work
        self.is_handed_over = False


Steps: TypeAlias = Generator[Step[T], Outcome[T], R]


def driven(steps: Steps[T, R]) -> R:
    """Go through the steps in this thread."""
    try:
        step = next(steps)
        while True:
            if step.work is not None:
                step.work()
            step = steps.send(step.flight.future.result())
    except StopIteration as end:
        result: R = end.value
        return result
    finally:
        steps.close()


async def driven_async(steps: Steps[T, R], workers: Workers) -> R:
    """Go through the steps in this task. If it is cancelled, a call that was begun goes on for the others."""
    import asyncio  # 30 ms that a program without an event loop never needs

    try:
        step = next(steps)
        while True:
            if step.work is not None:
                workers.run(step.work)
                step.is_handed_over = True
            step = steps.send(await asyncio.wrap_future(step.flight.future))
    except StopIteration as end:
        result: R = end.value
        return result
    finally:
        steps.close()
