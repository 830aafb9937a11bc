"""What is to be done about a rotation that stopped: decided by what the target says of each version. Pure.

The labels alone do not tell it: a pending value may or may not be in force. So each version has an answer of the
target, and a table leads from the answers to a verdict, and from there to what can be done without harm.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum

from envelope_secrets.rotation.probing import Source
from envelope_secrets.stages import StageMove

__all__ = ["ACTIONS", "Answer", "RotationAction", "RotationDiagnosis", "Verdict", "VersionAnswer", "verdict_of"]


class Answer(Enum):
    """What is known of the value of one version."""

    ACCEPTED = "the target accepts it"
    WEAK = "it logs in, and may lack a privilege, or fails at a test statement"
    REFUSED = "the target does not accept it"
    EXPIRED = "the target knows it, and lets nobody in with it any more"
    REPLACED = "not tried: the account has one password, and that is another version's"
    UNFIT = "not tried: its value is not for this target"
    UNREADABLE = "its value cannot be read"
    EMPTY = "it has no value"
    UNKNOWN = "the target did not tell"
    NOT_TRIED = "not tried"


@dataclass(frozen=True, slots=True)
class VersionAnswer:
    """One version, and what the target says of it. No value.

    Attributes:
        source: which label it has.
        detail, hint: the texts of the error that the answer comes from, or empty.
    """

    source: Source
    version_id: str
    answer: Answer
    detail: str = ""
    hint: str = ""

    @property
    def works(self) -> bool:
        """Whether an application that reads this version can do its work."""
        return self.answer is Answer.ACCEPTED


class RotationAction(StrEnum):
    """What can be done about a rotation that stopped. Each can be repeated."""

    DROP_PENDING = "drop-pending"
    """Take AWSPENDING away; the target does not change."""

    PROMOTE_PENDING = "promote-pending"
    """Make the pending version current; the target does not change."""

    PROMOTE_PREVIOUS = "promote-previous"
    """Make the previous version current: a rollback; the target does not change."""

    PROMOTE_ORPHAN = "promote-orphan"
    """Make the version current that a cancelled rotation has left; the target does not change."""

    ROTATE = "rotate"
    """Take the rotation up where it stopped, or begin one."""


class Verdict(Enum):
    """Where a rotation stands. The value explains it."""

    WELL = "the current version works, and no rotation is under way"
    CURRENT_IS_WEAK = "the current version logs in and may lack a privilege; no rotation is under way"
    HALF_WAY = "the target accepts the pending version and the current one: the rotation can be finished"
    IN_FORCE = "the target accepts the pending version and not the current one: readers of AWSCURRENT are locked out"
    PENDING_WORKS = "the target accepts the pending version; of the current one it does not tell"
    WEAK_IN_FORCE = "the pending version logs in and may lack a privilege; the current one does not log in"
    HALF_GRANTED = "the pending version logs in and may lack a privilege; the current one still works"
    NOT_APPLIED = "the target does not accept the pending version, and the current one works"
    NOT_MADE = "a rotation was announced and has stored no value; the current version works"
    RUNNING = "the pending version is young: the rotation that made it may still run"
    OLDER_IN_FORCE = "the target accepts the previous version and not the current one"
    ORPHAN_IN_FORCE = "the target accepts a version that a cancelled rotation has left, and not the current one"
    RECOVERABLE = "no version that was tried works; a rotation can make one that does"
    LOCKED_OUT = "no version that was tried works"
    UNCLEAR = "the target does not tell which version works"


ACTIONS: Mapping[Verdict, tuple[RotationAction, ...]] = {
    Verdict.WELL: (),
    Verdict.CURRENT_IS_WEAK: (),
    Verdict.HALF_WAY: (RotationAction.ROTATE, RotationAction.DROP_PENDING),
    Verdict.IN_FORCE: (RotationAction.PROMOTE_PENDING, RotationAction.ROTATE),
    Verdict.PENDING_WORKS: (RotationAction.PROMOTE_PENDING,),
    Verdict.WEAK_IN_FORCE: (RotationAction.ROTATE, RotationAction.PROMOTE_PENDING),
    Verdict.HALF_GRANTED: (RotationAction.ROTATE, RotationAction.DROP_PENDING),
    Verdict.NOT_APPLIED: (RotationAction.DROP_PENDING, RotationAction.ROTATE),
    Verdict.NOT_MADE: (RotationAction.DROP_PENDING, RotationAction.ROTATE),
    Verdict.RUNNING: (),
    Verdict.OLDER_IN_FORCE: (RotationAction.PROMOTE_PREVIOUS,),
    Verdict.ORPHAN_IN_FORCE: (RotationAction.PROMOTE_ORPHAN,),
    Verdict.RECOVERABLE: (RotationAction.ROTATE,),
    Verdict.LOCKED_OUT: (),
    Verdict.UNCLEAR: (),
}
"""What can be done; the first is what a repair does if nothing else is said, and none is without a repair."""


@dataclass(frozen=True, slots=True)
class RotationDiagnosis:
    """Where the rotation of a secret stands, by its labels and by what its target says. No value.

    Attributes:
        name, arn: of the secret.
        function_arn: the function that rotates it, or an empty string.
        answers: one for each version that counts, in the order in which they were tried.
        verdict: what follows from them.
        obstacle: why `rotate` would be refused or fail now, or an empty string.
        actions: what `repair_rotation` can do; the first is what it does.
        moves: the moves of labels that these actions are, as the labels were.
        obstacle_hint: what to do about the obstacle, or an empty string.
    """

    name: str
    arn: str
    function_arn: str
    answers: tuple[VersionAnswer, ...]
    verdict: Verdict
    obstacle: str
    actions: tuple[RotationAction, ...]
    moves: Mapping[RotationAction, StageMove]
    obstacle_hint: str = ""

    @property
    def is_well(self) -> bool:
        """Whether nothing is to be done."""
        return self.verdict is Verdict.WELL

    @property
    def proposed(self) -> RotationAction | None:
        """What a repair does if nothing else is said; None if nothing is to be done, or nothing is clear."""
        return self.actions[0] if self.actions else None

    def answer_of(self, source: Source) -> VersionAnswer | None:
        """The first answer of a version with this label."""
        return next((answer for answer in self.answers if answer.source is source), None)


class _Knows(Enum):
    """An answer, as far as the table is concerned."""

    NO_VERSION = "there is none"
    YES = "accepted"
    PARTLY = "accepted, and may lack a privilege"
    NO = "not accepted, whatever the reason"
    EMPTY = "without a value"
    UNTOLD = "nobody knows"


_OF_ANSWERS: Mapping[Answer, _Knows] = {
    Answer.ACCEPTED: _Knows.YES,
    Answer.WEAK: _Knows.PARTLY,
    Answer.REFUSED: _Knows.NO,
    Answer.EXPIRED: _Knows.NO,
    Answer.REPLACED: _Knows.NO,
    Answer.UNFIT: _Knows.NO,
    Answer.UNREADABLE: _Knows.NO,
    Answer.EMPTY: _Knows.EMPTY,
    Answer.UNKNOWN: _Knows.UNTOLD,
    Answer.NOT_TRIED: _Knows.UNTOLD,
}

_YES, _PARTLY, _UNTOLD = _Knows.YES, _Knows.PARTLY, _Knows.UNTOLD

_TABLE: Mapping[tuple[_Knows, _Knows], Verdict] = {
    (_Knows.NO_VERSION, _YES): Verdict.WELL,
    (_Knows.NO_VERSION, _PARTLY): Verdict.CURRENT_IS_WEAK,
    (_Knows.NO_VERSION, _UNTOLD): Verdict.UNCLEAR,
    **{(_YES, current): Verdict.IN_FORCE for current in _Knows},
    (_YES, _YES): Verdict.HALF_WAY,
    (_YES, _PARTLY): Verdict.HALF_WAY,
    (_YES, _UNTOLD): Verdict.PENDING_WORKS,
    **{(_PARTLY, current): Verdict.WEAK_IN_FORCE for current in _Knows},
    (_PARTLY, _UNTOLD): Verdict.UNCLEAR,
    (_PARTLY, _YES): Verdict.HALF_GRANTED,
    (_PARTLY, _PARTLY): Verdict.HALF_GRANTED,
    (_Knows.NO, _YES): Verdict.NOT_APPLIED,
    (_Knows.NO, _PARTLY): Verdict.NOT_APPLIED,
    (_Knows.NO, _UNTOLD): Verdict.UNCLEAR,
    (_Knows.EMPTY, _YES): Verdict.NOT_MADE,
    (_Knows.EMPTY, _PARTLY): Verdict.NOT_MADE,
    (_Knows.EMPTY, _UNTOLD): Verdict.UNCLEAR,
    **{(_UNTOLD, current): Verdict.UNCLEAR for current in _Knows},
}
"""By the pending and the current version. Where neither is here, older versions decide."""

_MAY_RUN = frozenset({Verdict.NOT_APPLIED, Verdict.NOT_MADE})
"""What a rotation that runs looks like between its first steps, and what dropping its label would break."""


def verdict_of(answers: Iterable[VersionAnswer], *, is_young: bool = False, can_recover: bool = False) -> Verdict:
    """Where a rotation stands.

    Args:
        is_young: whether the pending version was made so recently that its rotation may still run.
        can_recover: whether a rotation needs no value that works: an administrator or the issuer of keys helps.
    """
    given = tuple(answers)
    verdict = _TABLE.get((_known(given, Source.PENDING), _known(given, Source.CURRENT)))
    if verdict is None:
        return _by_older(given, can_recover=can_recover)
    return Verdict.RUNNING if is_young and verdict in _MAY_RUN else verdict


def _known(answers: Iterable[VersionAnswer], source: Source) -> _Knows:
    return next((_OF_ANSWERS[one.answer] for one in answers if one.source is source), _Knows.NO_VERSION)


def _by_older(answers: Iterable[VersionAnswer], *, can_recover: bool) -> Verdict:
    older = [one for one in answers if one.source in (Source.PREVIOUS, Source.ORPHAN)]
    working = next((one.source for one in older if one.works), None)
    if working is not None:
        return Verdict.OLDER_IN_FORCE if working is Source.PREVIOUS else Verdict.ORPHAN_IN_FORCE
    if any(_OF_ANSWERS[one.answer] in (_UNTOLD, _PARTLY) and one.answer is not Answer.NOT_TRIED for one in older):
        return Verdict.UNCLEAR
    return Verdict.RECOVERABLE if can_recover else Verdict.LOCKED_OUT
