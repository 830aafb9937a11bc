"""The servers as fixtures of a session: one of each kind for each process of pytest, started when first asked for.

A test module has them with ``pytest_plugins = ["tests.servers.fixtures"]``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.servers.mariadb import running_mariadb
from tests.servers.mysql import running_mysql
from tests.servers.postgresql import running_postgresql
from tests.servers.redis import RunningRedis, running_redis
from tests.servers.running import RunningServer
from tests.servers.starting import started
from tests.servers.valkey import running_valkey


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[RunningServer]:
    with ExitStack() as stack:
        yield started(stack, running_postgresql())


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[RunningServer]:
    with ExitStack() as stack:
        yield started(stack, running_mariadb())


@pytest.fixture(scope="session")
def mysql_server() -> Iterator[RunningServer]:
    with ExitStack() as stack:
        yield started(stack, running_mysql(), is_optional=True)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RunningRedis]:
    with ExitStack() as stack:
        yield started(stack, running_redis())


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[RunningRedis]:
    with ExitStack() as stack:
        yield started(stack, running_valkey(), is_optional=True)
