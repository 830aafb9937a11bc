"""docs/secrets-cli.md: help texts are the real ones and fit on a screen, examples answer what they answer."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from envelope.cli.program import program
from envelope_secrets.cli import command as secrets
from tests.cli_for_tests import run_cli
from tests.transcript_places import local_environment
from tests.transcript_player import matches, play, steps_of

TEXT = (Path(__file__).parent.parent / "docs/secrets-cli.md").read_text()
HELP_TEXTS = dict(re.findall(r"(?ms)^```text\n\$ (envelope [^\n]*--help(?:-all)?)\n(.*?)^```$", TEXT))
EXAMPLES = "\n".join(re.findall(r"(?ms)^```console\n(.*?)^```$", TEXT))
COMMANDS = {
    **secrets.commands,
    **{
        f"{name} {below}": command
        for name, group in secrets.commands.items()
        if isinstance(group, click.Group)
        for below, command in group.commands.items()
    },
}
NAMES = ("", *COMMANDS)


@pytest.fixture(autouse=True)
def _a_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.parametrize("command", HELP_TEXTS)
def test_a_help_text_in_the_document_is_the_real_one(command: str) -> None:
    ended = run_cli(*command.split()[1:])
    assert (ended.status, ended.errors) == (0, "")
    assert HELP_TEXTS[command] == ended.out.decode()


def test_every_command_has_its_help_text_in_the_document() -> None:
    named = {command.rpartition(" --")[0] for command in HELP_TEXTS}
    assert named == {f"envelope secrets {name}".strip() for name in NAMES}


def test_the_overview_has_every_command() -> None:
    table = HELP_TEXTS["envelope secrets --help"].partition("Commands:\n")[2].partition("\n\n")[0]
    shown = [name.strip() for line in table.splitlines() for name in line.strip().partition("  ")[0].split(",")]
    assert sorted(shown) == sorted(secrets.list_commands(click.Context(secrets)))


def test_every_option_is_in_the_document() -> None:
    for command in COMMANDS.values():
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert any(opt in TEXT for opt in parameter.opts if opt.startswith("--")), parameter.opts


@pytest.mark.parametrize("name", NAMES)
def test_help_fits_on_a_screen_and_ends_with_two_examples(name: str) -> None:
    lines = run_cli("secrets", *name.split(), "--help").out.decode().splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 24
    assert lines[-3] == "  Examples:"
    for line in lines[-2:]:
        assert calls_in(line)


def calls_in(example: str) -> int:
    """How many calls of the command there are in an example; each of them has options that there are."""
    words = [word for word in shlex.split(example.replace("=$(", " ( ").replace(")", " ) "), comments=True) if word]
    parts: list[list[str]] = [[]]
    for word in words:
        if word in ("|", "(", ")"):
            parts.append([])
        else:
            parts[-1].append(word)
    calls = [part[part.index("envelope") + 1 :] for part in parts if "envelope" in part]
    for arguments in calls:
        parses(arguments if "export" not in arguments else [*arguments, "an-id"])
    return len(calls)


def parses(arguments: list[str]) -> None:
    context = click.Context(program)
    command: click.Command = program
    while isinstance(command, click.Group):
        name, found, arguments = command.resolve_command(context, arguments)
        assert found is not None, name
        command = found
    command.make_context(command.name, arguments)


def test_the_examples_answer_what_the_document_says(tmp_path: Path) -> None:
    environment = local_environment(tmp_path / "home")
    folder = tmp_path / "work"
    folder.mkdir()
    steps = list(steps_of(EXAMPLES))
    assert len(steps) == len(re.findall(r"^\$ ", EXAMPLES, re.MULTILINE))
    for step in steps:
        answered = play(step.command, folder, environment)
        assert matches(step.expected, answered), "\n".join([f"$ {step.command}", *answered])
