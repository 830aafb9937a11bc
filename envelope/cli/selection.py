"""What is taken of a directory: --include and --exclude."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import click

__all__ = ["Selection"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What is taken of a directory.

    A pattern with a slash in it is for the path below the input, another one for the name. One that ends with a slash
    is for directories.

    Attributes:
        recursive: whether directories are read at all.
        include: patterns, of which a file has to match one if there are any.
        exclude: patterns of files and directories that are left out.

    Raises:
        click.UsageError: a pattern that matches nothing, whatever is there.
    """

    recursive: bool = False
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()

    def __post_init__(self) -> None:
        for option, patterns in (("--include", self.include), ("--exclude", self.exclude)):
            if any(not pattern.strip("/") for pattern in patterns):
                raise click.UsageError(f"{option} is empty: it needs a pattern like '*.log'")
        for pattern in self.include:
            if pattern.endswith("/"):
                raise click.UsageError(f"--include takes files, and {pattern!r} is for directories: '{pattern}*'")

    def takes(self, path: str) -> bool:
        """Whether a file is read."""
        return not self.drops(path) and (not self.include or _matches(path, self.include, is_folder=False))

    def drops(self, path: str, *, is_folder: bool = False) -> bool:
        """Whether a file, or a directory with all that is in it, is left out."""
        return _matches(path, self.exclude, is_folder=is_folder)


def _matches(path: str, patterns: Sequence[str], *, is_folder: bool) -> bool:
    name = posixpath.basename(path)
    for pattern in patterns:
        if pattern.endswith("/") and not is_folder:
            continue
        wanted = pattern.rstrip("/")
        if fnmatchcase(path if "/" in wanted else name, wanted.removeprefix("./").removeprefix("/")):
            return True
    return False
