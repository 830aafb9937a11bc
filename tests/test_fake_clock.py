"""The clock that stands still until a test moves it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from envelope import InvalidArgument
from envelope.testing import FakeClock
from tests.python_child import run_python


def test_it_starts_at_a_date_and_moves_only_when_it_is_told() -> None:
    clock = FakeClock()
    assert datetime.fromtimestamp(clock.now(), UTC) == datetime(2026, 1, 1, tzinfo=UTC)
    clock.advance(1.5)
    assert clock() == clock.now() == datetime(2026, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC).timestamp()


def test_it_starts_where_it_is_told() -> None:
    clock = FakeClock(start_s=5)
    assert clock.now() == 5
    assert repr(clock) == "FakeClock(5.0, sleepers=0)"


def test_it_does_not_go_back() -> None:
    with pytest.raises(InvalidArgument, match="goes forward only"):
        FakeClock().advance(-1)


@pytest.mark.parametrize(
    "seconds", ["1", None, True, float("nan"), float("inf"), pytest.param(-(10**5_000), id="huge"), 1e13]
)
def test_seconds_are_a_number_of_a_date_that_can_be(seconds: Any) -> None:
    for use in (FakeClock, FakeClock().advance, FakeClock().sleep):
        with pytest.raises(InvalidArgument, match=r"s(tart_s|econds) must be a number of seconds"):
            use(seconds)


FORK = """
import threading
from envelope.testing import FakeClock
clock, holds, let_go = FakeClock(), threading.Event(), threading.Event()
def hold():
    with clock._changed:
        holds.set()
        let_go.wait()
thread = threading.Thread(target=hold)
thread.start()
holds.wait()
child = os.fork()
if child == 0:
    clock.advance(1)
    os._exit(clock.sleepers)
let_go.set()
thread.join()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_fork_while_a_thread_has_the_clock_does_not_hang_the_child() -> None:
    assert run_python(FORK) == b"0\n"


@pytest.mark.parametrize("seconds", [0, -1])
def test_a_sleep_of_no_time_does_not_wait(seconds: float) -> None:
    FakeClock().sleep(seconds)


def test_a_thread_sleeps_until_the_clock_was_advanced_far_enough() -> None:
    clock = FakeClock(start_s=0)
    with ThreadPoolExecutor() as pool:
        sleep = pool.submit(clock.sleep, 2)
        clock.wait_for_sleepers(1)
        clock.advance(1)
        assert clock.sleepers == 1
        assert not sleep.done()
        clock.advance(1)
        sleep.result(timeout=10)
    assert clock.sleepers == 0


def test_many_short_steps_are_as_long_as_one_sleep() -> None:
    clock = FakeClock()
    with ThreadPoolExecutor() as pool:
        sleep = pool.submit(clock.sleep, 2)
        clock.wait_for_sleepers(1)
        for _ in range(20):
            assert clock.sleepers == 1
            clock.advance(0.1)
        clock.wait_for_sleepers(0)
        sleep.result(timeout=10)


def test_threads_wake_in_the_order_of_their_times() -> None:
    clock = FakeClock(start_s=0)
    with ThreadPoolExecutor() as pool:
        sleeps = [pool.submit(clock.sleep, seconds) for seconds in (1, 2, 3)]
        clock.wait_for_sleepers(3)
        for awake in (1, 2, 3):
            clock.advance(1)
            sleeps[awake - 1].result(timeout=10)
            clock.wait_for_sleepers(3 - awake)


def test_waiting_for_sleepers_gives_up_in_real_time() -> None:
    with pytest.raises(TimeoutError, match="0 threads sleep, not 1, after 0 s"):
        FakeClock().wait_for_sleepers(1, timeout_s=0)


def test_many_threads_can_advance_it_at_once() -> None:
    clock = FakeClock(start_s=0)
    start = threading.Barrier(8)

    def advance() -> None:
        start.wait(timeout=10)
        for _ in range(1_000):
            clock.advance(1)

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(advance) for _ in range(8)]:
            done.result(timeout=30)
    assert clock.now() == 8_000
