"""A rotation that is stopped before or after each of its calls: of the store and of the target."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from envelope_secrets.stores.protocol import SecretStore
from envelope_secrets.testing import Stopped
from tests.crash_points import SAMPLE
from tests.thoroughness import TAKES_ALL

__all__ = ["STORE_METHODS", "Stops", "every_point", "every_point_after_a_call", "stopping", "stopping_store", "tried"]

T = TypeVar("T")

STORE_METHODS = (
    *("read", "read_many", "describe", "versions", "list", "create", "put", "update", "move_stage"),
    *("delete", "restore", "tag", "untag"),
)


class Stops:
    """Counts points, two for each call, and stops the process at one of them.

    Attributes:
        passed: the points so far.
        stop_at: the point to stop at, from 0; None to go on.
        was_reached: whether there was such a point.
    """

    def __init__(self) -> None:
        self.passed = 0
        self.stop_at: int | None = None
        self.was_reached = True

    def around(self, call: Callable[..., T]) -> Callable[..., T]:
        def stopped_around(*args: Any, **options: Any) -> T:
            self._point()
            result = call(*args, **options)
            self._point()
            return result

        return stopped_around

    def arm(self, point: int) -> None:
        """Stop once, at this point from now."""
        self.passed, self.stop_at, self.was_reached = 0, point, False

    def disarm(self) -> None:
        """Go on from here without a stop."""
        self.stop_at = None

    def _point(self) -> None:
        point = self.passed
        self.passed += 1
        if point == self.stop_at:
            self.stop_at, self.was_reached = None, True
            raise Stopped


def tried(points: int) -> str:
    """How a run of the tests says how many points of a rotation it has tried."""
    return f"{points} points, {'all' if TAKES_ALL else f'each {SAMPLE}rd'} tried, 0 bad ends"


def every_point(stops: Stops, *, at_least: int) -> Iterator[int]:
    """All points, or a sample, of what the body of the loop does once it has armed the stops; the last is too many."""
    yield from _points(stops, at_least, 0, 1)


def every_point_after_a_call(stops: Stops, *, at_least: int) -> Iterator[int]:
    """Half of them: nothing that lasts happens between a call and the next, so before it is the same as after it."""
    yield from _points(stops, at_least, 1, 2)


def _points(stops: Stops, at_least: int, first: int, step: int) -> Iterator[int]:
    for number in range(0, 10_000, 1 if TAKES_ALL else SAMPLE):
        yield first + number * step
        if not stops.was_reached:
            assert number >= at_least, "so few calls cannot be the whole of it"
            return


def stopping(target: Any, stops: Stops, methods: tuple[str, ...]) -> Any:
    """The same object, with points before and after these methods."""
    made = type("Stopping", (), {})()
    for name in methods:
        setattr(made, name, stops.around(getattr(target, name)))
    return made


def stopping_store(store: SecretStore, stops: Stops) -> SecretStore:
    """The same store, with points before and after each of its methods."""
    made: SecretStore = stopping(store, stops, STORE_METHODS)
    assert isinstance(made, SecretStore)
    return made
