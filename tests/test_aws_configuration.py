"""The standard configuration of AWS holds here as everywhere: environment, profiles, endpoints, CA bundles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
import pytest

from envelope import Aws, AwsMisconfigured, Client, KmsKeyring
from tests.aws_environment import clean_aws_environment, made_up_session
from tests.http_answers import serving
from tests.strict_kms import StrictKms

__all__ = ["clean_aws_environment"]

FILE = """
[default]
region = eu-central-1
aws_access_key_id = AKIDDEFAULT
aws_secret_access_key = secret

[profile app]
region = eu-west-3
aws_access_key_id = AKIDAPP
aws_secret_access_key = secret
endpoint_url = https://everything.internal
max_attempts = 7
retry_mode = adaptive

[profile services]
region = eu-west-3
services = local

[services local]
kms =
  endpoint_url = https://kms.internal
"""


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENVIRONMENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    return monkeypatch


@pytest.fixture
def profiles(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    path = tmp_path / "config"
    path.write_text(FILE)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
    return monkeypatch


def _kms(**options: Any) -> Any:
    return Aws(**options).client("kms")


def test_region_and_credentials_come_from_the_environment(environment: pytest.MonkeyPatch) -> None:
    assert _kms().meta.endpoint_url == "https://kms.eu-west-1.amazonaws.com"
    kms = StrictKms()
    with serving(kms) as server:
        Client(KmsKeyring(kms.add("one"), aws=Aws(endpoint_url=server.url))).encrypt(b"")
    assert server.received[0].access_key == "AKIDENVIRONMENT"


def test_an_option_comes_before_the_environment(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("AWS_ENDPOINT_URL", "https://everything.internal")
    client = _kms(region="us-east-1", endpoint_url="https://kms.internal")
    assert (client.meta.region_name, client.meta.endpoint_url) == ("us-east-1", "https://kms.internal")


def test_an_endpoint_url_for_everything_and_one_for_kms(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("AWS_ENDPOINT_URL", "https://everything.internal")
    aws = Aws()
    assert aws.client("kms").meta.endpoint_url == "https://everything.internal"
    assert aws.client("secretsmanager").meta.endpoint_url == "https://everything.internal"
    environment.setenv("AWS_ENDPOINT_URL_KMS", "https://kms.internal")
    aws = Aws()
    assert aws.client("kms").meta.endpoint_url == "https://kms.internal"
    assert aws.client("secretsmanager").meta.endpoint_url == "https://everything.internal"
    environment.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    assert _kms().meta.endpoint_url == "https://kms.eu-west-1.amazonaws.com"


def test_a_profile_by_environment_or_by_session(profiles: pytest.MonkeyPatch) -> None:
    assert _kms().meta.region_name == "eu-central-1"
    assert _kms(session=boto3.Session(profile_name="app")).meta.endpoint_url == "https://everything.internal"
    profiles.setenv("AWS_PROFILE", "app")
    client = _kms()
    assert (client.meta.region_name, client.meta.endpoint_url) == ("eu-west-3", "https://everything.internal")
    assert client._request_signer._credentials.access_key == "AKIDAPP"
    profiles.setenv("AWS_PROFILE", "services")
    assert _kms().meta.endpoint_url == "https://kms.internal"


def test_a_profile_that_does_not_exist_is_misconfigured(profiles: pytest.MonkeyPatch) -> None:
    profiles.setenv("AWS_PROFILE", "missing")
    with pytest.raises(AwsMisconfigured, match="the profile does not exist") as caught:
        _kms()
    assert caught.value.code == "ProfileNotFound"


def test_retries_of_the_configuration_hold_unless_an_option_says_otherwise(profiles: pytest.MonkeyPatch) -> None:
    profiles.setenv("AWS_PROFILE", "app")
    assert _kms().meta.config.retries == {"mode": "adaptive", "total_max_attempts": 7}
    profiles.setenv("AWS_MAX_ATTEMPTS", "4")
    profiles.setenv("AWS_RETRY_MODE", "legacy")
    assert _kms().meta.config.retries == {"mode": "standard", "total_max_attempts": 4}
    assert _kms(max_attempts=2).meta.config.retries == {"mode": "standard", "total_max_attempts": 2}
    profiles.setenv("AWS_MAX_ATTEMPTS", "1000000")
    assert _kms().meta.config.retries == {"mode": "standard", "total_max_attempts": 20}


@pytest.mark.parametrize("name", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
def test_a_ca_bundle_of_the_environment(environment: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    path = tmp_path / "private-authority.pem"
    environment.setenv(name, str(path))
    with pytest.raises(AwsMisconfigured, match=r"the CA bundle .* does not exist"):
        _kms()
    path.touch()
    assert _kms()._endpoint.http_session._verify == str(path)


def test_fips_and_dual_stack_endpoints(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
    environment.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    assert _kms().meta.endpoint_url == "https://kms-fips.us-east-1.amazonaws.com"
    environment.setenv("AWS_USE_DUALSTACK_ENDPOINT", "true")
    assert _kms().meta.endpoint_url == "https://kms-fips.us-east-1.api.aws"
    environment.delenv("AWS_USE_FIPS_ENDPOINT")
    assert _kms().meta.endpoint_url == "https://kms.us-east-1.api.aws"
    environment.setenv("AWS_USE_FIPS_ENDPOINT", "false")
    assert _kms(use_fips_endpoint=True).meta.endpoint_url == "https://kms-fips.us-east-1.api.aws"


def test_proxies_of_the_environment(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTPS_PROXY", "http://proxy.internal:3128")
    http_session = _kms()._endpoint.http_session
    assert (
        http_session._proxy_config.proxy_url_for("https://kms.eu-west-1.amazonaws.com") == "http://proxy.internal:3128"
    )


def test_a_session_of_the_callers_is_used_as_it_is(environment: pytest.MonkeyPatch) -> None:
    assert _kms(session=made_up_session())._request_signer._credentials.access_key == "AKIDTESTING"
