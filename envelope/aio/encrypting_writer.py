"""A writer that encrypts, for a task."""

from __future__ import annotations

from typing import Any

from envelope.aio.worker import WORKER_BYTES, Lane
from envelope.binary_files import as_view
from envelope.encrypting_writer import EncryptingWriter

__all__ = ["AsyncEncryptingWriter"]


class AsyncEncryptingWriter:
    """Encrypts what is written to it. Made by `AsyncClient.encrypting_writer`; for one task at a time.

    The message is complete only after an `async with` block that ends without an exception: otherwise its last frame
    is missing and no reader accepts it. The file underneath stays open.

    Attributes:
        header: the header of the message, written already.
        name: the name of the file underneath, if it has one.
    """

    def __init__(self, writer: EncryptingWriter, lane: Lane, *, writes_block: bool) -> None:
        self.header = writer.header
        self.name = writer.name
        self._writer = writer
        self._lane = lane
        self._writes_block = writes_block
        self._written_bytes = 0

    async def write(self, data: Any) -> int:
        """Encrypt these bytes; return how many they are. They must not change until this returns.

        Bytes that do not fill a frame are only remembered; that does not leave the event loop.

        Raises:
            As `EncryptingWriter.write`. A write that was cancelled leaves a message that cannot be finished.
        """
        self._lane.check_free()
        view = as_view(data, "what is written")
        frame_length = self.header.frame_length_bytes
        sealed_bytes = max(self._kept_bytes() + len(view) - 1, 0) // frame_length * frame_length
        if max(len(view), sealed_bytes) >= WORKER_BYTES or (sealed_bytes and self._writes_block):
            count = await self._lane.run(self._writer.write, view)
        else:
            count = self._writer.write(view)
        self._written_bytes += count
        return count

    async def close(self) -> None:
        """Write the last frame and the signature, as the end of the `async with` block does."""
        if self._kept_bytes() >= WORKER_BYTES or self._writes_block:
            await self._lane.run(self._writer.close)
        else:
            self._writer.close()

    def abort(self) -> None:
        """Close without the last frame: what was written so far is no message."""
        self._writer.abort()

    def _kept_bytes(self) -> int:
        """The last frame so far, full or not: the writer keeps it, because it may be the final one."""
        return self._written_bytes and (self._written_bytes - 1) % self.header.frame_length_bytes + 1
