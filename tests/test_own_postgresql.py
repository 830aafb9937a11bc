"""The server that the quickstart starts: found in three places, gone afterwards, and its absence is said."""

from __future__ import annotations

import importlib.util
import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from envelope import RawAesKeyring
from envelope_secrets import LocalSecretStore
from examples import own_postgresql, quickstart
from examples.own_postgresql import NoPostgreSql
from tests.servers.starting import REQUIRED_VARIABLE

ROOT = Path(__file__).parent.parent
# Like the real one it minds the signal, which a shell lets its background processes ignore.
SERVER = """import os, signal; signal.signal(signal.SIGQUIT, signal.SIG_DFL)
print(os.getpid(), "database system is ready to accept connections", flush=True); signal.pause()"""
READY = f"exec {sys.executable} -I -S -c '{SERVER}'"


def programs(folder: Path, postgres: str, initdb: str = "exit 0") -> Path:
    """A folder with programs of these names."""
    folder.mkdir(parents=True)
    for name, does in (("initdb", initdb), ("postgres", postgres)):
        (folder / name).write_text(f'#!/bin/sh\n[ "$1" = --version ] && exit 0\n{does}\n')
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalSecretStore]:
    with LocalSecretStore(tmp_path / "secrets.db", RawAesKeyring("tests", "key", bytes(32))) as store:
        yield store


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without PostgreSQL, where files of the test can be run."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(own_postgresql, "DEBIAN", tmp_path / "none")
    monkeypatch.setattr(own_postgresql, "IDENTITY", {})


def test_the_quickstart_rotates_a_password_of_a_real_database_that_is_gone_afterwards(
    store: LocalSecretStore, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        with own_postgresql.own_postgresql() as server:
            quickstart.rotate_on(server, store)
            assert server.password not in repr(server)
    except NoPostgreSql as reason:
        if os.environ.get(REQUIRED_VARIABLE) == "1":
            raise
        pytest.skip(str(reason))
    said = capsys.readouterr().out.splitlines()
    assert said == ["   the new password: logs in", "   the old password: is refused"]
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", server.port), 5):
        pass


@pytest.mark.usefixtures("bare")
def test_where_there_is_none_the_quickstart_says_what_to_install(
    store: LocalSecretStore, capsys: pytest.CaptureFixture[str]
) -> None:
    quickstart.rotate_a_password(store)
    assert "skipped: PostgreSQL was not found: install the package postgresql, or pip" in capsys.readouterr().out


def test_without_its_driver_nothing_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(NoPostgreSql, match=r"pip install 'envelope-kms\[postgresql\]'"):
        own_postgresql.find_programs()


@pytest.mark.usefixtures("bare")
def test_it_is_found_on_the_path_then_where_debian_has_it_then_in_the_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = programs(tmp_path / "site/pgserver/pginstall/bin", READY)
    (tmp_path / "site/pgserver/__init__.py").write_text("raise AssertionError('it is not imported')")
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert own_postgresql.find_programs() == wheel
    programs(tmp_path / "none/15/bin", READY)
    newer = programs(tmp_path / "none/17/bin", READY)
    assert own_postgresql.find_programs() == newer
    on_path = programs(tmp_path / "path", READY)
    monkeypatch.setenv("PATH", f"{on_path}:/usr/bin:/bin")
    assert own_postgresql.find_programs() == on_path
    (on_path / "postgres").write_text("#!/bin/sh\nexit 1\n")
    assert own_postgresql.find_programs() == newer, "what does not run is passed over"


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize(
    ("postgres", "initdb", "said"),
    [
        ("echo FATAL: no port is free", "exit 0", "FATAL: no port is free"),
        (READY, "exit 1", "initdb in .* failed"),
    ],
)
def test_one_that_does_not_start_is_said_and_leaves_nothing(
    tmp_path: Path, postgres: str, initdb: str, said: str
) -> None:
    programs(tmp_path / "none/15/bin", postgres, initdb)
    with pytest.raises(NoPostgreSql, match=said), own_postgresql.own_postgresql():
        raise AssertionError
    assert [path.name for path in tmp_path.iterdir()] == ["none"]


CHILD = """
import sys, time
from pathlib import Path
from examples import own_postgresql
own_postgresql.DEBIAN, own_postgresql.IDENTITY = Path(sys.argv[1]), {}
with own_postgresql.own_postgresql():
    (folder,) = Path(sys.argv[2]).glob("envelope-quickstart-*")
    print(folder, (folder / "log").read_text().split()[0], flush=True)
    time.sleep(600)
"""


def test_nothing_is_left_when_the_quickstart_is_killed(tmp_path: Path) -> None:
    programs(tmp_path / "debian/15/bin", READY)
    environment = {"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path), "PYTHONPATH": f"{ROOT}:{ROOT / 'secrets'}"}
    command = [sys.executable, "-c", CHILD, str(tmp_path / "debian"), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True, env=environment) as child:
        assert child.stdout is not None
        folder, server = child.stdout.readline().split()
        guard = int(Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()[1])
        handles = [os.pidfd_open(int(process)) for process in (server, guard)]
        child.kill()
    for handle in handles:
        assert select.select([handle], [], [], 20)[0], "it still runs"
        os.close(handle)
    assert not Path(folder).exists()


def test_by_itself_it_says_what_it_found() -> None:
    command = [sys.executable, str(ROOT / "examples/own_postgresql.py")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.startswith(("postgres (PostgreSQL)", "PostgreSQL was not found"))
