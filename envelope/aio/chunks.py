"""Messages and plaintext as chunks of any size, out of one asynchronous iterator and into another.

Nothing is read before somebody asks for it, and no more than the next step needs.
"""

from __future__ import annotations

import contextlib
import io
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator

from envelope.aio.encrypting_writer import AsyncEncryptingWriter
from envelope.aio.worker import WORKER_BYTES, Lane, to_its_end
from envelope.binary_files import as_view
from envelope.encrypting_writer import BATCH_BYTES, EncryptingWriter
from envelope.engine.decryptor import Decryptor
from envelope.engine.encryptor import Encryptor
from envelope.errors import EnvelopeError, InvalidArgument, StreamFailed
from envelope.materials import UnwrappedDataKey, UnwrapRequest
from envelope.message_source import WRITE_BYTES
from envelope.spool import Spool

__all__ = ["Chunks", "checked_chunks", "opened_chunks", "sealed_chunks"]

_NO_ITERABLES = (str, bytes, bytearray, memoryview, io.IOBase)
_NO_MORE = object()


class Chunks:
    """The chunks of a caller, whose iterator can raise anything."""

    def __init__(self, chunks: AsyncIterable[object]) -> None:
        self._chunks = chunks
        self._iterator: AsyncIterator[object] | None = None

    async def next(self) -> memoryview | None:
        """The next chunk that is not empty; None behind the last one.

        Raises:
            InvalidArgument: not bytes-like.
            StreamFailed: the iterator failed; its exception is the cause.
        """
        while True:
            with _translated_errors():
                if self._iterator is None:
                    self._iterator = aiter(self._chunks)
                chunk = await anext(self._iterator, _NO_MORE)
            if chunk is _NO_MORE:
                return None
            if view := as_view(chunk, "a chunk"):
                return view

    async def close(self) -> None:
        """Close the iterator if it is a generator: nobody else will, where it was left half-way."""
        if isinstance(self._iterator, AsyncGenerator):
            with _translated_errors():
                await self._iterator.aclose()


def checked_chunks(chunks: object) -> Chunks:
    """The chunks that a caller gave, or `InvalidArgument`."""
    if isinstance(chunks, AsyncIterable):
        return Chunks(chunks)
    if isinstance(chunks, Iterable) and not isinstance(chunks, _NO_ITERABLES):
        return Chunks(_one_by_one(chunks))
    raise InvalidArgument(
        f"chunks must be an iterable of bytes, asynchronous or not, and not {type(chunks).__name__}",
        hint="encrypt and decrypt take bytes, encrypt_stream and decrypt_stream take binary files",
    )


async def sealed_chunks(
    make_encryptor: Callable[[], Awaitable[Encryptor]], chunks: Chunks, length: int | None
) -> AsyncGenerator[bytes, None]:
    """The message of these chunks of plaintext: first its header, then frames as they become full."""
    parts: deque[bytes] = deque()
    try:
        blocking = EncryptingWriter(await make_encryptor(), lambda view: parts.append(bytes(view)), length, None)
        writer = AsyncEncryptingWriter(blocking, Lane(), writes_block=False)
        for part in _taken(parts):
            yield part
        while (chunk := await chunks.next()) is not None:
            # Not more at a time than a file would be given, however long the chunk is.
            for start in range(0, len(chunk), BATCH_BYTES):
                await writer.write(chunk[start : start + BATCH_BYTES])
                for part in _taken(parts):
                    yield part
        await writer.close()
        for part in _taken(parts):
            yield part
    finally:
        await chunks.close()


async def opened_chunks(
    decryptor: Decryptor,
    unwrapped: Callable[[UnwrapRequest], Awaitable[UnwrappedDataKey]],
    chunks: Chunks,
    *,
    early: bool,
) -> AsyncGenerator[bytes, None]:
    """The plaintext of a message; of a signed one only after its signature was verified, unless `early`."""
    message = _ChunkedMessage(decryptor, chunks)
    try:
        decryptor.supply(await unwrapped(await message.read_request()))
        if early or not decryptor.header.suite.is_signing:
            while (plaintext := await message.open_some()) is not None:
                if plaintext:
                    yield bytes(plaintext)
            return
        with contextlib.closing(Spool()) as spool:
            await message.spool_into(spool)
            while spool.next_bytes() is not None:
                if part := await to_its_end(spool.open_part):
                    yield part
    finally:
        await chunks.close()


class _ChunkedMessage:
    """A message in chunks, as authenticated parts of plaintext."""

    def __init__(self, decryptor: Decryptor, chunks: Chunks) -> None:
        self._decryptor = decryptor
        self._chunks = chunks
        self._rest = memoryview(b"")

    async def read_request(self) -> UnwrapRequest:
        """Read the header; return what the keyring is to be asked."""
        while (request := self._decryptor.read_header()) is None:
            await self._fill()
        return request

    async def open_some(self) -> memoryview | None:
        """The next frame, and frames behind it that came in; None when everything was verified."""
        decryptor, source = self._decryptor, self._decryptor.input
        while not decryptor.is_finished:
            part = decryptor.next_part()
            if part is None:
                await self._fill()
                continue
            arrived_bytes = 0 if part.is_final else min(source.size - source.start, WRITE_BYTES)
            out = memoryview(bytearray(max(part.content_bytes, arrived_bytes)))
            if len(out) < WORKER_BYTES:
                return out[: decryptor.open_into(out)]
            return out[: await to_its_end(decryptor.open_into, out)]
        return None

    async def spool_into(self, spool: Spool) -> None:
        """Verify the message to its end, with its plaintext in a spool."""
        while (plaintext := await self.open_some()) is not None:
            await to_its_end(spool.write, plaintext)
        await to_its_end(spool.rewind)

    async def _fill(self) -> None:
        """Take so much of a chunk as the next step needs; the rest of it waits."""
        source = self._decryptor.input
        chunk = self._rest or await self._chunks.next()
        if chunk is None:
            source.filled(0)
            return
        space = source.space(self._decryptor.wanted_bytes())
        count = min(len(space), len(chunk))
        space[:count] = chunk[:count]
        source.filled(count)
        self._rest = chunk[count:]


async def _one_by_one(chunks: Iterable[object]) -> AsyncGenerator[object, None]:
    for chunk in chunks:
        yield chunk


def _taken(parts: deque[bytes]) -> Iterator[bytes]:
    while parts:
        yield parts.popleft()


@contextlib.contextmanager
def _translated_errors() -> Iterator[None]:
    """Turn whatever a foreign iterator raises into `StreamFailed`; a cancellation is no such error."""
    try:
        yield
    except EnvelopeError:
        raise
    except Exception as error:
        reason = (isinstance(error, OSError) and error.strerror) or type(error).__name__
        raise StreamFailed(f"cannot read the chunks: {reason}", hint="the cause is chained") from error
