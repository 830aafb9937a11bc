"""R1 to R10: a rotation that is interrupted, repeated, delivered twice or mixed with another one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

import pytest

from envelope.errors import AwsUnavailable, EnvelopeError
from envelope_secrets.errors import SecretConflict
from envelope_secrets.rotation.alternating_users import AlternatingUsers
from envelope_secrets.rotation.dual_password import DualPassword
from envelope_secrets.rotation.failures import PrivilegeMissing, RotationRefused
from envelope_secrets.rotation.in_process import rotate
from envelope_secrets.rotation.single_user import SingleUser
from envelope_secrets.rotation.strategy import Strategy
from envelope_secrets.stages import AWSCURRENT, AWSPENDING, AWSPREVIOUS, StageMove
from envelope_secrets.testing import Stopped
from tests.crash_points import CrashPoints
from tests.database_rotations import RotationWorld
from tests.fake_databases import Account
from tests.fake_secrets_for_tests import V1, V2, V3, token

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")


def dies_at(world: RotationWorld, name: str) -> None:
    """Let the process die at the next point of this name."""
    points = world.points

    def check() -> None:
        if points.passed[-1] == name:
            points.at_each = lambda: None
            raise Stopped(name)

    points.at_each = check


def test_r1_after_a_crash_anywhere_in_create_secret_there_is_one_pending_value_that_was_sent_once() -> None:
    rehearsal = RotationWorld(SingleUser())
    rehearsal.fake.rotate(rehearsal.name, lambda event, context: None, token=V2)
    rehearsal.step("createSecret", 2)
    for number, name in enumerate(rehearsal.points.passed):
        world = RotationWorld(SingleUser(), points=CrashPoints(number))
        run = world.rotate(2, attempts=2)
        assert [(step.step, type(step.error)) for step in run.steps if step.error] == [("createSecret", Stopped)], name
        assert run.succeeded
        assert world.values_stored() == 2
        assert world.fake.count("PutSecretValue") == 1, f"once stored, no second password is made: {name}"
        assert not world.problems()
    assert "after PutSecretValue" in rehearsal.points.passed


@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize("kind", ["timeout", "connection"])
def test_r2_a_put_whose_reply_is_lost_has_stored_the_value_that_is_used(
    kind: Literal["timeout", "connection"], is_late: bool
) -> None:
    world = RotationWorld(SingleUser())
    world.fake.rotate(world.name, lambda event, context: None, token=V2)
    world.fake.delay_reads(world.name, reads=4 if is_late else 0)
    world.fake.lose_replies("PutSecretValue", error=kind)
    with pytest.raises(AwsUnavailable):
        world.step("createSecret", 2)
    if is_late:  # this attempt sees the label and no value, so it sends another one with the same token
        world.step("createSecret", 2)
    world.fake.delay_reads(world.name)
    stored = world.value(AWSPENDING)
    assert world.rotate(2).succeeded
    assert world.value() == stored
    puts = [call.error_code for call in world.fake.calls if call.operation == "PutSecretValue"]
    assert puts == [kind, *["ResourceExistsException"] * is_late]


@pytest.mark.parametrize(
    ("strategy", "change", "refused"),
    [(SingleUser(), "set password", 1), (DualPassword(), "add password", 0), (AlternatingUsers(), "set password", 0)],
)
def test_r3_after_a_crash_behind_the_change_set_secret_does_nothing_more(
    strategy: Strategy, change: str, refused: int
) -> None:
    world = RotationWorld(strategy)
    dies_at(world, f"after {change}")
    assert not world.rotate(2).succeeded
    world.server.statements.clear()
    world.server.logins.clear()
    assert world.rotate(2).succeeded
    assert change not in world.server.statements
    assert [works for _, works in world.server.logins].count(False) == refused, "it counts towards lock-out"
    assert not world.problems()


@pytest.mark.parametrize("point", ["after create account", "before grant read b", "after grant read b"])
def test_r4_a_clone_that_has_not_all_grants_cannot_log_in_and_is_completed(point: str) -> None:
    world = RotationWorld(AlternatingUsers())
    dies_at(world, point)
    assert not world.rotate(2).succeeded
    assert not world.works(AWSPENDING)
    assert world.rotate(2).succeeded
    assert not world.problems()


def test_r4_a_clone_that_lacks_a_grant_is_not_promoted() -> None:
    world = RotationWorld(AlternatingUsers())
    for step in ("createSecret", "setSecret"):
        world.fake.rotate(world.name, lambda event, context: None, token=V2)
        world.step(step, 2)
    world.server.accounts["app_clone"].grants.remove("write b")
    with pytest.raises(PrivilegeMissing, match=r"the clone lacks what the account has: write b$") as caught:
        world.step("testSecret", 2)
    assert "may not grant this" in caught.value.hint
    assert world.labels.holder(AWSCURRENT) == V1


def test_r4_many_missing_grants_are_shown_in_part() -> None:
    world = RotationWorld(AlternatingUsers())
    world.server.accounts["app"].grants = {f"read {number:02}" for number in range(12)}
    world.fake.rotate(world.name, lambda event, context: None, token=V2)
    world.step("createSecret", 2)
    world.step("setSecret", 2)
    world.server.accounts["app_clone"].grants = {"read 00"}
    with pytest.raises(PrivilegeMissing, match=r"read 01, .*read 10 and 1 more$"):
        world.step("testSecret", 2)


def test_r5_after_the_label_has_moved_every_step_succeeds_without_doing_anything() -> None:
    world = RotationWorld(SingleUser())
    assert world.rotate(2).succeeded
    value, calls, logins = world.value(), world.fake.count(), len(world.server.logins)
    for step in STEPS:
        world.step(step, 2)
    assert world.value() == value
    assert len(world.server.logins) == logins
    assert {call.operation for call in world.fake.calls[calls:]} <= {"DescribeSecret", "GetSecretValue"}


def test_r6_what_a_rotation_leaves_the_next_one_takes_away() -> None:
    world = RotationWorld(SingleUser())
    for number in range(2, 7):
        assert world.rotate(number).succeeded
    stages = {stage for stages in world.labels.by_version.values() for stage in stages}
    assert len([stage for stage in stages if stage.startswith("rotated-from-")]) == 1
    assert stages >= {AWSCURRENT, AWSPREVIOUS}


def test_r7_nothing_is_made_at_the_target_before_the_value_is_stored() -> None:
    world = RotationWorld(AlternatingUsers())
    world.fake.rotate(world.name, lambda event, context: None, token=V2)
    world.step("createSecret", 2)
    assert not world.server.logins
    assert set(world.server.accounts) == {"app", "root"}


def test_r8_a_function_that_is_ended_in_set_secret_is_repeated() -> None:
    world = RotationWorld(AlternatingUsers())
    dies_at(world, "before set password")
    run = world.rotate(2, attempts=2)
    assert isinstance(run.steps[1].error, Stopped)
    assert run.succeeded
    assert not world.problems()


@pytest.mark.parametrize("step", STEPS)
def test_r9_a_step_that_is_delivered_twice_at_once_leaves_one_value_that_works(step: str) -> None:
    world = RotationWorld(SingleUser())
    world.fake.rotate(world.name, lambda event, context: None, token=V2)
    both = threading.Barrier(2, timeout=10)
    failures: list[BaseException] = []

    def deliver(name: str) -> None:
        try:
            world.step(name, 2)
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            failures.append(error)

    def together() -> None:
        both.wait()
        deliver(step)

    for name in STEPS:
        if name != step:
            deliver(name)
            continue
        threads = [threading.Thread(target=together) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not failures
    assert world.labels.holder(AWSCURRENT) == V2
    assert world.works()
    assert world.values_stored() == 2


def test_r9_the_second_of_two_values_for_one_version_is_dropped() -> None:
    world = RotationWorld(SingleUser())
    world.fake.rotate(world.name, lambda event, context: None, token=V2)
    is_first = [True]

    def another_delivery() -> None:
        if world.points.passed[-1] == "before PutSecretValue" and is_first.pop(0):
            is_first.append(False)
            world.step("createSecret", 2)

    world.points.at_each = another_delivery
    world.step("createSecret", 2)
    puts = [call for call in world.fake.calls if call.operation == "PutSecretValue"]
    assert [call.error_code for call in puts] == [None, "ResourceExistsException"]
    assert world.rotate(2).succeeded


def test_r9_a_value_that_another_delivery_has_stored_and_nobody_can_read_is_waited_for() -> None:
    world = RotationWorld(SingleUser())
    world.fake.rotate(world.name, lambda event, context: None, token=V2)
    world.fake.delay_reads(world.name, reads=1_000)
    world.put(2, '{"other": "value"}', AWSPENDING)
    before = world.clock.now()
    with pytest.raises(RotationRefused, match="has a value that cannot be read yet"):
        world.step("createSecret", 2)
    assert 2 < world.clock.now() - before < 10


def test_r10_a_second_rotation_is_refused_by_the_service_while_one_is_under_way() -> None:
    world = RotationWorld(SingleUser())
    world.fake.rotate(world.name, lambda event, context: None, token=V2)
    world.step("createSecret", 2)
    with pytest.raises(world.client.exceptions.InvalidRequestException):
        world.client.rotate_secret(SecretId=world.name, ClientRequestToken=V3)


def test_r10_of_two_rotations_without_a_function_one_fails_and_the_next_one_mends_what_it_left() -> None:
    """Between any two calls of one, the whole of another."""
    rehearsal = CrashPoints()
    rotate_here(RotationWorld(SingleUser(), points=rehearsal))
    refused = 0
    for number, name in enumerate(rehearsal.passed):
        world = RotationWorld(SingleUser(), points=CrashPoints())
        run_at(world, number)
        try:
            rotate_here(world)
        except (RotationRefused, SecretConflict):
            refused += 1
            pending = world.labels.holder(AWSPENDING)
            if pending != world.labels.holder(AWSCURRENT):
                world.store.move_stage(world.name, StageMove(AWSPENDING, None, pending))
            rotate_here(world)
        assert world.works(), name
        assert not world.labels.problems()
    assert refused == 4  # those whose version was not announced before the other rotation began


def rotate_here(world: RotationWorld, strategy: Strategy = SingleUser()) -> None:  # noqa: B008 - it is frozen
    world.clock.advance(1)
    rotate(world.store, world.name, world.database, strategy, clock=world.clock, sleep=world.clock.advance)


def run_at(world: RotationWorld, number: int, run: Callable[[RotationWorld], None] = rotate_here) -> None:
    """Run a whole rotation, or something else, at this point of another one."""

    def another() -> None:
        if len(world.points.passed) == number + 1:
            with world.points.nobody_watches():
                run(world)

    world.points.at_each = another


def test_a_clone_of_somebody_elses_is_not_what_the_password_is_set_of_before_the_grants_fit() -> None:
    world = RotationWorld(AlternatingUsers())
    world.server.accounts["app_clone"] = Account(("theirs",), {"drop everything"})
    assert world.rotate(2).succeeded
    assert world.server.accounts["app_clone"].grants == world.server.accounts["app"].grants
    assert token(2) == world.labels.holder(AWSCURRENT)


@pytest.mark.parametrize(
    ("strategy", "too_late"),
    [(SingleUser(), ["after DescribeSecret", "before set password"]), (DualPassword(), [])],  # needs one that works
    ids=["single", "dual"],
)
def test_r10_a_process_that_slept_while_others_rotated_sets_no_password(
    strategy: Strategy, too_late: list[str]
) -> None:
    """Wherever it slept while its rotation was cancelled and two others went by, but for the statement itself."""
    rehearsal = CrashPoints()
    world = RotationWorld(strategy, points=rehearsal)
    rotate_here(world, strategy)
    overtaken_too_late = []
    for number in range(len(rehearsal.passed)):
        world = RotationWorld(strategy, points=CrashPoints())
        run_at(world, number, lambda world: cancel_and_rotate_twice(world, strategy))
        with suppress(EnvelopeError):
            rotate_here(world, strategy)
        if not world.works():
            overtaken_too_late.append(world.points.passed[number])
    assert overtaken_too_late == too_late


def cancel_and_rotate_twice(world: RotationWorld, strategy: Strategy) -> None:
    labels = world.labels
    pending = labels.holder(AWSPENDING)
    if pending not in (None, labels.holder(AWSCURRENT)):
        world.store.move_stage(world.name, StageMove(AWSPENDING, None, pending))
    rotate_here(world, strategy)
    rotate_here(world, strategy)
