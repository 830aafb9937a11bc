"""L1 to L14: labels and versions in every state that a rotation can find them in."""

from __future__ import annotations

import json
import traceback
from pathlib import Path
from typing import Any

import pytest

from envelope.errors import AwsUnavailable, InvalidArgument
from envelope_secrets.errors import SecretConflict, SecretRefused
from envelope_secrets.rotation.alternating_users import AlternatingUsers
from envelope_secrets.rotation.dual_password import DualPassword
from envelope_secrets.rotation.failures import LoginRefused, RotationRefused
from envelope_secrets.rotation.in_process import rotate
from envelope_secrets.rotation.single_user import SingleUser
from envelope_secrets.rotation.strategy import Strategy
from envelope_secrets.stages import AWSCURRENT, AWSPENDING, AWSPREVIOUS
from envelope_secrets.stores.local import LocalSecretStore
from envelope_secrets.stores.protocol import NewSecret, NewVersion
from tests.crash_points import CrashPoints
from tests.database_rotations import RotationWorld, fields
from tests.fake_databases import Account, FakeDatabase, FakeServer
from tests.fake_secrets_for_tests import V1, V2, V3, V4, token

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
CANARY = "canary-9e07"


def begun(strategy: Strategy | None = None, **options: Any) -> RotationWorld:
    """A world in which V2 is announced, and has no value."""
    world = RotationWorld(strategy or SingleUser(), **options)
    world.clock.advance(60)
    world.fake.rotate(world.name, lambda event, context: None, token=V2)
    return world


def steps(world: RotationWorld, *names: str, number: int = 2) -> None:
    for name in names:
        world.step(name, number)


@pytest.mark.parametrize("step", STEPS)
def test_l1_an_unknown_token_is_refused(step: str) -> None:
    world = begun()
    with pytest.raises(RotationRefused, match="the secret has no version with the token of this event"):
        world.step(step, 9)
    assert not world.server.logins


@pytest.mark.parametrize("step", STEPS)
def test_l1_a_version_without_awspending_is_refused(step: str) -> None:
    world = begun()
    world.put(5, fields(), "custom")
    with pytest.raises(RotationRefused, match="does not have the staging label AWSPENDING") as caught:
        world.step(step, 5)
    assert "which version the target accepts" in caught.value.hint
    assert not world.server.logins


@pytest.mark.parametrize("step", STEPS)
def test_l1_the_current_version_is_done_already(step: str) -> None:
    world = begun()
    world.fake.clear_calls()
    world.step(step, 1)
    assert not world.server.logins
    assert {call.operation for call in world.fake.calls} <= {"DescribeSecret", "GetSecretValue"}, "without work"


def test_l2_rotation_that_was_never_configured_is_not_refused_and_one_that_is_off_is() -> None:
    world = RotationWorld(SingleUser(), with_admin=False)
    world.put(2, fields(password="second"), AWSPENDING)
    steps(world, *STEPS[1:])
    assert world.works()
    world = begun()
    world.client.cancel_rotate_secret(SecretId=world.name)
    with pytest.raises(RotationRefused, match="rotation is turned off"):
        world.step("createSecret", 2)


@pytest.mark.parametrize("step", STEPS[1:])
def test_l3_a_version_without_a_value_is_refused_without_asking_the_server(step: str) -> None:
    world = begun()
    with pytest.raises(RotationRefused, match="createSecret has not stored one"):
        world.step(step, 2)
    assert not world.server.logins


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (CANARY, "is no JSON"),
        (CANARY.encode() + b"\x00", "is binary"),
        (fields(password=CANARY, engine="mysql"), "its field engine is none of"),
        (fields("other", CANARY), "names another user than the current version"),
        (fields(password=CANARY, host="evil.example"), "names another server than"),
        (fields(password=CANARY, port=6432), "names another server than"),
        (fields(password=CANARY, engine="aurora-postgresql"), "names another server than"),
        (fields(password=CANARY, masterarn="arn:of-mine"), "names another administrator's secret"),
    ],
)
@pytest.mark.parametrize("strategy", [SingleUser(), DualPassword()])
def test_l4_a_pending_value_of_another_account_is_refused_before_connecting(
    strategy: Strategy, value: Any, problem: str
) -> None:
    world = begun(strategy, with_admin=False)
    world.put(2, value, AWSPENDING)
    for step in ("setSecret", "testSecret"):
        with pytest.raises(RotationRefused, match=problem) as caught:
            world.step(step, 2)
        assert "take AWSPENDING away" in caught.value.hint
        assert CANARY not in "".join(traceback.format_exception(caught.value)) + caught.value.hint
    assert not world.server.logins


def test_l4_with_alternating_users_the_pending_user_is_the_other_one() -> None:
    world = begun(AlternatingUsers())
    world.put(2, {**world.value(), "username": "root", "password": CANARY}, AWSPENDING)
    with pytest.raises(
        RotationRefused, match="neither for the clone of the current user, nor for the account"
    ) as caught:
        world.step("setSecret", 2)
    assert "take AWSPENDING away" in caught.value.hint
    assert CANARY not in "".join(traceback.format_exception(caught.value)) + caught.value.hint
    assert not world.server.logins


@pytest.mark.parametrize("value", ["no json", b"\x00", fields("other"), fields(host="elsewhere.example"), None])
@pytest.mark.parametrize("strategy", [SingleUser(), DualPassword(), AlternatingUsers()])
def test_l5_a_previous_version_that_does_not_fit_is_as_good_as_none(strategy: Strategy, value: Any) -> None:
    world = RotationWorld(strategy)
    if value is not None:
        world.put(2, value)
        world.put(3, {**json.loads(world.client.get_secret_value(SecretId=world.name, VersionId=V1)["SecretString"])})
    assert world.rotate(4).succeeded
    assert world.works()


@pytest.mark.parametrize("value", ["no json", b"\x00", fields("other"), fields(host="elsewhere.example"), None])
def test_l5_a_previous_version_that_does_not_fit_is_not_tried(value: Any) -> None:
    world = RotationWorld(SingleUser())
    if value is None:
        world.server.accounts["app"].take("by hand")
    else:
        world.put(2, value)
        world.put(3, fields(password="wrong"))
    run = world.rotate(4)
    assert isinstance(run.error, LoginRefused)
    assert world.server.logins == [("app", False)] * 2  # current and pending


def test_l5_a_previous_version_that_fits_is_tried() -> None:
    world = RotationWorld(SingleUser())
    world.put(2, fields(password="wrong"))
    assert world.rotate(3).succeeded
    assert world.server.logins[:3] == [("app", False), ("app", False), ("app", True)]


@pytest.mark.parametrize("after", ["createSecret", "setSecret", "testSecret"])
def test_l6_a_version_that_an_operator_put_meanwhile_is_not_demoted(after: str) -> None:
    world = begun(with_admin=False)
    steps(world, *STEPS[: STEPS.index(after) + 1])
    world.put(3, fields(password="by hand"))
    world.client.update_secret_version_stage(SecretId=world.name, VersionStage=AWSPENDING, MoveToVersionId=V2)
    with pytest.raises(RotationRefused, match=r"AWSCURRENT has moved from version v1-* to v3-* since") as caught:
        world.step("setSecret" if after == "createSecret" else "finishSecret", 2)
    assert "both values are kept" in caught.value.hint
    assert world.labels.holder(AWSCURRENT) == V3
    assert AWSPENDING in world.labels.stages_of(V2)


def test_l6_a_move_between_the_look_and_the_swap_is_noticed_by_the_service() -> None:
    world = begun()
    steps(world, *STEPS[:3])

    def operator() -> None:
        if world.points.passed[-1] == "before UpdateSecretVersionStage":
            world.points.at_each = lambda: None
            world.put(3, fields(password="by hand"))

    world.points.at_each = operator
    with pytest.raises(RotationRefused, match="AWSCURRENT has moved"):
        world.step("finishSecret", 2)
    assert world.labels.holder(AWSCURRENT) == V3


def test_l7_a_secret_gets_its_first_value_from_a_rotation() -> None:
    class FirstValue:
        def new_value(self, rotation: Any) -> str:
            assert rotation.current is None
            return "first"

        def apply(self, rotation: Any, pending: Any) -> None: ...

        verify = retire = apply

    world = RotationWorld(SingleUser())
    world.client.create_secret(Name="empty")
    handler = world.handler_of(FirstValue())
    assert world.fake.rotate("empty", handler, token=V2).succeeded
    assert world.client.get_secret_value(SecretId="empty")["SecretString"] == "first"
    world.client.create_secret(Name="another")
    with pytest.raises(RotationRefused, match="its first value would be current before it is tried"):
        rotate(world.store, "another", FirstValue())


def test_l7_no_database_secret_begins_without_a_version_that_says_which_account() -> None:
    world = RotationWorld(SingleUser())
    world.client.create_secret(Name="empty")
    run = world.fake.rotate("empty", world.handler, token=V2)
    assert isinstance(run.error, RotationRefused)
    assert "no current version, so nothing says which account" in str(run.error)


def test_l8_a_rotation_in_this_process_takes_up_what_is_stuck() -> None:
    world = begun()
    steps(world, "createSecret", "setSecret")
    assert not world.works()
    with pytest.raises(RotationRefused, match="is rotated by arn:aws:lambda"):
        rotate(world.store, world.name, world.database, SingleUser())
    world.client.cancel_rotate_secret(SecretId=world.name)
    result = rotate(world.store, world.name, world.database, SingleUser(), clock=world.clock, sleep=world.clock.advance)
    assert (result.version_id, result.previous_version_id, result.was_resumed) == (V2, V1, True)
    assert not world.problems()


@pytest.mark.parametrize("cleans_up", [True, False])
def test_l9_awspending_may_stay_on_the_current_version_or_not(cleans_up: bool) -> None:
    world = RotationWorld(SingleUser(), cleans_up_pending=cleans_up)
    for number in (2, 3, 4):
        assert world.rotate(number).succeeded
        assert world.labels.holder(AWSPENDING) == (None if cleans_up else token(number))
        assert not world.problems()
    world.client.cancel_rotate_secret(SecretId=world.name)
    result = rotate(world.store, world.name, world.database, SingleUser(), clock=world.clock, sleep=world.clock.advance)
    assert (result.previous_version_id, result.was_resumed) == (V4, False), "nothing was left to go on with"
    assert not world.problems()


@pytest.mark.parametrize("strategy", [SingleUser(), DualPassword(), AlternatingUsers()])
def test_l9_no_step_takes_awspending_away(strategy: Strategy) -> None:
    world = begun(strategy)
    steps(world, *STEPS)
    assert world.labels.stages_of(V2) >= {AWSCURRENT, AWSPENDING}


def test_l10_a_move_whose_reply_is_lost_has_been_made() -> None:
    world = begun()
    steps(world, *STEPS[:3])
    world.fake.lose_replies("UpdateSecretVersionStage")
    world.step("finishSecret", 2)
    assert world.labels.holder(AWSCURRENT) == V2


def test_l10_a_move_whose_lost_reply_had_it_repeated_has_been_made() -> None:
    """The first call arrives and its reply does not; what comes is the refusal of its repetition."""
    world = begun()
    steps(world, *STEPS[:3])

    def first_call() -> None:
        if world.points.passed[-1] == "before UpdateSecretVersionStage":
            world.points.at_each = lambda: None
            world.client.update_secret_version_stage(
                SecretId=world.name, VersionStage=AWSCURRENT, RemoveFromVersionId=V1, MoveToVersionId=V2
            )

    world.points.at_each = first_call
    world.step("finishSecret", 2)
    moves = [call.error_code for call in world.fake.calls if call.operation == "UpdateSecretVersionStage"]
    assert moves == [None, "InvalidParameterException"]
    assert world.labels.holder(AWSCURRENT) == V2


def test_l10_a_move_that_did_not_arrive_is_repeated_by_the_service() -> None:
    world = begun()
    steps(world, *STEPS[:3])
    world.fake.fail_next("UpdateSecretVersionStage", error="timeout")
    with pytest.raises(AwsUnavailable):
        world.step("finishSecret", 2)
    world.step("finishSecret", 2)
    assert world.labels.holder(AWSCURRENT) == V2


@pytest.mark.parametrize("operation", ["PutSecretValue", "UpdateSecretVersionStage"])
def test_l11_a_quota_that_is_reached_is_told_and_not_tried_for_ever(operation: str) -> None:
    world = RotationWorld(SingleUser())
    world.fake.fail_next(operation, code="LimitExceededException")
    run = world.rotate(2)
    assert isinstance(run.error, SecretRefused)
    assert "a quota of the service is reached" in str(run.error)
    assert world.fake.count(operation) == 1


@pytest.mark.parametrize("strategy", [SingleUser(), DualPassword(), AlternatingUsers()])
def test_l12_after_a_rollback_the_next_rotation_ends_well(strategy: Strategy) -> None:
    world = RotationWorld(strategy)
    assert world.rotate(2).succeeded
    world.client.update_secret_version_stage(
        SecretId=world.name, VersionStage=AWSCURRENT, RemoveFromVersionId=V2, MoveToVersionId=V1
    )
    assert world.labels.holder(AWSPREVIOUS) == V2
    run = world.rotate(3)
    assert run.succeeded, run.error
    assert not world.problems()


@pytest.mark.parametrize("strategy", [SingleUser(), DualPassword(), AlternatingUsers()])
def test_l13_a_rotation_that_was_cancelled_behind_the_change_is_recovered_from(strategy: Strategy) -> None:
    world = begun(strategy)
    steps(world, "createSecret", "setSecret")
    world.cancel()
    run = world.rotate(3)
    assert run.succeeded, run.error
    assert not world.problems()


def test_l13_where_no_password_works_an_administrator_may_recover_if_asked_to() -> None:
    for strategy, recovers in ((SingleUser(), False), (SingleUser(recover_with_admin=True), True)):
        world = RotationWorld(strategy)
        world.server.accounts["app"].take("by hand")
        run = world.rotate(2)
        assert run.succeeded is recovers
        assert recovers or (isinstance(run.error, LoginRefused) and "recover_with_admin" in run.error.hint)
        assert world.works() is recovers


def test_l13_without_an_administrators_secret_nobody_recovers() -> None:
    world = RotationWorld(SingleUser(recover_with_admin=True), with_admin=False)
    world.server.accounts["app"].take("by hand")
    assert isinstance(world.rotate(2).error, LoginRefused)


@pytest.mark.parametrize("strategy", [SingleUser(), DualPassword(), AlternatingUsers()])
def test_l14_a_test_of_the_configuration_changes_nothing(strategy: Strategy) -> None:
    world = RotationWorld(strategy)
    before = {name: account.passwords for name, account in world.server.accounts.items()}
    run = world.rotate(2, immediately=False)
    assert run.succeeded, run.error
    assert [step.step for step in run.steps] == ["testSecret"]
    assert world.server.statements == ["select 1"]
    assert {name: account.passwords for name, account in world.server.accounts.items()} == before


# The same in this process, on a store that nobody else drives


@pytest.fixture(name="local")
def _local(tmp_path: Path) -> LocalSecretStore:
    from envelope import RawAesKeyring

    keyring = RawAesKeyring(namespace="tests", name="one", wrapping_key=bytes(32))
    store = LocalSecretStore(tmp_path / "secrets", keyring)
    store.create(NewSecret("prod/db", NewVersion(json.dumps(fields()), V1)))
    return store


def local_server() -> FakeServer:
    server = FakeServer(CrashPoints())
    server.accounts["app"] = Account(("first",), {"read"})
    return server


def test_a_local_secret_is_rotated_in_this_process(local: LocalSecretStore) -> None:
    server = local_server()
    for number in (2, 3):
        result = rotate(local, "prod/db", FakeDatabase(server), SingleUser(), token=token(number))
        assert (result.version_id, result.previous_version_id) == (token(number), token(number - 1))
        assert not result.was_resumed
        value = local.read("prod/db").json
        assert server.accepts("app", value["password"])


def test_a_rotation_is_not_repeated_with_the_token_of_the_current_version(local: LocalSecretStore) -> None:
    server = local_server()
    rotate(local, "prod/db", FakeDatabase(server), SingleUser(), token=V2)
    logins = len(server.logins)
    assert rotate(local, "prod/db", FakeDatabase(server), SingleUser(), token=V2).version_id == V2
    assert len(server.logins) == logins


def test_a_local_rotation_is_begun_by_one_process_only(
    local: LocalSecretStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = local.describe("prod/db")
    local.announce("prod/db", V3)
    monkeypatch.setattr(LocalSecretStore, "describe", lambda self, secret_id: seen)  # what it saw a moment before that
    with pytest.raises(SecretConflict):
        rotate(local, "prod/db", FakeDatabase(local_server()), SingleUser(), token=V4)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"store": "x"}, "store must be a SecretStore, not str"),
        ({"token": "short"}, "token "),
        ({"timeout_s": 0}, "timeout_s must be"),
        ({"clock": 1}, "clock must be a function"),
        ({"sleep": 1}, "sleep must be a function"),
        ({"password_policy": "x"}, "password_policy must be a PasswordPolicy, PasswordPolicies or None, not str"),
        ({"strategy": "x"}, "strategy must be one like"),
    ],
)
def test_options_of_the_wrong_type_are_refused(local: LocalSecretStore, options: dict[str, Any], problem: str) -> None:
    given = {"store": local, "strategy": SingleUser(), **options}
    store, strategy = given.pop("store"), given.pop("strategy")
    with pytest.raises(InvalidArgument, match=problem):
        rotate(store, "prod/db", FakeDatabase(local_server()), strategy, **given)


def test_l13_a_version_of_a_cancelled_rotation_that_cannot_be_read_is_left_out() -> None:
    world = begun(with_admin=False)
    world.step("createSecret", 2)
    world.cancel()
    world.server.accounts["app"].take("by hand")

    def unreadable() -> None:
        if world.points.passed[-1] == "after ListSecretVersionIds":
            world.fake.fail_next("GetSecretValue", code="DecryptionFailure")

    world.points.at_each = unreadable
    assert isinstance(world.rotate(3).error, LoginRefused)
    assert world.server.logins == [("app", False)] * 2
