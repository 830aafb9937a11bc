"""Whatever way a plaintext goes in and comes out: the same plaintext, and a message of the same length."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from itertools import cycle
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from envelope import Client, Suite, describe
from tests.file_objects_for_tests import (
    ShortReads,
    ShortReadsByRead,
    ShortReadsByReadinto1,
    ShortWrites,
    SilentWrites,
    StreamedFile,
)
from tests.keyrings_for_tests import ALL_SUITES, UNSIGNED_SUITES, raw_aes, writing_client

pytestmark = pytest.mark.smoke

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
contexts = st.dictionaries(texts.filter(lambda name: name and not name.startswith("aws-crypto-")), texts, max_size=4)
plaintexts = st.binary(max_size=120)
frame_lengths = st.integers(1, 50) | st.sampled_from([None, 4096])
sizes = st.lists(st.integers(1, 70), min_size=1, max_size=8)
sources = st.sampled_from([ShortReads, ShortReadsByRead, ShortReadsByReadinto1])


def _client(suite_id: int) -> Client:
    return writing_client(suite_id, raw_aes())


def _pieces(data: bytes, sizes: Iterable[int]) -> Iterator[bytes]:
    """The data in pieces of these sizes, again and again until it ends."""
    position = 0
    for size in cycle(sizes):
        if position >= len(data):
            return
        yield data[position : position + size]
        position += size


@given(plaintexts, st.sampled_from(ALL_SUITES), frame_lengths, contexts, st.data())
def test_what_was_encrypted_is_what_is_decrypted(
    plaintext: bytes, suite_id: int, frame_length: int | None, context: dict[str, str], data: st.DataObject
) -> None:
    client = _client(suite_id)
    unstored = data.draw(st.sets(st.sampled_from(sorted(context)))) if context else set()
    message = client.encrypt(
        plaintext,
        context,
        suite=Suite(suite_id),
        frame_length_bytes=frame_length,
        unstored_context_keys=unstored,
    )
    needed = {name: context[name] for name in unstored}
    assert client.decrypt(message, needed) == plaintext
    opened = client.decrypt_message(message, context)
    assert opened.plaintext == plaintext
    assert {**opened.encryption_context, **context} == opened.encryption_context
    assert opened.suite is Suite(suite_id)
    with client.decrypting_reader(StreamedFile(message), needed) as reader:
        assert reader.read() == plaintext
        assert reader.encryption_context == opened.encryption_context
        assert reader.suite is Suite(suite_id)
    said = describe(message)
    assert (said.message_bytes, said.plaintext_bytes) == (len(message), len(plaintext))
    assert not unstored & set(said.encryption_context)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_every_kind_of_bytes_is_encrypted_and_decrypted(kind: Any) -> None:
    client = _client(0x0478)
    for size in (0, 1, 8, 9, 100):
        message = client.encrypt(kind(bytes(size)), frame_length_bytes=8)
        assert client.decrypt(kind(message)) == bytes(size)


@given(plaintexts, st.sampled_from(ALL_SUITES), frame_lengths, sizes)
@example(b"x" * 48, 0x0578, 8, [8])
@example(b"x" * 48, 0x0478, 8, [16, 1, 7])
@example(b"", 0x0378, None, [1])
def test_any_split_of_the_writes_gives_the_same_message_length_and_plaintext(
    plaintext: bytes, suite_id: int, frame_length: int | None, split: list[int]
) -> None:
    client = _client(suite_id)
    options: dict[str, Any] = {"suite": Suite(suite_id), "frame_length_bytes": frame_length}
    out = io.BytesIO()
    with client.encrypting_writer(out, {"a": "b"}, **options) as writer:
        assert writer.writable()
        for piece in _pieces(plaintext, split):
            assert writer.write(piece) == len(piece)
            assert writer.write(b"") == 0
    message = out.getvalue()
    assert client.decrypt(message) == plaintext
    assert message.startswith(writer.header.body + writer.header.auth)
    assert len(message) == len(client.encrypt(plaintext, {"a": "b"}, **options))


@given(plaintexts, st.sampled_from(ALL_SUITES), frame_lengths, sizes, sources, st.integers(1, 40))
@example(b"x" * 48, 0x0578, 8, [8], ShortReads, 40)
def test_any_split_of_the_reads_and_the_writes_of_a_stream_gives_the_same(
    plaintext: bytes, suite_id: int, frame_length: int | None, split: list[int], source: Any, most: int
) -> None:
    client = _client(suite_id)
    options: dict[str, Any] = {"suite": Suite(suite_id), "frame_length_bytes": frame_length}
    sealed: Any = ShortWrites(most)
    header = client.encrypt_stream(source(plaintext, cycle(split)), sealed, {"a": "b"}, **options)
    message = bytes(sealed.taken)
    assert client.decrypt(message) == plaintext
    assert message.startswith(header.body + header.auth)
    assert len(message) == len(client.encrypt(plaintext, {"a": "b"}, **options))

    opened: Any = ShortWrites(most)
    silent: Any = SilentWrites()
    result = client.decrypt_stream(source(message, cycle(split)), opened, {"a": "b"})
    client.decrypt_stream(source(message, cycle(split)), silent, release_plaintext_before_signature=True)
    assert bytes(opened.taken) == bytes(silent.taken) == plaintext
    assert result.suite is Suite(suite_id)
    assert result.encryption_context["a"] == "b"
    assert result.unwrapped_by.key_name == "key"


steps = st.tuples(st.sampled_from(["read", "read1", "readinto", "readinto1", "next"]), st.integers(0, 60))


@given(
    plaintexts, st.sampled_from(ALL_SUITES), frame_lengths, st.lists(steps, max_size=12), sizes, sources, st.booleans()
)
@example(b"x" * 48, 0x0478, 8, [("read", 3), ("readinto1", 60), ("next", 0)], [1], ShortReads, False)
@example(b"x" * 48, 0x0478, 8, [("readinto", 60), ("read", 1)], [300], ShortReads, False)
def test_any_sequence_of_reads_gives_the_plaintext(
    plaintext: bytes,
    suite_id: int,
    frame_length: int | None,
    reads: list[tuple[str, int]],
    split: list[int],
    source: Any,
    early: bool,
) -> None:
    client = _client(suite_id)
    message = client.encrypt(plaintext, suite=Suite(suite_id), frame_length_bytes=frame_length)
    reader = client.decrypting_reader(source(message, cycle(split)), release_plaintext_before_signature=early)
    assert reader.readable()
    received = b""
    for way, size in reads:
        left = len(plaintext) - len(received)
        piece = _read(reader, way, size)
        received += piece
        if way == "next":
            assert piece or not left
        else:
            assert len(piece) <= size
            assert len(piece) == min(size, left) or way in ("read1", "readinto1")
            assert piece or not left or not size
    assert received + reader.read() == plaintext
    assert reader.read() == reader.read(5) == reader.read1() == b""
    assert reader.readinto(bytearray(5)) == reader.readinto1(bytearray(5)) == 0
    reader.close()
    assert reader.closed


def _read(reader: Any, way: str, size: int) -> bytes:
    if way == "next":
        return next(reader, b"")
    if way.startswith("readinto"):
        buffer = bytearray(b"?" * size)
        count = getattr(reader, way)(buffer)
        assert buffer[count:] == b"?" * (size - count)
        return bytes(buffer[:count])
    data = getattr(reader, way)(size)
    assert isinstance(data, bytes)
    return data


@given(
    plaintexts,
    st.sampled_from(UNSIGNED_SUITES),
    frame_lengths,
    st.integers(0, 130),
    st.integers(0, 130),
    st.integers(0, 9),
)
@example(b"x" * 16, 0x0478, 8, 8, 8, 0)
@example(b"x" * 16, 0x0478, 8, 7, 2, 0)
def test_a_range_is_a_slice_of_the_plaintext(
    plaintext: bytes, suite_id: int, frame_length: int | None, start: int, length: int, before: int
) -> None:
    client = _client(suite_id)
    message = client.encrypt(plaintext, {"a": "b"}, suite=Suite(suite_id), frame_length_bytes=frame_length)
    source = io.BytesIO(bytes(before) + message)
    source.seek(before)
    assert client.open_range(source, start, length, {"a": "b"}) == plaintext[start : start + length]
    assert source.tell() == before


def test_iteration_gives_a_frame_at_a_time() -> None:
    client = _client(0x0478)
    message = client.encrypt(b"frame 1.frame 2.end", frame_length_bytes=8)
    assert list(client.decrypting_reader(StreamedFile(message))) == [b"frame 1.", b"frame 2.", b"end"]


@pytest.mark.parametrize("suite_id", ALL_SUITES)
def test_a_message_of_several_batches_and_a_last_full_frame_comes_through(suite_id: int) -> None:
    client = _client(suite_id)
    plaintext = bytes(range(256)) * (10 * 1024)  # 2.5 MiB: more than two batches, in frames of 64 KiB
    sealed, opened = io.BytesIO(), io.BytesIO()
    client.encrypt_stream(StreamedFile(plaintext), sealed, suite=Suite(suite_id), frame_length_bytes=65_536)
    assert describe(sealed.getvalue()).frames == 40
    sealed.seek(0)
    client.decrypt_stream(sealed, opened)
    assert opened.getvalue() == plaintext
    assert client.decrypt(sealed.getvalue()) == plaintext


@pytest.mark.parametrize(("suite_id", "messages", "signature_bytes"), [(0x0214, 5000, 71), (0x0578, 500, 103)])
def test_the_length_of_a_signed_message_is_known_before(suite_id: int, messages: int, signature_bytes: int) -> None:
    """Once in 256 signatures an integer is a byte shorter, whichever of s and n - s is taken."""
    client = _client(suite_id)
    sealed = [client.encrypt(b"", suite=Suite(suite_id)) for _ in range(messages)]
    assert len({len(message) for message in sealed}) == 1
    assert describe(sealed[0]).footer_bytes == 2 + signature_bytes
