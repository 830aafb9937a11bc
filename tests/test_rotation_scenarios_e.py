"""E1 to E21: a service, a server and an environment that fail, each in its own way."""

from __future__ import annotations

import json
import logging
import traceback
from functools import partial
from typing import Any, Literal

import pytest

from envelope.errors import AwsAccessDenied, AwsUnavailable, EnvelopeError, InvalidArgument
from envelope.testing import FakeClock
from envelope_secrets.errors import SecretConflict, SecretDeleted, SecretKeyUnavailable, SecretNotFound
from envelope_secrets.password import PasswordPolicy
from envelope_secrets.rotation import handler as handler_module
from envelope_secrets.rotation.alternating_users import AlternatingUsers
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.rotation.dual_password import DualPassword
from envelope_secrets.rotation.events import RotationEvent, Step
from envelope_secrets.rotation.failures import (
    AccountLocked,
    LoginRefused,
    OutOfTime,
    PasswordExpired,
    PasswordRefused,
    PrivilegeMissing,
    RotationRefused,
    TargetError,
    TargetUnreachable,
    TlsFailed,
)
from envelope_secrets.rotation.handler import rotation_handler
from envelope_secrets.rotation.hosts import HostAliases
from envelope_secrets.rotation.probing import TRIES_OTHERS, tries_others
from envelope_secrets.rotation.rotator import Rotation
from envelope_secrets.rotation.single_user import SingleUser
from envelope_secrets.rotation.strategy import Strategy, rotator_of
from envelope_secrets.rotation.tls import Tls
from envelope_secrets.rotation_control import RotationControl
from envelope_secrets.stages import AWSCURRENT, AWSPENDING, StageMove
from envelope_secrets.stores.secrets_manager import SecretsManagerStore
from envelope_secrets.testing import LambdaContext
from tests.database_rotations import ADMIN, RotationWorld, fields
from tests.fake_databases import Account, FakeDatabase, FakeServer
from tests.fake_secrets_for_tests import V1, V2, token

STRATEGIES = [SingleUser(), AlternatingUsers(), DualPassword()]
STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
OPERATIONS = ["DescribeSecret", "GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage"]


def begun(strategy: Strategy | None = None, **options: Any) -> RotationWorld:
    world = RotationWorld(strategy or SingleUser(), **options)
    world.clock.advance(60)
    world.fake.rotate(world.name, lambda event, context: None, token=V2)
    world.fake.clear_calls()
    return world


def steps(world: RotationWorld, *names: str) -> None:
    for name in names:
        world.step(name, 2)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_e1_a_throttled_call_fails_its_step_and_the_next_attempt_goes_on(operation: str) -> None:
    world = RotationWorld(SingleUser())
    world.fake.fail_next(operation, code="ThrottlingException")
    run = world.rotate(2, attempts=2)
    assert isinstance(next(step.error for step in run.steps if step.error), AwsUnavailable)
    assert run.succeeded
    assert not world.problems()


@pytest.mark.parametrize(("step", "operation"), [
    *[(step, "DescribeSecret") for step in STEPS],
    *[(step, "GetSecretValue") for step in STEPS],
    ("createSecret", "PutSecretValue"),
    ("finishSecret", "UpdateSecretVersionStage"),
])  # fmt: skip
def test_e1_calls_that_are_throttled_for_good_fail_the_step_soon(step: str, operation: str) -> None:
    world = begun()
    steps(world, *STEPS[: STEPS.index(step)])
    before, calls = world.clock.now(), world.fake.count()
    world.fake.fail_next(operation, code="ThrottlingException", times=1_000)
    with pytest.raises(AwsUnavailable) as caught:
        world.step(step, 2)
    assert caught.value.can_retry
    assert world.clock.now() - before < 5
    assert world.fake.count() - calls < 10


@pytest.mark.parametrize("operation", OPERATIONS)
def test_e2_a_denied_call_names_the_action_and_is_not_repeated(operation: str) -> None:
    world = RotationWorld(SingleUser())
    world.fake.deny(operation, principal=world.service.role)
    run = world.rotate(2)
    assert isinstance(run.error, AwsAccessDenied)
    assert f"secretsmanager:{operation}" in str(run.error)
    assert [call.error_code for call in world.fake.calls].count("AccessDeniedException") == 1


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_e2_no_password_is_asked_of_the_service_so_nobody_needs_to_allow_it(strategy: Strategy) -> None:
    world = RotationWorld(strategy)
    world.fake.deny("GetRandomPassword")
    assert world.rotate(2).succeeded
    assert world.fake.count("GetRandomPassword") == 0


def test_e2_a_function_that_may_not_be_invoked_is_told_and_nothing_has_changed() -> None:
    world = RotationWorld(SingleUser())
    before = world.labels
    with pytest.raises(AwsAccessDenied) as caught:
        RotationControl(world.store).configure(world.name, "arn:aws:lambda:eu-west-1:111122223333:function:none")
    assert "secretsmanager:RotateSecret" in str(caught.value)
    assert "the policy of the Lambda function has to let secretsmanager.amazonaws.com invoke it" in caught.value.hint
    assert (world.labels, world.store.describe(world.name).rotation.lambda_arn) == (before, "")


@pytest.mark.parametrize(
    ("operation", "code", "error"),
    [
        ("GetSecretValue", "DecryptionFailure", SecretKeyUnavailable),
        ("PutSecretValue", "EncryptionFailure", SecretKeyUnavailable),
        ("PutSecretValue", "AccessDeniedException", AwsAccessDenied),
    ],
)
def test_e3_a_key_that_does_not_work_fails_before_the_server_is_asked(
    operation: str, code: str, error: type[Exception]
) -> None:
    world = RotationWorld(SingleUser())
    world.fake.fail_next(operation, code=code)
    assert isinstance(world.rotate(2).error, error)
    assert not world.server.logins
    assert world.rotate(2).succeeded


def test_e4_a_secret_that_is_scheduled_for_deletion_is_given_up_before_the_server_changes() -> None:
    world = begun()
    world.step("createSecret", 2)
    world.client.delete_secret(SecretId=world.name)
    with pytest.raises(SecretDeleted) as caught:
        world.step("setSecret", 2)
    assert "the target has" not in caught.value.hint
    assert not world.server.logins


def test_e4_after_the_change_the_pending_password_is_live_and_a_restored_secret_goes_on() -> None:
    world = begun()
    steps(world, "createSecret", "setSecret")
    world.client.delete_secret(SecretId=world.name)
    for step in ("testSecret", "finishSecret"):
        with pytest.raises(SecretDeleted) as caught:
            world.step(step, 2)
        assert f"the target has the value of version {V2} since setSecret" in caught.value.hint
    world.client.restore_secret(SecretId=world.name)
    assert world.works(AWSPENDING)
    world.step("finishSecret", 2)
    assert world.works()


def test_e5_an_event_for_a_secret_that_was_made_again_finds_nothing() -> None:
    world = begun()
    world.client.delete_secret(SecretId=world.name, ForceDeleteWithoutRecovery=True)
    world.client.create_secret(Name=world.name, SecretString=json.dumps(fields()), ClientRequestToken=V1)
    with pytest.raises(SecretNotFound):
        world.step("createSecret", 2)
    assert not world.server.logins


@pytest.mark.parametrize("reads", [1, 2, 3])
def test_e6_what_is_a_moment_late_is_waited_for(reads: int) -> None:
    world = RotationWorld(SingleUser())
    world.fake.delay_reads(world.name, reads=reads)
    run = world.rotate(2, attempts=4)
    assert run.succeeded, [step.error for step in run.steps]
    world.fake.delay_reads(world.name)
    assert world.values_stored() == 2
    assert world.works()


def test_e6_what_does_not_come_is_an_error_after_a_while() -> None:
    world = begun()
    world.fake.delay_reads(world.name, reads=1_000)
    world.step("createSecret", 2)
    before = world.clock.now()
    with pytest.raises(RotationRefused, match="createSecret has not stored one"):
        world.step("setSecret", 2)
    assert 2 < world.clock.now() - before < 10
    world.fake.delay_reads(world.name)
    steps(world, *STEPS)
    assert world.values_stored() == 2


def test_e6_nobody_waits_longer_than_the_function_may_run() -> None:
    world = begun()
    event = {"Step": "setSecret", "SecretId": world.arn, "ClientRequestToken": V2}
    before = world.clock.now()
    with pytest.raises(RotationRefused):
        world.handler(event, LambdaContext(world.clock, before + 1.9, "arn"))
    assert world.clock.now() - before < 1


@pytest.mark.parametrize(
    ("kind", "hint"), [("connection", "check the network, name resolution and the endpoint"), ("timeout", "try again")]
)
@pytest.mark.parametrize("operation", ["DescribeSecret", "GetSecretValue", "PutSecretValue"])
def test_e7_no_way_to_the_service_is_told_as_such(
    operation: str, kind: Literal["connection", "timeout"], hint: str
) -> None:
    world = begun()
    world.fake.fail_next(operation, error=kind)
    with pytest.raises(AwsUnavailable, match=f"secretsmanager:{operation} ") as caught:
        world.step("createSecret", 2)
    assert caught.value.can_retry
    assert caught.value.hint.startswith(hint)
    assert world.values_stored() == 1


def test_e7_the_store_that_a_handler_makes_itself_gives_up_long_before_the_function_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = begun()
    made: list[object] = []

    def make() -> SecretsManagerStore:
        made.append(world.store)
        return world.store

    monkeypatch.setattr(handler_module, "_default_store", make)
    handler = rotation_handler(world.database, SingleUser())
    for step in STEPS:
        handler({"Step": step, "SecretId": world.arn, "ClientRequestToken": V2}, None)
    assert (made, world.works()) == ([world.store], True)


def test_e7_its_timeouts_leave_time_for_several_calls() -> None:
    store: Any = handler_module._default_store()
    options = store._calls.aws._options
    assert (options.connect_timeout_s, options.read_timeout_s, options.max_attempts) == (2.0, 4.0, 3)
    assert options.call_timeout_s == 13.0, "so two calls fit into the 30 seconds of a usual function"


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("failure", [TargetUnreachable("no route"), TlsFailed("no trust"), TargetError("no such name")])
def test_e8_a_server_that_cannot_be_reached_says_nothing_about_passwords(
    strategy: Strategy, failure: Exception
) -> None:
    world = begun(strategy)
    world.step("createSecret", 2)
    world.server.failure = failure
    with pytest.raises(type(failure)) as caught:
        world.step("setSecret", 2)
    assert caught.value is failure
    assert world.points.passed.count("before connect") == 1


@pytest.mark.parametrize("failure", [TargetUnreachable("no route"), TlsFailed("no trust"), TargetError("no such name")])
def test_e8_a_server_that_goes_away_does_not_say_that_the_pending_password_is_not_in_force(failure: Exception) -> None:
    world = begun(AlternatingUsers())
    world.step("createSecret", 2)

    def goes_away() -> None:
        if world.points.passed[-1] == "after require tls":  # what comes next is the look whether it is in force
            world.server.failure = failure

    world.points.at_each = goes_away
    with pytest.raises(type(failure)) as caught:
        world.step("setSecret", 2)
    assert caught.value is failure
    assert "set password" not in world.server.statements


@pytest.mark.parametrize("strategy", [SingleUser(), DualPassword(), SingleUser(recover_with_admin=True)])
def test_e9_a_locked_account_ends_the_probing(strategy: Strategy) -> None:
    world = begun(strategy)
    world.step("createSecret", 2)
    world.server.accounts["app"].is_locked = True
    for _ in range(3):
        with pytest.raises(AccountLocked):
            world.step("setSecret", 2)
    assert world.server.logins == [("app", False)] * 3


@pytest.mark.parametrize("strategy", [SingleUser(recover_with_admin=True), DualPassword(), AlternatingUsers()])
@pytest.mark.parametrize("rotations", [1, 2])
def test_e9_a_password_that_has_expired_is_replaced_by_an_administrator(strategy: Strategy, rotations: int) -> None:
    """Servers let passwords expire so that they are replaced."""
    world = RotationWorld(strategy)
    for number in range(2, 2 + rotations):
        for account in world.server.accounts.values():
            account.has_expired = not account.is_admin
        assert world.rotate(number).succeeded
        assert not world.problems()


def test_e9_a_password_that_expires_before_it_is_tried_is_replaced_too() -> None:
    world = begun(DualPassword())
    world.step("createSecret", 2)
    world.step("setSecret", 2)
    world.server.accounts["app"].has_expired = True
    with pytest.raises(PasswordExpired):
        world.step("testSecret", 2)
    assert world.rotate(2).succeeded
    assert not world.problems()


@pytest.mark.parametrize(
    ("strategy", "with_admin"),
    [(SingleUser(), True), (SingleUser(recover_with_admin=True), False), (DualPassword(), False)],
)
def test_e9_without_an_administrator_a_password_that_has_expired_is_told(strategy: Strategy, with_admin: bool) -> None:
    world = RotationWorld(strategy, with_admin=with_admin)
    world.server.accounts["app"].has_expired = True
    assert isinstance(world.rotate(2).error, PasswordExpired)
    assert world.server.logins.count(("app", True)) == 1, "the password is right"
    assert "set password" not in world.server.statements


def test_e9_an_expired_password_of_an_earlier_version_proves_whose_the_account_is() -> None:
    world = RotationWorld(AlternatingUsers())
    assert world.rotate(2).succeeded
    world.server.accounts["app"].has_expired = True
    assert world.rotate(3).succeeded
    assert not world.problems()


@pytest.mark.parametrize("strategy", [SingleUser(), DualPassword()])
def test_e9_a_password_that_two_versions_have_is_tried_once(strategy: Strategy) -> None:
    world = RotationWorld(strategy)
    world.put(2, fields(password="wrong"))
    world.put(3, fields(password="wrong"))
    assert isinstance(world.rotate(4).error, LoginRefused)
    assert world.server.logins == [("app", False)] * 2  # pending and current


@pytest.mark.parametrize(("strategy", "fails"), [(SingleUser(), 0), (DualPassword(), 1), (AlternatingUsers(), 1)])
def test_e9_a_usual_rotation_fails_to_log_in_at_most_once(strategy: Strategy, fails: int) -> None:
    """Somebody may watch the failed logins of an account."""
    world = RotationWorld(strategy)
    for number in (2, 3):
        world.server.logins.clear()
        assert world.rotate(number).succeeded
    assert [works for _, works in world.server.logins].count(False) == fails


@pytest.mark.parametrize("strategy", [SingleUser(), DualPassword()])
def test_e9_no_more_logins_are_refused_than_the_target_allows(strategy: Strategy) -> None:
    """The account would lock at the third, and refuse its right password too."""
    world = RotationWorld(strategy, server=FakeServer(locks_after=3), database=partial(FakeDatabase, most_refusals=2))
    world.put(2, fields(password="put by an operator"))
    world.put(3, fields(password="and another"))
    world.server.accounts["app"].take("set by hand")
    error = world.rotate(4).error
    assert isinstance(error, LoginRefused)
    assert "the next one (previous) was not, because one more refusal could lock the account" in str(error)
    assert "most_refusals=5 of the target" in error.hint
    assert world.server.logins == [("app", False)] * 2
    assert world.server.accepts("app", "set by hand")


def test_e9_what_is_newer_than_the_current_version_is_tried_before_what_is_not() -> None:
    """After a rollback, and after a rotation that was cancelled, the second login succeeds."""
    world = RotationWorld(SingleUser(), database=partial(FakeDatabase, most_refusals=2))
    assert world.rotate(2).succeeded
    world.store.move_stage(world.name, StageMove(AWSCURRENT, V1, V2))
    world.server.logins.clear()
    assert world.rotate(3).succeeded
    assert world.server.logins[:2] == [("app", False), ("app", True)]
    world.fake.rotate(world.name, lambda event, context: None, token=token(4))
    for step in STEPS[:2]:
        world.step(step, 4)
    world.cancel()
    world.server.logins.clear()
    assert world.rotate(5).succeeded
    assert world.server.logins[:2] == [("app", False), ("app", True)]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_e9_a_usual_rotation_survives_a_server_that_locks_after_two_failures(strategy: Strategy) -> None:
    world = RotationWorld(strategy, server=FakeServer(locks_after=2))
    world.server.points = world.points
    for number in (2, 3, 4):
        assert world.rotate(number).succeeded


def test_e10_a_password_that_the_server_refuses_leaves_the_old_one_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    world = begun()
    world.step("createSecret", 2)
    world.server.refuses_former = True
    world.server.accounts["app"].former_passwords.add(world.value(AWSPENDING)["password"])
    with pytest.raises(PasswordRefused):
        world.step("setSecret", 2)
    assert world.works()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_e10_passwords_follow_the_policy_of_the_target_or_of_the_rotation(strategy: Strategy) -> None:
    def database(server: FakeServer) -> FakeDatabase:
        return FakeDatabase(server, password_policy=PasswordPolicy(length=20, punctuation=False))

    world = begun(strategy, database=database)
    world.step("createSecret", 2)
    password = world.value(AWSPENDING)["password"]
    assert len(password) == 20
    assert password.isalnum()
    world = begun(strategy, password_policy=PasswordPolicy(length=41))
    world.step("createSecret", 2)
    assert len(world.value(AWSPENDING)["password"]) == 41


class SlowTarget:
    """A rotator whose target takes a while to know the new value."""

    def __init__(self, attempts: int) -> None:
        self.attempts = attempts

    def new_value(self, rotation: Rotation) -> str:
        return "next"

    def apply(self, rotation: Rotation, pending: object) -> None: ...

    retire = apply

    def verify(self, rotation: Rotation, pending: object) -> None:
        rotation.wait_until(self.attempt, again_after=(LoginRefused,), pause_s=2.0, most_s=12.0)

    def attempt(self) -> None:
        self.attempts -= 1
        if self.attempts:
            raise LoginRefused("not yet")


@pytest.mark.parametrize(("attempts", "succeeds"), [(1, True), (7, True), (8, False), (1_000, False)])
def test_e11_what_spreads_slowly_is_awaited_in_test_secret(attempts: int, succeeds: bool) -> None:
    world = RotationWorld(SingleUser())
    run = world.fake.rotate(world.name, world.handler_of(SlowTarget(attempts)), token=V2)
    assert run.succeeded is succeeds
    assert succeeds or isinstance(run.error, LoginRefused)


def test_e11_the_wait_ends_with_the_time_of_the_function() -> None:
    world = RotationWorld(SingleUser())
    clock = world.clock
    rotation = Rotation(world.arn, V2, world.store, Deadline(4.0, clock=clock, sleep=clock.advance), None)
    before = clock.now()
    with pytest.raises(LoginRefused):
        rotation.wait_until(SlowTarget(100).attempt, again_after=(LoginRefused,), pause_s=2.0, most_s=60.0)
    assert clock.now() - before == 2.0


@pytest.mark.parametrize("mode", ["verify-full", "verify-ca", "require"])
def test_e12_tls_is_said_by_a_word(mode: Any) -> None:
    assert Tls().mode == "verify-full"
    assert Tls(mode, ca_file="ca.pem").is_used
    assert not Tls("disable").is_used


@pytest.mark.parametrize(("options", "problem"), [
    ({"mode": "prefer"}, "tls must be one of verify-full, verify-ca, require, disable"),
    ({"mode": None}, "tls must be one of"),
    ({"ca_file": ""}, "ca_file must be the path"),
    ({"ca_file": 5}, "ca_file must be the path"),
])  # fmt: skip
def test_e12_no_other_word_is_taken(options: Any, problem: str) -> None:
    with pytest.raises(InvalidArgument, match=problem):
        Tls(**options)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_e12_a_secret_that_asks_for_tls_is_not_rotated_without(strategy: Strategy) -> None:
    world = RotationWorld(
        strategy, value={"ssl": True}, database=lambda server: FakeDatabase(server, tls=Tls("disable"))
    )
    run = world.rotate(2)
    assert isinstance(run.error, RotationRefused)
    assert "asks for TLS, and the rotation is configured to do without" in str(run.error)
    assert not world.server.logins


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_e12_no_private_connection_ends_it_without_another_attempt(strategy: Strategy) -> None:
    world = begun(
        strategy, value={"ssl": False}
    )  # which a program that could read no TLS has written: it weakens nothing
    world.step("createSecret", 2)
    world.server.failure = TlsFailed("no trust")
    with pytest.raises(TlsFailed):
        world.step("setSecret", 2)
    assert world.points.passed.count("before connect") == 1
    assert not world.server.statements


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_e13_nothing_is_changed_when_little_time_is_left(strategy: Strategy) -> None:
    world = begun(strategy)
    world.step("createSecret", 2)
    event = {"Step": "setSecret", "SecretId": world.arn, "ClientRequestToken": V2}
    with pytest.raises(OutOfTime, match=r"s are left, and .* may take 3 s") as caught:
        world.handler(event, LambdaContext(world.clock, world.clock.now() + 3.5, "arn"))
    assert caught.value.can_retry
    assert set(world.server.statements) <= {"select 1"}
    steps(world, *STEPS)
    assert not world.problems()


def test_e13_a_clone_is_not_given_its_password_when_the_grants_took_all_the_time() -> None:
    world = begun(AlternatingUsers())
    world.step("createSecret", 2)
    world.points.at_each = lambda: world.clock.advance(27 if world.points.passed[-1] == "after require tls" else 0)
    event = {"Step": "setSecret", "SecretId": world.arn, "ClientRequestToken": V2}
    with pytest.raises(OutOfTime, match="setting a password may take"):
        world.handler(event, LambdaContext(world.clock, world.clock.now() + 30, "arn"))
    assert not world.works(AWSPENDING)


def test_e13_a_deadline_keeps_a_second_back() -> None:
    clock = FakeClock()
    deadline = Deadline(10, clock=clock, sleep=clock.advance)
    assert deadline.left_s == 9
    assert deadline.at_most(5) == 5
    assert deadline.at_most(50) == 9
    assert deadline.pause(8)
    assert not deadline.pause(1)
    clock.advance(5)
    assert deadline.left_s == 0
    with pytest.raises(OutOfTime):
        deadline.at_most(5)


def test_e14_the_rotation_token_is_passed_on_and_shown_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    world = RotationWorld(SingleUser(), requires_rotation_token=True)
    caplog.set_level(logging.DEBUG)
    events: list[dict[str, str]] = []

    def handler(event: dict[str, str], context: Any) -> None:
        events.append(event)
        world.handler(event, context)

    assert world.fake.rotate(world.name, handler, token=V2).succeeded
    rotation_token = events[0]["RotationToken"]
    assert rotation_token not in caplog.text
    assert rotation_token not in repr(RotationEvent.parse(events[0]))
    assert f"createSecret of {world.arn}, version {V2}: a value is made and stored" in caplog.text


@pytest.mark.parametrize("code", ["ThrottlingException", "AccessDeniedException", "InvalidParameterException"])
def test_e14_a_call_that_fails_does_not_show_the_rotation_token(code: str, caplog: pytest.LogCaptureFixture) -> None:
    world = RotationWorld(SingleUser())
    caplog.set_level(logging.DEBUG)
    events: list[dict[str, str]] = []

    def handler(event: dict[str, str], context: Any) -> None:
        events.append(event)
        world.handler(event, context)

    world.fake.fail_next("PutSecretValue", code=code)
    error = world.fake.rotate(world.name, handler, token=V2).error
    assert isinstance(error, EnvelopeError)
    shown = "".join(traceback.format_exception(error)) + error.hint + repr(vars(error)) + caplog.text
    assert "PutSecretValue" in shown
    assert events[0]["RotationToken"] not in shown


GOOD = {"Step": "createSecret", "SecretId": "arn:aws:x", "ClientRequestToken": V2}


@pytest.mark.parametrize(
    ("event", "problem"),
    [
        (None, "it is no JSON object"),
        ([], "it is no JSON object"),
        ({}, "its field Step names none"),
        ({**GOOD, "Step": "create_secret"}, "its field Step names none"),
        ({**GOOD, "Step": ["createSecret"]}, "its field Step names none"),
        ({**GOOD, "SecretId": None}, "its field SecretId is missing"),
        ({**GOOD, "SecretId": "arn:canary\r\nFAKE LOG LINE"}, "its field SecretId is missing or malformed"),
        ({**GOOD, "SecretId": "arn:canary\n"}, "its field SecretId is missing or malformed"),
        ({**GOOD, "ClientRequestToken": "canary"}, "its field ClientRequestToken"),
        ({**GOOD, "ClientRequestToken": 5}, "its field ClientRequestToken"),
        ({**GOOD, "RotationToken": "canary"}, "its field RotationToken"),
        ({**GOOD, "RotationToken": "canary\n" * 10}, "its field RotationToken"),
    ],
)
def test_e15_what_is_no_event_is_refused_and_not_quoted(event: Any, problem: str) -> None:
    with pytest.raises(RotationRefused, match=problem) as caught:
        RotationEvent.parse(event)
    assert "canary" not in f"{caught.value}{caught.value.hint}"


def test_e15_an_event_with_unknown_fields_is_an_event() -> None:
    event = RotationEvent.parse({**GOOD, "RotationToken": None, "New": 1})
    assert (event.step, event.rotation_token, event.is_announced) == (Step.CREATE, None, True)


@pytest.mark.parametrize("name", ["o'app", 'o"app', "app\\", "a%sp;--", "my app", "añ🔑", "a" * 57])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_e16_names_with_any_characters_are_carried_through(strategy: Strategy, name: str) -> None:
    server = FakeServer()
    server.accounts[name] = Account(("'; DROP",), {"read"})
    server.accounts["app"] = server.accounts[name]
    world = RotationWorld(strategy, server=server, value={"username": name, "password": "'; DROP"})
    assert world.rotate(2).succeeded
    assert world.works()


def test_e16_a_clone_whose_name_would_be_too_long_is_refused_before_it_is_made() -> None:
    world = RotationWorld(AlternatingUsers(), value={"username": "a" * 58})
    run = world.rotate(2)
    assert isinstance(run.error, RotationRefused)
    assert "the clone's name would have 64 characters, and the server takes 63" in str(run.error)
    assert not world.server.logins


CANARY = "canary-5b1d"


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("trouble", ["none", "wrong password", "locked", "malformed"])
def test_e17_no_value_is_in_a_log_or_an_error(
    strategy: Strategy, trouble: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(PasswordPolicy, "__repr__", lambda self: "policy")
    server = FakeServer()
    server.accounts["app"] = Account(
        (CANARY if trouble == "none" else "other",), {"read"}, is_locked=trouble == "locked"
    )
    value: Any = {"password": CANARY} if trouble != "malformed" else f'{{"password": "{CANARY}"'
    world = RotationWorld(strategy, server=server, value=value)
    caplog.clear()  # what put the secrets there was another program, which may not have our log filters
    run = world.rotate(2)
    assert run.succeeded is (trouble == "none")
    assert caplog.text
    pending = "" if trouble == "malformed" else world.value(AWSCURRENT if run.succeeded else AWSPENDING)["password"]
    shown = caplog.text + "".join("".join(traceback.format_exception(step.error)) for step in run.steps if step.error)
    assert CANARY not in shown
    assert not pending or pending not in shown
    assert "rootpw" not in shown


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_e18_sessions_that_are_open_go_on(strategy: Strategy) -> None:
    world = RotationWorld(strategy)
    sessions = []
    for number in (2, 3, 4):
        sessions.append(world.server.login(_credentials(world)))
        assert world.rotate(number).succeeded
        for session in sessions:
            session.check_use()


def _credentials(world: RotationWorld) -> Any:
    from envelope_secrets.rotation.credentials import parse_credentials

    return parse_credentials(world.store.read(world.name), world.database)


def test_e19_grants_that_came_or_went_since_the_last_rotation_are_followed() -> None:
    world = RotationWorld(AlternatingUsers())
    for number, grants in enumerate([{"read a"}, {"read a", "read c"}, {"read c"}, {"read d"}], start=2):
        world.server.accounts["app"].grants = set(grants)
        assert world.rotate(number).succeeded
        assert world.server.accounts["app_clone"].grants == grants


def test_e19_the_users_take_turns() -> None:
    world = RotationWorld(AlternatingUsers())
    users = []
    for number in range(2, 6):
        assert world.rotate(number).succeeded
        users.append(world.value()["username"])
    assert users == ["app_clone", "app"] * 2


def test_e19_an_account_that_only_looks_like_a_clone_is_not_taken_for_one() -> None:
    world = RotationWorld(AlternatingUsers(), value={"username": "app_clone"})
    world.server.accounts["app_clone"] = Account(("first",), {"read"})
    run = world.rotate(2)
    assert isinstance(run.error, RotationRefused)
    assert "no version of the secret shows whether it is a clone" in str(run.error)
    world = RotationWorld(AlternatingUsers(suffix="_clone"), value={"username": "_clone"})
    world.server.accounts["_clone"] = Account(("first",), {"read"})
    assert world.rotate(2).succeeded
    assert world.value()["username"] == "_clone_clone"


def test_e19_a_malformed_previous_version_says_nothing_about_the_users() -> None:
    world = RotationWorld(AlternatingUsers())
    assert world.rotate(2).succeeded
    world.put(3, "no json")
    world.put(4, world.value_of(2))
    assert isinstance(world.rotate(5).error, RotationRefused)


def test_e20_an_administrators_secret_that_changes_meanwhile_is_read_once_more() -> None:
    world = begun(AlternatingUsers())
    world.step("createSecret", 2)
    world.server.accounts["root"].take("newer")
    admin = f"{world.name}-{ADMIN}"
    reads = 0

    def changes() -> None:
        nonlocal reads
        if world.points.passed[-1] == "before connect" and world.server.logins[-1:] == [("app", True)] and not reads:
            reads += 1
            world.client.put_secret_value(SecretId=admin, SecretString=json.dumps(fields("root", "newer")))

    world.points.at_each = changes
    world.step("setSecret", 2)
    assert reads == 1
    assert [login for login in world.server.logins if login[0] == "root"] == [("root", False), ("root", True)]


@pytest.mark.parametrize("strategy", [AlternatingUsers(), DualPassword(), SingleUser(recover_with_admin=True)])
def test_e20_an_administrators_secret_that_does_not_work_is_tried_once(strategy: Strategy) -> None:
    world = begun(strategy)
    world.step("createSecret", 2)
    world.server.accounts["root"].take("newer")
    if isinstance(strategy, SingleUser):
        world.server.accounts["app"].take("by hand")
    with pytest.raises(LoginRefused, match="does not accept the administrator's secret"):
        world.step("setSecret", 2)
    assert world.server.logins.count(("root", False)) == 1


def test_e20_a_locked_administrator_is_not_tried_again() -> None:
    world = begun(AlternatingUsers())
    world.step("createSecret", 2)
    world.server.accounts["root"].is_locked = True
    with pytest.raises(AccountLocked, match="the administrator's secret that masterarn names: the account is locked"):
        world.step("setSecret", 2)
    assert world.server.logins == [("app", True), ("root", False)]


def test_e20_without_an_administrators_secret_users_cannot_alternate() -> None:
    world = RotationWorld(AlternatingUsers(), with_admin=False)
    run = world.rotate(2)
    assert isinstance(run.error, RotationRefused)
    assert "no field masterarn" in str(run.error)


def test_e20_an_administrator_acts_only_for_who_knows_the_accounts_password() -> None:
    world = RotationWorld(AlternatingUsers(), value={"username": "root", "password": "guess"})
    run = world.rotate(2)
    assert isinstance(run.error, LoginRefused)
    assert world.server.accepts("root", "rootpw")
    assert not world.server.statements


def test_e20_without_an_administrator_two_passwords_are_set_by_the_account_itself() -> None:
    world = RotationWorld(DualPassword(), with_admin=False)
    assert world.rotate(2).succeeded
    assert world.server.accounts["app"].passwords == (world.value()["password"], "first")


def test_e20_a_server_with_one_password_for_each_account_is_no_server_for_two() -> None:
    world = RotationWorld(DualPassword(), server=FakeServer(keeps_two_passwords=False), with_admin=False)
    run = world.rotate(2)
    assert isinstance(run.error, TargetError)
    assert "AlternatingUsers" in run.error.hint
    assert not world.server.statements


@pytest.mark.parametrize("strategy", [AlternatingUsers, DualPassword])
def test_e21_an_administrator_of_another_host_is_refused_unless_both_are_one_server(strategy: Any) -> None:
    for same_host, succeeds in ((None, False), (HostAliases("proxy.example", "db.example"), True)):
        world = RotationWorld(strategy() if same_host is None else strategy(same_host=same_host))
        admin = f"{world.name}-{ADMIN}"
        value = fields("root", "rootpw", host="proxy.example")
        world.client.put_secret_value(SecretId=admin, SecretString=json.dumps(value))
        world.server.hosts.add("proxy.example")
        run = world.rotate(2)
        assert run.succeeded is succeeds
        assert succeeds or "is for another server" in str(run.error)


# What goes together


def test_the_table_of_probing_knows_every_answer_of_a_server() -> None:
    assert {TargetError, *TargetError.__subclasses__(), AccountLocked} - {PasswordRefused} <= set(TRIES_OTHERS)
    assert [kind for kind, tries in TRIES_OTHERS.items() if tries] == [LoginRefused]

    class Newer(AccountLocked):
        pass

    assert not tries_others(Newer("x"))
    assert tries_others(LoginRefused("x"))


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("target", [object(), FakeDatabase, "postgres", SlowTarget(1)])
def test_a_strategy_wants_a_database(strategy: Strategy, target: object) -> None:
    with pytest.raises(InvalidArgument, match="target must be a kind of database, like PostgreSql"):
        rotator_of(target, strategy)


def test_a_rotator_of_ones_own_has_four_methods() -> None:
    assert isinstance(rotator_of(SlowTarget(1), None), SlowTarget)
    with pytest.raises(InvalidArgument, match="FakeDatabase is no rotator: it has no new_value"):
        rotator_of(FakeDatabase(FakeServer()), None)


@pytest.mark.parametrize(
    ("make", "options", "problem"),
    [
        (SingleUser, {"recover_with_admin": 1}, "recover_with_admin must be True or False"),
        (SingleUser, {"same_host": "x"}, "same_host must be a function of two credentials, not str"),
        (DualPassword, {"same_host": HostAliases}, "same_host must be a function of two credentials, not type"),
        (AlternatingUsers, {"same_host": None}, "same_host must be a function of two credentials"),
        (AlternatingUsers, {"suffix": ""}, "suffix must be text of 1 to 30 characters"),
        (AlternatingUsers, {"suffix": "x" * 31}, "suffix must be text of 1 to 30 characters"),
        (AlternatingUsers, {"suffix": 5}, "suffix must be text of 1 to 30 characters"),
        (AlternatingUsers, {"suffix": "a\0"}, "suffix must be text of 1 to 30 characters"),
        (rotation_handler, {"store": "x"}, "store must be a SecretStore, not str"),
        (rotation_handler, {"timeout_s": 0}, "timeout_s must be"),
        (rotation_handler, {"clock": 0}, "clock must be a function"),
        (rotation_handler, {"sleep": 0}, "sleep must be a function"),
        (rotation_handler, {"password_policy": 8}, "password_policy must be a PasswordPolicy"),
    ],
)
def test_options_of_the_wrong_type_are_refused(make: Any, options: dict[str, Any], problem: str) -> None:
    target = {"target": SlowTarget(1)} if make is rotation_handler else {}
    with pytest.raises(InvalidArgument, match=problem):
        make(**target, **options)


def test_a_login_that_may_do_nothing_is_not_promoted() -> None:
    world = RotationWorld(SingleUser())
    world.server.accounts["app"].grants = set()
    assert isinstance(world.rotate(2).error, PrivilegeMissing)
    assert world.labels.holder(AWSCURRENT) == V1


def test_a_conflict_that_is_none_of_ours_is_told() -> None:
    world = begun()
    steps(world, *STEPS[:3])
    world.fake.fail_next("UpdateSecretVersionStage", code="InvalidParameterException")
    with pytest.raises(SecretConflict):
        world.step("finishSecret", 2)
