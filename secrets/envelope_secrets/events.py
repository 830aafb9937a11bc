"""What a client tells its owner as it happens. Nothing of it holds a value."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

__all__ = ["EventTeller", "SecretChange", "SecretEvent", "SecretEventKind"]

SecretEventKind = Literal["read", "failure", "outage", "denial", "change", "eviction"]


@dataclass(frozen=True, slots=True)
class SecretEvent:
    """One thing that happened.

    Attributes:
        kind: ``read``: the store answered. ``failure``: it did not, and there is no value in memory. ``outage``: it
            did not, and the value in memory serves on. ``denial``: it said no, and the value in memory was dropped,
            or serves on with `CacheLimits.serves_after_denial`. ``change``: it answered with another version than
            before. ``eviction``: a value made room for others.
        secret_id: as the secret was asked for, or the path of a tree.
        stage: the staging label that was asked for; ``key ring`` and ``tree`` for those; None for a version by its id.
        version_id: the version that was asked for, or that was in memory, or that came; empty where there is none.
        age_s: of the value in memory that the event is about; 0 where there is none.
        error: text of the error, else empty.
    """

    kind: SecretEventKind
    secret_id: str
    stage: str | None
    version_id: str = ""
    age_s: float = 0.0
    error: str = ""


@dataclass(frozen=True, slots=True)
class SecretChange:
    """A staging label has moved to another version.

    Attributes:
        secret_id: as the subscription spells it.
        arn: of the secret; another one than before if it was deleted and created anew.
        stage: the label.
        version_id: the version that has it now.
        previous_version_id: the version that had it before, as far as this process has seen; empty if none had it.
    """

    secret_id: str
    arn: str
    stage: str
    version_id: str
    previous_version_id: str


@dataclass(frozen=True, slots=True)
class EventTeller:
    """Makes events and hands them to the hook of the client's owner, if there is one."""

    on_event: Callable[[SecretEvent], object] | None

    def tell(
        self,
        kind: SecretEventKind,
        secret_id: str,
        stage: str | None,
        version_id: str = "",
        *,
        age_s: float = 0.0,
        error: str = "",
    ) -> None:
        """Tell of one event. A hook that raises is logged, and nothing else fails for it."""
        if self.on_event is None:
            return
        try:
            self.on_event(SecretEvent(kind, secret_id, stage, version_id, age_s, error))
        except BaseException:  # not even SystemExit: it would come out of whatever call it is told of
            logging.getLogger(__name__).exception("on_event of a secrets client raised")
