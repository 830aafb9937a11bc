"""The second argument of a Lambda handler."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from envelope.testing import FakeClock

__all__ = ["LambdaContext"]


@dataclass(frozen=True, slots=True)
class LambdaContext:
    """What a handler can ask about its invocation. The time that is left runs by the fake's clock.

    Attributes:
        ends_s: when the invocation would be ended, by the clock.
    """

    clock: FakeClock = field(repr=False)
    ends_s: float
    invoked_function_arn: str
    aws_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    memory_limit_in_mb: str = "128"

    @property
    def function_name(self) -> str:
        return self.invoked_function_arn.rpartition(":")[2]

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the end, or 0."""
        return max(0, round((self.ends_s - self.clock.now()) * 1_000))
