"""Which file goes where: all of it is decided, and every mistake found, before the first one is read."""

# Paths are text here: a run can have a million, and a Path takes twice the memory and time.
# ruff: noqa: PTH100, PTH112, PTH116, PTH118, PTH119

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import click

from envelope.cli.target import is_ours

__all__ = ["STREAM", "Job", "Plan", "Selection", "planned"]

STREAM = "-"
"""Standard input as a source, standard output as a target."""


@dataclass(frozen=True, slots=True)
class Job:
    """One message to write or to open.

    Attributes:
        source: a path, or `STREAM`.
        target: a path, or `STREAM`; empty where nothing is written.
        size_bytes: of the source; 0 if it is not a regular file.
    """

    source: str
    target: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Plan:
    """All jobs of a run.

    Attributes:
        jobs: in the order of the inputs, and of names inside a directory.
        folders: empty directories of the inputs, as they are to be made.
        left_out: what was found in directories and is no file to read, each with the reason.
        unread: directories that cannot be listed, each with what the operating system said.
        is_tree: whether the run is about many files, even if there is only one of them today.
    """

    jobs: tuple[Job, ...]
    folders: tuple[str, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    unread: tuple[tuple[str, OSError], ...] = ()
    is_tree: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What is taken of a directory.

    Attributes:
        recursive: whether directories are read at all.
        include: patterns, of which a file has to match one if there are any.
        exclude: patterns of files and directories that are left out.
    """

    recursive: bool = False
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()

    def takes(self, path: str) -> bool:
        """Whether a file is read. A pattern with a slash is for the path below the input, another for the name."""
        return not self.drops(path) and (not self.include or _matches(path, self.include))

    def drops(self, path: str) -> bool:
        """Whether a file, or a directory with all that is in it, is left out."""
        return _matches(path, self.exclude)


def _matches(path: str, patterns: Sequence[str]) -> bool:
    name = os.path.basename(path)
    return any(fnmatchcase(path if "/" in pattern else name, pattern) for pattern in patterns)


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
    named: frozenset[str] = frozenset()


def planned(
    inputs: Sequence[str],
    output: str,
    selection: Selection,
    *,
    name_of: Callable[[str], str],
    kept: Sequence[str] = (),
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
        kept: files that no job may write to, and that are not read from directories.

    Raises:
        click.UsageError: they do not fit together.
    """
    sources = list(inputs) or [STREAM]
    found = _Found(selection, name_of, output, named=frozenset(sources) - {STREAM})
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
    return Plan(
        _checked(found, kept), tuple(found.folders), tuple(found.left_out), tuple(found.unread), is_tree=is_tree
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
    is_folder = output.endswith("/") or os.path.isdir(output)
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


def _add_file(found: _Found, source: str, path: str, size_bytes: int) -> None:
    folder, name = os.path.split(path)
    target = os.path.join(found.output, folder, found.name_of(name)) if found.output else ""
    found.jobs.append(Job(source, target, size_bytes))


def _walk(found: _Found, root: str, inner: str, output: os.stat_result | None) -> None:
    """Add what is in a directory, without OUTPUT if that is inside."""
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        inside: list[str] = []
        entries = _entries(found, os.path.join(root, folder) if folder else root)
        for entry in entries:
            path = os.path.join(folder, entry.name)
            if entry.is_dir(follow_symlinks=False):
                is_output = output is not None and os.path.samestat(entry.stat(follow_symlinks=False), output)
                if not is_output and not found.selection.drops(path):
                    inside.append(path)
            else:
                _add_entry(found, entry, path, inner)
        waiting += reversed(inside)
        if not entries and found.output and not found.selection.include:
            found.folders.append(os.path.join(found.output, inner, folder))


def _entries(found: _Found, folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        found.unread.append((folder, error))
        return []


def _add_entry(found: _Found, entry: os.DirEntry[str], path: str, inner: str) -> None:
    if is_ours(entry.name) or not found.selection.takes(path):
        return
    if entry.is_symlink():
        found.left_out.append((entry.path, "a symbolic link"))
    elif not entry.is_file():
        found.left_out.append((entry.path, "no regular file"))
    else:
        _add_file(found, entry.path, os.path.join(inner, path), _size(_status(entry.path)))


def _checked(found: _Found, kept: Sequence[str]) -> tuple[Job, ...]:
    """The jobs without those that would read what another one writes."""
    by_target: dict[str, Job] = {}
    for job in found.jobs:
        if job.source in found.named and any(same_file(job.source, path) for path in kept):
            raise click.UsageError(f"{job.source!r} is named as an input and as another file of this run")
    for job in _with_targets(found.jobs):
        other = by_target.setdefault(os.path.abspath(job.target), job)
        if other is not job:
            raise click.UsageError(f"{other.source!r} and {job.source!r} would both be written to {job.target!r}")
        if same_file(job.source, job.target):
            raise click.UsageError(f"source and destination are the same file: {job.source!r}")
        if any(same_file(job.target, path) for path in kept):
            raise click.UsageError(f"{job.target!r} is named as an output and as another file of this run")
    own = {os.path.abspath(path) for path in kept}
    for job in found.jobs:
        if job.source in found.named and by_target.get(os.path.abspath(job.source), job) is not job:
            raise click.UsageError(f"{job.source!r} is named as an input, and another one would be written to it")
    return tuple(job for job in found.jobs if job.source == STREAM or _is_read(job, by_target, own))


def _is_read(job: Job, by_target: Mapping[str, Job], kept: Set[str]) -> bool:
    source = os.path.abspath(job.source)
    return source not in kept and by_target.get(source, job) is job


def _with_targets(jobs: Sequence[Job]) -> Iterator[Job]:
    return (job for job in jobs if job.target and job.target != STREAM)


def same_file(source: str, target: str) -> bool:
    """Whether two paths are one file: by name, or by a hard or symbolic link. Devices are no files."""
    try:
        status = os.stat(source)
        return stat.S_ISREG(status.st_mode) and os.path.samestat(status, os.stat(target))
    except (OSError, ValueError):
        return os.path.abspath(source) == os.path.abspath(target) and source != STREAM
