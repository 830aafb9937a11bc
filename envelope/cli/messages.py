"""What is done to one message: from its source to its target, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BytesIO, FileIO
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from envelope.cli.armor import BEGIN, Base64Writer, decoded, readable
from envelope.cli.context_options import ExpectedContext
from envelope.cli.metadata import shown_message
from envelope.cli.plan import STREAM, Job
from envelope.cli.refusals import Watched, context_refused
from envelope.cli.streams import Sink, Watch, opened_sink, opened_source
from envelope.cli.target import TargetOptions
from envelope.client import Client, describe
from envelope.context import RESERVED_PREFIX
from envelope.decrypting_reader import DecryptingReader
from envelope.errors import ContextMismatch, EnvelopeError, MessageRefused
from envelope.materials import UnwrappedBy
from envelope.message.header import Header
from envelope.opened import OpenedMessage
from envelope.suites import CommitmentPolicy, Suite

__all__ = ["Conversion", "Decryption", "Encryption", "MessageWork", "Rekeying", "TextForm"]

SMALL_BYTES = 128 * 1024
"""Files up to this size are read as a whole, which takes a third of the time of a stream."""

COPY_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class TextForm:
    """Whether what is written is text.

    Attributes:
        encode: the target becomes base64.
        armor: the target becomes an armor.
    """

    encode: bool = False
    armor: bool = False

    @contextmanager
    def written(self, sink: Sink) -> Iterator[BinaryIO]:
        """What takes the bytes that `sink` is to hold in this form."""
        if not (self.encode or self.armor):
            yield cast("BinaryIO", sink)  # the library needs one method of it only
            return
        writer = Base64Writer(sink, armored=self.armor)
        yield cast("BinaryIO", writer)
        writer.finish()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is known of a message that was written or opened.

    Attributes:
        header: of the one that was written; of the one that was opened where none was. None if it is not at hand.
        unwrapped_by: the keyring and the key that opened it; None for one that was written only.
    """

    header: Header | None
    unwrapped_by: UnwrappedBy | None = None


Opened = Callable[[Outcome], None]
"""Told of a message as soon as its header is authentic, whatever becomes of the rest."""


class Conversion(Protocol):
    """What happens between the two ends of a message."""

    def __call__(
        self, source: FileIO, writing: BinaryIO, *, is_replaced: bool, is_small: bool, opened: Opened | None = None
    ) -> Outcome:
        """Read all of `source`, write all of the result; return what is known of the message.

        Args:
            source: stands at its start.
            writing: takes what is written.
            is_replaced: whether nobody sees what is written unless this ends well.
            is_small: whether the source can be read at once, as far as is known.
            opened: told of a message that is read; None if nobody wants to know.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageWork:
    """The work of a run: one conversion, from each source to its target.

    Attributes:
        convert: what happens.
        target: how targets are written.
        form: whether targets are text.
        skip_existing: leave a file that is there.
        wants_header: whether the header is asked for.
    """

    convert: Conversion
    target: TargetOptions
    form: TextForm = field(default_factory=TextForm)
    skip_existing: bool = False
    wants_header: bool = False

    def __call__(self, job: Job, watch: Watch) -> dict[str, object] | None:
        """Do it; return what the metadata says of it, None if there was nothing to do."""
        if self.skip_existing and job.target not in ("", STREAM) and Path(job.target).is_file():
            return None

        def opened(outcome: Outcome) -> None:
            watch.known = shown_message(outcome.header, outcome.unwrapped_by)

        with opened_source(job) as source:
            status = os.fstat(source.fileno())
            with opened_sink(job.target, self.target, status, watch) as sink, self.form.written(sink) as writing:
                outcome = self.convert(
                    source,
                    writing,
                    is_replaced=sink.is_replaced,
                    is_small=0 < job.size_bytes <= SMALL_BYTES,
                    opened=opened if self.wants_header else None,
                )
        return shown_message(outcome.header, outcome.unwrapped_by) if self.wants_header else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Encryption:
    """Plaintext to message.

    Attributes:
        client: encrypts.
        context: the pairs.
        suite: None for the policy's default.
        frame_length_bytes: None for the default.
        unstored: names of pairs that the messages do not store.
        decode: the plaintext is read from base64.
        wants_header: whether the header is asked for.
    """

    client: Client
    context: dict[str, str]
    suite: Suite | None = None
    frame_length_bytes: int | None = None
    unstored: tuple[str, ...] = ()
    decode: bool = False
    wants_header: bool = False

    def __call__(
        self,
        source: FileIO,
        writing: BinaryIO,
        *,
        is_replaced: bool,  # noqa: ARG002 - see `Conversion`
        is_small: bool,
        opened: Opened | None = None,  # noqa: ARG002 - the same
    ) -> Outcome:
        """See `Conversion`."""
        plaintext = _whole(source) if is_small and not self.decode else None
        if plaintext is None:
            header = self.client.encrypt_stream(
                decoded(source) if self.decode else source,
                writing,
                self.context,
                suite=self.suite,
                frame_length_bytes=self.frame_length_bytes,
                unstored_context_keys=self.unstored,
            )
            return Outcome(header)
        message = self.client.encrypt(
            plaintext,
            self.context,
            suite=self.suite,
            frame_length_bytes=self.frame_length_bytes,
            unstored_context_keys=self.unstored,
        )
        writing.write(message)
        return Outcome(describe(message).header if self.wants_header else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decryption:
    """Message to plaintext, or to nowhere.

    Attributes:
        client: decrypts.
        expected: what messages must have.
        release_early: give out parts of a signed message before its signature was verified.
        decode: the message is read from base64; an armor is recognized anyway.
    """

    client: Client
    expected: ExpectedContext
    release_early: bool = False
    decode: bool = False

    def __call__(
        self, source: FileIO, writing: BinaryIO, *, is_replaced: bool, is_small: bool, opened: Opened | None = None
    ) -> Outcome:
        """See `Conversion`."""
        message = _whole(source) if is_small and not self.decode else None
        if message is not None and not message.startswith((BEGIN[:1], b"A")):
            whole = self._opened(message, opened)
            _check_names(self.expected, whole.encryption_context)
            writing.write(whole.plaintext)
            return Outcome(whole.header, whole.unwrapped_by)
        source = _from_its_start(source, was_read=message is not None)
        is_early = is_replaced or self.release_early
        source_of_message = readable(source, decode=self.decode)
        with _reader(self.client, source_of_message, self.expected, is_early=is_early, opened=opened) as reader:
            _copy(reader, writing)
            return Outcome(reader.header, reader.unwrapped_by)

    def _opened(self, message: bytes, opened: Opened | None) -> OpenedMessage:
        try:
            with context_refused(self.expected.pairs, message):
                whole = self.client.decrypt_message(message, self.expected.pairs)
        except MessageRefused:
            if opened is not None:  # once more, as far as it goes: in one piece, nothing is told of a bad message
                with (
                    suppress(EnvelopeError),
                    _reader(self.client, BytesIO(message), self.expected, is_early=True, opened=opened),
                ):
                    pass
            raise
        if opened is not None:
            opened(Outcome(whole.header, whole.unwrapped_by))
        return whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Rekeying:
    """Message to message, under other keys, a new message id and so another content key.

    Attributes:
        old: decrypts.
        new: encrypts.
        policy: of both.
        expected: what the old messages must have.
        suite: None for that of the old message, or the nearest that the policy writes.
        frame_length_bytes: None for the default.
        release_early: give out frames before the signature of the old message was verified.
        decode: the old message is read from base64; an armor is recognized anyway.
    """

    old: Client
    new: Client
    policy: CommitmentPolicy
    expected: ExpectedContext
    suite: Suite | None = None
    frame_length_bytes: int | None = None
    release_early: bool = False
    decode: bool = False

    def __call__(
        self,
        source: FileIO,
        writing: BinaryIO,
        *,
        is_replaced: bool,
        is_small: bool,  # noqa: ARG002 - see `Conversion`
        opened: Opened | None = None,
    ) -> Outcome:
        """See `Conversion`."""
        is_early = is_replaced or self.release_early
        source_of_message = readable(source, decode=self.decode)
        with _reader(self.old, source_of_message, self.expected, is_early=is_early, opened=opened) as reader:
            stored = reader.header.encryption_context
            context = {
                name: value for name, value in reader.encryption_context.items() if not name.startswith(RESERVED_PREFIX)
            }
            with self.new.encrypting_writer(
                writing,
                context,
                suite=self.suite or _nearest(reader.suite, self.policy),
                frame_length_bytes=self.frame_length_bytes,
                unstored_context_keys=[name for name in context if name not in stored],
            ) as writer:
                _copy(reader, writer)
            return Outcome(writer.header, reader.unwrapped_by)


def _whole(source: FileIO) -> bytes | None:
    """All of a small file; None if it is not small any more, and then it stands at its start."""
    data = source.read(SMALL_BYTES + 1)
    if data is None or len(data) <= SMALL_BYTES:
        return data
    source.seek(0)
    return None


def _from_its_start(source: FileIO, *, was_read: bool) -> FileIO:
    if was_read:
        source.seek(0)
    return source


@contextmanager
def _reader(
    client: Client, source: BinaryIO, expected: ExpectedContext, *, is_early: bool, opened: Opened | None
) -> Iterator[DecryptingReader]:
    """The plaintext of a message that has what is expected of it."""
    watched = Watched(source)
    with context_refused(expected.pairs, watched):
        reader = client.decrypting_reader(
            watched.as_file(), expected.pairs, release_plaintext_before_signature=is_early
        )
    with reader:
        if opened is not None:
            opened(Outcome(reader.header, reader.unwrapped_by))
        _check_names(expected, reader.encryption_context)
        yield reader


def _check_names(expected: ExpectedContext, context: Iterable[str]) -> None:
    if missing := expected.missing(context):
        raise ContextMismatch(
            f"the encryption context of the message lacks {', '.join(map(repr, missing))}",
            hint="-c with a name alone asks for a pair with that name and any value",
        )


def _copy(reader: DecryptingReader, writing: object) -> None:
    write = cast("BinaryIO", writing).write
    buffer = memoryview(bytearray(COPY_BYTES))
    while count := reader.readinto(buffer):
        write(buffer[:count])


def _nearest(suite: Suite, policy: CommitmentPolicy) -> Suite:
    """The suite of a message, or what the policy writes in its place: a signed message stays a signed one."""
    if suite.is_committing is policy.default_suite.is_committing:
        return suite
    if not suite.is_signing:
        return policy.default_suite
    if policy.default_suite.is_committing:
        return Suite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384
    return Suite.AES_256_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384
