"""Writing all of something to a file that may take less at a time."""

from __future__ import annotations

import select
from io import FileIO

__all__ = ["write_whole"]


def write_whole(file: FileIO, data: memoryview | bytes) -> None:
    """Write all of it; wait while the file takes nothing.

    Another process that has the same terminal or pipe can have taken it out of blocking mode, for itself and for us.

    Raises:
        OSError: the operating system refuses.
    """
    rest = memoryview(data)
    while rest:
        count = file.write(rest)
        if count is None:
            _wait_for(file)
        else:
            rest = rest[count:]


def _wait_for(file: FileIO) -> None:
    """Until there is room, or an error that the next write tells. A signal whose handler raises ends it."""
    room = select.poll()
    room.register(file, select.POLLOUT)
    room.poll()
