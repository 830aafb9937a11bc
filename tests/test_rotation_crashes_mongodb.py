"""Two rotations in a row on a FAKE MongoDB, which die before and after every call of the store, login and command.

The driver is the real one. What a MongoDB does with a command whose client is gone has been tried on no real server.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from envelope.errors import EnvelopeError
from envelope_secrets.rotation.alternating_users import AlternatingUsers
from envelope_secrets.rotation.credentials import parse_credentials
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.rotation.mongodb import MongoDb
from envelope_secrets.rotation.mongodb_connection import MongoDbConnection
from envelope_secrets.rotation.single_user import SingleUser
from envelope_secrets.rotation.strategy import Strategy
from envelope_secrets.stages import AWSPREVIOUS
from envelope_secrets.stores.protocol import SecretStore
from envelope_secrets.value import Secret
from tests.bad_ends import NO_LOGIN, NOT_ALLOWED, problems_of_use
from tests.crash_points import CrashPoints, rehearse
from tests.database_crashes import DatabaseCrashes
from tests.local_rotations import secret_of
from tests.rotation_stops import LOCAL, STORES, STRICT, Stops, store_of
from tests.servers.mongodb_fake import FakeMongo, fake_mongo
from tests.servers.mongodb_fake_accounts import SHA_1, SHA_256
from tests.thoroughness import POINTS, Recorder

STRATEGIES: list[Strategy] = [SingleUser(), AlternatingUsers()]
STORE_EACH = {STRICT: None, LOCAL: 9}
"""How many points a kind of store takes the next of, where all is taken; all, and more, if None."""

SAMPLES = {STRICT: 29, LOCAL: 49}
MONGODB = MongoDb(tls="disable")
NUMBERS = count(1)
ASK = MongoDbConnection.ask
STOPS = Stops()


@pytest.fixture(autouse=True)
def _commands_are_points(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopping(self: MongoDbConnection, *args: Any, **options: Any) -> Any:
        with STOPS.points.around(f"command for {options['what']}"):
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


class Accounts:
    """Accounts of applications on one fake, and what they can do."""

    def __init__(self, server: FakeMongo) -> None:
        self.server = server

    def add(self) -> dict[str, Any]:
        """Another account; the fields of its secret."""
        name = f"crash{next(NUMBERS)}"
        account = self.server.state.add(name, "first password", "readWrite@shop", "changeOwn@admin")
        if not self.server.state.is_documentdb:
            account.custom_data, account.restrictions = {"team": "payments"}, [{"clientSource": ["127.0.0.0/8"]}]
            account.set_password(name, "first password", [SHA_256])
        return self.value(name, "first password", dbname="shop")

    def value(self, username: str, password: str, **others: Any) -> dict[str, Any]:
        where = {"engine": "mongo", "host": self.server.host, "port": self.server.port}
        return {**where, "username": username, "password": password, **others}

    def problems(self, version: Secret, name: str, *others: Secret) -> list[str]:
        """What is wrong with the account that a version logs in as, made like the first one of this name.

        Args:
            others: versions that log in too.
        """
        found = problems_of_use(lambda: self._write_and_read(version), denied=EnvelopeError)
        for other in others:
            found += problems_of_use(partial(self._log_in, other))
        accounts = self.server.state.accounts
        model, used = accounts["admin", name], accounts["admin", version.json["username"]]
        alike = ("restrictions", "custom_data")
        found += [f"{what} differ" for what in alike if getattr(model, what) != getattr(used, what)]
        found += [] if _roles(model) == _roles(used) else ["roles differ"]
        return found + ([] if set(model.credentials) == set(used.credentials) else ["the ways to log in differ"])

    def _write_and_read(self, version: Secret) -> None:
        with MONGODB.connect(parse_credentials(version, MONGODB), deadline=Deadline(60.0)) as session:
            session.check_use()
            session._connection.ask("shop", {"insert": "orders", "documents": [{"x": 1}]}, what="a test")
            session._connection.ask("shop", {"find": "orders", "limit": 1}, what="a test")

    def _log_in(self, version: Secret) -> None:
        MONGODB.connect(parse_credentials(version, MONGODB), deadline=Deadline(60.0)).__exit__(None, None, None)


def _roles(account: Any) -> set[tuple[str, str]]:
    return {(role["db"], role["role"]) for role in account.roles}


@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda one: type(one).__name__)
def test_two_rotations_on_a_fake_have_no_bad_end_wherever_they_die(
    strategy: Strategy, kind: str, server: FakeMongo, tmp_path: Path, record_property: Recorder
) -> None:
    accounts = Accounts(server)
    local = store_of(LOCAL, tmp_path) if kind == LOCAL else None
    crashes = DatabaseCrashes(MONGODB, strategy, accounts.value("root", "rootpw"), STOPS, local)

    def run(points: CrashPoints) -> list[str]:
        value = accounts.add()

        def look(store: SecretStore, secret: str) -> list[str]:
            is_alternating = isinstance(strategy, AlternatingUsers)  # where nobody is locked out
            others = (store.read(secret, stage=AWSPREVIOUS),) if is_alternating else ()
            return accounts.problems(store.read(secret), value["username"], *others)

        return crashes.rotated_twice(points, value, look)

    outcome = rehearse(run, rotations=2, each=STORE_EACH[kind], again_each=4, sample=SAMPLES[kind])
    fake = "DocumentDB" if server.state.is_documentdb else "MongoDB"
    record_property(POINTS, f"fake {fake}, {type(strategy).__name__}, {kind}: {outcome}")
    assert outcome.points > 70
    assert not outcome.bad


def test_the_judge_sees_what_an_account_of_a_fake_cannot_do() -> None:
    with fake_mongo() as (member,):
        member.state.own_roles["admin", "changeOwn"] = frozenset({"changeOwnPassword"})
        accounts = Accounts(member)
        value: Mapping[str, Any] = accounts.add()
        name = value["username"]
        assert accounts.problems(secret_of(value), name) == []
        refused = secret_of({**value, "password": "another"})
        assert accounts.problems(refused, name) == [NO_LOGIN]
        assert accounts.problems(secret_of(value), name, refused) == [NO_LOGIN]
        clone = member.state.add(f"{name}_clone", "x", "read@shop")
        clone.set_password(f"{name}_clone", "x", [SHA_256])
        half = secret_of({**value, "username": f"{name}_clone", "password": "x"})
        assert accounts.problems(half, name) == [
            NOT_ALLOWED,
            "restrictions differ",
            "custom_data differ",
            "roles differ",
        ]
