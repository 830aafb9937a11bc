"""Rotations in the fake: RotateSecret, the steps that it drives, retries, tests, cancellation, both legal ends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from envelope.errors import InvalidArgument
from envelope_secrets.testing import FaultySecretsManager, LambdaContext, Stopped
from tests.fake_secrets_for_tests import (
    FUNCTION,
    NAME,
    PENDING,
    READER,
    UNKNOWN,
    V1,
    V2,
    V3,
    created,
    labels,
    move,
    put,
    refused,
    token,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
STEPS = ["createSecret", "setSecret", "testSecret", "finishSecret"]


class Rotator:
    """A rotation handler that does its work, notes what it was asked, and fails where it is told to."""

    def __init__(self, client: Any, *, fails_in: dict[str, int] | None = None) -> None:
        self.client = client
        self.fails_in = dict(fails_in or {})
        self.events: list[dict[str, Any]] = []
        self.values: list[str] = []
        self.before: Callable[[str], object] = lambda step: None

    def __call__(self, event: dict[str, Any], context: LambdaContext) -> None:
        self.events.append(event)
        self.before(event["Step"])
        if self.fails_in.get(event["Step"], 0):
            self.fails_in[event["Step"]] -= 1
            raise ConnectionError("no route to the database")
        stages = self.client.describe_secret(SecretId=event["SecretId"])["VersionIdsToStages"]
        if "AWSCURRENT" not in stages[event["ClientRequestToken"]]:
            getattr(self, event["Step"])(event["SecretId"], event["ClientRequestToken"])

    def createSecret(self, arn: str, version_id: str) -> None:  # noqa: N802 - the step's name
        try:
            self.client.get_secret_value(SecretId=arn, VersionId=version_id, VersionStage=PENDING)
        except self.client.exceptions.ResourceNotFoundException:
            self.values.append(f"made-{len(self.values)}")
            self.client.put_secret_value(
                SecretId=arn, ClientRequestToken=version_id, SecretString=self.values[-1], VersionStages=[PENDING]
            )

    def setSecret(self, arn: str, version_id: str) -> None:  # noqa: N802 - the step's name
        self.client.get_secret_value(SecretId=arn, VersionId=version_id, VersionStage=PENDING)

    def testSecret(self, arn: str, version_id: str) -> None:  # noqa: N802 - the step's name
        self.setSecret(arn, version_id)

    def finishSecret(self, arn: str, version_id: str) -> None:  # noqa: N802 - the step's name
        stages = self.client.describe_secret(SecretId=arn)["VersionIdsToStages"]
        current = next((key for key, labels in stages.items() if "AWSCURRENT" in labels), None)
        if current != version_id:
            from_ = {} if current is None else {"RemoveFromVersionId": current}
            self.client.update_secret_version_stage(
                SecretId=arn, VersionStage="AWSCURRENT", MoveToVersionId=version_id, **from_
            )


@pytest.fixture(name="fake")
def _fake() -> FaultySecretsManager:
    return FaultySecretsManager()


def steps(rotator: Rotator) -> list[str]:
    return [event["Step"] for event in rotator.events]


# The steps


def test_a_rotation_has_four_steps_with_one_token(fake: FaultySecretsManager) -> None:
    client = created(fake)
    rotator = Rotator(client)
    run = fake.rotate(NAME, rotator, token=V2)
    assert (run.version_id, run.succeeded, run.was_cancelled, run.error) == (V2, True, False, None)
    assert [(step.attempt, step.step, step.error) for step in run.steps] == [(1, step, None) for step in STEPS]
    arn = client.describe_secret(SecretId=NAME)["ARN"]
    for step, event in zip(STEPS, rotator.events, strict=True):
        assert event.keys() == {"Step", "SecretId", "ClientRequestToken", "RotationToken"}
        assert (event["Step"], event["SecretId"], event["ClientRequestToken"]) == (step, arn, V2)
        assert event["RotationToken"] == rotator.events[0]["RotationToken"]
    assert labels(client) == "v1:V v2:C"
    assert client.describe_secret(SecretId=NAME)["LastRotatedDate"] == START


def test_awspending_may_also_stay_where_the_rotation_left_it() -> None:
    fake = FaultySecretsManager(cleans_up_pending=False)
    client = created(fake)
    rotator = Rotator(client)
    assert fake.rotate(NAME, rotator, token=V2).succeeded
    assert labels(client) == "v1:V v2:C,P"
    assert fake.rotate(NAME, rotator, token=V3).succeeded
    assert labels(client) == "v1:- v2:V v3:C,P"


def test_the_first_value_of_a_secret_can_be_rotated_in(fake: FaultySecretsManager) -> None:
    client = created(fake, value=None)
    assert fake.rotate(NAME, Rotator(client), token=V1).succeeded
    assert labels(client) == "v1:C"


def test_the_context_tells_the_time_that_is_left(fake: FaultySecretsManager) -> None:
    created(fake)
    told: list[Any] = []

    def handler(event: dict[str, Any], context: LambdaContext) -> None:
        told.append(context.get_remaining_time_in_millis())
        fake.clock.advance(20)
        told.append(context.get_remaining_time_in_millis())
        fake.clock.advance(20)
        told.append(context.get_remaining_time_in_millis())
        told.append((context.function_name, context.invoked_function_arn.rpartition(":")[0]))

    fake.rotate(NAME, handler)
    assert told[:3] == [30_000, 10_000, 0]
    assert told[3] == ("rotate-in-a-test", "arn:aws:lambda:eu-west-1:111122223333:function")


def test_a_step_that_fails_ends_the_attempt_and_the_entire_process_is_tried_again(fake: FaultySecretsManager) -> None:
    client = created(fake)
    rotator = Rotator(client, fails_in={"setSecret": 1, "finishSecret": 1})
    run = fake.rotate(NAME, rotator, token=V2, attempts=3)
    assert run.succeeded
    assert steps(rotator) == STEPS[:2] + STEPS + STEPS
    assert [type(step.error).__name__ for step in run.steps if step.error] == ["ConnectionError"] * 2
    assert rotator.values == ["made-0"]
    assert {event["ClientRequestToken"] for event in rotator.events} == {V2}


def test_after_the_last_failure_awspending_stays_and_blocks_the_next_rotation(fake: FaultySecretsManager) -> None:
    client = created(fake)
    rotator = Rotator(client, fails_in={"testSecret": 2})
    fake.register_function(FUNCTION, rotator)
    run = fake.rotate(NAME, rotator, token=V2, attempts=2)
    assert (run.succeeded, type(run.error)) == (False, ConnectionError)
    assert labels(client) == "v1:C v2:P"
    with refused("InvalidRequestException", "A previous rotation isn't complete. That rotation will be reattempted."):
        client.rotate_secret(SecretId=NAME, ClientRequestToken=V3)
    with pytest.raises(InvalidArgument, match="cannot start: InvalidRequestException: A previous rotation"):
        fake.rotate(NAME, rotator, token=V3)
    assert fake.rotate(NAME, rotator).version_id == V2
    assert labels(client) == "v1:V v2:C"


def test_a_handler_that_leaves_awspending_on_a_version_of_its_own_has_not_rotated(fake: FaultySecretsManager) -> None:
    client = created(fake)
    run = fake.rotate(NAME, lambda event, context: None, token=V2)
    assert (run.succeeded, run.error, len(run.steps)) == (False, None, 4)
    assert labels(client) == "v1:C v2:P?"


def test_a_process_that_dies_in_a_step_is_another_process_in_the_next_one(fake: FaultySecretsManager) -> None:
    client = created(fake)
    rotator = Rotator(client)
    fake.stop_after(3, reply_arrives=False)
    run = fake.rotate(NAME, rotator, token=V2, attempts=2)
    assert isinstance(run.steps[0].error, Stopped)
    assert run.succeeded
    assert rotator.values == ["made-0"]
    assert client.get_secret_value(SecretId=NAME)["SecretString"] == "made-0"


@pytest.mark.parametrize("calls", range(12))
@pytest.mark.parametrize("reply_arrives", [True, False])
def test_a_rotation_survives_a_death_after_any_call(
    fake: FaultySecretsManager, calls: int, reply_arrives: bool
) -> None:
    client = created(fake)
    rotator = Rotator(client)
    fake.stop_after(calls, reply_arrives=reply_arrives)
    run = fake.rotate(NAME, rotator, token=V2, attempts=2)
    fake.start_again()
    assert run.succeeded
    assert labels(client) == "v1:V v2:C"
    assert client.get_secret_value(SecretId=NAME)["SecretString"] == rotator.values[-1]


def test_a_rotation_of_an_earlier_version_can_be_delivered_again(fake: FaultySecretsManager) -> None:
    client = created(fake)
    rotator = Rotator(client)
    fake.rotate(NAME, rotator, token=V2)
    assert fake.rotate(NAME, rotator, token=V2).succeeded
    assert (rotator.values, len(rotator.events)) == (["made-0"], 8)


# By the API


def test_rotate_secret_announces_and_run_rotations_does_it(fake: FaultySecretsManager) -> None:
    client = created(fake)
    rotator = Rotator(client)
    fake.register_function(FUNCTION, rotator)
    told = client.rotate_secret(SecretId=NAME, ClientRequestToken=V2, RotationLambdaARN=FUNCTION)
    assert told["VersionId"] == V2
    assert labels(client) == "v1:C v2:P?"
    assert rotator.events == []
    assert [run.succeeded for run in fake.run_rotations()] == [True]
    assert labels(client) == "v1:V v2:C"
    assert fake.run_rotations() == []
    client.rotate_secret(SecretId=NAME, ClientRequestToken=V2)
    assert fake.run_rotations() == []


def test_rotate_secret_can_run_it_before_its_reply() -> None:
    fake = FaultySecretsManager(rotates_at_once=True)
    client = created(fake)
    fake.register_function(FUNCTION, Rotator(client))
    client.rotate_secret(SecretId=NAME, ClientRequestToken=V2, RotationLambdaARN=FUNCTION)
    assert labels(client) == "v1:V v2:C"


def test_a_failed_rotation_is_tried_again_by_the_next_run(fake: FaultySecretsManager) -> None:
    client = created(fake)
    fake.register_function(FUNCTION, Rotator(client, fails_in={"createSecret": 1}))
    client.rotate_secret(SecretId=NAME, ClientRequestToken=V2, RotationLambdaARN=FUNCTION)
    assert [run.succeeded for run in fake.run_rotations()] == [False]
    assert [run.succeeded for run in fake.run_rotations()] == [True]


def test_a_secret_without_a_function_is_not_rotated(fake: FaultySecretsManager) -> None:
    client = created(fake)
    with refused("InvalidRequestException", "No Lambda rotation function ARN is associated with this secret."):
        client.rotate_secret(SecretId=NAME)
    assert "RotationEnabled" not in client.describe_secret(SecretId=NAME)


def test_a_function_that_cannot_be_invoked_is_refused_and_nothing_changes(fake: FaultySecretsManager) -> None:
    client = created(fake)
    with refused("AccessDeniedException", "Secrets Manager cannot invoke the specified Lambda function."):
        client.rotate_secret(SecretId=NAME, RotationLambdaARN=FUNCTION)
    assert "RotationEnabled" not in client.describe_secret(SecretId=NAME)
    assert labels(client) == "v1:C"


RULES = [
    ({"AutomaticallyAfterDays": 30}, START + timedelta(days=30)),
    ({"ScheduleExpression": "rate(10 days)", "Duration": "3h"}, START + timedelta(days=10)),
    ({"ScheduleExpression": "rate(4 hours)"}, START + timedelta(hours=4)),
    ({"ScheduleExpression": "cron(0 8 1 * ? *)"}, START + timedelta(hours=8)),
]


@pytest.mark.parametrize(("rules", "next_date"), RULES, ids=lambda value: str(value)[:50])
def test_a_schedule_is_told_with_the_next_date(
    fake: FaultySecretsManager, rules: dict[str, Any], next_date: datetime
) -> None:
    client = created(fake)
    fake.register_function(FUNCTION, Rotator(client))
    client.rotate_secret(SecretId=NAME, RotationLambdaARN=FUNCTION, RotationRules=rules)
    told = client.describe_secret(SecretId=NAME)
    assert (told["RotationEnabled"], told["RotationLambdaARN"], told["RotationRules"]) == (True, FUNCTION, rules)
    assert told["NextRotationDate"] == next_date
    fake.clock.advance(3_600)
    put(client, 3)
    moved = client.describe_secret(SecretId=NAME)["NextRotationDate"] - next_date
    assert moved == timedelta(0) if "cron" in str(rules) else timedelta(hours=1)


@pytest.mark.parametrize(
    "rules",
    [
        {"AutomaticallyAfterDays": 30, "ScheduleExpression": "rate(30 days)"},
        {"AutomaticallyAfterDays": 1_001},
        {"ScheduleExpression": "rate(3 hours)"},
        {"ScheduleExpression": "every day"},
        {"ScheduleExpression": "rate(30 days)", "Duration": "25h"},
    ],
    ids=str,
)
def test_a_schedule_that_cannot_be_is_refused(fake: FaultySecretsManager, rules: dict[str, Any]) -> None:
    client = created(fake)
    fake.register_function(FUNCTION, Rotator(client))
    with refused("InvalidParameterException"):
        client.rotate_secret(SecretId=NAME, RotationLambdaARN=FUNCTION, RotationRules=rules)


def test_a_new_schedule_takes_the_place_of_the_old_one(fake: FaultySecretsManager) -> None:
    client = created(fake)
    fake.register_function(FUNCTION, Rotator(client))
    client.rotate_secret(SecretId=NAME, RotationLambdaARN=FUNCTION, RotationRules={"AutomaticallyAfterDays": 30})
    fake.run_rotations()
    client.rotate_secret(SecretId=NAME, RotationRules={"ScheduleExpression": "rate(4 hours)", "Duration": "2h"})
    rules = client.describe_secret(SecretId=NAME)["RotationRules"]
    assert rules == {"ScheduleExpression": "rate(4 hours)", "Duration": "2h"}


# A test only


def test_a_rotation_that_is_not_immediate_only_tests_a_copy_of_the_current_value(fake: FaultySecretsManager) -> None:
    client = created(fake)
    rotator = Rotator(client)
    seen = []
    rotator.before = lambda step: seen.append((step, labels(client)))
    fake.register_function(FUNCTION, rotator)
    told = client.rotate_secret(
        SecretId=NAME, ClientRequestToken=V2, RotationLambdaARN=FUNCTION, RotateImmediately=False
    )
    assert (told["VersionId"], labels(client)) == (V2, "v1:C")
    assert [run.succeeded for run in fake.run_rotations()] == [True]
    assert seen == [("testSecret", "v1:C v2:P")]
    assert labels(client) == "v1:C"
    assert client.describe_secret(SecretId=NAME)["RotationEnabled"]
    assert "LastRotatedDate" not in client.describe_secret(SecretId=NAME)
    assert fake.run_rotations() == []


def test_a_test_that_fails_leaves_nothing_behind(fake: FaultySecretsManager) -> None:
    client = created(fake)
    run = fake.rotate(NAME, Rotator(client, fails_in={"testSecret": 2}), immediately=False, attempts=2)
    assert (run.succeeded, len(run.steps)) == (False, 2)
    assert labels(client) == "v1:C"


def test_a_test_of_a_secret_without_a_value_has_nothing_to_copy(fake: FaultySecretsManager) -> None:
    client = created(fake, value=None)
    run = fake.rotate(NAME, Rotator(client), immediately=False)
    assert type(run.error).__name__ == "ResourceNotFoundException"
    assert labels(client) == ""


def test_a_test_is_refused_too_while_another_rotation_is_not_complete(fake: FaultySecretsManager) -> None:
    client = created(fake)
    put(client, 2, "P")
    fake.register_function(FUNCTION, Rotator(client))
    with refused("InvalidRequestException", "previous rotation"):
        client.rotate_secret(SecretId=NAME, RotationLambdaARN=FUNCTION, RotateImmediately=False)


# Cancelling


def test_a_cancelled_rotation_leaves_awspending_where_it_is(fake: FaultySecretsManager) -> None:
    client = created(fake)
    rotator = Rotator(client, fails_in={"setSecret": 1})
    fake.register_function(FUNCTION, rotator)
    client.rotate_secret(SecretId=NAME, ClientRequestToken=V2, RotationLambdaARN=FUNCTION)
    fake.run_rotations()
    assert client.cancel_rotate_secret(SecretId=NAME)["VersionId"] == V2
    assert client.describe_secret(SecretId=NAME)["RotationEnabled"] is False
    assert labels(client) == "v1:C v2:P"
    assert [(run.succeeded, run.was_cancelled, run.steps) for run in fake.run_rotations()] == [(False, True, ())]
    assert fake.run_rotations() == []
    with refused("InvalidRequestException", "previous rotation"):
        client.rotate_secret(SecretId=NAME, ClientRequestToken=V3)
    move(client, "P", from_=2)
    client.rotate_secret(SecretId=NAME, ClientRequestToken=V3)
    assert labels(client) == "v1:C v2:- v3:P?"


def test_a_rotation_that_is_cancelled_between_two_steps_goes_no_further(fake: FaultySecretsManager) -> None:
    client = created(fake)
    rotator = Rotator(client)
    rotator.before = lambda step: client.cancel_rotate_secret(SecretId=NAME) if step == "setSecret" else None
    run = fake.rotate(NAME, rotator, token=V2, attempts=3)
    assert (run.succeeded, run.was_cancelled, steps(rotator)) == (False, True, STEPS[:2])
    assert labels(client) == "v1:C v2:P"


def test_a_secret_that_is_deleted_between_two_steps_is_not_rotated_any_more(fake: FaultySecretsManager) -> None:
    client = created(fake)
    rotator = Rotator(client)
    rotator.before = lambda step: client.delete_secret(SecretId=NAME) if step == "testSecret" else None
    run = fake.rotate(NAME, rotator, token=V2, attempts=3)
    assert (run.succeeded, run.was_cancelled, steps(rotator)) == (False, True, STEPS[:3])
    rotator.before = lambda step: None
    with pytest.raises(InvalidArgument, match="marked for deletion"):
        fake.rotate(NAME, rotator)


def test_only_what_is_rotated_can_be_cancelled(fake: FaultySecretsManager) -> None:
    client = created(fake)
    with refused("InvalidRequestException", "not being rotated"):
        client.cancel_rotate_secret(SecretId=NAME)
    fake.rotate(NAME, Rotator(client), token=V2)
    assert "VersionId" not in client.cancel_rotate_secret(SecretId=NAME)
    with refused("InvalidRequestException", "not being rotated"):
        client.cancel_rotate_secret(SecretId=NAME)


# Rotation tokens


def test_a_rotation_token_must_be_the_one_of_the_event(fake: FaultySecretsManager) -> None:
    client = created(fake)
    told = []

    def handler(event: dict[str, Any], context: LambdaContext) -> None:
        given = {"SecretId": NAME, "ClientRequestToken": event["ClientRequestToken"], "SecretString": "new"}
        with refused("InvalidParameterException", "RotationToken is not the one"):
            client.put_secret_value(**given, RotationToken="another-token".ljust(36, "-"))
        client.put_secret_value(**given, VersionStages=[PENDING], RotationToken=event["RotationToken"])
        told.append(event["Step"])

    fake.rotate(NAME, handler, token=V2)
    assert told == STEPS
    assert "RotationToken" in fake.calls[-1].parameters
    assert fake.calls[-1].parameters["RotationToken"] == "(hidden)"


def test_a_rotation_can_be_made_to_need_its_token() -> None:
    fake = FaultySecretsManager(requires_rotation_token=True)
    client = created(fake)
    run = fake.rotate(NAME, Rotator(client), token=V2)
    assert "AccessDeniedException" in str(run.error)
    put(client, 3)
    assert labels(client) == "v1:V v2:P? v3:C"


def test_the_function_may_call_as_another_principal(fake: FaultySecretsManager) -> None:
    created(fake)
    assert fake.rotate(NAME, Rotator(fake.client(principal=READER)), token=V2).succeeded
    assert {call.principal for call in fake.calls[1:]} == {READER}


def test_a_rotation_needs_its_secret(fake: FaultySecretsManager) -> None:
    with pytest.raises(InvalidArgument, match="there is no secret 'missing'"):
        fake.rotate("missing", print)
    created(fake)
    with pytest.raises(InvalidArgument, match="InvalidParameterException"):
        fake.rotate(NAME, print, token="short")
    assert len(UNKNOWN) == len(token(1))


def test_a_test_of_a_rotation_that_another_pending_version_overtakes_ends_and_blocks_nothing() -> None:
    fake = FaultySecretsManager()
    fake.register_function(FUNCTION, lambda event, context: None)
    client: Any = fake.client()
    client.create_secret(Name="db", SecretString="one", ClientRequestToken=V1)
    client.rotate_secret(
        SecretId="db", ClientRequestToken=token(9), RotationLambdaARN=FUNCTION, RotateImmediately=False
    )
    client.put_secret_value(SecretId="db", SecretString="two", ClientRequestToken=V2, VersionStages=[PENDING])
    (run,) = fake.run_rotations()
    assert run.was_cancelled
    assert not fake.run_rotations()
