"""Two rotations in a row on a FAKE MongoDB, which die before and after every call of AWS, every login and command.

The driver is the real one. What a MongoDB does with a command whose client is gone has been tried on no real server.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest

from envelope_secrets.rotation.alternating_users import AlternatingUsers
from envelope_secrets.rotation.credentials import parse_credentials
from envelope_secrets.rotation.database import DatabaseCredentials, DatabaseSession
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.rotation.failures import LoginRefused
from envelope_secrets.rotation.mongodb import MongoDb
from envelope_secrets.rotation.mongodb_connection import MongoDbConnection
from envelope_secrets.rotation.single_user import SingleUser
from envelope_secrets.rotation.strategy import Strategy
from envelope_secrets.stages import AWSCURRENT, AWSPENDING, AWSPREVIOUS
from envelope_secrets.testing import Stopped
from tests.crash_points import CrashPoints, StoppingService
from tests.database_rotations import RotationWorld
from tests.servers.mongodb_fake import FakeMongo, fake_mongo
from tests.servers.mongodb_fake_accounts import SHA_1, SHA_256
from tests.thoroughness import POINTS, TAKES_ALL, Recorder

STRATEGIES: list[Strategy] = [SingleUser(), AlternatingUsers()]
SAMPLE = 13
"""Where not all is taken, the process dies after each 13th call only."""

MONGODB = MongoDb(tls="disable")
NUMBERS = count(1)
ASK = MongoDbConnection.ask


@dataclass(frozen=True)
class StoppingMongoDb:
    """MongoDB, each login of which is two points."""

    points: CrashPoints

    def __getattr__(self, name: str) -> Any:
        return getattr(MONGODB, name)

    def connect(self, login: DatabaseCredentials, *, deadline: Deadline) -> DatabaseSession:
        self.points.point("before connect")
        session = MONGODB.connect(login, deadline=deadline)
        try:
            self.points.point("after connect")
        except Stopped:
            session.__exit__(None, None, None)  # as the operating system does for a process that is gone
            raise
        return session


class Current:
    """The points that commands pass now."""

    points = CrashPoints()


@pytest.fixture(autouse=True)
def _commands_are_points(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopping(self: MongoDbConnection, *args: Any, **options: Any) -> Any:
        with Current.points.around(f"command for {options['what']}"):
            return ASK(self, *args, **options)

    monkeypatch.setattr(MongoDbConnection, "ask", stopping)


@pytest.fixture(params=[False, True], ids=["MongoDB", "DocumentDB"])
def server(request: pytest.FixtureRequest) -> Iterator[FakeMongo]:
    is_documentdb: bool = request.param
    mechanisms = (SHA_1,) if is_documentdb else (SHA_1, SHA_256)
    with fake_mongo(is_documentdb=is_documentdb, mechanisms=mechanisms) as (member,):
        member.state.add("root", "rootpw", "root@admin")
        member.state.own_roles["admin", "changeOwn"] = frozenset({"changeOwnPassword"})
        yield member


class Rehearsal:
    """One strategy on one server: another account and another secret for each run, in one service."""

    def __init__(self, server: FakeMongo, strategy: Strategy) -> None:
        self.server = server
        self.strategy = strategy
        self.service = StoppingService()

    def run(self, points: CrashPoints) -> list[str]:
        """Two rotations, each repeated up to three times; what is wrong then."""
        name = f"crash{next(NUMBERS)}"
        account = self.server.state.add(name, "first password", "readWrite@shop", "changeOwn@admin")
        if not self.server.state.is_documentdb:
            account.custom_data, account.restrictions = {"team": "payments"}, [{"clientSource": ["127.0.0.0/8"]}]
            account.set_password(name, "first password", [SHA_256])
        world = RotationWorld(
            self.strategy,
            points=points,
            service=self.service,
            name=f"prod/{name}",
            database=lambda _: StoppingMongoDb(points),
            value=self.value(name, "first password", dbname="shop"),
            admin_value=self.value("root", "rootpw"),
            with_admin=not isinstance(self.strategy, SingleUser),
        )
        found: list[str] = []
        for number in (2, 3):
            Current.points = points
            run = world.rotate(number, attempts=4)
            with points.nobody_watches():
                found += [] if run.succeeded else [f"failed: {[step.error for step in run.steps if step.error]}"]
                found += [] if world.values_stored() == number else ["a second pending value"]
                found += world.labels.problems() + self.problems(world, name)
        return found

    def value(self, username: str, password: str, **others: Any) -> dict[str, Any]:
        where = {"engine": "mongo", "host": self.server.host, "port": self.server.port}
        return {**where, "username": username, "password": password, **others}

    def problems(self, world: RotationWorld, name: str) -> list[str]:
        current = parse_credentials(world.store.read(world.name), MONGODB)
        pending = world.labels.holder(AWSPENDING)
        found = [] if pending in (None, world.labels.holder(AWSCURRENT)) else ["AWSPENDING is stuck"]
        try:
            with MONGODB.connect(current, deadline=Deadline(60.0)) as session:
                session.check_use()
                session._connection.ask("shop", {"insert": "orders", "documents": [{"x": 1}]}, what="a test")
        except LoginRefused:
            found.append("AWSCURRENT does not log in")
        if isinstance(self.strategy, AlternatingUsers):
            previous = parse_credentials(world.store.read(world.name, stage=AWSPREVIOUS), MONGODB)
            MONGODB.connect(previous, deadline=Deadline(60.0)).__exit__(None, None, None)  # nobody is locked out
        accounts = self.server.state.accounts
        model, used = accounts["admin", name], accounts["admin", current.username]
        alike = ("restrictions", "custom_data")
        found += [f"{what} differ" for what in alike if getattr(model, what) != getattr(used, what)]
        found += [] if _roles(model) == _roles(used) else ["roles differ"]
        found += [] if set(model.credentials) == set(used.credentials) else ["the ways to log in differ"]
        return found


def _roles(account: Any) -> set[tuple[str, str]]:
    return {(role["db"], role["role"]) for role in account.roles}


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda one: type(one).__name__)
def test_two_rotations_on_a_fake_have_no_bad_end_wherever_one_dies(
    strategy: Strategy, server: FakeMongo, record_property: Recorder
) -> None:
    rehearsal = Rehearsal(server, strategy)
    points = CrashPoints()
    assert rehearsal.run(points) == []
    bad = {}
    # Nothing that lasts happens between a call and the next: after the one is before the other.
    places = [number for number, name in enumerate(points.passed) if number == 0 or name.startswith("after")]
    taken = places[:: 1 if TAKES_ALL else SAMPLE]
    for dies_at in taken:
        dying = CrashPoints(dies_at)
        problems = rehearsal.run(dying)
        assert dying.died
        if problems:
            bad[f"{dies_at}, {dying.passed[dies_at]}"] = problems
    kind = "DocumentDB" if server.state.is_documentdb else "MongoDB"
    record_property(
        POINTS,
        f"fake {kind}, {type(strategy).__name__}: {len(points.passed)} points, {len(taken)} tried, {len(bad)} bad ends",
    )
    assert len(points.passed) > 70
    assert not bad
