"""Many threads that read, refresh and forget at once: nobody ever sees the past."""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from envelope_secrets import CacheLimits, Secret, SecretsClient
from tests.python_child import run_python
from tests.secret_stores_for_tests import MemoryStore

THREADS = 8
STEPS = 250


@pytest.fixture(autouse=True)
def _threads_that_change_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


class Numbered(MemoryStore):
    """A store whose versions are the numbers of the calls that read them, in the order in which the calls began."""

    def __init__(self) -> None:
        super().__init__()
        self._call = threading.local()
        self._way_back = random.Random(7)

    def number_the_calls_of(self, client: SecretsClient) -> Callable[[], int]:
        """The number of the newest call so far."""
        shelf = client._cache._entries._shelf
        begin = shelf.begin

        def begin_and_tell(flights: Iterable[Any]) -> int:
            self._call.number = begin(flights)
            return shelf.number

        shelf.begin = begin_and_tell  # type: ignore[method-assign]
        return lambda: shelf.number

    def _read(self, secret_id: str, stage: str | None, version_id: str | None) -> Secret:
        for _ in range(self._way_back.randrange(200)):
            pass  # others overtake
        return Secret("value", name=secret_id, arn="arn", version_id=str(self._call.number))


@pytest.mark.parametrize("capacity", [1, 4])
def test_no_thread_ever_reads_an_older_version_than_it_or_a_finished_refresh_has_seen(capacity: int) -> None:
    store = Numbered()
    # Every use is past the soft age, so renewals in the background run all the time.
    client = SecretsClient(store, limits=CacheLimits(soft_age_s=1e-6, hard_age_s=1_000, capacity=capacity))
    newest, faults = store.number_the_calls_of(client), list[str]()

    def work(seed: int) -> None:
        choice = random.Random(seed)
        seen = dict.fromkeys(("a", "b"), 0)
        for _ in range(STEPS):
            secret_id, step = choice.choice("ab"), choice.randrange(10)
            least = newest() + 1 if step == 0 else seen[secret_id]
            if step == 0:
                secret = client.refresh(secret_id)
            elif step == 1:
                client.invalidate(secret_id)
                continue
            elif step == 2:
                secret = client.get_many([secret_id])[secret_id]
            elif step == 3:
                secret = client.refresh(secret_id, replacing=client.get(secret_id))
            else:
                secret = client.get(secret_id)
            number = int(secret.version_id)
            if number < least:
                faults.append(f"step {step}: {number} after {least}")
            seen[secret_id] = max(number, seen[secret_id])

    with ThreadPoolExecutor(THREADS) as pool:
        for call in [pool.submit(work, seed) for seed in range(THREADS)]:
            call.result()
    assert not faults
    assert newest() > STEPS


def test_a_herd_that_alternates_between_refreshing_and_reading_makes_far_fewer_calls_than_it_asks_for() -> None:
    store = MemoryStore(db="secret 1")
    client = SecretsClient(store)
    start = threading.Barrier(64)

    def work() -> set[str]:
        old = client.get("db")
        start.wait()
        return {client.refresh("db", replacing=old).text for _ in range(10)}

    client.get("db")
    store.set("db", "secret 2")
    with ThreadPoolExecutor(64) as pool:
        texts = set().union(*[call.result() for call in [pool.submit(work) for _ in range(64)]])
    assert texts == {"secret 2"}
    assert store.count("read") == 2


def test_the_interpreter_exits_while_a_watcher_sleeps_and_a_renewal_hangs() -> None:
    code = """
import threading
from envelope.testing import FakeClock
from envelope_secrets import SecretsClient
from tests.secret_stores_for_tests import MemoryStore, until

store, clock = MemoryStore(db="secret 1"), FakeClock()
client = SecretsClient(store, clock=clock)
client.get("db")
client.on_change("db", print)
store.before = lambda _: threading.Event().wait()
clock.advance(301)
client.get("db")
until(lambda: store.count("read") == 2)
sys.stdout.write("ok")
"""
    assert run_python(code, cwd=Path(__file__).parent.parent) == b"ok"
