"""A store of secrets in memory whose calls a test counts, holds up, and has fail."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from envelope import EnvelopeError
from envelope.cache.workers import StartThread
from envelope.testing import FakeClock
from envelope_secrets import (
    AWSCURRENT,
    CacheLimits,
    NewSecret,
    NewVersion,
    PolicyFinding,
    Replica,
    Secret,
    SecretChange,
    SecretDeleted,
    SecretDescription,
    SecretEvent,
    SecretNotFound,
    SecretsClient,
    SecretVersion,
    StageMove,
    StagingLabels,
    VersionPlace,
)
from envelope_secrets.errors import SecretConflict
from envelope_secrets.stages import StageConflict, after_move, after_put

ACCOUNT = "arn:aws:secretsmanager:eu-west-1:111122223333:secret"
DELETED = datetime.fromisoformat("2026-01-02T00:00:00+00:00")


class _Kept:
    """One secret: its values by version id, and its labels."""

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.arn = f"{ACCOUNT}:{name}-{number:06d}"
        self.values: dict[str, str | bytes] = {}
        self.labels = StagingLabels.of({})
        self.is_deleted = False


class MemoryStore:
    """A `SecretStore`. Its reads, but not its writes, go through `before`, which may wait or raise.

    Attributes:
        calls: operations and what they were asked for, in the order in which they began.
        before: called at the beginning of each `read`, `read_many` and `describe`.
    """

    def __init__(self, **values: str | bytes) -> None:
        self._lock = threading.Lock()
        self._secrets: dict[str, _Kept] = {}
        self._made = 0
        self.calls: list[tuple[str, ...]] = []
        self.before: Callable[[str], object] = lambda _: None
        for name, value in values.items():
            self.set(name, value)

    def __repr__(self) -> str:
        return "MemoryStore()"

    def count(self, operation: str) -> int:
        """How often an operation was called."""
        return Counter(call[0] for call in self.calls)[operation]

    def set(self, name: str, value: str | bytes, version_id: str = "", stages: Iterable[str] | None = None) -> str:
        """Store a value as the next version; its id, like ``v1``."""
        with self._lock:
            kept = self._secrets.get(name)
            if kept is None:
                self._made += 1
                kept = self._secrets[name] = _Kept(name, self._made)
            version_id = version_id or f"v{len(kept.values) + 1}"
            kept.values[version_id] = value
            kept.labels = after_put(kept.labels, version_id, stages)
            return version_id

    def announce(self, name: str, version_id: str) -> None:
        """Give AWSPENDING to a version without a value."""
        kept = self._secrets[name]
        kept.labels = StagingLabels.of({**kept.labels.by_version, version_id: ("AWSPENDING",)})

    def remove(self, name: str) -> None:
        """Have a secret be gone for good."""
        del self._secrets[name]

    @contextmanager
    def failing(self, error: Exception) -> Iterator[None]:
        """Every call that reads fails."""

        def fail(_: str) -> None:
            raise error

        before, self.before = self.before, fail
        try:
            yield
        finally:
            self.before = before

    def _called(self, operation: str, *what: str) -> None:
        with self._lock:
            self.calls.append((operation, *what))
        self.before(what[0] if what else "")

    def _found(self, secret_id: str) -> _Kept:
        for kept in self._secrets.values():
            if secret_id in (kept.name, kept.arn, kept.arn[:-7]):
                return kept
        raise SecretNotFound("there is no such secret")

    def read(self, secret_id: str, *, stage: str | None = AWSCURRENT, version_id: str | None = None) -> Secret:
        self._called("read", secret_id, stage or "", version_id or "")
        return self._read(secret_id, stage, version_id)

    def _read(self, secret_id: str, stage: str | None, version_id: str | None) -> Secret:
        with self._lock:
            kept = self._found(secret_id)
            if kept.is_deleted:
                raise SecretDeleted("the secret is scheduled for deletion")
            found = version_id or kept.labels.holder(stage or AWSCURRENT)
            if found not in kept.values:
                raise SecretNotFound("there is no such version")
            stages = kept.labels.stages_of(found)
            if stage is not None and stage not in stages:
                raise SecretConflict("the version does not have the label")
            return Secret(kept.values[found], name=kept.name, arn=kept.arn, version_id=found, stages=tuple(stages))

    def read_many(self, secret_ids: Sequence[str]) -> Mapping[str, Secret | EnvelopeError]:
        self._called("read_many", *secret_ids)
        answers: dict[str, Secret | EnvelopeError] = {}
        for secret_id in secret_ids:
            try:
                answers[secret_id] = self._read(secret_id, AWSCURRENT, None)
            except EnvelopeError as error:
                answers[secret_id] = error
        return answers

    def describe(self, secret_id: str) -> SecretDescription:
        self._called("describe", secret_id)
        with self._lock:
            kept = self._found(secret_id)
            return SecretDescription(kept.name, kept.arn, kept.labels, deleted=DELETED if kept.is_deleted else None)

    def versions(self, secret_id: str, *, include_deprecated: bool = False) -> tuple[SecretVersion, ...]:
        self.calls.append(("versions", secret_id))
        kept = self._found(secret_id)
        return tuple(
            SecretVersion(version_id, tuple(sorted(stages)), has_value=version_id in kept.values)
            for version_id, stages in kept.labels.by_version.items()
            if stages or include_deprecated
        )

    def list(self, *, prefix: str = "", include_deleted: bool = False) -> Iterator[SecretDescription]:
        self.calls.append(("list", prefix))
        for kept in sorted(self._secrets.values(), key=lambda kept: kept.name):
            if kept.name.startswith(prefix) and (include_deleted or not kept.is_deleted):
                yield SecretDescription(kept.name, kept.arn, kept.labels)

    def create(self, secret: NewSecret) -> VersionPlace:
        self.calls.append(("create", secret.name))
        if secret.name in self._secrets:
            raise SecretConflict("the name is taken")
        version = NewVersion("none", "none") if secret.version is None else secret.version
        self.set(secret.name, version.value, version.token)
        return VersionPlace(self._secrets[secret.name].arn, secret.name, version.token, (AWSCURRENT,))

    def put(self, secret_id: str, version: NewVersion) -> VersionPlace:
        self.calls.append(("put", secret_id))
        kept = self._found(secret_id)
        self.set(kept.name, version.value, version.token, version.stages)
        return VersionPlace(kept.arn, kept.name, version.token, version.stages)

    def update(self, secret_id: str, *, description: str | None = None, kms_key_id: str | None = None) -> None:
        self.calls.append(("update", secret_id))

    def move_stage(self, secret_id: str, move: StageMove) -> None:
        self.calls.append(("move_stage", secret_id))
        kept = self._found(secret_id)
        try:
            kept.labels = after_move(kept.labels, move)
        except StageConflict as conflict:
            raise SecretConflict(str(conflict)) from None

    def delete(self, secret_id: str, *, recovery_window_days: int | None = 30) -> datetime | None:
        self.calls.append(("delete", secret_id))
        self._found(secret_id).is_deleted = True
        return DELETED

    def restore(self, secret_id: str) -> None:
        self.calls.append(("restore", secret_id))
        self._found(secret_id).is_deleted = False

    def tag(self, secret_id: str, tags: Mapping[str, str]) -> None:
        self.calls.append(("tag", secret_id))

    def untag(self, secret_id: str, names: Iterable[str]) -> None:
        self.calls.append(("untag", secret_id))


class TreeStore(MemoryStore):
    """A store whose names form hierarchies."""

    def read_tree(self, path: str) -> Mapping[str, Secret]:
        self._called("read_tree", path)
        return {name: self._read(name, None, None) for name in self._secrets if name.startswith(path)}


class AwsLikeStore(MemoryStore):
    """A store with copies and policies."""

    def replicate(self, secret_id: str, regions: Mapping[str, str], *, overwrite: bool = False) -> tuple[Replica, ...]:
        return tuple(Replica(region, "InSync", key, str(overwrite)) for region, key in regions.items())

    def remove_replicas(self, secret_id: str, regions: Any) -> tuple[Replica, ...]:
        return ()

    def stop_replication(self, secret_id: str) -> str:
        return "arn"

    def policy(self, secret_id: str) -> str | None:
        return "{}"

    def put_policy(self, secret_id: str, policy: str, *, block_public: bool = True) -> None:
        self.calls.append(("put_policy", secret_id, policy))

    def delete_policy(self, secret_id: str) -> None:
        self.calls.append(("delete_policy", secret_id))

    def validate_policy(self, policy: str, *, secret_id: str | None = None) -> tuple[PolicyFinding, ...]:
        return (PolicyFinding("check", f"{policy} {secret_id}"),)


class Setting:
    """A client whose clock, chance and background threads a test moves."""

    def __init__(
        self,
        store: MemoryStore | None = None,
        *,
        chance: float = 0.0,
        start_thread: StartThread | None = None,
        serves_after_denial: bool = False,
        soft_age_s: float = 300.0,
        hard_age_s: float = 14_400.0,
        capacity: int = 1_000,
    ) -> None:
        self.store = MemoryStore(db="secret 1") if store is None else store
        self.clock = FakeClock(0)
        self.background: list[Callable[[], None]] = []
        self.events: list[SecretEvent] = []
        self.changes: list[SecretChange] = []
        self.client = SecretsClient(
            self.store,
            limits=CacheLimits(
                soft_age_s=soft_age_s,
                hard_age_s=hard_age_s,
                capacity=capacity,
                serves_after_denial=serves_after_denial,
            ),
            on_event=self.events.append,
            clock=self.clock,
            random=lambda: chance,
            start_thread=start_thread or self.background.append,
        )

    def text(self, secret_id: str = "db") -> str:
        return self.client.get(secret_id).text

    def renewed_text(self, after_s: float, secret_id: str = "db") -> str:
        """What is there after some time, one use, and the renewal that this use may have started."""
        self.clock.advance(after_s)
        self.text(secret_id)
        self.run_background()
        return self.text(secret_id)

    def run_background(self) -> None:
        while self.background:
            self.background.pop(0)()

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


def until(condition: Callable[[], object]) -> None:
    """Let other threads run until something is so; a hanging test is the runner's to end."""
    tick = threading.Event()
    while not condition():
        tick.wait(0.001)
