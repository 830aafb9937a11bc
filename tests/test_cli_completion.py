"""`envelope completion`: scripts that the shells take, and what they complete."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli_for_tests import environment, run_cli


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_is_printed(shell: str) -> None:
    ended = run_cli("completion", shell)
    assert (ended.status, ended.errors) == (0, "")
    assert b"_ENVELOPE_COMPLETE=" + shell.encode() + b"_complete" in ended.out


@pytest.mark.parametrize("shell", [name for name in ("bash", "zsh", "fish") if shutil.which(name)])
def test_the_shell_takes_its_script(shell: str) -> None:
    script = run_cli("completion", shell).out
    subprocess.run([shell, "-n"], input=script, check=True, timeout=60)


def test_another_shell_is_a_usage_error() -> None:
    assert run_cli("completion", "tcsh").status == 2


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("envelope ins", "plain,inspect"),
        ("envelope keys cr", "plain,create"),
        ("envelope inspect --dec", "plain,--decode"),
    ],
)
def test_commands_and_options_are_completed(tmp_path: Path, typed: str, completed: str) -> None:
    asking = {
        "_ENVELOPE_COMPLETE": "bash_complete",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(typed.count(" ")),
    }
    ended = subprocess.run(
        [sys.executable, "-c", "from envelope.cli import main; main([])"],
        env=environment(**asking),
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert completed in ended.stdout.decode().split()
