"""Accounts of MySQL and MariaDB: for each host one, with what they require, what limits them, and what they may do."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from envelope_secrets.rotation.driver_options import check_two_names
from envelope_secrets.rotation.failures import TargetError, TargetUnreachable
from envelope_secrets.rotation.mysql_connection import MySqlConnection
from envelope_secrets.rotation.mysql_grants import Grant, changes, describe, parse_grants

__all__ = ["Account", "Dialect", "check_use", "locked", "missing_privileges", "prepare_account"]

NO_SUCH_GRANT = frozenset({1141, 1147, 1269, 1403, 3523, 3530})
"""What is to be revoked is not there: another revocation has taken it along."""

MOST_ROUNDS = 4
LOCK_S = 5


@dataclass(frozen=True, slots=True)
class Account:
    """One row of the server's table of accounts.

    Attributes:
        plugin: by which it proves its password; the first, where it has several.
        options: clauses of ALTER USER, complete: what the server does not show has its default.
        default_roles: quoted as the server does.
    """

    name: str
    host: str
    plugin: str
    options: tuple[str, ...]
    default_roles: frozenset[str]


class Dialect(Protocol):
    """Where MySQL and MariaDB differ."""

    def accounts(self, connection: MySqlConnection, name: str) -> tuple[Account, ...]:
        """All accounts of a name, for whatever hosts."""
        ...

    def create(self, connection: MySqlConnection, account: Account, like: str) -> None:
        """Make an account to which nobody can log in, if it does not exist.

        Args:
            like: the name of its model, at the same host.
        """
        ...

    def set_default_roles(self, connection: MySqlConnection, account: Account) -> None:
        """Make the roles of `account.default_roles` those that are active after login."""
        ...


def prepare_account(connection: MySqlConnection, dialect: Dialect, username: str, like: str) -> None:
    """See `DatabaseSession.prepare_account`. Every statement takes effect by itself; all can be repeated."""
    check_two_names(username, like)
    with locked(connection, username):
        models = _existing(dialect.accounts(connection, like))
        for account in dialect.accounts(connection, username):
            if account.host not in {model.host for model in models}:
                statement = f"DROP USER {connection.account(account.name, account.host)}"
                connection.rows(statement, what="the removal of an account at another host")
        for model in models:
            _converge(connection, dialect, model, username)


def missing_privileges(connection: MySqlConnection, dialect: Dialect, username: str, like: str) -> tuple[str, ...]:
    """See `DatabaseSession.missing_privileges`."""
    check_two_names(username, like)
    accounts = {account.host: account for account in dialect.accounts(connection, username)}
    return tuple(
        missing
        for model in _existing(dialect.accounts(connection, like))
        for missing in _missing(connection, model, accounts.get(model.host))
    )


def check_use(connection: MySqlConnection, test_statements: tuple[str, ...]) -> None:
    """See `DatabaseSession.check_use`. An account with an expired password can log in, and do nothing else.

    After a failure the caller closes the connection, which takes all of it back.
    """
    connection.rows("SELECT 1", what="a query")
    if test_statements:
        connection.rows("START TRANSACTION", what="a transaction")
        for number, statement in enumerate(test_statements, start=1):
            connection.rows(statement, what=f"test statement {number}")
        connection.rows("ROLLBACK", what="a transaction")


@contextmanager
def locked(connection: MySqlConnection, username: str) -> Iterator[None]:
    """Be the only one of us who changes this account. The server lets go when the connection ends.

    Raises:
        TargetUnreachable: another one has been at it for longer than we wait.
    """
    name = "envelope-" + hashlib.sha256(username.encode()).hexdigest()[:32]
    what = "a lock, so that only one changes the account"
    if connection.rows("SELECT GET_LOCK(%s, %s)", name, LOCK_S, what=what) != ((1,),):
        raise TargetUnreachable("somebody else is changing this account", hint="let the step be repeated")
    yield
    connection.rows("SELECT RELEASE_LOCK(%s)", name, what=what)


def _existing(accounts: tuple[Account, ...]) -> tuple[Account, ...]:
    if not accounts:
        raise TargetError("the server has no account of that name", hint="the account must exist before its clone")
    return accounts


def _converge(connection: MySqlConnection, dialect: Dialect, model: Account, username: str) -> None:
    """Make the account at one host like the model; what limits it comes before what it may do."""
    wanted = Account(username, model.host, model.plugin, model.options, model.default_roles)
    dialect.create(connection, wanted, model.name)
    found = next(account for account in dialect.accounts(connection, username) if account.host == model.host)
    if found.options != wanted.options:
        statement = f"ALTER USER {connection.account(username, model.host)} {' '.join(wanted.options)}"
        connection.rows(statement, what="a change of what an account requires")
    _converge_grants(connection, model, wanted)
    if found.default_roles != wanted.default_roles:
        dialect.set_default_roles(connection, wanted)


def _converge_grants(connection: MySqlConnection, model: Account, account: Account) -> None:
    """Give and take until both have the same: one statement can have more effects than its text says."""
    wanted = _grants(connection, model)
    whom = connection.account(account.name, account.host)
    for _ in range(MOST_ROUNDS):
        statements = list(changes(_grants(connection, account), wanted, whom))
        if not statements:
            return
        for statement in statements:
            passing = NO_SUCH_GRANT if statement.startswith("REVOKE") else frozenset[int]()
            connection.rows(statement, what="a grant or revocation", passing=passing)
    raise TargetError(
        "the clone's privileges do not become those of the account, though every statement succeeded",
        hint="compare SHOW GRANTS of both by hand",
    )


def _grants(connection: MySqlConnection, account: Account) -> frozenset[Grant]:
    statement = f"SHOW GRANTS FOR {connection.account(account.name, account.host)}"
    rows = connection.rows(statement, what="a look at the privileges of other accounts")
    return parse_grants((line for (line,) in rows), account.name, account.host)


def _missing(connection: MySqlConnection, model: Account, account: Account | None) -> Iterator[str]:
    if account is None:
        yield f"the account at host {model.host!r}"
        return
    lacking = _grants(connection, model) - _grants(connection, account)
    yield from (describe(grant) for grant in sorted(lacking))
    yield from (option for option in model.options if option not in account.options)
    yield from (f"default role {role}" for role in sorted(model.default_roles - account.default_roles))
