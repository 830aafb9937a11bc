"""Where output goes: beside the target first, and under its name when all of it was verified.

Not the library's way to replace files: that one flushes each file to the disk, which is most of the time of a tree of
small files. Here it is asked for with --fsync.
"""

# Paths are text here: a run can have a million, and a Path takes twice the memory and time.
# ruff: noqa: PTH103, PTH104, PTH108, PTH116, PTH118, PTH120

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from envelope.errors import StreamFailed
from envelope.replacement import translated_os_errors

__all__ = ["TargetOptions", "already_there", "is_ours", "opened_target", "remove_unfinished"]

PREFIX, SUFFIX = ".envelope-", ".partial"
"""Of the names of unfinished files. Only a kill -9 or a crash leaves one behind."""

_unfinished: set[str] = set()
"""For `remove_unfinished`: paths of what threads are writing now."""

_NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EACCES}


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetOptions:
    """How targets are written.

    Attributes:
        force: replace a file that is there.
        preserve: carry modification time and permission bits of the source over.
        fsync: flush each file and its directory to the disk before it counts as done.
        new_mode: permission bits of new files, less the umask.
    """

    force: bool = False
    preserve: bool = False
    fsync: bool = False
    new_mode: int = 0o666


def is_ours(name: str) -> bool:
    """Whether this is the name of an unfinished file."""
    return name.startswith(PREFIX) and name.endswith(SUFFIX)


def already_there(target: str) -> StreamFailed:
    """What is said of a file that is kept."""
    return StreamFailed(
        f"{target!r} exists already", hint="--force replaces it, --skip-existing leaves it and goes on with the others"
    )


def remove_unfinished() -> None:
    """Remove what threads that did not come to an end have left; nothing of it gets its name afterwards."""
    while _unfinished:
        with contextlib.suppress(OSError):
            os.unlink(_unfinished.pop())


@contextlib.contextmanager
def opened_target(target: str, options: TargetOptions, source: os.stat_result | None = None) -> Iterator[FileIO]:
    """A file to write to, which takes the place of `target` when the block ends well.

    A symbolic link is followed. A file that is replaced passes its permission bits on, unless those of the source are
    carried over. Pipes and devices are written directly. After any exception the target is as it was.

    Args:
        target: a path; directories that are missing above it are made.
        options: see there.
        source: of the file that is read, where there is one.

    Raises:
        StreamFailed: there is a file already, or the operating system refuses.
    """
    with translated_os_errors("write", Path(target)):
        present = _status(target)
        if present is not None and not stat.S_ISREG(present.st_mode):
            with FileIO(target, "w") as device:
                yield device
            return
        if present is not None and not options.force:
            raise already_there(target)
        mode = None if present is None else stat.S_IMODE(present.st_mode)
        model = source if options.preserve and source is not None and stat.S_ISREG(source.st_mode) else None
        yield from _replaced(os.path.realpath(target), options, mode, model)


def _status(target: str) -> os.stat_result | None:
    try:
        return os.stat(target)
    except FileNotFoundError:
        return None


def _replaced(target: str, options: TargetOptions, mode: int | None, model: os.stat_result | None) -> Iterator[FileIO]:
    folder = os.path.dirname(target)
    temporary = os.path.join(folder, f"{PREFIX}{os.urandom(8).hex()}{SUFFIX}")
    _unfinished.add(temporary)
    try:
        # Closed to others until it has the mode of the file that it replaces, or of its source.
        descriptor = _create(temporary, options.new_mode if mode is None and model is None else 0o600)
        with FileIO(descriptor, "w") as file:
            yield file
            _carry_over(file.fileno(), mode, model)
            if options.fsync:
                os.fsync(file.fileno())
        _name(temporary, target, replace=options.force)
    finally:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(temporary)
        _unfinished.discard(temporary)
    if options.fsync:
        _flush_directory(folder)


def _create(temporary: str, mode: int) -> int:
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
    try:
        return os.open(temporary, flags, mode)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(temporary), exist_ok=True)
        return os.open(temporary, flags, mode)


def _carry_over(descriptor: int, mode: int | None, model: os.stat_result | None) -> None:
    if model is not None:
        os.fchmod(descriptor, stat.S_IMODE(model.st_mode) & 0o777)  # never setuid: the owner is another one
        os.utime(descriptor, ns=(model.st_atime_ns, model.st_mtime_ns))
    elif mode is not None:
        os.fchmod(descriptor, mode)


def _name(temporary: str, target: str, *, replace: bool) -> None:
    """Give a finished file its name; a file that appeared there in the meantime is kept unless `replace`."""
    if not replace:
        try:
            os.link(temporary, target)
            return
        except FileExistsError as error:
            raise already_there(target) from error
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
    os.rename(temporary, target)


def _flush_directory(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
