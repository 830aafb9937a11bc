"""PostgreSQL under rotation, on a real server."""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import Any

import psycopg
import pytest
from psycopg import sql

from envelope.errors import InvalidArgument
from envelope_secrets.rotation import postgresql
from envelope_secrets.rotation.database import Database, DatabaseSession, KeepsTwoPasswords
from envelope_secrets.rotation.failures import (
    AccountLocked,
    LoginRefused,
    OutOfTime,
    PasswordRefused,
    PrivilegeMissing,
    TargetError,
    TargetUnreachable,
    TlsFailed,
)
from envelope_secrets.rotation.postgresql import PostgreSql
from envelope_secrets.rotation.postgresql_session import PostgreSqlSession
from envelope_secrets.rotation.probing import Source, find_login
from tests.servers.logins import (
    HARD_NAMES,
    HARD_PASSWORDS,
    accepts,
    admin,
    credentials,
    deadline,
    fails_of,
    interruptions,
)
from tests.servers.running import RunningServer
from tests.thoroughness import TAKES_ALL

pytest_plugins = ["tests.servers.fixtures"]

NUMBERS = count(1)
EACH = 1 if TAKES_ALL else 3
"""Of the points of a preparation; an odd number, so that some are before a statement and some after one."""
PASSWORD = "a first password"


@pytest.fixture
def server(postgresql_server: RunningServer) -> RunningServer:
    return postgresql_server


@pytest.fixture
def target(server: RunningServer) -> PostgreSql:
    return PostgreSql(ca_file=server.ca_file)


class Sql:
    """Statements of the test itself, by an administrator or another login."""

    def __init__(self, server: RunningServer, username: str | None = None, password: str | None = None) -> None:
        login = credentials(server, username, password)
        self.connection = psycopg.connect(
            host="127.0.0.1",
            port=login.port,
            user=login.username,
            password=login.password,
            dbname="postgres",
            autocommit=True,
        )

    def run(self, template: str, *names: str) -> list[Any]:
        cursor = self.connection.execute(sql.SQL(template).format(*map(sql.Identifier, names)))
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
def root(server: RunningServer) -> Iterator[Sql]:
    statements = Sql(server)
    with statements.connection:
        yield statements


@pytest.fixture
def base(root: Sql) -> str:
    """An account with a table of its own."""
    name = f"app'{next(NUMBERS)}"
    root.run("CREATE ROLE {} LOGIN PASSWORD 'a first password'", name)
    root.run("CREATE SCHEMA {} AUTHORIZATION {}", name, name)
    return name


def ask(server: RunningServer, username: str, password: str, template: str, *names: str) -> list[Any]:
    """What one statement of one login answers."""
    statements = Sql(server, username, password)
    with statements.connection:
        return statements.run(template, *names)


@contextmanager
def session_of(target: Database, server: RunningServer, *login: str) -> Iterator[DatabaseSession]:
    with target.connect(credentials(server, *login), deadline=deadline()) as session:
        yield session


def backend_of(session: DatabaseSession) -> int:
    assert isinstance(session, PostgreSqlSession)
    return session._raw.info.backend_pid


# Passwords and names


@pytest.mark.parametrize("name", HARD_NAMES)
def test_a_name_that_is_hard_to_quote_gets_a_password(
    server: RunningServer, target: PostgreSql, root: Sql, name: str
) -> None:
    root.run("CREATE ROLE {} LOGIN", name)
    with admin(target, server) as session:
        session.set_password(name, PASSWORD)
        session.prepare_account(f"{name}_2", name)
        session.set_password(f"{name}_2", PASSWORD)
        assert session.missing_privileges(f"{name}_2", name) == ()
    assert accepts(target, server, name, PASSWORD)
    assert accepts(target, server, f"{name}_2", PASSWORD)


@pytest.mark.parametrize("password", [*HARD_PASSWORDS, "x" * 1_000, "é" * 500])
def test_a_password_that_is_hard_to_quote_logs_in(
    server: RunningServer, target: PostgreSql, base: str, password: str
) -> None:
    with session_of(target, server, base, PASSWORD) as session:
        session.set_password(base, password)
    assert accepts(target, server, base, password)
    assert not accepts(target, server, base, PASSWORD)


def test_a_name_of_63_bytes_is_taken_and_a_longer_one_is_not_cut(
    server: RunningServer, target: PostgreSql, root: Sql
) -> None:
    name = "ü" * 31 + "n"
    root.run("CREATE ROLE {} LOGIN", name)
    with admin(target, server) as session:
        session.set_password(name, PASSWORD)
        fails_of(lambda: session.set_password(name + "n", "another"), TargetError)
        fails_of(lambda: session.prepare_account(name + "n", name), TargetError)
    assert accepts(target, server, name, PASSWORD)
    login = credentials(server, name + "n", PASSWORD)
    assert "63 bytes" in str(fails_of(lambda: target.connect(login, deadline=deadline()), TargetError))


@pytest.mark.parametrize("password", ["", "nul\0", "half\ud800", "x" * 1_024])
def test_a_password_that_no_account_can_have_is_refused(
    server: RunningServer, target: PostgreSql, password: str
) -> None:
    with admin(target, server) as session:
        fails_of(lambda: session.set_password("whoever", password), PasswordRefused, password)


def test_the_log_shows_no_password(server: RunningServer, target: PostgreSql, base: str) -> None:
    secrets = ["canary-one'%s", "canary-two\\"]
    with session_of(target, server, base, PASSWORD) as session:
        session.set_password(base, secrets[0])
    with admin(target, server) as session:
        session.prepare_account(f"{base}_clone", base)
        session.set_password(f"{base}_clone", secrets[1])
    assert accepts(target, server, f"{base}_clone", secrets[1])
    log = server.log_text()
    assert "ALTER ROLE" in log
    assert "SCRAM-SHA-256$" in log
    assert "canary" not in log


def test_the_check_of_passwords_by_the_server_is_told_apart(
    server: RunningServer, target: PostgreSql, base: str
) -> None:
    with admin(target, server) as session:
        assert isinstance(session, PostgreSqlSession)
        session._raw.execute("LOAD 'passwordcheck'")
        fails_of(lambda: session.set_password(base, base), PasswordRefused)
        session.set_password(base, "quite another")  # the session can be used on
    assert accepts(target, server, base, "quite another")


def test_a_session_that_is_open_goes_on(server: RunningServer, target: PostgreSql, base: str) -> None:
    client = Sql(server, base, PASSWORD)
    with client.connection, admin(target, server) as session:
        session.set_password(base, "the second")
        assert client.run("SELECT 1") == [(1,)]


def test_an_account_sets_its_own_password_and_nobody_elses(
    server: RunningServer, target: PostgreSql, base: str
) -> None:
    with session_of(target, server, base, PASSWORD) as session:
        assert not isinstance(session, KeepsTwoPasswords)
        fails_of(lambda: session.set_password(server.admin, "mine now"), PrivilegeMissing, "mine now")
        fails_of(lambda: session.prepare_account("x", base), PrivilegeMissing)
        session.check_use()


def test_an_account_that_does_not_exist_is_told(server: RunningServer, target: PostgreSql, base: str) -> None:
    with admin(target, server) as session:
        fails_of(lambda: session.set_password("nobody", "x"), TargetError)
        fails_of(lambda: session.prepare_account("x", "nobody"), TargetError)
        fails_of(lambda: session.missing_privileges("x", "nobody"), TargetError)
        assert session.missing_privileges("nobody", base) == ("the account",)
        for call in (session.prepare_account, session.missing_privileges):
            with pytest.raises(InvalidArgument):
                call(base, base)
            with pytest.raises(InvalidArgument):
                call(base, "")


# Clones


def test_a_clone_can_do_what_its_model_can_and_owns_nothing(
    server: RunningServer, target: PostgreSql, root: Sql, base: str
) -> None:
    clone = f"{base}_clone"
    with admin(target, server) as session:
        session.prepare_account(clone, base)
        assert not accepts(target, server, clone, "")
        session.set_password(clone, "second")
    with session_of(target, server, clone, "second") as session:
        session.check_use()
        assert session.missing_privileges(clone, base) == ()
    ask(server, clone, "second", "CREATE TABLE {}.made_by_the_clone (a int)", base)
    ask(server, base, PASSWORD, "SELECT a FROM {}.made_by_the_clone", base)


def test_a_clone_sets_its_own_password_though_it_is_its_model_at_login(
    server: RunningServer, target: PostgreSql, base: str
) -> None:
    clone = f"{base}_clone"
    with admin(target, server) as session:
        session.prepare_account(clone, base)
        session.set_password(clone, "second")
    with session_of(target, server, clone, "second") as session:
        session.set_password(clone, "third")
    assert accepts(target, server, clone, "third")


def test_a_clone_that_another_program_made_gives_its_objects_to_its_model(
    server: RunningServer, target: PostgreSql, root: Sql, base: str
) -> None:
    clone = f"{base}_clone"
    root.run("CREATE ROLE {} LOGIN PASSWORD 'second'", clone)
    root.run("GRANT {} TO {}", base, clone)
    ask(server, clone, "second", "CREATE TABLE {}.by_the_clone (a int)", base)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(server, base, PASSWORD, "SELECT * FROM {}.by_the_clone", base)
    with admin(target, server) as session:
        session.prepare_account(clone, base)
    ask(server, base, PASSWORD, "SELECT * FROM {}.by_the_clone", base)
    assert accepts(target, server, clone, "second")


def test_attributes_limits_settings_and_roles_converge_both_ways(
    server: RunningServer, target: PostgreSql, root: Sql, base: str
) -> None:
    clone, group = f"{base}_clone", f"{base} group"
    root.run("CREATE ROLE {}", group)
    root.run("CREATE ROLE {} LOGIN NOINHERIT CREATEDB CONNECTION LIMIT 3 IN ROLE {}", clone, group)
    root.run("ALTER ROLE {} SET work_mem = '5MB'", clone)
    root.run("ALTER ROLE {} CREATEROLE CONNECTION LIMIT 7 VALID UNTIL '2999-01-01'", base)
    root.run("""ALTER ROLE {} SET search_path = "$user", 'a "b", c', public""", base)
    root.run("ALTER ROLE {} IN DATABASE postgres SET application_name = 'it''s, \"me\"'", base)
    root.run("ALTER ROLE {} SET app.setting = 'x'", base)
    with admin(target, server) as session:
        missing = session.missing_privileges(clone, base)
        assert {"attribute CREATEROLE", "attribute INHERIT", "connection limit 7", "setting role"} <= set(missing)
        assert {f'membership in role "{base}"', 'setting application_name in database "postgres"'} <= set(missing)
        assert any(text.startswith("valid until 2999-01-01") for text in missing)
        session.prepare_account(clone, base)
        assert session.missing_privileges(clone, base) == ()
    columns = "rolcreatedb, rolcreaterole, rolinherit, rolconnlimit, rolvaliduntil::text"
    query = f"SELECT {columns} FROM pg_roles WHERE rolname = '{{}}'"  # noqa: S608 - columns
    facts = [root.run(query.replace("{}", name.replace("'", "''"))) for name in (clone, base)]
    assert facts[0] == facts[1]
    settings = (
        "SELECT unnest(setconfig) FROM pg_db_role_setting JOIN pg_roles r ON r.oid = setrole WHERE rolname = '{}'"
    )
    mine, its = (set(root.run(settings.replace("{}", name.replace("'", "''")))) for name in (clone, base))
    assert mine == its | {(f"role={base}",)}
    memberships = (
        "SELECT roleid::regrole::text FROM pg_auth_members JOIN pg_roles r ON r.oid = member WHERE rolname = '{}'"
    )
    assert root.run(memberships.replace("{}", clone.replace("'", "''"))) == [(f'"{base}"',)]
    root.run("ALTER ROLE {} CONNECTION LIMIT -1 VALID UNTIL 'infinity' NOCREATEROLE", base)
    root.run("ALTER ROLE {} RESET ALL", base)
    root.run("ALTER ROLE {} IN DATABASE postgres RESET ALL", base)
    with admin(target, server) as session:
        session.prepare_account(clone, base)
    facts = [root.run(query.replace("{}", name.replace("'", "''"))) for name in (clone, base)]
    assert facts[0] == facts[1]
    assert root.run(settings.replace("{}", clone.replace("'", "''"))) == [(f"role={base}",)]


def test_a_model_that_becomes_another_role_at_login_has_a_clone_that_does_the_same(
    server: RunningServer, target: PostgreSql, root: Sql, base: str
) -> None:
    clone, owner = f"{base}_clone", f"{base}_owner"
    root.run("CREATE ROLE {}", owner)
    root.run("GRANT {} TO {}", owner, base)
    root.run(f"ALTER ROLE {{}} SET role = '{owner.replace(chr(39), chr(39) * 2)}'", base)
    with admin(target, server) as session:
        session.prepare_account(clone, base)
        session.set_password(clone, "second")
    assert ask(server, clone, "second", "SELECT current_user") == [(owner,)]


def test_an_administrator_without_superuser_does_all_of_it(
    server: RunningServer, target: PostgreSql, root: Sql, base: str
) -> None:
    root.run("CREATE ROLE {} LOGIN CREATEROLE PASSWORD 'a first password'", f"{base}_admin")
    with session_of(target, server, f"{base}_admin", PASSWORD) as session:
        session.prepare_account(f"{base}_clone", base)
        session.set_password(f"{base}_clone", "second")
        assert session.missing_privileges(f"{base}_clone", base) == ()
        fails_of(lambda: session.prepare_account(base, f"{base}_clone"), TargetError)
    assert accepts(target, server, f"{base}_clone", "second")


def test_a_preparation_that_is_interrupted_anywhere_is_whole_or_not_there_and_converges(
    server: RunningServer, target: PostgreSql, root: Sql, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = f"{base}_clone"
    root.run("ALTER ROLE {} SET work_mem = '5MB'", base)
    root.run("ALTER ROLE {} CONNECTION LIMIT 9", base)

    def prepare() -> None:
        with admin(target, server) as session:
            session.prepare_account(clone, base)
            session.set_password(clone, "second")

    points = 0
    for _ in interruptions(PostgreSqlSession, "_execute", prepare, monkeypatch, each=EACH):
        points += EACH
        with admin(target, server) as session:
            if accepts(target, server, clone, "second"):
                assert session.missing_privileges(clone, base) == ()
            missing = session.missing_privileges(clone, base)
            assert missing in ((), ("the account",))
        root.run("DROP ROLE IF EXISTS {}", clone)
    assert points > 20
    with admin(target, server) as session:
        session.prepare_account(clone, base)
        session.prepare_account(clone, base)
        assert session.missing_privileges(clone, base) == ()


# Failures


def connect_failing(
    target: PostgreSql, server: RunningServer, kind: type[TargetError], *login: str, **options: Any
) -> TargetError:
    given = credentials(server, *login, **options)
    error = fails_of(lambda: target.connect(given, deadline=deadline()), kind, given.password)
    assert isinstance(error, TargetError)
    return error


def test_what_is_wrong_with_a_login_is_told_apart(
    server: RunningServer, target: PostgreSql, root: Sql, base: str
) -> None:
    root.run("CREATE DATABASE {}", f"closed{base}")
    root.run("REVOKE CONNECT ON DATABASE {} FROM PUBLIC", f"closed{base}")
    for password in ("wrong", "wrong-Ärger", "½"):
        connect_failing(target, server, LoginRefused, base, password)
    connect_failing(target, server, LoginRefused, "nobody", "wrong")
    connect_failing(target, server, TargetError, base, PASSWORD, database="none")
    connect_failing(target, server, PrivilegeMissing, base, PASSWORD, database=f"closed{base}")
    connect_failing(target, server, TargetUnreachable, base, PASSWORD, port=1)
    connect_failing(target, server, TargetUnreachable, base, PASSWORD, host="no-such-host.invalid")
    for host in ("", "/tmp", "a,b", "a b"):  # noqa: S108 - where a socket would be
        connect_failing(target, server, TargetUnreachable, base, PASSWORD, host=host)
    for password in ("", "nul\0"):
        connect_failing(target, server, LoginRefused, base, password)
    root.run("ALTER ROLE {} VALID UNTIL '2001-01-01'", base)
    connect_failing(target, server, LoginRefused, base, PASSWORD)
    root.run("ALTER ROLE {} VALID UNTIL 'infinity' NOLOGIN", base)
    connect_failing(target, server, AccountLocked, base, PASSWORD)
    root.run("ALTER ROLE {} LOGIN CONNECTION LIMIT 0", base)
    connect_failing(target, server, AccountLocked, base, PASSWORD)


def refusals_in(server: RunningServer, username: str) -> int:
    return server.log_text().count(f'password authentication failed for user "{username}"')


def test_each_password_that_is_wrong_reaches_the_server_once(
    server: RunningServer, target: PostgreSql, base: str
) -> None:
    login = credentials(server, base)
    candidates = [(source, replace(login, password=f"wrong: {source.value}")) for source in (*Source, *Source)]
    error = fails_of(lambda: find_login(target, candidates, deadline()), LoginRefused)
    assert "none of the passwords that were tried: pending, current, previous, left by" in str(error)
    assert error.hint.startswith("it says the same of a password that is past its VALID UNTIL; `envelope secrets")
    assert refusals_in(server, base) == 4
    assert not accepts(target, server, base, "wrong")
    assert refusals_in(server, base) == 5


def test_a_login_that_works_leaves_no_error_in_the_log(server: RunningServer, target: PostgreSql, base: str) -> None:
    before = server.log_text()
    assert accepts(target, server, base, PASSWORD)
    added = server.log_text().removeprefix(before)
    assert "FATAL" not in added
    assert "unexpected EOF" not in added
    assert "could not receive" not in added


def test_a_driver_that_fails_after_a_login_that_worked_can_be_asked_again(
    server: RunningServer, target: PostgreSql, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**parameters: Any) -> None:
        raise psycopg.OperationalError(parameters["password"])

    monkeypatch.setattr(psycopg, "connect", refuse)
    login = credentials(server, base, PASSWORD)
    error = fails_of(lambda: target.connect(login, deadline=deadline()), TargetUnreachable, PASSWORD)
    assert "worked a moment ago" in str(error)
    assert error.can_retry


def test_an_account_with_an_md5_password_logs_in_and_gets_a_better_one(
    server: RunningServer, target: PostgreSql, root: Sql, base: str
) -> None:
    """The server's rule says scram-sha-256, so the old password does not work, and only an administrator can help."""
    root.run("SET password_encryption = 'md5'")
    root.run("ALTER ROLE {} PASSWORD 'old'", base)
    connect_failing(target, server, LoginRefused, base, "old")
    with admin(target, server) as session:
        session.set_password(base, "new")
    assert accepts(target, server, base, "new")


def test_a_login_that_the_server_does_not_ask_a_password_for_proves_nothing(
    server: RunningServer, target: PostgreSql, root: Sql
) -> None:
    root.run("DROP ROLE IF EXISTS trusted")
    root.run("CREATE ROLE trusted LOGIN")
    for tried in (target, PostgreSql(tls="disable")):
        assert "without its password" in str(connect_failing(tried, server, TargetError, "trusted", "anything"))


def test_a_driver_with_an_older_libpq_is_not_told_how_to_prove_the_password(
    server: RunningServer, target: PostgreSql, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parameters: dict[str, Any] = {}
    connect = psycopg.connect

    def recorded(**given: Any) -> Any:
        parameters.update(given)
        return connect(**given)

    monkeypatch.setattr(psycopg, "connect", recorded)
    monkeypatch.setattr(postgresql, "FIRST_LIBPQ_WITH_REQUIRE_AUTH", 990_000)
    assert accepts(target, server, base, PASSWORD)
    assert "require_auth" not in parameters


def test_time_is_up_before_anything_is_asked(server: RunningServer, target: PostgreSql, base: str) -> None:
    login = credentials(server, base, PASSWORD)
    fails_of(lambda: target.connect(login, deadline=deadline(2.5)), OutOfTime)


def test_a_statement_that_waits_ends_in_time(server: RunningServer, root: Sql, base: str) -> None:
    target = PostgreSql(ca_file=server.ca_file, statement_timeout_s=0.2)
    blocking = Sql(server)
    with blocking.connection, admin(target, server) as session:
        blocking.run("BEGIN")
        blocking.run("LOCK pg_authid IN ACCESS EXCLUSIVE MODE")
        fails_of(lambda: session.set_password(base, "x"), TargetUnreachable)


def test_two_at_once_take_turns(server: RunningServer, base: str) -> None:
    target = PostgreSql(ca_file=server.ca_file, statement_timeout_s=0.2)
    with admin(target, server) as first, admin(target, server) as second:
        assert isinstance(first, PostgreSqlSession)
        with first._changing(base):
            fails_of(lambda: second.set_password(base, "x"), TargetUnreachable)
            second.set_password(server.admin, server.password)  # another account
        second.set_password(base, "x")
    assert accepts(target, server, base, "x")


def test_a_server_that_does_not_keep_its_own_timeout_is_left(server: RunningServer, base: str) -> None:
    target = PostgreSql(ca_file=server.ca_file, statement_timeout_s=0.2)
    with session_of(target, server, base, PASSWORD) as session:
        assert isinstance(session, PostgreSqlSession)
        session.check_use()
        session._raw.execute("SET statement_timeout = 0")
        fails_of(lambda: session._run("SELECT pg_sleep(60)", what="a nap"), TargetUnreachable)


def test_a_connection_that_is_lost_is_no_refusal(
    server: RunningServer, target: PostgreSql, root: Sql, base: str
) -> None:
    with session_of(target, server, base, PASSWORD) as session:
        root.run(f"SELECT pg_terminate_backend({backend_of(session)})")
        fails_of(session.check_use, TargetUnreachable)
        fails_of(session.check_use, TargetUnreachable)


def test_a_login_that_may_not_connect_is_of_no_use(
    server: RunningServer, target: PostgreSql, root: Sql, base: str
) -> None:
    root.run("CREATE DATABASE {}", f"shut{base}")
    with target.connect(credentials(server, base, PASSWORD, database=f"shut{base}"), deadline=deadline()) as session:
        root.run("REVOKE CONNECT ON DATABASE {} FROM PUBLIC", f"shut{base}")
        fails_of(session.check_use, PrivilegeMissing)


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("SELECT count(*) FROM orders", None),
        ("INSERT INTO orders VALUES (1)", PrivilegeMissing),
        ("SELECT 1 FROM no_such_table", TargetError),
        ("SELECT pg_sleep(60)", TargetUnreachable),
    ],
)
def test_what_the_application_must_be_able_to_do_is_tried_and_taken_back(
    server: RunningServer, root: Sql, base: str, statement: str, kind: type[TargetError] | None
) -> None:
    root.run("CREATE TABLE {}.orders (number int)", base)
    root.run("CREATE ROLE {} LOGIN PASSWORD 'a first password'", f"{base} reader")
    root.run("GRANT USAGE ON SCHEMA {} TO {}", base, f"{base} reader")
    root.run("GRANT SELECT ON {}.orders TO {}", base, f"{base} reader")
    root.run("ALTER ROLE {} SET search_path = {}", f"{base} reader", base)
    statements = ("CREATE TEMPORARY TABLE left_over (number int)", statement)
    target = PostgreSql(ca_file=server.ca_file, statement_timeout_s=0.3, test_statements=statements)
    with session_of(target, server, f"{base} reader", PASSWORD) as session:
        if kind is None:
            session.check_use()
            session.check_use()  # would find the table of the first time
            session.set_password(f"{base} reader", "it goes on")
        else:
            error = fails_of(session.check_use, kind, statement)
            assert "test statement 2" in str(error)


def test_a_password_is_durable_before_it_counts(
    server: RunningServer, target: PostgreSql, root: Sql, base: str
) -> None:
    """What a login has by default may be good enough for its application, and lose what it was told is done."""
    for default, wanted in (("off", "on"), ("local", "on"), ("remote_apply", "remote_apply")):
        root.run("ALTER ROLE {} SET synchronous_commit = {}", base, default)
        with session_of(target, server, base, PASSWORD) as session:
            assert isinstance(session, PostgreSqlSession)
            assert session._run("SHOW synchronous_commit", what="a look") == [(wanted,)]


def test_a_server_that_falls_silent_after_a_refusal_is_left(server: RunningServer, root: Sql, base: str) -> None:
    target = PostgreSql(ca_file=server.ca_file, statement_timeout_s=0.3)
    with session_of(target, server, base, PASSWORD) as session:
        stopped = backend_of(session)

        def change() -> None:
            assert isinstance(session, PostgreSqlSession)
            with session._changing(base):
                os.kill(stopped, signal.SIGSTOP)
                session._run("SELECT 1", what="a look")

        try:
            with pytest.raises(TargetUnreachable):
                change()
        finally:
            os.kill(stopped, signal.SIGCONT)


# TLS


def test_the_modes_of_tls(server: RunningServer, target: PostgreSql) -> None:
    connect_failing(target, server, TlsFailed, host="127.0.0.1")
    connect_failing(PostgreSql(ca_file=server.other_ca_file), server, TlsFailed)
    connect_failing(PostgreSql(), server, TlsFailed)
    connect_failing(PostgreSql(ca_file="/nowhere/ca.pem"), server, TlsFailed)
    connect_failing(PostgreSql(ca_file=__file__), server, TlsFailed)
    connect_failing(PostgreSql(tls="verify-ca", ca_file=server.other_ca_file), server, TlsFailed)
    for other in (PostgreSql(tls="verify-ca", ca_file=server.ca_file), PostgreSql(tls="require")):
        with other.connect(credentials(server, host="127.0.0.1"), deadline=deadline()) as session:
            assert isinstance(session, PostgreSqlSession)
            assert session._raw.pgconn.ssl_in_use
    with PostgreSql(tls="disable").connect(credentials(server), deadline=deadline()) as session:
        assert isinstance(session, PostgreSqlSession)
        assert not session._raw.pgconn.ssl_in_use


def test_an_account_that_must_use_tls_cannot_do_without(server: RunningServer, target: PostgreSql, root: Sql) -> None:
    root.run("DROP ROLE IF EXISTS tls_only")
    root.run("CREATE ROLE tls_only LOGIN PASSWORD 'x'")
    assert accepts(target, server, "tls_only", "x")
    connect_failing(PostgreSql(tls="disable"), server, TlsFailed, "tls_only", "x")


def test_the_environment_changes_nothing(
    server: RunningServer, target: PostgreSql, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"HOSTADDR": "127.0.0.9", "SSLMODE": "disable", "OPTIONS": "-c x=1", "REQUIREAUTH": "none", "USER": "x"}
    for name, value in {**values, "SSLCERT": "/x", "PASSWORD": "x", "DATABASE": "x", "GSSENCMODE": "require"}.items():
        monkeypatch.setenv(f"PG{name}", value)
    with admin(target, server) as session:
        assert isinstance(session, PostgreSqlSession)
        assert session._raw.pgconn.ssl_in_use


def test_options_are_checked_where_they_are_made() -> None:
    with pytest.raises(InvalidArgument, match="tls must be one of"):
        PostgreSql(tls="prefer")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="connect_timeout_s"):
        PostgreSql(connect_timeout_s=0)
    with pytest.raises(InvalidArgument, match="statement_timeout_s"):
        PostgreSql(statement_timeout_s=-1)
    with pytest.raises(InvalidArgument, match="most_refusals must be 1 to 100"):
        PostgreSql(most_refusals=0)
    for statements in (["SELECT 1"], ("SELECT 1",) * 21, "SELECT 1"):
        with pytest.raises(InvalidArgument, match="a tuple of at most 20 statements"):
            PostgreSql(test_statements=statements)  # type: ignore[arg-type]
    for statement in ("", "  ", "x" * 10_001, 1):
        with pytest.raises(InvalidArgument, match="test statement 2 must be text of 1 to 10,000 characters"):
            PostgreSql(test_statements=("SELECT 1", statement))  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="password_policy"):
        PostgreSql(password_policy=32)  # type: ignore[arg-type]
    assert isinstance(PostgreSql(), Database)


def test_the_hash_is_of_its_own_for_each_account(
    server: RunningServer, target: PostgreSql, root: Sql, base: str
) -> None:
    with admin(target, server) as session:
        session.set_password(base, "the same")
        one = root.run("SELECT rolpassword FROM pg_authid WHERE rolpassword IS NOT NULL")
        session.set_password(base, "the same")
    assert all(re.fullmatch(r"SCRAM-SHA-256\$.*|md5.*", text) for (text,) in one)
    assert one != root.run("SELECT rolpassword FROM pg_authid WHERE rolpassword IS NOT NULL")
