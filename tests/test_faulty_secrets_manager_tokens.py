"""ClientRequestToken: which calls can be repeated, and what a repetition does."""

from __future__ import annotations

from typing import Any

import pytest

from envelope.testing.callers import caller_of
from envelope_secrets.testing import FaultySecretsManager
from envelope_secrets.testing.access import Call
from envelope_secrets.testing.faults import ServiceFault
from envelope_secrets.testing.service import perform
from tests.fake_secrets_for_tests import FUNCTION, NAME, PENDING, V1, V2, V3, created, labels, put, refused

IN_USE = f"You can't use ClientRequestToken {V1} because that value is already in use for a version of secret"


@pytest.fixture(name="fake")
def _fake() -> FaultySecretsManager:
    return FaultySecretsManager()


def test_a_repeated_create_with_the_same_value_succeeds_and_changes_nothing(fake: FaultySecretsManager) -> None:
    client = created(fake)
    again = client.create_secret(Name=NAME, ClientRequestToken=V1, SecretString="one")
    assert (again["Name"], again["VersionId"]) == (NAME, V1)
    assert labels(client) == "v1:C"
    assert len(client.list_secrets()["SecretList"]) == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"SecretString": "two"},
        {"SecretBinary": b"one"},
        {"ClientRequestToken": V2},
    ],
    ids=["other value", "other kind", "other token"],
)
def test_a_create_that_is_no_repetition_says_that_the_name_is_taken(
    fake: FaultySecretsManager, changed: dict[str, Any]
) -> None:
    client = created(fake)
    arguments = {"ClientRequestToken": V1, **({} if "SecretBinary" in changed else {"SecretString": "one"}), **changed}
    with refused("ResourceExistsException", "already exists"):
        client.create_secret(Name=NAME, **arguments)
    assert labels(client) == "v1:C"


def test_a_secret_without_a_value_cannot_be_created_again(fake: FaultySecretsManager) -> None:
    client = created(fake, value=None)
    with refused("ResourceExistsException"):
        client.create_secret(Name=NAME, ClientRequestToken=V1)


def test_a_repeated_put_does_nothing_not_even_to_labels(fake: FaultySecretsManager) -> None:
    client = created(fake)
    put(client, 2, "P")
    answer = put(client, 2, "C", "green")
    assert (answer["VersionId"], answer["VersionStages"]) == (V2, [PENDING])
    assert labels(client) == "v1:C v2:P"
    put(client, 1, value="one")
    assert labels(client) == "v1:C v2:P"


@pytest.mark.parametrize("number", [1, 2], ids=["current", "pending"])
def test_a_put_with_a_used_token_and_another_value_is_refused(fake: FaultySecretsManager, number: int) -> None:
    client = created(fake)
    put(client, 2, "P")
    with refused("ResourceExistsException", IN_USE if number == 1 else "in use"):
        put(client, number, "P", value="another")
    assert client.get_secret_value(SecretId=NAME, VersionStage=PENDING)["SecretString"] == "value-2"


def test_text_and_bytes_are_not_the_same_value(fake: FaultySecretsManager) -> None:
    client = created(fake)
    with refused("ResourceExistsException"):
        client.put_secret_value(SecretId=NAME, ClientRequestToken=V1, SecretBinary=b"one")


def test_a_put_fills_the_version_that_a_rotation_announced(fake: FaultySecretsManager) -> None:
    fake.register_function(FUNCTION, lambda event, context: None)
    client = created(fake)
    client.rotate_secret(SecretId=NAME, ClientRequestToken=V2, RotationLambdaARN=FUNCTION)
    put(client, 2, "P", value="new")
    assert labels(client) == "v1:C v2:P"
    with refused("ResourceExistsException"):
        put(client, 2, "P", value="newer")
    put(client, 2, "P", value="new")


@pytest.mark.parametrize("value", ["one", "two"])
def test_an_update_with_a_used_token_is_refused_whatever_the_value(fake: FaultySecretsManager, value: str) -> None:
    client = created(fake)
    with refused("ResourceExistsException", IN_USE):
        client.update_secret(SecretId=NAME, ClientRequestToken=V1, SecretString=value)


def test_an_update_with_a_value_makes_a_current_version(fake: FaultySecretsManager) -> None:
    client = created(fake)
    assert client.update_secret(SecretId=NAME, ClientRequestToken=V2, SecretString="two")["VersionId"] == V2
    assert labels(client) == "v1:V v2:C"


def test_an_update_without_a_value_makes_none(fake: FaultySecretsManager) -> None:
    client = created(fake)
    assert "VersionId" not in client.update_secret(SecretId=NAME, Description="of the shop")
    assert labels(client) == "v1:C"
    assert client.describe_secret(SecretId=NAME)["Description"] == "of the shop"


def test_a_repeated_rotation_is_started_once(fake: FaultySecretsManager) -> None:
    fake.register_function(FUNCTION, lambda event, context: None)
    client = created(fake)
    for _ in range(2):
        answer = client.rotate_secret(SecretId=NAME, ClientRequestToken=V2, RotationLambdaARN=FUNCTION)
        assert answer["VersionId"] == V2
    assert labels(client) == "v1:C v2:P?"
    assert len(fake.run_rotations()) == 1


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ("CreateSecret", "InvalidRequestException"),
        ("PutSecretValue", "InvalidRequestException"),
        ("UpdateSecret", "InvalidRequestException"),
        ("RotateSecret", "InvalidParameterException"),
    ],
)
def test_a_request_without_a_token_is_refused_as_only_others_than_boto3_send_it(
    fake: FaultySecretsManager, operation: str, code: str
) -> None:
    created(fake)
    parameters = {"SecretId": NAME, "Name": "another", "SecretString": "x"}
    call = Call(fake._state, caller_of("eu-west-1", None, None), operation, parameters)
    with pytest.raises(ServiceFault, match="must provide a ClientRequestToken") as caught:
        perform(call)
    assert caught.value.code == code


def test_a_value_is_needed_and_only_one(fake: FaultySecretsManager) -> None:
    client = created(fake)
    with refused("InvalidRequestException", "either SecretString or SecretBinary"):
        client.put_secret_value(SecretId=NAME, ClientRequestToken=V3)
    with refused("InvalidParameterException", "both"):
        client.put_secret_value(SecretId=NAME, SecretString="x", SecretBinary=b"x")


def test_bytes_come_back_as_bytes(fake: FaultySecretsManager) -> None:
    client = created(fake, value=None)
    client.put_secret_value(SecretId=NAME, SecretBinary=b"\x00\xff")
    told = client.get_secret_value(SecretId=NAME)
    assert (told["SecretBinary"], "SecretString" in told) == (b"\x00\xff", False)
