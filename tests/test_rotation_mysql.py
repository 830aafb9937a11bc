"""MySQL under rotation: what MariaDB does not have, and how grants and failures are understood."""

import socket
import ssl
from typing import Any

import pytest

from envelope_secrets.password import PasswordPolicy
from envelope_secrets.rotation import mysql_connection
from envelope_secrets.rotation.database import DatabaseCredentials
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.rotation.failures import AccountLocked, OutOfTime, PasswordRefused, TargetError, TlsFailed
from envelope_secrets.rotation.mysql import MySql, MySqlSession
from envelope_secrets.rotation.mysql_accounts import Account, prepare_account
from envelope_secrets.rotation.mysql_connection import LOGIN, STATEMENT
from envelope_secrets.rotation.mysql_grants import Grant, changes, describe, parse_grants
from envelope_secrets.rotation.mysql_options import expiry_clause, require_clause
from tests.scripted_mysql import ScriptedConnection
from tests.servers.logins import accepts, admin, credentials, deadline, fails_of
from tests.servers.mysql_statements import statements_of
from tests.servers.running import RunningServer

pytest_plugins = ["tests.servers.fixtures"]

ROW = ("%", "caching_sha2_password", "", b"", b"", b"", 0, 0, 0, 0, None, "N", None, None, None, None)
NOT_ALLOWED, WANTS_OWN_PASSWORD = 1227, 3892


def session_on(connection: Any, username: str = "admin") -> MySqlSession:
    return MySqlSession(connection, DatabaseCredentials("mysql", "h", 1, username, "old"), PasswordPolicy())


# Statements


def test_all_accounts_of_a_name_change_in_one_statement() -> None:
    connection = ScriptedConnection({"SELECT Host": (ROW, ("10.%", *ROW[1:]))})
    session_on(connection).set_password("app", "new")
    assert connection.ran("ALTER USER") == [
        "ALTER USER 'app'@'%' DISCARD OLD PASSWORD, 'app'@'10.%' DISCARD OLD PASSWORD",
        "ALTER USER 'app'@'%' IDENTIFIED BY 'new', 'app'@'10.%' IDENTIFIED BY 'new'",
    ]


def test_an_account_proves_its_password_where_the_server_wants_that() -> None:
    answers = {"ALTER USER USER() DISCARD": NOT_ALLOWED, "ALTER USER USER() IDENTIFIED": [WANTS_OWN_PASSWORD, ()] * 2}
    connection = ScriptedConnection(answers)
    session = session_on(connection, "app")
    session.set_password("app", "new")
    session.set_password("app", "newer")
    assert connection.ran("ALTER USER USER() IDENTIFIED") == [
        "ALTER USER USER() IDENTIFIED BY 'new'",
        "ALTER USER USER() IDENTIFIED BY 'new' REPLACE 'old'",
        "ALTER USER USER() IDENTIFIED BY 'newer'",
        "ALTER USER USER() IDENTIFIED BY 'newer' REPLACE 'new'",
    ]


def test_the_second_password_is_the_current_one_whichever_was_first() -> None:
    connection = ScriptedConnection({"SELECT Host": (ROW,)})
    session_on(connection).add_password("app", "new", current="now")
    assert connection.ran("ALTER USER") == [
        "ALTER USER 'app'@'%' IDENTIFIED BY 'now'",
        "ALTER USER 'app'@'%' IDENTIFIED BY 'new' RETAIN CURRENT PASSWORD",
    ]


@pytest.mark.parametrize(("when", "waits"), [(0, [3.5]), (1, []), (2, [3.5])])
def test_a_server_that_writes_its_log_later_is_given_the_time_after_each_change(when: int, waits: list[float]) -> None:
    answers = {"SELECT @@GLOBAL.innodb": ((when, 3),), "SELECT Host": (ROW,)}
    for change in (
        lambda session: session.set_password("app", "new"),
        lambda session: session.add_password("app", "new", current="now"),
        lambda session: session.prepare_account("app_clone", "app"),
        lambda session: session.save_accounts(),
    ):
        connection = ScriptedConnection(answers)
        change(session_on(connection))
        assert connection.waits == waits
        assert connection.statements[-1].startswith("SELECT @@GLOBAL.innodb"), "after the change"


def test_a_wait_that_ends_too_late_is_not_begun() -> None:
    slept: list[float] = []
    connection = mysql_connection.MySqlConnection(None, None, Deadline(3.0, sleep=slept.append), 1.0)
    connection.wait(1.5, "a write")
    assert slept == [1.5]
    with pytest.raises(OutOfTime, match=r"a write may take 2.5 s"):
        connection.wait(2.5, "a write")
    assert slept == [1.5]


def test_an_account_that_proves_itself_otherwise_gets_no_password_and_no_clone() -> None:
    connection = ScriptedConnection({"SELECT Host": (("%", "auth_socket", *ROW[2:]),)})
    fails_of(lambda: session_on(connection).set_password("app", "x"), TargetError)
    connection.answers["SELECT Host"] = [(("%", "auth_socket", *ROW[2:]),), ()]
    fails_of(lambda: session_on(connection).prepare_account("app_clone", "app"), TargetError)
    assert not connection.ran("CREATE") + connection.ran("ALTER")


def test_a_name_without_accounts_is_told() -> None:
    fails_of(lambda: session_on(ScriptedConnection()).set_password("app", "x"), TargetError)
    fails_of(lambda: session_on(ScriptedConnection()).missing_privileges("a", "b"), TargetError)


def test_a_clone_gets_everything_that_its_model_requires() -> None:
    attributes = '{"Password_locking": {"failed_login_attempts": 3, "password_lock_time_days": -1}}'
    strict = (
        "%",
        "sha256_password",
        "SPECIFIED",
        b"c",
        b"",
        b"/CN=\xc3\xa4",
        1,
        2,
        3,
        4,
        5,
        "Y",
        6,
        7,
        "Y",
        attributes,
    )
    connection = ScriptedConnection(
        {
            "SELECT HOST": [(("%", "r`1", "%"),), (), ()],
            "SELECT Host": [(strict,), (), (ROW,)],
            "SHOW GRANTS": [(("GRANT USAGE ON *.* TO `app`@`%`",),), (("GRANT USAGE ON *.* TO `app_clone`@`%`",),)],
        }
    )
    session = session_on(connection)
    session.prepare_account("app_clone", "app")
    (created,) = connection.ran("CREATE USER")
    assert created.startswith("CREATE USER IF NOT EXISTS 'app_clone'@'%' IDENTIFIED WITH 'sha256_password' BY '")
    assert " ".join(connection.ran("ALTER USER")) == (
        "ALTER USER 'app_clone'@'%' REQUIRE CIPHER 'c' AND SUBJECT '/CN=ä' WITH MAX_QUERIES_PER_HOUR 1 "
        "MAX_UPDATES_PER_HOUR 2 MAX_CONNECTIONS_PER_HOUR 3 MAX_USER_CONNECTIONS 4 PASSWORD EXPIRE INTERVAL 5 DAY "
        "ACCOUNT LOCK PASSWORD HISTORY 6 PASSWORD REUSE INTERVAL 7 DAY PASSWORD REQUIRE CURRENT "
        "FAILED_LOGIN_ATTEMPTS 3 PASSWORD_LOCK_TIME UNBOUNDED"
    )
    assert connection.ran("SET DEFAULT ROLE") == ["SET DEFAULT ROLE `r``1`@`%` TO 'app_clone'@'%'"]
    with session:
        session.check_use()
    assert connection.statements[-1] == "SELECT 1"
    assert connection.is_closed


def test_default_roles_go_where_the_model_has_none() -> None:
    connection = ScriptedConnection(
        {
            "SELECT HOST": [(), (), (("%", "r", "%"),)],
            "SELECT Host": [(ROW,), (ROW,), (ROW,)],
            "SHOW GRANTS": (),
        }
    )
    session_on(connection).prepare_account("app_clone", "app")
    assert connection.ran("SET DEFAULT ROLE") == ["SET DEFAULT ROLE NONE TO 'app_clone'@'%'"]
    assert not connection.ran("ALTER USER")


def test_grants_that_do_not_converge_end_with_an_error() -> None:
    connection = ScriptedConnection({"SHOW GRANTS FOR 'a'": (("GRANT SELECT ON *.* TO `a`@`%`",),)})

    class Dialect:
        def accounts(self, connection: Any, name: str) -> tuple[Account, ...]:
            return (Account(name, "%", "p", (), frozenset()),)

        def create(self, connection: Any, account: Account, like: str) -> None: ...

        def set_default_roles(self, connection: Any, account: Account) -> None: ...

    with pytest.raises(TargetError, match="do not become those of the account"):
        prepare_account(connection, Dialect(), "b", "a")  # type: ignore[arg-type]  # stands for one
    assert len(connection.ran("GRANT")) == 4


@pytest.mark.parametrize(
    ("arguments", "clause"),
    [
        (("", "", "", ""), "REQUIRE NONE"),
        (("ANY", "", "", ""), "REQUIRE SSL"),
        (("X509", "", "", ""), "REQUIRE X509"),
        (("SPECIFIED", "", "i", "s"), "REQUIRE ISSUER 'i' AND SUBJECT 's'"),
    ],
)
def test_requirements_in_the_words_of_a_statement(arguments: tuple[str, str, str, str], clause: str) -> None:
    assert require_clause(lambda text: f"'{text}'", *arguments) == clause


def test_expiry_in_the_words_of_a_statement() -> None:
    clauses = ["DEFAULT", "DEFAULT", "NEVER", "INTERVAL 9 DAY"]
    assert [expiry_clause(days) for days in (None, -1, 0, 9)] == [f"PASSWORD EXPIRE {clause}" for clause in clauses]


# Grants


@pytest.mark.parametrize(
    ("line", "grants"),
    [
        ("GRANT USAGE ON *.* TO `u`@`%`", set()),
        ("GRANT USAGE ON *.* TO `u`@`%` IDENTIFIED BY PASSWORD '*AB TO' REQUIRE SUBJECT 'a TO b'", set()),
        ("GRANT SELECT ON *.* TO PUBLIC", set()),
        ("SET DEFAULT ROLE `r` FOR `u`@`%`", set()),
        (
            "GRANT SELECT, CREATE VIEW ON `a``b`.* TO `u`@`%`",
            {Grant("SELECT", "`a``b`.*"), Grant("CREATE VIEW", "`a``b`.*")},
        ),
        ("GRANT USAGE ON `d`.* TO `u`@`%` WITH GRANT OPTION", {Grant("GRANT OPTION", "`d`.*")}),
        (
            "GRANT SELECT (`a`, `b TO c`), UPDATE ON `d`.`t` TO `u`@`%` WITH MAX_USER_CONNECTIONS 5 GRANT OPTION",
            {
                Grant("SELECT (`a`)", "`d`.`t`"),
                Grant("SELECT (`b TO c`)", "`d`.`t`"),
                Grant("UPDATE", "`d`.`t`"),
                Grant("GRANT OPTION", "`d`.`t`"),
            },
        ),
        ("GRANT EXECUTE ON PROCEDURE `d`.`p` TO `u`@`%`", {Grant("EXECUTE", "PROCEDURE `d`.`p`")}),
        (
            "GRANT AUDIT_ADMIN,XA_ADMIN ON *.* TO `u`@`%` WITH GRANT OPTION",
            {Grant("AUDIT_ADMIN", "*.*", can_pass_on=True), Grant("XA_ADMIN", "*.*", can_pass_on=True)},
        ),
        ("GRANT `r`@`%`,`s`@`%` TO `u`@`%`", {Grant("`r`@`%`", ""), Grant("`s`@`%`", "")}),
        ("GRANT `r` TO `u`@`%` WITH ADMIN OPTION", {Grant("`r`", "", can_pass_on=True)}),
        ("GRANT PROXY ON ``@`` TO `u`@`%`", {Grant("PROXY", "``@``")}),
        (
            "GRANT PROXY ON ''@'%' TO 'u'@'%' WITH GRANT OPTION",
            {Grant("PROXY", "''@'%'"), Grant("GRANT OPTION", "''@'%'")},
        ),
        ("REVOKE INSERT ON `d`.* FROM `u`@`%`", {Grant("INSERT", "`d`.*", is_taken=True)}),
    ],
)
def test_what_the_server_says_of_grants(line: str, grants: set[Grant]) -> None:
    assert parse_grants([line], "u", "%") == grants


@pytest.mark.parametrize("line", ["", "HURRAY FOR `u`@`%`", "GRANT SELECT ON *.*"])
def test_what_is_not_understood_is_not_guessed(line: str) -> None:
    with pytest.raises(TargetError):
        parse_grants([line], "u", "%")


def test_a_line_that_ends_too_early_is_for_nobody() -> None:
    assert parse_grants(["GRANT SELECT ON *.* TO"], "u", "%") == set()


def test_what_goes_is_taken_before_what_comes_is_given() -> None:
    has = frozenset({Grant("INSERT", "`d`.*"), Grant("`r`", ""), Grant("SELECT", "`e`.*", is_taken=True)})
    wanted = frozenset(
        {
            Grant("`r`", "", can_pass_on=True),
            Grant("GRANT OPTION", "`d`.*"),
            Grant("XA_ADMIN", "*.*", can_pass_on=True),
            Grant("SELECT", "*.*"),
            Grant("SELECT", "`f`.*", is_taken=True),
        }
    )
    assert list(changes(has, wanted, "u")) == [
        "REVOKE INSERT ON `d`.* FROM u",
        "GRANT SELECT ON `e`.* TO u",
        "REVOKE `r` FROM u",
        "GRANT USAGE ON `d`.* TO u WITH GRANT OPTION",
        "GRANT SELECT ON *.* TO u",
        "GRANT XA_ADMIN ON *.* TO u WITH GRANT OPTION",
        "GRANT `r` TO u WITH ADMIN OPTION",
        "REVOKE SELECT ON `f`.* FROM u",
    ]


def test_a_part_of_what_comes_is_not_taken_first() -> None:
    has = frozenset({Grant("SELECT", "`d`.*"), Grant("GRANT OPTION", "`d`.*")})
    wanted = frozenset({Grant("ALL PRIVILEGES", "`d`.*")})
    assert list(changes(has, wanted, "u")) == [
        "REVOKE GRANT OPTION ON `d`.* FROM u",
        "GRANT ALL PRIVILEGES ON `d`.* TO u",
    ]


def test_grants_in_words() -> None:
    assert describe(Grant("SELECT", "`d`.*")) == "SELECT on `d`.*"
    assert describe(Grant("SELECT", "`d`.*", is_taken=True)) == "no SELECT on `d`.*"
    assert describe(Grant("`r`", "", can_pass_on=True)) == "role `r` with the right to pass it on"


# On the server


@pytest.fixture
def target(mysql_server: RunningServer) -> MySql:
    return MySql(ca_file=mysql_server.ca_file)


def test_an_account_locks_itself_after_failed_logins_and_that_is_no_wrong_password(
    mysql_server: RunningServer, target: MySql
) -> None:
    with statements_of(mysql_server) as root:
        root.run("CREATE USER locks@'%' IDENTIFIED BY 'x' FAILED_LOGIN_ATTEMPTS 2 PASSWORD_LOCK_TIME 1")
        assert not accepts(target, mysql_server, "locks", "y")
        login = credentials(mysql_server, "locks", "y")
        fails_of(lambda: target.connect(login, deadline=deadline()), AccountLocked)
        with admin(target, mysql_server) as session:
            session.prepare_account("locks_clone", "locks")
        ((shown,),) = root.run("SHOW CREATE USER locks_clone@'%'")
        assert "FAILED_LOGIN_ATTEMPTS 2 PASSWORD_LOCK_TIME 1" in shown


def test_a_password_is_on_disk_before_it_counts(mysql_server: RunningServer, target: MySql) -> None:
    slept: list[float] = []
    patient = Deadline(60.0, sleep=slept.append)
    with statements_of(mysql_server) as root:
        root.run("CREATE USER lasting@'%' IDENTIFIED BY 'one'")
        root.run("SET GLOBAL innodb_flush_log_at_trx_commit = 0")
        try:
            with target.connect(credentials(mysql_server, "lasting", "one"), deadline=patient) as session:
                session.set_password("lasting", "two")
        finally:
            root.run("SET GLOBAL innodb_flush_log_at_trx_commit = 1")
    assert slept == [1.5]


def test_the_policy_for_passwords_is_told_apart(mysql_server: RunningServer, target: MySql) -> None:
    with statements_of(mysql_server) as root:
        root.run("CREATE USER policy@'%' IDENTIFIED BY 'x' PASSWORD HISTORY 3")
        root.run("INSTALL COMPONENT 'file://component_validate_password'")
        try:
            with admin(target, mysql_server) as session:
                fails_of(lambda: session.set_password("policy", "simple"), PasswordRefused, "simple")
                session.set_password("policy", "Not-so-simple-9")
                fails_of(lambda: session.set_password("policy", "Not-so-simple-9"), PasswordRefused)
                session.prepare_account("policy_clone", "policy")
        finally:
            root.run("UNINSTALL COMPONENT 'file://component_validate_password'")
    assert accepts(target, mysql_server, "policy", "Not-so-simple-9")


def test_an_account_that_must_name_its_own_password_does(mysql_server: RunningServer, target: MySql) -> None:
    with statements_of(mysql_server) as root:
        root.run("CREATE USER proves@'%' IDENTIFIED BY 'one' PASSWORD REQUIRE CURRENT")
    with target.connect(credentials(mysql_server, "proves", "one"), deadline=deadline()) as session:
        session.set_password("proves", "two")
        session.set_password("proves", "three")
    assert accepts(target, mysql_server, "proves", "three")


def test_an_account_with_another_plugin_keeps_it(mysql_server: RunningServer, target: MySql) -> None:
    with statements_of(mysql_server) as root, admin(target, mysql_server) as session:
        root.run("CREATE USER sha256@'%' IDENTIFIED WITH sha256_password BY 'one'")
        session.set_password("sha256", "two")
        session.prepare_account("sha256_clone", "sha256")
        plugins = root.run("SELECT plugin FROM mysql.user WHERE User LIKE 'sha256%'")
    assert plugins == (("sha256_password",), ("sha256_password",))
    assert accepts(target, mysql_server, "sha256", "two")


def test_dynamic_privileges_and_partial_revokes_converge(mysql_server: RunningServer, target: MySql) -> None:
    with statements_of(mysql_server) as root, admin(target, mysql_server) as session:
        root.run("CREATE USER dynamic@'%' IDENTIFIED BY 'one'")
        root.run("SET GLOBAL partial_revokes = 1")
        root.run("GRANT SELECT, INSERT ON *.* TO dynamic@'%'")
        root.run("REVOKE INSERT ON mysql.* FROM dynamic@'%'")
        root.run("GRANT AUDIT_ADMIN ON *.* TO dynamic@'%' WITH GRANT OPTION")
        root.run("GRANT BACKUP_ADMIN ON *.* TO dynamic@'%'")
        session.prepare_account("dynamic_clone", "dynamic")
        assert session.missing_privileges("dynamic_clone", "dynamic") == ()
        assert session.missing_privileges("dynamic", "dynamic_clone") == ()
        root.run("REVOKE AUDIT_ADMIN ON *.* FROM dynamic@'%'")
        root.run("GRANT AUDIT_ADMIN ON *.* TO dynamic@'%'")
        root.run("GRANT INSERT ON mysql.* TO dynamic@'%'")
        session.prepare_account("dynamic_clone", "dynamic")
        assert session.missing_privileges("dynamic_clone", "dynamic") == ()
        assert session.missing_privileges("dynamic", "dynamic_clone") == ()


def test_a_password_of_more_than_256_bytes_is_refused_before_the_server_is_asked() -> None:
    connection = ScriptedConnection()
    fails_of(lambda: session_on(connection).set_password("app", "ä" * 129), PasswordRefused)
    assert not connection.statements


# Failures


def test_every_number_has_its_error() -> None:
    assert LOGIN[3955][0] is AccountLocked
    for failures in (LOGIN, STATEMENT):
        for kind, text, _ in failures.values():
            assert issubclass(kind, TargetError)
            assert text.format(what="it") == text.format(what="it").lower().replace("tls", "TLS")


def test_a_number_that_is_not_known_is_shown(mysql_family: Any) -> None:
    assert str(mysql_family(RuntimeError("canary"))) == "the login failed in the driver"
    assert str(mysql_family(RuntimeError())) == "the login failed in the driver"
    assert str(mysql_family(ValueError(4_711, "canary"))) == "the server refused the login: error 4711"


@pytest.fixture
def mysql_family(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The error of a login at which the driver raises something."""

    def failing(error: Exception) -> Any:
        def connect(**options: Any) -> None:
            raise error

        monkeypatch.setattr("pymysql.connect", connect)
        login = DatabaseCredentials("mysql", "h", 1, "u", "p")
        return fails_of(lambda: MySql(tls="disable").connect(login, deadline=deadline()), TargetError)

    return failing


def test_a_driver_that_raises_our_own_error_is_passed_on(mysql_family: Any) -> None:
    raw = object()
    with pytest.raises(TargetError) as raised:
        mysql_connection._RefusesToSend(raw).authenticate(raw)
    assert "in the clear" in str(mysql_family(raised.value))


class ScriptedDriverConnection:
    """Stands for the driver's connection: each statement fails with a number."""

    open = True

    def __init__(self, number: int) -> None:
        self.number = number
        self._sock = socket.socket()

    def connect(self) -> None: ...

    def query(self, statement: str) -> None: ...

    def cursor(self) -> Any:
        raise RuntimeError(self.number, "canary")

    def close(self) -> None:
        self._sock.close()
        self.open = False


@pytest.mark.parametrize("number", [1141, 9999])
def test_a_number_passes_only_where_it_is_expected(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = ScriptedDriverConnection(number)
    monkeypatch.setattr("pymysql.connect", lambda **options: raw)
    login = DatabaseCredentials("mysql", "h", 1, "u", "p")
    with MySql(tls="disable").connect(login, deadline=deadline()) as session:
        assert session._connection.rows("REVOKE", what="it", passing=frozenset({number})) is None
        error = fails_of(lambda: session._connection.rows("REVOKE", what="it"), TargetError, "canary")
        assert str(error) == f"the server refused it: error {number}"
    assert not raw.open
    session._connection.close()


def test_an_error_of_tls_is_one_wherever_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(**options: Any) -> None:
        raise ssl.SSLError("canary")

    monkeypatch.setattr("pymysql.connect", connect)
    login = DatabaseCredentials("mysql", "h", 1, "u", "p")
    fails_of(lambda: MySql(tls="require").connect(login, deadline=deadline()), TlsFailed, "canary")
