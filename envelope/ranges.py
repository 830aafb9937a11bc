"""Random access: a part of the plaintext of an unsigned framed message, without reading the rest.

With a header of H bytes, frames of F bytes and T bytes in all, frame i begins at ``H + (i - 1) * (F + 32)``, and
``(T - H - 40) // (F + 32)`` frames come before the final one. The final frame is opened first: its number and its
length authenticate the total, so a message that was cut, even at the border of a frame, is noticed.
"""

from __future__ import annotations

from typing import Any

from envelope.binary_files import ReadInto, fill, seek
from envelope.engine.decryptor import Decryptor
from envelope.errors import InvalidArgument, PolicyRefused, StreamFailed
from envelope.message import body
from envelope.message.cursor import truncated

__all__ = ["check_range", "open_range"]


def check_range(start: object, length: object) -> tuple[int, int]:
    """Offset and length of a range: whole numbers, not negative."""
    for name, value in (("start", start), ("length", length)):
        if type(value) is not int or value < 0:
            raise InvalidArgument(f"{name} must be a whole number, not negative")
    return start, length  # type: ignore[return-value]  # both are int here


def open_range(
    decryptor: Decryptor,
    source: Any,
    read_into: ReadInto,
    *,
    message_start: int,
    message_end: int,
    start: int,
    length: int,
) -> bytes:
    """The bytes `start` to `start + length` of the plaintext, fewer where it ends before, as a slice gives them.

    Args:
        decryptor: its header was read and verified already.
        source: the seekable file that `read_into` reads.
        message_start: offset of the message in the file.
        message_end: offset behind it.
    """
    header = decryptor.header
    if header.suite.is_signing or not header.frame_length_bytes:
        raise PolicyRefused(
            "only unsigned framed messages allow random access",
            hint="a signature covers the whole message, a non-framed body has one tag: use decrypt or decrypt_stream",
        )
    frame_length = header.frame_length_bytes
    stride = frame_length + body.REGULAR_OVERHEAD_BYTES
    frames_start = message_start + header.header_bytes
    frames_bytes = message_end - frames_start
    if frames_bytes < body.FINAL_OVERHEAD_BYTES:
        raise truncated()
    regular_frames = (frames_bytes - body.FINAL_OVERHEAD_BYTES) // stride

    def open_frame(index: int) -> bytes:
        offset = frames_start + index * stride
        size = min(stride, message_end - offset) if index < regular_frames else message_end - offset
        seek(source, offset)
        frame = memoryview(bytearray(size))
        if fill(read_into, frame) != size:
            raise StreamFailed("the source became shorter while it was read")
        return decryptor.open_frame(frame, number=index + 1, is_final=index == regular_frames)

    last = open_frame(regular_frames)
    end = min(start + length, regular_frames * frame_length + len(last))
    if start >= end:
        return b""
    first_index, last_index = start // frame_length, (end - 1) // frame_length
    frames = [last if index == regular_frames else open_frame(index) for index in range(first_index, last_index + 1)]
    offset = start - first_index * frame_length
    return b"".join(frames)[offset : offset + end - start]
