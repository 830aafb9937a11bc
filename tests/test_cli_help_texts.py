"""Help fits on a screen of 80 columns and 24 lines, and ends with two examples that can be parsed."""

from __future__ import annotations

import shlex

import click
import pytest

from envelope.cli.program import program
from tests.cli_for_tests import run_cli

NAMES = (
    "inspect",
    "keys",
    "keys create",
    "keys list",
    "keys rotate",
    "keys export",
    "keys import",
    "doctor",
    "policy",
    "completion",
)


@pytest.mark.parametrize("name", NAMES)
def test_help_fits_on_a_screen_and_ends_with_two_examples(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    ended = run_cli(*name.split(), "--help")
    assert (ended.status, ended.errors) == (0, "")
    lines = ended.out.decode().splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 24
    assert lines[-3] == "  Examples:"
    for line in lines[-2:]:
        parses(line.strip())


def parses(example: str) -> None:
    """The words of an example up to a pipe or redirection are a call of the command, with options that there are."""
    words = shlex.split(example.replace('"$(', "").replace(')"', ""), comments=True)
    start = words.index("envelope") + 1
    ends = [position for position, word in enumerate(words) if word in ("|", ">", "3<file")]
    context = click.Context(program)
    command: click.Command = program
    arguments = words[start : ends[0] if ends else None]
    while isinstance(command, click.Group):
        name, found, arguments = command.resolve_command(context, arguments)
        assert found is not None, name
        command = found
    command.make_context(command.name, arguments)
