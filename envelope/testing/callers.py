"""Who calls the fake."""

from __future__ import annotations

from envelope.aws.arn import is_region
from envelope.aws.client_options import check_region
from envelope.errors import InvalidArgument
from envelope.testing.kms_keys import partition_of
from envelope.testing.kms_policy import Caller
from envelope.testing.kms_trouble import check_texts

__all__ = ["DEFAULT_ACCOUNT", "DEFAULT_REGION", "caller_of"]

DEFAULT_ACCOUNT = "111122223333"
DEFAULT_REGION = "eu-west-1"

_ARN_PARTS = 6


def caller_of(region: str, account: str | None, principal: str | None) -> Caller:
    """The caller that these options mean: a role called ``application`` unless another is given.

    Raises:
        InvalidArgument: the principal is no ARN of IAM or STS, or is of another account than `account`; the region is
            not named like one.
    """
    check_texts(account=account, principal=principal)
    if not is_region(check_region("region", region)):
        raise InvalidArgument(f"region must be the name of a region, not {region!r:.100}", hint='"eu-west-1"')
    if principal is None:
        account = DEFAULT_ACCOUNT if account is None else account
        return Caller(f"arn:{partition_of(region)}:iam::{account}:role/application", account, region)
    parts = principal.split(":")
    if len(parts) != _ARN_PARTS or parts[2] not in ("iam", "sts"):
        raise InvalidArgument(
            f"principal must be an ARN of IAM or STS, not {principal!r:.200}",
            hint="for example arn:aws:iam::111122223333:role/application",
        )
    if account not in (None, parts[4]):
        raise InvalidArgument(f"principal {principal} is not of account {account}")
    return Caller(principal, parts[4], region)
