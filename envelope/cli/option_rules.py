"""What holds for every option of every command, and so stands at none of them.

- Its environment variable is ``ENVELOPE_<COMMAND>_<OPTION>``: the words of the command, then the option's first long
  name. An option that has a variable for all commands, like ENVELOPE_REGION, has this one too, which goes first.
- A flag that something else has set, a file or a variable, is taken back by ``--no-`` before its name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

__all__ = ["apply_rules", "variables_of"]


def apply_rules(command: click.Command, words: tuple[str, ...]) -> None:
    """Give the options of a command and of those below it their variables, and its flags their ``--no-``.

    Args:
        command: with all its options.
        words: how it is called, like ``("envelope", "keys", "create")``.
    """
    taken = {opt for parameter in command.params for opt in parameter.opts}
    for option in command.params:
        if not isinstance(option, click.Option):
            continue
        option.envvar = list(variables_of(option, words))
        if _is_reversible(option) and _taken_back(option) not in taken:
            # The declarations of two packages stay what every user of click reads.
            option.__class__ = _Reversible
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            apply_rules(below, (*words, name))


def variables_of(option: click.Option, words: tuple[str, ...]) -> Iterator[str]:
    """The variables of an option of the command that is called by these words, the one that goes first at the front."""
    if not option.allow_from_autoenv:
        return
    yield "_".join((*words, _long_name(option))).replace("-", "_").upper()
    named = option.envvar or ()
    yield from (named,) if isinstance(named, str) else named


def _is_reversible(option: click.Option) -> bool:
    """Whether somebody else can have set it: it is a flag or counts, and files and variables may give it."""
    is_flag = option.is_bool_flag or option.count
    return is_flag and option.allow_from_autoenv and not option.secondary_opts and type(option) is click.Option


def _long_name(option: click.Option) -> str:
    return next(opt[2:] for opt in option.opts if opt.startswith("--"))


def _taken_back(option: click.Option) -> str:
    return f"--no-{_long_name(option)}"


class _Reversible(click.Option):
    """Takes ``--no-NAME`` too. Help texts leave that out: they must fit on a screen."""

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        super().add_to_parser(parser, ctx)
        nothing = 0 if self.count else False
        parser.add_option(obj=self, opts=[_taken_back(self)], dest=self.name, action="store_const", const=nothing)
