"""A secret that rotates, a target that knows passwords and counts logins, and a clock that sleeping moves."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping

from envelope.testing import FakeClock
from envelope_secrets import SecretsClient
from envelope_secrets.connectors import connect
from tests.secret_stores_for_tests import MemoryStore


class Refused(Exception):
    """What the made-up driver raises for a wrong password; its text shows it, as some do."""

    sqlstate = "28P01"


class Target:
    """A server with one account.

    Attributes:
        password: what logs in now.
        logins: the passwords of all attempts, in their order.
        before: called at the beginning of each attempt, with its password.
    """

    def __init__(self, password: str) -> None:
        self.password = password
        self.logins: list[str] = []
        self.before: Callable[[str], object] = lambda _: None
        self._lock = threading.Lock()

    def connect(self, *, password: str, **others: object) -> Mapping[str, object]:
        with self._lock:
            self.logins.append(password)
        self.before(password)
        if password != self.password:
            raise Refused(f"postgresql://app:{password}@db refused")
        return {"password": password, **others}

    async def connect_async(self, *, password: str, **others: object) -> Mapping[str, object]:
        return self.connect(password=password, **others)


class Rotating:
    """The secret ``db``, whose versions ``v1``, ``v2``... have the passwords ``p1``, ``p2``..., and its target."""

    def __init__(self, password: str = "p1") -> None:
        self.store = MemoryStore(db=value_of("p1"))
        self.clock = FakeClock(0)
        self.at: list[tuple[float, Callable[[], object]]] = []
        self.target = Target(password)
        self.secrets = SecretsClient(self.store, clock=self.clock, random=lambda: 0.0)

    def put(self, password: str, *stages: str) -> None:
        self.store.set("db", value_of(password), stages=stages or None)

    def sleep(self, seconds: float) -> None:
        """Sleep, and let happen what is due then."""
        self.clock.advance(seconds)
        due = [(at_s, work) for at_s, work in self.at if at_s <= self.clock.now()]
        for entry in due:
            self.at.remove(entry)
            entry[1]()

    async def sleep_async(self, seconds: float) -> None:
        self.sleep(seconds)

    def connect(self, **options: object) -> Mapping[str, object]:
        given = {"clock": self.clock, "sleep": self.sleep, **options}
        return connect(self.secrets, "db", self.target.connect, **given)  # type: ignore[arg-type]  # of the tests' own

    def password(self, **options: object) -> object:
        return self.connect(**options)["password"]


def value_of(password: str) -> str:
    return json.dumps({"username": "app", "password": password})
