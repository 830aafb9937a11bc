"""What Parameter Store refuses, as our errors.

Source: AWS Systems Manager API reference, errors of each operation on parameters.
"""

from __future__ import annotations

from collections.abc import Mapping

from envelope.aws.service_refusal import ServiceRefusal
from envelope.errors import EnvelopeError, InvalidArgument
from envelope_secrets.errors import SecretConflict, SecretKeyUnavailable, SecretNotFound, SecretRefused

__all__ = ["parameter_refused"]

Meaning = tuple[type[EnvelopeError], str, str]

_NO_PARAMETER = (
    SecretNotFound,
    "there is no such parameter",
    "check the name, the region and the account; another account's parameter is found by its full ARN only",
)
_LIMITS = "the quotas of Parameter Store: https://docs.aws.amazon.com/general/latest/gr/ssm.html"
_FORMAT = "check name, type, size and policies against what Parameter Store takes"

_MEANINGS: Mapping[str, Meaning] = {
    "ParameterNotFound": _NO_PARAMETER,
    "InvalidResourceId": _NO_PARAMETER,
    "ParameterVersionNotFound": (
        SecretNotFound,
        "the parameter has no such version or label",
        "list the versions: Parameter Store keeps the last 100",
    ),
    "ParameterAlreadyExists": (
        SecretConflict,
        "the name is in use already",
        "put a new version, or take another name; it may be of this very call, if the answer to a first try was lost",
    ),
    "HierarchyTypeMismatchException": (
        SecretConflict,
        "the parameter is of another type",
        "a parameter keeps its type: delete it and create it anew, or take another name",
    ),
    "InvalidKeyId": (
        SecretKeyUnavailable,
        "the KMS key of the parameter cannot be used",
        "look at the key: enable it, cancel its deletion, or name one that exists in this region",
    ),
    "ParameterLimitExceeded": (SecretRefused, "the account has as many parameters as it may", _LIMITS),
    "ParameterMaxVersionLimitExceeded": (
        SecretRefused,
        "the oldest of 100 versions has a label, and would have to go",
        "move or remove the labels of the oldest version",
    ),
    "ParameterVersionLabelLimitExceeded": (SecretRefused, "a version has 10 labels at most", "take one away"),
    "HierarchyLevelLimitExceededException": (SecretRefused, "a name has 15 levels at most", _FORMAT),
    "PoliciesLimitExceededException": (SecretRefused, "the parameter has too many policies", _LIMITS),
    "TooManyTagsError": (SecretRefused, "the parameter has too many tags", "a parameter has 50 tags at most"),
    "ParameterPatternMismatchException": (
        SecretRefused,
        "the value does not match the parameter's own pattern",
        "its AllowedPattern says what a value must be like",
    ),
    **dict.fromkeys(
        (
            "IncompatiblePolicyException",
            "InvalidAllowedPatternException",
            "InvalidFilterKey",
            "InvalidFilterOption",
            "InvalidFilterValue",
            "InvalidPolicyAttributeException",
            "InvalidPolicyTypeException",
            "InvalidResourceType",
            "UnsupportedParameterType",
            "ValidationException",
        ),
        (InvalidArgument, "the service does not take the arguments", _FORMAT),
    ),
}


def parameter_refused(_: str, refusal: ServiceRefusal) -> Meaning | None:
    """What a refusal means; None if it means the same for every service."""
    return _MEANINGS.get(refusal.code)
