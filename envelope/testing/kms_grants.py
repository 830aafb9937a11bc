"""Grants: who may do what with one key, on which encryption contexts, from when on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["GRANT_OPERATIONS", "Grant"]

GRANT_OPERATIONS = frozenset(
    {
        "CreateGrant",
        "Decrypt",
        "DescribeKey",
        "Encrypt",
        "GenerateDataKey",
        "GenerateDataKeyPair",
        "GenerateDataKeyPairWithoutPlaintext",
        "GenerateDataKeyWithoutPlaintext",
        "GenerateMac",
        "GetPublicKey",
        "ReEncryptFrom",
        "ReEncryptTo",
        "RetireGrant",
        "Sign",
        "Verify",
        "VerifyMac",
        "DeriveSharedSecret",
    }
)

_WITHOUT_CONTEXT = frozenset({"CreateGrant", "DescribeKey", "RetireGrant"})
"""What has no encryption context is not bound by a constraint on it."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One grant on one key.

    Attributes:
        token: stands for the grant in a call until the service knows the grant everywhere.
        known_everywhere_s: from then on no token is needed.
        context_subset: pairs that the encryption context of a call must have, or None.
        context_equals: the pairs that it must have, and no others, or None.
    """

    grant_id: str
    token: str = field(repr=False)
    grantee: str
    retiring: str | None
    operations: frozenset[str]
    issuing_account: str
    name: str
    created_s: float
    known_everywhere_s: float
    context_subset: Mapping[str, str] | None = field(default=None, repr=False)
    context_equals: Mapping[str, str] | None = field(default=None, repr=False)

    def is_same_as(self, other: Grant) -> bool:
        """Whether creating `other` again gives this one: the same name, and everything else alike."""
        return bool(self.name) and self._what() == other._what()

    def allows(self, operation: str, context: Mapping[str, str] | None) -> bool:
        """Whether the grant is about this operation on this encryption context."""
        if operation not in self.operations:
            return False
        return operation in _WITHOUT_CONTEXT or self._fits(context or {})

    def _fits(self, context: Mapping[str, str]) -> bool:
        if self.context_equals is not None and dict(context) != dict(self.context_equals):
            return False
        return self.context_subset is None or dict(context).items() >= dict(self.context_subset).items()

    def _what(self) -> tuple[object, ...]:
        constraints = (self.context_subset, self.context_equals)
        return (self.name, self.grantee, self.retiring, self.operations, self.issuing_account, *constraints)
