"""The door to AWS as the stores of secrets use it: clients of other services than KMS, settings of AWS, debug logs."""

from __future__ import annotations

import base64
import io
import json
import logging
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envelope import Aws, AwsMisconfigured, EnvelopeError, InvalidArgument
from envelope.aws.calls import call_service
from envelope.aws.log_redaction import LOGGERS, REDACTED, redacted
from envelope.aws.service_refusal import ServiceRefusal
from envelope_secrets.errors import SecretNotFound
from envelope_secrets.stores.parameters import ParameterStore
from envelope_secrets.stores.protocol import NewSecret, NewVersion
from envelope_secrets.stores.secrets_manager import SecretsManagerStore
from tests.aws_environment import clean_aws_environment, made_up_session
from tests.http_answers import CLOSE, Answer, HttpAnswers, Received, error_answer, serving
from tests.scripted_service import ScriptedService

__all__ = ["clean_aws_environment"]

ARN = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/db-AbCdEf"
TOKEN = "11111111-1111-4111-8111-111111111111"
ROTATION_TOKEN = "rotation-token-that-nobody-may-see-0000"
CANARY = 'canary "wörd" \\ that\nsings'
CANARY_BYTES = b"\xfe\xff a canary of bytes"


# --- clients that the caller makes


def test_a_store_uses_ready_made_clients_as_they_are() -> None:
    service = ScriptedService("secretsmanager")
    aws = Aws.with_clients_of("secretsmanager", service.client_for_region, region="eu-west-1")
    assert aws.client("secretsmanager") is service.client_for_region("eu-west-1")
    assert aws.client("secretsmanager", "us-east-1") is service.client_for_region("us-east-1")
    service.on("RestoreSecret", {})
    SecretsManagerStore(aws).restore("prod/db")
    assert service.regions() == ["eu-west-1"]


def test_clients_of_one_service_are_none_of_another() -> None:
    made = ScriptedService("ssm").client_for_region
    aws = Aws.with_clients_of("secretsmanager", made)
    with pytest.raises(InvalidArgument, match="gave a client of another service or region") as caught:
        aws.client("secretsmanager", "eu-west-1")
    assert 'boto3.client("secretsmanager"' in caught.value.hint


def test_a_region_is_needed_for_names() -> None:
    store = SecretsManagerStore(client_for_region=ScriptedService("secretsmanager").client_for_region)
    with pytest.raises(AwsMisconfigured, match="no region is known") as caught:
        store.read("prod/db")
    assert (caught.value.operation, caught.value.hint) == ("making a client of secretsmanager", "give region=")


def test_a_function_that_is_none_makes_no_clients() -> None:
    with pytest.raises(InvalidArgument, match="client_for_region must be a function of a region, not str") as caught:
        Aws.with_clients_of("ssm", "x")  # type: ignore[arg-type]
    assert 'boto3.client("ssm"' in caught.value.hint
    nothing: Any = None
    with pytest.raises(InvalidArgument, match="client_for_region must be a function of a region, not NoneType"):
        Aws.with_clients_of("ssm", nothing)


# --- settings of AWS


def test_the_endpoints_of_the_environment_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", "https://vpce-1.secretsmanager.internal")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", "https://vpce-1.ssm.internal")
    aws = Aws(made_up_session(), region="eu-west-1")
    assert aws.client("secretsmanager").meta.endpoint_url == "https://vpce-1.secretsmanager.internal"
    assert aws.client("ssm").meta.endpoint_url == "https://vpce-1.ssm.internal"


def test_secrets_do_not_travel_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://secretsmanager.internal")
    with pytest.raises(AwsMisconfigured, match=r"the endpoint http://secretsmanager\.internal has no TLS"):
        SecretsManagerStore(Aws(made_up_session(), region="eu-west-1")).read("prod/db")


def test_fips_endpoints_are_used_if_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    aws = Aws(made_up_session(), region="us-east-1")
    assert aws.client("secretsmanager").meta.endpoint_url == "https://secretsmanager-fips.us-east-1.amazonaws.com"
    assert aws.client("ssm").meta.endpoint_url == "https://ssm-fips.us-east-1.amazonaws.com"


def test_a_store_can_be_made_before_anything_is_configured() -> None:
    store = SecretsManagerStore(Aws())
    with pytest.raises(AwsMisconfigured, match="no region is known"):
        store.read("prod/db")


# --- refusals that a caller knows


class ClientError(Exception):
    """What botocore raises, as far as it is looked at."""

    def __init__(self, response: object) -> None:
        super().__init__("quotes the request: hunter2")
        self.response = response


def test_a_caller_is_asked_first_what_a_refusal_means() -> None:
    asked: list[ServiceRefusal] = []

    def refused(refusal: ServiceRefusal) -> EnvelopeError | None:
        asked.append(refusal)
        return SecretNotFound("mine")

    def fail() -> None:
        raise ClientError(
            {
                "Error": {"Code": "NoSuch", "Message": "hunter2"},
                "ResponseMetadata": {"RequestId": "r-1", "HTTPStatusCode": 418},
            }
        )

    with pytest.raises(SecretNotFound, match="mine") as caught:
        call_service(fail, {}, operation="ssm:GetParameter", resource="x", refused=refused)
    assert asked == [ServiceRefusal("NoSuch", "hunter2", "r-1", 418)]
    assert "hunter2" not in repr(asked)
    assert caught.value.__cause__ is caught.value.__context__ is None


# --- debug logs


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """Everything that any logger says, down to DEBUG, with tracebacks."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield text
    root.setLevel(before)
    root.removeHandler(handler)


@pytest.fixture
def server() -> Iterator[HttpAnswers]:
    with serving(_answer) as running:
        yield running


@pytest.fixture
def aws(server: HttpAnswers) -> Aws:
    return Aws(made_up_session(), endpoint_url=server.url, region="eu-west-1", max_attempts=1)


PLACE = {"ARN": ARN, "Name": "prod/db", "VersionId": TOKEN, "VersionStages": ["AWSCURRENT"]}
PARAMETER = {"Name": "/app/db", "Type": "SecureString", "Value": CANARY, "Version": 1, "ARN": "arn:x"}
SOURCE = json.dumps({"secretString": CANARY, "versionId": TOKEN})


def _answer(received: Received) -> Answer:
    binary = {"SecretBinary": base64.b64encode(CANARY_BYTES).decode()}
    answers: dict[str, Any] = {
        "CreateSecret": PLACE,
        "PutSecretValue": PLACE,
        "GetSecretValue": PLACE | ({"SecretString": CANARY} if "VersionStage" in received.body else binary),
        "BatchGetSecretValue": {"SecretValues": [PLACE | {"SecretString": CANARY}]},
        "PutParameter": {"Version": 1},
        "GetParameter": {"Parameter": PARAMETER | {"SourceResult": SOURCE}},
        "GetParameters": {"Parameters": [PARAMETER]},
        "GetParametersByPath": {"Parameters": [PARAMETER]},
        "GetParameterHistory": {"Parameters": [PARAMETER]},
    }
    return Answer(answers[received.operation])


def _use_everything(aws: Aws) -> None:
    store, parameters = SecretsManagerStore(aws), ParameterStore(aws)
    store.create(NewSecret("prod/db", NewVersion(CANARY, TOKEN)))
    store.put("prod/db", NewVersion(CANARY_BYTES, TOKEN, rotation_token=ROTATION_TOKEN))
    assert store.read("prod/db").text == CANARY
    assert store.read("prod/db", stage=None, version_id=TOKEN).binary == CANARY_BYTES
    assert len(store.read_many(["prod/db"])) == 1
    parameters.create(NewSecret("/app/db", NewVersion(CANARY, TOKEN)))
    parameters.put("/app/db", NewVersion(CANARY, TOKEN))
    assert parameters.read("/app/db").text == CANARY
    assert len(parameters.read_many(["/app/db"])) == 1
    assert len(parameters.read_tree("/app")) == 1


def _canaries_in(text: str) -> list[str]:
    forms = [
        "canary",
        "sings",
        base64.b64encode(CANARY_BYTES).decode().rstrip("="),
        base64.b64encode(CANARY.encode()).decode()[:-4],
        CANARY_BYTES.hex(),
        ROTATION_TOKEN,
    ]
    return [form for form in forms if form in text]


def test_with_everything_logged_no_value_stands_in_a_log(aws: Aws, server: HttpAnswers, logged: io.StringIO) -> None:
    _use_everything(aws)
    text = logged.getvalue()
    assert _canaries_in(text) == []
    assert len(server.operations()) == 11
    # What went over the wire is what was meant, and the logs were on.
    assert server.received[0].body["SecretString"] == CANARY
    assert text.count("Response body:") == 11
    assert text.count(REDACTED) >= 11


def test_without_the_filter_the_values_would_be_logged(aws: Aws, logged: io.StringIO) -> None:
    """So the test above can fail."""
    aws.client("ssm")
    aws.client("secretsmanager")
    filters = {name: logging.getLogger(name).filters[:] for name in LOGGERS}
    try:
        for name in LOGGERS:
            logging.getLogger(name).filters.clear()
        _use_everything(aws)
    finally:
        for name in LOGGERS:
            logging.getLogger(name).filters[:] = filters[name]
    assert len(_canaries_in(logged.getvalue())) >= 4


@pytest.mark.parametrize("code", ["ValidationException", "InvalidParameterException", "ThrottlingException", "Strange"])
def test_a_refusal_that_quotes_the_value_shows_it_nowhere(
    code: str, aws: Aws, server: HttpAnswers, logged: io.StringIO
) -> None:
    message = f"1 validation error detected: Value '{CANARY}' at 'value' failed to satisfy constraint"
    server.answer = lambda _: error_answer(code, message)
    calls = (
        lambda: SecretsManagerStore(aws).put("prod/db", NewVersion(CANARY, TOKEN)),
        lambda: ParameterStore(aws).create(NewSecret("/app/db", NewVersion(CANARY, TOKEN))),
    )
    for call in calls:
        with pytest.raises(EnvelopeError) as caught:
            call()
        shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.__dict__)
        assert _canaries_in(shown) == []
    assert _canaries_in(logged.getvalue()) == []


def test_a_request_that_botocore_refuses_shows_its_value_nowhere(aws: Aws, logged: io.StringIO) -> None:
    client = aws.client("secretsmanager")
    with pytest.raises(EnvelopeError, match="botocore does not take the arguments") as caught:
        call_service(
            client.put_secret_value,
            {"SecretId": "a", "SecretString": [CANARY]},
            operation="secretsmanager:PutSecretValue",
            resource="a",
        )
    shown = "".join(traceback.format_exception(caught.value))
    assert _canaries_in(shown + repr(caught.value.__dict__) + logged.getvalue()) == []
    assert "check names, sizes and types" in caught.value.hint


def _report(error: BaseException) -> str:
    """What a collector of errors writes down: every frame of every exception, with its local variables."""
    return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())


def _failing_writes(aws: Aws) -> Iterator[EnvelopeError]:
    rotation = NewVersion(CANARY, TOKEN, rotation_token=ROTATION_TOKEN)
    for call in (
        lambda: SecretsManagerStore(aws).put("prod/db", rotation),
        lambda: SecretsManagerStore(aws).create(NewSecret("prod/db", NewVersion(CANARY_BYTES, TOKEN))),
        lambda: ParameterStore(aws).create(NewSecret("/app/db", NewVersion(CANARY, TOKEN))),
    ):
        with pytest.raises(EnvelopeError) as caught:
            call()
        yield caught.value


@pytest.mark.parametrize("way", ["refused", "closed", "unreachable", "cut"])
def test_no_local_variable_of_a_failed_write_shows_the_value(way: str, aws: Aws, server: HttpAnswers) -> None:
    answers = {"refused": error_answer("InvalidParameterException", CANARY), "closed": CLOSE}
    server.answer = lambda _: answers.get(way, Answer(b"{", lost_bytes=9))
    if way == "unreachable":
        aws = Aws(made_up_session(), endpoint_url="http://127.0.0.1:1", region="eu-west-1", max_attempts=1)
    for error in _failing_writes(aws):
        report = _report(error)
        assert _canaries_in(report) == []
        assert "self = " in report  # it does show local variables
        assert error.__cause__ is None or error.__cause__.__traceback__ is None


TOLD = PLACE | {"SecretString": CANARY}
WRONG_ANSWERS: list[tuple[type[SecretsManagerStore | ParameterStore], dict[str, Any]]] = [
    (SecretsManagerStore, TOLD | {"SecretBinary": base64.b64encode(CANARY_BYTES).decode()}),
    (SecretsManagerStore, TOLD | {"Name": 7}),
    (SecretsManagerStore, TOLD | {"VersionId": ""}),
    (SecretsManagerStore, TOLD | {"SecretString": [CANARY]}),
    (SecretsManagerStore, TOLD | {"VersionStages": ["AWSPREVIOUS"]}),
    (SecretsManagerStore, TOLD | {"Name": "other", "ARN": "arn:other"}),
    *(
        (ParameterStore, {"Parameter": PARAMETER | {"SourceResult": SOURCE} | change})
        for change in ({"Name": "/other", "ARN": "arn:other"}, {"Version": "x"}, {"Value": [CANARY]}, {"ARN": 1})
    ),
    (ParameterStore, {"Parameter": PARAMETER | {"ARN": ""}}),
]


@pytest.mark.parametrize("number", range(len(WRONG_ANSWERS)))
def test_no_local_variable_of_an_answer_that_is_none_shows_the_value(
    number: int, aws: Aws, server: HttpAnswers
) -> None:
    server.answer = lambda _: Answer(WRONG_ANSWERS[number][1])
    with pytest.raises(EnvelopeError) as caught:
        WRONG_ANSWERS[number][0](aws).read("/app/db" if WRONG_ANSWERS[number][0] is ParameterStore else "prod/db")
    assert _canaries_in(_report(caught.value)) == []


@given(st.text(), st.text(), st.sampled_from(["message", "Message"]), st.booleans())
def test_a_message_that_quotes_a_value_is_hidden_however_it_is_written(
    before: str, value: str, name: str, as_bytes: bool
) -> None:
    body = json.dumps({"__type": "kept", name: f"{before}Value '{value}' at 'x'", "After": "kept too"})
    shown: Any = redacted(body.encode() if as_bytes else body)
    assert json.loads(shown) == {"__type": "kept", name: REDACTED, "After": "kept too"}


def test_a_message_that_quotes_nothing_is_kept() -> None:
    body = '{"__type": "ThrottlingException", "message": "Rate exceeded"}'
    assert redacted(body) == body
