"""How an account of MariaDB proves its password: by one or several plugins, any of which will do. Pure.

Passwords are hashed here where that can be done, because the server writes statements into its logs as they come.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from envelope_secrets.value import HidesValue

__all__ = ["NATIVE", "PASSWORD_PLUGINS", "Proof", "identified", "native_hash", "parse_proofs", "with_passwords"]

NATIVE = "mysql_native_password"
PASSWORD_PLUGINS = frozenset({NATIVE, "ed25519", "parsec"})

_ALTERNATIVE = re.compile(r" (?:VIA|OR) (\w+)(?: USING ('(?:[^'\\]|''|\\.)*'))?")


@dataclass(frozen=True, slots=True)
class Proof(HidesValue):
    """One alternative.

    Attributes:
        using: what comes after USING, an SQL expression; empty if nothing.
    """

    plugin: str
    using: str = field(default="", repr=False)

    @property
    def is_password(self) -> bool:
        """Whether a password is what it asks for."""
        return self.plugin in PASSWORD_PLUGINS


def parse_proofs(statement: str, name: str, host: str) -> tuple[Proof, ...]:
    """The alternatives, from what SHOW CREATE USER says of an account."""
    quoted = "@".join("`" + part.replace("`", "``") + "`" for part in (name, host))
    rest = statement.removeprefix(f"CREATE USER {quoted} IDENTIFIED")
    if rest.startswith(" VIA "):
        return tuple(_alternatives(rest))
    return (Proof(NATIVE),)  # BY PASSWORD, which is short for it, or nothing, for an empty password


def _alternatives(rest: str) -> Iterator[Proof]:
    at = 0
    while found := _ALTERNATIVE.match(rest, at):
        yield Proof(found[1], found[2] or "")
        at = found.end()


def with_passwords(proofs: Iterable[Proof], using: Iterable[str]) -> tuple[Proof, ...]:
    """The same alternatives with other passwords, all by the first plugin that takes any.

    Args:
        using: what comes after USING, one for each password.
    """
    given = tuple(proofs)
    first = next(proof for proof in given if proof.is_password)
    passwords = tuple(Proof(first.plugin, expression) for expression in using)
    at = given.index(first)
    others = tuple(proof for proof in given[at:] if not proof.is_password)
    return (*given[:at], *passwords, *others)


def identified(proofs: Iterable[Proof]) -> str:
    """The clause of CREATE USER and ALTER USER."""
    parts = (f"{proof.plugin} USING {proof.using}" if proof.using else proof.plugin for proof in proofs)
    return f"IDENTIFIED VIA {' OR '.join(parts)}"


def native_hash(password: str) -> str:
    """The form in which ``mysql_native_password`` stores a password: 41 characters."""
    once = hashlib.sha1(password.encode()).digest()  # noqa: S324 - the plugin's definition
    return "*" + hashlib.sha1(once).hexdigest().upper()  # noqa: S324 - the plugin's definition
