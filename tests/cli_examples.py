"""Examples in help texts: do they call commands that there are, with options that there are?"""

from __future__ import annotations

import shlex

import click

from envelope.cli.program import program


def parses(example: str) -> None:
    """The words of an example up to a pipe or redirection are a call of the command, with options that there are."""
    words = shlex.split(example.replace('"$(', "").replace(')"', ""), comments=True)
    start = words.index("envelope") + 1
    ends = [position for position, word in enumerate(words) if position > start and word in ("|", ">", "3<file")]
    context = click.Context(program)
    command: click.Command = program
    arguments = words[start : ends[0] if ends else None]
    while isinstance(command, click.Group):
        name, found, arguments = command.resolve_command(context, arguments)
        assert found is not None, name
        command = found
    command.make_context(command.name, arguments)
