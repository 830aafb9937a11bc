"""What the tests of the fake Secrets Manager share."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from envelope_secrets.testing import FaultySecretsManager

ACCOUNT = "111122223333"
OTHER_ACCOUNT = "444455556666"
APPLICATION = f"arn:aws:iam::{ACCOUNT}:role/application"
READER = f"arn:aws:iam::{ACCOUNT}:role/reader"
STRANGER = f"arn:aws:iam::{OTHER_ACCOUNT}:role/stranger"
FUNCTION = f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:rotate"

NAME = "prod/db"
CURRENT, PENDING, PREVIOUS = "AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"

_SHORT = {"C": CURRENT, "P": PENDING, "V": PREVIOUS}


def token(number: int) -> str:
    """The ClientRequestToken, and so the id, of a version that tests call v1, v2, ..."""
    return f"v{number}".ljust(32, "-")


V1, V2, V3, V4, V5 = (token(number) for number in range(1, 6))
UNKNOWN = token(99)


@contextlib.contextmanager
def refused(code: str, text: str = "", *, http_status: int = 400) -> Iterator[None]:
    """The block ends with this error code, a message that has this text, and an HTTP status as in the service."""
    with pytest.raises(ClientError) as caught:
        yield
    error = caught.value.response["Error"]
    assert error["Code"] == code, error
    assert text in error["Message"], error
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == http_status


def created(fake: FaultySecretsManager, name: str = NAME, value: str | None = "one", **options: Any) -> Any:
    """A client, after it has created a secret whose first version is V1."""
    client: Any = fake.client()
    given = {} if value is None else {"SecretString": value}
    client.create_secret(Name=name, ClientRequestToken=V1, **given, **options)
    return client


def put(client: Any, number: int, *stages: str, name: str = NAME, value: str | None = None) -> dict[str, Any]:
    """Put version number so and so; its value is ``value-N`` unless another is given."""
    labels = {"VersionStages": [_SHORT.get(stage, stage) for stage in stages]} if stages else {}
    value = f"value-{number}" if value is None else value
    answer: dict[str, Any] = client.put_secret_value(
        SecretId=name, ClientRequestToken=token(number), SecretString=value, **labels
    )
    return answer


def move(client: Any, stage: str, *, from_: int | None = None, to: int | None = None, name: str = NAME) -> None:
    """Move a label from one version to another."""
    versions = {"RemoveFromVersionId": from_, "MoveToVersionId": to}
    given = {option: token(number) for option, number in versions.items() if number is not None}
    client.update_secret_version_stage(SecretId=name, VersionStage=_SHORT.get(stage, stage), **given)


def labels(client: Any, name: str = NAME) -> str:
    """All versions with their labels, like ``v1:V v2:C,P v3:-``; without a value like ``v3:P?``."""
    listed = client.list_secret_version_ids(SecretId=name, IncludeDeprecated=True)["Versions"]
    with_value = {version["VersionId"]: version.get("VersionStages", []) for version in listed}
    described = client.describe_secret(SecretId=name).get("VersionIdsToStages", {})
    assert {key: stages for key, stages in with_value.items() if stages}.items() <= described.items()
    shown = {
        version_id.rstrip("-"): ",".join(map(_shown, stages)) or "-"
        for version_id, stages in {**with_value, **described}.items()
    }
    empty = {version_id.rstrip("-") for version_id in described.keys() - with_value.keys()}
    return " ".join(f"{key}:{shown[key]}{'?' if key in empty else ''}" for key in sorted(shown))


def _shown(stage: str) -> str:
    return next((short for short, long in _SHORT.items() if long == stage), stage)


def statement(effect: str = "Allow", principal: Any = "*", **elements: Any) -> dict[str, Any]:
    return {"Effect": effect, "Principal": principal, "Action": "secretsmanager:*", "Resource": "*", **elements}


def policy(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def to_reader(principal: str = STRANGER) -> str:
    """A policy that lets somebody read."""
    return policy(statement(principal={"AWS": principal}, Action="secretsmanager:GetSecretValue"))
