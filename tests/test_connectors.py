"""Connections through rotations: what is tried in which order, and how often, when several threads meet a refusal."""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
import pickle
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from envelope import AwsAccessDenied, AwsUnavailable, InvalidArgument
from envelope.process_state import reset_all
from envelope.testing import FakeClock
from envelope_secrets import AsyncSecretsClient, SecretNotFound, SecretsClient, StageMove
from envelope_secrets.connectors import connect, connect_async
from envelope_secrets.connectors.attempts import (
    NEXT,
    VERDICTS,
    Failure,
    Move,
    Room,
    Standing,
    Step,
    Verdict,
    after,
    judge,
    room,
)
from envelope_secrets.connectors.standings import FORGET_S, Candidate, Standings
from envelope_secrets.rotation.failures import AccountLocked, LoginRefused, TargetUnreachable
from tests.connected_targets import Rotating, Target, value_of
from tests.secret_stores_for_tests import MemoryStore, until

OUTAGE = AwsUnavailable(
    "throttled", operation="secretsmanager:GetSecretValue", code="ThrottlingException", can_retry=True
)
DENIED = AwsAccessDenied("denied", operation="secretsmanager:GetSecretValue", code="AccessDeniedException")


# --- the tables ---------------------------------------------------------------------------------------


def test_the_table_has_a_row_for_every_step_and_room() -> None:
    assert set(NEXT) == set(itertools.product(set(Step) - {Step.END}, Room))
    assert set(VERDICTS) == set(Standing)


@pytest.mark.parametrize("left_s", [-1.0, 0.0, 10.0])
@pytest.mark.parametrize("attempts", range(1, 8))
def test_every_way_through_the_table_ends_and_spends_no_more_logins_than_allowed(attempts: int, left_s: float) -> None:
    for refusals in itertools.product((0, 1), repeat=6):
        move, spent, now_s = Move(Step.KNOWN, attempts, left_s, 0.1), 0, 0.0
        for refused in itertools.chain(refusals, itertools.repeat(1)):
            if move.step is Step.END:
                break
            took = 0 if move.step is Step.WAIT else refused
            now_s += move.pause_s if move.step is Step.WAIT else 0.0
            spent += took
            move = move.next(now_s, took)
        assert spent <= attempts


def test_the_order_is_memory_current_pending_then_current_until_the_time_is_over_then_previous() -> None:
    move, steps = Move(Step.KNOWN, 5, 0.3, 0.1), []
    now_s = 0.0
    while move.step is not Step.END:
        steps.append(move.step)
        now_s += move.pause_s if move.step is Step.WAIT else 0.0
        move = move.next(now_s, 0)
    round_of = [Step.CURRENT, Step.PENDING]
    assert steps == [Step.KNOWN, *round_of, Step.WAIT, *round_of, Step.WAIT, *round_of, Step.PREVIOUS]


def test_pauses_double_up_to_a_second() -> None:
    move, pauses = Move(Step.WAIT, 5, 100.0, 0.1), []
    for _ in range(6):
        move = Move(Step.WAIT, 5, 100.0, move.next(0.0, 0).pause_s)
        pauses.append(round(move.pause_s, 3))
    assert pauses == [0.2, 0.4, 0.8, 1.0, 1.0, 1.0]


def test_the_end_of_the_time_leaves_no_room_for_waiting_and_that_of_the_attempts_none_at_all() -> None:
    assert (room(1, 1.0), room(1, 0.0), room(0, 1.0)) == (Room.ENOUGH, Room.LATE, Room.NONE)


def test_only_a_refusal_leads_to_other_credentials() -> None:
    assert [failure for failure in Failure if after(failure)] == [Failure.REFUSED]


@pytest.mark.parametrize("standing", Standing)
def test_what_was_tried_under_a_label_is_not_tried_again(standing: Standing) -> None:
    assert judge(standing, was_tried=True, is_patient=False) is Verdict.SKIP


def test_patience_with_the_attempt_of_somebody_else_ends() -> None:
    assert judge(Standing.TRYING, was_tried=False, is_patient=True) is Verdict.LATER
    assert judge(Standing.TRYING, was_tried=False, is_patient=False) is Verdict.TRY
    assert judge(Standing.REFUSED, was_tried=False, is_patient=False) is Verdict.SKIP


# --- one connection -----------------------------------------------------------------------------------


def test_a_connection_is_made_with_the_fields_of_the_secret() -> None:
    rotating = Rotating()
    assert rotating.connect(arguments={"timeout": 3}) == {"user": "app", "password": "p1", "timeout": 3}
    assert rotating.store.calls == [("read", "db", "AWSCURRENT", "")]


def test_k07_a_refused_login_reads_the_secret_anew_without_waiting() -> None:
    rotating = Rotating()
    rotating.connect()
    rotating.put("p2")
    rotating.target.password = "p2"
    assert rotating.password() == "p2"
    assert rotating.clock.now() == 0
    assert rotating.target.logins == ["p1", "p1", "p2"]


def test_k08_between_setting_the_password_and_moving_the_label_the_pending_version_logs_in() -> None:
    rotating = Rotating()
    rotating.put("p2", "AWSPENDING")
    rotating.target.password = "p2"
    assert [rotating.password() for _ in range(3)] == ["p2"] * 3
    assert rotating.target.logins == ["p1", "p2", "p2", "p2"], "only the first connection tries the old password"
    rotating.store.move_stage("db", StageMove("AWSCURRENT", to_version="v2", from_version="v1"))
    rotating.secrets.invalidate()
    assert rotating.password() == "p2"
    assert rotating.target.logins.count("p1") == 1


def test_what_logs_in_instead_of_the_current_version_is_dropped_once_it_is_refused() -> None:
    rotating = Rotating()
    rotating.put("p2", "AWSPENDING")
    rotating.target.password = "p2"
    rotating.connect()
    rotating.put("p3")
    rotating.target.password = "p3"
    assert rotating.password() == "p3"
    assert rotating.target.logins == ["p1", "p2", "p2", "p3"]


def test_a_label_that_moves_late_is_waited_for() -> None:
    rotating = Rotating("p2")
    rotating.at = [(3.0, lambda: rotating.put("p2"))]
    assert rotating.password() == "p2"
    assert rotating.target.logins == ["p1", "p2"]
    assert 3.0 <= rotating.clock.now() < 4.1


def test_a_pending_version_that_came_too_early_is_tried_again_once_it_is_current() -> None:
    rotating = Rotating("neither")
    rotating.put("p2", "AWSPENDING")

    def finish() -> None:
        rotating.target.password = "p2"
        rotating.store.move_stage("db", StageMove("AWSCURRENT", to_version="v2", from_version="v1"))

    rotating.at = [(1.0, finish)]
    assert rotating.password() == "p2"
    assert rotating.target.logins == ["p1", "p2", "p2"]


def test_the_previous_version_is_tried_last_when_the_time_is_over() -> None:
    rotating = Rotating()
    rotating.put("p2")
    assert rotating.password() == "p1"
    assert rotating.target.logins == ["p2", "p1"]
    assert rotating.clock.now() == pytest.approx(10.0)
    assert rotating.password() == "p1"
    assert rotating.clock.now() == pytest.approx(10.0), "the next connection does not wait again"


def test_a_secret_of_which_no_version_logs_in_is_refused_after_few_attempts() -> None:
    rotating = Rotating("none of them")
    rotating.put("p2")
    rotating.put("p3", "AWSPENDING")
    with pytest.raises(LoginRefused, match=r"AWSCURRENT, AWSPENDING, AWSPREVIOUS tried") as caught:
        rotating.connect()
    assert rotating.target.logins == ["p2", "p3", "p1"]
    assert "p1" not in f"{caught.value!r} {caught.value.hint}"
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize("attempts", [1, 2, 3, 4])
def test_logins_are_bounded_also_while_the_label_moves_all_the_time(attempts: int) -> None:
    rotating = Rotating("none of them")
    rotating.at = [(number / 10, partial(rotating.put, f"p{number}")) for number in range(2, 60)]
    with pytest.raises(LoginRefused):
        rotating.connect(attempts=attempts)
    assert len(rotating.target.logins) == attempts


def test_what_was_refused_a_moment_ago_is_left_alone_and_tried_again_later() -> None:
    rotating = Rotating("none of them")
    with pytest.raises(LoginRefused):
        rotating.connect(budget_s=1)
    with pytest.raises(LoginRefused, match="others have just tried"):
        rotating.connect(budget_s=1)
    assert rotating.target.logins == ["p1"]
    rotating.target.password = "p1"
    rotating.clock.advance(FORGET_S)
    assert rotating.password(budget_s=1) == "p1"


def test_a_password_that_is_set_while_a_connection_waits_is_found_without_a_new_version() -> None:
    rotating = Rotating("none of them")
    with pytest.raises(LoginRefused):
        rotating.connect(budget_s=1)
    rotating.target.password = "p1"
    assert rotating.password() == "p1"
    assert FORGET_S <= rotating.clock.now() < FORGET_S + 2


def test_a_locked_account_and_a_silent_server_end_it_at_once() -> None:
    rotating = Rotating("p2")
    rotating.put("p2", "AWSPENDING")

    def lock(_: str) -> None:
        error = Exception("locked")
        error.sqlstate = "53300"  # type: ignore[attr-defined]
        raise error

    rotating.target.before = lock
    with pytest.raises(AccountLocked):
        rotating.connect()

    def break_off(_: str) -> None:
        raise ConnectionRefusedError("postgresql://app:p1@db")

    rotating.target.before = break_off
    rotating.clock.advance(FORGET_S)
    with pytest.raises(TargetUnreachable, match="ConnectionRefusedError") as caught:
        rotating.connect()
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert rotating.target.logins == ["p1", "p1"]
    assert rotating.clock.now() == FORGET_S


def test_an_error_of_this_package_passes() -> None:
    def make(**_: object) -> None:
        raise SecretNotFound("another secret")

    rotating = Rotating()
    with pytest.raises(SecretNotFound, match="another"):
        connect(rotating.secrets, "db", make)
    with pytest.raises(SecretNotFound, match="no such secret"):
        connect(rotating.secrets, "missing", make)


def test_other_labels_that_this_process_may_not_read_are_done_without() -> None:
    rotating = Rotating("p2")
    rotating.put("p2", "AWSPENDING")
    real = rotating.store.read

    def read(secret_id: str, *, stage: str | None = None, version_id: str | None = None) -> Any:
        if stage != "AWSCURRENT":
            raise DENIED
        return real(secret_id, stage=stage, version_id=version_id)

    rotating.store.read = read  # type: ignore[method-assign]
    rotating.at = [(2.0, lambda: rotating.put("p2", "AWSCURRENT"))]
    assert rotating.password() == "p2"


@pytest.mark.parametrize("place", [{"host": "elsewhere"}, {"host": "DB", "port": 6_543}, "no object", "{"])
def test_a_pending_version_that_means_another_server_is_not_tried(place: object) -> None:
    store = MemoryStore(db=json.dumps({"username": "app", "password": "p1", "host": "db"}))
    value = json.dumps({"username": "app", "password": "p2", **place}) if isinstance(place, dict) else str(place)
    store.set("db", value, stages=["AWSPENDING"])
    target, clock = Target("p2"), FakeClock(0)
    with pytest.raises(LoginRefused, match="AWSCURRENT tried"):
        connect(SecretsClient(store), "db", target.connect, clock=clock, sleep=clock.advance)
    assert target.logins == ["p1"]


def test_a_host_that_is_spelled_otherwise_is_the_same_and_so_are_secrets_of_another_form() -> None:
    store = MemoryStore(db=json.dumps({"username": "app", "password": "p1", "host": "db.example"}), text="p1")
    store.set("db", json.dumps({"username": "app", "password": "p2", "host": "DB.example."}), stages=["AWSPENDING"])
    store.set("text", "p2", stages=["AWSPENDING"])
    secrets, target = SecretsClient(store), Target("p2")
    assert connect(secrets, "db", target.connect)["password"] == "p2"
    made = connect(secrets, "text", target.connect, arguments=lambda secret: {"password": secret.text})
    assert made["password"] == "p2"


def test_an_outage_of_the_store_is_waited_out_and_named_in_the_end() -> None:
    rotating = Rotating("p2")
    rotating.secrets.get("db")
    rotating.put("p2")
    with rotating.store.failing(OUTAGE), pytest.raises(LoginRefused) as caught:
        rotating.connect()
    assert "throttled" in caught.value.hint
    rotating.clock.advance(FORGET_S)
    assert rotating.password() == "p2"


def test_a_secret_that_is_denied_when_it_is_read_anew_ends_it() -> None:
    rotating = Rotating("p2")
    rotating.secrets.get("db")
    with rotating.store.failing(DENIED), pytest.raises(AwsAccessDenied):
        rotating.connect()


def test_the_caller_says_for_another_driver_what_a_refusal_is() -> None:
    class Denied(Exception):
        pass

    def make(*, login: str) -> str:
        if login != "p2":
            raise Denied
        return login

    rotating = Rotating()
    rotating.secrets.get("db")
    rotating.put("p2")
    made = connect(
        rotating.secrets,
        "db",
        make,
        arguments=lambda secret: {"login": secret.json["password"]},
        is_refused=lambda error: isinstance(error, Denied),
    )
    assert made == "p2"


def test_a_predicate_that_raises_does_not_show_the_error_of_the_driver() -> None:
    rotating = Rotating("p2")
    with pytest.raises(ZeroDivisionError) as caught:
        rotating.connect(is_refused=lambda _: 1 / 0 == 1)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"attempts": 0},
        {"attempts": 101},
        {"budget_s": 0},
        {"budget_s": "10"},
        {"arguments": 5},
        {"arguments": {1: 2}},
        {"arguments": {"password": "x"}},
        {"arguments": {"passwd": "x"}},
        {"driver": 5},
        {"is_refused": 5},
        {"clock": 5},
        {"sleep": 5},
    ],
)
def test_a_wrong_option_is_named(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument, match=next(iter(wrong))):
        Rotating().connect(**wrong)


def test_what_is_no_client_no_function_or_no_id_is_said_so() -> None:
    with pytest.raises(InvalidArgument, match="secrets must be a SecretsClient"):
        connect(5, "db", print)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="make"):
        connect(SecretsClient(MemoryStore()), "db", 5)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="secret_id"):
        connect(SecretsClient(MemoryStore()), "", print)


# --- many threads, tasks and forks --------------------------------------------------------------------


def test_threads_that_meet_a_rotation_share_one_attempt_with_each_password_that_nobody_knows() -> None:
    rotating = Rotating()
    rotating.target.password = "p3"
    rotating.put("p2")
    rotating.put("p3", "AWSPENDING")
    gate = threading.Event()
    rotating.target.before = lambda password: gate.wait() if password == "p2" else None
    waiting = threading.Semaphore(0)

    def sleep(seconds: float) -> None:
        waiting.release()
        threading.Event().wait(0.001)

    with ThreadPoolExecutor(20) as threads:
        made = [threads.submit(rotating.password, sleep=sleep) for _ in range(20)]
        for _ in range(19):
            waiting.acquire()
        gate.set()
        assert {one.result() for one in made} == {"p3"}
    counts = Counter(rotating.target.logins)
    assert counts["p2"] == 1
    assert counts["p3"] == 20


def test_threads_whose_login_was_refused_read_the_secret_anew_by_one_call() -> None:
    rotating = Rotating()
    rotating.connect()
    rotating.put("p2")
    rotating.target.password = "p2"
    together = threading.Barrier(20)
    rotating.target.before = lambda password: together.wait() if password == "p1" else None
    with ThreadPoolExecutor(20) as threads:
        made = [threads.submit(rotating.password, sleep=lambda _: threading.Event().wait(0.001)) for _ in range(20)]
        assert {one.result() for one in made} == {"p2"}
    assert rotating.store.calls == [("read", "db", "AWSCURRENT", "")] * 2


def test_somebody_elses_attempt_that_hangs_holds_nobody_up_for_long() -> None:
    rotating = Rotating()
    gate = threading.Event()
    rotating.target.before = lambda _: gate.wait() if len(rotating.target.logins) == 1 else None
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(rotating.password)
        until(lambda: rotating.target.logins)
        assert rotating.password() == "p1"
        assert 2.0 <= rotating.clock.now() < 2.1
        gate.set()
        assert first.result() == "p1"


def test_an_interrupted_attempt_is_not_waited_for() -> None:
    rotating = Rotating()

    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    rotating.target.before = interrupt
    with pytest.raises(KeyboardInterrupt):
        rotating.connect()
    rotating.target.before = lambda _: None
    assert rotating.password() == "p1"
    assert rotating.clock.now() == 0


def test_targets_of_one_secret_are_told_apart() -> None:
    rotating = Rotating("p2")
    rotating.put("p2", "AWSPENDING")
    rotating.connect(arguments={"host": "writer"})
    behind = Target("p1")
    made = connect(rotating.secrets, "db", behind.connect, arguments={"host": "reader"})
    assert made["password"] == "p1"


def test_after_a_fork_nothing_is_known() -> None:
    rotating = Rotating("p2")
    rotating.put("p2", "AWSPENDING")
    rotating.connect()
    reset_all()
    assert rotating.password() == "p2"
    assert rotating.target.logins == ["p1", "p2", "p1", "p2"]


def test_what_is_remembered_shows_no_password() -> None:
    secret = SecretsClient(MemoryStore(db=value_of("hunter2"))).get("db")
    candidate, standings = Candidate(secret, "AWSPENDING"), Standings()
    standings.succeed(candidate, None)
    for held in (candidate, standings):
        assert "hunter2" not in repr(held)
        with pytest.raises(TypeError):
            pickle.dumps(held)
        with pytest.raises(TypeError):
            copy.copy(held)


def test_a_refusal_of_another_version_leaves_the_substitute() -> None:
    store = MemoryStore(db=value_of("p1"))
    store.set("db", value_of("p2"), stages=["AWSPENDING"])
    secrets = SecretsClient(store)
    current, pending = Candidate(secrets.get("db"), "AWSCURRENT"), Candidate(secrets.get("db", stage="AWSPENDING"), "x")
    standings = Standings()
    standings.succeed(pending, current.version)
    standings.refuse(current, 0.0)
    assert standings.best(current) is pending


def test_what_has_worked_and_is_refused_now_is_left_alone_under_every_label() -> None:
    pending = Candidate(SecretsClient(MemoryStore(db=value_of("p1"))).get("db"), "AWSPENDING")
    current, standings = Candidate(pending.secret, "AWSCURRENT"), Standings()
    for was_good, verdict in ((False, Verdict.TRY), (True, Verdict.SKIP)):
        if was_good:
            standings.succeed(pending, None)
        standings.refuse(pending, 0.0)
        assert standings.judge(current, 1.0, was_tried=False, is_patient=True) is verdict
        standings.release(current)


def test_tasks_connect_in_the_same_order() -> None:
    rotating = Rotating()
    secrets = AsyncSecretsClient.sharing(rotating.secrets)
    rotating.target.password = "p3"

    async def make() -> Any:
        return await connect_async(
            secrets, "db", rotating.target.connect_async, clock=rotating.clock, sleep=rotating.sleep_async
        )

    async def all_of_them() -> None:
        assert (await asyncio.gather(make(), make()))[1]["password"] == "p3"
        with pytest.raises(SecretNotFound):
            await connect_async(secrets, "missing", rotating.target.connect_async)
        with pytest.raises(InvalidArgument, match="AsyncSecretsClient"):
            await connect_async(rotating.secrets, "db", rotating.target.connect_async)  # type: ignore[arg-type]

    rotating.put("p2", "AWSPENDING")
    rotating.at = [(1.0, lambda: rotating.put("p3"))]
    asyncio.run(all_of_them())
    assert rotating.target.logins == ["p1", "p2", "p3", "p3"]


def test_a_task_that_is_cancelled_leaves_its_version_to_others() -> None:
    rotating = Rotating()
    secrets = AsyncSecretsClient.sharing(rotating.secrets)

    async def cancel_one_and_make_another() -> object:
        begun = asyncio.Event()

        async def hang(**_: object) -> None:
            begun.set()
            await asyncio.Event().wait()

        task = asyncio.ensure_future(connect_async(secrets, "db", hang, driver="tests"))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await connect_async(secrets, "db", rotating.target.connect_async, driver="tests", clock=rotating.clock)

    assert asyncio.run(cancel_one_and_make_another())
    assert rotating.clock.now() == 0


def test_an_error_of_this_package_passes_for_tasks_too() -> None:
    async def make(**_: object) -> None:
        raise SecretNotFound("another secret")

    rotating = Rotating()
    with pytest.raises(SecretNotFound, match="another"):
        asyncio.run(connect_async(AsyncSecretsClient.sharing(rotating.secrets), "db", make))
