"""The options that all connectors have, checked where a connector is made and not when it first connects."""

from __future__ import annotations

from envelope.arguments import check_count, check_seconds
from envelope.errors import InvalidArgument
from envelope_secrets.cache.keys import checked_id

__all__ = ["DEFAULT_ATTEMPTS", "DEFAULT_BUDGET_S", "check_options"]

DEFAULT_ATTEMPTS = 5
"""What is in memory, AWSCURRENT anew, AWSPENDING, AWSCURRENT once it has moved, AWSPREVIOUS."""

DEFAULT_BUDGET_S = 10.0
"""A rotation sets the password and moves the label within a second or two, and Lambda functions start slowly."""

MOST_ATTEMPTS = 100


def check_options(secrets: object, kind: type, secret_id: object, attempts: object, budget_s: object) -> None:
    """Check a client of secrets, what to ask it for, and the bounds.

    Raises:
        InvalidArgument: one of them is of a wrong kind or out of its range.
    """
    if not isinstance(secrets, kind):
        raise InvalidArgument(f"secrets must be a {kind.__name__}, not {type(secrets).__name__}")
    checked_id(secret_id)
    check_count("attempts", attempts, 1, MOST_ATTEMPTS)
    check_seconds("budget_s", budget_s)
