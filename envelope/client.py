"""The front door: encrypt this, decrypt that."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import BinaryIO

from envelope import files, ranges, streams
from envelope.arguments import check_count, check_flag
from envelope.binary_files import (
    as_view,
    checked_reader,
    checked_writer,
    known_length,
    rest_in_memory,
    seek,
    seekable_extent,
)
from envelope.context import EMPTY_CONTEXT, check_context
from envelope.decrypting_reader import DecryptingReader
from envelope.encrypting_writer import EncryptingWriter
from envelope.engine.decryptor import Decryptor, WholeMessage, open_message
from envelope.engine.encryptor import Encryptor, seal_message
from envelope.engine.input import InputBuffer
from envelope.engine.options import (
    DEFAULT_MAX_ENCRYPTED_DATA_KEYS,
    DEFAULT_MAX_FRAME_BYTES,
    Options,
)
from envelope.engine.planning import Planner
from envelope.keyring_calls import KeyringCalls
from envelope.keyrings.protocol import Keyring, check_keyring
from envelope.message.cursor import Buffer
from envelope.message.describe import MessageDescription, describe_message
from envelope.message.header import Header
from envelope.message_source import MessageSource
from envelope.opened import Opened, OpenedMessage, opened
from envelope.suites import CommitmentPolicy, Suite

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
    return describe_message(message_buffer(message))


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

    __slots__ = ("_keyring", "_keys", "_options", "_planned")

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
        self._keys = KeyringCalls(self._keyring)
        self._options = Options(
            commitment_policy,
            max_encrypted_data_keys,
            max_frame_bytes,
            decrypt_unsigned_only,
            allow_net_4_0_0_messages,
        )
        self._planned = Planner(self._options).plan

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
        plan = self._planned(encryption_context, suite, frame_length_bytes, unstored_context_keys)
        return seal_message(plan, self._keys.data_key(plan.request, len(plaintext)), plaintext)

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
        check_length(length)
        plan = self._planned(encryption_context, suite, frame_length_bytes, unstored_context_keys)
        if length is None:
            encryptor = Encryptor(plan, self._keys.stream_data_key(plan.request, None))
        else:
            encryptor = Encryptor(plan, self._keys.data_key(plan.request, length))
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
        plan = self._planned(encryption_context, suite, frame_length_bytes, unstored_context_keys)
        encryptor = Encryptor(plan, self._keys.stream_data_key(plan.request, known_length(source)))
        return streams.copy_encrypted(encryptor, streams.batches_of(rest_in_memory(source), read_into), write_all)

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
        return opened(message.decryptor)

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
        with files.converting(source_path, destination_path, new_mode=files.CIPHERTEXT_MODE) as (reading, writing):
            return self.encrypt_stream(
                reading,
                writing,
                encryption_context,
                suite=suite,
                frame_length_bytes=frame_length_bytes,
                unstored_context_keys=unstored_context_keys,
            )

    def decrypt_file(
        self,
        source_path: str | os.PathLike[str],
        destination_path: str | os.PathLike[str],
        encryption_context: Context = EMPTY_CONTEXT,
    ) -> Opened:
        """Decrypt a file into another, mode 0600 if it is new; return what was verified.

        The target appears under its name only after everything, a signature included, was verified.
        """
        with files.converting(source_path, destination_path, new_mode=files.PLAINTEXT_MODE) as (reading, writing):
            return self.decrypt_stream(reading, writing, encryption_context, release_plaintext_before_signature=True)

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

    def _open(self, message: object, context: Context) -> WholeMessage:
        return open_message(
            message if type(message) is bytes else message_buffer(message),
            self._options,
            EMPTY_CONTEXT if context is EMPTY_CONTEXT else check_context(context, reserved_allowed=True),
            self._keys.unwrapped,
        )

    def _source(self, file: BinaryIO, context: Context) -> MessageSource:
        read_into = checked_reader(file, "source")
        given = check_context(context, reserved_allowed=True)
        decryptor = Decryptor(self._options, given, InputBuffer(rest_in_memory(file)))
        source = MessageSource(decryptor, read_into)
        decryptor.supply(self._keys.unwrapped(source.read_request()))
        return source


def check_length(length: int | None) -> int | None:
    """Return the length that a caller promises, or raise `InvalidArgument`; None if there is none."""
    return None if length is None else check_count("length", length, 0, MAX_LENGTH)


def message_buffer(message: object) -> Buffer:
    """The bytes of a message in memory, or `InvalidArgument`."""
    return message if isinstance(message, bytes) else as_view(message, "message")
