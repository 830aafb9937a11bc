"""Password policies of single secrets, chosen by whoever configures the rotation, not by whoever writes the secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from envelope.errors import InvalidArgument
from envelope_secrets.password import PasswordPolicy

__all__ = ["PasswordPolicies"]

MOST_SECRETS = 10_000
ARN_SUFFIX_CHARACTERS = 7
"""A hyphen and six random characters, which Secrets Manager puts behind the name."""


@dataclass(frozen=True, slots=True, init=False)
class PasswordPolicies:
    """Which secret gets which policy: ``PasswordPolicies({"prod/old-erp": PasswordPolicy(length=12), "test/*": ...})``.

    Args:
        by_secret: policies by name or ARN; ``*`` at the end stands for anything. An ARN counts before a name, a whole
            name before one with ``*``, and among those the longest.
        otherwise: for all other secrets; None for the policy of the target.

    Raises:
        InvalidArgument: no secret, too many, or something that is no policy.
    """

    by_secret: Mapping[str, PasswordPolicy]
    otherwise: PasswordPolicy | None = field(default=None)

    def __init__(self, by_secret: Mapping[str, PasswordPolicy], *, otherwise: PasswordPolicy | None = None) -> None:
        given: object = by_secret
        if not isinstance(given, Mapping) or not 1 <= len(given) <= MOST_SECRETS:
            raise InvalidArgument(f"by_secret must be a mapping of 1 to {MOST_SECRETS:,} names or ARNs to policies")
        for secret_id, policy in given.items():
            if not isinstance(secret_id, str) or not secret_id or "*" in secret_id[:-1]:
                raise InvalidArgument("by_secret must have names or ARNs of secrets, with * at the end at the most")
            _check_policy("a value of by_secret", policy)
        if otherwise is not None:
            _check_policy("otherwise", otherwise)
        object.__setattr__(self, "by_secret", MappingProxyType(dict(by_secret)))
        object.__setattr__(self, "otherwise", otherwise)

    def of(self, secret_arn: str) -> PasswordPolicy | None:
        """The policy of a secret; None for that of the target."""
        named = [secret_arn, _name_in(secret_arn)]
        for secret_id in named:
            if secret_id in self.by_secret:
                return self.by_secret[secret_id]
        patterns = [pattern for pattern in self.by_secret if pattern.endswith("*")]
        fitting = [p for p in patterns if any(secret_id.startswith(p[:-1]) for secret_id in named)]
        return self.by_secret[max(fitting, key=len)] if fitting else self.otherwise


def _name_in(secret_arn: str) -> str:
    """The name of a secret, of which the ARN has a few characters more; what is no ARN is a name."""
    _, is_arn, name = secret_arn.partition(":secret:")
    return name[:-ARN_SUFFIX_CHARACTERS] if is_arn else secret_arn


def _check_policy(what: str, policy: object) -> None:
    if not isinstance(policy, PasswordPolicy):
        raise InvalidArgument(f"{what} must be a PasswordPolicy, not {type(policy).__name__}")
