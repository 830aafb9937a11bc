"""A message in a binary file, as authenticated parts of plaintext."""

from __future__ import annotations

from typing import Protocol

from envelope.binary_files import ReadInto, WriteAll
from envelope.engine.decryptor import Decryptor
from envelope.materials import UnwrapRequest
from envelope.spool import Spool

__all__ = ["MessageSource", "Parts", "copy_parts", "spooled"]

WRITE_BYTES = 1024 * 1024
"""So much plaintext is gathered for one write where frames are smaller."""


class Parts(Protocol):
    """Authenticated parts of plaintext, one after the other."""

    def next_bytes(self) -> int | None:
        """Length of the next part; None behind the last one."""
        ...

    def open_part(self) -> bytes:
        """The next part."""
        ...

    def open_into(self, out: memoryview) -> int:
        """The next part, and parts behind it that are there and fit, at the beginning of `out`; their length."""
        ...


class MessageSource:
    """The parts of a message in a binary file.

    Before the first part: `read_request`, and the data key for it to `decryptor.supply`.
    """

    def __init__(self, decryptor: Decryptor, read_into: ReadInto) -> None:
        self.decryptor = decryptor
        self._read_into = read_into
        self.open_part = decryptor.open_part
        self.open_into = decryptor.open_into

    def read_request(self) -> UnwrapRequest:
        """Read the header; return what the keyring is to be asked."""
        while (request := self.decryptor.read_header()) is None:
            self._fill()
        return request

    def next_bytes(self) -> int | None:
        """Length of the next part; None behind the last one, when everything was verified."""
        decryptor = self.decryptor
        while not decryptor.is_finished:
            part = decryptor.next_part()
            if part is not None:
                return part.content_bytes
            self._fill()
        return None

    def _fill(self) -> None:
        source = self.decryptor.input
        source.filled(self._read_into(source.space(self.decryptor.wanted_bytes())))


def spooled(source: MessageSource) -> Spool:
    """All parts of a message, verified to the end, to be read from a spool."""
    spool = Spool()
    try:
        copy_parts(source, spool.write)
        spool.rewind()
    except BaseException:
        spool.close()
        raise
    return spool


def copy_parts(parts: Parts, write_all: WriteAll) -> None:
    """Write all parts in their order: small ones together, but none waits for input while it could be written."""
    out = memoryview(bytearray())
    while (size := parts.next_bytes()) is not None:
        if len(out) < size:
            out = memoryview(bytearray(max(size, WRITE_BYTES)))
        write_all(out[: parts.open_into(out)])
