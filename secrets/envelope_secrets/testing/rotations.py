"""Rotations driven in this process: what the service does between RotateSecret and its end.

Source: AWS Secrets Manager User Guide, "Rotation by Lambda function"; API reference, RotateSecret.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from envelope.testing import FakeClock
from envelope.testing.kms_keys import partition_of
from envelope.testing.kms_policy import Caller
from envelope_secrets.service_rules.broken import RuleBroken
from envelope_secrets.service_rules.rotation import (
    check_startable,
    completed,
    configured,
    is_complete,
    started,
    trial_ended,
    trial_started,
    without_pending,
)
from envelope_secrets.stages import AWSCURRENT
from envelope_secrets.testing.lambda_context import LambdaContext
from envelope_secrets.testing.service_state import PendingRotation, ServiceState, place_in
from envelope_secrets.testing.trouble import Stopped
from envelope_secrets.testing.values import StoredValue

__all__ = ["MOST_TRIES", "STEPS", "Handler", "RotationDriver", "RotationRun", "StepRun"]

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
TRIAL_STEPS = ("testSecret",)

MOST_TRIES = 1_000
FUNCTION_OF_TESTS = "function:rotate-in-a-test"

Handler = Callable[[dict[str, Any], LambdaContext], object]


@dataclass(frozen=True, slots=True)
class StepRun:
    """One invocation of a handler; `error` is what it raised, or None."""

    attempt: int
    step: str
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class RotationRun:
    """What became of a rotation.

    Attributes:
        version_id: the version it was for.
        succeeded: whether all steps have, and AWSPENDING is not on a version of its own any more.
        was_cancelled: whether it was given up because the secret was deleted or its rotation turned off.
    """

    version_id: str
    steps: tuple[StepRun, ...]
    succeeded: bool
    was_cancelled: bool = False

    @property
    def error(self) -> BaseException | None:
        """What the last step raised, or None."""
        return self.steps[-1].error if self.steps else None


@dataclass(slots=True)
class RotationDriver:
    """Runs handlers. The service's lock is not held while a handler runs.

    Attributes:
        handlers: by the ARN of the function.
        cleans_up: whether the service takes AWSPENDING away after a rotation; both is legal.
        timeout_s: how long one invocation may take, by the clock; the context tells it.
    """

    state: ServiceState
    clock: FakeClock
    lock: Callable[[], AbstractContextManager[object]]
    start_again: Callable[[], None]
    handlers: dict[str, Handler] = field(default_factory=dict)
    cleans_up: bool = True
    timeout_s: float = 30.0

    def register(self, arn: str, handler: Handler) -> None:
        with self.lock():
            self.handlers[arn] = handler
            self.state.functions.add(arn)

    def begin(
        self, secret_id: str, handler: Handler, caller: Caller, *, token: str | None, is_trial: bool
    ) -> PendingRotation:
        """Start a rotation, or go on with the one of this secret that has not succeeded yet.

        Raises:
            RuleBroken, ServiceFault: the service would refuse it.
        """
        with self.lock():
            record = self.state.known(secret_id, caller)
            begun = next((known for known in self.state.rotations if known.record is record), None)
            state = record.state
            arn = state.rotation.lambda_arn if state.rotation is not None else _function_arn(caller)
            self.register(arn, handler)
            if begun is not None and token in (None, begun.token):
                return begun
            rotation = PendingRotation(record, token or str(uuid.uuid4()), caller, is_trial)
            state = configured(state, now_s=self.clock.now(), lambda_arn=arn)
            if not is_trial:
                state = started(state, rotation.token, now_s=self.clock.now())
            else:
                check_startable(state, rotation.token)
            self.state.commit(record, state)
            self.state.begin(rotation)
            return rotation

    def run_all(self, attempts: int) -> list[RotationRun]:
        """Try every rotation that has not succeeded yet."""
        with self.lock():
            rotations = list(self.state.rotations)
        return [self.run(rotation, attempts) for rotation in rotations]

    def run(self, rotation: PendingRotation, attempts: int) -> RotationRun:
        """Try a rotation, the entire process again after a step that failed."""
        steps: list[StepRun] = []
        for attempt in range(1, attempts + 1):
            if not self._begin_trial(rotation):
                return self._ended(rotation, steps, was_cancelled=True)
            steps.extend(self._attempt(rotation, attempt))
            if not self._goes_on(rotation):
                return self._ended(rotation, steps, was_cancelled=True)
            if steps[-1].error is None and self._succeed(rotation):
                return self._ended(rotation, steps, succeeded=True)
        with self.lock():
            self._end_trial(rotation)
        return RotationRun(rotation.token, tuple(steps), succeeded=False)

    def _attempt(self, rotation: PendingRotation, attempt: int) -> Iterator[StepRun]:
        for step in TRIAL_STEPS if rotation.is_trial else STEPS:
            if not self._goes_on(rotation):
                return
            error = self._invoked(rotation, step)
            yield StepRun(attempt, step, error)
            if error is not None:
                return

    def _invoked(self, rotation: PendingRotation, step: str) -> BaseException | None:
        with self.lock():
            state = rotation.record.state
            arn = state.rotation.lambda_arn if state.rotation is not None else ""
            handler = self.handlers[arn]
            token = rotation.record.rotation_tokens.setdefault(rotation.token, str(uuid.uuid4()))
        event = {
            "Step": step,
            "SecretId": state.arn,
            "ClientRequestToken": rotation.token,
            "RotationToken": token,
        }
        try:
            handler(event, LambdaContext(self.clock, self.clock.now() + self.timeout_s, arn))
        except Exception as error:  # noqa: BLE001 - whatever a handler raises, the step has failed
            return error
        except Stopped as stop:
            self.start_again()  # the next step is another process
            return stop
        return None

    def _goes_on(self, rotation: PendingRotation) -> bool:
        with self.lock():
            self.state.settle()
            state = rotation.record.state
            is_there = rotation.record in self.state.records and state.deletes_s is None
            return is_there and state.rotation is not None and state.rotation.enabled

    def _begin_trial(self, rotation: PendingRotation) -> bool:
        """Put AWSPENDING on a copy of the current version; False if another version has become pending meanwhile."""
        with self.lock():
            state = rotation.record.state
            if not rotation.is_trial or rotation.token in state.versions:
                return True
            copy = self._copy_of_current(rotation)
            try:
                begun = trial_started(state, rotation.token, copy, now_s=self.clock.now())
            except RuleBroken:
                return False
            self.state.commit(rotation.record, begun)
            return True

    def _copy_of_current(self, rotation: PendingRotation) -> StoredValue | None:
        state, vault = rotation.record.state, self.state.vault
        current = state.labels.holder(AWSCURRENT)
        stored = None if current is None else state.versions[current].value
        if current is None or stored is None:
            return None
        place = place_in(state, rotation.record.region)
        value = vault.open(rotation.caller, place, current, stored)
        return vault.seal(rotation.caller, place, rotation.token, value)

    def _succeed(self, rotation: PendingRotation) -> bool:
        """Note the end of a rotation, unless the steps have left AWSPENDING where it blocks the next one."""
        with self.lock():
            state = rotation.record.state
            if rotation.is_trial:
                return True
            if not is_complete(state):
                return False
            state = completed(state, now_s=self.clock.now())
            self.state.commit(rotation.record, without_pending(state) if self.cleans_up else state)
            return True

    def _ended(
        self, rotation: PendingRotation, steps: list[StepRun], *, succeeded: bool = False, was_cancelled: bool = False
    ) -> RotationRun:
        with self.lock():
            self._end_trial(rotation)
            self.state.rotations = [other for other in self.state.rotations if other.token != rotation.token]
        return RotationRun(rotation.token, tuple(steps), succeeded, was_cancelled)

    def _end_trial(self, rotation: PendingRotation) -> None:
        if rotation.is_trial:
            self.state.commit(rotation.record, trial_ended(rotation.record.state, rotation.token))


def _function_arn(caller: Caller) -> str:
    return f"arn:{partition_of(caller.region)}:lambda:{caller.region}:{caller.account}:{FUNCTION_OF_TESTS}"
