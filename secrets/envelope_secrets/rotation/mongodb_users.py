"""What the server says of an account, and the fields of commands that make another one like it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from envelope_secrets.value import HidesValue

__all__ = ["MongoDbUser", "changes", "fields_like", "missing_from", "parse_user"]


@dataclass(frozen=True, slots=True)
class MongoDbUser(HidesValue):
    """An account.

    Attributes:
        roles: pairs of a database and the name of a role.
        custom_data: of whoever made the account; None where the server shows none.
        restrictions: addresses that it may come from and connect to; empty if it may from and to all.
        mechanisms: how it can log in; empty where the server does not say.
    """

    roles: frozenset[tuple[str, str]]
    custom_data: Mapping[str, Any] | None = field(default=None, repr=False)
    restrictions: tuple[Mapping[str, Any], ...] = ()
    mechanisms: tuple[str, ...] = ()


def parse_user(answer: Mapping[str, Any]) -> MongoDbUser | None:
    """The one account that an answer to usersInfo has; None if it has none.

    Raises:
        ValueError: it is no such answer.
    """
    try:
        users = answer["users"]
        if not users:
            return None
        (user,) = users
        return MongoDbUser(
            roles=frozenset((role["db"], role["role"]) for role in user["roles"]),
            custom_data=user.get("customData"),
            restrictions=tuple(user.get("authenticationRestrictions") or ()),
            mechanisms=tuple(sorted(user.get("mechanisms") or ())),
        )
    except (KeyError, TypeError, AttributeError):
        raise ValueError("no description of a user") from None


def fields_like(model: MongoDbUser) -> dict[str, Any]:
    """The fields of createUser, but for the password.

    What the model has not got is not among them, because some servers know no more than roles.
    """
    fields: dict[str, Any] = {"roles": _roles(model)}
    if model.custom_data is not None:
        fields["customData"] = model.custom_data
    if model.restrictions:
        fields["authenticationRestrictions"] = list(model.restrictions)
    if model.mechanisms:
        fields["mechanisms"] = list(model.mechanisms)
    return fields


def changes(user: MongoDbUser, model: MongoDbUser) -> dict[str, Any]:
    """The fields of updateUser that make a user like the model; empty if nothing is to be done.

    A way to log in can be taken away without the password, and not be added: see `MongoDbSession.set_password`.
    """
    fields: dict[str, Any] = {}
    if user.roles != model.roles:
        fields["roles"] = _roles(model)
    if user.custom_data != model.custom_data:
        fields["customData"] = model.custom_data or {}
    if user.restrictions != model.restrictions:
        fields["authenticationRestrictions"] = list(model.restrictions)
    kept = [mechanism for mechanism in user.mechanisms if mechanism in model.mechanisms]
    if kept and len(kept) < len(user.mechanisms):
        fields["mechanisms"] = kept
    return fields


def missing_from(user: MongoDbUser, model: MongoDbUser) -> tuple[str, ...]:
    """What the model has and the user lacks; empty if nothing."""
    missing = [f"the role {role} of {database}" for database, role in sorted(model.roles - user.roles)]
    if user.restrictions != model.restrictions:
        missing.append("the same addresses to come from")
    if (user.custom_data or None) != (model.custom_data or None):
        missing.append("the same customData")
    return tuple(missing)


def _roles(model: MongoDbUser) -> list[dict[str, str]]:
    return [{"role": role, "db": database} for database, role in sorted(model.roles)]
