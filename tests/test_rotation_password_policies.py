"""Password policies: one for each engine, one for each secret, and none that the secret itself could ask for."""

from __future__ import annotations

import json
import string
from typing import Any

import pytest

from envelope.errors import InvalidArgument
from envelope_secrets.password import PasswordPolicy, random_password
from envelope_secrets.rotation.handler import rotation_handler
from envelope_secrets.rotation.in_process import rotate
from envelope_secrets.rotation.mariadb import MariaDb
from envelope_secrets.rotation.mysql import MySql
from envelope_secrets.rotation.password_policies import PasswordPolicies
from envelope_secrets.rotation.postgresql import PostgreSql
from envelope_secrets.rotation.redis import Redis
from envelope_secrets.rotation.single_user import SingleUser
from tests.database_rotations import RotationWorld

SHORT, LONG, OTHER = (PasswordPolicy(length=length) for length in (12, 64, 20))
ARN = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:"


@pytest.mark.parametrize(
    ("secret_arn", "policy"),
    [
        (f"{ARN}prod/erp-AbCdEf", SHORT),
        ("prod/erp", SHORT),
        (f"{ARN}prod/erp-AbCdEf-GhIjKl", LONG),
        (f"{ARN}prod/erp2-AbCdEf", LONG),
        (f"{ARN}prod/old/erp-AbCdEf", OTHER),
        (f"{ARN}test/erp-AbCdEf", None),
        (f"{ARN}test/one-AbCdEf", OTHER),
        (f"{ARN}test/one-GhIjKl", None),
    ],
)
def test_the_nearest_name_decides(secret_arn: str, policy: PasswordPolicy | None) -> None:
    policies = PasswordPolicies(
        {"prod/erp": SHORT, "prod/*": LONG, "prod/old/*": OTHER, f"{ARN}test/one-AbCdEf": OTHER}
    )
    assert policies.of(secret_arn) == policy


def test_others_get_the_policy_for_others() -> None:
    assert PasswordPolicies({"prod/erp": SHORT}, otherwise=LONG).of(f"{ARN}prod/db-AbCdEf") == LONG


def test_an_arn_with_a_star_is_of_one_account() -> None:
    policies = PasswordPolicies({f"{ARN}prod/*": SHORT})
    assert policies.of(f"{ARN}prod/db-AbCdEf") == SHORT
    assert policies.of(ARN.replace("111122223333", "444455556666") + "prod/db-AbCdEf") is None


def test_policies_do_not_change_with_the_mapping_that_they_were_made_of() -> None:
    given = {"prod/erp": SHORT}
    policies = PasswordPolicies(given)
    given["prod/erp"] = LONG
    assert policies.of("prod/erp") == SHORT


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"by_secret": {}}, "by_secret must be a mapping of 1 to 10,000"),
        ({"by_secret": [SHORT]}, "by_secret must be a mapping"),
        ({"by_secret": {"": SHORT}}, "by_secret must have names"),
        ({"by_secret": {"prod/*/db": SHORT}}, "by_secret must have names"),
        ({"by_secret": {7: SHORT}}, "by_secret must have names"),
        ({"by_secret": {"prod/db": 12}}, "a value of by_secret must be a PasswordPolicy, not int"),
        ({"by_secret": {"prod/db": SHORT}, "otherwise": 12}, "otherwise must be a PasswordPolicy, not int"),
    ],
)
def test_options_are_checked(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        PasswordPolicies(**options)
    assert str(caught.value).startswith(said)


def test_e10_one_function_rotates_secrets_with_different_policies() -> None:
    policies = PasswordPolicies({"prod/erp": SHORT, "prod/*": LONG})
    worlds = [RotationWorld(SingleUser(), name=name, with_admin=False) for name in ("prod/erp", "prod/shop")]
    for world, length in zip(worlds, (12, 64), strict=True):
        world.handler = rotation_handler(
            world.database, SingleUser(), store=world.store, password_policy=policies, clock=world.clock
        )
        assert world.rotate(2).succeeded
        assert len(world.value()["password"]) == length


def test_e10_a_rotation_without_a_function_takes_the_policy_of_its_secret() -> None:
    world = RotationWorld(SingleUser(), name="prod/erp", with_admin=False)
    policies = PasswordPolicies({"prod/erp": SHORT}, otherwise=LONG)
    rotate(world.store, "prod/erp", world.database, SingleUser(), password_policy=policies, clock=world.clock)
    assert len(world.value()["password"]) == 12


def test_e10_no_field_and_no_tag_of_a_secret_weakens_its_password() -> None:
    asked_for = {"password_length": 1, "PASSWORD_LENGTH": "1", "password_policy": {"length": 1}, "exclude": "abc"}
    world = RotationWorld(SingleUser(), value=asked_for, with_admin=False)
    tags = [{"Key": "password_length", "Value": "1"}]
    world.client.tag_resource(SecretId=world.name, Tags=tags)
    assert world.rotate(2).succeeded
    assert len(world.value()["password"]) == world.database.password_policy.length
    assert json.loads(world.value_of(2))["password_length"] == 1, "it is carried over, and means nothing"


def test_a_handler_takes_no_other_policy() -> None:
    with pytest.raises(
        InvalidArgument, match="password_policy must be a PasswordPolicy, PasswordPolicies or None, not dict"
    ):
        rotation_handler(PostgreSql(), SingleUser(), password_policy={"prod/erp": SHORT})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "target", [PostgreSql(), MySql(), MariaDb(), Redis()], ids=lambda target: type(target).__name__
)
def test_e10_the_default_of_each_engine_is_what_its_managed_service_takes(target: Any) -> None:
    drawn = [random_password(target.password_policy) for _ in range(50)]
    most = {PostgreSql: 128, MySql: 41, MariaDb: 41, Redis: 128}[type(target)]
    for password in drawn:
        assert 8 <= len(password) <= most
        assert not set(password) & set("/\"@ '\\")
        assert set(password) <= set(string.ascii_letters + string.digits + string.punctuation)
