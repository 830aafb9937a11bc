"""What an attack on the local store has found: two names, interrupts, triggers, wrong clocks, what is left behind."""

from __future__ import annotations

import contextlib
import math
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from envelope.errors import InvalidArgument
from envelope.testing import FakeClock
from envelope_secrets.errors import SecretNotFound, StoreFailed
from envelope_secrets.stages import StageMove
from envelope_secrets.stores import local_connection
from envelope_secrets.stores.local import LocalSecretStore
from envelope_secrets.stores.local_connection import LockedConnection
from envelope_secrets.stores.local_file import StoreFile, make_store_file
from envelope_secrets.stores.local_tables import StoreRow
from tests.local_secrets_for_tests import DAY_S, NAME, edited, local_store, secret, token, version

ROW = StoreRow(b"123456789012", b"sealed")
LEFTOVER = ".envelope-0123456789abcdef.partial"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "secrets.db"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(path: Path, clock: FakeClock) -> Iterator[LocalSecretStore]:
    with local_store(path, clock=clock) as store:
        yield store


def pragma(path: Path, setting: str) -> object:
    with contextlib.closing(StoreFile(path, busy_timeout_s=5)) as file:
        (value,) = file.writing(lambda connection: connection.execute(f"PRAGMA {setting}").fetchone())
        return value


def test_a_store_with_two_names_is_refused_whether_open_or_not(path: Path, store: LocalSecretStore) -> None:
    """Each name would have a log of its own, and what is written under one be lost under the other."""
    store.create(secret())
    os.link(path, path.with_name("other.db"))
    for use in (lambda: store.read(NAME), lambda: local_store(path), lambda: local_store(path.with_name("other.db"))):
        with pytest.raises(StoreFailed, match="has more than one name"):
            use()
    path.with_name("other.db").unlink()
    assert store.read(NAME).text == "first"


def test_the_first_name_that_a_killed_creator_has_left_is_taken_away(path: Path, store: LocalSecretStore) -> None:
    store.create(secret())
    path.with_name(".envelope-ffffffffffffffff.partial").touch()  # of somebody who makes another store just now
    os.link(path, path.with_name(LEFTOVER))
    assert store.read(NAME).text == "first"
    assert path.stat().st_nlink == 1
    assert path.with_name(".envelope-ffffffffffffffff.partial").exists()


def test_a_symbolic_link_in_the_place_of_an_open_store_is_refused(path: Path, store: LocalSecretStore) -> None:
    """To the very same file: under another name it has another log."""
    path.rename(path.with_name("aside.db"))
    path.symlink_to(path.with_name("aside.db"))
    with pytest.raises(StoreFailed, match="is not a regular file"):
        store.list().__next__()


class Stop(KeyboardInterrupt):
    """Ctrl-C."""


@pytest.mark.parametrize("where", ["__exit__", "execute", "work"])
def test_an_interrupt_leaves_no_lock_and_no_transaction_while_somebody_keeps_it(path: Path, where: str) -> None:
    connections: list[sqlite3.Connection] = []

    def connect() -> sqlite3.Connection:
        connections.append(sqlite3.connect(path, isolation_level=None, check_same_thread=False))
        return connections[-1]

    connection = LockedConnection(path, connect, begin="BEGIN IMMEDIATE", busy_timeout_s=5)
    connection.transaction(lambda found: found.execute("CREATE TABLE t (x)"))

    def stop(*_: object) -> None:
        raise Stop

    with pytest.MonkeyPatch.context() as patch:
        if where == "__exit__":  # a second one, while the first is taken back
            patch.setattr(LockedConnection, "_take_back", stop)
        with pytest.raises(Stop) as kept:
            connection.transaction(stop if where != "execute" else lambda found: stop(found.execute("SELECT 1")))
    assert kept.value.__traceback__ is not None
    assert connection._lock.acquire(blocking=False)
    connection._lock.release()
    assert connection.transaction(lambda found: found.in_transaction)
    assert not connections[-1].in_transaction
    connection.close()


def test_an_interrupted_transaction_that_cannot_be_taken_back_costs_the_connection(path: Path) -> None:
    class Stuck(sqlite3.Connection):
        def rollback(self) -> None:
            raise sqlite3.OperationalError("disk I/O error")

    made = [
        sqlite3.connect(path, isolation_level=None, factory=Stuck),
        sqlite3.connect(path, isolation_level=None),
    ]
    made[0].execute("BEGIN IMMEDIATE")
    opened = iter(made)
    connection = LockedConnection(path, lambda: next(opened), begin="BEGIN IMMEDIATE", busy_timeout_s=5)
    assert connection.transaction(lambda found: found) is made[1]
    connection.close()


def test_the_wait_for_other_threads_counts_as_the_wait_for_other_processes_does(path: Path) -> None:
    clock = FakeClock()

    def late() -> sqlite3.Connection:
        clock.advance(3)  # as long as another thread had the lock
        return sqlite3.connect(path, isolation_level=None)

    connection = LockedConnection(path, late, begin="BEGIN", busy_timeout_s=5, clock=clock)

    def left_ms() -> object:
        return connection.transaction(lambda found: found.execute("PRAGMA busy_timeout").fetchone()[0])

    assert left_ms() == 2000
    assert left_ms() == 5000
    connection.close()
    connection._busy_timeout_s = 1
    assert left_ms() == 0
    connection._busy_timeout_s = 1e9
    assert left_ms() == local_connection.MAX_BUSY_TIMEOUT_MS
    connection.close()


SCHEMAS = {
    "trigger": "CREATE TRIGGER t AFTER UPDATE ON secrets BEGIN UPDATE secrets SET record = old.record; END",
    "view": "CREATE VIEW v AS SELECT * FROM secrets",
    "column": "ALTER TABLE secrets ADD COLUMN more BLOB",
    "index": "CREATE UNIQUE INDEX i ON secrets (mac)",
    "no index": "DROP INDEX secrets_by_deletion",
}


@pytest.mark.parametrize("statement", SCHEMAS.values(), ids=SCHEMAS)
def test_a_schema_that_was_edited_is_noticed_by_an_open_store_too(
    path: Path, store: LocalSecretStore, statement: str
) -> None:
    store.create(secret())
    with edited(path) as connection:
        connection.execute(statement)
    for use in (lambda: store.delete(NAME), lambda: store.read(NAME), lambda: local_store(path)):
        with pytest.raises(StoreFailed, match="is damaged or was edited: it has other tables"):
            use()


def test_the_settings_that_nothing_else_shows(path: Path) -> None:
    make_store_file(path, lambda: ROW)
    assert pragma(path, "synchronous") == 2, "FULL: a power cut takes nothing back that was acknowledged"
    assert pragma(path, "trusted_schema") == 0
    assert pragma(path, "secure_delete") == 1
    assert pragma(path, "cell_size_check") == 1


def test_the_directory_is_flushed_when_a_store_has_got_its_name(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[str] = []
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: flushed.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
    )
    make_store_file(path, lambda: ROW)
    assert flushed == [str(path.parent.resolve())]


def test_a_damaged_value_has_the_refused_message_as_its_cause(path: Path, store: LocalSecretStore) -> None:
    store.create(secret())
    with edited(path) as connection:
        connection.execute("UPDATE sealed_values SET sealed = zeroblob(200)")
    with pytest.raises(StoreFailed, match="does not open") as caught:
        store.read(NAME)
    assert type(caught.value.__cause__).__name__ == "MalformedMessage", caught.value.__cause__


def test_rights_that_are_given_away_later_are_noticed(path: Path, store: LocalSecretStore) -> None:
    store.create(secret())
    path.chmod(0o666)
    with pytest.raises(StoreFailed, match=r"open to others \(mode 0666\)"):
        store.read(NAME)
    path.chmod(0o600)
    store.close()
    wal = Path(f"{path}-wal")
    wal.touch()
    wal.chmod(0o666)
    with pytest.raises(StoreFailed, match=r"secrets.db-wal' is open to others"):
        store.read(NAME)
    wal.unlink()
    wal.symlink_to(path.with_name("elsewhere"))
    with pytest.raises(StoreFailed, match=r"secrets.db-wal' is not a regular file"):
        store.read(NAME)


def test_a_clock_that_is_wrong_once_destroys_nothing(path: Path, store: LocalSecretStore, clock: FakeClock) -> None:
    store.create(secret())
    store.delete(NAME)
    with local_store(path, clock=FakeClock(clock() + 40 * DAY_S)) as wrong:
        with pytest.raises(SecretNotFound):
            wrong.read(NAME)
        with pytest.raises(SecretNotFound):
            wrong.restore(NAME)
    store.restore(NAME)
    assert store.read(NAME).text == "first"


def test_after_a_long_rest_the_second_change_purges(path: Path, store: LocalSecretStore, clock: FakeClock) -> None:
    store.create(secret())
    store.create(secret(name="stays"))
    store.delete(NAME)
    clock.advance(31 * DAY_S)
    with edited(path) as connection:
        store.tag("stays", {"a": "b"})
        assert connection.execute("SELECT count(*) FROM secrets").fetchone() == (2,)
        store.tag("stays", {"a": "c"})
        assert connection.execute("SELECT count(*) FROM secrets").fetchone() == (1,)


def test_what_is_over_gives_way_to_a_new_secret_and_to_a_deletion(store: LocalSecretStore, clock: FakeClock) -> None:
    arn = store.create(secret()).arn
    store.delete(NAME)
    clock.advance(31 * DAY_S)
    assert store.create(secret("new", 2)).arn != arn
    assert [one.version_id for one in store.versions(NAME)] == [token(2)]


def test_what_is_over_can_be_removed_for_good(path: Path, store: LocalSecretStore, clock: FakeClock) -> None:
    store.create(secret())
    store.delete(NAME)
    clock.advance(31 * DAY_S)
    store.delete(NAME, recovery_window_days=None)
    with edited(path) as connection:
        assert connection.execute("SELECT count(*) FROM secrets").fetchone() == (0,)


@pytest.mark.parametrize("now", [math.nan, math.inf, -1.0, 1e30, 253_370_764_800, None, "now", True], ids=repr)
def test_a_clock_that_shows_no_date_is_refused(path: Path, now: object) -> None:
    with pytest.raises(InvalidArgument, match="clock must return seconds since 1970"):
        local_store(path, clock=lambda: now)


REFUSED: dict[str, Callable[[LocalSecretStore], object]] = {
    "neither stage nor version": lambda store: store.read(NAME, stage=None),
    "an update of nothing": lambda store: store.update(NAME),
    "a move of nothing": lambda store: store.move_stage(NAME, StageMove("X", None, None)),
    "a label that cannot be printed": lambda store: store.put(NAME, version("x", 2, "\x00")),
    "half of a surrogate pair": lambda store: store.read(NAME, stage="\ud800"),
    "a move of such a label": lambda store: store.move_stage(NAME, StageMove("\ud800", token(1), None)),
}


@pytest.mark.parametrize("call", REFUSED.values(), ids=REFUSED)
def test_what_the_service_does_not_take_is_not_taken_here(
    store: LocalSecretStore, call: Callable[[LocalSecretStore], object]
) -> None:
    store.create(secret())
    with pytest.raises(InvalidArgument):
        call(store)


def test_what_killed_creators_have_left_is_removed_and_nothing_else(path: Path) -> None:
    """It holds the sealed key of a store that never was."""
    old, new = path.with_name(LEFTOVER), path.with_name(".envelope-ffffffffffffffff.partial")
    log, other = path.with_name(f"{LEFTOVER}-wal"), path.with_name(".envelope-notes.partial")
    for leftover in (old, log, other):
        leftover.touch()
        os.utime(leftover, (1_000, 1_000))
    new.touch()
    os.utime(new, (1_500, 1_500))
    make_store_file(path, lambda: ROW, clock=lambda: 1_700.0)
    assert {one.name for one in path.parent.iterdir()} == {path.name, new.name, other.name}
