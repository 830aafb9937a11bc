"""Files that a run would both read and write, or write twice: found before anything is written.

By their real paths: a symbolic link in OUTPUT can lead to any other file of the run.
"""

# Paths are text here: a run can have a million, and a Path takes twice the memory and time.
# ruff: noqa: PTH100, PTH110, PTH114, PTH116, PTH118

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import click

from envelope.cli.plan import STREAM, Job

__all__ = ["OtherFiles", "same_file", "without_collisions"]

LeftOut = list[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherFiles:
    """Files of a run that are neither its source nor its target. No job may write to them.

    Attributes:
        own: are not read from directories either; naming one as an input is an error.
        guarded: may be read like any other.
        are_on_output: whether one of them is standard output.
    """

    own: Sequence[str] = ()
    guarded: Sequence[str] = ()
    are_on_output: bool = False


def without_collisions(jobs: Sequence[Job], others: OtherFiles) -> tuple[list[Job], LeftOut]:
    """The jobs without those that would read what the run itself writes, and what these would have read.

    Left out is only what stands, by its name, where the run writes anyway, as in a directory that is encrypted into
    itself for the second time.

    Raises:
        click.UsageError: two jobs with one target, a target that is an input or another file of the run, and an input
            that is another file of the run.
    """
    _check_streams(jobs, others)
    _check_own(jobs, others)
    true_path = _true_paths()
    sources = {job.source: true_path(job.source, may_be_link=not job.is_found) for job in jobs if job.source != STREAM}
    writers = _writers(jobs, others, sources, true_path)
    own = {os.path.realpath(path) for path in others.own}
    reads: list[Job] = []
    left_out: LeftOut = []
    for job in jobs:
        if sources.get(job.source) in own:
            left_out.append((job.source, "another file of this run"))
        elif _is_written(job, writers, sources):
            left_out.append((job.source, "this run writes it"))
        else:
            reads.append(job)
    return reads, left_out


class _TruePath(Protocol):
    def __call__(self, path: str, *, may_be_link: bool = True) -> str:
        """The path without symbolic links; `may_be_link` is whether the last part of it can be one."""
        ...


def _true_paths() -> _TruePath:
    """A function that looks up the links of each directory once."""
    true_folder = cache(os.path.realpath)

    def true_path(path: str, *, may_be_link: bool = True) -> str:
        folder, name = os.path.split(path)
        if name in ("", ".", "..") or (may_be_link and os.path.islink(path)):
            return os.path.realpath(path)
        return os.path.join(true_folder(folder or "."), name)

    return true_path


def _check_streams(jobs: Sequence[Job], others: OtherFiles) -> None:
    """Standard input and output can be files: what is added to the file that is read would be read for ever."""
    output, is_output = _mark(1), others.are_on_output
    own, guarded = _Files(others.own), _Files(others.guarded)
    for job in jobs:
        if STREAM not in (job.source, job.target) and not is_output:
            continue
        if job.source == STREAM and own.are_marked(_mark(0)):
            raise click.UsageError("standard input is another file of this run")
        if job.target == STREAM and (own.are_marked(output) or guarded.are_marked(output)):
            raise click.UsageError("standard output is another file of this run")
        source = _mark(0 if job.source == STREAM else job.source)
        target = None if job.target in ("", STREAM) else _mark(job.target)
        if source is not None and source in (target, output if is_output or job.target == STREAM else None):
            raise click.UsageError(f"source and destination are the same file: {job.source!r}")


def _check_own(jobs: Sequence[Job], others: OtherFiles) -> None:
    for job in jobs:
        if job.source != STREAM and not job.is_found and any(same_file(job.source, path) for path in others.own):
            raise click.UsageError(f"{job.source!r} is named as an input and as another file of this run")


def _writers(
    jobs: Sequence[Job], others: OtherFiles, sources: Mapping[str, str], true_path: _TruePath
) -> dict[str, Job]:
    """Which job writes to which real path.

    Args:
        sources: the real path of each source.
    """
    writers: dict[str, Job] = {}
    kept = _Files((*others.own, *others.guarded))
    for job in _with_targets(jobs):
        other = writers.setdefault(true_path(job.target), job)
        if other is not job:
            raise click.UsageError(f"{other.source!r} and {job.source!r} would both be written to {job.target!r}")
        if same_file(job.source, job.target):
            raise click.UsageError(f"source and destination are the same file: {job.source!r}")
        if kept.has(job.target):
            raise click.UsageError(f"{job.target!r} is named as an output and as another file of this run")
    for job in jobs:
        writer = _writer_of(job, writers, sources)
        if writer is not job and not (job.is_found and os.path.abspath(writer.target) == os.path.abspath(job.source)):
            raise click.UsageError(f"{job.source!r} is an input, and {writer.source!r} would be written to it")
    return writers


def _writer_of(job: Job, writers: Mapping[str, Job], sources: Mapping[str, str]) -> Job:
    """The job that writes what this one reads; itself where there is none."""
    return writers.get(sources.get(job.source, ""), job)


def _is_written(job: Job, writers: Mapping[str, Job], sources: Mapping[str, str]) -> bool:
    """Whether a job that is done itself writes what this one reads."""
    writer = _writer_of(job, writers, sources)
    return writer is not job and not _is_written(writer, writers, sources)


class _Files:
    """Some files, by which path ever they are named."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths: Set[str] = {os.path.realpath(path) for path in paths}
        self._marks = {mark for path in paths if (mark := _mark(path)) is not None}

    def are_marked(self, mark: tuple[int, int] | None) -> bool:
        """Whether one of them is the file of this mark."""
        return mark in self._marks

    def has(self, path: str) -> bool:
        """Whether a path leads to one of them, or would if they existed."""
        if not self._paths:
            return False
        if os.path.exists(path):
            return _mark(path) in self._marks
        return os.path.realpath(path) in self._paths


def _mark(path: str | int) -> tuple[int, int] | None:
    """What tells one regular file from all others, by its path or descriptor; None for what is none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISREG(status.st_mode) else None


def _with_targets(jobs: Sequence[Job]) -> Iterator[Job]:
    return (job for job in jobs if job.target and job.target != STREAM)


def same_file(source: str, target: str) -> bool:
    """Whether two paths are one file: by name, or by a hard or symbolic link. Devices are no files."""
    try:
        status = os.stat(target)
    except (OSError, ValueError):
        is_one = not os.path.exists(source) and os.path.abspath(source) == os.path.abspath(target)
        return is_one and source != STREAM
    return stat.S_ISREG(status.st_mode) and _mark(source) == (status.st_dev, status.st_ino)
