"""Reading from and writing to whatever the caller calls a binary file.

Any object with `readinto` or `read`, or with `write`, will do: files, pipes, sockets' files, bodies of HTTP responses.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable
from typing import Any

from envelope.errors import EnvelopeError, InvalidArgument, StreamFailed
from envelope.replacement import translated_os_errors

__all__ = ["as_view", "checked_reader", "checked_writer", "fill", "rest_in_memory"]

_OTHER_THINGS = (io.TextIOBase, str, bytes, type)
_LOCAL_FILES = (io.BufferedReader, io.BufferedRandom, io.FileIO, io.BytesIO)

ReadInto = Callable[[memoryview], int]
WriteAll = Callable[[memoryview], None]


def as_view(data: object, name: str) -> memoryview:
    """The bytes of a bytes-like object, or `InvalidArgument`; text is refused."""
    if isinstance(data, str):
        hint = (
            "base64.b64decode(text), if it was encoded so" if name == "message" else "encode text first: text.encode()"
        )
        raise InvalidArgument(f"{name} must be bytes, not str", hint=hint)
    try:
        return memoryview(data).cast("B")  # type: ignore[arg-type]  # whatever has no buffer raises
    except (TypeError, BufferError, ValueError) as error:
        raise InvalidArgument(f"{name} must be bytes or a contiguous buffer, not {type(data).__name__}") from error


def checked_reader(file: Any, name: str) -> ReadInto:
    """A function that reads some bytes of `file` into a view and returns how many; 0 at the end."""
    _refuse_other_things(file, name)
    for method in ("readinto1", "readinto"):
        # The methods that a class inherits from io.BufferedIOBase call read1 or read and copy.
        inherited = getattr(type(file), method, None) is getattr(io.BufferedIOBase, method)
        read_into = getattr(file, method, None)
        if callable(read_into) and not inherited:
            return lambda view: _checked_count(_call("read", read_into, view), len(view), name)
    read = getattr(file, "read", None)
    if callable(read):
        return lambda view: _copy_read(_call("read", read, len(view)), view, name)
    raise InvalidArgument(
        f"{name} must be a binary file to read from, not {type(file).__name__}",
        hint='open(path, "rb"), or io.BytesIO(data)',
    )


def checked_writer(file: Any, name: str) -> WriteAll:
    """A function that writes a whole view to `file`."""
    _refuse_other_things(file, name)
    write = getattr(file, "write", None)
    if not callable(write):
        raise InvalidArgument(
            f"{name} must be a binary file to write to, not {type(file).__name__}",
            hint='open(path, "wb"), or io.BytesIO()',
        )
    is_raw = isinstance(file, io.RawIOBase)
    return lambda view: _write_all(write, view, is_raw, name)


def seekable_extent(file: Any, name: str) -> tuple[int, int]:
    """Where a seekable file stands and where it ends; it stands there again afterwards.

    Raises:
        InvalidArgument: it cannot seek.
    """
    can_seek = getattr(file, "seekable", lambda: callable(getattr(file, "seek", None)))
    if isinstance(file, _OTHER_THINGS) or not _call("seek", lambda _: can_seek(), None):
        raise InvalidArgument(
            f"{name} must be a binary file that can seek", hint="a pipe or a response body has to be saved first"
        )
    start = _call("seek", lambda _: file.tell(), None)
    end = _call("seek", lambda _: file.seek(0, io.SEEK_END), None)
    if type(start) is not int or type(end) is not int:
        raise InvalidArgument(f"{name} does not say where it stands")
    seek(file, start)
    return start, end


def known_length(file: Any) -> int | None:
    """How many bytes a file on disk or in memory has left; None for everything else. It may get more or fewer.

    Only where it costs nothing: a compressed or remote file would be read to its end for it.
    """
    raw = getattr(file, "raw", file)
    is_local = type(file) in _LOCAL_FILES and type(raw) in (io.FileIO, io.BytesIO)
    if not is_local or file.closed or not file.seekable():
        return None
    try:
        start, end = seekable_extent(file, "source")
    except StreamFailed:  # some files of /proc can seek, but not to an end
        return None
    if end == 0 and type(raw) is io.FileIO and not _is_on_disk(raw):
        return None
    return max(end - start, 0)


def _is_on_disk(file: io.FileIO) -> bool:
    """Whether a file that says it is empty can be believed: a device, and a file of /proc, has bytes all the same."""
    with translated_os_errors("look at the file"):
        is_regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
        return is_regular and os.fstatvfs(file.fileno()).f_blocks > 0


def rest_in_memory(file: Any) -> memoryview | None:
    """What is left of an `io.BytesIO`, read without a copy; None for every other file, which stays as it is.

    `getvalue` shares its bytes, and a file that is written to meanwhile takes a copy: they stay what they were.
    """
    if type(file) is not io.BytesIO:
        return None
    return _call("read", _shared_rest, file)  # type: ignore[no-any-return]


def _shared_rest(file: io.BytesIO) -> memoryview:
    start = file.tell()
    rest = memoryview(file.getvalue())[start:]
    file.seek(start + len(rest))
    return rest


def seek(file: Any, offset: int) -> None:
    """Let a file stand at an offset."""
    _call("seek", file.seek, offset)


def fill(read_into: ReadInto, view: memoryview) -> int:
    """Read until the view is full or the file ends; return how many bytes there are."""
    filled = 0
    while filled < len(view):
        count = read_into(view[filled:])
        if count == 0:
            break
        filled += count
    return filled


def _refuse_other_things(file: Any, name: str) -> None:
    if isinstance(file, _OTHER_THINGS):
        raise InvalidArgument(
            f"{name} must be a binary file, not {type(file).__name__}",
            hint='open files with "rb" or "wb"; encrypt_file takes paths, encrypt takes bytes',
        )


def _call(action: str, method: Callable[[Any], Any], argument: object) -> Any:
    """Call a method of a file of anybody's, whose exceptions can be anything."""
    with translated_os_errors(action):
        try:
            return method(argument)
        except io.UnsupportedOperation as error:
            raise StreamFailed(f"cannot {action}: the file is not open for that") from error
        except (OSError, EnvelopeError):
            raise
        except ValueError as error:  # what closed files raise
            raise StreamFailed(f"cannot {action}: the file is closed") from error
        except Exception as error:
            raise StreamFailed(f"cannot {action}: {type(error).__name__}", hint="the cause is chained") from error


def _checked_count(count: object, most: int, name: str) -> int:
    if count is None:
        raise _non_blocking(name)
    if type(count) is not int or not 0 <= count <= most:
        raise StreamFailed(f"{name} does not say how many of {most:,} bytes it read")
    return count


def _copy_read(data: object, view: memoryview, name: str) -> int:
    if data is None:
        raise _non_blocking(name)
    source = as_view(data, f"what {name}.read returns")
    if len(source) > len(view):
        raise StreamFailed(f"{name} read {len(source):,} bytes where {len(view):,} were asked for")
    view[: len(source)] = source
    return len(source)


def _write_all(write: Callable[[memoryview], object], view: memoryview, is_raw: bool, name: str) -> None:
    while len(view):
        count = _call("write", write, view)
        if count is None:
            if is_raw:
                raise _non_blocking(name)
            return  # many writers return nothing and have taken all
        if type(count) is not int or count <= 0:
            raise StreamFailed(f"{name} does not say how many of {len(view):,} bytes it took")
        view = view[count:]  # a writer that encodes may have counted more


def _non_blocking(name: str) -> StreamFailed:
    return StreamFailed(f"{name} is not in blocking mode and had nothing", hint="make it blocking")
