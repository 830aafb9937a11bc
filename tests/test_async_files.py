"""AsyncClient with binary files: in worker threads, one at a time, and none after a cancellation."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import io
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from envelope import (
    AsyncClient,
    AsyncDecryptingReader,
    AsyncEncryptingWriter,
    DataKeyCache,
    InvalidArgument,
    KeyUnavailable,
    MessageRefused,
    NotAuthentic,
    PolicyRefused,
    StreamFailed,
    Suite,
    TruncatedMessage,
)
from envelope.aio.worker import Lane, entered, to_its_end
from tests.async_for_tests import counting_executor, open_async_client, run, until
from tests.file_objects_for_tests import ShortReads, ShortWrites
from tests.keyrings_for_tests import Refuses, open_client, raw_aes
from tests.slow_keyring import SlowKeyring

MIB = 1024 * 1024
SIGNED = Suite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384
CONTEXT = {"tenant": "42"}
PLAINTEXT = bytes(range(256)) * 4_000

each_suite = pytest.mark.parametrize("suite", [None, SIGNED], ids=["unsigned", "signed"])


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class Gated:
    """A file whose calls wait until a test lets them go on; it counts those that began."""

    def __init__(self, data: bytes = b"") -> None:
        self.file = io.BytesIO(data)
        self.gate = threading.Event()
        self.begun = 0
        self.open_calls = 0

    def _wait(self) -> None:
        self.begun += 1
        if self.begun > self.open_calls:
            self.gate.wait()

    def readinto(self, view: memoryview) -> int:
        self._wait()
        return self.file.readinto(view)

    def write(self, view: memoryview) -> int:
        self._wait()
        return self.file.write(view)


@each_suite
def test_a_writer_and_a_reader_agree_with_the_sync_client(suite: Suite | None) -> None:
    async def there_and_back() -> None:
        client, file = open_async_client(raw_aes()), io.BytesIO()
        async with client.encrypting_writer(file, CONTEXT, suite=suite, frame_length_bytes=1_000) as writer:
            assert isinstance(writer, AsyncEncryptingWriter)
            assert await writer.write(PLAINTEXT[:10]) == 10
            assert await writer.write(b"") == 0
            for start in range(10, len(PLAINTEXT), 777):
                await writer.write(bytearray(PLAINTEXT[start : start + 777]))
        assert open_client(raw_aes()).decrypt_message(file.getvalue()).header == writer.header
        assert open_client(raw_aes()).decrypt(file.getvalue(), CONTEXT) == PLAINTEXT
        file.seek(0)
        async with client.decrypting_reader(file, CONTEXT) as reader:
            assert isinstance(reader, AsyncDecryptingReader)
            assert await reader.read(0) == b""
            assert await reader.read(10) == PLAINTEXT[:10]
            assert await reader.read(2_500) == PLAINTEXT[10:2_510]
            piece = await anext(reader)  # the rest of a frame, or of a signed message frames together
            assert len(piece) >= 490
            assert PLAINTEXT.startswith(piece, 2_510)
            assert await reader.read() == PLAINTEXT[2_510 + len(piece) :]
            assert await reader.read(5) == b""
            assert [chunk async for chunk in reader] == []
        assert (reader.header, reader.suite) == (writer.header, writer.header.suite)
        assert reader.encryption_context.items() >= CONTEXT.items()
        assert reader.unwrapped_by == open_client(raw_aes()).decrypt_message(file.getvalue()).unwrapped_by
        assert not file.closed

    run(there_and_back())


def test_a_reader_gives_a_frame_at_a_time() -> None:
    async def read() -> None:
        message = open_client(raw_aes()).encrypt(PLAINTEXT, frame_length_bytes=300_000)
        async with open_async_client(raw_aes()).decrypting_reader(io.BytesIO(message)) as reader:
            assert [len(chunk) async for chunk in reader] == [300_000, 300_000, 300_000, 124_000]

    run(read())


def test_the_name_of_a_file_is_known(tmp_path: Path) -> None:
    async def there_and_back() -> None:
        client, path = open_async_client(raw_aes()), tmp_path / "message"
        with path.open("wb") as file:
            async with client.encrypting_writer(file) as writer:
                assert writer.name == str(path)
        with path.open("rb") as file:
            async with client.decrypting_reader(file) as reader:
                assert reader.name == str(path)

    run(there_and_back())


def test_what_fits_a_frame_does_not_leave_the_event_loop() -> None:
    async def count() -> None:
        client, file = open_async_client(DataKeyCache(raw_aes())), io.BytesIO()
        async with client.encrypting_writer(file, frame_length_bytes=1_000) as writer:
            executor = counting_executor()
            for _ in range(100):
                await writer.write(b"ten bytes.")
            assert executor.calls == 0
            await writer.write(b"x")
            assert executor.calls == 1
        assert executor.calls == 2
        file.seek(0)
        async with client.decrypting_reader(file) as reader:
            before = executor.calls
            for _ in range(100):
                assert await reader.read(10) == b"ten bytes."
            assert executor.calls == before + 1

    run(count())


def test_a_block_that_fails_leaves_no_message() -> None:
    async def fail() -> None:
        client, file, writers = open_async_client(raw_aes()), io.BytesIO(), []

        async def write() -> None:
            async with client.encrypting_writer(file) as writer:
                writers.append(writer)
                await writer.write(PLAINTEXT)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await write()
        with pytest.raises(TruncatedMessage):
            await client.decrypt(file.getvalue())
        with pytest.raises(InvalidArgument, match="the writer is closed"):
            await writers[0].write(b"x")

    run(fail())


def test_the_end_of_the_block_verifies_what_was_not_read_and_an_exception_does_not() -> None:
    message = open_client(raw_aes()).encrypt(PLAINTEXT)[:-1]
    readers: list[AsyncDecryptingReader] = []

    async def fail(client: AsyncClient) -> None:
        async with client.decrypting_reader(io.BytesIO(message)) as reader:
            readers.append(reader)
            raise ZeroDivisionError

    async def leave() -> None:
        client = open_async_client(raw_aes())
        with pytest.raises(TruncatedMessage):
            async with client.decrypting_reader(io.BytesIO(message)) as reader:
                assert await reader.read(1) == PLAINTEXT[:1]
        with pytest.raises(InvalidArgument, match="the reader is closed"):
            await reader.read(1)
        with pytest.raises(ZeroDivisionError):
            await fail(client)
        with pytest.raises(InvalidArgument, match="the reader is closed"):
            await readers[0].read(1)

    run(leave())


def test_a_failed_reader_fails_again() -> None:
    message = open_client(raw_aes()).encrypt(PLAINTEXT, frame_length_bytes=1_000)

    async def leave() -> None:
        client = open_async_client(raw_aes())
        async with contextlib.AsyncExitStack() as stack:
            reader = await stack.enter_async_context(client.decrypting_reader(io.BytesIO(message[:5_000])))
            for _ in range(2):
                with pytest.raises(TruncatedMessage):
                    await reader.read()
            stack.pop_all()

    run(leave())


@pytest.mark.parametrize("length", [3, 5])
def test_a_promised_length_is_kept(length: int) -> None:
    async def promise() -> None:
        client = open_async_client(raw_aes())
        with pytest.raises(InvalidArgument, match=f"length promised {length} bytes"):
            async with client.encrypting_writer(io.BytesIO(), length=length) as writer:
                await writer.write(b"four")

    run(promise())


@each_suite
def test_streams_agree_with_the_sync_client(suite: Suite | None) -> None:
    sync = open_client(raw_aes())

    async def there_and_back() -> None:
        client, sealed, opened = open_async_client(raw_aes()), ShortWrites(100_000), ShortWrites(70_001)
        source: Any = ShortReads(PLAINTEXT, [1, 5, 100_000])
        header = await client.encrypt_stream(source, sealed, CONTEXT, suite=suite)  # type: ignore[arg-type]  # enough
        assert sync.decrypt_message(bytes(sealed.taken)).header == header
        assert sync.decrypt(bytes(sealed.taken), CONTEXT) == PLAINTEXT
        source = ShortReads(bytes(sealed.taken), [1, 5, 100_000])
        verified = await client.decrypt_stream(source, opened, CONTEXT)  # type: ignore[arg-type]  # enough
        assert bytes(opened.taken) == PLAINTEXT
        assert verified == sync.decrypt_stream(io.BytesIO(sealed.taken), io.BytesIO(), CONTEXT)

    run(there_and_back())


def test_a_signed_stream_waits_for_its_signature_unless_it_is_asked_for_early() -> None:
    message = open_client(raw_aes()).encrypt(PLAINTEXT, suite=SIGNED, frame_length_bytes=1_000)[:-1]

    async def read(early: bool) -> int:
        client, out = open_async_client(raw_aes()), io.BytesIO()
        with pytest.raises(MessageRefused):
            await client.decrypt_stream(io.BytesIO(message), out, release_plaintext_before_signature=early)
        with pytest.raises(MessageRefused):
            await read_a_frame(client, early)
        return len(out.getvalue())

    async def read_a_frame(client: AsyncClient, early: bool) -> None:
        source = io.BytesIO(message)
        async with client.decrypting_reader(source, release_plaintext_before_signature=early) as reader:
            assert early
            assert await reader.read(1_000) == PLAINTEXT[:1_000]

    assert run(read(early=False)) == 0
    assert run(read(early=True)) == 1_023_000


@each_suite
def test_files_agree_with_the_sync_client(suite: Suite | None, tmp_path: Path) -> None:
    plain, sealed, opened = (tmp_path / name for name in ("plain", "sealed", "opened"))
    plain.write_bytes(PLAINTEXT)

    async def there_and_back() -> None:
        client = open_async_client(DataKeyCache(raw_aes()))
        header = await client.encrypt_file(plain, sealed, CONTEXT, suite=suite, unstored_context_keys=["tenant"])
        assert open_client(raw_aes()).decrypt(sealed.read_bytes(), CONTEXT) == PLAINTEXT
        verified = await client.decrypt_file(sealed, opened, CONTEXT)
        assert verified.header == header
        assert opened.read_bytes() == PLAINTEXT
        assert opened.stat().st_mode & 0o777 == 0o600

    run(there_and_back())
    assert _names(tmp_path) == ["opened", "plain", "sealed"]


def test_a_file_that_fails_leaves_the_target_as_it_was(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(open_client(raw_aes()).encrypt(PLAINTEXT)[:-1])
    target.write_bytes(b"before")

    async def fail() -> None:
        with pytest.raises(TruncatedMessage):
            await open_async_client(raw_aes()).decrypt_file(source, target)
        with pytest.raises(KeyUnavailable):
            await open_async_client(Refuses()).encrypt_file(source, target)
        with pytest.raises(StreamFailed, match="cannot read"):
            await open_async_client(raw_aes()).encrypt_file(tmp_path / "missing", target)

    run(fail())
    assert target.read_bytes() == b"before"
    assert _names(tmp_path) == ["source", "target"]


def test_a_range_is_opened_and_the_file_stands_where_it_stood() -> None:
    message = open_client(raw_aes()).encrypt(PLAINTEXT, CONTEXT, frame_length_bytes=1_000)

    async def open_some() -> None:
        client, file = open_async_client(DataKeyCache(raw_aes())), io.BytesIO(b"before" + message)
        file.seek(6)
        assert await client.open_range(file, 2_500, 3_000, CONTEXT) == PLAINTEXT[2_500:5_500]
        assert file.tell() == 6
        with pytest.raises(MessageRefused):
            await client.open_range(file, 0, 1, {"tenant": "43"})
        assert file.tell() == 6
        signed = open_client(raw_aes()).encrypt(b"x", suite=SIGNED)
        with pytest.raises(PolicyRefused):
            await client.open_range(io.BytesIO(signed), 0, 1)

    run(open_some())


def test_a_changed_file_does_not_open() -> None:
    changed = bytearray(open_client(raw_aes()).encrypt(PLAINTEXT))
    changed[-1] ^= 1

    async def fail() -> None:
        client = open_async_client(raw_aes())
        with pytest.raises(NotAuthentic):
            await client.decrypt_stream(io.BytesIO(changed), io.BytesIO())
        with pytest.raises(NotAuthentic):
            await client.open_range(io.BytesIO(changed), 0, 1)

    run(fail())


class AwaitedFile:
    """A file for tasks."""

    async def read(self, size: int = -1) -> bytes:
        raise AssertionError("never read")

    async def write(self, data: bytes) -> int:
        raise AssertionError("never written")


class WriterForTasks(asyncio.StreamWriter):
    """One without a connection."""

    def __init__(self) -> None:
        """Take none of what the inherited one takes."""

    def __del__(self) -> None:
        """There is nothing to close."""


def test_a_file_for_tasks_is_refused() -> None:
    async def refuse(file: Any) -> None:
        client = open_async_client(raw_aes())
        for attempt in (
            client.encrypting_writer(file).__aenter__(),
            client.decrypting_reader(file).__aenter__(),
            client.encrypt_stream(file, io.BytesIO()),
            client.encrypt_stream(io.BytesIO(), file),
            client.decrypt_stream(file, io.BytesIO()),
            client.decrypt_stream(io.BytesIO(), file),
            client.open_range(file, 0, 1),
        ):
            with pytest.raises(InvalidArgument, match="must be a blocking binary file") as caught:
                await attempt
            assert "encrypt_chunks" in caught.value.hint

    async def refuse_all() -> None:
        await refuse(AwaitedFile())
        await refuse(asyncio.StreamReader())
        await refuse(WriterForTasks())

    run(refuse_all())


def test_a_cancelled_copy_stops_at_its_next_read_or_write() -> None:
    async def cancel() -> None:
        client, source, out = open_async_client(raw_aes()), Gated(bytes(20 * MIB)), io.BytesIO()
        task = asyncio.create_task(client.encrypt_stream(source, out))  # type: ignore[arg-type]  # enough
        await until(lambda: source.begun)
        written = out.getvalue()
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done(), "it waits for the thread"
        task.cancel()
        source.gate.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (source.begun, out.getvalue()) == (1, written)

    run(cancel())


def test_a_cancelled_write_leaves_a_message_that_cannot_be_finished() -> None:
    async def write(client: AsyncClient, file: Gated) -> None:
        async with client.encrypting_writer(file) as writer:  # type: ignore[arg-type]  # enough
            task = asyncio.create_task(writer.write(bytes(MIB)))
            await until(lambda: file.begun == 2)
            with pytest.raises(InvalidArgument, match="another task is using this now"):
                await writer.write(b"x")
            task.cancel()
            file.gate.set()
            with pytest.raises(asyncio.CancelledError):
                await task
            with pytest.raises(StreamFailed):
                await writer.write(b"x")

    async def cancel() -> None:
        client, file = open_async_client(raw_aes()), Gated()
        file.open_calls = 1  # the header
        with pytest.raises(StreamFailed, match="a task was cancelled while it read or wrote this"):
            await write(client, file)
        with pytest.raises(TruncatedMessage):
            await client.decrypt(file.file.getvalue())

    run(cancel())


def test_a_cancelled_read_leaves_a_reader_that_cannot_go_on() -> None:
    message = open_client(raw_aes()).encrypt(bytes(5 * MIB))

    async def read(client: AsyncClient, file: Gated) -> None:
        async with client.decrypting_reader(file) as reader:  # type: ignore[arg-type]  # enough
            task = asyncio.create_task(reader.read())
            await until(lambda: file.begun == 2)
            with pytest.raises(InvalidArgument, match="another task is using this now"):
                await reader.read(1)
            task.cancel()
            file.gate.set()
            with pytest.raises(asyncio.CancelledError):
                await task
            with pytest.raises(StreamFailed):
                await reader.read(1)

    async def cancel() -> None:
        client, file = open_async_client(raw_aes()), Gated(message)
        file.open_calls = 1  # the header
        with pytest.raises(StreamFailed, match="a task was cancelled while it read or wrote this"):
            await read(client, file)

    run(cancel())


def test_a_cancelled_file_leaves_the_target_as_it_was(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(PLAINTEXT)
    target.write_bytes(b"before")

    async def cancel() -> None:
        gate, keyring = threading.Event(), SlowKeyring()
        keyring.before_answer = gate.wait
        task = asyncio.create_task(open_async_client(DataKeyCache(keyring)).encrypt_file(source, target))
        await until(lambda: keyring.wraps)
        assert len(_names(tmp_path)) == 3
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gate.set()

    run(cancel())
    assert target.read_bytes() == b"before"
    assert _names(tmp_path) == ["source", "target"]


def test_what_is_entered_while_the_task_is_cancelled_is_left_again() -> None:
    happened: list[str] = []
    gate = threading.Event()

    @contextlib.contextmanager
    def blocking() -> Iterator[str]:
        happened.append("entering")
        gate.wait()
        try:
            yield "value"
        finally:
            happened.append("left")

    async def enter() -> None:
        async with entered(blocking()):
            raise AssertionError("it was cancelled before")

    async def cancel() -> None:
        task = asyncio.create_task(enter())
        await until(lambda: happened)
        task.cancel()
        await asyncio.sleep(0)
        gate.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(cancel())
    assert happened == ["entering", "left"]


def test_a_thread_that_fails_after_the_cancellation_is_not_reported_to_the_event_loop() -> None:
    reports: list[object] = []
    gate, begun = threading.Event(), threading.Event()

    def fail() -> None:
        begun.set()
        gate.wait()
        raise ValueError("mine")

    async def cancel() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, report: reports.append(report))
        for run_it in (to_its_end, Lane().run):
            task: asyncio.Task[None] = asyncio.create_task(run_it(fail))
            await until(begun.is_set)
            task.cancel()
            await asyncio.sleep(0)
            gate.set()
            with pytest.raises(asyncio.CancelledError):
                await task
            gate.clear()
            begun.clear()
            del task
            gc.collect()

    run(cancel())
    assert reports == []


def test_a_context_variable_is_seen_in_the_worker_thread() -> None:
    request_id = contextvars.ContextVar("request_id", default="none")

    async def look() -> str:
        request_id.set("42")
        return await to_its_end(request_id.get)

    assert run(look()) == "42"
