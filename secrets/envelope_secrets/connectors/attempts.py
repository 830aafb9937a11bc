"""Which credentials are tried after a login was refused, in which order, and when to stop. No I/O: tables of decisions.

Databases lock accounts out, so every attempt counts: a version is tried once under a label, by one thread for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

__all__ = ["NEXT", "VERDICTS", "Failure", "Move", "Room", "Standing", "Step", "Verdict", "after", "judge", "room"]


class Step(Enum):
    """Where credentials come from, in the order of the first round."""

    KNOWN = "what is in memory"
    CURRENT = "AWSCURRENT"
    PENDING = "AWSPENDING"
    WAIT = "waiting for AWSCURRENT to move"
    PREVIOUS = "AWSPREVIOUS"
    END = "giving up"


class Room(Enum):
    """How much may still be tried."""

    ENOUGH = "attempts and time"
    LATE = "attempts, and no time to wait"
    NONE = "no attempts"


NEXT: Mapping[tuple[Step, Room], Step] = {
    (Step.KNOWN, Room.ENOUGH): Step.CURRENT,
    (Step.CURRENT, Room.ENOUGH): Step.PENDING,
    (Step.PENDING, Room.ENOUGH): Step.WAIT,
    (Step.WAIT, Room.ENOUGH): Step.CURRENT,
    (Step.PREVIOUS, Room.ENOUGH): Step.END,
    (Step.KNOWN, Room.LATE): Step.CURRENT,
    (Step.CURRENT, Room.LATE): Step.PENDING,
    (Step.PENDING, Room.LATE): Step.PREVIOUS,
    (Step.WAIT, Room.LATE): Step.CURRENT,  # the label may have moved while this thread slept
    (Step.PREVIOUS, Room.LATE): Step.END,
    (Step.KNOWN, Room.NONE): Step.END,
    (Step.CURRENT, Room.NONE): Step.END,
    (Step.PENDING, Room.NONE): Step.END,
    (Step.WAIT, Room.NONE): Step.END,
    (Step.PREVIOUS, Room.NONE): Step.END,
}
"""What follows a step that has brought no connection."""


def room(attempts_left: int, left_s: float) -> Room:
    """How much may still be tried with so many attempts and seconds."""
    if attempts_left <= 0:
        return Room.NONE
    return Room.ENOUGH if left_s > 0 else Room.LATE


class Standing(Enum):
    """What this process knows of a version's credentials at one target."""

    UNKNOWN = "nobody has tried them"
    TRYING = "somebody tries them now for the first time"
    GOOD = "the latest login with them succeeded"
    REFUSED = "they were refused a moment ago"


class Verdict(Enum):
    """Whether to try credentials now."""

    TRY = "try"
    LATER = "somebody else finds out: look again"
    SKIP = "do not try"


VERDICTS: Mapping[Standing, Verdict] = {
    Standing.UNKNOWN: Verdict.TRY,
    Standing.TRYING: Verdict.LATER,
    Standing.GOOD: Verdict.TRY,
    Standing.REFUSED: Verdict.SKIP,
}


def judge(standing: Standing, *, was_tried: bool, is_patient: bool) -> Verdict:
    """Whether to try a version.

    Args:
        was_tried: this connection has tried it already, under the same label.
        is_patient: it has not waited for somebody else's attempt for too long.
    """
    if was_tried:
        return Verdict.SKIP
    verdict = VERDICTS[standing]
    return Verdict.TRY if verdict is Verdict.LATER and not is_patient else verdict


class Failure(Enum):
    """Why a login did not succeed."""

    REFUSED = "refused"
    LOCKED = "locked"
    UNREACHABLE = "unreachable"
    TLS = "tls"
    PRIVILEGE = "privilege"
    OTHER = "other"


def after(failure: Failure) -> bool:
    """Whether other credentials are tried: only where these were the reason, and another attempt locks nobody out."""
    return failure is Failure.REFUSED


@dataclass(frozen=True, slots=True)
class Move:
    """How far one connection has come.

    Attributes:
        attempts_left: logins that may still be tried.
        ends_s: when waiting ends, on the clock.
        pause_s: how long the next waiting takes at the most.
    """

    step: Step
    attempts_left: int
    ends_s: float
    pause_s: float

    def next(self, now_s: float, attempts: int) -> Move:
        """What comes after `attempts` more logins were refused in this step."""
        left = self.attempts_left - attempts
        step = NEXT[self.step, room(left, self.ends_s - now_s)]
        waited = self.step is Step.WAIT
        pause_s = min(self.pause_s * 2, LONGEST_PAUSE_S) if waited else self.pause_s
        return Move(step, left, self.ends_s, pause_s)


FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 1.0
"""A rotation moves the label a fraction of a second to seconds after it has set the password."""
