"""What the configuration files say, and how it becomes defaults of options.

    keys = ["local:app"]              # for every command that has the option; -k on the command line wins
    region = "eu-west-1"

    [decrypt]                         # for one command
    max-length = 1048576

    [profiles.production]             # --profile production, or ENVELOPE_PROFILE: goes before the rest of its file
    keys = ["kms:arn:aws:kms:eu-west-1:111122223333:key/1234abcd"]

The project's file, ``envelope.toml`` in the working directory, goes before the user's,
``$XDG_CONFIG_HOME/envelope/config.toml``, and may say less: see `envelope.cli.project_file`. ``--config FILE`` takes
the place of both. Flags and environment variables go before any file: this is what click calls its default map. Where
a file has tables for the command ``keys``, the option must be called ``key``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from envelope.cli.configuration_files import Configuration, Values, find_files
from envelope.cli.configuration_lines import line_of
from envelope.cli.printable import printable
from envelope.cli.project_file import ALLOWED, remember

__all__ = ["configuration_options", "load"]

_NOT_IN_FILES = frozenset({"config", "profile", "version", "help", "help_all"})
_KEY = f"{__name__}.given"

_NOT_FOR_PROJECTS = (
    "{name!r:.100} is not for a project's file, which comes along with whatever is checked out: "
    "put it into the user's file, or name this one with --config or ENVELOPE_CONFIG"
)


def configuration_options(command: Any) -> Any:
    """Add ``--config`` and ``--profile`` to the group; before its other options are read, they set its default map."""
    options = (
        click.option(
            "--config",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE",
            is_eager=True,
            expose_value=False,
            callback=_taken,
            help="Take this configuration file, and no other.",
        ),
        click.option(
            "--profile",
            metavar="NAME",
            is_eager=True,
            expose_value=False,
            callback=_taken,
            help="Profile in the configuration files.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _taken(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """Keep the value of one of the two; with both at hand, load the files."""
    given = context.meta.setdefault(_KEY, {})
    given[parameter.name] = value
    if len(given) == 2 and not context.resilient_parsing:
        files = find_files(given["config"], environ=os.environ, directory=Path.cwd())
        context.default_map = load(files, context, profile=given["profile"])
    return value


def load(files: Iterable[Configuration], context: click.Context, *, profile: str | None) -> Values:
    """The default map of the group of `context`.

    Raises:
        click.UsageError: an option or command that there is not, naming file, line and option; no such profile.
    """
    files = tuple(files)
    if profile is not None and not any(profile in _profiles(file) for file in files):
        named = " or ".join(repr(str(file.path)) for file in files) or "any file: there is none"
        raise click.UsageError(f"there is no profile {profile!r:.100} in {named}")
    if not files:
        return {}
    known = _Known.of(context.command, context)
    defaults: Values = {}
    for file in reversed(files):  # what goes first is written last
        profiles = _profiles(file)
        for name, values in profiles.items():
            known.check(file, values, (f"profiles.{name}",))
        top = {name: value for name, value in file.values.items() if name != "profiles"}
        known.check(file, top, ())
        chosen = (top, profiles.get(profile or "", {}))
        if file.is_project:
            remember(context, file.path, known.written({}, *chosen))
        known.written(defaults, *chosen)
    return defaults


@dataclass(frozen=True, slots=True)
class _Known:
    """The options of a command, by every name they have in a file, and its subcommands."""

    options: Mapping[str, click.Option]
    commands: Mapping[str, _Known]

    @classmethod
    def of(cls, command: click.Command, context: click.Context) -> _Known:
        commands = {}
        if isinstance(command, click.Group):
            listed = ((name, command.get_command(context, name)) for name in command.list_commands(context))
            commands = {name: cls.of(found, context) for name, found in listed if found is not None}
        return cls(dict(_names_of(command.params)), commands)

    def options_of(self, name: str) -> Iterator[click.Option]:
        """The options of this name, here and in the commands below."""
        if (own := self.options.get(name)) is not None:
            yield own
        for command in self.commands.values():
            yield from command.options_of(name)

    def check(self, file: Configuration, values: Values, where: tuple[str, ...]) -> None:
        """Raise `click.UsageError` for the first name that is neither an option nor a command."""
        for name, value in values.items():
            if isinstance(value, dict):
                if name not in self.commands:
                    raise _unknown(file, "command", name, where)
                self.commands[name].check(file, value, (*where, name))
            elif not (options := list(self.options_of(name))):
                raise _unknown(file, "option", name, where)
            elif file.is_project and not ALLOWED.issuperset(str(option.name) for option in options):
                raise _wrong(file, name, where, _NOT_FOR_PROJECTS.format(name=name))
            else:
                _check_value(file, name, where, value, options)

    def written(self, defaults: Values, *layers: Values) -> Values:
        """Put values over those that are there, the last ones on top; return the same mapping."""
        for values in layers:
            self.write(defaults, values)
        return defaults

    def write(self, defaults: Values, values: Values) -> None:
        """Put values over those that are there: first what is for all commands, then what is for one."""
        general = {name: value for name, value in values.items() if not isinstance(value, dict)}
        for name, value in general.items():
            if (option := self.options.get(name)) is not None:
                is_list = isinstance(value, list)
                defaults[str(option.name)] = [value] if option.multiple and not is_list else value
        for name, command in self.commands.items():
            below = defaults.setdefault(name, {})
            command.write(below, general)
            command.write(below, values.get(name, {}) if isinstance(values.get(name), dict) else {})


def _check_value(
    file: Configuration, name: str, where: tuple[str, ...], value: object, options: Iterable[click.Option]
) -> None:
    for option in options:
        if isinstance(value, list) and not option.multiple:
            raise _wrong(file, name, where, f"the option {name!r:.100} takes one value and no list")
        for one in value if isinstance(value, list) else [value]:
            if type(one) is not _python_type(option):
                raise _wrong(file, name, where, f"the option {name!r:.100} takes {_TYPES[_python_type(option)]}")
            try:
                option.type.convert(one, None, None)
            except click.BadParameter as error:
                raise _wrong(file, name, where, f"the option {name!r:.100}: {_lower(error.message)}") from error


_TYPES = {bool: "true or false", int: "a number without quotes", str: 'text in quotes: "..."'}


def _python_type(option: click.Option) -> type:
    if isinstance(option.type, click.types.BoolParamType):
        return bool
    return int if isinstance(option.type, click.types.IntParamType) else str


def _names_of(parameters: Iterable[click.Parameter]) -> Iterator[tuple[str, click.Option]]:
    """Every name of an option in a file: ``max-length``, ``max_length``."""
    for parameter in parameters:
        if isinstance(parameter, click.Option) and parameter.name not in _NOT_IN_FILES:
            for name in (*(opt[2:] for opt in parameter.opts if opt.startswith("--")), str(parameter.name)):
                yield name, parameter
                yield name.replace("-", "_"), parameter


def _profiles(file: Configuration) -> Mapping[str, Values]:
    profiles = file.values.get("profiles", {})
    if not isinstance(profiles, dict) or not all(isinstance(values, dict) for values in profiles.values()):
        raise click.UsageError(f"{str(file.path)!r}: profiles must be tables: [profiles.NAME]")
    return profiles


def _unknown(file: Configuration, what: str, name: str, where: tuple[str, ...]) -> click.UsageError:
    section = f" in [{'.'.join(where)}]" if where else ""
    return _wrong(file, name, where, f"there is no {what} {name!r:.100}{section}")


def _wrong(file: Configuration, name: str, where: tuple[str, ...], text: str) -> click.UsageError:
    number = line_of(file.text, where, name)
    line = "" if number is None else f", line {number}"
    return click.UsageError(printable(f"{str(file.path)!r}{line}: {text}"))


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
