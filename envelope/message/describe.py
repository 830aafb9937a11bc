"""What a message says of itself without a key."""

from __future__ import annotations

from dataclasses import dataclass

from envelope.context import EncryptionContext
from envelope.errors import MalformedMessage
from envelope.materials import EncryptedDataKey
from envelope.message import body
from envelope.message.cursor import Buffer, truncated
from envelope.message.footer import LENGTH_BYTES, parse_footer
from envelope.message.header import Header, parse_header
from envelope.suites import Suite

__all__ = ["MessageDescription", "describe_message"]

MAX_ENCRYPTED_DATA_KEYS = 65_535


@dataclass(frozen=True, slots=True)
class MessageDescription:
    """What a message says. None of it is authenticated: only decryption tells whether it is true.

    Attributes:
        suite: the algorithm suite.
        version: 1 or 2, the version of the message format.
        message_id: 16 bytes in version 1, 32 in version 2.
        encryption_context: the stored pairs; a message can have more that it does not store.
        encrypted_data_keys: in the order of the message.
        is_framed: whether the body has frames.
        frame_length_bytes: plaintext bytes of each frame but the last; 0 without frames.
        frames: how many frames, the final one included; 1 without frames.
        plaintext_bytes: length of the plaintext.
        header_bytes: length of the header with its tag.
        body_bytes: length of the body.
        footer_bytes: length of the footer; 0 where the suite does not sign.
        message_bytes: length of the whole message.
        header: the parsed header.
    """

    suite: Suite
    version: int
    message_id: bytes
    encryption_context: EncryptionContext
    encrypted_data_keys: tuple[EncryptedDataKey, ...]
    is_framed: bool
    frame_length_bytes: int
    frames: int
    plaintext_bytes: int
    header_bytes: int
    body_bytes: int
    footer_bytes: int
    message_bytes: int
    header: Header


def describe_message(message: Buffer) -> MessageDescription:
    """Describe a whole message.

    Raises:
        MalformedMessage: it does not follow the format, or there are bytes behind its end.
        TruncatedMessage: it ends too early.
    """
    header = parse_header(message, max_encrypted_data_keys=MAX_ENCRYPTED_DATA_KEYS)
    position = header.header_bytes
    frames, plaintext_bytes, body_end = _walk_body(message, header, position)
    footer_bytes = 0
    if header.suite.is_signing:
        signature = parse_footer(message, body_end, len(message))
        if signature is None:
            raise truncated()
        footer_bytes = LENGTH_BYTES + len(signature)
    if body_end + footer_bytes != len(message):
        raise MalformedMessage(
            f"there are {len(message) - body_end - footer_bytes:,} bytes behind the end of the message"
        )
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
        header_bytes=position,
        body_bytes=body_end - position,
        footer_bytes=footer_bytes,
        message_bytes=len(message),
        header=header,
    )


def _walk_body(message: Buffer, header: Header, position: int) -> tuple[int, int, int]:
    """Number of frames, plaintext bytes, and the offset behind the body."""
    size, number, plaintext_bytes = len(message), 1, 0
    while True:
        if header.frame_length_bytes:
            part = body.parse_frame(message, position, size, number, header.frame_length_bytes)
        else:
            part = body.parse_non_framed(message, position, size, body.MAX_NON_FRAMED_BYTES)
        if part is None:
            raise truncated()
        plaintext_bytes += part.content_bytes
        position = part.end
        if part.is_final:
            return number, plaintext_bytes, position
        number += 1
