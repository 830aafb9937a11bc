"""Where a passphrase comes from: a file descriptor, the environment, or a person at the terminal. Never an argument."""

from __future__ import annotations

import os
import termios
from collections.abc import Callable, Mapping

from envelope.errors import InvalidArgument, KeystoreError

__all__ = ["PASSPHRASE_VARIABLE", "ask_at_the_terminal", "find_passphrase"]

PASSPHRASE_VARIABLE = "ENVELOPE_KEYSTORE_PASSPHRASE"  # noqa: S105 - the name of a variable
MOST_BYTES = 4_096
"""A passphrase longer than this is somebody's wrong file."""

Ask = Callable[[str], bytes]


def find_passphrase(
    *, descriptor: int | None, environ: Mapping[str, str], ask: Ask, is_new: bool = False
) -> str | bytes:
    """The passphrase of a keystore: the first line of the descriptor, else the variable, else what the person types.

    Text wherever it is UTF-8, so that it opens the same keystore from everywhere.

    Args:
        descriptor: an open file descriptor; only its first line is read, so 0 leaves the rest of stdin to others.
        ask: shows a prompt and reads a line without showing it.
        is_new: ask twice, because a typing error would lock the keystore for ever.

    Raises:
        InvalidArgument: the descriptor is not open, or gives no line or a too long one.
        KeystoreError: nobody can be asked, or the two are not the same.
    """
    if descriptor is not None:
        return _as_text(_first_line(descriptor))
    if (given := environ.get(PASSPHRASE_VARIABLE)) is not None:
        return _as_text(os.fsencode(given))
    typed = ask("New passphrase of the keystore: " if is_new else "Passphrase of the keystore: ")
    if is_new and ask("The same again: ") != typed:
        raise KeystoreError("the two passphrases are not the same", hint="nothing was changed; try again")
    return _as_text(typed)


def ask_at_the_terminal(prompt: str, *, terminal: str = "/dev/tty") -> bytes:
    """Ask the person at the controlling terminal, whatever stdin and stdout are; what is typed is not shown.

    Raises:
        KeystoreError: there is no terminal.
    """
    try:
        descriptor = os.open(terminal, os.O_RDWR | os.O_NOCTTY)
    except OSError as error:
        raise KeystoreError(
            "a passphrase is needed, and there is no terminal to ask for it",
            hint=f"give it with --passphrase-fd or in {PASSPHRASE_VARIABLE}",
        ) from error
    try:
        before = termios.tcgetattr(descriptor)
        hidden = before.copy()
        hidden[3] &= ~termios.ECHO
        try:
            termios.tcsetattr(descriptor, termios.TCSAFLUSH, hidden)
            os.write(descriptor, prompt.encode())
            line = os.read(descriptor, MOST_BYTES)  # a terminal gives a line at a time
            os.write(descriptor, b"\n")
        finally:
            termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)
    finally:
        os.close(descriptor)
    return line.removesuffix(b"\n")


def _as_text(passphrase: bytes) -> str | bytes:
    try:
        return passphrase.decode()
    except UnicodeDecodeError:
        return passphrase


def _first_line(descriptor: int) -> bytes:
    line = bytearray()
    try:
        # Byte by byte: what stands behind the line belongs to whoever reads the descriptor next.
        while (byte := os.read(descriptor, 1)) not in (b"", b"\n"):
            line += byte
            if len(line) > MOST_BYTES:
                raise InvalidArgument(f"the line on file descriptor {descriptor} is longer than {MOST_BYTES:,} bytes")
    except OSError as error:
        raise InvalidArgument(
            f"the passphrase cannot be read from file descriptor {descriptor}: {error.strerror}",
            hint="open it for the command: --passphrase-fd 3 3<file",
        ) from error
    if not line:
        raise InvalidArgument(f"there is no passphrase on file descriptor {descriptor}")
    return bytes(line.removesuffix(b"\r"))
