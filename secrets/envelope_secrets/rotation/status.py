"""Where the rotation of a secret stands: its labels, and what its target says of the versions that have them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial

from envelope.arguments import check_count, check_function, check_seconds
from envelope_secrets.errors import SecretKeyUnavailable, SecretNotFound
from envelope_secrets.label_state import LabelState, look
from envelope_secrets.rotation.accounts import check_names_admin
from envelope_secrets.rotation.alternating_users import AlternatingUsers
from envelope_secrets.rotation.api_key import ApiKey
from envelope_secrets.rotation.credentials import parse_credentials
from envelope_secrets.rotation.database import MOST_REFUSALS, Database, refusals_of
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.rotation.diagnosis import (
    ACTIONS,
    Answer,
    RotationAction,
    RotationDiagnosis,
    Verdict,
    VersionAnswer,
    verdict_of,
)
from envelope_secrets.rotation.failures import RotationRefused
from envelope_secrets.rotation.handler import check_store
from envelope_secrets.rotation.iam_access_key import IamAccessKey
from envelope_secrets.rotation.in_process import function_of
from envelope_secrets.rotation.probing import Source
from envelope_secrets.rotation.rotator import Rotation
from envelope_secrets.rotation.signing_key import SigningKey
from envelope_secrets.rotation.single_user import SingleUser
from envelope_secrets.rotation.steps import check_origin
from envelope_secrets.rotation.strategy import Strategy, rotator_of
from envelope_secrets.rotation.strategy_fit import Misfit, misfit
from envelope_secrets.rotation.version_probes import Probe, answered, probe_of
from envelope_secrets.stages import (
    AWSCURRENT,
    AWSPENDING,
    AWSPREVIOUS,
    StageMove,
    StagingLabels,
    pending_removal,
    promotion,
)
from envelope_secrets.stores.protocol import SecretStore
from envelope_secrets.value import HidesValue, Secret

__all__ = ["rotation_status"]

DEFAULT_TIMEOUT_S = 60.0
DEFAULT_MIN_AGE_S = 900.0
"""An invocation of a function lasts no longer (AWS Lambda, "Quotas")."""

Now = Callable[[], datetime]


def rotation_status(
    store: SecretStore,
    secret_id: str,
    target: object,
    strategy: Strategy | None = None,
    *,
    most_refusals: int | None = None,
    min_age_s: float = DEFAULT_MIN_AGE_S,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
    now: Now = lambda: datetime.now(UTC),
) -> RotationDiagnosis:
    """Tell where a rotation stands, and what `repair_rotation` would do about it. Changes nothing.

    The versions are tried on the target as an application would use them: pending, current, previous, and those of
    cancelled rotations only if none of these works. No value is tried twice. A target that is unreachable, a locked
    account and the end of the time end it.

    Args:
        secret_id: a name or an ARN.
        target, strategy, clock, sleep: as of `rotate`.
        most_refusals: so many logins that are refused, at most, 1 to 100: some servers lock an account after three. By
            default the target's own ``most_refusals``.
        min_age_s: a pending version that is younger, in seconds, may be of a rotation that runs; its label stays.
        timeout_s: for all of it.
        now: the time of day, with its time zone.

    Raises:
        InvalidArgument: the arguments do not go together.
        EnvelopeError: the store does not answer, or has no such secret.
    """
    rotator = rotator_of(target, strategy)
    for name, function in (("clock", clock), ("sleep", sleep), ("now", now)):
        check_function(name, function)
    most = refusals_of(target) if most_refusals is None else most_refusals
    check_count("most_refusals", most, 1, MOST_REFUSALS)
    age_s = _check_age(min_age_s)
    deadline = Deadline(check_seconds("timeout_s", timeout_s), clock=clock, sleep=sleep)
    store = check_store(store)
    state = look(store, secret_id)
    labels = state.labels
    rotation = Rotation(state.description.arn, labels.holder(AWSPENDING) or "", store, deadline, _current(store, state))
    probing = _Probing(
        rotation,
        Deadline(timeout_s, clock=clock, sleep=sleep, waits=False),
        probe_of(target, strategy, rotator),
        most_refusals=most,
        has_one_password=isinstance(strategy, SingleUser) and isinstance(target, Database),
        misfit=partial(misfit, target, strategy, rotation.current),
    )
    probing.run(state)
    verdict = verdict_of(
        probing.answers,
        is_young=_is_young(state, age_s, now),
        can_recover=_can_recover(target, strategy) or _replaces_expired(probing, target, strategy),
    )
    obstacle = _obstacle(state.labels, probing.answers, verdict, strategy)
    return _diagnosis(
        state, tuple(probing.answers), verdict, obstacle if obstacle[0] else _lack(target, strategy, rotation)
    )


def _lack(target: object, strategy: Strategy | None, rotation: Rotation) -> tuple[str, str]:
    """What the current value lacks for the strategy, as far as it tells without a login."""
    if not isinstance(strategy, AlternatingUsers) or not isinstance(target, Database) or rotation.current is None:
        return "", ""
    try:
        check_names_admin(parse_credentials(rotation.current, target))
    except RotationRefused as error:
        return str(error), error.hint
    return "", ""


def _can_recover(target: object, strategy: Strategy | None) -> bool:
    """Whether a rotation needs no value that works."""
    if isinstance(strategy, SingleUser):
        return strategy.recover_with_admin
    return strategy is None and isinstance(target, (ApiKey, IamAccessKey, SigningKey))


def _replaces_expired(probing: _Probing, target: object, strategy: Strategy | None) -> bool:
    """Whether an administrator sets another password in the place of a current one that has expired."""
    current = probing.rotation.current
    has_expired = any(one.source is Source.CURRENT and one.answer is Answer.EXPIRED for one in probing.answers)
    if not has_expired or current is None or not isinstance(target, Database) or isinstance(strategy, SingleUser):
        return False
    return bool(parse_credentials(current, target).admin_secret_id)


def _check_age(age_s: object) -> float:
    """Any age counts as old enough if it is 0."""
    return 0.0 if type(age_s) in (int, float) and age_s == 0 else check_seconds("min_age_s", age_s)


def _current(store: SecretStore, state: LabelState) -> Secret | None:
    current = state.labels.holder(AWSCURRENT)
    return None if current is None else _readable(store, state.description.arn, current)


def _readable(store: SecretStore, secret_id: str, version_id: str) -> Secret | None:
    """A version; None if it has no value, or one whose key does not work."""
    try:
        return store.read(secret_id, stage=None, version_id=version_id)
    except (SecretNotFound, SecretKeyUnavailable):
        return None


@dataclass(slots=True)
class _Probing(HidesValue):
    """The versions that were tried so far."""

    rotation: Rotation
    without_waiting: Deadline
    probe: Probe
    most_refusals: int
    has_one_password: bool
    misfit: Callable[[Secret], Misfit | None]
    answers: list[VersionAnswer] = field(default_factory=list)
    tried: list[tuple[Secret, VersionAnswer]] = field(default_factory=list)

    def run(self, state: LabelState) -> None:
        """Try what has a label, in the order of likelihood; what has none only if nothing else works."""
        for source, version_id in _labelled(state.labels):
            self.answers.append(self._answer(source, version_id, state))
        if not any(one.answer in (Answer.ACCEPTED, Answer.WEAK) for one in self.answers) and self._goes_on():
            for orphan in self.rotation.orphans():
                self.answers.append(self._tried(Source.ORPHAN, orphan))

    def _answer(self, source: Source, version_id: str, state: LabelState) -> VersionAnswer:
        known = state.versions.get(version_id)
        if known is not None and not known.has_value:
            return VersionAnswer(source, version_id, Answer.EMPTY)
        if not self._goes_on():
            return VersionAnswer(source, version_id, Answer.NOT_TRIED)
        current = self.rotation.current
        is_read = current is not None and source is Source.CURRENT
        version = current if is_read else _readable(self.rotation.store, self.rotation.secret_id, version_id)
        if version is None:
            return VersionAnswer(source, version_id, Answer.UNREADABLE)
        found = self.misfit(version) if source is Source.PENDING else None
        if found is not None:
            return VersionAnswer(source, version_id, Answer.NOT_TRIED, found.detail, found.hint)
        return self._tried(source, version)

    def _tried(self, source: Source, version: Secret) -> VersionAnswer:
        for other, answer in self.tried:
            if _same_value(other, version):
                return replace(answer, source=source, version_id=version.version_id)
        if not self._goes_on():
            return VersionAnswer(source, version.version_id, Answer.NOT_TRIED)
        if self.has_one_password and any(one.answer is Answer.ACCEPTED for _, one in self.tried):
            return VersionAnswer(source, version.version_id, Answer.REPLACED)
        answer = answered(self.probe, self._rotation_for(source), version, source)
        self.tried.append((version, answer))
        return answer

    def _rotation_for(self, source: Source) -> Rotation:
        """A key that has just been made may not be known everywhere; older ones are not waited for."""
        return self.rotation if source is Source.PENDING else replace(self.rotation, deadline=self.without_waiting)

    def _goes_on(self) -> bool:
        answers = [answer.answer for _, answer in self.tried]
        return Answer.UNKNOWN not in answers and answers.count(Answer.REFUSED) < self.most_refusals


def _labelled(labels: StagingLabels) -> Iterator[tuple[Source, str]]:
    current, pending, previous = (labels.holder(stage) for stage in (AWSCURRENT, AWSPENDING, AWSPREVIOUS))
    if pending is not None and pending != current:
        yield Source.PENDING, pending
    if current is not None:
        yield Source.CURRENT, current
    if previous is not None and previous != pending:
        yield Source.PREVIOUS, previous


def _same_value(one: Secret, other: Secret) -> bool:
    if one.is_binary or other.is_binary:
        return one.is_binary == other.is_binary and one.binary == other.binary
    return one.text == other.text


def _is_young(state: LabelState, min_age_s: float, now: Now) -> bool:
    """Whether the pending version was made a short time ago; one without a value, when the secret last changed."""
    version = state.versions.get(state.labels.holder(AWSPENDING) or "")
    made = (version.created if version is not None and version.has_value else None) or state.description.changed
    return made is not None and (now() - made).total_seconds() < min_age_s


def _diagnosis(
    state: LabelState, answers: tuple[VersionAnswer, ...], verdict: Verdict, obstacle: tuple[str, str]
) -> RotationDiagnosis:
    description = state.description
    moves = _moves(state.labels, answers)
    possible = [
        action
        for action in ACTIONS[verdict]
        if (action in moves if action is not RotationAction.ROTATE else not obstacle[0])
    ]
    return RotationDiagnosis(
        description.name,
        description.arn,
        function_of(description),
        answers,
        verdict,
        obstacle[0],
        tuple(possible),
        {action: moves[action] for action in possible if action in moves},
        obstacle[1],
    )


def _moves(labels: StagingLabels, answers: tuple[VersionAnswer, ...]) -> dict[RotationAction, StageMove]:
    """The moves of labels that actions would be."""
    working = {answer.source: answer.version_id for answer in reversed(answers) if answer.works}
    # That it may lack a privilege is no reason to keep its label from the only version that logs in.
    working |= {one.source: one.version_id for one in answers if one.source is Source.PENDING and _logs_in(one)}
    promote = partial(promotion, labels)
    moves = {
        RotationAction.DROP_PENDING: pending_removal(labels),
        **{
            action: promote(working[source])
            for action, source in (
                (RotationAction.PROMOTE_PENDING, Source.PENDING),
                (RotationAction.PROMOTE_PREVIOUS, Source.PREVIOUS),
                (RotationAction.PROMOTE_ORPHAN, Source.ORPHAN),
            )
            if source in working
        },
    }
    return {action: move for action, move in moves.items() if move is not None}


def _logs_in(answer: VersionAnswer) -> bool:
    return answer.works or answer.answer is Answer.WEAK


def _obstacle(
    labels: StagingLabels, answers: Sequence[VersionAnswer], verdict: Verdict, strategy: Strategy | None
) -> tuple[str, str]:
    """Why a rotation would fail or be refused now, and what to do about it."""
    pending, current = labels.holder(AWSPENDING), labels.holder(AWSCURRENT)
    if pending is not None and pending != current:
        try:
            check_origin(labels, pending)
        except RotationRefused as error:
            return str(error), error.hint
    unfit = next((one for one in answers if one.answer is Answer.NOT_TRIED and one.detail), None)
    if unfit is not None:
        return f"the pending version is of another strategy: {unfit.detail}", unfit.hint
    malformed = next((one for one in answers if one.source is Source.PENDING and one.answer is Answer.UNFIT), None)
    if malformed is not None and verdict is Verdict.NOT_APPLIED:
        return malformed.detail, malformed.hint
    if verdict is Verdict.UNCLEAR or (verdict is Verdict.LOCKED_OUT and strategy is not None):
        return _with_reason(verdict, answers)  # a rotator of somebody's own may need no value that works
    current_answer = next((one for one in answers if one.source is Source.CURRENT), None)
    is_known = current_answer is not None and (current_answer.works or current_answer.answer is Answer.EXPIRED)
    if isinstance(strategy, AlternatingUsers) and not is_known:
        told = "" if current_answer is None else current_answer.hint
        return "the current version does not log in, and an administrator acts only for one that does", told
    return "", ""


def _with_reason(verdict: Verdict, answers: Sequence[VersionAnswer]) -> tuple[str, str]:
    """A verdict; what to do about it is told by the first version whose answer says so."""
    hint = next((one.hint for one in answers if one.hint), "")
    return str(verdict.value), hint
