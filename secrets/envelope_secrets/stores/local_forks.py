"""No open SQLite file crosses a fork.

A forked child that has inherited an open file believes in locks that only its parent holds, and can destroy the file;
not even closing it there is safe. So the files are closed right before the fork, and opened again by who needs them.
`envelope.process_state` tells the child alone, which is too late.

Source: https://www.sqlite.org/howtocorrupt.html, section 2.6.
"""

from __future__ import annotations

import os
import threading
from functools import cache
from typing import Protocol
from weakref import WeakSet

__all__ = ["Forkable", "closed_before_forks"]


class Forkable(Protocol):
    """Something that must not be open while the process forks."""

    def before_fork(self) -> None:
        """Wait until nobody uses it, close it, and keep everybody out."""
        ...

    def after_fork_in_parent(self) -> None:
        """Let the others in again."""
        ...

    def after_fork_in_child(self) -> None:
        """Begin anew, with a new lock."""
        ...


class _Holders:
    """Every one of them that exists."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: WeakSet[Forkable] = WeakSet()
        self._forking: list[Forkable] = []

    def add(self, holder: Forkable) -> None:
        with self._lock:
            self._all.add(holder)

    def before_fork(self) -> None:
        self._lock.acquire()
        self._forking = list(self._all)
        for holder in self._forking:
            holder.before_fork()

    def after_fork_in_parent(self) -> None:
        for holder in self._forking:
            holder.after_fork_in_parent()
        self._forking = []
        self._lock.release()

    def after_fork_in_child(self) -> None:
        self._lock = threading.Lock()
        self._forking = []
        for holder in list(self._all):
            holder.after_fork_in_child()


_HOLDERS = _Holders()


def closed_before_forks(holder: Forkable) -> None:
    """While `holder` exists, close it before every fork of this process."""
    _register()
    _HOLDERS.add(holder)


@cache
def _register() -> None:
    """Once, because a registration cannot be taken back."""
    os.register_at_fork(
        before=_HOLDERS.before_fork,
        after_in_parent=_HOLDERS.after_fork_in_parent,
        after_in_child=_HOLDERS.after_fork_in_child,
    )
