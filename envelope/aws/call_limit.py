"""A limit for one call as a whole: its attempts, the pauses between them, resolving names, fetching credentials.

botocore has none, and nothing can stop a call that waits for a network. So each call runs in a thread of its own, and
who made it stops waiting. The attempt that is on its way then ends by its own timeouts; no other one is begun.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import Any

from botocore.exceptions import BotoCoreError

from envelope.cache.workers import StartThread, start_daemon

__all__ = ["CallTimeoutError", "TooManyCallsError", "calls_within", "limit_calls"]

MOST_CALLS = 256
"""Of one client, on their way or left behind: against a silent host the threads of those would become ever more."""


class CallTimeoutError(BotoCoreError):
    """Nobody waits for the call any more."""

    fmt = "The call took longer than {limit_s} seconds"


class TooManyCallsError(BotoCoreError):
    """The call was not begun."""

    fmt = "{calls} calls have no answer yet"


class _Call:
    """One call, and whether its caller has stopped waiting for it."""

    __slots__ = ("is_given_up",)

    def __init__(self) -> None:
        self.is_given_up = False


_current: ContextVar[_Call] = ContextVar("call")
_left_s: ContextVar[Callable[[], float]] = ContextVar("left_s", default=lambda: math.inf)


@contextmanager
def calls_within(left_s: Callable[[], float]) -> Iterator[None]:
    """In this block, calls of limited clients take no longer than the seconds that are left when they begin."""
    before = _left_s.set(left_s)
    try:
        yield
    finally:
        _left_s.reset(before)


def limit_calls(client: Any, limit_s: float, *, start_thread: StartThread = start_daemon) -> None:
    """Let no call of a boto3 client take its caller longer than `limit_s` seconds: then it raises `CallTimeoutError`.

    Args:
        client: a client that nobody uses yet.
        start_thread: runs what it is given without waiting for it.
    """
    unlimited, places = client._make_api_call, threading.BoundedSemaphore(MOST_CALLS)

    def limited(operation: str, request: Any) -> Any:
        if not places.acquire(blocking=False):
            raise TooManyCallsError(calls=MOST_CALLS)
        call, answer, context = _Call(), Future[Any](), copy_context()
        context.run(_current.set, call)

        def make() -> None:
            try:
                try:
                    value = context.run(unlimited, operation, request)
                finally:
                    places.release()
            except BaseException as error:  # noqa: BLE001 - raised where the caller waits
                answer.set_exception(error)
            else:
                answer.set_result(value)

        try:
            start_thread(make)
        except BaseException:
            places.release()
            raise
        return _waited_for(answer, call, min(limit_s, max(_left_s.get()(), 0.0)))

    client.meta.events.register_first("before-send", _refuse_if_given_up)
    client._make_api_call = limited


def _waited_for(answer: Future[Any], call: _Call, limit_s: float) -> Any:
    try:
        return answer.result(limit_s)
    except TimeoutError:
        if answer.done():  # it came in this moment, or the error is its own
            return answer.result()
        call.is_given_up = True
    raise CallTimeoutError(limit_s=limit_s)


def _refuse_if_given_up(**_: object) -> None:
    """Before each attempt. Not an error that botocore would try again."""
    if _current.get().is_given_up:
        raise CallTimeoutError(limit_s=0)
