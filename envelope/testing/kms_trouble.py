"""Trouble on demand: latency, throttling, faults, outages."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from envelope.arguments import check_count
from envelope.aws.in_process import NoAnswer, NoAnswerKind
from envelope.errors import InvalidArgument
from envelope.testing.kms_faults import KmsFault

__all__ = ["Bucket", "Trouble", "check_texts", "planned_failure"]

Failure = KmsFault | NoAnswer

MOST_TIMES = 1_000_000_000
MOST_CALLS = 1_000_000_000


@dataclass(slots=True)
class Bucket:
    """A token bucket: so many calls at once, and so many a second. Full at the beginning."""

    calls_per_s: float
    burst: float
    tokens: float
    filled_s: float

    def take(self, now_s: float) -> bool:
        """Whether one more call may pass at this time."""
        self.tokens = min(self.burst, self.tokens + (now_s - self.filled_s) * self.calls_per_s)
        self.filled_s = now_s
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass(slots=True)
class Planned:
    """A failure that waits for its calls; `operation` and `region` are None for all."""

    operation: str | None
    region: str | None
    failure: Callable[[], Failure]
    times: int


@dataclass(slots=True)
class Trouble:
    """All that was asked for. Safe for threads; whoever owns it gives it a new lock in a forked child."""

    now: Callable[[], float]
    planned: list[Planned] = field(default_factory=list)
    outages: list[Planned] = field(default_factory=list)
    rate: tuple[float, float] | None = None
    buckets: dict[tuple[str, str], Bucket] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def plan(self, planned: Planned) -> None:
        with self.lock:
            self.planned.append(planned)

    def throttle(self, calls_per_s: float | None, burst: float | None) -> None:
        """Let so many calls a second pass in each region of each account; None lets all pass."""
        if calls_per_s is not None:
            _check_rate("calls_per_s", calls_per_s)
        if burst is not None:
            _check_rate("burst", burst)
        with self.lock:
            self.rate = None if calls_per_s is None else (calls_per_s, max(1, burst or calls_per_s))
            self.buckets.clear()

    @contextlib.contextmanager
    def outage(self, outage: Planned) -> Iterator[None]:
        with self.lock:
            self.outages.append(outage)
        try:
            yield
        finally:
            with self.lock:
                self.outages = [other for other in self.outages if other is not outage]

    def meet(self, operation: str, *, region: str, account: str) -> None:
        """Raise what this call is to fail with, if anything."""
        with self.lock:
            failure = self._outage_of(operation, region) or self._planned_for(operation, region)
            if failure is None and not self._passes(region, account):
                failure = KmsFault(
                    "ThrottlingException",
                    "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.",
                )
        if failure is not None:
            raise failure

    def _outage_of(self, operation: str, region: str) -> Failure | None:
        return next((outage.failure() for outage in self.outages if _is_about(outage, operation, region)), None)

    def _planned_for(self, operation: str, region: str) -> Failure | None:
        for planned in self.planned:
            if _is_about(planned, operation, region):
                planned.times -= 1
                if planned.times == 0:
                    self.planned.remove(planned)
                return planned.failure()
        return None

    def _passes(self, region: str, account: str) -> bool:
        if self.rate is None:
            return True
        now_s = self.now()
        calls_per_s, burst = self.rate
        bucket = self.buckets.setdefault((region, account), Bucket(calls_per_s, burst, burst, now_s))
        return bucket.take(now_s)


def planned_failure(
    operation: str | None,
    region: str | None,
    *,
    code: str | None,
    error: NoAnswerKind | None,
    message: str = "",
    http_status: int | None = None,
    times: int = 1,
) -> Planned:
    """Check what was asked for.

    Raises:
        InvalidArgument: neither or both of `code` and `error`, less than one time, or an option of the wrong type.
    """
    check_texts(operation=operation, region=region, code=code, message=message)
    if (code is None) == (error is None):
        raise InvalidArgument("a failure needs either a code or an error", hint='code="KMSInternalException"')
    if error not in (None, "connection", "timeout"):
        raise InvalidArgument(f'error must be "connection" or "timeout", not {error!r}')
    check_count("times", times, 1, MOST_TIMES)
    if http_status is not None:
        check_count("http_status", http_status, 400, 599)

    def failure() -> Failure:
        return KmsFault(code, message, http_status=http_status) if code is not None else NoAnswer(error or "timeout")

    return Planned(operation, region, failure, times)


def check_texts(**options: object) -> None:
    """Raise `InvalidArgument` if one of these is neither text nor None."""
    for option, value in options.items():
        if value is not None and not isinstance(value, str):
            raise InvalidArgument(f"{option} must be text, not {type(value).__name__}")


def _check_rate(option: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidArgument(f"{option} must be a number, not {type(value).__name__}")
    if not 0 < value <= MOST_CALLS:  # neither is a NaN
        raise InvalidArgument(
            f"{option} must be above 0 and up to {MOST_CALLS:,}", hint="an outage stops all calls, None ends throttling"
        )


def _is_about(planned: Planned, operation: str, region: str) -> bool:
    return planned.operation in (None, operation) and planned.region in (None, region)
