"""Threads that run at once and not in turns: nothing relies on the lock of the interpreter.

On a free-threaded Python these races are real ones. With the GIL they are raced as well as it lets them.
"""

from __future__ import annotations

import itertools
import random
import sys
import sysconfig
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import pytest

import envelope.aws.session
from envelope import (
    Aws,
    Client,
    DataKeyCache,
    EncryptionContext,
    LimitExceeded,
    RawAesKeyring,
    Suite,
    WrapRequest,
    describe,
)
from envelope.cache.entries import Limits
from envelope.cache.loading import LoadingCache
from envelope.testing import FakeClock, FakeKms

pytestmark = pytest.mark.smoke

T = TypeVar("T")

THREADS = 8


@pytest.fixture(autouse=True)
def _frequent_switches() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def at_once(*works: Callable[[], T]) -> list[T]:
    """What these give, each in a thread of its own; they start together."""
    start = threading.Barrier(len(works))

    def started(work: Callable[[], T]) -> T:
        start.wait()
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return [call.result() for call in [pool.submit(started, work) for work in works]]


def test_a_free_threaded_interpreter_stays_one_with_all_that_is_imported() -> None:
    client = Client(RawAesKeyring("tests", "key", bytes(32)))
    client.decrypt(client.encrypt(b"plaintext"))
    FakeKms().client()  # with boto3
    is_free = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    assert getattr(sys, "_is_gil_enabled", lambda: True)() is not is_free


def test_hits_without_the_lock_are_right_and_counted_while_others_make_room_and_forget() -> None:
    clock = FakeClock()
    cache: LoadingCache[int, tuple[int, int]] = LoadingCache(
        Limits(max_age_s=100.0), capacity=8, clock=clock, random=lambda: 1.0
    )
    calls = itertools.count()
    gets, glances = 500, 2_000

    def value_of(key: int) -> tuple[int, int]:
        return key, next(calls)

    def get() -> int:
        for turn in range(gets):
            key = random.randrange(12)
            assert cache.get(key, partial(value_of, key)).value[0] == key
            if turn % 50 == 0:
                cache.clear(lambda known: known % 2 == 0)
        return 0

    def glance() -> int:
        found = 0
        for turn in range(glances):
            entry = cache.glance(turn % 12)
            if entry is not None:
                assert (entry.key, entry.value[0]) == (turn % 12, turn % 12)
                found += 1
        return found

    seen = sum(at_once(*[get] * (THREADS // 2), *[glance] * (THREADS // 2)))
    counts = cache.counts()
    assert counts.hits + counts.misses + counts.waits == seen + gets * (THREADS // 2)
    assert counts.calls == next(calls) >= counts.misses
    assert len(cache) <= 8
    assert [cache.get(key, lambda: (-1, -1)).value[0] for key, _ in cache.items()] == [key for key, _ in cache.items()]


def test_no_data_key_goes_beyond_its_limits_while_threads_race_for_it() -> None:
    client = Client(DataKeyCache(RawAesKeyring("tests", "key", bytes(32)), max_messages=7, max_bytes=600))

    def encrypt() -> list[bytes]:
        messages = [client.encrypt(bytes(100), {"tenant": str(number % 2)}) for number in range(50)]
        assert [client.decrypt(message) for message in messages] == [bytes(100)] * 50
        return messages

    messages = [message for written in at_once(*[encrypt] * THREADS) for message in written]
    assert len({describe(message).message_id for message in messages}) == 50 * THREADS
    used = Counter(describe(message).encrypted_data_keys for message in messages)
    assert max(used.values()) <= 6, "600 bytes are six messages of 100"


def test_a_client_of_a_service_is_that_of_its_region_while_threads_ask_for_more_than_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(envelope.aws.session, "MAX_CLIENTS", 3)
    aws: Aws = FakeKms().aws()
    regions = [f"eu-west-{number}" for number in range(1, 6)]

    def ask() -> None:
        for turn in range(40):
            region = regions[turn % 5]
            assert aws.client("kms", region).meta.region_name == region

    at_once(*[ask] * THREADS)


def test_a_plan_and_a_header_that_threads_remember_for_one_another_are_the_right_ones() -> None:
    client = Client(RawAesKeyring("tests", "key", bytes(32)), max_encrypted_data_keys=1)
    contexts = [{"tenant": str(number)} for number in range(300)]  # more than are remembered

    def both_ways() -> None:
        for context in random.sample(contexts, 100):
            message = client.encrypt(b"plaintext", context)
            assert client.decrypt_message(message, context).encryption_context == context

    at_once(*[both_ways] * THREADS)


def test_streams_that_race_for_the_last_bytes_of_a_data_key_never_take_more() -> None:
    cache = DataKeyCache(RawAesKeyring("tests", "key", bytes(32)), max_bytes=16_000, refresh_ahead=1.0)
    request = WrapRequest(Suite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY, EncryptionContext({}))

    def count() -> tuple[bytes, int]:
        data_key = cache.wrap_stream(request, 0)
        assert data_key.count_bytes is not None
        taken = 0
        try:
            while True:
                data_key.count_bytes(7)
                taken += 7
        except LimitExceeded:
            return data_key.plaintext, taken

    counted: Counter[bytes] = Counter()
    for plaintext, taken in at_once(*[count] * THREADS):
        counted[plaintext] += taken
    assert list(counted.values()) == [16_000 // 7 * 7]
