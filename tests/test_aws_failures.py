"""Calls that get no answer, configurations that allow none, and how often a call is tried."""

from __future__ import annotations

import socket
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import botocore.exceptions
import pytest

from envelope import (
    Aws,
    AwsAccessDenied,
    AwsMisconfigured,
    AwsUnavailable,
    Client,
    KeyUnavailable,
    KmsKeyring,
)
from tests.aws_environment import clean_aws_environment, made_up_session
from tests.aws_failures import KEY, VALUE, aws_at, check_form, failed_call
from tests.http_answers import CLOSE, SILENCE, Answer, HttpAnswers, Received, error_answer, serving
from tests.strict_kms import StrictKms

__all__ = ["clean_aws_environment"]


@pytest.fixture
def server() -> Iterator[HttpAnswers]:
    with serving(Answer()) as running:
        yield running


# --- no answer


def test_a_silent_server_times_out(server: HttpAnswers) -> None:
    server.answer = lambda _: SILENCE
    error = failed_call(aws_at(server.url, read_timeout_s=0.05), AwsUnavailable)
    check_form(error)
    assert error.code == "ReadTimeoutError"
    assert "read_timeout_s" in error.hint
    assert isinstance(error.__cause__, botocore.exceptions.ReadTimeoutError)


def test_a_host_that_does_not_take_connections_times_out() -> None:
    with socket.socket() as listening, socket.socket() as filling:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)  # one connection waits in the kernel, more are not answered
        filling.connect(listening.getsockname())
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        error = failed_call(aws_at(url, connect_timeout_s=0.1, read_timeout_s=0.1), AwsUnavailable)
    check_form(error)
    assert error.code in ("ConnectTimeoutError", "ReadTimeoutError")


def test_a_closed_connection_is_unavailable(server: HttpAnswers) -> None:
    server.answer = lambda _: CLOSE
    error = failed_call(aws_at(server.url), AwsUnavailable)
    check_form(error)
    assert error.code == "ConnectionClosedError"


def test_an_answer_that_is_cut_is_refused_without_being_shown(server: HttpAnswers) -> None:
    body = b'{"KeyId": "' + str(KEY).encode() + b'", "Plaintext": "' + VALUE.encode()
    server.answer = lambda _: Answer(body, lost_bytes=100)
    error = failed_call(aws_at(server.url))
    assert error.code == "UnexpectedResponse"
    assert VALUE not in "".join(traceback.format_exception(error))


def test_nobody_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        error = failed_call(aws_at(url), AwsUnavailable)
    check_form(error)
    assert error.code == "EndpointConnectionError"


def test_a_name_that_does_not_resolve() -> None:
    error = failed_call(aws_at("https://kms.eu-west-1.invalid"), AwsUnavailable)
    check_form(error)
    assert error.code in ("EndpointConnectionError", "ConnectTimeoutError")
    assert "name resolution" in error.hint


def test_a_server_without_tls_behind_https(server: HttpAnswers) -> None:
    error = failed_call(aws_at(server.url.replace("http:", "https:")), AwsMisconfigured)
    check_form(error)
    assert error.code == "SSLError"
    assert "AWS_CA_BUNDLE" in error.hint


def test_a_proxy_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{unused.getsockname()[1]}")
        error = failed_call(aws_at("https://kms.internal"), AwsMisconfigured)
    check_form(error)
    assert error.code == "ProxyConnectionError"


# --- configuration


def test_no_credentials() -> None:
    error = failed_call(Aws(endpoint_url="https://kms.internal"), AwsMisconfigured)
    check_form(error)
    assert error.code == "NoCredentialsError"
    assert "AWS_PROFILE" in error.hint


def test_half_of_the_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDTESTING")
    error = _failure_of_client(Aws(region="eu-west-1"))
    assert error.code == "PartialCredentialsError"


def _failure_of_client(aws: Aws, region: str | None = None) -> AwsMisconfigured:
    with pytest.raises(AwsMisconfigured) as caught:
        aws.client("kms", region)
    assert str(caught.value).startswith(("making a client of kms failed: ", "reading the AWS configuration failed: "))
    return caught.value


def test_no_region() -> None:
    error = _failure_of_client(Aws(made_up_session()))
    assert (error.code, error.hint) == ("NoRegionError", "give Aws(region=...), or set AWS_DEFAULT_REGION")


def test_a_region_that_has_no_valid_name() -> None:
    error = _failure_of_client(Aws(made_up_session()), "evil.example.com/#")
    assert error.code == "InvalidRegionError"
    assert "evil" not in str(error)


def test_a_configuration_file_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("[profile\nregion")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
    assert _failure_of_client(Aws(region="eu-west-1")).code == "ConfigParseError"


def test_attempts_that_are_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "many")
    with pytest.raises(AwsMisconfigured, match="the attempts are no whole number") as caught:
        Aws(made_up_session(), region="eu-west-1").client("kms")
    assert "AWS_MAX_ATTEMPTS" in caught.value.hint
    assert Aws(made_up_session(), region="eu-west-1", max_attempts=2).client("kms")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_MAX_ATTEMPTS", "-1"),
        ("AWS_ENDPOINT_URL", "nonsense"),
        ("AWS_ENDPOINT_URL", "https://user:hidden@nonsense of a host"),
        ("AWS_DEFAULTS_MODE", "bogus"),
        ("AWS_STS_REGIONAL_ENDPOINTS", "bogus"),
        ("AWS_REQUEST_CHECKSUM_CALCULATION", "bogus"),
        ("AWS_RESPONSE_CHECKSUM_VALIDATION", "bogus"),
    ],
)
def test_a_setting_that_botocore_does_not_take_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    error = _failure_of_client(Aws(made_up_session(), region="eu-west-1"))
    assert name in error.hint
    assert "bug" not in error.hint
    assert "hidden" not in "".join(traceback.format_exception(error))


def test_credentials_that_a_process_does_not_give(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("[default]\ncredential_process = false\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
    error = _failure_of_client(Aws(region="eu-west-1"))
    assert error.code == "CredentialRetrievalError"


def test_a_login_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(
        "[default]\nsso_session = app\nsso_account_id = 111122223333\nsso_role_name = app\n"
        "[sso-session app]\nsso_region = eu-west-1\nsso_start_url = https://app.awsapps.com/start\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
    monkeypatch.setenv("HOME", str(tmp_path))
    error = failed_call(Aws(endpoint_url="https://kms.internal"), AwsMisconfigured)
    check_form(error)
    assert "log in again" in error.hint


# --- retries


def _after(failures: int, failing: Answer, kms: StrictKms) -> Callable[[Received], Answer]:
    left = [failing] * failures
    return lambda received: left.pop() if left else kms(received)


def test_a_call_that_is_throttled_twice_is_sent_three_times(
    server: HttpAnswers, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("botocore.endpoint.time.sleep", pauses.append)
    kms = StrictKms()
    arn = kms.add("one")
    server.answer = _after(2, error_answer("ThrottlingException"), kms)
    client = Client(KmsKeyring(arn, aws=Aws(made_up_session(), endpoint_url=server.url)))
    assert client.encrypt(b"")
    assert server.operations() == ["GenerateDataKey"] * 3
    assert len(pauses) == 2
    server.received.clear()
    server.answer = _after(3, error_answer("ThrottlingException"), kms)
    with pytest.raises(KeyUnavailable) as caught:
        client.encrypt(b"")
    assert caught.value.can_retry
    assert server.operations() == ["GenerateDataKey"] * 3


def test_what_cannot_succeed_is_sent_once(server: HttpAnswers) -> None:
    server.answer = lambda _: error_answer("AccessDeniedException")
    failed_call(aws_at(server.url, max_attempts=3), AwsAccessDenied)
    assert len(server.received) == 1


def test_one_attempt_is_one_attempt(server: HttpAnswers) -> None:
    server.answer = lambda _: Answer(b"", 503)
    failed_call(aws_at(server.url, max_attempts=1), AwsUnavailable)
    assert len(server.received) == 1
