"""Where output goes: beside the target first, and under its name when all of it was verified.

Not the library's way to replace files: that one flushes each file to the disk, which is most of the time of a tree of
small files. Here it is asked for with --fsync.
"""

# Paths are text here: a run can have a million, and a Path takes twice the memory and time.
# ruff: noqa: PTH103, PTH104, PTH108, PTH114, PTH116, PTH118, PTH120

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from envelope.errors import StreamFailed
from envelope.replacement import translated_os_errors

__all__ = [
    "TargetOptions",
    "already_there",
    "carry_folder",
    "is_ours",
    "nothing_unfinished",
    "opened_target",
    "remove_unfinished",
]

PREFIX, SUFFIX = ".envelope-", ".partial"
"""Of the names of unfinished files. Only a kill -9 or a crash leaves one behind."""

PERMISSIONS = 0o777
"""Never setuid, setgid or the sticky bit: what is written is another file, perhaps of another owner."""

_unfinished: set[str] = set()
"""For `remove_unfinished`: paths of what threads are writing now."""

_beginning = threading.RLock()
"""Held while an unfinished file is made. Signal handlers take it in a thread that may have it already."""
_PATIENCE_S = 1.0

_NOT_A_FOLDER = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}
_NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EACCES}


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetOptions:
    """How targets are written.

    Attributes:
        force: replace a file that is there.
        preserve: carry times and permission bits of the source over.
        carried_bits: of the permission bits of a source, those that may be carried over.
        devices: write to pipes and devices that stand where a target is to be, and not only to regular files.
        fsync: flush each file and its directory to the disk before it counts as done.
        new_mode: permission bits of new files, less the umask.
    """

    force: bool = False
    preserve: bool = False
    carried_bits: int = PERMISSIONS
    devices: bool = True
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
        with contextlib.suppress(OSError, KeyError):  # another thread can be faster
            os.unlink(_unfinished.pop())


@contextlib.contextmanager
def nothing_unfinished() -> Iterator[None]:
    """In the block there is no unfinished file of this process, and no thread begins one: the process can end."""
    # A thread that holds it for longer waits for a file system, and would leave its file behind in any case.
    is_held = _beginning.acquire(timeout=_PATIENCE_S)
    try:
        remove_unfinished()
        yield
    finally:
        if is_held:
            _beginning.release()


@contextlib.contextmanager
def opened_target(target: str, options: TargetOptions, source: os.stat_result | None = None) -> Iterator[FileIO]:
    """A file to write to, which takes the place of `target` when the block ends well.

    A symbolic link is followed. A file that is replaced passes its permission bits on, unless those of the source are
    carried over. Pipes and devices are written directly, or refused. After any exception the target is as it was.

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
            if not options.devices:
                raise StreamFailed(f"{target!r} is no regular file", hint="a tree is written to files only: remove it")
            with FileIO(target, "w") as device:
                yield device
            return
        if present is not None and not options.force:
            raise already_there(target)
        if present is None and os.path.islink(target):  # whoever may write here would choose where this is written
            raise StreamFailed(f"{target!r} is a symbolic link that leads nowhere", hint="remove it")
        mode = None if present is None else present.st_mode & PERMISSIONS
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
    try:
        with _beginning:
            _unfinished.add(temporary)
            # Closed to others until it has the mode of the file that it replaces, or of its source.
            descriptor = _create(temporary, options.new_mode if mode is None and model is None else 0o600)
        with FileIO(descriptor, "w") as file:
            yield file
            if model is not None:
                os.fchmod(file.fileno(), model.st_mode & PERMISSIONS & options.carried_bits)
                os.utime(file.fileno(), ns=(model.st_atime_ns, model.st_mtime_ns))
            elif mode is not None and mode != os.fstat(file.fileno()).st_mode & PERMISSIONS:
                os.fchmod(file.fileno(), mode)  # some file systems have one mode for all, and refuse to set it
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
            if os.path.lexists(target):
                raise already_there(target) from error
    os.rename(temporary, target)


def _flush_directory(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def carry_folder(source: str, target: str, options: TargetOptions) -> None:
    """Carry times and permission bits of a directory over to another one, unless there is none, or a link.

    Raises:
        OSError: the operating system refuses.
    """
    try:
        descriptor = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _NOT_A_FOLDER:
            return
        raise
    try:
        model, present = os.stat(source), os.fstat(descriptor)
        if os.path.samestat(model, present):
            return
        # What a directory has of setgid comes from the one above it, and belongs to where it is.
        bits = model.st_mode & PERMISSIONS & options.carried_bits
        os.fchmod(descriptor, bits | (stat.S_IMODE(present.st_mode) & ~PERMISSIONS))
        os.utime(descriptor, ns=(model.st_atime_ns, model.st_mtime_ns))
    finally:
        os.close(descriptor)
