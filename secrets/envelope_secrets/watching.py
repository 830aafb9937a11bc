"""Subscriptions to moves of a label: one thread for all of them, which asks in time and calls back."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from types import TracebackType
from typing import TypeAlias
from weakref import WeakSet

from envelope.cache.workers import StartThread
from envelope.process_state import reset_in_children
from envelope_secrets.errors import SecretsError
from envelope_secrets.events import SecretChange

__all__ = ["Subscription", "Wait", "Watcher"]

Wait: TypeAlias = Callable[[threading.Event, float], object]
"""Waits for an event, up to a number of seconds."""

Version: TypeAlias = tuple[str, str]
"""ARN and version id."""

LEAST_PAUSE_S = 1.0
"""While a call is on its way the watcher looks again after so long."""


@dataclass(slots=True)
class _Watched:
    """One label, as it was seen last.

    Attributes:
        version: the version that had it, or None if none was seen yet.
        is_absent: whether no version had it, when somebody looked last.
        number: of the call that told so; what older calls tell is not news.
        rests_until_s: nobody is asked before, because the answer was no.
    """

    subscriptions: list[Subscription] = field(default_factory=list)
    version: Version | None = None
    is_absent: bool = False
    number: int = -1
    rests_until_s: float = -math.inf


class Subscription:
    """Goes on until `close`, or the end of its `with` block, or of its client."""

    __slots__ = ("_callback", "_is_over", "_watcher", "secret_id", "stage")

    def __init__(
        self,
        watcher: Watcher,
        secret_id: str,
        stage: str,
        callback: Callable[[SecretChange], object],
        is_over: Callable[[], bool],
    ) -> None:
        self._watcher = watcher
        self._callback = callback
        self._is_over = is_over
        self.secret_id = secret_id
        self.stage = stage

    def __repr__(self) -> str:
        return f"Subscription({self.secret_id!r}, stage={self.stage!r})"

    def __enter__(self) -> Subscription:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Call back no more, but for a call that is running. Closing again is fine."""
        self._watcher.end(self)

    def end_if_over(self) -> None:
        """Close it, and say so in the log, if nobody is left who could be called back."""
        if self._is_over():
            self.close()
            logging.getLogger(__name__).warning("%r has ended, because its event loop is closed", self)

    def call(self, change: SecretChange) -> None:
        """Call back. What that raises is logged, and nothing else fails for it."""
        try:
            self._callback(change)
        except BaseException:  # not even SystemExit: it would end the thread that calls back for all the others
            logging.getLogger(__name__).exception("a callback of on_change raised")


class Watcher:
    """Has labels looked at while somebody has subscribed to them, and tells of their moves.

    What comes into the cache by any call is told to `saw`; the thread only has calls made that nobody else makes, and
    calls back, so that no reader waits for a callback.

    Args:
        tend: has the call for a label made in the background if it is due; the clock's seconds when the next one is.
        clock: monotonic seconds.
        start_thread: runs what it is given without waiting for it.
        wait: what the thread sleeps with.
    """

    def __init__(
        self,
        tend: Callable[[str, str], float],
        *,
        clock: Callable[[], float],
        start_thread: StartThread,
        wait: Wait,
    ) -> None:
        self._tend = tend
        self._clock = clock
        self._start_thread = start_thread
        self._wait = wait
        self._watched: dict[tuple[str, str], _Watched] = {}
        self._begin()
        reset_in_children(self)
        _restart_in_children()
        _watchers.add(self)

    def _begin(self) -> None:
        self._process_id = os.getpid()
        self._lock = threading.Lock()
        self._alarm = threading.Event()
        self._changes: deque[tuple[Subscription, SecretChange]] = deque()
        self._is_running = False

    def reset_after_fork(self) -> None:
        """In a forked child there is no thread yet; after a restored snapshot it is there, and looks at once."""
        if os.getpid() != self._process_id:
            self._begin()
        with self._lock:
            for watched in self._watched.values():
                watched.rests_until_s = -math.inf
        self._alarm.set()

    def restart(self) -> None:
        """Go on with the subscriptions of the parent."""
        with self._lock:
            is_due = bool(self._watched) and not self._is_running
        if is_due:
            with contextlib.suppress(Exception):  # no thread can be started; the next subscription tries again
                self._start()

    def __len__(self) -> int:
        with self._lock:
            return sum(len(watched.subscriptions) for watched in self._watched.values())

    def subscribe(
        self,
        secret_id: str,
        stage: str,
        callback: Callable[[SecretChange], object],
        *,
        is_over: Callable[[], bool] = lambda: False,
    ) -> Subscription:
        """Call back at each move of a label from now on.

        Args:
            is_over: whether calling back makes no sense any more; asked from time to time, and then the subscription
                ends.

        Raises:
            SecretsError: no thread can be started.
        """
        subscription = Subscription(self, secret_id, stage, callback, is_over)
        with self._lock:
            watched = self._watched.setdefault((secret_id, stage), _Watched())
            watched.subscriptions.append(subscription)
        try:
            self._start()
        except Exception:  # noqa: BLE001 - whatever starts threads here
            self.end(subscription)
            raise SecretsError("no thread can be started to look for changes") from None
        return subscription

    def saw(self, secret_id: str, stage: str, version: Version, number: int) -> None:
        """Note which version a call has found under a label, and have it told if that is another one.

        A label that was absent and is back where it was has not moved.
        """
        with self._lock:
            watched = self._watched.get((secret_id, stage))
            if watched is None or number <= watched.number:
                return
            before, was_absent = watched.version, watched.is_absent
            watched.version, watched.is_absent, watched.number = version, False, number
            if before == version or (before is None and not was_absent):
                return
            previous = "" if before is None or was_absent else before[1]
            change = SecretChange(secret_id, version[0], stage, version[1], previous)
            self._changes.extend((subscription, change) for subscription in watched.subscriptions)
        self._alarm.set()

    def was_refused(self, secret_id: str, stage: str, number: int, *, rests_until_s: float, is_absent: bool) -> None:
        """Note that a call for a label was answered: no.

        Args:
            rests_until_s: the clock's seconds until when nobody is asked again.
            is_absent: whether no version has the label, as far as the answer tells.
        """
        with self._lock:
            watched = self._watched.get((secret_id, stage))
            if watched is not None and number > watched.number:
                watched.number, watched.rests_until_s = number, rests_until_s
                watched.is_absent = watched.is_absent or is_absent

    def end(self, subscription: Subscription) -> None:
        """End a subscription, and with the last one the thread."""
        key = (subscription.secret_id, subscription.stage)
        with self._lock:
            watched = self._watched.get(key)
            if watched is None or subscription not in watched.subscriptions:
                return
            watched.subscriptions.remove(subscription)
            if not watched.subscriptions:
                del self._watched[key]
        self._alarm.set()

    def close(self) -> None:
        """End all subscriptions."""
        with self._lock:
            self._watched.clear()
            self._changes.clear()
        self._alarm.set()

    def _start(self) -> None:
        with self._lock:
            is_running, self._is_running = self._is_running, True
            alarm = self._alarm
        if is_running:
            alarm.set()
            return
        try:
            self._start_thread(partial(self._run, alarm))
        except BaseException:
            with self._lock:
                self._is_running = False
            raise

    def _run(self, alarm: threading.Event) -> None:
        try:
            while self._made_a_round(alarm):
                pass
        except BaseException:  # of the clock or the wait that the client was given; the next subscription tries again
            with self._lock:
                self._is_running = False
            raise

    def _made_a_round(self, alarm: threading.Event) -> bool:
        """Call back, look, and wait for the next round; False if there is nobody to make one for."""
        alarm.clear()  # first, so that what comes meanwhile wakes it again
        self._call_back()
        for subscription in self._subscriptions():
            subscription.end_if_over()
        with self._lock:
            resting = {key: watched.rests_until_s for key, watched in self._watched.items()}
            self._is_running = bool(resting)
        if not resting:
            return False
        due_s = min(self._looked(key, rests_until_s) for key, rests_until_s in resting.items())
        self._wait(alarm, max(due_s - self._clock(), LEAST_PAUSE_S))
        return True

    def _subscriptions(self) -> list[Subscription]:
        with self._lock:
            return [subscription for watched in self._watched.values() for subscription in watched.subscriptions]

    def _looked(self, key: tuple[str, str], rests_until_s: float) -> float:
        """Have the call for a label made if one is due. The clock's seconds when the next one is."""
        return rests_until_s if self._clock() < rests_until_s else self._tend(*key)

    def _call_back(self) -> None:
        while True:
            with self._lock:
                if not self._changes:
                    return
                subscription, change = self._changes.popleft()
                watched = self._watched.get((subscription.secret_id, subscription.stage))
                is_wanted = watched is not None and subscription in watched.subscriptions
            if is_wanted:
                subscription.call(change)


_watchers: WeakSet[Watcher] = WeakSet()


@cache
def _restart_in_children() -> None:
    """Start threads in a forked child after everything there was reset: what they use must not be the parent's."""
    os.register_at_fork(after_in_child=_restart_all)


def _restart_all() -> None:
    for watcher in list(_watchers):
        watcher.restart()
