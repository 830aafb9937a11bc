"""Within which limits values are kept, and what ends the life of one early."""

from __future__ import annotations

from dataclasses import dataclass

from envelope.arguments import check_count, check_flag, check_seconds
from envelope.cache.entries import Counts, Limits
from envelope.errors import AwsAccessDenied, InvalidArgument
from envelope_secrets.errors import SecretDeleted, SecretNotFound

__all__ = ["MOST_RETRY_S", "CacheLimits", "CacheStats", "is_decision"]

DEFAULT_SOFT_AGE_S = 300.0
"""So long a change goes unnoticed, and rights that were taken away still serve. One call in four to five minutes."""

DEFAULT_HARD_AGE_S = 14_400.0
"""So long an outage is bridged: longer than those that Secrets Manager and KMS had, and shorter than a night."""

DEFAULT_CAPACITY = 1_000
MAX_CAPACITY = 1_000_000

MOST_RETRY_S = 30.0
"""In an outage a value that is used is asked for every 15 to 30 seconds, so its end is noticed within that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheLimits:
    """How old values become, and how many there are.

    Attributes:
        soft_age_s: from then on, less up to a fifth by chance, a value that is used is renewed in the background: once
            for each secret and soft age the store is asked.
        hard_age_s: no value is given out beyond it, counted from the start of the call that brought it.
        capacity: how many values there are at most; the one that was not used for longest makes room.
        serves_after_denial: whether a value serves on up to its hard age when its renewal was denied, or the secret
            was deleted or is not there any more.
    """

    soft_age_s: float = DEFAULT_SOFT_AGE_S
    hard_age_s: float = DEFAULT_HARD_AGE_S
    capacity: int = DEFAULT_CAPACITY
    serves_after_denial: bool = False

    def __post_init__(self) -> None:
        soft_s, hard_s = check_seconds("soft_age_s", self.soft_age_s), check_seconds("hard_age_s", self.hard_age_s)
        if soft_s >= hard_s:
            raise InvalidArgument(f"soft_age_s must be less than hard_age_s, not {soft_s:g} with {hard_s:g} seconds")
        check_count("capacity", self.capacity, 1, MAX_CAPACITY)
        check_flag("serves_after_denial", self.serves_after_denial)

    @property
    def of_entries(self) -> Limits:
        """The same for the cache kit."""
        return Limits(
            max_age_s=self.hard_age_s,
            refresh_ahead=self.soft_age_s / self.hard_age_s,
            most_retry_s=self.retry_s,
        )

    @property
    def retry_s(self) -> float:
        """How long after a failed renewal the next one is tried, at the latest."""
        return min(MOST_RETRY_S, self.soft_age_s)


@dataclass(frozen=True, slots=True)
class CacheStats(Counts):
    """Counts of a client's cache.

    Attributes:
        secrets: how many values it holds now; a key ring and a tree count as one.
        subscriptions: how many there are now.
    """

    secrets: int = 0
    subscriptions: int = 0


def is_decision(error: Exception) -> bool:
    """Whether a failed call is an answer: no. Everything else is an outage that passes, or that somebody mends."""
    return isinstance(error, (AwsAccessDenied, SecretNotFound, SecretDeleted))
