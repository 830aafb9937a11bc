"""How the process ends: two signals, outputs that take nothing, prompts that are left, and nothing in a core file."""

from __future__ import annotations

import io
import os
import resource
import signal
import subprocess
import sys
import termios
import threading
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from envelope import LocalKeystore, StreamFailed
from envelope.cli import main
from envelope.cli import target as target_module
from envelope.cli.own_process import prepare
from envelope.cli.program import start
from envelope.cli.streams import let_go_of_output
from envelope.cli.target import TargetOptions, nothing_unfinished, opened_target
from tests.cli_for_tests import AES, environment, make_keys, run_cli, standing_for, start_cli, tree_of

COMMAND = f"{sys.executable} -m envelope.cli"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    make_keys(tmp_path)
    return tmp_path


def shell(script: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["/bin/bash", "-c", script], env=environment(), capture_output=True, timeout=60, check=False)


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_two_signals_after_one_another_leave_neither_litter_nor_a_traceback(folder: Path, second: int) -> None:
    Path("in").mkdir()
    for number in range(400):
        Path(f"in/{number}").write_bytes(bytes(20_000))
    os.mkfifo("last")  # an input that never ends
    with start_cli("encrypt", "-k", AES, "-r", "in", "last", "-o", "out", "-j", 4, cwd=folder) as process:
        while not any(folder.glob("out/in/*.encrypted")):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.send_signal(second)
        _, errors = process.communicate(timeout=60)
    assert process.returncode in (-signal.SIGINT, -second)
    assert errors == b""
    assert all(name.endswith(".encrypted") for name in tree_of(folder / "out"))


def test_no_unfinished_file_is_begun_while_the_process_ends(folder: Path) -> None:
    begun, written = threading.Event(), threading.Event()

    def write() -> None:
        begun.set()
        with opened_target("other", TargetOptions()) as file:
            file.write(b"whole")
        written.set()

    def end_in_the_middle() -> None:
        with opened_target("out", TargetOptions()) as file:
            file.write(b"half")
            with nothing_unfinished():
                thread.start()
                assert begun.wait(timeout=30)
                assert set(tree_of(folder)) == {"one.key", "two.key"}
                assert not written.is_set()

    thread = threading.Thread(target=write)
    with pytest.raises(StreamFailed):
        end_in_the_middle()
    thread.join(30)
    assert tree_of(folder)["other"] == b"whole"
    assert "out" not in tree_of(folder)


def test_a_thread_that_makes_a_file_for_too_long_does_not_keep_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target_module, "_PATIENCE_S", 0.0)
    making, ended = threading.Event(), threading.Event()

    def make() -> None:
        with target_module._beginning:
            making.set()
            ended.wait(timeout=30)

    thread = threading.Thread(target=make)
    thread.start()
    assert making.wait(timeout=30)
    with nothing_unfinished():
        ended.set()
    thread.join(30)


@pytest.mark.parametrize(
    "command", ["inspect message", "--help", "encrypt --help-all", "keys --help", "completion bash", "-q --version"]
)
def test_a_reader_that_has_gone_away_ends_it_by_sigpipe_in_silence(folder: Path, command: str) -> None:
    assert run_cli("encrypt", "one.key", "-o", "message", "-k", AES).status == 0
    reading, writing = os.pipe()
    os.close(reading)
    with start_cli(*command.split(), cwd=folder, stdout=writing) as process:
        os.close(writing)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (-signal.SIGPIPE, b"")


@pytest.mark.parametrize("command", ["--version", "-q --version", "--help", "inspect message", "completion bash"])
@pytest.mark.parametrize("output", ["> /dev/full", ">&-"])
def test_output_that_cannot_be_written_is_a_failure_without_a_traceback(command: str, output: str) -> None:
    assert run_cli("encrypt", "one.key", "-o", "message", "-k", AES).status == 0
    ended = shell(f"{COMMAND} {command} {output}")
    assert ended.returncode == 1
    assert b"Traceback" not in ended.stderr
    assert b"Exception" not in ended.stderr
    assert ended.stderr.count(b"\n") <= 1


def test_output_that_takes_nothing_is_let_go() -> None:
    class Full(io.StringIO):
        def flush(self) -> None:
            raise OSError(28, "No space left on device")

    with redirect_stdout(Full()):
        assert not let_go_of_output()
        assert sys.stdout is None
    assert let_go_of_output()


def test_a_command_whose_last_words_are_not_taken_has_failed() -> None:
    class Full(io.StringIO):
        def flush(self) -> None:
            if self.getvalue().endswith("\n\n"):
                raise OSError(28, "No space left on device")

    with redirect_stdout(Full()) as shown:
        shown.write("held\n\n")
        assert main(["encrypt", "one.key", "-o", "message", "-k", AES]) == 1


def test_the_version_says_whether_it_was_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        def flush(self) -> None:
            raise OSError(28, "No space left on device")

    with redirect_stdout(Full()):
        assert main(["--version"]) == 1
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["--version"]) == 1


def test_the_process_of_the_command_writes_no_core_and_dies_of_sigint_in_silence_while_it_starts() -> None:
    limits, handler = resource.getrlimit(resource.RLIMIT_CORE), signal.getsignal(signal.SIGINT)
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        resource.setrlimit(resource.RLIMIT_CORE, (limits[1], limits[1]))  # most shells have 0 already
        prepare()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
        assert resource.getrlimit(resource.RLIMIT_CORE)[0] == 0
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        prepare()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # as nohup has it
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, limits)
        signal.signal(signal.SIGINT, handler)


def test_a_prompt_that_is_left_by_sigquit_leaves_the_terminal_as_it_was(folder: Path) -> None:
    LocalKeystore.create("keystore.json", passphrase="correct horse").create_key("app")
    ours, theirs = os.openpty()
    before = termios.tcgetattr(theirs)
    name = os.ttyname(theirs)

    def take_terminal() -> None:
        os.close(os.open(name, os.O_RDWR))  # the first that the leader of a session opens becomes its own

    with subprocess.Popen(
        [sys.executable, "-m", "envelope.cli", "keys", "list", "--keystore", "keystore.json"],
        env=environment(),
        start_new_session=True,
        preexec_fn=take_terminal,  # noqa: PLW1509 - no other thread is alive here
        stderr=subprocess.PIPE,
    ) as process:
        shown = b""
        while not shown.endswith(b"keystore: "):
            shown += os.read(ours, 100)
        assert not termios.tcgetattr(theirs)[3] & termios.ECHO
        os.write(ours, b"\x1c")  # what control and \ send
        process.wait(timeout=60)
    assert process.returncode == -signal.SIGQUIT
    assert termios.tcgetattr(theirs) == before
    assert not list(folder.glob("core*"))
    os.close(ours)
    os.close(theirs)


def test_the_library_runs_as_a_program_too() -> None:
    ended = shell(
        f"{sys.executable} -m envelope --version; {sys.executable} -m envelope encrypt one.key -k {AES} | wc -c"
    )
    assert ended.stdout.startswith(b"envelope ")
    assert int(ended.stdout.split()[-1]) > 32
    assert ended.stderr == b""


def test_the_command_of_a_process_takes_its_arguments_and_prepares_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["envelope", "completion", "bash"])
    prepared: list[bool] = []
    monkeypatch.setattr("envelope.cli.own_process.prepare", lambda: prepared.append(True))
    assert main() == 0
    assert prepared == [True]
    assert "_envelope_completion" in capsys.readouterr().out


def test_a_broken_pipe_of_a_command_and_of_a_help_text_is_one_of_the_program() -> None:
    class Gone(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError(32, "Broken pipe")

    for arguments in (["--help"], ["completion", "bash"]):
        with redirect_stdout(Gone()):
            assert start(arguments, die=lambda number: 128 + number) == 141


def test_the_shell_gets_its_completions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_ENVELOPE_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "envelope enc")
    monkeypatch.setenv("COMP_CWORD", "1")
    ended = run_cli()
    assert (ended.status, ended.out) == (0, b"plain,encrypt\n")


def test_a_closed_output_is_no_wish_for_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with Path(os.devnull).open("rb") as nothing, standing_for(1, nothing.fileno()):
        assert start(["completion", "bash"]) == 1
