"""The file of a local store: made as a whole or not at all, opened only if nobody else could have written it."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from envelope_secrets.errors import StoreFailed
from envelope_secrets.stores.local_connection import LockedConnection
from envelope_secrets.stores.local_failures import damaged, failures_translated, os_failures_translated
from envelope_secrets.stores.local_tables import (
    APPLICATION_ID,
    SCHEMA_VERSION,
    StoreRow,
    create_tables,
    has_only_own_objects,
    store_row,
)

if TYPE_CHECKING:
    from sqlite3 import Connection

__all__ = ["StoreFile", "make_store_file"]

Result = TypeVar("Result")

MAX_RECORD_BYTES = 4 * 1024 * 1024
"""Of anything in the file. A record has at most 100 versions younger than a day or with a label, 20 labels of 256
characters, 50 tags and a description: half a megabyte at the very most."""

MAX_WAL_BYTES = 4 * 1024 * 1024
"""From here on the -wal file is copied into the file itself and emptied; as much again if a reader hinders that."""

ABANDONED_AFTER_S = 600.0
"""A file is made in milliseconds: nothing is waited for in between."""

_LEFTOVER = re.compile(r"\.envelope-[0-9a-f]{16}\.partial(-wal|-shm)?")

WAL_MODE = "PRAGMA journal_mode = WAL"
_SETTINGS = (
    "PRAGMA synchronous = FULL",  # a commit is on the disk when it returns
    "PRAGMA foreign_keys = ON",  # the values go with their secret
    "PRAGMA secure_delete = ON",  # what was removed is overwritten
    "PRAGMA trusted_schema = OFF",  # whoever edits the file has no functions called
    "PRAGMA cell_size_check = ON",  # damage is noticed early
    # SQLite before 3.51.3 can damage a file when it checkpoints by itself while others write, by a rare race:
    # https://www.sqlite.org/wal.html#walresetbug. A checkpoint that is asked for with TRUNCATE keeps writers out.
    "PRAGMA wal_autocheckpoint = 0",
)


def make_store_file(path: Path, row: Callable[[], StoreRow], *, clock: Callable[[], float] = time.time) -> bool:
    """Make an empty store at `path`, mode 0600, unless there is something; return whether it was made.

    It is written under another name, flushed to the disk, and then given its own: nobody ever sees half of it. Such
    files that are older than ten minutes, by `clock`, in seconds since 1970, were left by killed processes; they go.

    Raises:
        StoreFailed: the directory does not take it.
    """
    _remove_abandoned(path.parent, clock())
    if os.path.lexists(path):
        return False
    contents = row()  # may take a call of KMS
    temporary = path.with_name(f".envelope-{os.urandom(8).hex()}.partial")
    with os_failures_translated("make", path):
        try:
            _make_private(temporary)
            with failures_translated(path):
                _fill(temporary, contents)
            return _named(temporary, path)
        finally:
            for suffix in ("", "-wal", "-shm"):
                Path(f"{temporary}{suffix}").unlink(missing_ok=True)


def _remove_abandoned(directory: Path, now_s: float) -> None:
    """At worst, a clock that is wrong removes the file of somebody who makes a store just now, who is told so."""
    with contextlib.suppress(OSError):  # who cannot remove them can use the store
        for leftover in directory.glob(".envelope-*.partial*"):
            status = leftover.lstat()
            if _LEFTOVER.fullmatch(leftover.name) and now_s - status.st_mtime > ABANDONED_AFTER_S:
                leftover.unlink()


def _make_private(temporary: Path) -> None:
    """An empty file that nobody else could ever open. SQLite gives the -wal and -shm files the same rights."""
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW, 0o600)
    try:
        os.fchmod(descriptor, 0o600)  # whatever the umask has taken away
    finally:
        os.close(descriptor)


def _fill(temporary: Path, row: StoreRow) -> None:
    with contextlib.closing(_connected(temporary, busy_timeout_s=0)) as connection:
        connection.execute(WAL_MODE)
        connection.execute("BEGIN IMMEDIATE")
        create_tables(connection, row)
        connection.execute("COMMIT")
        _empty_wal(connection)  # into the file itself, flushed


def _empty_wal(connection: Connection) -> None:
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def _named(temporary: Path, path: Path) -> bool:
    """Give the file its name; False if somebody was quicker."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return True


class StoreFile:
    """The open file: one connection that reads, and one that writes, so that no reader waits for the disk.

    Args:
        path: of a file that exists.
        busy_timeout_s: how long a transaction waits for other processes.

    Raises:
        StoreFailed: it is no store, a newer one, somebody else's, open to others, or damaged.
    """

    __slots__ = ("_marks", "_most_wal_bytes", "_reader", "_writer", "path", "row")

    def __init__(self, path: Path, *, busy_timeout_s: float) -> None:
        self.path = path
        self._marks = _checked_marks(path)
        self._most_wal_bytes = MAX_WAL_BYTES
        # No method of this object: in a circle of references nothing would be closed when nobody needs it any more.
        connect = partial(_opened, path, self._marks, busy_timeout_s)
        self._reader = LockedConnection(path, connect, begin="BEGIN", busy_timeout_s=busy_timeout_s)
        self._writer = LockedConnection(path, connect, begin="BEGIN IMMEDIATE", busy_timeout_s=busy_timeout_s)
        self.row = self.reading(self._found_row)

    def reading(self, work: Callable[[Connection], Result]) -> Result:
        """What `work` returns, in a transaction that sees one state of the store, whoever writes meanwhile."""
        _check_place(self.path, self._marks)
        return self._reader.transaction(partial(_with_own_tables, self.path, work))

    def writing(self, work: Callable[[Connection], Result]) -> Result:
        """What `work` returns, in the only transaction that writes. Then what it has written is on the disk.

        Raises:
            StoreFailed: other processes write for longer than the time-out; and all other reasons.
        """
        _check_place(self.path, self._marks)
        result = self._writer.transaction(partial(_with_own_tables, self.path, work))
        if self._wal_bytes() >= self._most_wal_bytes:
            self.forget()
            self._most_wal_bytes = self._wal_bytes() + MAX_WAL_BYTES
        return result

    def forget(self) -> None:
        """Empty the -wal file, in which removed values are still to be found, unless a reader needs it for too long."""
        with contextlib.suppress(StoreFailed):  # what was removed is removed
            self._writer.use(_empty_wal)

    def close(self) -> None:
        """Close both connections; they open again when they are needed."""
        self._reader.close()
        self._writer.close()

    def _wal_bytes(self) -> int:
        with contextlib.suppress(FileNotFoundError):  # another thread has closed the store, for a fork perhaps
            return Path(f"{self.path}-wal").stat().st_size
        return 0

    def _found_row(self, connection: Connection) -> StoreRow:
        row = store_row(connection)
        if row is None:
            raise damaged(self.path, "the row about the store itself is gone")
        return row


def _with_own_tables(path: Path, work: Callable[[Connection], Result], connection: Connection) -> Result:
    """What `work` returns. Looked at in every transaction: somebody may add a trigger while the store is open."""
    if not has_only_own_objects(connection):  # a trigger could take back what a call acknowledges
        raise damaged(path, "it has other tables, indexes, triggers or views than a store has")
    return work(connection)


def _opened(path: Path, marks: tuple[int, int], busy_timeout_s: float) -> Connection:
    _check_companions(path)  # somebody may have put them there while the store was closed
    connection = _connected(path, busy_timeout_s=busy_timeout_s)
    try:
        _check_schema(connection, path)
        _check_place(path, marks)
    except BaseException:
        connection.close()
        raise
    return connection


def _check_place(path: Path, marks: tuple[int, int]) -> None:
    """Whether the file under the name is the one that was opened first."""
    with os_failures_translated("use", path):
        status = path.lstat()
    _check_private(path, status)
    if status.st_nlink > 1:
        _check_one_name(path)
    if (status.st_dev, status.st_ino) != marks:
        raise StoreFailed(
            f"another file has taken the place of the secret store {str(path)!r}",
            hint="if that was meant, as after a restored backup, make the store anew; replace it only while nobody has "
            "it open",
        )


def _checked_marks(path: Path) -> tuple[int, int]:
    """What the file is known by, after a look at it and at what is beside it."""
    with os_failures_translated("open", path):
        status = path.lstat()
    _check_private(path, status)
    _check_one_name(path)
    if status.st_size == 0:
        raise StoreFailed(
            f"the secret store {str(path)!r} is empty: it was cut, or never was a store",
            hint="restore it from a backup; to make a new store, remove the file",
        )
    _check_companions(path)
    return status.st_dev, status.st_ino


def _check_companions(path: Path) -> None:
    for suffix in ("-wal", "-shm"):
        companion = Path(f"{path}{suffix}")
        with os_failures_translated("open", path), contextlib.suppress(FileNotFoundError):
            _check_private(companion, companion.lstat())


def _check_one_name(path: Path) -> None:
    """Whether the file has one name only: under each name, SQLite would keep a log that the others do not see.

    Whoever makes a store links it to its name and then takes the first name away. Between the two it may have died; or
    it is just there, and then the name that is taken away here is gone a moment before it would be.
    """
    with os_failures_translated("open", path):
        status = path.stat()
        if status.st_nlink == 1:
            return
        for leftover in path.parent.glob(".envelope-*.partial"):
            with contextlib.suppress(FileNotFoundError):
                if leftover.lstat().st_ino == status.st_ino:
                    leftover.unlink()
        if path.stat().st_nlink == 1:
            return
    raise StoreFailed(
        f"the secret store {str(path)!r} has more than one name",
        hint="remove its other hard links: what is written under one name is lost under the other",
    )


def _check_private(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise StoreFailed(f"{str(path)!r} is not a regular file", hint="choose another path")
    if status.st_uid != os.geteuid():
        raise StoreFailed(
            f"{str(path)!r} belongs to somebody else (user {status.st_uid})",
            hint="run as its owner, or chown the file; -wal and -shm files of somebody else were put there",
        )
    if status.st_mode & 0o077:
        raise StoreFailed(
            f"{str(path)!r} is open to others (mode {stat.S_IMODE(status.st_mode):04o})",
            hint="chmod 600 the file; values are sealed, but names and labels could be read, or an old state put back",
        )


def _connected(path: Path, *, busy_timeout_s: float) -> Connection:
    import sqlite3

    connection = sqlite3.connect(
        f"{path.as_uri()}?mode=rw",
        uri=True,
        timeout=busy_timeout_s,
        isolation_level=None,  # transactions begin where the code says so
        check_same_thread=False,  # a lock takes care of that
    )
    try:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_RECORD_BYTES)
        for setting in _SETTINGS:
            connection.execute(setting)
    except BaseException:
        connection.close()
        raise
    return connection


def _check_schema(connection: Connection, path: Path) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise StoreFailed(
            f"{str(path)!r} is the database of another program", hint="choose another path; nothing was changed"
        )
    if version > SCHEMA_VERSION:
        raise StoreFailed(
            f"the secret store {str(path)!r} was written by a newer version of this package "
            f"(schema {version}; this one knows {SCHEMA_VERSION})",
            hint="upgrade the package; nothing was changed",
        )
    if version < SCHEMA_VERSION:
        raise damaged(path, f"there is no schema {version}")
    (mode,) = connection.execute(WAL_MODE).fetchone()
    if mode != "wal":
        raise StoreFailed(f"the secret store {str(path)!r} cannot be in WAL mode", hint="it needs a local file system")
