"""Starting a server: where its binary is, as whom it runs, its folder, its port, and waiting until it answers."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = ["NoServer", "ServerFolder", "find_binary", "free_port", "new_password", "server_folder"]

NOBODY = 65_534
START_S = 60.0
SETUP_S = 120.0


class NoServer(Exception):
    """There is no server of this kind on this machine; the text says what to install."""


def find_binary(name: str, *folders: str, package: str) -> str:
    """The path of a program, on the path or in one of the folders (patterns; the last match counts).

    Raises:
        NoServer: it is not there.
    """
    found = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin")))
    matches = [str(path) for pattern in folders for path in sorted(Path("/").glob(f"{pattern}/{name}".lstrip("/")))]
    if not (matches or found):
        raise NoServer(f"there is no {name} on this machine: install the package {package}")
    return matches[-1] if matches else str(found)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def new_password() -> str:
    return secrets.token_hex(12)


class ServerFolder:
    """A temporary folder that belongs to the user who runs the server."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.uid = NOBODY if os.geteuid() == 0 else -1

    @property
    def log(self) -> Path:
        return self.path / "log"

    def write(self, name: str, text: str | bytes) -> Path:
        """A file that only the server's user reads."""
        path = self.path / name
        path.touch(mode=0o600)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        self.own(path)
        return path

    def own(self, path: Path) -> None:
        if self.uid != -1:
            os.chown(path, self.uid, self.uid)

    def make(self, name: str) -> Path:
        """A folder of the server's user."""
        path = self.path / name
        path.mkdir(mode=0o700)
        self.own(path)
        return path

    def run(self, command: Sequence[str], *, standard_input: Path | None = None) -> None:
        """Run a program of the server's to its end, as its user."""
        identity = {} if self.uid == -1 else {"user": self.uid, "group": self.uid, "extra_groups": []}
        done = subprocess.run(  # type: ignore[call-overload]  # the keywords are there or not
            command,
            cwd=self.path,
            input=b"" if standard_input is None else standard_input.read_bytes(),
            capture_output=True,
            timeout=SETUP_S,
            check=False,
            env={**os.environ, "HOME": str(self.path), "TMPDIR": str(self.path)},
            **identity,
        )
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed: {(done.stdout + done.stderr).decode(errors='replace')[-2_000:]}")

    @contextmanager
    def serving(self, command: Sequence[str], is_ready: Callable[[], bool], stop: signal.Signals) -> Iterator[None]:
        """Run the server, wait until `is_ready`, stop it with the signal and remove the folder."""
        arguments = (str(self.path), str(int(stop)), str(self.uid), *command)
        guardian = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("guardian.py")), *arguments],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # an interrupt of the tests is not one of the server
        )
        try:
            self._wait(guardian, is_ready)
            yield
        finally:
            stop_guardian(guardian)

    def _wait(self, guardian: subprocess.Popen[bytes], is_ready: Callable[[], bool]) -> None:
        ends_s = time.monotonic() + START_S
        while not is_ready():
            if guardian.poll() is not None:
                raise RuntimeError(f"the server did not start: {guardian.communicate()[1].decode(errors='replace')}")
            if time.monotonic() > ends_s:
                raise RuntimeError(f"the server did not start in time: {self.log_text()[-2_000:]}")
            time.sleep(0.02)

    def log_text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""


def stop_guardian(guardian: subprocess.Popen[bytes]) -> None:
    """Close its pipe, which is the sign to stop, and wait until it has cleaned up."""
    if guardian.returncode is None:
        guardian.communicate(timeout=30)


@contextmanager
def server_folder(name: str) -> Iterator[ServerFolder]:
    path = Path(tempfile.mkdtemp(prefix=f"envelope-{name}-"))
    try:
        folder = ServerFolder(path)
        folder.own(path)
        yield folder
    finally:
        shutil.rmtree(path, ignore_errors=True)  # where the guardian never came to it
