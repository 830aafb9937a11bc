"""The front door: encrypt this, decrypt that."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import lru_cache, partial
from typing import TYPE_CHECKING, BinaryIO

from envelope import files, ranges, streams
from envelope.binary_files import as_view, checked_reader, checked_writer, seek, seekable_extent
from envelope.context import EMPTY_CONTEXT, check_context, check_names, context_items
from envelope.decrypting_reader import DecryptingReader
from envelope.encrypting_writer import EncryptingWriter
from envelope.engine.decryptor import Decryptor, WholeMessage, open_message
from envelope.engine.encryptor import (
    EncryptionPlan,
    Encryptor,
    plan_encryption,
    seal_message,
    with_signing_key,
)
from envelope.engine.input import InputBuffer
from envelope.engine.options import (
    DEFAULT_MAX_ENCRYPTED_DATA_KEYS,
    DEFAULT_MAX_FRAME_BYTES,
    Options,
    check_count,
    check_flag,
)
from envelope.errors import EnvelopeError, KeyUnavailable
from envelope.keyrings.protocol import Keyring, check_keyring
from envelope.materials import DataKey, UnwrappedDataKey, UnwrapRequest, WrapRequest
from envelope.message.cursor import Buffer
from envelope.message.describe import MessageDescription, describe_message
from envelope.message.header import Header
from envelope.message_source import MessageSource
from envelope.opened import Opened, OpenedMessage
from envelope.suites import CommitmentPolicy, Suite

if TYPE_CHECKING:
    from envelope.crypto.ecdsa import SigningKey

__all__ = ["Client", "describe"]

Context = Mapping[str, str]
MAX_LENGTH = 2**63 - 1


def describe(message: bytes | bytearray | memoryview) -> MessageDescription:
    """What a message says without a key: suite, encryption context, keys, frames, sizes.

    Nothing of it is authenticated: only decryption tells whether it is true.

    Raises:
        MalformedMessage: it is not a whole message, `TruncatedMessage` if it ends too early.
        InvalidArgument: not bytes-like.
    """
    return describe_message(_buffer(message, "message"))


class Client:
    """Encrypts and decrypts in the AWS Encryption SDK message format. Immutable, and safe to share between threads.

    Args:
        keyring: wraps and unwraps the data keys.
        commitment_policy: which suites are written and opened; committing ones only, by default.
        max_encrypted_data_keys: a message with more is refused before any is unwrapped, and not written; 1 to 65,535.
        max_frame_bytes: a message with longer frames, or a longer non-framed body, is refused before its key is
            unwrapped: so much memory is needed to verify it; 1 to 2,147,483,631.
        decrypt_unsigned_only: refuse signed messages right after their header.
        allow_net_4_0_0_messages: open messages of ESDK .NET 4.0.0, whose header tag no other version verifies.

    Raises:
        InvalidArgument: an option of the wrong type or out of range, or something that is no keyring.
    """

    __slots__ = ("_keyring", "_options", "_plan")

    def __init__(
        self,
        keyring: Keyring,
        *,
        commitment_policy: CommitmentPolicy = CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT,
        max_encrypted_data_keys: int = DEFAULT_MAX_ENCRYPTED_DATA_KEYS,
        max_frame_bytes: int = DEFAULT_MAX_FRAME_BYTES,
        decrypt_unsigned_only: bool = False,
        allow_net_4_0_0_messages: bool = False,
    ) -> None:
        self._keyring = check_keyring(keyring)
        self._options = Options(
            commitment_policy,
            max_encrypted_data_keys,
            max_frame_bytes,
            decrypt_unsigned_only,
            allow_net_4_0_0_messages,
        )
        # Typed, so that True is not taken for 1. At the very worst 256 contexts of 64 KiB.
        self._plan = lru_cache(maxsize=256, typed=True)(partial(plan_encryption, self._options))

    def __repr__(self) -> str:
        return f"Client({self._keyring!r}, commitment_policy={self._options.commitment_policy})"

    def encrypt(
        self,
        plaintext: bytes | bytearray | memoryview,
        encryption_context: Context = EMPTY_CONTEXT,
        *,
        suite: Suite | None = None,
        frame_length_bytes: int | None = None,
        unstored_context_keys: Iterable[str] = (),
    ) -> bytes:
        """The message of this plaintext.

        Args:
            plaintext: bytes-like, of any length that fits into memory.
            encryption_context: what the data belongs to; authenticated, stored in the clear, at most 65,535 bytes.
            suite: the policy's default suite unless another is asked for; a suite with ECDSA signs the message.
            frame_length_bytes: 1 to 2,147,483,631; 262,144 by default.
            unstored_context_keys: names of pairs that are authenticated but not stored: whoever decrypts must bring
                them.

        Raises:
            InvalidArgument: a wrong type, an empty or reserved name, a number out of range.
            PolicyRefused: the commitment policy forbids the suite.
            KeyUnavailable: the keyring cannot wrap a data key.
            LimitExceeded: more encrypted data keys or frames than a message may have.
        """
        if type(plaintext) is not bytes:
            plaintext = as_view(plaintext, "plaintext")
        plan, signing_key = self._planned(encryption_context, suite, frame_length_bytes, unstored_context_keys)
        return seal_message(plan, self._wrap(plan.request), signing_key, plaintext)

    def decrypt(self, message: bytes | bytearray | memoryview, encryption_context: Context = EMPTY_CONTEXT) -> bytes:
        """The plaintext of this message; nothing of it before everything was verified.

        Args:
            message: one whole message.
            encryption_context: pairs that the message must have: a stored pair must be equal, one that is not stored is
                authenticated as an unstored one.

        Raises:
            MalformedMessage: not a message of this format; `TruncatedMessage` if it is cut.
            NotAuthentic: changed, or written under another key.
            ContextMismatch: a pair differs from the stored one.
            PolicyRefused: the commitment policy or `decrypt_unsigned_only` forbids it.
            LimitExceeded: above a limit of this client.
            KeyUnavailable: no keyring could unwrap the data key; `.errors` says why not, one by one.
            InvalidArgument: a wrong type.
        """
        return self._open(message, encryption_context).plaintext

    def decrypt_message(
        self, message: bytes | bytearray | memoryview, encryption_context: Context = EMPTY_CONTEXT
    ) -> OpenedMessage:
        """Like `decrypt`, with what was verified: encryption context, suite, and the key that opened the message."""
        return OpenedMessage(*self._open(message, encryption_context))

    def encrypting_writer(
        self,
        binary_file: BinaryIO,
        encryption_context: Context = EMPTY_CONTEXT,
        length: int | None = None,
        *,
        suite: Suite | None = None,
        frame_length_bytes: int | None = None,
        unstored_context_keys: Iterable[str] = (),
    ) -> EncryptingWriter:
        """A writable file that encrypts into `binary_file`; the message is complete when it was closed.

        Args:
            binary_file: takes the message; stays open.
            length: how many bytes will be written; more or fewer are an error.

        Raises:
            As `encrypt`; StreamFailed: the file does not take the bytes.
        """
        write_all = checked_writer(binary_file, "binary_file")
        if length is not None:
            check_count("length", length, 0, MAX_LENGTH)
        encryptor = self._encryptor(encryption_context, suite, frame_length_bytes, unstored_context_keys)
        return EncryptingWriter(encryptor, write_all, length, getattr(binary_file, "name", None))

    def decrypting_reader(
        self,
        binary_file: BinaryIO,
        encryption_context: Context = EMPTY_CONTEXT,
        *,
        release_plaintext_before_signature: bool = False,
    ) -> DecryptingReader:
        """A readable file of the plaintext of the message in `binary_file`, from where it stands to its end.

        An unsigned message is released frame by frame. A signed one is read and verified to its end first; its
        plaintext waits in memory, and above 8 MiB in a temporary file under a key that only this process has.

        Args:
            binary_file: holds one message and nothing behind it; stays open.
            release_plaintext_before_signature: release the frames of a signed message, all but the last one, before its
                signature was verified. If the reader fails, everything it gave must be discarded.

        Raises:
            As `decrypt`; StreamFailed: the file cannot be read.
        """
        early = check_flag("release_plaintext_before_signature", release_plaintext_before_signature)
        name = getattr(binary_file, "name", None)
        return DecryptingReader(self._source(binary_file, encryption_context), early=early, name=name)

    def encrypt_stream(
        self,
        source: BinaryIO,
        destination: BinaryIO,
        encryption_context: Context = EMPTY_CONTEXT,
        *,
        suite: Suite | None = None,
        frame_length_bytes: int | None = None,
        unstored_context_keys: Iterable[str] = (),
    ) -> Header:
        """Encrypt a binary file, from where it stands to its end, into another; return the header of the message.

        Takes some frames of memory, whatever the length. If it fails, what was written is no message.
        """
        read_into, write_all = checked_reader(source, "source"), checked_writer(destination, "destination")
        encryptor = self._encryptor(encryption_context, suite, frame_length_bytes, unstored_context_keys)
        return streams.copy_encrypted(encryptor, read_into, write_all)

    def decrypt_stream(
        self,
        source: BinaryIO,
        destination: BinaryIO,
        encryption_context: Context = EMPTY_CONTEXT,
        *,
        release_plaintext_before_signature: bool = False,
    ) -> Opened:
        """Decrypt a binary file into another; return what was verified. The rules of `decrypting_reader` hold.

        If it fails on an unsigned message, the frames written so far are authentic, but there were more.
        """
        early = check_flag("release_plaintext_before_signature", release_plaintext_before_signature)
        write_all = checked_writer(destination, "destination")
        message = self._source(source, encryption_context)
        streams.copy_decrypted(message, write_all, early=early)
        return _opened(message.decryptor)

    def encrypt_file(
        self,
        source_path: str | os.PathLike[str],
        destination_path: str | os.PathLike[str],
        encryption_context: Context = EMPTY_CONTEXT,
        *,
        suite: Suite | None = None,
        frame_length_bytes: int | None = None,
        unstored_context_keys: Iterable[str] = (),
    ) -> Header:
        """Encrypt a file into another; return the header of the message.

        The new content is written beside the target, flushed to the disk and renamed over it: after any failure the
        target is as it was. An existing target keeps its permission bits.
        """

        def convert(reading: BinaryIO, writing: BinaryIO) -> Header:
            return self.encrypt_stream(
                reading,
                writing,
                encryption_context,
                suite=suite,
                frame_length_bytes=frame_length_bytes,
                unstored_context_keys=unstored_context_keys,
            )

        return files.convert_file(source_path, destination_path, convert, new_mode=files.CIPHERTEXT_MODE)

    def decrypt_file(
        self,
        source_path: str | os.PathLike[str],
        destination_path: str | os.PathLike[str],
        encryption_context: Context = EMPTY_CONTEXT,
    ) -> Opened:
        """Decrypt a file into another, mode 0600 if it is new; return what was verified.

        The target appears under its name only after everything, a signature included, was verified.
        """

        def convert(reading: BinaryIO, writing: BinaryIO) -> Opened:
            return self.decrypt_stream(reading, writing, encryption_context, release_plaintext_before_signature=True)

        return files.convert_file(source_path, destination_path, convert, new_mode=files.PLAINTEXT_MODE)

    def open_range(
        self, source: BinaryIO, start: int, length: int, encryption_context: Context = EMPTY_CONTEXT
    ) -> bytes:
        """The bytes `start` to `start + length` of the plaintext, fewer at its end, without reading the rest.

        The total length is authenticated as well: a message that was cut is refused.

        Args:
            source: a seekable binary file that stands at the beginning of a message and ends with it. It stands where
                it stood when this returns.

        Raises:
            As `decrypt`; PolicyRefused: the message is signed or not framed, and allows no random access.
        """
        checked_start, checked_length = ranges.check_range(start, length)
        message_start, message_end = seekable_extent(source, "source")
        read_into = checked_reader(source, "source")
        try:
            message = self._source(source, encryption_context)
            return ranges.open_range(
                message.decryptor,
                source,
                read_into,
                message_start=message_start,
                message_end=message_end,
                start=checked_start,
                length=checked_length,
            )
        finally:
            seek(source, message_start)

    def _encryptor(
        self, context: Context, suite: Suite | None, frame_length_bytes: int | None, unstored: Iterable[str]
    ) -> Encryptor:
        plan, signing_key = self._planned(context, suite, frame_length_bytes, unstored)
        return Encryptor(plan, self._wrap(plan.request), signing_key)

    def _planned(
        self, context: Context, suite: Suite | None, frame_length_bytes: int | None, unstored: Iterable[str]
    ) -> tuple[EncryptionPlan, SigningKey | None]:
        items = () if context is EMPTY_CONTEXT else context_items(context)
        names = () if unstored == () else check_names(unstored, "unstored_context_keys")
        try:
            plan = self._plan(items, suite, frame_length_bytes, names)
        except TypeError:  # something unhashable, which cannot be right: say so properly
            plan = self._plan.__wrapped__(items, suite, frame_length_bytes, names)
        curve = plan.request.suite.curve
        return (plan, None) if curve is None else with_signing_key(plan, curve)

    def _open(self, message: object, context: Context) -> WholeMessage:
        return open_message(
            message if type(message) is bytes else _buffer(message, "message"),
            self._options,
            EMPTY_CONTEXT if context is EMPTY_CONTEXT else check_context(context, reserved_allowed=True),
            self._unwrap,
        )

    def _source(self, file: BinaryIO, context: Context) -> MessageSource:
        read_into = checked_reader(file, "source")
        decryptor = Decryptor(self._options, check_context(context, reserved_allowed=True), InputBuffer())
        return MessageSource(decryptor, read_into, self._unwrap)

    def _wrap(self, request: WrapRequest) -> DataKey:
        try:
            return self._keyring.wrap(request)
        except EnvelopeError:
            raise
        except Exception as error:  # a keyring of anybody's
            raise KeyUnavailable(f"{self._keyring!r} failed to wrap a data key", errors=(error,)) from error

    def _unwrap(self, request: UnwrapRequest) -> UnwrappedDataKey:
        try:
            return self._keyring.unwrap(request)
        except EnvelopeError:
            raise
        except Exception as error:  # a keyring of anybody's
            raise KeyUnavailable(f"{self._keyring!r} failed to unwrap the data key", errors=(error,)) from error


def _opened(decryptor: Decryptor) -> Opened:
    return Opened(decryptor.header, decryptor.encryption_context, decryptor.unwrapped_by)


def _buffer(message: object, name: str) -> Buffer:
    return message if isinstance(message, bytes) else as_view(message, name)
