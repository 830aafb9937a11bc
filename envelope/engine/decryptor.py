"""Decryption: bytes come in, authenticated plaintext goes out. No I/O.

    decryptor = Decryptor(options, given_context, InputBuffer())
    request = decryptor.read_header()           None: fill the input and ask again
    decryptor.supply(keyring.unwrap(request))   commitment and header tag verified
    part = decryptor.next_part()                None: fill the input and ask again, or finished
    decryptor.open_into(buffer)                 the plaintext of that part

The last part of a message is not handed out before the end of the input was seen and the signature, if there is one,
verified. `open_message` does the same for a message that is in memory as a whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from envelope.context import PUBLIC_KEY_NAME, EncryptionContext
from envelope.crypto.gcm import AESGCM, InvalidTag
from envelope.engine.in_place import bytes_written_by
from envelope.engine.input import COPIED_BYTES, InputBuffer
from envelope.engine.opening import admit, associated_data, not_authentic, unlock
from envelope.engine.options import Options
from envelope.errors import MalformedMessage, NotAuthentic, TruncatedMessage
from envelope.materials import UnwrappedBy, UnwrappedDataKey, UnwrapRequest
from envelope.message import body
from envelope.message.body import FramePart
from envelope.message.cursor import Buffer, truncated
from envelope.message.footer import LENGTH_BYTES, MAX_SIGNATURE_BYTES, parse_footer
from envelope.message.header import Header, parse_header

if TYPE_CHECKING:
    from envelope.crypto.ecdsa import VerificationKey

__all__ = ["Decryptor", "WholeMessage", "open_message"]

READ_BYTES = 1024 * 1024
"""How much is asked of a stream at once where frames are small: some frames together, none of them cut."""


class WholeMessage(NamedTuple):
    """A message that was opened as a whole; everything is authentic."""

    plaintext: bytes
    header: Header
    encryption_context: EncryptionContext
    unwrapped_by: UnwrappedBy


def open_message(
    message: Buffer, options: Options, given: EncryptionContext, unwrap: Callable[[UnwrapRequest], UnwrappedDataKey]
) -> WholeMessage:
    """Open a message in memory; nothing is returned before all of it was verified.

    Most messages are one unsigned frame: those take the few steps here, the others a `Decryptor`.
    """
    size = len(message)
    if size > COPIED_BYTES:
        message = memoryview(message)
    header = parse_header(message, max_encrypted_data_keys=options.max_encrypted_data_keys)
    request, unstored = admit(header, options, given)
    position = len(header.body) + len(header.auth)
    frame_length = header.block.frame_length_bytes
    if not frame_length and body.parse_non_framed(message, position, size, options.max_frame_bytes) is None:
        raise truncated()
    unwrapped = unwrap(request)
    cipher = unlock(header, unwrapped, unstored, options)
    part = None
    if frame_length and not header.suite.is_signing:
        part = body.parse_frame(message, position, size, 1, frame_length)
    if part is not None and part.is_final and part.end == size:
        try:
            plaintext = cipher.decrypt(part.iv, message[part.content_start :], associated_data(header, part))
        except InvalidTag as error:
            raise not_authentic(part.number) from error
    else:
        decryptor = Decryptor(options, given, InputBuffer(message))
        decryptor.start_body(header, cipher, position)
        plaintext = decryptor.open_rest()
    return WholeMessage(plaintext, header, request.encryption_context, unwrapped.unwrapped_by)


class Decryptor:
    """Opens one message part by part. Not for two threads at once.

    Attributes:
        input: where the bytes of the message come in.
        header: the header; authentic once `supply` has returned.
        encryption_context: the stored pairs and the caller's, authentic once `supply` has returned.
        unwrapped_by: who unwrapped the data key, from `supply` on.
        is_finished: everything was verified and handed out.
    """

    __slots__ = (
        "_cipher",
        "_digest",
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
        "unwrapped_by",
    )

    header: Header
    encryption_context: EncryptionContext
    unwrapped_by: UnwrappedBy
    _unstored: EncryptionContext

    def __init__(self, options: Options, given: EncryptionContext, source: InputBuffer) -> None:
        self._options = options
        self._given = given
        self.input = source
        self._cipher: AESGCM | None = None
        self._number = 1
        self._part: FramePart | None = None
        self._digest: Any = None  # a hashlib object, whose type has no public name
        self._verification_key: VerificationKey | None = None
        self.is_finished = False

    def wanted_bytes(self) -> int:
        """How many unused bytes the input should have for the next step."""
        if self._cipher is None:
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
            request, self._unstored = admit(header, self._options, self._given)
            self._check_non_framed(header)
        except TruncatedMessage:
            if source.has_ended:
                raise
            return None
        source.start += header.header_bytes
        self.header = header
        self.encryption_context = request.encryption_context
        return request

    def _check_non_framed(self, header: Header) -> None:
        """Check the length of a non-framed body before the key is asked for."""
        if header.frame_length_bytes:
            return
        source = self.input
        position = source.start + header.header_bytes
        if source.size - position < body.NON_FRAMED_OVERHEAD_BYTES:
            raise truncated()
        body.parse_non_framed(source.view, position, source.size, self._options.max_frame_bytes)

    def supply(self, unwrapped: UnwrappedDataKey) -> None:
        """Take the data key; verify the commitment, then the header tag.

        Raises:
            KeyUnavailable: the keyring returned something that is no data key of this suite.
            NotAuthentic: commitment or tag do not fit.
        """
        cipher = unlock(self.header, unwrapped, self._unstored, self._options)
        self.unwrapped_by = unwrapped.unwrapped_by
        self.start_body(self.header, cipher, self.input.start)

    def start_body(self, header: Header, cipher: AESGCM, position: int) -> None:
        """Go on behind a header that was verified; the body begins at `position` of the input."""
        self.header = header
        self._cipher = cipher
        self.input.start = position
        suite = header.suite
        if suite.curve is None or suite.signature_hash is None:
            return
        from envelope.crypto.ecdsa import VerificationKey  # 15 ms that most programs never need

        try:
            self._verification_key = VerificationKey(suite.curve, header.encryption_context[PUBLIC_KEY_NAME])
        except ValueError as error:
            raise MalformedMessage(f"the message stores a bad public key: {error}") from error
        self._digest = hashlib.new(suite.signature_hash, header.body + header.auth)

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
        cipher, part = self._taken_part()
        sealed = self.input.view[part.content_start : part.end]
        try:
            plaintext = cipher.decrypt(part.iv, sealed, associated_data(self.header, part))
        except InvalidTag as error:
            raise not_authentic(part.number) from error
        self._advance(part)
        return plaintext

    def open_into(self, out: memoryview) -> int:
        """Decrypt the part that `next_part` returned, and complete frames behind it as far as `out` has room.

        Returns:
            How many bytes of plaintext are in `out`; it has room for the one part at least.
        """
        cipher, part = self._taken_part()
        if not part.is_final:
            return self._open_regular_into(cipher, out)
        sealed = self.input.view[part.content_start : part.end]
        with out[: part.content_bytes] as target:
            try:
                cipher.decrypt_into(part.iv, sealed, associated_data(self.header, part), target)
            except InvalidTag as error:
                raise _wiped(target, part.number) from error
        self._advance(part)
        return part.content_bytes

    def _open_regular_into(self, cipher: AESGCM, out: memoryview) -> int:
        """Decrypt regular frames in a row; the final frame, and whatever is none, is left to `next_part`."""
        source, number = self.input, self._number
        view, start, frame_length = source.view, source.start, self.header.block.frame_length_bytes
        stride = frame_length + body.REGULAR_OVERHEAD_BYTES
        aad_prefix = self.header.message_id + body.REGULAR_TEXT
        count = min(len(out) // frame_length, (source.size - start) // stride)
        position, target = 0, out[:0]
        try:
            for _ in range(count):
                stored, iv = body.REGULAR_FIELDS.unpack_from(view, start)
                if stored != number:
                    break
                target = out[position : position + frame_length]
                aad = aad_prefix + body.SEQUENCE_AND_LENGTH.pack(number, frame_length)
                cipher.decrypt_into(iv, view[start + 16 : start + stride], aad, target)
                number, start, position = number + 1, start + stride, position + frame_length
        except InvalidTag as error:
            raise _wiped(target, number) from error
        finally:
            target.release()
        if self._digest is not None:
            self._digest.update(view[source.start : start])
        source.start, self._number, self._part = start, number, None
        return position

    def _taken_part(self) -> tuple[AESGCM, FramePart]:
        """What to decrypt next; a driver that did not ask `next_part` first has a bug."""
        if self._part is None or self._cipher is None:
            raise RuntimeError("next_part returned no part")
        return self._cipher, self._part

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

    def _most_plaintext_bytes(self) -> int:
        """How long the plaintext can be; exact for the unsigned framed messages that are well-formed.

        An exact length matters: memory that is given back in part makes the C library ask the system for it each time.
        """
        rest, frame_length = self.input.size - self.input.start, self.header.frame_length_bytes
        if not frame_length or self._verification_key is not None:
            return rest
        frames_bytes = max(rest - body.FINAL_OVERHEAD_BYTES, 0)
        regular_frames = frames_bytes // (frame_length + body.REGULAR_OVERHEAD_BYTES)
        return frames_bytes - regular_frames * body.REGULAR_OVERHEAD_BYTES

    def open_rest(self) -> bytes:
        """The whole plaintext of a body that is in the input as a whole."""
        return bytes_written_by(self._open_rest_into, self._most_plaintext_bytes())

    def _open_rest_into(self, view: memoryview) -> int:
        position = 0
        if self._cipher is not None and self.header.block.frame_length_bytes:
            position = self._open_regular_into(self._cipher, view)
        while (part := self.next_part()) is not None:
            if part.content_bytes > len(view) - position:
                raise truncated()  # regular frames up to the end, where the final one should be
            with view[position:] as room:
                position += self.open_into(room)
        return position


def _wiped(target: memoryview, number: int) -> NotAuthentic:
    """The error of a frame, after its buffer was wiped and let go: a traceback would keep it.

    The primitive leaves what it decrypted in the buffer, and the buffer can be the caller's.
    """
    target[:] = bytes(len(target))
    target.release()
    return not_authentic(number)
