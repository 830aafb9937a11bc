"""Decryption: bytes come in, authenticated plaintext goes out. No I/O.

    decryptor = Decryptor(options, given_context, InputBuffer(...))
    request = decryptor.read_header()           None: fill the input and ask again
    decryptor.supply(keyring.unwrap(request))   commitment and header tag verified
    decryptor.open_whole()                      the plaintext at once, or, part by part:
    part = decryptor.next_part()                None: fill the input and ask again, or finished
    decryptor.open_into(buffer)                 the plaintext of that part

The last part of a message is not handed out before the end of the input was seen and the signature, if there is one,
verified.
"""

from __future__ import annotations

import hashlib
import io
from typing import Any

from envelope.context import EMPTY_CONTEXT, PUBLIC_KEY_NAME, EncryptionContext, merge_reproduced
from envelope.crypto.ecdsa import VerificationKey
from envelope.crypto.gcm import AESGCM, InvalidTag
from envelope.engine.input import InputBuffer
from envelope.engine.keys import check_commitment, derive_keys, derive_net_4_0_0_key
from envelope.engine.options import Options
from envelope.errors import (
    KeyUnavailable,
    MalformedMessage,
    NotAuthentic,
    PolicyRefused,
    TruncatedMessage,
)
from envelope.materials import UnwrappedBy, UnwrappedDataKey, UnwrapRequest
from envelope.message import body
from envelope.message.body import FramePart
from envelope.message.cursor import truncated
from envelope.message.footer import LENGTH_BYTES, MAX_SIGNATURE_BYTES, parse_footer
from envelope.message.header import Header, parse_header

__all__ = ["Decryptor"]

READ_BYTES = 1024 * 1024
"""How much is asked of a stream at once where frames are small: some frames together, none of them cut."""

_FINAL_FRAME_EXTRA_BYTES = body.FINAL_OVERHEAD_BYTES - body.REGULAR_OVERHEAD_BYTES


class Decryptor:
    """Opens one message. Not for two threads at once.

    Attributes:
        input: where the bytes of the message come in.
        header: the header; authentic once `supply` has returned.
        encryption_context: the stored pairs and the caller's, authentic once `supply` has returned.
        unwrapped_by: who unwrapped the data key, from `supply` on.
        is_open: the header was verified under the data key.
        is_finished: everything was verified and handed out.
    """

    __slots__ = (
        "_cipher",
        "_digest",
        "_final_text",
        "_given",
        "_number",
        "_options",
        "_part",
        "_unstored",
        "_verification_key",
        "encryption_context",
        "header",
        "input",
        "is_finished",
        "is_open",
        "unwrapped_by",
    )

    header: Header
    encryption_context: EncryptionContext
    unwrapped_by: UnwrappedBy
    _cipher: AESGCM
    _final_text: bytes

    def __init__(self, options: Options, given: EncryptionContext, source: InputBuffer) -> None:
        self._options = options
        self._given = given
        self.input = source
        self._unstored = EMPTY_CONTEXT
        self._number = 1
        self._part: FramePart | None = None
        self._digest: Any = None  # a hashlib object, whose type has no public name
        self._verification_key: VerificationKey | None = None
        self.is_open = False
        self.is_finished = False

    def wanted_bytes(self) -> int:
        """How many unused bytes the input should have for the next step."""
        if not self.is_open:
            return 2 * len(self.input.view)
        frame_length = self.header.frame_length_bytes
        if frame_length:
            frame_bytes = frame_length + body.REGULAR_OVERHEAD_BYTES
            return max(READ_BYTES // frame_bytes, 1) * frame_bytes
        return self._options.max_frame_bytes + body.NON_FRAMED_OVERHEAD_BYTES + LENGTH_BYTES + MAX_SIGNATURE_BYTES

    def read_header(self) -> UnwrapRequest | None:
        """Parse the header and check all that can be checked without a key; None if the input does not hold it yet.

        Raises:
            MessageRefused: malformed, above a limit, forbidden by an option, or another encryption context.
        """
        source = self.input
        try:
            header = parse_header(source.unused(), max_encrypted_data_keys=self._options.max_encrypted_data_keys)
        except TruncatedMessage:
            if source.has_ended:
                raise
            return None
        self._check_policy(header)
        body_start = source.start + len(header.body) + len(header.auth)
        if not self._check_limits(header, body_start):
            return None
        source.start = body_start
        self.header = header
        request = header.block.request
        if self._given is not EMPTY_CONTEXT:
            unstored_names = merge_reproduced(request.encryption_context, self._given)
            if unstored_names:
                self._unstored = self._given.only(unstored_names)
                context = request.encryption_context.plus(self._unstored)
                request = UnwrapRequest(header.suite, context, request.encrypted_data_keys)
        self.encryption_context = request.encryption_context
        return request

    def read_whole_header(self) -> UnwrapRequest:
        """Like `read_header`, for an input that holds the whole message."""
        request = self.read_header()
        if request is None:
            raise truncated()
        return request

    def _check_policy(self, header: Header) -> None:
        suite, options = header.suite, self._options
        options.commitment_policy.check_decrypt(suite)
        if suite.is_signing and options.decrypt_unsigned_only:
            raise PolicyRefused(
                f"the message is signed ({suite.name}), and this client opens unsigned messages only",
                hint="a client without decrypt_unsigned_only opens it",
            )
        if suite.is_signing is not header.block.has_public_key:
            raise MalformedMessage(
                "a signed message must store its public key, and an unsigned one must not",
                hint=f"suite {suite.name} and the pair {PUBLIC_KEY_NAME!r} contradict each other",
            )

    def _check_limits(self, header: Header, body_start: int) -> bool:
        """Check the limits of the body before the key is asked for; False if its first bytes are not there yet."""
        most = self._options.max_frame_bytes
        if header.block.frame_length_bytes:
            body.check_frame_limit(header.frame_length_bytes, most)
            return True
        source = self.input
        if source.size - body_start < body.NON_FRAMED_OVERHEAD_BYTES:
            if source.has_ended:
                raise truncated()
            return False
        body.parse_non_framed(source.view, body_start, source.size, most)
        return True

    def supply(self, unwrapped: UnwrappedDataKey) -> None:
        """Take the data key; verify the commitment, then the header tag.

        Raises:
            KeyUnavailable: the keyring returned something that is no data key of this suite.
            NotAuthentic: commitment or tag do not fit.
        """
        header = self.header
        suite = header.suite
        data_key = _check_unwrapped(unwrapped, suite.data_key_bytes)
        content_key, commitment = derive_keys(suite, data_key, header.message_id)
        if suite.is_committing:
            check_commitment(commitment, header.commitment)
        unstored = self._unstored.serialized
        cipher = AESGCM(content_key)
        try:
            cipher.decrypt(header.iv, header.tag, header.body + unstored)
        except InvalidTag as error:
            cipher = self._net_4_0_0_cipher(data_key, unstored, error)
        self._cipher = cipher
        self.is_open = True
        self.unwrapped_by = unwrapped.unwrapped_by
        self._final_text = body.FINAL_TEXT if header.block.frame_length_bytes else body.SINGLE_TEXT
        if suite.curve is not None and suite.signature_hash is not None:
            self._start_signature(suite.curve, suite.signature_hash)

    def _net_4_0_0_cipher(self, data_key: bytes, unstored: bytes, error: InvalidTag) -> AESGCM:
        """The cipher of a message of ESDK .NET 4.0.0: keys without the message id, and two zero bytes for no pairs."""
        header = self.header
        if self._options.allow_net_4_0_0_messages and not unstored:
            cipher = AESGCM(derive_net_4_0_0_key(header.suite, data_key, header.message_id))
            try:
                cipher.decrypt(header.iv, header.tag, header.body + b"\0\0")
            except InvalidTag:
                pass
            else:
                return cipher
        raise NotAuthentic("the header of the message is not authentic", hint=self._header_hint()) from error

    def _header_hint(self) -> str:
        if self._unstored:
            return (
                f"the message does not store the pairs {sorted(self._unstored)}: "
                "they must be those that it was encrypted with as unstored ones, or be left out"
            )
        return "the message was changed, or it was encrypted with unstored pairs that have to be given"

    def _start_signature(self, curve: str, signature_hash: str) -> None:
        try:
            self._verification_key = VerificationKey(curve, self.header.encryption_context[PUBLIC_KEY_NAME])
        except ValueError as error:
            raise MalformedMessage(f"the message stores a bad public key: {error}") from error
        self._digest = hashlib.new(signature_hash, self.header.body + self.header.auth)

    def next_part(self) -> FramePart | None:
        """The next frame or block, complete in the input; None if more input is needed, or nothing is left.

        Raises:
            MessageRefused: frames out of order, a message cut short or too long, a signature that does not fit.
        """
        if self._part is not None or self.is_finished:
            return self._part
        source, frame_length = self.input, self.header.block.frame_length_bytes
        if frame_length:
            part = body.parse_frame(source.view, source.start, source.size, self._number, frame_length)
        else:
            part = body.parse_non_framed(source.view, source.start, source.size, self._options.max_frame_bytes)
        if part is not None and part.is_final and not self._is_complete(part):
            part = None
        if part is None and source.has_ended:
            raise truncated()
        self._part = part
        return part

    def _is_complete(self, part: FramePart) -> bool:
        """Whether the message ends as it should behind its final part; False if the input must show that first."""
        source = self.input
        signature = b""
        end = part.end
        if self._verification_key is not None:
            footer = parse_footer(source.view, part.end, source.size)
            if footer is None:
                return False
            signature = footer
            end += LENGTH_BYTES + len(signature)
        if source.size > end:
            raise MalformedMessage(
                "there are bytes behind the end of the message",
                hint="one message at a time: two messages one behind the other, or padding, are refused",
            )
        if source.has_ended and self._verification_key is not None:
            self._verify_signature(self._verification_key, part, signature)
        return source.has_ended

    def _verify_signature(self, key: VerificationKey, part: FramePart, signature: bytes) -> None:
        digest = self._digest
        digest.update(self.input.view[self.input.start : part.end])
        if not key.is_valid(signature, digest.digest(), digest.name):
            raise NotAuthentic(
                "the signature of the message does not fit",
                hint="the message was changed by somebody who has its data key; discard all of its plaintext",
            )

    def open_part(self) -> bytes:
        """The plaintext of the part that `next_part` returned."""
        part = self._taken_part()
        try:
            plaintext = self._cipher.decrypt(
                part.iv, self.input.view[part.content_start : part.end], self._associated_data(part)
            )
        except InvalidTag as error:
            raise _not_authentic(part) from error
        self._advance(part)
        return plaintext

    def open_into(self, out: memoryview) -> int:
        """Decrypt the part that `next_part` returned into `out`, which has room for it; return its length."""
        part = self._taken_part()
        target = out[: part.content_bytes]
        sealed = self.input.view[part.content_start : part.end]
        try:
            self._cipher.decrypt_into(part.iv, sealed, self._associated_data(part), target)
        except InvalidTag as error:
            # The primitive leaves what it decrypted in the buffer, and the buffer can be the caller's.
            target[:] = bytes(part.content_bytes)
            raise _not_authentic(part) from error
        self._advance(part)
        return part.content_bytes

    def _taken_part(self) -> FramePart:
        if self._part is None:
            raise RuntimeError("next_part returned no part")
        return self._part

    def _associated_data(self, part: FramePart) -> bytes:
        text = self._final_text if part.is_final else body.REGULAR_TEXT
        return self.header.message_id + text + body.SEQUENCE_AND_LENGTH.pack(part.number, part.content_bytes)

    def _advance(self, part: FramePart) -> None:
        if self._digest is not None and not part.is_final:
            self._digest.update(self.input.view[self.input.start : part.end])
        self.input.start = part.end
        self._number += 1
        self._part = None
        self.is_finished = part.is_final

    def open_frame(self, frame: memoryview, *, number: int, is_final: bool) -> bytes:
        """One frame out of its turn, for random access; `frame` is exactly that frame.

        Raises:
            MalformedMessage: it is no frame of that number and place.
            NotAuthentic: it was changed.
        """
        part = body.parse_frame(frame, 0, len(frame), number, self.header.frame_length_bytes)
        if part is None or part.is_final is not is_final or part.end != len(frame):
            raise MalformedMessage("the length of the message does not fit its frames", hint="it was cut or added to")
        self.input, self._part = InputBuffer(frame), part
        return self.open_part()

    def open_whole(self) -> bytes:
        """The whole plaintext; the input holds the whole message. Nothing is returned before all of it was verified."""
        part = self.next_part()
        if part is not None and part.is_final:
            return self.open_part()
        # The plaintext is shorter than what is left of the message; the memory of the BytesIO becomes the result.
        plaintext = io.BytesIO(bytes(self.input.size - self.input.start))
        position = 0
        with plaintext.getbuffer() as view:
            while self.next_part() is not None:
                position += self.open_into(view[position:])
        plaintext.truncate(position)
        return plaintext.getvalue()


def _check_unwrapped(unwrapped: object, data_key_bytes: int) -> bytes:
    if not isinstance(unwrapped, UnwrappedDataKey) or type(unwrapped.plaintext) is not bytes:
        raise KeyUnavailable(f"the keyring returned {type(unwrapped).__name__}, not an UnwrappedDataKey of bytes")
    if not isinstance(unwrapped.unwrapped_by, UnwrappedBy):
        raise KeyUnavailable("the keyring does not say who unwrapped the data key", hint="return an UnwrappedBy")
    if len(unwrapped.plaintext) != data_key_bytes:
        raise KeyUnavailable(
            f"the keyring returned a data key of {len(unwrapped.plaintext)} bytes; the suite needs {data_key_bytes}"
        )
    return unwrapped.plaintext


def _not_authentic(part: FramePart) -> NotAuthentic:
    return NotAuthentic(
        f"frame {part.number} of the message is not authentic",
        hint="the message was changed or damaged; fetch it again",
    )
