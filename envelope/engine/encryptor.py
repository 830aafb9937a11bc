"""Encryption: a plan, a data key, and the bytes of one message. No I/O.

plan = plan_encryption(...)                     what is asked for, checked
plan, signing_key = with_signing_key(plan)
data_key = keyring.wrap(plan.request)
encryptor = Encryptor(plan, data_key, signing_key)
encryptor.seal_whole(plaintext)                 the message at once, or
encryptor.seal_into(plaintext, buffer)          frame by frame, then the last one with is_last=True
"""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from envelope.context import PUBLIC_KEY_NAME, EncryptionContext, check_context
from envelope.crypto.gcm import AESGCM
from envelope.engine.keys import derive_keys
from envelope.engine.options import Options, check_frame_length
from envelope.errors import InvalidArgument, KeyUnavailable, LimitExceeded
from envelope.materials import MAX_FIELD_BYTES, DataKey, EncryptedDataKey, WrapRequest
from envelope.message import body
from envelope.message.cursor import Buffer
from envelope.message.footer import LENGTH_BYTES, serialize_footer
from envelope.message.header import ZERO_IV, Header, header_start, parse_header, serialize_block
from envelope.suites import SUITES_BY_ID, TAG_BYTES, Suite, check_suite

if TYPE_CHECKING:
    from envelope.crypto.ecdsa import SigningKey

__all__ = ["EncryptionPlan", "Encryptor", "plan_encryption"]


@dataclass(frozen=True, slots=True)
class EncryptionPlan:
    """What messages of one kind have in common; a client remembers its plans.

    Attributes:
        request: what the keyring is asked; its context has all pairs.
        stored: the pairs that the header stores.
        unstored: the pairs that the reader must bring.
        header_start: what comes before the message id.
        frame_length_bytes: 1 to `body.MAX_FRAME_LENGTH_BYTES`.
        max_encrypted_data_keys: more than this are refused.
    """

    request: WrapRequest
    stored: EncryptionContext
    unstored: EncryptionContext
    header_start: bytes
    frame_length_bytes: int
    max_encrypted_data_keys: int


def plan_encryption(
    options: Options,
    items: tuple[tuple[str, str], ...],
    suite: Suite | None,
    frame_length_bytes: int | None,
    unstored_names: tuple[str, ...],
) -> EncryptionPlan:
    """Check what is asked for and plan it. A pure function: equal arguments, equal plans.

    Raises:
        InvalidArgument: see `Client.encrypt`.
        PolicyRefused: the commitment policy forbids writing this suite.
    """
    context = check_context(dict(items), reserved_allowed=False)
    chosen = options.commitment_policy.default_suite if suite is None else check_suite(suite)
    options.commitment_policy.check_encrypt(chosen)
    missing = [name for name in unstored_names if name not in context]
    if missing:
        raise InvalidArgument(
            f"unstored_context_keys lists names that the encryption context does not have: {missing}",
            hint="give these pairs in the encryption context, or take their names off the list",
        )
    return EncryptionPlan(
        WrapRequest(chosen, context),
        context.without(unstored_names),
        context.only(unstored_names),
        header_start(chosen),
        check_frame_length(frame_length_bytes, options.max_frame_bytes),
        options.max_encrypted_data_keys,
    )


def with_signing_key(plan: EncryptionPlan, curve: str) -> tuple[EncryptionPlan, SigningKey]:
    """The plan of one signed message: with a key pair of its own in its encryption context."""
    suite = plan.request.suite
    from envelope.crypto.ecdsa import SigningKey  # 15 ms that most programs never need

    key = SigningKey(curve)
    pair = {PUBLIC_KEY_NAME: key.public_key_text()}
    request = WrapRequest(suite, plan.request.encryption_context.plus(pair))
    return replace(plan, request=request, stored=plan.stored.plus(pair)), key


def _block(
    suite_id: bytes, context_bytes: bytes, keys: tuple[EncryptedDataKey, ...], frame_length_bytes: int, most_keys: int
) -> bytes:
    """The block of a header; refuses what a keyring, possibly somebody else's, must not return."""
    if not keys:
        raise KeyUnavailable("the keyring returned no encrypted data key", hint="nobody could open the message")
    if len(keys) > most_keys:
        raise LimitExceeded(
            f"the keyring returned {len(keys):,} encrypted data keys, more than the limit of {most_keys:,}",
            hint="raise max_encrypted_data_keys of this client and of the clients that read its messages",
        )
    for key in keys:
        _check_encrypted_data_key(key)
    return serialize_block(SUITES_BY_ID[int.from_bytes(suite_id)], context_bytes, keys, frame_length_bytes)


# A data-key cache gives the same data key for many messages: 256 blocks of some hundred bytes each.
_remembered_block = lru_cache(maxsize=256)(_block)


def _check_encrypted_data_key(key: object) -> None:
    if not isinstance(key, EncryptedDataKey):
        raise KeyUnavailable(f"the keyring returned {type(key).__name__}, not an EncryptedDataKey")
    if not (_is(str, key.provider_id) and _is(bytes, key.provider_info, key.ciphertext)):
        raise KeyUnavailable("an encrypted data key must have a provider id of str and two fields of bytes")
    try:
        longest = max(len(key.provider_id.encode()), len(key.provider_info), len(key.ciphertext))
    except UnicodeEncodeError as error:
        raise KeyUnavailable("an encrypted data key has a provider id that UTF-8 cannot encode") from error
    if longest > MAX_FIELD_BYTES:
        raise KeyUnavailable(f"an encrypted data key has a field of more than {MAX_FIELD_BYTES:,} bytes")


def _is(kind: type, *values: object) -> bool:
    return all(type(value) is kind for value in values)


JOINED_BYTES = 65_536
"""Up to here a message is joined of its parts. Two large blocks at a time make the C library give memory back to the
system and ask for it again with each message; longer ones are sealed in their place."""


def seal_header(plan: EncryptionPlan, data_key: DataKey) -> tuple[bytes, bytes, AESGCM]:
    """Make the header of one message; return its bytes, its message id, and the cipher for the frames behind it.

    Raises:
        KeyUnavailable: the data key has another length, has no encrypted data key, or one that a message cannot hold.
        LimitExceeded: more encrypted data keys than the client would open again.
    """
    suite = plan.request.suite
    _check_data_key(data_key, suite)
    keys, most_keys = data_key.encrypted_data_keys, plan.max_encrypted_data_keys
    context_bytes, frame_length = plan.stored.serialized, plan.frame_length_bytes
    try:
        block = _remembered_block(suite.id_bytes, context_bytes, keys, frame_length, most_keys)
    except TypeError:  # something unhashable, which cannot be right: say so properly
        block = _block(suite.id_bytes, context_bytes, keys, frame_length, most_keys)
    # Random from the system each time: the message id separates the keys of two messages under one data key, and a
    # pool in this process would repeat after a fork or a restored snapshot.
    message_id = os.urandom(suite.message_id_bytes)
    content_key, commitment = derive_keys(suite, data_key.plaintext, message_id)
    header_body = b"".join((plan.header_start, message_id, block, commitment))
    cipher = AESGCM(content_key)
    tag = cipher.encrypt(ZERO_IV, b"", header_body + plan.unstored.serialized)
    auth = tag if suite.is_committing else ZERO_IV + tag
    return header_body + auth, message_id, cipher


def final_head(message_id: bytes, number: int, size: int) -> tuple[bytes, bytes]:
    """What stands before the ciphertext of the final frame, and its associated data. The IV is head[8:20]."""
    head = body.FINAL_HEAD.pack(body.FINAL_MARK, number, number, size)
    return head, message_id + body.FINAL_TEXT + body.SEQUENCE_AND_LENGTH.pack(number, size)


def seal_message(plan: EncryptionPlan, data_key: DataKey, signing_key: SigningKey | None, plaintext: Buffer) -> bytes:
    """The whole message of this plaintext.

    Most messages are one short unsigned frame: those take the few steps here, the others an `Encryptor`.
    """
    size = len(plaintext)
    if size <= JOINED_BYTES and size <= plan.frame_length_bytes and signing_key is None:
        header_bytes, message_id, cipher = seal_header(plan, data_key)
        head, aad = final_head(message_id, 1, size)
        return b"".join((header_bytes, head, cipher.encrypt(head[8:20], plaintext, aad)))
    return Encryptor(plan, data_key, signing_key).seal_whole(plaintext)


class Encryptor:
    """Makes the bytes of one message part by part. Not for two threads at once.

    Attributes:
        header_bytes: the header, authenticated; it comes first.
    """

    __slots__ = ("_cipher", "_digest", "_message_id", "_number", "_plan", "_signing_key", "header_bytes")

    def __init__(self, plan: EncryptionPlan, data_key: DataKey, signing_key: SigningKey | None) -> None:
        self.header_bytes, self._message_id, self._cipher = seal_header(plan, data_key)
        self._plan = plan
        self._number = 1
        self._signing_key = signing_key
        signature_hash = plan.request.suite.signature_hash
        self._digest = None if signature_hash is None else hashlib.new(signature_hash, self.header_bytes)

    @property
    def header(self) -> Header:
        """The header as a reader parses it."""
        return parse_header(self.header_bytes, max_encrypted_data_keys=self._plan.max_encrypted_data_keys)

    def footer_bytes(self) -> int:
        """Length of the footer; none without a signature."""
        return 0 if self._signing_key is None else LENGTH_BYTES + self._signing_key.signature_bytes

    def seal_whole(self, plaintext: Buffer) -> bytes:
        """The whole message of this plaintext."""
        size = len(plaintext)
        self._check_frame_count(body.frame_count(size, self._plan.frame_length_bytes))
        start = len(self.header_bytes)
        whole = start + body.framed_bytes(size, self._plan.frame_length_bytes)
        # The memory of a BytesIO becomes the bytes that it returns: the message is written once, in its place.
        message = io.BytesIO(bytes(whole + self.footer_bytes()))
        with message.getbuffer() as view:
            view[:start] = self.header_bytes
            self.seal_into(memoryview(plaintext), view[start:], is_last=True)
            view[whole:] = self.footer()
        return message.getvalue()

    def seal_into(self, plaintext: memoryview, out: memoryview, *, is_last: bool) -> int:
        """Seal frames into `out`; return how many bytes were written.

        Args:
            plaintext: bytes; without `is_last` a multiple of the frame length.
            out: room for the frames: `body.framed_bytes` is enough.
            is_last: end with the final frame; there must be no more calls but `footer`.

        Raises:
            LimitExceeded: more frames than a message can have.
        """
        frame_length = self._plan.frame_length_bytes
        size = len(plaintext)
        regular = body.frame_count(size, frame_length) - 1 if is_last else size // frame_length
        self._check_frame_count(self._number + regular)
        encrypt_into = self._cipher.encrypt_into
        aad_prefix, number, position = self._message_id + body.REGULAR_TEXT, self._number, 0
        for start in range(0, regular * frame_length, frame_length):
            body.REGULAR_HEAD.pack_into(out, position, number, number)
            content = position + body.REGULAR_OVERHEAD_BYTES - TAG_BYTES
            end = content + frame_length + TAG_BYTES
            encrypt_into(
                out[position + 4 : content],
                plaintext[start : start + frame_length],
                aad_prefix + body.SEQUENCE_AND_LENGTH.pack(number, frame_length),
                out[content:end],
            )
            number, position = number + 1, end
        self._number = number
        if is_last:
            position = self._seal_final_into(plaintext[regular * frame_length :], out, position)
        if self._digest is not None:
            self._digest.update(out[:position])
        return position

    def _check_frame_count(self, frames: int) -> None:
        if frames > body.MAX_FRAMES:
            raise LimitExceeded(
                f"the plaintext takes more than {body.MAX_FRAMES:,} frames", hint="use a larger frame_length_bytes"
            )

    def _seal_final_into(self, plaintext: memoryview, out: memoryview, position: int) -> int:
        head, aad = final_head(self._message_id, self._number, len(plaintext))
        content = position + len(head)
        end = content + len(plaintext) + TAG_BYTES
        out[position:content] = head
        self._cipher.encrypt_into(head[8:20], plaintext, aad, out[content:end])
        return end

    def footer(self) -> bytes:
        """The footer: the signature over all bytes before it, or nothing."""
        signing_key, digest = self._signing_key, self._digest
        if signing_key is None or digest is None:
            return b""
        return serialize_footer(signing_key.sign(digest.digest(), digest.name))


def _check_data_key(data_key: object, suite: Suite) -> None:
    if not isinstance(data_key, DataKey) or type(data_key.plaintext) is not bytes:
        raise KeyUnavailable(f"the keyring returned {type(data_key).__name__}, not a DataKey of bytes")
    if type(data_key.encrypted_data_keys) is not tuple:
        raise KeyUnavailable("the keyring returned encrypted data keys that are no tuple")
    if len(data_key.plaintext) != suite.data_key_bytes:
        raise KeyUnavailable(
            f"the keyring returned a data key of {len(data_key.plaintext)} bytes; "
            f"{suite.name} needs {suite.data_key_bytes}"
        )
