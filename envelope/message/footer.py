"""The message footer: an ECDSA signature in DER behind its length in two bytes.

Source: AWS Encryption SDK specification, data-format/message-footer.md.
"""

from __future__ import annotations

import struct

from envelope.errors import MalformedMessage
from envelope.message.cursor import Buffer

__all__ = ["parse_footer", "serialize_footer"]

MAX_SIGNATURE_BYTES = 120
"""DER of a P-384 signature takes at most 104 bytes; the rest is for long-form lengths of lax encoders."""

LENGTH_BYTES = 2
_U16 = struct.Struct(">H")


def serialize_footer(signature: bytes) -> bytes:
    """The footer of this signature."""
    return _U16.pack(len(signature)) + signature


def parse_footer(buffer: Buffer, position: int, size: int) -> bytes | None:
    """The signature of the footer at `position`; None if it does not end before `size`."""
    if size - position < LENGTH_BYTES:
        return None
    signature_bytes = _U16.unpack_from(buffer, position)[0]
    if not 0 < signature_bytes <= MAX_SIGNATURE_BYTES:
        raise MalformedMessage(f"the footer says a signature of {signature_bytes} bytes")
    start = position + LENGTH_BYTES
    end = start + signature_bytes
    return bytes(buffer[start:end]) if end <= size else None
