"""Clients of MongoDB through a rotation, on a FAKE server, which the real driver talks to."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pymongo
import pytest

from envelope.errors import InvalidArgument
from envelope.testing import FakeClock
from envelope_secrets import SecretsClient
from envelope_secrets.connectors import MongoClients
from envelope_secrets.connectors.mongo_clients import _connected
from envelope_secrets.errors import SecretFormatError
from envelope_secrets.rotation.failures import LoginRefused, TargetUnreachable, TlsFailed
from tests.secret_stores_for_tests import MemoryStore
from tests.servers.logins import fails_of
from tests.servers.mongodb_fake import FakeMongo, fake_mongo

SOON = {"serverSelectionTimeoutMS": 300}
"""For servers that are not there."""

FORGETFUL = {"maxIdleTimeMS": 1}
"""A pool that keeps no connection for longer than this."""


class Shop:
    """A server, the secret ``db`` of one of its accounts, and clients of it."""

    def __init__(self, server: FakeMongo) -> None:
        self.server = server
        server.state.add("app", "first", "readWrite@shop")
        self.store = MemoryStore(db=self.value("first"))
        self.clock = FakeClock(0)
        self.secrets = SecretsClient(self.store, clock=self.clock, random=lambda: 0.0)
        self.at_pause: list[Any] = []
        self.clients = self.made(**FORGETFUL)

    def made(self, **arguments: object) -> MongoClients:
        return MongoClients(self.secrets, "db", arguments=arguments, clock=self.clock, sleep=self.sleep)

    def value(self, password: str, **others: object) -> str:
        where = {"engine": "mongo", "host": self.server.host, "port": self.server.port}
        return json.dumps({**where, "username": "app", "password": password, "dbname": "shop", **others})

    def sleep(self, seconds: float) -> None:
        self.clock.advance(seconds)
        for work in self.at_pause:
            work()
        self.at_pause.clear()

    def set_password(self, password: str) -> None:
        """As a rotation does. It takes the server longer than a connection may be idle, so each has to log in anew."""
        account = self.server.state.accounts["admin", "app"]
        account.set_password("app", password, list(account.credentials))

    def put(self, password: str, *stages: str) -> None:
        self.store.set("db", self.value(password), stages=stages or None)

    def insert(self) -> Any:
        return self.clients.run(lambda client: client.shop.orders.insert_one({"item": "tea"}).acknowledged)


@pytest.fixture
def shop() -> Iterator[Shop]:
    with fake_mongo() as (member,):
        made = Shop(member)
        with made.clients:
            yield made


@pytest.mark.parametrize(
    "options",
    [{"attempts": 0}, {"budget_s": -1}, {"arguments": {"password": "x"}}, {"arguments": 7}, {"clock": 7}, {"sleep": 7}],
    ids=str,
)
def test_an_option_of_a_wrong_kind_is_refused(shop: Shop, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        MongoClients(shop.secrets, "db", **options)
    with pytest.raises(InvalidArgument):
        shop.clients.run(7)  # type: ignore[arg-type]  # on purpose


def test_one_client_serves_all_until_it_is_refused(shop: Shop) -> None:
    seen: list[object] = []
    for _ in range(3):
        shop.clients.run(seen.append)
        assert shop.insert()
    assert len(set(map(id, seen))) == 1


def test_a_rotation_that_is_over_is_not_seen(shop: Shop) -> None:
    assert shop.insert()
    shop.set_password("second")
    shop.put("second")
    assert shop.insert()
    assert len(shop.server.state.documents["shop", "orders"]) == 2


def test_between_the_password_and_the_label_the_pending_version_logs_in(shop: Shop) -> None:
    assert shop.insert()
    shop.put("second", "AWSPENDING")
    shop.set_password("second")
    assert shop.insert()


def test_a_label_that_moves_later_is_waited_for(shop: Shop) -> None:
    assert shop.insert()
    shop.set_password("second")
    shop.at_pause.append(lambda: shop.put("second"))
    assert shop.insert()


def test_a_password_that_no_version_has_is_refused_after_few_attempts(shop: Shop) -> None:
    assert shop.insert()
    before = len(shop.server.state.logins)
    shop.set_password("of nobody")
    fails_of(shop.insert, LoginRefused, "first", "of nobody")
    assert len(shop.server.state.logins) - before <= 4


def test_an_error_of_the_operation_is_the_drivers_own_and_replaces_nothing(shop: Shop) -> None:
    seen: list[object] = []
    shop.clients.run(seen.append)
    with pytest.raises(pymongo.errors.OperationFailure) as raised:
        shop.clients.run(lambda client: client.other.things.insert_one({"x": 1}))
    assert raised.value.code == 13
    shop.clients.run(seen.append)
    assert seen[0] is seen[1]


def test_other_failures_are_told_apart(shop: Shop) -> None:
    with shop.made(port=1, **SOON) as clients:
        fails_of(lambda: clients.run(id), TargetUnreachable, "first")
    with (
        shop.made(tls=True, tlsCAFile=shop.server.other_ca_file, **SOON) as clients,
        pytest.raises((TlsFailed, TargetUnreachable)),
    ):
        clients.run(id)
    shop.put("\t")
    shop.secrets.refresh("db")
    fails_of(shop.insert, LoginRefused, "\t")
    shop.store.set("db", "no JSON")
    shop.secrets.refresh("db")
    with pytest.raises(SecretFormatError):
        shop.insert()


def test_the_secret_says_where_the_account_is_and_asks_for_tls() -> None:
    with fake_mongo(has_tls=True) as (member,):
        shop = Shop(member)
        member.state.add("app", "of shop", "readWrite@shop", database="shop")
        shop.store.set("db", shop.value("of shop", authSource="shop", ssl=True))
        with shop.made(tlsCAFile=member.ca_file) as clients:
            assert clients.run(lambda client: client.shop.orders.insert_one({"x": 1}).acknowledged)
        with shop.made(tlsCAFile=member.other_ca_file, **SOON) as clients:
            fails_of(lambda: clients.run(id), TlsFailed, "of shop")


def test_threads_that_are_refused_together_log_in_once(shop: Shop) -> None:
    assert shop.insert()
    shop.put("second", "AWSPENDING")
    shop.set_password("second")
    together = threading.Barrier(8)

    def insert(_: int) -> Any:
        together.wait(30)
        return shop.insert()

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(insert, range(8)))
    seen: list[object] = []
    shop.clients.run(seen.append)
    assert shop.clients._held is not None
    assert shop.clients._held.client is seen[0]
    assert shop.clients._held.users == 0


def test_a_client_that_is_replaced_is_closed_by_its_last_user(shop: Shop) -> None:
    seen: list[Any] = []

    def while_it_is_replaced(client: Any) -> Any:
        seen.append(client)
        shop.clients.close()
        assert shop.insert()  # with another client
        return client.admin.command("ping")["ok"]  # and this one is open

    assert shop.clients.run(while_it_is_replaced)
    with pytest.raises(pymongo.errors.InvalidOperation):
        seen[0].admin.command("ping")
    assert shop.insert()


def test_clients_that_are_closed_connect_again(shop: Shop) -> None:
    shop.clients.close()
    assert shop.insert()
    shop.clients.close()
    shop.clients.close()
    assert shop.insert()


def test_an_interrupted_login_leaves_nothing_open(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pymongo.database.Database, "command", interrupted)
    with pytest.raises(KeyboardInterrupt):  # and no ResourceWarning
        _connected(host="localhost", port=shop.server.port)


def test_no_repr_shows_the_password(shop: Shop) -> None:
    assert shop.insert()
    assert "first" not in f"{shop.clients!r} {shop.clients._held!r}"
