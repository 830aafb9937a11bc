"""A writable file that encrypts."""

from __future__ import annotations

import io
from typing import Any

from envelope.binary_files import WriteAll, as_view
from envelope.engine.encryptor import Encryptor
from envelope.errors import InvalidArgument, StreamFailed
from envelope.message import body

__all__ = ["EncryptingWriter"]

_UNFINISHED = "the message is unfinished: an earlier write failed"
_START_AGAIN = "encrypt again from the start"

BATCH_BYTES = 512 * 1024
"""So much is sealed between two writes where frames are smaller: input and output then stay in a processor's cache."""


def batch_bytes(frame_length_bytes: int) -> int:
    """How much plaintext is sealed at once: whole frames, one at least."""
    return max(BATCH_BYTES // frame_length_bytes, 1) * frame_length_bytes


class EncryptingWriter(io.BufferedIOBase):
    """Encrypts what is written to it. Made by `Client.encrypting_writer`; not for two threads at once.

    The message is complete only after `close`, or after a `with` block that ends without an exception: otherwise its
    last frame is missing and no reader accepts it. The file underneath stays open.

    Attributes:
        header: the header of the message, written already.
        name: the name of the file underneath, if it has one.
    """

    def __init__(self, encryptor: Encryptor, write_all: WriteAll, length: int | None, name: object) -> None:
        super().__init__()
        self.name = name
        self.header = encryptor.header
        self._encryptor = encryptor
        self._write_all = write_all
        self._length = length
        self._written_bytes = 0
        self._pending: bytearray | memoryview = bytearray()
        self._batch_bytes = batch_bytes(self.header.frame_length_bytes)
        self._out = bytearray()
        self._has_failed = False
        write_all(memoryview(encryptor.header_bytes))

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        """Encrypt these bytes; return how many they are.

        Raises:
            InvalidArgument: no bytes, or more than `length` in all.
            StreamFailed: the file underneath does not take them; the message cannot be finished then.
        """
        self._check_open()
        view = as_view(data, "what is written")
        try:
            self._check_length(self._written_bytes + len(view), is_last=False)
            self._seal(view)
        except BaseException:
            self._has_failed = True
            raise
        self._written_bytes += len(view)
        return len(view)

    def close(self) -> None:
        """Write the last frame and the signature. A second call does nothing.

        Raises:
            InvalidArgument: less than `length` bytes were written.
            StreamFailed: the file underneath does not take them, or did not take what was written before.
        """
        if self.closed:
            return
        try:
            if self._has_failed:
                raise StreamFailed(_UNFINISHED, hint=_START_AGAIN)
            self._check_length(self._written_bytes, is_last=True)
            self._flush_frames(memoryview(self._pending), is_last=True)
            self._write_all(memoryview(self._encryptor.footer()))
        finally:
            self.abort()

    def abort(self) -> None:
        """Close without the last frame: what was written so far is no message."""
        super().close()

    def __exit__(self, exception_type: object, *rest: object) -> None:
        if exception_type is None:
            self.close()
        else:
            self.abort()

    def __del__(self) -> None:
        """Do not finish a message that its writer has abandoned, as the inherited method would."""

    def _check_open(self) -> None:
        if self.closed:
            raise InvalidArgument("the writer is closed")
        if self._has_failed:
            raise InvalidArgument(_UNFINISHED, hint=_START_AGAIN)

    def _check_length(self, written: int, *, is_last: bool) -> None:
        if self._length is not None and (written > self._length or (is_last and written < self._length)):
            raise InvalidArgument(
                f"length promised {self._length:,} bytes, and {written:,} were written",
                hint="the message was not finished; leave out length= if it is not known",
            )

    def _seal(self, view: memoryview) -> None:
        """Seal all frames that are certainly not the last one; keep the rest, one byte at least."""
        frame_length = self.header.frame_length_bytes
        if self._pending:
            if isinstance(self._pending, bytearray):
                missing = frame_length - len(self._pending)
                self._pending += view[:missing]
                view = view[missing:]
            if not view:
                return
            self._flush_frames(memoryview(self._pending), is_last=False)
            self._pending = bytearray()
        while len(view) > frame_length:
            size = min(self._batch_bytes, (len(view) - 1) // frame_length * frame_length)
            self._flush_frames(view[:size], is_last=False)
            view = view[size:]
        # A whole frame of what nobody can change needs no copy until it is known whether it is the last one.
        self._pending = view if len(view) == frame_length and type(view.obj) is bytes else bytearray(view)

    def _flush_frames(self, plaintext: memoryview, *, is_last: bool) -> None:
        room = body.framed_bytes(len(plaintext), self.header.frame_length_bytes)
        if len(self._out) < room:
            self._out = bytearray(room)
        out = memoryview(self._out)
        self._write_all(out[: self._encryptor.seal_into(plaintext, out, is_last=is_last)])
