"""What a data-key cache tells its owner: counts, and events as they happen. Nothing of it holds a key."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from envelope.cache.entries import Counts
from envelope.context import EncryptionContext
from envelope.keyrings.protocol import shown_key_name
from envelope.materials import EncryptedDataKey, UnwrapRequest, WrapRequest
from envelope.suites import Suite

__all__ = ["CacheStats", "DataKeyEvent", "EventKind", "EventTeller", "Operation", "OperationStats"]

Operation = Literal["wrap", "unwrap"]
EventKind = Literal["hit", "miss", "wrap", "unwrap", "refresh", "eviction", "refusal"]


@dataclass(frozen=True, slots=True)
class DataKeyEvent:
    """One thing that happened in a data-key cache.

    Attributes:
        kind: ``hit``: a data key was there. ``miss``: there was none, and the caller waited for one. ``wrap`` and
            ``unwrap``: the keyring was called, and answered. ``refresh``: it is about to be called ahead of time, in
            the background. ``eviction``: a data key made room for others. ``refusal``: the keyring failed, or had
            failed a moment before, or a limit forbids it.
        operation: ``wrap`` on encryption, ``unwrap`` on decryption.
        suite: the algorithm suite.
        key_names: the wrapping keys, as messages name them: key ARNs for KMS.
        context_names: the names of the encryption context, sorted.
        encryption_context: its values too; None unless the cache was made with `events_show_context_values`.
        duration_s: how long the caller or the call took; 0 for a hit, a refresh and an eviction.
        error: text of the error of a refusal, else empty.
    """

    kind: EventKind
    operation: Operation
    suite: Suite
    key_names: tuple[str, ...]
    context_names: tuple[str, ...]
    encryption_context: EncryptionContext | None = None
    duration_s: float = 0.0
    error: str = ""


@dataclass(frozen=True, slots=True)
class OperationStats(Counts):
    """Counts of one direction.

    Attributes:
        uncached: requests that went past the cache: suites that forbid it, messages longer than `max_bytes`.
        kms_calls: calls of AWS KMS, failed ones included. A refresh or miss makes one for each key of a `KmsKeyring`.
    """

    uncached: int = 0
    kms_calls: int = 0


@dataclass(frozen=True, slots=True)
class CacheStats:
    """What a data-key cache did since it was made, or since its process was forked.

    Attributes:
        wrap: on encryption.
        unwrap: on decryption.
        data_keys: how many it holds now.
    """

    wrap: OperationStats
    unwrap: OperationStats
    data_keys: int


@dataclass(frozen=True, slots=True)
class EventTeller:
    """Makes events and hands them to the hook of the cache's owner, if there is one."""

    on_event: Callable[[DataKeyEvent], object] | None
    shows_context_values: bool

    def tell(
        self,
        kind: EventKind,
        request: WrapRequest | UnwrapRequest,
        keys: tuple[EncryptedDataKey, ...] = (),
        *,
        duration_s: float = 0.0,
        error: str = "",
    ) -> None:
        """Tell of one event. A hook that raises is logged, and nothing else fails for it."""
        if self.on_event is None:
            return
        context = request.encryption_context
        try:
            names = tuple(shown_key_name(key) for key in keys)
            shown_context = context if self.shows_context_values else None
            self.on_event(
                DataKeyEvent(
                    kind,
                    operation_of(request),
                    request.suite,
                    names,
                    tuple(sorted(context)),
                    shown_context,
                    duration_s,
                    error,
                )
            )
        except Exception:
            logging.getLogger(__name__).exception("on_event of a DataKeyCache raised")


def operation_of(request: WrapRequest | UnwrapRequest) -> Operation:
    """What a request asks for."""
    return "wrap" if isinstance(request, WrapRequest) else "unwrap"
