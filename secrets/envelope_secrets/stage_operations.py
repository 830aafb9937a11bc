"""Staging labels as operations that cannot go wrong half-way: promote, roll back, take away, and repair what is stuck.

Each operation is one move of one label, planned from one look and made by the service's compare-and-swap. It happens
as a whole or not at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from envelope.arguments import check_function
from envelope.errors import EnvelopeError, InvalidArgument
from envelope_secrets.errors import SecretConflict, SecretNotFound
from envelope_secrets.label_moves import Pause, make_move
from envelope_secrets.label_state import RepairAction, look
from envelope_secrets.limits import stages_problem
from envelope_secrets.stages import (
    AWSCURRENT,
    Finding,
    StageConflict,
    StageMove,
    StagingLabels,
    pending_removal,
    promotion,
    rollback,
)
from envelope_secrets.stores.protocol import SecretStore

__all__ = ["Repair", "RepairAction", "StageOperations"]

MAX_VERSION_ID_CHARACTERS = 64
MAX_SHOWN_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class Repair:
    """What is wrong with the labels of a secret, and what was done about it.

    Attributes:
        findings: what is wrong.
        explanation: the same for a person, with version ids; one sentence for each finding.
        actions: what `repair` could do about it when it looked.
        done: the moves that were made.
    """

    findings: tuple[Finding, ...]
    explanation: str
    actions: tuple[RepairAction, ...]
    done: tuple[StageMove, ...] = ()


class StageOperations:
    """The operations on the staging labels of a store's secrets. Safe for threads.

    Every method raises what its store raises, like `SecretNotFound`, `SecretDeleted` and the `AwsError` family, and
    `SecretConflict` if a label is, or meanwhile was brought, elsewhere. Nothing was changed then.
    """

    def __init__(
        self,
        store: SecretStore,
        *,
        changed: Callable[[str], object] = lambda _: None,
        pause: Pause = time.sleep,
    ) -> None:
        """Operations on `store`.

        Args:
            changed: is told the id of a secret whose labels have, or may have, moved.
            pause: waits between two looks at labels that were read too early.
        """
        check_function("changed", changed)
        check_function("pause", pause)
        self._store = store
        self._changed = changed
        self._pause = pause

    def promote(self, secret_id: str, version_id: str) -> StageMove | None:
        """Make a version current, also a deprecated one. AWSPREVIOUS goes to the version that was current.

        Returns:
            The move; None if the version is current already.

        Raises:
            SecretNotFound: there is no such version, or it has no value yet.
        """
        _check_version_id("version_id", version_id)
        labels = self._store.describe(secret_id).labels
        if labels.holder(AWSCURRENT) == version_id:
            self._changed(secret_id)  # somebody else has promoted it, and this program may not have noticed
            return None
        for version in self._store.versions(secret_id):
            if version.version_id == version_id and not version.has_value:
                raise SecretNotFound(
                    f"version {version_id} has no value yet, and a current version without one cannot be read",
                    hint="wait for its rotation, or take AWSPENDING away and rotate again",
                )
        # It may be deprecated, or too new to be listed: whether it exists is the store's to say.
        known = StagingLabels.of({**labels.by_version, version_id: labels.stages_of(version_id)})
        return self._make(secret_id, promotion(known, version_id))

    def rollback(self, secret_id: str) -> StageMove:
        """Swap AWSCURRENT and AWSPREVIOUS: the secret is what it was, its target is not.

        A database goes on with the newer password until somebody sets the older one. AWSPENDING stays where it is.

        A call that has failed without an answer may have swapped them. Look at the labels before you repeat it: a
        second swap would bring the first state back.

        Raises:
            SecretConflict: no version has AWSPREVIOUS, or none has AWSCURRENT.
        """
        labels = self._store.describe(secret_id).labels
        try:
            move = rollback(labels)
        except StageConflict as conflict:
            raise SecretConflict(f"there is nothing to go back to: {conflict}") from conflict
        try:
            self._make(secret_id, move)
        except EnvelopeError as error:
            error.can_retry = False  # the same call would plan the way back
            raise
        return move

    def drop_pending(self, secret_id: str) -> StageMove | None:
        """Take AWSPENDING away, so that a rotation can start anew. The version stays readable by its id for a time.

        Returns:
            The move; None if no version has the label.
        """
        return self._make(secret_id, pending_removal(self._store.describe(secret_id).labels))

    def move(self, secret_id: str, stage: str, *, to: str | None, from_: str | None) -> StageMove:
        """Move any label, as UpdateSecretVersionStage does.

        Args:
            to: the version that gets it; None takes it away.
            from_: the version that has it now; None if none has.

        Raises:
            InvalidArgument: neither is given, or AWSCURRENT would be taken away: nobody could read the secret then.
        """
        problem = stages_problem((stage,))
        if problem is not None:
            raise InvalidArgument(f"stage {problem}")
        for name, version_id in (("to", to), ("from_", from_)):
            if version_id is not None:
                _check_version_id(name, version_id)
        if to is None and (from_ is None or stage == AWSCURRENT):
            what = "to or from_ must be given" if from_ is None else f"{AWSCURRENT} can be moved, not taken away"
            raise InvalidArgument(what)
        move = StageMove(stage, to, from_)
        self._make(secret_id, move)
        return move

    def repair(self, secret_id: str, *, action: RepairAction | str | None = None) -> Repair:
        """Explain what is wrong with the labels, and do what is asked for, from one and the same look.

        Nothing here knows which value the secret's target accepts. Try that before you choose: see
        docs/staging-labels.md.

        Args:
            action: one of `RepairAction`, or its text; None only explains.

        Raises:
            SecretConflict: `action` is not possible as the labels are.
        """
        wanted = _action(action)
        state = look(self._store, secret_id)
        actions = state.actions()
        if wanted is None:
            return Repair(state.findings, state.explanation(), tuple(actions))
        if wanted not in actions:
            possible = ", ".join(actions) if actions else "nothing"
            raise SecretConflict(
                f"{wanted} is not possible: {state.explanation()}", hint=f"what can be done now: {possible}"
            )
        for move in actions[wanted]:
            self._make(secret_id, move)
        return Repair(state.findings, state.explanation(), tuple(actions), actions[wanted])

    def _make(self, secret_id: str, move: StageMove | None) -> StageMove | None:
        if move is not None:
            try:
                make_move(self._store, secret_id, move, pause=self._pause)
            finally:  # after an error too: the label may have moved all the same, or be elsewhere than was thought
                self._changed(secret_id)
        return move


def _action(action: RepairAction | str | None) -> RepairAction | None:
    if action is None:
        return None
    try:
        return RepairAction(action)
    except ValueError:
        raise InvalidArgument(
            f"action must be one of {', '.join(RepairAction)}, or None, not {str(action)[:MAX_SHOWN_CHARACTERS]!r}"
        ) from None


def _check_version_id(name: str, value: object) -> None:
    """A version's id is the token it was stored with; other stores than AWS number their versions."""
    if not isinstance(value, str):
        raise InvalidArgument(f"{name} must be text, not {type(value).__name__}")
    if not 1 <= len(value) <= MAX_VERSION_ID_CHARACTERS:
        raise InvalidArgument(f"{name} must have 1 to {MAX_VERSION_ID_CHARACTERS} characters, not {len(value):,}")
