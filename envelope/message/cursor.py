"""A reader of big-endian fields that never reads past the end."""

from __future__ import annotations

import struct

from envelope.errors import TruncatedMessage

__all__ = ["Buffer", "Cursor"]

Buffer = bytes | bytearray | memoryview

_U16 = struct.Struct(">H")


class Cursor:
    """A position in a buffer. Python slices shorten silently; every read here raises `TruncatedMessage` instead."""

    __slots__ = ("_buffer", "_size", "position")

    def __init__(self, buffer: Buffer, position: int = 0) -> None:
        self._buffer = buffer
        self._size = len(buffer)
        self.position = position

    @property
    def remaining_bytes(self) -> int:
        return self._size - self.position

    def skip(self, count: int) -> int:
        """Move on by `count` bytes that must be there; return the position before."""
        start = self.position
        if start + count > self._size:
            raise truncated()
        self.position = start + count
        return start

    def take(self, count: int) -> bytes:
        start = self.skip(count)
        return bytes(self._buffer[start : start + count])

    def u16(self) -> int:
        number: int = _U16.unpack_from(self._buffer, self.skip(2))[0]
        return number


def truncated() -> TruncatedMessage:
    """The error of a message that ends before it says it does."""
    return TruncatedMessage(
        "the message is incomplete: it ends before its last frame or footer",
        hint="fetch the whole message again; part of a message never decrypts",
    )
