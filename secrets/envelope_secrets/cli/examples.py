"""The examples at the end of every help text."""

from __future__ import annotations

__all__ = ["examples"]


def examples(*lines: str) -> str:
    """The epilog of a command; click keeps the line ends of a paragraph that begins with a backspace."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
