"""Renewals that somebody wants now, and keys that are loaded together: the cache kit by itself."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from envelope import KeyUnavailable
from envelope.cache.entries import Counts, Entry, Limits
from envelope.cache.loading import CallsItself, LoadingCache
from envelope.cache.refresh import renewal_back_off_s
from envelope.cache.workers import StartThread, start_daemon
from envelope.testing import FakeClock


class Setting:
    """A cache of texts that say by which call they came."""

    def __init__(self, *, capacity: int = 10, start_thread: StartThread = start_daemon, **limits: float) -> None:
        self.clock = FakeClock(0)
        self.calls = 0
        self.failure: Exception | None = None
        self.kept: list[tuple[str, str | None]] = []
        self.failed: list[tuple[str, str, str | None]] = []
        self.keeps_entry = True
        self.cache: LoadingCache[str, str] = LoadingCache(
            Limits(**{"max_age_s": 100.0, **limits}),
            capacity=capacity,
            clock=self.clock,
            random=lambda: 1.0,
            start_thread=start_thread,
            on_load=lambda entry, before: self.kept.append((entry.value, _value(before))),
            on_failure=lambda key, error, entry: self.failed.append((key, str(error), _value(entry))),
            keeps_entry_after=lambda _: self.keeps_entry,
        )

    def load(self) -> str:
        self.calls += 1
        number = self.calls
        if self.failure is not None:
            raise self.failure
        return f"value {number}"

    def get(self, key: str = "key") -> str:
        return self.cache.get(key, self.load).value

    def renew(self, **options: Any) -> str:
        return self.cache.renew("key", self.load, **options).value


def _value(entry: Entry[str, str] | None) -> str | None:
    return None if entry is None else entry.value


class Held:
    """A load that waits, each time for a release of its own."""

    def __init__(self, load: Callable[[], str]) -> None:
        self._load = load
        self.begun = 0
        self.gates: list[threading.Event] = []
        self._lock = threading.Lock()

    def __call__(self) -> str:
        with self._lock:
            gate = threading.Event()
            self.gates.append(gate)
            value = self._load()  # what the store would say when the call reaches it
            self.begun += 1
        gate.wait()
        return value


def until(condition: Callable[[], object]) -> None:
    tick = threading.Event()
    while not condition():
        tick.wait(0.001)


def test_a_renewal_calls_at_once_and_everybody_has_what_it_brings() -> None:
    setting = Setting()
    assert setting.get() == "value 1"
    assert setting.renew() == "value 2"
    assert setting.get() == "value 2"
    assert setting.cache.counts() == Counts(hits=1, misses=2, calls=2)
    assert setting.kept == [("value 1", None), ("value 2", "value 1")]


def test_a_renewal_heeds_no_back_off_and_its_failure_leaves_the_entry() -> None:
    setting = Setting()
    setting.get()
    setting.failure = KeyUnavailable("outage")
    for _ in range(3):
        with pytest.raises(KeyUnavailable, match="outage"):
            setting.renew()
    assert setting.calls == 4
    assert setting.get() == "value 1"
    assert setting.failed == [("key", "outage", "value 1")] * 3


def test_a_failure_after_which_an_entry_must_not_serve_drops_it() -> None:
    setting = Setting()
    setting.get()
    setting.failure, setting.keeps_entry = KeyUnavailable("denied"), False
    with pytest.raises(KeyUnavailable):
        setting.renew()
    assert setting.failed == [("key", "denied", "value 1")]
    assert setting.cache.peek("key") is None
    with pytest.raises(KeyUnavailable, match="denied"):
        setting.get()
    assert setting.calls == 2, "within the back-off of the call that failed"


def test_a_renewal_in_the_background_that_fails_so_drops_the_entry_too() -> None:
    background: list[Callable[[], None]] = []
    setting = Setting(refresh_ahead=0.5, start_thread=background.append)
    setting.get()
    setting.failure, setting.keeps_entry = KeyUnavailable("denied"), False
    setting.clock.advance(60)
    assert setting.get() == "value 1"
    background.pop()()
    setting.clock.advance(1)
    with pytest.raises(KeyUnavailable, match="denied"):
        setting.get()


def test_those_who_come_while_a_renewal_is_under_way_share_one_more_call() -> None:
    setting = Setting()
    setting.get()
    held = Held(setting.load)
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(setting.cache.renew, "key", held)
        until(lambda: held.begun == 1)
        others = [pool.submit(setting.cache.renew, "key", held) for _ in range(8)]
        until(lambda: setting.cache.counts().waits == 8)
        held.gates[0].set()
        until(lambda: held.begun == 2)
        assert first.result().value == "value 2"
        assert setting.get() == "value 2", "nobody waits who has something"
        held.gates[1].set()
        assert {other.result().value for other in others} == {"value 3"}
    assert setting.calls == 3
    assert setting.get() == "value 3"


def test_a_renewal_supersedes_a_call_in_flight_whose_late_answer_is_dropped() -> None:
    setting = Setting()
    held = Held(setting.load)
    with ThreadPoolExecutor(3) as pool:
        old = pool.submit(setting.cache.get, "key", held)
        until(lambda: held.begun == 1)
        waiting = pool.submit(setting.get)
        until(lambda: setting.cache.counts().waits == 1)
        assert setting.renew() == "value 2"
        held.gates[0].set()
        assert old.result().value == "value 2", "who made the older call does not look back either"
        assert waiting.result() == "value 2"
    assert setting.get() == "value 2"
    assert setting.kept == [("value 2", None)]


def test_the_late_failure_of_a_superseded_call_is_dropped_too() -> None:
    setting = Setting()
    gate, begun = threading.Event(), threading.Event()

    def fails() -> str:
        begun.set()
        gate.wait()
        raise KeyUnavailable("late")

    with ThreadPoolExecutor(1) as pool:
        setting.keeps_entry = False
        old = pool.submit(setting.cache.get, "key", fails)
        begun.wait()
        assert setting.renew() == "value 1"
        gate.set()
        assert isinstance(old.exception(), KeyUnavailable)
    assert setting.get() == "value 1"
    assert setting.cache.counts().failures == 1


def is_not(value: str) -> Callable[[str], bool]:
    return lambda other: other != value


def test_another_value_than_the_one_that_has_proved_wrong_is_taken_without_a_call() -> None:
    setting = Setting()
    setting.get()
    assert setting.renew(is_other=is_not("value 1")) == "value 2"
    assert setting.renew(is_other=is_not("value 1")) == "value 2"
    assert setting.calls == 2
    assert setting.renew(is_other=is_not("value 2")) == "value 3"


def test_all_for_whom_one_value_has_proved_wrong_share_the_call_under_way() -> None:
    setting = Setting()
    setting.get()
    held = Held(setting.load)
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(setting.cache.renew, "key", held, is_other=is_not("value 1")) for _ in range(8)]
        until(lambda: held.begun == 1 and setting.cache.counts().waits == 7)
        held.gates[0].set()
        assert {call.result().value for call in calls} == {"value 2"}
    assert setting.calls == 2


def test_they_share_it_also_if_it_brings_the_same_value_again() -> None:
    setting = Setting()
    same = lambda: "same"  # noqa: E731
    setting.cache.get("key", same)
    held = Held(same)
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(setting.cache.renew, "key", held, is_other=is_not("same")) for _ in range(8)]
        until(lambda: held.begun == 1 and setting.cache.counts().waits == 7)
        held.gates[0].set()
        assert {call.result().value for call in calls} == {"same"}
    assert held.begun == 1


def test_they_share_its_failure_as_errors_of_their_own() -> None:
    setting = Setting()
    setting.get()
    gate, begun = threading.Event(), threading.Event()

    def fails() -> str:
        begun.set()
        gate.wait()
        raise KeyUnavailable("no")

    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(setting.cache.renew, "key", fails, is_other=is_not("value 1")) for _ in range(4)]
        until(lambda: begun.is_set() and setting.cache.counts().waits == 3)
        gate.set()
        errors = [call.exception() for call in calls]
    assert len({id(error) for error in errors}) == 4
    assert setting.cache.counts().failures == 1


def test_the_failure_of_a_renewal_that_began_before_is_nobodys_but_its_own() -> None:
    setting = Setting()
    gate, begun = threading.Event(), threading.Event()

    def fails() -> str:
        begun.set()
        gate.wait()
        raise KeyUnavailable("old")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(setting.cache.renew, "key", fails)
        begun.wait()
        second = pool.submit(setting.renew)
        until(lambda: setting.cache.counts().waits == 1)
        gate.set()
        assert isinstance(first.exception(), KeyUnavailable)
        assert second.result() == "value 1"


def test_who_has_waited_shares_the_uses_of_what_came() -> None:
    setting = Setting(max_uses=3)
    setting.get()
    held = Held(setting.load)
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(setting.cache.renew, "key", held, is_other=is_not("value 1")) for _ in range(4)]
        until(lambda: held.begun == 1 and setting.cache.counts().waits == 3)
        held.gates[0].set()
        until(lambda: held.begun == 2)
        held.gates[1].set()
        values = sorted(call.result().value for call in calls)
    assert values == ["value 2", "value 2", "value 2", "value 3"]


def test_an_entry_whose_uses_are_over_is_not_another_value() -> None:
    setting = Setting(max_uses=1)
    setting.get()
    assert setting.renew(is_other=is_not("other")) == "value 2"


def test_what_is_forgotten_during_a_renewal_is_not_kept() -> None:
    setting = Setting()

    def cleared_meanwhile() -> str:
        setting.cache.clear()
        return setting.load()

    assert setting.cache.renew("key", cleared_meanwhile).value == "value 1"
    assert setting.get() == "value 2"


def test_what_loads_a_key_cannot_renew_it() -> None:
    setting = Setting()
    with pytest.raises(CallsItself):
        setting.cache.get("key", setting.renew)
    with pytest.raises(CallsItself):
        setting.cache.renew("other", lambda: setting.cache.renew("other", setting.load).value)


def test_an_interrupted_renewal_is_made_by_somebody_else() -> None:
    setting = Setting()
    gate, begun = threading.Event(), threading.Event()

    def interrupted() -> str:
        begun.set()
        gate.wait()
        raise KeyboardInterrupt

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(setting.cache.renew, "key", interrupted)
        begun.wait()
        others = [pool.submit(setting.renew), pool.submit(setting.renew, is_other=is_not("value 0"))]
        until(lambda: setting.cache.counts().waits == 2)
        gate.set()
        assert {other.result() for other in others} <= {"value 1", "value 2"}
        with pytest.raises(KeyboardInterrupt):
            first.result()


def test_tasks_renew_too_and_a_cancelled_one_leaves_the_call_to_the_others() -> None:
    setting = Setting()
    setting.get()
    held = Held(setting.load)

    async def renew_and_cancel() -> str:
        leader = asyncio.create_task(setting.cache.renew_async("key", held))
        while held.begun < 1:  # noqa: ASYNC110 - a thread makes it so
            await asyncio.sleep(0)
        joiner = asyncio.create_task(setting.cache.renew_async("key", held, is_other=is_not("value 1")))
        while setting.cache.counts().waits < 1:  # noqa: ASYNC110
            await asyncio.sleep(0)
        leader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leader
        held.gates[0].set()
        return (await joiner).value

    assert asyncio.run(renew_and_cancel()) == "value 2"
    assert setting.get() == "value 2"
    assert setting.calls == 2


def test_a_task_that_finds_another_value_makes_no_call() -> None:
    setting = Setting()
    setting.get()
    entry = asyncio.run(setting.cache.renew_async("key", setting.load, is_other=is_not("other")))
    assert (entry.value, setting.calls) == ("value 1", 1)


def test_a_task_for_whose_renewal_no_thread_can_be_started_leaves_it_to_the_next() -> None:
    def refuse(_: object) -> None:
        raise RuntimeError("can't start new thread")

    setting = Setting(start_thread=refuse)
    with pytest.raises(RuntimeError, match="can't start"):
        asyncio.run(setting.cache.renew_async("key", setting.load))
    assert setting.renew() == "value 1"


def test_renewals_that_fail_are_tried_again_after_the_longest_time_there_is_for_that() -> None:
    assert renewal_back_off_s(1, 10_000, 1.0) == 1_000
    assert renewal_back_off_s(1, 10_000, 1.0, 30) == 30
    assert renewal_back_off_s(1, 10_000, 0.0, 30) == 15
    assert renewal_back_off_s(9, 10_000, 1.0, 1) == 2, "but not sooner than a call"


# --- many keys ----------------------------------------------------------------------------------------------------


class Batches:
    """Loads many keys at once: a text that names the key and the call."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.errors: dict[str, Exception] = {}
        self.failure: BaseException | None = None

    def __call__(self, keys: Sequence[str]) -> Mapping[str, str | Exception]:
        self.asked.append(list(keys))
        if self.failure is not None:
            raise self.failure
        return {key: self.errors.get(key, f"{key} by batch {len(self.asked)}") for key in keys}


def values(found: Mapping[str, Entry[str, str] | Exception]) -> dict[str, str]:
    return {key: one.value if isinstance(one, Entry) else repr(one) for key, one in found.items()}


def test_many_keys_are_loaded_by_one_call_and_what_is_there_is_not_asked_for() -> None:
    setting, batches = Setting(), Batches()
    setting.get("b")
    found = setting.cache.get_all(dict.fromkeys("abc", setting.load), batches)
    assert values(found) == {"a": "a by batch 1", "b": "value 1", "c": "c by batch 1"}
    assert batches.asked == [["a", "c"]]
    assert setting.cache.get("c", setting.load).value == "c by batch 1"
    assert setting.cache.counts() == Counts(hits=2, misses=3, calls=2)
    assert setting.cache.get_all({}, batches) == {}


def test_a_key_that_came_with_others_is_renewed_alone() -> None:
    background: list[Callable[[], None]] = []
    setting = Setting(refresh_ahead=0.5, start_thread=background.append)
    setting.cache.get_all({"a": setting.load}, Batches())
    setting.clock.advance(60)
    assert values(setting.cache.get_all({"a": setting.load}, Batches())) == {"a": "a by batch 1"}
    background.pop()()
    assert setting.get("a") == "value 1"


def test_the_errors_of_some_are_theirs_alone_and_are_remembered() -> None:
    setting, batches = Setting(), Batches()
    batches.errors = {"b": KeyUnavailable("no b")}
    loads = dict.fromkeys("ab", setting.load)
    found = setting.cache.get_all(loads, batches)
    assert values(found) == {"a": "a by batch 1", "b": "KeyUnavailable('no b')"}
    again = setting.cache.get_all(loads, batches)
    assert values(again) == values(found)
    assert again["b"] is not found["b"]
    assert len(batches.asked) == 1


def test_a_call_for_many_that_fails_is_the_failure_of_each() -> None:
    setting, batches = Setting(), Batches()
    batches.failure = KeyUnavailable("outage")
    found = setting.cache.get_all(dict.fromkeys("ab", setting.load), batches)
    assert values(found) == dict.fromkeys("ab", "KeyUnavailable('outage')")
    assert found["a"] is not found["b"]
    assert setting.cache.counts() == Counts(misses=2, calls=1, failures=2)


def test_an_interrupted_call_for_many_leaves_them_to_the_next() -> None:
    setting, batches = Setting(), Batches()
    batches.failure = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        setting.cache.get_all(dict.fromkeys("ab", setting.load), batches)
    assert setting.get("a") == "value 1"


def test_one_who_misses_a_key_waits_for_the_call_for_many_and_the_other_way_round() -> None:
    setting = Setting()
    gate, begun = threading.Event(), threading.Event()

    def slow(keys: Sequence[str]) -> Mapping[str, str]:
        begun.set()
        gate.wait()
        return {key: f"{key} by batch" for key in keys}

    held = Held(setting.load)
    with ThreadPoolExecutor(3) as pool:
        single = pool.submit(setting.cache.get, "b", held)
        until(lambda: held.begun == 1)
        many = pool.submit(setting.cache.get_all, dict.fromkeys("abc", setting.load), slow)
        begun.wait()
        waiting = pool.submit(setting.get, "a")
        until(lambda: setting.cache.counts().waits == 2)
        gate.set()
        assert waiting.result() == "a by batch"
        held.gates[0].set()
        assert single.result().value == "value 1"
        assert values(many.result()) == {"a": "a by batch", "b": "value 1", "c": "c by batch"}
    assert setting.cache.counts() == Counts(misses=3, waits=2, calls=2)


def test_the_failure_of_a_call_that_many_waited_for_is_the_answer_for_its_key() -> None:
    setting, batches = Setting(), Batches()
    gate, begun = threading.Event(), threading.Event()

    def fails() -> str:
        begun.set()
        gate.wait()
        raise KeyUnavailable("no")

    with ThreadPoolExecutor(2) as pool:
        single = pool.submit(setting.cache.get, "b", fails)
        begun.wait()
        many = pool.submit(setting.cache.get_all, dict.fromkeys("ab", setting.load), batches)
        until(lambda: setting.cache.counts().waits == 1)
        gate.set()
        assert isinstance(single.exception(), KeyUnavailable)
        assert values(many.result()) == {"a": "a by batch 1", "b": "KeyUnavailable('no')"}


def test_tasks_load_many_keys_in_a_worker_and_a_cancelled_one_leaves_them_to_the_others() -> None:
    setting = Setting()
    gate, begun = threading.Event(), threading.Event()

    def slow(keys: Sequence[str]) -> Mapping[str, str]:
        begun.set()
        gate.wait()
        return {key: f"{key} by batch" for key in keys}

    async def load() -> dict[str, str]:
        loads = dict.fromkeys("ab", setting.load)
        leader = asyncio.create_task(setting.cache.get_all_async(loads, slow))
        while not begun.is_set():  # noqa: ASYNC110 - a thread makes it so
            await asyncio.sleep(0)
        follower = asyncio.create_task(setting.cache.get_all_async(loads, slow))
        while setting.cache.counts().waits < 2:  # noqa: ASYNC110
            await asyncio.sleep(0)
        leader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leader
        gate.set()
        return values(await follower)

    assert asyncio.run(load()) == {"a": "a by batch", "b": "b by batch"}
    assert setting.cache.counts().calls == 1


def test_a_worker_that_is_interrupted_is_an_error_for_each_key() -> None:
    setting, batches = Setting(), Batches()
    batches.failure = SystemExit(3)
    found = asyncio.run(setting.cache.get_all_async(dict.fromkeys("ab", setting.load), batches))
    assert values(found) == dict.fromkeys("ab", "RuntimeError('the call was interrupted')")


def test_what_loads_many_keys_cannot_ask_for_one_of_them() -> None:
    setting = Setting()

    def asks(keys: Sequence[str]) -> Mapping[str, str | Exception]:
        return {key: setting.get(key) for key in keys}

    found = setting.cache.get_all({"a": setting.load}, asks)
    assert isinstance(found["a"], CallsItself)


# --- without a use ------------------------------------------------------------------------------------------------


def test_what_is_tended_is_loaded_and_renewed_in_time_without_being_used() -> None:
    background: list[Callable[[], None]] = []
    setting = Setting(refresh_ahead=0.5, start_thread=background.append)
    assert setting.cache.tend("key", setting.load) == 0
    assert setting.cache.tend("key", setting.load) == 0, "on its way"
    assert len(background) == 1
    background.pop()()
    assert setting.cache.tend("key", setting.load) == pytest.approx(40)
    assert not background
    setting.clock.advance(40)
    assert setting.cache.tend("key", setting.load) == pytest.approx(40)
    background.pop()()
    assert setting.cache.tend("key", setting.load) == pytest.approx(80)
    entry = setting.cache.peek("key")
    assert entry is not None
    assert (entry.value, entry.uses) == ("value 2", 0)
    assert setting.cache.items() == [("key", "value 2")]


def test_what_is_tended_and_fails_is_tried_again_after_its_back_off() -> None:
    background: list[Callable[[], None]] = []
    setting = Setting(refresh_ahead=0.5, start_thread=background.append)
    setting.failure = KeyUnavailable("no")
    setting.cache.tend("key", setting.load)
    background.pop()()
    assert setting.cache.tend("key", setting.load) == pytest.approx(0.1)
    assert not background
    setting.clock.advance(0.2)
    setting.failure = None
    setting.cache.tend("key", setting.load)
    background.pop()()
    assert setting.get() == "value 2"


def test_an_expired_entry_is_loaded_again_when_it_is_tended() -> None:
    background: list[Callable[[], None]] = []
    setting = Setting(start_thread=background.append)
    setting.get()
    setting.clock.advance(100)
    assert setting.cache.peek("key") is None
    setting.cache.tend("key", setting.load)
    background.pop()()
    assert setting.get() == "value 2"
