"""Encryption: a plan, a data key, and the bytes of one message. No I/O.

plan = plan_encryption(...)                 what is asked for, checked
data_key = ... plan.request ...             of a keyring, with a signing key where the suite signs
encryptor = Encryptor(plan, data_key)
encryptor.seal_whole(plaintext)             the message at once, or
encryptor.seal_into(plaintext, buffer)      frame by frame, then the last one with is_last=True
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace

from envelope.context import PUBLIC_KEY_NAME, EncryptionContext, check_context
from envelope.crypto.gcm import AESGCM
from envelope.engine.in_place import bytes_written_by
from envelope.engine.keys import derive_keys
from envelope.engine.options import Options, check_frame_length
from envelope.errors import InvalidArgument, KeyUnavailable, LimitExceeded
from envelope.keyrings.guard import check_data_key
from envelope.materials import MAX_FIELD_BYTES, DataKey, EncryptedDataKey, WrapRequest
from envelope.message import body
from envelope.message.cursor import Buffer
from envelope.message.footer import LENGTH_BYTES, serialize_footer
from envelope.message.header import ZERO_IV, Header, header_start, parse_header, serialize_block
from envelope.suites import TAG_BYTES, Suite, check_suite

__all__ = ["EncryptionPlan", "Encryptor", "plan_encryption"]


@dataclass(frozen=True, slots=True)
class EncryptionPlan:
    """What messages of one kind have in common; a client remembers its plans.

    Attributes:
        request: what the keyring is asked; its context has all pairs but the public key of a signature.
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


def _signed(plan: EncryptionPlan, data_key: DataKey) -> EncryptionPlan:
    """The plan of messages under one signing key: the header stores its public half."""
    if plan.request.suite.is_signing is not (data_key.signing_key is not None):
        raise KeyUnavailable(
            f"the keyring gave {'no' if data_key.signing_key is None else 'a'} signing key, "
            f"and {plan.request.suite.name} needs {'one' if data_key.signing_key is None else 'none'}"
        )
    if data_key.signing_key is None:
        return plan
    return replace(plan, stored=plan.stored.plus({PUBLIC_KEY_NAME: data_key.signing_key.public_key_text()}))


def _block(plan: EncryptionPlan, data_key: DataKey) -> bytes:
    """The block of a header. A data key that serves many messages remembers that of the newest plan.

    Raises:
        KeyUnavailable: the keyring, possibly somebody else's, returned no data key of this suite, none that is wrapped,
            or one that a message cannot hold.
        LimitExceeded: more encrypted data keys than the client would open again.
    """
    remembered = getattr(data_key, "remembered", None)
    if remembered is not None and remembered[0] is plan:
        block: bytes = remembered[1]
        return block
    check_data_key(data_key, plan.request.suite)
    keys = data_key.encrypted_data_keys
    if len(keys) > plan.max_encrypted_data_keys:
        raise LimitExceeded(
            f"the keyring returned {len(keys):,} encrypted data keys, more than the limit of "
            f"{plan.max_encrypted_data_keys:,}",
            hint="raise max_encrypted_data_keys of this client and of the clients that read its messages",
        )
    for key in keys:
        _check_encrypted_data_key(key)
    block = serialize_block(plan.request.suite, plan.stored.serialized, keys, plan.frame_length_bytes)
    data_key.remember(plan, block)
    return block


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
"""Up to here a message is joined of its parts; longer ones are sealed in their place."""


def seal_header(plan: EncryptionPlan, data_key: DataKey) -> tuple[bytes, bytes, AESGCM]:
    """Make the header of one message; return its bytes, its message id, and the cipher for the frames behind it.

    Args:
        plan: with the public key in what it stores, where the suite signs.
        data_key: what the keyring returned.

    Raises:
        EnvelopeError: see `_block`.
    """
    suite = plan.request.suite
    block = _block(plan, data_key)
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


def seal_message(plan: EncryptionPlan, data_key: DataKey, plaintext: Buffer) -> bytes:
    """The whole message of this plaintext.

    Most messages are one unsigned frame: those take the few steps here, the others an `Encryptor`.
    """
    size = len(plaintext)
    if size > plan.frame_length_bytes or plan.request.suite.is_signing:
        return Encryptor(plan, data_key).seal_whole(plaintext)
    header_bytes, message_id, cipher = seal_header(plan, data_key)
    if data_key.count_bytes is not None:
        data_key.count_bytes(size)
    head, aad = final_head(message_id, 1, size)
    start = header_bytes + head
    if size <= JOINED_BYTES:
        return start + cipher.encrypt(head[8:20], plaintext, aad)

    def write(view: memoryview) -> int:
        view[: len(start)] = start
        with view[len(start) :] as sealed:
            cipher.encrypt_into(head[8:20], plaintext, aad, sealed)
        return len(view)

    return bytes_written_by(write, len(start) + size + TAG_BYTES)


class Encryptor:
    """Makes the bytes of one message part by part. Not for two threads at once.

    Attributes:
        header_bytes: the header, authenticated; it comes first.
    """

    __slots__ = (
        "_cipher",
        "_count_bytes",
        "_digest",
        "_message_id",
        "_number",
        "_plan",
        "_signing_key",
        "header_bytes",
    )

    def __init__(self, plan: EncryptionPlan, data_key: DataKey) -> None:
        check_data_key(data_key, plan.request.suite)
        plan = _signed(plan, data_key)
        self.header_bytes, self._message_id, self._cipher = seal_header(plan, data_key)
        self._plan = plan
        self._number = 1
        self._signing_key = data_key.signing_key
        self._count_bytes = data_key.count_bytes
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

        def write(view: memoryview) -> int:
            view[:start] = self.header_bytes
            with view[start:] as frames:
                self.seal_into(memoryview(plaintext), frames, is_last=True)
            view[whole:] = self.footer()
            return len(view)

        return bytes_written_by(write, whole + self.footer_bytes())

    def seal_into(self, plaintext: memoryview, out: memoryview, *, is_last: bool) -> int:
        """Seal frames into `out`; return how many bytes were written.

        Args:
            plaintext: bytes; without `is_last` a multiple of the frame length.
            out: room for the frames: `body.framed_bytes` is enough.
            is_last: end with the final frame; there must be no more calls but `footer`.

        Raises:
            LimitExceeded: more frames than a message can have, or more bytes than the data key may take.
        """
        frame_length = self._plan.frame_length_bytes
        size = len(plaintext)
        if self._count_bytes is not None:
            self._count_bytes(size)
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
