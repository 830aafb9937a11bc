"""Messages and plaintext as chunks out of and into asynchronous iterators."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envelope import (
    DataKeyCache,
    EnvelopeError,
    InvalidArgument,
    LimitExceeded,
    MalformedMessage,
    MessageRefused,
    NotAuthentic,
    PolicyRefused,
    StreamFailed,
    Suite,
    TruncatedMessage,
)
from tests.async_for_tests import (
    Pulled,
    counting_executor,
    cut,
    gathered,
    generated,
    joined,
    open_async_client,
    run,
    until,
)
from tests.crafted_messages import Crafted
from tests.keyrings_for_tests import open_client, raw_aes
from tests.slow_keyring import SlowKeyring

MIB = 1024 * 1024
SIGNED = Suite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384
CONTEXT = {"tenant": "42"}
PLAINTEXT = b"plaintext of five frames of eight bytes."

each_suite = pytest.mark.parametrize("suite", [None, SIGNED], ids=["unsigned", "signed"])


@st.composite
def pieces(draw: st.DrawFn, data: st.SearchStrategy[bytes]) -> list[bytes]:
    """Data cut anywhere, with empty pieces in between."""
    whole = draw(data)
    cuts = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    return [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]


@given(
    chunks=pieces(st.binary(max_size=60)),
    frame_length=st.integers(1, 20),
    message_cuts=st.lists(st.floats(0, 1), max_size=6),
    suite=st.sampled_from([None, SIGNED]),
    early=st.booleans(),
)
def test_chunks_cut_anywhere_are_the_same_message_and_plaintext(
    chunks: list[bytes], frame_length: int, message_cuts: list[float], suite: Suite | None, early: bool
) -> None:
    sync, client = open_client(raw_aes()), open_async_client(raw_aes())

    async def there_and_back() -> None:
        sealing = client.encrypt_chunks(generated(chunks), CONTEXT, suite=suite, frame_length_bytes=frame_length)
        message = await joined(sealing)
        assert sync.decrypt(message, CONTEXT) == b"".join(chunks)
        cuts = sorted(int(cut * len(message)) for cut in message_cuts)
        parts = [message[start:end] for start, end in zip([0, *cuts], [*cuts, len(message)], strict=True)]
        opening = client.decrypt_chunks(generated(parts), CONTEXT, release_plaintext_before_signature=early)
        assert await joined(opening) == b"".join(chunks)

    asyncio.run(there_and_back())


@each_suite
def test_a_message_of_the_sync_client_opens_cut_at_every_boundary(suite: Suite | None) -> None:
    message = open_client(raw_aes()).encrypt(PLAINTEXT, CONTEXT, suite=suite, frame_length_bytes=8)

    async def open_all() -> None:
        client = open_async_client(DataKeyCache(raw_aes()))
        for place in range(len(message) + 1):
            assert await joined(client.decrypt_chunks([message[:place], message[place:]])) == PLAINTEXT
        assert await joined(client.decrypt_chunks(cut(message, 1))) == PLAINTEXT

    run(open_all())


def test_chunks_are_anything_with_bytes_in_it() -> None:
    client = open_async_client(raw_aes())

    async def several_kinds() -> None:
        chunks = [b"a", bytearray(b"b"), memoryview(b"c"), b"", memoryview(bytearray(b"d"))]
        kinds: list[Any] = [chunks, tuple(chunks), iter(chunks), generated(chunks), Pulled(chunks)]
        for kind in kinds:
            message = await joined(client.encrypt_chunks(kind))
            assert await joined(client.decrypt_chunks([bytearray(message)])) == b"abcd"

    run(several_kinds())


@each_suite
def test_no_chunks_are_the_message_of_no_bytes(suite: Suite | None) -> None:
    client = open_async_client(raw_aes())

    async def nothing() -> None:
        message = await joined(client.encrypt_chunks([], suite=suite))
        assert open_client(raw_aes()).decrypt(message) == b""
        assert [chunk async for chunk in client.decrypt_chunks([message])] == []

    run(nothing())


def test_a_message_without_frames_opens() -> None:
    crafted = Crafted(suite_id=0x0478, content_type=1)

    async def open_it() -> None:
        client = open_async_client()
        assert await joined(client.decrypt_chunks(cut(crafted.serialize(), 11))) == crafted.plaintext

    run(open_it())


@each_suite
@pytest.mark.parametrize("early", [False, True])
def test_a_message_cut_anywhere_is_truncated_and_its_last_frame_is_not_given(suite: Suite | None, early: bool) -> None:
    message = open_client(raw_aes()).encrypt(PLAINTEXT, suite=suite, frame_length_bytes=8)
    released: set[bytes] = set()

    async def open_all() -> None:
        client = open_async_client(DataKeyCache(raw_aes()))
        for place in range(len(message)):
            parts: list[bytes] = []
            with pytest.raises(TruncatedMessage):
                await gathered(
                    client.decrypt_chunks([message[:place]], release_plaintext_before_signature=early), parts
                )
            released.add(b"".join(parts))

    run(open_all())
    is_held_back = suite is not None and not early
    assert released == ({b""} if is_held_back else {PLAINTEXT[:end] for end in (0, 8, 16, 24, 32)})


@each_suite
def test_any_changed_byte_is_refused_and_nothing_wrong_is_given(suite: Suite | None) -> None:
    message = open_client(raw_aes()).encrypt(PLAINTEXT, CONTEXT, suite=suite, frame_length_bytes=8)

    async def open_all() -> None:
        client = open_async_client(DataKeyCache(raw_aes()))
        for place in range(len(message)):
            changed = bytearray(message)
            changed[place] ^= 1
            parts: list[bytes] = []
            with pytest.raises(EnvelopeError):
                await gathered(client.decrypt_chunks([changed], CONTEXT), parts)
            assert PLAINTEXT.startswith(b"".join(parts))
            assert len(b"".join(parts)) < len(PLAINTEXT)
            assert suite is None or parts == []

    run(open_all())


def test_bytes_behind_the_message_are_refused_also_in_a_chunk_of_their_own() -> None:
    message = open_client(raw_aes()).encrypt(b"plaintext")

    async def open_it() -> None:
        client = open_async_client(raw_aes())
        for chunks in ([message + b"x"], [message, b"x"]):
            with pytest.raises(MalformedMessage, match="behind the end"):
                await joined(client.decrypt_chunks(chunks))

    run(open_it())


def test_plaintext_waits_for_the_signature_unless_it_is_asked_for_early() -> None:
    message = open_client(raw_aes()).encrypt(PLAINTEXT, suite=SIGNED, frame_length_bytes=8)

    async def first_part(early: bool) -> bool:
        source = Pulled(cut(message, 20))
        opening = open_async_client(raw_aes()).decrypt_chunks(source, release_plaintext_before_signature=early)
        await anext(opening)
        await opening.aclose()
        return source.is_at_its_end

    assert run(first_part(early=False))
    assert not run(first_part(early=True))


def test_a_signed_message_beyond_the_memory_of_a_spool_opens() -> None:
    plaintext = bytes(range(256)) * (10 * MIB // 256)

    async def there_and_back() -> None:
        client = open_async_client(raw_aes())
        message = await joined(client.encrypt_chunks(cut(plaintext, 100_000), suite=SIGNED))
        assert await joined(client.decrypt_chunks(cut(message, 100_000))) == plaintext

    run(there_and_back())


def test_sealing_reads_no_further_than_what_it_gives_needs() -> None:
    async def step_by_step() -> None:
        source = Pulled([bytes(1_000)] * 50)
        sealing = open_async_client(raw_aes()).encrypt_chunks(source, frame_length_bytes=1_000)
        assert source.count == 0
        await anext(sealing)
        assert source.count == 0, "the header needs no plaintext"
        for frames in range(1, 40):
            await anext(sealing)
            assert source.count == frames + 1, "one frame is kept, because it may be the last"
        await sealing.aclose()

    run(step_by_step())


def test_opening_reads_no_further_than_what_it_gives_needs() -> None:
    message = open_client(raw_aes()).encrypt(bytes(50_000), frame_length_bytes=1_000)

    async def step_by_step() -> None:
        source = Pulled(cut(message, 1_032))
        opening = open_async_client(raw_aes()).decrypt_chunks(source)
        assert source.count == 0
        for frames in range(1, 40):
            await anext(opening)
            assert source.count <= frames + 2
        await opening.aclose()

    run(step_by_step())


def test_one_huge_chunk_is_given_in_parts() -> None:
    plaintext = bytes(5 * MIB)

    async def there_and_back() -> None:
        client = open_async_client(DataKeyCache(raw_aes()))
        parts = [part async for part in client.encrypt_chunks([plaintext])]
        assert max(map(len, parts)) < 600_000
        opened = [part async for part in client.decrypt_chunks([b"".join(parts)])]
        assert b"".join(opened) == plaintext
        assert max(map(len, opened)) <= MIB

    run(there_and_back())


def test_frames_of_a_megabyte_leave_the_event_loop_and_shorter_ones_do_not() -> None:
    async def calls(frame_length: int) -> tuple[int, int]:
        client = open_async_client(DataKeyCache(raw_aes()))
        message = await client.encrypt(b"x")
        await client.decrypt(message)
        executor = counting_executor()
        message = await joined(client.encrypt_chunks([bytes(3 * MIB)], frame_length_bytes=frame_length))
        sealing = executor.calls
        assert await joined(client.decrypt_chunks([message])) == bytes(3 * MIB)
        return sealing, executor.calls - sealing

    assert run(calls(MIB // 2)) == (0, 0)
    assert run(calls(MIB)) == (3, 3)


def test_the_source_is_closed_when_the_generator_is_left_or_fails() -> None:
    closed: list[str] = []
    threads = threading.active_count()

    async def source(name: str, chunks: list[bytes]) -> AsyncGenerator[bytes, None]:
        try:
            for chunk in chunks:
                yield chunk
        finally:
            await asyncio.sleep(0)
            closed.append(name)

    async def leave() -> None:
        client = open_async_client(DataKeyCache(raw_aes()))
        message = await client.encrypt(PLAINTEXT, frame_length_bytes=8)
        signed = await client.encrypt(PLAINTEXT, suite=SIGNED, frame_length_bytes=8)
        sealing = client.encrypt_chunks(source("sealing", [PLAINTEXT] * 3), frame_length_bytes=8)
        opening = client.decrypt_chunks(source("opening", cut(message, 10)))
        verified = client.decrypt_chunks(source("verified", cut(signed, 10)))
        for left in (sealing, opening, verified):
            await anext(left)
            await anext(left)
            await left.aclose()
        with pytest.raises(NotAuthentic):
            await joined(client.decrypt_chunks(source("failing", [message[:-1] + bytes([message[-1] ^ 1])])))
        await client.encrypt_chunks(source("never started", [])).aclose()
        assert closed == ["sealing", "opening", "verified", "failing"]

    run(leave())
    assert threading.active_count() == threads


def test_what_is_no_generator_is_left_open_for_its_owner() -> None:
    async def leave() -> None:
        source = Pulled([b"a", b"b", b"c"])
        sealing = open_async_client(raw_aes()).encrypt_chunks(source, frame_length_bytes=1)
        await anext(sealing)
        await anext(sealing)
        await sealing.aclose()
        assert [chunk async for chunk in source] == [b"c"]

    run(leave())


class _Raises:
    """An iterable that raises as soon as it is asked for its iterator."""

    def __aiter__(self) -> Any:
        raise ValueError("mine")


def _failing_iterator() -> Iterator[bytes]:
    yield b"\x02"
    raise ValueError("mine")


@pytest.mark.parametrize(
    ("make_source", "text"),
    [
        (lambda: generated([b"\x02", ValueError("mine")]), "cannot read the chunks: ValueError"),
        (_failing_iterator, "cannot read the chunks: ValueError"),
        (_Raises, "cannot read the chunks: ValueError"),
        (lambda: generated([ConnectionResetError(104, "Reset by peer")]), "cannot read the chunks: Reset by peer"),
        (lambda: generated([TimeoutError()]), "cannot read the chunks: TimeoutError"),
    ],
)
def test_an_exception_of_the_source_is_the_cause_of_ours(make_source: Any, text: str) -> None:
    async def fail() -> None:
        client = open_async_client(raw_aes())
        for attempt in (client.encrypt_chunks, client.decrypt_chunks):
            with pytest.raises(StreamFailed, match=f"^{text}$") as caught:
                await joined(attempt(make_source()))
            assert isinstance(caught.value.__cause__, (ValueError, OSError))

    run(fail())


def test_an_error_of_ours_and_a_cancellation_pass_through_the_source() -> None:
    async def fail() -> None:
        client = open_async_client(raw_aes())
        for attempt in (client.encrypt_chunks, client.decrypt_chunks):
            for error in (PolicyRefused("mine"), asyncio.CancelledError()):
                with pytest.raises(type(error)) as caught:
                    await joined(attempt(generated([error])))
                assert caught.value is error
        message = await client.encrypt(b"plaintext")
        again = client.encrypt_chunks(client.decrypt_chunks([message[:-1]]))
        with pytest.raises(TruncatedMessage):
            await joined(again)

    run(fail())


def test_a_source_that_fails_while_it_is_closed_is_a_failed_stream() -> None:
    async def source() -> AsyncGenerator[bytes, None]:
        try:
            yield b"a"
        finally:
            raise ValueError("mine")

    async def leave() -> None:
        sealing = open_async_client(raw_aes()).encrypt_chunks(source())
        await anext(sealing)
        await sealing.aclose()
        sealing = open_async_client(raw_aes()).encrypt_chunks(source(), frame_length_bytes=1, length=0)
        with pytest.raises(StreamFailed, match="cannot read the chunks: ValueError"):
            await joined(sealing)

    run(leave())


def test_a_consumer_that_is_cancelled_closes_the_source() -> None:
    happened: list[str] = []

    async def source() -> AsyncGenerator[bytes, None]:
        try:
            yield b"\x02"
            happened.append("waits")
            await asyncio.Event().wait()
        finally:
            happened.append("closed")

    async def cancel() -> None:
        client = open_async_client(raw_aes())
        for attempt in (client.encrypt_chunks, client.decrypt_chunks):
            happened.clear()
            task = asyncio.create_task(joined(attempt(source())))
            await until(lambda: happened)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert happened == ["waits", "closed"]

    run(cancel())


def test_one_task_that_leaves_its_stream_before_the_key_came_leaves_the_key_to_the_others() -> None:
    keyring = SlowKeyring()

    async def cancel() -> None:
        gate = threading.Event()
        keyring.before_answer = gate.wait
        client = open_async_client(DataKeyCache(keyring))
        first, second = (asyncio.create_task(joined(client.encrypt_chunks([b"x"]))) for _ in range(2))
        await until(lambda: keyring.wraps)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        gate.set()
        assert open_client(raw_aes()).decrypt(await second) == b"x"
        assert len(keyring.wraps) == 1

    run(cancel())


@pytest.mark.parametrize("chunks", [None, 1, b"bytes", bytearray(b"x"), memoryview(b"x"), "text", io.BytesIO(), bytes])
def test_what_gives_no_chunks_is_refused_at_once(chunks: Any) -> None:
    client = open_async_client(raw_aes())
    for attempt in (client.encrypt_chunks, client.decrypt_chunks):
        with pytest.raises(InvalidArgument, match="chunks must be an iterable of bytes") as caught:
            attempt(chunks)
        assert "encrypt_stream" in caught.value.hint


@pytest.mark.parametrize("chunk", [None, 1, "text", [b"x"], memoryview(b"bytes")[::2]])
def test_a_chunk_that_is_not_bytes_is_refused(chunk: Any) -> None:
    async def refuse() -> None:
        client = open_async_client(raw_aes())
        for attempt in (client.encrypt_chunks, client.decrypt_chunks):
            with pytest.raises(InvalidArgument, match="a chunk must be bytes"):
                await joined(attempt([chunk]))

    run(refuse())


def test_arguments_are_checked_at_once() -> None:
    client = open_async_client(raw_aes())
    wrong: Any = 1
    for arguments in (
        {"encryption_context": wrong},
        {"suite": wrong},
        {"frame_length_bytes": 0},
        {"unstored_context_keys": wrong},
        {"length": -1},
    ):
        with pytest.raises(InvalidArgument):
            client.encrypt_chunks([], **arguments)
    for arguments in ({"encryption_context": wrong}, {"release_plaintext_before_signature": wrong}):
        with pytest.raises(InvalidArgument):
            client.decrypt_chunks([], **arguments)


@pytest.mark.parametrize("length", [8, 10])
def test_a_promised_length_is_kept(length: int) -> None:
    async def promise() -> None:
        client = open_async_client(raw_aes())
        assert await joined(client.encrypt_chunks([b"plain", b"text"], length=9))
        with pytest.raises(InvalidArgument, match=f"length promised {length} bytes"):
            await joined(client.encrypt_chunks([b"plain", b"text"], length=length))

    run(promise())


def test_a_stream_that_outgrows_its_data_key_is_stopped() -> None:
    async def outgrow() -> None:
        client = open_async_client(DataKeyCache(raw_aes(), max_bytes=1_000))
        parts: list[bytes] = []
        with pytest.raises(LimitExceeded, match="max_bytes"):
            await gathered(client.encrypt_chunks([bytes(600)] * 3, frame_length_bytes=100), parts)
        with pytest.raises(MessageRefused):
            await client.decrypt(b"".join(parts))
        assert await joined(client.encrypt_chunks([bytes(600)] * 3, length=1_800))

    run(outgrow())
