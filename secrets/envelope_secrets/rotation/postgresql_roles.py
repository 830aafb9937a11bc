"""Roles of PostgreSQL as values, and the changes that make one like another. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

__all__ = [
    "ROLE_QUERIES",
    "Role",
    "Setting",
    "attribute_changes",
    "missing_from",
    "role_of",
    "setting_changes",
    "setting_values",
]

FLAGS = {
    "rolsuper": "SUPERUSER",
    "rolcreaterole": "CREATEROLE",
    "rolcreatedb": "CREATEDB",
    "rolcanlogin": "LOGIN",
    "rolreplication": "REPLICATION",
    "rolbypassrls": "BYPASSRLS",
}

ATTRIBUTES = (
    f"SELECT {', '.join(FLAGS)}, rolinherit, rolconnlimit, "  # noqa: S608 - constants
    "coalesce(rolvaliduntil::text, 'infinity') FROM pg_roles WHERE rolname = {}"
)
# From PostgreSQL 16 on each membership says whether it is inherited; `to_jsonb` gives no such field before.
MEMBERSHIPS = (
    "SELECT r.rolname, bool_or(coalesce((to_jsonb(m)->>'inherit_option')::bool, true)"
    " AND coalesce((to_jsonb(m)->>'set_option')::bool, true))"
    " FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid JOIN pg_roles u ON u.oid = m.member"
    " WHERE u.rolname = {} GROUP BY r.rolname"
)
SETTINGS = (
    "SELECT d.datname, unnest(s.setconfig) FROM pg_db_role_setting s JOIN pg_roles u ON u.oid = s.setrole"
    " LEFT JOIN pg_database d ON d.oid = s.setdatabase WHERE u.rolname = {}"
)
ROLE_QUERIES = (ATTRIBUTES, MEMBERSHIPS, SETTINGS)
"""Each with the role's name in the place of the braces. Every account may ask them."""

LISTS_OF_NAMES = frozenset(
    {
        *("local_preload_libraries", "session_preload_libraries", "shared_preload_libraries"),
        *("search_path", "temp_tablespaces", "unix_socket_directories"),
    }
)
"""Settings whose value is a list of quoted names. Source: GUC_LIST_QUOTE, as in pg_dump."""

Setting = tuple[str | None, str]
"""The database in which it is in force, or None for all of them; and its name."""


@dataclass(frozen=True, slots=True)
class Role:
    """What the server knows of a role.

    Attributes:
        flags: those of `FLAGS`, by their word.
        members_of: the roles it is a member of; whether it has their privileges at once and may become them.
        settings: in force at login.
    """

    name: str
    flags: Mapping[str, bool]
    inherits: bool
    connection_limit: int
    valid_until: str
    members_of: Mapping[str, bool]
    settings: Mapping[Setting, str]


def role_of(
    name: str, row: tuple[object, ...], members_of: list[tuple[str, bool]], settings: list[tuple[str | None, str]]
) -> Role:
    """A role, from the answers to `ROLE_QUERIES`."""
    *flags, inherits, limit, valid_until = row
    return Role(
        name,
        {word: bool(flag) for word, flag in zip(FLAGS.values(), flags, strict=True)},
        bool(inherits),
        int(str(limit)),
        str(valid_until),
        dict(members_of),
        {(database, entry.partition("=")[0]): entry.partition("=")[2] for database, entry in settings},
    )


def attribute_changes(account: Role, model: Role) -> Iterator[tuple[str, str]]:
    """Options of ALTER ROLE that are needed; only what differs, because some may not even be mentioned by everybody.

    Returns:
        Each with the literal it needs, or an empty text.
    """
    for word, wanted in model.flags.items():
        if account.flags[word] != wanted:
            yield (word if wanted else f"NO{word}"), ""
    if not account.inherits:
        yield "INHERIT", ""  # from the model alone: what the model does not inherit, its members do not
    if account.connection_limit != model.connection_limit:
        yield f"CONNECTION LIMIT {model.connection_limit}", ""
    if account.valid_until != model.valid_until:
        yield "VALID UNTIL", model.valid_until


def wanted_settings(model: Role) -> dict[Setting, str]:
    """Those of the model; and that the login becomes the model, unless the model itself becomes another role."""
    return {(None, "role"): model.name, **model.settings}


def setting_changes(account: Role, model: Role) -> Iterator[tuple[Setting, str | None]]:
    """Settings that are needed, and with None those that must go."""
    wanted = wanted_settings(model)
    yield from ((setting, value) for setting, value in wanted.items() if account.settings.get(setting) != value)
    yield from ((setting, None) for setting in account.settings if setting not in wanted)


def setting_values(name: str, value: str) -> list[str]:
    """The literals that ALTER ROLE ... SET needs to store this value."""
    if name not in LISTS_OF_NAMES:
        return [value]
    names = re.findall(r'"(?:[^"]|"")*"|[^,\s]+', value)
    return [name[1:-1].replace('""', '"') if name.startswith('"') else name for name in names] or [""]


def missing_from(account: Role, model: Role) -> tuple[str, ...]:
    """What the model has and the account lacks."""
    missing = [f"attribute {word}" for word, has in model.flags.items() if has and not account.flags[word]]
    if not account.members_of.get(model.name):
        missing.append(f'membership in role "{model.name}"')
    if not account.inherits:
        missing.append("attribute INHERIT")
    if account.connection_limit != model.connection_limit:
        missing.append(f"connection limit {model.connection_limit}")
    if account.valid_until != model.valid_until:
        missing.append(f"valid until {model.valid_until}")
    missing += [
        f"setting {name}" + (f' in database "{database}"' if database else "")
        for (database, name), value in setting_changes(account, model)
        if value is not None
    ]
    return tuple(missing)
