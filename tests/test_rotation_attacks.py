"""What servers and their operators do to accounts between two rotations, on real servers."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import psycopg
import pytest
from psycopg import sql

from envelope.errors import AwsAccessDenied
from envelope_secrets.errors import SecretDeleted, SecretKeyUnavailable
from envelope_secrets.rotation.alternating_users import AlternatingUsers
from envelope_secrets.rotation.failures import AccountLocked, LoginRefused, RotationRefused, TargetError
from envelope_secrets.rotation.mariadb import MariaDb
from envelope_secrets.rotation.mysql_connection import MySqlConnection
from envelope_secrets.rotation.postgresql import PostgreSql
from envelope_secrets.rotation.single_user import SingleUser
from envelope_secrets.rotation.strategy import Strategy
from tests.database_rotations import RotationWorld
from tests.fake_secrets_for_tests import token
from tests.servers.logins import accepts, admin, credentials, deadline, interruptions
from tests.servers.mysql_statements import Sql as MySqlStatements
from tests.servers.mysql_statements import statements_of
from tests.servers.running import RunningServer

pytest_plugins = ["tests.servers.fixtures"]

NUMBERS = count(1)


def world_of(server: RunningServer, database: Any, strategy: Strategy, name: str, **others: Any) -> RotationWorld:
    """A secret of an account whose password is ``first``, and that of the server's administrator."""
    shared = {"engine": server.engine, "host": server.host, "port": server.port, "dbname": server.database}
    return RotationWorld(
        strategy,
        database=lambda _: database,
        value={**shared, "username": name, "password": "first", **others},
        admin_value={**shared, "username": server.admin, "password": server.password},
    )


def works(world: RotationWorld, server: RunningServer) -> bool:
    """Whether the server takes what AWSCURRENT says."""
    value = world.value()
    return accepts(world.database, server, value["username"], value["password"])


class PostgreSqlRoot:
    """Statements of a superuser."""

    def __init__(self, server: RunningServer) -> None:
        self.connection = psycopg.connect(
            host="127.0.0.1",
            port=server.port,
            user=server.admin,
            password=server.password,
            dbname=server.database,
            autocommit=True,
        )

    def run(self, statement: str, *names: str) -> Any:
        cursor = self.connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
        return cursor.fetchall() if cursor.description else []

    def account(self) -> str:
        name = f"app {next(NUMBERS)}"
        self.run("CREATE ROLE {} LOGIN PASSWORD 'first'", name)
        return name


@pytest.fixture
def postgresql(postgresql_server: RunningServer) -> Iterator[PostgreSqlRoot]:
    root = PostgreSqlRoot(postgresql_server)
    yield root
    root.connection.close()


@pytest.fixture
def mariadb(mariadb_server: RunningServer) -> Iterator[MySqlStatements]:
    with statements_of(mariadb_server) as root:
        yield root


@pytest.mark.parametrize("statement", ["SELECT 1 FROM no_such_table", "SELECT pg_read_file('/etc/passwd')"])
def test_a_single_user_that_cannot_do_its_work_keeps_its_password(
    statement: str, postgresql: PostgreSqlRoot, postgresql_server: RunningServer
) -> None:
    """It would fail the test of the new one each time, and AWSCURRENT would not log in."""
    name = postgresql.account()
    database = PostgreSql(ca_file=postgresql_server.ca_file, test_statements=("SELECT 1", statement))
    world = world_of(postgresql_server, database, SingleUser(), name)
    assert "test statement 2" in str(world.rotate(2).error)
    assert works(world, postgresql_server)
    world.handler = world.handler_of(PostgreSql(ca_file=postgresql_server.ca_file), SingleUser())
    assert world.rotate(2).succeeded
    assert works(world, postgresql_server)


@pytest.mark.parametrize(
    "setting",
    [
        "default_transaction_read_only = on",
        "default_transaction_isolation = 'serializable'",
        "search_path = 'hostile', 'pg_catalog'",
        "standard_conforming_strings = off",
        "role = 'pg_read_all_data'",
        "DateStyle = 'German'",
    ],
)
def test_settings_of_an_account_do_not_stand_in_the_way_of_its_own_password(
    setting: str, postgresql: PostgreSqlRoot, postgresql_server: RunningServer
) -> None:
    name = postgresql.account()
    postgresql.run("GRANT pg_read_all_data TO {}", name)
    postgresql.run("ALTER ROLE {} SET " + setting, name)
    world = world_of(postgresql_server, PostgreSql(ca_file=postgresql_server.ca_file), SingleUser(), name)
    run = world.rotate(2)
    assert run.error is None
    assert works(world, postgresql_server)


def test_functions_and_operators_of_a_hostile_schema_are_not_called(
    postgresql: PostgreSqlRoot, postgresql_server: RunningServer
) -> None:
    name, schema = postgresql.account(), f"hostile {next(NUMBERS)}"
    postgresql.run("CREATE SCHEMA {} AUTHORIZATION {}", schema, name)
    traps = ("set_config(text, text, boolean)", "pg_advisory_xact_lock(bigint)", "current_database()")
    for trap in traps:
        postgresql.run(
            "CREATE FUNCTION {}." + trap + " RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''trap''; END'",
            schema,
        )
    postgresql.run(
        "CREATE FUNCTION {}.trap(name, name) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''trap''; END'",
        schema,
    )
    postgresql.run("CREATE OPERATOR {}.= (LEFTARG = name, RIGHTARG = name, FUNCTION = {}.trap)", schema, schema)
    postgresql.run("CREATE VIEW {}.pg_roles AS SELECT 'evil'::name AS rolname", schema)
    postgresql.run("ALTER ROLE {} SET search_path = {}, pg_catalog", postgresql_server.admin, schema)
    try:
        world = world_of(postgresql_server, PostgreSql(ca_file=postgresql_server.ca_file), AlternatingUsers(), name)
        for number in (2, 3):
            assert world.rotate(number).error is None
            assert works(world, postgresql_server)
    finally:
        postgresql.run("ALTER ROLE {} RESET search_path", postgresql_server.admin)


@pytest.mark.parametrize("limit", ["VALID UNTIL '2001-01-01'", "NOLOGIN", "CONNECTION LIMIT 0"])
def test_an_account_that_may_not_log_in_any_more_does_not_take_its_live_clone_with_it(
    limit: str, postgresql: PostgreSqlRoot, postgresql_server: RunningServer
) -> None:
    name = postgresql.account()
    world = world_of(postgresql_server, PostgreSql(ca_file=postgresql_server.ca_file), AlternatingUsers(), name)
    assert world.rotate(2).succeeded
    assert world.value()["username"] == name + "_clone"
    postgresql.run("ALTER ROLE {} " + limit, name)
    run = world.rotate(3)
    assert isinstance(run.error, LoginRefused)
    assert works(world, postgresql_server)


def test_a_locked_account_does_not_take_its_live_clone_with_it(
    mariadb: MySqlStatements, mariadb_server: RunningServer
) -> None:
    name = f"attacked{next(NUMBERS)}"
    mariadb.run("CREATE USER %s@'%%' IDENTIFIED BY 'first'", name)
    mariadb.run("GRANT SELECT ON mysql.help_topic TO %s@'%%'", name)
    world = world_of(mariadb_server, MariaDb(ca_file=mariadb_server.ca_file), AlternatingUsers(), name)
    assert world.rotate(2).error is None
    mariadb.run("ALTER USER %s@'%%' ACCOUNT LOCK", name)
    assert isinstance(world.rotate(3).error, AccountLocked)
    assert works(world, mariadb_server)


def test_no_stop_leaves_a_host_of_an_account_without_the_new_password(
    mariadb: MySqlStatements, mariadb_server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next attempt logs in from one host, and finds there that the password is in force."""
    name, database = f"attacked{next(NUMBERS)}", MariaDb(ca_file=mariadb_server.ca_file)
    hosts = ("%", "127.0.0.1", "localhost")

    def hashes() -> set[str]:
        shown = (mariadb.run("SHOW CREATE USER %s@%s", name, host)[0][0] for host in hosts)
        return {text.partition("PASSWORD '")[2] for text in shown}

    for host in hosts:
        mariadb.run("CREATE USER %s@%s IDENTIFIED BY 'first'", name, host)
    opened: Any = admin(database, mariadb_server)
    with opened as session:
        change = lambda: session.set_password(name, f"stopped {next(NUMBERS)}")  # noqa: E731
        for point in interruptions(MySqlConnection, "rows", change, monkeypatch):
            assert len(hashes()) == 1, point
            session._connection.rows("DO RELEASE_ALL_LOCKS()", what="the end of a process")


# What the scenarios show with a fake server, on real ones


@pytest.fixture(params=["postgresql", "mariadb"])
def real(request: pytest.FixtureRequest) -> tuple[RunningServer, Any]:
    """A server, and the kind of database that it is."""
    server: RunningServer = request.getfixturevalue(f"{request.param}_server")
    return server, {"postgresql": PostgreSql, "mariadb": MariaDb}[request.param](ca_file=server.ca_file)


def real_account(request: pytest.FixtureRequest, server: RunningServer, name: str) -> None:
    """An account whose password is ``first``."""
    if server.engine == "postgres":
        root: PostgreSqlRoot = request.getfixturevalue("postgresql")
        root.run("CREATE ROLE {} LOGIN PASSWORD 'first'", name)
    else:
        request.getfixturevalue("mariadb").run("CREATE USER %s@'%%' IDENTIFIED BY 'first'", name)


@pytest.mark.parametrize("strategy", [SingleUser(), AlternatingUsers()], ids=lambda strategy: type(strategy).__name__)
def test_e16_e18_hard_names_take_turns_and_open_sessions_go_on(
    strategy: Strategy, real: tuple[RunningServer, Any], request: pytest.FixtureRequest
) -> None:
    server, database = real
    name = f"o'\"`\\ %s;-- Ä密 {next(NUMBERS)}"
    real_account(request, server, name)
    world = world_of(server, database, strategy, name, dbname="")
    opened = database.connect(credentials(server, name, "first"), deadline=deadline())
    with opened:
        for number in (2, 3):
            run = world.rotate(number)
            assert run.error is None
            assert works(world, server)
            opened.check_use()


@pytest.mark.parametrize("strategy", [SingleUser(), AlternatingUsers()], ids=lambda strategy: type(strategy).__name__)
def test_e4_after_the_change_a_deleted_and_restored_secret_goes_on(
    strategy: Strategy, real: tuple[RunningServer, Any], request: pytest.FixtureRequest
) -> None:
    server, database = real
    name = f"attacked{next(NUMBERS)}"
    real_account(request, server, name)
    world = world_of(server, database, strategy, name, dbname="")
    begin(world)
    world.step("createSecret", 2)
    world.step("setSecret", 2)
    world.client.delete_secret(SecretId=world.name)
    with pytest.raises((SecretDeleted, RotationRefused)):
        world.step("testSecret", 2)
    world.client.restore_secret(SecretId=world.name)
    for step in ("setSecret", "testSecret", "finishSecret"):  # setSecret once more: nothing is left to do
        world.step(step, 2)
    assert works(world, server)


@pytest.mark.parametrize("strategy", [SingleUser(), AlternatingUsers()], ids=lambda strategy: type(strategy).__name__)
@pytest.mark.parametrize("code", ["AccessDeniedException", "DecryptionFailure"])
def test_e2_e3_what_aws_refuses_before_the_change_leaves_the_current_password_in_force(
    code: str, strategy: Strategy, real: tuple[RunningServer, Any], request: pytest.FixtureRequest
) -> None:
    server, database = real
    name = f"attacked{next(NUMBERS)}"
    real_account(request, server, name)
    world = world_of(server, database, strategy, name, dbname="")
    begin(world)
    world.step("createSecret", 2)
    world.fake.fail_next("GetSecretValue", code=code)
    with pytest.raises((AwsAccessDenied, SecretKeyUnavailable)):
        world.step("setSecret", 2)
    assert works(world, server)
    for step in ("setSecret", "testSecret", "finishSecret"):
        world.step(step, 2)
    assert works(world, server)


def begin(world: RotationWorld) -> None:
    """Announce a rotation to the version V2, and deliver nothing of it."""
    world.clock.advance(60)
    world.fake.rotate(world.name, lambda event, context: None, token=token(2))


@pytest.mark.parametrize("strategy", [SingleUser(), AlternatingUsers()], ids=lambda strategy: type(strategy).__name__)
def test_r9_deliveries_of_one_step_in_parallel_end_with_one_password(
    strategy: Strategy, real: tuple[RunningServer, Any], request: pytest.FixtureRequest
) -> None:
    server, database = real
    name = f"attacked{next(NUMBERS)}"
    real_account(request, server, name)
    world = world_of(server, database, strategy, name, dbname="")
    begin(world)
    world.step("createSecret", 2)
    with ThreadPoolExecutor(4) as pool:
        deliveries = [pool.submit(world.step, "setSecret", 2) for _ in range(4)]
    failures = [delivery.exception() for delivery in deliveries if delivery.exception()]
    assert all(isinstance(failure, TargetError) for failure in failures), failures
    for step in ("setSecret", "testSecret", "finishSecret"):
        world.step(step, 2)
    assert works(world, server)


def test_nobody_gets_the_account_that_a_login_of_their_own_is_called_the_clone_of(
    postgresql: PostgreSqlRoot, postgresql_server: RunningServer
) -> None:
    """Whoever may write the secret can let its versions name any account, and log in as one of their own."""
    victim = postgresql.account()
    postgresql.run("CREATE ROLE {} LOGIN PASSWORD 'my own'", victim + "_clone")
    database = PostgreSql(ca_file=postgresql_server.ca_file)
    world = world_of(postgresql_server, database, AlternatingUsers(), victim)
    named = world.value()
    world.put(2, {**named, "password": "no password of the victim's"})
    world.put(3, {**named, "username": victim + "_clone", "password": "my own"})
    error = world.rotate(4).error
    assert isinstance(error, LoginRefused)
    assert "nothing shows that its password may be set" in str(error)
    assert accepts(database, postgresql_server, victim, "first")
