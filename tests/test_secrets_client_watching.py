"""Subscriptions: told of each move of a label, once, also when nobody reads."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from envelope import AwsAccessDenied, AwsUnavailable, InvalidArgument
from envelope.process_state import reset_all
from envelope.testing import FakeClock
from envelope_secrets import SecretChange, SecretNotFound, SecretsClient, SecretsError, StageMove, Subscription
from envelope_secrets.watching import LEAST_PAUSE_S, _restart_all
from tests.python_child import run_python
from tests.secret_stores_for_tests import MemoryStore, Setting

ROOT = Path(__file__).parent.parent

DENIED = AwsAccessDenied("denied", operation="secretsmanager:GetSecretValue", code="AccessDeniedException")
OUTAGE = AwsUnavailable("down", operation="secretsmanager:GetSecretValue", code="InternalServiceError")


class Pauses:
    """What the watcher waits with: it tells how long, and goes on when it is told to."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.lengths_s: list[float] = []
        self._sleeps = threading.Semaphore(0)
        self._goes_on = threading.Semaphore(0)

    def __call__(self, alarm: threading.Event, seconds: float) -> None:
        self.lengths_s.append(seconds)
        self._sleeps.release()
        self._goes_on.acquire()

    def end(self) -> None:
        self._goes_on.release()

    def wait_until_it_sleeps(self) -> float:
        assert self._sleeps.acquire(timeout=10)
        return self.lengths_s[-1]

    def over(self) -> float:
        """Let the pause pass, and what comes then be done; how long the next one is."""
        self._clock.advance(self.lengths_s[-1])
        self._goes_on.release()
        return self.wait_until_it_sleeps()


class Watching:
    """A client with a real watcher thread, whose time a test moves."""

    def __init__(self) -> None:
        self.store = MemoryStore(db="secret 1")
        self.clock = FakeClock(0)
        self.pauses = Pauses(self.clock)
        self.calls: list[Callable[[], None]] = []
        self.changes: list[SecretChange] = []
        self.client = SecretsClient(
            self.store, clock=self.clock, random=lambda: 0.0, start_thread=self._start, wait=self.pauses
        )

    def _start(self, work: Callable[[], None]) -> None:
        """Renewals run at once; the watcher, which is started first, in a thread."""
        if self.pauses.lengths_s or self.calls:
            work()
            return
        self.calls.append(work)
        threading.Thread(target=work, daemon=True).start()

    def end(self) -> None:
        self.client.close()
        self.pauses.end()

    def versions(self) -> list[tuple[str, str]]:
        return [(change.previous_version_id, change.version_id) for change in self.changes]


@pytest.fixture
def watching() -> Iterator[Watching]:
    setting = Watching()
    yield setting
    setting.end()


def test_a_subscription_is_told_of_a_move_though_nobody_reads(watching: Watching) -> None:
    watching.client.on_change("db", watching.changes.append)
    assert watching.pauses.wait_until_it_sleeps() == LEAST_PAUSE_S
    assert watching.pauses.over() == 299
    assert watching.store.count("read") == 1
    watching.store.set("db", "secret 2")
    watching.pauses.over()
    assert watching.store.count("read") == 2
    watching.pauses.over()
    assert watching.versions() == [("v1", "v2")]
    for _ in range(5):
        watching.pauses.over()
    assert watching.versions() == [("v1", "v2")]
    assert watching.changes[0].arn.endswith(":db-000001")


def test_it_costs_one_call_for_each_soft_age(watching: Watching) -> None:
    watching.client.on_change("db", watching.changes.append)
    watching.pauses.wait_until_it_sleeps()
    while watching.clock() < 3_600:
        watching.pauses.over()
    assert watching.store.count("read") in (12, 13)


def test_the_first_value_is_no_change_but_each_move_after_it_is_also_back_and_forth(watching: Watching) -> None:
    watching.client.get("db")
    watching.client.on_change("db", watching.changes.append)
    watching.pauses.wait_until_it_sleeps()
    watching.store.set("db", "secret 2")
    watching.client.refresh("db")
    watching.store.move_stage("db", StageMove("AWSCURRENT", "v1", "v2"))
    watching.client.refresh("db")
    watching.store.move_stage("db", StageMove("AWSCURRENT", "v2", "v1"))
    watching.client.refresh("db")
    watching.pauses.over()
    assert watching.versions() == [("v1", "v2"), ("v2", "v1"), ("v1", "v2")]


def test_a_secret_that_was_deleted_and_created_anew_is_a_change_of_its_arn(watching: Watching) -> None:
    watching.client.on_change("db", watching.changes.append)
    watching.pauses.wait_until_it_sleeps()
    watching.pauses.over()
    watching.store.remove("db")
    watching.pauses.over()
    watching.pauses.over()
    assert watching.changes == []
    watching.store.set("db", "secret 1")
    while not watching.changes:
        watching.pauses.over()
    assert watching.versions() == [("", "v1")]
    assert watching.changes[0].arn.endswith(":db-000002")


def test_labels_are_watched_apart_and_a_change_goes_to_all_who_subscribed_to_it(watching: Watching) -> None:
    others: list[SecretChange] = []
    watching.client.on_change("db", watching.changes.append)
    watching.client.on_change("db", watching.changes.append)
    watching.client.on_change("db", others.append, stage="AWSPENDING")
    watching.pauses.wait_until_it_sleeps()
    assert watching.client.stats().subscriptions == 3
    watching.client.get("db")
    watching.store.set("db", "secret 2", stages=["AWSPENDING"])
    watching.client.refresh("db", stage="AWSPENDING")
    watching.store.set("db", "secret 3", stages=["AWSPENDING"])
    watching.client.refresh("db", stage="AWSPENDING")
    watching.client.refresh("db")
    watching.pauses.over()
    assert (watching.versions(), [change.version_id for change in others]) == ([], ["v3"])
    watching.store.set("db", "secret 4")
    watching.client.refresh("db")
    watching.pauses.over()
    assert watching.versions() == [("v1", "v4")] * 2


def test_an_outage_is_no_change_and_what_moved_meanwhile_is_told_after_it(watching: Watching) -> None:
    watching.client.on_change("db", watching.changes.append)
    watching.pauses.wait_until_it_sleeps()
    watching.pauses.over()
    watching.store.set("db", "secret 2")
    with watching.store.failing(OUTAGE):
        while watching.clock() < 600:
            watching.pauses.over()
    before_s = watching.clock()
    while not watching.changes:
        watching.pauses.over()
    assert watching.clock() - before_s <= 60
    assert watching.versions() == [("v1", "v2")]


def test_a_secret_that_is_not_there_is_not_asked_for_in_a_rush(watching: Watching) -> None:
    watching.client.on_change("none", watching.changes.append)
    watching.pauses.wait_until_it_sleeps()
    while watching.clock() < 600:
        watching.pauses.over()
    assert watching.store.count("read") <= 3
    watching.store.set("none", "now there is one")
    while not watching.changes:
        watching.pauses.over()
    watching.store.set("none", "and another")
    while len(watching.changes) < 2:
        watching.pauses.over()
    assert watching.versions() == [("", "v1"), ("v1", "v2")]


def test_a_label_that_first_appears_has_moved(watching: Watching) -> None:
    watching.client.on_change("db", watching.changes.append, stage="AWSPENDING")
    watching.pauses.wait_until_it_sleeps()
    while watching.clock() < 86_400:
        watching.pauses.over()
    assert watching.store.count("read") <= 86_400 / 300 + 1, "what is absent costs what is there costs"
    watching.store.set("db", "secret 2", stages=["AWSPENDING"])
    before_s = watching.clock()
    while not watching.changes:
        watching.pauses.over()
    assert watching.clock() - before_s <= 301
    assert watching.versions() == [("", "v2")]


def test_a_label_that_went_away_has_moved_when_another_version_gets_it(watching: Watching) -> None:
    watching.store.set("db", "secret 2", stages=["AWSPENDING"])
    watching.client.on_change("db", watching.changes.append, stage="AWSPENDING")
    watching.pauses.wait_until_it_sleeps()
    watching.pauses.over()
    for to, from_ in ((None, "v2"), ("v2", None), (None, "v2")):  # back where it was is no move
        watching.store.move_stage("db", StageMove("AWSPENDING", to, from_))
        for _ in range(3):
            watching.pauses.over()
    assert watching.changes == []
    watching.store.set("db", "secret 3", stages=["AWSPENDING"])
    while not watching.changes:
        watching.pauses.over()
    assert watching.versions() == [("", "v3")]


def test_who_is_denied_asks_no_more_often_than_who_is_not_and_is_told_of_what_has_moved(watching: Watching) -> None:
    watching.client.on_change("db", watching.changes.append)
    watching.pauses.wait_until_it_sleeps()
    watching.pauses.over()
    watching.store.set("db", "secret 2")
    with watching.store.failing(DENIED):
        while watching.clock() < 3_600:
            watching.pauses.over()
    assert watching.store.count("read") <= 3_600 / 300 + 1
    while not watching.changes:
        watching.pauses.over()
    assert watching.versions() == [("v1", "v2")], "it was there all the time"


def test_a_refusal_that_is_told_late_or_to_nobody_is_none() -> None:
    setting = Setting()
    setting.client.on_change("db", setting.changes.append)
    watcher = setting.client._watcher
    watcher.saw("db", "AWSCURRENT", ("arn", "v1"), 5)
    watcher.was_refused("db", "AWSCURRENT", 4, rests_until_s=300, is_absent=True)
    watcher.was_refused("other", "AWSCURRENT", 9, rests_until_s=300, is_absent=True)
    watcher.saw("db", "AWSCURRENT", ("arn", "v2"), 6)
    assert [(change.previous_version_id, change.version_id) for _, change in watcher._changes] == [("v1", "v2")]


def test_a_call_that_was_superseded_tells_of_no_absence() -> None:
    setting = Setting()
    setting.client.on_change("none", setting.changes.append)
    setting.background.clear()
    gone = setting.store._found

    def overtaken(secret_id: str) -> object:
        setting.client.invalidate()  # what the call finds is not kept
        return gone(secret_id)

    setting.store._found = overtaken  # type: ignore[assignment, method-assign]
    with pytest.raises(SecretNotFound):
        setting.client.get("none")
    assert not setting.client._watcher._watched["none", "AWSCURRENT"].is_absent


def test_a_version_that_is_refused_by_its_id_says_nothing_of_a_label() -> None:
    setting = Setting()
    setting.client.on_change("db", setting.changes.append)
    with pytest.raises(SecretNotFound):
        setting.client.get("db", version_id="v9", stage="AWSCURRENT")
    assert not setting.client._watcher._watched["db", "AWSCURRENT"].is_absent


def test_after_a_restored_snapshot_nothing_rests() -> None:
    setting = Setting()
    setting.client.on_change("none", setting.changes.append)
    setting.background.clear()
    with pytest.raises(SecretNotFound):
        setting.client.get("none")
    watcher = setting.client._watcher
    watched = watcher._watched["none", "AWSCURRENT"]
    assert watcher._looked(("none", "AWSCURRENT"), watched.rests_until_s) == 300
    reset_all()
    assert watched.rests_until_s < setting.clock()


def test_what_a_callback_raises_is_logged_and_the_others_are_called(
    watching: Watching, caplog: pytest.LogCaptureFixture
) -> None:

    def fail(_: SecretChange) -> None:
        raise ValueError("a fault of the callback")

    watching.client.get("db")
    watching.client.on_change("db", fail)
    watching.client.on_change("db", watching.changes.append)
    watching.pauses.wait_until_it_sleeps()
    watching.store.set("db", "secret 2")
    watching.client.refresh("db")
    watching.pauses.over()
    assert watching.versions() == [("v1", "v2")]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_a_callback_may_use_and_close_what_called_it(watching: Watching) -> None:
    seen: list[str] = []

    def use(_: SecretChange) -> None:
        seen.append(watching.client.get("db").text)
        subscription.close()

    watching.client.get("db")
    subscription = watching.client.on_change("db", use)
    watching.client.on_change("db", watching.changes.append)
    watching.pauses.wait_until_it_sleeps()
    for number in (2, 3):
        watching.store.set("db", f"secret {number}")
        watching.client.refresh("db")
    watching.pauses.over()
    assert seen == ["secret 3"]
    assert len(watching.changes) == 2


def test_without_subscriptions_there_is_no_thread_and_the_next_one_starts_one() -> None:
    setting = Setting()
    with setting.client.on_change("db", setting.changes.append) as subscription:
        assert repr(subscription) == "Subscription('db', stage='AWSCURRENT')"
        (watch,) = setting.background
        setting.client.on_change("db", setting.changes.append).close()
    subscription.close()
    watch()
    assert setting.client.stats().subscriptions == 0
    setting.background.clear()
    setting.client.on_change("db", setting.changes.append)
    assert len(setting.background) == 1


def test_the_alarm_wakes_the_watcher_when_there_is_something_to_do() -> None:
    alarms: list[bool] = []

    def stop(alarm: threading.Event, _: float) -> None:
        setting.store.set("db", "secret 2")
        setting.client.refresh("db")
        alarms.append(alarm.is_set())
        if len(alarms) == 2:
            subscription.close()

    setting = Setting()
    setting.client._watcher._wait = stop
    setting.client.get("db")
    subscription = setting.client.on_change("db", setting.changes.append)
    setting.background.pop()()
    assert alarms == [True, True]
    assert [change.version_id for change in setting.changes] == ["v2"]


def test_where_no_thread_can_be_started_there_is_no_subscription() -> None:
    def refuse(_: object) -> None:
        raise RuntimeError("can't start new thread")

    setting = Setting(start_thread=refuse)
    with pytest.raises(SecretsError, match="no thread"):
        setting.client.on_change("db", setting.changes.append)
    assert setting.client.stats().subscriptions == 0
    _restart_all()


def test_a_clock_that_fails_ends_the_thread_and_the_next_subscription_starts_another() -> None:
    setting = Setting()
    setting.client.on_change("db", setting.changes.append)
    watch = setting.background.pop()
    clock, setting.client._watcher._clock = setting.client._watcher._clock, lambda: 1 // 0
    with pytest.raises(ZeroDivisionError):
        watch()  # told by the thread's own hook
    setting.client._watcher._clock = clock
    setting.background.clear()
    setting.client.on_change("db", setting.changes.append)
    assert len(setting.background) == 1


def test_an_older_answer_that_is_told_late_is_no_change() -> None:
    setting = Setting()
    setting.client.on_change("db", setting.changes.append)
    watcher = setting.client._watcher
    for version, number in (("v1", 5), ("v2", 7), ("v1", 6), ("v2", 7)):
        watcher.saw("db", "AWSCURRENT", ("arn", version), number)
    watcher._call_back()
    assert [change.version_id for change in setting.changes] == ["v2"]


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("db", None), "callback must be a function"),
        ((3, print), "secret_id must be text"),
        (("", print), "secret_id must have"),
        (("db", print, ""), "stage must have"),
    ],
)
def test_what_cannot_be_subscribed_to_is_refused(arguments: tuple[object, ...], what: str) -> None:
    client = Setting().client
    options = {"stage": arguments[2]} if len(arguments) > 2 else {}
    with pytest.raises(InvalidArgument, match=what):
        client.on_change(*arguments[:2], **options)  # type: ignore[arg-type]


def test_a_forked_child_goes_on_with_the_subscriptions_of_its_parent() -> None:
    code = """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads, which is the point
from envelope_secrets import SecretsClient
from tests.secret_stores_for_tests import MemoryStore, until

store = MemoryStore(db="secret 1")
reading, writing = os.pipe()
client = SecretsClient(store)
client.get("db")
client.on_change("db", lambda change: os.write(writing, f"{change.version_id} {os.getpid()}".encode()))
store.set("db", "secret 2")
client._cache._entries._shelf.lock.acquire()  # as if another thread were reading in the moment of the fork
child = os.fork()
if child == 0:
    import threading
    threading.Event().wait(20)  # nobody reads in the child: its watcher does
    os._exit(1)
client._cache._entries._shelf.lock.release()
assert os.read(reading, 100).decode() == f"v2 {child}"
os.kill(child, 9)
os.waitpid(child, 0)
assert client.get("db").text == "secret 1"
sys.stdout.write("ok")
"""
    assert run_python(code, cwd=ROOT) == b"ok"


def test_in_a_forked_child_the_thread_is_started_once_everything_is_reset() -> None:
    setting = Setting()
    setting.client.on_change("db", setting.changes.append)
    watcher = setting.client._watcher
    setting.background.clear()
    watcher._process_id = -1  # that of the parent
    watcher.reset_after_fork()
    assert not setting.background
    assert setting.client.stats().subscriptions == 1
    watcher.restart()
    watcher.restart()
    assert len(setting.background) == 1


def test_a_child_in_which_no_thread_can_be_started_goes_on_without() -> None:
    def refuse(_: object) -> None:
        raise RuntimeError("can't start new thread")

    setting = Setting()
    setting.client.on_change("db", setting.changes.append)
    watcher = setting.client._watcher
    watcher._process_id = -1
    watcher._start_thread = refuse
    watcher.reset_after_fork()
    watcher.restart()
    assert not watcher._is_running


def test_after_a_restored_snapshot_the_watcher_looks_at_once() -> None:
    setting = Setting()
    setting.client.on_change("db", setting.changes.append)
    watcher = setting.client._watcher
    watcher._alarm.clear()
    watcher.reset_after_fork()
    assert watcher._alarm.is_set()
    _restart_all()
    assert len(setting.background) == 1, "the thread that there was is there"


def test_a_subscription_is_no_place_for_a_value() -> None:
    assert not set(Subscription.__slots__) & {"value", "secret"}
