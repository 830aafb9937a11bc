"""Points at which a test lets a process die: before and after every call of AWS and every statement of a database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import gcd
from typing import Any

from envelope_secrets.testing import FaultySecretsManager, Stopped
from tests.thoroughness import TAKES_ALL

SAMPLE = 3
"""Where not all is taken, the tests die at each third point only."""

ROTATION_ROLE = "arn:aws:iam::111122223333:role/rotation"
PRIMES = (7, 11, 13, 17, 19, 23)


def points_to_die_at(count: int) -> range:
    """The numbers of the points that a run of the tests tries."""
    return range(0, count, 1 if TAKES_ALL else SAMPLE)


class CrashPoints:
    """Counts the points that a process passes, and lets it die at the point `dies_at`, and again where it is repeated.

    Args:
        dies_at: the number of the first point to die at; None to live.
        then: how many points after a death, of what is done again, the next one comes.

    Attributes:
        passed: the names of the points, in their order.
        deaths: the names of those where the process died.
        at_each: called at each point, whether the process dies there or not.
    """

    def __init__(self, dies_at: int | None = None, *then: int) -> None:
        self.dies_at = dies_at
        self.passed: list[str] = []
        self.deaths: list[str] = []
        self.at_each: Callable[[], object] = lambda: None
        self.is_watching = True
        self._then = list(then)

    @contextmanager
    def around(self, name: str) -> Iterator[None]:
        """A call: a point before it, and one after it if it succeeds."""
        self.point(f"before {name}")
        yield
        self.point(f"after {name}")

    @property
    def died(self) -> bool:
        """Whether the process has."""
        return bool(self.deaths) or (self.dies_at is not None and len(self.passed) > self.dies_at)

    def point(self, name: str) -> None:
        """Die here, or live on."""
        if not self.is_watching:
            return
        self.passed.append(name)
        self.at_each()
        if len(self.passed) - 1 == self.dies_at:
            self.deaths.append(name)
            self.dies_at = len(self.passed) + self._then.pop(0) if self._then else None
            raise Stopped(name)

    @contextmanager
    def nobody_watches(self) -> Iterator[None]:
        """Calls of the test itself are no points."""
        self.is_watching = False
        try:
            yield
        finally:
            self.is_watching = True


Deaths = tuple[int, ...]
"""The first point to die at, and how many points after it the next ones come: `CrashPoints(*deaths)`."""


def with_more(first: int, number: int, left: int) -> Deaths:
    """A first point with another one in the repeat, and for every other of them a third one.

    The numbers are spread so that every point of a repeat comes second, and third, after many a first.

    Args:
        number: of several such for one first point, from 0.
        left: how many points the repeat has.
    """
    step = next(prime for prime in PRIMES if gcd(prime, left) == 1)
    second = ((first + 5 * number) * step + 3) % left
    third = (first * 5 + 1 + number) % left
    return (first, second, third) if (first // 2 + first + number) % 2 else (first, second)


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What became of a rotation that died in many ways.

    Attributes:
        points: how many it has.
        deaths: how many deaths there were: first ones, second ones, third ones.
        bad: what was wrong in the end, by where it had died.
    """

    points: int
    deaths: tuple[int, int, int]
    bad: Mapping[str, list[str]]

    def __str__(self) -> str:
        first, second, third = self.deaths
        return (
            f"{self.points} points, {first} first, {second} second and {third} third deaths, {len(self.bad)} bad ends"
        )


Run = Callable[[CrashPoints], list[str]]
"""A rotation with these points in a world of its own, repeated until it succeeds; what is wrong then."""


class Rehearsal:
    """Runs that die, and what became of them."""

    def __init__(self, run: Run, rotations: int) -> None:
        self.run = run
        self.died = [0, 0, 0]
        self.bad: dict[str, list[str]] = {}
        rehearsal = CrashPoints()
        assert run(rehearsal) == [], "it fails without dying"
        self.count = len(rehearsal.passed)
        self.of_one = self.left = self.count // rotations

    def alone(self, first: int) -> None:
        """Die at this point only."""
        points = self._died(first)
        self.left = max(1, min(self.of_one, len(points.passed) - first - 1))

    def again(self, first: int, number: int) -> None:
        """Die at this point, and in the repeat."""
        self._died(*with_more(first, number, self.left))

    def _died(self, *deaths: int) -> CrashPoints:
        points = CrashPoints(*deaths)
        problems = self.run(points)
        assert points.died, "a point that is never reached"
        for number in range(len(points.deaths)):
            self.died[number] += 1
        if problems:
            self.bad[f"{deaths}: {', '.join(points.deaths)}"] = problems
        return points


def rehearse(
    run: Run,
    *,
    rotations: int = 1,
    seconds: int = 1,
    again_each: int = 1,
    each: int | None = None,
    sample: int = SAMPLE,
) -> Rehearsed:
    """Let a rotation die at its points: alone and with more deaths, or, in a sample or with `each`, in turns.

    Args:
        rotations: how many rotations there are in a run.
        seconds: how many runs with more deaths there are for a first point, where all is taken.
        again_each: for each so many-th first point.
        each: in turns at each so many-th point, even where all is taken.
        sample: at each so many-th point where not all is taken.
    """
    rehearsal = Rehearsal(run, rotations)
    takes_both = TAKES_ALL and each is None
    chosen = (each or 1) if TAKES_ALL else sample
    for number, first in enumerate(range(0, rehearsal.count, chosen)):
        if takes_both or number % 2 == 0:
            rehearsal.alone(first)
        runs_again = seconds * (number % again_each == 0) if takes_both else number % 2
        for other in range(runs_again):
            rehearsal.again(first, other)
    first_ones, second_ones, third_ones = rehearsal.died
    return Rehearsed(rehearsal.count, (first_ones, second_ones, third_ones), rehearsal.bad)


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
