"""The header of a message on decryption: what is checked without a key, and what with it.

Source: AWS Encryption SDK specification, client-apis/decrypt.md#behavior.
"""

from __future__ import annotations

from envelope.context import EMPTY_CONTEXT, PUBLIC_KEY_NAME, EncryptionContext, merge_reproduced
from envelope.crypto.gcm import AESGCM, InvalidTag
from envelope.engine.keys import check_commitment, derive_keys, derive_net_4_0_0_key
from envelope.engine.options import Options
from envelope.errors import MalformedMessage, NotAuthentic, PolicyRefused
from envelope.keyrings.guard import check_unwrapped
from envelope.materials import UnwrappedDataKey, UnwrapRequest
from envelope.message.body import (
    FINAL_TEXT,
    REGULAR_TEXT,
    SEQUENCE_AND_LENGTH,
    SINGLE_TEXT,
    FramePart,
    check_frame_limit,
)
from envelope.message.header import Header

__all__ = ["admit", "associated_data", "not_authentic", "unlock"]


def admit(header: Header, options: Options, given: EncryptionContext) -> tuple[UnwrapRequest, EncryptionContext]:
    """Check all of a header that needs no key; return what the keyring is asked and the pairs that are not stored.

    Raises:
        MessageRefused: forbidden by an option, above a limit, a contradiction in itself, or another encryption context.
    """
    suite, block = header.suite, header.block
    options.commitment_policy.check_decrypt(suite)
    if suite.is_signing is not block.has_public_key:
        raise MalformedMessage(
            "a signed message must store its public key, and an unsigned one must not",
            hint=f"suite {suite.name} and the pair {PUBLIC_KEY_NAME!r} contradict each other",
        )
    if suite.is_signing and options.decrypt_unsigned_only:
        raise PolicyRefused(
            f"the message is signed ({suite.name}), and this client opens unsigned messages only",
            hint="a client without decrypt_unsigned_only opens it",
        )
    check_frame_limit(block.frame_length_bytes, options.max_frame_bytes)
    if given is EMPTY_CONTEXT:
        return block.request, EMPTY_CONTEXT
    unstored_names = merge_reproduced(block.request.encryption_context, given)
    if not unstored_names:
        return block.request, EMPTY_CONTEXT
    unstored = given.only(unstored_names)
    context = block.request.encryption_context.plus(unstored)
    return UnwrapRequest(suite, context, block.request.encrypted_data_keys), unstored


def unlock(header: Header, unwrapped: UnwrappedDataKey, unstored: EncryptionContext, options: Options) -> AESGCM:
    """The cipher of a message: verify the commitment under the data key, then the header tag.

    Raises:
        KeyUnavailable: the keyring returned something that is no data key of this suite.
        NotAuthentic: commitment or tag do not fit.
    """
    suite = header.suite
    check_unwrapped(unwrapped, suite)
    content_key, commitment = derive_keys(suite, unwrapped.plaintext, header.message_id)
    if suite.is_committing:
        check_commitment(commitment, header.commitment)
    cipher = AESGCM(content_key)
    try:
        cipher.decrypt(header.iv, header.tag, header.body + unstored.serialized)
    except InvalidTag as error:
        if options.allow_net_4_0_0_messages and not unstored:
            return _net_4_0_0_cipher(header, unwrapped.plaintext)
        raise NotAuthentic(_HEADER_NOT_AUTHENTIC, hint=_header_hint(unstored)) from error
    return cipher


_HEADER_NOT_AUTHENTIC = "the header of the message is not authentic"


def _net_4_0_0_cipher(header: Header, data_key: bytes) -> AESGCM:
    """The cipher of a message of ESDK .NET 4.0.0: keys without the message id, and two zero bytes for no pairs."""
    cipher = AESGCM(derive_net_4_0_0_key(header.suite, data_key, header.message_id))
    try:
        cipher.decrypt(header.iv, header.tag, header.body + b"\0\0")
    except InvalidTag as error:
        raise NotAuthentic(_HEADER_NOT_AUTHENTIC, hint=_header_hint(EMPTY_CONTEXT)) from error
    return cipher


def _header_hint(unstored: EncryptionContext) -> str:
    if unstored:
        return (
            f"the message does not store the pairs {sorted(unstored)}: "
            "they must be those that it was encrypted with as unstored ones, or be left out"
        )
    return "the message was changed, or it was encrypted with unstored pairs that have to be given"


def associated_data(header: Header, part: FramePart) -> bytes:
    """What the tag of a frame or block covers besides its content."""
    last_text = FINAL_TEXT if header.block.frame_length_bytes else SINGLE_TEXT
    text = last_text if part.is_final else REGULAR_TEXT
    return header.message_id + text + SEQUENCE_AND_LENGTH.pack(part.number, part.content_bytes)


def not_authentic(number: int) -> NotAuthentic:
    """The error of a frame whose tag does not fit."""
    return NotAuthentic(
        f"frame {number} of the message is not authentic",
        hint="the message was changed or damaged; fetch it again",
    )
