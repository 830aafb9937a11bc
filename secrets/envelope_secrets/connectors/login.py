"""One connection's way through a rotation, without I/O: it asks for reads, logins and pauses, and is told what came.

What asks AWS, the driver and the clock is in `connecting`: once for threads, once for tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar

from envelope.errors import EnvelopeError
from envelope_secrets.connectors.attempts import FIRST_PAUSE_S, Move, Step, Verdict, after
from envelope_secrets.connectors.driver_arguments import same_target
from envelope_secrets.connectors.driver_failures import Failed, error_for
from envelope_secrets.connectors.standings import AttemptKey, Candidate, Standings
from envelope_secrets.rotation.failures import LoginRefused
from envelope_secrets.stages import AWSCURRENT, AWSPENDING, AWSPREVIOUS
from envelope_secrets.value import HidesValue, Secret

__all__ = ["Effect", "Login", "Made", "Pause", "Read", "Try"]

ConnectionT = TypeVar("ConnectionT")

OTHERS_S = 2.0
"""How long one waits for another's first attempt with a version before trying it as well."""

LOOK_S = 0.01
"""How often one looks whether the other's attempt is over: shorter than a login takes."""


@dataclass(frozen=True, slots=True)
class Read:
    """Read the version with a label.

    Attributes:
        is_fresh: by a call that starts now or later, not from memory.
        replacing: any other version than this one will do without a call.
    """

    stage: str
    is_fresh: bool
    replacing: Secret | None = None


@dataclass(frozen=True, slots=True)
class Try(HidesValue):
    """Log in once."""

    secret: Secret


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Made(Generic[ConnectionT]):
    """The answer to `Try` where it succeeded."""

    connection: ConnectionT


Effect: TypeAlias = Read | Try | Pause
"""Answered by: a `Secret` or an `EnvelopeError`; `Made` or `Failed`; nothing."""

_Found: TypeAlias = Generator[Effect, Any, "Made[Any] | None"]


@dataclass(slots=True)
class Login:
    """The way of one connection.

    Attributes:
        secret_id: what the secret is called, for error texts.
        attempts: logins at the most.
        budget_s: how long to wait for AWSCURRENT to move, from the start of `steps`.
        clock: monotonic seconds.
    """

    secret_id: str
    standings: Standings
    attempts: int
    budget_s: float
    clock: Callable[[], float]
    _current: Candidate | None = None
    _tried: set[AttemptKey] = field(default_factory=set)
    _stages: set[str] = field(default_factory=set)
    _spent: int = 0
    _trouble: str = ""

    def steps(self) -> Generator[Effect, Any, Any]:
        """Everything that has to be done; returns the connection.

        Raises:
            LoginRefused: no version logs in; `AccountLocked` if trying more would make it worse.
            TargetError: what else went wrong at the target, at once.
            EnvelopeError: of the store, if the current version cannot be read at all.
        """
        move = Move(Step.KNOWN, self.attempts, self.clock() + self.budget_s, FIRST_PAUSE_S)
        while move.step is not Step.END:
            spent = self._spent
            made = yield from self._take(move)
            if made is not None:
                return made.connection
            move = move.next(self.clock(), self._spent - spent)
        raise self._refusal()

    def _take(self, move: Move) -> _Found:
        if move.step is Step.WAIT:
            yield Pause(min(move.pause_s, max(move.ends_s - self.clock(), 0.0)))
            return None
        candidate = yield from self._candidate(move.step)
        return None if candidate is None else (yield from self._attempt(candidate))

    def _candidate(self, step: Step) -> Generator[Effect, Any, Candidate | None]:
        before = self._current
        if before is not None and step in (Step.PENDING, Step.PREVIOUS):
            stage = AWSPENDING if step is Step.PENDING else AWSPREVIOUS
            answer = yield Read(stage, is_fresh=True)
            # No such version, or a policy that lets this process read AWSCURRENT alone: go on without.
            is_usable = isinstance(answer, Secret) and same_target(answer, before.secret)
            return Candidate(answer, stage) if is_usable else None
        answer = yield Read(AWSCURRENT, step is Step.CURRENT, None if before is None else before.secret)
        if not isinstance(answer, Secret):
            self._go_on_without(answer)
            return None
        self._current = Candidate(answer, AWSCURRENT)
        return self.standings.best(self._current) if step is Step.KNOWN else self._current

    def _go_on_without(self, error: EnvelopeError) -> None:
        """Go on without a newer version in an outage of the store; otherwise raise its error."""
        if self._current is None or not error.can_retry:
            raise error
        self._trouble = str(error)

    def _attempt(self, candidate: Candidate) -> _Found:
        if not (yield from self._may_try(candidate)):
            return None
        self._tried.add(candidate.key)
        self._stages.add(candidate.stage)
        try:
            answer = yield Try(candidate.secret)
            self._judge(candidate, answer)
        finally:
            self.standings.release(candidate)
        return answer if isinstance(answer, Made) else None

    def _may_try(self, candidate: Candidate) -> Generator[Effect, Any, bool]:
        ends_s = self.clock() + OTHERS_S
        while True:
            verdict = self.standings.judge(
                candidate,
                self.clock(),
                was_tried=not self._tried.isdisjoint(candidate.keys),
                is_patient=self.clock() < ends_s,
            )
            if verdict is not Verdict.LATER:
                return verdict is Verdict.TRY
            yield Pause(LOOK_S)

    def _judge(self, candidate: Candidate, answer: Made[Any] | Failed) -> None:
        if isinstance(answer, Made):
            current = self._current
            self.standings.succeed(candidate, None if current is None else current.version)
            return
        if not after(answer.failure):
            raise error_for(answer, self.secret_id)
        self.standings.refuse(candidate, self.clock())
        self._spent += 1

    def _refusal(self) -> LoginRefused:
        tried = ", ".join(sorted(self._stages))
        which = f"its credentials ({tried} tried)" if tried else "its credentials, which others have just tried"
        hint = "compare the labels of the secret with the state of its rotation, and the account's password with both"
        if self._trouble:
            hint = f"the secret could not be read anew: {self._trouble}"
        return LoginRefused(f"the target of secret {self.secret_id} refuses {which}", hint=hint)
