"""When to renew ahead of time, and when to try again after a failure: pure functions of chance."""

from __future__ import annotations

import math

__all__ = ["JITTER", "back_off_s", "refresh_fraction", "renewal_back_off_s"]

JITTER = 0.2
"""Caches that were filled in one moment, as after a deployment, renew over this part of the time until renewal."""

RENEWAL_TRIES = 10
"""A renewal that fails is tried again after a tenth of the time that is left, or down to half of that by chance."""

FIRST_BACK_OFF_S = 0.1
MOST_BACK_OFF_S = 2.0


def refresh_fraction(refresh_ahead: float, chance: float) -> float:
    """At which fraction of its limits an entry is renewed.

    Args:
        refresh_ahead: the latest fraction, above 0; from 1 on, entries are never renewed ahead.
        chance: 0 to 1, drawn anew for each entry.
    """
    return float("inf") if refresh_ahead >= 1 else refresh_ahead * (1 - JITTER * chance)


def back_off_s(failures: int, chance: float) -> float:
    """How long to make no call after so many failures in a row: doubling from 0.1 to 2 seconds, half of it by chance.

    Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015 (equal jitter).
    """
    longest = min(FIRST_BACK_OFF_S * 2.0 ** min(failures - 1, 10), MOST_BACK_OFF_S)
    return longest * (0.5 + chance / 2)


def renewal_back_off_s(failures: int, left_s: float, chance: float, most_s: float = math.inf) -> float:
    """How long not to try a renewal again that failed, of an entry that is usable for `left_s` seconds more.

    Never longer than `most_s`, unless the back-off of a call is: who bridges hours notices the end of an outage soon.

    Nobody waits for it, so there are a dozen tries in the rest of its life and not one with each hit: in an outage a
    fleet would otherwise ask for more than it ever does while all is well.
    """
    return max(back_off_s(failures, chance), min(left_s / RENEWAL_TRIES, most_s) * (0.5 + chance / 2))
