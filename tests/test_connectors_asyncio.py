"""Tasks that connect through a rotation: engines of SQLAlchemy, pools of asyncpg, redis-py's asynchronous half."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from types import CoroutineType
from typing import Any

import aiomysql  # type: ignore[import-untyped]  # it has no types
import asyncpg  # type: ignore[import-untyped]
import pytest
import redis.asyncio
import sqlalchemy
from sqlalchemy.ext.asyncio import AsyncEngine

from envelope import InvalidArgument
from envelope_secrets import AsyncSecretsClient, SecretNotFound, SecretsClient
from envelope_secrets.connectors import AsyncRedisLogin, async_engine, connect_async
from envelope_secrets.connectors.connecting import connect_waiting
from envelope_secrets.rotation.failures import LoginRefused, TargetUnreachable
from tests.connected_targets import Rotating
from tests.rotated_accounts import MariaDbAccount, PostgreSqlAccount, RedisAccount
from tests.secret_stores_for_tests import MemoryStore
from tests.servers.redis import RunningRedis
from tests.servers.running import RunningServer

pytest_plugins = ["tests.servers.fixtures"]

SECRETS = AsyncSecretsClient.sharing(SecretsClient(MemoryStore(db=json.dumps({"username": "app", "password": "p1"}))))


@asynccontextmanager
async def disposing(engine: AsyncEngine) -> AsyncIterator[AsyncEngine]:
    try:
        yield engine
    finally:
        await engine.dispose()


def sharing(account: PostgreSqlAccount | MariaDbAccount | RedisAccount) -> AsyncSecretsClient:
    return AsyncSecretsClient.sharing(account.secrets)


async def through_a_rotation(account: PostgreSqlAccount, who: Callable[[], Awaitable[object]]) -> None:
    for rotate in (lambda: None, account.begin, account.finish):
        rotate()
        assert await who() == account.name
    assert account.refusals() == 1


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_an_engine_for_postgresql(driver: str, postgresql_server: RunningServer) -> None:
    tls = "ssl=disable" if driver == "asyncpg" else "sslmode=disable"

    async def run(account: PostgreSqlAccount) -> None:
        url = f"postgresql+{driver}://?{tls}"
        async with disposing(async_engine(sharing(account), "db", url, poolclass=sqlalchemy.NullPool)) as made:

            async def who() -> object:
                async with made.connect() as connection:
                    return await connection.scalar(sqlalchemy.text("SELECT current_user"))

            await through_a_rotation(account, who)

    with PostgreSqlAccount(postgresql_server) as account:
        asyncio.run(run(account))


def test_an_engine_gives_up_without_a_word_of_the_driver(
    postgresql_server: RunningServer,
) -> None:
    async def run(account: PostgreSqlAccount) -> None:
        account.set_password(99)
        made = async_engine(sharing(account), "db", "postgresql+asyncpg://?ssl=disable", budget_s=0.1)
        with pytest.raises(LoginRefused) as caught:
            async with disposing(made), made.connect():
                pass
        assert account.password(1) not in repr(caught.value)
        assert account.refusals() == 1

    with PostgreSqlAccount(postgresql_server) as account:
        asyncio.run(run(account))


def test_a_label_that_moves_late_is_waited_for_by_a_task() -> None:
    rotating, pauses = Rotating("p2"), []
    with asyncio.Runner() as runner:

        def wait(coroutine: Coroutine[Any, Any, Any]) -> object:
            assert isinstance(coroutine, CoroutineType)
            if coroutine.cr_code is not asyncio.sleep.__code__:
                return runner.run(coroutine)
            coroutine.close()
            pauses.append("a pause")
            rotating.put("p2")
            return None

        made = connect_waiting(
            AsyncSecretsClient.sharing(rotating.secrets),
            "db",
            rotating.target.connect,
            wait,
            arguments={},
            driver="",
            is_refused=None,
            attempts=5,
            budget_s=60.0,
        )
    assert made["password"] == "p2"
    assert rotating.target.logins == ["p1", "p2"]
    assert len(pauses) == 1


def test_an_engine_for_mariadb(mariadb_server: RunningServer) -> None:
    async def run(account: MariaDbAccount) -> None:
        made = async_engine(sharing(account), "db", "mysql+aiomysql://", poolclass=sqlalchemy.NullPool)
        async with disposing(made):
            for rotate in (lambda: None, account.begin):
                rotate()
                async with made.connect() as connection:
                    assert await connection.scalar(sqlalchemy.text("SELECT current_user()")) == f"{account.name}@%"

    with MariaDbAccount(mariadb_server) as account:
        asyncio.run(run(account))


def test_aiomysql(mariadb_server: RunningServer) -> None:
    async def run(account: MariaDbAccount) -> None:
        for rotate in (lambda: None, account.begin):
            rotate()
            connection: Any = await connect_async(sharing(account), "db", aiomysql.connect)
            connection.close()
        with pytest.raises(TargetUnreachable, match="2003"):
            await connect_async(sharing(account), "db", aiomysql.connect, arguments={"port": 1})

    with MariaDbAccount(mariadb_server) as account:
        asyncio.run(run(account))


def test_a_pool_of_asyncpg(postgresql_server: RunningServer) -> None:
    async def run(account: PostgreSqlAccount) -> None:
        secrets = sharing(account)

        async def connecting(*_: object, **arguments: Any) -> Any:
            return await connect_async(secrets, "db", asyncpg.connect, arguments=arguments)

        pool = asyncpg.create_pool(connect=connecting, ssl=False, min_size=1, max_size=1, max_queries=1)
        async with pool:
            await through_a_rotation(account, lambda: pool.fetchval("SELECT current_user"))

    with PostgreSqlAccount(postgresql_server) as account:
        asyncio.run(run(account))


@pytest.mark.parametrize(("arguments", "refusals"), [({}, 2), ({"ssl": False}, 1)], ids=["default", "without TLS"])
def test_by_its_default_asyncpg_repeats_a_refused_login_without_tls(
    arguments: dict[str, object], refusals: int, postgresql_server: RunningServer
) -> None:
    async def run(account: PostgreSqlAccount) -> None:
        with pytest.raises(LoginRefused):
            await connect_async(sharing(account), "db", asyncpg.connect, arguments=arguments, budget_s=0.01)

    with PostgreSqlAccount(postgresql_server) as account:
        account.set_password(99)
        asyncio.run(run(account))
        assert account.refusals() == refusals, "docs/connectors.md says so"


@pytest.mark.parametrize("protocol", [2, 3])
def test_redis(redis_server: RunningRedis, protocol: int) -> None:
    async def run(account: RedisAccount) -> None:
        login = AsyncRedisLogin(sharing(account), "cache", budget_s=0.1)

        async def who() -> object:
            client = redis.asyncio.Redis(port=account.port, decode_responses=True, protocol=protocol, **login.options)
            async with client:
                return await client.execute_command("ACL", "WHOAMI")

        before = account.refusals()
        assert await who() == account.name
        account.put("p2")
        account.set_password("p2")
        assert await who() == account.name
        assert account.refusals() - before == 1
        account.set_password("p3")
        with pytest.raises(LoginRefused):
            await who()
        assert account.refusals() - before == 2

    with RedisAccount(redis_server) as account:
        asyncio.run(run(account))


def test_redis_with_the_credential_provider_alone(redis_server: RunningRedis) -> None:
    async def run(account: RedisAccount) -> None:
        login = AsyncRedisLogin(sharing(account), "cache")
        async with redis.asyncio.Redis(port=account.port, credential_provider=login) as client:  # type: ignore[arg-type]
            assert await client.execute_command("ACL", "WHOAMI") == account.name.encode()

    with RedisAccount(redis_server) as account:
        asyncio.run(run(account))


def test_a_redis_login_that_is_cancelled_closes_its_connection() -> None:
    class Connection:
        host, port, retry, credential_provider, redis_connect_func = "cache", 6379, None, None, None
        closed = False

        async def on_connect(self) -> None:
            raise asyncio.CancelledError

        async def disconnect(self, *, nowait: bool) -> None:
            self.closed = nowait

    async def run() -> Connection:
        connection = Connection()
        with pytest.raises(asyncio.CancelledError):
            await AsyncRedisLogin(SECRETS, "db").log_in(connection)
        return connection

    assert asyncio.run(run()).closed


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("no url: hunter2", "one of SQLAlchemy's"),
        ("postgresql+asyncpg://app:hunter2@db", "must not have a password"),
        ("postgresql+psycopg2://", "driver for asyncio"),
    ],
)
def test_an_engine_takes_no_url_with_a_password_and_no_driver_for_threads(url: str, problem: str) -> None:
    with pytest.raises(InvalidArgument, match=problem) as caught:
        async_engine(SECRETS, "db", url)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("make", [AsyncRedisLogin, async_engine])
def test_what_connects_later_checks_its_options_at_once(make: Callable[..., object]) -> None:
    url = {"url": "postgresql+asyncpg://"} if make is async_engine else {}
    for wrong in ({"attempts": 0}, {"budget_s": -1}, {"secret_id": ""}, {"secrets": 5}):
        with pytest.raises(InvalidArgument, match=next(iter(wrong))):
            make(**{"secrets": SECRETS, "secret_id": "db", **url, **wrong})


def test_an_engine_whose_secret_cannot_be_read_says_so() -> None:
    async def run() -> None:
        made = async_engine(SECRETS, "missing", "postgresql+asyncpg://")
        with pytest.raises(SecretNotFound):
            async with made.connect():
                pass

    asyncio.run(run())
