"""Blocking work of a task, in a thread of the event loop's that is never left behind.

A thread cannot be cancelled. So the task that is cancelled waits for its thread, and the thread stops early: nobody
reads a file, writes one, or counts frames behind the back of a caller who believes that it is over.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextvars import copy_context
from functools import partial
from typing import ParamSpec, TypeVar

from envelope.errors import InvalidArgument, StreamFailed

__all__ = ["WORKER_BYTES", "Lane", "entered", "to_its_end"]

WORKER_BYTES = 1024 * 1024
"""From here on, sealing and opening leave the event loop: they take it about half a millisecond, and changing to a
thread and back a tenth of that. What is shorter would wait for the thread longer than for the cipher."""

_Arguments = ParamSpec("_Arguments")
_Answer = TypeVar("_Answer")


async def to_its_end(
    function: Callable[_Arguments, _Answer], *arguments: _Arguments.args, **options: _Arguments.kwargs
) -> _Answer:
    """Call `function` in a worker thread; a task that is cancelled waits for it all the same."""
    return await _finished(partial(function, *arguments, **options), lambda: None)


async def _finished(function: Callable[[], _Answer], stop: Callable[[], None]) -> _Answer:
    """Call `function` in a worker thread; on cancellation call `stop`, and wait for the thread."""
    work = asyncio.get_running_loop().run_in_executor(None, copy_context().run, function)
    cancelled: asyncio.CancelledError | None = None
    while not work.done():
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError as error:
            cancelled = error
            stop()
    if cancelled is not None:
        work.exception()  # looked at: the event loop would log it
        raise cancelled
    return work.result()


@contextlib.asynccontextmanager
async def entered(blocking: contextlib.AbstractContextManager[_Answer]) -> AsyncIterator[_Answer]:
    """Enter and leave a blocking context manager in worker threads."""
    # The stack knows whether it was entered, also if the task was cancelled meanwhile.
    stack = contextlib.ExitStack()
    try:
        yield await to_its_end(stack.enter_context, blocking)
    except BaseException as error:
        await to_its_end(stack.__exit__, type(error), error, error.__traceback__)
        raise
    await to_its_end(stack.close)


class Lane:
    """The blocking work on one file: in one thread at a time, and in none after a cancellation."""

    __slots__ = ("_is_busy", "_is_cancelled")

    def __init__(self) -> None:
        self._is_busy = False
        self._is_cancelled = False

    def stoppable(self, call: Callable[[memoryview], _Answer]) -> Callable[[memoryview], _Answer]:
        """The same read or write, which refuses to go on after a cancellation."""

        def call_unless_cancelled(view: memoryview) -> _Answer:
            self._check_cancelled()
            return call(view)

        return call_unless_cancelled

    def check_free(self) -> None:
        """Raise unless the file can be worked on.

        Raises:
            InvalidArgument: another task does so now. Two threads that seal frames would use an IV twice.
            StreamFailed: a task was cancelled while it did so, and nobody knows how far it came.
        """
        if self._is_busy:
            raise InvalidArgument("another task is using this now", hint="one task at a time reads or writes a stream")
        self._check_cancelled()

    async def run(
        self, function: Callable[_Arguments, _Answer], *arguments: _Arguments.args, **options: _Arguments.kwargs
    ) -> _Answer:
        """Call `function` in a worker thread; on cancellation it stops at its next read or write.

        Raises:
            InvalidArgument, StreamFailed: see `check_free`.
        """
        self.check_free()
        self._is_busy = True
        try:
            return await _finished(partial(function, *arguments, **options), self._cancel)
        finally:
            self._is_busy = False

    def _cancel(self) -> None:
        self._is_cancelled = True

    def _check_cancelled(self) -> None:
        if self._is_cancelled:
            raise StreamFailed("a task was cancelled while it read or wrote this", hint="start again from the start")
