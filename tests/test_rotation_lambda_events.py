"""The rotation function from its zip: real events, Secrets Manager behind HTTP, a real PostgreSQL behind TLS."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest
from psycopg import sql

from envelope_secrets.testing import FaultySecretsManager, LambdaContext, RotationRun
from examples.rotation_lambda.build import PACKAGES
from tests.http_answers import serving
from tests.lambda_for_tests import (
    FUNCTION_ROLE,
    REGION,
    FailedInvocation,
    LambdaFunction,
    answer_of,
    runtime_folder,
    unpacked_zip,
)
from tests.lambda_template import Template
from tests.servers.running import RunningServer

pytest_plugins = ["tests.servers.fixtures"]

STEPS = ["createSecret", "setSecret", "testSecret", "finishSecret"]
FUNCTION_ARN = f"arn:aws:lambda:{REGION}:111122223333:function:rotate"
FIRST = "the first password"
NUMBERS = count(1)


@dataclass(frozen=True)
class Place:
    """A service behind HTTP, a server, and the folders of the function and of what Lambda brings."""

    fake: FaultySecretsManager
    url: str
    server: RunningServer
    task: Path
    runtime: Path
    log: Path

    def function(self, strategy: str = "SingleUser", **variables: str) -> LambdaFunction:
        """A new execution environment, with the variables that the template sets."""
        given = {"TARGET": "PostgreSql", "STRATEGY": strategy, "TLS": "verify-full"}
        given |= {"CA_FILE": str(self.task / "ca.pem"), "AWS_ENDPOINT_URL": self.url, **variables}
        return LambdaFunction(self.task, self.runtime, given, self.log)


@dataclass(frozen=True)
class World:
    """A secret and its account, and the events that the function was sent for it."""

    place: Place
    client: Any
    username: str
    arn: str
    admin_arn: str
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def fake(self) -> FaultySecretsManager:
        return self.place.fake

    def rotate(self, function: LambdaFunction, **options: Any) -> RotationRun:
        """RotateSecret over HTTP, and the invocations that follow."""

        def handler(event: dict[str, Any], _: LambdaContext) -> None:
            self.events.append(event)
            function(event)

        self.fake.register_function(FUNCTION_ARN, handler)
        rules = {"ScheduleExpression": "rate(30 days)", "Duration": "4h"}
        self.client.rotate_secret(SecretId=self.arn, RotationLambdaARN=FUNCTION_ARN, RotationRules=rules, **options)
        (run,) = self.fake.run_rotations()
        return run

    def value(self, stage: str = "AWSCURRENT") -> dict[str, Any]:
        text = self.client.get_secret_value(SecretId=self.arn, VersionStage=stage)["SecretString"]
        value: dict[str, Any] = json.loads(text)
        return value

    def values_stored(self) -> int:
        return len(self.client.list_secret_version_ids(SecretId=self.arn, IncludeDeprecated=True)["Versions"])

    def called(self) -> set[tuple[str, str]]:
        """Operation and secret of every call that the function made."""
        own = (call for call in self.fake.calls if call.secret_arn in (self.arn, self.admin_arn))
        return {(call.operation, call.secret_arn) for call in own if call.principal == FUNCTION_ROLE}

    def logs_in(self, username: str, password: str) -> bool:
        try:
            psycopg.connect(
                host=self.place.server.host,
                port=self.place.server.port,
                user=username,
                password=password,
                dbname="postgres",
                sslmode="verify-full",
                sslrootcert=self.place.server.ca_file,
            ).close()
        except psycopg.OperationalError:
            return False
        return True

    def shown(self, *answers: object) -> str:
        """Everything that somebody who reads logs and answers sees."""
        return self.place.log.read_text() + repr(answers)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, postgresql_server: RunningServer) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("function")
    task = unpacked_zip(folder, PACKAGES["PostgreSql"], Path(postgresql_server.ca_file))
    fake = FaultySecretsManager(requires_rotation_token=True)
    with serving(lambda received: answer_of(fake, received)) as http:
        yield Place(fake, http.url, postgresql_server, task, runtime_folder(folder / "runtime"), folder / "log")


@pytest.fixture(scope="module")
def function(place: Place) -> Iterator[LambdaFunction]:
    """An environment that stays warm."""
    with place.function() as function:
        yield function


@pytest.fixture(scope="module")
def client(place: Place) -> Iterator[Any]:
    client = boto3.client(
        "secretsmanager",
        region_name=REGION,
        endpoint_url=place.url,
        aws_access_key_id="AKIDOFTHETEST",
        aws_secret_access_key="made-up",
    )
    yield client
    client.close()


@pytest.fixture
def world(place: Place, client: Any) -> World:
    number = next(NUMBERS)
    username = f"lambda {number}"
    with psycopg.connect(**_login(place.server), autocommit=True) as connection:
        create = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
        connection.execute(create.format(sql.Identifier(username), FIRST))
    server = {"engine": "postgres", "host": "localhost", "port": place.server.port}
    admin = {**server, "username": place.server.admin, "password": place.server.password}
    admin_arn = client.create_secret(Name=f"admin/{number}", SecretString=json.dumps(admin))["ARN"]
    value = {**server, "username": username, "password": FIRST, "masterarn": admin_arn}
    arn = client.create_secret(Name=f"prod/db/{number}", SecretString=json.dumps(value))["ARN"]
    return World(place, client, username, arn, admin_arn)


def _login(server: RunningServer) -> dict[str, Any]:
    login = {"host": "127.0.0.1", "port": server.port, "user": server.admin, "password": server.password}
    return {**login, "dbname": "postgres"}


def test_rotate_secret_invokes_the_function_four_times_and_the_new_password_is_current(
    world: World, function: LambdaFunction
) -> None:
    run = world.rotate(function)
    assert run.succeeded, world.shown()
    assert [event["Step"] for event in world.events] == STEPS
    assert {event["ClientRequestToken"] for event in world.events} == {run.version_id}
    current, previous = world.value(), world.value("AWSPREVIOUS")
    assert world.logs_in(current["username"], current["password"])
    assert (previous["password"], world.logs_in(world.username, FIRST)) == (FIRST, False)
    stages = world.client.describe_secret(SecretId=world.arn)["VersionIdsToStages"][run.version_id]
    assert [stage for stage in stages if stage.startswith("AWS")] == ["AWSCURRENT"]
    assert "createSecret of" in world.shown(), "the log tells the steps"
    for secret in (current["password"], FIRST, *(event["RotationToken"] for event in world.events)):
        assert secret not in world.shown(run)


def test_users_alternate_and_the_function_calls_nothing_that_the_template_does_not_allow(world: World) -> None:
    with world.place.function("AlternatingUsers") as function:
        assert world.rotate(function).succeeded, world.shown()
        clone = world.value()
        assert clone["username"] != world.username
        assert world.logs_in(clone["username"], clone["password"])
        assert world.logs_in(world.username, FIRST), "who still has the version before goes on with it"
        assert world.rotate(function).succeeded, world.shown()
    assert world.value()["username"] == world.username
    template = Template.read(SecretArn=world.arn, AdminSecretArn=world.admin_arn)
    assert ("GetSecretValue", world.admin_arn) in world.called() <= template.allowed_operations()


def test_an_event_that_is_delivered_twice_changes_nothing_the_second_time(
    world: World, function: LambdaFunction
) -> None:
    def twice(event: dict[str, Any], _: LambdaContext) -> None:
        function(event)
        function(event)

    run = world.fake.rotate(world.arn, twice)
    assert run.succeeded, world.shown()
    late = {"Step": "setSecret", "SecretId": world.arn, "ClientRequestToken": run.version_id}
    function({**late, "RotationToken": str(uuid.uuid4())})
    assert world.values_stored() == 2
    assert world.logs_in(world.username, world.value()["password"])


def test_a_function_that_is_ended_between_two_steps_starts_cold_and_goes_on(
    world: World, function: LambdaFunction
) -> None:
    with world.place.function() as mortal:

        def dies_before_testing(event: dict[str, Any], _: LambdaContext) -> None:
            if event["Step"] == "testSecret":
                mortal.process.kill()
            mortal(event)

        run = world.fake.rotate(world.arn, dies_before_testing)
    assert [step.step for step in run.steps] == STEPS[:3]
    assert (str(run.error), world.logs_in(world.username, FIRST)) == ("Exited: ", False)
    world.fake.register_function(_function_of(world), lambda event, _: function(event))
    (run,) = world.fake.run_rotations()
    assert ([step.step for step in run.steps], run.succeeded) == (STEPS, True), world.shown()
    assert world.values_stored() == 2
    assert world.logs_in(world.username, world.value()["password"])


def _function_of(world: World) -> str:
    arn: str = world.client.describe_secret(SecretId=world.arn)["RotationLambdaARN"]
    return arn


def test_a_schedule_that_begins_later_tries_the_function_by_test_secret_alone(
    world: World, function: LambdaFunction
) -> None:
    assert world.rotate(function, RotateImmediately=False).succeeded, world.shown()
    assert [event["Step"] for event in world.events] == ["testSecret"]
    assert (world.value()["password"], world.logs_in(world.username, FIRST)) == (FIRST, True)


WRONG: dict[str, Any] = {
    "no object": "createSecret",
    "nothing": {},
    "an unknown step": {"Step": "create_secret"},
    "a line of its own in the log": {"SecretId": "arn:aws:x\nINFO all is well"},
    "no token": {"ClientRequestToken": None},
    "a token of another kind": {"ClientRequestToken": 7},
    "a rotation token with a line": {"RotationToken": "canary-of-the-token\r\n" * 3},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_document_is_refused_before_any_call_and_not_quoted(
    world: World, function: LambdaFunction, wrong: str
) -> None:
    right = {"Step": "setSecret", "SecretId": world.arn, "ClientRequestToken": str(uuid.uuid4())}
    document = {**right, **WRONG[wrong]} if WRONG[wrong] and isinstance(WRONG[wrong], dict) else WRONG[wrong]
    with pytest.raises(FailedInvocation) as raised:
        function.invoke(document)
    assert raised.value.kind == "RotationRefused"
    assert not world.called()
    assert "all is well" not in world.shown(raised.value)
    assert "canary" not in world.shown(raised.value)


def test_an_event_for_a_version_that_is_not_pending_is_refused_and_touches_nothing(
    world: World, function: LambdaFunction
) -> None:
    event = {"Step": "setSecret", "SecretId": world.arn, "ClientRequestToken": str(uuid.uuid4())}
    with pytest.raises(FailedInvocation) as raised:
        function.invoke(event, timeout_s=3.0)  # so it does not wait long for a service that might be late
    assert raised.value.kind == "RotationRefused"
    assert world.called() == {("DescribeSecret", world.arn)}
    assert world.logs_in(world.username, FIRST)


@pytest.mark.parametrize("variables", [{"TARGET": "Oracle"}, {"TLS": "prefer"}, {"STRATEGY": "Hope"}])
def test_a_function_that_is_configured_wrongly_does_not_start(place: Place, variables: dict[str, str]) -> None:
    with place.function(**{"strategy": "SingleUser", **variables}) as function:
        with pytest.raises(FailedInvocation) as raised:
            function.invoke({})
        assert (raised.value.kind, function.process.wait(10)) == ("Exited", 1)
