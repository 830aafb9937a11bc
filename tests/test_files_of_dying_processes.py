"""Files when the process is killed, the disk is full, or the rights are missing."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from envelope import Client, StreamFailed
from tests.keyrings_for_tests import raw_aes
from tests.python_child import run_python, start_python

OLD = b"what stood there before"
PLAINTEXT = bytes(3 * 1024 * 1024)


def _partial(directory: Path) -> list[Path]:
    return [path for path in directory.iterdir() if path.name.endswith(".partial")]


@pytest.mark.parametrize("method", ["encrypt_file", "decrypt_file"])
@pytest.mark.parametrize("exists", [True, False], ids=["over an old target", "to a new target"])
def test_a_process_killed_while_it_writes_leaves_the_target_as_it_was(
    tmp_path: Path, method: str, exists: bool
) -> None:
    """The source is a pipe that has given much and gives no more: when it was read, some of the target was written."""
    source, target = tmp_path / "source", tmp_path / "target"
    os.mkfifo(source)
    if exists:
        target.write_bytes(OLD)
    content = PLAINTEXT if method == "encrypt_file" else Client(raw_aes()).encrypt(PLAINTEXT)
    code = f"client.{method}(sys.argv[1], sys.argv[2])"
    with start_python(code, source, target) as child, source.open("wb", buffering=0) as pipe:
        pipe.write(content[: len(content) - 100])
        child.send_signal(signal.SIGKILL)
        child.wait(60)
    assert child.returncode == -signal.SIGKILL
    (partial,) = _partial(tmp_path)
    assert partial.stat().st_size > 100_000
    assert stat.S_IMODE(partial.stat().st_mode) & 0o177 == 0 or method == "encrypt_file"
    assert target.exists() is exists
    assert not exists or target.read_bytes() == OLD


@pytest.mark.parametrize("method", ["encrypt_file", "decrypt_file"])
@pytest.mark.parametrize("exists", [True, False], ids=["over an old target", "to a new target"])
def test_a_full_disk_leaves_the_target_as_it_was(tmp_path: Path, method: str, exists: bool) -> None:
    """No file may grow above 2 MB: writing more fails as on a full disk."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(PLAINTEXT if method == "encrypt_file" else Client(raw_aes()).encrypt(PLAINTEXT))
    if exists:
        target.write_bytes(OLD)
    output = run_python(
        f"""
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
try:
    client.{method}(sys.argv[1], sys.argv[2])
except StreamFailed as error:
    print(error)
""",
        source,
        target,
    )
    assert output.decode() == f"cannot write: {os.strerror(27)}\n"
    assert _partial(tmp_path) == []
    assert target.exists() is exists
    assert not exists or target.read_bytes() == OLD


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that a process without rights reaches, which pytest's own are not."""
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o777)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def without_rights(open_directory: Path) -> Iterator[None]:
    """Root may read and write everything, so a test process that is root is nobody for a moment."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65_534)
    yield
    os.seteuid(user)


def _locked(directory: Path, mode: int) -> Path:
    locked = directory / "locked"
    locked.mkdir()
    locked.chmod(mode)
    return locked


def test_a_source_without_the_right_to_read_is_a_failed_stream(open_directory: Path, without_rights: None) -> None:
    source, target = open_directory / "source", open_directory / "target"
    source.touch(mode=0)
    target.write_bytes(OLD)
    with pytest.raises(StreamFailed, match=r"cannot read '.*/source': Permission denied"):
        Client(raw_aes()).encrypt_file(source, target)
    assert target.read_bytes() == OLD
    assert _partial(open_directory) == []


def test_a_directory_without_the_right_to_write_is_a_failed_stream(open_directory: Path, without_rights: None) -> None:
    source, locked = open_directory / "source", _locked(open_directory, 0o555)
    source.write_bytes(b"plaintext")
    with pytest.raises(StreamFailed, match=r"cannot write '.*/locked/target': Permission denied"):
        Client(raw_aes()).encrypt_file(source, locked / "target")
    assert list(locked.iterdir()) == []


def test_a_directory_that_can_be_written_but_not_listed_is_enough(open_directory: Path, without_rights: None) -> None:
    """Else the call fails after it has replaced the target: the directory cannot be opened to be flushed."""
    source, locked = open_directory / "source", _locked(open_directory, 0o333)
    source.write_bytes(b"plaintext")
    client = Client(raw_aes())
    client.encrypt_file(source, locked / "target")
    assert client.decrypt((locked / "target").read_bytes()) == b"plaintext"
    locked.chmod(0o755)
    assert [path.name for path in locked.iterdir()] == ["target"]
