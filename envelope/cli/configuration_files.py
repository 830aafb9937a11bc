"""The configuration files that count: which there are, whose they are, and what stands in them."""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from envelope.cli.printable import printable
from envelope.cli.project_file import PROJECT_FILE

__all__ = ["Configuration", "find_files", "user_file"]

_MOST_BYTES = 1_048_576

Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Configuration:
    """A configuration file, parsed.

    Attributes:
        is_project: whether it counts because it is in the working directory, and not because anybody named it.
    """

    path: Path
    text: str
    values: Values
    is_project: bool = False


def user_file(environ: Mapping[str, str]) -> Path | None:
    """Where the user's file is, if there is one; None without a home. Source: XDG Base Directory Specification."""
    folder = Path(environ.get("XDG_CONFIG_HOME", ""))
    if not folder.is_absolute():
        try:
            folder = Path.home() / ".config"
        except RuntimeError:
            return None
    return folder / "envelope" / "config.toml"


def find_files(config: Path | None, *, environ: Mapping[str, str], directory: Path) -> tuple[Configuration, ...]:
    """The files that count, the one that goes first at the front.

    Raises:
        click.UsageError: a file cannot be read, is no TOML, or is a project's file that somebody else has written.
    """
    if config is not None:
        return (_parsed(config, _content(config)),)
    found = []
    project, user = directory / PROJECT_FILE, user_file(environ)
    if (content := _project_content(project)) is not None:
        found.append(_parsed(project, content, is_project=True))
    if user is not None and (content := _content(user, is_optional=True)) is not None:
        found.append(_parsed(user, content))
    return tuple(found)


def _content(path: Path, *, is_optional: bool = False) -> bytes | None:
    try:
        with path.open("rb") as file:
            return _limited(path, file.read(_MOST_BYTES + 1))
    except (FileNotFoundError, NotADirectoryError):
        if is_optional:
            return None
        raise click.UsageError(f"there is no configuration file {str(path)!r}") from None
    except OSError as error:
        raise _unreadable(path, error) from error


def _project_content(path: Path) -> bytes | None:
    """The content of a project's file, once it is known whose it is. A pipe of somebody's is not waited for."""
    try:
        link = path.lstat()
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _unreadable(path, error) from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        _check_owner(path, link, is_link=stat.S_ISLNK(link.st_mode))
        _check_owner(path, status)
        if not stat.S_ISREG(status.st_mode):
            raise click.UsageError(f"the configuration file {str(path)!r} is no regular file")
        try:
            return _limited(path, file.read(_MOST_BYTES + 1))
        except OSError as error:
            raise _unreadable(path, error) from error


def _limited(path: Path, content: bytes) -> bytes:
    if len(content) > _MOST_BYTES:
        raise click.UsageError(f"the configuration file {str(path)!r} has more than {_MOST_BYTES:,} bytes")
    return content


def _unreadable(path: Path, error: OSError) -> click.UsageError:
    return click.UsageError(f"cannot read the configuration file {str(path)!r}: {error.strerror}")


def _check_owner(path: Path, status: os.stat_result, *, is_link: bool = False) -> None:
    """A project's file names the keys. In a folder of somebody else's it would have us encrypt to that somebody."""
    if status.st_uid in (0, os.geteuid()) and (is_link or not status.st_mode & stat.S_IWOTH):
        return
    raise click.UsageError(
        f"{str(path)!r} belongs to somebody else, or everybody may write it: it is not used. "
        f"--config {PROJECT_FILE} uses it all the same, --config /dev/null goes without"
    )


def _parsed(path: Path, content: bytes | None, *, is_project: bool = False) -> Configuration:
    try:
        text = (content or b"").decode()
        return Configuration(path, text, tomllib.loads(text), is_project)
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{str(path)!r} is no TOML: it is not UTF-8") from error
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, brackets in thousands of brackets
        what = _lower(str(error)) if isinstance(error, tomllib.TOMLDecodeError) else "it is too large or too deep"
        raise click.UsageError(printable(f"{str(path)!r} is no TOML: {what}")) from error


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
