"""The call log of the fake service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["KmsCall"]


@dataclass(frozen=True, slots=True)
class KmsCall:
    """One call that was answered, or failed. It never holds a plaintext or a ciphertext.

    Attributes:
        operation: like ``Decrypt``.
        key_arn: the key it was about; empty if it was about none, or was refused before that was known.
        principal: ARN of the caller.
        encryption_context: the pairs that were sent. Not in the repr, because values are often personal data.
        error_code: None if it succeeded; else the service's code, or ``connection`` or ``timeout`` for no answer.
        time_s: when it was answered, by the fake's clock.
        request_id: what the caller was told it is.
    """

    operation: str
    region: str
    key_arn: str
    principal: str
    encryption_context: Mapping[str, str] = field(repr=False, hash=False)
    error_code: str | None
    time_s: float
    request_id: str
