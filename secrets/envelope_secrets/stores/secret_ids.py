"""What names a secret: its name, its full ARN, or its ARN without the six random characters at the end. Pure.

Source: AWS Secrets Manager User Guide, "What's in a secret?" and the descriptions of SecretId in the API reference.
"""

from __future__ import annotations

import re

from envelope.aws.arn import is_region

__all__ = ["in_region", "is_arn_of", "names_secret", "region_of"]

_SUFFIX = re.compile(r"-[A-Za-z0-9]{6}")


def region_of(secret_id: str) -> str | None:
    """The region that an ARN names, where the secret has to be asked for; None for a name."""
    parts = secret_id.split(":", 4)
    is_arn = len(parts) == 5 and parts[0] == "arn" and parts[2] == "secretsmanager"
    return parts[3] if is_arn and is_region(parts[3]) else None


def in_region(secret_id: str, region: str) -> str:
    """What names the replica of the secret in another region: a name stays, in an ARN the region changes."""
    home = region_of(secret_id)
    return secret_id if home is None else secret_id.replace(f":{home}:", f":{region}:", 1)


def is_arn_of(arn: str, name: str) -> bool:
    """Whether an ARN is one of a secret of this name: the name stands in it, before six random characters."""
    home, _, resource = arn.partition(":secret:")
    return region_of(arn) is not None and bool(home) and _SUFFIX.fullmatch(resource.removeprefix(name)) is not None


def names_secret(secret_id: str, arn: str, name: str) -> bool:
    """Whether an id is that of the secret with this ARN and name."""
    if secret_id in (arn, name):
        return True
    return arn.startswith(secret_id) and _SUFFIX.fullmatch(arn[len(secret_id) :]) is not None
