"""Every answer that is an error becomes one of ours: each row of the table, over a real HTTP connection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import botocore.exceptions
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envelope import (
    AwsAccessDenied,
    AwsError,
    AwsMisconfigured,
    AwsUnavailable,
)
from envelope.aws import call_limit
from envelope.aws.calls import call_service
from envelope.aws.kms import KmsRequest, encrypt
from envelope.aws.service_errors import CODES, EXCEPTIONS, translated
from tests.aws_environment import clean_aws_environment
from tests.aws_failures import KEY, PLAINTEXT, VALUE, aws_at, check_form, check_shows_nothing, failed_call
from tests.http_answers import Answer, HttpAnswers, error_answer, serving

__all__ = ["clean_aws_environment"]


@pytest.fixture
def server() -> Iterator[HttpAnswers]:
    with serving(Answer()) as running:
        yield running


KINDS: dict[type[AwsError], tuple[str, ...]] = {
    AwsAccessDenied: ("AccessDenied", "AccessDeniedException", "NotAuthorized", "UnauthorizedOperation"),
    AwsMisconfigured: (
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "OptInRequired",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    ),
    AwsUnavailable: (
        "DependencyTimeoutException",
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "InternalServiceError",
        "KMSInternalException",
        "KeyUnavailableException",
        "LimitExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TooManyUpdates",
    ),
    AwsError: (
        "DisabledException",
        "DryRunOperationException",
        "IncorrectKeyException",
        "InvalidArnException",
        "InvalidCiphertextException",
        "InvalidGrantTokenException",
        "InvalidKeyUsageException",
        "InvalidNextToken",
        "InvalidNextTokenException",
        "KMSInvalidMacException",
        "KMSInvalidSignatureException",
        "KMSInvalidStateException",
        "NotFoundException",
        "SerializationException",
        "UnsupportedOperationException",
        "ValidationError",
        "ValidationException",
    ),
}


def test_every_code_of_the_table_is_tested() -> None:
    assert sorted(code for codes in KINDS.values() for code in codes) == sorted(CODES)


@pytest.mark.parametrize(("kind", "code"), [(kind, code) for kind, codes in KINDS.items() for code in codes])
def test_a_code_says_what_to_do(server: HttpAnswers, kind: type[AwsError], code: str) -> None:
    server.answer = lambda _: error_answer(code, f"some message with {VALUE}")
    error = failed_call(aws_at(server.url), kind)
    check_form(error)
    assert (error.code, error.request_id) == (code, "0000-request-id")
    assert f"({code}, request id 0000-request-id)" in str(error)


def test_a_code_may_come_with_its_namespace(server: HttpAnswers) -> None:
    server.answer = lambda _: error_answer("com.amazonaws.kms#DisabledException")
    assert failed_call(aws_at(server.url)).code == "DisabledException"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("DisabledException", f"enable {KEY}"),
        ("KMSInvalidStateException", "cancel the deletion"),
        ("NotFoundException", f"check region, account and id of {KEY}"),
        ("IncorrectKeyException", "somebody changed the message"),
        ("InvalidCiphertextException", "usually the encryption context"),
        ("ThrottlingException", "data-key cache"),
        ("ExpiredTokenException", "log in again"),
        ("AccessDeniedException", f"allow kms:Decrypt on {KEY}"),
    ],
)
def test_a_hint_is_a_next_step(server: HttpAnswers, code: str, text: str) -> None:
    server.answer = lambda _: error_answer(code)
    assert text in failed_call(aws_at(server.url)).hint


CALLER = "arn:aws:sts::111122223333:assumed-role/app/session-1@x=y,z.w_v-u"


@pytest.mark.parametrize(
    "reason",
    [
        "because no identity-based policy allows",
        "because no resource-based policy allows",
        "with an explicit deny in a resource-based policy",
        "with an explicit deny in an identity-based policy",
        "because no VPC endpoint policy allows",
        "because no permissions boundary allows",
        "with an explicit deny in a service control policy",
    ],
)
def test_access_denied_names_caller_action_key_and_policy(server: HttpAnswers, reason: str) -> None:
    message = (
        f"User: {CALLER} is not authorized to perform: kms:Decrypt on resource: {KEY} {reason} the kms:Decrypt action"
    )
    server.answer = lambda _: error_answer("AccessDeniedException", message)
    error = failed_call(aws_at(server.url), AwsAccessDenied)
    check_form(error)
    assert error.hint.startswith(f"{CALLER} lacks kms:Decrypt on {KEY} ({reason}): the key policy")


@pytest.mark.parametrize(
    "message",
    [
        "The ciphertext refers to a customer master key that does not exist, or you are not allowed to access",
        f"User: {VALUE} is not authorized to perform: kms:Decrypt",
        "User: arn:aws:iam::1:user/x is not authorized",
        "User: arn:aws:s3::111122223333:user/x is not authorized",
        "User: arn:aws:iam::111122223333:user/a\nb is not authorized",
        f"User: arn:aws:iam::111122223333:user/{'x' * 201} is not authorized",
        "",
    ],
)
def test_a_message_of_another_form_is_not_shown(server: HttpAnswers, message: str) -> None:
    server.answer = lambda _: error_answer("AccessDeniedException", message)
    error = failed_call(aws_at(server.url), AwsAccessDenied)
    check_form(error)
    assert error.hint.startswith(f"allow kms:Decrypt on {KEY}")


def test_a_caller_without_a_known_policy_is_named_alone(server: HttpAnswers) -> None:
    server.answer = lambda _: error_answer("AccessDeniedException", f"User: {CALLER} is not authorized to perform: x")
    assert failed_call(aws_at(server.url)).hint.startswith(f"{CALLER} lacks kms:Decrypt on {KEY}: the key policy")


@pytest.mark.parametrize(
    ("status", "kind"),
    [(500, AwsUnavailable), (503, AwsUnavailable), (429, AwsUnavailable), (403, AwsAccessDenied), (418, AwsError)],
)
@pytest.mark.parametrize("body", [b"", b"<html>no answer of KMS</html>", b'{"__type": ', b"{}", b'{"__type": "New"}'])
def test_an_answer_without_a_known_code_is_known_by_its_status(
    server: HttpAnswers, status: int, kind: type[AwsError], body: bytes
) -> None:
    server.answer = lambda _: Answer(body, status)
    error = failed_call(aws_at(server.url), kind)
    check_form(error)
    assert error.request_id == ""
    assert "html" not in f"{error} {error.hint}"


@pytest.mark.parametrize("code", ["x" * 200, "code with spaces", "\x1b[2J", "Cödé"])
def test_a_server_cannot_write_what_it_likes_into_our_texts(server: HttpAnswers, code: str) -> None:
    server.answer = lambda _: Answer({"__type": code}, 400, {"x-amzn-RequestId": "y" * 200})
    error = failed_call(aws_at(server.url))
    check_form(error)
    assert (error.code, error.request_id) == ("", "")
    assert str(error).endswith("failed: the call failed")


# --- exceptions of botocore that no test can provoke


def _made(cls: type[Exception]) -> Exception:
    """An instance with a text; its parts do not matter."""
    error = cls.__new__(cls)
    Exception.__init__(error, "some text")
    return error


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_every_exception_of_the_table_is_one_of_botocores(name: str) -> None:
    cls = getattr(botocore.exceptions, name, None) or getattr(call_limit, name)
    failure, _ = translated(_made(cls), operation="kms:Decrypt", resource=str(KEY))
    assert isinstance(failure, AwsError)
    check_form(failure)
    assert type(failure) is EXCEPTIONS[name].kind
    assert failure.code == name


def test_no_exception_of_botocore_is_left_without_a_hint() -> None:
    """A new version may bring more: those that are not in the table are not about connections or credentials."""
    classes = [
        cls for cls in vars(botocore.exceptions).values() if isinstance(cls, type) and issubclass(cls, Exception)
    ]
    assert len(classes) > 80
    for cls in classes:
        failure, _ = translated(_made(cls), operation="kms:Decrypt", resource=str(KEY))
        assert isinstance(failure, AwsError)
        assert failure.hint
        if issubclass(cls, (botocore.exceptions.HTTPClientError, botocore.exceptions.ConnectionError)):
            assert isinstance(failure, AwsUnavailable | AwsMisconfigured)


@pytest.mark.parametrize("error", [ValueError(VALUE), KeyError(VALUE), OSError(VALUE), RuntimeError(VALUE)])
def test_any_other_exception_is_ours_too_and_shows_nothing(error: Exception) -> None:
    def fail(**_: object) -> None:
        raise error

    with pytest.raises(AwsError, match="failed in an unforeseen way") as caught:
        call_service(fail, {}, operation="kms:Decrypt", resource=str(KEY))
    check_form(caught.value)
    check_shows_nothing(caught.value)


def test_our_own_errors_pass() -> None:
    def fail() -> None:
        raise AwsMisconfigured("ours", operation="x", code="y")

    with pytest.raises(AwsMisconfigured, match="ours"):
        call_service(fail, {}, operation="kms:Decrypt", resource=str(KEY))


def test_an_exception_that_quotes_the_request_is_not_chained() -> None:
    aws = aws_at("https://kms.internal")
    request: Any = KmsRequest(aws, {"tenant": {"not": VALUE}})  # type: ignore[dict-item]
    with pytest.raises(AwsError, match="botocore does not take the arguments") as caught:
        encrypt(request, KEY, PLAINTEXT)
    assert caught.value.code == "ParamValidationError"
    check_shows_nothing(caught.value)


def test_an_answer_that_quotes_the_request_is_not_chained(server: HttpAnswers) -> None:
    quoted = f"1 validation error detected: Value '{{tenant={VALUE}}}' at 'encryptionContext' failed to satisfy"
    server.answer = lambda _: error_answer("ValidationException", quoted)
    error = failed_call(aws_at(server.url))
    check_form(error)
    check_shows_nothing(error)
    assert "size of the encryption context" in error.hint


@pytest.mark.parametrize(
    "code",
    ["AccessDeniedException", "InvalidSignatureException", "SignatureDoesNotMatch", "NobodyKnowsIt", "x" * 200, ""],
)
def test_the_text_of_a_code_that_may_quote_the_request_is_not_chained(server: HttpAnswers, code: str) -> None:
    server.answer = lambda _: error_answer(code, f"User: {CALLER} is not authorized, with tenant={VALUE}")
    check_shows_nothing(failed_call(aws_at(server.url)))


@pytest.mark.parametrize("code", ["DisabledException", "InvalidCiphertextException", "ThrottlingException"])
def test_other_causes_are_chained(server: HttpAnswers, code: str) -> None:
    server.answer = lambda _: error_answer(code)
    error = failed_call(aws_at(server.url))
    assert isinstance(error.__cause__, botocore.exceptions.ClientError)


@given(st.text(), st.text(), st.text(), st.integers())
def test_no_answer_of_anybody_breaks_the_translation(code: str, message: str, request_id: str, status: int) -> None:
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"RequestId": request_id, "HTTPStatusCode": status},
    }
    error = botocore.exceptions.ClientError(response, "Decrypt")
    failure, _ = translated(error, operation="kms:Decrypt", resource=str(KEY))
    assert isinstance(failure, AwsError)
    check_form(failure)
