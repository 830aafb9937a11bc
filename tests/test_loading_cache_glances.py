"""Hits without the lock, for caches whose only limit is an age."""

from __future__ import annotations

import threading

from envelope.cache.entries import Counts
from tests.test_loading_cache_renewals import Setting


def test_a_glance_finds_what_is_fresh_and_counts_as_a_hit() -> None:
    setting = Setting()
    assert setting.cache.glance("key") is None
    setting.get()
    found = setting.cache.glance("key")
    assert found is not None
    assert found.value == "value 1"
    assert setting.cache.counts() == Counts(hits=1, misses=1, calls=1)
    assert setting.cache.counts() == Counts(hits=1, misses=1, calls=1), "to look at the counts is no hit"


def test_a_glance_leaves_what_is_due_or_over_to_those_who_look_closer() -> None:
    setting = Setting(refresh_ahead=0.5)
    setting.get()
    setting.clock.advance(39)  # half of the age, less a fifth of that by chance
    assert setting.cache.glance("key") is not None
    setting.clock.advance(1)
    assert setting.cache.glance("key") is None
    assert setting.cache.find("key") is not None

    without_renewal = Setting()
    without_renewal.get()
    without_renewal.clock.advance(100)
    assert without_renewal.cache.glance("key") is None


def test_what_was_seen_is_spared_once_when_others_make_room() -> None:
    setting = Setting(capacity=2)
    for key in ("a", "b"):
        setting.get(key)
    setting.cache.glance("a")
    setting.get("c")
    assert {key for key, _ in setting.cache.items()} == {"a", "c"}
    setting.get("d")
    assert {key for key, _ in setting.cache.items()} == {"d", "a"}, "a had its chance; it is not older than c by now"


def test_the_newest_is_never_what_makes_room_for_itself() -> None:
    setting = Setting(capacity=1)
    setting.get("a")
    setting.cache.glance("a")
    setting.get("b")
    assert [key for key, _ in setting.cache.items()] == ["b"]


def test_glances_of_many_threads_are_all_counted() -> None:
    setting = Setting()
    setting.get()
    start = threading.Barrier(8)

    def glance() -> None:
        start.wait()
        for _ in range(1_000):
            assert setting.cache.glance("key") is not None

    threads = [threading.Thread(target=glance) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert setting.cache.counts().hits == 8_000
