"""State that must not be carried into another process: locks, counters, sockets, calls in flight.

A forked child has the parent's memory, but none of its threads. A process that was restored from a snapshot (Lambda
SnapStart) shares its memory with every other one restored from it.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from functools import cache
from typing import Protocol
from weakref import WeakSet

__all__ = ["ProcessState", "reset_in_children"]


class ProcessState(Protocol):
    """Something that holds state of this process only."""

    def reset_after_fork(self) -> None:
        """Begin anew, with new locks: the old ones may be held by threads that do not exist here."""
        ...


_holders: WeakSet[ProcessState] = WeakSet()


def reset_in_children(holder: ProcessState) -> None:
    """While `holder` exists, call its `reset_after_fork` in every forked child and after a restored snapshot."""
    _register()
    _holders.add(holder)


@cache
def _register() -> None:
    """Have `reset_all` called; once, because a registration cannot be taken back."""
    os.register_at_fork(after_in_child=reset_all)
    if importlib.util.find_spec("snapshot_restore_py") is not None:  # only the Python runtimes of Lambda have it
        importlib.import_module("snapshot_restore_py").register_after_restore(reset_all)


def reset_all() -> None:
    """What happens in the child: every holder begins anew."""
    for holder in list(_holders):
        holder.reset_after_fork()
