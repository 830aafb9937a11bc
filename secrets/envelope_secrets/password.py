"""Random passwords, made here, with the guarantees of GetRandomPassword: no call, no permission, no rate limit.

Every password that the policy allows is equally likely. The characters are drawn independently and uniformly from the
alphabet; a password that lacks a required kind of character is thrown away whole, and all of it is drawn again.
Putting the missing character into it instead would prefer some passwords to others.

Source: AWS Secrets Manager API reference, GetRandomPassword.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable
from dataclasses import dataclass

from envelope.arguments import check_count, check_flag, check_function
from envelope.errors import InvalidArgument

__all__ = ["PasswordPolicy", "random_password"]

MAX_LENGTH = 4_096
MAX_EXCLUDED_CHARACTERS = 4_096

MAX_DRAWS = 200_000
"""The rarest allowed passwords, four characters of which three kinds have one character each, take 2,200 draws on
average: with a sound source this many fail once in 10^39 times."""


@dataclass(frozen=True, slots=True)
class PasswordPolicy:
    """What a password is made of.

    Attributes:
        length: 1 to 4,096 characters.
        exclude: up to 4,096 characters that must not be in it, like those that an engine or a connection string cannot
            take.
        lowercase, uppercase, digits, punctuation: the kinds of characters that may be in it: ASCII letters, digits, and
            the 32 other printable characters of ASCII.
        space: whether the space may be in it. It never must.
        require_each: at least one character of each kind that may be in it, the space aside.

    Raises:
        InvalidArgument: an option is out of range, no password could satisfy them all, or only one could.
    """

    length: int = 32
    exclude: str = ""
    lowercase: bool = True
    uppercase: bool = True
    digits: bool = True
    punctuation: bool = True
    space: bool = False
    require_each: bool = True

    def __post_init__(self) -> None:
        check_count("length", self.length, 1, MAX_LENGTH)
        if not isinstance(self.exclude, str):
            raise InvalidArgument(f"exclude must be text, not {type(self.exclude).__name__}")
        check_count("the number of characters of exclude", len(self.exclude), 0, MAX_EXCLUDED_CHARACTERS)
        for name in ("lowercase", "uppercase", "digits", "punctuation", "space", "require_each"):
            check_flag(name, getattr(self, name))
        _check_possible(self)


def random_password(policy: PasswordPolicy | None = None, *, choose: Callable[[str], str] = secrets.choice) -> str:
    """A password from the operating system's random source.

    Args:
        policy: 32 characters of every kind but the space, by default.
        choose: picks one character of a text, each with the same probability. For tests.

    Raises:
        InvalidArgument: the policy is none, or `choose` is not random.
    """
    policy = PasswordPolicy() if policy is None else policy
    if not isinstance(policy, PasswordPolicy):
        raise InvalidArgument(f"policy must be a PasswordPolicy, not {type(policy).__name__}")
    check_function("choose", choose)
    kinds = _kinds(policy)
    alphabet = "".join(kinds.values())
    required = [frozenset(characters) for characters in _required(policy).values()]
    for _ in range(MAX_DRAWS):
        drawn = "".join([choose(alphabet) for _ in range(policy.length)])
        if not any(characters.isdisjoint(drawn) for characters in required):
            return drawn
    raise InvalidArgument(f"choose gave no allowed password in {MAX_DRAWS:,} draws, so it is not random")


def _kinds(policy: PasswordPolicy) -> dict[str, str]:
    """The characters of each kind that the policy leaves."""
    excluded = set(policy.exclude)
    kinds = {
        "lowercase": string.ascii_lowercase,
        "uppercase": string.ascii_uppercase,
        "digits": string.digits,
        "punctuation": string.punctuation,
        "space": " ",
    }
    return {
        name: "".join(character for character in characters if character not in excluded)
        for name, characters in kinds.items()
        if getattr(policy, name)
    }


def _required(policy: PasswordPolicy) -> dict[str, str]:
    """The kinds of which there must be one character at least."""
    kinds = _kinds(policy) if policy.require_each else {}
    return {name: characters for name, characters in kinds.items() if name != "space"}


def _check_possible(policy: PasswordPolicy) -> None:
    required = _required(policy)
    for name, characters in required.items():
        if not characters:
            raise InvalidArgument(
                f"exclude leaves no character of the kind {name}, and require_each wants one",
                hint=f"set {name}=False, or exclude less",
            )
    if len(required) > policy.length:
        raise InvalidArgument(
            f"length must be at least {len(required)} with require_each, one for each kind, not {policy.length}"
        )
    left = sum(map(len, _kinds(policy).values()))
    if left < 2:
        raise InvalidArgument(f"the policy leaves {left} characters to choose from; a password needs 2 at least")
