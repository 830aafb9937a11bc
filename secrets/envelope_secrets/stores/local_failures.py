"""What SQLite and the operating system say of the file of a local store, in our words.

The texts of sqlite3 name tables and columns, never what is in them, so they are chained.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from envelope_secrets.errors import StoreFailed

__all__ = ["damaged", "failure_of", "failures_translated", "os_failures_translated"]

PRIMARY_CODE = 0xFF
"""The rest of an extended result code says in more detail where it happened."""

# Result codes of SQLite: https://www.sqlite.org/rescode.html. By number, because sqlite3 is imported late.
_BUSY, _LOCKED, _PROTOCOL = 5, 6, 15
_RETRIED = (_BUSY, _LOCKED, _PROTOCOL)

_BUSY_TEXT = ("is busy", "other processes write all the time, or one has stopped half-way: try again, or find it")
_DENIED_TEXT = ("cannot be written", "the file and its directory must be writable for this process, on a writable disk")
_DAMAGED_TEXT = ("is damaged", "restore it from a backup, with its -wal file if the backup has one")

_TEXTS = {
    1: ("has not the tables of a store", "restore it from a backup, or choose another path"),
    3: _DENIED_TEXT,
    _BUSY: _BUSY_TEXT,
    _LOCKED: _BUSY_TEXT,
    8: _DENIED_TEXT,
    10: ("could not be read or written", "look at the disk: the operating system reports an error, or a limit"),
    11: _DAMAGED_TEXT,
    13: ("cannot grow: the disk is full", "free some space; what was stored before is as it was"),
    14: ("cannot be opened", "the file and its directory must exist, and be readable and writable for this process"),
    _PROTOCOL: _BUSY_TEXT,
    18: ("has a record that is larger than any that a store writes", "restore it from a backup"),
    23: _DENIED_TEXT,
    26: ("is not a database", "choose another path, or restore the store from a backup"),
}
_OTHER = ("cannot be used", "the cause of this error is what SQLite says")


def failure_of(error: Exception, path: Path) -> StoreFailed:
    """Our error for one of sqlite3's."""
    code = getattr(error, "sqlite_errorcode", 0) & PRIMARY_CODE
    what, hint = _TEXTS.get(code, _OTHER)
    failed = StoreFailed(f"the secret store {str(path)!r} {what}", hint=hint)
    failed.can_retry = code in _RETRIED
    return failed


@contextlib.contextmanager
def failures_translated(path: Path) -> Iterator[None]:
    """Turn what sqlite3 raises in the block into `StoreFailed`."""
    import sqlite3  # 5 ms that a program without a local store never needs

    try:
        yield
    except sqlite3.Error as error:
        raise failure_of(error, path) from error


@contextlib.contextmanager
def os_failures_translated(action: str, path: Path) -> Iterator[None]:
    """Turn an `OSError` of the block into `StoreFailed`."""
    try:
        yield
    except OSError as error:
        raise StoreFailed(
            f"cannot {action} the secret store {str(path)!r}: {error.strerror or error}",
            hint="the operating system's own error is the cause of this one",
        ) from error


def damaged(path: Path, what: str) -> StoreFailed:
    """The error for contents that no store has written under its key."""
    return StoreFailed(
        f"the secret store {str(path)!r} is damaged or was edited: {what}",
        hint="nothing of it was used; restore the file from a backup, and find out who can write it",
    )
