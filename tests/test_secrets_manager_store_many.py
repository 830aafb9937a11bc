"""K17: reading many secrets: batches, partial errors, pages, and what happens when a batch is refused as a whole."""

from __future__ import annotations

from typing import Any

import pytest

from envelope import AwsAccessDenied, AwsError, AwsUnavailable, EnvelopeError
from envelope_secrets.errors import SecretDeleted, SecretKeyUnavailable, SecretNotFound
from envelope_secrets.stores.secrets_manager import SecretsManagerStore
from envelope_secrets.value import Secret
from tests.scripted_service import Asked, Refused, ScriptedService

ID = "11111111-1111-4111-8111-111111111111"


def arn_of(name: str, region: str = "eu-west-1") -> str:
    return f"arn:aws:secretsmanager:{region}:111122223333:secret:{name}-AbCdEf"


def value_of(name: str, region: str = "eu-west-1") -> dict[str, Any]:
    told = {"ARN": arn_of(name, region), "Name": name, "VersionId": ID, "VersionStages": ["AWSCURRENT"]}
    return told | {"SecretString": f"value of {name}"}


@pytest.fixture
def service() -> ScriptedService:
    service = ScriptedService("secretsmanager")
    service.on("GetSecretValue", lambda asked: value_of(asked.request["SecretId"], asked.region))
    return service


@pytest.fixture
def store(service: ScriptedService) -> SecretsManagerStore:
    return SecretsManagerStore(region="eu-west-1", client_for_region=service.client_for_region)


def in_batches(asked: Asked) -> dict[str, Any]:
    return {"SecretValues": [value_of(name, asked.region) for name in asked.request["SecretIdList"]]}


def texts(outcomes: Any) -> dict[str, str | type[EnvelopeError]]:
    return {name: it.text if isinstance(it, Secret) else type(it) for name, it in outcomes.items()}


def test_k17_more_than_20_ids_go_in_batches_of_20(service: ScriptedService, store: SecretsManagerStore) -> None:
    service.on("BatchGetSecretValue", in_batches)
    names = [f"app/{number}" for number in range(45)]
    assert texts(store.read_many(names)) == {name: f"value of {name}" for name in names}
    assert [len(asked.request["SecretIdList"]) for asked in service.asked] == [20, 20, 5]


def test_k17_each_id_has_its_own_error(service: ScriptedService, store: SecretsManagerStore) -> None:
    errors = [
        {"SecretId": "none", "ErrorCode": "ResourceNotFoundException", "Message": "can't find the specified secret."},
        {"SecretId": "gone", "ErrorCode": "InvalidRequestException", "Message": "it was marked for deletion."},
        {"SecretId": arn_of("locked"), "ErrorCode": "DecryptionFailure", "Message": "hunter2"},
        {"SecretId": "denied", "ErrorCode": "AccessDeniedException"},
    ]
    service.on("BatchGetSecretValue", {"SecretValues": [value_of("app")], "Errors": errors})
    ids = ["app", "none", "gone", arn_of("locked")[:-7], "denied"]
    outcomes = store.read_many(ids)
    assert list(texts(outcomes).values()) == [
        "value of app",
        SecretNotFound,
        SecretDeleted,
        SecretKeyUnavailable,
        AwsAccessDenied,
    ]
    assert list(outcomes) == ids
    assert "on denied failed: access denied" in str(outcomes["denied"])
    assert all("hunter2" not in str(outcome) for outcome in outcomes.values())
    assert service.operations() == ["BatchGetSecretValue"]


def test_k17_one_secret_by_three_names_is_found_by_each(service: ScriptedService, store: SecretsManagerStore) -> None:
    service.on("BatchGetSecretValue", {"SecretValues": [value_of("prod/db")]})
    ids = ["prod/db", arn_of("prod/db"), arn_of("prod/db")[:-7]]
    assert texts(store.read_many(ids)) == dict.fromkeys(ids, "value of prod/db")


def test_k17_pages_are_followed_and_may_be_empty(service: ScriptedService, store: SecretsManagerStore) -> None:
    """An answer above 1 MiB comes in pages."""
    service.on(
        "BatchGetSecretValue",
        {"SecretValues": [value_of("a")], "NextToken": "one"},
        {"NextToken": "two"},
        {"SecretValues": [value_of("b")]},
    )
    assert texts(store.read_many(["a", "b"])) == {"a": "value of a", "b": "value of b"}
    assert [asked.request.get("NextToken") for asked in service.asked] == [None, "one", "two"]


def test_k17_what_an_answer_leaves_out_is_read_alone(service: ScriptedService, store: SecretsManagerStore) -> None:
    service.on("BatchGetSecretValue", {"SecretValues": [value_of("a"), value_of("stranger")]})
    service.on("GetSecretValue", Refused("ResourceNotFoundException"))
    assert texts(store.read_many(["a", "b"])) == {"a": "value of a", "b": SecretNotFound}
    assert service.operations() == ["BatchGetSecretValue", "GetSecretValue"]


@pytest.mark.parametrize("code", ["AccessDeniedException", "InvalidParameterException", "DecryptionFailure"])
def test_a_batch_that_is_refused_is_read_one_by_one(
    code: str, service: ScriptedService, store: SecretsManagerStore
) -> None:
    """The permission for batches is one of its own, on every secret; a refusal of one member says nothing of others."""
    service.on("BatchGetSecretValue", Refused(code))
    assert texts(store.read_many(["a", "b"])) == {"a": "value of a", "b": "value of b"}
    assert service.last() == {"SecretId": "b", "VersionStage": "AWSCURRENT"}


def test_a_service_that_does_not_answer_is_not_asked_twenty_times_more(
    service: ScriptedService, store: SecretsManagerStore
) -> None:
    service.on("BatchGetSecretValue", Refused("ThrottlingException"))
    outcomes = store.read_many(["a", "b"])
    assert texts(outcomes) == {"a": AwsUnavailable, "b": AwsUnavailable}
    assert outcomes["a"] is not outcomes["b"]
    assert "BatchGetSecretValue on 2 secrets failed: throttled" in str(outcomes["a"])
    assert service.operations() == ["BatchGetSecretValue"]


def test_secrets_of_two_regions_are_two_batches(service: ScriptedService, store: SecretsManagerStore) -> None:
    service.on("BatchGetSecretValue", lambda asked: {"SecretValues": [value_of("app", asked.region), value_of("b")]})
    ids = ["b", arn_of("app", "us-east-1"), "app"]
    assert list(texts(store.read_many(ids)).values()) == ["value of b", "value of app", "value of app"]
    assert service.regions() == ["eu-west-1", "us-east-1"]


def test_a_batch_that_is_none_is_read_one_by_one(service: ScriptedService, store: SecretsManagerStore) -> None:
    service.on("BatchGetSecretValue", {"SecretValues": [value_of("a") | {"VersionStages": ["AWSPREVIOUS"]}]})
    assert texts(store.read_many(["a"])) == {"a": "value of a"}
    service.on("GetSecretValue", {})
    (outcome,) = store.read_many(["a"]).values()
    assert isinstance(outcome, AwsError)
    assert outcome.code == "UnexpectedResponse"
