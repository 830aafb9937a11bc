"""Checks of options, each with an error that names the option, the value and what is allowed."""

from __future__ import annotations

from envelope.errors import InvalidArgument

__all__ = ["check_count", "check_flag", "check_fraction", "check_function", "check_seconds"]


def check_flag(name: str, value: object) -> bool:
    """Return True or False, or raise `InvalidArgument`: a setting like "no" would count as true."""
    if not isinstance(value, bool):
        raise InvalidArgument(f"{name} must be True or False, not {type(value).__name__}")
    return value


def check_count(name: str, value: object, least: int, most: int) -> int:
    """Return a whole number in its range, or raise `InvalidArgument` that names the option, the value and the range."""
    if type(value) is not int:
        raise InvalidArgument(f"{name} must be a whole number, not {type(value).__name__}")
    if not least <= value <= most:
        shown = f"{value:,}" if value.bit_length() < 128 else "a much larger one"
        raise InvalidArgument(f"{name} must be {least:,} to {most:,}, not {shown}")
    return value


MAX_SECONDS = 1_000_000_000


def check_seconds(name: str, value: object) -> float:
    """Return a number of seconds above 0 and up to 1,000,000,000, or raise `InvalidArgument`."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidArgument(f"{name} must be a number of seconds, not {type(value).__name__}")
    if not 0 < value <= MAX_SECONDS:
        raise InvalidArgument(f"{name} must be more than 0 and up to {MAX_SECONDS:,} seconds, not {_shown(value)}")
    return float(value)


def check_fraction(name: str, value: object) -> float:
    """Return a number above 0 and up to 1, or raise `InvalidArgument`."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidArgument(f"{name} must be a number above 0 and up to 1, not {type(value).__name__}")
    if not 0 < value <= 1:
        raise InvalidArgument(f"{name} must be above 0 and up to 1, not {_shown(value)}")
    return float(value)


def check_function(name: str, value: object) -> None:
    """Raise `InvalidArgument` if `value` cannot be called."""
    if not callable(value):
        raise InvalidArgument(f"{name} must be a function, not {type(value).__name__}")


def _shown(value: float) -> str:
    """A number in an error text; Python refuses to write very large ones."""
    return "a much larger one" if isinstance(value, int) and value.bit_length() > 128 else repr(value)
