"""Which file goes where: all of it is decided, and every mistake found, before the first one is read."""

# Paths are text here: a run can have a million, and a Path takes twice the memory and time.
# ruff: noqa: PTH100, PTH112, PTH116, PTH118, PTH119, PTH120

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import click

from envelope.cli.collisions import OtherFiles, without_collisions
from envelope.cli.plan import STREAM, Job, Plan
from envelope.cli.selection import Selection
from envelope.cli.target import is_ours

__all__ = ["planned"]

_NO_OTHERS = OtherFiles()


@dataclass(slots=True)
class _Found:
    """What comes together while inputs are walked."""

    selection: Selection
    name_of: Callable[[str], str]
    output: str
    jobs: list[Job] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    unread: list[tuple[str, OSError]] = field(default_factory=list)
    below: list[tuple[str, str]] = field(default_factory=list)


def planned(
    inputs: Sequence[str],
    output: str,
    selection: Selection,
    *,
    name_of: Callable[[str], str],
    others: OtherFiles = _NO_OTHERS,
) -> Plan:
    """The jobs for these inputs.

    One file goes to OUTPUT itself, or into it if that is a directory. The content of one directory goes into OUTPUT.
    Of several inputs each goes into OUTPUT, a directory under its own name. Names are literal: patterns are for the
    shell. Symbolic links given as inputs are followed, those inside directories are left out.

    Args:
        inputs: paths, or `STREAM`; none means `STREAM`.
        output: a path or `STREAM`; empty where nothing is written.
        selection: what is taken of directories.
        name_of: the name of the target for the name of a source.
        others: files of the run that no job may write to.

    Raises:
        click.UsageError: they do not fit together.
    """
    sources = list(inputs) or [STREAM]
    found = _Found(selection, name_of, output)
    if "" in sources:
        raise click.UsageError("an input has no name: - is standard input")
    if STREAM in sources and len(sources) > 1:
        raise click.UsageError("standard input cannot be read together with other inputs")
    statuses = [_status(source) for source in sources]
    for source, status in zip(sources, statuses, strict=True):
        if status is not None and stat.S_ISDIR(status.st_mode) and not selection.recursive:
            raise click.UsageError(f"{source!r} is a directory: -r reads directories")
    is_tree = len(sources) > 1 or (statuses[0] is not None and stat.S_ISDIR(statuses[0].st_mode))
    if is_tree and output:
        _check_folder(output)
    if is_tree:
        for source, status in zip(sources, statuses, strict=True):
            _add(found, source, status, is_alone=len(sources) == 1)
    else:
        found.jobs.append(Job(sources[0], _single_target(sources[0], output, name_of), _size(statuses[0])))
    jobs, not_read = without_collisions(found.jobs, others)
    return Plan(
        tuple(jobs),
        tuple(found.folders),
        left_out=(*found.left_out, *not_read),
        unread=tuple(found.unread),
        below=tuple(found.below),
        unfinished=_unfinished_beside(jobs) if is_tree and output else (),
        is_tree=is_tree,
    )


def _status(source: str) -> os.stat_result | None:
    """Of an input; None for standard input, and for one that is not there: reading it says so."""
    if source == STREAM:
        return None
    try:
        return os.stat(source)
    except (OSError, ValueError):
        return None


def _size(status: os.stat_result | None) -> int:
    return status.st_size if status is not None and stat.S_ISREG(status.st_mode) else 0


def _check_folder(output: str) -> None:
    if output == STREAM:
        raise click.UsageError("several messages cannot go to standard output: -o names a directory")
    if os.path.lexists(output) and not os.path.isdir(output):
        raise click.UsageError(f"{output!r} is not a directory: several messages need one")


def _single_target(source: str, output: str, name_of: Callable[[str], str]) -> str:
    is_folder = os.path.basename(output) in ("", ".", "..") or os.path.isdir(output)
    if not output or output == STREAM or not is_folder:
        return output
    if source == STREAM:
        raise click.UsageError(f"{output!r} is a directory: standard input needs the name of a file")
    return os.path.join(output, name_of(os.path.basename(source)))


def _add(found: _Found, source: str, status: os.stat_result | None, *, is_alone: bool) -> None:
    if status is not None and stat.S_ISDIR(status.st_mode):
        inner = "" if is_alone else os.path.basename(os.path.abspath(source))
        _walk(found, source, inner, os.stat(found.output) if os.path.isdir(found.output) else None)
    else:
        _add_file(found, source, os.path.basename(source), _size(status))


def _add_file(found: _Found, source: str, path: str, size_bytes: int, *, is_found: bool = False) -> None:
    folder, name = os.path.split(path)
    target = os.path.join(found.output, folder, found.name_of(name)) if found.output else ""
    found.jobs.append(Job(source, target, size_bytes, is_found))


def _walk(found: _Found, root: str, inner: str, output: os.stat_result | None) -> None:
    """Add what is in a directory, without OUTPUT if that is inside."""
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        entries = _entries(found, os.path.join(root, folder) if folder else root)
        inside: list[str] = []
        for entry in entries or ():
            path = os.path.join(folder, entry.name)
            if not entry.is_dir(follow_symlinks=False):
                _add_entry(found, entry, path, inner)
            elif output is not None and os.path.samestat(entry.stat(follow_symlinks=False), output):
                found.left_out.append((entry.path, "the output of this run"))
            elif not found.selection.drops(path, is_folder=True):
                inside.append(path)
        waiting += reversed(inside)
        _add_folder(found, os.path.join(root, folder), os.path.join(inner, folder), is_empty=entries == [])


def _add_folder(found: _Found, source: str, path: str, *, is_empty: bool) -> None:
    if not found.output:
        return
    target = os.path.join(found.output, path)
    if is_empty and not found.selection.include:
        found.folders.append(target)
    if path:
        found.below.append((source, target))


def _entries(found: _Found, folder: str) -> list[os.DirEntry[str]] | None:
    """What is in a directory, in the order of names; None if that cannot be said."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        found.unread.append((folder, error))
        return None


def _add_entry(found: _Found, entry: os.DirEntry[str], path: str, inner: str) -> None:
    if not found.selection.takes(path):
        return
    if is_ours(entry.name):
        found.left_out.append((entry.path, "an unfinished file of a run that was killed, or that goes on"))
    elif entry.is_symlink():
        found.left_out.append((entry.path, "a symbolic link"))
    elif not entry.is_file():
        found.left_out.append((entry.path, "no regular file"))
    else:
        _add_file(found, entry.path, os.path.join(inner, path), _size(_status(entry.path)), is_found=True)


def _unfinished_beside(jobs: Sequence[Job]) -> tuple[str, ...]:
    """Unfinished files in the directories that these jobs write to."""
    folders = {os.path.dirname(job.target): None for job in jobs}
    found: list[str] = []
    for folder in folders:
        try:
            with os.scandir(folder or ".") as entries:
                found += (os.path.join(folder, entry.name) for entry in entries if is_ours(entry.name))
        except OSError:  # it is not there yet, or whoever writes to it will tell
            continue
    return tuple(sorted(found))
