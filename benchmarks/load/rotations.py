"""Rotations of a secret on a strict fake of Secrets Manager, some of which die at a random point and are repeated."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmarks.load.accounts import Account
from benchmarks.load.clients import SECRET
from envelope_secrets import AWSCURRENT
from envelope_secrets.rotation import rotation_handler
from envelope_secrets.rotation.mysql_connection import MySqlConnection
from envelope_secrets.rotation.postgresql_session import PostgreSqlSession
from envelope_secrets.rotation.redis_connection import RedisConnection
from envelope_secrets.rotation.strategy import Strategy
from envelope_secrets.stores.secrets_manager import SecretsManagerStore
from tests.crash_points import CrashPoints, StoppingService

__all__ = ["DirectClient", "Rotations", "Window"]

REGION = "eu-west-1"
LOGIN_EACH_S = 0.02
DAY_S = 90_000.0
"""A little more than the day for which the service keeps versions without a label: it has room for 100."""

PASSWORD_CHANGES = frozenset({"statement for the new password", "statement for setting a password"})
LABEL_MOVES = "UpdateSecretVersionStage"
STATEMENTS: tuple[tuple[type, str], ...] = (
    (PostgreSqlSession, "_run"),
    (MySqlConnection, "rows"),
    (RedisConnection, "ask"),
)


@dataclass(frozen=True, slots=True)
class Window:
    """From just before the password is changed until AWSCURRENT has moved, on `time.perf_counter`."""

    begins_s: float
    ends_s: float

    @property
    def length_s(self) -> float:
        """How long it is."""
        return self.ends_s - self.begins_s


class Rotations:
    """Rotates one secret, again and again.

    Attributes:
        windows: one of each rotation.
        crashes: how many have died.
        failures: what went wrong with a rotation that was repeated three times.
    """

    def __init__(self, account: Account, strategy: Strategy, *, seed: int = 1) -> None:
        self.windows: list[Window] = []
        self.crashes = 0
        self.failures: list[str] = []
        self._random = random.Random(seed)
        self._service = StoppingService()
        self._handler = rotation_handler(
            account.database,
            strategy,
            store=SecretsManagerStore(client_for_region=self._service.client_for_region, region=REGION),
        )
        self._points_of_one = 40
        client: Any = self._service.fake.client()
        admin = client.create_secret(Name="load/admin", SecretString=json.dumps(account.admin_value()))
        value = {**account.value(), "masterarn": admin["ARN"]}
        client.create_secret(Name=SECRET, SecretString=json.dumps(value))

    def store(self) -> SecretsManagerStore:
        """The same secrets as their readers see them; their calls are no points."""
        fake = self._service.fake
        return SecretsManagerStore(client_for_region=lambda _: fake.client(), region=REGION)

    def rotate(self, *, crashes: bool) -> None:
        """One rotation. If it dies, all four steps are repeated."""
        points = self._service.points = CrashPoints(self._random.randrange(self._points_of_one) if crashes else None)
        times: list[tuple[str, float]] = []
        points.at_each = lambda: times.append((points.passed[-1], time.perf_counter()))
        self._service.fake.clock.advance(DAY_S)
        run = self._service.fake.rotate(SECRET, self._handler, attempts=4)
        self.crashes += points.died
        if not run.succeeded:
            self.failures.append(f"{[(step.step, step.error) for step in run.steps if step.error]}")
        if not crashes:
            self._points_of_one = len(points.passed)
        self.windows += _window_of(times)

    @contextmanager
    def statements_are_points(self) -> Iterator[None]:
        """Let rotations die before and after each statement too, and not only around calls of AWS."""
        originals = [(kind, name, getattr(kind, name)) for kind, name in STATEMENTS]
        for kind, name, original in originals:
            setattr(kind, name, self._stopping(original))
        try:
            yield
        finally:
            for kind, name, original in originals:
                setattr(kind, name, original)

    def _stopping(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def stopping(*args: Any, **options: Any) -> Any:
            with self._service.points.around(f"statement for {options['what']}"):
                return original(*args, **options)

        return stopping


def _window_of(times: list[tuple[str, float]]) -> list[Window]:
    begins_s = [at_s for name, at_s in times if name.removeprefix("before ") in PASSWORD_CHANGES]
    ends_s = [at_s for name, at_s in times if name == f"after {LABEL_MOVES}"]
    return [Window(begins_s[0], ends_s[-1])] if begins_s and ends_s else []


@dataclass(slots=True)
class DirectClient:
    """A program without a connector, that reads AWSCURRENT anew and logs in once, all the time.

    Attributes:
        accepted: logins.
        refused_s: when a login was refused with what was AWSCURRENT before and after it: from when to when.
        outdated: logins that were refused because AWSCURRENT had moved since it was read.
    """

    store: SecretsManagerStore
    account: Account
    accepted: int = 0
    outdated: int = 0
    refused_s: list[tuple[float, float]] = field(default_factory=list)
    _is_over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        """While the block runs."""
        thread = threading.Thread(target=self._work)
        thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            thread.join()

    def outside(self, windows: list[Window]) -> int:
        """How many refused logins no window explains."""
        return sum(
            not any(begins_s <= window.ends_s and ends_s >= window.begins_s for window in windows)
            for begins_s, ends_s in self.refused_s
        )

    def _work(self) -> None:
        while not self._is_over.wait(LOGIN_EACH_S):
            begins_s = time.perf_counter()
            secret = self.store.read(SECRET, stage=AWSCURRENT)
            if self.account.accepts(secret.json):
                self.accepted += 1
            elif self.store.read(SECRET, stage=AWSCURRENT).version_id == secret.version_id:
                self.refused_s.append((begins_s, time.perf_counter()))
            else:
                self.outdated += 1
