"""DataKeyCache around a keyring: what is shared between messages, what is not, and for how long."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import pickle
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from envelope import (
    AsyncClient,
    CacheStats,
    Client,
    CommitmentPolicy,
    DataKey,
    DataKeyCache,
    DataKeyEvent,
    EncryptedDataKey,
    EncryptionContext,
    EnvelopeError,
    InvalidArgument,
    KeyUnavailable,
    LimitExceeded,
    MultiKeyring,
    OperationStats,
    Suite,
    UnwrappedDataKey,
    UnwrapRequest,
    WrapRequest,
)
from envelope.binary_files import known_length
from envelope.cache.clock import elapsed_s
from envelope.cache.workers import start_daemon
from envelope.data_keys import STREAM_BYTES
from envelope.process_state import reset_all
from envelope.testing import FakeClock
from tests.keyrings_for_tests import AnswersWith, open_client, raw_aes, writing_client
from tests.slow_keyring import SlowKeyring

SIGNED = Suite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384
UNDERIVED = Suite.AES_256_GCM_IV12_TAG16
MIB = 1024 * 1024


class Setting:
    """A cache whose clock, chance and background threads a test moves."""

    def __init__(self, **options: Any) -> None:
        self.clock = FakeClock()
        self.keyring = SlowKeyring()
        self.background: list[Callable[[], None]] = []
        self.events: list[DataKeyEvent] = []
        self.cache = DataKeyCache(
            self.keyring,
            **{
                "clock": self.clock,
                "random": lambda: 0.0,
                "start_thread": self.background.append,
                "on_event": self.events.append,
                "refresh_ahead": 1.0,
                **options,
            },
        )
        self.client = Client(self.cache)

    @property
    def wraps(self) -> int:
        return len(self.keyring.wraps)

    @property
    def unwraps(self) -> int:
        return len(self.keyring.unwraps)


def _keys_of(client: Client, messages: list[bytes]) -> int:
    """How many data keys these messages have."""
    return len({client.decrypt_message(message).header.encrypted_data_keys for message in messages})


def test_many_messages_cost_one_call_in_each_direction() -> None:
    setting = Setting()
    messages = [setting.client.encrypt(b"%d" % number, {"tenant": "42"}) for number in range(100)]
    assert [setting.client.decrypt(message) for message in messages] == [b"%d" % number for number in range(100)]
    assert (setting.wraps, setting.unwraps) == (1, 1)
    assert len(set(messages)) == 100


def test_a_message_of_the_cache_opens_without_it() -> None:
    setting = Setting()
    assert Client(raw_aes()).decrypt(setting.client.encrypt(b"plaintext", {"tenant": "42"})) == b"plaintext"


@pytest.mark.parametrize(
    "other",
    [
        {"encryption_context": {"tenant": "43"}},
        {"encryption_context": {"tenant": "42", "more": ""}},
        {"encryption_context": {}},
        {"suite": Suite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384},
    ],
)
def test_another_context_or_suite_has_another_data_key(other: dict[str, Any]) -> None:
    setting = Setting()
    setting.client.encrypt(b"", {"tenant": "42"})
    setting.client.encrypt(b"", **{"encryption_context": {"tenant": "42"}, **other})
    assert setting.wraps == 2


def test_the_order_of_pairs_and_what_is_stored_of_them_do_not_matter() -> None:
    setting = Setting()
    first = setting.client.encrypt(b"", {"a": "1", "b": "2"})
    second = setting.client.encrypt(b"", {"b": "2", "a": "1"}, unstored_context_keys=["b"])
    third = setting.client.encrypt(b"", {"b": "2", "a": "1"}, frame_length_bytes=7)
    assert setting.wraps == 1
    for message in (first, second, third):
        assert setting.client.decrypt(message, {"b": "2"}) == b""
    assert setting.unwraps == 1, "unstored pairs are part of the encryption context like the others"


def test_an_unstored_pair_that_is_wrong_or_missing_finds_no_data_key() -> None:
    setting = Setting()
    message = setting.client.encrypt(b"", {"a": "1", "b": "2"}, unstored_context_keys=["b"])
    assert setting.client.decrypt(message, {"b": "2"}) == b""
    for given in ({"b": "3"}, {}):
        with pytest.raises(KeyUnavailable):
            setting.client.decrypt(message, given)


def test_another_encrypted_data_key_is_unwrapped_by_itself() -> None:
    setting = Setting()
    messages = [Client(raw_aes()).encrypt(b"") for _ in range(3)]
    for message in messages * 2:
        setting.client.decrypt(message)
    assert setting.unwraps == 3


def test_two_clients_of_one_cache_share_data_keys_also_with_other_policies() -> None:
    setting = Setting()
    other = Client(setting.cache, commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT)
    forbids = Client(setting.cache, commitment_policy=CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT)
    setting.client.encrypt(b"")
    other.encrypt(b"")
    assert setting.wraps == 1
    forbids.encrypt(b"")
    assert setting.wraps == 2, "the policy shows in the suite"


def test_a_data_key_is_used_up_to_its_age() -> None:
    setting = Setting(max_age_s=300)
    setting.client.encrypt(b"")
    setting.clock.advance(299.9)
    message = setting.client.encrypt(b"")
    setting.client.decrypt(message)
    setting.clock.advance(0.2)
    setting.client.encrypt(b"")
    setting.client.decrypt(message)
    assert (setting.wraps, setting.unwraps) == (2, 1)
    setting.clock.advance(300)
    setting.client.decrypt(message)
    assert setting.unwraps == 2


@pytest.mark.parametrize("refresh_ahead", [1.0, 0.8])
def test_no_data_key_takes_more_messages_or_bytes_than_allowed(refresh_ahead: float) -> None:
    setting = Setting(max_messages=10, refresh_ahead=refresh_ahead, start_thread=start_daemon)
    messages = [setting.client.encrypt(b"") for _ in range(35)]
    assert _most_under_one_key(setting.client, messages) <= 10
    assert refresh_ahead < 1 or setting.wraps == 4
    setting = Setting(max_bytes=1000, refresh_ahead=refresh_ahead, start_thread=start_daemon)
    messages = [setting.client.encrypt(bytes(300)) for _ in range(20)]
    assert _most_under_one_key(setting.client, messages) <= 3


def _most_under_one_key(client: Client, messages: list[bytes]) -> int:
    keys = [client.decrypt_message(message).header.encrypted_data_keys for message in messages]
    return max(keys.count(key) for key in keys)


def test_a_message_longer_than_the_limit_has_a_data_key_of_its_own() -> None:
    setting = Setting(max_bytes=1000)
    setting.client.encrypt(bytes(900))
    long = setting.client.encrypt(bytes(1001))
    setting.client.encrypt(bytes(100))
    assert setting.wraps == 2
    assert setting.client.decrypt(long) == bytes(1001)
    assert setting.cache.stats().wrap.uncached == 1


def test_renewal_ahead_of_time_lets_nobody_wait() -> None:
    setting = Setting(max_age_s=100, refresh_ahead=0.8)
    message = setting.client.encrypt(b"")
    setting.client.decrypt(message)
    setting.clock.advance(80)
    for _ in range(3):
        setting.client.encrypt(b"")
        setting.client.decrypt(message)
    assert (setting.wraps, setting.unwraps) == (1, 1)
    assert len(setting.background) == 2, "one for each direction"
    for work in setting.background:
        work()
    assert (setting.wraps, setting.unwraps) == (2, 2)
    newer = setting.client.encrypt(b"")
    assert _keys_of(setting.client, [message, newer]) == 2
    setting.clock.advance(50)
    setting.client.encrypt(b"")
    setting.client.decrypt(message)
    assert (setting.wraps, setting.unwraps) == (2, 3), "the message of the new data key was the third"


def test_nobody_waits_for_a_keyring_that_hangs_while_a_data_key_is_usable() -> None:
    setting = Setting(max_age_s=100, refresh_ahead=0.8, start_thread=lambda work: threading.Thread(target=work).start())
    setting.client.encrypt(b"")
    setting.clock.advance(90)
    setting.keyring.before_answer = lambda: setting.clock.sleep(2)
    for _ in range(50):
        setting.client.encrypt(b"")
    setting.clock.wait_for_sleepers(1)
    for _ in range(50):
        setting.client.encrypt(b"")
    assert setting.wraps == 2
    setting.clock.advance(2)
    setting.clock.wait_for_sleepers(0)
    assert setting.cache.stats().wrap.hits == 100


def test_streams_of_unknown_length_share_data_keys_and_are_counted_as_they_flow() -> None:
    setting = Setting(max_bytes=1600)
    for _ in range(4):
        with setting.client.encrypting_writer(io.BytesIO(), frame_length_bytes=10) as writer:
            for _ in range(4):
                writer.write(bytes(25))
    assert setting.wraps == 1
    setting.client.encrypt(bytes(1200))
    assert setting.wraps == 1
    setting.client.encrypt(bytes(1))
    assert setting.wraps == 2


def test_a_stream_takes_a_sixteenth_of_the_limit_at_its_start() -> None:
    setting = Setting(max_bytes=1600)
    writers = [setting.client.encrypting_writer(io.BytesIO(), frame_length_bytes=10) for _ in range(17)]
    assert setting.wraps == 2
    for writer in writers:
        writer.write(bytes(100))
        writer.close()
    setting = Setting()
    setting.client.encrypting_writer(io.BytesIO()).abort()
    assert setting.cache._taken_bytes(None) == STREAM_BYTES == 64 * MIB
    assert setting.cache._taken_bytes(0) == 0
    assert setting.cache._taken_bytes(65 * MIB) == 65 * MIB
    assert setting.cache._taken_bytes(4) == 4


def test_a_stream_that_outgrows_its_data_key_fails_before_it_is_sealed() -> None:
    setting = Setting(max_bytes=1600)
    file = io.BytesIO()
    writer = setting.client.encrypting_writer(file, frame_length_bytes=100)
    for _ in range(16):
        writer.write(bytes(100))
    writer.write(b"1")
    with pytest.raises(LimitExceeded, match="1,600") as caught:
        writer.close()
    assert "length" in caught.value.hint
    assert len(file.getvalue()) < 1600 + 17 * 40 + 500
    assert setting.events[-1].kind == "refusal"
    assert "max_bytes" in setting.events[-1].error


def test_a_stream_of_known_length_is_counted_at_its_start_and_a_long_one_has_its_own_data_key(tmp_path: Any) -> None:
    setting = Setting(max_bytes=1600)
    setting.client.encrypting_writer(io.BytesIO(), length=1500).abort()
    assert setting.wraps == 1
    setting.client.encrypting_writer(io.BytesIO(), length=101).abort()
    assert setting.wraps == 2
    with setting.client.encrypting_writer(io.BytesIO(), length=5000) as writer:
        writer.write(bytes(5000))
    assert setting.wraps == 3
    setting.client.encrypt_stream(io.BytesIO(bytes(5000)), io.BytesIO())
    path = tmp_path / "plain"
    path.write_bytes(bytes(5000))
    setting.client.encrypt_file(path, tmp_path / "sealed")
    assert setting.client.decrypt((tmp_path / "sealed").read_bytes()) == bytes(5000)
    assert setting.wraps == 5
    assert setting.cache.stats().wrap.uncached == 3
    setting.client.encrypt_stream(io.BytesIO(bytes(50)), io.BytesIO())
    assert setting.wraps == 5


def test_a_stream_that_is_known_to_be_empty_takes_nothing_of_its_data_key(tmp_path: Any) -> None:
    setting = Setting(max_bytes=1600)
    empty = tmp_path / "empty"
    empty.touch()
    for _ in range(50):
        setting.client.encrypt_stream(io.BytesIO(), io.BytesIO())
        setting.client.encrypt_file(empty, tmp_path / "sealed")
        setting.client.encrypting_writer(io.BytesIO(), length=0).close()
    setting.client.encrypt(bytes(1600))
    assert (setting.wraps, setting.cache.stats().wrap.uncached) == (1, 0)


def test_tasks_too_take_nothing_of_a_data_key_for_an_empty_stream() -> None:
    setting = Setting(max_bytes=1600, start_thread=start_daemon)
    client = AsyncClient(setting.cache)

    async def ask() -> None:
        for _ in range(17):
            await client.encrypt_stream(io.BytesIO(), io.BytesIO())

    asyncio.run(ask())
    assert setting.wraps == 1


@pytest.mark.skipif(sys.platform != "linux", reason="files of Linux")
@pytest.mark.parametrize("name", ["/dev/zero", "/proc/self/cmdline"])
def test_a_file_that_wrongly_says_it_is_empty_has_no_known_length(name: str) -> None:
    with Path(name).open("rb") as file:
        assert file.seek(0, io.SEEK_END) == 0
        assert known_length(file) is None
        assert known_length(file.raw) is None


@pytest.mark.skipif(sys.platform != "linux", reason="files of Linux")
@pytest.mark.parametrize("name", ["/proc/self/cmdline", "/proc/mounts"])
def test_what_the_kernel_makes_while_it_is_read_is_encrypted_as_a_file(name: str, tmp_path: Path) -> None:
    setting = Setting()
    setting.client.encrypt_file(name, tmp_path / "sealed")
    assert setting.client.decrypt((tmp_path / "sealed").read_bytes()) == Path(name).read_bytes()
    with Path(name).open("rb") as file:
        assert known_length(file) is None


def test_a_file_behind_its_end_has_nothing_left(tmp_path: Any) -> None:
    (tmp_path / "short").write_bytes(b"12")
    with (tmp_path / "short").open("rb") as file:
        assert known_length(file) == 2
        file.seek(1)
        assert known_length(file) == 1
        file.seek(9)
        assert (known_length(file), file.tell()) == (0, 9)
    assert known_length(io.BytesIO()) == 0
    assert known_length(file) is None, "closed"


@pytest.mark.parametrize("source", [io.BufferedReader(io.BytesIO(bytes(5000))), None])
def test_a_file_on_disk_or_in_memory_tells_its_length_and_others_are_counted(source: Any) -> None:
    setting = Setting(max_bytes=1600)
    if source is not None:
        setting.client.encrypt_stream(source, io.BytesIO())
        return
    reading, writing = os.pipe()
    os.write(writing, bytes(5000))
    os.close(writing)
    with io.FileIO(reading) as pipe, pytest.raises(LimitExceeded):
        setting.client.encrypt_stream(pipe, io.BytesIO())


@pytest.mark.parametrize("suite", [Suite.AES_128_GCM_IV12_TAG16, Suite.AES_192_GCM_IV12_TAG16, UNDERIVED])
def test_suites_without_key_derivation_are_never_cached(suite: Suite) -> None:
    setting = Setting()
    client = writing_client(suite.value, setting.cache)
    messages = [client.encrypt(b"plaintext", suite=suite) for _ in range(3)]
    assert [client.decrypt(message) for message in messages * 2] == [b"plaintext"] * 6
    assert (setting.wraps, setting.unwraps) == (3, 6)
    assert setting.cache.stats().data_keys == 0
    assert setting.cache.stats().unwrap.uncached == 6


def test_signed_messages_under_one_data_key_share_one_signing_key() -> None:
    """The data key is bound to the public key, so one of each message would mean a KMS call for each message."""
    setting = Setting(max_messages=3)
    messages = [setting.client.encrypt(b"plaintext", {"tenant": "42"}, suite=SIGNED) for _ in range(6)]
    opened = [setting.client.decrypt_message(message) for message in messages]
    public_keys = [each.encryption_context["aws-crypto-public-key"] for each in opened]
    assert [public_keys.count(key) for key in public_keys] == [3] * 6
    assert (setting.wraps, setting.unwraps) == (2, 2)
    assert Client(raw_aes()).decrypt(messages[0]) == b"plaintext"
    alone = [Client(raw_aes()).encrypt(b"", suite=SIGNED) for _ in range(2)]
    contexts = {setting.client.decrypt_message(message).encryption_context for message in alone}
    assert len(contexts) == 2, "without a cache each message has its own"


def test_a_signed_message_longer_than_the_limit_is_signed_by_a_key_of_its_own() -> None:
    setting = Setting(max_bytes=10)
    message = setting.client.encrypt(bytes(11), suite=SIGNED)
    assert setting.client.decrypt(message) == bytes(11)


def test_inside_a_multi_keyring_bytes_are_counted_too() -> None:
    setting = Setting(max_bytes=160)
    client = Client(MultiKeyring(setting.cache, [raw_aes("other", 2)]))
    message = client.encrypt(bytes(100))
    assert Client(raw_aes("other", 2)).decrypt(message) == bytes(100)
    with pytest.raises(LimitExceeded):
        client.encrypt(bytes(100))
    signed = client.encrypt(b"", suite=SIGNED)
    assert client.decrypt(signed) == b""
    assert setting.cache.stats().wrap.uncached == 1, "its public key was made for that message alone"


def test_as_a_child_it_wraps_the_data_key_that_it_is_given() -> None:
    setting = Setting()
    client = Client(MultiKeyring(raw_aes("other", 2), [setting.cache]))
    for _ in range(2):
        assert setting.client.decrypt(client.encrypt(b"plaintext")) == b"plaintext"
    assert setting.wraps == 2


def test_events_tell_what_happens_without_values_and_keys() -> None:
    setting = Setting(max_age_s=100, refresh_ahead=0.8, capacity=1)
    setting.keyring.before_answer = lambda: setting.clock.advance(2)
    secret = "Ada Lovelace"
    message = setting.client.encrypt(b"", {"tenant": secret})
    setting.client.encrypt(b"", {"tenant": secret})
    setting.clock.advance(90)
    setting.client.encrypt(b"", {"tenant": secret})
    setting.background.pop()()
    setting.client.decrypt(message)
    setting.client.encrypt(b"")
    setting.keyring.failure = KeyUnavailable("outage")
    with pytest.raises(KeyUnavailable):
        setting.client.encrypt(b"", {"other": "x"})
    told = [(event.kind, event.operation, event.duration_s, event.context_names) for event in setting.events]
    assert told == [
        ("wrap", "wrap", 2, ("tenant",)),
        ("miss", "wrap", 2, ("tenant",)),
        ("hit", "wrap", 0, ("tenant",)),
        ("refresh", "wrap", 0, ("tenant",)),
        ("hit", "wrap", 0, ("tenant",)),
        ("wrap", "wrap", 2, ("tenant",)),
        ("unwrap", "unwrap", 2, ("tenant",)),
        ("miss", "unwrap", 2, ("tenant",)),
        ("wrap", "wrap", 2, ()),
        ("eviction", "wrap", 0, ("tenant",)),
        ("miss", "wrap", 2, ()),
        ("wrap", "wrap", 2, ("other",)),
        ("refusal", "wrap", 2, ("other",)),
    ]
    assert {event.key_names for event in setting.events} == {("key",), ()}
    assert {event.error for event in setting.events} == {"", "outage"}
    assert secret not in repr(setting.events)
    assert all(event.encryption_context is None for event in setting.events)
    with pytest.raises(AttributeError):
        setting.events[0].kind = "miss"  # type: ignore[misc]


def test_a_hit_of_a_stream_is_told_as_one() -> None:
    setting = Setting()
    for _ in range(2):
        setting.client.encrypting_writer(io.BytesIO()).abort()
    assert [event.kind for event in setting.events] == ["wrap", "miss", "hit"]
    stats = setting.cache.stats().wrap
    assert (stats.hits, stats.misses) == (1, 1)


def test_events_show_values_when_they_are_asked_for() -> None:
    setting = Setting(events_show_context_values=True)
    setting.client.encrypt(b"", {"tenant": "42"})
    assert [event.encryption_context for event in setting.events] == [EncryptionContext({"tenant": "42"})] * 2


def test_a_hook_that_raises_is_logged_and_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: DataKeyEvent) -> None:
        raise ValueError("broken hook")

    setting = Setting(on_event=broken)
    with caplog.at_level(logging.ERROR):
        message = setting.client.encrypt(b"plaintext")
        assert setting.client.decrypt(message) == b"plaintext"
    assert "on_event of a DataKeyCache raised" in caplog.text


def test_stats_count_each_direction() -> None:
    setting = Setting()
    message = setting.client.encrypt(b"")
    setting.client.encrypt(b"")
    for _ in range(3):
        setting.client.decrypt(message)
    assert setting.cache.stats() == CacheStats(
        OperationStats(hits=1, misses=1, calls=1), OperationStats(hits=2, misses=1, calls=1), 2
    )


def test_a_failure_reaches_the_caller_and_is_not_remembered_beyond_the_back_off() -> None:
    setting = Setting(random=lambda: 1.0)
    setting.keyring.failure = KeyUnavailable("outage")
    errors = []
    for _ in range(3):
        with pytest.raises(KeyUnavailable, match="outage") as caught:
            setting.client.encrypt(b"")
        errors.append(caught.value)
    assert setting.wraps == 1
    assert len({id(error) for error in errors}) == 3
    setting.keyring.failure = None
    setting.clock.advance(0.1)
    setting.client.encrypt(b"")
    assert setting.wraps == 2


@pytest.mark.parametrize("answer", [None, ValueError("x"), 42])
def test_a_keyring_that_does_not_do_as_it_should_is_a_key_that_is_not_available(answer: Any) -> None:
    message = Client(raw_aes()).encrypt(b"")
    client = open_client(DataKeyCache(AnswersWith(answer)))
    for act in (
        lambda: client.encrypt(b""),
        lambda: client.decrypt(message),
        lambda: client.encrypt(b"", suite=SIGNED),
    ):
        with pytest.raises(KeyUnavailable):
            act()


def test_clear_forgets_the_data_keys_of_both_directions() -> None:
    setting = Setting()
    message = setting.client.encrypt(b"")
    setting.client.decrypt(message)
    setting.cache.clear()
    assert setting.cache.stats().data_keys == 0
    setting.client.encrypt(b"")
    setting.client.decrypt(message)
    assert (setting.wraps, setting.unwraps) == (2, 2)


def test_caches_of_other_keyrings_share_limits_and_capacity_but_no_data_keys() -> None:
    setting = Setting(capacity=2)
    other_keyring = SlowKeyring()
    other = Client(setting.cache.with_keyring(other_keyring))
    for _ in range(2):
        setting.client.encrypt(b"")
        other.encrypt(b"")
    assert (setting.wraps, len(other_keyring.wraps)) == (1, 1)
    assert setting.cache.stats().wrap.hits == 2
    other.encrypt(b"", {"third": "entry"})
    assert setting.cache.stats().wrap.evictions == 1
    setting.cache.clear()
    assert setting.cache.stats().data_keys == 2, "of the other partition"


def test_caches_of_the_same_named_partition_share_data_keys() -> None:
    setting = Setting(partition="orders")
    same, another = (setting.cache.with_keyring(SlowKeyring(), partition=name) for name in ("orders", "invoices"))
    message = setting.client.encrypt(b"plaintext")
    setting.client.decrypt(message)
    Client(same).encrypt(b"")
    assert Client(same).decrypt(message) == b"plaintext"
    assert setting.cache.stats().wrap.calls == 1
    Client(another).encrypt(b"")
    assert setting.cache.stats().wrap.calls == 2


def test_a_cache_does_not_show_or_give_away_its_keys() -> None:
    setting = Setting()
    setting.client.encrypt(b"")
    assert repr(setting.cache) == "DataKeyCache(SlowKeyring())"
    with pytest.raises(TypeError):
        pickle.dumps(setting.cache)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"max_age_s": 0}, "max_age_s must be more than 0 and up to"),
        ({"max_age_s": float("nan")}, "max_age_s must be more than 0 and up to"),
        ({"max_age_s": float("inf")}, "not inf"),
        ({"max_age_s": 10**400}, "not a much larger one"),
        ({"max_age_s": -(10**5000)}, "max_age_s"),
        ({"refresh_ahead": 10**5000}, "refresh_ahead"),
        ({"clock": 5}, "clock must be a function, not int"),
        ({"random": None}, "random must be a function"),
        ({"start_thread": None}, "start_thread must be a function"),
        ({"max_age_s": True}, "max_age_s must be a number of seconds, not bool"),
        ({"max_age_s": "300"}, "max_age_s must be a number of seconds, not str"),
        ({"max_messages": 0}, "max_messages must be 1 to 4,294,967,296, not 0"),
        ({"max_messages": 2**32 + 1}, "max_messages"),
        ({"max_messages": 1.5}, "max_messages must be a whole number"),
        ({"max_bytes": 0}, "max_bytes"),
        ({"max_bytes": 2**63}, "max_bytes"),
        ({"capacity": 0}, "capacity"),
        ({"refresh_ahead": 0}, "refresh_ahead must be above 0 and up to 1, not 0"),
        ({"refresh_ahead": 1.1}, "refresh_ahead"),
        ({"refresh_ahead": "0.8"}, "refresh_ahead must be a number above 0 and up to 1, not str"),
        ({"refresh_ahead": True}, "refresh_ahead"),
        ({"partition": ""}, "partition"),
        ({"partition": b"x"}, "partition"),
        ({"on_event": "print"}, "on_event must be a function, not str"),
        ({"events_show_context_values": 1}, "events_show_context_values must be True or False"),
    ],
)
def test_an_option_that_cannot_be_meant_is_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidArgument, match=text):
        DataKeyCache(raw_aes(), **options)


@pytest.mark.parametrize("keyring", [None, "alias/app", raw_aes, DataKeyCache])
def test_something_else_than_a_keyring_is_refused(keyring: Any) -> None:
    with pytest.raises(InvalidArgument, match="keyring must be a keyring"):
        DataKeyCache(keyring)
    with pytest.raises(InvalidArgument):
        DataKeyCache(raw_aes()).with_keyring(keyring)


def test_age_is_counted_by_a_clock_that_nobody_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    steady = getattr(
        time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC
    )  # goes on in a machine that sleeps, where there is one
    before_s = time.clock_gettime(steady)
    assert before_s <= elapsed_s() <= time.clock_gettime(steady)

    times_s = {time.CLOCK_REALTIME: 1_700_000_000.0, time.CLOCK_MONOTONIC: 10.0, steady: 1_000.0}
    monkeypatch.setattr(time, "clock_gettime", times_s.__getitem__)
    monkeypatch.setattr(time, "time", lambda: times_s[time.CLOCK_REALTIME])
    keyring = SlowKeyring()
    client = Client(DataKeyCache(keyring, max_age_s=300, refresh_ahead=1))
    client.encrypt(b"")
    for change_s in (-86_400, 2 * 86_400):
        times_s[time.CLOCK_REALTIME] += change_s
        client.encrypt(b"")
    times_s[steady] += 299
    client.encrypt(b"")
    assert len(keyring.wraps) == 1
    times_s[steady] += 1
    client.encrypt(b"")
    assert len(keyring.wraps) == 2


def test_everything_of_the_cache_comes_out_as_an_error_of_ours() -> None:
    cache = DataKeyCache(AnswersWith(OSError("secret things")))
    request = WrapRequest(Suite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY, EncryptionContext({}))
    for act in (lambda: cache.wrap(request), lambda: cache.wrap_for(request, 1), lambda: cache.wrap_stream(request, 1)):
        with pytest.raises(EnvelopeError):
            act()


def test_requests_are_the_same_only_if_every_part_of_them_is() -> None:
    suite, context = Suite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY, EncryptionContext({"a": "b"})
    one = EncryptedDataKey("provider", b"info", b"ciphertext")
    requests = [
        UnwrapRequest(suite, context, (one,)),
        UnwrapRequest(SIGNED, context, (one,)),
        UnwrapRequest(suite, EncryptionContext({"a": "c"}), (one,)),
        UnwrapRequest(suite, EncryptionContext({}), (one,)),
        UnwrapRequest(suite, context, (EncryptedDataKey("provide", b"rinfo", b"ciphertext"),)),
        UnwrapRequest(suite, context, (EncryptedDataKey("provider", b"infoc", b"iphertext"),)),
        UnwrapRequest(suite, context, (EncryptedDataKey("other", b"info", b"ciphertext"),)),
        UnwrapRequest(suite, context, (EncryptedDataKey("provider", b"else", b"ciphertext"),)),
        UnwrapRequest(suite, context, (one, one)),
        UnwrapRequest(suite, context, (one, EncryptedDataKey("", b"", b""))),
    ]
    assert len({request.identity for request in requests}) == len(requests)
    assert requests[0].identity == UnwrapRequest(suite, EncryptionContext({"a": "b"}), (one,)).identity
    wraps = [WrapRequest(suite, context), WrapRequest(SIGNED, context), WrapRequest(suite, EncryptionContext({}))]
    assert len({request.identity for request in wraps}) == 3


def test_a_message_that_somebody_made_long_is_not_kept_nor_is_its_failure() -> None:
    setting = Setting()
    message = Client(raw_aes()).encrypt(b"plaintext", {"long": "x" * 17_000})
    for _ in range(2):
        assert setting.client.decrypt(message) == b"plaintext"
    setting.client.encrypt(b"", {"long": "x" * 17_000})
    assert setting.unwraps == 2
    assert setting.cache.stats().data_keys == 0
    assert (setting.cache.stats().unwrap.uncached, setting.cache.stats().wrap.uncached) == (2, 1)


def test_what_async_callers_must_not_have_cached_is_not_cached_for_them_either() -> None:
    setting = Setting(max_bytes=1_000)
    long = EncryptionContext({"long": "x" * 17_000})

    async def ask() -> None:
        for suite, context, size in (
            (UNDERIVED, EncryptionContext({}), 1),
            (Suite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY, long, 1),
            (Suite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY, EncryptionContext({}), 1_001),
        ):
            request = WrapRequest(suite, context)
            wrapped = await setting.cache.wrap_for_async(request, size)
            await setting.cache.wrap_stream_async(request, size)
            if size == 1:
                asked = UnwrapRequest(suite, context, wrapped.encrypted_data_keys)
                for _ in range(2):
                    assert (await setting.cache.unwrap_async(asked)).plaintext == wrapped.plaintext

    asyncio.run(ask())
    assert setting.cache.stats().data_keys == 0
    assert (setting.wraps, setting.unwraps) == (6, 4)


def test_a_stream_of_a_task_is_counted_from_its_start() -> None:
    setting = Setting(max_bytes=1_600, start_thread=start_daemon)
    request = WrapRequest(Suite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY, EncryptionContext({}))

    async def ask() -> None:
        keys = [await setting.cache.wrap_stream_async(request, None) for _ in range(16)]
        counts = [key.count_bytes for key in keys if key.count_bytes is not None]
        assert len(counts) == 16
        for count in counts:
            count(100)
        with pytest.raises(LimitExceeded):
            counts[0](1)

    asyncio.run(ask())
    assert setting.wraps == 1


def test_a_data_key_that_is_given_is_wrapped_whatever_is_cached() -> None:
    setting = Setting()
    suite = Suite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY
    setting.client.encrypt(b"")
    given = WrapRequest(suite, EncryptionContext({}), bytes(range(32)))
    assert setting.cache.wrap_for(given, 0).plaintext == bytes(range(32))


def test_a_cache_around_a_cache_is_refused_however_it_comes_in() -> None:
    """The limits of the inner one would be passed by the outer one."""
    inner = DataKeyCache(raw_aes())
    with pytest.raises(InvalidArgument, match="counts messages itself"):
        DataKeyCache(inner)
    with pytest.raises(InvalidArgument, match="counts messages itself"):
        DataKeyCache(raw_aes()).with_keyring(inner)
    hidden = Client(DataKeyCache(MultiKeyring(inner)))
    with pytest.raises(InvalidArgument, match="counts messages itself"):
        hidden.encrypt(b"")


def test_an_answer_that_is_no_data_key_is_not_kept() -> None:
    class WrongOnce(SlowKeyring):
        is_wrong = True

        def wrap(self, request: WrapRequest) -> DataKey:
            data_key = super().wrap(request)
            return DataKey(b"short", data_key.encrypted_data_keys) if self.is_wrong else data_key

        def unwrap(self, request: UnwrapRequest) -> UnwrappedDataKey:
            unwrapped = super().unwrap(request)
            return UnwrappedDataKey(b"short", unwrapped.unwrapped_by) if self.is_wrong else unwrapped

    keyring, clock = WrongOnce(), FakeClock()
    client, message = Client(DataKeyCache(keyring, clock=clock)), Client(raw_aes()).encrypt(b"plaintext")
    for act in (lambda: client.encrypt(b""), lambda: client.decrypt(message)):
        with pytest.raises(KeyUnavailable, match="5 bytes"):
            act()
    keyring.is_wrong = False
    clock.advance(0.2)
    client.encrypt(b"")
    assert client.decrypt(message) == b"plaintext"


def test_a_hook_or_a_keyring_that_uses_the_cache_that_calls_it_gets_an_error_and_no_deadlock() -> None:
    told: list[str] = []

    def audit(event: DataKeyEvent) -> None:
        if event.kind == "wrap":
            with pytest.raises(KeyUnavailable, match="by the call that gets it"):
                client.encrypt(b"an audit line")
            told.append(event.kind)

    client = Client(DataKeyCache(raw_aes(), on_event=audit))
    client.encrypt(b"plaintext")
    assert told == ["wrap"]


def test_a_keyring_whose_repr_fails_is_named_by_its_type() -> None:
    class Odd(AnswersWith):
        def __repr__(self) -> str:
            raise ValueError("no repr")

    with pytest.raises(KeyUnavailable, match=r"^Odd failed to wrap a data key"):
        Client(Odd(OSError("x"))).encrypt(b"")


def test_the_counts_of_a_forked_child_begin_at_zero() -> None:
    setting = Setting(max_bytes=10)
    setting.client.encrypt(bytes(11))
    assert setting.cache.stats().wrap.uncached == 1
    reset_all()
    assert setting.cache.stats() == CacheStats(OperationStats(), OperationStats(), 0)
