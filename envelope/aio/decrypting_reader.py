"""A reader of the plaintext of a message, for a task."""

from __future__ import annotations

from typing import Self

from envelope.aio.worker import Lane
from envelope.decrypting_reader import DecryptingReader, checked_size

__all__ = ["AsyncDecryptingReader"]


class AsyncDecryptingReader:
    """Reads the plaintext of a message. Made by `AsyncClient.decrypting_reader`; for one task at a time.

    Every byte it gives was authenticated. The plaintext is whole only when the reader has come to its end, or the end
    of the `async with` block was passed: it verifies what was not read. The file underneath stays open.

    Attributes:
        header: the header of the message, authentic.
        encryption_context: the authenticated pairs, those that the caller gave included.
        suite: the algorithm suite.
        unwrapped_by: the keyring and the key that unwrapped the data key.
        name: the name of the file underneath, if it has one.
    """

    def __init__(self, reader: DecryptingReader, lane: Lane) -> None:
        self.header = reader.header
        self.encryption_context = reader.encryption_context
        self.suite = reader.suite
        self.unwrapped_by = reader.unwrapped_by
        self.name = reader.name
        self._reader = reader
        self._lane = lane
        self._rest = memoryview(b"")

    async def read(self, size: int | None = -1, /) -> bytes:
        """`size` bytes of plaintext, fewer only at the end; all of the rest without a size or with a negative one.

        What is left of the frame that was read last does not leave the event loop.

        Raises:
            As `DecryptingReader.read`. A read that was cancelled leaves a reader that cannot go on.
        """
        wanted = checked_size(size)
        chunks: list[bytes] = []
        while wanted and (chunk := await self._take(wanted)):
            chunks.append(chunk)
            wanted -= len(chunk) if wanted > 0 else 0
        return b"".join(chunks)

    def __aiter__(self) -> Self:
        """The plaintext in pieces of a frame each."""
        return self

    async def __anext__(self) -> bytes:
        if chunk := await self._take(-1):
            return chunk
        raise StopAsyncIteration

    async def close(self) -> None:
        """Verify what was not read, as the end of the `async with` block does."""
        try:
            await self._lane.run(self._reader.close)
        finally:
            self.abort()

    def abort(self) -> None:
        """Close without verifying the rest."""
        self._rest = memoryview(b"")
        self._reader.abort()

    async def _take(self, most: int) -> bytes:
        """Some bytes, at most `most` unless that is negative; none only at the end."""
        if not self._rest:
            self._rest = memoryview(await self._lane.run(self._reader.read1))
        taken = self._rest if most < 0 else self._rest[:most]
        self._rest = self._rest[len(taken) :]
        return bytes(taken)
