"""The lock of a keystore: a file beside it that stays, since the keystore itself is replaced by each change."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from envelope.process_state import reset_in_children
from envelope.replacement import translated_os_errors

__all__ = ["locked"]


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of the keystore at `path`; wait for it as long as another process or thread has it.

    A symbolic link is followed, so that all names of a keystore mean one lock.

    Raises:
        StreamFailed: the lock's file cannot be made, opened or locked.
    """
    with translated_os_errors("lock the keystore", path):
        descriptor = os.open(f"{os.path.realpath(path)}.lock", os.O_CREAT | os.O_RDWR, 0o600)
    held = _Held(descriptor)
    try:
        with translated_os_errors("lock the keystore", path):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        held.release()


class _Held:
    """The descriptor of a lock, in the process that took it.

    The lock belongs to the open file (flock(2)), which every child that is forked meanwhile shares. So the holder lets
    go of it by name, and not by closing his descriptor alone: the lock would last as long as such a child. And a child
    closes its descriptor at once: were the parent killed, the lock would last as long as the child again.
    """

    __slots__ = ("__weakref__", "_descriptor", "_process_id")

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor
        self._process_id = os.getpid()
        reset_in_children(self)

    def reset_after_fork(self) -> None:
        """Leave the lock to the parent. A restored snapshot is the same process, and goes on with what it holds."""
        if self._descriptor is not None and os.getpid() != self._process_id:
            os.close(self._descriptor)
            self._descriptor = None

    def release(self) -> None:
        """Let go of the lock; nothing where it is the parent's."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_UN)
            finally:
                os.close(descriptor)
