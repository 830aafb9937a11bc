"""Reads from the replicas of a secret while its primary region does not answer, without going back in time.

A replica lags. It may still call current what was current a minute ago, and its answer alone does not say so. So the
store remembers which version it has seen last, and asks the replica for that version too, if it gives another one: a
replica that knows it, and no longer under that label, has seen the label move on. One that does not know it lags.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from envelope.errors import AwsUnavailable, EnvelopeError
from envelope.process_state import reset_in_children
from envelope_secrets.errors import SecretNotFound
from envelope_secrets.value import Secret

__all__ = ["ReadAt", "SeenVersions", "read_replicas"]

MAX_SEEN = 10_000
"""Ids and labels that are remembered, some 200 bytes each; ten times what a cache holds by default."""

ReadAt = Callable[[str, str | None, str | None], Secret]
"""Takes a region, a stage and a version id."""


@dataclass(slots=True, weakref_slot=True, eq=False)
class SeenVersions:
    """Which version a secret had under a label when it was last seen. Bounded: the oldest sight is forgotten first."""

    most: int = MAX_SEEN
    _seen: dict[tuple[str, str], str] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        reset_in_children(self)

    def reset_after_fork(self) -> None:
        """A thread of the parent may hold the lock; what was seen stays seen."""
        self._lock = threading.Lock()

    def saw(self, secret_id: str, stage: str, version_id: str) -> None:
        """Remember a sight."""
        with self._lock:
            self._seen.pop((secret_id, stage), None)
            self._seen[secret_id, stage] = version_id
            if len(self._seen) > self.most:
                del self._seen[next(iter(self._seen))]

    def last(self, secret_id: str, stage: str) -> str | None:
        """The version that was seen last; None if none was."""
        return self._seen.get((secret_id, stage))


def read_replicas(
    regions: Sequence[str],
    read_at: ReadAt,
    *,
    stage: str | None,
    version_id: str | None,
    last: str | None,
    outage: AwsUnavailable,
) -> Secret:
    """The version from the first replica that has it.

    Args:
        last: the version that was seen last under the label.
        outage: why the primary region gave none.

    Raises:
        AwsUnavailable: no replica has it, or all of them lag; the hint says which did what.
    """
    reasons = []
    for region in regions:
        try:
            secret = _not_older(region, read_at, stage, version_id, last)
        except EnvelopeError as error:
            reasons.append(f"{region}: {_reason(error)}")
        else:
            if secret is not None:
                return secret
            reasons.append(f"{region}: the replica lags")
    raise AwsUnavailable(
        str(outage),
        operation=outage.operation,
        code=outage.code,
        request_id=outage.request_id,
        hint=f"{outage.hint}; no replica helps ({', '.join(reasons)})",
        can_retry=True,
    )


def _not_older(
    region: str, read_at: ReadAt, stage: str | None, version_id: str | None, last: str | None
) -> Secret | None:
    """What a replica has; None if that may be older than what was seen."""
    secret = read_at(region, stage, version_id)
    if stage is None or last is None or secret.version_id == last:
        return secret  # a version never changes
    try:
        seen = read_at(region, None, last)
    except SecretNotFound:
        return None
    # It may have arrived, with its label, between the two calls.
    return seen if stage in seen.stages else secret


def _reason(error: EnvelopeError) -> str:
    return getattr(error, "code", "") or type(error).__name__
