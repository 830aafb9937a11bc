"""Valkey through rotations, by redis-py: the same target and the same connectors as for Redis."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
import redis.asyncio

from benchmarks.rotation_load import PAIRS, run
from envelope_secrets import AsyncSecretsClient
from envelope_secrets.connectors import AsyncRedisLogin, RedisLogin
from envelope_secrets.rotation import AlternatingUsers
from tests.rotated_accounts import RedisAccount
from tests.servers.redis import RunningRedis

pytest_plugins = ["tests.servers.fixtures"]


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_password_that_has_changed(valkey_server: RunningRedis, protocol: int) -> None:
    async def who(secrets: AsyncSecretsClient, port: int) -> object:
        login = AsyncRedisLogin(secrets, "cache")
        client = redis.asyncio.Redis(port=port, decode_responses=True, protocol=protocol, **login.options)
        async with client:
            return await client.execute_command("ACL", "WHOAMI")

    with RedisAccount(valkey_server) as account:
        for number in range(1, 3):
            if number > 1:
                account.put("p2")
                account.set_password("p2")
            assert account.who(RedisLogin(account.secrets, "cache"), protocol=protocol) == account.name
            tasks = AsyncSecretsClient.sharing(account.secrets)
            assert asyncio.run(who(tasks, account.port)) == account.name
        assert account.refusals() == 1


def test_two_users_that_take_turns(valkey_server: RunningRedis) -> None:
    pair = replace(PAIRS["Redis, dual password"], strategy=AlternatingUsers())
    outcome = run(pair, valkey_server, rotations=3, clients=5)
    assert (outcome.failed_requests, outcome.failed_rotations, outcome.direct_refused) == ((), (), 0)


def test_no_client_notices_its_rotations_with_two_passwords(valkey_server: RunningRedis) -> None:
    outcome = run(PAIRS["Redis, dual password"], valkey_server, rotations=8, clients=10)
    assert (outcome.failed_requests, outcome.failed_rotations, outcome.direct_refused) == ((), (), 0)
    assert outcome.crashes == 2
    assert outcome.logins > 8
