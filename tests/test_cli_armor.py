"""Messages as text."""

from __future__ import annotations

import base64
import contextlib
import io
from io import FileIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envelope.binary_files import checked_reader, fill
from envelope.cli import armor
from envelope.cli.armor import Base64Reader, Base64Writer, decoded, readable
from envelope.errors import EnvelopeError, MalformedMessage, TruncatedMessage


class Dribble(io.RawIOBase):
    """Gives some bytes at a time."""

    def __init__(self, data: bytes, size: int) -> None:
        super().__init__()
        self._data, self._size = io.BytesIO(data), size

    def read(self, size: int = -1, /) -> bytes:
        return self._data.read(min(size, self._size))


def armored(data: bytes, *, is_armored: bool = True, piece: int = 1000) -> bytes:
    text = io.BytesIO()
    writer = Base64Writer(text, armored=is_armored)
    for start in range(0, len(data), piece):
        assert writer.write(data[start : start + piece]) == len(data[start : start + piece])
    writer.finish()
    return text.getvalue()


def read_all(reader: object) -> bytes:
    buffer = bytearray(2_000_000)
    return bytes(buffer[: fill(checked_reader(reader, "text"), memoryview(buffer))])


def from_file(path: Path, data: bytes, *, decode: bool = False) -> bytes:
    path.write_bytes(data)
    with FileIO(path) as file:
        return read_all(readable(file, decode=decode))


@given(data=st.binary(max_size=400), piece=st.integers(1, 100), size=st.integers(1, 100), is_armored=st.booleans())
def test_any_pieces_give_the_same(data: bytes, piece: int, size: int, is_armored: bool) -> None:
    text = armored(data, is_armored=is_armored, piece=piece)
    assert all(len(line) <= 64 for line in text.splitlines())
    source = Dribble(text.removeprefix(armor.BEGIN) if is_armored else text, size)
    assert read_all(Base64Reader(source, b"", armored=is_armored)) == data


def test_long_data_is_what_any_decoder_reads() -> None:
    data = bytes(range(256)) * 4_000
    text = armored(data, is_armored=False, piece=999_999)
    assert base64.b64decode(text) == data
    assert read_all(Base64Reader(Dribble(text, 100_000), b"", armored=False)) == data


def test_an_armor_is_recognized_and_base64_is_asked_for(tmp_path: Path) -> None:
    message = b"\x02" + bytes(300)
    assert from_file(tmp_path / "text", armored(message)) == message
    assert from_file(tmp_path / "text", armored(message).replace(b"\n", b"\r\n")) == message
    assert from_file(tmp_path / "text", armored(message), decode=True) == message
    assert from_file(tmp_path / "text", armored(message, is_armored=False), decode=True) == message
    assert from_file(tmp_path / "text", message) == message
    assert from_file(tmp_path / "text", b"\x02") == b"\x02"
    (tmp_path / "text").write_bytes(base64.b64encode(message))
    with FileIO(tmp_path / "text") as file:
        assert read_all(decoded(file)) == message


def test_base64_that_was_not_asked_for_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MalformedMessage, match="looks like base64") as caught:
        from_file(tmp_path / "text", b"AgR4abcd")
    assert "--decode" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [b"AAA", b"AA=A", b"AAAA=", b"A*AA", b"AA==AAAA", b"AA==\nAAAA", b"AAAA====", b"-----END AWS"],
)
def test_text_that_is_no_base64_is_refused(text: bytes) -> None:
    for size in (1, 100):
        with pytest.raises(MalformedMessage):
            read_all(Base64Reader(Dribble(text, size), b"", armored=False))


@pytest.mark.parametrize("more", [b"x", b"\n-----BEGIN", b"A" * 1000])
def test_nothing_follows_an_armor(more: bytes) -> None:
    text = armored(bytes(100)).removeprefix(armor.BEGIN)
    for size in (1, 5000):
        with pytest.raises(MalformedMessage, match="last line"):
            read_all(Base64Reader(Dribble(text + more, size), b"", armored=True))


def test_every_cut_of_an_armor_is_refused() -> None:
    text = armored(bytes(100)).removeprefix(armor.BEGIN)
    for end in range(len(text) - 1):
        with pytest.raises(TruncatedMessage):
            read_all(Base64Reader(Dribble(text[:end], 7), b"", armored=True))


@given(position=st.integers(0, 205), byte=st.integers(0, 255))
def test_a_changed_byte_gives_other_data_or_an_error(position: int, byte: int) -> None:
    text = bytearray(armored(bytes(100)).removeprefix(armor.BEGIN))
    text[position % len(text)] = byte
    with contextlib.suppress(EnvelopeError):  # any other exception is a defect
        most = 100 + 2  # a letter in the place of each of two =
        assert len(read_all(Base64Reader(Dribble(bytes(text), 50), b"", armored=True))) <= most
