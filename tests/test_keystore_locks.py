"""Who may change a keystore: one writer at a time, whatever is forked or killed meanwhile."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from envelope import LocalKeystore, ScryptCost
from envelope.keystore import format as keystore_format
from envelope.keystore.file_lock import _Held, locked
from envelope.process_state import reset_all
from tests.python_child import run_python, start_python

CHEAP = ScryptCost(n=2**14)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "app.keys"


@pytest.fixture
def keystore(path: Path) -> LocalKeystore:
    keystore = LocalKeystore.create_unprotected_for_development(path)
    keystore.create_key("app")
    return keystore


def is_locked(path: Path) -> bool:
    """Whether somebody has the lock of a keystore now."""
    with Path(f"{path}.lock").open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@pytest.fixture
def seen(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, bool]]]:
    """What was done with the content of the keystore's file, and whether the lock was held then."""
    steps: list[tuple[str, bool]] = []

    def watched(step: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def work_and_note(*arguments: Any) -> Any:
            steps.append((step, is_locked(path)))
            return work(*arguments)

        return work_and_note

    monkeypatch.setattr(keystore_format, "parse_outer", watched("read", keystore_format.parse_outer))
    monkeypatch.setattr(keystore_format, "serialize", watched("write", keystore_format.serialize))
    yield steps
    assert not is_locked(path), "who has made his change lets go of the lock"


@pytest.mark.parametrize(
    "create",
    [
        LocalKeystore.create_unprotected_for_development,
        lambda path: LocalKeystore.create(path, passphrase="correct horse", scrypt_cost=CHEAP),
    ],
)
def test_a_keystore_is_made_under_its_lock(create: Any, path: Path, seen: list[tuple[str, bool]]) -> None:
    create(path)
    assert seen == [("write", True)]


@pytest.mark.parametrize(
    "change",
    [
        lambda keystore: keystore.create_key("other"),
        lambda keystore: keystore.import_key("other", bytes(32)),
        lambda keystore: keystore.rotate_key("app"),
        lambda keystore: keystore.change_passphrase("battery staple", scrypt_cost=CHEAP),
    ],
)
def test_a_change_builds_on_what_it_reads_and_is_written_under_the_lock(
    change: Any, path: Path, seen: list[tuple[str, bool]]
) -> None:
    keystore = LocalKeystore.create(path, passphrase="correct horse", scrypt_cost=CHEAP)
    keystore.create_key("app")
    seen.clear()
    change(keystore)
    assert seen == [("read", True), ("write", True)]


def test_a_change_that_fails_lets_go_of_the_lock(path: Path, keystore: LocalKeystore) -> None:
    def failing_clock() -> datetime:
        assert is_locked(path)
        raise OSError("no clock")

    other = LocalKeystore.open_unprotected_for_development(path, clock=failing_clock)
    with pytest.raises(OSError, match="no clock"):
        other.rotate_key("app")
    assert not is_locked(path)
    keystore.rotate_key("app")


def test_all_names_of_a_keystore_mean_one_lock(path: Path, keystore: LocalKeystore, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "link.keys"
    link.symlink_to(path)
    moments: list[bool] = []

    def clock() -> datetime:
        moments.append(is_locked(path))
        return datetime(2026, 11, 22, tzinfo=UTC)

    LocalKeystore.open_unprotected_for_development(link, clock=clock).rotate_key("app")
    assert moments == [True]
    assert len(keystore.versions("app")) == 2
    assert [file.name for file in link.parent.iterdir()] == ["link.keys"]


# --- processes


# In a process of its own without other threads: a thread that waits for the interpreter leaves the child of a library's
# fork an interpreter lock that it can never have.
FORKED_BY_A_LIBRARY = """
import ctypes, fcntl
from envelope.keystore.file_lock import locked
path = Path(sys.argv[1])
reading, writing = os.pipe()
with locked(path):
    # As a library in C forks: nothing of Python is told in the child, which lives on with what it has inherited.
    child = ctypes.PyDLL(None).fork()
    if child == 0:
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
with open(f"{path}.lock", "rb") as file:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
LocalKeystore.open_unprotected_for_development(path).rotate_key("app")
os.write(writing, b"!")
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_child_that_was_forked_during_a_change_does_not_keep_the_lock(path: Path, keystore: LocalKeystore) -> None:
    assert run_python(FORKED_BY_A_LIBRARY, path) == b"0\n"
    assert len(keystore.versions("app")) == 2


KILLED_WITH_A_CHILD = """
import signal
from datetime import UTC, datetime
reading, writing = os.pipe()

def clock():
    if os.fork() == 0:
        os.write(writing, b"!")
        sys.stdin.read()  # lives until the test lets it go
        os._exit(0)
    os.read(reading, 1)
    os.kill(os.getpid(), signal.SIGKILL)

LocalKeystore.open_unprotected_for_development(sys.argv[1], clock=clock).rotate_key("app")
"""


def test_a_writer_that_is_killed_leaves_no_lock_to_its_children(path: Path, keystore: LocalKeystore) -> None:
    with start_python(KILLED_WITH_A_CHILD, path) as writer:
        writer.wait()
        assert not is_locked(path)
        keystore.rotate_key("app")
    assert len(keystore.versions("app")) == 2


FORKED_UNDER_THE_LOCK_OF_A_THREAD = """
import signal
keystore = LocalKeystore.create_unprotected_for_development(sys.argv[1])
keystore.create_key("app")
keystore._thread_lock.acquire()  # as another thread would that changes it, and is not there in the child
child = os.fork()
signal.alarm(30)
if child == 0:
    LocalKeystore.open_unprotected_for_development(sys.argv[1]).rotate_key("app")
    print(len(keystore.versions("app")))
    keystore.rotate_key("app")
    print(len(keystore.versions("app")), flush=True)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
keystore._thread_lock.release()
"""


def test_a_child_reads_and_changes_a_keystore_that_a_thread_of_its_parent_was_changing(path: Path) -> None:
    assert run_python(FORKED_UNDER_THE_LOCK_OF_A_THREAD, path).split() == [b"2", b"3", b"0"]


def test_a_child_does_not_let_go_of_the_lock_of_its_parent(path: Path, keystore: LocalKeystore) -> None:
    code = """
from envelope.keystore.file_lock import _Held, locked
with locked(Path(sys.argv[1])):
    child = os.fork()
    if child == 0:
        sys.exit()  # through the end of the block
    os.waitpid(child, 0)
    import fcntl
    try:
        fcntl.flock(os.open(sys.argv[1] + ".lock", os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("held")
"""
    assert run_python(code, path) == b"held\n"


def test_a_restored_snapshot_goes_on_with_the_lock_that_it_holds(path: Path, keystore: LocalKeystore) -> None:
    with locked(path):
        reset_all()
        assert is_locked(path)
    assert not is_locked(path)


def test_a_child_closes_what_it_inherited_and_leaves_the_lock_as_it_is(
    path: Path, keystore: LocalKeystore, monkeypatch: pytest.MonkeyPatch
) -> None:
    descriptor = os.open(f"{path}.lock", os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    of_the_parent = os.dup(descriptor)  # the same open file, as after a fork
    held = _Held(descriptor)
    monkeypatch.setattr(os, "getpid", lambda: 0)
    for _ in range(2):  # a child of the child has nothing to close
        held.reset_after_fork()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
    held.release()
    assert is_locked(path)
    os.close(of_the_parent)
    assert not is_locked(path)
