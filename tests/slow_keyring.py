"""A keyring around another one that counts, waits and fails as a test tells it to."""

from __future__ import annotations

import threading
from collections.abc import Callable

from envelope import DataKey, Keyring, UnwrappedDataKey, UnwrapRequest, WrapRequest
from tests.keyrings_for_tests import raw_aes

__all__ = ["SlowKeyring"]


class SlowKeyring:
    """Wraps and unwraps as a raw AES keyring does.

    Attributes:
        wraps: the requests to wrap, in the order of their calls.
        unwraps: the requests to unwrap.
        failure: raised by every call while it is set.
        before_answer: called by each call before it answers or fails, to wait for something.
    """

    def __init__(self, inner: Keyring | None = None) -> None:
        self._inner = raw_aes() if inner is None else inner
        self._lock = threading.Lock()
        self.wraps: list[WrapRequest] = []
        self.unwraps: list[UnwrapRequest] = []
        self.failure: BaseException | None = None
        self.before_answer: Callable[[], object] = lambda: None

    def __repr__(self) -> str:
        return "SlowKeyring()"

    def wrap(self, request: WrapRequest) -> DataKey:
        with self._lock:
            self.wraps.append(request)
        self._wait()
        return self._inner.wrap(request)

    def unwrap(self, request: UnwrapRequest) -> UnwrappedDataKey:
        with self._lock:
            self.unwraps.append(request)
        self._wait()
        return self._inner.unwrap(request)

    def _wait(self) -> None:
        self.before_answer()
        if self.failure is not None:
            raise self.failure
