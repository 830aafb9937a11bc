"""Points at which a test lets a process die: before and after every call of AWS and every statement of a database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from envelope_secrets.testing import FaultySecretsManager, Stopped
from tests.thoroughness import TAKES_ALL

SAMPLE = 3
"""Where not all is taken, the tests die at each third point only."""

ROTATION_ROLE = "arn:aws:iam::111122223333:role/rotation"


def points_to_die_at(count: int) -> range:
    """The numbers of the points that a run of the tests tries."""
    return range(0, count, 1 if TAKES_ALL else SAMPLE)


class CrashPoints:
    """Counts the points that a process passes, and lets it die once, at the point `dies_at`.

    Attributes:
        passed: the names of the points, in their order.
        at_each: called at each point, whether the process dies there or not.
    """

    def __init__(self, dies_at: int | None = None) -> None:
        self.dies_at = dies_at
        self.passed: list[str] = []
        self.at_each: Callable[[], object] = lambda: None
        self.is_watching = True

    @contextmanager
    def around(self, name: str) -> Iterator[None]:
        """A call: a point before it, and one after it if it succeeds."""
        self.point(f"before {name}")
        yield
        self.point(f"after {name}")

    @property
    def died(self) -> bool:
        """Whether the process has."""
        return self.dies_at is not None and len(self.passed) > self.dies_at

    def point(self, name: str) -> None:
        """Die here, or live on."""
        if not self.is_watching:
            return
        self.passed.append(name)
        self.at_each()
        if len(self.passed) - 1 == self.dies_at:
            raise Stopped(name)

    @contextmanager
    def nobody_watches(self) -> Iterator[None]:
        """Calls of the test itself are no points."""
        self.is_watching = False
        try:
            yield
        finally:
            self.is_watching = True


class StoppingService:
    """A fake Secrets Manager, each call of which by the rotation is two points.

    Attributes:
        points: can be set at any time.
        role: who makes those calls.
    """

    role = ROTATION_ROLE

    def __init__(self, points: CrashPoints | None = None, **options: Any) -> None:
        self.fake = FaultySecretsManager(**options)
        self.points = points or CrashPoints()
        self.client: Any = self.fake.client(principal=self.role)
        self.client.meta.events.register("before-call", lambda model, **_: self.points.point(f"before {model.name}"))
        self.client.meta.events.register("after-call", lambda model, **_: self.points.point(f"after {model.name}"))

    def client_for_region(self, region: str) -> Any:
        """What `SecretsManagerStore` takes."""
        return self.client
