"""Secrets in one file on this machine, with the versions, labels, tokens and limits of Secrets Manager."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from envelope.arguments import check_flag, check_function, check_seconds
from envelope.errors import EnvelopeError
from envelope.keyrings.protocol import Keyring
from envelope.replacement import check_path
from envelope_secrets.errors import SecretConflict, StoreFailed
from envelope_secrets.service_rules import deletion, moving, reading, rotation, tagging, writing
from envelope_secrets.service_rules.broken import no_such_secret
from envelope_secrets.stages import AWSCURRENT, StageMove
from envelope_secrets.stores import local_checks
from envelope_secrets.stores.local_answers import date_of, described, place_of, version_of
from envelope_secrets.stores.local_checks import rules_translated
from envelope_secrets.stores.local_failures import damaged
from envelope_secrets.stores.local_file import StoreFile, make_store_file
from envelope_secrets.stores.local_names import check_secret_id, new_arn, new_store_id
from envelope_secrets.stores.local_records import IN_FILE, LocalState, Records
from envelope_secrets.stores.local_sealing import Sealing
from envelope_secrets.stores.protocol import (
    NewSecret,
    NewVersion,
    SecretDescription,
    SecretVersion,
    VersionPlace,
)
from envelope_secrets.value import Secret

if TYPE_CHECKING:
    from sqlite3 import Connection

__all__ = ["LocalSecretStore"]

Result = TypeVar("Result")

MOST_RACES = 5
"""A value is sealed before the transaction that stores it, for an ARN and a token that others may have taken then."""


class LocalSecretStore:
    """A `SecretStore` in a SQLite file. Safe for threads, for many processes at once, and across forks.

    The file is made if there is none, mode 0600; so are its companions ``-wal`` and ``-shm``. What a method has
    acknowledged is on the disk. Values are sealed; names, labels, dates and tags are in the clear, and authenticated:
    docs/local-secret-store.md says against whom, and against whom not.

    There are no resource policies, replicas or keys of single secrets, and nobody rotates by themselves: `announce`
    begins a rotation. Secrets that were deleted are purged by a change after their recovery window; reading and opening
    destroy nothing, and nor does a clock that is more than 30 days ahead of everything in the file.

    Signal handlers and finalizers must not use it.

    Args:
        path: in a directory that exists, on a local file system; a symbolic link is followed.
        keyring: seals and opens. The same for everybody who uses the file; data keys are cached inside unless it is a
            `DataKeyCache`.
        clock: seconds since 1970.
        busy_timeout_s: how long a change waits for other threads and processes that write.

    Raises:
        StoreFailed: the file is no store, a newer one, damaged, under another key, somebody else's, or open to others;
            here and in every method. Where `can_retry` is True, it was busy.
        SecretKeyUnavailable: the keyring's key cannot be used now; here and in every method.
        InvalidArgument: an option of the wrong type or out of range, or something that is no keyring.
    """

    __slots__ = ("__weakref__", "_clock", "_file", "_sealed_key", "_sealing", "_store_id")

    def __init__(
        self,
        path: str | os.PathLike[str],
        keyring: Keyring,
        *,
        clock: Callable[[], float] = time.time,
        busy_timeout_s: float = 5.0,
    ) -> None:
        place = Path(os.path.realpath(check_path(path, "path")))
        timeout_s = check_seconds("busy_timeout_s", busy_timeout_s)
        check_function("clock", clock)
        self._clock = clock
        self._sealing = Sealing(place, keyring)
        make_store_file(place, lambda: self._sealing.new_store(new_store_id()))
        self._file = StoreFile(place, busy_timeout_s=timeout_s)
        row = self._file.row
        if not isinstance(row.store_id, bytes) or not isinstance(row.sealed_key, bytes):
            raise damaged(place, "the row about the store itself is no such row")
        self._store_id = row.store_id.decode("ascii", errors="replace")
        self._sealed_key = row.sealed_key
        self._reading(str(place), lambda _: None)  # a keyring that does not open the store shows at once

    def __repr__(self) -> str:
        return f"LocalSecretStore({str(self._file.path)!r})"

    def __enter__(self) -> LocalSecretStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. The next call opens it again."""
        self._file.close()

    def read(self, secret_id: str, *, stage: str | None = AWSCURRENT, version_id: str | None = None) -> Secret:
        """See `SecretStore.read`."""
        local_checks.check_selector(stage, version_id)

        def work(records: Records) -> tuple[LocalState, str, object]:
            state = records.found(secret_id)
            found = reading.found_version(state, version_id, stage)
            return state, found, records.sealed(state, found)

        state, found, sealed = self._reading(check_secret_id(secret_id), work)
        return Secret(
            self._sealing.open(sealed, state.arn, found),
            name=state.name,
            arn=state.arn,
            version_id=found,
            stages=tuple(state.labels.stages_of(found)),
            created=date_of(state.versions[found].created_s),
        )

    def read_many(self, secret_ids: Sequence[str]) -> Mapping[str, Secret | EnvelopeError]:
        """See `SecretStore.read_many`."""
        return {secret_id: self._read_or_error(secret_id) for secret_id in local_checks.check_ids(secret_ids)}

    def _read_or_error(self, secret_id: str) -> Secret | EnvelopeError:
        try:
            return self.read(secret_id)
        except EnvelopeError as error:
            return error

    def describe(self, secret_id: str) -> SecretDescription:
        """See `SecretStore.describe`."""
        return described(self._reading(check_secret_id(secret_id), lambda records: records.found(secret_id)))

    def versions(self, secret_id: str, *, include_deprecated: bool = False) -> tuple[SecretVersion, ...]:
        """See `SecretStore.versions`."""
        everything = check_flag("include_deprecated", include_deprecated)
        state = self._reading(check_secret_id(secret_id), lambda records: records.found(secret_id))
        return tuple(
            version_of(state, version_id)
            for version_id in reversed(tuple(state.versions))
            if state.labels.stages_of(version_id) or (everything and state.has_value(version_id))
        )

    def list(self, *, prefix: str = "", include_deleted: bool = False) -> Iterator[SecretDescription]:
        """See `SecretStore.list`. Sorted by name; what changes between two hundreds may show or not."""
        return self._listed(local_checks.check_prefix(prefix), check_flag("include_deleted", include_deleted))

    def _listed(self, prefix: str, include_deleted: bool) -> Iterator[SecretDescription]:
        after: str | None = None
        while True:
            page = self._reading(prefix, partial(Records.page, prefix=prefix, after=after))
            if not page:
                return
            after, now_s = page[-1].name, self._now_s()
            for state in page:
                if state.deletes_s is None or (include_deleted and not deletion.is_gone(state, now_s)):
                    yield described(state)

    def create(self, secret: NewSecret) -> VersionPlace:
        """See `SecretStore.create`."""
        new = local_checks.check_secret(secret)
        token = "" if new.version is None else new.version.token
        for _ in range(MOST_RACES):
            known = self._known(new.name, new.version)
            if known is not None:
                with rules_translated(new.name):
                    writing.check_free(known.state, token, known.answer)
                return place_of(known.state, token)
            arn = new_arn(self._store_id, new.name)
            value = None if new.version is None else self._sealing.seal(new.version.value, arn, token)
            state = self._changing(new.name, partial(_created, new=new, arn=arn, value=value))
            if state is not None:
                return place_of(state, token)
        raise self._too_many_races(new.name)

    def put(self, secret_id: str, version: NewVersion) -> VersionPlace:
        """See `SecretStore.put`."""
        new = local_checks.check_version(version)
        for _ in range(MOST_RACES):
            known = self._known(check_secret_id(secret_id), new)
            with rules_translated(secret_id):
                if known is None:
                    raise no_such_secret()
                deletion.check_not_deleted(known.state)
            value = self._sealing.seal(new.value, known.state.arn, new.token) if known.is_same is None else IN_FILE
            after = self._changing(secret_id, partial(_put, secret_id=secret_id, new=new, known=known, value=value))
            if after is not None:
                return place_of(after, new.token)
        raise self._too_many_races(secret_id)

    def announce(self, secret_id: str, token: str) -> VersionPlace:
        """Begin a rotation: AWSPENDING on a version without a value, which a `put` with the same token gives it.

        Repeated with the token of a version that exists, it changes nothing.

        Raises:
            SecretConflict: AWSPENDING is on another version that is not the current one.
        """
        local_checks.check_token(token)
        state = self._change(secret_id, lambda before, now_s: rotation.announced(before, token, now_s=now_s))
        return place_of(state, token)

    def update(self, secret_id: str, *, description: str | None = None, kms_key_id: str | None = None) -> None:
        """See `SecretStore.update`."""
        local_checks.check_description(description)
        local_checks.check_no_key(kms_key_id)
        local_checks.check_something(description, kms_key_id)
        self._change(secret_id, lambda before, now_s: writing.updated(before, now_s=now_s, description=description))

    def check_version_id(self, version_id: str) -> None:
        """Raise `InvalidArgument` for what cannot be the id of a version: 32 to 64 characters."""
        local_checks.check_selector(None, version_id)

    def move_stage(self, secret_id: str, move: StageMove) -> None:
        """See `SecretStore.move_stage`."""
        checked = local_checks.check_move(move)
        self._change(secret_id, lambda before, now_s: moving.moved(before, checked, now_s=now_s))

    def delete(self, secret_id: str, *, recovery_window_days: int | None = 30) -> datetime | None:
        """See `SecretStore.delete`. To delete at once what is not there is no error, as in the service."""
        if recovery_window_days is None:
            return self._delete_at_once(check_secret_id(secret_id))
        days = local_checks.check_recovery_window(recovery_window_days)
        state = self._change(secret_id, lambda before, now_s: deletion.scheduled(before, days, now_s))
        return None if state.deletes_s is None else date_of(state.deletes_s)

    def _delete_at_once(self, secret_id: str) -> datetime:
        def work(records: Records, now_s: float) -> float:
            state = records.stored(secret_id)
            if state is not None:
                records.remove(state)
            return now_s

        removed_s = self._changing(secret_id, work)
        self._file.forget()
        return date_of(removed_s)

    def restore(self, secret_id: str) -> None:
        """See `SecretStore.restore`."""
        self._change(secret_id, _restored)

    def tag(self, secret_id: str, tags: Mapping[str, str]) -> None:
        """See `SecretStore.tag`."""
        local_checks.check_tags(tags)
        self._change(secret_id, lambda before, now_s: tagging.tagged(before, tags, now_s=now_s))

    def untag(self, secret_id: str, names: Iterable[str]) -> None:
        """See `SecretStore.untag`."""
        listed = local_checks.check_tag_names(names)
        self._change(secret_id, lambda before, now_s: tagging.untagged(before, listed, now_s=now_s))

    def _known(self, secret_id: str, version: NewVersion | None) -> _Known | None:
        """The secret as it is before a change, and how its version with the same token compares, if it has a value."""

        def work(records: Records) -> tuple[LocalState | None, object]:
            state = records.known(secret_id)
            if state is None or version is None or not state.has_value(version.token):
                return state, None
            return state, records.sealed(state, version.token)

        state, sealed = self._reading(secret_id, work)
        if state is None or version is None or not state.has_value(version.token):
            return None if state is None else _Known(state, None)
        value = self._sealing.open(sealed, state.arn, version.token)
        is_same = type(value) is type(version.value) and value == version.value  # `python -bb` raises for two types
        return _Known(state, is_same)

    def _change(self, secret_id: str, rule: Callable[[LocalState, float], LocalState]) -> LocalState:
        """The secret after a rule was applied to it."""

        def work(records: Records, now_s: float) -> LocalState:
            before = records.found(secret_id)
            after = rule(before, now_s)
            records.write(before, after)
            return after

        return self._changing(check_secret_id(secret_id), work)

    def _reading(self, subject: str, work: Callable[[Records], Result]) -> Result:
        """What `work` returns, given one state of the store; `subject` is for error texts."""
        macs = self._sealing.macs(self._store_id, self._sealed_key)  # may call KMS: not inside of the transaction
        now_s = self._now_s()

        def with_records(connection: Connection) -> Result:
            return work(Records(self._file.path, connection, macs, store_id=self._store_id, now_s=now_s))

        with rules_translated(subject):
            return self._file.reading(with_records)

    def _changing(self, subject: str, work: Callable[[Records, float], Result]) -> Result:
        """What `work` returns, given the only transaction that changes the store, and its time."""
        macs = self._sealing.macs(self._store_id, self._sealed_key)
        now_s = self._now_s()

        def with_records(connection: Connection) -> tuple[Result, bool]:
            records = Records(self._file.path, connection, macs, store_id=self._store_id, now_s=now_s)
            purged = records.purge()
            return work(records, now_s), purged

        with rules_translated(subject):
            result, purged = self._file.writing(with_records)
        if purged:
            self._file.forget()
        return result

    def _now_s(self) -> float:
        return local_checks.check_now(self._clock())

    def _too_many_races(self, subject: str) -> StoreFailed:
        failed = StoreFailed(
            f"secret {subject[:200]!r} was changed by others in each of {MOST_RACES} attempts to write it",
            hint="try again, and find out who creates it or uses the same token all the time",
        )
        failed.can_retry = True
        return failed


@dataclass(frozen=True, slots=True)
class _Known:
    """A secret before a change. `is_same`: how the value of the token compares; None if the token has none."""

    state: LocalState
    is_same: bool | None

    def answer(self, _: bytes) -> bool:
        return bool(self.is_same)


def _created(records: Records, now_s: float, *, new: NewSecret, arn: str, value: bytes | None) -> LocalState | None:
    """The new secret; None if somebody was quicker."""
    if records.known(new.name) is not None:
        return None
    state = writing.created(
        name=new.name,
        arn=arn,
        now_s=now_s,
        token="" if new.version is None else new.version.token,
        value=value,
        description=new.description,
        tags=new.tags,
    )
    records.write(None, state)
    return state


def _put(
    records: Records, now_s: float, *, secret_id: str, new: NewVersion, known: _Known, value: bytes
) -> LocalState | None:
    """The secret with its new version; None if it is not any more what the value was sealed for."""
    before = records.found(secret_id)
    if before.arn != known.state.arn or before.has_value(new.token) != (known.is_same is not None):
        return None
    after = writing.put(before, new.token, value, new.stages, is_same=known.answer, now_s=now_s)
    records.write(before, after)
    return after


def _restored(state: LocalState, _: float) -> LocalState:
    if state.deletes_s is None:
        # Not left to the text of the rule, which speaks of deletion and would be taken for `SecretDeleted`.
        raise SecretConflict(
            f"secret {state.name!r} is not scheduled for deletion",
            hint="there is nothing to take back",
            code="InvalidRequestException",
        )
    return deletion.restored(state)
