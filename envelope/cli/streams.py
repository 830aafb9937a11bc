"""The two ends of a message: a file or standard input, a target or standard output."""

# Paths are text here: a run can have a million, and a Path takes twice the memory and time.
# ruff: noqa: PTH113

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import sys
import threading
from collections.abc import Iterator
from io import FileIO, TextIOWrapper
from pathlib import Path

import click

from envelope.cli.plan import STREAM, Job, Plan
from envelope.cli.progress import Meter
from envelope.cli.target import TargetOptions, already_there, opened_target
from envelope.cli.whole_writes import write_whole
from envelope.replacement import translated_os_errors

__all__ = [
    "Sink",
    "Stopped",
    "Watch",
    "hold_standard_streams",
    "let_go_of_output",
    "named_output",
    "opened_sink",
    "opened_source",
    "refuse_existing",
    "refuse_terminal",
]


PIPE_BYTES = 1024 * 1024
"""What Linux lets everybody ask for; the default is a sixteenth of it."""
F_SETPIPE_SZ: int = getattr(fcntl, "F_SETPIPE_SZ", -1)  # only Linux has it; the others refuse -1


class Stopped(BaseException):
    """The run was interrupted while a thread was writing. No `Exception`: it is nobody's failure."""


class Watch:
    """Feeds the meter of a run with one job, and stops the job with the run.

    Args:
        meter: of the run.
        size_bytes: of the job's source: so much the meter has moved when the job is done, whatever was written.
        stop: set when the run was interrupted.

    Attributes:
        known: what the metadata say of the message if the job fails.
    """

    def __init__(self, meter: Meter, size_bytes: int, stop: threading.Event) -> None:
        self._meter = meter
        self._size_bytes = size_bytes
        self._stop = stop
        self.written_bytes = 0
        self.known: dict[str, object] = {}

    def add(self, count_bytes: int) -> None:
        """Bytes were written.

        Raises:
            Stopped: the run was interrupted.
        """
        if self._stop.is_set():
            raise Stopped
        self.written_bytes += count_bytes
        self._meter.add(count_bytes)

    def finish(self) -> None:
        """The job is done, or has failed."""
        if self._size_bytes:
            self._meter.add(self._size_bytes - self.written_bytes)


class Sink:
    """Takes everything that is written to it, and counts it.

    Attributes:
        is_replaced: whether it gets its name, or reaches anybody, only when the job has ended well.
    """

    def __init__(self, file: FileIO | None, watch: Watch, *, is_replaced: bool) -> None:
        self._file = file
        self._watch = watch
        self.is_replaced = is_replaced

    def write(self, data: memoryview | bytes) -> int:
        """Write all of it."""
        if self._file is not None:
            write_whole(self._file, data)
        self._watch.add(len(data))
        return len(data)


@contextlib.contextmanager
def opened_source(job: Job) -> Iterator[FileIO]:
    """The file of a job, or standard input, to read from.

    One that was found in a directory was a regular file then. In the meantime somebody else can have put a link there
    that leads out of the directory, or a pipe that would be waited for.

    Raises:
        StreamFailed: it cannot be opened.
    """
    with translated_os_errors("read", None if job.source == STREAM else Path(job.source)):
        if job.source == STREAM:
            file = _widened(FileIO(0, "r", closefd=False))
        else:
            file = FileIO(job.source, "r", opener=_open_found if job.is_found else None)
    with file:
        yield file


def _open_found(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "it is no regular file any more")


@contextlib.contextmanager
def opened_sink(target: str, options: TargetOptions, source: os.stat_result, watch: Watch) -> Iterator[Sink]:
    """A target, standard output, or nowhere if `target` is empty.

    Raises:
        StreamFailed: it cannot be written.
    """
    if not target:
        yield Sink(None, watch, is_replaced=True)
    elif target == STREAM:
        with translated_os_errors("write standard output"):
            yield Sink(_widened(FileIO(1, "w", closefd=False)), watch, is_replaced=False)
    else:
        with opened_target(target, options, source) as file:
            yield Sink(file, watch, is_replaced=stat.S_ISREG(os.fstat(file.fileno()).st_mode))


def _widened(file: FileIO) -> FileIO:
    """A standard stream; if it is a pipe and the system allows it, with room for some frames: twice as fast."""
    with contextlib.suppress(OSError):
        fcntl.fcntl(file, F_SETPIPE_SZ, PIPE_BYTES)
    return file


def hold_standard_streams() -> None:
    """Put something in the place of standard streams that the parent has closed.

    Otherwise the next file that is opened becomes standard output, and takes what is meant for that. What stands there
    now can neither be read as input nor written as output.
    """
    for number, flags in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)  # takes the lowest number that is free
    if sys.stderr is None:  # what Python makes of a closed one
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - as long as the process
    if sys.stdout is None:  # click would take it that nobody wants to know
        # Without a buffer, which would be written to whatever stands there later.
        sys.stdout = TextIOWrapper(FileIO(1, "w", closefd=False), write_through=True)


def let_go_of_output() -> bool:
    """Write what Python still holds for standard output; return whether all of it was taken.

    Where it was not, Python would try again when the process ends, and say that it could not.
    """
    try:
        sys.stdout.flush()
    except OSError:
        sys.stdout = None
        return False
    return True


def refuse_existing(plan: Plan, options: TargetOptions, *, skip_existing: bool) -> None:
    """Say that a file would be kept before a passphrase is asked for, if the run is about one file only.

    Raises:
        StreamFailed: it is there already.
    """
    if plan.is_tree or options.force or skip_existing:
        return
    for job in plan.jobs:
        if job.target not in ("", STREAM) and os.path.isfile(job.target):
            raise already_there(job.target)


def refuse_terminal(output: str | None, way_out: str) -> str:
    """Where output goes: as given, or to standard output unless that is a terminal and was not asked for.

    Raises:
        click.UsageError: somebody would look at binary data.
    """
    if output is None and os.isatty(1):
        raise click.UsageError(f"standard output is a terminal: {way_out}, or -o - if you mean it")
    return named_output(output)


def named_output(output: str | None) -> str:
    """Where output goes: as given, or to standard output.

    Raises:
        click.UsageError: the name is empty. A script with an unset variable must not lose what it encrypts.
    """
    if output == "":
        raise click.UsageError("-o is empty: it names a file, a directory, or - for standard output")
    return STREAM if output is None else output
