"""The data-key cache under threads, forks and the end of the interpreter."""

from __future__ import annotations

import io
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from envelope import Client, DataKeyCache, KeyUnavailable, KmsKeyring, LimitExceeded, describe
from envelope.process_state import reset_all
from envelope.testing import FakeClock, FakeKms
from tests.keyrings_for_tests import raw_aes
from tests.python_child import run_python
from tests.slow_keyring import SlowKeyring

THREADS = 64


@pytest.fixture(autouse=True)
def _frequent_switches() -> Iterator[None]:
    """Let threads take turns every few instructions, so that a race shows."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def _at_once(act: Callable[[], object], threads: int = THREADS) -> list[object]:
    """What `act` gives or raises in so many threads that start together."""
    start = threading.Barrier(threads)

    def started() -> object:
        start.wait()
        try:
            return act()
        except Exception as error:  # noqa: BLE001 - looked at by the test
            return error

    with ThreadPoolExecutor(threads) as pool:
        return [call.result() for call in [pool.submit(started) for _ in range(threads)]]


def test_64_threads_on_a_cold_data_key_make_one_call_and_all_get_its_result() -> None:
    clock, keyring = FakeClock(), SlowKeyring()
    keyring.before_answer = lambda: clock.sleep(2)
    cache = DataKeyCache(keyring, clock=clock)
    client = Client(cache)
    with ThreadPoolExecutor(THREADS) as pool:
        calls = [pool.submit(client.encrypt, b"plaintext", {"tenant": "42"}) for _ in range(THREADS)]
        _until(lambda: cache.stats().wrap.waits == THREADS - 1)
        clock.wait_for_sleepers(1)
        clock.advance(2)
        messages = [call.result() for call in calls]
    assert len(keyring.wraps) == 1
    assert len({describe(message).encrypted_data_keys for message in messages}) == 1
    assert len({describe(message).message_id for message in messages}) == THREADS
    stats = cache.stats().wrap
    assert (stats.hits, stats.misses, stats.waits) == (0, 1, THREADS - 1)

    with ThreadPoolExecutor(THREADS) as pool:
        decryptions = [pool.submit(client.decrypt, message) for message in messages]
        _until(lambda: cache.stats().unwrap.waits == THREADS - 1)
        clock.advance(2)
        assert {call.result() for call in decryptions} == {b"plaintext"}
    assert len(keyring.unwraps) == 1


def _until(condition: Callable[[], bool]) -> None:
    tick = threading.Event()
    while not condition():
        tick.wait(0.001)


@pytest.mark.parametrize("refresh_ahead", [1.0, 0.8])
def test_no_data_key_takes_more_messages_than_allowed_while_threads_race_for_the_last_one(refresh_ahead: float) -> None:
    cache = DataKeyCache(SlowKeyring(), max_messages=7, refresh_ahead=refresh_ahead)
    client = Client(cache)
    answers = _at_once(lambda: [client.encrypt(b"") for _ in range(20)])
    messages = [message for answer in answers for message in answer]  # type: ignore[attr-defined]
    used = Counter(describe(message).encrypted_data_keys for message in messages)
    assert sum(used.values()) == THREADS * 20
    assert max(used.values()) <= 7


def test_no_data_key_takes_more_bytes_than_allowed_while_streams_race_for_the_last_ones() -> None:
    cache = DataKeyCache(SlowKeyring(), max_bytes=5_000, refresh_ahead=1.0)
    client = Client(cache)

    def write() -> object:
        file = io.BytesIO()
        try:
            with client.encrypting_writer(file, frame_length_bytes=50) as writer:
                for _ in range(12):
                    writer.write(bytes(100))
        except LimitExceeded:
            return None
        return describe(file.getvalue()).encrypted_data_keys

    for _ in range(4):
        finished = Counter(_at_once(write, 8))
        assert finished.total() == 8
        del finished[None]
        assert max(finished.values(), default=0) <= 5_000 // 1_200, "none, where each took a bit of the last ones"
        cache.clear()


def test_who_makes_a_call_longer_than_the_age_gets_its_data_key_for_one_message_and_nobody_else_does() -> None:
    clock, keyring = FakeClock(), SlowKeyring()
    cache = DataKeyCache(keyring, max_age_s=300, clock=clock)
    client = Client(cache)

    def take_too_long() -> None:
        if len(keyring.wraps) == 1:
            _until(lambda: cache.stats().wrap.waits == 1)
            clock.advance(301)

    keyring.before_answer = take_too_long
    messages = _at_once(lambda: client.encrypt(b""), 2)
    messages.append(client.encrypt(b""))
    used = Counter(describe(message).encrypted_data_keys for message in messages)  # type: ignore[arg-type]
    assert sorted(used.values()) == [1, 2], "the third has that of who had waited in vain, and called then"
    assert len(keyring.wraps) == 2


def test_a_stream_goes_on_under_its_data_key_when_that_is_too_old() -> None:
    clock, keyring = FakeClock(), SlowKeyring()
    client = Client(DataKeyCache(keyring, max_age_s=300, refresh_ahead=1, clock=clock))
    file = io.BytesIO()
    with client.encrypting_writer(file) as writer:
        writer.write(b"before")
        clock.advance(1_000)
        writer.write(b", and long after")
    file.seek(0)
    with client.decrypting_reader(file) as reader:
        assert reader.read(1) == b"b"
        clock.advance(1_000)
        assert reader.read() == b"efore, and long after"
    assert (len(keyring.wraps), len(keyring.unwraps)) == (1, 1)
    client.encrypt(b"")
    client.decrypt(file.getvalue())
    assert (len(keyring.wraps), len(keyring.unwraps)) == (2, 2)


def test_a_failing_keyring_is_called_once_and_every_thread_gets_an_error_of_its_own() -> None:
    clock, keyring = FakeClock(), SlowKeyring()
    keyring.failure = KeyUnavailable("outage")
    client = Client(DataKeyCache(keyring, clock=clock))
    errors = _at_once(lambda: client.encrypt(b""))
    assert len(keyring.wraps) == 1
    assert {type(error) for error in errors} == {KeyUnavailable}
    assert len({id(error) for error in errors}) == THREADS


def test_nobody_waits_for_a_keyring_that_hangs_while_a_data_key_is_usable() -> None:
    clock, keyring = FakeClock(), SlowKeyring()
    cache = DataKeyCache(keyring, max_age_s=100, refresh_ahead=0.8, clock=clock)
    client = Client(cache)
    client.encrypt(b"")
    keyring.before_answer = lambda: clock.sleep(2)
    clock.advance(90)
    _at_once(lambda: [client.encrypt(b"") for _ in range(10)])
    clock.wait_for_sleepers(1)
    assert len(keyring.wraps) == 2, "one renewal"
    stats = cache.stats().wrap
    assert (stats.hits, stats.waits, stats.refreshes) == (THREADS * 10, 0, 1)
    clock.advance(2)
    clock.wait_for_sleepers(0)


def test_kms_that_stalls_is_asked_once_and_keeps_nobody_who_has_a_data_key() -> None:
    fake = FakeKms()
    key_arn = fake.client().create_key()["KeyMetadata"]["Arn"]
    cache = DataKeyCache(KmsKeyring(key_arn, aws=fake.aws()), max_age_s=100, clock=fake.clock)
    client = Client(cache)
    fake.latency_s = 2.0
    with ThreadPoolExecutor(THREADS) as pool:
        calls = [pool.submit(client.encrypt, b"plaintext") for _ in range(THREADS)]
        _until(lambda: cache.stats().wrap.waits == THREADS - 1)
        fake.clock.wait_for_sleepers(1)
        fake.clock.advance(2)
        assert len({describe(call.result()).encrypted_data_keys for call in calls}) == 1
    assert (fake.count("GenerateDataKey"), cache.stats().wrap.kms_calls) == (1, 1)
    fake.clock.advance(90)
    _at_once(lambda: [client.encrypt(b"") for _ in range(10)])  # nobody moves the clock: who waited would hang
    fake.clock.wait_for_sleepers(1)
    fake.clock.advance(2)
    fake.clock.wait_for_sleepers(0)
    _until(lambda: fake.count("GenerateDataKey") == 2)


def test_different_data_keys_do_not_wait_for_each_other() -> None:
    clock, keyring = FakeClock(), SlowKeyring()
    client = Client(DataKeyCache(keyring, clock=clock))
    keyring.before_answer = lambda: clock.sleep(2)
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(client.encrypt, b"", {"tenant": str(number)}) for number in range(8)]
        clock.wait_for_sleepers(8)
        clock.advance(2)
        assert len({call.result() for call in calls}) == 8


def test_threads_of_all_kinds_keep_the_counts_right() -> None:
    cache = DataKeyCache(SlowKeyring(), capacity=4, max_messages=50)
    client = Client(cache)

    def work() -> None:
        for number in range(40):
            message = client.encrypt(b"%d" % number, {"tenant": str(number % 6)})
            assert client.decrypt(message) == b"%d" % number
            if number == 20:
                cache.clear()

    assert _at_once(work, 16) == [None] * 16
    stats = cache.stats()
    for counts in (stats.wrap, stats.unwrap):
        assert counts.hits + counts.misses + counts.waits + counts.refused == 16 * 40
    assert stats.data_keys <= 8


def test_a_forked_child_begins_with_an_empty_cache_and_new_locks() -> None:
    """Also while another thread of the parent holds the lock and a call is in flight."""
    code = """
import threading
from envelope.testing import FakeClock

clock = FakeClock()

class Slow:
    calls = 0
    inner = RawAesKeyring("tests", "key", bytes([1]) * 32)
    def wrap(self, request):
        Slow.calls += 1
        if request.encryption_context:
            clock.sleep(2)
        return self.inner.wrap(request)
    def unwrap(self, request):
        return self.inner.unwrap(request)

cache = DataKeyCache(Slow(), clock=clock)
cached = Client(cache)
first = cached.encrypt(b"parent")
in_flight = threading.Thread(target=cached.encrypt, args=(b"", {"in": "flight"}))
in_flight.start()
clock.wait_for_sleepers(1)
cache._wraps._cache._shelf.lock.acquire()
reading, writing = os.pipe()
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads, which is the point
child = os.fork()
if child == 0:
    try:
        assert cache.stats().data_keys == 0
        assert cache.stats().wrap.misses == 0
        messages = [cached.encrypt(b"child") for _ in range(3)]
        assert cache.stats().wrap.misses == 1
        os.write(writing, b"".join(len(m).to_bytes(4, "big") + m for m in messages))
    finally:
        os._exit(0)
os.close(writing)
cache._wraps._cache._shelf.lock.release()
with open(reading, "rb") as pipe:
    from_child = pipe.read()
os.waitpid(child, 0)
messages = []
while from_child:
    size = int.from_bytes(from_child[:4], "big")
    messages.append(from_child[4:4 + size])
    from_child = from_child[4 + size:]
assert len(messages) == 3
assert [client.decrypt(message) for message in messages] == [b"child"] * 3
again = cached.encrypt(b"parent")
keys = [describe(message).encrypted_data_keys for message in (first, again, *messages)]
assert keys[0] == keys[1] and keys[2] == keys[3] == keys[4] != keys[0]
assert len({describe(message).message_id for message in (first, again, *messages)}) == 5
clock.advance(2)
in_flight.join()
assert cache.stats().wrap.misses == 2
sys.stdout.write("ok")
"""
    assert run_python(code) == b"ok"


def test_message_ids_never_repeat_across_a_fork() -> None:
    """Parent and child that shared a data key all the same would still derive different content keys."""
    code = """
reading, writing = os.pipe()
def ids():
    return [describe(client.encrypt(b"")).message_id for _ in range(200)]
before = ids()
child = os.fork()
if child == 0:
    os.write(writing, b"".join(ids()))
    os._exit(0)
os.close(writing)
mine = ids()
with open(reading, "rb") as pipe:
    theirs = pipe.read()
os.waitpid(child, 0)
everything = before + mine + [theirs[i:i + 32] for i in range(0, len(theirs), 32)]
assert len(everything) == len(set(everything)) == 600
sys.stdout.write("ok")
"""
    assert run_python(code) == b"ok"


def test_the_interpreter_exits_while_a_renewal_hangs() -> None:
    code = """
from envelope.testing import FakeClock

clock = FakeClock()

class Hangs:
    inner = RawAesKeyring("tests", "key", bytes([1]) * 32)
    hangs = False
    def wrap(self, request):
        if self.hangs:
            clock.sleep(1e9)
        return self.inner.wrap(request)
    def unwrap(self, request):
        return self.inner.unwrap(request)

keyring = Hangs()
cached = Client(DataKeyCache(keyring, max_age_s=100, clock=clock))
cached.encrypt(b"")
keyring.hangs = True
clock.advance(90)
cached.encrypt(b"")
clock.wait_for_sleepers(1)
sys.stdout.write("ok")
"""
    assert run_python(code) == b"ok"


def test_a_restored_snapshot_begins_with_an_empty_cache() -> None:
    """Lambda SnapStart: the runtime calls what was registered with its module."""
    code = """
import types
registered = []
module = types.ModuleType("snapshot_restore_py")
module.register_after_restore = registered.append
import importlib.machinery
module.__spec__ = importlib.machinery.ModuleSpec("snapshot_restore_py", None)
sys.modules["snapshot_restore_py"] = module
cache = DataKeyCache(RawAesKeyring("tests", "key", bytes([1]) * 32))
Client(cache).encrypt(b"")
DataKeyCache(RawAesKeyring("tests", "key", bytes([1]) * 32))
assert cache.stats().data_keys == 1 and len(registered) == 1
registered[0]()
assert cache.stats().data_keys == 0
sys.stdout.write("ok")
"""
    assert run_python(code) == b"ok"


def test_a_cache_that_nobody_has_any_more_is_not_kept_for_forks() -> None:
    import gc
    import weakref

    cache = DataKeyCache(raw_aes())
    gone = weakref.ref(cache._wraps)
    del cache
    gc.collect()
    assert gone() is None
    reset_all()
