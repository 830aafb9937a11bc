"""Encrypt or decrypt from one binary file into another, in constant memory."""

from __future__ import annotations

from envelope.binary_files import ReadInto, WriteAll, fill
from envelope.encrypting_writer import batch_bytes
from envelope.engine.encryptor import Encryptor
from envelope.message import body
from envelope.message.header import Header
from envelope.message_source import MessageSource, copy_parts, spooled

__all__ = ["copy_decrypted", "copy_encrypted"]


def copy_encrypted(encryptor: Encryptor, read_into: ReadInto, write_all: WriteAll) -> Header:
    """Encrypt a file until its end.

    Two buffers in turn: only when the next one has a byte, the one before is known not to be the last.
    """
    header = encryptor.header
    batch = batch_bytes(header.frame_length_bytes)
    current, following = memoryview(bytearray(batch)), memoryview(bytearray(batch))
    out = memoryview(bytearray(body.framed_bytes(batch, header.frame_length_bytes)))
    write_all(memoryview(encryptor.header_bytes))
    size = fill(read_into, current)
    while size == batch and (more := fill(read_into, following)):
        write_all(out[: encryptor.seal_into(current, out, is_last=False)])
        current, following, size = following, current, more
    write_all(out[: encryptor.seal_into(current[:size], out, is_last=True)])
    write_all(memoryview(encryptor.footer()))
    return header


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
