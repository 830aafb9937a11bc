"""The library speaks of arguments and methods, the command of options: a table that leads from one to the other."""

from __future__ import annotations

from typing import TypeVar

from envelope.errors import EnvelopeError

__all__ = ["WORDING", "reworded"]

Error = TypeVar("Error", bound=EnvelopeError)

_KINDS = ("lowercase", "uppercase", "digits", "punctuation")

WORDING = (
    ("read .text, or store a JSON object", "without a field, the whole value is read"),
    ("read .binary", "without a field, the whole value is read"),
    ("None deletes at once and for good", "--force-without-recovery deletes at once and for good"),
    (
        "leave out kms_key_id, or make another store with another keyring",
        "leave out --kms-key, or make another store with another -k",
    ),
    (
        "use the keyring under which the store was made; the cause says which key that is",
        "give the key under which the store was made, with -k; the cause says which that is",
    ),
    (
        "promote a version, or put a value",
        "envelope secrets promote makes a version current, envelope secrets put stores a value",
    ),
    ("put a new version and promote it", "envelope secrets put stores a new version"),
    ("what can be done now: ", "what can be done now: --"),
    (", promote-", ", --promote-"),
    (" is not possible: ", " is not possible now: "),
    ("with require_each", "unless --no-require-each is given"),
    ("and require_each wants one", "and one of each kind is wanted unless --no-require-each is given"),
    *((f"set {kind}=False, or exclude less", f"give --no-{kind}, or exclude less") for kind in _KINDS),
    ("recovery_window_days ", "--recovery-days "),
    ("lambda_arn must", "--lambda must"),
    ("version_id must", "the id of a version must"),
    ("kms_key_id ", "--kms-key "),
    ("repeat the call with that token and the same value", "repeat the command with --token and the same value"),
)
"""Each: how a text of the library puts it, and how the command does."""


def reworded(error: Error) -> Error:
    """The same error; its text and hint name options in the place of arguments."""
    error.args = tuple(_reworded(text) if isinstance(text, str) else text for text in error.args)
    error.hint = _reworded(error.hint)
    return error


def _reworded(text: str) -> str:
    for of_the_library, of_the_command in WORDING:
        text = text.replace(of_the_library, of_the_command)
    return text
