"""Values on their way into a request, which a report of local variables does not show.

Programs that collect errors write down the local variables of every frame. A request is such a variable.
"""

from __future__ import annotations

__all__ = ["hidden_bytes", "hidden_text"]


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


def hidden_text(value: str) -> str:
    """The same text, whose repr does not show it."""
    return _HiddenText(value)


def hidden_bytes(value: bytes) -> bytes:
    """The same bytes, whose repr does not show them."""
    return _HiddenBytes(value)
