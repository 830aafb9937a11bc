"""A store in memory, for tests of what is done with staging labels: it says what it was asked, and fails on demand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from envelope.errors import AwsUnavailable, EnvelopeError
from envelope_secrets.errors import SecretConflict, SecretNotFound
from envelope_secrets.stages import AWSCURRENT, StageConflict, StageMove, StagingLabels, after_move, after_put
from envelope_secrets.stores.protocol import (
    NewSecret,
    NewVersion,
    PolicyFinding,
    RotationStatus,
    SecretDescription,
    SecretVersion,
    VersionPlace,
)
from envelope_secrets.value import Secret

ID = "prod/db"
ARN = f"arn:aws:secretsmanager:eu-west-1:111122223333:secret:{ID}-AbCdEf"
START = datetime(2026, 1, 1, tzinfo=UTC)

V1, V2, V3, V4 = (str(number) * 32 for number in range(1, 5))


def no_answer(operation: str = "secretsmanager:UpdateSecretVersionStage") -> AwsUnavailable:
    return AwsUnavailable("no answer", operation=operation, code="ReadTimeoutError", can_retry=True)


Fault = Callable[[], None]
"""Runs before a call (`before`) or after it was done (`after`), and may raise."""


@dataclass
class LabelledStore:
    """One secret, with versions made a minute apart."""

    labels: StagingLabels = field(default_factory=lambda: StagingLabels.of({}))
    values: dict[str, str | bytes] = field(default_factory=dict)
    calls: list[tuple[str, Any]] = field(default_factory=list)
    before: dict[str, list[Fault | None]] = field(default_factory=dict)
    after: dict[str, list[Fault | None]] = field(default_factory=dict)
    old_looks: list[StagingLabels] = field(default_factory=list)
    made: dict[str, datetime] = field(default_factory=dict)
    rotation: RotationStatus = field(default_factory=RotationStatus)
    kms_key_id: str = ""
    arn: str = ARN

    @classmethod
    def of(cls, stages: Mapping[str, Iterable[str]], *, without_value: Iterable[str] = ()) -> LabelledStore:
        store = cls(StagingLabels.of(stages))
        store.values = {version_id: f"value of {version_id[0]}" for version_id in stages}
        for version_id in without_value:
            del store.values[version_id]
        store.made = {version_id: START + timedelta(minutes=number) for number, version_id in enumerate(stages)}
        return store

    # --- for tests ---

    def count(self, name: str) -> int:
        return sum(called == name for called, _ in self.calls)

    def stages(self) -> dict[str, list[str]]:
        return {version_id: sorted(stages) for version_id, stages in self.labels.by_version.items()}

    def moved_by_somebody(self, stage: str, to: str | None) -> None:
        self.labels = after_move(self.labels, StageMove(stage, to, self.labels.holder(stage)))

    def fails(self, name: str, *errors: EnvelopeError | None, done: bool = False) -> None:
        """Have the next calls raise these, before they are done or after (a lost reply)."""
        faults = self.after if done else self.before
        faults.setdefault(name, []).extend(None if error is None else _raiser(error) for error in errors)

    # --- the store ---

    def read(self, secret_id: str, *, stage: str | None = AWSCURRENT, version_id: str | None = None) -> Secret:
        self._begin("read", (secret_id, stage, version_id))
        found = version_id if version_id is not None else self.labels.holder(str(stage))
        if found is None or found not in self.values:
            raise SecretNotFound("no such version")
        return Secret(
            self.values[found],
            name=ID,
            arn=self.arn,
            version_id=found,
            stages=tuple(self.labels.stages_of(found)),
        )

    def read_many(self, secret_ids: Sequence[str]) -> Mapping[str, Secret | EnvelopeError]:
        return {secret_id: self.read(secret_id) for secret_id in secret_ids}

    def describe(self, secret_id: str) -> SecretDescription:
        self._begin("describe", secret_id)
        labels = self.old_looks.pop(0) if self.old_looks else self.labels
        listed = StagingLabels.of({one: stages for one, stages in labels.by_version.items() if stages})
        return SecretDescription(ID, self.arn, listed, rotation=self.rotation, kms_key_id=self.kms_key_id)

    def versions(self, secret_id: str, *, include_deprecated: bool = False) -> tuple[SecretVersion, ...]:
        self._begin("versions", secret_id)
        return tuple(
            SecretVersion(
                one, tuple(sorted(stages)), self.made.get(one) if one in self.values else None, one in self.values
            )
            for one, stages in reversed(list(self.labels.by_version.items()))
            if stages or include_deprecated
        )

    def list(self, *, prefix: str = "", include_deleted: bool = False) -> Iterator[SecretDescription]:
        yield self.describe(ID)

    def create(self, secret: NewSecret) -> VersionPlace:
        self._begin("create", secret)
        if secret.version is not None:
            self._store(secret.version)
        self._end("create")
        return VersionPlace(self.arn, ID, secret.version.token if secret.version else "", (AWSCURRENT,))

    def put(self, secret_id: str, version: NewVersion) -> VersionPlace:
        self._begin("put", version)
        self._store(version)
        self._end("put")
        return VersionPlace(self.arn, ID, version.token, tuple(sorted(self.labels.stages_of(version.token))))

    def update(self, secret_id: str, *, description: str | None = None, kms_key_id: str | None = None) -> None:
        self.kms_key_id = kms_key_id or ""

    def move_stage(self, secret_id: str, move: StageMove) -> None:
        self._begin("move_stage", move)
        try:
            self.labels = after_move(self.labels, move)
        except StageConflict as conflict:
            raise SecretConflict(str(conflict), code="InvalidParameterException") from conflict
        self._end("move_stage")

    def delete(self, secret_id: str, *, recovery_window_days: int | None = 30) -> datetime | None:
        return None

    def restore(self, secret_id: str) -> None:
        pass

    def tag(self, secret_id: str, tags: Mapping[str, str]) -> None:
        pass

    def untag(self, secret_id: str, names: Iterable[str]) -> None:
        pass

    def _store(self, version: NewVersion) -> None:
        if version.token in self.values:
            if self.values[version.token] != version.value:
                raise SecretConflict("the token is taken", code="ResourceExistsException")
            return
        self.values[version.token] = version.value
        self.made[version.token] = START + timedelta(minutes=len(self.made))
        self.labels = after_put(self.labels, version.token, version.stages)

    def _begin(self, name: str, what: object) -> None:
        self.calls.append((name, what))
        _run(self.before.get(name))

    def _end(self, name: str) -> None:
        _run(self.after.get(name))


@dataclass
class RotatingStore(LabelledStore):
    """A store that starts rotations, and whose secrets have a policy."""

    text: str | None = None
    objections: tuple[PolicyFinding, ...] = ()

    def rotate(
        self,
        secret_id: str,
        *,
        token: str,
        lambda_arn: str | None = None,
        schedule: str | None = None,
        window: str | None = None,
        immediately: bool = True,
    ) -> VersionPlace:
        self._begin("rotate", (secret_id, token, lambda_arn, schedule, window, immediately))
        self.rotation = replace(self.rotation, enabled=True, lambda_arn=lambda_arn or self.rotation.lambda_arn)
        self.labels = after_put(self.labels, token, ("AWSPENDING",))
        self._end("rotate")
        return VersionPlace(self.arn, ID, token, ("AWSPENDING",))

    def cancel_rotation(self, secret_id: str) -> VersionPlace:
        self._begin("cancel_rotation", secret_id)
        self.rotation = replace(self.rotation, enabled=False)
        return VersionPlace(self.arn, ID, self.labels.holder("AWSPENDING") or "", ())

    def policy(self, secret_id: str) -> str | None:
        self._begin("policy", secret_id)
        return self.text

    def put_policy(self, secret_id: str, policy: str, *, block_public: bool = True) -> None:
        self._begin("put_policy", (policy, block_public))
        self.text = policy

    def delete_policy(self, secret_id: str) -> None:
        self._begin("delete_policy", secret_id)
        self.text = None

    def validate_policy(self, policy: str, *, secret_id: str | None = None) -> tuple[PolicyFinding, ...]:
        self._begin("validate_policy", (policy, secret_id))
        return self.objections


def _raiser(error: EnvelopeError) -> Fault:
    def fault() -> None:
        raise error

    return fault


def _run(faults: list[Fault | None] | None) -> None:
    fault = faults.pop(0) if faults else None
    if fault is not None:
        fault()
