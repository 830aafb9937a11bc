"""Streams in memory: from one buffer into nowhere, or into one buffer."""

from __future__ import annotations

from io import BytesIO
from typing import BinaryIO, cast

from envelope import Client

__all__ = ["NULL_SINK", "decrypt_by_reader", "encrypt_by_writer"]

READ_BYTES = 1024 * 1024


class _NullSink:
    """Takes everything; unlike os.devnull without a system call."""

    def write(self, data: memoryview, /) -> int:
        return len(data)


NULL_SINK = cast(BinaryIO, _NullSink())
"""A client writes to anything with `write`."""


def encrypt_by_writer(client: Client, plaintext: bytes, frame_length_bytes: int, write_bytes: int) -> None:
    """Write a plaintext in pieces of `write_bytes`."""
    view = memoryview(plaintext)
    with client.encrypting_writer(NULL_SINK, frame_length_bytes=frame_length_bytes) as writer:
        for start in range(0, len(view), write_bytes):
            writer.write(view[start : start + write_bytes])


def decrypt_by_reader(client: Client, message: bytes) -> None:
    """Read a plaintext into one buffer of 1 MiB."""
    buffer = bytearray(READ_BYTES)
    with client.decrypting_reader(BytesIO(message)) as reader:
        while reader.readinto(buffer):
            pass
