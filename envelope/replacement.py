"""Replace a file as a whole or not at all.

The new content is written beside the target, flushed to the disk and renamed over it, so that a reader, a crash or a
full disk never sees half of it.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from envelope.errors import InvalidArgument, StreamFailed

__all__ = ["check_path", "replacing", "translated_os_errors"]


def check_path(path: object, name: str) -> Path:
    """The path that a caller gave, as text or as a path object."""
    with contextlib.suppress(TypeError, UnicodeEncodeError):
        text = os.fspath(path)  # type: ignore[call-overload]  # whatever is no path raises
        if isinstance(text, str) and text and "\0" not in text:
            os.fsencode(text)
            return Path(text)
    raise InvalidArgument(
        f"{name} must be a path, not this {type(path).__name__}",
        hint="a str or a pathlib.Path, not empty, without NUL characters",
    )


@contextlib.contextmanager
def translated_os_errors(action: str, path: Path | None = None) -> Iterator[None]:
    """Turn an `OSError` of the block into `StreamFailed`."""
    try:
        yield
    except OSError as error:
        where = "" if path is None else f" {str(path)!r}"
        raise StreamFailed(
            f"cannot {action}{where}: {error.strerror or error}",
            hint="the operating system's own error is the cause of this one",
        ) from error


@contextlib.contextmanager
def replacing(target: Path, *, new_mode: int) -> Iterator[BinaryIO]:
    """A new file that takes the place of `target` when the block ends without an exception.

    A symbolic link is followed. A file that exists passes its permission bits on; a new one gets `new_mode`, less the
    umask. On any exception the target stays as it was and the temporary file is removed.
    """
    target = Path(os.path.realpath(target))
    mode = _present_mode(target)
    temporary = target.with_name(f".envelope-{os.urandom(8).hex()}.partial")
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, new_mode if mode is None else 0o600)
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            yield file
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_directory(target.parent)


def _present_mode(target: Path) -> int | None:
    try:
        status = target.stat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        raise InvalidArgument(
            f"{str(target)!r} exists and is not a regular file",
            hint="pipes and devices are written with encrypt_stream and decrypt_stream",
        )
    return stat.S_IMODE(status.st_mode)


def _sync_directory(directory: Path) -> None:
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except PermissionError:
        return  # a directory that may be written but not listed; the file has its new name already
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
