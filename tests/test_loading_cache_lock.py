"""What a loading cache knows is looked at and changed under its lock, but for two steps that need none."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

import pytest

from envelope import KeyUnavailable
from envelope.cache.shelf import Shelf
from tests.test_loading_cache_renewals import Setting

STEPS = [
    "__contains__",
    "__delitem__",
    "__getitem__",
    "__iter__",
    "__setitem__",
    "clear",
    "get",
    "items",
    "keys",
    "move_to_end",
    "pop",
    "popitem",
    "setdefault",
    "update",
    "values",
]


def watched(known: dict[Any, Any], lock: Any, *, free: tuple[str, ...] = ()) -> dict[Any, Any]:
    """The same mapping, which wants the lock held at each step but those that are free."""
    kind: Any = type(known)

    def step(name: str) -> Any:
        def checked(self: Any, *arguments: Any, **options: Any) -> Any:
            assert lock.locked(), f"{name} without the lock"
            return getattr(kind, name)(self, *arguments, **options)

        return checked

    names = [name for name in STEPS if name not in free and hasattr(kind, name)]
    made: dict[Any, Any] = type("Watched", (kind,), {name: step(name) for name in names})(known)
    return made


@pytest.fixture
def setting(monkeypatch: pytest.MonkeyPatch) -> Setting:
    """A cache of two entries, watched, whose renewals run at once."""
    setting = Setting(capacity=2, refresh_ahead=0.5, start_thread=lambda work: work())
    shelf: Any = setting.cache._shelf
    assert type(shelf.entries) is dict, "what is read without the lock; an OrderedDict promises nothing"
    for name, known in list(vars(shelf).items()):
        if isinstance(known, dict):
            setattr(shelf, name, watched(known, shelf.lock, free=("get",) if name == "entries" else ()))
    assert isinstance(shelf._by_last_use, OrderedDict)

    def set_under_the_lock(self: Any, name: str, value: object) -> None:
        assert shelf.lock.locked(), f"{name} is set without the lock"
        object.__setattr__(self, name, value)

    monkeypatch.setattr(Shelf, "__setattr__", set_under_the_lock, raising=False)
    return setting


def test_hits_misses_renewals_and_failures_hold_the_lock(setting: Setting) -> None:
    cache, clock = setting.cache, setting.clock
    for key in ("a", "b", "c", "a"):
        setting.get(key)
        assert cache.glance(key) is not None
    clock.advance(60)
    assert cache.glance("a") is None, "due"
    setting.get("a")
    setting.failure = KeyUnavailable("outage")
    clock.advance(60)
    setting.get("a")
    with pytest.raises(KeyUnavailable):
        setting.get("d")
    with pytest.raises(KeyUnavailable):
        setting.get("d")
    setting.keeps_entry = False
    clock.advance(30)
    setting.get("a")
    assert cache.glance("a") is None, "dropped"
    counts = cache.counts()
    assert (counts.refreshes, counts.evictions, counts.refused) == (3, 2, 1)


def test_what_is_forced_asked_for_together_tended_and_cleared_holds_the_lock(setting: Setting) -> None:
    cache = setting.cache
    setting.renew()
    cache.get_all({"a": setting.load, "key": setting.load}, lambda keys: {key: setting.load() for key in keys})
    cache.tend("key", setting.load)
    cache.hasten(["key"])
    entry = cache.find("key")
    assert entry is not None
    assert cache.add(entry, 1)
    assert cache.peek("key") is not None
    assert cache.failure("key") is None
    assert {key for key, _ in cache.items()} == {"a", "key"}
    setting.clock.advance(100)
    assert cache.find("a") is None, "expired"
    setting.get("b")
    cache.clear()
    assert len(cache) == 0


def test_the_lock_is_one_that_threads_wait_for(setting: Setting) -> None:
    assert isinstance(setting.cache._shelf.lock, type(threading.Lock()))
