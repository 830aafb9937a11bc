"""Signals that end the command: it stops where it is, cleans up, and then dies of the signal itself.

A shell tells a process that died of SIGINT from one that only says so, and stops its script for the first.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from envelope.cli.target import nothing_unfinished

__all__ = ["Interrupted", "die_of", "interruptible"]

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class Interrupted(BaseException):
    """A signal asks the command to end. No `Exception`: nothing may take it for a failure of one file.

    Attributes:
        number: the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(number).name}")
        self.number = number


def die_of(number: int, *, kill: Callable[[int, int], None] = os.kill) -> int:
    """End this process by a signal, as if it had never been handled; 128 + `number` should that not end it.

    What is unfinished is removed first.
    """
    with nothing_unfinished():
        signal.signal(number, signal.SIG_DFL)
        kill(os.getpid(), number)
    return 128 + number


@contextlib.contextmanager
def interruptible(*, die: Callable[[int], int] = die_of) -> Iterator[None]:
    """Turn the first ending signal into `Interrupted` in the main thread; a second one ends the process at once.

    A signal that the parent had ignored, as nohup does, stays ignored.

    Args:
        die: ends the process.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    before = {number: signal.getsignal(number) for number in ENDING}
    heard = [number for number in ENDING if before[number] is not signal.SIG_IGN]
    is_ending = False

    def interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - what handlers are given
        nonlocal is_ending
        if is_ending:
            die(number)
        else:
            is_ending = True
            raise Interrupted(number)

    try:
        for number in heard:
            signal.signal(number, interrupt)
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])
