"""Who was denied what, as far as the text of a denial says it in the form that IAM and Secrets Manager give it. Pure.

Source: IAM User Guide, "Troubleshoot access denied error messages"; AWS Secrets Manager User Guide, "Troubleshoot".
"""

from __future__ import annotations

import re

__all__ = ["denial_hint"]

_CALLER = re.compile(r"User: (arn:[a-z-]{1,20}:(?:iam|sts)::[0-9]{12}:[\w+=,.@/-]{1,200}) is not authorized", re.ASCII)
_POLICY = re.compile(
    r"(because no (?:identity-based|resource-based|session|service control|resource control|VPC endpoint) policy allows"
    r"|with an explicit deny in an? (?:identity-based|resource-based|session|service control|resource control"
    r"|VPC endpoint) policy|because no permissions boundary allows|with an explicit deny in a permissions boundary)"
)
_ACTION = re.compile(r"not authorized to perform: ([a-z]{1,20}:[A-Za-z]{1,60})\b", re.ASCII)
_KEY = re.compile(r"on resource: (arn:[a-z-]{1,20}:kms:[a-z0-9-]{1,40}:[0-9]{12}:key/[A-Za-z0-9-]{1,128})\b", re.ASCII)
_KMS = re.compile(r"Access to KMS is not allowed")
_LAMBDA = re.compile(r"cannot invoke the specified Lambda function")

_KEY_POLICY = (
    "the key policy, or an IAM policy of the caller that the key policy lets decide, has to allow it; both of them if "
    "the key is another account's"
)
_RESOURCE_POLICY = (
    "an IAM policy of the caller, or the resource policy, has to allow it; both of them if it is another account's"
)


def denial_hint(operation: str, resource: str, message: str) -> str:
    """What to allow whom, or an empty string if the message does not say it in a known form.

    Args:
        operation: what was called, like ``secretsmanager:GetSecretValue``.
        resource: what it was called on.
        message: the text of the denial. Only what was recognised in it is shown: it can quote the request.
    """
    if _LAMBDA.search(message):
        return "the policy of the Lambda function has to let secretsmanager.amazonaws.com invoke it"
    action = _found(_ACTION, message)
    if not operation.startswith("kms:") and (action.startswith("kms:") or _KMS.search(message)):
        return _hint_of_key(operation, action, message)
    caller = _found(_CALLER, message)
    if not caller:
        return ""
    is_kms = operation.startswith("kms:")
    # Another action of the service than the one that was called: TagResource, for a CreateSecret with tags.
    needed = operation if is_kms or not action else action
    rule = _KEY_POLICY if is_kms else _RESOURCE_POLICY
    return f"{caller} lacks {needed} on {resource or 'the resource'}{_reason(message)}: {rule}"


def _hint_of_key(operation: str, action: str, message: str) -> str:
    """For a service that calls KMS as its caller, and passes on that KMS denies it."""
    caller = _found(_CALLER, message) or "the caller"
    key = _found(_KEY, message) or "the KMS key that encrypts it"
    needed = action or ("kms:Decrypt" if _reads(operation) else "kms:GenerateDataKey and kms:Decrypt")
    return f"{caller} lacks {needed} on {key}{_reason(message)}: {_KEY_POLICY}"


def _reads(operation: str) -> bool:
    return operation.rpartition(":")[2].startswith(("Get", "BatchGet"))


def _reason(message: str) -> str:
    policy = _POLICY.search(message)
    return f" ({policy.group()})" if policy else ""


def _found(pattern: re.Pattern[str], message: str) -> str:
    found = pattern.search(message)
    return found.group(1) if found else ""
