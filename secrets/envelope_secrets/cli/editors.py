"""The editor of whoever runs the command."""

from __future__ import annotations

import contextlib
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from envelope.cli.passphrases import PASSPHRASE_VARIABLE
from envelope.cli.signals import ENDING
from envelope.errors import InvalidArgument, StreamFailed
from envelope_secrets.cli.failures import CannotRun

__all__ = ["editor_of", "in_place", "run_editor"]

DEFAULT = "vi"
"""Of POSIX, for crontab -e, mailx and more."""
VARIABLES = ("VISUAL", "EDITOR")
_FROM_THE_TERMINAL = frozenset({signal.SIGINT, signal.SIGQUIT})
"""The terminal sends them to the editor and to us. They are the editor's to answer."""
_PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class _Kind:
    """An editor that was seen to write in place and to leave nothing behind, with these options.

    Attributes:
        programs: the file names of its program.
        names: what else it is called by. Not ``gvim``, which ends at once, nor ``view``, which does not write.
        harmless: options of the user's own that change none of this.
    """

    programs: re.Pattern[str]
    options: tuple[str, ...]
    names: frozenset[str] = frozenset()
    harmless: frozenset[str] = frozenset()


_IN_PLACE = (
    # -c comes after the user's own settings: no copy, no history of undoing, no registers in viminfo or shada.
    _Kind(
        re.compile(r"vim(\.(basic|tiny))?|nvim"),
        ("-n", "-i", "NONE", "-c", "silent! set nobackup nowritebackup noundofile noswapfile viminfofile=NONE"),
        names=frozenset({"vi", "vim", "editor"}),
        harmless=frozenset({"-f"}),
    ),
    # No option takes `set backup` and `set historylog` back, so that the user's settings are not read.
    _Kind(re.compile("nano"), ("--ignorercfiles",), names=frozenset({"editor"})),
    _Kind(re.compile("ed"), (), names=frozenset({"editor"})),
    _Kind(
        re.compile("emacs(-nox)?"),
        ("--eval", "(setq make-backup-files nil auto-save-default nil create-lockfiles nil)"),
        names=frozenset({"emacs", "editor"}),
        harmless=frozenset({"-nw", "-q", "-Q"}),
    ),
)


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


def in_place(words: list[str], environ: Mapping[str, str]) -> list[str] | None:
    """The words with which this editor writes into the file that it was given, and keeps no copy of it anywhere.

    None for an editor that may do otherwise, which is every one that was not tried; and for one with options that were
    not. What counts is the program behind the name: ``vi`` is vim on one system and takes other options on the next.
    """
    program = shutil.which(words[0], path=environ.get("PATH"))
    behind = "" if program is None else Path(program).resolve().name
    for kind in _IN_PLACE:
        if kind.programs.fullmatch(behind) and Path(words[0]).name in {behind, *kind.names}:
            return [words[0], *kind.options, *words[1:]] if kind.harmless.issuperset(words[1:]) else None
    return None


def run_editor(words: list[str], file: Path, environ: Mapping[str, str]) -> None:
    """Let somebody edit a file, and wait for the end of it.

    Raises:
        CannotRun: there is no such editor.
        StreamFailed: it has ended with another status than 0.
    """
    kept = {name: value for name, value in environ.items() if name != PASSPHRASE_VARIABLE}
    with _signals_held() as held:
        try:
            process = subprocess.Popen([*words, str(file)], env=kept)  # noqa: S603 - the user's own choice
        except OSError as error:
            raise CannotRun(words[0], error, hint="VISUAL or EDITOR names an editor; nothing was changed") from None
        try:
            held.let_go(but=_FROM_THE_TERMINAL)
            status = process.wait()
        except BaseException:
            _end(process)
            raise
    if status:
        how = f"with status {status}" if status > 0 else f"by signal {-status}"
        raise StreamFailed(f"the editor {words[0]!r} has ended {how}", hint="nothing was changed")


class _Signals:
    """Signals that end the command, kept until it is known what to end with it."""

    def __init__(self) -> None:
        self._before: dict[int, Callable[[int, FrameType | None], object] | int] = {}
        self._come: list[int] = []

    def hold(self) -> None:
        """Remember those that come; none that is ignored, or the editor would not inherit that."""
        for number in ENDING:
            handler = signal.getsignal(number)
            if handler is not None and handler is not signal.SIG_IGN:
                self._before[number] = handler
                signal.signal(number, lambda number, _: self._come.append(number))

    def let_go(self, *, but: frozenset[int] = frozenset()) -> None:
        """Let them do what they did before, first of all those that have come; but ignore some from now on."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        while self._come:
            signal.raise_signal(self._come.pop(0))
        for number in but:
            signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def _signals_held() -> Iterator[_Signals]:
    """Keep the signals until the editor runs: one that comes while it starts would leave it running without us."""
    signals = _Signals()
    try:
        signals.hold()
        yield signals
    finally:
        signals.let_go()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it before its file is removed, or it would write it once more."""
    process.terminate()
    try:
        process.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
