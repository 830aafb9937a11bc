"""AsyncClient: bytes and keys. The same messages as Client's, and an event loop that a hit never leaves."""

from __future__ import annotations

import asyncio
import io
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from envelope import (
    AsyncClient,
    Client,
    CommitmentPolicy,
    DataKey,
    DataKeyCache,
    InvalidArgument,
    KeyUnavailable,
    NotAuthentic,
    Suite,
    UnwrappedDataKey,
    UnwrapRequest,
    WrapRequest,
    describe,
)
from envelope.cache.workers import start_daemon
from tests.async_for_tests import counting_executor, cut, joined, open_async_client, run, until
from tests.keyrings_for_tests import ALL_SUITES, AnswersWith, FixedKeyring, Refuses, open_client, raw_aes
from tests.slow_keyring import SlowKeyring

MIB = 1024 * 1024
SIGNED = Suite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384
CONTEXT = {"tenant": "42"}


def _policy(suite: Suite) -> CommitmentPolicy:
    if suite.is_committing:
        return CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT
    return CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT


@pytest.mark.parametrize("size", [0, 1, 300_000, MIB - 1, MIB, MIB + 1])
@pytest.mark.parametrize("suite", [None, SIGNED])
def test_what_one_client_encrypts_the_other_opens(suite: Suite | None, size: int) -> None:
    sync, plaintext = open_client(raw_aes()), bytes(range(256)) * (size // 256 + 1)
    plaintext = plaintext[:size]

    async def both_ways() -> None:
        client = open_async_client(raw_aes())
        message = await client.encrypt(plaintext, CONTEXT, suite=suite, unstored_context_keys=["tenant"])
        assert sync.decrypt(message, CONTEXT) == plaintext
        message = sync.encrypt(bytearray(plaintext), CONTEXT, suite=suite)
        assert await client.decrypt(memoryview(message), {"tenant": "42"}) == plaintext

    run(both_ways())


@pytest.mark.parametrize("suite", [Suite(suite_id) for suite_id in ALL_SUITES])
@pytest.mark.parametrize("is_cached", [False, True])
def test_every_suite_opens_again(suite: Suite, is_cached: bool) -> None:
    client = open_async_client(DataKeyCache(raw_aes()) if is_cached else raw_aes(), commitment_policy=_policy(suite))

    async def twice() -> None:
        for _ in range(2):
            message = await client.encrypt(b"plaintext", CONTEXT, suite=suite, frame_length_bytes=4)
            opened = await client.decrypt_message(message)
            assert (opened.plaintext, opened.suite) == (b"plaintext", suite)
            assert opened.encryption_context.items() >= CONTEXT.items()
            assert opened == open_client(raw_aes()).decrypt_message(message)

    run(twice())


def test_a_hit_never_leaves_the_event_loop() -> None:
    keyring, threads = SlowKeyring(), []

    def start(work: Callable[[], None]) -> None:
        threads.append(work)
        start_daemon(work)

    client = open_async_client(DataKeyCache(keyring, start_thread=start))

    async def many() -> None:
        executor = counting_executor()
        for suite in (None, SIGNED):
            message = await client.encrypt(b"plaintext", CONTEXT, suite=suite)
            await client.decrypt(message)
            misses = len(threads)
            for _ in range(20):
                await client.encrypt(bytes(1_000), CONTEXT, suite=suite)
                assert await client.decrypt(message, CONTEXT) == b"plaintext"
                await joined(client.encrypt_chunks([bytes(1_000)] * 3, CONTEXT, suite=suite))
                await joined(client.decrypt_chunks(cut(message, 7), release_plaintext_before_signature=True))
            assert len(threads) == misses
        assert len(threads) == len(keyring.wraps) + len(keyring.unwraps) == 4
        assert executor.calls == 0

    run(many())


def test_a_megabyte_leaves_the_event_loop_and_less_does_not() -> None:
    client = open_async_client(DataKeyCache(raw_aes()))

    async def large() -> None:
        executor = counting_executor()
        small = await client.encrypt(bytes(MIB - 1_000))
        assert len(await client.decrypt(small)) == MIB - 1_000
        misses = executor.calls
        message = await client.encrypt(bytes(MIB))
        assert executor.calls == misses + 1
        assert await client.decrypt(message) == bytes(MIB)
        assert executor.calls == misses + 2
        await client.encrypt(bytes(MIB - 1))
        await client.decrypt(small)
        assert executor.calls == misses + 2

    run(large())


def test_a_thousand_tasks_on_a_cold_key_make_one_call() -> None:
    keyring = SlowKeyring()
    client = open_async_client(DataKeyCache(keyring))

    async def herd() -> None:
        gate = threading.Event()
        keyring.before_answer = gate.wait
        tasks = [asyncio.create_task(client.encrypt(b"plaintext", CONTEXT)) for _ in range(1_000)]
        await until(lambda: keyring.wraps)
        gate.set()
        messages = await asyncio.gather(*tasks)
        assert len({message[:64] for message in messages}) == 1_000
        gate.clear()
        opening = [asyncio.create_task(client.decrypt(message)) for message in messages]
        await until(lambda: keyring.unwraps)
        gate.set()
        assert set(await asyncio.gather(*opening)) == {b"plaintext"}
        assert (len(keyring.wraps), len(keyring.unwraps)) == (1, 1)

    run(herd())


@pytest.mark.parametrize("refresh_ahead", [1.0, 0.8])
def test_no_data_key_takes_more_messages_than_allowed_while_tasks_race_for_the_last_one(refresh_ahead: float) -> None:
    keyring = SlowKeyring()
    cache = DataKeyCache(keyring, max_messages=7, refresh_ahead=refresh_ahead)
    client = open_async_client(cache)

    async def race() -> list[bytes]:
        gate = threading.Event()
        keyring.before_answer = gate.wait
        tasks = [asyncio.create_task(client.encrypt(b"")) for _ in range(1_000)]
        await until(lambda: cache.stats().wrap.waits == 999)
        gate.set()
        return await asyncio.gather(*tasks)

    used = Counter(describe(message).encrypted_data_keys for message in run(race()))
    assert sum(used.values()) == 1_000
    assert max(used.values()) == 7
    assert len(used) >= 1_000 / 7


@pytest.mark.parametrize("cancelled", [[0], [1], [0, 1], [0, 1, 2]])
def test_a_cancelled_task_cancels_nobody_elses_key(cancelled: list[int]) -> None:
    keyring = SlowKeyring()
    client = open_async_client(DataKeyCache(keyring))

    async def cancel_some() -> None:
        gate = threading.Event()
        keyring.before_answer = gate.wait
        tasks = [asyncio.create_task(client.encrypt(b"plaintext")) for _ in range(3)]
        await until(lambda: keyring.wraps)
        for number in cancelled:
            tasks[number].cancel()
        results = asyncio.gather(*tasks, return_exceptions=True)
        await until(lambda: all(tasks[number].done() for number in cancelled))
        gate.set()
        kinds = [type(result) for result in await results]
        assert kinds == [asyncio.CancelledError if number in cancelled else bytes for number in range(3)]
        await client.encrypt(b"the next one")
        assert len(keyring.wraps) == 1

    run(cancel_some())


def test_a_task_that_waits_for_a_keyring_of_any_kind_can_be_cancelled() -> None:
    keyring = SlowKeyring()

    async def cancel() -> None:
        gate = threading.Event()
        keyring.before_answer = gate.wait
        task = asyncio.create_task(open_async_client(keyring).encrypt(b"plaintext"))
        await until(lambda: keyring.wraps)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gate.set()

    run(cancel())


def test_every_task_gets_an_error_of_its_own() -> None:
    keyring = SlowKeyring()
    keyring.failure = KeyUnavailable("not today", hint="tomorrow")
    client = open_async_client(DataKeyCache(keyring))

    async def fail() -> None:
        gate = threading.Event()
        keyring.before_answer = gate.wait
        tasks = [asyncio.create_task(client.encrypt(b"plaintext")) for _ in range(20)]
        await until(lambda: keyring.wraps)
        gate.set()
        errors = await asyncio.gather(*tasks, return_exceptions=True)
        assert len({id(error) for error in errors}) == 20
        for error in errors:
            assert isinstance(error, KeyUnavailable)
            assert (str(error), error.hint) == ("not today", "tomorrow")
        assert len(keyring.wraps) == 1

    run(fail())


def test_a_keyring_without_a_cache_is_asked_in_a_worker_thread_each_time() -> None:
    keyring = SlowKeyring()
    threads: list[threading.Thread] = []
    keyring.before_answer = lambda: threads.append(threading.current_thread())
    client = open_async_client(keyring)

    async def three() -> None:
        for number in range(3):
            message = await client.encrypt(b"plaintext")
            assert await client.decrypt(message) == b"plaintext"
            assert (len(keyring.wraps), len(keyring.unwraps)) == (number + 1, number + 1)
        assert len(threads) == 6
        assert threading.current_thread() not in threads

    run(three())


class Awaited:
    """A keyring that is awaited, and says what it was asked."""

    def __init__(self, failure: Exception | None = None) -> None:
        self._inner = FixedKeyring()
        self._failure = failure
        self.asked: list[tuple[str, int | None]] = []

    def __repr__(self) -> str:
        return "Awaited()"

    def wrap(self, request: WrapRequest) -> DataKey:
        raise AssertionError("there is a coroutine for this")

    def unwrap(self, request: UnwrapRequest) -> UnwrappedDataKey:
        raise AssertionError("there is a coroutine for this")

    async def wrap_for_async(self, request: WrapRequest, plaintext_bytes: int) -> DataKey:
        return await self._answer("wrap_for", plaintext_bytes, lambda: self._inner.wrap(request))

    async def wrap_stream_async(self, request: WrapRequest, least_bytes: int | None) -> DataKey:
        return await self._answer("wrap_stream", least_bytes, lambda: self._inner.wrap(request))

    async def unwrap_async(self, request: UnwrapRequest) -> UnwrappedDataKey:
        return await self._answer("unwrap", 0, lambda: self._inner.unwrap(request))

    async def _answer(self, name: str, size: int | None, answer: Callable[[], Any]) -> Any:
        self.asked.append((name, size))
        await asyncio.sleep(0)
        if self._failure is not None:
            raise self._failure
        return answer()


def test_anybodys_keyring_that_can_be_awaited_is_awaited_and_told_the_length() -> None:
    keyring = Awaited()
    client = open_async_client(keyring)

    async def ask() -> None:
        message = await client.encrypt(b"plaintext")
        assert await client.decrypt(message) == b"plaintext"
        await joined(client.encrypt_chunks([b"plaintext"]))
        await joined(client.encrypt_chunks([b"plaintext"], length=9))
        async with client.encrypting_writer(io.BytesIO(), length=0):
            pass
        await client.encrypt_stream(io.BytesIO(b"plaintext"), io.BytesIO())

    run(ask())
    asked = [
        ("wrap_for", 9),
        ("unwrap", 0),
        ("wrap_stream", None),
        ("wrap_for", 9),
        ("wrap_for", 0),
        ("wrap_stream", 9),
    ]
    assert keyring.asked == asked


async def _every_question(client: AsyncClient, message: bytes) -> list[Callable[[], Awaitable[object]]]:
    return [
        lambda: client.encrypt(b"x"),
        lambda: joined(client.encrypt_chunks([b"x"])),
        lambda: client.encrypt_stream(io.BytesIO(), io.BytesIO()),
        lambda: client.encrypting_writer(io.BytesIO()).__aenter__(),
        lambda: client.decrypt(message),
        lambda: joined(client.decrypt_chunks([message])),
        lambda: client.decrypt_stream(io.BytesIO(message), io.BytesIO()),
        lambda: client.decrypting_reader(io.BytesIO(message)).__aenter__(),
        lambda: client.open_range(io.BytesIO(message), 0, 1),
    ]


@pytest.mark.parametrize(
    "keyring",
    [Awaited(ValueError("mine")), AnswersWith(ValueError("mine")), DataKeyCache(AnswersWith(ValueError("mine")))],
    ids=["awaited", "in a thread", "cached"],
)
def test_what_a_keyring_raises_comes_out_as_an_error_of_ours(keyring: Any) -> None:
    client = open_async_client(keyring)

    async def fail() -> None:
        for attempt in await _every_question(client, open_client().encrypt(b"x")):
            with pytest.raises(KeyUnavailable, match=r"failed to (un)?wrap (a|the) data key") as caught:
                await attempt()
            assert isinstance(caught.value.__cause__, ValueError)
            assert [str(error) for error in caught.value.errors] == [str(caught.value.__cause__)] == ["mine"]

    run(fail())


@pytest.mark.parametrize("keyring", [Awaited(KeyUnavailable("Refuses() refuses")), Refuses()], ids=repr)
def test_an_error_of_ours_comes_out_as_it_is(keyring: Any) -> None:
    async def fail() -> None:
        for attempt in await _every_question(open_async_client(keyring), open_client().encrypt(b"x")):
            with pytest.raises(KeyUnavailable, match=r"^Refuses"):
                await attempt()

    run(fail())


@pytest.mark.parametrize("answer", [None, b"key", DataKey(b"short", ())], ids=["None", "bytes", "short"])
def test_what_is_no_data_key_is_refused(answer: Any) -> None:
    async def fail() -> None:
        for attempt in await _every_question(open_async_client(AnswersWith(answer)), open_client().encrypt(b"x")):
            with pytest.raises(KeyUnavailable, match="keyring returned"):
                await attempt()

    run(fail())


def test_many_copies_that_wait_for_one_key_leave_a_thread_for_it() -> None:
    """A copy that held the only thread while it waited for the key would wait for ever."""
    client = open_async_client(DataKeyCache(SlowKeyring()))

    async def herd() -> None:
        counting_executor(max_workers=1)
        copies = [client.encrypt_stream(io.BytesIO(b"x"), io.BytesIO(), CONTEXT) for _ in range(10)]
        await asyncio.gather(*copies, client.encrypt(b"x", CONTEXT))
        message = await client.encrypt(b"x", CONTEXT)
        reading = [client.decrypt_stream(io.BytesIO(message), io.BytesIO()) for _ in range(10)]
        await asyncio.gather(client.decrypt(message), *reading)

    run(herd())


def test_one_client_serves_several_event_loops_one_after_the_other() -> None:
    keyring = SlowKeyring()
    client = open_async_client(DataKeyCache(keyring))
    messages = [run(client.encrypt(bytes([number]), CONTEXT)) for number in range(3)]
    assert [run(client.decrypt(message)) for message in messages] == [b"\0", b"\1", b"\2"]
    assert (len(keyring.wraps), len(keyring.unwraps)) == (1, 1)


def test_a_changed_message_does_not_open() -> None:
    async def open_changed() -> None:
        client = open_async_client(raw_aes())
        for size in (10, MIB):
            message = bytearray(await client.encrypt(bytes(size)))
            message[-20] ^= 1
            with pytest.raises(NotAuthentic):
                await client.decrypt(message)

    run(open_changed())


def test_the_client_shows_its_keyring_and_policy_and_cannot_be_changed() -> None:
    client = AsyncClient(FixedKeyring())
    assert repr(client) == repr(Client(FixedKeyring())).replace("Client", "AsyncClient")
    with pytest.raises(AttributeError):
        client.other = 1  # type: ignore[attr-defined]  # on purpose


def test_what_is_no_keyring_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="keyring must be a keyring, not int"):
        AsyncClient(1)  # type: ignore[arg-type]  # on purpose
