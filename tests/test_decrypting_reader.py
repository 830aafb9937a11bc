"""The decrypting reader: what it gives was verified, and what it has not given is verified by `close`."""

from __future__ import annotations

import gc
import io
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from envelope import (
    Client,
    DecryptingReader,
    EnvelopeError,
    InvalidArgument,
    NotAuthentic,
    StreamFailed,
    Suite,
    TruncatedMessage,
    UnwrappedBy,
)
from tests.crafted_messages import Crafted, signed_message
from tests.file_objects_for_tests import Answers, FailsAfter, ShortReads, StreamedFile
from tests.keyrings_for_tests import FixedKeyring, open_client

UNSIGNED = Crafted(plaintext=b"frame 1.frame 2.frame 3.")
SIGNED = signed_message(plaintext=UNSIGNED.plaintext)
each_kind = pytest.mark.parametrize("crafted", [UNSIGNED, SIGNED], ids=["unsigned", "signed"])


@pytest.fixture
def client() -> Client:
    return open_client()


def _changed_at_the_end(crafted: Crafted) -> bytes:
    """Wrong in the tag of its last frame; where it is signed, the signature is right."""
    frames = crafted.sealed_frames()
    frames[-1] = frames[-1][:-1] + bytes([frames[-1][-1] ^ 1])
    signed = crafted.header() + b"".join(frames)
    return signed + crafted.sign(signed)


@each_kind
def test_a_reader_says_what_it_reads(client: Client, crafted: Crafted) -> None:
    source = io.BytesIO(crafted.serialize())
    with client.decrypting_reader(source) as reader:
        assert isinstance(reader, DecryptingReader)
        assert reader.suite is Suite(crafted.suite_id)
        assert reader.header.message_id == crafted.message_id
        assert reader.unwrapped_by == UnwrappedBy("FixedKeyring()", "test", "key")
        assert reader.encryption_context == reader.header.encryption_context
        assert (reader.readable(), reader.writable(), reader.seekable()) == (True, False, False)
        assert reader.read() == crafted.plaintext
    assert reader.closed
    assert not source.closed


@each_kind
@pytest.mark.parametrize("read_bytes", [0, 1, 8, 9, 16])
def test_closing_verifies_what_was_not_read(client: Client, crafted: Crafted, read_bytes: int) -> None:
    for is_good in (True, False):
        message = crafted.serialize() if is_good else _changed_at_the_end(crafted)
        reader = client.decrypting_reader(StreamedFile(message), release_plaintext_before_signature=True)
        assert reader.read(read_bytes) == crafted.plaintext[:read_bytes]
        if is_good:
            reader.close()
        else:
            with pytest.raises(NotAuthentic):
                reader.close()
        assert reader.closed
        reader.close()


def test_a_cut_message_is_noticed_by_the_end_of_the_block(client: Client) -> None:
    message = UNSIGNED.header() + b"".join(UNSIGNED.sealed_frames()[:2])
    with pytest.raises(TruncatedMessage), client.decrypting_reader(StreamedFile(message)) as reader:
        assert reader.read(8) == b"frame 1."


def test_an_exception_in_the_block_is_not_masked_by_what_is_wrong_behind(client: Client) -> None:
    error = LookupError("of the caller")
    reader = client.decrypting_reader(StreamedFile(_changed_at_the_end(UNSIGNED)))
    reader.read(1)
    with pytest.raises(LookupError) as caught, reader:
        raise error
    assert caught.value is error
    assert caught.value.__context__ is None
    assert reader.closed


def test_an_exception_in_the_block_ends_the_reading(client: Client) -> None:
    source = FailsAfter(UNSIGNED.serialize(), AssertionError("read on"))
    with pytest.raises(LookupError), client.decrypting_reader(source) as reader:  # type: ignore[arg-type]
        raise LookupError
    assert reader.closed


def test_a_failure_is_told_once_and_is_the_same_at_the_end_of_the_block(client: Client) -> None:
    reader = client.decrypting_reader(StreamedFile(_changed_at_the_end(UNSIGNED)))
    with pytest.raises(NotAuthentic) as first:
        reader.read()
    cause = first.value.__cause__
    with pytest.raises(NotAuthentic) as caught, reader:
        raise first.value
    assert caught.value is first.value
    assert caught.value.__cause__ is caught.value.__context__ is cause


@each_kind
def test_a_failure_that_the_caller_has_swallowed_is_told_again_on_close(client: Client, crafted: Crafted) -> None:
    """When `close` returns, the plaintext is whole."""
    message = io.BytesIO(_changed_at_the_end(crafted))
    reader = client.decrypting_reader(message, release_plaintext_before_signature=True)
    with pytest.raises(NotAuthentic):
        reader.read()
    with pytest.raises(NotAuthentic):
        reader.close()
    assert reader.closed
    reader.close()


@each_kind
@pytest.mark.parametrize("read_bytes", [0, 3, 24])
def test_a_closed_reader_gives_nothing_more(client: Client, crafted: Crafted, read_bytes: int) -> None:
    for end in (DecryptingReader.close, DecryptingReader.abort):
        reader = client.decrypting_reader(StreamedFile(crafted.serialize()))
        assert reader.read(read_bytes) == crafted.plaintext[:read_bytes]
        end(reader)
        buffer = bytearray(5)
        attempts: list[Callable[[], object]] = [
            reader.read,
            partial(reader.read, 3),
            partial(reader.read, 0),
            reader.read1,
            partial(reader.readinto, buffer),
            partial(reader.readinto1, buffer),
            partial(next, reader),
            partial(list, reader),
        ]
        for attempt in attempts:
            with pytest.raises(InvalidArgument, match="closed"):
                attempt()
        assert buffer == bytes(5)
        end(reader)


@each_kind
def test_an_abandoned_reader_reads_no_further_and_says_nothing(
    client: Client, crafted: Crafted, recwarn: pytest.WarningsRecorder
) -> None:
    source = FailsAfter(crafted.serialize(), b"")
    reader = client.decrypting_reader(source)  # type: ignore[arg-type]
    reader.read(1)
    calls = source.calls
    del reader
    gc.collect()
    assert source.calls == calls
    assert [str(warning.message) for warning in recwarn] == []


def test_an_abandoned_reader_of_a_large_signed_message_gives_its_temporary_file_back(
    client: Client, recwarn: pytest.WarningsRecorder
) -> None:
    message = client.encrypt(bytes(9 * 1024 * 1024), suite=Suite(0x0578))
    reader = client.decrypting_reader(StreamedFile(message))
    assert reader.read(1) == b"\0"
    del reader
    gc.collect()
    assert [str(warning.message) for warning in recwarn] == []


@pytest.mark.parametrize("size", ["8", b"8", 1.5, [], object()])
def test_a_size_that_is_none_is_refused_and_nothing_is_lost(client: Client, size: Any) -> None:
    for method in ("read", "read1"):
        reader = client.decrypting_reader(StreamedFile(UNSIGNED.serialize()))
        assert reader.read(2) == b"fr"
        with pytest.raises(InvalidArgument):
            getattr(reader, method)(size)
        assert reader.read(6) == b"ame 1."
        with pytest.raises(InvalidArgument):
            getattr(reader, method)(size)
        assert reader.read() == b"frame 2.frame 3."


def test_no_size_and_any_negative_size_mean_the_rest(client: Client) -> None:
    for size in (None, -1, -5):
        reader = client.decrypting_reader(StreamedFile(UNSIGNED.serialize()))
        assert reader.read(3) == b"fra"
        assert reader.read(size) == UNSIGNED.plaintext[3:]
    reader = client.decrypting_reader(StreamedFile(UNSIGNED.serialize()))
    assert (reader.read1(3), reader.read1(-1), reader.read1(-1)) == (b"fra", b"me 1.", b"frame 2.")


@pytest.mark.parametrize(
    "buffer", [b"read-only", "text", None, 5, memoryview(b"read-only"), memoryview(bytearray(9))[::2]]
)
def test_a_buffer_that_cannot_be_written_is_refused_and_nothing_is_lost(client: Client, buffer: Any) -> None:
    reader = client.decrypting_reader(StreamedFile(UNSIGNED.serialize()))
    for method in (reader.readinto, reader.readinto1):
        with pytest.raises(InvalidArgument):
            method(buffer)
    assert reader.read() == UNSIGNED.plaintext


def test_a_buffer_of_larger_items_is_filled_by_bytes(client: Client) -> None:
    reader = client.decrypting_reader(StreamedFile(UNSIGNED.serialize()))
    buffer = memoryview(bytearray(24)).cast("I")
    assert reader.readinto(buffer) == 24
    assert buffer.tobytes() == UNSIGNED.plaintext


def test_an_empty_buffer_and_a_size_of_zero_take_nothing(client: Client) -> None:
    reader = client.decrypting_reader(StreamedFile(UNSIGNED.serialize()))
    assert reader.read(0) == reader.read1(0) == b""
    assert reader.readinto(bytearray()) == reader.readinto1(bytearray()) == 0
    assert reader.read() == UNSIGNED.plaintext


def test_the_standard_library_reads_from_it(client: Client, tmp_path: Path) -> None:
    out = io.BytesIO()
    shutil.copyfileobj(client.decrypting_reader(StreamedFile(UNSIGNED.serialize())), out, 5)
    assert out.getvalue() == UNSIGNED.plaintext

    document = {"ä": list(range(100))}
    message = client.encrypt(json.dumps(document, ensure_ascii=False).encode(), frame_length_bytes=7)
    assert json.load(client.decrypting_reader(StreamedFile(message))) == document
    lines = "erste\nzweite\ndritte ü".encode()
    message = client.encrypt(lines, frame_length_bytes=3)
    reader: Any = client.decrypting_reader(ShortReads(message, [1] * 999))  # type: ignore[arg-type]
    with io.TextIOWrapper(reader, "utf-8") as text:
        assert list(text) == ["erste\n", "zweite\n", "dritte ü"]
    reader = client.decrypting_reader(StreamedFile(message))
    with io.BufferedReader(reader) as buffered:
        assert buffered.peek(1)[:1] == b"e"
        assert buffered.readlines() == lines.splitlines(keepends=True)
    reader = client.decrypting_reader(StreamedFile(message))
    assert reader.readline() == b"erste\n"
    assert reader.read() == lines[6:]


def test_a_text_wrapper_notices_a_cut_message(client: Client) -> None:
    cut = io.BytesIO(client.encrypt(b"line\n" * 100, frame_length_bytes=8)[:-50])
    reader: Any = client.decrypting_reader(cut)
    with pytest.raises(TruncatedMessage), io.TextIOWrapper(reader, "utf-8") as text:
        list(text)


def test_nothing_of_a_signed_message_is_released_before_its_end_was_seen(client: Client) -> None:
    message = SIGNED.serialize()
    source = FailsAfter(message[:-1], StreamFailed("not there yet"))
    with pytest.raises(StreamFailed):
        client.decrypting_reader(source)  # type: ignore[arg-type]
    out = io.BytesIO()
    with pytest.raises(EnvelopeError):
        client.decrypt_stream(StreamedFile(message[:-1] + bytes([message[-1] ^ 1])), out)
    assert out.getvalue() == b""


def test_early_release_gives_frames_of_a_signed_message_while_the_rest_is_still_to_come(client: Client) -> None:
    header, frames = SIGNED.header(), SIGNED.sealed_frames()
    source = FailsAfter(header + b"".join(frames), OSError(5, "the rest does not come"))
    reader = client.decrypting_reader(source, release_plaintext_before_signature=True)  # type: ignore[arg-type]
    assert reader.read1() == b"frame 1."
    assert reader.read1() == b"frame 2."
    for _ in range(2):
        with pytest.raises(StreamFailed):
            reader.read1()


def test_an_unsigned_frame_is_given_as_soon_as_it_is_there_and_the_last_one_at_the_end(client: Client) -> None:
    frames = UNSIGNED.sealed_frames()
    for count, expected in ((1, b"frame 1."), (2, b"frame 1.frame 2."), (3, b"frame 1.frame 2.")):
        source = FailsAfter(UNSIGNED.header() + b"".join(frames[:count]), OSError(5, "more does not come"))
        reader = client.decrypting_reader(source)  # type: ignore[arg-type]
        assert b"".join(reader.read1() for _ in range(len(expected) // 8)) == expected
        with pytest.raises(StreamFailed):
            reader.read1()


@pytest.mark.parametrize("value", ["no", 1, 0, None, "", []])
def test_early_release_is_asked_for_with_true_and_with_nothing_else(client: Client, value: Any) -> None:
    """A configuration value like "no" is true in Python."""
    message = SIGNED.serialize()
    with pytest.raises(InvalidArgument, match="release_plaintext_before_signature"):
        client.decrypting_reader(StreamedFile(message), release_plaintext_before_signature=value)
    with pytest.raises(InvalidArgument, match="release_plaintext_before_signature"):
        client.decrypt_stream(StreamedFile(message), io.BytesIO(), release_plaintext_before_signature=value)


@each_kind
def test_a_source_that_has_failed_once_is_not_read_on(client: Client, crafted: Crafted) -> None:
    """What was lost between the failure and the next read, nobody knows."""
    message = crafted.serialize()
    source: Any = Answers(message[:-30], OSError(5, "Input/output error"), message[-30:])
    reader = client.decrypting_reader(source, release_plaintext_before_signature=True)
    for _ in range(3):
        with pytest.raises(StreamFailed):
            reader.read()
    with pytest.raises(StreamFailed):
        reader.close()


@pytest.fixture
def temporary_files(monkeypatch: pytest.MonkeyPatch) -> list[io.BytesIO]:
    """The temporary files that were made; ours stay in memory."""
    made: list[io.BytesIO] = []

    def make(*_: object, **__: object) -> io.BytesIO:
        made.append(io.BytesIO())
        return made[-1]

    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", make)
    return made


def test_the_temporary_file_of_a_signed_message_is_given_back(
    client: Client, temporary_files: list[io.BytesIO]
) -> None:
    with client.decrypting_reader(StreamedFile(SIGNED.serialize())) as reader:
        assert reader.read(1) == b"f"
        assert [file.closed for file in temporary_files] == [False]
    with pytest.raises(LookupError), client.decrypting_reader(StreamedFile(SIGNED.serialize())):
        raise LookupError
    client.decrypt_stream(StreamedFile(SIGNED.serialize()), io.BytesIO())
    with pytest.raises(NotAuthentic):
        client.decrypting_reader(StreamedFile(_changed_at_the_end(SIGNED)))
    full: Any = Answers(OSError(28, "No space left on device"))
    with pytest.raises(StreamFailed):
        client.decrypt_stream(StreamedFile(SIGNED.serialize()), full)
    assert [file.closed for file in temporary_files] == [True] * 5


def test_a_large_signed_message_waits_in_a_temporary_file_that_nobody_can_read(
    client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plaintext = b"this must not be on the disk. " * (10 * 1024 * 1024 // 30)
    message = client.encrypt(plaintext, suite=Suite(0x0578))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with client.decrypting_reader(StreamedFile(message)) as reader:
        assert reader.read(30) == plaintext[:30]
        assert reader.read() == plaintext[30:]
    out = io.BytesIO()
    client.decrypt_stream(StreamedFile(message), out)
    assert out.getvalue() == plaintext
    assert list(tmp_path.iterdir()) == []


def test_a_large_signed_message_without_room_to_wait_in_fails_properly(
    client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    message = client.encrypt(bytes(9 * 1024 * 1024), suite=Suite(0x0578))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    out = io.BytesIO()
    with pytest.raises(StreamFailed, match="temporary file") as caught:
        client.decrypt_stream(StreamedFile(message), out)
    assert isinstance(caught.value.__cause__, OSError)
    assert out.getvalue() == b""


def test_a_large_signed_message_that_was_changed_releases_nothing(client: Client) -> None:
    message = bytearray(client.encrypt(bytes(9 * 1024 * 1024), suite=Suite(0x0578)))
    message[-1] ^= 1
    with pytest.raises(NotAuthentic, match="signature"):
        client.decrypting_reader(StreamedFile(message))
    out = io.BytesIO()
    with pytest.raises(NotAuthentic, match="signature"):
        client.decrypt_stream(StreamedFile(message), out)
    assert out.getvalue() == b""


def test_a_keyring_is_asked_once_for_a_message_that_comes_byte_by_byte() -> None:
    keyring = FixedKeyring()
    message = replace(UNSIGNED, content_type=1).serialize()
    with open_client(keyring).decrypting_reader(ShortReads(message, [1] * 999)) as reader:  # type: ignore[arg-type]
        assert reader.read() == UNSIGNED.plaintext
    assert len(keyring.unwraps) == 1
