"""The input of a decryption: a whole message in memory, or a buffer that is filled from a stream."""

from __future__ import annotations

from envelope.message.cursor import Buffer

__all__ = ["InputBuffer"]

FIRST_READ_BYTES = 4_096
"""Enough for the header of most messages."""

COPIED_BYTES = 65_536
"""Slices of a message up to this length are copied, which is faster than a view of them."""


class InputBuffer:
    """Bytes from `start` to `size` of `view` have come in and are not used up.

    Attributes:
        view: the storage.
        start: where the unused bytes begin.
        size: where they end.
        has_ended: nothing will follow.
    """

    __slots__ = ("has_ended", "size", "start", "view")

    def __init__(self, whole: Buffer | None = None) -> None:
        self.start = 0
        if whole is None:
            self.view: Buffer = memoryview(bytearray(FIRST_READ_BYTES))
            self.size = 0
            self.has_ended = False
        else:
            self.size = len(whole)
            self.view = whole if self.size <= COPIED_BYTES else memoryview(whole)
            self.has_ended = True

    def unused(self) -> Buffer:
        """The bytes that came in and are not used up."""
        if self.start == 0 and self.size == len(self.view):
            return self.view
        return self.view[self.start : self.size]

    def space(self, wanted_bytes: int) -> memoryview:
        """Room to read into behind the unused bytes, so that up to `wanted_bytes` of them stand together.

        Memory doubles each time that it was filled, so a length that a message only claims takes none.
        """
        unused = self.size - self.start
        capacity = len(self.view)
        if self.size == capacity:
            capacity = max(capacity, min(max(wanted_bytes, unused + 1), 2 * capacity))
        if capacity != len(self.view) or self.start:
            self._move(capacity)
        return memoryview(self.view)[self.size : max(self.size + 1, min(wanted_bytes, capacity))]

    def filled(self, count: int) -> None:
        """`count` bytes were read into the space; none means that the input has ended."""
        self.size += count
        self.has_ended = count == 0

    def _move(self, capacity: int) -> None:
        unused = self.view[self.start : self.size]
        target = memoryview(bytearray(capacity)) if capacity != len(self.view) else memoryview(self.view)
        target[: len(unused)] = unused
        self.view, self.start, self.size = target, 0, len(unused)
