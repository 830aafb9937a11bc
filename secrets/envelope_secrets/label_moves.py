"""One move of a staging label, made sure of: a lost reply or a conflict is settled by looking where the label is."""

from __future__ import annotations

import time
from collections.abc import Callable

from envelope.errors import EnvelopeError
from envelope_secrets.errors import SecretConflict
from envelope_secrets.stages import StageMove, StagingLabels
from envelope_secrets.stores.protocol import SecretStore

__all__ = ["Pause", "make_move"]

Pause = Callable[[float], object]
"""Waits for a number of seconds."""

PAUSES_S = (0.0, 0.2, 0.8)
"""Before each look at the labels. Reads are eventually consistent: one can show what was before a call that is done."""


def make_move(store: SecretStore, secret_id: str, move: StageMove, *, pause: Pause = time.sleep) -> None:
    """Move a label, and return once it is where the move wants it, whoever has moved it there.

    The store's call is a compare-and-swap, so it can be repeated. If its reply is lost, or if it finds the label
    elsewhere, the labels are read again. The call is repeated, three times at most, only where they still are as `move`
    supposes. `move` itself is never planned anew.

    Raises:
        SecretConflict: the label is elsewhere; nothing was changed.
        AwsUnavailable: no answer; the hint says that the label may have moved.
    """
    failure = _failed(store, secret_id, move)
    for pause_s in PAUSES_S:
        if failure is None:
            return
        if pause_s:
            pause(pause_s)
        labels = _labels_now(store, secret_id, move)
        if labels.holder(move.stage) == move.to_version:
            return
        if labels.holder(move.stage) != move.from_version:
            raise SecretConflict(
                f"{move.stage} is {_place(labels.holder(move.stage))}, not {_place(move.from_version)}",
                hint="look at the labels again, then decide",
            ) from failure
        failure = _failed(store, secret_id, move)
    if failure is not None:
        raise _with_doubt(failure, move)


def _failed(store: SecretStore, secret_id: str, move: StageMove) -> EnvelopeError | None:
    """Make the call; the error after which the label may be in its place all the same, or None after success."""
    try:
        store.move_stage(secret_id, move)
    except EnvelopeError as error:
        if isinstance(error, SecretConflict) or error.can_retry:
            return error
        raise
    return None


def _labels_now(store: SecretStore, secret_id: str, move: StageMove) -> StagingLabels:
    try:
        return store.describe(secret_id).labels
    except EnvelopeError as error:
        raise _with_doubt(error, move) from None


def _with_doubt(error: EnvelopeError, move: StageMove) -> EnvelopeError:
    error.hint = f"{move.stage} may have moved all the same: look at the labels before you try again"
    return error


def _place(version_id: str | None) -> str:
    return "on no version" if version_id is None else f"on version {version_id}"
