"""The call log of a fake service."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

__all__ = ["CallLog"]

CallT = TypeVar("CallT")


class CallLog(Generic[CallT]):
    """Calls in the order of their answers, and how many wait for theirs. Safe for threads."""

    def __init__(self) -> None:
        self._calls: list[CallT] = []
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """Forget the lock, and the calls that wait in the parent."""
        self._in_flight = 0
        self._lock = threading.Lock()

    @property
    def in_flight(self) -> int:
        """How many calls wait for their answer now."""
        with self._lock:
            return self._in_flight

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Inside the block a call waits for its answer."""
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    def add(self, call: CallT) -> None:
        """Note a call that was answered, or failed."""
        with self._lock:
            self._calls.append(call)

    def all(self) -> tuple[CallT, ...]:
        """Every call, in the order of the answers."""
        with self._lock:
            return tuple(self._calls)

    def clear(self) -> None:
        """Forget the calls so far."""
        with self._lock:
            self._calls.clear()

    def _count(self, change: int) -> None:
        with self._lock:
            self._in_flight += change
