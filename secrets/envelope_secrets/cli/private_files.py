"""A file for an editor: one without a name, or in a directory that nobody else can look into.

The first is for editors that write into the file that they were given, where the system is Linux. The second is in
memory where there is a place for that.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from io import FileIO
from pathlib import Path

from envelope.errors import StreamFailed
from envelope.replacement import translated_os_errors
from envelope_secrets.cli.value_input import read_limited

__all__ = ["AnonymousFile", "PrivateFile", "anonymous_file", "private_file"]

PREFIX = ".envelope-edit-"
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - the directory in it is ours alone
MEMFD_CREATE: Callable[[str], int] | None = getattr(os, "memfd_create", None)
"""Of Linux alone. Its files are closed to programs that are started, and to everybody else."""


class AnonymousFile:
    """A file in memory that has no name anywhere; it ends with this process, whatever that ends with.

    Attributes:
        path: how another process of the same user opens it while this one is there. Not ``/dev/fd``, which is another
            file in each process, and which vim takes for a pipe.
    """

    is_in_memory = True

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.path = Path(f"/proc/{os.getpid()}/fd/{descriptor}")

    def write(self, content: bytes) -> None:
        """Put this into it, which must be empty."""
        with translated_os_errors("write the file for the editor"), open(self._descriptor, "wb", closefd=False) as file:
            file.write(content)

    def read(self, most_bytes: int) -> bytes:
        """What is in it now, at most so many bytes and one."""
        with translated_os_errors("read", self.path), FileIO(self._descriptor, "r", closefd=False) as file:
            file.seek(0)
            return read_limited(file, most_bytes)

    def close(self) -> None:
        os.close(self._descriptor)


def anonymous_file(*, make: Callable[[str], int] | None = MEMFD_CREATE) -> AnonymousFile | None:
    """A file without a name, mode 0600; None where the system has none, or none that an editor could open.

    Args:
        make: gives the descriptor of a new one, which no program that is started inherits.
    """
    if make is None:
        return None
    try:
        file = AnonymousFile(make("envelope-edit"))
    except OSError:  # a kernel that was built or told to refuse it
        return None
    if file.path.exists():
        file.path.chmod(0o600)
        return file
    file.close()  # /proc is not there, or shows the processes of another namespace
    return None


class PrivateFile:
    """A file that an editor may write, or replace.

    Attributes:
        path: where it is.
        is_in_memory: whether the system keeps it off the disks, but for swap.
    """

    def __init__(self, path: Path, *, is_in_memory: bool) -> None:
        self.path = path
        self.is_in_memory = is_in_memory

    def write(self, content: bytes) -> None:
        """Make it; mode 0600."""
        with translated_os_errors("write", self.path):
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)

    def read(self, most_bytes: int) -> bytes:
        """What stands under its name now, at most so many bytes and one.

        Raises:
            StreamFailed: nothing does, or no regular file.
        """
        with translated_os_errors("read", self.path), FileIO(self.path, "r", opener=_open_regular) as file:
            return read_limited(file, most_bytes)


def _open_regular(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "it is no regular file any more")


@contextlib.contextmanager
def private_file(name: str, environ: Mapping[str, str], *, memory: str = SHARED_MEMORY) -> Iterator[PrivateFile]:
    """A place for a file; it is gone, with all that an editor has left beside it, when the block ends.

    Args:
        name: of the file; its ending tells an editor what is in it.
        memory: a directory for everybody that is in memory.

    Raises:
        StreamFailed: it can be made nowhere, or not be removed.
    """
    places = [place for place in (environ.get("XDG_RUNTIME_DIR", ""), memory) if _is_usable(place)]
    with translated_os_errors("make a directory for the editor"):
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=next(iter(places), None)))  # mode 0700
    try:
        yield PrivateFile(folder / name, is_in_memory=bool(places))
    finally:
        _remove(folder)


def _is_usable(place: str) -> bool:
    return Path(place).is_absolute() and os.access(place, os.W_OK | os.X_OK) and Path(place).is_dir()


def _remove(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise StreamFailed(
            f"cannot remove {str(folder)!r}: {error.strerror}", hint="remove it: what was edited is in it"
        ) from error
