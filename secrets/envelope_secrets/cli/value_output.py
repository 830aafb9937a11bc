"""Values on standard output: exactly, and on a terminal with a warning."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from io import FileIO

from envelope.cli.report import Report
from envelope.replacement import translated_os_errors

__all__ = ["SHOW_HELP", "warn_of_terminal", "write_value"]

SHOW_HELP = "Write to a terminal without a warning."


def warn_of_terminal(report: Report, *, show: bool) -> None:
    """Say once that a terminal keeps what it shows, unless it is meant, or no terminal gets it."""
    if os.isatty(1) and not show:
        report.note(
            "value on a terminal", "a terminal keeps the value in its scrollback: use a pipe, or --show if you mean it"
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
