"""Random access: a part of the plaintext, of a message that is whole."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from envelope import (
    Client,
    EnvelopeError,
    InvalidArgument,
    KeyUnavailable,
    LimitExceeded,
    MalformedMessage,
    NotAuthentic,
    PolicyRefused,
    StreamFailed,
    TruncatedMessage,
)
from tests.crafted_messages import Crafted, Frame, message_of
from tests.file_objects_for_tests import ShortReads, StreamedFile
from tests.keyrings_for_tests import SIGNED_SUITES, UNSIGNED_SUITES, FixedKeyring, open_client, raw_aes

CRAFTED = Crafted(plaintext=b"frame 1.frame 2.frame 3.end")
PLAINTEXT = CRAFTED.plaintext
MESSAGE = CRAFTED.serialize()


@pytest.fixture
def client() -> Client:
    return open_client()


@pytest.mark.parametrize("suite_id", UNSIGNED_SUITES)
def test_every_range_is_the_slice(client: Client, suite_id: int) -> None:
    message = io.BytesIO(message_of(suite_id, plaintext=PLAINTEXT).serialize())
    for start in range(len(PLAINTEXT) + 3):
        for length in range(len(PLAINTEXT) + 3):
            assert client.open_range(message, start, length) == PLAINTEXT[start : start + length]


@pytest.mark.parametrize("plaintext", [b"", b"x", b"full fr.", b"full fr.full fr."])
def test_borders_of_short_messages(client: Client, plaintext: bytes) -> None:
    source = io.BytesIO(replace(CRAFTED, plaintext=plaintext).serialize())
    for start in (0, 1, 7, 8, 9, 15, 16, 17, 10**6):
        for length in (0, 1, 7, 8, 9, 10**6, 10**30):
            assert client.open_range(source, start, length) == plaintext[start : start + length]
    assert client.open_range(source, 10**30, 10**30) == b""
    assert client.open_range(source, 10**5000, 1) == b""


def test_only_the_frames_of_the_range_are_read(client: Client) -> None:
    """A change in a frame that is not needed is not seen; one in the last frame always is."""
    frames = CRAFTED.sealed_frames()
    damaged = [frame[:-1] + bytes([frame[-1] ^ 1]) for frame in frames]
    middle = io.BytesIO(CRAFTED.header() + frames[0] + damaged[1] + b"".join(frames[2:]))
    assert client.open_range(middle, 0, 8) == b"frame 1."
    assert client.open_range(middle, 16, 11) == b"frame 3.end"
    for start, length in ((8, 1), (15, 1), (7, 2), (0, 27)):
        with pytest.raises(NotAuthentic, match="frame 2"):
            client.open_range(middle, start, length)
    last = io.BytesIO(CRAFTED.header() + b"".join(frames[:-1]) + damaged[-1])
    for start, length in ((0, 1), (0, 0), (100, 1)):
        with pytest.raises(NotAuthentic, match="frame 4"):
            client.open_range(last, start, length)


@pytest.mark.parametrize("kept", [0, 1, 2, 3])
def test_a_message_that_was_cut_at_the_border_of_a_frame_is_refused(client: Client, kept: int) -> None:
    cut = CRAFTED.header() + b"".join(CRAFTED.sealed_frames()[:kept])
    for start, length in ((0, 1), (0, 0), (100, 0), (0, 100)):
        with pytest.raises(MalformedMessage):
            client.open_range(StreamedFile(cut), start, length)


def test_every_cut_and_every_addition_is_refused(client: Client) -> None:
    for end in range(len(MESSAGE)):
        with pytest.raises(EnvelopeError):
            client.open_range(StreamedFile(MESSAGE[:end]), 0, 1)
    for extra in (b"\0", bytes(8), bytes(40), bytes(1_000), MESSAGE):
        with pytest.raises(EnvelopeError):
            client.open_range(StreamedFile(MESSAGE + extra), 0, 1)


def test_every_changed_byte_of_what_is_read_is_refused(client: Client) -> None:
    for position in range(len(MESSAGE)):
        changed = bytearray(MESSAGE)
        changed[position] ^= 1
        with pytest.raises(EnvelopeError):
            client.open_range(StreamedFile(changed), 0, len(PLAINTEXT))


F1, F2, F3, END = CRAFTED.frames_of_plaintext()


@pytest.mark.parametrize(
    "frames",
    [
        (F1, F2, END),
        (F1, F3, F2, END),
        (F1, F1, F3, END),
        (F1, F2, F3, replace(END, is_final=False, plaintext=b"end.....")),
        (replace(F1, is_final=True), F2, F3, END),
        (F1, F2, F3, replace(END, number=9)),
        (F1, F2, F3, replace(END, stated_number=3)),
        (F1, F2, F3, END, replace(END, number=5)),
        (F1, F2, F3, replace(END, plaintext=b"longer than a frame")),
        (F1, F2, F3, replace(END, stated_bytes=2)),
        (F1, F2, F3, replace(END, stated_bytes=4)),
        (END,),
    ],
)
def test_frames_out_of_their_place_are_refused(client: Client, frames: tuple[Frame, ...]) -> None:
    message = replace(CRAFTED, frames=frames).serialize()
    with pytest.raises(EnvelopeError):
        client.open_range(StreamedFile(message), 0, 100)


@pytest.mark.parametrize("suite_id", SIGNED_SUITES)
def test_a_signed_message_allows_no_random_access(client: Client, suite_id: int) -> None:
    with pytest.raises(PolicyRefused, match="only unsigned framed messages") as caught:
        client.open_range(StreamedFile(message_of(suite_id).serialize()), 0, 1)
    assert "signature covers the whole message" in caught.value.hint


def test_a_body_without_frames_allows_no_random_access(client: Client) -> None:
    with pytest.raises(PolicyRefused, match="only unsigned framed messages"):
        client.open_range(StreamedFile(replace(CRAFTED, content_type=1).serialize()), 0, 1)


def test_the_header_is_verified_as_ever() -> None:
    source = io.BytesIO(MESSAGE)
    with pytest.raises(NotAuthentic):
        open_client(FixedKeyring(bytes(32))).open_range(source, 0, 1)
    with pytest.raises(KeyUnavailable):
        open_client(raw_aes()).open_range(source, 0, 1)
    with pytest.raises(LimitExceeded):
        open_client(max_frame_bytes=7).open_range(source, 0, 1)
    with pytest.raises(EnvelopeError):
        open_client().open_range(source, 0, 1, {"tenant": "42"})
    assert source.tell() == 0


@pytest.mark.parametrize("number", [-1, "1", 1.0, None, True, b"1", pytest.param(-(10**5000), id="huge")])
def test_what_is_no_offset_or_length_is_refused(client: Client, number: Any) -> None:
    source = io.BytesIO(MESSAGE)
    with pytest.raises(InvalidArgument, match="start must be"):
        client.open_range(source, number, 1)
    with pytest.raises(InvalidArgument, match="length must be"):
        client.open_range(source, 1, number)
    assert source.tell() == 0


def test_the_source_may_stand_inside_a_larger_file_and_stands_there_again(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "archive"
    path.write_bytes(b"before" + MESSAGE)
    for buffering in (-1, 0):
        with path.open("rb", buffering=buffering) as source:
            source.seek(6)
            assert client.open_range(source, 20, 4) == PLAINTEXT[20:24]
            assert source.tell() == 6
            for wrong in ({"tenant": "42"}, {"": ""}):
                with pytest.raises(EnvelopeError):
                    client.open_range(source, 0, 1, wrong)
                assert source.tell() == 6
            source.seek(10_000)
            with pytest.raises(TruncatedMessage):
                client.open_range(source, 0, 1)


def test_short_reads_are_continued(client: Client) -> None:
    class Seekable(ShortReads):
        def seek(self, *arguments: int) -> int:
            return self._file.seek(*arguments)

        def tell(self) -> int:
            return self._file.tell()

    assert client.open_range(Seekable(MESSAGE, [1] * 999), 3, 20) == PLAINTEXT[3:23]  # type: ignore[arg-type]


@pytest.mark.parametrize("source", [None, "path", b"bytes", 5, Path("path"), ShortReads(MESSAGE), object(), io.BytesIO])
def test_what_cannot_seek_is_refused(client: Client, source: Any) -> None:
    with pytest.raises(InvalidArgument, match="can seek"):
        client.open_range(source, 0, 1)


def test_a_pipe_cannot_seek(client: Client) -> None:
    reading, writing = os.pipe()
    os.close(writing)
    for buffering in (-1, 0):
        source = os.fdopen(os.dup(reading), "rb", buffering=buffering)
        with source, pytest.raises(InvalidArgument, match="can seek"):
            client.open_range(source, 0, 1)
    os.close(reading)


def test_text_and_files_that_are_not_for_reading_are_refused(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(MESSAGE)
    with pytest.raises(InvalidArgument, match="binary file"):
        client.open_range(io.StringIO("text"), 0, 1)  # type: ignore[arg-type]
    with path.open("ab") as source, pytest.raises(StreamFailed):
        client.open_range(source, 0, 1)
    with pytest.raises(StreamFailed):
        client.open_range(source, 0, 1)


class Unsteady(io.BytesIO):
    """A file whose `tell` and `seek` answer or raise what they were told, from some call on."""

    def __init__(self, answers: dict[int, Any]) -> None:
        super().__init__(MESSAGE)
        self._answers = answers
        self.calls = 0

    def _next(self, position: int) -> Any:
        answer = self._answers.get(self.calls, position)
        self.calls += 1
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def tell(self) -> int:
        return self._next(super().tell())

    def seek(self, *arguments: int) -> int:
        return self._next(super().seek(*arguments))


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), ValueError("closed"), RuntimeError("x")])
def test_a_source_that_fails_to_seek_at_any_time_is_an_error_of_ours(client: Client, error: Exception) -> None:
    steady = Unsteady({})
    assert client.open_range(steady, 0, 1) == b"f"
    for call in range(steady.calls):
        with pytest.raises(EnvelopeError):
            client.open_range(Unsteady({call: error}), 0, 1)


@pytest.mark.parametrize("answer", [None, "0", 1.0, b""])
@pytest.mark.parametrize("call", [0, 1])
def test_a_source_that_does_not_say_where_it_stands_is_refused(client: Client, call: int, answer: Any) -> None:
    with pytest.raises(InvalidArgument):
        client.open_range(Unsteady({call: answer}), 0, 1)


def test_a_source_that_becomes_shorter_while_it_is_read_is_a_failed_stream(client: Client) -> None:
    with pytest.raises(StreamFailed, match="shorter"):
        client.open_range(Unsteady({1: len(MESSAGE) + 1}), 0, 1)


def test_more_frames_than_a_message_can_have_are_refused(client: Client, tmp_path: Path) -> None:
    """A sparse file of 141 GB: no frame of it has the number that its place demands."""
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.write(replace(CRAFTED, frame_length=1).header())
        file.truncate(2**32 * 33 + 1_000)
    with path.open("rb") as source, pytest.raises(MalformedMessage):
        client.open_range(source, 2**32, 1)
