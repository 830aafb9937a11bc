"""Streams out of a plain `BytesIO`: its bytes are used where they are, and everything else is as with other files."""

from __future__ import annotations

import io
import tracemalloc

import pytest

from envelope import Client, EnvelopeError, StreamFailed, Suite, TruncatedMessage
from tests.async_for_tests import open_async_client, run
from tests.file_objects_for_tests import StreamedFile
from tests.keyrings_for_tests import open_client, raw_aes

FRAME_BYTES = 100
PLAINTEXT = bytes(range(1, 251))
SIZES = [0, 1, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, 2 * FRAME_BYTES, 250]
each_suite = pytest.mark.parametrize("suite", [None, Suite(0x0578)], ids=["unsigned", "signed"])


@pytest.fixture
def client() -> Client:
    return open_client(raw_aes())


def _encrypted(client: Client, source: io.BytesIO, suite: Suite | None = None) -> bytes:
    destination = io.BytesIO()
    client.encrypt_stream(source, destination, suite=suite, frame_length_bytes=FRAME_BYTES)
    return destination.getvalue()


def _decrypted(client: Client, source: io.BytesIO) -> bytes:
    destination = io.BytesIO()
    client.decrypt_stream(source, destination)
    return destination.getvalue()


@each_suite
@pytest.mark.parametrize("size", SIZES)
def test_what_is_shared_reads_as_what_is_streamed(client: Client, suite: Suite | None, size: int) -> None:
    shared = _encrypted(client, io.BytesIO(PLAINTEXT[:size]), suite)
    streamed = _encrypted(client, StreamedFile(PLAINTEXT[:size]), suite)
    assert len(shared) == len(streamed)
    assert _decrypted(client, io.BytesIO(streamed)) == _decrypted(client, StreamedFile(shared)) == PLAINTEXT[:size]
    with client.decrypting_reader(io.BytesIO(streamed)) as reader:
        assert reader.read() == PLAINTEXT[:size]


def test_plaintext_longer_than_a_batch_is_cut_into_whole_batches(client: Client) -> None:
    plaintext = bytes(3 * 512 * 1024 + 7)
    destination = io.BytesIO()
    client.encrypt_stream(io.BytesIO(plaintext), destination, frame_length_bytes=64 * 1024)
    assert client.decrypt(destination.getvalue()) == plaintext


@each_suite
def test_each_cut_and_each_change_is_refused(client: Client, suite: Suite | None) -> None:
    message = client.encrypt(PLAINTEXT, suite=suite, frame_length_bytes=FRAME_BYTES)
    for position in range(len(message)):
        changed = bytearray(message)
        changed[position] ^= 1
        for damaged in (message[:position], bytes(changed)):
            destination = io.BytesIO()
            with pytest.raises(EnvelopeError):
                client.decrypt_stream(io.BytesIO(damaged), destination)
            assert PLAINTEXT.startswith(destination.getvalue())
            assert suite is None or not destination.getvalue()


def test_it_is_read_from_where_it_stands_and_stands_at_its_end(client: Client) -> None:
    source = io.BytesIO(b"before" + PLAINTEXT)
    source.seek(6)
    message = _encrypted(client, source)
    assert (source.tell(), source.read()) == (6 + len(PLAINTEXT), b"")
    source = io.BytesIO(b"before" + message)
    source.seek(6)
    assert _decrypted(client, source) == PLAINTEXT
    assert source.tell() == 6 + len(message)


def test_behind_its_end_there_is_nothing(client: Client) -> None:
    source = io.BytesIO(PLAINTEXT)
    source.seek(1_000)
    assert client.decrypt(_encrypted(client, source)) == b""
    with pytest.raises(TruncatedMessage):
        client.decrypting_reader(source)
    assert source.tell() == 1_000


def test_what_is_written_to_it_meanwhile_does_not_reach_the_reader(client: Client) -> None:
    source = io.BytesIO(client.encrypt(PLAINTEXT, frame_length_bytes=FRAME_BYTES))
    with client.decrypting_reader(source) as reader:
        assert reader.read(50) == PLAINTEXT[:50]
        source.seek(0)
        source.write(bytes(len(source.getvalue())))
        source.truncate(0)
        assert reader.read() == PLAINTEXT[50:]


def test_its_bytes_are_not_copied(client: Client) -> None:
    plaintext = bytes(8 * 1024 * 1024)
    message = client.encrypt(plaintext)
    sink = StreamedSink()
    for convert, data in ((client.encrypt_stream, plaintext), (client.decrypt_stream, message)):
        source = io.BytesIO(data)
        tracemalloc.start()
        try:
            convert(source, sink)  # type: ignore[arg-type]  # it can be written to, which is enough
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 3 * 1024 * 1024
    assert sink.written_bytes > 16 * 1024 * 1024


class StreamedSink:
    """Counts what it is given, and keeps nothing."""

    written_bytes = 0

    def write(self, data: memoryview) -> int:
        self.written_bytes += len(data)
        return len(data)


def test_a_closed_one_is_said_to_be_closed(client: Client) -> None:
    closed = io.BytesIO(PLAINTEXT)
    closed.close()
    for convert in (client.encrypt_stream, client.decrypt_stream):
        with pytest.raises(StreamFailed, match="closed"):
            convert(closed, io.BytesIO())


@each_suite
def test_tasks_read_it_too(suite: Suite | None) -> None:
    async def there_and_back() -> None:
        client, message, plaintext = open_async_client(raw_aes()), io.BytesIO(), io.BytesIO()
        await client.encrypt_stream(io.BytesIO(PLAINTEXT), message, suite=suite, frame_length_bytes=FRAME_BYTES)
        await client.decrypt_stream(io.BytesIO(message.getvalue()), plaintext)
        assert plaintext.getvalue() == PLAINTEXT

    run(there_and_back())
