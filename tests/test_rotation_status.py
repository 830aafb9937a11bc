"""Where a rotation stands and what is done about it: by labels and by logins, at every point at which it can stop."""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from envelope.errors import EnvelopeError, InvalidArgument
from envelope.testing import FakeClock
from envelope_secrets.errors import SecretConflict, SecretKeyUnavailable, SecretNotFound
from envelope_secrets.rotation.alternating_users import AlternatingUsers
from envelope_secrets.rotation.diagnosis import (
    ACTIONS,
    Answer,
    RotationAction,
    RotationDiagnosis,
    Verdict,
    VersionAnswer,
    verdict_of,
)
from envelope_secrets.rotation.dual_password import DualPassword
from envelope_secrets.rotation.failures import (
    LoginRefused,
    PrivilegeMissing,
    RotationRefused,
    TargetError,
    TargetUnreachable,
)
from envelope_secrets.rotation.in_process import StepProgress, rotate
from envelope_secrets.rotation.probing import Source
from envelope_secrets.rotation.repairing import RotationRepair, repair_rotation
from envelope_secrets.rotation.rotator import Rotation
from envelope_secrets.rotation.signing_key import SigningKey
from envelope_secrets.rotation.single_user import SingleUser
from envelope_secrets.rotation.status import rotation_status
from envelope_secrets.rotation.strategy import Strategy
from envelope_secrets.stages import AWSCURRENT, AWSPENDING, AWSPREVIOUS
from envelope_secrets.stores.protocol import NewSecret, NewVersion
from envelope_secrets.testing import Stopped
from envelope_secrets.value import Secret
from tests.crash_points import CrashPoints
from tests.database_rotations import RotationWorld, fields
from tests.fake_databases import Account, FakeServer, FakeSession
from tests.fake_secrets_for_tests import V1, V2, V3, V4
from tests.local_secrets_for_tests import local_store
from tests.thoroughness import TAKES_ALL

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
STRATEGIES = (SingleUser(), DualPassword(), AlternatingUsers())


def begun(strategy: Strategy, *steps: str, **options: Any) -> RotationWorld:
    """A world in which V1 was replaced by V2, and the rotation to V3 has done these steps."""
    world = RotationWorld(strategy, **options)
    assert world.rotate(2).succeeded
    world.clock.advance(60)
    world.fake.rotate(world.name, lambda event, context: None, token=V3)
    for step in steps:
        world.step(step, 3)
    world.server.logins.clear()
    return world


def status(world: RotationWorld, strategy: Strategy, **options: Any) -> RotationDiagnosis:
    given = {"min_age_s": 0, "clock": world.clock, "sleep": world.clock.advance, **options}
    return rotation_status(world.store, world.name, world.database, strategy, **given)


def repair(
    world: RotationWorld, strategy: Strategy, diagnosis: RotationDiagnosis | None = None, **options: Any
) -> RotationRepair:
    given = {"clock": world.clock, "sleep": world.clock.advance, "despite_function": True, **options}
    return repair_rotation(world.store, diagnosis or status(world, strategy), world.database, strategy, **given)


def told(diagnosis: RotationDiagnosis) -> dict[str, str]:
    """The answers by label."""
    return {answer.source.name: answer.answer.name for answer in diagnosis.answers}


def answers(**by_source: Answer) -> tuple[VersionAnswer, ...]:
    return tuple(VersionAnswer(Source[name.upper()], V1, answer) for name, answer in by_source.items())


# --- the table


def test_no_answer_of_the_target_leads_to_an_action_that_takes_away_the_only_value_that_works() -> None:
    every = (None, *Answer)
    for pending, current, previous, orphan in product(every, every, every, every[:4]):
        named = {"pending": pending, "current": current, "previous": previous, "orphan": orphan}
        given = answers(**{name: answer for name, answer in named.items() if answer is not None})
        for can_recover, is_young in product((True, False), repeat=2):
            actions = ACTIONS[verdict_of(given, can_recover=can_recover, is_young=is_young)]
            works = {answer.source for answer in given if answer.answer is Answer.ACCEPTED}
            logs_in = works | {answer.source for answer in given if answer.answer is Answer.WEAK}
            assert RotationAction.DROP_PENDING not in actions or Source.CURRENT in logs_in
            promoted = works if Source.CURRENT in logs_in else logs_in
            assert RotationAction.PROMOTE_PENDING not in actions or Source.PENDING in promoted
            assert RotationAction.PROMOTE_PREVIOUS not in actions or Source.PREVIOUS in works
            assert RotationAction.PROMOTE_ORPHAN not in actions or Source.ORPHAN in works
            if actions[:1] == (RotationAction.PROMOTE_PREVIOUS,):
                assert Source.CURRENT not in logs_in


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        (answers(), Verdict.LOCKED_OUT),
        (answers(current=Answer.WEAK), Verdict.CURRENT_IS_WEAK),
        (answers(pending=Answer.WEAK, current=Answer.REFUSED), Verdict.WEAK_IN_FORCE),
        (answers(pending=Answer.WEAK, current=Answer.UNKNOWN), Verdict.UNCLEAR),
        (answers(pending=Answer.ACCEPTED, current=Answer.UNKNOWN), Verdict.PENDING_WORKS),
        (answers(pending=Answer.UNREADABLE, current=Answer.ACCEPTED), Verdict.NOT_APPLIED),
        (answers(current=Answer.REFUSED, previous=Answer.UNKNOWN), Verdict.UNCLEAR),
        (answers(current=Answer.REFUSED, previous=Answer.NOT_TRIED), Verdict.LOCKED_OUT),
        (answers(current=Answer.REFUSED, previous=Answer.WEAK), Verdict.UNCLEAR),
    ],
)
def test_verdicts_that_are_easily_wrong(given: tuple[VersionAnswer, ...], verdict: Verdict) -> None:
    assert verdict_of(given) is verdict


# --- L8: AWSPENDING is stuck


def test_l8_a_pending_value_in_force_is_promoted() -> None:
    world = begun(SingleUser(), *STEPS[:2])
    found = status(world, SingleUser())
    assert (found.verdict, found.proposed) == (Verdict.IN_FORCE, RotationAction.PROMOTE_PENDING)
    assert told(found) == {"PENDING": "ACCEPTED", "CURRENT": "REPLACED", "PREVIOUS": "REPLACED"}
    assert world.server.logins == [("app", True)]
    done = repair(world, SingleUser(), found)
    assert done.move is not None
    assert (done.action, done.move.to_version, done.move.from_version) == (RotationAction.PROMOTE_PENDING, V3, V2)
    assert not world.problems()
    assert status(world, SingleUser()).is_well


def test_l8_a_pending_value_that_the_target_does_not_know_is_dropped() -> None:
    world = begun(SingleUser(), *STEPS[:1])
    found = status(world, SingleUser())
    assert (found.verdict, found.proposed) == (Verdict.NOT_APPLIED, RotationAction.DROP_PENDING)
    assert world.server.logins == [("app", False), ("app", True)]
    assert repair(world, SingleUser(), found).action is RotationAction.DROP_PENDING
    assert (world.labels.holder(AWSPENDING), world.works()) == (None, True)
    assert status(world, SingleUser()).is_well


@pytest.mark.parametrize("step", ["createSecret", "setSecret"])
def test_l8_a_value_that_came_into_force_since_the_diagnosis_is_not_dropped(step: str) -> None:
    """Secrets Manager repeats a rotation that failed hours ago: nothing of it looks young."""
    world = begun(SingleUser(), *STEPS[: STEPS.index(step)])
    found = status(world, SingleUser())
    assert found.proposed is RotationAction.DROP_PENDING
    for following in STEPS[STEPS.index(step) : 2]:
        world.step(following, 3)
    with pytest.raises(RotationRefused, match="and is not seen to work now: wrong user or password") as caught:
        repair(world, SingleUser(), found)
    assert caught.value.hint.endswith("look at the status again")
    assert world.works(AWSPENDING)
    assert status(world, SingleUser()).proposed is RotationAction.PROMOTE_PENDING


def test_l8_a_value_in_force_that_may_not_do_its_work_is_told_and_can_be_promoted() -> None:
    world = begun(SingleUser(), *STEPS[:2])
    grants = set(world.server.accounts["app"].grants)
    world.server.accounts["app"].grants.clear()
    found = status(world, SingleUser())
    assert (found.verdict, found.obstacle) == (Verdict.WEAK_IN_FORCE, "")
    assert found.actions == (RotationAction.ROTATE, RotationAction.PROMOTE_PENDING)
    with pytest.raises(PrivilegeMissing):
        repair(world, SingleUser(), found)
    assert repair(world, SingleUser(), found, action="promote-pending").move is not None
    assert world.works()
    assert status(world, SingleUser()).verdict is Verdict.CURRENT_IS_WEAK
    world.server.accounts["app"].grants.update(grants)
    assert status(world, SingleUser()).is_well


@pytest.mark.parametrize(
    ("failure", "answer"),
    [(TargetError("test statement 1 failed"), Answer.WEAK), (TargetUnreachable("gone"), Answer.UNKNOWN)],
)
def test_a_statement_that_fails_says_nothing_against_the_password(
    failure: TargetError, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: FakeSession) -> None:
        raise failure

    world = RotationWorld(SingleUser())
    monkeypatch.setattr(FakeSession, "check_use", fail)
    (told_of_current,) = status(world, SingleUser()).answers
    assert (told_of_current.answer, told_of_current.detail) == (answer, str(failure))


def test_l8_a_version_without_a_value_is_dropped() -> None:
    world = begun(SingleUser())
    found = status(world, SingleUser())
    assert (found.verdict, told(found)["PENDING"]) == (Verdict.NOT_MADE, "EMPTY")
    assert repair(world, SingleUser(), found).action is RotationAction.DROP_PENDING
    assert status(world, SingleUser()).is_well


@pytest.mark.parametrize("strategy", [DualPassword(), AlternatingUsers()])
def test_l8_where_both_work_the_rotation_is_finished(strategy: Strategy) -> None:
    world = begun(strategy, *STEPS[:2])
    found = status(world, strategy)
    assert (found.verdict, found.proposed) == (Verdict.HALF_WAY, RotationAction.ROTATE)
    steps: list[StepProgress] = []
    done = repair(world, strategy, found, progress=steps.append)
    assert done.result is not None
    assert (done.result.version_id, done.result.was_resumed) == (V3, True)
    assert [step.step.value for step in steps if step.action is not None] == list(STEPS)
    assert not world.problems()


def test_l8_a_rotation_that_a_function_runs_is_not_taken_over_unless_that_is_said() -> None:
    world = begun(DualPassword(), *STEPS[:2])
    found = status(world, DualPassword())
    assert found.function_arn.startswith("arn:aws:lambda:")
    with pytest.raises(RotationRefused, match="is rotated by arn:aws:lambda"):
        repair(world, DualPassword(), found, despite_function=False)
    with pytest.raises(InvalidArgument, match="despite_function must be True or False"):
        repair(world, DualPassword(), found, despite_function="yes")
    assert repair(world, DualPassword(), found).result is not None


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_from_every_point_at_which_a_rotation_stops_repairs_lead_to_a_secret_that_works(strategy: Strategy) -> None:
    count = passed_by(strategy)
    assert count > 20
    for point in range(0, count, 1 if TAKES_ALL else 9):
        points = CrashPoints()
        world = RotationWorld(strategy, points=points)
        assert world.rotate(2).succeeded
        points.passed.clear()
        points.dies_at = point
        with pytest.raises(Stopped):
            rotated(world, strategy)
        points.dies_at = None
        world.fake.start_again()
        world.server.open_sessions = 0  # the process that had them is gone
        for _ in range(3):
            found = status(world, strategy)
            if found.is_well:
                break
            repair(world, strategy, found)
        assert status(world, strategy).is_well, point
        assert not [problem for problem in world.problems() if problem != "app_clone is half granted"], point
        world.clock.advance(60)
        rotated(world, strategy, V4)
        assert not world.problems(), point


def passed_by(strategy: Strategy) -> int:
    world = RotationWorld(strategy)
    assert world.rotate(2).succeeded
    world.points.passed.clear()
    rotated(world, strategy)
    return len(world.points.passed)


def rotated(world: RotationWorld, strategy: Strategy, token: str = V3) -> None:
    rotate(
        world.store,
        world.name,
        world.database,
        strategy,
        token=token,
        despite_function=True,
        clock=world.clock,
        sleep=world.clock.advance,
    )


# --- other ends


def test_a_secret_that_is_well_costs_one_login_and_needs_no_repair() -> None:
    world = RotationWorld(SingleUser())
    assert world.rotate(2).succeeded
    world.server.logins.clear()
    found = status(world, SingleUser())
    assert (found.is_well, found.proposed, found.obstacle) == (True, None, "")
    assert world.server.logins == [("app", True)]
    assert repair(world, SingleUser(), found) == RotationRepair()


def test_l12_after_a_rollback_that_the_target_does_not_know_the_version_in_force_is_promoted() -> None:
    world = RotationWorld(SingleUser())
    assert world.rotate(2).succeeded
    world.client.update_secret_version_stage(
        SecretId=world.name, VersionStage=AWSCURRENT, MoveToVersionId=V1, RemoveFromVersionId=V2
    )
    world.cancel()
    found = status(world, SingleUser())
    assert (found.verdict, found.proposed) == (Verdict.OLDER_IN_FORCE, RotationAction.PROMOTE_PREVIOUS)
    repair(world, SingleUser(), found)
    assert (world.labels.holder(AWSCURRENT), world.labels.holder(AWSPREVIOUS)) == (V2, V1)
    assert status(world, SingleUser()).is_well


def test_l13_the_value_of_a_cancelled_rotation_is_found_and_promoted() -> None:
    world = begun(SingleUser(), *STEPS[:2])
    world.cancel()
    found = status(world, SingleUser())
    assert told(found) == {"CURRENT": "REFUSED", "PREVIOUS": "REFUSED", "ORPHAN": "ACCEPTED"}
    assert (found.verdict, found.proposed) == (Verdict.ORPHAN_IN_FORCE, RotationAction.PROMOTE_ORPHAN)
    repair(world, SingleUser(), found)
    assert world.labels.holder(AWSCURRENT) == V3
    assert world.works()


@pytest.mark.parametrize("strategy", [SingleUser(recover_with_admin=True), DualPassword(), AlternatingUsers()])
def test_a_password_that_has_expired_is_replaced_by_a_rotation(strategy: Strategy) -> None:
    world = RotationWorld(strategy)
    world.server.accounts["app"].has_expired = True
    found = status(world, strategy)
    assert (found.verdict, found.proposed, found.obstacle) == (Verdict.RECOVERABLE, RotationAction.ROTATE, "")
    assert told(found) == {"CURRENT": "EXPIRED"}
    assert repair(world, strategy, found).result is not None
    assert status(world, strategy).is_well


@pytest.mark.parametrize(("strategy", "with_admin"), [(SingleUser(), True), (DualPassword(), False)])
def test_a_password_that_has_expired_is_told_where_no_administrator_may_help(
    strategy: Strategy, with_admin: bool
) -> None:
    world = RotationWorld(strategy, with_admin=with_admin)
    world.server.accounts["app"].has_expired = True
    found = status(world, strategy)
    assert (found.verdict, found.actions) == (Verdict.LOCKED_OUT, ())
    assert found.answers[0].detail == "the password has expired"


def test_a_secret_whose_password_nobody_knows_is_not_touched_unless_an_administrator_may_help() -> None:
    world = RotationWorld(SingleUser())
    world.server.accounts["app"].take("set by hand")
    found = status(world, SingleUser())
    assert (found.verdict, found.obstacle) == (Verdict.LOCKED_OUT, "no version that was tried works")
    with pytest.raises(RotationRefused, match="nothing can be done without more being known") as caught:
        repair(world, SingleUser(), found)
    assert "wrong user or password" in caught.value.hint
    helped = SingleUser(recover_with_admin=True)
    found = status(world, helped)
    assert (found.verdict, found.proposed) == (Verdict.RECOVERABLE, RotationAction.ROTATE)
    repair(world, helped, found)
    assert world.works()


def test_probing_ends_at_a_locked_account_and_at_a_target_that_is_not_there() -> None:
    world = begun(SingleUser(), *STEPS[:1])
    world.server.accounts["app"].is_locked = True
    found = status(world, SingleUser())
    assert told(found) == {"PENDING": "UNKNOWN", "CURRENT": "NOT_TRIED", "PREVIOUS": "NOT_TRIED"}
    assert (found.verdict, len(world.server.logins)) == (Verdict.UNCLEAR, 1)
    with pytest.raises(RotationRefused, match="does not tell which version works") as caught:
        repair(world, SingleUser(), found)
    assert "the account is locked" in caught.value.hint
    world.server.failure = TargetUnreachable("no answer", hint="is it started")
    answer = status(world, SingleUser()).answer_of(Source.PENDING)
    assert answer is not None
    assert (answer.answer, answer.detail, answer.hint) == (Answer.UNKNOWN, "no answer", "is it started")


def test_refused_logins_are_counted_so_that_no_account_is_locked() -> None:
    world = begun(SingleUser(), *STEPS[:1], server=FakeServer(locks_after=3))
    world.server.accounts["app"].take("set by hand")
    found = status(world, SingleUser(), most_refusals=2)
    assert told(found) == {"PENDING": "REFUSED", "CURRENT": "REFUSED", "PREVIOUS": "NOT_TRIED"}
    assert not world.server.accounts["app"].is_locked


def test_no_value_is_tried_twice() -> None:
    world = RotationWorld(SingleUser())
    world.put(2, fields(masterarn=world.value()["masterarn"]), AWSPENDING)
    found = status(world, SingleUser())
    assert (found.verdict, len(world.server.logins)) == (Verdict.HALF_WAY, 1)


def test_orphans_are_tried_within_the_number_of_refusals_too() -> None:
    world = RotationWorld(SingleUser())
    for number in (2, 3):
        world.put(number, {**world.value(), "password": f"left {number}"}, AWSPENDING)
    world.client.update_secret_version_stage(SecretId=world.name, VersionStage=AWSPENDING, RemoveFromVersionId=V3)
    world.server.accounts["app"].take("set by hand")
    found = status(world, SingleUser(), most_refusals=2)
    assert [answer.answer.name for answer in found.answers] == ["REFUSED", "REFUSED", "NOT_TRIED"]


def test_a_clone_that_is_locked_until_it_is_complete_does_not_end_the_probing() -> None:
    world = begun(AlternatingUsers(), *STEPS[:1])
    world.server.accounts["app"].is_locked = True  # V2 is the clone's, so V3 is for the account
    found = status(world, AlternatingUsers())
    assert told(found) == {"PENDING": "REFUSED", "CURRENT": "ACCEPTED", "PREVIOUS": "UNKNOWN"}
    assert found.proposed is RotationAction.DROP_PENDING
    world.server.accounts["app_clone"].is_locked = True
    found = status(world, AlternatingUsers())
    assert told(found) == {"PENDING": "REFUSED", "CURRENT": "UNKNOWN", "PREVIOUS": "NOT_TRIED"}
    assert found.verdict is Verdict.UNCLEAR


def test_a_half_granted_clone_is_told_and_completed() -> None:
    world = RotationWorld(AlternatingUsers())
    world.fake.rotate(world.name, lambda event, context: None, token=V2)
    for step in STEPS[:2]:
        world.step(step, 2)
    world.server.accounts["app_clone"].grants.discard("write b")
    found = status(world, AlternatingUsers())
    pending = found.answer_of(Source.PENDING)
    assert pending is not None
    assert (pending.answer, pending.detail) == (Answer.WEAK, "the clone lacks what the account has: write b")
    assert (found.verdict, found.proposed) == (Verdict.HALF_GRANTED, RotationAction.ROTATE)
    repair(world, AlternatingUsers(), found)
    assert not world.problems()


def test_privileges_that_cannot_be_compared_are_not_taken_for_complete() -> None:
    world = begun(AlternatingUsers(), *STEPS[:2])
    world.server.accounts["root"].take("changed by hand")
    pending = status(world, AlternatingUsers()).answer_of(Source.PENDING)
    assert pending is not None
    assert pending.answer is Answer.WEAK
    assert pending.detail.startswith("its privileges cannot be compared: the server does not accept the admin")


def test_a_rotation_that_alternating_users_could_not_do_is_not_proposed() -> None:
    world = begun(AlternatingUsers(), *STEPS[:2])
    world.server.accounts[world.value()["username"]].take("changed by hand")
    found = status(world, AlternatingUsers())
    assert found.actions == (RotationAction.PROMOTE_PENDING,)
    assert "an administrator acts only for one that does" in found.obstacle
    with pytest.raises(RotationRefused, match="rotate is not possible") as caught:
        repair(world, AlternatingUsers(), found, action="rotate")
    assert caught.value.hint == "what can be done now: promote-pending"


def test_l6_what_somebody_has_put_meanwhile_is_not_replaced() -> None:
    world = begun(DualPassword(), *STEPS[:2])
    world.put(4, world.value())
    found = status(world, DualPassword())
    assert found.obstacle.startswith("AWSCURRENT has moved from version")
    assert (found.verdict, found.actions) == (Verdict.HALF_WAY, (RotationAction.DROP_PENDING,))


@pytest.mark.parametrize(
    "pending",
    [{"username": "other"}, {"host": "elsewhere.example"}, {"masterarn": "x"}, {"engine": "mysql"}, "no JSON"],
)
def test_l4_a_pending_value_for_something_else_is_not_tried(pending: Mapping[str, Any] | str) -> None:
    world = RotationWorld(SingleUser())
    world.put(2, pending if isinstance(pending, str) else {**world.value(), **pending}, AWSPENDING)
    found = status(world, SingleUser())
    assert told(found) == {"PENDING": "UNFIT", "CURRENT": "ACCEPTED"}
    assert found.actions == (RotationAction.DROP_PENDING,), "a rotation would be refused"
    assert found.obstacle == found.answers[0].detail
    assert world.server.logins == [("app", True)]


@pytest.mark.parametrize(
    ("previous", "answer", "verdict"),
    [
        ({"masterarn": "another"}, "ACCEPTED", Verdict.OLDER_IN_FORCE),
        ({"username": "other"}, "UNFIT", Verdict.LOCKED_OUT),
        ({"host": "elsewhere.example"}, "UNFIT", Verdict.LOCKED_OUT),
        ({"engine": "mysql"}, "UNFIT", Verdict.LOCKED_OUT),
    ],
)
def test_l5_a_previous_version_is_tried_if_it_is_for_the_same_account(
    previous: Mapping[str, Any], answer: str, verdict: Verdict
) -> None:
    world = RotationWorld(SingleUser())
    world.put(2, {**world.value(), **previous}, AWSPREVIOUS)
    world.put(3, {**world.value(), "password": "never set"}, AWSPENDING)
    world.client.update_secret_version_stage(
        SecretId=world.name, VersionStage=AWSCURRENT, MoveToVersionId=V3, RemoveFromVersionId=V1
    )
    world.client.update_secret_version_stage(
        SecretId=world.name, VersionStage=AWSPREVIOUS, MoveToVersionId=V2, RemoveFromVersionId=V1
    )
    found = status(world, SingleUser())
    assert told(found)["PREVIOUS"] == answer
    assert found.verdict is verdict


def test_an_account_that_may_do_nothing_is_told_and_left() -> None:
    world = RotationWorld(SingleUser())
    world.server.accounts["app"].grants.clear()
    found = status(world, SingleUser())
    assert (found.verdict, found.answers[0].detail) == (Verdict.CURRENT_IS_WEAK, "the login may do nothing")
    assert (found.is_well, repair(world, SingleUser(), found)) == (False, RotationRepair())


def test_without_a_current_version_the_pending_one_is_promoted_if_it_works() -> None:
    world = RotationWorld(SingleUser())
    with pytest.MonkeyPatch.context() as patch:
        read = type(world.store).read

        def unreadable(store: Any, secret_id: str, *, version_id: str | None = None, **options: Any) -> Secret:
            if version_id == V1:
                raise SecretKeyUnavailable("the key is disabled")
            return read(store, secret_id, version_id=version_id, **options)

        world.put(2, fields(), AWSPENDING)
        patch.setattr(type(world.store), "read", unreadable)
        found = status(world, SingleUser())
    assert told(found) == {"PENDING": "ACCEPTED", "CURRENT": "UNREADABLE"}
    assert found.proposed is RotationAction.PROMOTE_PENDING


def test_a_secret_without_any_value_is_not_guessed_at(tmp_path: Path) -> None:
    store = local_store(tmp_path / "secrets.db")
    store.create(NewSecret("empty", None))
    found = rotation_status(store, "empty", Gate(""))
    assert (found.answers, found.verdict, found.obstacle) == ((), Verdict.LOCKED_OUT, "")
    with pytest.raises(RotationRefused) as caught:
        repair_rotation(store, found, Gate(""))
    assert caught.value.hint == "set the value in the target by hand to that of AWSCURRENT, then look again"


def test_a_young_pending_version_is_left_alone_for_its_rotation_may_still_run() -> None:
    world = begun(SingleUser(), *STEPS[:1])
    versions = {version.version_id: version.created for version in world.store.versions(world.name)}
    made = versions[V3] or datetime.now(UTC)
    for age_s, verdict in ((899, Verdict.RUNNING), (901, Verdict.NOT_APPLIED)):
        found = status(world, SingleUser(), min_age_s=900, now=lambda age_s=age_s: made + timedelta(seconds=age_s))
        assert found.verdict is verdict
    found = status(world, SingleUser(), min_age_s=900, now=lambda: made)
    with pytest.raises(RotationRefused, match="may still run") as caught:
        repair(world, SingleUser(), found)
    assert "min_age_s=0" in caught.value.hint
    assert world.labels.holder(AWSPENDING) == V3


def test_a_label_that_has_moved_since_is_left_where_it_is() -> None:
    world = begun(SingleUser(), *STEPS[:2])
    found = status(world, SingleUser())
    world.put(5, fields(password="put meanwhile"))
    with pytest.raises(SecretConflict):
        repair(world, SingleUser(), found)
    assert world.value()["password"] == "put meanwhile"


def test_no_value_is_in_what_is_told() -> None:
    world = begun(SingleUser(), *STEPS[:2])
    shown = repr(status(world, SingleUser()))
    for stage in (AWSCURRENT, AWSPENDING, AWSPREVIOUS):
        assert world.value(stage)["password"] not in shown


class FailingPoints(CrashPoints):
    """The service or the server fails at one point, where the others let the process die."""

    def point(self, name: str) -> None:
        self.passed.append(name)
        if len(self.passed) - 1 == self.dies_at:
            raise TargetUnreachable(f"failed {name}")


def test_no_frame_of_a_status_that_fails_holds_a_password() -> None:
    canary, failed = "canary-5d1c", 0
    for point in range(0, 40, 1 if TAKES_ALL else 4):
        points = FailingPoints()
        server = FakeServer(points)
        server.accounts["app"] = Account((f"{canary}-1",), {"read a"})
        world = RotationWorld(SingleUser(), points=points, server=server, value={"password": f"{canary}-1"})
        world.put(2, {**world.value(), "password": f"{canary}-2"}, AWSPENDING)
        points.passed.clear()
        points.dies_at = point
        try:
            found = status(world, SingleUser())
        except EnvelopeError as error:
            failed += 1
            stack = traceback.TracebackException.from_exception(error, capture_locals=True).stack
            own = [frame for frame in stack if "/secrets/envelope_secrets/" in frame.filename]
            assert own
            assert not [frame.name for frame in own if canary in repr(frame.locals)]
        else:
            assert canary not in repr(found)
        if point > len(points.passed):
            break
    assert failed > 1


# --- targets that are no databases


class Gate:
    """A rotator of somebody's own."""

    def __init__(self, token: str, error: Exception | None = None) -> None:
        self.token, self.error, self.waits = token, error, 0

    def new_value(self, rotation: Rotation) -> str:
        raise NotImplementedError

    apply = retire = new_value

    def verify(self, rotation: Rotation, pending: Secret) -> None:
        if self.error is not None:
            raise self.error
        self.waits += rotation.deadline.pause(1.0)
        if pending.text != self.token:
            raise LoginRefused("the gate does not know it")


def gate_status(folder: Path, gate: Gate, **options: Any) -> RotationDiagnosis:
    clock = FakeClock()
    store = local_store(folder / "secrets.db")
    store.create(NewSecret("gate", NewVersion("the-first", V1)))
    store.put("gate", NewVersion("the-second", V2, stages=(AWSPENDING,)))
    return rotation_status(store, "gate", gate, min_age_s=0, clock=clock, sleep=clock.advance, **options)


def test_a_rotator_of_ones_own_is_asked_as_testsecret_asks_it(tmp_path: Path) -> None:
    gate = Gate("the-second")
    found = gate_status(tmp_path, gate)
    assert (told(found), found.verdict) == ({"PENDING": "ACCEPTED", "CURRENT": "REFUSED"}, Verdict.IN_FORCE)
    assert gate.waits == 1  # for the pending value alone


def test_an_exception_of_somebody_s_own_is_told_by_its_name_alone(tmp_path: Path) -> None:
    found = gate_status(tmp_path, Gate("x", ValueError("the-second is wrong")))
    assert found.answers[0].detail == "the rotator has raised ValueError"
    assert told(found) == {"PENDING": "UNKNOWN", "CURRENT": "NOT_TRIED"}


def test_bytes_are_compared_with_bytes_alone(tmp_path: Path) -> None:
    store = local_store(tmp_path / "secrets.db")
    store.create(NewSecret("gate", NewVersion(b"\xff", V1)))
    store.put("gate", NewVersion("text", V2, stages=(AWSPENDING,)))
    store.put("gate", NewVersion(b"\xff", V3, stages=(AWSPREVIOUS,)))
    found = rotation_status(store, "gate", SigningKey(), min_age_s=0)
    assert told(found) == {"PENDING": "UNFIT", "CURRENT": "UNFIT", "PREVIOUS": "UNFIT"}
    assert found.answers[2].detail == found.answers[1].detail
    assert (found.verdict, found.obstacle) == (Verdict.RECOVERABLE, "")


def test_a_signing_key_that_is_pending_is_made_current_by_a_rotation(tmp_path: Path) -> None:
    store = local_store(tmp_path / "secrets.db")
    store.create(NewSecret("key", NewVersion(json.dumps({"issuer": "us"}), V1)))
    rotate(store, "key", SigningKey(), token=V2)
    store.put("key", NewVersion(store.read("key").text, V3, stages=(AWSPENDING,)))
    found = rotation_status(store, "key", SigningKey(), min_age_s=0)
    assert (found.verdict, found.proposed) == (Verdict.HALF_WAY, RotationAction.ROTATE)
    assert repair_rotation(store, found, SigningKey()).result is not None
    assert store.describe("key").labels.holder(AWSCURRENT) == V3


# --- what cannot be meant


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"most_refusals": 0}, "most_refusals must be 1 to 100"),
        ({"min_age_s": -1}, "min_age_s must be more than 0"),
        ({"min_age_s": False}, "min_age_s must be a number of seconds"),
        ({"timeout_s": 0}, "timeout_s must be more than 0"),
        ({"now": 3}, "now must be a function"),
        ({"clock": 3}, "clock must be a function"),
        ({"sleep": 3}, "sleep must be a function"),
    ],
)
def test_a_status_says_which_option_is_wrong(options: dict[str, Any], text: str) -> None:
    world = RotationWorld(SingleUser())
    with pytest.raises(InvalidArgument, match=text):
        status(world, SingleUser(), **options)
    assert not world.server.logins


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"action": "guess"}, "action must be one of drop-pending, .* not 'guess'"),
        ({"action": 3}, "action must be one of"),
        ({"diagnosis": "well"}, "diagnosis must be one of rotation_status, not str"),
        ({"sleep": 3}, "sleep must be a function"),
    ],
)
def test_a_repair_says_which_option_is_wrong(options: dict[str, Any], text: str) -> None:
    world = RotationWorld(SingleUser())
    with pytest.raises(InvalidArgument, match=text):
        repair(world, SingleUser(), **options)


def test_a_repair_that_is_not_possible_says_what_is() -> None:
    world = RotationWorld(SingleUser())
    with pytest.raises(RotationRefused, match="drop-pending is not possible: the current version works") as caught:
        repair(world, SingleUser(), action=RotationAction.DROP_PENDING)
    assert caught.value.hint == "nothing is to be done"


def test_progress_must_be_a_function() -> None:
    world = RotationWorld(SingleUser())
    progress: Any = "loud"
    with pytest.raises(InvalidArgument, match="progress must be a function"):
        rotate(world.store, world.name, world.database, SingleUser(), progress=progress)


def test_a_secret_that_is_not_there_is_told() -> None:
    world = RotationWorld(SingleUser())
    with pytest.raises(SecretNotFound):
        rotation_status(world.store, "nope", world.database, SingleUser())
    with pytest.raises(EnvelopeError, match="store must be a SecretStore"):
        rotation_status(world.client, "nope", world.database, SingleUser())
