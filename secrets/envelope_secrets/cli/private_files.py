"""A file for an editor: in a directory that nobody else can look into, in memory where there is such a place."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from io import FileIO
from pathlib import Path

from envelope.errors import StreamFailed
from envelope.replacement import translated_os_errors
from envelope_secrets.cli.value_input import read_limited

__all__ = ["PrivateFile", "private_file"]

PREFIX = ".envelope-edit-"
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - the directory in it is ours alone


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
