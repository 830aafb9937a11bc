"""The command, in this process and in one of its own."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import envelope
from envelope.cli import main

AES = "aes:tests/one@one.key"
OTHER = "aes:tests/two@two.key"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    status: int
    out: bytes
    errors: str


def make_keys(folder: Path) -> None:
    """The files that `AES` and `OTHER` name."""
    for number, name in enumerate(("one.key", "two.key"), 1):
        (folder / name).write_bytes(bytes([number]) * 32)


def run_cli(*arguments: object, stdin: bytes = b"") -> Ended:
    """Run the command in this process, with files as its standard input and output."""
    errors = io.StringIO()
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as taken:
        given.write(stdin)
        given.seek(0)
        text = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), write_through=True)
        with (
            standing_for(0, given.fileno()),
            standing_for(1, taken.fileno()),
            text,
            redirect_stdout(text),
            redirect_stderr(errors),
        ):
            status = main([str(argument) for argument in arguments])
        taken.seek(0)
        return Ended(status, taken.read(), errors.getvalue())


@contextmanager
def standing_for(number: int, other: int) -> Iterator[None]:
    """Let a file descriptor be another one."""
    saved = os.dup(number)
    try:
        os.dup2(other, number)
        yield
    finally:
        os.dup2(saved, number)
        os.close(saved)


def environment(**more: str) -> dict[str, str]:
    """What a child process needs to find the library, and nothing that a developer has set for the command."""
    paths = [str(Path(envelope.__file__).parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ENVELOPE_")}
    return {**kept, "PYTHONPATH": os.pathsep.join(paths), **more}


def start_cli(*arguments: object, cwd: Path, **streams: int) -> subprocess.Popen[bytes]:
    """Start the command in a process of its own; pipes for all that is not said otherwise."""
    given = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    return subprocess.Popen(
        [sys.executable, "-m", "envelope.cli", *map(str, arguments)],
        cwd=cwd,
        env=environment(),
        stdin=given["stdin"],
        stdout=given["stdout"],
        stderr=given["stderr"],
    )


def tree_of(folder: Path) -> dict[str, bytes]:
    """Every file in a directory by its path, with its content: litter included."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
