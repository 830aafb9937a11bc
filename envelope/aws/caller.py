"""Who calls AWS, and with what: the account and role behind the credentials, their kind and their end.

Source: AWS STS API reference, GetCallerIdentity; IAM User Guide, "IAM identifiers" (prefixes of unique ids).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from envelope.aws.calls import call_service
from envelope.aws.session import Aws
from envelope.errors import AwsError, AwsMisconfigured

__all__ = ["CallerIdentity", "Credentials", "caller_identity", "credentials_of", "endpoint_of"]

_MOST_CHARACTERS = 2_048

LONG_TERM_PREFIX = "AKIA"
"""Access key ids of IAM users and of the account's root; temporary ones begin with ASIA."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What is known of credentials without using them. Neither the secret nor the whole access key id is kept.

    Attributes:
        source: where botocore found them, like ``env``, ``shared-credentials-file``, ``iam-role``, ``sso``.
        kind: ``temporary`` with a session token, else ``long-term``.
        expires: when, where the source tells.
    """

    source: str
    kind: Literal["temporary", "long-term"]
    expires: datetime | None


@dataclass(frozen=True, slots=True)
class CallerIdentity:
    """Who STS says the caller is.

    Attributes:
        arn: of a user, a role's session or the account's root.
        clock_ahead_s: seconds that the clock here is ahead of that of STS, give or take the time of the call;
            None if the answer has no date.
    """

    account: str
    arn: str
    clock_ahead_s: float | None


def credentials_of(aws: Aws, region: str | None = None) -> Credentials:
    """The credentials that calls are made with.

    Raises:
        AwsMisconfigured: there are none, or their source fails.
    """
    credentials: Any = aws.client("sts", region)._request_signer._credentials  # there is no public way to ask
    operation = "finding credentials"
    if credentials is None:
        raise AwsMisconfigured(
            "there are no credentials",
            operation=operation,
            code="NoCredentialsError",
            hint="set AWS_PROFILE, log in, or give the process a role: AWS looks where it always looks",
        )
    frozen = call_service(credentials.get_frozen_credentials, {}, operation=operation, resource="")
    is_long_term = not frozen.token or frozen.access_key.startswith(LONG_TERM_PREFIX)
    expires = getattr(credentials, "_expiry_time", None)
    return Credentials(
        str(credentials.method),
        "long-term" if is_long_term else "temporary",
        expires.astimezone(UTC) if isinstance(expires, datetime) else None,
    )


def caller_identity(aws: Aws, region: str | None = None, *, now_s: Callable[[], float] = time.time) -> CallerIdentity:
    """Ask STS who the caller is; nobody needs a permission for that.

    Raises:
        AwsError: the call failed, or its answer names no caller.
    """
    response: object = call_service(
        aws.client("sts", region).get_caller_identity, {}, operation="sts:GetCallerIdentity", resource=""
    )
    answer = response if isinstance(response, Mapping) else {}
    arn, account = answer.get("Arn"), answer.get("Account")
    if not isinstance(arn, str) or not isinstance(account, str):
        raise AwsError(
            "the answer names no caller",
            operation="sts:GetCallerIdentity",
            code="UnexpectedResponse",
            hint="is the endpoint one of AWS?",
        )
    return CallerIdentity(account[:_MOST_CHARACTERS], arn[:_MOST_CHARACTERS], _clock_ahead(answer, now_s()))


def endpoint_of(aws: Aws, service: str, region: str | None = None) -> tuple[str, str]:
    """The region and the URL that calls of a service go to.

    Raises:
        AwsMisconfigured: no region, or an endpoint without TLS.
    """
    meta = aws.client(service, region).meta
    return str(meta.region_name), str(meta.endpoint_url)


def _clock_ahead(response: Mapping[str, Any], now_s: float) -> float | None:
    """None for an answer without a date, or with something else in its place."""
    try:
        date = response["ResponseMetadata"]["HTTPHeaders"]["date"]
        return now_s - parsedate_to_datetime(date).timestamp()
    except (LookupError, ValueError, TypeError, AttributeError, OverflowError):
        return None
