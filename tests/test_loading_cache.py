"""The cache kit by itself: it knows no keys, so here it holds text."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from envelope import KeyUnavailable
from envelope.cache.entries import Counts, Entry, Limits
from envelope.cache.loading import CallsItself, LoadingCache
from envelope.cache.refresh import back_off_s, refresh_fraction, renewal_back_off_s
from envelope.cache.shelf import MAX_REFRESHES
from envelope.cache.single_flight import MAX_CAUSES, own_copy
from envelope.cache.workers import MAX_WORKERS, StartThread, Workers, start_daemon
from envelope.testing import FakeClock


class Loads:
    """What the cache loads: a new text each time."""

    def __init__(self) -> None:
        self.count = 0
        self.failure: BaseException | None = None

    def __call__(self) -> str:
        self.count += 1
        if self.failure is not None:
            raise self.failure
        return f"value {self.count}"


class Setting:
    """A cache whose clock, chance and background threads a test moves."""

    def __init__(
        self, *, capacity: int = 10, chance: float = 0.0, start_thread: StartThread | None = None, **limits: float
    ) -> None:
        self.clock = FakeClock(0)
        self.background: list[Callable[[], None]] = []
        self.refreshed: list[str] = []
        self.evicted: list[str] = []
        self.load = Loads()
        self.interruption: BaseException | None = None
        self.group_of: Callable[[str], object] = lambda _: None
        self.cache: LoadingCache[str, str] = LoadingCache(
            Limits(**{"max_age_s": 100.0, **limits}),
            capacity=capacity,
            clock=self.clock,
            random=lambda: chance,
            start_thread=start_thread or self.background.append,
            on_refresh=self._note_refresh,
            on_evict=lambda entry: self.evicted.append(entry.key),
            group_of=self._group_of,
        )

    def _group_of(self, key: str) -> object:
        return self.group_of(key)

    def _note_refresh(self, entry: Entry[str, str]) -> None:
        if self.interruption is not None:
            raise self.interruption
        self.refreshed.append(entry.key)

    def get(self, key: str = "key", amount: int = 0) -> str:
        return self.cache.get(key, self.load, amount).value

    def run_background(self) -> None:
        while self.background:
            self.background.pop(0)()


def test_a_value_is_loaded_once_and_found_until_its_age() -> None:
    setting = Setting()
    assert setting.cache.find("key") is None
    assert setting.get() == "value 1"
    setting.clock.advance(99.9)
    assert setting.get() == "value 1"
    found = setting.cache.find("key")
    assert isinstance(found, Entry)
    assert found.uses == 3
    setting.clock.advance(0.1)
    assert setting.cache.find("key") is None
    assert setting.get() == "value 2"
    assert setting.cache.counts() == Counts(hits=2, misses=2, calls=2)


def test_age_counts_from_the_start_of_the_call() -> None:
    setting = Setting()

    def slow() -> str:
        setting.clock.advance(60)
        return setting.load()

    assert setting.cache.get("key", slow).value == "value 1"
    setting.clock.advance(39)
    assert setting.get() == "value 1"
    setting.clock.advance(1)
    assert setting.get() == "value 2"


def test_who_waited_longer_than_the_age_is_served_but_nobody_else() -> None:
    setting = Setting()

    def very_slow() -> str:
        setting.clock.advance(200)
        return setting.load()

    assert setting.cache.get("key", very_slow).value == "value 1"
    assert setting.get() == "value 2"


@pytest.mark.parametrize(("limits", "amount", "served"), [({"max_uses": 3}, 0, 3), ({"max_amount": 10}, 3, 3)])
def test_uses_and_amounts_are_hard_limits(limits: dict[str, Any], amount: int, served: int) -> None:
    setting = Setting(**limits)
    values = [setting.get(amount=amount) for _ in range(2 * served)]
    assert values == ["value 1"] * served + ["value 2"] * served


def test_more_of_an_entry_is_used_up_while_it_is_in_use() -> None:
    setting = Setting(max_amount=10)
    entry = setting.cache.get("key", setting.load, 4)
    assert setting.cache.add(entry, 5)
    assert not setting.cache.add(entry, 2)
    assert setting.cache.add(entry, 1)
    assert setting.get(amount=1) == "value 2"
    assert not setting.cache.add(entry, 1), "an entry that is not kept any more has its limit as well"


def test_the_entry_that_was_not_used_for_longest_makes_room() -> None:
    setting = Setting(capacity=2)
    for key in ("one", "two", "one", "three", "one"):
        setting.get(key)
    assert setting.evicted == ["two"]
    assert len(setting.cache) == 2
    assert setting.cache.counts().evictions == 1


def test_entries_that_nobody_asks_for_are_dropped_after_their_age() -> None:
    setting = Setting()
    setting.get("one")
    setting.get("two")
    setting.clock.advance(100)
    setting.get("three")
    assert len(setting.cache) == 1
    setting.clock.advance(1)
    setting.get("four")
    assert len(setting.cache) == 2, "not looked at again so soon"
    assert setting.evicted == []


def test_what_is_cleared_is_loaded_anew() -> None:
    setting = Setting()
    for key in ("one", "two"):
        setting.get(key)
    setting.cache.clear(lambda key: key == "one")
    assert setting.get("two") == "value 2"
    assert setting.get("one") == "value 3"
    setting.cache.clear()
    assert setting.get("two") == "value 4"


def test_what_comes_in_after_a_clear_is_not_kept() -> None:
    setting = Setting()

    def cleared_meanwhile() -> str:
        setting.cache.clear()
        return setting.load()

    assert setting.cache.get("key", cleared_meanwhile).value == "value 1"
    assert setting.get() == "value 2"


def test_a_failure_that_comes_in_after_a_clear_is_not_remembered() -> None:
    setting = Setting()
    setting.load.failure = KeyUnavailable("no")

    def cleared_meanwhile() -> str:
        setting.cache.clear()
        return setting.load()

    with pytest.raises(KeyUnavailable):
        setting.cache.get("key", cleared_meanwhile)
    setting.load.failure = None
    assert setting.get() == "value 2"


def test_a_failure_is_raised_again_until_the_back_off_is_over_each_time_as_another_object() -> None:
    setting = Setting(chance=1.0)
    setting.load.failure = KeyUnavailable("no", errors=(ValueError("cause"),))
    raised = []
    for _ in range(3):
        with pytest.raises(KeyUnavailable, match="no") as caught:
            setting.get()
        raised.append(caught.value)
    assert setting.load.count == 1
    assert len({id(error) for error in raised}) == 3
    assert [len(list(_frames(error))) for error in raised[1:]] == [_count_of(raised[1])] * 2, "tracebacks do not grow"
    assert [str(cause) for cause in raised[1].errors] == ["cause"]
    assert raised[1].errors[0] is not raised[2].errors[0]
    assert setting.cache.counts() == Counts(misses=1, refused=2, calls=1, failures=1)
    setting.clock.advance(0.101)
    setting.load.failure = None
    assert setting.get() == "value 2"


def _frames(error: BaseException) -> list[object]:
    frames: list[object] = []
    traceback = error.__traceback__
    while traceback is not None:
        frames.append(traceback.tb_frame.f_code)
        traceback = traceback.tb_next
    return frames


def _count_of(error: BaseException) -> int:
    return len(_frames(error))


def test_a_failure_that_is_kept_holds_nobody_s_stack_however_deep_its_causes_are() -> None:
    """A traceback holds frames, and frames hold what callers had in their hands."""
    setting = Setting()

    class Plaintext:
        pass

    def load() -> str:
        try:
            try:
                raise ValueError("inner")
            except ValueError as inner:
                raise KeyUnavailable("outer", errors=(inner, KeyUnavailable("nested", errors=(inner,)))) from inner
        except KeyUnavailable as outer:
            outer.add_note("a note")
            raise KeyUnavailable("last") from outer

    def call() -> weakref.ref[Plaintext]:
        plaintext = Plaintext()
        with pytest.raises(KeyUnavailable):
            setting.cache.get("key", load)
        return weakref.ref(plaintext)

    gone = call()
    gc.collect()
    assert gone() is None
    with pytest.raises(KeyUnavailable, match="last") as caught:
        setting.cache.get("key", load)
    outer = caught.value.__cause__
    assert isinstance(outer, KeyUnavailable)
    assert [str(error) for error in outer.errors] == ["inner", "nested"]
    assert outer.__notes__ == ["a note"]
    assert outer.__traceback__ is outer.errors[0].__traceback__ is None
    outer.add_note("of one caller")
    with pytest.raises(KeyUnavailable, match="last") as caught:
        setting.cache.get("key", load)
    assert caught.value.__cause__.__notes__ == ["a note"]  # type: ignore[union-attr]


def test_an_exception_that_cannot_be_copied_is_told_by_its_text() -> None:
    class Odd(Exception):
        def __init__(self, first: str, second: str) -> None:
            super().__init__(f"{first} {second}")

    copied = own_copy(KeyUnavailable("outer", errors=(Odd("some", "text"), KeyboardInterrupt())))  # type: ignore[arg-type]
    assert isinstance(copied, KeyUnavailable)
    assert [repr(error) for error in copied.errors] == ["RuntimeError('Odd: some text')"]


def test_causes_without_end_are_copied_so_far() -> None:
    error: Exception = KeyUnavailable("0")
    for number in range(1, 50):
        error = KeyUnavailable(str(number), errors=(error,))
    copied, depth = own_copy(error), 0
    while isinstance(copied, KeyUnavailable) and copied.errors:
        copied, depth = copied.errors[0], depth + 1
    assert depth == MAX_CAUSES


def test_failures_of_long_ago_are_forgotten() -> None:
    setting = Setting(chance=1.0)
    setting.load.failure = KeyUnavailable("no")
    for key in ("one", "two"):
        with pytest.raises(KeyUnavailable):
            setting.get(key)
    setting.clock.advance(3)
    with pytest.raises(KeyUnavailable):
        setting.get("three")
    assert list(setting.cache._shelf.failures) == ["three"]
    setting.clock.advance(3)
    with pytest.raises(KeyUnavailable):
        setting.get("three")
    assert setting.cache._shelf.failures["three"].in_a_row == 1, "not in a row any more"


def test_what_loads_a_key_cannot_wait_for_itself() -> None:
    setting = Setting()

    def asks_for_the_same() -> str:
        return setting.get()

    with pytest.raises(CallsItself):
        setting.cache.get("key", asks_for_the_same)
    setting.clock.advance(1)
    assert setting.get() == "value 1"


def test_who_has_waited_twice_for_nothing_makes_a_call_of_his_own() -> None:
    setting = Setting(max_uses=1)
    entered, release = threading.Semaphore(0), threading.Event()

    def slow() -> str:
        entered.release()
        release.wait()
        return setting.load()

    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(setting.cache.get, "key", slow) for _ in range(8)]
        entered.acquire()
        _until(lambda: setting.cache.counts().waits == 7)
        release.set()
        values = {call.result().value for call in calls}
    assert len(values) == 8
    assert setting.load.count == 8


def test_renewals_of_one_group_that_hang_do_not_keep_those_of_another_from_starting() -> None:
    setting = Setting(capacity=100, refresh_ahead=0.5)
    setting.group_of = lambda key: key[0]
    keys = [f"a{number}" for number in range(MAX_REFRESHES + 1)] + ["b1"]
    for key in keys:
        setting.get(key)
    setting.clock.advance(60)
    for key in keys:
        setting.get(key)
    assert len(setting.background) == MAX_REFRESHES + 1
    assert setting.refreshed[-1] == "b1"


@pytest.mark.parametrize("failure", [OSError("no memory"), MemoryError()])
def test_a_renewal_that_cannot_start_fails_nobody(failure: Exception) -> None:
    def start(_: object) -> None:
        raise failure

    setting = Setting(refresh_ahead=0.5, start_thread=start)
    setting.get()
    setting.clock.advance(60)
    assert setting.get() == "value 1"
    setting.clock.advance(60)
    assert setting.get() == "value 2"
    with pytest.raises(type(failure)):
        asyncio.run(setting.cache.get_async("other", setting.load))
    assert setting.get("other") == "value 3"


def test_whoever_interrupts_at_any_point_leaves_the_call_to_the_next() -> None:
    setting = Setting(refresh_ahead=0.5)

    def interrupt(*_: object) -> Any:
        raise KeyboardInterrupt

    setting.cache._calls._keep = interrupt  # type: ignore[method-assign, assignment]
    with pytest.raises(KeyboardInterrupt):
        setting.get()
    del setting.cache._calls._keep
    assert setting.get() == "value 2"
    setting.clock.advance(60)
    setting.interruption = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        setting.get()
    setting.interruption = None
    setting.clock.advance(60)
    assert setting.get() == "value 3"


def test_the_back_off_doubles_up_to_two_seconds_and_half_of_it_is_chance() -> None:
    assert [back_off_s(failures, 1.0) for failures in (1, 2, 3, 5, 6, 100)] == [0.1, 0.2, 0.4, 1.6, 2.0, 2.0]
    assert back_off_s(1, 0.0) == 0.05


def test_failures_in_a_row_make_the_back_off_longer_and_a_success_forgets_them() -> None:
    setting = Setting(chance=1.0)
    setting.load.failure = KeyUnavailable("no")

    def fails() -> None:
        with pytest.raises(KeyUnavailable):
            setting.get()

    fails()
    setting.clock.advance(0.101)
    fails()
    setting.clock.advance(0.101)
    fails()
    assert setting.load.count == 2
    setting.clock.advance(0.101)
    setting.load.failure = None
    assert setting.get() == "value 3"
    setting.cache.clear(lambda _: False)
    setting.clock.advance(100)
    setting.load.failure = KeyUnavailable("no")
    fails()
    setting.clock.advance(0.101)
    fails()
    assert setting.load.count == 5


def test_failures_are_remembered_for_so_many_keys_as_there_is_room_for() -> None:
    setting = Setting(capacity=2)
    setting.load.failure = KeyUnavailable("no")
    for key in ("one", "two", "three", "two", "one"):
        with pytest.raises(KeyUnavailable):
            setting.get(key)
    assert setting.load.count == 4


@pytest.mark.parametrize(("refresh_ahead", "chance", "fraction"), [(0.8, 0, 0.8), (0.8, 1, 0.64), (0.5, 0.5, 0.45)])
def test_chance_moves_the_renewal_ahead_by_up_to_a_fifth(refresh_ahead: float, chance: float, fraction: float) -> None:
    assert refresh_fraction(refresh_ahead, chance) == pytest.approx(fraction)
    setting = Setting(refresh_ahead=refresh_ahead, chance=chance)
    setting.get()
    setting.clock.advance(fraction * 100 - 0.01)
    setting.get()
    assert setting.background == []
    setting.clock.advance(0.02)
    setting.get()
    assert len(setting.background) == 1


@pytest.mark.parametrize(
    ("limits", "amount", "uses"),
    [({"max_uses": 10}, 0, 8), ({"max_amount": 10}, 1, 8), ({"max_uses": 5}, 0, 4), ({"max_uses": 4}, 0, None)],
)
def test_a_renewal_starts_ahead_of_each_limit_where_a_use_is_left(
    limits: dict[str, Any], amount: int, uses: int | None
) -> None:
    setting = Setting(refresh_ahead=0.8, **limits)
    started = []
    for number in range(1, 4 if uses is None else uses + 1):
        setting.get(amount=amount)
        if setting.background:
            started.append(number)
    assert started == ([] if uses is None else [uses])


def test_everybody_goes_on_with_the_entry_while_it_is_renewed() -> None:
    setting = Setting(refresh_ahead=0.5)
    setting.get()
    setting.clock.advance(50)
    assert [setting.get() for _ in range(3)] == ["value 1"] * 3
    assert len(setting.background) == 1
    assert setting.refreshed == ["key"]
    setting.run_background()
    assert setting.get() == "value 2"
    setting.clock.advance(50)
    assert setting.get() == "value 2", "its age is its own"
    assert setting.cache.counts() == Counts(hits=5, misses=1, refreshes=2, calls=2)


def test_a_renewed_entry_begins_unused() -> None:
    setting = Setting(refresh_ahead=0.5, max_uses=4, max_amount=100)
    for _ in range(2):
        setting.get(amount=3)
    setting.run_background()
    found = setting.cache.find("key")
    assert found is not None
    assert (found.value, found.uses, found.amount) == ("value 2", 1, 0)


def test_an_entry_serves_until_its_limit_if_renewals_fail_and_then_the_error_is_raised() -> None:
    setting = Setting(refresh_ahead=0.5)
    setting.get()
    setting.load.failure = KeyUnavailable("outage")
    for _ in range(999):
        setting.clock.advance(0.1)
        assert setting.get() == "value 1"
        setting.run_background()
    assert 10 < setting.load.count < 60, "a dozen tries in its last half, and some more at its very end"
    setting.clock.advance(2)
    with pytest.raises(KeyUnavailable, match="outage"):
        setting.get()


@pytest.mark.parametrize("chance", [0.0, 1.0])
def test_a_renewal_that_failed_is_tried_again_after_a_part_of_the_time_that_is_left(chance: float) -> None:
    setting = Setting(refresh_ahead=0.5, chance=chance)
    setting.get()
    setting.load.failure = KeyUnavailable("outage")
    setting.clock.advance(60)
    setting.get()
    setting.run_background()
    setting.clock.advance(1.99 if chance == 0 else 3.99)
    setting.get()
    assert setting.background == []
    setting.clock.advance(0.02)
    setting.load.failure = None
    setting.get()
    setting.run_background()
    assert setting.get() == "value 3"


def test_at_the_end_of_its_life_the_back_off_is_that_of_a_call() -> None:
    assert renewal_back_off_s(1, 60, 1.0) == 6
    assert renewal_back_off_s(1, 60, 0.0) == 3
    assert renewal_back_off_s(3, 0.1, 1.0) == back_off_s(3, 1.0) == 0.4


def test_who_finds_an_expired_entry_waits_for_the_renewal_that_is_on_its_way() -> None:
    setting = Setting(refresh_ahead=0.5)
    setting.get()
    setting.clock.advance(60)
    setting.get()
    setting.clock.advance(60)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(setting.get)
        _until(lambda: setting.cache.counts().waits == 1)
        setting.run_background()
        assert waiting.result() == "value 2"
    assert setting.load.count == 2


def _until(condition: Callable[[], bool]) -> None:
    """Let other threads run until a condition holds; a hanging test is the runner's to end."""
    tick = threading.Event()
    while not condition():
        tick.wait(0.001)


def test_so_many_renewals_run_at_a_time_and_no_more() -> None:
    setting = Setting(capacity=100, refresh_ahead=0.5)
    keys = [f"key {number}" for number in range(MAX_REFRESHES + 3)]
    for key in keys:
        setting.get(key)
    setting.clock.advance(60)
    for key in keys:
        setting.get(key)
    assert len(setting.background) == MAX_REFRESHES
    setting.run_background()
    for key in keys:
        setting.get(key)
    assert len(setting.background) == 3


def test_an_entry_that_was_replaced_meanwhile_is_not_renewed() -> None:
    setting = Setting(refresh_ahead=0.5)
    entry = setting.cache.get("key", setting.load)
    setting.cache.clear()
    setting.clock.advance(60)
    setting.cache._calls.start("key", entry.load, entry)
    assert setting.background == []


def test_a_thread_that_cannot_be_started_leaves_everything_as_it_was() -> None:
    setting = Setting(refresh_ahead=0.5, start_thread=_refuse_to_start)
    setting.get()
    setting.clock.advance(60)
    assert setting.get() == "value 1"
    setting.clock.advance(60)
    assert setting.get() == "value 2"


def test_an_interrupted_call_is_made_by_somebody_else() -> None:
    setting = Setting()
    entered, interrupt = threading.Event(), threading.Event()

    def interrupted() -> str:
        entered.set()
        interrupt.wait()
        raise KeyboardInterrupt

    with ThreadPoolExecutor(2) as pool:
        leader = pool.submit(setting.cache.get, "key", interrupted)
        entered.wait()
        follower = pool.submit(setting.get)
        _until(lambda: setting.cache.counts().waits == 1)
        interrupt.set()
        assert follower.result() == "value 1"
        with pytest.raises(KeyboardInterrupt):
            leader.result()


def test_all_who_wait_for_a_failing_call_get_an_error_of_their_own() -> None:
    setting = Setting()
    release = threading.Event()
    setting.load.failure = KeyUnavailable("no")

    def slow() -> str:
        release.wait()
        return setting.load()

    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(setting.cache.get, "key", slow) for _ in range(8)]
        _until(lambda: setting.cache.counts().waits == 7)
        release.set()
        errors = [call.exception() for call in calls]
    assert len({id(error) for error in errors}) == 8
    assert {str(error) for error in errors} == {"no"}
    assert setting.load.count == 1


def test_those_who_waited_share_the_uses_and_the_rest_load_again() -> None:
    setting = Setting(max_uses=3)
    release = threading.Event()

    def slow() -> str:
        release.wait()
        return setting.load()

    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(setting.cache.get, "key", slow) for _ in range(8)]
        _until(lambda: setting.cache.counts().waits == 7)
        release.set()
        values = [call.result().value for call in calls]
    assert sorted(values.count(value) for value in set(values)) == [2, 3, 3]


async def _until_waiting(setting: Setting, count: int) -> None:
    while setting.cache.counts().waits < count:  # noqa: ASYNC110 - threads and tasks both come in here
        await asyncio.sleep(0)


def test_tasks_wait_for_the_call_of_a_thread_and_threads_for_that_of_a_task() -> None:
    setting = Setting(start_thread=start_daemon)
    release = threading.Event()

    def slow() -> str:
        release.wait()
        return setting.load()

    async def both() -> set[str]:
        tasks = [asyncio.create_task(setting.cache.get_async("key", slow)) for _ in range(3)]
        await asyncio.sleep(0)
        thread = asyncio.create_task(asyncio.to_thread(setting.cache.get, "key", slow))
        await _until_waiting(setting, 3)
        release.set()
        return {entry.value for entry in await asyncio.gather(*tasks, thread)}

    assert asyncio.run(both()) == {"value 1"}
    assert asyncio.run(setting.cache.get_async("key", slow)).value == "value 1"
    assert setting.cache.counts() == Counts(hits=1, misses=1, waits=3, calls=1)


def test_a_cancelled_task_cancels_nobody_elses_call() -> None:
    setting = Setting(start_thread=start_daemon)
    release = threading.Event()

    def slow() -> str:
        release.wait()
        return setting.load()

    async def cancel_the_leader() -> str:
        leader = asyncio.create_task(setting.cache.get_async("key", slow))
        follower = asyncio.create_task(setting.cache.get_async("key", slow))
        await _until_waiting(setting, 1)
        leader.cancel()
        await asyncio.sleep(0)
        release.set()
        with pytest.raises(asyncio.CancelledError):
            await leader
        return (await follower).value

    assert asyncio.run(cancel_the_leader()) == "value 1"
    assert setting.load.count == 1


def test_tasks_get_errors_of_their_own_too() -> None:
    setting = Setting(start_thread=start_daemon)
    setting.load.failure = KeyUnavailable("no")

    async def two() -> list[object]:
        calls = (setting.cache.get_async("key", setting.load) for _ in range(2))
        return await asyncio.gather(*calls, return_exceptions=True)

    first, second = asyncio.run(two())
    assert isinstance(first, KeyUnavailable)
    assert isinstance(second, KeyUnavailable)
    assert first is not second


def test_a_task_for_which_no_thread_can_be_started_leaves_the_call_to_the_next() -> None:
    setting = Setting(start_thread=_refuse_to_start)
    with pytest.raises(RuntimeError, match="can't start"):
        asyncio.run(setting.cache.get_async("key", setting.load))
    assert setting.load.count == 0
    assert setting.get() == "value 1"


def _refuse_to_start(_: object) -> None:
    raise RuntimeError("can't start new thread")


def test_an_interrupted_call_of_a_task_is_an_error_and_ends_no_worker() -> None:
    setting = Setting(start_thread=start_daemon)
    setting.load.failure = SystemExit(3)
    with pytest.raises(RuntimeError, match="interrupted"):
        asyncio.run(setting.cache.get_async("key", setting.load))
    setting.load.failure = None
    assert asyncio.run(setting.cache.get_async("key", setting.load)).value == "value 2"


def test_tasks_get_their_call_made_while_every_thread_of_the_event_loop_waits_for_it() -> None:
    """The executor of the loop cannot be trusted with it: all its threads may be waiting for that very call."""
    setting = Setting(start_thread=start_daemon)
    release = threading.Event()

    def slow() -> str:
        release.wait()
        return setting.load()

    async def starve() -> list[str]:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        leader = asyncio.create_task(setting.cache.get_async("key", slow))
        await asyncio.sleep(0)
        followers = [asyncio.create_task(asyncio.to_thread(setting.cache.get, "key", slow)) for _ in range(2)]
        await _until_waiting(setting, 1)
        release.set()
        return [entry.value for entry in await asyncio.gather(leader, *followers)]

    assert asyncio.run(starve()) == ["value 1"] * 3


def test_workers_are_bounded_and_end_when_there_is_nothing_left() -> None:
    started: list[Callable[[], None]] = []
    workers = Workers(started.append)
    done: list[int] = []
    for number in range(MAX_WORKERS + 5):
        workers.run(partial(done.append, number))
    assert len(started) == MAX_WORKERS
    started[0]()
    assert done == list(range(MAX_WORKERS + 5))
    for drain in started[1:]:
        drain()
    workers.run(partial(done.append, -1))
    assert len(started) == MAX_WORKERS + 1


def test_work_waits_for_a_running_worker_if_no_other_can_be_started() -> None:
    started: list[Callable[[], None]] = []

    def start_one(work: Callable[[], None]) -> None:
        if started:
            raise RuntimeError("can't start new thread")
        started.append(work)

    workers = Workers(start_one)
    done: list[int] = []
    for number in range(3):
        workers.run(partial(done.append, number))
    started[0]()
    assert done == [0, 1, 2]
    with pytest.raises(RuntimeError, match="can't start"):
        workers.run(partial(done.append, 3))
    assert done == [0, 1, 2]


def test_a_task_may_find_that_the_value_has_come_in_between() -> None:
    setting = Setting()
    found = setting.cache.find

    def late(key: str, amount: int = 0) -> None:
        found(key, amount)
        setting.cache.find = found  # type: ignore[method-assign]  # only the first look is late
        setting.get()

    setting.cache.find = late  # type: ignore[method-assign]
    assert asyncio.run(setting.cache.get_async("key", setting.load)).value == "value 1"
    setting.cache.clear()
    setting.cache.find = late  # type: ignore[method-assign]
    assert setting.get() == "value 2"
    assert setting.load.count == 2
