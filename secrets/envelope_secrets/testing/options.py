"""Checks of the options of the fake."""

from __future__ import annotations

from envelope.errors import InvalidArgument
from envelope.testing.clock import MOST_S
from envelope_secrets.testing.service import OPERATIONS

__all__ = ["check_delay", "check_kind", "check_operation"]


def check_operation(operation: object) -> None:
    """Raise `InvalidArgument` for what is no operation that the fake has."""
    if operation not in OPERATIONS:
        raise InvalidArgument(f"operation must be one of the service, not {operation!r:.100}", hint='"GetSecretValue"')


def check_kind(option: str, value: object, kind: type) -> None:
    """Raise `InvalidArgument` unless it is None or of this kind."""
    if value is not None and not isinstance(value, kind):
        raise InvalidArgument(f"{option} must be a {kind.__name__}, not {type(value).__name__}")


def check_delay(option: str, value: object) -> float:
    """A number of seconds, 0 or more, or `InvalidArgument`."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= MOST_S:
        raise InvalidArgument(f"{option} must be a number of seconds, 0 or more")
    return float(value)
