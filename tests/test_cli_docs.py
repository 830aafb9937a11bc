"""docs/cli.md: its help texts are the real ones, and what its examples answer is what they answer."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from envelope.cli.program import ELSEWHERE, program
from tests.cli_for_tests import run_cli
from tests.transcript_places import command_environment
from tests.transcript_player import matches, play, steps_of

TEXT = (Path(__file__).parent.parent / "docs/cli.md").read_text()
HELP_TEXTS = dict(re.findall(r"(?ms)^```text\n\$ (envelope [^\n]*--help(?:-all)?)\n(.*?)^```$", TEXT))
EXAMPLES = "\n".join(re.findall(r"(?ms)^```console\n(.*?)^```$", TEXT))


@pytest.mark.parametrize("command", HELP_TEXTS)
def test_a_help_text_in_the_document_is_the_real_one(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    ended = run_cli(*command.split()[1:])
    assert (ended.status, ended.errors) == (0, "")
    assert HELP_TEXTS[command] == ended.out.decode()


def test_every_command_has_its_help_text_in_the_document() -> None:
    assert {*names_of(program, "envelope")} == {command.rpartition(" --")[0] for command in HELP_TEXTS}


def names_of(command: click.Command, name: str) -> list[str]:
    names = [name]
    if isinstance(command, click.Group):
        context = click.Context(command)
        for below in command.list_commands(context):
            if below in ELSEWHERE:  # their document is compared by tests of their own
                continue
            found = command.get_command(context, below)
            assert found is not None
            names += names_of(found, f"{name} {below}")
    return names


def test_every_option_is_in_the_document() -> None:
    context = click.Context(program)
    for name in program.list_commands(context):
        command = program.get_command(context, name)
        assert command is not None
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert any(opt in TEXT for opt in parameter.opts if opt.startswith("--")), parameter.opts


def test_the_examples_answer_what_the_document_says(tmp_path: Path) -> None:
    environment = command_environment(tmp_path / "home")
    folder = tmp_path / "work"
    folder.mkdir()
    steps = list(steps_of(EXAMPLES))
    assert len(steps) == EXAMPLES.count("$ envelope") + len(re.findall(r"^\$ (?!envelope)", EXAMPLES, re.MULTILINE))
    for step in steps:
        answered = play(step.command, folder, environment)
        assert matches(step.expected, answered), "\n".join([f"$ {step.command}", *answered])
