"""The same deaths on real servers: before and after every call of AWS, every login and every statement."""

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
        """A rotation, repeated up to three times; what is wrong then."""
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
        Current.points = points
        run = world.rotate(2, attempts=4)
        Current.points = CrashPoints()
        points.is_watching = False  # what comes now are calls of the test
        found = [] if run.succeeded else [f"failed: {[(step.step, step.error) for step in run.steps if step.error]}"]
        found += [] if world.values_stored() == 2 else ["a second pending value"]
        return found + world.labels.problems() + self.problems(world, name)

    def problems(self, world: RotationWorld, name: str) -> list[str]:
        current = parse_credentials(world.store.read(world.name), self.database)
        pending = world.labels.holder(AWSPENDING)
        found = [] if pending in (None, world.labels.holder(AWSCURRENT)) else ["AWSPENDING is stuck"]
        with self.database.connect(current, deadline=deadline()) as session:
            session.check_use()
            _execute(session, self.query)
        if current.username != name:
            with self.database.connect(credentials(self.server), deadline=deadline()) as admin:
                found += [f"missing: {missing}" for missing in admin.missing_privileges(current.username, name)]
        return found

    @property
    def query(self) -> str:
        is_mariadb = self.server.engine == "mariadb"
        return "SELECT * FROM crash.things" if is_mariadb else "SELECT * FROM crash_things"


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


def no_bad_end(rehearsal: Rehearsal, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    points = CrashPoints()
    assert rehearsal.run(points) == []
    bad = {}
    # Nothing that lasts happens between a call and the next: after the one is before the other.
    places = [number for number, name in enumerate(points.passed) if number == 0 or name.startswith("after")]
    for dies_at in places:
        dying = CrashPoints(dies_at)
        problems = rehearsal.run(dying)
        if problems:
            bad[f"{dies_at}, {dying.passed[dies_at]}"] = problems
    with capsys.disabled():
        print(  # noqa: T201 - the number of points is what one wants to know
            f"\n{what}: {len(points.passed)} points, {len(bad)} bad ends", end=""
        )
    assert len(points.passed) > 40
    assert not bad


@pytest.mark.parametrize("strategy", [SingleUser(), AlternatingUsers()], ids=lambda one: type(one).__name__)
def test_postgresql_has_no_bad_end(
    strategy: Strategy, postgresql_server: RunningServer, capsys: pytest.CaptureFixture[str]
) -> None:
    database = PostgreSql(ca_file=postgresql_server.ca_file)
    rehearsal = Rehearsal(postgresql_server, database, strategy, postgresql_account)
    no_bad_end(rehearsal, f"PostgreSQL, {type(strategy).__name__}", capsys)


@pytest.mark.parametrize(
    "strategy", [SingleUser(), AlternatingUsers(), DualPassword()], ids=lambda one: type(one).__name__
)
def test_mariadb_has_no_bad_end(
    strategy: Strategy, mariadb_server: RunningServer, capsys: pytest.CaptureFixture[str]
) -> None:
    database = MariaDb(ca_file=mariadb_server.ca_file)
    rehearsal = Rehearsal(mariadb_server, database, strategy, mariadb_account)
    no_bad_end(rehearsal, f"MariaDB, {type(strategy).__name__}", capsys)
