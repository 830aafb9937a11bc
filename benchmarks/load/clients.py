"""Clients with pools of connections, whose every request counts one up and looks at the count that comes back."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeAlias

import psycopg
import pymysql
import redis
import sqlalchemy
from redis.backoff import NoBackoff
from redis.retry import Retry

from benchmarks.load.accounts import Account, MariaDbAccount, PostgreSqlAccount, RedisAccount
from envelope_secrets import SecretsClient
from envelope_secrets.connectors import RedisLogin, connect, engine, pool

__all__ = ["SECRET", "Clients", "requests_of"]

SECRET = "load/app"
Request: TypeAlias = Callable[[int], int]
"""Counts one up for a client of this number, and gives its count."""

OWN_CONNECTIONS = 10
"""Each tenth client makes a connection for each request; the others share a pool."""

LIFETIME_S = 1.0
"""After which a pool replaces a connection, so that logins never stop."""

RENEW_EACH = 5
"""After so many requests a client of Redis closes the connections that its pool has at rest."""

PATIENCE_S = 30.0

PAUSE_S = 0.1
"""Between the requests of a client. Without it 50 threads leave the rotation, in the same process, no time."""


@contextmanager
def requests_of(account: Account, secrets: SecretsClient, clients: int) -> Iterator[Request]:
    """What the clients of an account do all the time. Nothing in it tries again what has failed."""
    if isinstance(account, PostgreSqlAccount):
        with _postgresql(account, secrets, clients) as request:
            yield request
    elif isinstance(account, MariaDbAccount):
        with _mariadb(account, secrets, clients) as request:
            yield request
    else:
        assert isinstance(account, RedisAccount)
        with _redis(account, secrets) as request:
            yield request


@contextmanager
def _postgresql(account: PostgreSqlAccount, secrets: SecretsClient, clients: int) -> Iterator[Request]:
    table = f"counts_{account.name}"
    add = f"UPDATE {table} SET count = count + 1 WHERE client = %s RETURNING count".encode()  # noqa: S608 - our own
    arguments = {"sslmode": "disable"}

    def ask(connection: psycopg.Connection[Any], client: int) -> int:
        row = connection.execute(add, (client,)).fetchone()
        assert row is not None
        count: int = row[0]
        return count

    sizes = {"min_size": max(clients // 5, 1), "max_size": max(clients // 2, 1)}
    with pool(secrets, SECRET, arguments=arguments, max_lifetime=LIFETIME_S, **sizes) as connections:

        def request(client: int) -> int:
            if client % OWN_CONNECTIONS:
                with connections.connection(timeout=PATIENCE_S) as connection:
                    return ask(connection, client)
            with connect(secrets, SECRET, psycopg.connect, arguments=arguments) as connection:
                return ask(connection, client)

        yield request
        # A pool tries again by itself, unseen by its clients.
        assert not connections.get_stats().get("connections_errors", 0), "the pool could not log in"


@contextmanager
def _mariadb(account: MariaDbAccount, secrets: SecretsClient, clients: int) -> Iterator[Request]:
    table = f"counts_{account.name}"
    add = sqlalchemy.text(f"UPDATE {table} SET count = count + 1 WHERE client = :client")  # noqa: S608 - our own
    look = sqlalchemy.text(f"SELECT count FROM {table} WHERE client = :client")  # noqa: S608
    # What is above pool_size is closed when it comes back.
    sizes: dict[str, Any] = {"pool_size": max(clients // 5, 1), "max_overflow": clients, "pool_recycle": LIFETIME_S}
    arguments = {"host": "127.0.0.1", **account.transport, "autocommit": True}
    database = engine(secrets, SECRET, "mysql+pymysql://127.0.0.1", connect_args=account.transport, **sizes)

    def pooled(client: int) -> int:
        with database.begin() as connection:
            connection.execute(add, {"client": client})
            count: int = connection.scalar(look, {"client": client})
        return count

    def alone(client: int) -> int:
        made = connect(secrets, SECRET, pymysql.connect, arguments=arguments)
        with made, made.cursor() as cursor:
            cursor.execute(f"UPDATE {table} SET count = count + 1 WHERE client = %s", (client,))  # noqa: S608
            cursor.execute(f"SELECT count FROM {table} WHERE client = %s", (client,))  # noqa: S608
            ((count,),) = cursor.fetchall()
        return int(count)

    try:
        yield lambda client: pooled(client) if client % OWN_CONNECTIONS else alone(client)
    finally:
        database.dispose()


@contextmanager
def _redis(account: RedisAccount, secrets: SecretsClient) -> Iterator[Request]:
    login = RedisLogin(secrets, SECRET)

    def client_of() -> redis.Redis:
        # redis-py itself would repeat what has failed.
        place: dict[str, Any] = {"host": "localhost", "port": account.server.plain_port}
        return redis.Redis(**place, retry=Retry(NoBackoff(), 0), **login.options)

    with client_of() as shared:

        def request(client: int) -> int:
            key = f"{account.name}:{client}"
            if client % OWN_CONNECTIONS:
                count: Any = shared.incr(key)
                if count % RENEW_EACH == 0:
                    shared.connection_pool.disconnect(inuse_connections=False)
            else:
                with client_of() as own:
                    count = own.incr(key)
            return int(count)

        yield request


class Clients:
    """Threads that make one request after the other, from `start` to `stop`.

    Attributes:
        failures: the class of the exception of each request that has failed; its client has stopped.
    """

    def __init__(self, request: Request, number: int) -> None:
        self.failures: list[str] = []
        self._request = request
        self._done = [0] * number
        self._is_over = threading.Event()
        self._threads = ThreadPoolExecutor(number)
        self._running: list[Future[None]] = []

    @property
    def requests(self) -> int:
        """How many have been answered."""
        return sum(self._done)

    def start(self) -> None:
        self._running = [self._threads.submit(self._work, client) for client in range(len(self._done))]

    def wait_for(self, requests: int) -> None:
        """Return when so many more requests have been answered, or nobody makes any."""
        goal, tick = self.requests + requests, threading.Event()
        while self.requests < goal and not all(one.done() for one in self._running):
            tick.wait(0.001)

    def stop(self) -> None:
        self._is_over.set()
        for one in self._running:
            one.result()
        self._threads.shutdown()

    def _work(self, client: int) -> None:
        for expected in itertools.count(1):
            if self._is_over.wait(PAUSE_S):
                return
            try:
                count = self._request(client)
            except Exception as error:  # noqa: BLE001 - every failure counts
                self.failures.append(f"{type(error).__module__}.{type(error).__name__}: {error}")
                return
            if count != expected:
                self.failures.append(f"counted {count} instead of {expected}: a request was done twice, or not at all")
                return
            self._done[client] = count
