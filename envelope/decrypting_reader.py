"""A readable file of the plaintext of a message."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from envelope.binary_files import as_view
from envelope.context import EncryptionContext
from envelope.errors import EnvelopeError, InvalidArgument
from envelope.materials import UnwrappedBy
from envelope.message.header import Header
from envelope.message_source import MessageSource, Parts, spooled
from envelope.suites import Suite

__all__ = ["DecryptingReader", "checked_size"]

_T = TypeVar("_T")


class DecryptingReader(io.BufferedIOBase):
    """Reads the plaintext of a message. Made by `Client.decrypting_reader`; not for two threads at once.

    Every byte it gives was authenticated. The plaintext is whole only when the reader has come to its end, or `close`
    or the end of a `with` block has returned: they verify what was not read. The file underneath stays open.

    Attributes:
        header: the header of the message, authentic.
        encryption_context: the authenticated pairs, those that the caller gave included.
        suite: the algorithm suite.
        unwrapped_by: the keyring and the key that unwrapped the data key.
        name: the name of the file underneath, if it has one.
    """

    def __init__(self, source: MessageSource, *, early: bool, name: object) -> None:
        super().__init__()
        self.name = name
        self._is_done = True  # until there is something that close could verify
        self._error: EnvelopeError | None = None
        self.header: Header = source.decryptor.header
        self.encryption_context: EncryptionContext = source.decryptor.encryption_context
        self.suite: Suite = self.header.suite
        self.unwrapped_by: UnwrappedBy = source.decryptor.unwrapped_by
        self._spool = None if early or not self.suite.is_signing else spooled(source)
        self._parts: Parts = source if self._spool is None else self._spool
        self._rest = memoryview(b"")
        self._is_done = False

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """`size` bytes of plaintext, fewer only at the end; all of the rest without a size or with a negative one.

        Raises:
            MessageRefused: the message is cut short, changed or malformed from here on.
            StreamFailed: the file underneath cannot be read.
        """
        return b"".join(self._chunks(size))

    def read1(self, size: int | None = -1, /) -> bytes:
        """What is there of the current frame, or the next frame, at most `size` bytes; nothing only at the end."""
        return self._take(checked_size(size))

    def readinto(self, buffer: Any, /) -> int:
        """Fill `buffer` with plaintext; return how many bytes there are, fewer than asked for only at the end."""
        view = _writable_view(buffer)
        self._check_usable()
        filled = 0
        while filled < len(view) and (count := self._take_into(view[filled:])):
            filled += count
        return filled

    def readinto1(self, buffer: Any, /) -> int:
        """Like `readinto`, with at most one frame."""
        view = _writable_view(buffer)
        self._check_usable()
        return self._take_into(view)

    def __iter__(self) -> Iterator[bytes]:
        """The plaintext in pieces of a frame each, of a signed message up to 1 MiB of frames together."""
        while chunk := self._take(-1):
            yield chunk

    def __next__(self) -> bytes:
        if chunk := self._take(-1):
            return chunk
        raise StopIteration

    def close(self) -> None:
        """Verify what was not read, then close. A second call does nothing.

        Raises:
            MessageRefused: the rest of the message does not verify; what was read so far came from a message that
                somebody cut or changed.
        """
        if self.closed:
            return
        try:
            while not self._is_done and self._take(-1):
                pass
        finally:
            self.abort()

    def abort(self) -> None:
        """Close without verifying the rest."""
        self._is_done = True
        if self._spool is not None:
            self._spool.close()
        super().close()

    def __exit__(self, exception_type: object, *rest: object) -> None:
        if exception_type is None:
            self.close()
        else:
            self.abort()

    def __del__(self) -> None:
        """Do not read the rest of a message that its reader has abandoned, as the inherited method would."""

    def _chunks(self, size: int | None) -> Iterator[bytes]:
        wanted = checked_size(size)
        while chunk := self._take(wanted):
            yield chunk
            if wanted > 0:
                wanted -= len(chunk)

    def _take(self, most: int) -> bytes:
        """Some bytes, at most `most` unless that is negative; none only at the end, or if none are asked for."""
        self._check_usable()
        if most == 0:
            return b""
        if not self._rest:
            chunk = self._next_part()
            if most < 0 or len(chunk) <= most:
                return chunk
            self._rest = memoryview(chunk)
        taken = self._rest if most < 0 else self._rest[:most]
        self._rest = self._rest[len(taken) :]
        return bytes(taken)

    def _take_into(self, view: memoryview) -> int:
        if not self._rest and (size := self._next_bytes()) is not None and 0 < size <= len(view):
            return self._guarded(lambda: self._parts.open_into(view))
        chunk = self._take(len(view))
        view[: len(chunk)] = chunk
        return len(chunk)

    def _check_usable(self) -> None:
        """After a failure, fail again and hand out nothing more."""
        if self.closed:
            raise InvalidArgument("the reader is closed")
        if self._error is not None:
            raise self._error

    def _next_part(self) -> bytes:
        """The next part that is not empty; empty at the end."""
        while self._next_bytes() is not None:
            if part := self._guarded(self._parts.open_part):
                return part
        return b""

    def _next_bytes(self) -> int | None:
        size = self._guarded(self._parts.next_bytes)
        self._is_done = size is None
        return size

    def _guarded(self, step: Callable[[], _T]) -> _T:
        """Run a step of the engine; remember if it failed."""
        try:
            return step()
        except EnvelopeError as error:
            self._error = error
            raise


def _writable_view(buffer: object) -> memoryview:
    view = as_view(buffer, "buffer")
    if view.readonly:
        raise InvalidArgument("buffer must be writable", hint="for example bytearray(65536)")
    return view


def checked_size(size: object) -> int:
    if size is None:
        return -1
    if not isinstance(size, int):
        raise InvalidArgument(f"size must be a whole number or None, not {type(size).__name__}")
    return size
