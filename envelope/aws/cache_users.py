"""Users of ElastiCache: looked at, given passwords, marked by a tag. Their passwords cannot be read.

Source: Amazon ElastiCache API reference, DescribeUsers, ModifyUser, AddTagsToResource, ListTagsForResource.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from envelope.aws.calls import call_service
from envelope.aws.password_redaction import redact_passwords
from envelope.aws.session import Aws
from envelope.errors import AwsError

__all__ = ["CacheUser", "cache_user", "cache_user_tag", "set_cache_passwords", "tag_cache_user"]


@dataclass(frozen=True, slots=True)
class CacheUser:
    """What the service tells of a user.

    Attributes:
        arn: of the user, by which it is tagged.
        name: by which the user logs in; several users may have one name.
        status: ``active``, ``modifying`` or ``deleting``.
        authentication: ``password``, ``no-password`` or ``iam``.
    """

    arn: str
    name: str
    status: str
    authentication: str


def cache_user(aws: Aws, user_id: str) -> CacheUser:
    """A user by its id.

    Raises:
        AwsError: also if there is none: `.code` is ``UserNotFound``.
    """
    operation = "elasticache:DescribeUsers"
    answer = _called(aws, "describe_users", operation, user_id, {"UserId": user_id})
    users = answer.get("Users")
    if not isinstance(users, list) or len(users) != 1 or not isinstance(users[0], Mapping):
        raise _unexpected(operation)
    user = users[0]
    if _text(user, "UserId", operation).lower() != user_id.lower():  # the service keeps ids in lower case
        raise _unexpected(operation)
    return CacheUser(
        arn=_text(user, "ARN", operation),
        name=_text(user, "UserName", operation),
        status=_text(user, "Status", operation),
        authentication=_text(user.get("Authentication"), "Type", operation),
    )


def set_cache_passwords(aws: Aws, user_id: str, passwords: Sequence[str]) -> None:
    """Begin to give a user these passwords, one or two, and take all others away. It takes minutes.

    Raises:
        AwsError: `.code` is ``InvalidUserState`` while another change is under way.
    """
    redact_passwords()
    arguments = {"UserId": user_id, "Passwords": list(passwords)}
    _called(aws, "modify_user", "elasticache:ModifyUser", user_id, arguments)


def cache_user_tag(aws: Aws, user: CacheUser, name: str) -> str:
    """The value of a user's tag; empty if there is none."""
    operation = "elasticache:ListTagsForResource"
    answer = _called(aws, "list_tags_for_resource", operation, user.arn, {"ResourceName": user.arn})
    tags = answer.get("TagList")
    for tag in tags if isinstance(tags, list) else []:
        if _text(tag, "Key", operation) == name:
            return str(tag.get("Value") or "")
    return ""


def tag_cache_user(aws: Aws, user: CacheUser, name: str, value: str) -> None:
    """Set a tag of a user: up to 256 letters, digits, spaces and ``_.:/=+-@``."""
    arguments = {"ResourceName": user.arn, "Tags": [{"Key": name, "Value": value}]}
    _called(aws, "add_tags_to_resource", "elasticache:AddTagsToResource", user.arn, arguments)


def _called(aws: Aws, method: str, operation: str, resource: str, arguments: Mapping[str, object]) -> Mapping[str, Any]:
    call = getattr(aws.client("elasticache"), method)
    answer: object = call_service(call, arguments, operation=operation, resource=f"the user {resource}")
    if not isinstance(answer, Mapping):
        raise _unexpected(operation)
    return answer


def _text(fields: object, name: str, operation: str) -> str:
    value = fields.get(name) if isinstance(fields, Mapping) else None
    if not isinstance(value, str) or not value:
        raise _unexpected(operation)
    return value


def _unexpected(operation: str) -> AwsError:
    return AwsError(
        "the answer is not one of ElastiCache",
        operation=operation,
        code="UnexpectedResponse",
        hint="is the endpoint one of AWS?",
    )
