"""Connections through rotations on real servers, by each of the libraries that make them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import django  # type: ignore[import-untyped]  # Django has no types
import mysql.connector
import psycopg
import psycopg2  # type: ignore[import-untyped]  # psycopg2 has no types
import pymysql
import pytest
import redis
import sqlalchemy
from django.conf import settings  # type: ignore[import-untyped]
from django.db import ConnectionHandler  # type: ignore[import-untyped]

from envelope_secrets import AsyncSecretsClient, SecretsClient
from envelope_secrets.connectors import RedisLogin, async_pool, connect, connect_async, engine, pool
from envelope_secrets.rotation.failures import LoginRefused, PrivilegeMissing, TargetError, TargetUnreachable, TlsFailed
from tests.rotated_accounts import MariaDbAccount, RedisAccount
from tests.rotated_accounts import PostgreSqlAccount as Account
from tests.servers.redis import RunningRedis
from tests.servers.running import RunningServer

pytest_plugins = ["tests.servers.fixtures"]


@pytest.fixture
def account(postgresql_server: RunningServer) -> Iterator[Account]:
    with Account(postgresql_server) as made:
        yield made


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


def test_psycopg2(account: Account) -> None:
    def who(**arguments: object) -> object:
        given = {"sslmode": "disable", **arguments}
        with connect(account.secrets, "db", psycopg2.connect, arguments=given) as connection:
            cursor: Any = connection.cursor()
            cursor.execute("SELECT current_user")
            (name,) = cursor.fetchone()
        connection.close()
        return name

    for rotate in (lambda: None, account.begin, account.finish):
        rotate()
        assert who() == account.name
    assert account.refusals() == 1
    wrong: list[tuple[type[TargetError], Mapping[str, object]]] = [
        (TargetUnreachable, {"port": 1}),
        (TlsFailed, {"sslmode": "verify-full", "sslrootcert": account.server.other_ca_file}),
        (TargetError, {"dbname": "no such database"}),
    ]
    for kind, arguments in wrong:
        with pytest.raises(TargetError) as caught:
            who(**arguments)
        assert type(caught.value) is kind
    assert account.refusals() == 1


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


@pytest.fixture
def mariadb_account(mariadb_server: RunningServer) -> Iterator[MariaDbAccount]:
    with MariaDbAccount(mariadb_server) as made:
        yield made


def test_mariadb_by_pymysql(mariadb_account: MariaDbAccount) -> None:
    for rotate in (lambda: None, mariadb_account.begin):
        rotate()
        with connect(mariadb_account.secrets, "db", pymysql.connect) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT current_user()")
            assert cursor.fetchone() == (f"{mariadb_account.name}@%",)
    with pytest.raises(PrivilegeMissing, match="1044"):
        connect(mariadb_account.secrets, "db", pymysql.connect, arguments={"database": "nothing"})


def test_mariadb_by_mysql_connector(mariadb_account: MariaDbAccount) -> None:
    options = {"use_pure": True, "ssl_disabled": True, "collation": "utf8mb4_general_ci"}

    def who(**arguments: object) -> object:
        given = {**options, **arguments}
        connection: Any = connect(mariadb_account.secrets, "db", mysql.connector.connect, arguments=given)
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT current_user()")
            return cursor.fetchone()

    for rotate in (lambda: None, mariadb_account.begin):
        rotate()
        assert who() == (f"{mariadb_account.name}@%",)
    wrong: list[tuple[type[TargetError], str, Mapping[str, object]]] = [
        (TargetUnreachable, "2003", {"port": 1}),
        (PrivilegeMissing, "1044", {"database": "nothing"}),
        (
            TlsFailed,
            "2055",
            {"ssl_disabled": False, "ssl_verify_cert": True, "ssl_ca": mariadb_account.server.other_ca_file},
        ),
    ]
    for kind, code, arguments in wrong:
        with pytest.raises(kind, match=code):
            who(**arguments)


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


@pytest.fixture
def redis_account(redis_server: RunningRedis) -> Iterator[RedisAccount]:
    with RedisAccount(redis_server) as made:
        yield made


@pytest.mark.parametrize("protocol", [2, 3])
def test_redis(redis_account: RedisAccount, protocol: int) -> None:
    login = RedisLogin(redis_account.secrets, "cache", budget_s=0.1)
    before = redis_account.refusals()
    assert redis_account.who(login, protocol=protocol) == redis_account.name
    redis_account.put("p2")
    redis_account.set_password("p2")
    assert redis_account.who(login, protocol=protocol) == redis_account.name
    assert redis_account.refusals() - before == 1
    redis_account.set_password("p3")
    with pytest.raises(LoginRefused):
        redis_account.who(login, protocol=protocol)
    assert redis_account.refusals() - before == 2, "that of AWSPREVIOUS was refused a moment ago"


def test_redis_with_passwords_that_are_all_wrong_is_asked_once_for_each(redis_account: RedisAccount) -> None:
    redis_account.put("p2")
    redis_account.set_password("p3")
    with pytest.raises(LoginRefused, match="AWSCURRENT, AWSPREVIOUS tried"):
        redis_account.who(RedisLogin(redis_account.secrets, "cache", budget_s=0.1))
    assert redis_account.refusals() == 2


def test_redis_with_the_credential_provider_alone(redis_account: RedisAccount) -> None:
    login = RedisLogin(redis_account.secrets, "cache")
    provider = {"credential_provider": login.options["credential_provider"]}
    with redis.Redis(port=redis_account.port, **provider) as client:
        assert client.execute_command("ACL", "WHOAMI") == redis_account.name.encode()
