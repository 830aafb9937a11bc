"""On which line of a TOML file a name stands. The parser does not tell, and an error without a line helps little."""

from __future__ import annotations

import re

__all__ = ["line_of"]

_TABLE = re.compile(r"\s*\[\[?\s*([^\]#]+?)\s*\]")
_ASSIGNMENT = re.compile(r"\s*([^=#\[]+?)\s*=")


def line_of(text: str, table: tuple[str, ...], name: str) -> int | None:
    """The line, from 1, of a key or subtable `name` in a table like ``("profiles.app", "encrypt")``, or None.

    It reads tables and assignments as people write them, and finds nothing where they are written in another way.
    """
    wanted = _parts(".".join((*table, name)))
    current: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _TABLE.match(line):
            current = _parts(header.group(1))
            here = current
        elif assignment := _ASSIGNMENT.match(line):
            here = (*current, *_parts(assignment.group(1)))
        else:
            continue
        if here[: len(wanted)] == wanted:
            return number
    return None


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))
