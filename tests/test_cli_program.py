"""The program around its commands: help, version, options that stand anywhere, what is loaded when."""

from __future__ import annotations

import io
import json
import os
import runpy
import signal
import subprocess
import sys
import threading
from contextlib import redirect_stderr
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import click
import pytest

from envelope import StreamFailed
from envelope.cli import main
from envelope.cli.program import COMMANDS, program, start
from envelope.cli.report import Report
from envelope.cli.signals import Interrupted, die_of, interruptible
from envelope.cli.streams import hold_standard_streams
from tests.cli_examples import parses
from tests.cli_for_tests import AES, environment, make_keys, run_cli

LONG = ("encrypt", "decrypt", "verify", "rekey")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    make_keys(tmp_path)
    return tmp_path


def test_the_version_is_that_of_the_distribution() -> None:
    expected = f"envelope {metadata.version('envelope-kms')}\n".encode()
    assert run_cli("--version").out == run_cli("-q", "--version").out == expected


def test_a_program_that_is_not_installed_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    assert run_cli("--version").out == b"envelope (not installed)\n"


def test_without_its_extra_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "click", None)
    ended = run_cli("encrypt")
    assert ended.status == 2
    assert ended.errors.splitlines() == [
        "envelope: error: the command needs its extra",
        "envelope: hint: pip install 'envelope-kms[cli]'; in a checkout: pip install '.[cli]'",
    ]


def test_arguments_come_from_the_process(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["envelope", "--version"])
    assert main() == 0
    assert capsys.readouterr().out.startswith("envelope ")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_is_there_and_has_help(name: str) -> None:
    ended = run_cli(name, "--help")
    assert (ended.status, ended.errors) == (0, "")
    assert ended.out.startswith(f"Usage: envelope {name}".encode())


@pytest.mark.parametrize("name", [*LONG, None])
def test_help_fits_on_a_screen_and_ends_with_two_examples(name: str | None) -> None:
    lines = run_cli(*filter(None, [name]), "--help").out.decode().splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= (32 if name is None else 24)  # the program shows a line for each command
    assert lines[-3].strip() == "Examples:"
    assert all(line.startswith("    ") and f"envelope {name or ''}" in line for line in lines[-2:])
    for line in lines[-2:]:
        parses(line.strip())


@pytest.mark.parametrize("name", LONG)
def test_help_all_shows_every_option(name: str) -> None:
    command = program.get_command(click.Context(program), name)
    assert command is not None
    shown = run_cli(name, "--help-all").out.decode()
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.opts[-1] in shown


def test_the_version_needs_no_click_and_commands_no_boto3_or_rich() -> None:
    code = """
import contextlib, io, os, sys
from pathlib import Path
from envelope.cli import main
with contextlib.redirect_stdout(io.StringIO()):
    assert main(["--version"]) == 0
    assert not {"click", "rich", "boto3", "botocore"} & sys.modules.keys()
    assert main(["encrypt", "--help"]) == 0
    Path("in").write_bytes(b"x")
    Path("key").write_bytes(bytes(32))
    assert main(["encrypt", "in", "-o", "out", "-k", "aes:tests/one@key"]) == 0
assert not {"rich", "boto3", "botocore", "asyncio"} & sys.modules.keys(), sys.modules.keys()
"""
    in_new_process(code)


def in_new_process(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True, env=environment(), timeout=60)


@pytest.mark.parametrize("package", ["envelope", "envelope.cli"])
def test_the_package_runs_as_a_program(
    package: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["envelope", "--version"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(package, run_name="__main__")
    assert not ended.value.code
    assert capsys.readouterr().out.startswith("envelope ")


def test_importing_the_library_loads_no_command() -> None:
    in_new_process("import envelope, sys; assert not {'envelope.cli', 'click'} & sys.modules.keys()")


def test_an_unknown_command_or_option_is_wrong_usage() -> None:
    for arguments in (("frobnicate",), ("encrypt", "--frobnicate"), ("--frobnicate",)):
        ended = run_cli(*arguments)
        assert ended.status == 2
        assert ended.errors.startswith("envelope: error: no such ")


@pytest.mark.parametrize("before", [True, False])
def test_options_of_the_program_stand_before_or_behind_the_command(before: bool) -> None:
    arguments = ["verify", "gone", "-k", AES]
    ended = run_cli(*(["--json", *arguments] if before else [*arguments, "--json"]))
    assert json.loads(ended.errors)["exit_code"] == ended.status == 1
    assert "Traceback" not in run_cli("-v", *arguments).errors
    assert "Traceback" in run_cli("-v", *arguments, "-v", "-v").errors


def test_wrong_usage_is_said_as_json_too() -> None:
    assert json.loads(run_cli("encrypt", "--frobnicate", "--json").errors)["exit_code"] == 2
    assert json.loads(run_cli("--log-json", "frobnicate").errors)["level"] == "error"


def test_options_of_a_command_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVELOPE_ENCRYPT_KEY", AES)
    monkeypatch.setenv("ENVELOPE_ENCRYPT_ARMOR", "1")
    assert run_cli("encrypt", stdin=b"x").out.startswith(b"-----BEGIN")


def test_the_configuration_reaches_the_commands() -> None:
    Path("envelope.toml").write_text(f'keys = ["{AES}"]\n[encrypt]\narmor = true\n')
    message = run_cli("encrypt", stdin=b"x").out
    assert run_cli("decrypt", stdin=message).out == b"x"


def test_a_bug_is_an_error_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("envelope.cli.encrypt.ends_of", lambda *_, **__: 1 / 0)
    ended = run_cli("encrypt", "-o", "out", "-k", AES)
    assert ended.status == 1
    assert ended.errors.startswith("envelope: error: unexpected ZeroDivisionError\n")


def test_a_signal_ends_the_program_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("envelope.cli.encrypt.ends_of", interrupted)
    died: list[int] = []

    def die(number: int) -> int:
        died.append(number)
        return 128 + number

    before = signal.getsignal(signal.SIGTERM)
    assert start(["encrypt", "-o", "out", "-k", AES], die=die) == 143
    assert died == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_broken_pipe_ends_the_program_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise StreamFailed("cannot write") from BrokenPipeError()

    monkeypatch.setattr("envelope.cli.encrypt.ends_of", broken)
    errors = io.StringIO()
    with redirect_stderr(errors):
        assert start(["encrypt", "-o", "out", "-k", AES], die=lambda number: 128 + number) == 141
    assert errors.getvalue() == ""


def test_dying_of_a_signal_takes_the_handler_away_first() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    seen: list[object] = []
    try:
        signal.signal(signal.SIGUSR1, lambda *_: None)
        status = die_of(signal.SIGUSR1, kill=lambda process, number: seen.append((process, signal.getsignal(number))))
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert status == 128 + signal.SIGUSR1
    assert seen == [(os.getpid(), signal.SIG_DFL)]


def test_a_second_signal_ends_the_process_at_once() -> None:
    died: list[int] = []

    def die(number: int) -> int:
        died.append(number)
        return 128 + number

    with interruptible(die=die):
        with pytest.raises(Interrupted, match="SIGINT"):
            signal.raise_signal(signal.SIGINT)
        assert not died
        signal.raise_signal(signal.SIGQUIT)
        assert died == [signal.SIGQUIT]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_program_dies_before_the_handlers_of_others_are_back(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []

    def die(number: int) -> int:
        seen.append(signal.getsignal(signal.SIGINT))
        return 128 + number

    monkeypatch.setattr("envelope.cli.encrypt.ends_of", lambda *_, **__: signal.raise_signal(signal.SIGINT))
    assert start(["encrypt", "-o", "out", "-k", AES], die=die) == 130
    assert seen != [signal.default_int_handler]


def test_a_signal_that_the_parent_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptible():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_other_threads_leave_signals_alone() -> None:
    seen: list[object] = []

    def run() -> None:
        with interruptible():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]


def test_standard_streams_that_are_closed_do_not_become_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    saved = [os.dup(number) for number in (0, 1)]
    try:
        os.close(0)
        os.close(1)
        hold_standard_streams()
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.read(0, 1)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.write(1, b"x")
    finally:
        for number, copy in enumerate(saved):
            os.dup2(copy, number)
            os.close(copy)
    assert sys.stderr is not None
    sys.stderr.close()


def test_a_closed_output_is_a_failure_and_no_file_takes_its_place() -> None:
    Path("in").write_bytes(b"x")
    command = f"{sys.executable} -m envelope.cli encrypt in -k {AES}"
    script = f"{command} >&-; echo $?; {command} -o out >&- 2>&- <&-; echo $?"
    ended = subprocess.run(["/bin/bash", "-c", script], check=True, env=environment(), capture_output=True, timeout=60)
    assert ended.stdout == b"1\n0\n"
    assert b"envelope: error: cannot write" in ended.stderr
    assert run_cli("verify", "out", "-k", AES).status == 0


def test_what_is_said_has_a_time_when_it_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(log_json=True, clock=lambda: datetime(2024, 5, 6, tzinfo=UTC))
    report.step("done", "text", input="in")
    assert json.loads(capsys.readouterr().err) == {
        "time": "2024-05-06T00:00:00+00:00",
        "level": "info",
        "event": "done",
        "input": "in",
    }
