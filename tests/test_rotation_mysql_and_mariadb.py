"""What MySQL and MariaDB have in common under rotation, on real servers."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from envelope.errors import InvalidArgument
from envelope_secrets.rotation.database import Database, KeepsTwoPasswords
from envelope_secrets.rotation.failures import (
    AccountLocked,
    LoginRefused,
    OutOfTime,
    PasswordExpired,
    PasswordRefused,
    PrivilegeMissing,
    TargetError,
    TargetUnreachable,
    TlsFailed,
)
from envelope_secrets.rotation.mariadb import MariaDb, MariaDbSession
from envelope_secrets.rotation.mysql import MySql, MySqlSession
from envelope_secrets.rotation.mysql_accounts import locked
from envelope_secrets.rotation.mysql_connection import MySqlConnection
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
from tests.servers.mysql_statements import Sql, statements_of
from tests.servers.running import RunningServer
from tests.thoroughness import TAKES_ALL

pytest_plugins = ["tests.servers.fixtures"]

NUMBERS = count(1)
EACH = 1 if TAKES_ALL else 3
"""Of the points of a preparation; an odd number, so that some are before a statement and some after one."""
PASSWORD = "a first password"
KINDS: dict[str, type[MySql | MariaDb]] = {"mariadb": MariaDb, "mysql": MySql}


@pytest.fixture(params=["mariadb", "mysql"])
def server(request: pytest.FixtureRequest) -> RunningServer:
    server: RunningServer = request.getfixturevalue(f"{request.param}_server")
    return server


@pytest.fixture
def target(server: RunningServer) -> MySql | MariaDb:
    return KINDS[server.engine](ca_file=server.ca_file)


@pytest.fixture
def root(server: RunningServer) -> Iterator[Sql]:
    with statements_of(server) as statements:
        statements.run("CREATE DATABASE IF NOT EXISTS `sh``op`")
        statements.run("CREATE TABLE IF NOT EXISTS `sh``op`.orders (number int, customer int)")
        statements.run("CREATE ROLE IF NOT EXISTS 'rea''ders'")
        statements.run("GRANT SELECT ON `sh``op`.* TO 'rea''ders'")
        yield statements


@pytest.fixture
def base(root: Sql) -> str:
    """An account with privileges of every kind, for clients on this machine."""
    name = f"app'{next(NUMBERS)}"
    root.run("CREATE USER %s@'127.%%' IDENTIFIED BY %s", name, PASSWORD)
    root.run("GRANT CREATE, RELOAD ON *.* TO %s@'127.%%'", name)
    root.run("GRANT SELECT, INSERT (number, customer) ON `sh``op`.orders TO %s@'127.%%' WITH GRANT OPTION", name)
    root.run("GRANT ALL PRIVILEGES ON `app\\_%%`.* TO %s@'127.%%'", name)
    root.run("GRANT 'rea''ders' TO %s@'127.%%'", name)
    return name


def show(root: Sql, name: str, host: str = "127.%") -> set[str]:
    """What SHOW GRANTS says, without the name and without how the account proves itself."""
    lines = (line for (line,) in root.run("SHOW GRANTS FOR %s@%s", name, host))
    quoted = f"`{name}`@`{host}`"
    shown = set()
    for line in lines:
        before, _, after = line.partition(quoted)
        option = [word for word in (" WITH GRANT OPTION", " WITH ADMIN OPTION") if word in after]
        shown.add(re.sub(r"\([^)]*\)", sorted_columns, before) + "".join(option))
    return shown


def sorted_columns(match: re.Match[str]) -> str:
    return str(sorted(match[0].strip("()").split(", ")))


@contextmanager
def session_of(target: Database, server: RunningServer, *login: str) -> Iterator[Any]:
    with target.connect(credentials(server, *login), deadline=deadline()) as session:
        yield session


# Passwords and names


@pytest.mark.parametrize("name", HARD_NAMES)
def test_a_name_that_is_hard_to_quote_gets_a_password(
    server: RunningServer, target: MySql | MariaDb, root: Sql, name: str
) -> None:
    name = name.strip().replace("🔑", "")  # these servers cut spaces at the end, and have three bytes for a character
    root.run("CREATE USER %s@'%%' IDENTIFIED BY 'none yet'", name)
    root.run("GRANT SELECT ON `sh``op`.* TO %s@'%%'", name)
    with admin(target, server) as session:
        session.set_password(name, PASSWORD)
        session.prepare_account(f"{name}_2", name)
        session.set_password(f"{name}_2", PASSWORD)
        assert session.missing_privileges(f"{name}_2", name) == ()
    assert accepts(target, server, name, PASSWORD)
    assert accepts(target, server, f"{name}_2", PASSWORD)


@pytest.mark.parametrize("password", [*HARD_PASSWORDS, "é" * 128])
def test_a_password_that_is_hard_to_quote_logs_in(
    server: RunningServer, target: MySql | MariaDb, base: str, password: str
) -> None:
    with session_of(target, server, base, PASSWORD) as session:
        session.set_password(base, password)
    assert accepts(target, server, base, password)
    assert not accepts(target, server, base, PASSWORD)


@pytest.mark.parametrize("password", ["", "nul\0", "half\ud800", "x" * 4_097])
def test_a_password_that_no_account_can_have_is_refused(
    server: RunningServer, target: MySql | MariaDb, base: str, password: str
) -> None:
    with session_of(target, server) as session:
        fails_of(lambda: session.set_password(base, password), PasswordRefused, password)
        fails_of(lambda: session.add_password(base, password, current=PASSWORD), PasswordRefused, password)
        fails_of(lambda: session.add_password(base, PASSWORD, current=password), PasswordRefused, password)


def test_the_longest_name_is_taken(server: RunningServer, target: MySql | MariaDb, root: Sql) -> None:
    name = "ü" * target.max_username_characters
    root.run("CREATE USER %s@'%%' IDENTIFIED BY 'none yet'", name)
    with admin(target, server) as session:
        session.set_password(name, PASSWORD)
    assert accepts(target, server, name, PASSWORD)


def test_the_log_shows_no_password(server: RunningServer, target: MySql | MariaDb, base: str) -> None:
    with session_of(target, server, base, PASSWORD) as session:
        session.set_password(base, "canary one'%s")
    with session_of(target, server) as session:
        session.prepare_account(f"{base}_clone", base)
        session.set_password(f"{base}_clone", "canary two\\")
        session.add_password(base, "canary three", current="canary one'%s")
    assert accepts(target, server, base, "canary three")
    log = server.log_text()
    assert "CREATE USER" in log
    assert "canary" not in log


def test_a_session_that_is_open_goes_on(server: RunningServer, target: MySql | MariaDb, base: str) -> None:
    with statements_of(server, base, PASSWORD) as client, admin(target, server) as session:
        session.set_password(base, "the second")
        assert client.run("SELECT 1") == ((1,),)


def test_every_host_of_an_account_gets_the_password(
    server: RunningServer, target: MySql | MariaDb, root: Sql, base: str
) -> None:
    root.run("CREATE USER %s@'%%' IDENTIFIED BY 'another'", base)
    with admin(target, server) as session:
        session.set_password(base, "the same")
    root.run("DROP USER %s@'127.%%'", base)
    assert accepts(target, server, base, "the same")


def test_an_account_sets_its_own_password_and_nobody_elses(
    server: RunningServer, target: MySql | MariaDb, base: str
) -> None:
    with session_of(target, server, base, PASSWORD) as session:
        fails_of(lambda: session.set_password(server.admin, "mine now"), PrivilegeMissing, "mine now")
        fails_of(lambda: session.prepare_account("x", base), PrivilegeMissing)
        fails_of(lambda: session.missing_privileges("x", base), PrivilegeMissing)
        fails_of(lambda: session.add_password(base, "mine too", current=PASSWORD), PrivilegeMissing, "mine too")
        session.check_use()


def test_an_account_that_does_not_exist_is_told(server: RunningServer, target: MySql | MariaDb, base: str) -> None:
    with admin(target, server) as session:
        fails_of(lambda: session.set_password("nobody", "x"), TargetError)
        fails_of(lambda: session.prepare_account("x", "nobody"), TargetError)
        fails_of(lambda: session.missing_privileges("x", "nobody"), TargetError)
        assert session.missing_privileges("nobody", base) == ("the account at host '127.%'",)
        for call in (session.prepare_account, session.missing_privileges):
            with pytest.raises(InvalidArgument):
                call(base, base)


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("SELECT count(*) FROM orders", None),
        ("INSERT INTO orders VALUES (1)", None),
        ("DELETE FROM orders", PrivilegeMissing),
        ("SELECT 1 FROM no_such_table", PrivilegeMissing),
        ("SELECT no_such_column FROM orders", TargetError),
    ],
)
def test_what_the_application_must_be_able_to_do_is_tried_and_taken_back(
    server: RunningServer, target: MySql | MariaDb, root: Sql, base: str, statement: str, kind: type[TargetError] | None
) -> None:
    database = f"counted{next(NUMBERS)}"
    root.run(f"CREATE DATABASE {database}")
    root.run(f"CREATE TABLE {database}.orders (number int)")
    root.run(f"GRANT SELECT, INSERT ON {database}.orders TO %s@'127.%%'", base)
    tried = replace(target, test_statements=("SELECT 'at 100 %'", statement))
    login = credentials(server, base, PASSWORD, database=database)
    with tried.connect(login, deadline=deadline()) as session:
        if kind is None:
            session.check_use()
            session.set_password(base, "it goes on")
        else:
            assert "test statement 2" in str(fails_of(session.check_use, kind, statement))
    assert root.run(f"SELECT number FROM {database}.orders") == ()  # noqa: S608 - a name from above


# Two passwords


def test_an_account_has_two_passwords_and_the_third_oldest_does_not_work(
    server: RunningServer, target: MySql | MariaDb, base: str
) -> None:
    with session_of(target, server) as session:
        session.add_password(base, "second", current=PASSWORD)
        session.add_password(base, "second", current=PASSWORD)
        assert [accepts(target, server, base, one) for one in (PASSWORD, "second")] == [True, True]
        session.add_password(base, "third", current="second")
        assert [accepts(target, server, base, one) for one in (PASSWORD, "second", "third")] == [False, True, True]
        session.set_password(base, "fourth")
    assert [accepts(target, server, base, one) for one in ("second", "third", "fourth")] == [False, False, True]


def test_the_current_password_works_at_every_moment_while_another_is_added(
    server: RunningServer, target: MySql | MariaDb, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with session_of(target, server) as session:
        session.add_password(base, "left over", current=PASSWORD)

    def add() -> None:
        with session_of(target, server) as session:
            session.add_password(base, "second", current=PASSWORD)

    for _ in interruptions(MySqlConnection, "rows", add, monkeypatch):
        assert accepts(target, server, base, PASSWORD)
    assert [accepts(target, server, base, one) for one in (PASSWORD, "second", "left over")] == [True, True, False]


def test_an_administrator_may_have_two_passwords_itself(
    server: RunningServer, target: MySql | MariaDb, root: Sql, base: str
) -> None:
    root.run("GRANT CREATE USER ON *.* TO %s@'127.%%'", base)
    with session_of(target, server, base, PASSWORD) as session:
        session.add_password(base, "second", current=PASSWORD)
    assert [accepts(target, server, base, one) for one in (PASSWORD, "second")] == [True, True]
    with session_of(target, server, base, "second") as session:
        session.set_password(base, "third")
    assert [accepts(target, server, base, one) for one in (PASSWORD, "second", "third")] == [False, False, True]


# Clones


def test_a_clone_can_do_what_its_model_can(
    server: RunningServer, target: MySql | MariaDb, root: Sql, base: str
) -> None:
    clone = f"{base}_clone"
    with admin(target, server) as session:
        session.prepare_account(clone, base)
        assert session.missing_privileges(clone, base) == ()
        session.set_password(clone, "second")
    with admin(target, server) as session:
        session.prepare_account(clone, base)
    assert show(root, clone) == show(root, base)
    assert len(show(root, clone)) == 4
    with statements_of(server, clone, "second") as client:
        client.run("SELECT * FROM `sh``op`.orders")


def test_nobody_can_log_in_to_a_new_clone(server: RunningServer, target: MySql | MariaDb, base: str) -> None:
    with admin(target, server) as session:
        session.prepare_account(f"{base}_clone", base)
    for password in ("x", PASSWORD, "invalid"):
        assert not accepts(target, server, f"{base}_clone", password)


def test_grants_converge_both_ways_on_each_call(
    server: RunningServer, target: MySql | MariaDb, root: Sql, base: str
) -> None:
    clone = f"{base}_clone"
    with admin(target, server) as session:
        session.prepare_account(clone, base)
        session.set_password(clone, "second")
        root.run("GRANT DELETE ON `sh``op`.orders TO %s@'127.%%'", base)
        root.run("GRANT 'rea''ders' TO %s@'127.%%' WITH ADMIN OPTION", base)
        root.run("REVOKE RELOAD ON *.* FROM %s@'127.%%'", base)
        root.run("REVOKE ALL PRIVILEGES ON `app\\_%%`.* FROM %s@'127.%%'", base)
        root.run("GRANT SELECT ON `app\\_%%`.* TO %s@'127.%%'", base)
        root.run("REVOKE INSERT (customer) ON `sh``op`.orders FROM %s@'127.%%'", base)
        root.run("REVOKE GRANT OPTION ON `sh``op`.orders FROM %s@'127.%%'", base)
        root.run("GRANT UPDATE ON `own`.* TO %s@'127.%%' WITH GRANT OPTION", clone)
        missing = session.missing_privileges(clone, base)
        assert "DELETE on `sh``op`.`orders`" in missing
        assert any("rea'ders" in text and "pass it on" in text for text in missing)
        session.prepare_account(clone, base)
        assert session.missing_privileges(clone, base) == ()
    assert show(root, clone) == show(root, base)
    root.run("GRANT ALL PRIVILEGES ON `app\\_%%`.* TO %s@'127.%%'", base)
    root.run("REVOKE 'rea''ders' FROM %s@'127.%%'", base)
    with admin(target, server) as session:
        session.prepare_account(clone, base)
    assert show(root, clone) == show(root, base)
    assert accepts(target, server, clone, "second")


def test_requirements_limits_and_default_roles_converge_both_ways(
    server: RunningServer, target: MySql | MariaDb, root: Sql, base: str
) -> None:
    clone, word = f"{base}_clone", "FOR" if server.engine == "mariadb" else "TO"
    limits = "WITH MAX_USER_CONNECTIONS 5 MAX_QUERIES_PER_HOUR 100000"
    certificate = "REQUIRE SUBJECT '/CN=it''s \"me\"' AND ISSUER 'i' AND CIPHER 'c'"
    steps = [
        f"ALTER USER %s@'127.%%' REQUIRE SSL {limits} PASSWORD EXPIRE INTERVAL 90 DAY",
        f"SET DEFAULT ROLE 'rea''ders' {word} %s@'127.%%'",
        f"ALTER USER %s@'127.%%' {certificate} WITH MAX_USER_CONNECTIONS 0 PASSWORD EXPIRE NEVER",
        "ALTER USER %s@'127.%%' REQUIRE X509 ACCOUNT LOCK PASSWORD EXPIRE DEFAULT",
        f"SET DEFAULT ROLE NONE {word} %s@'127.%%'",
        "ALTER USER %s@'127.%%' REQUIRE NONE ACCOUNT UNLOCK",
    ]
    with admin(target, server) as session:
        session.prepare_account(clone, base)
        for step in steps:
            root.run(step, base)
            if "NONE" not in step:
                assert session.missing_privileges(clone, base), step
            session.prepare_account(clone, base)
            assert session.missing_privileges(clone, base) == (), step
            assert session.missing_privileges(base, clone) == (), step


def test_a_clone_must_use_tls_where_its_model_must(
    server: RunningServer, target: MySql | MariaDb, root: Sql, base: str
) -> None:
    root.run("ALTER USER %s@'127.%%' REQUIRE SSL", base)
    with admin(target, server) as session:
        session.prepare_account(f"{base}_clone", base)
        session.set_password(f"{base}_clone", "second")
    assert accepts(target, server, f"{base}_clone", "second")
    assert not accepts(KINDS[server.engine](tls="disable"), server, f"{base}_clone", "second")


def test_a_clone_is_made_for_each_host_and_for_no_other(
    server: RunningServer, target: MySql | MariaDb, root: Sql, base: str
) -> None:
    clone = f"{base}_clone"
    root.run("CREATE USER %s@'10.%%' IDENTIFIED BY 'x'", base)
    root.run("CREATE USER %s@'11.%%' IDENTIFIED BY 'x'", clone)
    root.run("GRANT SELECT ON `sh``op`.* TO %s@'10.%%'", base)
    with admin(target, server) as session:
        session.prepare_account(clone, base)
    assert root.run("SELECT Host FROM mysql.user WHERE User = %s ORDER BY 1", clone) == (("10.%",), ("127.%",))
    assert show(root, clone, "10.%") == show(root, base, "10.%")


def test_an_administrator_who_may_not_grant_is_told_so(
    server: RunningServer, target: MySql | MariaDb, root: Sql, base: str
) -> None:
    root.run("CREATE USER %s@'127.%%' IDENTIFIED BY %s", f"{base}_adm", PASSWORD)
    root.run("GRANT CREATE USER ON *.* TO %s@'127.%%'", f"{base}_adm")
    root.run("GRANT SELECT ON mysql.* TO %s@'127.%%'", f"{base}_adm")
    with session_of(target, server, f"{base}_adm", PASSWORD) as session:
        error = fails_of(lambda: session.prepare_account(f"{base}_clone", base), PrivilegeMissing)
    assert "WITH GRANT OPTION" in error.hint


def test_a_preparation_that_is_interrupted_anywhere_converges(
    server: RunningServer, target: MySql | MariaDb, root: Sql, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever can log in as the clone can do everything: the password comes last."""
    clone = f"{base}_clone"
    root.run("ALTER USER %s@'127.%%' WITH MAX_USER_CONNECTIONS 5", base)

    def prepare() -> None:
        with admin(target, server) as session:
            session.prepare_account(clone, base)
            session.set_password(clone, "second")

    points = 0
    for _ in interruptions(MySqlConnection, "rows", prepare, monkeypatch, each=EACH):
        points += EACH
        if accepts(target, server, clone, "second"):
            assert show(root, clone) == show(root, base)
        with admin(target, server) as session:
            session.prepare_account(clone, base)
            assert session.missing_privileges(clone, base) == ()
        root.run("DROP USER %s@'127.%%'", clone)
    assert points > 20


# Failures


def connect_failing(
    target: Database, server: RunningServer, kind: type[TargetError], *login: str, **options: Any
) -> TargetError:
    given = credentials(server, *login, **options)
    error = fails_of(lambda: target.connect(given, deadline=deadline()), kind, given.password)
    assert isinstance(error, TargetError)
    return error


def test_what_is_wrong_with_a_login_is_told_apart(
    server: RunningServer, target: MySql | MariaDb, root: Sql, base: str
) -> None:
    connect_failing(target, server, LoginRefused, base, "wrong")
    connect_failing(target, server, LoginRefused, "nobody", "wrong")
    connect_failing(target, server, TargetError, database="none")
    root.run("REVOKE CREATE ON *.* FROM %s@'127.%%'", base)
    connect_failing(target, server, PrivilegeMissing, base, PASSWORD, database="mysql")
    connect_failing(target, server, TargetUnreachable, base, PASSWORD, port=1)
    connect_failing(target, server, TargetUnreachable, base, PASSWORD, host="no-such-host.invalid")
    for host in ("", "/tmp", "a,b"):  # noqa: S108 - where a socket would be
        connect_failing(target, server, TargetUnreachable, base, PASSWORD, host=host)
    for password in ("", "nul\0"):
        connect_failing(target, server, LoginRefused, base, password)
    root.run("ALTER USER %s@'127.%%' ACCOUNT LOCK", base)
    connect_failing(target, server, AccountLocked, base, PASSWORD)
    root.run("ALTER USER %s@'127.%%' WITH MAX_USER_CONNECTIONS 1 ACCOUNT UNLOCK", base)
    with statements_of(server, base, PASSWORD):
        connect_failing(target, server, AccountLocked, base, PASSWORD)
    root.run("ALTER USER %s@'127.%%' WITH MAX_USER_CONNECTIONS 0 PASSWORD EXPIRE", base)
    connect_failing(target, server, PasswordExpired, base, PASSWORD)
    with session_of(target, server) as session:
        session.set_password(base, PASSWORD)
    assert accepts(target, server, base, PASSWORD), "the same password counts as new"


def test_time_is_up_before_anything_is_asked(server: RunningServer, target: MySql | MariaDb, base: str) -> None:
    login = credentials(server, base, PASSWORD)
    fails_of(lambda: target.connect(login, deadline=deadline(1.0)), OutOfTime)


def test_a_statement_that_waits_ends_in_time(server: RunningServer, root: Sql, base: str) -> None:
    target = KINDS[server.engine](ca_file=server.ca_file, statement_timeout_s=0.3)
    with session_of(target, server) as session:
        fails_of(lambda: session._connection.rows("SELECT SLEEP(5)", what="a nap"), TargetUnreachable)
        fails_of(session.check_use, TargetUnreachable)


def test_two_at_once_take_turns(
    server: RunningServer, target: MySql | MariaDb, root: Sql, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("envelope_secrets.rotation.mysql_accounts.LOCK_S", 0)
    with session_of(target, server) as first, session_of(target, server) as second:
        with locked(first._connection, base):
            fails_of(lambda: second.set_password(base, "x"), TargetUnreachable)
        second.set_password(base, "x")


def test_a_connection_that_is_lost_is_no_refusal(
    server: RunningServer, target: MySql | MariaDb, root: Sql, base: str
) -> None:
    with session_of(target, server, base, PASSWORD) as session:
        root.run(f"KILL {session._connection.rows('SELECT CONNECTION_ID()', what='a query')[0][0]}")
        fails_of(session.check_use, TargetUnreachable)


# TLS


def test_the_modes_of_tls(server: RunningServer, target: MySql | MariaDb) -> None:
    kind = KINDS[server.engine]
    connect_failing(target, server, TlsFailed, host="127.0.0.1")
    connect_failing(kind(ca_file=server.other_ca_file), server, TlsFailed)
    connect_failing(kind(), server, TlsFailed)
    connect_failing(kind(ca_file="/nowhere/ca.pem"), server, TlsFailed)
    connect_failing(kind(ca_file=__file__), server, TlsFailed)
    connect_failing(kind(tls="verify-ca", ca_file=server.other_ca_file), server, TlsFailed)
    query = "SHOW SESSION STATUS LIKE 'Ssl_cipher'"
    for other in (kind(tls="verify-ca", ca_file=server.ca_file), kind(tls="require")):
        with other.connect(credentials(server, host="127.0.0.1"), deadline=deadline()) as session:
            assert session._connection.rows(query, what="a query")[0][1]
    with kind(tls="disable").connect(credentials(server), deadline=deadline()) as session:
        assert not session._connection.rows(query, what="a query")[0][1]


def test_a_server_that_requires_tls_refuses_a_login_without(
    server: RunningServer, target: MySql | MariaDb, root: Sql
) -> None:
    root.run("SET GLOBAL require_secure_transport = 1")
    try:
        kind = TlsFailed if server.engine == "mysql" else LoginRefused  # MariaDB has no number of its own for it
        error = connect_failing(KINDS[server.engine](tls="disable"), server, kind)
        assert "TLS" in error.hint + str(error)
        with admin(target, server) as session:
            session.check_use()
    finally:
        root.run("SET GLOBAL require_secure_transport = 0")


def test_options_are_checked_where_they_are_made(server: RunningServer) -> None:
    kind = KINDS[server.engine]
    with pytest.raises(InvalidArgument, match="tls must be one of"):
        kind(tls="prefer")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="connect_timeout_s"):
        kind(connect_timeout_s=0)
    assert isinstance(kind(), Database)


def test_sessions_keep_two_passwords(server: RunningServer, target: MySql | MariaDb) -> None:
    with admin(target, server) as session:
        assert isinstance(session, KeepsTwoPasswords)
        assert isinstance(session, MySqlSession | MariaDbSession)
