"""What the connections of a process have found out for one another: which version logs in at a target, which does not.

So a hundred threads that meet a rotation do not try the same wrong password a hundred times.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable
from dataclasses import dataclass
from typing import TypeAlias
from weakref import WeakKeyDictionary

from envelope.process_state import reset_in_children
from envelope_secrets.connectors.attempts import Standing, Verdict, judge
from envelope_secrets.stages import AWSPENDING
from envelope_secrets.value import HidesValue, Secret

__all__ = ["FORGET_S", "AttemptKey", "Candidate", "Standings", "VersionKey", "standings_of"]

FORGET_S = 5.0
"""How long a refusal counts for others. Then one of them tries again: somebody may have set the password meanwhile."""

VersionKey: TypeAlias = tuple[str, str]
"""ARN and version id."""

AttemptKey: TypeAlias = tuple[VersionKey, str]

ANY_STAGE = ""


@dataclass(frozen=True, slots=True)
class Candidate(HidesValue):
    """A version whose credentials may log in, and the label by which it was found."""

    secret: Secret
    stage: str

    @property
    def version(self) -> VersionKey:
        """Which version it is."""
        return (self.secret.arn, self.secret.version_id)

    @property
    def key(self) -> AttemptKey:
        """What an attempt counts for: one with AWSPENDING may come too early, and says nothing of later."""
        return (self.version, AWSPENDING if self.stage == AWSPENDING else ANY_STAGE)

    @property
    def keys(self) -> tuple[AttemptKey, AttemptKey]:
        """What attempts count for it: those with any other label, and its own."""
        return ((self.version, ANY_STAGE), self.key)


class Standings(HidesValue):
    """The standings of all versions of one secret at one target. Safe for threads."""

    __slots__ = ("__weakref__", "_good", "_lock", "_refused", "_substitute", "_trying")

    def __init__(self) -> None:
        self.reset_after_fork()
        reset_in_children(self)

    def reset_after_fork(self) -> None:
        """Know nothing; with a new lock."""
        self._lock = threading.Lock()
        self._good: VersionKey | None = None
        self._refused: dict[AttemptKey, float] = {}
        self._substitute: tuple[VersionKey, Candidate] | None = None
        self._trying: set[VersionKey] = set()

    def judge(self, candidate: Candidate, now_s: float, *, was_tried: bool, is_patient: bool) -> Verdict:
        """Whether to try now. Who is told to try says `release` afterwards."""
        with self._lock:
            verdict = judge(self._standing(candidate, now_s), was_tried=was_tried, is_patient=is_patient)
            if verdict is Verdict.TRY:
                self._trying.add(candidate.version)
            return verdict

    def release(self, candidate: Candidate) -> None:
        """The attempt is over, however it ended."""
        with self._lock:
            self._trying.discard(candidate.version)

    def succeed(self, candidate: Candidate, instead_of: VersionKey | None) -> None:
        """A login succeeded.

        Args:
            instead_of: the current version, if it was not that one's login.
        """
        with self._lock:
            self._good = candidate.version
            self._refused = {key: at_s for key, at_s in self._refused.items() if key[0] != candidate.version}
            is_substitute = instead_of is not None and instead_of != candidate.version
            self._substitute = (instead_of, candidate) if is_substitute and instead_of is not None else None

    def refuse(self, candidate: Candidate, now_s: float) -> None:
        """A login was refused."""
        with self._lock:
            was_good = self._good == candidate.version
            self._good = None if was_good else self._good
            self._refused = {key: at_s for key, at_s in self._refused.items() if now_s - at_s < FORGET_S}
            self._refused[(candidate.version, ANY_STAGE) if was_good else candidate.key] = now_s
            if self._substitute is not None and self._substitute[1].version == candidate.version:
                self._substitute = None

    def best(self, current: Candidate) -> Candidate:
        """What to try first: the current version, or what has logged in while that one was refused."""
        with self._lock:
            substitute = self._substitute
        return substitute[1] if substitute is not None and substitute[0] == current.version else current

    def _standing(self, candidate: Candidate, now_s: float) -> Standing:
        if self._good == candidate.version:
            return Standing.GOOD
        refused_s = [self._refused[key] for key in candidate.keys if key in self._refused]
        if any(now_s - at_s < FORGET_S for at_s in refused_s):
            return Standing.REFUSED
        return Standing.TRYING if candidate.version in self._trying else Standing.UNKNOWN


_targets: WeakKeyDictionary[object, dict[Hashable, Standings]] = WeakKeyDictionary()


def standings_of(client: object, target: Hashable) -> Standings:
    """The standings of a target, for everybody who asks the same client for its secret."""
    # Without a lock: each of these is one step of a dictionary, and a fork must not find it held.
    targets = _targets.setdefault(client, {})
    return targets.get(target) or targets.setdefault(target, Standings())
