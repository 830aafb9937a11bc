"""Key ARNs: which KMS key, in which region and account. Pure.

Source: AWS Encryption SDK specification, framework/aws-kms/aws-kms-key-arn.md and aws-kms-mrk-match-for-decrypt.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Self

__all__ = ["KeyArn", "is_region"]

_MAX_CHARACTERS = 2_048
"""KMS takes no longer key identifier (service model: KeyIdType)."""

_PATTERN_CHARACTERS = frozenset("*?$")
"""In a policy they make an ARN a pattern, or a variable of one; no ARN of a key or alias has any of them."""

_REGION = re.compile(r"[a-z]{2,20}(-[a-z]{1,20}){1,3}-[0-9]{1,3}")
"""us-east-1, us-gov-west-1, eusc-de-east-1: every region of AWS has such a name."""


def is_region(text: str) -> bool:
    """Whether it is formed like the name of a region.

    A region becomes part of a host name, and a message may choose it: ``kms.s3.amazonaws.com`` is no endpoint of KMS.
    """
    return _REGION.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class KeyArn:
    """The ARN of a KMS key or alias, ``arn:<partition>:kms:<region>:<account>:<key or alias>/<id>``, in its parts."""

    partition: str
    region: str
    account: str
    resource_type: str
    resource_id: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """The parts of an ARN. Anybody may have written it: a message names its keys.

        Raises:
            ValueError: not an ARN of KMS, a part is missing or empty, a character that no ARN of a key has, or a region
                that is not named like one. The specification takes any text for a region; here it leads to a host.
        """
        if len(text) > _MAX_CHARACTERS or not (text.isascii() and text.isprintable()) or " " in text:
            raise ValueError("not an ARN of a KMS key")
        if not _PATTERN_CHARACTERS.isdisjoint(text):
            raise ValueError("not an ARN of a KMS key but a pattern")
        prefix, partition, service, region, account, resource = (text.split(":", 5) + [""] * 5)[:6]
        resource_type, _, resource_id = resource.partition("/")
        if (prefix, service) != ("arn", "kms") or resource_type not in ("key", "alias"):
            raise ValueError("not an ARN of a KMS key")
        if not (partition and region and account and resource_id):
            raise ValueError("not an ARN of a KMS key: a part of it is empty")
        if not is_region(region):
            raise ValueError("not an ARN of a KMS key: its region is not named like one")
        return cls(partition, region, account, resource_type, resource_id)

    def __str__(self) -> str:
        return f"arn:{self.partition}:kms:{self.region}:{self.account}:{self.resource_type}/{self.resource_id}"

    @property
    def is_key(self) -> bool:
        """Whether it names a key, and not an alias, which can be pointed at another key."""
        return self.resource_type == "key"

    @property
    def is_mrk(self) -> bool:
        """Whether it names a multi-Region key: its id, and its key material, are the same in every region."""
        return self.is_key and self.resource_id.startswith("mrk-")

    def in_region(self, region: str) -> KeyArn:
        """The same, in another region; for a multi-Region key, its replica there."""
        return replace(self, region=region)

    def is_related(self, other: KeyArn) -> bool:
        """Whether one decrypts what the other encrypted: the same key, or multi-Region keys that differ by region."""
        return self == other or (self.is_mrk and self.in_region(other.region) == other)
