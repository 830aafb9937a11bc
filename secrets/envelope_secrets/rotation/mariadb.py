"""MariaDB 10.4 and later."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, ClassVar, Self

from envelope_secrets.password import PasswordPolicy, random_password
from envelope_secrets.rotation import mysql_accounts
from envelope_secrets.rotation.database import DatabaseCredentials
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.rotation.driver_options import check_new_password, check_options, check_test_statements
from envelope_secrets.rotation.failures import PasswordRefused, TargetError
from envelope_secrets.rotation.mariadb_passwords import (
    NATIVE,
    Proof,
    identified,
    native_hash,
    parse_proofs,
    with_passwords,
)
from envelope_secrets.rotation.mysql_accounts import Account
from envelope_secrets.rotation.mysql_connection import MySqlConnection, connect
from envelope_secrets.rotation.mysql_options import expiry_clause, limits_clause, quoted_name, require_clause
from envelope_secrets.rotation.tls import Tls, TlsMode

__all__ = ["MariaDb", "MariaDbSession"]

MOST_PASSWORD_BYTES = 4_096
FORBIDDEN_BY_OPTION = 1290
WRITABLE = (((0,),), (("OFF",),))
"""A number until MariaDB 11, then a word."""
NOT_ALLOWED = 1227
SETTING = "the new password"

SSL_TYPES = ("", "ANY", "X509", "SPECIFIED")
CERTIFICATE = ("ssl_cipher", "x509_issuer", "x509_subject")
LIMITS = {
    "MAX_QUERIES_PER_HOUR": "max_questions",
    "MAX_UPDATES_PER_HOUR": "max_updates",
    "MAX_CONNECTIONS_PER_HOUR": "max_connections",
    "MAX_USER_CONNECTIONS": "max_user_connections",
    "MAX_STATEMENT_TIME": "max_statement_time",
}
ACCOUNTS = "SELECT Host, Priv FROM mysql.global_priv WHERE User = %s ORDER BY Host"


@dataclass(frozen=True, slots=True, kw_only=True)
class MariaDb:
    """MariaDB, by PyMySQL. Its log shows statements as they come, so passwords are hashed before they are sent.

    That can be done for ``mysql_native_password``. For other plugins, and on a server that checks passwords itself, the
    password is sent as text, unless the general log is on. An account is a name and a host. An administrator
    gives all accounts of the name the same password, and makes a clone for each host; an account that sets its own
    password changes that at its own host alone.

    Attributes:
        tls: see `Tls`. ``require`` and ``disable`` let whoever is in between learn the password.
        ca_file: see `Tls`.
        password_policy: by default what RDS takes.
        connect_timeout_s: for one login, at most.
        statement_timeout_s: for one statement, at most.
        most_refusals: so many refused logins of one account in one step, 1 to 100: a server with a low
            ``max_password_errors`` blocks it, and then refuses the right password too.
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

    engines: ClassVar[frozenset[str]] = frozenset({"mariadb"})
    default_port: ClassVar[int] = 3306
    max_username_characters: ClassVar[int] = 80

    def __post_init__(self) -> None:
        Tls(self.tls, self.ca_file)
        check_options(self.password_policy, self.connect_timeout_s, self.statement_timeout_s, self.most_refusals)
        check_test_statements(self.test_statements)

    def connect(self, credentials: DatabaseCredentials, *, deadline: Deadline) -> MariaDbSession:
        """See `Database.connect`."""
        connection = connect(
            credentials,
            deadline=deadline,
            tls=Tls(self.tls, self.ca_file),
            connect_timeout_s=self.connect_timeout_s,
            statement_timeout_s=self.statement_timeout_s,
            sql_mode="NO_AUTO_CREATE_USER",  # else a GRANT to an account just dropped would make one without password
        )
        return MariaDbSession(connection, credentials.username, self.password_policy, self.test_statements)


class MariaDbSession:
    """See `DatabaseSession` and `KeepsTwoPasswords`.

    Args:
        connection: is closed with the session.
        username: of the login.
        policy: for the password that a new account has until it gets its own.
        test_statements: see the target's.
    """

    __slots__ = ("_connection", "_dialect", "_test_statements", "_username")

    def __init__(
        self,
        connection: MySqlConnection,
        username: str,
        policy: PasswordPolicy,
        test_statements: tuple[str, ...] = (),
    ) -> None:
        self._test_statements = test_statements
        self._connection = connection
        self._username = username
        self._dialect = _MariaDbDialect(policy)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.close()

    def set_password(self, username: str, password: str) -> None:
        """See `DatabaseSession.set_password`."""
        self._identify(username, (password,))

    def add_password(self, username: str, password: str, *, current: str) -> None:
        """See `KeepsTwoPasswords.add_password`: one statement gives the account these two alternatives.

        Raises:
            PrivilegeMissing: the account may not do it: it needs CREATE USER, also for itself.
        """
        self._identify(username, (password, current))

    def prepare_account(self, username: str, like: str) -> None:
        """See `DatabaseSession.prepare_account`."""
        mysql_accounts.prepare_account(self._connection, self._dialect, username, like)

    def missing_privileges(self, username: str, like: str) -> tuple[str, ...]:
        """See `DatabaseSession.missing_privileges`."""
        return mysql_accounts.missing_privileges(self._connection, self._dialect, username, like)

    def check_use(self) -> None:
        """See `DatabaseSession.check_use`."""
        mysql_accounts.check_use(self._connection, self._test_statements)

    def _identify(self, username: str, passwords: tuple[str, ...]) -> None:
        for password in passwords:
            check_new_password(password, most_bytes=MOST_PASSWORD_BYTES)
        with mysql_accounts.locked(self._connection, username):
            if username == self._username:
                self._identify_own(passwords)
                return
            accounts = self._dialect.accounts(self._connection, username)
            if not accounts:
                raise TargetError("the server has no account of that name")
            proofs = {account.host: _proofs(self._connection, username, account.host) for account in accounts}
            # In one statement: whoever finds later that the new password works can see so for one host only.
            _set_passwords(self._connection, "ALTER USER", username, proofs, passwords)

    def _identify_own(self, passwords: tuple[str, ...]) -> None:
        """An account may always set its one password; all else needs CREATE USER."""
        ((account,),) = self._connection.rows("SELECT CURRENT_USER()", what="a query")
        name, _, host = account.rpartition("@")
        proofs = _proofs(self._connection, name, host)
        if len(passwords) == 1 and sum(proof.is_password for proof in proofs) == 1:
            plugin = next(proof.plugin for proof in proofs if proof.is_password)
            _hashed_or_plain(self._connection, plugin, passwords, lambda using: f"SET PASSWORD = {using[0]}")
        else:
            # By its name: of several alternatives for CURRENT_USER(), MariaDB 10.11 keeps the last one only.
            _set_passwords(self._connection, "ALTER USER", name, {host: proofs}, passwords)


@dataclass(frozen=True, slots=True)
class _MariaDbDialect:
    """See `mysql_accounts.Dialect`."""

    policy: PasswordPolicy

    def accounts(self, connection: MySqlConnection, name: str) -> tuple[Account, ...]:
        rows = connection.rows(ACCOUNTS, name, what="a look at mysql.global_priv")
        found = ((host, json.loads(described)) for host, described in rows)
        return tuple(
            Account(name, host, row.get("plugin", NATIVE), _options(connection, row), _default_roles(row))
            for host, row in found
            if not row.get("is_role")
        )

    def create(self, connection: MySqlConnection, account: Account, like: str) -> None:
        """Its password is drawn here and forgotten here. It proves itself as its model does."""
        proofs = {account.host: _proofs(connection, like, account.host)}
        _set_passwords(connection, "CREATE USER IF NOT EXISTS", account.name, proofs, (random_password(self.policy),))

    def set_default_roles(self, connection: MySqlConnection, account: Account) -> None:
        roles = "".join(account.default_roles) or "NONE"  # there is one at most
        whom = connection.account(account.name, account.host)
        connection.rows(f"SET DEFAULT ROLE {roles} FOR {whom}", what="a change of the default role")


def _proofs(connection: MySqlConnection, name: str, host: str) -> tuple[Proof, ...]:
    """The alternatives by which an account proves itself."""
    statement = f"SHOW CREATE USER {connection.account(name, host)}"
    ((text,),) = connection.rows(statement, what="a look at how an account logs in")
    return parse_proofs(text, name, host)


def _set_passwords(
    connection: MySqlConnection,
    verb: str,
    name: str,
    proofs_by_host: Mapping[str, tuple[Proof, ...]],
    passwords: tuple[str, ...],
) -> None:
    """Run one statement that says how the accounts of a name prove themselves: as before, but with these passwords."""
    plugins: set[str] = set()
    for proofs in proofs_by_host.values():
        first = next((proof.plugin for proof in proofs if proof.is_password), None)
        if first is None:
            raise TargetError("the account does not log in with a password")
        plugins.add(first)

    def statement(using: list[str]) -> str:
        accounts = (
            f"{connection.account(name, host)} {identified(with_passwords(proofs, using))}"
            for host, proofs in proofs_by_host.items()
        )
        return f"{verb} {', '.join(accounts)}"

    _hashed_or_plain(connection, NATIVE if plugins == {NATIVE} else "", passwords, statement)


def _hashed_or_plain(
    connection: MySqlConnection, plugin: str, passwords: Iterable[str], statement: Callable[[list[str]], str]
) -> None:
    """Send hashes; the passwords themselves only where the server insists, and does not write them down.

    Raises:
        PasswordRefused: it insists, and would.
    """
    if plugin == NATIVE:
        hashes = [connection.quoted(native_hash(password)) for password in passwords]
        if connection.rows(statement(hashes), what=SETTING, passing=frozenset({FORBIDDEN_BY_OPTION})) is not None:
            return
        # A server that checks passwords has answered so, or one that takes no changes at all.
        if connection.rows("SELECT @@GLOBAL.read_only", what="a look at a variable") not in WRITABLE:
            raise TargetError(
                "the server is read-only, so it refuses the new password", hint="is this the reader of a cluster?"
            )
    if connection.rows("SELECT @@GLOBAL.general_log", what="a look at a variable") != ((0,),):
        raise PasswordRefused(
            "the server takes this password as text only, and its general log, which is on, would show it",
            hint="turn general_log off",
        )
    plain = [f"PASSWORD({connection.quoted(password)})" for password in passwords]
    connection.rows(statement(plain), what=SETTING)


def _options(connection: MySqlConnection, row: Mapping[str, Any]) -> tuple[str, ...]:
    kind = SSL_TYPES[max(int(row.get("ssl_type", 0)), 0)]
    return (
        require_clause(connection.quoted, kind, *(row.get(name, "") for name in CERTIFICATE)),
        limits_clause({name: _number(row.get(key, 0)) for name, key in LIMITS.items()}),
        f"ACCOUNT {'LOCK' if row.get('account_locked') else 'UNLOCK'}",
        expiry_clause(row.get("password_lifetime")),
    )


def _number(value: float) -> float:
    """The server writes 0 as 0.000000 once it was set."""
    return int(value) if value == int(value) else value


def _default_roles(row: Mapping[str, Any]) -> frozenset[str]:
    role = row.get("default_role")
    return frozenset({quoted_name(role)}) if role else frozenset()
