"""A PostgreSQL server for as long as a block lasts: on loopback, with passwords and data of its own, gone afterwards.

Its programs are taken from where they are found; no server of this machine is touched. By itself it says what it found.
"""

import importlib.util
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psycopg

NOBODY = 65_534
IDENTITY = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
"""PostgreSQL refuses to run as root."""

DEBIAN = Path("/usr/lib/postgresql")
START_S = 30.0
READY = "database system is ready to accept connections"
SETTINGS = "-c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off -c shared_buffers=16MB"

GUARD = 'trap "" HUP; "$@" & cat; kill -{signal} $!; wait; rm -rf {folder}'
"""Waits for the end of its standard input, which comes however this process ends; stops the server and cleans up."""


@dataclass(frozen=True)
class OwnPostgreSql:
    """Where the server listens on 127.0.0.1, and the password of its administrator, ``admin``."""

    port: int
    password: str = field(repr=False)

    def connect(self, username: str, password: str) -> "psycopg.Connection":
        """Log in."""
        import psycopg

        return psycopg.connect(
            host="127.0.0.1", port=self.port, user=username, password=password, dbname="postgres", autocommit=True
        )

    def accepts(self, username: str, password: str) -> bool:
        """Whether this login works."""
        import psycopg

        try:
            self.connect(username, password).close()
        except psycopg.OperationalError:
            return False
        return True


class NoPostgreSql(Exception):
    """There is none here that can be started; the text says why, or what to install."""


def find_programs() -> Path:
    """The folder with PostgreSQL's programs: on the path, where Debian has them, or in the wheel ``pgserver``.

    Raises:
        NoPostgreSql: there is none, or no driver to talk to it.
    """
    if importlib.util.find_spec("psycopg") is None:
        raise NoPostgreSql("its driver is not installed: pip install 'envelope-kms[postgresql]'")
    on_path = shutil.which("initdb")
    folders = [Path(on_path).parent] if on_path else []
    folders += sorted(DEBIAN.glob("*/bin"), reverse=True)
    wheel = importlib.util.find_spec("pgserver")  # found, and not imported: that would start something
    if wheel is not None and wheel.origin is not None:
        folders.append(Path(wheel.origin).parent / "pginstall/bin")
    for folder in folders:
        if _runs(folder):
            return folder
    raise NoPostgreSql("PostgreSQL was not found: install the package postgresql, or pip install pgserver")


def _runs(folder: Path) -> bool:
    """Whether the server's user can run what is there."""
    try:
        for program in ("initdb", "postgres"):
            _run(folder / program, "--version")
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def _run(program: Path, *arguments: str, folder: str = "/") -> str:
    done = subprocess.run(  # type: ignore[call-overload]  # noqa: S603 - the keywords are there or not
        [str(program), *arguments], cwd=folder, capture_output=True, check=True, text=True, timeout=60, **IDENTITY
    )
    return str(done.stdout).strip()


@contextmanager
def own_postgresql() -> Iterator[OwnPostgreSql]:
    """Start a server with new data, and stop it at the end of the block.

    Raises:
        NoPostgreSql: there is none, or it does not start.
    """
    programs = find_programs()
    folder = Path(tempfile.mkdtemp(prefix="envelope-quickstart-"))
    server = OwnPostgreSql(_free_port(), secrets.token_hex(12))
    try:
        _make_data(programs, folder, server.password)
        with _serving(programs, folder, server.port):
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _make_data(programs: Path, folder: Path, password: str) -> None:
    file = folder / "password"
    file.touch(mode=0o600)
    file.write_text(password)
    if IDENTITY:
        os.chown(file, NOBODY, NOBODY)
        os.chown(folder, NOBODY, NOBODY)
    options = "-D data -U admin --auth=scram-sha-256 --pwfile=password -E UTF8 --no-locale --no-sync"
    try:
        _run(programs / "initdb", *options.split(), folder=str(folder))
    except (OSError, subprocess.SubprocessError):
        raise NoPostgreSql(f"initdb in {programs} failed") from None


@contextmanager
def _serving(programs: Path, folder: Path, port: int) -> Iterator[None]:
    guard = GUARD.format(signal=int(signal.SIGQUIT), folder=shlex.quote(str(folder)))
    command = [
        "/bin/sh",
        "-c",
        guard,
        "sh",
        str(programs / "postgres"),
        "-D",
        "data",
        "-p",
        str(port),
        *SETTINGS.split(),
    ]
    with (folder / "log").open("wb") as log:
        guarded = subprocess.Popen(  # type: ignore[call-overload]  # noqa: S603 - the keywords are there or not
            command, cwd=folder, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True, **IDENTITY
        )
    try:
        _wait(folder / "log")
        yield
    finally:
        guarded.communicate(timeout=START_S)


def _wait(log: Path) -> None:
    ends_s = time.monotonic() + START_S
    while READY not in (said := log.read_text(errors="replace")):
        if time.monotonic() > ends_s or "FATAL" in said:
            raise NoPostgreSql(f"PostgreSQL did not start: {said[-500:]}")
        time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    try:
        found = find_programs()
        print(f"{_run(found / 'postgres', '--version')} in {found}")
    except NoPostgreSql as reason:
        print(reason)
