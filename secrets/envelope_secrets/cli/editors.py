"""The editor of whoever runs the command."""

from __future__ import annotations

import contextlib
import shlex
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from envelope.cli.passphrases import PASSPHRASE_VARIABLE
from envelope.errors import InvalidArgument, StreamFailed
from envelope_secrets.cli.failures import CannotRun

__all__ = ["editor_of", "run_editor"]

DEFAULT = "vi"
"""Of POSIX, for crontab -e, mailx and more."""
VARIABLES = ("VISUAL", "EDITOR")
_FROM_THE_TERMINAL = (signal.SIGINT, signal.SIGQUIT)
"""The terminal sends them to the editor and to us. They are the editor's to answer."""
_PATIENCE_S = 5.0


def editor_of(environ: Mapping[str, str]) -> list[str]:
    """The words of VISUAL, else of EDITOR, else ``vi``.

    Raises:
        InvalidArgument: a quotation mark is not closed.
    """
    name = next((name for name in VARIABLES if environ.get(name, "").strip()), "")
    try:
        return shlex.split(environ.get(name, DEFAULT))
    except ValueError:
        raise InvalidArgument(f"{name} cannot be split into words", hint="close its quotation mark") from None


def run_editor(words: list[str], file: Path, environ: Mapping[str, str]) -> None:
    """Let somebody edit a file, and wait for the end of it.

    Raises:
        CannotRun: there is no such editor.
        StreamFailed: it has ended with another status than 0.
    """
    kept = {name: value for name, value in environ.items() if name != PASSPHRASE_VARIABLE}
    try:
        process = subprocess.Popen([*words, str(file)], env=kept)  # noqa: S603 - the user's own choice
    except OSError as error:
        raise CannotRun(words[0], error, hint="VISUAL or EDITOR names an editor; nothing was changed") from None
    try:
        with _left_to_the_editor():
            status = process.wait()
    except BaseException:
        _end(process)
        raise
    if status:
        how = f"with status {status}" if status > 0 else f"by signal {-status}"
        raise StreamFailed(f"the editor {words[0]!r} has ended {how}", hint="nothing was changed")


@contextlib.contextmanager
def _left_to_the_editor() -> Iterator[None]:
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _FROM_THE_TERMINAL}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it before its file is removed, or it would write it once more."""
    process.terminate()
    try:
        process.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
