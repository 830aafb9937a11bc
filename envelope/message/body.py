"""The message body: frames, or one non-framed block.

    regular frame   sequence number 4 | IV 12 | ciphertext of the frame length | tag 16
    final frame     FFFFFFFF | sequence number 4 | IV 12 | length 4 | ciphertext of 0 to the frame length | tag 16
    non-framed      IV 12 | length 8 | ciphertext | tag 16

Sequence numbers start at 1. There is one final frame, the last; it is full when the plaintext is a multiple of the
frame length (the reference implementation writes an empty one behind a full one; both are read).

Source: AWS Encryption SDK specification, data-format/message-body.md and message-body-aad.md.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from envelope.errors import LimitExceeded, MalformedMessage
from envelope.message.cursor import Buffer
from envelope.suites import IV_BYTES, TAG_BYTES

__all__ = ["FramePart", "framed_bytes", "parse_frame"]

REGULAR_OVERHEAD_BYTES = 4 + IV_BYTES + TAG_BYTES
FINAL_OVERHEAD_BYTES = 4 + 4 + IV_BYTES + 4 + TAG_BYTES
NON_FRAMED_OVERHEAD_BYTES = IV_BYTES + 8 + TAG_BYTES

FINAL_MARK = 0xFFFF_FFFF
MAX_FRAMES = 2**32 - 1
MAX_FRAME_LENGTH_BYTES = 2**31 - 1 - TAG_BYTES
"""The format allows 2**32 - 1, the reference implementation reads up to 2**31 - 1, and one call of the AES-GCM
underneath takes 2**31 - 1 bytes with the tag."""
MAX_NON_FRAMED_BYTES = 2**36 - 32
"""The plaintext limit of AES-GCM, NIST SP 800-38D section 5.2.1.1."""

SEQUENCE_AND_LENGTH = struct.Struct(">IQ")

REGULAR_TEXT = b"AWSKMSEncryptionClient Frame"
FINAL_TEXT = b"AWSKMSEncryptionClient Final Frame"
SINGLE_TEXT = b"AWSKMSEncryptionClient Single Block"
"""Associated data of a part: message id, one of these texts, number and content length."""

REGULAR_HEAD = struct.Struct(">I4xQ")
"""Number, then the IV that is the same number in twelve bytes: zero padding and a 64-bit integer."""
FINAL_HEAD = struct.Struct(">II4xQI")
REGULAR_FIELDS = struct.Struct(">I12s")
_FINAL_FIELDS = struct.Struct(">II12sI")
_NON_FRAMED_FIELDS = struct.Struct(">12sQ")
_U32 = struct.Struct(">I")


class FramePart(NamedTuple):
    """Where one frame or block stands in a buffer. The tag follows the content.

    Attributes:
        number: the sequence number, 1 for the non-framed block.
        is_final: whether this is the last part of the body.
        iv: the stored IV; readers use it as it is, since published messages have others than the number.
        content_start: offset of the ciphertext in the buffer.
        content_bytes: length of the ciphertext without its tag, and of the plaintext.
        end: offset behind the tag.
    """

    number: int
    is_final: bool
    iv: bytes
    content_start: int
    content_bytes: int
    end: int


def frame_count(plaintext_bytes: int, frame_length_bytes: int) -> int:
    """How many frames a plaintext takes: at least one, and the last one full if it divides evenly."""
    return max(1, -(-plaintext_bytes // frame_length_bytes))


def framed_bytes(plaintext_bytes: int, frame_length_bytes: int) -> int:
    """Length of the framed body of a plaintext."""
    regular_frames = frame_count(plaintext_bytes, frame_length_bytes) - 1
    return plaintext_bytes + regular_frames * REGULAR_OVERHEAD_BYTES + FINAL_OVERHEAD_BYTES


def parse_frame(buffer: Buffer, position: int, size: int, number: int, frame_length_bytes: int) -> FramePart | None:
    """Parse the frame that begins at `position`; None if it does not end before `size`.

    Args:
        buffer: holds at least `size` bytes.
        number: the sequence number that this frame must have.
        frame_length_bytes: from the header, over 0.

    Raises:
        MalformedMessage: another number, or a final frame longer than the frame length.
    """
    if size - position < REGULAR_OVERHEAD_BYTES:
        return None
    mark = _U32.unpack_from(buffer, position)[0]
    if mark != FINAL_MARK:
        return _parse_regular(buffer, position, size, number, frame_length_bytes)
    if size - position < FINAL_OVERHEAD_BYTES:
        return None
    _, stored, iv, content_bytes = _FINAL_FIELDS.unpack_from(buffer, position)
    if stored != number:
        raise _out_of_order(stored, number)
    if content_bytes > frame_length_bytes:
        raise MalformedMessage(
            f"the final frame says {content_bytes:,} bytes, more than the frame length {frame_length_bytes:,}"
        )
    start = position + FINAL_OVERHEAD_BYTES - TAG_BYTES
    end = start + content_bytes + TAG_BYTES
    return FramePart(number, True, iv, start, content_bytes, end) if end <= size else None


def _parse_regular(buffer: Buffer, position: int, size: int, number: int, frame_length_bytes: int) -> FramePart | None:
    stored, iv = REGULAR_FIELDS.unpack_from(buffer, position)
    if stored != number:
        raise _out_of_order(stored, number)
    start = position + REGULAR_OVERHEAD_BYTES - TAG_BYTES
    end = start + frame_length_bytes + TAG_BYTES
    return FramePart(number, False, iv, start, frame_length_bytes, end) if end <= size else None


def _out_of_order(stored: int, expected: int) -> MalformedMessage:
    return MalformedMessage(
        f"frame {stored} stands where frame {expected} must stand",
        hint="frames were swapped, dropped, repeated or damaged",
    )


def parse_non_framed(buffer: Buffer, position: int, size: int, max_bytes: int) -> FramePart | None:
    """Parse the non-framed block at `position`; None if it does not end before `size`.

    Raises:
        LimitExceeded: it is longer than `max_bytes`; known from its first 20 bytes.
    """
    if size - position < NON_FRAMED_OVERHEAD_BYTES:
        return None
    iv, content_bytes = _NON_FRAMED_FIELDS.unpack_from(buffer, position)
    if content_bytes > MAX_NON_FRAMED_BYTES:
        raise MalformedMessage(f"the body says {content_bytes:,} bytes, more than AES-GCM can encrypt")
    check_frame_limit(content_bytes, max_bytes)
    start = position + NON_FRAMED_OVERHEAD_BYTES - TAG_BYTES
    end = start + content_bytes + TAG_BYTES
    return FramePart(1, True, iv, start, content_bytes, end) if end <= size else None


def check_frame_limit(content_bytes: int, max_bytes: int) -> None:
    """Raise `LimitExceeded` if so much must be held in memory before it can be authenticated."""
    if content_bytes > max_bytes:
        raise LimitExceeded(
            f"the message has frames of {content_bytes:,} bytes, more than the limit of {max_bytes:,}",
            hint="if you trust the sender, raise max_frame_bytes of the client; so much memory is needed at once",
        )
