"""Where a value comes from: standard input, a file, or a person at the terminal. Never an argument."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, TypeVar

import click

from envelope.cli.passphrases import Ask, ask_at_the_terminal
from envelope.errors import InvalidArgument
from envelope.replacement import translated_os_errors
from envelope_secrets.limits import MAX_VALUE_BYTES

__all__ = ["NO_VALUES", "ValueSource", "read_limited", "refuse_values", "value_options", "value_source_of"]

Command = TypeVar("Command", bound=Callable[..., Any])

NO_VALUES = {"allow_extra_args": True}
"""Context settings of a command that calls `refuse_values`: click's own text has no hint."""

LINE_END_BYTES = 2


@dataclass(frozen=True, slots=True)
class ValueSource:
    """Where a value comes from.

    Attributes:
        file: None for standard input.
        is_binary: take it for bytes, as they are.
        keeps_newline: keep the line end at the end of a text.
    """

    file: Path | None = None
    is_binary: bool = False
    keeps_newline: bool = False
    ask: Ask = ask_at_the_terminal

    @property
    def is_given(self) -> bool:
        """Whether any of the options was."""
        return self.file is not None or self.is_binary or self.keeps_newline

    def read(self, secret_id: str) -> str | bytes:
        """The value.

        A text loses one line end at its end: editors and ``echo`` add it, and no password has it.

        Raises:
            InvalidArgument: nothing is there, it is too long, or no UTF-8; the text shows nothing of it.
            StreamFailed: it cannot be read.
        """
        content = self._content(secret_id)
        if not content:
            hint = (
                "is the command before the pipe the right one?" if self.file is None else "is the file the right one?"
            )
            raise InvalidArgument("the value is empty", hint=hint)
        if self.is_binary:
            return content
        try:
            text = content.decode()
        except UnicodeDecodeError:  # it quotes the value, and goes no further than this
            text = None
        if text is None:
            raise InvalidArgument("the value is no text in UTF-8", hint="--binary stores it as it is")
        if self.keeps_newline:
            return text
        shorter = text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
        if not shorter:
            raise InvalidArgument("the value is empty but for a line end", hint="--keep-newline stores that")
        return shorter

    def _content(self, secret_id: str) -> bytes:
        if self.file is not None and str(self.file) != "-":
            with translated_os_errors("read", self.file), FileIO(self.file, "r") as file:
                return _limited(file)
        if os.isatty(0) and self.file is None:
            return self._typed(secret_id)
        with translated_os_errors("read standard input"), FileIO(0, "r", closefd=False) as file:
            return _limited(file)

    def _typed(self, secret_id: str) -> bytes:
        typed = self.ask(f"Value of {secret_id[:512]!r} (one line, not shown): ")
        if not typed:
            raise InvalidArgument("the value is empty", hint="nothing was changed; try again")
        if self.ask("The same again: ") != typed:
            raise InvalidArgument("the two values are not the same", hint="nothing was changed; try again")
        return typed


def value_options(command: Command) -> Command:
    """Add the options of a value's source; `value_source_of` takes their values."""
    options = (
        click.option(
            "--file",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE",
            help="Read the value from a file.",
        ),
        click.option("--binary", is_flag=True, help="The value is bytes, and no text."),
        click.option("--keep-newline", is_flag=True, help="Keep a line end at the end."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def value_source_of(values: dict[str, Any]) -> ValueSource:
    """Take the values of these options out of a command's keyword arguments."""
    return ValueSource(values.pop("file"), values.pop("binary"), values.pop("keep_newline"))


def refuse_values(context: click.Context) -> None:
    """Refuse what stands behind the last argument: it is a value, and everybody on the machine has seen it now.

    Raises:
        InvalidArgument: there is something.
    """
    if context.args:
        raise InvalidArgument(
            "a value never stands on the command line: others see it there, and the shell keeps it",
            hint=f"{context.command_path} ID <file, or a pipe, or nothing to be asked for it; take this one for known",
        )


def read_limited(file: FileIO, most_bytes: int) -> bytes:
    """All of a file, but not more than this and one byte."""
    content = bytearray()
    while len(content) <= most_bytes and (part := file.read(min(65_536, most_bytes + 1 - len(content)))):
        content += part
    return bytes(content)


def _limited(file: FileIO) -> bytes:
    content = read_limited(file, MAX_VALUE_BYTES + LINE_END_BYTES)
    if len(content) > MAX_VALUE_BYTES + LINE_END_BYTES:
        raise InvalidArgument(f"the value has more than {MAX_VALUE_BYTES:,} bytes")
    return content
