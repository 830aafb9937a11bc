"""`Aws(client_for_region=...)`: clients of the caller's own, and what is none."""

from __future__ import annotations

import threading
from typing import Any
from unittest.mock import MagicMock

import pytest
from botocore.config import Config

from envelope import Aws, AwsError, AwsMisconfigured, InvalidArgument
from tests.aws_environment import clean_aws_environment, made_up_session

__all__ = ["clean_aws_environment"]


def _kms(region: str, **options: Any) -> Any:
    return made_up_session().client("kms", region_name=region, **options)


def test_ready_made_clients_are_used_as_they_are() -> None:
    clients = {region: _kms(region, endpoint_url="https://vpce.internal") for region in ("eu-west-1", "us-east-1")}
    aws = Aws(region="us-east-1", client_for_region=clients.__getitem__)
    assert aws.client("kms", "eu-west-1") is clients["eu-west-1"]
    assert aws.client("kms") is clients["us-east-1"]


def test_other_services_come_from_the_session() -> None:
    aws = Aws(made_up_session(), region="eu-west-1", client_for_region=_kms)
    assert aws.client("sts").meta.service_model.service_name == "sts"


def test_a_function_may_use_the_same_aws_for_another_service() -> None:
    """As one that assumes a role for each region."""
    asked: list[str] = []

    def client_for_region(region: str) -> Any:
        asked.append(aws.client("sts", "eu-west-1").meta.service_model.service_name)
        return _kms(region)

    aws = Aws(made_up_session(), client_for_region=client_for_region)
    made: list[Any] = []
    thread = threading.Thread(target=lambda: made.append(aws.client("kms", "eu-west-1")), daemon=True)
    thread.start()
    thread.join(timeout=30)
    assert asked == ["sts"]
    assert made == [aws.client("kms", "eu-west-1")]


def test_a_function_that_asks_for_what_it_is_to_make_is_told_so() -> None:
    aws = Aws(client_for_region=lambda region: aws.client("kms", region))
    for _ in range(2):
        with pytest.raises(
            InvalidArgument, match=r"client_for_region\('eu-west-1'\) asks for the very client"
        ) as caught:
            aws.client("kms", "eu-west-1")
        assert "session.client" in caught.value.hint


class _NoMeta:
    meta = None


class _MetaThatFails:
    @property
    def meta(self) -> Any:
        raise OSError


class _StandIn:
    """What a test of somebody's may give in the place of a client."""

    def __init__(self, answer: object) -> None:
        client = _kms("eu-west-1")
        self.meta = client.meta
        self.describe_key = self.decrypt = lambda **_: answer


@pytest.mark.parametrize("answer", [None, "text", MagicMock()])
def test_a_stand_in_that_gives_no_answer_of_kms_is_an_error_of_ours(answer: object) -> None:
    aws = Aws(region="eu-west-1", client_for_region=lambda region: _StandIn(answer))
    with pytest.raises(AwsError, match="the response to kms:DescribeKey is no mapping but") as caught:
        aws.resolve_key_arn("alias/app")
    assert caught.value.code == "UnexpectedResponse"


def test_a_stand_in_that_lacks_a_method_is_an_error_of_ours() -> None:
    stand_in: Any = _StandIn({})
    del stand_in.describe_key
    with pytest.raises(AwsError, match="kms:DescribeKey on alias/app failed"):
        Aws(region="eu-west-1", client_for_region=lambda region: stand_in).resolve_key_arn("alias/app")


@pytest.mark.parametrize(
    "make",
    [
        lambda region: None,
        lambda region: _NoMeta(),
        lambda region: _MetaThatFails(),
        lambda region: MagicMock(),
        lambda region: made_up_session().client("s3", region_name=region),
        lambda region: _kms("us-east-1"),
    ],
)
def test_what_is_no_client_of_kms_in_the_region_is_refused(make: Any) -> None:
    with pytest.raises(InvalidArgument, match="client_for_region") as caught:
        Aws(client_for_region=make).client("kms", "eu-west-1")
    assert "region_name=region" in caught.value.hint


def test_a_function_that_fails_is_an_error_of_ours() -> None:
    with pytest.raises(AwsMisconfigured, match="making a client of kms failed: no region is known"):
        Aws(client_for_region=lambda region: made_up_session().client("kms")).client("kms", "eu-west-1")
    with pytest.raises(AwsMisconfigured, match="no region is known"):
        Aws(client_for_region=_kms).client("kms")
    no_clients: dict[str, Any] = {}
    with pytest.raises(InvalidArgument, match=r"client_for_region\('eu-west-1'\) raised KeyError") as caught:
        Aws(client_for_region=no_clients.__getitem__).client("kms", "eu-west-1")
    assert isinstance(caught.value.__cause__, KeyError)


def test_a_client_with_its_own_config_stays_as_it_is() -> None:
    config = Config(read_timeout=33, retries={"mode": "legacy"})
    client = Aws(client_for_region=lambda region: _kms(region, config=config)).client("kms", "eu-west-1")
    assert client.meta.config.read_timeout == 33
