"""Files: the same streams, with the target replaced as a whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from envelope.errors import InvalidArgument
from envelope.replacement import check_path, replacing, translated_os_errors

__all__ = ["converting"]

CIPHERTEXT_MODE = 0o666
"""Less the umask, like any new file: it is encrypted."""
PLAINTEXT_MODE = 0o600
"""What was worth encrypting is for its owner."""


@contextlib.contextmanager
def converting(source_path: object, destination_path: object, *, new_mode: int) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """One file to read from and one to write to, which takes the place of the target when the block ends well.

    Raises:
        InvalidArgument: a path is none, both are the same file, or one is a directory or a device.
        StreamFailed: the operating system refuses; the target is as it was.
    """
    source = check_path(source_path, "source_path")
    destination = check_path(destination_path, "destination_path")
    _refuse_same(source, destination)
    with (
        translated_os_errors("read", source),
        source.open("rb", buffering=0) as reading,
        translated_os_errors("write", destination),
        replacing(destination, new_mode=new_mode) as writing,
    ):
        yield reading, writing


def _refuse_same(source: Path, destination: Path) -> None:
    with translated_os_errors("read", source):
        status = source.stat()
    try:
        is_same = os.path.samestat(status, destination.stat())
    except OSError:
        return  # not there yet, or not to be reached: writing says so
    if is_same:
        raise InvalidArgument(
            f"source and destination are the same file: {str(source)!r}", hint="write to another path, then rename it"
        )
