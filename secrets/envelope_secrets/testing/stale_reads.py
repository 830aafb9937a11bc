"""Eventual consistency on demand: what a read sees while a change is on its way."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from envelope_secrets.service_rules.state import SecretState
from envelope_secrets.testing.values import StoredValue

__all__ = ["NO_LAG", "History", "Lag"]

State = SecretState[StoredValue]

MOST_CHANGES = 1_000
"""Kept for one secret; a lag reaches back no further."""


@dataclass(frozen=True, slots=True)
class Lag:
    """How long a change is not seen: for so many reads, and for so many seconds."""

    reads: int = 0
    seconds: float = 0.0


NO_LAG = Lag()


@dataclass(slots=True)
class Change:
    """What a secret became at some time, None before it existed, and how many reads of it there were since."""

    state: State | None
    time_s: float
    reads: float = 0


@dataclass(slots=True)
class History:
    """The states of one secret, the oldest first. The first one is always visible."""

    changes: list[Change] = field(default_factory=lambda: [Change(None, -math.inf, math.inf)])

    def latest(self) -> State | None:
        return self.changes[-1].state

    def add(self, state: State | None, now_s: float) -> None:
        self.changes.append(Change(state, now_s))
        if len(self.changes) > MOST_CHANGES:
            del self.changes[0]

    def amend(self, state: State) -> None:
        """Replace the latest state, without a change that anybody would have to wait for."""
        self.changes[-1].state = state

    def settle(self) -> None:
        """Let everything be visible that is so far."""
        del self.changes[:-1]

    def read(self, now_s: float, lag: Lag) -> State | None:
        """What a read sees; it counts as one."""
        seen = self.seen(now_s, lag)
        for change in self.changes:
            change.reads += 1
        return seen

    def seen(self, now_s: float, lag: Lag) -> State | None:
        visible = self.changes[0]
        for change in self.changes[1:]:
            if change.reads < lag.reads or now_s - change.time_s < lag.seconds:
                break
            visible = change
        return visible.state
