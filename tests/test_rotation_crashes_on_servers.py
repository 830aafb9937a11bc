"""The same deaths on real servers: before and after every call of AWS, every login and every statement.

Two rotations in a row, the process dies once, anywhere in them, and each is repeated up to three times.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest

from envelope_secrets.rotation.alternating_users import AlternatingUsers
from envelope_secrets.rotation.credentials import parse_credentials
from envelope_secrets.rotation.database import Database, DatabaseCredentials, DatabaseSession
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.rotation.dual_password import DualPassword
from envelope_secrets.rotation.mariadb import MariaDb
from envelope_secrets.rotation.mysql import MySql
from envelope_secrets.rotation.mysql_connection import MySqlConnection
from envelope_secrets.rotation.postgresql import PostgreSql
from envelope_secrets.rotation.postgresql_session import PostgreSqlSession
from envelope_secrets.rotation.single_user import SingleUser
from envelope_secrets.rotation.strategy import Strategy
from envelope_secrets.stages import AWSCURRENT, AWSPENDING
from envelope_secrets.testing import Stopped
from tests.crash_points import CrashPoints, StoppingService
from tests.database_rotations import RotationWorld
from tests.servers.logins import credentials
from tests.servers.running import RunningServer
from tests.thoroughness import POINTS, TAKES_ALL, Recorder

pytest_plugins = ["tests.servers.fixtures"]

NUMBERS = count(1)


@dataclass(frozen=True)
class StoppingDatabase:
    """A kind of database, each login and each statement of which is two points."""

    inner: Any
    points: CrashPoints

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def connect(self, login: DatabaseCredentials, *, deadline: Deadline) -> DatabaseSession:
        self.points.point("before connect")
        session: DatabaseSession = self.inner.connect(login, deadline=deadline)
        try:
            self.points.point("after connect")
        except Stopped:
            session.__exit__(None, None, None)  # as the operating system does for a process that is gone
            raise
        return session


class Current:
    """The points that statements pass now."""

    points = CrashPoints()


@pytest.fixture(autouse=True)
def _statements_are_points(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, name in ((PostgreSqlSession, "_run"), (MySqlConnection, "rows")):
        inner = getattr(kind, name)

        def stopping(self: Any, *args: Any, inner: Callable[..., Any] = inner, **options: Any) -> Any:
            with Current.points.around(f"statement for {options['what']}"):
                return inner(self, *args, **options)

        monkeypatch.setattr(kind, name, stopping)


def deadline() -> Deadline:
    return Deadline(60.0)


def fields_of(server: RunningServer, username: str, password: str, **others: Any) -> dict[str, Any]:
    login = {"username": username, "password": password, "dbname": server.database}
    return {"engine": server.engine, "host": server.host, "port": server.port, **login, **others}


class Rehearsal:
    """One strategy on one server: another account and another secret for each run, in one service."""

    def __init__(
        self, server: RunningServer, database: Any, strategy: Strategy, make: Callable[[str], list[str]]
    ) -> None:
        self.server = server
        self.database: Database = database
        self.strategy = strategy
        self.make = make
        self.service = StoppingService()

    def run(self, points: CrashPoints) -> list[str]:
        """Two rotations, each repeated up to three times; what is wrong after one of them."""
        name = f"crash{next(NUMBERS)}"
        Current.points = CrashPoints()
        with self.database.connect(credentials(self.server), deadline=deadline()) as admin:
            session: Any = admin
            for statement in self.make(name):
                _execute(session, statement)
        world = RotationWorld(
            self.strategy,
            points=points,
            service=self.service,
            name=f"prod/{name}",
            database=lambda _: StoppingDatabase(self.database, points),
            value=fields_of(self.server, name, "first password"),
            admin_value=fields_of(self.server, self.server.admin, self.server.password),
            with_admin=not isinstance(self.strategy, SingleUser),
        )
        return self.rotated(world, points, name, 2) or self.rotated(world, points, name, 3)

    def rotated(self, world: RotationWorld, points: CrashPoints, name: str, number: int) -> list[str]:
        """The rotation to the version of this number; what is wrong after it."""
        Current.points = points
        run = world.rotate(number, attempts=4)
        Current.points = CrashPoints()
        with points.nobody_watches():  # what comes now are calls of the test
            found = [] if run.succeeded else [f"failed: {[(one.step, one.error) for one in run.steps if one.error]}"]
            found += [] if world.values_stored() == number else ["a second pending value"]
            return found + world.labels.problems() + self.problems(world, name)

    def problems(self, world: RotationWorld, name: str) -> list[str]:
        current = parse_credentials(world.store.read(world.name), self.database)
        pending = world.labels.holder(AWSPENDING)
        found = [] if pending in (None, world.labels.holder(AWSCURRENT)) else ["AWSPENDING is stuck"]
        with self.database.connect(current, deadline=deadline()) as session:
            session.check_use()
            _execute(session, self.query)
        if isinstance(self.strategy, AlternatingUsers):  # the other account, which is the next to be current, too
            with self.database.connect(credentials(self.server), deadline=deadline()) as admin:
                found += [f"missing: {missing}" for missing in admin.missing_privileges(f"{name}_clone", name)]
        return found

    @property
    def query(self) -> str:
        is_postgresql = self.server.engine == "postgres"
        return "SELECT * FROM crash_things" if is_postgresql else "SELECT * FROM crash.things"


def _execute(session: Any, statement: str) -> None:
    if isinstance(session, PostgreSqlSession):
        session._raw.execute(f"SET search_path = public; {statement}")
    else:
        session._connection.rows(statement, what="a test")


def postgresql_account(name: str) -> list[str]:
    return [
        "CREATE TABLE IF NOT EXISTS crash_things (x int)",
        f"CREATE ROLE {name} LOGIN PASSWORD 'first password'",
        f"GRANT SELECT ON crash_things TO {name}",
    ]


def mariadb_account(name: str) -> list[str]:
    return [
        "CREATE DATABASE IF NOT EXISTS crash",
        "CREATE TABLE IF NOT EXISTS crash.things (x int)",
        f"CREATE USER {name}@'%' IDENTIFIED BY 'first password' REQUIRE SSL",
        f"GRANT SELECT ON crash.* TO {name}@'%'",
        f"GRANT SELECT, INSERT ON mysql.help_topic TO {name}@'%'",
    ]


def mysql_account(name: str) -> list[str]:
    """With the right to have two passwords, which MySQL gives to no account by itself."""
    return [*mariadb_account(name), f"GRANT APPLICATION_PASSWORD_ADMIN ON *.* TO {name}@'%'"]


def places_to_die_at(points: CrashPoints) -> list[int]:
    """Every point; or each sixteenth of those after a call, since nothing that lasts happens before the next."""
    if TAKES_ALL:
        return list(range(len(points.passed)))
    return [number for number, name in enumerate(points.passed) if name.startswith("after")][::16]


def no_bad_end(rehearsal: Rehearsal, what: str, record_property: Recorder) -> None:
    points = CrashPoints()
    assert rehearsal.run(points) == []
    bad = {}
    places = places_to_die_at(points)
    for dies_at in places:
        dying = CrashPoints(dies_at)
        problems = rehearsal.run(dying)
        if problems:
            bad[f"{dies_at}, {dying.passed[dies_at]}"] = problems
    record_property(POINTS, f"{what}: {len(points.passed)} points, {len(places)} tried, {len(bad)} bad ends")
    assert len(points.passed) > 80
    assert not bad


@pytest.mark.parametrize("strategy", [SingleUser(), AlternatingUsers()], ids=lambda one: type(one).__name__)
def test_postgresql_has_no_bad_end(
    strategy: Strategy, postgresql_server: RunningServer, record_property: Recorder
) -> None:
    database = PostgreSql(ca_file=postgresql_server.ca_file)
    rehearsal = Rehearsal(postgresql_server, database, strategy, postgresql_account)
    no_bad_end(rehearsal, f"PostgreSQL, {type(strategy).__name__}", record_property)


@pytest.mark.parametrize(
    "strategy", [SingleUser(), AlternatingUsers(), DualPassword()], ids=lambda one: type(one).__name__
)
def test_mariadb_has_no_bad_end(strategy: Strategy, mariadb_server: RunningServer, record_property: Recorder) -> None:
    database = MariaDb(ca_file=mariadb_server.ca_file)
    rehearsal = Rehearsal(mariadb_server, database, strategy, mariadb_account)
    no_bad_end(rehearsal, f"MariaDB, {type(strategy).__name__}", record_property)


@pytest.mark.parametrize(
    "strategy", [SingleUser(), AlternatingUsers(), DualPassword()], ids=lambda one: type(one).__name__
)
def test_mysql_has_no_bad_end(strategy: Strategy, mysql_server: RunningServer, record_property: Recorder) -> None:
    database = MySql(ca_file=mysql_server.ca_file)
    rehearsal = Rehearsal(mysql_server, database, strategy, mysql_account)
    no_bad_end(rehearsal, f"MySQL, {type(strategy).__name__}", record_property)
