"""The call log of the fake service."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

__all__ = ["CallLog", "SecretsManagerCall", "shown_parameters"]

HIDDEN = "(hidden)"
_HIDDEN_PARAMETERS = frozenset({"SecretString", "SecretBinary", "RotationToken"})


@dataclass(frozen=True, slots=True)
class SecretsManagerCall:
    """One call that was answered, or failed. It never holds a value or a rotation token.

    Attributes:
        operation: like ``GetSecretValue``.
        secret_arn: the secret it was about; empty if it was about none, or was refused before that was known.
        version_id: the version that was read or written; empty if none was.
        principal: ARN of the caller.
        parameters: what was sent, with ``(hidden)`` in the place of values and rotation tokens.
        error_code: None if it succeeded; else the service's code, or ``connection`` or ``timeout`` for no answer, or
            ``stopped`` where the test has stopped the caller.
        is_done: whether the service did what was asked for; true for a lost reply too.
        time_s: when it was answered, by the fake's clock.
        request_id: what the caller was told it is.
    """

    operation: str
    region: str
    secret_arn: str
    version_id: str
    principal: str
    parameters: Mapping[str, Any] = field(repr=False, hash=False)
    error_code: str | None
    is_done: bool
    time_s: float
    request_id: str


def shown_parameters(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """What may be shown of a request."""
    shown = {name: HIDDEN if name in _HIDDEN_PARAMETERS else value for name, value in parameters.items()}
    return MappingProxyType(shown)


class CallLog:
    """Calls in the order of their answers, and how many wait for theirs. Safe for threads."""

    def __init__(self) -> None:
        self._calls: list[SecretsManagerCall] = []
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """Forget the lock, and the calls that wait in the parent."""
        self._in_flight = 0
        self._lock = threading.Lock()

    @property
    def in_flight(self) -> int:
        with self._lock:
            return self._in_flight

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Inside the block a call waits for its answer."""
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    def add(self, call: SecretsManagerCall) -> None:
        with self._lock:
            self._calls.append(call)

    def all(self) -> tuple[SecretsManagerCall, ...]:
        with self._lock:
            return tuple(self._calls)

    def clear(self) -> None:
        with self._lock:
            self._calls.clear()

    def _count(self, change: int) -> None:
        with self._lock:
            self._in_flight += change
