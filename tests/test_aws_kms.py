"""The calls of KMS: what is checked before they are made, and in what comes back."""

from __future__ import annotations

import base64
import contextvars
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from envelope import Aws, AwsError, InvalidArgument
from envelope.aws.arn import KeyArn
from envelope.aws.kms import KmsRequest, decrypt, describe_key, encrypt, generate_data_key, kms_calls
from tests.aws_environment import clean_aws_environment, made_up_session
from tests.http_answers import Answer, HttpAnswers, serving
from tests.strict_kms import arn_of

__all__ = ["clean_aws_environment"]

KEY = KeyArn.parse(arn_of("one"))


def _base64(size: int) -> str:
    return base64.b64encode(bytes(size)).decode()


GOOD = {"KeyId": str(KEY), "Plaintext": _base64(32), "CiphertextBlob": _base64(100)}


@pytest.fixture
def server() -> Iterator[HttpAnswers]:
    with serving(Answer(GOOD)) as running:
        yield running


@pytest.fixture
def request_of(server: HttpAnswers) -> KmsRequest:
    return KmsRequest(Aws(made_up_session(), endpoint_url=server.url, max_attempts=1), {"tenant": "42"})


CALLS: dict[str, Any] = {
    "GenerateDataKey": lambda request: generate_data_key(request, KEY, 32),
    "Encrypt": lambda request: encrypt(request, KEY, bytes(32)),
    "Decrypt": lambda request: decrypt(request, KEY, bytes(100)),
}


def test_good_answers_are_taken(request_of: KmsRequest) -> None:
    generated = CALLS["GenerateDataKey"](request_of)
    assert (generated.plaintext, generated.ciphertext) == (bytes(32), bytes(100))
    assert CALLS["Encrypt"](request_of) == bytes(100)
    assert CALLS["Decrypt"](request_of) == bytes(32)


@pytest.mark.parametrize(
    ("operation", "changes", "text"),
    [
        *((name, {"KeyId": None}, "names no key ARN where") for name in CALLS),
        *((name, {"KeyId": ""}, "names no key ARN where") for name in CALLS),
        *((name, {"KeyId": "one"}, "names no key ARN where") for name in CALLS),
        *((name, {"KeyId": arn_of("two")}, f"names {arn_of('two')} where {KEY}") for name in CALLS),
        *((name, {"KeyId": arn_of("one", "us-east-1")}, "names arn:aws:kms:us-east-1") for name in CALLS),
        ("GenerateDataKey", {"Plaintext": None}, "holds no Plaintext"),
        ("GenerateDataKey", {"Plaintext": _base64(31)}, "a Plaintext of 31 bytes instead of 32$"),
        ("GenerateDataKey", {"Plaintext": _base64(33)}, "a Plaintext of 33 bytes instead of 32$"),
        ("GenerateDataKey", {"CiphertextBlob": None}, "holds no CiphertextBlob"),
        ("GenerateDataKey", {"CiphertextBlob": ""}, "a CiphertextBlob of 0 bytes instead of 1 to 6,144"),
        ("Encrypt", {"CiphertextBlob": None}, "holds no CiphertextBlob"),
        ("Encrypt", {"CiphertextBlob": _base64(6_145)}, "a CiphertextBlob of 6,145 bytes"),
        ("Decrypt", {"Plaintext": None}, "holds no Plaintext"),
        ("Decrypt", {"Plaintext": ""}, "a Plaintext of 0 bytes"),
        ("Decrypt", {"Plaintext": _base64(4_097)}, "a Plaintext of 4,097 bytes"),
    ],
)
def test_an_answer_that_kms_would_not_give_is_refused(
    server: HttpAnswers, request_of: KmsRequest, operation: str, changes: dict[str, Any], text: str
) -> None:
    answer = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    server.answer = lambda _: Answer(answer)
    with pytest.raises(AwsError, match=text) as caught:
        CALLS[operation](request_of)
    assert str(caught.value).startswith(f"the response to kms:{operation} ")
    assert (caught.value.operation, caught.value.code) == (f"kms:{operation}", "UnexpectedResponse")
    assert "endpoint" in caught.value.hint


@pytest.mark.parametrize("size", [-1, 0, 1_025])
def test_a_data_key_has_1_to_1024_bytes(server: HttpAnswers, request_of: KmsRequest, size: int) -> None:
    with pytest.raises(InvalidArgument, match="data keys of 1 to 1,024 bytes"):
        generate_data_key(request_of, KEY, size)
    assert server.received == []


@pytest.mark.parametrize("size", [0, 4_097])
def test_a_plaintext_has_1_to_4096_bytes(server: HttpAnswers, request_of: KmsRequest, size: int) -> None:
    with pytest.raises(InvalidArgument, match="KMS takes 1 to 4,096"):
        encrypt(request_of, KEY, bytes(size))
    assert encrypt(request_of, KEY, bytes(4_096)) == bytes(100)
    assert len(server.received) == 1


@pytest.mark.parametrize("size", [0, 6_145])
def test_a_ciphertext_has_1_to_6144_bytes(server: HttpAnswers, request_of: KmsRequest, size: int) -> None:
    with pytest.raises(InvalidArgument, match="KMS takes 1 to 6,144"):
        decrypt(request_of, KEY, bytes(size))
    assert decrypt(request_of, KEY, bytes(6_144)) == bytes(32)
    assert len(server.received) == 1


@pytest.mark.parametrize("context", [{"tenant": ""}, {"": "42"}, {"a": "b", "tenant": ""}])
@pytest.mark.parametrize("operation", CALLS)
def test_kms_takes_no_empty_name_or_value(
    server: HttpAnswers, request_of: KmsRequest, operation: str, context: dict[str, str]
) -> None:
    with pytest.raises(InvalidArgument, match="name or value is empty"):
        CALLS[operation](KmsRequest(request_of.clients, context))
    assert server.received == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"KeyMetadata": None},
        {"KeyMetadata": {"KeyId": "one"}},
        {"KeyMetadata": {"KeyId": "one", "Arn": "one"}},
        {"KeyMetadata": {"KeyId": "one", "Arn": str(KEY).replace("key/", "alias/")}},
    ],
)
def test_a_description_without_the_arn_of_a_key_is_refused(server: HttpAnswers, body: dict[str, Any]) -> None:
    server.answer = lambda _: Answer(body)
    aws = Aws(made_up_session(), endpoint_url=server.url, region="eu-west-1")
    with pytest.raises(AwsError, match="the response to kms:DescribeKey names no key ARN"):
        describe_key(aws, "alias/app", None)


def test_values_that_hold_a_key_do_not_show_it(request_of: KmsRequest) -> None:
    request = KmsRequest(request_of.clients, {"tenant": "personal"}, ("secret-token",))
    shown = repr(request) + repr(CALLS["GenerateDataKey"](request))
    assert "personal" not in shown
    assert "secret-token" not in shown
    assert "\\x00" not in shown


def test_calls_are_counted_for_every_block_around_them(request_of: KmsRequest, server: HttpAnswers) -> None:
    with kms_calls() as outer:
        CALLS["Encrypt"](request_of)
        with kms_calls() as inner:
            CALLS["Decrypt"](request_of)
            server.answer = lambda _: Answer({})
            with pytest.raises(AwsError):
                CALLS["Decrypt"](request_of)
        with pytest.raises(InvalidArgument):
            decrypt(request_of, KEY, b"")
        with pytest.raises(AwsError):
            describe_key(request_of.clients, "alias/app", "eu-west-1")
    with pytest.raises(AwsError):
        CALLS["Decrypt"](request_of)
    assert (outer.count, inner.count) == (4, 2)


def test_a_block_that_raises_has_counted(server: HttpAnswers, request_of: KmsRequest) -> None:
    server.answer = lambda _: Answer({})
    with pytest.raises(AwsError), kms_calls() as tally:
        CALLS["Encrypt"](request_of)
    server.answer = lambda _: Answer(GOOD)
    CALLS["Encrypt"](request_of)
    assert tally.count == 1


def test_the_calls_of_another_thread_are_its_own(request_of: KmsRequest) -> None:
    with kms_calls() as tally:
        other = threading.Thread(target=CALLS["Encrypt"], args=(request_of,))
        other.start()
        other.join()
        assert tally.count == 0
        # A thread that works for this one gets its context, as `asyncio.to_thread` does it.
        ours = threading.Thread(target=contextvars.copy_context().run, args=(CALLS["Encrypt"], request_of))
        ours.start()
        ours.join()
    assert tally.count == 1
