"""Keys travel in private: TLS that is verified, or loopback, and one reading of every URL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import MagicMock

import pytest

from envelope import Aws, AwsMisconfigured, InvalidArgument
from envelope.aws.transport import check_transport
from tests.aws_environment import clean_aws_environment, made_up_session
from tests.http_answers import HttpAnswers, serving
from tests.strict_kms import StrictKms

__all__ = ["clean_aws_environment"]


READ_IN_TWO_WAYS = (
    "http://kms.invalid\\@127.0.0.1:9/",
    "http://kms.invalid@127.0.0.1",
    "https://user@kms.internal",
    "https://kms.invalid\\@kms.internal",
    "http://kms.invalid#@127.0.0.1",
    "http://127.0.0.1?@kms.invalid",
    "http://127.0.0.1\t.kms.invalid",
    "http://local\nhost",
    "ht\ntp://127.0.0.1",
    "\thttp://127.0.0.1",
    "http://127.0.0.1 ",
    "http://127.0.0.1/\r\nHost: kms.invalid",
    "http://127.0.0.1\x00.kms.invalid",
    "http://localhost%00.kms.invalid",
    "http://[::1%25eth0]",
    "http://\uff11\uff12\uff17.0.0.1",
    "https://kms\uff0einternal",
    "https:kms.internal",
    "https:///kms.internal",
    "https://kms.internal:port",
)
"""URLs that parsers read in different ways, or that are none."""


@pytest.fixture
def server() -> Iterator[HttpAnswers]:
    with serving(StrictKms()) as running:
        yield running


def _kms(region: str, **options: Any) -> Any:
    return made_up_session().client("kms", region_name=region, **options)


@pytest.mark.parametrize("url", READ_IN_TWO_WAYS)
def test_an_option_is_a_plain_url(url: str) -> None:
    with pytest.raises(InvalidArgument, match="endpoint_url must be an https URL"):
        Aws(endpoint_url=url)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:4566",
        "http://127.200.0.1",
        "http://[::1]:4566",
        "http://localhost:4566",
        "http://LOCALHOST",
        "https://kms.internal",
        "HTTPS://kms.internal:8443",
    ],
)
def test_tls_or_loopback_is_private(url: str) -> None:
    assert Aws(made_up_session(), region="eu-west-1", endpoint_url=url).client("kms")
    assert Aws(client_for_region=lambda region: _kms(region, endpoint_url=url)).client("kms", "eu-west-1")


@pytest.mark.parametrize(
    "url",
    ["http://kms.eu-west-1.amazonaws.com", "http://10.1.2.3:4566", "http://0.0.0.0:1", "http://[::2]", "http://127.1"],
)
def test_an_endpoint_without_tls_is_refused_wherever_it_comes_from(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AwsMisconfigured, match="has no TLS") as caught:
        Aws(client_for_region=lambda region: _kms(region, endpoint_url=url)).client("kms", "eu-west-1")
    assert "loopback" in caught.value.hint
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", url)
    with pytest.raises(AwsMisconfigured, match="has no TLS"):
        Aws(made_up_session(), region="eu-west-1").client("kms")
    with pytest.raises(InvalidArgument):
        Aws(endpoint_url=url)


@pytest.mark.parametrize("url", READ_IN_TWO_WAYS)
def test_an_endpoint_that_is_no_plain_url_is_refused_wherever_it_comes_from(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AwsMisconfigured, match="not a plain URL"):
        check_transport(_at(url))
    if "\0" not in url:  # which no environment can hold
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", url)
        with pytest.raises(AwsMisconfigured) as caught:
            Aws(made_up_session(), region="eu-west-1").client("kms")
        assert "AWS_ENDPOINT_URL" in caught.value.hint


def _at(url: str) -> Any:
    """As botocore would describe a client for that endpoint, if it took it."""
    client = MagicMock()
    client.meta.endpoint_url = url
    return client


def test_a_session_that_is_a_stand_in_is_an_error_of_ours() -> None:
    with pytest.raises(AwsMisconfigured, match="not a plain URL"):
        Aws(MagicMock(), region="eu-west-1", max_attempts=1).client("kms")


@pytest.mark.parametrize("verify", [False, ""])
def test_a_client_that_verifies_no_certificate_is_refused(verify: Any) -> None:
    with pytest.raises(AwsMisconfigured) as caught:
        Aws(client_for_region=lambda region: _kms(region, verify=verify)).client("kms", "eu-west-1")
    assert "AWS_CA_BUNDLE" in caught.value.hint


def test_verification_that_was_switched_off_behind_botocore_is_noticed() -> None:
    """As versions of botocore did that took an empty CA bundle for "do not verify"."""
    client: Any = _kms("eu-west-1")
    client._endpoint.http_session._verify = ""
    with pytest.raises(AwsMisconfigured, match=r"certificate of https://kms\.eu-west-1\.amazonaws\.com would not be"):
        Aws(client_for_region=lambda region: client).client("kms", "eu-west-1")


@pytest.mark.parametrize("name", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
@pytest.mark.parametrize("value", ["", " "])
def test_an_empty_ca_bundle_does_not_switch_verification_off(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(AwsMisconfigured) as caught:
        Aws(made_up_session(), region="eu-west-1").client("kms")
    assert name in caught.value.hint


def test_plain_http_to_loopback_does_not_leave_through_a_proxy(
    monkeypatch: pytest.MonkeyPatch, server: HttpAnswers
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.internal:3128")
    with pytest.raises(AwsMisconfigured, match="a proxy would see") as caught:
        Aws(made_up_session(), region="eu-west-1", endpoint_url=server.url).client("kms")
    assert "NO_PROXY" in caught.value.hint
    with pytest.raises(AwsMisconfigured, match="a proxy would see"):
        Aws(made_up_session(), region="eu-west-1", endpoint_url=server.url.upper()).client("kms")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert Aws(made_up_session(), region="eu-west-1", endpoint_url=server.url).client("kms")
