"""Connections through rotations on real servers, by each of the libraries that make them."""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import django  # type: ignore[import-untyped]  # Django has no types
import psycopg
import pymysql
import pytest
import redis
import sqlalchemy
from django.conf import settings  # type: ignore[import-untyped]
from django.db import ConnectionHandler  # type: ignore[import-untyped]
from psycopg import sql

from envelope_secrets import AsyncSecretsClient, SecretsClient, StageMove
from envelope_secrets.connectors import RedisLogin, async_pool, connect, connect_async, engine, pool
from envelope_secrets.rotation.failures import LoginRefused, PrivilegeMissing, TargetError, TargetUnreachable, TlsFailed
from tests.secret_stores_for_tests import MemoryStore, until
from tests.servers.redis import RunningRedis
from tests.servers.running import RunningServer

pytest_plugins = ["tests.servers.fixtures"]

NUMBERS = itertools.count(1)
REFUSED = "password authentication failed for user"


class Account:
    """An account of a PostgreSQL server, and its secret ``db`` in a store.

    Attributes:
        versions: how many there are; the newest is ``v`` and this number.
    """

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.name = f"o'app {next(NUMBERS)}"
        self.versions = 1
        self.admin = psycopg.connect(
            host=server.host,
            port=server.port,
            user=server.admin,
            password=server.password,
            dbname=server.database,
            autocommit=True,
        )
        self.admin.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(self.name)))
        self.store = MemoryStore(db=self.value(1))
        self.set_password(1)
        self.secrets = SecretsClient(self.store)

    def password(self, number: int) -> str:
        return f"pass'word {number} of {self.name}"

    def value(self, number: int) -> str:
        fields = {"engine": "postgres", "host": "127.0.0.1", "port": str(self.server.port), "dbname": "postgres"}
        return json.dumps({**fields, "username": self.name, "password": self.password(number)})

    def set_password(self, number: int) -> None:
        password = sql.Literal(self.password(number))
        self.admin.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(self.name), password))

    def begin(self) -> None:
        """The first steps of a rotation: the new password is in force, and its version pending."""
        self.versions += 1
        self.store.set("db", self.value(self.versions), stages=["AWSPENDING"])
        self.set_password(self.versions)

    def finish(self) -> None:
        """Its last: the pending version becomes the current one."""
        move = StageMove("AWSCURRENT", to_version=f"v{self.versions}", from_version=f"v{self.versions - 1}")
        self.store.move_stage("db", move)

    def refusals(self) -> int:
        """Failed logins, as the server has logged them."""
        return sum(self.name in line for line in self.server.log_text().splitlines() if REFUSED in line)

    def connect(self, **options: Any) -> psycopg.Connection[Any]:
        return connect(self.secrets, "db", psycopg.connect, **{"arguments": {"sslmode": "disable"}, **options})

    def who(self, **options: Any) -> object:
        with self.connect(**options) as connection:
            return connection.execute("SELECT current_user").fetchone()


@pytest.fixture
def account(postgresql_server: RunningServer) -> Iterator[Account]:
    made = Account(postgresql_server)
    yield made
    made.admin.close()


def test_a_password_that_has_changed_between_two_connections(account: Account) -> None:
    assert account.who() == (account.name,)
    account.begin()
    account.finish()
    assert account.who() == (account.name,)
    assert account.refusals() == 1


def test_the_window_between_the_new_password_and_the_move_of_the_label(account: Account) -> None:
    account.who()
    account.begin()
    assert [account.who() for _ in range(3)] == [(account.name,)] * 3
    account.finish()
    assert account.who() == (account.name,)
    assert account.refusals() == 1


def test_a_version_that_was_made_current_before_its_password_was_set(account: Account) -> None:
    account.begin()
    account.finish()
    account.set_password(1)
    assert account.who(budget_s=0.1) == (account.name,)
    assert account.refusals() == 1


def test_credentials_that_are_all_wrong_are_tried_once_each(account: Account) -> None:
    account.begin()
    account.finish()
    account.begin()
    account.set_password(99)
    with pytest.raises(LoginRefused) as caught:
        account.who(budget_s=0.1)
    assert account.refusals() == 3
    for number in range(1, 4):
        assert account.password(number) not in repr(caught.value)
    assert caught.value.__context__ is None


def test_what_is_not_about_the_credentials_is_raised_at_once_and_says_no_word_of_the_driver(account: Account) -> None:
    wrong: list[tuple[type[TargetError], Mapping[str, object]]] = [
        (TargetUnreachable, {"port": 1}),
        (TlsFailed, {"sslmode": "verify-full", "sslrootcert": account.server.other_ca_file}),
        (TargetError, {"dbname": "no such database", "sslmode": "disable"}),
    ]
    for kind, arguments in wrong:
        with pytest.raises(TargetError) as caught:
            account.connect(arguments=arguments)
        assert type(caught.value) is kind
        assert account.name not in str(caught.value)
        assert caught.value.__cause__ is caught.value.__context__ is None
    assert account.refusals() == 0


def test_by_its_default_libpq_repeats_a_refused_login_without_tls(account: Account) -> None:
    account.who()
    account.begin()
    account.finish()
    assert account.who(arguments={}) == (account.name,)
    assert account.refusals() == 2, "docs/connectors.md says so"


def test_a_pool_hands_its_arguments_on(account: Account) -> None:
    arguments = {"sslmode": "disable", "application_name": "shop"}
    with (
        pool(account.secrets, "db", arguments=arguments, min_size=1, open=True) as connections,
        connections.connection() as connection,
    ):
        assert connection.execute("SHOW application_name").fetchone() == ("shop",)


def test_tasks_connect_through_the_window(account: Account) -> None:
    async def who() -> object:
        secrets = AsyncSecretsClient.sharing(account.secrets)
        arguments = {"sslmode": "disable", "application_name": "shop"}
        connection = await connect_async(secrets, "db", psycopg.AsyncConnection.connect, arguments=arguments)
        async with connection, await connection.execute("SELECT current_user") as cursor:
            mine = await cursor.fetchone()
        async with (
            async_pool(secrets, "db", arguments=arguments, min_size=1, open=False) as connections,
            connections.connection() as pooled,
            await pooled.execute("SHOW application_name") as cursor,
        ):
            assert await cursor.fetchone() == ("shop",)
        return mine

    account.secrets.get("db")
    account.begin()
    assert asyncio.run(who()) == (account.name,)
    assert account.refusals() == 1


def test_twenty_threads_with_a_pool_go_through_ten_rotations_without_a_failed_request(account: Account) -> None:
    done = itertools.count()
    counted = [0]
    is_over = threading.Event()
    arguments = {"sslmode": "disable"}

    def request(connections: Any, number: int) -> None:
        if number % 4:
            with connections.connection(timeout=30) as connection:
                assert connection.execute("SELECT current_user").fetchone() == (account.name,)
        else:
            assert account.who() == (account.name,)
        counted[0] = next(done)

    def work(connections: Any, number: int) -> None:
        while not is_over.is_set():
            request(connections, number)

    def more(requests: int) -> None:
        goal = counted[0] + requests
        until(lambda: counted[0] >= goal or any(worker.done() for worker in workers))

    with (
        pool(account.secrets, "db", arguments=arguments, min_size=4, max_size=8, max_lifetime=0.05) as connections,
        ThreadPoolExecutor(20) as threads,
    ):
        workers = [threads.submit(work, connections, number) for number in range(20)]
        try:
            for _ in range(10):
                more(40)
                account.begin()
                more(40)
                account.finish()
            more(40)
        finally:
            is_over.set()
        for worker in workers:
            worker.result()
        assert connections.get_stats()["connections_num"] > 10, "connections that are never made prove nothing"
        assert connections.get_stats().get("connections_errors", 0) == 0
    assert 10 <= account.refusals() <= 200


def test_an_engine_of_sqlalchemy(account: Account) -> None:
    made = engine(account.secrets, "db", "postgresql+psycopg://?sslmode=disable", poolclass=sqlalchemy.NullPool)
    for rotate in (lambda: None, account.begin, account.finish):
        rotate()
        with made.connect() as connection:
            assert connection.scalar(sqlalchemy.text("SELECT current_user")) == account.name
    made.dispose()
    assert account.refusals() == 1


CLIENTS: dict[str, SecretsClient] = {}


def __getattr__(name: str) -> SecretsClient:
    """Where the settings of Django find the client of a test."""
    try:
        return CLIENTS[name]
    except KeyError:
        raise AttributeError(name) from None


def django_settings(name: str, backend: str, database: str, **options: object) -> dict[str, Any]:
    if not settings.configured:
        settings.configure(LOGGING_CONFIG=None)
        django.setup()
    engine_name = f"envelope_secrets.connectors.django.{backend}"
    given = {"secrets": f"tests.test_connectors_servers.{name}", "secret_id": "db", **options}
    handler = ConnectionHandler({"default": {"ENGINE": engine_name, "NAME": database, "OPTIONS": given}})
    return {"connection": handler["default"]}


def test_a_backend_of_django_for_postgresql(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tests.test_connectors_servers", sys.modules[__name__])
    monkeypatch.setitem(CLIENTS, "postgresql_client", account.secrets)
    connection = django_settings("postgresql_client", "postgresql", "postgres", sslmode="disable")["connection"]
    for rotate in (lambda: None, account.begin, account.finish):
        rotate()
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_user")
            assert cursor.fetchone() == (account.name,)
        connection.close()
    assert account.refusals() == 1


class MariaDbAccount:
    """An account of a MariaDB server, and its secret ``db``."""

    def __init__(self, server: RunningServer) -> None:
        self.name = f"app{next(NUMBERS)}"
        self.arguments = {"host": "127.0.0.1", "ssl_ca": server.ca_file}
        self.admin = pymysql.connect(
            host="127.0.0.1", port=server.port, user=server.admin, password=server.password, ssl_ca=server.ca_file
        )
        self.fields = {"username": self.name, "host": "127.0.0.1", "port": server.port, "database": server.database}
        self.store = MemoryStore(db=json.dumps({**self.fields, "password": "p1"}))
        self.secrets = SecretsClient(self.store)
        with self.admin.cursor() as cursor:
            cursor.execute("CREATE USER %s@'%%' IDENTIFIED BY 'p1'", (self.name,))
            cursor.execute(f"GRANT ALL ON {server.database}.* TO %s@'%%'", (self.name,))

    def begin(self) -> None:
        self.store.set("db", json.dumps({**self.fields, "password": "p2"}), stages=["AWSPENDING"])
        with self.admin.cursor() as cursor:
            cursor.execute("SET PASSWORD FOR %s@'%%' = PASSWORD('p2')", (self.name,))


@pytest.fixture
def mariadb_account(mariadb_server: RunningServer) -> Iterator[MariaDbAccount]:
    made = MariaDbAccount(mariadb_server)
    yield made
    made.admin.close()


def test_mariadb_by_pymysql(mariadb_account: MariaDbAccount) -> None:
    for rotate in (lambda: None, mariadb_account.begin):
        rotate()
        with connect(mariadb_account.secrets, "db", pymysql.connect) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT current_user()")
            assert cursor.fetchone() == (f"{mariadb_account.name}@%",)
    with pytest.raises(PrivilegeMissing, match="1044"):
        connect(mariadb_account.secrets, "db", pymysql.connect, arguments={"database": "nothing"})


def test_a_backend_of_django_for_mysql(mariadb_account: MariaDbAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MySQLdb", "_mysql", "MySQLdb.constants", "MySQLdb.converters"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    pymysql.install_as_MySQLdb()
    monkeypatch.setitem(sys.modules, "tests.test_connectors_servers", sys.modules[__name__])
    monkeypatch.setitem(CLIENTS, "mysql_client", mariadb_account.secrets)
    database = str(mariadb_account.fields["database"])
    connection = django_settings("mysql_client", "mysql", database)["connection"]
    for rotate in (lambda: None, mariadb_account.begin):
        rotate()
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_user()")
            assert cursor.fetchone() == (f"{mariadb_account.name}@%",)
        connection.close()


class RedisAccount:
    """A user of a Redis server, and its secret ``cache``."""

    def __init__(self, server: RunningRedis) -> None:
        self.port = server.plain_port
        self.name = f"app{next(NUMBERS)}"
        self.admin = redis.Redis(port=self.port, password=server.tls.password)
        self.store = MemoryStore(cache=json.dumps({"username": self.name, "password": "p1"}))
        self.secrets = SecretsClient(self.store)
        self.set_password("p1")

    def set_password(self, password: str) -> None:
        self.admin.execute_command("ACL", "SETUSER", self.name, "on", "resetpass", f">{password}", "~*", "+@all")

    def refusals(self) -> int:
        """Failed logins, as the server has counted them."""
        entries: list[Any] = self.admin.acl_log()
        return sum(int(entry["count"]) for entry in entries if entry["username"] == self.name)

    def who(self, login: RedisLogin, **options: Any) -> object:
        client = redis.Redis(port=self.port, decode_responses=True, **login.options, **options)
        with client:
            return client.execute_command("ACL", "WHOAMI")


@pytest.fixture
def redis_account(redis_server: RunningRedis) -> Iterator[RedisAccount]:
    made = RedisAccount(redis_server)
    yield made
    made.admin.close()


@pytest.mark.parametrize("protocol", [2, 3])
def test_redis(redis_account: RedisAccount, protocol: int) -> None:
    login = RedisLogin(redis_account.secrets, "cache", budget_s=0.1)
    before = redis_account.refusals()
    assert redis_account.who(login, protocol=protocol) == redis_account.name
    redis_account.store.set("cache", json.dumps({"username": redis_account.name, "password": "p2"}))
    redis_account.set_password("p2")
    assert redis_account.who(login, protocol=protocol) == redis_account.name
    assert redis_account.refusals() - before == 1
    redis_account.set_password("p3")
    with pytest.raises(LoginRefused):
        redis_account.who(login, protocol=protocol)
    assert redis_account.refusals() - before == 2, "that of AWSPREVIOUS was refused a moment ago"


def test_redis_with_passwords_that_are_all_wrong_is_asked_once_for_each(redis_account: RedisAccount) -> None:
    redis_account.store.set("cache", json.dumps({"username": redis_account.name, "password": "p2"}))
    redis_account.set_password("p3")
    with pytest.raises(LoginRefused, match="AWSCURRENT, AWSPREVIOUS tried"):
        redis_account.who(RedisLogin(redis_account.secrets, "cache", budget_s=0.1))
    assert redis_account.refusals() == 2


def test_redis_with_the_credential_provider_alone(redis_account: RedisAccount) -> None:
    login = RedisLogin(redis_account.secrets, "cache")
    provider = {"credential_provider": login.options["credential_provider"]}
    with redis.Redis(port=redis_account.port, **provider) as client:
        assert client.execute_command("ACL", "WHOAMI") == redis_account.name.encode()
