"""-c: the encryption context on the command line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import click

__all__ = ["ExpectedContext", "expected_context", "written_context"]


@dataclass(frozen=True, slots=True)
class ExpectedContext:
    """What a message must have.

    Attributes:
        pairs: with these values; a pair that the message does not store is authenticated all the same.
        names: with any value.
    """

    pairs: dict[str, str]
    names: tuple[str, ...]

    def missing(self, context: Iterable[str]) -> tuple[str, ...]:
        """The names that an authenticated context lacks."""
        present = set(context)
        return tuple(name for name in self.names if name not in present)


def written_context(words: Sequence[str]) -> dict[str, str]:
    """The pairs of ``-c name=value``.

    Raises:
        click.UsageError: a word without name or ``=``, or a name twice.
    """
    pairs, names = _split(words)
    if names:  # not shown: it can be a value whose name was forgotten
        number = next(number for number, word in enumerate(words, 1) if "=" not in word)
        raise click.UsageError(f"-c number {number} has no value: -c name=value")
    return pairs


def expected_context(words: Sequence[str]) -> ExpectedContext:
    """The pairs of ``-c name=value`` and the names of ``-c name``.

    Raises:
        click.UsageError: a word without name, or a name twice.
    """
    pairs, names = _split(words)
    return ExpectedContext(pairs, tuple(names))


def _split(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    pairs: dict[str, str] = {}
    names: list[str] = []
    for word in words:
        name, equals, value = word.partition("=")
        if not name:
            raise click.UsageError("-c has a value without a name: -c name=value")
        if name in pairs or name in names:
            raise click.UsageError(f"-c {name!r} is given twice")
        if equals:
            pairs[name] = value
        else:
            names.append(name)
    return pairs, names
