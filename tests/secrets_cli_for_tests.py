"""`envelope secrets`, in this process, on a terminal, and in a process of its own."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from envelope import LocalKeystore, ScryptCost
from envelope.cli import main
from tests.cli_for_tests import AES, Ended, environment, make_keys, run_cli, standing_for

__all__ = [
    "LOCAL",
    "PASSPHRASE",
    "create",
    "done",
    "labels",
    "local",
    "make_keystore",
    "on_terminal",
    "prepare",
    "put",
    "refused",
    "run_secrets",
    "start_secrets",
]

ROOT = Path(__file__).parent.parent
LOCAL = ("--store", "secrets.db", "-k", AES)
PASSPHRASE = "a passphrase that is nowhere"


def make_keystore(folder: Path) -> None:
    """A keystore with the key ``secrets`` in the default place below this folder of data; it opens fast."""
    place = folder / "envelope/keystore.json"
    place.parent.mkdir(parents=True)
    keystore = LocalKeystore.create(place, passphrase=PASSPHRASE, scrypt_cost=ScryptCost(2**14))
    keystore.create_key("secrets")
    keystore.create_key("app")


def run_secrets(*arguments: object, stdin: bytes = b"") -> Ended:
    """Run ``envelope secrets`` with these arguments in this process."""
    return run_cli("secrets", *arguments, stdin=stdin)


def prepare(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """An empty home with the keys of `make_keys`, and nothing that a developer has set."""
    for name in [name for name in os.environ if name.startswith(("ENVELOPE_", "AWS_"))]:
        patch.delenv(name)
    patch.setenv("XDG_DATA_HOME", str(folder / "data"))
    patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "secrets")]))
    patch.chdir(folder)
    make_keys(folder)


def local(command: str, *arguments: object, stdin: bytes = b"") -> Ended:
    """Run a command on the local store ``secrets.db`` under the first of these keys."""
    return run_secrets(command, *LOCAL, *arguments, stdin=stdin)


def done(command: str, *arguments: object, stdin: bytes = b"") -> str:
    """What such a command writes, which must go well and say nothing but notes."""
    ended = local(command, *arguments, stdin=stdin)
    assert ended.status == 0, ended.errors
    assert all(line.startswith(("envelope: note: ", '{"time": ')) for line in ended.errors.splitlines())
    return ended.out.decode()


def refused(status: int, command: str, *arguments: object, stdin: bytes = b"") -> str:
    """What such a command says, which must end with this status and write nothing."""
    ended = local(command, *arguments, stdin=stdin)
    assert (ended.status, ended.out) == (status, b""), ended.errors
    return ended.errors


def create(name: str = "prod/db", value: str | bytes = "one", *more: object) -> str:
    """Create a secret; the id of its version."""
    stdin = value.encode() if isinstance(value, str) else value
    return str(json.loads(done("create", "--json", *more, name, stdin=stdin))["version_id"])


def put(name: str = "prod/db", value: str = "two", *more: object) -> str:
    """Put a value; the id of its version."""
    return str(json.loads(done("put", "--json", *more, name, stdin=value.encode()))["version_id"])


def labels(name: str = "prod/db") -> dict[str, str]:
    """The labels by the version that has them."""
    found: dict[str, list[str]] = json.loads(done("describe", "--json", name))["versions"]
    return {stage: version_id for version_id, stages in found.items() for stage in stages}


def on_terminal(*arguments: object, typed: bytes = b"") -> Ended:
    """Run the command in this process with a terminal for all standard streams; `errors` is empty."""
    terminal, ours = pty.openpty()
    os.write(terminal, typed)
    with (
        standing_for(0, ours),
        standing_for(1, ours),
        standing_for(2, ours),
        open(0, closefd=False) as stdin,
        open(1, "w", closefd=False) as stdout,
        open(2, "w", closefd=False) as stderr,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, stream in (("stdin", stdin), ("stdout", stdout), ("stderr", stderr)):
            patch.setattr(sys, name, stream)
        status = main(["secrets", *map(str, arguments)])
    os.close(ours)
    shown = b"".join(iter(lambda: _read(terminal), b""))
    os.close(terminal)
    return Ended(status, shown.replace(b"\r\n", b"\n"), "")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # how Linux says that nobody has it open any more
        return b""


def start_secrets(*arguments: object, cwd: Path, env: dict[str, str] | None = None, **options: Any) -> Any:
    """Start ``envelope secrets`` in a process of its own; pipes for all that is not said otherwise."""
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen(
        [sys.executable, "-m", "envelope.cli", "secrets", *map(str, arguments)],
        cwd=cwd,
        env=environment() if env is None else env,
        **streams,
    )
