"""The command as a process: signals, pipes, full disks and terminals."""

from __future__ import annotations

import fcntl
import io
import os
import resource
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import redirect_stderr, suppress
from pathlib import Path

import pytest

from envelope.cli import main
from tests.cli_for_tests import AES, environment, make_keys, run_cli, standing_for, start_cli, tree_of

MIB = 2**20
ENCRYPT = ("encrypt", "-k", AES)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    make_keys(tmp_path)
    return tmp_path


def wait_for_litter(process: subprocess.Popen[bytes], folder: Path) -> None:
    """Until the command has begun to write."""
    while not any(folder.glob(".envelope-*")):
        assert process.poll() is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_the_target_as_it_was_and_is_what_the_process_dies_of(folder: Path, number: int) -> None:
    Path("out").write_bytes(b"old")
    before = tree_of(folder)
    with start_cli(*ENCRYPT, "-", "-f", "-o", "out", cwd=folder) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(bytes(3 * MIB))
        process.stdin.flush()
        wait_for_litter(process, folder)
        process.send_signal(number)
        process.wait(timeout=60)
        assert process.stderr.read() == b""
    assert process.returncode == -number
    assert tree_of(folder) == before


def test_a_shell_sees_130_and_stops_its_script(folder: Path) -> None:
    script = f"{sys.executable} -m envelope.cli encrypt -k {AES} -o out & p=$!; kill -INT $p; wait $p; echo $?"
    started = f"trap - INT; set -m; {script}"  # with job control, a child in the background hears SIGINT
    with subprocess.Popen(
        ["/bin/bash", "-c", started], cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as shell:
        output, _ = shell.communicate(timeout=60)
    assert output.split()[-1] == b"130"


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupted_tree_leaves_only_whole_files(folder: Path, jobs: int) -> None:
    Path("in").mkdir()
    for number in range(8):
        Path(f"in/{number}").write_bytes(bytes(2 * MIB))
    os.mkfifo("last")  # an input that never ends
    Path("out").mkdir()
    with start_cli(*ENCRYPT, "-r", "in", "last", "-o", "out", "-j", jobs, cwd=folder) as process:
        while not any(folder.glob("out/in/*.encrypted")):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert all(name.endswith(".encrypted") for name in tree_of(folder / "out"))
    assert run_cli("verify", "-r", "out", "-k", AES).status == 0
    assert run_cli(*ENCRYPT, "-r", "in", "-o", "out/in", "--skip-existing").status == 0
    assert len(tree_of(folder / "out")) == 8


def test_nobody_reading_any_more_ends_the_command_in_silence(folder: Path) -> None:
    Path("in").write_bytes(bytes(4 * MIB))
    with start_cli(*ENCRYPT, "in", cwd=folder) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        process.wait(timeout=60)
        assert process.stderr.read() == b""
    assert process.returncode == -signal.SIGPIPE


def test_a_full_disk_leaves_the_target_as_it_was(folder: Path) -> None:
    Path("in").write_bytes(bytes(4 * MIB))
    Path("out").write_bytes(b"old")
    before = tree_of(folder)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2 * MIB, limit[1]))
        ended = run_cli(*ENCRYPT, "in", "-f", "-o", "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert ended.status == 1
    assert ended.errors.startswith("envelope: error: cannot write: File too large")
    assert tree_of(folder) == before


def test_a_full_device_is_said(folder: Path) -> None:
    Path("in").write_bytes(b"x")
    ended = run_cli(*ENCRYPT, "in", "-o", "/dev/full")
    assert (ended.status, "No space left" in ended.errors) == (1, True)
    with Path("/dev/full").open("wb") as full, start_cli(*ENCRYPT, "in", cwd=folder, stdout=full.fileno()) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert b"No space left" in errors


def test_a_message_travels_through_pipes(folder: Path) -> None:
    data = os.urandom(3 * MIB)
    Path("in").write_bytes(data)
    with (
        Path("in").open("rb") as source,
        start_cli(*ENCRYPT, "--armor", cwd=folder, stdin=source.fileno()) as first,
    ):
        assert first.stdout is not None
        with start_cli("decrypt", "-k", AES, cwd=folder, stdin=first.stdout.fileno()) as second:
            first.stdout.close()
            output, errors = second.communicate(timeout=60)
    assert (second.returncode, errors) == (0, b"")
    assert output == data


def test_pipes_of_the_command_have_room_for_frames() -> None:
    reading, writing = os.pipe()
    try:
        with standing_for(1, writing), redirect_stderr(io.StringIO()):
            assert main([*ENCRYPT, "one.key"]) == 0
        assert fcntl.fcntl(reading, fcntl.F_GETPIPE_SZ) == MIB
    finally:
        os.close(reading)
        os.close(writing)


class _Terminal:
    """A pseudo-terminal of a size, with the command's standard error in it."""

    def __init__(self, columns: int) -> None:
        self.ours, self.theirs = os.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def parts(self) -> Iterator[bytes]:
        """What is shown, until the command has closed its end."""
        with suppress(OSError):
            while select.select([self.ours], [], [], 60)[0]:
                yield os.read(self.ours, 65_536)

    def close(self) -> None:
        os.close(self.ours)


@pytest.mark.parametrize(("columns", "more"), [(80, {}), (200, {}), (40, {}), (80, {"NO_COLOR": "1"})])
def test_a_terminal_shows_a_bar_that_fits_and_goes_away(folder: Path, columns: int, more: dict[str, str]) -> None:
    terminal = _Terminal(columns)
    shown = b""
    kept = {name: value for name, value in environment().items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    with subprocess.Popen(
        [sys.executable, "-m", "envelope.cli", *ENCRYPT, "-o", "out"],
        cwd=folder,
        env={**kept, "TERM": "xterm-256color", **more},
        stdin=subprocess.PIPE,
        stderr=terminal.theirs,
    ) as process:
        assert process.stdin is not None
        os.close(terminal.theirs)
        process.stdin.write(bytes(2 * MIB))
        process.stdin.flush()
        for part in terminal.parts():
            shown += part
            if not process.stdin.closed and b"MiB" in shown:
                process.stdin.close()  # the bar was seen: let it end
    terminal.close()
    assert process.returncode == 0
    assert b"Encrypting" in shown
    assert (b"\x1b[38;5;" in shown or b"\x1b[3" in shown) is not bool(more)
    assert b"\x1b[?25h" in shown  # the cursor is back
    assert b"Encrypting" not in shown.rpartition(b"\x1b[2K")[2]  # the line was cleared, and nothing written after it
