"""Trouble on demand: throttling, faults, outages, lost replies, denied actions, a process that dies."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from envelope.arguments import check_count, check_flag
from envelope.aws.in_process import NoAnswer, NoAnswerKind
from envelope.errors import InvalidArgument
from envelope.testing.kms_faults import KmsFault
from envelope.testing.kms_trouble import MOST_TIMES, Trouble, check_texts, planned_failure
from envelope_secrets.testing.faults import ServiceFault, http_status_of

__all__ = ["ServiceTrouble", "Stopped"]


class Stopped(BaseException):
    """The process that makes calls has died, as far as the test is concerned; no handler of errors catches it."""


@dataclass(slots=True)
class LostReply:
    """Replies that do not arrive; `operation` is None for all."""

    operation: str | None
    kind: NoAnswerKind
    times: int


@dataclass(slots=True)
class ServiceTrouble:
    """All that was asked for. Safe for threads; whoever owns it gives it new locks in a forked child."""

    now: Callable[[], float]
    lost: list[LostReply] = field(default_factory=list)
    calls_left: int | None = None
    reply_of_last_arrives: bool = True
    lock: threading.Lock = field(default_factory=threading.Lock)
    calls: Trouble = field(init=False)

    def __post_init__(self) -> None:
        self.calls = Trouble(self.now)

    def plan(
        self,
        operation: str | None,
        region: str | None,
        *,
        code: str | None,
        error: NoAnswerKind | None,
        message: str = "",
        http_status: int | None = None,
        times: int = 1,
    ) -> None:
        """Let the next calls fail, before anything is done."""
        status = http_status_of(code) if isinstance(code, str) and http_status is None else http_status
        self.calls.plan(
            planned_failure(operation, region, code=code, error=error, times=times, message=message, http_status=status)
        )

    @contextlib.contextmanager
    def outage(self, region: str | None, *, code: str | None, error: NoAnswerKind | None) -> Iterator[None]:
        status = http_status_of(code) if isinstance(code, str) else None
        with self.calls.outage(planned_failure(None, region, code=code, error=error, http_status=status)):
            yield

    def lose(self, operation: str | None, times: int, kind: NoAnswerKind) -> None:
        """Do what the next calls ask for, and lose the replies."""
        check_texts(operation=operation)
        check_count("times", times, 1, MOST_TIMES)
        if kind not in ("connection", "timeout"):
            raise InvalidArgument(f'error must be "connection" or "timeout", not {kind!r}')
        with self.lock:
            self.lost.append(LostReply(operation, kind, times))

    def stop_after(self, calls: int, *, reply_arrives: bool) -> None:
        check_count("calls", calls, 0, MOST_TIMES)
        check_flag("reply_arrives", reply_arrives)
        with self.lock:
            self.calls_left, self.reply_of_last_arrives = calls, reply_arrives

    def start_again(self) -> None:
        with self.lock:
            self.calls_left = None

    def meet(self, operation: str, *, region: str, account: str) -> bool:
        """Raise what this call is to fail with, if anything. Whether its reply will arrive, as far as dying goes."""
        arrives = self._live_on()
        try:
            self.calls.meet(operation, region=region, account=account)
        except KmsFault as fault:
            message = "Rate exceeded" if fault.code == "ThrottlingException" else fault.message
            raise ServiceFault(fault.code, message, http_status=fault.http_status) from None
        return arrives

    def lose_reply(self, operation: str) -> None:
        """Raise `NoAnswer` if the reply to this call is to be lost."""
        with self.lock:
            for lost in self.lost:
                if lost.operation in (None, operation):
                    lost.times -= 1
                    if lost.times == 0:
                        self.lost.remove(lost)
                    raise NoAnswer(lost.kind)

    def _live_on(self) -> bool:
        with self.lock:
            if self.calls_left is None:
                return True
            if self.calls_left == 0:
                raise Stopped("no more calls: the test has stopped this process")
            self.calls_left -= 1
            return self.calls_left > 0 or self.reply_of_last_arrives
