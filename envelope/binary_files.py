"""Reading from and writing to whatever the caller calls a binary file.

Any object with `readinto` or `read`, or with `write`, will do: files, pipes, sockets' files, bodies of HTTP responses.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from envelope.errors import InvalidArgument, StreamFailed
from envelope.replacement import translated_os_errors

__all__ = ["as_view", "checked_reader", "checked_writer", "fill"]

ReadInto = Callable[[memoryview], int]
WriteAll = Callable[[memoryview], None]


def as_view(data: object, name: str) -> memoryview:
    """The bytes of a bytes-like object, or `InvalidArgument`; text is refused."""
    if isinstance(data, str):
        raise InvalidArgument(f"{name} must be bytes, not str", hint="encode text first: text.encode()")
    try:
        return memoryview(data).cast("B")  # type: ignore[arg-type]  # whatever has no buffer raises
    except (TypeError, BufferError, ValueError) as error:
        raise InvalidArgument(f"{name} must be bytes or a contiguous buffer, not {type(data).__name__}") from error


def checked_reader(file: Any, name: str) -> ReadInto:
    """A function that reads some bytes of `file` into a view and returns how many; 0 at the end."""
    _refuse_text(file, name)
    for method in ("readinto1", "readinto"):
        read_into = getattr(file, method, None)
        if callable(read_into):
            return lambda view: _checked_count(_read(read_into, view), len(view), name)
    read = getattr(file, "read", None)
    if callable(read):
        return lambda view: _copy_read(_read(read, len(view)), view, name)
    raise InvalidArgument(
        f"{name} must be a binary file to read from, not {type(file).__name__}",
        hint='open(path, "rb"), or io.BytesIO(data)',
    )


def checked_writer(file: Any, name: str) -> WriteAll:
    """A function that writes a whole view to `file`."""
    _refuse_text(file, name)
    write = getattr(file, "write", None)
    if not callable(write):
        raise InvalidArgument(
            f"{name} must be a binary file to write to, not {type(file).__name__}",
            hint='open(path, "wb"), or io.BytesIO()',
        )
    is_raw = isinstance(file, io.RawIOBase)
    return lambda view: _write_all(write, view, is_raw)


def fill(read_into: ReadInto, view: memoryview) -> int:
    """Read until the view is full or the file ends; return how many bytes there are."""
    filled = 0
    while filled < len(view):
        count = read_into(view[filled:])
        if count == 0:
            break
        filled += count
    return filled


def _refuse_text(file: Any, name: str) -> None:
    if isinstance(file, (io.TextIOBase, str, bytes)):
        raise InvalidArgument(
            f"{name} must be a binary file, not {type(file).__name__}",
            hint='open files with "rb" or "wb"; encrypt_file takes paths, encrypt takes bytes',
        )


def _read(method: Callable[[Any], Any], argument: object) -> Any:
    with translated_os_errors("read"):
        try:
            return method(argument)
        except ValueError as error:  # what a closed file raises
            raise StreamFailed("cannot read: the file is closed, or not open for reading") from error


def _checked_count(count: object, most: int, name: str) -> int:
    if count is None:
        raise _non_blocking(name)
    if type(count) is not int or not 0 <= count <= most:
        raise StreamFailed(f"{name} says that it read {count!r:.40} of {most:,} bytes")
    return count


def _copy_read(data: object, view: memoryview, name: str) -> int:
    if data is None:
        raise _non_blocking(name)
    source = as_view(data, f"what {name}.read returns")
    if len(source) > len(view):
        raise StreamFailed(f"{name} read {len(source):,} bytes where {len(view):,} were asked for")
    view[: len(source)] = source
    return len(source)


def _write_all(write: Callable[[memoryview], object], view: memoryview, is_raw: bool) -> None:
    with translated_os_errors("write"):
        try:
            while len(view):
                count = write(view)
                if count is None and is_raw:
                    raise _non_blocking("destination")
                if type(count) is not int or count >= len(view):  # many writers return nothing
                    return
                view = view[max(count, 0) :]
        except ValueError as error:
            raise StreamFailed("cannot write: the file is closed, or not open for writing") from error


def _non_blocking(name: str) -> StreamFailed:
    return StreamFailed(f"{name} is not in blocking mode and had nothing", hint="make it blocking")
