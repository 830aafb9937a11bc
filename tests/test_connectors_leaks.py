"""A refused login shows no password: not in the exception, not behind it, not in its frames, not in a log."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

import aiomysql  # type: ignore[import-untyped]  # it has no types
import asyncpg  # type: ignore[import-untyped]
import mysql.connector
import psycopg
import psycopg2  # type: ignore[import-untyped]
import pymysql
import pytest
import redis
import sqlalchemy

from envelope_secrets import AsyncSecretsClient, SecretsClient
from envelope_secrets.connectors import (
    AsyncRedisLogin,
    RedisLogin,
    async_engine,
    async_pool,
    connect,
    connect_async,
    engine,
    pool,
)
from envelope_secrets.rotation.failures import LoginRefused
from tests.rotated_accounts import MariaDbAccount, PostgreSqlAccount, RedisAccount
from tests.secret_stores_for_tests import MemoryStore
from tests.servers.redis import RunningRedis
from tests.servers.running import RunningServer

pytest_plugins = ["tests.servers.fixtures"]

WRONG = "hunter2 is wrong"
BUDGET_S = 0.05


def with_wrong_password(account: PostgreSqlAccount | MariaDbAccount | RedisAccount) -> SecretsClient:
    """The secrets of an account, whose current and previous version the server does not take."""
    name = "cache" if isinstance(account, RedisAccount) else "db"
    fields = account.store.read(name).json
    for password in (f"{WRONG}, and was", WRONG):
        account.store.set(name, json.dumps({**fields, "password": password}))
    return SecretsClient(account.store)


def tasks(make: Callable[[AsyncSecretsClient], Any]) -> Callable[[SecretsClient], object]:
    """The same for a function that makes a coroutine."""
    return lambda secrets: asyncio.run(make(AsyncSecretsClient.sharing(secrets)))


def sqlalchemy_engine(url: str) -> Callable[[SecretsClient], object]:
    return lambda secrets: engine(secrets, "db", url, budget_s=BUDGET_S, poolclass=sqlalchemy.NullPool).connect()


async def sqlalchemy_async_engine(secrets: AsyncSecretsClient, url: str) -> None:
    async with async_engine(secrets, "db", url, budget_s=BUDGET_S, poolclass=sqlalchemy.NullPool).connect():
        pass


async def awaited(secrets: AsyncSecretsClient, make: Any, **arguments: object) -> None:
    await connect_async(secrets, "db", make, arguments=arguments, budget_s=BUDGET_S)


def waited(make: Any, **arguments: object) -> Callable[[SecretsClient], object]:
    return lambda secrets: connect(secrets, "db", make, arguments=arguments, budget_s=BUDGET_S)


POSTGRESQL: dict[str, Callable[[SecretsClient], object]] = {
    "psycopg": waited(psycopg.connect, sslmode="disable"),
    "psycopg, tasks": tasks(lambda secrets: awaited(secrets, psycopg.AsyncConnection.connect, sslmode="disable")),
    "psycopg2": waited(psycopg2.connect, sslmode="disable"),
    "asyncpg": tasks(lambda secrets: awaited(secrets, asyncpg.connect, ssl=False)),
    "SQLAlchemy": sqlalchemy_engine("postgresql+psycopg://?sslmode=disable"),
    "SQLAlchemy, psycopg2": sqlalchemy_engine("postgresql+psycopg2://?sslmode=disable"),
    "SQLAlchemy, tasks": tasks(lambda secrets: sqlalchemy_async_engine(secrets, "postgresql+asyncpg://?ssl=disable")),
}
MARIADB: dict[str, Callable[[SecretsClient], object]] = {
    "PyMySQL": waited(pymysql.connect, ssl_disabled=True),
    "mysql-connector-python": waited(mysql.connector.connect, use_pure=True, ssl_disabled=True),
    "aiomysql": tasks(lambda secrets: awaited(secrets, aiomysql.connect)),
    "SQLAlchemy, tasks": tasks(lambda secrets: sqlalchemy_async_engine(secrets, "mysql+aiomysql://")),
}


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception, and all that are behind it."""
    while error is not None:
        yield error
        if error.__cause__ is not None and error.__cause__ is not error.__context__:
            yield from chain(error.__cause__)
        error = error.__context__


def frames(traceback: TracebackType | None) -> Iterator[tuple[str, object]]:
    """Every local variable of the functions it came through, but those of this module."""
    while traceback is not None:
        frame = traceback.tb_frame
        if frame.f_globals.get("__name__") != __name__:
            yield from ((f"{frame.f_code.co_qualname}.{name}", value) for name, value in frame.f_locals.items())
        traceback = traceback.tb_next


def shown(error: BaseException) -> Iterator[tuple[str, str]]:
    """Everything that a report of an exception could show."""
    for one in chain(error):
        yield "text", f"{one} {one!r} {one.args} {getattr(one, '__notes__', '')} {getattr(one, 'hint', '')}"
        yield "attributes", repr(getattr(one, "__dict__", ""))
        for name, value in frames(one.__traceback__):
            yield name, repr(value)


def leaks_of(call: Callable[[], object]) -> list[str]:
    """Where a refused login shows the password."""
    with pytest.raises(LoginRefused) as caught:
        call()
    return [where for where, text in shown(caught.value) if WRONG in text or "hunter2" in text]


@pytest.mark.parametrize("driver", POSTGRESQL)
def test_postgresql(driver: str, postgresql_server: RunningServer) -> None:
    with PostgreSqlAccount(postgresql_server) as account:
        secrets = with_wrong_password(account)
        account.set_password(99)
        assert leaks_of(lambda: POSTGRESQL[driver](secrets)) == []
        assert account.refusals() == 2, "one for AWSCURRENT, one for AWSPREVIOUS"


@pytest.mark.parametrize("driver", MARIADB)
def test_mariadb(driver: str, mariadb_server: RunningServer) -> None:
    with MariaDbAccount(mariadb_server) as account:
        secrets = with_wrong_password(account)
        account.set_password("neither")
        assert leaks_of(lambda: MARIADB[driver](secrets)) == []
        assert account.refusals() == 2


def test_redis(redis_server: RunningRedis) -> None:
    with RedisAccount(redis_server) as account:
        secrets = with_wrong_password(account)
        login = RedisLogin(secrets, "cache", budget_s=BUDGET_S)
        account.set_password("neither")
        assert leaks_of(lambda: account.who(login)) == []
        assert account.refusals() == 2


def test_redis_by_tasks(redis_server: RunningRedis) -> None:
    async def who(secrets: SecretsClient, port: int) -> None:
        login = AsyncRedisLogin(AsyncSecretsClient.sharing(secrets), "cache", budget_s=BUDGET_S)
        async with redis.asyncio.Redis(port=port, **login.options) as client:
            await client.ping()

    with RedisAccount(redis_server) as account:
        secrets = with_wrong_password(account)
        account.set_password("neither")
        assert leaks_of(lambda: asyncio.run(who(secrets, account.port))) == []
        assert account.refusals() == 2


def test_pools_that_log_what_went_wrong_log_no_password(
    postgresql_server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def asked(secrets: SecretsClient) -> None:
        made = async_pool(AsyncSecretsClient.sharing(secrets), "db", arguments=arguments, budget_s=BUDGET_S, open=False)
        async with made as connections:
            with pytest.raises(psycopg.OperationalError):
                await connections.wait(0.3)

    arguments = {"sslmode": "disable"}
    with PostgreSqlAccount(postgresql_server) as account, caplog.at_level(logging.DEBUG):
        secrets = with_wrong_password(account)
        account.set_password(99)
        made = pool(secrets, "db", arguments=arguments, budget_s=BUDGET_S, open=True)
        with made as connections, pytest.raises(psycopg.OperationalError):
            connections.wait(0.3)
        asyncio.run(asked(secrets))
        assert "refuses its credentials" in caplog.text
        assert "hunter2" not in caplog.text
        assert account.refusals() == 2 * 2, "two for each client, however often its pool tries again"


class Talkative(Exception):
    """What a driver raises that puts the password wherever it can."""

    sqlstate = "28P01"

    def __init__(self, **arguments: object) -> None:
        super().__init__(arguments)
        self.dsn = arguments
        self.add_note(f"connecting with {arguments}")


def talkative(**arguments: object) -> object:
    try:
        raise ValueError(arguments)
    except ValueError as error:
        raise Talkative(**arguments) from error


async def talkative_async(**arguments: object) -> object:
    return talkative(**arguments)


@pytest.mark.parametrize(
    "attempt", [waited(talkative), tasks(lambda secrets: awaited(secrets, talkative_async))], ids=["threads", "tasks"]
)
def test_a_driver_that_puts_the_password_wherever_it_can(attempt: Callable[[SecretsClient], object]) -> None:
    secrets = SecretsClient(MemoryStore(db=json.dumps({"username": "app", "password": WRONG})))
    assert leaks_of(lambda: attempt(secrets)) == []


def test_what_looks_for_leaks_finds_them() -> None:
    def careless() -> None:
        try:
            talkative(password=WRONG)
        except Talkative as error:
            raise LoginRefused("refused") from error

    assert set(leaks_of(careless)) >= {"text", "attributes"}
