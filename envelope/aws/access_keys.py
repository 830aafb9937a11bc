"""Access keys of IAM users: listed, made, deleted, tried. Each user has two at most.

Source: AWS IAM API reference, CreateAccessKey, DeleteAccessKey, ListAccessKeys, ListUserTags, TagUser; AWS STS API
reference, GetCallerIdentity.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from envelope.aws.access_key_redaction import redact_access_keys
from envelope.aws.caller import CallerIdentity, caller_identity, endpoint_of
from envelope.aws.calls import call_service
from envelope.aws.service_refusal import ServiceRefusal
from envelope.aws.session import Aws
from envelope.errors import AwsError, EnvelopeError

__all__ = ["AccessKey", "caller_with_key", "delete_key", "list_keys", "make_key", "set_tag", "tag_of"]

NO_ARGUMENTS: Mapping[str, object] = MappingProxyType({})

MOST_PAGES = 100
"""A user has two keys and 50 tags; whoever answers with more pages is not IAM."""


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A new access key. Its secret part is told this once."""

    key_id: str
    secret: str = field(repr=False)


def list_keys(aws: Aws, user_name: str) -> tuple[str, ...]:
    """The ids of a user's access keys, the inactive ones too."""
    found = _listed(aws, "list_access_keys", "iam:ListAccessKeys", user_name, "AccessKeyMetadata")
    return tuple(_text(key, "AccessKeyId", "iam:ListAccessKeys") for key in found)


def make_key(aws: Aws, user_name: str) -> AccessKey:
    """Make an access key. Where no answer comes, it may have been made all the same.

    Raises:
        AwsError: also if the user has two keys.
    """
    operation = "iam:CreateAccessKey"
    redact_access_keys()
    answer = _called(aws, "create_access_key", operation, user_name, refused=_limit_refused)
    key = answer.get("AccessKey")
    return AccessKey(_text(key, "AccessKeyId", operation), _text(key, "SecretAccessKey", operation))


def delete_key(aws: Aws, user_name: str, key_id: str) -> None:
    """Delete an access key; nothing happens if the user has none with this id."""
    operation = "iam:DeleteAccessKey"
    try:
        _called(aws, "delete_access_key", operation, user_name, {"AccessKeyId": key_id})
    except AwsError as error:
        if error.code != "NoSuchEntity":
            raise


def tag_of(aws: Aws, user_name: str, name: str) -> str:
    """The value of a user's tag; empty if there is none."""
    for tag in _listed(aws, "list_user_tags", "iam:ListUserTags", user_name, "Tags"):
        if _text(tag, "Key", "iam:ListUserTags") == name:
            return str(tag.get("Value", ""))
    return ""


def set_tag(aws: Aws, user_name: str, name: str, value: str) -> None:
    """Set a tag of a user: up to 256 letters, digits, spaces and ``_.:/=+-@``."""
    _called(aws, "tag_user", "iam:TagUser", user_name, {"Tags": [{"Key": name, "Value": value}]})


def caller_with_key(aws: Aws, key: AccessKey) -> CallerIdentity:
    """Who STS says the caller is who has this key; nobody needs a permission for that.

    Raises:
        AwsMisconfigured: AWS does not know the key, or not yet: `.code` is ``InvalidClientTokenId``.
    """
    region, url = endpoint_of(aws, "sts")
    session = call_service(_session, {"key": key}, operation="making a session", resource="")
    return caller_identity(Aws(session, region=region, endpoint_url=url, max_attempts=1), region)


def _session(key: AccessKey) -> Any:
    import boto3  # 0.4 s that only whoever calls AWS waits for

    return boto3.Session(aws_access_key_id=key.key_id, aws_secret_access_key=key.secret)


def _listed(aws: Aws, method: str, operation: str, user_name: str, member: str) -> list[Any]:
    found: list[Any] = []
    marker: dict[str, str] = {}
    for _ in range(MOST_PAGES):
        answer = _called(aws, method, operation, user_name, marker)
        page = answer.get(member)
        found.extend(page if isinstance(page, list) else [])
        if answer.get("IsTruncated") is not True:
            return found
        marker = {"Marker": _text(answer, "Marker", operation)}
    raise _unexpected(operation)


def _called(
    aws: Aws,
    method: str,
    operation: str,
    user_name: str,
    arguments: Mapping[str, object] = NO_ARGUMENTS,
    *,
    refused: Callable[[ServiceRefusal], EnvelopeError | None] | None = None,
) -> Mapping[str, Any]:
    answer: object = call_service(
        getattr(aws.client("iam"), method),
        {"UserName": user_name, **arguments},
        operation=operation,
        resource=f"the user {user_name}",
        refused=refused,
    )
    if not isinstance(answer, Mapping):
        raise _unexpected(operation)
    return answer


def _limit_refused(refusal: ServiceRefusal) -> EnvelopeError | None:
    if refusal.code != "LimitExceeded":
        return None
    return AwsError(
        "iam:CreateAccessKey failed: the user has as many access keys as it can have (LimitExceeded)",
        operation="iam:CreateAccessKey",
        code=refusal.code,
        request_id=refusal.request_id,
        hint="a list that was late may not have shown one of them: try again, or delete one by hand",
    )


def _text(fields: object, name: str, operation: str) -> str:
    value = fields.get(name) if isinstance(fields, Mapping) else None
    if not isinstance(value, str) or not value:
        raise _unexpected(operation)
    return value


def _unexpected(operation: str) -> AwsError:
    return AwsError(
        "the answer is not one of IAM",
        operation=operation,
        code="UnexpectedResponse",
        hint="is the endpoint one of AWS?",
    )
