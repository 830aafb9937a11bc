"""A logged-in connection to PostgreSQL. A change of an account is one transaction: it happens whole, or not."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self

from envelope.errors import EnvelopeError
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.rotation.driver_options import check_new_password, check_two_names
from envelope_secrets.rotation.driver_timeouts import ends_after
from envelope_secrets.rotation.failures import (
    PasswordRefused,
    PrivilegeMissing,
    TargetError,
    TargetUnreachable,
)
from envelope_secrets.rotation.postgresql_roles import (
    ROLE_QUERIES,
    Role,
    Setting,
    attribute_changes,
    missing_from,
    role_of,
    setting_changes,
    setting_values,
)

__all__ = ["PostgreSqlSession", "check_name"]

MOST_NAME_BYTES = 63
"""The server cuts longer names, which would make it another account. Source: NAMEDATALEN."""

MOST_PASSWORD_BYTES = 1_023
"""What every client library and pooler takes."""

GRACE_S = 0.5
"""The server ends a statement that takes too long, and says so; if it does not, we hang up so much later."""

NEW_ONE = "the new password"
TEST_STATEMENT = "test statement"
FIRST_WITH_OPTIONS = 160_000

# A password that a crash of the server takes back would lock everybody out, whatever the login's default is.
SESSION = (
    "SELECT pg_catalog.set_config('statement_timeout', '{0}', false), "
    "pg_catalog.set_config('synchronous_commit', CASE WHEN pg_catalog.current_setting('synchronous_commit')"
    " IN ('off', 'local') THEN 'on' ELSE pg_catalog.current_setting('synchronous_commit') END, false), "
    "pg_catalog.set_config('search_path', 'pg_catalog', false), "
    "pg_catalog.set_config('default_transaction_read_only', 'off', false)"
)
OWNS_SOMETHING = (
    "SELECT EXISTS (SELECT FROM pg_shdepend s JOIN pg_roles r ON r.oid = s.refobjid"
    " WHERE r.rolname = {} AND s.refclassid = 'pg_authid'::regclass AND s.deptype = 'o'"
    " AND s.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())))"
)

MEMBERSHIP_HINT = "it needs CREATEROLE, and from PostgreSQL 16 on the role itself WITH ADMIN OPTION"
FAILURES: dict[str, tuple[type[TargetError], str, str]] = {
    "42501": (PrivilegeMissing, "the login lacks a privilege for {what}", MEMBERSHIP_HINT),
    "25006": (TargetError, "the server is read-only, so it refuses {what}", "is this the reader of a cluster?"),
    "42704": (TargetError, "the server does not know the account, or a setting of its model", ""),
    "0LP01": (TargetError, "one account is a member of the other already, so it cannot be its model", ""),
    "57014": (TargetUnreachable, "the server did not finish {what} in time", ""),
    "55P03": (TargetUnreachable, "the server did not finish {what} in time", ""),
    "57P01": (TargetUnreachable, "the server is shutting down", ""),
    "XX000": (TargetUnreachable, "the server had an internal error, as when two change one account", ""),
}
PASSWORD_FAILURES = frozenset({"22023", "28000", "28P01", "P0001"})
"""What the server's own check of passwords and the usual extensions for it raise."""


class PostgreSqlSession:
    """See `DatabaseSession`.

    Args:
        raw: the driver's connection, in its autocommit mode; closed with the session.
        driver: its module.
        username: of the login.
    """

    __slots__ = ("_deadline", "_driver", "_raw", "_statement_timeout_s", "_test_statements", "_timeout_ms", "_username")

    def __init__(
        self,
        raw: Any,
        driver: Any,
        username: str,
        *,
        deadline: Deadline,
        statement_timeout_s: float,
        test_statements: tuple[str, ...] = (),
    ) -> None:
        self._raw = raw
        self._test_statements = test_statements
        self._username = username
        self._driver = driver
        self._deadline = deadline
        self._statement_timeout_s = statement_timeout_s
        self._timeout_ms = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._raw.close()

    def set_password(self, username: str, password: str) -> None:
        """See `DatabaseSession.set_password`."""
        check_name(username)
        check_new_password(password, most_bytes=MOST_PASSWORD_BYTES)
        with self._changing(username):
            if username == self._username:
                self._run("SET LOCAL ROLE NONE", what="a change of role")  # as itself it may, as the role it became not
            hashed = self._raw.pgconn.encrypt_password(password.encode(), username.encode(), b"scram-sha-256").decode()
            self._change("ALTER ROLE {} PASSWORD {}", username, literals=[hashed], what=NEW_ONE)

    def prepare_account(self, username: str, like: str) -> None:
        """See `DatabaseSession.prepare_account`.

        The account is a member of `like` and becomes it at login, so that it may do what `like` may and what it makes
        belongs to `like`. It has no other roles, the same attributes, limits and settings; what it owns in this
        database goes to `like`. Privileges that were given to it by name stay: PostgreSQL has no statement that
        takes just these.
        TLS is no requirement of an account here, but of the server's pg_hba.conf; rules there that name `like` should
        name ``+like``, which means its members too.
        """
        check_two_names(username, like)
        check_name(username)
        check_name(like)
        with self._changing(username):
            model = self._existing(like)
            if self._role(username) is None:
                self._change("CREATE ROLE {} LOGIN", username, what="a new account")
            self._converge(self._existing(username), model)

    def missing_privileges(self, username: str, like: str) -> tuple[str, ...]:
        """See `DatabaseSession.missing_privileges`. Every account may ask this."""
        check_two_names(username, like)
        account, model = self._role(username), self._existing(like)
        return ("the account",) if account is None else missing_from(account, model)

    def check_makes_accounts(self) -> None:
        """Raise `PrivilegeMissing` unless this login may make an account at all. Changes nothing."""
        query = "SELECT rolsuper OR rolcreaterole FROM pg_catalog.pg_roles WHERE rolname = current_user"
        if self._run(query, what="a query") != [(True,)]:
            raise PrivilegeMissing(
                "the administrator may make no accounts", hint="ALTER ROLE ... CREATEROLE gives the attribute"
            )

    def check_use(self) -> None:
        """See `DatabaseSession.check_use`."""
        query = "SELECT has_database_privilege(current_user, current_database(), 'CONNECT')"
        if self._run(query, what="a query") != [(True,)]:
            raise PrivilegeMissing("the role that this login becomes may not connect to the database")
        if self._test_statements:
            self._try_out()

    def _try_out(self) -> None:
        """Run the test statements. After a failure the caller closes the connection, which takes all of it back."""
        what = "a transaction"
        self._run("BEGIN", what=what)
        self._run("SET LOCAL search_path TO DEFAULT", what=what)  # the application's: ours is the catalogue alone
        for number, statement in enumerate(self._test_statements, start=1):
            self._run(statement, what=f"{TEST_STATEMENT} {number}")
        self._run("ROLLBACK", what=what)

    def _converge(self, account: Role, model: Role) -> None:
        what = "a change of an account's attributes or settings"
        for option, value in attribute_changes(account, model):
            literals = [value] if value else []
            self._change(f"ALTER ROLE {{}} {option}{' {}' * len(literals)}", account.name, literals=literals, what=what)
        if dict(account.members_of) != {model.name: True}:
            self._change_membership(account, model)
        for setting, text in setting_changes(account, model):
            self._change_setting(account.name, setting, text, what)
        if self._owns_something(account.name):
            self._change("REASSIGN OWNED BY {} TO {}", account.name, model.name, what="a change of owner")

    def _change_membership(self, account: Role, model: Role) -> None:
        what = "a change of membership"
        for role in sorted(account.members_of.keys() - {model.name}):
            self._change("REVOKE {} FROM {}", role, account.name, what=what)
        options = " WITH INHERIT TRUE, SET TRUE" if self._raw.info.server_version >= FIRST_WITH_OPTIONS else ""
        self._change("GRANT {} TO {}" + options, model.name, account.name, what=what)

    def _change_setting(self, name: str, setting: Setting, value: str | None, what: str) -> None:
        database, option = setting
        sql = self._driver.sql
        where = sql.SQL(" IN DATABASE {}").format(sql.Identifier(database)) if database else sql.SQL("")
        what_setting = sql.Identifier(*option.split("."))
        if value is None:
            change = sql.SQL("RESET {}").format(what_setting)
        else:
            values = sql.SQL(", ").join(map(sql.Literal, setting_values(option, value)))
            change = sql.SQL("SET {} TO {}").format(what_setting, values)
        statement = sql.SQL("ALTER ROLE {}{} {}").format(sql.Identifier(name), where, change)
        self._run(statement, what=what)

    def _owns_something(self, name: str) -> bool:
        return bool(self._select(OWNS_SOMETHING, name) == [(True,)])

    def _existing(self, name: str) -> Role:
        role = self._role(name)
        if role is None:
            raise TargetError("the server has no account of that name", hint="the account must exist before its clone")
        return role

    def _role(self, name: str) -> Role | None:
        rows, members_of, settings = (self._select(query, name) for query in ROLE_QUERIES)
        return role_of(name, rows[0], members_of, settings) if rows else None

    def _select(self, query: str, text: str) -> Any:
        sql = self._driver.sql
        return self._run(sql.SQL(query).format(sql.Literal(text)), what="a query of the catalogue")

    def _change(self, template: str, *names: str, what: str, literals: list[str] | None = None) -> None:
        sql = self._driver.sql
        parts = [*map(sql.Identifier, names), *map(sql.Literal, literals or ())]
        self._run(sql.SQL(template).format(*parts), what=what)

    @contextmanager
    def _changing(self, username: str) -> Iterator[None]:
        """A transaction in which nobody else of us changes this account."""
        key = int.from_bytes(hashlib.sha256(b"envelope rotation " + username.encode()).digest()[:8], signed=True)
        # Each statement must see what others did while this one waited for the lock, whatever the login's default is.
        self._run("BEGIN ISOLATION LEVEL READ COMMITTED", what="a transaction")
        try:
            self._run(f"SELECT pg_advisory_xact_lock({key})", what="a lock, so that only one changes the account")
            yield
        except BaseException:
            with suppress(EnvelopeError):
                self._execute("ROLLBACK", "the end of a transaction")
            raise
        self._run("COMMIT", what="a transaction")

    def _run(self, statement: Any, *, what: str) -> Any:
        """Run a statement, all of whose values are in it, quoted by the driver; return its rows."""
        self._fit_timeout()
        return self._execute(statement, what)

    def _fit_timeout(self) -> None:
        """Give the server so much time for the next statement as there is. It looks up names in its own schema only.

        An account that applications may only read with can change its password all the same.
        """
        timeout_ms = int(self._deadline.at_most(self._statement_timeout_s) * 1_000)
        if self._timeout_ms == 0 or timeout_ms < self._timeout_ms:
            self._execute(SESSION.format(timeout_ms), "a setting of the session")
            self._timeout_ms = timeout_ms

    def _execute(self, statement: Any, what: str) -> Any:
        failure: TargetError
        longest_s = self._deadline.at_most(self._statement_timeout_s) + GRACE_S
        try:
            with ends_after(longest_s, lambda: int(self._raw.pgconn.socket)):
                cursor = self._raw.execute(statement)
                return cursor.fetchall() if cursor.description else []
        except Exception as error:  # noqa: BLE001 - whatever a driver raises can quote the statement
            failure = _failure(getattr(error, "sqlstate", None), what)
        raise failure


def check_name(name: str) -> None:
    """Raise `TargetError` if the server would cut this name."""
    if len(name.encode()) > MOST_NAME_BYTES:
        raise TargetError(f"the name of the account has more than {MOST_NAME_BYTES} bytes in UTF-8, and would be cut")


def shown_code(code: str) -> str:
    """A code of the server, which may be anybody: five letters and digits, or a question mark."""
    return code if re.fullmatch("[0-9A-Z]{5}", code) else "?"


def _failure(code: str | None, what: str) -> TargetError:
    if code is None:
        return TargetUnreachable(f"the connection ended during {what}")
    if what == NEW_ONE and code in PASSWORD_FAILURES:
        return PasswordRefused(f"the server's check of passwords refuses {what} ({code})")
    kind, text, hint = FAILURES.get(code, (TargetError, "the server refused {what}", ""))
    hint = "" if what.startswith(TEST_STATEMENT) else hint
    return kind(f"{text.format(what=what)} ({shown_code(code)})", hint=hint)
