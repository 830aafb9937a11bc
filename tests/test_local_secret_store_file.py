"""The file of a local secret store: how it is made, whom it is refused to, and what SQLite says in our words."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from envelope_secrets.errors import StoreFailed
from envelope_secrets.stores import local_connection, local_file, local_forks
from envelope_secrets.stores.local_failures import failure_of
from envelope_secrets.stores.local_file import MAX_WAL_BYTES, StoreFile, make_store_file
from envelope_secrets.stores.local_tables import (
    SCHEMA_VERSION,
    SecretRow,
    StoreRow,
    row_by_name,
    rows_from,
    write_row,
)
from tests.local_secrets_for_tests import edited
from tests.python_child import run_python

ROW = StoreRow(b"123456789012", b"sealed")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "secrets.db"
    assert make_store_file(path, lambda: ROW)
    return path


@pytest.fixture
def file(path: Path) -> Iterator[StoreFile]:
    with contextlib.closing(opened(path)) as file:
        yield file


def opened(path: Path) -> StoreFile:
    return StoreFile(path, busy_timeout_s=5)


def write(file: StoreFile, name: str, record: bytes = b"{}", then: Callable[[], object] = int) -> None:
    """Write a secret; call `then` before the transaction ends."""

    def work(connection: sqlite3.Connection) -> None:
        write_row(connection, SecretRow(name.encode(), f"arn of {name}".encode(), record, b"mac"), deletes_s=None)
        then()

    file.writing(work)


def names(file: StoreFile) -> list[object]:
    return [row.name for row in file.reading(lambda connection: rows_from(connection, "", None, 1_000))]


def modes(directory: Path) -> dict[str, str]:
    return {path.name: f"{stat.S_IMODE(path.stat().st_mode):04o}" for path in directory.iterdir()}


@pytest.mark.parametrize("umask", [0, 0o777], ids=["umask 0", "umask 777"])
def test_all_three_files_are_for_their_owner_alone_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "secrets.db"
    before = os.umask(umask)
    try:
        make_store_file(path, lambda: ROW)
        with contextlib.closing(opened(path)) as file:
            write(file, "one")
            assert modes(tmp_path) == {"secrets.db": "0600", "secrets.db-wal": "0600", "secrets.db-shm": "0600"}
    finally:
        os.umask(before)
    assert modes(tmp_path) == {"secrets.db": "0600"}


def test_a_store_has_its_name_only_when_it_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no process, and no power cut, finds half of it, and nobody else can open it before it is private."""
    link, seen = os.link, []

    def looks_first(temporary: Path, path: Path) -> None:
        assert not path.exists()
        with contextlib.closing(opened(temporary)) as file:
            seen.append((file.row, modes(tmp_path)[temporary.name]))
        link(temporary, path)

    monkeypatch.setattr(os, "link", looks_first)
    assert make_store_file(tmp_path / "secrets.db", lambda: ROW)
    assert seen == [(ROW, "0600")]
    assert modes(tmp_path) == {"secrets.db": "0600"}


def test_who_comes_second_takes_the_store_of_who_was_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secrets.db"

    def somebody_is_quicker() -> StoreRow:
        assert make_store_file(path, lambda: ROW)
        return StoreRow(b"other", b"other")

    assert not make_store_file(path, somebody_is_quicker)
    assert not make_store_file(path, somebody_is_quicker)
    with contextlib.closing(opened(path)) as file:
        assert file.row == ROW
    assert modes(tmp_path) == {"secrets.db": "0600"}


def test_a_store_that_could_not_be_made_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    with pytest.raises(StoreFailed, match=r"cannot make the secret store '.*secrets.db': No space left on device"):
        make_store_file(tmp_path / "secrets.db", lambda: ROW)
    assert list(tmp_path.iterdir()) == []


def test_a_store_needs_a_directory(tmp_path: Path) -> None:
    with pytest.raises(StoreFailed, match=r"cannot make the secret store '.*': No such file or directory"):
        make_store_file(tmp_path / "missing" / "secrets.db", lambda: ROW)


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o640, 0o604], ids=oct)
def test_a_file_that_is_open_to_others_is_refused(path: Path, mode: int) -> None:
    path.chmod(mode)
    with pytest.raises(StoreFailed, match=rf"is open to others \(mode {mode:04o}\)") as caught:
        opened(path)
    assert "chmod 600" in caught.value.hint


def test_a_file_of_somebody_else_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(StoreFailed, match=rf"belongs to somebody else \(user {path.stat().st_uid}\)"):
        opened(path)


@pytest.mark.parametrize("suffix", ["-wal", "-shm"])
def test_what_somebody_has_put_beside_the_file_is_refused(path: Path, tmp_path: Path, suffix: str) -> None:
    """In a directory where others can write: they would read along, or have what they wrote taken for the store."""
    companion = tmp_path / f"secrets.db{suffix}"
    companion.touch(mode=0o666)
    companion.chmod(0o666)
    with pytest.raises(StoreFailed, match=rf"secrets.db{suffix}' is open to others \(mode 0666\)"):
        opened(path)
    companion.unlink()
    companion.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreFailed, match=rf"secrets.db{suffix}' is not a regular file"):
        opened(path)
    assert not (tmp_path / "elsewhere").exists()


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreFailed, match="is not a regular file"):
        opened(tmp_path)


def test_an_empty_file_is_no_new_store(tmp_path: Path) -> None:
    """It may be what a crash of the file system has left of one."""
    path = tmp_path / "secrets.db"
    path.touch(mode=0o600)
    assert not make_store_file(path, lambda: ROW)
    with pytest.raises(StoreFailed, match="is empty: it was cut, or never was a store"):
        opened(path)


def test_what_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("my notes\n" * 1_000)
    path.chmod(0o600)
    with pytest.raises(StoreFailed, match=r"'.*notes.txt' is not a database") as caught:
        opened(path)
    assert not caught.value.can_retry
    assert path.read_text() == "my notes\n" * 1_000
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_the_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with edited(path) as connection:
        connection.execute("CREATE TABLE store (data)")
    path.chmod(0o600)
    before = path.read_bytes()
    with pytest.raises(StoreFailed, match=r"is the database of another program"):
        opened(path)
    assert path.read_bytes() == before


def test_a_store_of_a_newer_version_is_refused(path: Path) -> None:
    with edited(path) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(StoreFailed, match=r"written by a newer version of this package \(schema 2; this one knows 1\)"):
        opened(path)


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("PRAGMA user_version = 0", "is damaged or was edited: there is no schema 0"),
        ("DELETE FROM store", "is damaged or was edited: the row about the store itself is gone"),
        ("DROP TABLE store", "is damaged or was edited: it has other tables"),
    ],
)
def test_a_store_without_its_parts_is_refused(path: Path, statement: str, text: str) -> None:
    with edited(path) as connection:
        connection.execute(statement)
    with pytest.raises(StoreFailed, match=text):
        opened(path)


def test_a_file_system_without_shared_memory_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite says so by answering with another mode than the one that was asked for."""
    monkeypatch.setattr(local_file, "WAL_MODE", "PRAGMA journal_mode = MEMORY")
    with edited(path) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    with pytest.raises(StoreFailed, match="cannot be in WAL mode"):
        opened(path)


def test_damaged_pages_are_noticed(path: Path, file: StoreFile) -> None:
    for number in range(40):
        write(file, f"name {number}" * 100)
    file.close()
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(StoreFailed, match="is damaged"):
        names(opened(path))


def test_who_waits_too_long_for_other_processes_is_told_to_try_again(path: Path) -> None:
    with contextlib.closing(StoreFile(path, busy_timeout_s=0.01)) as file:
        with edited(path) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreFailed, match="is busy") as caught:
                write(file, "one")
        assert caught.value.can_retry
        write(file, "one")
        assert names(file) == [b"one"]


def test_nobody_who_reads_waits_for_who_writes(file: StoreFile) -> None:
    seen: list[list[object]] = []
    write(file, "one", then=lambda: seen.append(names(file)))
    assert seen == [[]]
    assert names(file) == [b"one"]


def pragma(file: StoreFile, setting: str) -> object:
    """What the connection that writes has been told."""
    (value,) = file.writing(lambda connection: connection.execute(f"PRAGMA {setting}").fetchone())
    return value


def wal_bytes(file: StoreFile) -> int:
    return Path(f"{file.path}-wal").stat().st_size


def test_the_wal_file_is_bounded(file: StoreFile) -> None:
    sizes = []
    for number in range(300):
        write(file, f"{number}", bytes(50_000))
        sizes.append(wal_bytes(file))
    assert max(sizes) < MAX_WAL_BYTES + 100_000
    assert sizes.count(0) >= 3
    assert len(names(file)) == 300


def test_a_reader_that_stays_hinders_no_writer_and_damages_nothing(path: Path) -> None:
    with contextlib.closing(StoreFile(path, busy_timeout_s=0.01)) as file:
        with edited(path) as reader:
            reader.execute("BEGIN")
            assert reader.execute("SELECT count(*) FROM secrets").fetchone() == (0,)
            for number in range(200):
                write(file, f"{number}", bytes(50_000))
            assert wal_bytes(file) > 2 * MAX_WAL_BYTES
            assert reader.execute("SELECT count(*) FROM secrets").fetchone() == (0,)
        for number in range(200, 400):
            write(file, f"{number}", bytes(50_000))
        assert wal_bytes(file) < 2 * MAX_WAL_BYTES
        assert len(names(file)) == 400


def test_sqlite_never_checkpoints_by_itself_while_others_write(file: StoreFile) -> None:
    assert pragma(file, "wal_autocheckpoint") == 0


def test_a_wal_file_that_another_thread_has_closed_away_has_no_size(file: StoreFile) -> None:
    def close_before_it_is_measured() -> None:
        Path(f"{file.path}-wal").rename(f"{file.path}-aside")

    write(file, "one", then=close_before_it_is_measured)
    Path(f"{file.path}-aside").rename(f"{file.path}-wal")
    assert names(file) == [b"one"]


def test_a_full_disk_changes_nothing_and_the_store_goes_on(file: StoreFile) -> None:
    write(file, "one")
    pragma(file, f"max_page_count = {pragma(file, 'page_count')}")
    with pytest.raises(StoreFailed, match="cannot grow: the disk is full") as caught:
        write(file, "two", bytes(100_000))
    assert "free some space" in caught.value.hint
    assert names(file) == [b"one"]
    write(file, "two")
    assert names(file) == [b"one", b"two"]


def test_a_disk_that_takes_no_more_bytes_changes_nothing(path: Path) -> None:
    """No file may grow above a limit: writing more fails in the operating system."""
    output = run_python(
        """
import resource
from envelope_secrets.errors import StoreFailed
from envelope_secrets.stores.local_file import StoreFile
from envelope_secrets.stores.local_tables import SecretRow, rows_from, write_row
file = StoreFile(Path(sys.argv[1]), busy_timeout_s=5)

def write(name, record):
    row = SecretRow(name, name, record, b"mac")
    file.writing(lambda connection: write_row(connection, row, deletes_s=None))

write(b"one", b"{}")
before = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
try:
    write(b"two", bytes(500_000))
except StoreFailed as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, before)
write(b"three", bytes(500_000))
print([row.name for row in file.reading(lambda connection: rows_from(connection, "", None, 10))])
file.close()
""",
        path,
    )
    assert output.decode().splitlines() == [
        f"the secret store {str(path)!r} could not be read or written",
        "[b'one', b'three']",
    ]


def test_a_record_larger_than_any_store_writes_is_not_read(file: StoreFile) -> None:
    write(file, "one")
    with edited(file.path) as connection:
        connection.execute("UPDATE secrets SET record = zeroblob(10000000)")
    with pytest.raises(StoreFailed, match="has a record that is larger than any that a store writes"):
        names(file)


def test_an_unknown_error_of_sqlite_is_a_failed_store_too(path: Path) -> None:
    assert str(failure_of(sqlite3.ProgrammingError("closed"), path)) == f"the secret store {str(path)!r} cannot be used"


def test_a_file_put_in_the_place_of_an_open_one_is_noticed(path: Path, file: StoreFile) -> None:
    path.rename(path.with_name("aside"))
    make_store_file(path, lambda: ROW)
    for use in (names, lambda file: write(file, "one")):
        with pytest.raises(StoreFailed, match="another file has taken the place of the secret store"):
            use(file)
    path.unlink()
    path.with_name("aside").rename(path)
    assert names(file) == []


def test_a_file_put_in_the_place_while_it_is_opened_is_noticed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connected = local_file._connected

    def slowly(opened_path: Path, *, busy_timeout_s: float) -> sqlite3.Connection:
        path.rename(path.with_name("aside"))
        make_store_file(path, lambda: ROW)
        return connected(opened_path, busy_timeout_s=busy_timeout_s)

    monkeypatch.setattr(local_file, "_connected", slowly)
    with pytest.raises(StoreFailed):
        opened(path)


def test_a_file_that_is_gone_is_noticed(path: Path, file: StoreFile) -> None:
    path.unlink()
    with pytest.raises(StoreFailed, match=r"cannot use the secret store '.*': No such file or directory"):
        names(file)
    with pytest.raises(StoreFailed, match=r"cannot open the secret store '.*': No such file or directory"):
        opened(path)


@pytest.fixture
def directory_of_nobody() -> Iterator[Path]:
    """Root may write everything, so a test process that is root is nobody for a moment, in a directory of nobody's."""
    directory = Path(tempfile.mkdtemp())
    user = os.geteuid()
    if user == 0:
        os.chown(directory, 65_534, -1)
        os.seteuid(65_534)
    yield directory
    os.seteuid(user)
    directory.chmod(0o700)
    shutil.rmtree(directory)


@pytest.mark.parametrize(
    ("file_mode", "directory_mode", "text"),
    [(0o400, 0o700, "cannot be written"), (0o600, 0o500, "cannot be written"), (0o000, 0o700, "cannot be opened")],
    ids=["a file to read only", "a directory to read only", "a file without rights"],
)
def test_what_may_not_be_written_is_named(
    directory_of_nobody: Path, file_mode: int, directory_mode: int, text: str
) -> None:
    path = directory_of_nobody / "secrets.db"
    make_store_file(path, lambda: ROW)
    path.chmod(file_mode)
    directory_of_nobody.chmod(directory_mode)
    with pytest.raises(StoreFailed, match=text) as caught, contextlib.closing(opened(path)) as file:
        write(file, "one")
    assert "writable for this process" in caught.value.hint
    assert not caught.value.can_retry


def test_a_block_that_raises_changes_nothing(file: StoreFile) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(file, "one", then=interrupt)
    assert names(file) == []
    write(file, "two")
    assert names(file) == [b"two"]


def test_a_closed_file_opens_again_when_it_is_used(file: StoreFile) -> None:
    file.close()
    file.close()
    write(file, "one")
    assert names(file) == [b"one"]


def test_a_file_that_nobody_closed_closes_itself(path: Path) -> None:
    file = opened(path)
    assert path.with_name("secrets.db-wal").exists()
    del file
    assert not path.with_name("secrets.db-wal").exists()


def test_a_signal_handler_of_the_thread_that_writes_is_refused_and_disturbs_nothing(file: StoreFile) -> None:
    caught: list[Exception] = []

    def handler(*_: object) -> None:
        try:
            write(file, "from the handler")
        except StoreFailed as error:
            caught.append(error)

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        write(file, "one", then=lambda: signal.raise_signal(signal.SIGUSR1))
    finally:
        signal.signal(signal.SIGUSR1, before)
    (error,) = caught
    assert "is in use by this very thread" in str(error)
    assert names(file) == [b"one"]


def in_child(work: Callable[[], object]) -> int:
    """Fork, call `work` in the child, and return its exit status; 0 if it did not raise."""
    child = os.fork()
    if child == 0:
        status = 1
        with contextlib.suppress(BaseException):
            work()
            status = 0
        os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_parent_and_forked_child_both_go_on(file: StoreFile) -> None:
    write(file, "before")

    def work() -> None:
        assert names(file) == [b"before"]
        for number in range(20):
            write(file, f"child {number}")

    assert in_child(work) == 0
    write(file, "parent")
    assert len(names(file)) == 22


def test_no_open_file_crosses_a_fork(file: StoreFile) -> None:
    def opened_files() -> str:
        return " ".join(os.path.realpath(link) for link in Path("/proc/self/fd").iterdir())

    def work() -> None:
        assert not local_connection._abandoned
        assert "secrets.db" not in opened_files()

    assert names(file) == []
    assert "secrets.db" in opened_files()
    assert in_child(work) == 0


def test_a_fork_waits_for_the_transaction_of_another_thread(file: StoreFile) -> None:
    """Else the child would find its lock taken for ever, or the parent its transaction gone."""
    inside, go_on = threading.Event(), threading.Event()

    def slowly() -> None:
        def wait() -> None:
            inside.set()
            assert go_on.wait(10)

        write(file, "slow", then=wait)

    thread = threading.Thread(target=slowly)
    thread.start()
    assert inside.wait(10)
    threading.Timer(0.01, go_on.set).start()

    def work() -> None:
        assert names(file) == [b"slow"]
        write(file, "child")

    assert in_child(work) == 0
    thread.join()
    assert names(file) == [b"child", b"slow"]


def test_a_fork_inside_of_a_transaction_takes_it_back(file: StoreFile) -> None:
    """Only a signal handler or a finalizer can do so."""
    children: list[int] = []
    with pytest.raises(StoreFailed, match="cannot be used"):
        write(file, "lost", then=lambda: children.append(in_child(lambda: write(file, "child"))))
    assert children == [0]
    assert names(file) == [b"child"]
    write(file, "parent")
    assert names(file) == [b"child", b"parent"]


def test_a_child_that_was_forked_behind_the_back_of_python_does_not_touch_the_file(file: StoreFile) -> None:
    write(file, "one")

    def work() -> None:
        connection = file._writer._connect()
        file._writer._connection = connection  # what a fork leaves behind that calls no handler before
        file._writer.after_fork_in_child()
        with pytest.raises(StoreFailed, match="was open in another process when this one was forked") as caught:
            write(file, "two")
        assert "after the fork" in caught.value.hint
        assert local_connection._abandoned == [connection]
        assert connection.execute("SELECT 1").fetchone() == (1,), "it was closed"

    assert in_child(work) == 0
    assert names(file) == [b"one"]


def test_what_a_forked_child_does_first_is_the_same_without_a_fork(path: Path) -> None:
    """The tests above see it from outside; children do not report what they have covered."""
    file = opened(path)
    file._reader.close()
    file._reader.after_fork_in_child()
    assert names(file) == []
    file._writer._opened()
    file._writer.after_fork_in_child()
    with pytest.raises(StoreFailed, match="was open in another process"):
        write(file, "one")
    connection = local_connection._abandoned.pop()
    connection.close()
    file.close()


def test_who_was_to_be_told_of_a_fork_is_told(path: Path) -> None:
    told: list[str] = []

    class Holder:
        def before_fork(self) -> None:
            told.append("before")

        def after_fork_in_parent(self) -> None:
            told.append("parent")

        def after_fork_in_child(self) -> None:
            told.append("child")

    holder, holders = Holder(), local_forks._Holders()
    holders.add(holder)
    holders.before_fork()
    holders.after_fork_in_parent()
    assert told == ["before", "parent"]
    holders.before_fork()
    holders.after_fork_in_child()
    holders.before_fork()  # the lock is a new one
    assert told == ["before", "parent", "before", "child", "before"]


def test_a_fork_is_not_hindered_by_a_file_that_cannot_be_closed(file: StoreFile) -> None:
    class Broken:
        def close(self) -> None:
            raise sqlite3.OperationalError("disk I/O error")

    file._writer._connection = Broken()  # type: ignore[assignment]
    assert in_child(lambda: write(file, "child")) == 0
    assert names(file) == [b"child"]


def test_a_transaction_that_cannot_be_taken_back_gives_up_its_connection(file: StoreFile) -> None:
    def close_it() -> None:
        assert file._writer._connection is not None
        file._writer._connection.close()

    with pytest.raises(StoreFailed, match="cannot be used"):
        write(file, "lost", then=close_it)
    write(file, "one")
    assert names(file) == [b"one"]


def test_a_secret_is_found_by_its_name_in_bytes(file: StoreFile) -> None:
    write(file, "one")
    row = SecretRow(b"one", b"arn of one", b"{}", b"mac")
    assert file.reading(lambda connection: row_by_name(connection, "one")) == row
    assert file.reading(lambda connection: row_by_name(connection, "On")) is None
