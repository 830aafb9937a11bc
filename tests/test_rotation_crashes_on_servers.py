"""The same deaths on real servers: before and after every call of the store, every login and every statement.

Two rotations in a row, the process dies up to three times, anywhere in them, and each is repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from envelope.errors import EnvelopeError
from envelope_secrets.rotation.alternating_users import AlternatingUsers
from envelope_secrets.rotation.credentials import parse_credentials
from envelope_secrets.rotation.database import Database, DatabaseCredentials
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.rotation.dual_password import DualPassword
from envelope_secrets.rotation.mariadb import MariaDb
from envelope_secrets.rotation.mysql import MySql
from envelope_secrets.rotation.mysql_connection import MySqlConnection
from envelope_secrets.rotation.postgresql import PostgreSql
from envelope_secrets.rotation.postgresql_session import PostgreSqlSession
from envelope_secrets.rotation.single_user import SingleUser
from envelope_secrets.rotation.strategy import Strategy
from envelope_secrets.stores.protocol import SecretStore
from tests.bad_ends import NO_LOGIN, NOT_ALLOWED, problems_of_use
from tests.crash_points import CrashPoints, rehearse
from tests.database_crashes import DatabaseCrashes
from tests.local_rotations import secret_of
from tests.rotation_stops import LOCAL, STORES, STRICT, Stops, store_of
from tests.servers.logins import credentials
from tests.servers.running import RunningServer
from tests.thoroughness import POINTS, Recorder

pytest_plugins = ["tests.servers.fixtures"]

NUMBERS = count(1)
STOPS = Stops()
STORE_EACH = {STRICT: None, LOCAL: 9}
"""How many points a kind of store takes the next of, where all is taken; all, and more, if None."""

SAMPLES = {STRICT: 79, LOCAL: 131}
SINGLE, ALTERNATING, DUAL = SingleUser(), AlternatingUsers(), DualPassword()


@pytest.fixture(autouse=True)
def _statements_are_points(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, name in ((PostgreSqlSession, "_run"), (MySqlConnection, "rows")):
        inner = getattr(kind, name)

        def stopping(self: Any, *args: Any, inner: Callable[..., Any] = inner, **options: Any) -> Any:
            with STOPS.points.around(f"statement for {options['what']}"):
                return inner(self, *args, **options)

        monkeypatch.setattr(kind, name, stopping)


def deadline() -> Deadline:
    return Deadline(60.0)


def fields_of(server: RunningServer, username: str, password: str, **others: Any) -> dict[str, Any]:
    login = {"username": username, "password": password, "dbname": server.database}
    return {"engine": server.engine, "host": server.host, "port": server.port, **login, **others}


class Accounts:
    """Accounts of applications on one server, and what they can do."""

    def __init__(self, server: RunningServer, database: Any, make: Callable[[str], list[str]]) -> None:
        self.server = server
        self.database: Database = database
        self._make = make

    def add(self) -> dict[str, Any]:
        """Another account; the fields of its secret."""
        name = f"crash{next(NUMBERS)}"
        self.execute(*self._make(name))
        return fields_of(self.server, name, "first password")

    def execute(self, *statements: str) -> None:
        """As the administrator."""
        with self.database.connect(credentials(self.server), deadline=deadline()) as admin:
            for statement in statements:
                _execute(admin, statement)

    def problems(self, value: Mapping[str, Any], name: str, others: tuple[str, ...] = ()) -> list[str]:
        """What is wrong with the account that this version logs in as, made like the first one of this name."""
        login = parse_credentials(secret_of(value), self.database)
        found = problems_of_use(lambda: self._use(login), denied=(EnvelopeError, psycopg.Error))
        with self.database.connect(credentials(self.server), deadline=deadline()) as admin:
            for account in {login.username, *others} - {name}:
                found += [f"half granted: {missing}" for missing in admin.missing_privileges(account, name)]
        return found

    def _use(self, login: DatabaseCredentials) -> None:
        things = "public.crash_things" if self.server.engine == "postgres" else "crash.things"
        with self.database.connect(login, deadline=deadline()) as session:
            session.check_use()
            _execute(session, f"INSERT INTO {things} VALUES (1)")  # noqa: S608 - our own
            _execute(session, f"SELECT count(*) FROM {things}")  # noqa: S608


def _execute(session: Any, statement: str) -> None:
    if isinstance(session, PostgreSqlSession):
        session._raw.execute(f"SET search_path = public; {statement}")
    else:
        session._connection.rows(statement, what="a test")


def postgresql_account(name: str) -> list[str]:
    return [
        "CREATE TABLE IF NOT EXISTS crash_things (x int)",
        f"CREATE ROLE {name} LOGIN PASSWORD 'first password'",
        f"GRANT SELECT, INSERT ON crash_things TO {name}",
    ]


def mariadb_account(name: str) -> list[str]:
    return [
        "CREATE DATABASE IF NOT EXISTS crash",
        "CREATE TABLE IF NOT EXISTS crash.things (x int)",
        f"CREATE USER {name}@'%' IDENTIFIED BY 'first password' REQUIRE SSL",
        f"GRANT SELECT, INSERT ON crash.* TO {name}@'%'",
        f"GRANT SELECT, INSERT ON mysql.help_topic TO {name}@'%'",
    ]


def mysql_account(name: str) -> list[str]:
    """With the right to have two passwords, which MySQL gives to no account by itself."""
    return [*mariadb_account(name), f"GRANT APPLICATION_PASSWORD_ADMIN ON *.* TO {name}@'%'"]


def no_bad_end(accounts: Accounts, strategy: Strategy, kind: str, folder: Path, record_property: Recorder) -> None:
    server = accounts.server
    admin = fields_of(server, server.admin, server.password)
    local = store_of(LOCAL, folder) if kind == LOCAL else None
    crashes = DatabaseCrashes(accounts.database, strategy, admin, STOPS, local)

    def run(points: CrashPoints) -> list[str]:
        value = accounts.add()
        name = value["username"]
        clones = (f"{name}_clone",) if isinstance(strategy, AlternatingUsers) else ()  # the next to be current, too

        def look(store: SecretStore, secret: str) -> list[str]:
            return accounts.problems(dict(store.read(secret).json), name, clones)

        return crashes.rotated_twice(points, value, look)

    outcome = rehearse(run, rotations=2, each=STORE_EACH[kind], again_each=4, sample=SAMPLES[kind])
    record_property(POINTS, f"{type(accounts.database).__name__}, {type(strategy).__name__}, {kind}: {outcome}")
    assert outcome.points > 80
    assert not outcome.bad


def named(value: object) -> str:
    return value if isinstance(value, str) else type(value).__name__


@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize("strategy", [SINGLE, ALTERNATING], ids=named)
def test_postgresql_has_no_bad_end(
    strategy: Strategy, kind: str, tmp_path: Path, postgresql_server: RunningServer, record_property: Recorder
) -> None:
    database = PostgreSql(ca_file=postgresql_server.ca_file)
    no_bad_end(Accounts(postgresql_server, database, postgresql_account), strategy, kind, tmp_path, record_property)


@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize("strategy", [SINGLE, ALTERNATING, DUAL], ids=named)
def test_mariadb_has_no_bad_end(
    strategy: Strategy, kind: str, tmp_path: Path, mariadb_server: RunningServer, record_property: Recorder
) -> None:
    database = MariaDb(ca_file=mariadb_server.ca_file)
    no_bad_end(Accounts(mariadb_server, database, mariadb_account), strategy, kind, tmp_path, record_property)


@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize("strategy", [SINGLE, ALTERNATING, DUAL], ids=named)
def test_mysql_has_no_bad_end(
    strategy: Strategy, kind: str, tmp_path: Path, mysql_server: RunningServer, record_property: Recorder
) -> None:
    database = MySql(ca_file=mysql_server.ca_file)
    no_bad_end(Accounts(mysql_server, database, mysql_account), strategy, kind, tmp_path, record_property)


def test_the_judge_of_servers_sees_what_an_account_cannot_do(postgresql_server: RunningServer) -> None:
    accounts = Accounts(postgresql_server, PostgreSql(ca_file=postgresql_server.ca_file), postgresql_account)
    value = accounts.add()
    name = value["username"]
    assert accounts.problems(value, name) == []
    assert accounts.problems({**value, "password": "another"}, name) == [NO_LOGIN]
    accounts.execute(f"CREATE ROLE {name}_clone LOGIN PASSWORD 'x'", f"GRANT SELECT ON crash_things TO {name}_clone")
    assert "half granted" in str(accounts.problems(value, name, (f"{name}_clone",)))
    clone = {**value, "username": f"{name}_clone", "password": "x"}
    assert accounts.problems(clone, name)[0] == NOT_ALLOWED, "it logs in and reads, and may not write"
    accounts.execute(f"REVOKE INSERT ON crash_things FROM {name}")
    assert accounts.problems(value, name) == [NOT_ALLOWED]


def test_the_judge_of_servers_sees_what_an_account_of_mariadb_cannot_do(mariadb_server: RunningServer) -> None:
    accounts = Accounts(mariadb_server, MariaDb(ca_file=mariadb_server.ca_file), mariadb_account)
    value = accounts.add()
    name = value["username"]
    assert accounts.problems(value, name) == []
    assert accounts.problems({**value, "password": "another"}, name) == [NO_LOGIN]
    accounts.execute(f"CREATE USER {name}_clone@'%' IDENTIFIED BY 'x'", f"GRANT SELECT ON crash.* TO {name}_clone@'%'")
    clone = {**value, "username": f"{name}_clone", "password": "x"}
    assert accounts.problems(clone, name)[0] == NOT_ALLOWED, "it logs in and reads, and may not write"
    assert "half granted" in str(accounts.problems(value, name, (f"{name}_clone",)))
    accounts.execute(f"REVOKE INSERT ON crash.* FROM {name}@'%'")
    assert accounts.problems(value, name) == [NOT_ALLOWED]
