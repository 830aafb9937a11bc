"""Whether a pending version was made by a strategy of another kind than the one that is asked with. Pure.

Its label must not be dropped then: the target may know the value, and the strategy asked with looks elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

from envelope_secrets.rotation.alternating_users import MOST_SUFFIX_CHARACTERS, AlternatingUsers
from envelope_secrets.rotation.credentials import parse_credentials
from envelope_secrets.rotation.database import Database
from envelope_secrets.rotation.dual_password import DualPassword
from envelope_secrets.rotation.failures import RotationRefused
from envelope_secrets.rotation.single_user import SingleUser
from envelope_secrets.rotation.strategy import Strategy
from envelope_secrets.value import Secret

__all__ = ["Misfit", "misfit"]

FITS = "the strategy that fits is "


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why a strategy does not go with a pending version, and which does. No value."""

    detail: str
    hint: str


_OF_A_CLONE = Misfit(
    "it is for the clone of the current user, or for the account whose clone that is; this strategy is for one user",
    f"{FITS}AlternatingUsers()",
)
_OF_ONE_USER = Misfit(
    "it is for the same user as the current version, and this strategy is for two in turn",
    f"{FITS}SingleUser(), or DualPassword()",
)


def misfit(target: object, strategy: Strategy | None, current: Secret | None, pending: Secret) -> Misfit | None:
    """Why the strategy does not go with the pending version; None if it does, or nothing tells."""
    if not isinstance(target, Database) or current is None:
        return None
    try:
        users = parse_credentials(current, target).username, parse_credentials(pending, target).username
    except RotationRefused:
        return None
    if isinstance(strategy, (SingleUser, DualPassword)):
        return _OF_A_CLONE if _are_a_pair(*users) else None
    is_copy = pending.text == current.text  # of a rotation that is only tried
    return _OF_ONE_USER if isinstance(strategy, AlternatingUsers) and users[0] == users[1] and not is_copy else None


def _are_a_pair(*users: str) -> bool:
    """Whether one name is the other and a suffix, of any text that `AlternatingUsers.suffix` may be."""
    short, long = sorted(users, key=len)
    return long.startswith(short) and 0 < len(long) - len(short) <= MOST_SUFFIX_CHARACTERS
