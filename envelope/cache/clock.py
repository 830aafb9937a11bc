"""The time and the chance of a cache outside of tests."""

from __future__ import annotations

import time
from random import SystemRandom

__all__ = ["elapsed_s", "system_chance"]

_CLOCK: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def elapsed_s() -> float:
    """Monotonic seconds that go on while the machine sleeps, where the system has such a clock."""
    return time.clock_gettime(_CLOCK)


system_chance = SystemRandom().random
"""A number from 0 to 1 that two processes of one snapshot do not share."""
