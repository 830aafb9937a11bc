"""One connection to a SQLite file, for one transaction at a time: whoever comes second waits."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from envelope_secrets.errors import StoreFailed
from envelope_secrets.stores.local_failures import failures_translated
from envelope_secrets.stores.local_forks import closed_before_forks

if TYPE_CHECKING:
    from sqlite3 import Connection

__all__ = ["LockedConnection"]

Result = TypeVar("Result")

MAX_BUSY_TIMEOUT_MS = 2**31 - 1
"""SQLite takes no more."""

_abandoned: list[Connection] = []
"""Connections that a child has inherited. They are never used or closed, which would destroy the parent's locks."""


class LockedConnection:
    """Opens the file when it is needed. Safe for threads, and across forks.

    Args:
        path: for error texts.
        connect: opens the file.
        begin: the statement that begins a transaction.
        busy_timeout_s: how long a transaction waits for other threads and other processes, taken together.
        clock: seconds that only ever grow.
    """

    __slots__ = (
        "__weakref__",
        "_begin",
        "_busy_timeout_s",
        "_clock",
        "_connect",
        "_connection",
        "_is_active",
        "_is_inherited",
        "_lock",
        "_path",
    )

    def __init__(
        self,
        path: Path,
        connect: Callable[[], Connection],
        *,
        begin: str,
        busy_timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._connect = connect
        self._begin = begin
        self._busy_timeout_s = busy_timeout_s
        self._clock = clock
        self._connection: Connection | None = None
        self._is_active = False
        self._is_inherited = False
        # Reentrant, so that a signal handler is refused instead of waiting for the very thread that it interrupts.
        self._lock = threading.RLock()
        closed_before_forks(self)

    def use(self, work: Callable[[Connection], None]) -> None:
        """Have something done outside of a transaction."""
        with self._lock, failures_translated(self._path):
            work(self._opened())

    def transaction(self, work: Callable[[Connection], Result]) -> Result:
        """What `work` returns, given the connection inside of a transaction.

        It is committed when `work` has returned, and taken back if it raises. No generator is involved: one that is
        interrupted keeps its locks for as long as anybody keeps the exception.

        Raises:
            StoreFailed: whatever SQLite says; nothing was changed, but for a commit that failed half-way in the
                operating system, which nobody can tell.
        """
        ends_s = self._clock() + self._busy_timeout_s
        with self._lock, failures_translated(self._path):
            if self._is_active:
                raise StoreFailed(
                    f"the secret store {str(self._path)!r} is in use by this very thread",
                    hint="signal handlers and finalizers must not use it",
                )
            self._is_active = True
            try:
                return self._committed(self._idle(ends_s), work)
            finally:
                self._is_active = False

    def _committed(self, connection: Connection, work: Callable[[Connection], Result]) -> Result:
        try:
            connection.execute(self._begin)
            result = work(connection)
            connection.execute("COMMIT")
        except BaseException:
            self._take_back(connection)
            raise
        return result

    def _idle(self, ends_s: float) -> Connection:
        """The connection without a transaction; one is left if Ctrl-C came while it was to be taken back."""
        connection = self._opened()
        if connection.in_transaction:
            self._take_back(connection)
            connection = self._opened()
        left_ms = int(max(0.0, ends_s - self._clock()) * 1000)
        connection.execute(f"PRAGMA busy_timeout = {min(left_ms, MAX_BUSY_TIMEOUT_MS)}")
        return connection

    def close(self) -> None:
        """Close the file. The next transaction opens it again."""
        with self._lock, failures_translated(self._path):
            self._close()

    def before_fork(self) -> None:
        """See `Forkable`. A transaction of the very thread that forks is taken back, and fails."""
        self._lock.acquire()
        with contextlib.suppress(StoreFailed), failures_translated(self._path):
            self._close()

    def after_fork_in_parent(self) -> None:
        """See `Forkable`."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """See `Forkable`. A connection is still there if something forked that does not tell Python before."""
        self._lock = threading.RLock()
        self._is_active = False
        if self._connection is not None:
            _abandoned.append(self._connection)
            self._connection = None
            self._is_inherited = True

    def __del__(self) -> None:
        with contextlib.suppress(Exception):  # at the end of the process anything may be gone
            self._close()

    def _opened(self) -> Connection:
        if self._is_inherited:
            raise StoreFailed(
                f"the secret store {str(self._path)!r} was open in another process when this one was forked from it",
                hint="make the store after the fork, or close() it before; os.fork and multiprocessing need neither",
            )
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _take_back(self, connection: Connection) -> None:
        """Roll back; the connection is not used again if that fails too."""
        import sqlite3

        try:
            connection.rollback()
        except sqlite3.Error:
            self._close()

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
