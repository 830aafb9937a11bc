"""Bytes that are written where they stay: no second copy, and no memory that is zeroed first.

`bytes` cannot be written to, and every other buffer has to be copied into one, or was zeroed when it was made; on
1 MiB either takes an eighth of the time of AES-GCM. But a `BufferedReader` that is asked for n bytes hands the memory
of its result to `readinto` of the file below, and here that file is a function.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

__all__ = ["bytes_written_by"]


def bytes_written_by(write: Callable[[memoryview], int], size: int) -> bytes:
    """What `write` puts into the memory that it is given, as bytes.

    Args:
        write: writes from the start of its argument and returns how many bytes it wrote. When it ends, no slice of its
            argument may be left that was not released, whether it returns or raises: the memory can be gone then.
        size: how much memory it is given.

    Raises:
        Exception: what `write` raises.
    """
    if not size:  # nothing would be asked of the file
        write(memoryview(bytearray()))
        return b""
    return io.BufferedReader(_WrittenOnce(write, size), 1).read(size)


class _WrittenOnce(io.RawIOBase):
    """A file that holds what a function writes."""

    def __init__(self, write: Callable[[memoryview], int], size: int) -> None:
        super().__init__()
        self._write = write
        self._size = size
        self._rest: memoryview | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        with memoryview(buffer) as view, buffer:
            if self._rest is None and len(view) == self._size:
                self._rest = memoryview(b"")
                return self._write(view)
            if self._rest is None:  # an interpreter that reads through a buffer of its own
                whole = bytearray(self._size)
                self._rest = memoryview(whole)[: self._write(memoryview(whole))]
            count = min(len(view), len(self._rest))
            view[:count] = self._rest[:count]
            self._rest = self._rest[count:]
            return count
