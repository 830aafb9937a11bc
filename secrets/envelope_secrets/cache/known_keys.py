"""Under which keys something of a secret was kept: what concerns a secret is found without a look at everything."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from envelope.process_state import reset_in_children
from envelope_secrets.cache.keys import CacheKey, Whole

__all__ = ["KnownKeys"]

LEAST_NOTES = 100


class KnownKeys:
    """An index by ARN. It may name keys under which there is nothing any more, or another secret. Safe for threads.

    Args:
        items: what is kept now; from it the index is made anew when it has become too long.
        capacity: how much may be kept.
    """

    __slots__ = ("__weakref__", "_by_arn", "_items", "_lock", "_most", "_notes", "_trees")

    def __init__(self, items: Callable[[], Iterable[tuple[CacheKey, Any]]], capacity: int) -> None:
        self._items = items
        self._most = 2 * capacity + LEAST_NOTES
        self.reset_after_fork()
        reset_in_children(self)

    def reset_after_fork(self) -> None:
        """Begin anew, as the entries do."""
        self._lock = threading.Lock()
        self._forget()

    def note(self, key: CacheKey, value: Any) -> None:
        """A value was kept under a key."""
        with self._lock:
            if self._notes >= self._most:
                self._forget()
                for kept in self._items():
                    self._add(*kept)
            self._add(key, value)

    def of(self, arn: str) -> tuple[CacheKey, ...]:
        """Where versions and the key ring of a secret may be kept."""
        with self._lock:
            return self._by_arn.get(arn, ())

    def trees(self) -> tuple[CacheKey, ...]:
        """Where trees may be kept."""
        with self._lock:
            return tuple(self._trees)

    def _forget(self) -> None:
        self._by_arn: dict[str, tuple[CacheKey, ...]] = {}
        self._trees: set[CacheKey] = set()
        self._notes = 0

    def _add(self, key: CacheKey, value: Any) -> None:
        if key[1] is Whole.TREE:
            self._notes += key not in self._trees
            self._trees.add(key)
            return
        known = self._by_arn.get(value.arn, ())
        if key not in known:
            self._by_arn[value.arn] = (*known, key)
            self._notes += 1
