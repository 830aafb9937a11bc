"""What counts as a binary file, and what becomes of one that fails, lies or is none."""

from __future__ import annotations

import codecs
import gzip
import io
import os
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest

from envelope import Client, EnvelopeError, InvalidArgument, StreamFailed, Suite, TruncatedMessage
from tests.crafted_messages import Crafted, Frame
from tests.file_objects_for_tests import (
    Answers,
    FailsAfter,
    ReadintoReturns,
    ShortWrites,
    SilentWrites,
    StreamedFile,
    WriteReturns,
)
from tests.keyrings_for_tests import open_client, raw_aes

PLAINTEXT = bytes(range(256)) * 40
SUITES = [Suite(0x0478), Suite(0x0578)]


@pytest.fixture
def client() -> Client:
    return open_client(raw_aes())


@pytest.fixture
def message(client: Client) -> bytes:
    return client.encrypt(PLAINTEXT, frame_length_bytes=1_000)


def _ways_to_read(client: Client, source: Any) -> list[Callable[[], Any]]:
    return [
        lambda: client.decrypting_reader(source),
        lambda: client.decrypt_stream(source, io.BytesIO()),
        lambda: client.encrypt_stream(source, io.BytesIO()),
    ]


def _ways_to_write(client: Client, message: bytes, destination: Any) -> list[Callable[[], Any]]:
    return [
        lambda: client.encrypting_writer(destination),
        lambda: client.encrypt_stream(StreamedFile(b"x"), destination),
        lambda: client.decrypt_stream(StreamedFile(message), destination),
    ]


class OnlyRead(io.BufferedIOBase):
    """A buffered file that implements `read`, which is enough for its base class to offer `readinto`."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._file = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        return self._file.read(size)


class OnlyReadinto(io.RawIOBase):
    """A raw file that implements `readinto`."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._file = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._file.readinto(memoryview(buffer)[:700])


@pytest.mark.parametrize(
    "kind", [io.BytesIO, OnlyRead, OnlyReadinto, lambda data: io.BufferedReader(OnlyReadinto(data))]
)
def test_every_kind_of_binary_file_is_read(client: Client, message: bytes, kind: Callable[[bytes], Any]) -> None:
    out = io.BytesIO()
    client.decrypt_stream(kind(message), out)
    assert out.getvalue() == PLAINTEXT
    assert client.decrypting_reader(kind(message)).read() == PLAINTEXT
    sealed = io.BytesIO()
    client.encrypt_stream(kind(PLAINTEXT), sealed, frame_length_bytes=333)
    assert client.decrypt(sealed.getvalue()) == PLAINTEXT


def test_real_files_pipes_and_archives_are_read_and_written(client: Client, message: bytes, tmp_path: Path) -> None:
    path = tmp_path / "sealed"
    for buffering in (-1, 0):
        with path.open("wb", buffering=buffering) as out, client.encrypting_writer(out) as writer:
            writer.write(PLAINTEXT)
        with path.open("rb", buffering=buffering) as source:
            assert client.decrypting_reader(source).read() == PLAINTEXT

    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as source, os.fdopen(writing, "wb", buffering=0) as out:
        out.write(message)
        out.close()
        assert client.decrypting_reader(source).read() == PLAINTEXT

    archive, member = io.BytesIO(), "sealed"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped, zipped.open(member, "w") as packed:
        client.encrypt_stream(StreamedFile(PLAINTEXT), cast(BinaryIO, packed))
    with zipfile.ZipFile(archive) as zipped, zipped.open(member) as packed:
        assert client.decrypting_reader(cast(BinaryIO, packed)).read() == PLAINTEXT
    with gzip.open(tmp_path / "zipped", "wb") as small:
        client.decrypt_stream(StreamedFile(message), cast(BinaryIO, small))
    with gzip.open(tmp_path / "zipped") as small:
        assert small.read() == PLAINTEXT


def test_a_writer_and_a_reader_are_binary_files_too(client: Client, message: bytes) -> None:
    twice = io.BytesIO()
    with client.encrypting_writer(twice) as writer:
        client.encrypt_stream(StreamedFile(PLAINTEXT), cast(BinaryIO, writer))
    out = io.BytesIO()
    twice.seek(0)
    with client.decrypting_reader(twice) as reader:
        client.decrypt_stream(cast(BinaryIO, reader), out)
    assert out.getvalue() == PLAINTEXT


@pytest.mark.parametrize(
    "source",
    [None, "path", b"bytes", bytearray(b"x"), 3, Path("path"), object(), [b"x"], io.StringIO("text"), SilentWrites()],
    ids=lambda source: type(source).__name__,
)
def test_what_cannot_be_read_is_refused(client: Client, source: Any) -> None:
    for attempt in _ways_to_read(client, source):
        with pytest.raises(InvalidArgument, match="must be a binary file") as caught:
            attempt()
        assert caught.value.hint


@pytest.mark.parametrize(
    "destination",
    [
        None,
        "path",
        b"bytes",
        bytearray(b"x"),
        3,
        Path("path"),
        object(),
        [b"x"],
        io.StringIO("text"),
        FailsAfter(b"", b""),
    ],
    ids=lambda destination: type(destination).__name__,
)
def test_what_cannot_be_written_is_refused(client: Client, message: bytes, destination: Any) -> None:
    for attempt in _ways_to_write(client, message, destination):
        with pytest.raises(InvalidArgument, match="must be a binary file") as caught:
            attempt()
        assert caught.value.hint


def test_text_files_in_disguise_are_refused(client: Client, message: bytes, tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("text")
    with path.open() as text:
        for attempt in _ways_to_read(client, text):
            with pytest.raises(InvalidArgument):
                attempt()
    with tempfile.NamedTemporaryFile("w+", dir=tmp_path) as named:
        named.write("text")
        for attempt in _ways_to_read(client, named):
            named.seek(0)
            with pytest.raises(EnvelopeError):
                attempt()
    with tempfile.NamedTemporaryFile("w", dir=tmp_path) as named:
        for text_writer in (named, codecs.getwriter("utf-8")(io.BytesIO())):
            for attempt in _ways_to_write(client, message, text_writer):
                with pytest.raises(EnvelopeError):
                    attempt()


def test_a_class_is_no_file(client: Client, message: bytes) -> None:
    for attempt in (*_ways_to_read(client, io.BytesIO), *_ways_to_write(client, message, io.BytesIO)):
        with pytest.raises(EnvelopeError):
            attempt()


def test_a_closed_file_fails_the_stream(client: Client, message: bytes) -> None:
    closed = io.BytesIO(message)
    closed.close()
    for attempt in (*_ways_to_read(client, closed), *_ways_to_write(client, message, closed)):
        with pytest.raises(StreamFailed, match="closed"):
            attempt()


def test_a_file_opened_the_other_way_round_fails_the_stream(client: Client, message: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(message)
    for buffering in (-1, 0):
        with path.open("rb", buffering=buffering) as readable, path.open("ab", buffering=buffering) as writable:
            for attempt in (*_ways_to_read(client, writable), *_ways_to_write(client, message, readable)):
                with pytest.raises(StreamFailed):
                    attempt()
    assert path.read_bytes() == message


@pytest.mark.parametrize("position", [0, 50, 1_500, 5_000, 11_000])
def test_a_source_that_fails_is_a_failed_stream_with_its_cause(client: Client, message: bytes, position: int) -> None:
    error = OSError(5, "Input/output error")
    with pytest.raises(StreamFailed, match="cannot read: Input/output error") as caught:
        client.decrypting_reader(FailsAfter(message[:position], error)).read()  # type: ignore[arg-type]
    assert caught.value.__cause__ is error
    out = io.BytesIO()
    with pytest.raises(StreamFailed) as caught:
        client.encrypt_stream(FailsAfter(PLAINTEXT[:position], error), out)  # type: ignore[arg-type]
    assert caught.value.__cause__ is error
    with pytest.raises(TruncatedMessage):
        client.decrypt(out.getvalue())


@pytest.mark.parametrize(
    "error", [EOFError("cut"), RuntimeError("x"), KeyError("x"), TypeError("x"), UnicodeError("x")]
)
def test_whatever_a_file_of_anybodys_raises_is_a_failed_stream(
    client: Client, message: bytes, error: Exception
) -> None:
    """Decompressors, HTTP bodies and archive members have exceptions of their own, and not all are `OSError`."""
    for source in (FailsAfter(b"", error), ReadintoReturns(error)):
        for attempt in _ways_to_read(client, source):
            with pytest.raises(StreamFailed, match="cannot read") as caught:
                attempt()
            assert caught.value.__cause__ is error
    for attempt in _ways_to_write(client, message, WriteReturns(error)):
        with pytest.raises(StreamFailed, match="cannot write") as caught:
            attempt()
        assert caught.value.__cause__ is error


def test_a_truncated_gzip_file_is_a_failed_stream(client: Client) -> None:
    cut = gzip.compress(PLAINTEXT)[:-9]
    with pytest.raises(StreamFailed):
        client.encrypt_stream(gzip.GzipFile(fileobj=io.BytesIO(cut)), io.BytesIO())  # type: ignore[arg-type]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1), StreamFailed("ours")])
def test_interrupts_and_our_own_errors_pass_as_they_are(client: Client, error: BaseException) -> None:
    for attempt in _ways_to_read(client, FailsAfter(b"", error)):
        with pytest.raises(type(error)) as caught:
            attempt()
        assert caught.value is error


@pytest.mark.parametrize("answer", ["text", 5, 1.5, [b"x"], object(), b"more than was asked for" * 1_000_000])
def test_a_source_whose_read_returns_nonsense_is_refused(client: Client, message: bytes, answer: Any) -> None:
    for source in (FailsAfter(b"", answer), FailsAfter(message[:700], answer)):
        for attempt in (
            lambda source: client.decrypting_reader(source).read(),
            lambda source: client.encrypt_stream(source, io.BytesIO()),
        ):
            with pytest.raises(EnvelopeError):
                attempt(source)


@pytest.mark.parametrize(
    "answer",
    [
        -1,
        10**9,
        1.0,
        True,
        "1",
        b"x",
        object(),
        pytest.param(10**5000, id="huge"),
        pytest.param(-(10**5000), id="minus"),
    ],
)
def test_a_source_whose_readinto_returns_nonsense_is_refused(client: Client, answer: Any) -> None:
    for attempt in _ways_to_read(client, ReadintoReturns(answer)):
        with pytest.raises(StreamFailed):
            attempt()


def test_a_source_that_has_nothing_now_is_not_at_its_end(client: Client, message: bytes) -> None:
    """`None` is what a non-blocking file returns; taking it for the end would cut the plaintext."""
    for source in (FailsAfter(b"", None), FailsAfter(PLAINTEXT, None), ReadintoReturns(None)):
        with pytest.raises(StreamFailed, match="not in blocking mode"):
            client.encrypt_stream(source, io.BytesIO())  # type: ignore[arg-type]
    with pytest.raises(StreamFailed, match="not in blocking mode"):
        client.decrypting_reader(FailsAfter(message, None)).read()  # type: ignore[arg-type]


def test_a_pipe_in_non_blocking_mode_is_refused_in_both_directions(client: Client) -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    with os.fdopen(reading, "rb", buffering=0) as source, os.fdopen(writing, "wb", buffering=0) as out:
        with pytest.raises(StreamFailed, match="not in blocking mode"):
            client.encrypt_stream(source, io.BytesIO())
        with pytest.raises(StreamFailed, match="not in blocking mode"):
            client.encrypt_stream(StreamedFile(bytes(10_000_000)), out)


@pytest.mark.parametrize("most", [1, 7, 1_000])
def test_a_destination_may_take_less_at_a_time(client: Client, message: bytes, most: int) -> None:
    out = ShortWrites(most)
    client.decrypt_stream(StreamedFile(message), out)  # type: ignore[arg-type]
    assert bytes(out.taken) == PLAINTEXT


@pytest.mark.parametrize("answer", [0, -1])
def test_a_destination_that_takes_nothing_is_not_tried_for_ever(client: Client, message: bytes, answer: int) -> None:
    for attempt in _ways_to_write(client, message, WriteReturns(answer)):
        with pytest.raises(StreamFailed):
            attempt()


def test_a_destination_that_encodes_may_count_what_it_has_written_itself(client: Client, message: bytes) -> None:
    class Base64(SilentWrites):
        def write(self, data: memoryview) -> int:  # type: ignore[override]
            super().write(data)
            return 4 * len(data) // 3 + 3

    out = Base64()
    client.decrypt_stream(StreamedFile(message), out)  # type: ignore[arg-type]
    assert bytes(out.taken) == PLAINTEXT


@pytest.mark.parametrize("suite", SUITES, ids=["unsigned", "signed"])
def test_a_full_disk_is_a_failed_stream(client: Client, suite: Suite) -> None:
    message = client.encrypt(PLAINTEXT, suite=suite)
    with Path("/dev/full").open("wb", buffering=0) as full:
        for attempt in _ways_to_write(client, message, full):
            with pytest.raises(StreamFailed, match="No space left on device"):
                attempt()


def test_an_empty_source_is_an_empty_plaintext_and_no_message(client: Client) -> None:
    out = io.BytesIO()
    client.encrypt_stream(io.BytesIO(), out)
    assert client.decrypt(out.getvalue()) == b""
    with pytest.raises(TruncatedMessage):
        client.decrypt_stream(io.BytesIO(), io.BytesIO())


def test_a_stream_begins_where_its_file_stands(client: Client, message: bytes) -> None:
    source, out = io.BytesIO(b"before" + message), io.BytesIO()
    source.seek(6)
    out.write(b"kept ")
    client.decrypt_stream(source, out)
    assert out.getvalue() == b"kept " + PLAINTEXT


@pytest.mark.parametrize("given", [3_000, 5_000, 50_000])
@pytest.mark.parametrize("content_type", [1, 2], ids=["block", "frame"])
def test_a_message_of_which_the_header_claims_much_takes_no_memory(content_type: int, given: int) -> None:
    """64 MiB are claimed, and some bytes come: the source is never asked for much more than it has given."""

    class Asked(FailsAfter):
        given = 0

        def read(self, size: int = -1) -> Any:
            assert size <= max(2 * self.given, 4_096)
            data = super().read(size)
            self.given += len(data)
            return data

    claimed = 64 * 1024 * 1024
    source = Asked(
        Crafted(
            content_type=content_type,
            frame_length=claimed,
            frames=(Frame(1, bytes(given)),),
            plaintext=bytes(given),
            block_bytes=claimed,
        ).serialize(),
        b"",
    )
    with pytest.raises(TruncatedMessage):
        open_client().decrypting_reader(source).read()  # type: ignore[arg-type]


@pytest.mark.parametrize("suite", SUITES, ids=["unsigned", "signed"])
def test_the_first_end_of_a_source_is_its_end(client: Client, suite: Suite) -> None:
    """A file that grows, or a terminal, can give more after it was at its end."""
    for first in (b"", b"abc", bytes(65_536), bytes(3 * 1024 * 1024)):
        out = io.BytesIO()
        source: Any = Answers(first, b"", b"more")
        client.encrypt_stream(source, out, suite=suite, frame_length_bytes=65_536)
        assert client.decrypt(out.getvalue()) == first
    message = client.encrypt(b"x" * 100, suite=suite, frame_length_bytes=16)
    for position in range(0, len(message), 20):
        source = Answers(message[:position], b"", message[position:])
        with pytest.raises(TruncatedMessage):
            client.decrypt_stream(source, io.BytesIO())
