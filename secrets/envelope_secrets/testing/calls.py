"""What the call log of the fake tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

__all__ = ["SecretsManagerCall", "shown_parameters"]

HIDDEN = "(hidden)"
_HIDDEN_PARAMETERS = frozenset({"SecretString", "SecretBinary", "RotationToken"})


@dataclass(frozen=True, slots=True)
class SecretsManagerCall:
    """One call that was answered, or failed. It never holds a value or a rotation token.

    Attributes:
        operation: like ``GetSecretValue``.
        secret_arn: the secret it was about; empty if it was about none, or was refused before that was known.
        version_id: the version that was read or written; empty if none was.
        principal: ARN of the caller.
        parameters: what was sent, with ``(hidden)`` in the place of values and rotation tokens.
        error_code: None if it succeeded; else the service's code, or ``connection`` or ``timeout`` for no answer, or
            ``stopped`` where the test has stopped the caller.
        is_done: whether the service did what was asked for; true for a lost reply too.
        time_s: when it was answered, by the fake's clock.
        request_id: what the caller was told it is.
    """

    operation: str
    region: str
    secret_arn: str
    version_id: str
    principal: str
    parameters: Mapping[str, Any] = field(repr=False, hash=False)
    error_code: str | None
    is_done: bool
    time_s: float
    request_id: str


def shown_parameters(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """What may be shown of a request."""
    shown = {name: HIDDEN if name in _HIDDEN_PARAMETERS else value for name, value in parameters.items()}
    return MappingProxyType(shown)
