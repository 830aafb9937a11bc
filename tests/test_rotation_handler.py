"""What the entry point of a rotation function sees to, whatever it rotates: time, errors of rotators, first values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from envelope import AwsUnavailable, InvalidArgument
from envelope_secrets import SecretsManagerStore
from envelope_secrets.rotation import (
    AlternatingUsers,
    DualPassword,
    MongoDb,
    PostgreSql,
    Rotation,
    RotationAction,
    SigningKey,
    TargetError,
    rotate,
    rotation_handler,
    rotation_status,
)
from envelope_secrets.rotation.failures import RotationRefused
from envelope_secrets.rotation.handler import _calls_within
from envelope_secrets.stages import AWSCURRENT, AWSPENDING
from envelope_secrets.testing import FaultySecretsManager
from envelope_secrets.value import Secret
from tests.aws_environment import clean_aws_environment
from tests.database_rotations import RotationWorld
from tests.http_answers import SILENCE, HttpAnswers, serving

__all__ = ["clean_aws_environment"]

ARN = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/key-AbCdEf"
TOKEN, OPERATORS = "2" * 32, "9" * 32
CANARY = "canary-4b7d"


@pytest.fixture
def silent() -> Iterator[HttpAnswers]:
    with serving(SILENCE) as running:
        yield running


def test_a_call_of_aws_takes_no_longer_than_the_function_has(
    silent: HttpAnswers, clean_aws_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": silent.url,
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
    }.items():
        monkeypatch.setenv(name, value)
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 1_100)
    event = {"Step": "finishSecret", "SecretId": ARN, "ClientRequestToken": TOKEN}
    with pytest.raises(AwsUnavailable) as caught:
        rotation_handler(SigningKey())(event, context)
    assert caught.value.code == "CallTimeoutError", "and not the read timeout of the third attempt"


def test_where_no_call_is_limited_nothing_is_loaded_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("envelope_secrets.rotation.handler.sys", SimpleNamespace(modules={}))
    with _calls_within(object(), is_own_store=False):  # type: ignore[arg-type]  # it is not looked at
        pass


class Careless:
    """A rotator that quotes what it was given."""

    def __init__(self, fails_in: str) -> None:
        self.fails_in = fails_in

    def _fail(self, method: str) -> None:
        if method == self.fails_in:
            raise ValueError(f"cannot POST /token?new={CANARY}")

    def new_value(self, rotation: Rotation) -> str:
        self._fail("new_value")
        return CANARY

    def apply(self, rotation: Rotation, pending: Secret) -> None:
        self._fail("apply")

    def verify(self, rotation: Rotation, pending: Secret) -> None:
        self._fail("verify")

    def retire(self, rotation: Rotation, pending: Secret) -> None:
        self._fail("retire")


@pytest.fixture
def fake() -> FaultySecretsManager:
    return FaultySecretsManager()


def _store(fake: FaultySecretsManager) -> SecretsManagerStore:
    return SecretsManagerStore(fake.aws(), region="eu-west-1")


@pytest.mark.parametrize("method", ["new_value", "apply", "verify", "retire"])
def test_e17_what_a_rotator_of_ones_own_raises_is_told_by_its_type_alone(
    method: str, fake: FaultySecretsManager
) -> None:
    client: Any = fake.client()
    client.create_secret(Name="prod/key", SecretString="first")
    handler, errors = rotation_handler(Careless(method), store=_store(fake)), []

    def recorded(event: Any, context: Any) -> None:
        try:
            handler(event, context)
        except TargetError as error:
            errors.append(error)
            raise

    assert not fake.rotate("prod/key", recorded, token=TOKEN).succeeded
    assert str(errors[0]) == f"the rotator raised ValueError in {method}"
    assert (errors[0].__cause__, errors[0].__context__) == (None, None)


@pytest.mark.parametrize("value", ["", CANARY * 10_000, 7, {CANARY: {CANARY}}], ids=["empty", "huge", "int", "no JSON"])
def test_what_no_secret_can_hold_is_refused_and_not_shown(
    value: Any, fake: FaultySecretsManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.client().create_secret(Name="prod/key", SecretString="first")
    monkeypatch.setattr(Careless, "new_value", lambda *_: value)
    error = fake.rotate("prod/key", rotation_handler(Careless("nowhere"), store=_store(fake))).error
    assert isinstance(error, RotationRefused)
    assert "the next value cannot be stored: " in str(error)
    assert CANARY not in f"{error}{error.hint}{error.__cause__}{error.__context__}"


def test_l6_a_value_that_an_operator_puts_before_the_first_rotation_ends_is_not_demoted(
    fake: FaultySecretsManager,
) -> None:
    client: Any = fake.client()
    client.create_secret(Name="prod/key")
    handler = rotation_handler(SigningKey("ed25519"), store=_store(fake))

    def interrupted(event: Any, context: Any) -> None:
        handler(event, context)
        if event["Step"] == "testSecret":
            client.put_secret_value(
                SecretId="prod/key", SecretString=json.dumps({"of": "the operator"}), ClientRequestToken=OPERATORS
            )

    run = fake.rotate("prod/key", interrupted, token=TOKEN)
    assert isinstance(run.error, RotationRefused)
    assert "has moved from no version" in str(run.error)
    stages = client.describe_secret(SecretId="prod/key")["VersionIdsToStages"]
    assert AWSCURRENT in stages[OPERATORS]
    assert AWSPENDING in stages[TOKEN]


@pytest.mark.parametrize("target", [PostgreSql(), MongoDb()], ids=lambda target: type(target).__name__)
def test_two_passwords_are_refused_at_once_where_accounts_have_one(target: object) -> None:
    with pytest.raises(InvalidArgument, match=f"those of {type(target).__name__} have one"):
        rotation_handler(target, DualPassword())


def test_e20_a_secret_that_names_no_administrator_is_refused_before_a_value_is_stored() -> None:
    world = RotationWorld(AlternatingUsers(), with_admin=False)
    told = rotation_status(world.store, world.name, world.database, AlternatingUsers())
    assert "has no field masterarn" in told.obstacle
    assert RotationAction.ROTATE not in told.actions
    with pytest.raises(RotationRefused, match="has no field masterarn"):
        rotate(world.store, world.name, world.database, AlternatingUsers(), sleep=world.clock.advance)
    assert (world.values_stored(), world.labels.holder(AWSPENDING)) == (1, None)
