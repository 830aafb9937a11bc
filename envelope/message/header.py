"""The message header, versions 1 and 2.

    version 1   01 | 80 | suite 2 | message id 16 | context | keys | content type | 00000000 | 0C | frame length
                | IV 12 | tag 16
    version 2   02 | suite 2 | message id 32 | context | keys | content type | frame length | commitment 32 | tag 16

What stands between the message id and the commitment is the same for all messages under one data key and one encryption
context. It is called the block here, and it is parsed and serialized once for many messages.

Source: AWS Encryption SDK specification, data-format/message-header.md.
"""

from __future__ import annotations

import contextlib
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from envelope.context import EMPTY_CONTEXT, PUBLIC_KEY_NAME, EncryptionContext, serialize_pairs
from envelope.errors import LimitExceeded, MalformedMessage
from envelope.materials import EncryptedDataKey, UnwrapRequest
from envelope.message.cursor import Buffer, Cursor, truncated
from envelope.suites import IV_BYTES, SUITES_BY_ID, Suite

__all__ = ["Block", "Header", "parse_header", "serialize_block", "serialize_header"]

NON_FRAMED = 1
FRAMED = 2
CUSTOMER_AE_DATA = 0x80
ZERO_IV = bytes(IV_BYTES)

_U16 = struct.Struct(">H")
_U32 = struct.Struct(">I")
_START_1 = struct.Struct(">2xH16s")
_START_2 = struct.Struct(">xH32s")
_CONTENT_1 = struct.Struct(">BIBI")
_CONTENT_2 = struct.Struct(">BI")
_AUTH_1 = struct.Struct(">12s16s")
_AUTH_2 = struct.Struct(">32s16s")

_VERSION_1 = {suite.value: suite for suite in Suite if suite.message_version == 1}
_VERSION_2 = {suite.value: suite for suite in Suite if suite.message_version == 2}
_BASE64_START = ord("A")  # in base64, versions 1 and 2 begin "AY", "AgR4" and "AgV4"
_REMEMBERED_BYTES = 8_192


@dataclass(frozen=True, slots=True)
class Block:
    """The part of a header that many messages share.

    Attributes:
        request: suite, stored encryption context and encrypted data keys: what a keyring is asked on decryption.
        frame_length_bytes: plaintext bytes of each frame but the last; 0 for a non-framed body.
        has_public_key: whether the context stores the public key of a signature.
        has_expanded_empty_context: whether no pairs are written as a count of zero, as some old writers did.
    """

    request: UnwrapRequest
    frame_length_bytes: int
    has_public_key: bool
    has_expanded_empty_context: bool


class Header(NamedTuple):
    """A message header. One is made for every message, and a named tuple costs a third of a frozen dataclass.

    Attributes:
        suite: the algorithm suite; it fixes the version of the message.
        message_id: 16 bytes in version 1, 32 in version 2.
        block: stored encryption context, encrypted data keys and frame length.
        commitment: 32 bytes for committing suites, else none.
        iv: the IV of the header tag; always zero in version 2, where it is not stored.
        tag: 16 bytes.
        body: the raw bytes that the header tag authenticates.
        auth: the raw bytes that follow: IV and tag, or the tag alone.
    """

    suite: Suite
    message_id: bytes
    block: Block
    commitment: bytes
    iv: bytes
    tag: bytes
    body: bytes
    auth: bytes

    def __repr__(self) -> str:
        # The raw bytes hold the values of the encryption context, which are often personal data.
        return f"Header({self.suite}, message_id={self.message_id.hex()}, {self.block.request!r})"

    @property
    def encryption_context(self) -> EncryptionContext:
        """The stored pairs."""
        return self.block.request.encryption_context

    @property
    def encrypted_data_keys(self) -> tuple[EncryptedDataKey, ...]:
        """In the order of the message; at least one."""
        return self.block.request.encrypted_data_keys

    @property
    def frame_length_bytes(self) -> int:
        """Plaintext bytes of each frame but the last; 0 for a non-framed body."""
        return self.block.frame_length_bytes

    @property
    def header_bytes(self) -> int:
        """Length of the whole header with its authentication."""
        return len(self.body) + len(self.auth)


def parse_header(buffer: Buffer, *, max_encrypted_data_keys: int) -> Header:
    """Parse the header at the start of `buffer`; what follows it is not looked at.

    Raises:
        TruncatedMessage: the buffer ends within the header.
        MalformedMessage: it is no header, or names a version, type or suite that is not supported.
        LimitExceeded: more encrypted data keys than allowed; raised as soon as their count is read.
    """
    if not len(buffer):
        raise truncated()
    version = buffer[0]
    if version not in (1, 2):
        raise _not_a_version(version)
    try:
        return (_parse_version_2 if version == 2 else _parse_version_1)(buffer, max_encrypted_data_keys)
    except struct.error as error:
        raise truncated() from error


def _parse_version_1(buffer: Buffer, max_encrypted_data_keys: int) -> Header:
    message_type = buffer[1] if len(buffer) > 1 else CUSTOMER_AE_DATA
    if message_type != CUSTOMER_AE_DATA:
        raise MalformedMessage(f"message type {message_type:#04x} is not supported", hint=_NOT_A_MESSAGE)
    suite_id, message_id = _START_1.unpack_from(buffer)
    suite = _VERSION_1.get(suite_id)
    if suite is None:
        raise _not_a_suite(suite_id, 1)
    block, body_end = _find_block(suite, buffer, _START_1.size, max_encrypted_data_keys)
    iv, tag = _AUTH_1.unpack_from(buffer, body_end)
    return Header(suite, message_id, block, b"", iv, tag, bytes(buffer[:body_end]), iv + tag)


def _parse_version_2(buffer: Buffer, max_encrypted_data_keys: int) -> Header:
    suite_id, message_id = _START_2.unpack_from(buffer)
    suite = _VERSION_2.get(suite_id)
    if suite is None:
        raise _not_a_suite(suite_id, 2)
    block, block_end = _find_block(suite, buffer, _START_2.size, max_encrypted_data_keys)
    commitment, tag = _AUTH_2.unpack_from(buffer, block_end)
    return Header(suite, message_id, block, commitment, ZERO_IV, tag, bytes(buffer[: block_end + 32]), tag)


def _not_a_suite(suite_id: int, version: int) -> MalformedMessage:
    if suite_id in SUITES_BY_ID:
        return MalformedMessage(
            f"a message of version {version} cannot have suite {SUITES_BY_ID[suite_id].name}",
            hint="no writer makes such a message: it was damaged or changed",
        )
    return MalformedMessage(
        f"algorithm suite {suite_id:#06x} is not supported",
        hint="the bytes are damaged, or a newer version of the format wrote them",
    )


_NOT_A_MESSAGE = "this is not a message of the AWS Encryption SDK, or its first bytes are damaged"


def _not_a_version(version: int) -> MalformedMessage:
    if version == _BASE64_START:
        return MalformedMessage(
            "the message looks like base64 text",
            hint="decode it first: base64.b64decode(message), or base64.urlsafe_b64decode if it holds - or _",
        )
    return MalformedMessage(f"message version {version} is not supported", hint=_NOT_A_MESSAGE)


class _Newest:
    """The block that was parsed last: while one data key serves, the next message has the same."""

    __slots__ = ("block",)

    def __init__(self) -> None:
        self.block: tuple[bytes, Block] | None = None


_newest = _Newest()


def _find_block(suite: Suite, buffer: Buffer, start: int, max_encrypted_data_keys: int) -> tuple[Block, int]:
    """The block at `start`, and where it ends."""
    newest = _newest.block
    # A block says by itself where it ends: a buffer that goes on with these bytes goes on with this block.
    if newest is not None and type(buffer) is bytes and buffer.startswith(newest[0], start):
        request = newest[1].request
        if request.suite is suite and len(request.encrypted_data_keys) <= max_encrypted_data_keys:
            return newest[1], start + len(newest[0])
    content_bytes = _CONTENT_1.size if suite.message_version == 1 else _CONTENT_2.size
    end = _keys_end(buffer, start, max_encrypted_data_keys) + content_bytes
    if end > len(buffer):
        raise truncated()
    stored = bytes(buffer[start:end])
    if len(stored) > _REMEMBERED_BYTES:
        return _new_block(suite, stored), end
    block = _remembered_block(suite, stored)
    _newest.block = (stored, block)
    return block, end


def _keys_end(buffer: Buffer, start: int, max_encrypted_data_keys: int) -> int:
    """Where the encrypted data keys end, found by their lengths alone; may lie behind the end of the buffer."""
    length_at = _U16.unpack_from
    end = start + 2 + length_at(buffer, start)[0]
    count = length_at(buffer, end)[0]
    if not 0 < count <= max_encrypted_data_keys:
        raise _bad_count(count, max_encrypted_data_keys)
    end += 2
    for _ in range(3 * count):
        end += 2 + length_at(buffer, end)[0]
    return int(end)


def _bad_count(count: int, max_encrypted_data_keys: int) -> MalformedMessage | LimitExceeded:
    if count == 0:
        return MalformedMessage("the message has no encrypted data key", hint="no keyring could ever open it")
    return LimitExceeded(
        f"the message has {count:,} encrypted data keys, more than the limit of {max_encrypted_data_keys:,}",
        hint="if you trust the sender, raise max_encrypted_data_keys of the client",
    )


def _new_block(suite: Suite, block: bytes) -> Block:
    """Parse a block; `block` is exactly that long."""
    cursor = Cursor(block)
    context_bytes = cursor.u16()
    context = _parse_context(cursor.take(context_bytes))
    keys = tuple(_parse_key(cursor) for _ in range(cursor.u16()))
    return Block(
        UnwrapRequest(suite, context, keys),
        _parse_content(suite, cursor),
        has_public_key=PUBLIC_KEY_NAME in context,
        has_expanded_empty_context=context_bytes > 0 and not context,
    )


# 256 blocks of at most 8 KiB: 2 MiB. A pure function of the bytes: an unauthenticated block poisons nothing.
_remembered_block = lru_cache(maxsize=256)(_new_block)


def _parse_context(stored: bytes) -> EncryptionContext:
    if not stored:
        return EMPTY_CONTEXT
    cursor = Cursor(stored)
    try:
        count = cursor.u16()
        pairs = [(_text(cursor.take(cursor.u16())), _text(cursor.take(cursor.u16()))) for _ in range(count)]
    except MalformedMessage as error:
        raise MalformedMessage("the encryption context of the message is malformed") from error
    if cursor.remaining_bytes:
        raise MalformedMessage("the encryption context of the message is longer than its pairs")
    context = dict(pairs)
    if len(context) != len(pairs):
        raise MalformedMessage("the encryption context of the message has a name twice")
    return EncryptionContext(context) if context else EMPTY_CONTEXT


def _parse_key(cursor: Cursor) -> EncryptedDataKey:
    provider_id = _text(cursor.take(cursor.u16()))
    provider_info = cursor.take(cursor.u16())
    return EncryptedDataKey(provider_id, provider_info, cursor.take(cursor.u16()))


def _text(raw: bytes) -> str:
    with contextlib.suppress(UnicodeDecodeError):
        return raw.decode()
    # Raised out here, without the cause: that one holds the text.
    raise MalformedMessage("the header of the message holds text that is not UTF-8")


def _parse_content(suite: Suite, cursor: Cursor) -> int:
    """Check the fields behind the keys; return the frame length."""
    reserved, iv_bytes = 0, IV_BYTES
    if suite.message_version == 1:
        content_type, reserved, iv_bytes, frame_length_bytes = _CONTENT_1.unpack(cursor.take(_CONTENT_1.size))
    else:
        content_type, frame_length_bytes = _CONTENT_2.unpack(cursor.take(_CONTENT_2.size))
    if content_type not in (NON_FRAMED, FRAMED):
        raise MalformedMessage(f"content type {content_type} is not supported")
    if reserved != 0:
        raise MalformedMessage("the reserved bytes of the header are not zero")
    if iv_bytes != IV_BYTES:
        raise MalformedMessage(f"the header says that IVs have {iv_bytes} bytes; they have {IV_BYTES}")
    if content_type == FRAMED and frame_length_bytes == 0:
        raise MalformedMessage("the header says frames of no bytes")
    if content_type == NON_FRAMED and frame_length_bytes:
        raise MalformedMessage("the header gives a frame length for a body without frames")
    return int(frame_length_bytes)


def header_start(suite: Suite) -> bytes:
    """What comes before the message id."""
    return (b"\x02" if suite.message_version == 2 else b"\x01\x80") + suite.id_bytes


def serialize_block(
    suite: Suite, context_bytes: bytes, keys: tuple[EncryptedDataKey, ...], frame_length_bytes: int
) -> bytes:
    """The block of these serialized pairs and encrypted data keys, in their order; 0 says that there are no frames."""
    parts = [_U16.pack(len(context_bytes)), context_bytes, _U16.pack(len(keys))]
    for key in keys:
        for part in (key.provider_id.encode(), key.provider_info, key.ciphertext):
            parts += (_U16.pack(len(part)), part)
    parts.append(b"\x02" if frame_length_bytes else b"\x01")
    if suite.message_version == 1:
        parts.append(b"\0\0\0\0\x0c")
    parts.append(_U32.pack(frame_length_bytes))
    return b"".join(parts)


def serialize_header(header: Header) -> bytes:
    """The bytes that `parse_header` read, made from the values again; pairs keep the order in which they stood."""
    pairs = [(name.encode(), value.encode()) for name, value in header.encryption_context.items()]
    context_bytes = b"\0\0" if header.block.has_expanded_empty_context else serialize_pairs(pairs)
    block = serialize_block(header.suite, context_bytes, header.encrypted_data_keys, header.frame_length_bytes)
    iv = header.iv if header.suite.message_version == 1 else b""
    return b"".join((header_start(header.suite), header.message_id, block, header.commitment, iv, header.tag))
