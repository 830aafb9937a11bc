"""The tables of a local store, and every statement that reads or writes them.

A secret is one row: its record, which is JSON, and the MAC of the record. Each sealed value is a row of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite3 import Connection

__all__ = [
    "APPLICATION_ID",
    "SCHEMA_VERSION",
    "SecretRow",
    "StoreRow",
    "all_rows",
    "create_tables",
    "delete_secret",
    "expired_rows",
    "has_only_own_objects",
    "put_sealed_value",
    "remove_sealed_value",
    "row_by_arn",
    "row_by_name",
    "rows_from",
    "sealed_value",
    "store_row",
    "write_row",
]

APPLICATION_ID = 0x656E7653
"""``envS``: by it file(1) and this package know the file."""

SCHEMA_VERSION = 1

_TABLES = (
    """
    CREATE TABLE store (
        only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
        store_id BLOB NOT NULL CHECK (typeof(store_id) = 'blob'),
        sealed_key BLOB NOT NULL CHECK (typeof(sealed_key) = 'blob')
    )
    """,
    """
    CREATE TABLE secrets (
        name BLOB PRIMARY KEY CHECK (typeof(name) = 'blob'),
        arn BLOB NOT NULL UNIQUE CHECK (typeof(arn) = 'blob'),
        deletes_s REAL,
        record BLOB NOT NULL CHECK (typeof(record) = 'blob'),
        mac BLOB NOT NULL CHECK (typeof(mac) = 'blob')
    ) WITHOUT ROWID
    """,
    "CREATE INDEX secrets_by_deletion ON secrets (deletes_s) WHERE deletes_s IS NOT NULL",
    """
    CREATE TABLE sealed_values (
        arn BLOB NOT NULL REFERENCES secrets (arn) ON DELETE CASCADE,
        version_id BLOB NOT NULL CHECK (typeof(version_id) = 'blob'),
        sealed BLOB NOT NULL CHECK (typeof(sealed) = 'blob'),
        PRIMARY KEY (arn, version_id)
    )
    """,
)
_OBJECTS = [
    *sorted(statement.strip() for statement in _TABLES),
    None,  # two indexes that SQLite adds by itself
    None,
]
_ROW = "SELECT name, arn, record, mac FROM secrets"


@dataclass(frozen=True, slots=True)
class StoreRow:
    """What a store is: its 12 digits, and the key of its MACs, sealed."""

    store_id: object
    sealed_key: object


@dataclass(frozen=True, slots=True)
class SecretRow:
    """A secret as it is in the file; anybody may have written it, so nothing is known of the types."""

    name: object
    arn: object
    record: object
    mac: object


def create_tables(connection: Connection, row: StoreRow) -> None:
    """Make an empty database a store, inside of the transaction that is open."""
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    for statement in _TABLES:
        connection.execute(statement)
    connection.execute("INSERT INTO store VALUES (1, ?, ?)", (row.store_id, row.sealed_key))


def has_only_own_objects(connection: Connection) -> bool:
    """Whether the database has the tables and indexes of a store, as a store makes them, and nothing else."""
    found = connection.execute("SELECT sql FROM sqlite_schema ORDER BY sql IS NULL, sql")
    return [statement and statement.strip() for (statement,) in found] == _OBJECTS


def store_row(connection: Connection) -> StoreRow | None:
    """The one row about the store itself; None if somebody has removed it."""
    found = connection.execute("SELECT store_id, sealed_key FROM store WHERE only_row = 1").fetchone()
    return None if found is None else StoreRow(*found)


def row_by_name(connection: Connection, name: str) -> SecretRow | None:
    """The secret of that name."""
    found = connection.execute(f"{_ROW} WHERE name = ?", (name.encode(),)).fetchone()
    return None if found is None else SecretRow(*found)


def row_by_arn(connection: Connection, arn: str) -> SecretRow | None:
    """The secret with that full ARN."""
    found = connection.execute(f"{_ROW} WHERE arn = ?", (arn.encode(),)).fetchone()
    return None if found is None else SecretRow(*found)


def rows_from(connection: Connection, prefix: str, after: str | None, most: int) -> list[SecretRow]:
    """Secrets whose names begin with `prefix` and come after `after`, by name, `most` at most.

    Args:
        after: None for the beginning.
    """
    begin, last = prefix.encode(), None if after is None else after.encode()
    found = connection.execute(
        f"{_ROW} WHERE name >= ? AND substr(name, 1, ?) = ? AND (? IS NULL OR name > ?) ORDER BY name LIMIT ?",
        (begin, len(begin), begin, last, last, most),
    )
    return [SecretRow(*row) for row in found]


def expired_rows(connection: Connection, now_s: float) -> Iterator[SecretRow]:
    """The secrets whose recovery window has passed, as far as the column says so."""
    found = connection.execute(f"{_ROW} WHERE deletes_s <= ?", (now_s,)).fetchall()
    return (SecretRow(*row) for row in found)


def all_rows(connection: Connection) -> Iterator[SecretRow]:
    """Every secret, read as it is asked for."""
    return (SecretRow(*row) for row in connection.execute(_ROW))


def write_row(connection: Connection, row: SecretRow, *, deletes_s: float | None) -> None:
    """Write a secret: anew, or over the row that has its name."""
    connection.execute(
        "INSERT INTO secrets (name, arn, deletes_s, record, mac) VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) "
        "DO UPDATE SET deletes_s = excluded.deletes_s, record = excluded.record, mac = excluded.mac",
        (row.name, row.arn, deletes_s, row.record, row.mac),
    )


def delete_secret(connection: Connection, name: object) -> None:
    """Remove a secret and its values."""
    connection.execute("DELETE FROM secrets WHERE name = ?", (name,))


def sealed_value(connection: Connection, arn: str, version_id: str) -> object:
    """The sealed value of a version; None if there is none."""
    found = connection.execute(
        "SELECT sealed FROM sealed_values WHERE arn = ? AND version_id = ?", (arn.encode(), version_id.encode())
    ).fetchone()
    return None if found is None else found[0]


def put_sealed_value(connection: Connection, arn: str, version_id: str, sealed: bytes) -> None:
    """Write the value of a version that has none."""
    connection.execute("INSERT INTO sealed_values VALUES (?, ?, ?)", (arn.encode(), version_id.encode(), sealed))


def remove_sealed_value(connection: Connection, arn: str, version_id: str) -> None:
    """Remove the value of a version."""
    connection.execute(
        "DELETE FROM sealed_values WHERE arn = ? AND version_id = ?", (arn.encode(), version_id.encode())
    )
