"""Rotation of a secret by its store: start it, configure it, turn it off, and say where it stands."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from envelope.arguments import check_flag, check_function
from envelope.errors import EnvelopeError, InvalidArgument
from envelope_secrets.errors import NotSupported
from envelope_secrets.label_state import look
from envelope_secrets.limits import schedule_problem, token_problem
from envelope_secrets.schedules import fit_problem, window_problem
from envelope_secrets.stages import AWSCURRENT, AWSPENDING, Finding
from envelope_secrets.stores.protocol import Rotates, SecretStore, VersionPlace

__all__ = ["RotationControl", "RotationReport"]

MAX_ARN_CHARACTERS = 2_048

_FUNCTION_ARN = re.compile(r"arn:[a-z0-9-]+:lambda:[a-z0-9-]+:[0-9]{12}:function:[A-Za-z0-9_$:-]+")

_NO_FUNCTION_HINT = "put a new version; with staging labels, envelope_secrets.rotation.rotate rotates in this process"


@dataclass(frozen=True, slots=True)
class RotationReport:
    """Where the rotation of a secret stands.

    Attributes:
        enabled: whether it is rotated on a schedule; None if it never was.
        lambda_arn, schedule, window: how, or empty.
        last_rotated, next_rotation: None where there is none.
        pending_version: the version that has AWSPENDING and is not current, or None.
        findings: what is wrong with the labels; `StageOperations.repair` says what can be done.
        explanation: the same for a person.
    """

    enabled: bool | None
    lambda_arn: str
    schedule: str
    window: str
    last_rotated: datetime | None
    next_rotation: datetime | None
    pending_version: str | None
    findings: tuple[Finding, ...]
    explanation: str


class RotationControl:
    """The rotations that a store starts itself. Safe for threads.

    Every method but `status` raises `NotSupported` for a store that starts none, and what its store raises:
    `SecretConflict` if a rotation is not complete, or none is configured.

    Args:
        changed: is told the id of a secret whose labels have, or may have, moved.
    """

    def __init__(self, store: SecretStore, *, changed: Callable[[str], object] = lambda _: None) -> None:
        check_function("changed", changed)
        self._store = store
        self._changed = changed

    def start(self, secret_id: str, *, token: str | None = None) -> VersionPlace:
        """Start a rotation now. It goes on after the call; `status` tells how far.

        Args:
            token: becomes the id of the new version; drawn if None.
        """
        return self._rotate(secret_id, token, lambda rotates, chosen: rotates.rotate(secret_id, token=chosen))

    def configure(
        self,
        secret_id: str,
        lambda_arn: str | None,
        *,
        schedule: str = "rate(30 days)",
        window: str | None = "2h",
        immediately: bool = False,
        token: str | None = None,
    ) -> VersionPlace:
        """Rotate the secret on a schedule from now on.

        Args:
            lambda_arn: the function that rotates it; None for a secret that its service rotates without one.
            schedule: ``rate(30 days)``, ``rate(12 hours)`` or ``cron(0 4 ? * SUN *)``, in UTC; not more often than
                every four hours.
            window: how long a rotation may take from its scheduled start, in hours; None for the service's default.
            immediately: rotate at once too. Otherwise the function is called all the same, to test it: its testSecret.

        Raises:
            InvalidArgument: the service would refuse it.
        """
        _check_function_arn(lambda_arn)
        check_flag("immediately", immediately)
        _check("schedule", schedule_problem(schedule))
        if window is not None:
            _check("window", window_problem(window))
            _check("window", fit_problem(schedule, window))

        def rotate(rotates: Rotates, chosen: str) -> VersionPlace:
            return rotates.rotate(
                secret_id,
                token=chosen,
                lambda_arn=lambda_arn,
                schedule=schedule,
                window=window,
                immediately=immediately,
            )

        return self._rotate(secret_id, token, rotate)

    def cancel(self, secret_id: str) -> VersionPlace:
        """Turn rotation off. One that is under way stops where it is, and may leave AWSPENDING: see `status`.

        Its target may know the pending value already: try that before the label is dropped.
        """
        rotates = self._rotates()
        try:
            return rotates.cancel_rotation(secret_id)
        finally:
            self._changed(secret_id)

    def status(self, secret_id: str) -> RotationReport:
        """Where the rotation stands, and what blocks it. For every store: local ones have labels too."""
        state = look(self._store, secret_id)
        rotation = state.description.rotation
        pending = state.labels.holder(AWSPENDING)
        return RotationReport(
            rotation.enabled,
            rotation.lambda_arn,
            rotation.schedule,
            rotation.window,
            rotation.last_rotated,
            rotation.next_rotation,
            None if pending == state.labels.holder(AWSCURRENT) else pending,
            state.findings,
            state.explanation(),
        )

    def _rotate(
        self, secret_id: str, token: str | None, rotate: Callable[[Rotates, str], VersionPlace]
    ) -> VersionPlace:
        """Make the call under a token. If its reply is lost, look whether the version was announced."""
        chosen = str(uuid.uuid4()) if token is None else token
        _check("token", token_problem(chosen))
        rotates = self._rotates()
        try:
            return rotate(rotates, chosen)
        except EnvelopeError as error:
            if not error.can_retry:
                raise
            failure = error
        finally:
            self._changed(secret_id)
        place = self._announced(secret_id, chosen)
        if place is None:
            raise failure
        return place

    def _announced(self, secret_id: str, token: str) -> VersionPlace | None:
        """The version of a rotation that was started, if it can be seen."""
        try:
            described = self._store.describe(secret_id)
        except EnvelopeError:  # the first error says more
            return None
        stages = tuple(sorted(described.labels.stages_of(token)))
        return VersionPlace(described.arn, described.name, token, stages) if stages else None

    def _rotates(self) -> Rotates:
        if isinstance(self._store, Rotates):
            return self._store
        raise NotSupported(f"a {type(self._store).__name__} starts no rotations", hint=_NO_FUNCTION_HINT)


def _check(name: str, problem: str | None) -> None:
    if problem is not None:
        raise InvalidArgument(f"{name} {problem}")


def _check_function_arn(arn: object) -> None:
    if arn is None:
        return
    if not isinstance(arn, str):
        raise InvalidArgument(f"lambda_arn must be text or None, not {type(arn).__name__}")
    if len(arn) > MAX_ARN_CHARACTERS or _FUNCTION_ARN.fullmatch(arn) is None:
        raise InvalidArgument(
            "lambda_arn must be the ARN of a function, like arn:aws:lambda:eu-west-1:111122223333:function:rotate"
        )
