"""The plans of a client: what is asked for is checked once, however many messages ask for the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache, partial

from envelope.context import EMPTY_CONTEXT, check_names, context_items
from envelope.engine.encryptor import EncryptionPlan, plan_encryption
from envelope.engine.options import Options
from envelope.suites import Suite

__all__ = ["Planner"]


class Planner:
    """Makes plans and remembers the last 256 of them. Safe to share between threads."""

    __slots__ = ("_remembered",)

    def __init__(self, options: Options) -> None:
        # Typed, so that True is not taken for 1. At the very worst 256 contexts of 64 KiB.
        self._remembered = lru_cache(maxsize=256, typed=True)(partial(plan_encryption, options))

    def plan(
        self,
        context: Mapping[str, str],
        suite: Suite | None,
        frame_length_bytes: int | None,
        unstored: Iterable[str],
    ) -> EncryptionPlan:
        """The plan of a message.

        Raises:
            InvalidArgument, PolicyRefused, LimitExceeded: see `Client.encrypt`.
        """
        items = () if context is EMPTY_CONTEXT else context_items(context)
        names = () if unstored == () else check_names(unstored, "unstored_context_keys")
        try:
            return self._remembered(items, suite, frame_length_bytes, names)
        except TypeError:  # something unhashable, which cannot be right: say so properly
            return self._remembered.__wrapped__(items, suite, frame_length_bytes, names)
