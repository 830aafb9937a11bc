"""The encrypting writer: a message is finished by `close` and by nothing else."""

from __future__ import annotations

import gc
import io
import json
import shutil
from typing import Any

import pytest

from envelope import Client, EncryptingWriter, EnvelopeError, InvalidArgument, StreamFailed, Suite, TruncatedMessage
from tests.file_objects_for_tests import Answers, ShortWrites, WriteReturns
from tests.keyrings_for_tests import open_client, raw_aes

SUITES = [Suite(0x0478), Suite(0x0578)]
each_suite = pytest.mark.parametrize("suite", SUITES, ids=["unsigned", "signed"])


@pytest.fixture
def client() -> Client:
    return open_client(raw_aes())


def _is_no_message(client: Client, written: bytes) -> bool:
    """Whether every way to open refuses the bytes, as the beginning of a message."""
    for attempt in (
        lambda: client.decrypt(written),
        lambda: client.decrypting_reader(io.BytesIO(written)).read(),
        lambda: client.decrypt_stream(io.BytesIO(written), io.BytesIO()),
    ):
        with pytest.raises(TruncatedMessage):
            attempt()
    return True


@each_suite
def test_closing_finishes_the_message_and_leaves_the_file_open(client: Client, suite: Suite) -> None:
    out = io.BytesIO()
    writer = client.encrypting_writer(out, {"a": "b"}, suite=suite)
    assert isinstance(writer, EncryptingWriter)
    writer.write(b"plaintext")
    writer.flush()
    writer.close()
    assert writer.closed
    message = out.getvalue()
    assert client.decrypt(message, {"a": "b"}) == b"plaintext"
    writer.close()
    assert out.getvalue() == message


def test_the_header_is_written_first_and_full_frames_do_not_wait_for_the_end(client: Client) -> None:
    out = io.BytesIO()
    writer = client.encrypting_writer(out, frame_length_bytes=8)
    header = writer.header.body + writer.header.auth
    assert out.getvalue() == header
    writer.write(b"frame 1.")
    assert out.getvalue() == header, "the frame may be the last one, which looks different"
    writer.write(b"f")
    assert len(out.getvalue()) == len(header) + 8 + 32
    writer.close()


def test_a_writer_takes_every_kind_of_bytes(client: Client) -> None:
    out = io.BytesIO()
    with client.encrypting_writer(out) as writer:
        for piece in (b"bytes ", bytearray(b"bytearray "), memoryview(b"memoryview "), memoryview(b"--x--")[2:3]):
            assert writer.write(piece) == len(piece)
    assert client.decrypt(out.getvalue()) == b"bytes bytearray memoryview x"


@pytest.mark.parametrize("data", ["text", None, 1, [1], object(), memoryview(b"abcd")[::2]])
def test_what_is_no_bytes_is_refused_and_the_message_can_go_on(client: Client, data: Any) -> None:
    out = io.BytesIO()
    with client.encrypting_writer(out) as writer:
        writer.write(b"before ")
        with pytest.raises(InvalidArgument, match="must be bytes"):
            writer.write(data)
        writer.write(b"after")
    assert client.decrypt(out.getvalue()) == b"before after"


def test_the_callers_buffer_can_be_used_again_at_once(client: Client) -> None:
    out, buffer = io.BytesIO(), bytearray(20)
    with client.encrypting_writer(out, frame_length_bytes=8) as writer:
        for letter in b"abc":
            buffer[:] = bytes([letter]) * len(buffer)
            writer.write(buffer)
            buffer.append(0)
            del buffer[-1]
    assert client.decrypt(out.getvalue()) == b"a" * 20 + b"b" * 20 + b"c" * 20


@each_suite
@pytest.mark.parametrize("plaintext", [b"", b"x", b"full fr.", b"full fr.and more"])
def test_an_exception_in_the_block_finishes_nothing_and_is_not_masked(
    client: Client, suite: Suite, plaintext: bytes
) -> None:
    out = io.BytesIO()
    error = LookupError("of the caller")
    writer = client.encrypting_writer(out, length=100, suite=suite, frame_length_bytes=8)
    writer.write(plaintext)
    with pytest.raises(LookupError) as caught, writer:
        raise error
    assert caught.value is error
    assert caught.value.__context__ is None
    assert writer.closed
    assert _is_no_message(client, out.getvalue())


@each_suite
def test_an_aborted_message_is_not_finished(client: Client, suite: Suite) -> None:
    out = io.BytesIO()
    writer = client.encrypting_writer(out, suite=suite, frame_length_bytes=8)
    writer.write(b"x" * 20)
    writer.abort()
    assert writer.closed
    for attempt in (writer.close, writer.abort):
        attempt()
    with pytest.raises(InvalidArgument, match="closed"):
        writer.write(b"x")
    assert _is_no_message(client, out.getvalue())


@each_suite
def test_an_abandoned_message_is_not_finished(client: Client, suite: Suite) -> None:
    out = io.BytesIO()
    writer = client.encrypting_writer(out, suite=suite, frame_length_bytes=8)
    writer.write(b"x" * 20)
    del writer
    gc.collect()
    assert _is_no_message(client, out.getvalue())
    assert not out.closed


def test_nothing_can_be_written_behind_the_end(client: Client) -> None:
    out = io.BytesIO()
    writer = client.encrypting_writer(out)
    writer.close()
    message = out.getvalue()
    with pytest.raises(InvalidArgument, match="closed"):
        writer.write(b"x")
    assert out.getvalue() == message


@pytest.mark.parametrize("length", [0, 1, 9, 100])
def test_the_promised_length_is_kept(client: Client, length: int) -> None:
    out = io.BytesIO()
    with client.encrypting_writer(out, length=length, frame_length_bytes=8) as writer:
        for _ in range(length):
            writer.write(b"x")
    assert client.decrypt(out.getvalue()) == b"x" * length


@each_suite
@pytest.mark.parametrize("written", [0, 8, 9])
def test_less_than_the_promised_length_is_no_message(client: Client, written: int, suite: Suite) -> None:
    out = io.BytesIO()
    writer = client.encrypting_writer(out, {"a": "b"}, 10, suite=suite, frame_length_bytes=8)
    with pytest.raises(InvalidArgument, match=f"promised 10 bytes, and {written} were written"), writer:
        writer.write(b"x" * written)
    assert _is_no_message(client, out.getvalue())
    writer.close()
    assert _is_no_message(client, out.getvalue())


@each_suite
def test_more_than_the_promised_length_is_no_message(client: Client, suite: Suite) -> None:
    out = io.BytesIO()
    writer = client.encrypting_writer(out, length=10, suite=suite)
    writer.write(b"x" * 10)
    with pytest.raises(InvalidArgument, match="promised 10 bytes, and 11 were written"):
        writer.write(b"x")
    with pytest.raises(EnvelopeError):
        writer.close()
    assert _is_no_message(client, out.getvalue())


@pytest.mark.parametrize("length", [-1, 2**63, "10", 1.0, True, b"10", pytest.param(10**5000, id="huge")])
def test_a_length_that_is_none_is_refused(client: Client, length: Any) -> None:
    out = io.BytesIO()
    with pytest.raises(InvalidArgument, match="length must be"):
        client.encrypting_writer(out, length=length)
    assert out.getvalue() == b""


@each_suite
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ValueError("I/O operation on closed file")])
def test_a_failed_write_ends_the_message(client: Client, suite: Suite, error: Exception) -> None:
    out = WriteReturns(error, after_bytes=1_000)
    writer = client.encrypting_writer(out, suite=suite, frame_length_bytes=65_536)  # type: ignore[arg-type]
    with pytest.raises(StreamFailed, match="cannot write") as caught:
        writer.write(bytes(3_000_000))
    assert caught.value.__cause__ is error
    with pytest.raises(InvalidArgument, match="earlier write failed"):
        writer.write(b"x")
    writer.abort()
    assert _is_no_message(client, bytes(out.taken))


@each_suite
def test_a_failed_write_that_the_caller_has_swallowed_is_told_again_on_close(client: Client, suite: Suite) -> None:
    """Else the end of the block would say that there is a message."""
    out: Any = Answers(None, OSError(28, "No space left on device"))
    writer = client.encrypting_writer(out, suite=suite, frame_length_bytes=65_536)
    with pytest.raises(StreamFailed):
        writer.write(bytes(3_000_000))
    with pytest.raises(EnvelopeError):
        writer.close()
    assert writer.closed
    assert _is_no_message(client, bytes(out.taken))


def test_a_file_that_does_not_take_the_header_makes_no_writer(client: Client) -> None:
    with pytest.raises(StreamFailed, match="cannot write"):
        client.encrypting_writer(WriteReturns(OSError(5, "I/O error")))  # type: ignore[arg-type]
    gc.collect()


@each_suite
def test_a_file_that_does_not_take_the_last_frame_fails_the_close(client: Client, suite: Suite) -> None:
    out = WriteReturns(OSError(28, "No space left on device"), after_bytes=1)
    writer = client.encrypting_writer(out, suite=suite)  # type: ignore[arg-type]
    writer.write(b"x")
    with pytest.raises(StreamFailed):
        writer.close()
    writer.abort()
    assert writer.closed
    assert _is_no_message(client, bytes(out.taken))


def test_an_interrupt_in_a_write_ends_the_message(client: Client) -> None:
    out = WriteReturns(KeyboardInterrupt(), after_bytes=1_000)
    writer = client.encrypting_writer(out, frame_length_bytes=65_536)  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt), writer:
        writer.write(bytes(3_000_000))
    assert writer.closed
    assert _is_no_message(client, bytes(out.taken))


def test_copyfileobj_and_text_wrappers_write_to_it(client: Client) -> None:
    out = ShortWrites(1_000)
    with client.encrypting_writer(out, frame_length_bytes=512) as writer:  # type: ignore[arg-type]
        shutil.copyfileobj(io.BytesIO(bytes(100_000)), writer)
    assert client.decrypt(bytes(out.taken)) == bytes(100_000)

    sealed = io.BytesIO()
    binary: Any = client.encrypting_writer(sealed)
    with io.TextIOWrapper(binary, "utf-8", newline="\n") as text:
        json.dump({"ä": [1, 2]}, text, ensure_ascii=False)
        print(file=text)
    assert client.decrypt(sealed.getvalue()) == '{"ä": [1, 2]}\n'.encode()


def test_a_writer_only_writes(client: Client) -> None:
    writer = client.encrypting_writer(io.BytesIO())
    assert (writer.writable(), writer.readable(), writer.seekable()) == (True, False, False)
    for attempt in (writer.read, writer.tell, writer.detach, writer.fileno):
        with pytest.raises(OSError, match=r"."):
            attempt()
    writer.abort()


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("sizes", [[100], [100, 100], [100, 1, 100, 99], [250, 50, 100], [100, 0, 100]])
def test_writes_of_whole_frames_are_what_they_were_when_they_were_written(kind: Any, sizes: list[int]) -> None:
    client, file, plaintext = open_client(raw_aes()), io.BytesIO(), b""
    with client.encrypting_writer(file, frame_length_bytes=100) as writer:
        for number, size in enumerate(sizes):
            data = bytes([number + 1]) * size
            written = kind(data)
            writer.write(written)
            plaintext += data
            if kind is bytearray:
                written[:] = bytes(size)  # it is the caller's again
    assert client.decrypt(file.getvalue()) == plaintext
