"""The configuration files: which there are, what may stand in them, and how they become defaults of options.

    keys = ["local:app"]              # for every command that has the option; -k on the command line wins
    region = "eu-west-1"

    [decrypt]                         # for one command
    max-length = 1048576

    [profiles.production]             # --profile production, or ENVELOPE_PROFILE: goes before the rest of its file
    keys = ["kms:arn:aws:kms:eu-west-1:111122223333:key/1234abcd"]

The project's file, ``envelope.toml`` in the working directory, goes before the user's,
``$XDG_CONFIG_HOME/envelope/config.toml``. ``--config FILE`` takes the place of both. Flags and environment variables go
before any file: this is what click calls its default map. Where a file has tables for the command ``keys``, the option
must be called ``key``.
"""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from envelope.cli.configuration_lines import line_of
from envelope.cli.printable import printable

__all__ = ["Configuration", "configuration_options", "find_files", "load", "user_file"]

PROJECT_FILE = "envelope.toml"
_MOST_BYTES = 1_048_576
_NOT_IN_FILES = frozenset({"config", "profile", "version", "help", "help_all"})
_KEY = f"{__name__}.given"

Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Configuration:
    """A configuration file, parsed."""

    path: Path
    text: str
    values: Values


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
            help="Configuration file, in the place of the project's and the user's.",
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


def user_file(environ: Mapping[str, str]) -> Path:
    """Where the user's file is, if there is one. Source: XDG Base Directory Specification."""
    folder = Path(environ.get("XDG_CONFIG_HOME", ""))
    return (folder if folder.is_absolute() else Path.home() / ".config") / "envelope" / "config.toml"


def find_files(config: Path | None, *, environ: Mapping[str, str], directory: Path) -> tuple[Configuration, ...]:
    """The files that count, the one that goes first at the front.

    Raises:
        click.UsageError: a file cannot be read, is no TOML, or is a project's file that somebody else has written.
    """
    if config is not None:
        return (_parsed(config, _content(config)),)
    found = []
    if (content := _content(directory / PROJECT_FILE, is_optional=True, is_checked=True)) is not None:
        found.append(_parsed(directory / PROJECT_FILE, content))
    if (content := _content(user_file(environ), is_optional=True)) is not None:
        found.append(_parsed(user_file(environ), content))
    return tuple(found)


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
        known.write(defaults, top)
        known.write(defaults, profiles.get(profile or "", {}))
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

    def has(self, option: str) -> bool:
        """Whether this command or one below has such an option."""
        return option in self.options or any(command.has(option) for command in self.commands.values())

    def takes_several(self, option: str) -> bool:
        """Whether the option can be repeated, here or in a command below."""
        own = self.options.get(option)
        return (own is not None and own.multiple) or any(c.takes_several(option) for c in self.commands.values())

    def check(self, file: Configuration, values: Values, where: tuple[str, ...]) -> None:
        """Raise `click.UsageError` for the first name that is neither an option nor a command."""
        for name, value in values.items():
            if isinstance(value, dict):
                if name not in self.commands:
                    raise _unknown(file, "command", name, where)
                self.commands[name].check(file, value, (*where, name))
            elif not self.has(name):
                raise _unknown(file, "option", name, where)
            elif isinstance(value, list) and not self.takes_several(name):
                raise _wrong(file, name, where, f"the option {name!r:.100} takes one value and no list")

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


def _content(path: Path, *, is_optional: bool = False, is_checked: bool = False) -> bytes | None:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            content = file.read(_MOST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        if is_optional:
            return None
        raise click.UsageError(f"there is no configuration file {str(path)!r}") from None
    except OSError as error:
        raise click.UsageError(f"cannot read the configuration file {str(path)!r}: {error.strerror}") from error
    if is_checked:
        _check_owner(path, status)
    if len(content) > _MOST_BYTES:
        raise click.UsageError(f"the configuration file {str(path)!r} has more than {_MOST_BYTES:,} bytes")
    return content


def _check_owner(path: Path, status: os.stat_result) -> None:
    """A project's file names the keys. In a folder of somebody else's it would have us encrypt to that somebody."""
    if status.st_uid in (0, os.geteuid()) and not status.st_mode & stat.S_IWOTH:
        return
    raise click.UsageError(
        f"{str(path)!r} belongs to somebody else, or everybody may write it: it is not used. "
        f"--config {PROJECT_FILE} uses it all the same, --config /dev/null goes without"
    )


def _parsed(path: Path, content: bytes | None) -> Configuration:
    try:
        text = (content or b"").decode()
        return Configuration(path, text, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise click.UsageError(printable(f"{str(path)!r} is no TOML: {_lower(str(error))}")) from error
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{str(path)!r} is no TOML: it is not UTF-8") from error


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
