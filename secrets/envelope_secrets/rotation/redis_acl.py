"""Users of Redis as the server describes them, and the rules that make another user like one. Pure.

Source: Redis documentation, "ACL", ACL GETUSER and ACL SETUSER (Redis 7; Valkey has the same).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

__all__ = ["AclUser", "hash_rule", "like_rules", "missing_from", "parse_user"]

SANITIZE_FLAGS = frozenset({b"sanitize-payload", b"skip-sanitize-payload"})


@dataclass(frozen=True, slots=True)
class AclUser:
    """What a user may do: everything of it but its passwords.

    Attributes:
        is_on: whether it can log in.
        takes_any_password: the flag ``nopass``.
        sanitize: the flags about payloads of RESTORE.
        commands, keys, channels: rules, separated by spaces.
        selectors: further sets of such rules.
    """

    is_on: bool
    takes_any_password: bool
    sanitize: frozenset[bytes]
    commands: bytes
    keys: bytes
    channels: bytes
    selectors: tuple[bytes, ...]


def hash_rule(password: str) -> str:
    """The rule that adds a password, by its hash: whoever sees the command, or the server's file, cannot log in."""
    return "#" + hashlib.sha256(password.encode()).hexdigest()


def parse_user(answer: object) -> AclUser:
    """A user, from the answer to ACL GETUSER in RESP2.

    Raises:
        ValueError: Redis before version 7, which describes users in another form, or something else.
    """
    fields = _fields(answer)
    flags = fields["flags"]
    selectors = fields["selectors"]
    if not isinstance(flags, list) or not isinstance(selectors, list):
        raise ValueError("no description of a user")
    return AclUser(
        is_on=b"on" in flags,
        takes_any_password=b"nopass" in flags,
        sanitize=SANITIZE_FLAGS & frozenset(flags),
        commands=_rules(fields, "commands"),
        keys=_rules(fields, "keys"),
        channels=_rules(fields, "channels"),
        selectors=tuple(_selector(selector) for selector in selectors),
    )


def like_rules(user: AclUser) -> tuple[bytes, ...]:
    """The rules that give another user exactly this, in one command, and leave its passwords as they are."""
    return (
        *(b"resetkeys", b"resetchannels", b"clearselectors", b"-@all"),
        *user.sanitize,
        *user.commands.split(),
        *user.keys.split(),
        *user.channels.split(),
        *user.selectors,
        b"on" if user.is_on else b"off",
    )


def missing_from(user: AclUser, like: AclUser) -> tuple[str, ...]:
    """In what a user differs from the one that it is to be like; empty if it does not."""
    differences = {
        "the right to log in": user.is_on != like.is_on,
        "the handling of payloads": user.sanitize != like.sanitize,
        "commands": user.commands != like.commands,
        "keys": user.keys != like.keys,
        "channels": user.channels != like.channels,
        "selectors": user.selectors != like.selectors,
    }
    return tuple(what for what, differs in differences.items() if differs)


def _fields(answer: object) -> dict[str, Any]:
    """The names and values, which come in turn."""
    if not isinstance(answer, list) or len(answer) % 2 or not all(isinstance(name, bytes) for name in answer[::2]):
        raise ValueError("no description of a user")
    fields = {name.decode(errors="replace"): value for name, value in zip(answer[::2], answer[1::2], strict=True)}
    return {"flags": None, "selectors": None, **fields}


def _rules(fields: dict[str, Any], name: str) -> bytes:
    rules = fields.get(name)
    if not isinstance(rules, bytes):
        raise ValueError("a user described as before Redis 7")
    return rules


def _selector(selector: object) -> bytes:
    fields = _fields(selector)
    parts = (_rules(fields, name) for name in ("commands", "keys", "channels"))
    return b"(" + b" ".join(part for part in parts if part) + b")"
