"""The secrets of a local store inside of one transaction: found, authenticated, written, purged.

A record is the JSON of a secret without its values: names, labels, dates and tags, in the clear. Its MAC is what makes
them worth something: whoever can edit the file and has not the key can remove a secret, or put back an older state of
one that was there before, but cannot move a label, rename, or mix states.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from envelope_secrets.errors import StoreFailed
from envelope_secrets.service_rules.broken import no_such_secret
from envelope_secrets.service_rules.deletion import is_gone
from envelope_secrets.service_rules.state import SecretState, StoredVersion
from envelope_secrets.stages import StagingLabels
from envelope_secrets.stores import local_tables
from envelope_secrets.stores.local_failures import damaged
from envelope_secrets.stores.local_names import row_of
from envelope_secrets.stores.local_sealing import RecordMacs
from envelope_secrets.stores.local_tables import SecretRow

if TYPE_CHECKING:
    from sqlite3 import Connection

__all__ = ["IN_FILE", "LocalState", "Records"]

LocalState = SecretState[bytes]
"""A secret whose values are sealed."""

IN_FILE = b""
"""Stands for a sealed value that is in the file already."""

PAGE_SECRETS = 100

MAX_LEAP_S = 30 * 86_400
"""A clock further ahead of everything in the file may be wrong, so nothing is destroyed on its word alone."""


class Records:
    """All secrets, for as long as one transaction. Secrets whose recovery window is over are not there any more.

    Every method raises `StoreFailed` for a record that this store has not written.
    """

    __slots__ = ("_connection", "_macs", "_now_s", "_path", "_store_id")

    def __init__(self, path: Path, connection: Connection, macs: RecordMacs, *, store_id: str, now_s: float) -> None:
        self._path = path
        self._connection = connection
        self._macs = macs
        self._store_id = store_id
        self._now_s = now_s

    def known(self, secret_id: str) -> LocalState | None:
        """The secret of that name or ARN."""
        state = self.stored(secret_id)
        return None if state is None or is_gone(state, self._now_s) else state

    def stored(self, secret_id: str) -> LocalState | None:
        """The same, though its recovery window may be over."""
        row = row_of(self._connection, self._store_id, secret_id)
        return None if row is None else self._authentic(row)

    def found(self, secret_id: str) -> LocalState:
        """The secret of that name or ARN.

        Raises:
            RuleBroken: there is none.
        """
        state = self.known(secret_id)
        if state is None:
            raise no_such_secret()
        return state

    def page(self, prefix: str, after: str | None) -> list[LocalState]:
        """The next secrets by name, up to 100; none at the end."""
        rows = local_tables.rows_from(self._connection, prefix, after, PAGE_SECRETS)
        return [self._authentic(row) for row in rows]

    def sealed(self, state: LocalState, version_id: str) -> object:
        """The sealed value of a version, or what somebody has put into its place."""
        return local_tables.sealed_value(self._connection, state.arn, version_id)

    def write(self, before: LocalState | None, after: LocalState) -> None:
        """Write what has changed.

        Args:
            before: the secret as it is in the file; None for a new one.
        """
        if after is before:
            return
        if before is None:  # in the place of one whose recovery window is over
            local_tables.delete_secret(self._connection, after.name.encode())
        record = _serialized(after)
        row = SecretRow(after.name.encode(), after.arn.encode(), record, self._macs.of(record))
        local_tables.write_row(self._connection, row, deletes_s=after.deletes_s)
        for version_id in (before.versions if before else {}).keys() - after.versions.keys():
            local_tables.remove_sealed_value(self._connection, after.arn, version_id)
        for version_id, version in after.versions.items():
            if version.value:  # neither announced nor in the file
                local_tables.put_sealed_value(self._connection, after.arn, version_id, version.value)

    def remove(self, state: LocalState) -> None:
        """Remove a secret with all that it has."""
        local_tables.delete_secret(self._connection, state.name.encode())

    def purge(self) -> bool:
        """Remove the secrets whose recovery window is over; return whether there were any.

        Only what a record says counts: the column by which they are found is not authenticated. A record that was
        edited stays where it is, and does not hinder the others; whoever uses it is told. Nothing is removed while the
        clock is more than 30 days ahead of the last change of any secret: a wrong one would destroy what can still be
        restored. The change that follows is dated, so the next one purges.
        """
        due = [
            state
            for state in self._authentic_ones(local_tables.expired_rows(self._connection, self._now_s))
            if is_gone(state, self._now_s)
        ]
        if not due or self._now_s - self._newest_s() > MAX_LEAP_S:
            return False
        for state in due:
            self.remove(state)
        return True

    def _newest_s(self) -> float:
        """When anything was changed last."""
        states = self._authentic_ones(local_tables.all_rows(self._connection))
        return max(max(state.changed_s, state.deleted_s or state.changed_s) for state in states)

    def _authentic_ones(self, rows: Iterable[SecretRow]) -> Iterator[LocalState]:
        for row in rows:
            with contextlib.suppress(StoreFailed):
                yield self._authentic(row)

    def _authentic(self, row: SecretRow) -> LocalState:
        if not isinstance(row.record, bytes) or not isinstance(row.mac, bytes):
            raise damaged(self._path, "a record is no record")
        if not self._macs.fits(row.record, row.mac):
            raise damaged(self._path, "the MAC of a record does not fit")
        state = _parsed(row.record)
        if (row.name, row.arn) != (state.name.encode(), state.arn.encode()):
            raise damaged(self._path, f"the record of {state.name!r} is in the place of another one")
        return state


def _serialized(state: LocalState) -> bytes:
    versions = [
        {
            "id": version_id,
            "created_s": version.created_s,
            "stages": sorted(state.labels.stages_of(version_id)),
            "has_value": version.value is not None,
        }
        for version_id, version in state.versions.items()
    ]
    record = {
        "name": state.name,
        "arn": state.arn,
        "description": state.description,
        "tags": dict(state.tags),
        "created_s": state.created_s,
        "changed_s": state.changed_s,
        "deleted_s": state.deleted_s,
        "deletes_s": state.deletes_s,
        "versions": versions,
    }
    return json.dumps(record, separators=(",", ":")).encode()


def _parsed(record: bytes) -> LocalState:
    """The secret of an authentic record: what `_serialized` has written."""
    fields: dict[str, Any] = json.loads(record)
    versions: list[dict[str, Any]] = fields.pop("versions")
    tags = MappingProxyType(fields.pop("tags"))
    return SecretState(
        **fields,
        tags=tags,
        versions=MappingProxyType(
            {
                version["id"]: StoredVersion(IN_FILE if version["has_value"] else None, version["created_s"])
                for version in versions
            }
        ),
        labels=StagingLabels.of({version["id"]: version["stages"] for version in versions}),
    )
