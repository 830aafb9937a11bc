"""What a command says while it works: on stderr, as lines of text or of JSON."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from envelope.cli.failure import BROKEN_PIPE, described, exit_code_of, show_error
from envelope.cli.printable import printable

__all__ = ["Report"]


@dataclass(slots=True, kw_only=True)
class Report:
    """How much is said, and in which form. The options that set it may stand before and behind the command's name.

    Attributes:
        quiet: errors only.
        verbose: how often --verbose was given: one line for each message; twice, tracebacks too.
        as_json: errors and the summary as JSON.
        log_json: all of it as JSON, one line for each message included.
        ranks: of the sources of these, by their names.
    """

    quiet: bool = False
    verbose: int = 0
    as_json: bool = False
    log_json: bool = False
    ranks: dict[str, int] = field(default_factory=dict, repr=False)
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC), repr=False)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def shows_progress(self) -> bool:
        """Whether a progress bar would disturb nobody."""
        return not (self.quiet or self.as_json or self.log_json)

    @property
    def shows_steps(self) -> bool:
        """Whether there is a line for each message."""
        return self.log_json or (self.verbose > 0 and self.shows_progress)

    def take(self, name: str, value: bool | int, *, rank: int) -> None:
        """Take the value of an option, unless a stronger source has said otherwise.

        Args:
            name: of the attribute.
            value: of one source among several: an option stands before or behind the command, in a file, in a variable.
            rank: of that source; 0 for the option's own default.
        """
        opposite = {"quiet": "verbose", "verbose": "quiet"}.get(name, "")
        against = self.ranks.get(opposite, 0) if opposite and getattr(self, opposite) else 0
        if rank == 0 or rank < self.ranks.get(name, 0) or (value and rank < against):
            return
        setattr(self, name, value)
        self.ranks[name] = rank
        if value and 0 < against < rank:
            setattr(self, opposite, 0 if opposite == "verbose" else False)

    def failed(self, error: BaseException, subject: str = "") -> int:
        """Say that something failed; return the exit status that it stands for.

        Nothing is said if nobody reads the output any more: `head` has what it wanted.
        """
        if exit_code_of(error) == BROKEN_PIPE:
            return BROKEN_PIPE
        with self.lock, contextlib.suppress(OSError):  # where nothing can be said, the status still tells
            if self.log_json:
                self._write_json("error", "failed", described(error, subject=subject))
            else:
                show_error(error, as_json=self.as_json, subject=subject, details=self.verbose > 1)
        return exit_code_of(error)

    def step(self, event: str, text: str, **fields: object) -> None:
        """Say what was done to one message, if that is wanted."""
        if self.shows_steps:
            self._say(event, text, fields)

    def summary(self, event: str, text: str, **fields: object) -> None:
        """Say how a run ended."""
        if not self.quiet:
            self._say(event, text, fields)

    def note(self, event: str, text: str, **fields: object) -> None:
        """Say something that whoever runs the command has to know."""
        if not self.quiet:
            self._say(event, f"note: {text}", fields)

    def _say(self, event: str, text: str, fields: dict[str, object]) -> None:
        with self.lock, contextlib.suppress(OSError):
            if self.as_json or self.log_json:
                self._write_json("info", event, fields)
            else:
                sys.stderr.write(f"envelope: {printable(text)}\n")

    def _write_json(self, level: str, event: str, fields: dict[str, object]) -> None:
        sys.stderr.write(
            json.dumps({"time": self.clock().isoformat(), "level": level, "event": event, **fields}) + "\n"
        )
