"""How a failure ends the command: its exit status, and the lines that say what happened and what to do.

0    all done
1    something failed: a file cannot be read or written, an unforeseen error
2    usage: options, key words, the configuration
3    refused or not authentic: another context, a changed message or wrapped key, a forbidden suite, a limit
4    a key or AWS is not available
129, 130, 131, 143, 141    stopped by SIGHUP, SIGINT, SIGQUIT, SIGTERM, or because nobody reads the output any more
"""

from __future__ import annotations

import json
import os
import re
import sys
import traceback
from collections.abc import Iterable, Iterator

import click

from envelope.cli.printable import printable
from envelope.cli.wording import in_words_of_the_command
from envelope.errors import (
    AwsError,
    EnvelopeError,
    InvalidArgument,
    KeystoreError,
    KeyUnavailable,
    MessageRefused,
)

__all__ = [
    "BROKEN_PIPE",
    "DONE",
    "FAILED",
    "INTERRUPTED",
    "REFUSED",
    "TERMINATED",
    "UNAVAILABLE",
    "USAGE",
    "described",
    "exit_code_of",
    "show_error",
    "worst_of",
]

DONE, FAILED, USAGE, REFUSED, UNAVAILABLE = range(5)
INTERRUPTED, BROKEN_PIPE, TERMINATED = 130, 141, 143

_MOST_CAUSES = 8
_EXTRA_ARGUMENTS = re.compile(r"Got unexpected extra arguments? \(.*\)", re.DOTALL)
"""click shows them; what stands where nothing belongs can be a passphrase."""
_NOT_AUTHENTIC_CODES = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})
_FROM_THE_GRAVEST = (INTERRUPTED, TERMINATED, BROKEN_PIPE, REFUSED, UNAVAILABLE, USAGE, FAILED)

_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (InvalidArgument, USAGE),
    (MessageRefused, REFUSED),
    (KeyUnavailable, UNAVAILABLE),
    (AwsError, UNAVAILABLE),
    (KeystoreError, UNAVAILABLE),
    (KeyboardInterrupt, INTERRUPTED),
    (click.Abort, INTERRUPTED),
    (BrokenPipeError, BROKEN_PIPE),
)


def exit_code_of(error: BaseException) -> int:
    """The exit status that this failure stands for."""
    if isinstance(error, click.ClickException | click.exceptions.Exit):
        return error.exit_code
    if isinstance(error.__cause__, BrokenPipeError):  # `StreamFailed`: nobody reads the pipe any more
        return BROKEN_PIPE
    if isinstance(error, KeyUnavailable) and _is_refusal(error):
        return REFUSED
    return next((code for kind, code in _CODES if isinstance(error, kind)), FAILED)


def _is_refusal(error: KeyUnavailable) -> bool:
    """Whether the key was there, and told that the wrapped data key or its encryption context is not authentic.

    A key or call that failed for another reason goes before that: with it the message could still open.
    """
    causes = [cause for failure in error.errors for cause in getattr(failure, "errors", ()) or (failure.__cause__,)]
    refusals = [_is_not_authentic(cause) for cause in causes if cause is not None]
    return any(refusals) and all(refusals)


def _is_not_authentic(cause: BaseException) -> bool:
    if isinstance(cause, AwsError):
        return cause.code in _NOT_AUTHENTIC_CODES
    return not isinstance(cause, EnvelopeError)  # the tag of a raw key, or its padding, does not fit


def worst_of(codes: Iterable[int]) -> int:
    """The exit status of a run that had all of these.

    A stop by a signal goes before a refusal, that before a missing key, that before wrong usage, and any other failure
    comes last: so 3 always means that at least one input was refused.
    """
    met = set(codes)
    return next((code for code in _FROM_THE_GRAVEST if code in met), max(met, default=DONE))


def described(error: BaseException, *, subject: str = "") -> dict[str, object]:
    """What ``--json`` shows of a failure. Nothing secret; every text is printable.

    Args:
        subject: the input that it is about, like a file name.
    """
    shown: dict[str, object] = {
        "error": printable(_text_of(error)),
        "hint": printable(_hint_of(error)),
        "kind": type(error).__name__,
        "exit_code": exit_code_of(error),
        "can_retry": isinstance(error, EnvelopeError) and error.can_retry,
    }
    if subject:
        shown["subject"] = printable(subject)
    if causes := list(_causes_of(error)):
        shown["causes"] = causes
    return shown


def show_error(error: BaseException, *, as_json: bool = False, subject: str = "", details: bool = False) -> int:
    """Write a failure to stderr; return the exit status that it stands for.

    Args:
        as_json: one JSON object in one line, in the place of lines of text.
        subject: the input that it is about, like a file name.
        details: show the traceback too; so does ENVELOPE_DEBUG=1 in the environment.
    """
    shown = described(error, subject=subject)
    if as_json:
        lines = [json.dumps(shown)]
    else:
        where = f"{shown['subject']}: " if subject else ""
        lines = [f"envelope: error: {where}{shown['error']}"]
        lines += [f"envelope: cause: {cause}" for cause in _causes_of(error)]
        lines += [f"envelope: hint: {shown['hint']}"] if shown["hint"] else []
    if details or os.environ.get("ENVELOPE_DEBUG") == "1":
        lines.append("".join(traceback.format_exception(error)).rstrip())
    sys.stderr.write("\n".join(lines) + "\n")
    return exit_code_of(error)


def _text_of(error: BaseException) -> str:
    if isinstance(error, EnvelopeError):
        return in_words_of_the_command(str(error))
    if isinstance(error, click.ClickException):
        return _as_error_text(_EXTRA_ARGUMENTS.sub("unexpected extra argument", error.format_message()))
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return "interrupted"
    if isinstance(error, OSError):
        where = "" if error.filename is None else f" ({os.fspath(error.filename)!r})"
        return _as_error_text(error.strerror or "the operating system refused") + where
    if isinstance(error, MemoryError):
        return "there is not enough memory"
    return f"unexpected {type(error).__name__}"  # its text could show anything


def _hint_of(error: BaseException) -> str:
    if isinstance(error, EnvelopeError):
        return in_words_of_the_command(error.hint)
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f"{error.ctx.command_path} --help"
    if isinstance(error, click.ClickException | click.Abort | KeyboardInterrupt | OSError):
        return ""
    if isinstance(error, MemoryError):
        return "each message needs some of its frames in memory: a smaller --jobs, or a smaller --frame-length"
    return "ENVELOPE_DEBUG=1 shows where; please report this as a bug"


def _as_error_text(text: str) -> str:
    """A sentence of another program in the form of ours: lower case, no final period."""
    shown = text.strip().removesuffix(".")
    return shown[:1].lower() + shown[1:]


def _causes_of(error: BaseException) -> Iterator[str]:
    """Why each keyring failed: a text that only says that no key was found helps nobody."""
    errors = error.errors if isinstance(error, KeyUnavailable) else ()
    for cause in errors[:_MOST_CAUSES]:
        if str(cause) not in str(error):
            yield printable(_text_of(cause))
    if len(errors) > _MOST_CAUSES:
        yield f"... and {len(errors) - _MOST_CAUSES:,} more"
