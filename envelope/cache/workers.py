"""Some threads for calls that tasks wait for.

Not the executor of the event loop: its threads may all be waiting for the very call that is queued behind them.
"""

from __future__ import annotations

import _thread
import contextlib
import threading
from collections import deque
from collections.abc import Callable

__all__ = ["StartThread", "Workers", "start_daemon"]

StartThread = Callable[[Callable[[], None]], None]

MAX_WORKERS = 32
"""More calls at a time than that would only queue up in the connection pool."""


def start_daemon(work: Callable[[], None]) -> None:
    """Run `work` in a thread that does not keep the interpreter from exiting.

    Not by `threading.Thread`, whose `start` waits for the new thread to run: a reader who starts a renewal would wait
    until that thread lets go of the interpreter's lock, 5 ms later.
    """
    _thread.start_new_thread(work, ())


class Workers:
    """Threads that are started when there is work, up to a number, and end when there is none.

    Work tells itself what came of it: what it raises is dropped.

    Args:
        start_thread: runs what it is given without waiting for it.
    """

    def __init__(self, start_thread: StartThread) -> None:
        self._start_thread = start_thread
        self._lock = threading.Lock()
        self._queue: deque[Callable[[], None]] = deque()
        self._running = 0

    def run(self, work: Callable[[], None]) -> None:
        """Have a worker do it.

        Raises:
            Exception: no thread can be started, and none is running; the work is not done.
        """
        with self._lock:
            self._queue.append(work)
            if self._running >= MAX_WORKERS:
                return
            self._running += 1
        try:
            self._start_thread(self._drain)
        except BaseException as error:
            with self._lock:
                self._running -= 1
                if self._running and isinstance(error, Exception):
                    return  # one of the others comes to it
                with contextlib.suppress(ValueError):  # another has taken it
                    self._queue.remove(work)
            raise

    def _drain(self) -> None:
        while True:
            with self._lock:
                if not self._queue:
                    self._running -= 1
                    return
                work = self._queue.popleft()
            # What is not even an Exception ends a thread elsewhere; here others wait for the next piece of work.
            with contextlib.suppress(BaseException):
                work()
