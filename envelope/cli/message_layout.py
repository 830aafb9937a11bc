"""What a message says of itself, read from a file of any size in constant memory.

`envelope.describe` takes a whole message in memory. Here the header is read, and then, where the file can seek, only
the last frames: all before them have the same length. A pipe is read to its end, without keeping anything.
"""

from __future__ import annotations

import os
import stat
import struct
from io import FileIO
from typing import BinaryIO, Protocol

from envelope.binary_files import ReadInto, checked_reader, fill
from envelope.cli.armor import Base64Reader, readable
from envelope.errors import LimitExceeded, MalformedMessage, TruncatedMessage
from envelope.message import body
from envelope.message.cursor import truncated
from envelope.message.describe import MAX_ENCRYPTED_DATA_KEYS, MessageDescription
from envelope.message.footer import LENGTH_BYTES, MAX_SIGNATURE_BYTES
from envelope.message.header import Header, parse_header
from envelope.replacement import translated_os_errors
from envelope.suites import IV_BYTES, TAG_BYTES

__all__ = ["describe_file"]

MAX_HEADER_BYTES = 16 * 1024 * 1024
"""A header of 32 KMS keys and a full encryption context takes 75 KiB. The format has no limit below 12 GiB."""

_FIRST_READ_BYTES = 16 * 1024
_CHUNK_BYTES = 256 * 1024
_U16 = struct.Struct(">H")
_U32 = struct.Struct(">I")
_U64 = struct.Struct(">Q")


def describe_file(file: FileIO, *, decode: bool = False) -> MessageDescription:
    """Describe the message in a file, from where it stands to its end. Nothing of it is authenticated.

    Args:
        decode: the file holds base64 text; an armor is recognized by itself.

    Raises:
        MalformedMessage: it is no message, or there are bytes behind its end; `TruncatedMessage` if it ends too early.
            Where the file can seek, frames before the last ones are not looked at.
        LimitExceeded: a header of more than 16 MiB.
        StreamFailed: the file cannot be read.
    """
    with translated_os_errors("read"):
        start = file.tell() if file.seekable() else 0
        source = _source(file, readable(file, decode=decode), start)
        header = _read_header(source)
        source.rewind_to(header.header_bytes)
        return _describe(header, source)


class _Source(Protocol):
    """Where the bytes of a message come from.

    Attributes:
        position: bytes from the beginning of the message.
        size: length of the message, or None if only its end will tell.
    """

    position: int

    @property
    def size(self) -> int | None: ...

    def take(self, count: int) -> bytes: ...

    def skip(self, count: int) -> None: ...

    def rewind_to(self, position: int) -> None: ...


class _Pipe:
    """Reads on and on. Keeps what was read so far until `rewind_to`."""

    size: int | None = None

    def __init__(self, read_into: ReadInto) -> None:
        self.position = 0
        self._read_into = read_into
        self._ahead = b""
        self._taken = bytearray()
        self._is_kept = True

    def take(self, count: int) -> bytes:
        """Fewer bytes only at the end."""
        taken, self._ahead = self._ahead[:count], self._ahead[count:]
        if len(taken) < count:
            space = bytearray(count - len(taken))
            taken += bytes(space[: fill(self._read_into, memoryview(space))])
        self.position += len(taken)
        if self._is_kept:
            self._taken += taken
        return taken

    def skip(self, count: int) -> None:
        while count:
            taken = len(self.take(min(count, _CHUNK_BYTES)))
            if not taken:
                raise truncated()
            count -= taken

    def rewind_to(self, position: int) -> None:
        self._ahead = bytes(self._taken[position:])
        self.position, self._is_kept = position, False


class _File:
    """Moves about in a file on disk."""

    def __init__(self, file: FileIO, start: int) -> None:
        self._file, self._start = file, start
        self.size: int = max(os.fstat(file.fileno()).st_size - start, 0)
        self.rewind_to(0)

    def take(self, count: int) -> bytes:
        space = bytearray(count)
        taken = bytes(space[: fill(self._file.readinto, memoryview(space))])
        self.position += len(taken)
        return taken

    def skip(self, count: int) -> None:
        self.rewind_to(self.position + count)
        if self.position > self.size:
            raise truncated()

    def rewind_to(self, position: int) -> None:
        self.position = position
        self._file.seek(self._start + position)


def _source(file: FileIO, message: BinaryIO, start: int) -> _Source:
    is_on_disk = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    if is_on_disk and not isinstance(message, Base64Reader):
        return _File(file, start)
    return _Pipe(checked_reader(message, "source"))


def _read_header(source: _Source) -> Header:
    data = source.take(_FIRST_READ_BYTES)
    while True:
        try:
            return parse_header(data, max_encrypted_data_keys=MAX_ENCRYPTED_DATA_KEYS)
        except TruncatedMessage:
            more = source.take(len(data))
            if not more:
                raise
        data += more
        if len(data) > MAX_HEADER_BYTES:
            raise LimitExceeded(f"the header has more than {MAX_HEADER_BYTES:,} bytes")


def _describe(header: Header, source: _Source) -> MessageDescription:
    if header.frame_length_bytes:
        frames, plaintext_bytes = _walk_frames(header.frame_length_bytes, source)
    else:
        frames, plaintext_bytes = 1, _skip_block(source)
    body_end = source.position
    if header.suite.is_signing:
        _skip_footer(source)
    footer_end = source.position
    behind = len(source.take(1)) if source.size is None else source.size - footer_end
    if behind:
        raise MalformedMessage("there are bytes behind the end of the message")
    return MessageDescription(
        suite=header.suite,
        version=header.suite.message_version,
        message_id=header.message_id,
        encryption_context=header.encryption_context,
        encrypted_data_keys=header.encrypted_data_keys,
        is_framed=header.frame_length_bytes > 0,
        frame_length_bytes=header.frame_length_bytes,
        frames=frames,
        plaintext_bytes=plaintext_bytes,
        header_bytes=header.header_bytes,
        body_bytes=body_end - header.header_bytes,
        footer_bytes=footer_end - body_end,
        message_bytes=footer_end,
        header=header,
    )


def _walk_frames(frame_length_bytes: int, source: _Source) -> tuple[int, int]:
    """How many frames there are, and the bytes of plaintext in them."""
    frame_bytes = frame_length_bytes + body.REGULAR_OVERHEAD_BYTES
    regular_frames = 0
    if source.size is not None:
        # Behind the last regular frame there are at most a full final frame and a footer.
        at_most = body.FINAL_OVERHEAD_BYTES + frame_length_bytes + LENGTH_BYTES + MAX_SIGNATURE_BYTES
        regular_frames = max(0, (source.size - source.position - at_most) // frame_bytes)
        source.skip(regular_frames * frame_bytes)
    while (mark := _number(_U32, source)) != body.FINAL_MARK:
        _check_number(mark, regular_frames + 1)
        source.skip(frame_bytes - _U32.size)
        regular_frames += 1
    _check_number(_number(_U32, source), regular_frames + 1)
    source.skip(IV_BYTES)
    last_bytes = _number(_U32, source)
    if last_bytes > frame_length_bytes:
        raise MalformedMessage(
            f"the final frame says {last_bytes:,} bytes, more than the frame length {frame_length_bytes:,}"
        )
    source.skip(last_bytes + TAG_BYTES)
    return regular_frames + 1, regular_frames * frame_length_bytes + last_bytes


def _skip_block(source: _Source) -> int:
    """Pass a body without frames; return the bytes of its plaintext."""
    source.skip(IV_BYTES)
    content_bytes = _number(_U64, source)
    if content_bytes > body.MAX_NON_FRAMED_BYTES:
        raise MalformedMessage(f"the body says {content_bytes:,} bytes, more than AES-GCM can encrypt")
    source.skip(content_bytes + TAG_BYTES)
    return content_bytes


def _skip_footer(source: _Source) -> None:
    signature_bytes = _number(_U16, source)
    if not 0 < signature_bytes <= MAX_SIGNATURE_BYTES:
        raise MalformedMessage(f"the footer says a signature of {signature_bytes:,} bytes")
    source.skip(signature_bytes)


def _number(field: struct.Struct, source: _Source) -> int:
    stored = source.take(field.size)
    if len(stored) < field.size:
        raise truncated()
    return int(field.unpack(stored)[0])


def _check_number(stored: int, expected: int) -> None:
    if stored != expected:
        raise MalformedMessage(
            f"frame {stored} stands where frame {expected} must stand",
            hint="frames were swapped, dropped, repeated or damaged, or there are bytes behind the end of the message",
        )
