"""MariaDB under rotation: how its accounts prove themselves, and what it writes into its log."""

from typing import Any

import pytest

from envelope_secrets.password import PasswordPolicy
from envelope_secrets.rotation.failures import PasswordRefused, TargetError
from envelope_secrets.rotation.mariadb import MariaDb, MariaDbSession
from envelope_secrets.rotation.mariadb_passwords import Proof, identified, native_hash, parse_proofs, with_passwords
from tests.scripted_mysql import ScriptedConnection
from tests.servers.logins import accepts, admin, credentials, deadline, fails_of
from tests.servers.mysql_statements import statements_of
from tests.servers.running import RunningServer

pytest_plugins = ["tests.servers.fixtures"]

ACCOUNT = (("%", '{"plugin": "ed25519"}'),)
INSISTS = 1290


def session_on(connection: Any, username: str = "admin") -> MariaDbSession:
    return MariaDbSession(connection, username, PasswordPolicy())


def test_the_hash_is_that_of_the_server() -> None:
    assert native_hash("mypass") == "*6C8989366EAF75BB670AD8EA7A7FC1176A95CEF4"


@pytest.mark.parametrize(
    ("statement", "proofs"),
    [
        ("IDENTIFIED BY PASSWORD '*AB' REQUIRE SSL", (Proof("mysql_native_password"),)),
        ("", (Proof("mysql_native_password"),)),
        ("IDENTIFIED VIA ed25519 USING 'a b' WITH MAX_USER_CONNECTIONS 5", (Proof("ed25519", "'a b'"),)),
        (
            "IDENTIFIED VIA unix_socket OR pam USING 'it''s' OR mysql_native_password USING 'invalid'",
            (Proof("unix_socket"), Proof("pam", "'it''s'"), Proof("mysql_native_password", "'invalid'")),
        ),
    ],
)
def test_alternatives_are_read_as_the_server_writes_them(statement: str, proofs: tuple[Proof, ...]) -> None:
    name = "we`ird IDENTIFIED VIA pam"
    assert parse_proofs(f"CREATE USER `we``ird IDENTIFIED VIA pam`@`%` {statement}", name, "%") == proofs


def test_only_the_passwords_are_replaced() -> None:
    proofs = (Proof("unix_socket"), Proof("ed25519", "'a'"), Proof("pam", "'x'"), Proof("mysql_native_password", "'b'"))
    assert identified(with_passwords(proofs, ["PASSWORD('c')", "PASSWORD('d')"])) == (
        "IDENTIFIED VIA unix_socket OR ed25519 USING PASSWORD('c') OR ed25519 USING PASSWORD('d') OR pam USING 'x'"
    )


def test_what_proves_an_account_is_not_shown() -> None:
    assert "canary" not in repr(Proof("ed25519", "'canary'"))


def test_other_ways_to_prove_an_account_are_kept(mariadb_server: RunningServer) -> None:
    target = MariaDb(ca_file=mariadb_server.ca_file)
    with statements_of(mariadb_server) as root:
        root.run(
            f"CREATE USER two_ways@'%' IDENTIFIED VIA unix_socket OR mysql_native_password USING '{native_hash('1')}'"
        )
        with admin(target, mariadb_server) as session:
            session.set_password("two_ways", "2")
            session.prepare_account("two_ways_clone", "two_ways")
            session.set_password("two_ways_clone", "3")
        for name in ("two_ways", "two_ways_clone"):
            ((shown,),) = root.run("SHOW CREATE USER %s@'%%'", name)
            assert "IDENTIFIED VIA unix_socket OR mysql_native_password USING '*" in shown
    assert accepts(target, mariadb_server, "two_ways", "2")
    assert accepts(target, mariadb_server, "two_ways_clone", "3")


def test_an_account_without_a_password_gets_none(mariadb_server: RunningServer) -> None:
    target = MariaDb(ca_file=mariadb_server.ca_file)
    with statements_of(mariadb_server) as root:
        root.run("CREATE USER socket_only@'%' IDENTIFIED VIA unix_socket")
    with admin(target, mariadb_server) as session:
        fails_of(lambda: session.set_password("socket_only", "x"), TargetError)


def test_a_role_is_no_account(mariadb_server: RunningServer) -> None:
    target = MariaDb(ca_file=mariadb_server.ca_file)
    with statements_of(mariadb_server) as root:
        root.run("CREATE ROLE not_an_account")
    with admin(target, mariadb_server) as session:
        fails_of(lambda: session.set_password("not_an_account", "x"), TargetError)


def test_a_password_of_1000_characters_works(mariadb_server: RunningServer) -> None:
    target = MariaDb(ca_file=mariadb_server.ca_file)
    with statements_of(mariadb_server) as root:
        root.run("CREATE USER lengthy@'%' IDENTIFIED BY 'x'")
    with admin(target, mariadb_server) as session:
        session.set_password("lengthy", "ä" * 1_000)
    assert accepts(target, mariadb_server, "lengthy", "ä" * 1_000)


def ed25519(log: int, **answers: Any) -> ScriptedConnection:
    shown = (("CREATE USER `app`@`%` IDENTIFIED VIA ed25519 USING 'old'",),)
    return ScriptedConnection(
        {"SELECT Host": ACCOUNT, "SHOW CREATE USER": shown, "SELECT @@GLOBAL.general_log": ((log,),), **answers}
    )


def test_another_plugin_hashes_on_the_server_unless_its_log_would_show_the_password() -> None:
    connection = ed25519(log=0)
    session_on(connection).add_password("app", "new", current="old")
    assert connection.ran("ALTER USER") == [
        "ALTER USER 'app'@'%' IDENTIFIED VIA ed25519 USING PASSWORD('new') OR ed25519 USING PASSWORD('old')"
    ]
    connection = ed25519(log=1)
    fails_of(lambda: session_on(connection).set_password("app", "canary"), PasswordRefused, "canary")
    assert not connection.ran("ALTER USER")


def test_an_account_of_another_plugin_sets_its_own_password() -> None:
    connection = ed25519(log=0)
    connection.answers["SELECT CURRENT_USER()"] = (("app@%",),)
    session_on(connection, "app").set_password("app", "new")
    assert connection.ran("SET PASSWORD") == ["SET PASSWORD = PASSWORD('new')"]


def test_a_server_that_checks_passwords_itself_gets_to_see_them_unless_its_log_would() -> None:
    shown = (("CREATE USER `app`@`%` IDENTIFIED BY PASSWORD '*AB'",),)
    writable = {"SELECT @@GLOBAL.read_only": (("OFF",),)}
    answers = {"SELECT Host": ACCOUNT, "SHOW CREATE USER": shown, "ALTER USER": [INSISTS, ()], **writable}
    connection = ScriptedConnection({**answers, "SELECT @@GLOBAL.general": ((0,),)})
    session_on(connection).set_password("app", "new")
    hashed = f"ALTER USER 'app'@'%' IDENTIFIED VIA mysql_native_password USING '{native_hash('new')}'"
    plain = "ALTER USER 'app'@'%' IDENTIFIED VIA mysql_native_password USING PASSWORD('new')"
    assert connection.ran("ALTER USER") == [hashed, plain]
    connection = ScriptedConnection({**answers, "ALTER USER": [INSISTS], "SELECT @@GLOBAL.general": ((1,),)})
    fails_of(lambda: session_on(connection).set_password("app", "canary"), PasswordRefused, "canary")


def test_a_server_that_takes_no_changes_gets_to_see_no_password(mariadb_server: RunningServer) -> None:
    """It refuses a hash with the same number as one that checks passwords."""
    target = MariaDb(ca_file=mariadb_server.ca_file)
    with statements_of(mariadb_server) as root:
        root.run("CREATE USER reader@'%' IDENTIFIED BY 'one'")
        root.run("SET GLOBAL general_log = 0")
        root.run("SET GLOBAL read_only = 1")
        try:
            with target.connect(credentials(mariadb_server, "reader", "one"), deadline=deadline()) as session:
                error = fails_of(lambda: session.set_password("reader", "canary"), TargetError, "canary")
        finally:
            root.run("SET GLOBAL read_only = 0")
            root.run("SET GLOBAL general_log = 1")
    assert type(error) is TargetError
    assert str(error).startswith("the server is read-only")
    assert accepts(target, mariadb_server, "reader", "one")
