"""Messages as text: base64, and base64 between two lines that say what it is.

Streams of any length in constant memory. Reading is strict: what follows the end of the text is refused, as what
follows the end of a message is.
"""

from __future__ import annotations

import binascii
from io import FileIO
from typing import BinaryIO, Protocol, cast

from envelope.errors import MalformedMessage, TruncatedMessage

__all__ = ["Base64Writer", "decoded", "readable"]

BEGIN = b"-----BEGIN AWS ENCRYPTION SDK MESSAGE-----"
END = b"-----END AWS ENCRYPTION SDK MESSAGE-----"

LINE_CHARACTERS = 64
LINE_BYTES = LINE_CHARACTERS // 4 * 3
CHUNK_BYTES = 256 * 1024
_SPACE = b" \t\r\n"
_BASE64_START = b"A"  # of base64 of a message: versions 1 and 2 begin "AY" and "Ag"


class Writes(Protocol):
    """Whatever takes bytes."""

    def write(self, data: bytes, /) -> int | None: ...


class Reads(Protocol):
    """Whatever gives at most so many bytes, and none at its end."""

    def read(self, size: int, /) -> bytes | None: ...


class Base64Writer:
    """Writes base64 in lines of 64 characters; whole only after `finish`.

    Args:
        target: takes the text, every call all of it.
        armored: write the lines around it too.
    """

    def __init__(self, target: Writes, *, armored: bool) -> None:
        self._target = target
        self._armored = armored
        self._pending = bytearray()
        if armored:
            target.write(BEGIN + b"\n")

    def write(self, data: memoryview | bytes) -> int:
        """Take bytes; return how many they are."""
        self._pending += data
        whole = len(self._pending) // LINE_BYTES * LINE_BYTES
        for start in range(0, whole, CHUNK_BYTES // LINE_BYTES * LINE_BYTES):
            end = min(whole, start + CHUNK_BYTES // LINE_BYTES * LINE_BYTES)
            self._write_lines(memoryview(self._pending)[start:end])
        del self._pending[:whole]
        return len(data)

    def finish(self) -> None:
        """Write what is left."""
        if self._pending:
            self._write_lines(memoryview(bytes(self._pending)))
        if self._armored:
            self._target.write(END + b"\n")

    def _write_lines(self, data: memoryview) -> None:
        text = binascii.b2a_base64(data, newline=False)
        data.release()
        lines = [text[start : start + LINE_CHARACTERS] for start in range(0, len(text), LINE_CHARACTERS)]
        self._target.write(b"\n".join(lines) + b"\n")


class Base64Reader:
    """Reads the bytes of a base64 text; white space may be anywhere.

    Args:
        source: gives the text.
        start: the beginning of it, read already.
        armored: whether it ends with the line of an armor.
    """

    def __init__(self, source: Reads, start: bytes, *, armored: bool) -> None:
        self._source = source
        self._armored = armored
        self._text = start
        self._held = b""  # the end of the text could be part of the line that ends an armor
        self._decoded = memoryview(b"")
        self._is_padded = False
        self._is_done = False

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""
        while not self._decoded and not self._is_done:
            self._decoded = memoryview(self._next())
        taken = bytes(self._decoded[:size])
        self._decoded = self._decoded[size:]
        return taken

    def _next(self) -> bytes:
        text, self._text = self._text or self._source.read(CHUNK_BYTES) or b"", b""
        self._is_done = not text
        text = self._held + text.translate(None, _SPACE)
        if self._armored:
            text = self._cut(text)
        whole = len(text) if self._is_done else len(text) // 4 * 4
        self._held = text[whole:] + self._held if self._armored else text[whole:]
        return self._decode(text[:whole])

    def _cut(self, text: bytes) -> bytes:
        """The part before the line that ends the armor."""
        body, dash, rest = text.partition(b"-")
        self._held = dash + rest
        if not _END_TEXT.startswith(self._held):
            raise MalformedMessage("the armor does not end with its last line", hint=f"which is {END.decode()}")
        if self._is_done and self._held != _END_TEXT:
            raise TruncatedMessage("the armor ends before its last line", hint="fetch the whole of the text")
        return body

    def _decode(self, text: bytes) -> bytes:
        if text and (self._is_padded or text.endswith(b"===")):
            raise MalformedMessage("there is text behind the end of the base64 text")
        self._is_padded = self._is_padded or text.endswith(b"=")
        try:
            return binascii.a2b_base64(text, strict_mode=True)
        except binascii.Error as error:
            raise MalformedMessage(
                "the text is not base64", hint="it was damaged, or it is cut, or this is no message"
            ) from error


_END_TEXT = END.translate(None, _SPACE)


class Rest:
    """A file whose beginning was read already."""

    def __init__(self, source: FileIO, start: bytes) -> None:
        self._start = start
        self._readinto = source.readinto

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill a part of the buffer; 0 at the end."""
        if not self._start:
            return self._readinto(buffer)
        count = min(len(buffer), len(self._start))
        buffer[:count] = self._start[:count]
        self._start = self._start[count:]
        return count


def readable(source: FileIO, *, decode: bool) -> BinaryIO:
    """The message in a file: an armor is recognized by its first line, base64 is read if `decode`.

    Raises:
        MalformedMessage: it looks like base64 and `decode` was not asked for.
    """
    start = _at_least(source, len(BEGIN))
    reader: object
    if start == BEGIN:
        reader = Base64Reader(source, b"", armored=True)
    elif decode:
        reader = Base64Reader(source, start, armored=False)
    elif start.startswith(_BASE64_START):
        raise MalformedMessage("the message looks like base64 text", hint="--decode reads base64")
    else:
        reader = Rest(source, start)
    return cast("BinaryIO", reader)  # the library needs one method of it only


def decoded(source: FileIO) -> BinaryIO:
    """The bytes of which a file holds the base64 text."""
    return cast("BinaryIO", Base64Reader(source, b"", armored=False))


def _at_least(source: FileIO, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := source.read(size - len(data))):
        data += more
    return data
