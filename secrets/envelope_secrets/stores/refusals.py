"""What the service, or the rules of the service, refuse: one table from error codes to our errors.

Source: AWS Secrets Manager API reference, errors of each operation; where one code has several reasons, the texts that
the service was seen to give. A text is only looked at, and never shown: a stranger's server may have written it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from envelope.errors import EnvelopeError, InvalidArgument
from envelope_secrets.errors import (
    SecretConflict,
    SecretDeleted,
    SecretKeyUnavailable,
    SecretNotFound,
    SecretRefused,
    SecretsError,
)

__all__ = ["Refusal", "error_for", "refusal_of"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """What one code means.

    Attributes:
        code: the service's error code.
        kind: the class of our error.
        what: what happened, as the end of a sentence.
        hint: what to do.
        said: found in the text that comes with the code; any text does if None.
        moves_label: means it of a call that moves a staging label, and of no other.
    """

    code: str
    kind: type[EnvelopeError]
    what: str
    hint: str
    said: re.Pattern[str] | None = None
    moves_label: bool = False


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_KEY_HINT = "look at the secret's KMS key: enable it, cancel its deletion, or let it be reached; the value is as it was"

_REFUSALS = (
    # The first row that fits counts.
    Refusal(
        "ResourceNotFoundException",
        SecretNotFound,
        "no version with that id or staging label has a value",
        "list the versions: a rotation that has just begun announces AWSPENDING before there is a value",
        said=_words("secret value|for staging label|for VersionId"),
    ),
    Refusal(
        "ResourceNotFoundException",
        SecretNotFound,
        "there is no such secret",
        "check the name, the region and the account; another account's secret is found by its full ARN only",
    ),
    Refusal(
        "InvalidRequestException",
        SecretDeleted,
        "the secret is scheduled for deletion",
        "restore it while that is possible",
        said=_words("for deletion|was deleted|marked deleted"),
    ),
    Refusal(
        "InvalidRequestException",
        SecretConflict,
        "the version does not have the staging label that was asked for with it",
        "ask by one of the two, or look at the labels again",
        said=_words("a VersionStage that is not"),
    ),
    Refusal(
        "InvalidRequestException",
        SecretConflict,
        "no function that rotates the secret is configured",
        "configure one first",
        said=_words("No Lambda rotation function|doesn't already have a Lambda function"),
    ),
    Refusal(
        "InvalidRequestException",
        SecretConflict,
        "a rotation of the secret is not complete",
        "look where AWSPENDING is: wait for the rotation, or repair the labels",
        said=_words("previous rotation|rotation .*(?:complete|progress)"),
    ),
    Refusal(
        "InvalidRequestException",
        SecretRefused,
        "the secret belongs to another service or region",
        "change it there: a secret that a service manages in that service, a replica in its primary region",
        said=_words("managed by|owned by|owning service|a replica|replica secret"),
    ),
    Refusal(
        "InvalidRequestException",
        SecretConflict,
        "the secret is in a state that does not allow it",
        "describe the secret: is it to be deleted, being rotated, a replica, or managed by a service",
    ),
    Refusal(
        "ResourceExistsException",
        SecretConflict,
        "the token is that of a version with another value",
        "draw a new token for a new value",
        said=_words("ClientRequestToken"),
    ),
    Refusal(
        "ResourceExistsException",
        SecretConflict,
        "the name is in use already",
        "put a new version, or take another name",
    ),
    Refusal(
        "InvalidParameterException",
        SecretRefused,
        "the secret is a replica",
        "change it in its primary region",
        said=_words("a replica secret"),
    ),
    Refusal(
        "InvalidParameterException",
        SecretConflict,
        "the secret has copies in other regions",
        "remove_replicas deletes them; then delete it",
        said=_words("still has replica"),
    ),
    Refusal(
        "InvalidParameterException",
        SecretConflict,
        "the staging label is not where the call supposes it",
        "look at the labels again, then decide; nothing was changed",
        moves_label=True,
    ),
    Refusal(
        "InvalidParameterException",
        InvalidArgument,
        "the service does not take the arguments",
        "check names, sizes and formats against the limits of the service",
    ),
    Refusal(
        "LimitExceededException",
        SecretRefused,
        "a quota of the service is reached",
        "versions younger than a day are never removed: write less often; or take labels and secrets away: "
        "stages.repair names those that are left over",
    ),
    Refusal(
        "PublicPolicyException",
        SecretRefused,
        "the resource policy would open the secret to the public",
        "name the principals, and no wildcard",
    ),
    Refusal(
        "MalformedPolicyDocumentException",
        SecretRefused,
        "the resource policy has errors",
        "validate the policy: that names them",
    ),
    Refusal(
        "PreconditionNotMetException",
        SecretRefused,
        "the secret is not in the state that the call needs",
        "describe the secret: its policy, its replicas and its key",
    ),
    Refusal("EncryptionFailure", SecretKeyUnavailable, "the value could not be encrypted", _KEY_HINT),
    Refusal("DecryptionFailure", SecretKeyUnavailable, "the value could not be decrypted", _KEY_HINT),
)

_UNKNOWN = Refusal("", SecretsError, "the service refused it", "look up the error code")


def refusal_of(code: str, *, said: str = "", moves_label: bool = False) -> Refusal | None:
    """What a code means, or None if it is none of these: who may call, throttling and the like mean the same anywhere.

    Args:
        said: the text that came with the code.
        moves_label: whether the call was to move a staging label.
    """
    code = code.removesuffix("Exception") if code.endswith("FailureException") else code
    return next((row for row in _REFUSALS if _fits(row, code, said, moves_label)), None)


def error_for(
    code: str, message: str, *, said: str | None = None, moves_label: bool = False, request_id: str = ""
) -> EnvelopeError:
    """Our error for what was refused: a `SecretsError` with that code, or `InvalidArgument`.

    Args:
        code: the service's error code.
        message: the text of our error.
        said: what the service, or the rule, said; the message by default.
        moves_label: whether the call was to move a staging label.
    """
    refusal = refusal_of(code, said=message if said is None else said, moves_label=moves_label) or _UNKNOWN
    if issubclass(refusal.kind, SecretsError):
        return refusal.kind(message, hint=refusal.hint, code=code, request_id=request_id)
    return refusal.kind(message, hint=refusal.hint)


def _fits(row: Refusal, code: str, said: str, moves_label: bool) -> bool:
    is_meant = row.code == code and (moves_label or not row.moves_label)
    return is_meant and (row.said is None or row.said.search(said) is not None)
