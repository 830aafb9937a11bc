"""Values on their way into a request, which a report of local variables does not show.

Programs that collect errors write down the local variables of every frame. A request is such a variable, and so is the
argument of each function that a value passes through.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, cast

__all__ = ["hidden", "hidden_bytes", "hidden_text", "kind_of", "plain"]

T = TypeVar("T")


class _HiddenText(str):
    """Text that is silent in a repr."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<hidden>"


class _HiddenBytes(bytes):
    """Bytes that are silent in a repr."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<hidden>"


class _HiddenFields(Mapping[Any, Any]):
    """A mapping that is silent in a repr."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[Any, Any]) -> None:
        self._fields = fields

    def __getitem__(self, name: Any) -> Any:
        return self._fields[name]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return "<hidden>"


class _HiddenMistake:
    """What nobody takes for a value, as a list that somebody gives: what it is made of is left behind."""

    __slots__ = ("kind",)

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __repr__(self) -> str:
        return "<hidden>"


_SILENT = (_HiddenText, _HiddenBytes, _HiddenFields, _HiddenMistake, type(None))


def hidden(value: T) -> T:
    """A value of a caller in a form whose repr does not show it; for the first line of who is given one.

    Text stays text, bytes and a mapping stay what they are. Of anything else its type alone is kept; see `kind_of`.
    """
    if isinstance(value, _SILENT):
        return value
    if isinstance(value, str):
        return cast(T, hidden_text(value))
    if isinstance(value, (bytes, bytearray)):
        return cast(T, hidden_bytes(value))
    if isinstance(value, Mapping):
        return cast(T, _HiddenFields(value))
    return value if isinstance(value, memoryview) else cast(T, _HiddenMistake(type(value).__name__))


def kind_of(value: object) -> str:
    """The name of the type that a value had before it was hidden, if it is none that can be stored."""
    return value.kind if isinstance(value, _HiddenMistake) else type(value).__name__


def plain(value: str | bytes) -> str | bytes:
    """The same text or bytes as nothing but these: for who keeps a value, and hides it."""
    return str.__str__(value) if isinstance(value, str) else bytes(memoryview(value))


def hidden_text(value: str) -> str:
    """The same text, whose repr does not show it."""
    return _HiddenText(str.__str__(value))  # not str(value), which is "Color.RED" for a member of a textual enum


def hidden_bytes(value: bytes | bytearray) -> bytes:
    """The same bytes, whose repr does not show them."""
    return _HiddenBytes(memoryview(value))
