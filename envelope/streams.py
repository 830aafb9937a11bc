"""Encrypt or decrypt from one binary file into another, in constant memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from envelope.binary_files import ReadInto, WriteAll, fill
from envelope.encrypting_writer import batch_bytes
from envelope.engine.encryptor import Encryptor
from envelope.message import body
from envelope.message.header import Header
from envelope.message_source import MessageSource, copy_parts, spooled

__all__ = ["batches_of", "copy_decrypted", "copy_encrypted"]

Batches = Callable[[int], Iterator[tuple[memoryview, bool]]]
"""Makes pieces of a plaintext, each of this many bytes but the last one, and says which is the last."""


def copy_encrypted(encryptor: Encryptor, batches: Batches, write_all: WriteAll) -> Header:
    """Encrypt a file until its end, which `batches_of` has cut into pieces."""
    header = encryptor.header
    room = body.framed_bytes(batch_bytes(header.frame_length_bytes), header.frame_length_bytes)
    out = memoryview(bytearray(room))
    write_all(memoryview(encryptor.header_bytes))
    for plaintext, is_last in batches(batch_bytes(header.frame_length_bytes)):
        write_all(out[: encryptor.seal_into(plaintext, out, is_last=is_last)])
    write_all(memoryview(encryptor.footer()))
    return header


def batches_of(rest: memoryview | None, read_into: ReadInto) -> Batches:
    """The rest of a file in pieces of a size that is asked for later, and whether a piece is the last one.

    Args:
        rest: what `rest_in_memory` returned.
        read_into: reads the file if that was None.
    """
    return partial(_read_batches, read_into) if rest is None else partial(_cut_batches, rest)


def _read_batches(read_into: ReadInto, size: int) -> Iterator[tuple[memoryview, bool]]:
    """Two buffers in turn: only when the next one has a byte, the one before is known not to be the last."""
    current, following = memoryview(bytearray(size)), memoryview(bytearray(size))
    filled = fill(read_into, current)
    while filled == size and (more := fill(read_into, following)):
        yield current, False
        current, following, filled = following, current, more
    yield current[:filled], True


def _cut_batches(rest: memoryview, size: int) -> Iterator[tuple[memoryview, bool]]:
    while len(rest) > size:
        yield rest[:size], False
        rest = rest[size:]
    yield rest, True


def copy_decrypted(source: MessageSource, write_all: WriteAll, *, early: bool) -> None:
    """Write the plaintext of a message; of a signed one only after its signature was verified, unless `early`."""
    if early or not source.decryptor.header.suite.is_signing:
        copy_parts(source, write_all)
        return
    spool = spooled(source)
    try:
        copy_parts(spool, write_all)
    finally:
        spool.close()
