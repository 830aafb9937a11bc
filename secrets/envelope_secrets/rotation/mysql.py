"""MySQL 8 and 9, and Aurora MySQL."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, ClassVar, Self

from envelope_secrets.password import PasswordPolicy, random_password
from envelope_secrets.rotation import mysql_accounts
from envelope_secrets.rotation.database import DatabaseCredentials
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.rotation.driver_options import check_new_password, check_options, check_test_statements
from envelope_secrets.rotation.failures import TargetError
from envelope_secrets.rotation.mysql_accounts import Account
from envelope_secrets.rotation.mysql_connection import MySqlConnection, connect
from envelope_secrets.rotation.mysql_options import (
    as_text,
    expiry_clause,
    limits_clause,
    quoted_name,
    require_clause,
)
from envelope_secrets.rotation.tls import Tls, TlsMode

__all__ = ["MySql", "MySqlSession"]

MOST_PASSWORD_BYTES = 256
"""Of ``caching_sha2_password`` and ``sha256_password``."""

PASSWORD_PLUGINS = frozenset({"caching_sha2_password", "sha256_password", "mysql_native_password"})
NOT_ALLOWED = 1227
WANTS_OWN_PASSWORD = 3892
SETTING = "the new password"

WRITES_LOG = "SELECT @@GLOBAL.innodb_flush_log_at_trx_commit, @@GLOBAL.innodb_flush_log_at_timeout"
AT_EACH_COMMIT = 1
WRITE_S = 0.5
"""How long a write of the log takes at most, once it has begun."""

REUSE = "Password_reuse_time"
CERTIFICATE = ("ssl_cipher", "x509_issuer", "x509_subject")
LIMITS = {
    "MAX_QUERIES_PER_HOUR": "max_questions",
    "MAX_UPDATES_PER_HOUR": "max_updates",
    "MAX_CONNECTIONS_PER_HOUR": "max_connections",
    "MAX_USER_CONNECTIONS": "max_user_connections",
}
COLUMNS = (
    *("Host", "plugin", "ssl_type", *CERTIFICATE, *LIMITS.values(), "password_lifetime", "account_locked"),
    *("Password_reuse_history", REUSE, "Password_require_current", "User_attributes"),
)
ACCOUNTS = f"SELECT {', '.join(COLUMNS)} FROM mysql.user WHERE User = %s ORDER BY Host"  # noqa: S608 - constants
DEFAULT_ROLES = "SELECT HOST, DEFAULT_ROLE_USER, DEFAULT_ROLE_HOST FROM mysql.default_roles WHERE USER = %s"


@dataclass(frozen=True, slots=True, kw_only=True)
class MySql:
    """MySQL 8.0.19 or later, by PyMySQL. Statements carry passwords to it as text, which it keeps out of its logs.

    An account is a name and a host. An administrator gives all accounts of the name the same password, and makes a
    clone for each host; an account that sets its own password changes that at its own host alone. A server that writes
    its log to disk once in so many seconds, and not at each commit, is given so long after each change.

    Attributes:
        tls: see `Tls`. ``require`` and ``disable`` let whoever is in between learn the password.
        ca_file: see `Tls`.
        password_policy: by default what RDS takes.
        connect_timeout_s: for one login, at most.
        statement_timeout_s: for one statement, at most.
        most_refusals: so many refused logins of one account in one step, 1 to 100: an account with
            ``FAILED_LOGIN_ATTEMPTS 3`` is locked by the third, and then refuses the right password too.
        test_statements: what the application must be able to do, like ``SELECT 1 FROM orders LIMIT 1``: testSecret runs
            these statements with the new password, in a transaction that it rolls back. At most 20;
            none that commits, as CREATE and ALTER do.

    Raises:
        InvalidArgument: an option of the wrong type or range.
    """

    tls: TlsMode = "verify-full"
    ca_file: str | None = None
    password_policy: PasswordPolicy = field(default_factory=lambda: PasswordPolicy(exclude="/@\"'\\"))
    connect_timeout_s: float = 5.0
    statement_timeout_s: float = 10.0
    most_refusals: int = 2
    test_statements: tuple[str, ...] = ()

    engines: ClassVar[frozenset[str]] = frozenset({"mysql", "aurora-mysql"})
    default_port: ClassVar[int] = 3306
    max_username_characters: ClassVar[int] = 32

    def __post_init__(self) -> None:
        Tls(self.tls, self.ca_file)
        check_options(self.password_policy, self.connect_timeout_s, self.statement_timeout_s, self.most_refusals)
        check_test_statements(self.test_statements)

    def connect(self, credentials: DatabaseCredentials, *, deadline: Deadline) -> MySqlSession:
        """See `Database.connect`."""
        connection = connect(
            credentials,
            deadline=deadline,
            tls=Tls(self.tls, self.ca_file),
            connect_timeout_s=self.connect_timeout_s,
            statement_timeout_s=self.statement_timeout_s,
            sql_mode="",
        )
        return MySqlSession(connection, credentials, self.password_policy, self.test_statements)


class MySqlSession:
    """See `DatabaseSession`, `KeepsTwoPasswords` and `SavesAccounts`.

    Args:
        connection: is closed with the session.
        credentials: those of the login.
        policy: for the password that a new account has until it gets its own.
        test_statements: see the target's.
    """

    __slots__ = ("_connection", "_own_password", "_policy", "_test_statements", "_username")

    def __init__(
        self,
        connection: MySqlConnection,
        credentials: DatabaseCredentials,
        policy: PasswordPolicy,
        test_statements: tuple[str, ...] = (),
    ) -> None:
        self._test_statements = test_statements
        self._connection = connection
        self._username = credentials.username
        self._own_password = credentials.password
        self._policy = policy

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.close()

    def set_password(self, username: str, password: str) -> None:
        """See `DatabaseSession.set_password`. A second password that the account had is gone as well.

        Without the privilege APPLICATION_PASSWORD_ADMIN an account cannot take away its own second password; that was
        given by an administrator then, and stays.
        """
        check_new_password(password, most_bytes=MOST_PASSWORD_BYTES)
        with mysql_accounts.locked(self._connection, username):
            accounts = self._password_accounts(username)
            # First: whoever finds that the new password works need not do this again.
            discards = ", ".join(f"{account} DISCARD OLD PASSWORD" for account in accounts)
            passing = frozenset({NOT_ALLOWED}) if username == self._username else frozenset[int]()
            self._connection.rows(f"ALTER USER {discards}", what="the removal of a second password", passing=passing)
            self._identify(username, accounts, password)
        self.save_accounts()

    def add_password(self, username: str, password: str, *, current: str) -> None:
        """See `KeepsTwoPasswords.add_password`.

        The server does not tell which of its two passwords is which, so `current` becomes the first before it becomes
        the second. At no moment it does not work; the account must have no password history.

        Raises:
            PasswordRefused: the server's policy takes one of them not, or not again.
            PrivilegeMissing: the account may not do it: it needs APPLICATION_PASSWORD_ADMIN for itself.
        """
        check_new_password(password, most_bytes=MOST_PASSWORD_BYTES)
        check_new_password(current, most_bytes=MOST_PASSWORD_BYTES)
        with mysql_accounts.locked(self._connection, username):
            accounts = self._password_accounts(username)
            self._identify(username, accounts, current)
            self._identify(username, accounts, password, after=" RETAIN CURRENT PASSWORD")
        self.save_accounts()

    def prepare_account(self, username: str, like: str) -> None:
        """See `DatabaseSession.prepare_account`."""
        mysql_accounts.prepare_account(self._connection, _MySqlDialect(self._policy), username, like)
        self.save_accounts()

    def missing_privileges(self, username: str, like: str) -> tuple[str, ...]:
        """See `DatabaseSession.missing_privileges`."""
        return mysql_accounts.missing_privileges(self._connection, _MySqlDialect(self._policy), username, like)

    def check_use(self) -> None:
        """See `DatabaseSession.check_use`."""
        mysql_accounts.check_use(self._connection, self._test_statements)

    def save_accounts(self) -> None:
        """See `SavesAccounts`: waits, if the server does not write its log to disk at each commit.

        If it died before it does, it would come back with the old password, when AWSCURRENT may have moved already.
        """
        ((when, every_s),) = self._connection.rows(WRITES_LOG, what="a look at variables")
        if when != AT_EACH_COMMIT:
            self._connection.wait(
                every_s + WRITE_S,
                f"a server with innodb_flush_log_at_trx_commit={when} to keep what was changed",
            )

    def _password_accounts(self, username: str) -> list[str]:
        """The accounts of a name, as statements name them; the own one needs no privilege to be named."""
        if username == self._username:
            return ["USER()"]
        accounts = _MySqlDialect(self._policy).accounts(self._connection, username)
        if not accounts:
            raise TargetError("the server has no account of that name")
        for account in accounts:
            if account.plugin not in PASSWORD_PLUGINS:
                raise TargetError(f"the account at host {account.host!r} does not log in with a password")
        return [self._connection.account(account.name, account.host) for account in accounts]

    def _identify(self, username: str, accounts: list[str], password: str, after: str = "") -> None:
        statement = self._identifying(accounts, password, after)
        is_own = username == self._username
        passing = frozenset({WANTS_OWN_PASSWORD}) if is_own else frozenset[int]()
        if self._connection.rows(statement, what=SETTING, passing=passing) is None:
            proof = f" REPLACE {self._connection.quoted(self._own_password)}"
            self._connection.rows(self._identifying(accounts, password, proof + after), what=SETTING)
        if is_own:
            self._own_password = password

    def _identifying(self, accounts: list[str], password: str, after: str) -> str:
        literal = self._connection.quoted(password)
        return "ALTER USER " + ", ".join(f"{account} IDENTIFIED BY {literal}{after}" for account in accounts)


@dataclass(frozen=True, slots=True)
class _MySqlDialect:
    """See `mysql_accounts.Dialect`."""

    policy: PasswordPolicy

    def accounts(self, connection: MySqlConnection, name: str) -> tuple[Account, ...]:
        what = "a look at mysql.user"
        rows = connection.rows(ACCOUNTS, name, what=what)
        roles: dict[str, set[str]] = {}
        for host, role, role_host in connection.rows(DEFAULT_ROLES, name, what=what):
            roles.setdefault(host, set()).add("@".join(quoted_name(part) for part in (role, role_host)))
        found = (dict(zip(COLUMNS, row, strict=True)) for row in rows)
        return tuple(
            Account(name, row["Host"], row["plugin"], _options(connection, row), frozenset(roles.get(row["Host"], ())))
            for row in found
        )

    def create(self, connection: MySqlConnection, account: Account, like: str) -> None:  # noqa: ARG002 - MariaDB's
        """Its password is drawn here and forgotten here."""
        if account.plugin not in PASSWORD_PLUGINS:
            raise TargetError(f"the account at host {account.host!r} does not log in with a password")
        whom = connection.account(account.name, account.host)
        plugin, password = connection.quoted(account.plugin), connection.quoted(random_password(self.policy))
        statement = f"CREATE USER IF NOT EXISTS {whom} IDENTIFIED WITH {plugin} BY {password}"
        connection.rows(statement, what="a new account")

    def set_default_roles(self, connection: MySqlConnection, account: Account) -> None:
        roles = ", ".join(sorted(account.default_roles)) or "NONE"
        whom = connection.account(account.name, account.host)
        connection.rows(f"SET DEFAULT ROLE {roles} TO {whom}", what="a change of default roles")


def _options(connection: MySqlConnection, row: Mapping[str, Any]) -> tuple[str, ...]:
    lifetime, history, reuse = (row[name] for name in ("password_lifetime", "Password_reuse_history", REUSE))
    locking = json.loads(row["User_attributes"] or "{}").get("Password_locking", {})
    lock_days = locking.get("password_lock_time_days", 0)
    wants_current = {None: " DEFAULT", "Y": "", "N": " OPTIONAL"}[row["Password_require_current"]]
    return (
        require_clause(connection.quoted, row["ssl_type"], *(as_text(row[name]) for name in CERTIFICATE)),
        limits_clause({name: row[column] for name, column in LIMITS.items()}),
        expiry_clause(lifetime),
        f"ACCOUNT {'LOCK' if row['account_locked'] == 'Y' else 'UNLOCK'}",
        f"PASSWORD HISTORY {'DEFAULT' if history is None else history}",
        f"PASSWORD REUSE INTERVAL {'DEFAULT' if reuse is None else f'{reuse} DAY'}",
        f"PASSWORD REQUIRE CURRENT{wants_current}",
        f"FAILED_LOGIN_ATTEMPTS {locking.get('failed_login_attempts', 0)}",
        f"PASSWORD_LOCK_TIME {'UNBOUNDED' if lock_days == -1 else lock_days}",
    )
