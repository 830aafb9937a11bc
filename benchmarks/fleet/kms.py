"""A KMS with a quota, spells and an outage, botocore's retries before it, and the keyring that asks it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from benchmarks.fleet.day import DAY_S, Day
from envelope import (
    AwsUnavailable,
    DataKey,
    EncryptedDataKey,
    KeyUnavailable,
    UnwrappedDataKey,
    UnwrapRequest,
    WrapRequest,
)

__all__ = ["Answer", "Call", "Clock", "NeedsKms", "QuotaKms", "RetryQuota", "SimulatedKeyring", "pause_s"]

LATENCY_S = 0.010
"""The mean of an answer: half of it always, the other half drawn from an exponential distribution."""

MAX_ATTEMPTS = 3
RETRY_TOKENS = 500.0


LEAST_TOKENS = 20.0
"""The requests of a small sample come less evenly than those of a fleet; that alone must not overflow the bucket."""


class Answer(Enum):
    """What one request gets.

    Attributes:
        retry_tokens: what botocore's retry quota asks for one more attempt.
        pause_scale_s: of its pauses, which double.

    Source: botocore 1.44, retries/standard.py.
    """

    DATA_KEY = (0.0, 0.0)
    THROTTLED = (5.0, 1.0)
    INTERNAL_ERROR = (14.0, 0.05)

    def __init__(self, retry_tokens: float, pause_scale_s: float) -> None:
        self.retry_tokens = retry_tokens
        self.pause_scale_s = pause_scale_s


def pause_s(answer: Answer, attempts: int, chance: float) -> float:
    """How long botocore waits after so many attempts. The longest pause of its own, 20 s, is out of reach."""
    return chance * answer.pause_scale_s * 2.0 ** (attempts - 1)


@dataclass(slots=True)
class Clock:
    """Seconds that the simulation sets."""

    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


@dataclass(slots=True)
class RetryQuota:
    """What makes botocore stop trying again while nothing succeeds. There is one for each client.

    Source: botocore 1.44, retries/quota.py and standard.py.
    """

    most: float = RETRY_TOKENS
    tokens: float = field(init=False)

    def __post_init__(self) -> None:
        self.tokens = self.most

    def take(self, tokens: float) -> bool:
        """Whether one more attempt is allowed."""
        if self.tokens < tokens:
            return False
        self.tokens -= tokens
        return True

    def give_back(self, taken: float) -> None:
        """A call succeeded whose last attempt took so much; one that succeeded at once gives 1."""
        self.tokens = min(self.most, self.tokens + (taken or 1.0))


@dataclass(eq=False, slots=True)
class Call:
    """One call of the keyring, from its start until it has ended.

    Attributes:
        renew: what the cache gave to be run in the background; None where a message makes the call.
        waiting_since_s: of each message that waits for it.
    """

    started_s: float
    renew: Callable[[], None] | None
    attempts: int = 0
    retry_tokens: float = 0.0
    ended_s: float = 0.0
    succeeded: bool = False
    waiting_since_s: list[float] = field(default_factory=list)


class QuotaKms:
    """A token bucket that holds one second of the quota, and some requests at least.

    Args:
        day: says what the quota is.
        share: how much of the fleet is simulated; it has the same share of the quota.
    """

    def __init__(self, day: Day, share: float) -> None:
        self._day, self._share = day, share
        self._tokens, self._filled_s = 0.0, -DAY_S

    def answer(self, now_s: float) -> Answer:
        """What a request at this moment gets; they have to come in the order of time."""
        quota_per_s = self._day.quota_at(now_s) * self._share
        if not quota_per_s:
            return Answer.INTERNAL_ERROR
        self._tokens = min(max(quota_per_s, LEAST_TOKENS), self._tokens + (now_s - self._filled_s) * quota_per_s)
        self._filled_s = now_s
        if self._tokens < 1.0:
            return Answer.THROTTLED
        self._tokens -= 1.0
        return Answer.DATA_KEY


class NeedsKms(BaseException):
    """The cache asks the keyring in the middle of a message: KMS takes its time, and the message is asked anew then.

    No `Exception`, so the cache remembers nothing of it, as if its caller had been interrupted.
    """


class SimulatedKeyring:
    """Answers what `call` says, and lets the clock go on to the end of the call."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.call: Call | None = None
        self._data_key = DataKey(os.urandom(32), (EncryptedDataKey("aws-kms", b"arn", os.urandom(184)),))

    def __repr__(self) -> str:
        return "SimulatedKeyring()"

    def wrap(self, request: WrapRequest) -> DataKey:  # noqa: ARG002 - the protocol's
        """See `Keyring.wrap`."""
        call, self.call = self.call, None
        if call is None:
            raise NeedsKms
        self._clock.now_s = call.ended_s
        if call.succeeded:
            return self._data_key
        cause = AwsUnavailable("KMS does not answer", operation="kms:GenerateDataKey", code="Simulated", can_retry=True)
        raise KeyUnavailable("no data key", errors=(cause,))

    def unwrap(self, request: UnwrapRequest) -> UnwrappedDataKey:
        """Nobody decrypts here."""
        raise NotImplementedError
