"""What a client of secrets has to survive, scenario by scenario. The store is one that a test holds up and has fail."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path

import pytest

from envelope import AwsAccessDenied, AwsMisconfigured, AwsUnavailable, EnvelopeError, InvalidArgument
from envelope.cache.workers import start_daemon
from envelope.process_state import reset_all
from envelope_secrets import (
    AsyncSecretsClient,
    CacheLimits,
    Secret,
    SecretConflict,
    SecretDeleted,
    SecretEvent,
    SecretFormatError,
    SecretKeyUnavailable,
    SecretNotFound,
    SecretsClient,
    StageMove,
    StoreFailed,
)
from tests.python_child import run_python
from tests.secret_stores_for_tests import MemoryStore, Setting, until

OUTAGE = AwsUnavailable("throttled", operation="secretsmanager:GetSecretValue", code="ThrottlingException")
DENIED = AwsAccessDenied("denied", operation="secretsmanager:GetSecretValue", code="AccessDeniedException")
EXPIRED = AwsMisconfigured("expired", operation="secretsmanager:GetSecretValue", code="ExpiredTokenException")


class Gate:
    """Holds up the calls of a store until it is opened."""

    def __init__(self, store: MemoryStore) -> None:
        self.opened = threading.Event()
        store.before = lambda _: self.opened.wait()

    def open(self) -> None:
        self.opened.set()


@pytest.mark.parametrize("stage", ["AWSCURRENT", "AWSPENDING"])
def test_k01_a_herd_of_threads_that_reads_a_cold_secret_makes_one_call(stage: str) -> None:
    store = MemoryStore(db="secret 1")
    store.set("db", "secret 2", stages=["AWSPENDING"])
    client, gate = SecretsClient(store), Gate(store)
    with ThreadPoolExecutor(64) as pool:
        reads = [pool.submit(client.get, "db", stage=stage) for _ in range(64)]
        until(lambda: client.stats().waits == 63)
        gate.open()
        secrets = {read.result() for read in reads}
    assert len(secrets) == 1
    assert store.calls == [("read", "db", stage, "")]


def test_k01_a_herd_of_tasks_that_reads_a_cold_secret_makes_one_call() -> None:
    store = MemoryStore(db="secret 1")
    client, gate = AsyncSecretsClient(store), Gate(store)

    async def herd() -> list[Secret]:
        reads = [asyncio.create_task(client.get("db")) for _ in range(1_000)]
        while client.stats().waits < 999:  # noqa: ASYNC110 - tasks and a thread make it so
            await asyncio.sleep(0)
        gate.open()
        return await asyncio.gather(*reads)

    assert {secret.text for secret in asyncio.run(herd())} == {"secret 1"}
    assert store.count("read") == 1


def test_k01_the_error_of_that_call_is_raised_to_each_as_an_object_of_its_own() -> None:
    store = MemoryStore()
    client, gate = SecretsClient(store), threading.Event()

    def fail(_: str) -> None:
        gate.wait()
        raise OUTAGE

    store.before = fail
    with ThreadPoolExecutor(16) as pool:
        reads = [pool.submit(client.get, "db") for _ in range(16)]
        until(lambda: client.stats().waits == 15)
        gate.set()
        errors = [read.exception() for read in reads]
    assert {str(error) for error in errors} == {"throttled"}
    assert len({id(error) for error in errors}) == 16
    assert store.count("read") == 1


def test_k01_the_error_of_that_call_is_raised_to_each_task_as_an_object_of_its_own() -> None:
    store = MemoryStore()
    client, gate = AsyncSecretsClient(store), Gate(store)

    async def herd() -> list[Secret | BaseException]:
        reads = [asyncio.create_task(client.get("none")) for _ in range(16)]
        while client.stats().waits < 15:  # noqa: ASYNC110 - tasks and a thread make it so
            await asyncio.sleep(0)
        gate.open()
        return await asyncio.gather(*reads, return_exceptions=True)

    errors = asyncio.run(herd())
    assert {type(error) for error in errors} == {SecretNotFound}
    assert len({id(error) for error in errors}) == 16
    assert store.count("read") == 1


def test_k02_past_the_soft_age_everybody_goes_on_and_one_renewal_runs_until_the_hard_age_ends_it() -> None:
    setting = Setting(soft_age_s=300, hard_age_s=1_000)
    setting.text()
    setting.store.set("db", "secret 2")
    setting.clock.advance(299)
    assert setting.text() == "secret 1"
    assert not setting.background
    setting.clock.advance(1)
    assert [setting.text() for _ in range(10)] == ["secret 1"] * 10
    assert len(setting.background) == 1, "slow, and nobody waits for it"
    setting.clock.advance(699)
    assert setting.text() == "secret 1"
    setting.clock.advance(1)
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(setting.text)
        until(lambda: setting.client.stats().waits == 1)
        setting.run_background()
        assert late.result() == "secret 2"
    assert setting.store.count("read") == 2


@pytest.mark.parametrize(
    "outage", [OUTAGE, EXPIRED, SecretKeyUnavailable("disabled"), StoreFailed("busy"), ValueError("any other")]
)
def test_k03_through_an_outage_the_old_value_serves_up_to_the_hard_age_and_each_failure_is_told(
    outage: Exception,
) -> None:
    setting = Setting(hard_age_s=2_000, chance=1.0)
    setting.text()
    with setting.store.failing(outage):
        setting.clock.advance(400)
        for _ in range(20):
            assert setting.text() == "secret 1"
            setting.run_background()
            setting.clock.advance(29.99)
        failures = [event for event in setting.events if event.kind == "outage"]
        assert len(failures) == setting.client.stats().failures == 10
        assert {(event.secret_id, event.stage, event.version_id) for event in failures} == {("db", "AWSCURRENT", "v1")}
        assert [event.age_s for event in failures[:2]] == [400, pytest.approx(400 + 2 * 29.99)]
        assert failures[0].error
        setting.clock.advance(2_000 - setting.clock())
        with pytest.raises(EnvelopeError) as caught:
            setting.text()
    assert type(caught.value) is (StoreFailed if isinstance(outage, ValueError) else type(outage))
    assert setting.kinds()[-1] == "failure"


def test_k03_the_end_of_an_outage_is_noticed_within_half_a_minute() -> None:
    setting = Setting(chance=1.0)
    setting.text()
    setting.store.set("db", "secret 2")
    with setting.store.failing(OUTAGE):
        for _ in range(60):
            assert setting.renewed_text(60) == "secret 1"
    assert setting.renewed_text(30) == "secret 2"


@pytest.mark.parametrize("decision", [DENIED, SecretNotFound("gone"), SecretDeleted("deleted")])
def test_k04_a_denial_ends_the_life_of_a_value_at_once(decision: EnvelopeError) -> None:
    setting = Setting()
    setting.text()
    with setting.store.failing(decision):
        setting.clock.advance(301)
        assert setting.text() == "secret 1", "who is there before the answer is"
        setting.run_background()
        for _ in range(3):
            with pytest.raises(type(decision)):
                setting.text()
            setting.clock.advance(5)
    assert [(event.kind, event.version_id) for event in setting.events][1:] == [
        ("denial", "v1"),
        *[("failure", "")] * 2,
    ]
    assert setting.text() == "secret 1", "it was allowed again"


def test_k04_whoever_wants_that_goes_on_after_a_denial_up_to_the_hard_age() -> None:
    setting = Setting(serves_after_denial=True, hard_age_s=1_000)
    setting.text()
    with setting.store.failing(DENIED):
        assert setting.renewed_text(400) == "secret 1"
        assert setting.kinds() == ["read", "denial"]
        setting.clock.advance(600)
        with pytest.raises(AwsAccessDenied):
            setting.text()


def test_k05_a_first_call_that_fails_is_not_repeated_for_a_moment_and_recovers_with_the_service() -> None:
    setting = Setting(chance=1.0)
    with setting.store.failing(OUTAGE):
        for _ in range(1_000):
            with pytest.raises(AwsUnavailable):
                setting.text()
            setting.clock.advance(0.01)
    assert setting.store.count("read") < 12, "doubling up to two seconds"
    setting.clock.advance(2)
    assert setting.text() == "secret 1"


def test_k05_how_long_it_is_not_repeated_is_left_to_chance() -> None:
    early, late = Setting(chance=0.0), Setting(chance=1.0)
    for setting in (early, late):
        with setting.store.failing(OUTAGE), pytest.raises(AwsUnavailable):
            setting.text()
        setting.clock.advance(0.06)
    assert early.text() == "secret 1"
    with pytest.raises(AwsUnavailable):
        late.text()


def test_k06_a_label_that_moved_is_seen_by_the_next_renewal_and_told_once_without_values() -> None:
    setting = Setting()
    with setting.client.on_change("db", setting.changes.append):
        setting.background.clear()  # the watcher's thread, which needs none here
        setting.text()
        setting.store.set("db", "secret 2")
        for _ in range(5):
            assert setting.renewed_text(301) == "secret 2"
        assert [event.version_id for event in setting.events if event.kind == "change"] == ["v2"]
        setting.client._watcher._call_back()
    (change,) = setting.changes
    assert (change.secret_id, change.stage, change.previous_version_id, change.version_id) == (
        "db",
        "AWSCURRENT",
        "v1",
        "v2",
    )
    assert [one.name for one in fields(change)] == ["secret_id", "arn", "stage", "version_id", "previous_version_id"]


def test_k07_threads_whose_login_failed_make_one_call_together() -> None:
    store = MemoryStore(db="old password")
    client = SecretsClient(store)
    old = client.get("db")
    store.set("db", "new password")
    gate = Gate(store)
    with ThreadPoolExecutor(64) as pool:
        refreshes = [pool.submit(client.refresh, "db", replacing=old) for _ in range(64)]
        until(lambda: store.count("read") == 2 and client.stats().waits == 63)
        gate.open()
        assert {refresh.result().text for refresh in refreshes} == {"new password"}
        late = [pool.submit(client.refresh, "db", replacing=old) for _ in range(64)]
        assert {refresh.result().text for refresh in late} == {"new password"}
    assert store.count("read") == 2


def test_k07_while_the_label_has_not_moved_the_same_version_comes_back() -> None:
    setting = Setting()
    old = setting.client.get("db")
    again = setting.client.refresh("db", replacing=old)
    assert (again.version_id, again is old) == ("v1", False)
    setting.store.set("db", "secret 2")
    assert setting.client.refresh("db", replacing=again).version_id == "v2"


def test_k08_in_the_window_of_a_rotation_the_pending_version_can_be_asked_for() -> None:
    setting = Setting()
    current = setting.client.get("db")
    setting.store.set("db", "secret 2", stages=["AWSPENDING"])
    assert setting.client.refresh("db", replacing=current).version_id == "v1"
    pending = setting.client.refresh("db", stage="AWSPENDING")
    assert (pending.text, pending.stages) == ("secret 2", ("AWSPENDING",))
    setting.store.move_stage("db", StageMove("AWSCURRENT", "v2", "v1"))
    assert setting.client.refresh("db", replacing=current).version_id == pending.version_id
    assert setting.text() == "secret 2"


def test_k09_a_rollback_to_an_older_version_is_followed_and_told() -> None:
    setting = Setting()
    setting.store.set("db", "secret 2")
    subscription = setting.client.on_change("db", setting.changes.append)
    setting.background.clear()
    assert setting.text() == "secret 2"
    setting.store.move_stage("db", StageMove("AWSCURRENT", "v1", "v2"))
    assert setting.renewed_text(301) == "secret 1"
    setting.client._watcher._call_back()
    assert [(change.previous_version_id, change.version_id) for change in setting.changes] == [("v2", "v1")]
    subscription.close()


def test_k10_labels_and_version_ids_of_one_secret_are_apart() -> None:
    setting = Setting()
    setting.store.set("db", "secret 2", stages=["AWSPENDING"])
    client = setting.client
    for _ in range(2):
        assert client.get("db").text == "secret 1"
        assert client.get("db", stage="AWSPENDING").text == "secret 2"
        assert client.get("db", version_id="v2").text == "secret 2"
        assert client.get("db", version_id="v2", stage="AWSPENDING").text == "secret 2"
    assert setting.store.calls == [
        ("read", "db", "AWSCURRENT", ""),
        ("read", "db", "AWSPENDING", ""),
        ("read", "db", "", "v2"),
        ("read", "db", "AWSPENDING", "v2"),
    ]
    assert client.get("db", stage="AWSCURRENT") is client.get("db")


def test_k11_a_version_that_does_not_have_the_label_is_an_error_and_nothing_is_kept() -> None:
    setting = Setting()
    with pytest.raises(SecretConflict):
        setting.client.get("db", version_id="v1", stage="AWSPENDING")
    assert setting.client.stats().secrets == 0
    setting.clock.advance(1)
    setting.store.move_stage("db", StageMove("AWSPENDING", "v1", None))
    assert setting.client.get("db", version_id="v1", stage="AWSPENDING").text == "secret 1"


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (b"\x00\xff", "is binary"),
        ("[1, 2]", "is JSON, but no object"),
        ("null", "is JSON, but no object"),
        ('{"a": 1, "a": 2}', "twice"),
        ("{", "is no JSON"),
        ("", "is no JSON"),
    ],
)
def test_k12_what_is_no_json_object_is_told_by_its_type_and_never_none(value: str | bytes, problem: str) -> None:
    secret = SecretsClient(MemoryStore(db=value)).get("db")
    with pytest.raises(SecretFormatError, match=problem):
        _ = secret.json
    assert (secret.binary if secret.is_binary else secret.text) == value


def test_k12_the_longest_value_and_an_empty_object_are_what_they_are() -> None:
    store = MemoryStore(long="x" * 65_536, empty="{}", nested=json.dumps({"a": {"b": [1, {"c": 2}]}}))
    client = SecretsClient(store)
    assert len(client.get("long").text) == 65_536
    assert dict(client.get("empty").json) == {}
    assert client.get("nested").json["a"]["b"][1]["c"] == 2
    assert client.get("nested").json is client.get("nested").json, "parsed once"
    with pytest.raises(SecretFormatError, match="is text"):
        _ = client.get("long").binary


def test_k13_each_spelling_is_kept_apart_and_a_recreated_secret_is_not_mixed_with_the_old_one() -> None:
    setting = Setting()
    old = setting.client.get("db")
    assert setting.client.get(old.arn).text == setting.client.get(old.arn[:-7]).text == "secret 1"
    assert setting.store.count("read") == 3
    setting.store.remove("db")
    setting.store.set("db", "another secret")
    assert setting.renewed_text(301) == "another secret"
    setting.client.get(old.arn)
    setting.run_background()
    with pytest.raises(SecretNotFound):
        setting.client.get(old.arn)


def test_k14_a_forked_child_reads_anew_with_new_locks() -> None:
    code = """
from envelope_secrets import SecretsClient
from tests.python_child import run_python
from tests.secret_stores_for_tests import MemoryStore

store = MemoryStore(db="secret 1")
client = SecretsClient(store)
client.get("db")
store.set("db", "secret 2")
lock = client._cache._entries._shelf.lock
lock.acquire()  # as if another thread were reading in the moment of the fork
child = os.fork()
if child == 0:
    is_right = client.get("db").text == "secret 2" and client.stats().misses == 1
    os._exit(0 if is_right else 1)
lock.release()
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert client.get("db").text == "secret 1"
sys.stdout.write("ok")
"""
    assert run_python(code, cwd=Path(__file__).parent.parent) == b"ok"


def test_k14_after_a_restored_snapshot_everything_is_read_anew() -> None:
    setting = Setting()
    setting.text()
    setting.store.set("db", "secret 2")
    reset_all()  # what the runtime of Lambda calls
    assert setting.text() == "secret 2"


class Kernel:
    """The clocks of a system, as `time.clock_gettime` tells them, on which a test sets the time and sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._tell = time.clock_gettime
        self._stepped_s: dict[int, float] = {}
        self.asked: set[int] = set()
        monkeypatch.setattr(time, "clock_gettime", self._told)

    def _told(self, clock: int) -> float:
        self.asked.add(clock)
        return self._tell(clock) + self._stepped_s.get(clock, 0.0)

    def set_time(self, step_s: float) -> None:
        """Somebody sets the wall clock, forth or back."""
        self._stepped_s = {time.CLOCK_REALTIME: step_s}

    def suspend(self, seconds: float) -> None:
        """The machine sleeps: the clock of what runs stands still meanwhile."""
        self._stepped_s = {time.CLOCK_REALTIME: seconds, time.CLOCK_BOOTTIME: seconds}


@pytest.mark.parametrize("step_s", [3_600.0, -3_600.0, 1e6])
def test_k14_a_step_of_the_wall_clock_ages_nothing(step_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel, store, background = Kernel(monkeypatch), MemoryStore(db="secret 1"), list[object]()
    client = SecretsClient(store, start_thread=background.append)
    client.get("db")
    kernel.set_time(step_s)
    assert client.get("db").text == "secret 1"
    assert (store.count("read"), background) == (1, [])
    assert kernel.asked, "the clients' clock is one of these"


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="this system has no clock that counts its sleep")
def test_k14_a_machine_that_slept_has_aged_what_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel, store, background = Kernel(monkeypatch), MemoryStore(db="secret 1"), list[Callable[[], None]]()
    client = SecretsClient(store, start_thread=background.append)
    client.get("db")
    store.set("db", "secret 2")
    kernel.suspend(301)
    assert client.get("db").text == "secret 1"
    background.pop()()
    assert client.get("db").text == "secret 2", "past its soft age it was renewed"
    kernel.suspend(301 + 14_400)
    with store.failing(OUTAGE), pytest.raises(AwsUnavailable):
        client.get("db")  # past its hard age it is not given out


@pytest.mark.parametrize("forgets", [False, True])
def test_k15_the_late_answer_of_an_older_call_never_replaces_a_newer_one(forgets: bool) -> None:
    setting = Setting(start_thread=start_daemon)
    setting.text()
    setting.clock.advance(301)
    read, answered, gate = setting.store._read, threading.Event(), threading.Event()

    def slow(secret_id: str, stage: str | None, version_id: str | None) -> Secret:
        setting.store._read = read  # type: ignore[method-assign]  # the next one is quick
        secret = read(secret_id, stage, version_id)
        answered.set()
        gate.wait()
        return secret

    setting.store._read = slow  # type: ignore[method-assign]
    assert setting.text() == "secret 1"  # starts the renewal
    answered.wait()
    setting.store.set("db", "secret 2")
    if forgets:
        setting.client.invalidate("db")
        assert setting.text() == "secret 2"
    else:
        assert setting.client.refresh("db").text == "secret 2"
    gate.set()
    until(lambda: not setting.client._cache._entries._shelf._renewals)
    assert setting.text() == "secret 2"
    assert setting.client.stats().calls == 3


def test_k16_a_cache_for_one_secret_serves_many_threads() -> None:
    store = MemoryStore(**{f"s{number}": f"value {number}" for number in range(8)})
    client = SecretsClient(store, limits=CacheLimits(capacity=1))

    def read(number: int) -> bool:
        return all(client.get(f"s{(number + step) % 8}").text == f"value {(number + step) % 8}" for step in range(200))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(8)))
    stats = client.stats()
    assert stats.secrets == 1
    assert stats.evictions > 0


def test_k16_who_waits_for_a_value_gets_it_though_it_has_made_room_for_another_one_meanwhile() -> None:
    store = MemoryStore(a="value a", b="value b")
    gate = Gate(store)

    def read_another(event: SecretEvent) -> None:
        if (event.kind, event.secret_id) == ("read", "a"):
            assert client.get("b").text == "value b"  # before those who wait have looked

    client = SecretsClient(store, limits=CacheLimits(capacity=1), on_event=read_another)
    with ThreadPoolExecutor(8) as pool:
        reads = [pool.submit(client.get, "a") for _ in range(8)]
        until(lambda: client.stats().waits == 7)
        gate.open()
        assert {read.result().text for read in reads} == {"value a"}
    assert (client.stats().secrets, client.stats().evictions, store.count("read")) == (1, 1, 2)


def test_k17_many_secrets_are_read_by_twenties_with_an_error_for_each_that_fails() -> None:
    names = [f"s{number:02d}" for number in range(50)]
    store = MemoryStore(**dict.fromkeys(names, "x" * 60_000))
    store.remove("s07")
    client = SecretsClient(store)
    client.get("s03")
    batch = client.get_many([*names, "s00"])
    assert [len(call) - 1 for call in store.calls if call[0] == "read_many"] == [20, 20, 9]
    assert len(batch) == 49
    assert "s07" not in batch
    assert set(batch) | set(batch.errors) == set(names)
    for _ in range(2):
        with pytest.raises(SecretNotFound) as caught:
            _ = batch["s07"]
        assert caught.value is not batch.errors["s07"]
    assert len(batch["s49"].text) == 60_000
    assert client.get_many(names).keys() == batch.keys()
    assert store.count("read_many") == 3, "the others are in memory, and that error was a moment ago"


def test_k19_a_cancelled_task_cancels_nobody_elses_call() -> None:
    store = MemoryStore(db="secret 1")
    client, gate = AsyncSecretsClient(store), Gate(store)

    async def cancel() -> str:
        leader, follower = (asyncio.create_task(client.get("db")) for _ in range(2))
        while client.stats().waits < 1:  # noqa: ASYNC110
            await asyncio.sleep(0)
        leader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leader
        gate.open()
        return (await follower).text

    assert asyncio.run(cancel()) == "secret 1"
    assert store.count("read") == 1


def test_k20_after_close_nothing_is_held_and_nothing_can_be_asked_for() -> None:
    setting = Setting()
    with setting.client as client:
        client.get("db")
        client.on_change("db", setting.changes.append)
        watch = setting.background.pop()
    client.close()
    assert client.stats().secrets == client.stats().subscriptions == 0
    watch()  # comes to its end
    with pytest.raises(InvalidArgument, match="closed"):
        client.get("db")


def test_k20_what_a_renewal_brings_that_is_under_way_at_close_is_not_kept() -> None:
    setting = Setting()
    setting.text()
    setting.clock.advance(301)
    setting.text()
    setting.store.before = lambda _: setting.client.close()
    setting.run_background()
    assert setting.store.count("read") == 2
    assert setting.client.stats().secrets == 0


def test_k20_neither_a_watcher_nor_a_call_without_an_answer_keeps_the_interpreter_from_its_end() -> None:
    code = """
import threading
from envelope_secrets import SecretsClient
from tests.secret_stores_for_tests import MemoryStore

store = MemoryStore(db="secret 1")
asked = threading.Event()
client = SecretsClient(store)
client.get("db")

def hang(_):
    asked.set()
    threading.Event().wait()

store.before = hang
client.on_change("other", print)
asked.wait()
sys.stdout.write("ok")
"""
    assert run_python(code, cwd=Path(__file__).parent.parent) == b"ok"


def test_k21_processes_that_started_together_renew_apart() -> None:
    starts = []
    for chance in (0.0, 0.5, 1.0):
        setting = Setting(chance=chance)
        setting.text()
        while not setting.background:
            setting.clock.advance(1)
            setting.text()
        starts.append(setting.clock())
    assert starts == [300, 270, 240]


def test_k21_what_a_program_reads_when_it_starts_is_few_calls_one_at_a_time() -> None:
    """So a fleet stays within the quotas of the service: 50 calls for many secrets a second, for one 10,000."""
    store = MemoryStore(**{f"s{number:03d}": "x" for number in range(100)})
    callers: set[int] = set()
    store.before = lambda _: callers.add(threading.get_ident())
    client = SecretsClient(store)
    assert client.prefetch(f"s{number:03d}" for number in range(100)) == {}
    assert [call[0] for call in store.calls] == ["read_many"] * 5
    assert callers == {threading.get_ident()}, "no threads that would ask at the same time"


def test_k22_in_steady_use_each_secret_costs_one_call_for_each_soft_age() -> None:
    setting = Setting(MemoryStore(a="1", b="2"))
    for _ in range(3_600 * 2):
        setting.clock.advance(0.5)
        setting.client.get("a")
        setting.client.get("b")
        setting.run_background()
    assert {call[0] for call in setting.store.calls} == {"read"}
    assert setting.store.count("read") == 2 * 12


def test_k24_a_key_ring_comes_from_one_description_and_does_not_mix_two_moments() -> None:
    store = MemoryStore(key="k1")
    store.set("key", "k2")
    store.set("key", "k3", stages=["AWSPENDING"])
    setting = Setting(store)

    def rotate_after_the_look(_: str) -> None:
        if store.count("read") == 1:
            store.before = lambda _: None
            store.move_stage("key", StageMove("AWSCURRENT", "v3", "v2"))

    store.before = rotate_after_the_look
    ring = setting.client.key_ring("key")
    assert [(one.text, one.stages) for one in ring] == [
        ("k2", ("AWSCURRENT",)),
        ("k1", ("AWSPREVIOUS",)),
        ("k3", ("AWSPENDING",)),
    ]
    assert store.count("describe") == 1
    assert setting.client.key_ring("key") is ring
    assert ring.current.text == "k2"
    assert (ring.previous and ring.previous.text, ring.pending and ring.pending.text) == ("k1", "k3")
