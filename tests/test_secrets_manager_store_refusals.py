"""What the service refuses, and what becomes of it: which class, which hint, and nothing of a text that may quote."""

from __future__ import annotations

import pickle
import traceback

import pytest

from envelope import AwsAccessDenied, AwsError, AwsMisconfigured, AwsUnavailable, EnvelopeError, InvalidArgument
from envelope.aws.denials import denial_hint
from envelope.aws.in_process import NoAnswer
from envelope.aws.service_errors import error_of
from envelope.aws.service_refusal import ServiceRefusal
from envelope_secrets.errors import (
    SecretConflict,
    SecretDeleted,
    SecretKeyUnavailable,
    SecretNotFound,
    SecretRefused,
    SecretsError,
)
from envelope_secrets.stages import AWSCURRENT, StageMove
from envelope_secrets.stores.protocol import NewVersion
from envelope_secrets.stores.refusals import error_for, refusal_of
from envelope_secrets.stores.secrets_manager import SecretsManagerStore
from tests.scripted_service import Refused, ScriptedService

ID = "11111111-1111-4111-8111-111111111111"
OTHER_ID = "22222222-2222-4222-8222-222222222222"
SECRET = "hunter2"

ROWS: list[tuple[str, str, type[EnvelopeError], str]] = [
    (
        "ResourceNotFoundException",
        "Secrets Manager can't find the specified secret.",
        SecretNotFound,
        "there is no such secret",
    ),
    (
        "ResourceNotFoundException",
        "Secrets Manager can't find the specified secret value for staging label: AWSPENDING",
        SecretNotFound,
        "no version with that id or staging label has a value",
    ),
    (
        "ResourceNotFoundException",
        "Secrets Manager can't find the specified secret value for VersionId: x",
        SecretNotFound,
        "no version with that id or staging label has a value",
    ),
    (
        "InvalidRequestException",
        "You can't perform this operation on the secret because it was marked for deletion.",
        SecretDeleted,
        "the secret is scheduled for deletion",
    ),
    (
        "InvalidRequestException",
        "You can't create this secret because a secret with this name is already scheduled for deletion.",
        SecretDeleted,
        "the secret is scheduled for deletion",
    ),
    (
        "InvalidRequestException",
        "You provided a VersionStage that is not associated to the provided VersionId.",
        SecretConflict,
        "the version does not have the staging label",
    ),
    (
        "InvalidRequestException",
        "A previous rotation isn't complete. That rotation will be reattempted.",
        SecretConflict,
        "a rotation of the secret is not complete",
    ),
    (
        "InvalidRequestException",
        "No Lambda rotation function ARN is associated with this secret.",
        SecretConflict,
        "no function that rotates the secret is configured",
    ),
    (
        "InvalidRequestException",
        "Operation not permitted on a replica secret. Call must be made in primary secret's region.",
        SecretRefused,
        "belongs to another service or region",
    ),
    ("InvalidRequestException", "something else", SecretConflict, "in a state that does not allow it"),
    (
        "ResourceExistsException",
        "You can't use ClientRequestToken x because that value is already in use for a version of secret y.",
        SecretConflict,
        "the token is that of a version with another value",
    ),
    (
        "ResourceExistsException",
        "The operation failed because the secret prod/db already exists.",
        SecretConflict,
        "the name is in use already",
    ),
    (
        "InvalidParameterException",
        "Operation not permitted on a replica secret. Call must be made in primary secret's region.",
        SecretRefused,
        "the secret is a replica",
    ),
    (
        "InvalidParameterException",
        "You can't delete secret prod/db that still has replica regions [us-east-1].",
        SecretConflict,
        "the secret has copies in other regions",
    ),
    ("InvalidParameterException", "", InvalidArgument, "does not take the arguments"),
    ("LimitExceededException", "", SecretRefused, "a quota of the service is reached"),
    ("PublicPolicyException", "", SecretRefused, "would open the secret to the public"),
    ("MalformedPolicyDocumentException", "", SecretRefused, "the resource policy has errors"),
    ("PreconditionNotMetException", "", SecretRefused, "not in the state that the call needs"),
    ("EncryptionFailure", "", SecretKeyUnavailable, "could not be encrypted"),
    ("DecryptionFailure", "", SecretKeyUnavailable, "could not be decrypted"),
    ("DecryptionFailureException", "", SecretKeyUnavailable, "could not be decrypted"),
    ("AccessDeniedException", "", AwsAccessDenied, "access denied"),
    ("ThrottlingException", "", AwsUnavailable, "throttled"),
    ("InternalServiceError", "", AwsUnavailable, "an error inside the service"),
    ("InvalidNextTokenException", "", AwsError, "the list changed while its pages were read"),
    ("ExpiredTokenException", "", AwsMisconfigured, "the credentials have expired"),
    ("SomethingNewException", "", AwsError, "the call failed"),
]


def service_refusing(code: str, message: str, status: int = 400) -> ScriptedService:
    service = ScriptedService("secretsmanager")
    for operation in ("PutSecretValue", "UpdateSecretVersionStage"):
        service.on(operation, Refused(code, message, status))
    return service


def store_of(service: ScriptedService) -> SecretsManagerStore:
    return SecretsManagerStore(region="eu-west-1", client_for_region=service.client_for_region)


def refused_put(code: str, message: str, status: int = 400) -> EnvelopeError:
    with pytest.raises(EnvelopeError) as caught:
        store_of(service_refusing(code, message, status)).put("prod/db", NewVersion(SECRET, ID))
    return caught.value


@pytest.mark.parametrize(("code", "message", "kind", "what"), ROWS)
def test_a_refusal_becomes_an_error(code: str, message: str, kind: type[EnvelopeError], what: str) -> None:
    error = refused_put(code, message)
    assert type(error) is kind
    assert str(error).startswith("secretsmanager:PutSecretValue on prod/db failed: ")
    assert what in str(error)
    assert code in str(error)
    for text in (str(error), error.hint):
        assert text
        assert text.isprintable()
        assert not text.endswith(".")
        assert "{" not in text
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (type(again), str(again), again.__dict__) == (type(error), str(error), error.__dict__)


@pytest.mark.parametrize("status", [400, 404])
def test_the_http_status_does_not_matter(status: int) -> None:
    """As moto, which answers 404 where the service answers 400."""
    assert type(refused_put("ResourceNotFoundException", "", status)) is SecretNotFound


def test_a_secret_called_like_a_reason_changes_nothing() -> None:
    message = "The operation failed because the secret for-deletion/previous-rotation/ClientRequestTok already exists."
    assert type(refused_put("ResourceExistsException", message)) is SecretConflict
    assert "the name is in use" in str(refused_put("ResourceExistsException", message))


def test_a_label_that_has_moved_is_a_conflict() -> None:
    """The same code is a wrong argument in every other call."""
    store = store_of(service_refusing("InvalidParameterException", "The parameter RemoveFromVersionId can't be empty."))
    with pytest.raises(SecretConflict, match="the staging label is not where the call supposes it") as caught:
        store.move_stage("prod/db", StageMove(AWSCURRENT, ID, OTHER_ID))
    assert caught.value.code == "InvalidParameterException"
    assert refusal_of("InvalidParameterException", moves_label=False) is not refusal_of(
        "InvalidParameterException", moves_label=True
    )


def test_no_text_of_the_service_is_shown() -> None:
    for code, *_ in ROWS:
        error = refused_put(code, f"Value '{SECRET}' at 'secretString' failed to satisfy constraint")
        shown = "".join(traceback.format_exception(error)) + repr(error.__dict__)
        assert SECRET not in shown


def test_a_rule_of_our_own_is_an_error_of_the_same_kind() -> None:
    error = error_for("InvalidRequestException", "prod/db was marked for deletion")
    assert (type(error), str(error)) == (SecretDeleted, "prod/db was marked for deletion")
    assert isinstance(error, SecretsError)
    assert error.code == "InvalidRequestException"
    said = error_for("InvalidRequestException", "prod/db is gone", said="it was marked for deletion", request_id="r")
    assert isinstance(said, SecretDeleted)
    assert said.request_id == "r"
    assert type(error_for("InvalidParameterException", "no", moves_label=True)) is SecretConflict
    assert type(error_for("InvalidParameterException", "no")) is InvalidArgument


def test_a_code_that_no_rule_has_is_an_error_all_the_same() -> None:
    error = error_for("NewException", "text")
    assert (type(error), str(error)) == (SecretsError, "text")
    assert refusal_of("AccessDeniedException") is None


# --- who was denied what

CALLER = "arn:aws:sts::111122223333:assumed-role/app/session"
KEY = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def denied(action: str, resource: str, reason: str = "because no identity-based policy allows the action") -> str:
    return f"User: {CALLER} is not authorized to perform: {action} on resource: {resource} {reason}"


DENIALS = {
    "the call itself": (
        denied("secretsmanager:PutSecretValue", "prod/db"),
        f"{CALLER} lacks secretsmanager:PutSecretValue on prod/db (because no identity-based policy allows): an IAM ",
    ),
    "another action": (
        denied("secretsmanager:TagResource", "prod/db", "with an explicit deny in a resource-based policy"),
        f"{CALLER} lacks secretsmanager:TagResource on prod/db (with an explicit deny in a resource-based policy): ",
    ),
    "the key": (
        denied("kms:GenerateDataKey", KEY, "because no resource-based policy allows the kms:GenerateDataKey action"),
        f"{CALLER} lacks kms:GenerateDataKey on {KEY} (because no resource-based policy allows): the key policy",
    ),
    "some key": (
        "Access to KMS is not allowed",
        "the caller lacks kms:GenerateDataKey and kms:Decrypt on the KMS key that encrypts it: the key policy",
    ),
    "the function": (
        "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access",
        "the policy of the Lambda function has to let secretsmanager.amazonaws.com invoke it",
    ),
    "nobody knows what": (
        "",
        "allow secretsmanager:PutSecretValue on prod/db in an IAM policy of the caller and, from another account, in",
    ),
}


@pytest.mark.parametrize("name", DENIALS)
def test_a_denial_says_what_to_allow(name: str) -> None:
    message, hint = DENIALS[name]
    error = refused_put("AccessDeniedException", message)
    assert isinstance(error, AwsAccessDenied)
    assert error.hint.startswith(hint)


def test_a_reader_without_the_key_needs_to_decrypt() -> None:
    for operation in ("secretsmanager:GetSecretValue", "secretsmanager:BatchGetSecretValue", "ssm:GetParameters"):
        assert denial_hint(operation, "prod/db", "Access to KMS is not allowed").startswith(
            "the caller lacks kms:Decrypt on the KMS key that encrypts it"
        )


def test_what_looks_like_a_key_and_is_none_is_not_shown() -> None:
    hint = denial_hint("secretsmanager:GetSecretValue", "a", denied("kms:Decrypt", "arn:aws:kms:x:y:key/hunter2"))
    assert "hunter2" not in hint
    assert f"{CALLER} lacks kms:Decrypt on the KMS key that encrypts it" in hint


def test_a_denial_of_nothing_in_particular_names_no_resource() -> None:
    hint = denial_hint("secretsmanager:ListSecrets", "", denied("secretsmanager:ListSecrets", "*"))
    assert f"{CALLER} lacks secretsmanager:ListSecrets on the resource" in hint
    unknown_action = f"User: {CALLER} is not authorized"
    assert f"{CALLER} lacks secretsmanager:ListSecrets on a" in denial_hint(
        "secretsmanager:ListSecrets", "a", unknown_action
    )


def test_hints_about_secrets_do_not_speak_of_data_keys() -> None:
    for code in ("ThrottlingException", "AccessDeniedException", "ValidationException"):
        texts = [
            error_of(ServiceRefusal(code), operation=operation, resource="x").hint
            for operation in ("kms:Decrypt", "ssm:GetParameter")
        ]
        assert texts[0] != texts[1]
        assert "key" not in texts[1]


def test_a_service_that_gives_no_answer_is_unavailable() -> None:
    service = ScriptedService("secretsmanager")
    service.on("GetSecretValue", NoAnswer("timeout"))
    with pytest.raises(AwsUnavailable, match="no answer in time") as caught:
        store_of(service).read("prod/db")
    assert caught.value.can_retry
