"""Clauses of ALTER USER, from what the server's tables of accounts say. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

__all__ = ["as_text", "expiry_clause", "limits_clause", "quoted_name", "require_clause"]


def require_clause(quoted: Callable[[str], str], kind: str, cipher: str, issuer: str, subject: str) -> str:
    """What a connection must have.

    Args:
        quoted: makes a literal.
        kind: as in the column ``ssl_type``.
    """
    if kind != "SPECIFIED":
        return f"REQUIRE {({'': 'NONE', 'ANY': 'SSL'}).get(kind, kind)}"
    parts = {"CIPHER": cipher, "ISSUER": issuer, "SUBJECT": subject}
    return "REQUIRE " + " AND ".join(f"{name} {quoted(value)}" for name, value in parts.items() if value)


def limits_clause(limits: Mapping[str, object]) -> str:
    """How much an account may use."""
    return "WITH " + " ".join(f"{name} {value}" for name, value in limits.items())


def expiry_clause(lifetime_days: int | None) -> str:
    """When its passwords expire. That one has been expired by hand is not copied: a new one is coming."""
    if lifetime_days is None or lifetime_days < 0:
        return "PASSWORD EXPIRE DEFAULT"
    return f"PASSWORD EXPIRE INTERVAL {lifetime_days} DAY" if lifetime_days else "PASSWORD EXPIRE NEVER"


def quoted_name(name: str) -> str:
    """A name in backticks, as the server writes it."""
    return "`" + name.replace("`", "``") + "`"


def as_text(value: str | bytes) -> str:
    """The driver gives columns of bytes as bytes."""
    return value.decode() if isinstance(value, bytes) else value
