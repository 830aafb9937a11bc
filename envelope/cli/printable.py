"""Text of anybody's that is shown on a terminal: it must not move the cursor, colour, hide or reorder anything."""

from __future__ import annotations

__all__ = ["printable"]

MOST_CHARACTERS = 4_096


def printable(text: str, *, most_characters: int = MOST_CHARACTERS) -> str:
    """The text with every character escaped that is not visible: controls, line ends, marks of writing direction.

    What is longer than `most_characters` is cut. To tell an escape from a text that looks like one, take the JSON form.
    """
    shown = "".join(_shown(character) for character in text[:most_characters])
    return shown if len(text) <= most_characters else f"{shown}... ({len(text):,} characters)"


def _shown(character: str) -> str:
    # `isprintable` is false for controls, surrogates, line ends, and what reorders or hides text (Cc, Cf, Cs, Zl, Zp).
    return character if character.isprintable() else character.encode("unicode_escape").decode()
