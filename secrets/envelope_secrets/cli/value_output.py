"""Values on standard output: exactly, and on a terminal only if that is meant."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from io import FileIO

import click

from envelope.replacement import translated_os_errors

__all__ = ["SHOW_HELP", "refuse_to_show", "write_value"]

SHOW_HELP = "Write to a terminal, which keeps it in its scrollback."


def refuse_to_show(*, show: bool) -> None:
    """Refuse a terminal, before anything is read, unless it is meant.

    Raises:
        click.UsageError: somebody would look at the value, and it would stay in the scrollback.
    """
    if os.isatty(1) and not show:
        raise click.UsageError(
            "standard output is a terminal, which keeps what it has shown: use a pipe, or --show if you mean it"
        )


def write_value(value: str | bytes) -> None:
    """Write a value as it is. A text that ends without a line end gets one on a terminal, and nowhere else.

    Raises:
        StreamFailed: standard output does not take it.
    """
    data = memoryview(value.encode() if isinstance(value, str) else value)
    with _output() as file:
        while data:
            count = file.write(data)
            if count is None:
                raise BlockingIOError("standard output is not in blocking mode and took nothing")
            data = data[count:]
        if isinstance(value, str) and not value.endswith("\n") and file.isatty():
            file.write(b"\n")


@contextlib.contextmanager
def _output() -> Iterator[FileIO]:
    with translated_os_errors("write standard output"):
        sys.stdout.flush()
        with FileIO(1, "w", closefd=False) as file:
            yield file
