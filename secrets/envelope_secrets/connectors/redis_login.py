"""How connections of redis-py log in: as a credential provider, and with another try where the server refuses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from envelope_secrets.aio.client import AsyncSecretsClient
from envelope_secrets.client import SecretsClient
from envelope_secrets.connectors.connecting import NO_ARGUMENTS, connect, connect_async
from envelope_secrets.connectors.driver_arguments import driver_arguments
from envelope_secrets.connectors.libraries import load_library
from envelope_secrets.connectors.options import DEFAULT_ATTEMPTS, DEFAULT_BUDGET_S, check_options
from envelope_secrets.value import HidesValue

__all__ = ["AsyncRedisLogin", "RedisLogin"]

DRIVER = "redis"
Credentials: TypeAlias = tuple[str] | tuple[str, str]


class RedisLogin(HidesValue):
    """Give its options to a client or a pool.

        client = redis.Redis(host="cache", **RedisLogin(secrets, "prod/cache").options)

    These are `credential_provider`, the object itself, and `redis_connect_func`, its `log_in`. With the first alone
    each new connection logs in with AWSCURRENT as it is in memory. That is enough with two passwords for one user, of
    which a rotation leaves the older one in force. The second adds what `envelope_secrets.connectors.connect` does: the
    secret is read anew after a refusal, then AWSPENDING is tried.

    Host, port and TLS are the client's own options: the fields of the secret for them are not looked at.

    Args:
        attempts, budget_s: see `envelope_secrets.connectors.connect`.

    Raises:
        InvalidArgument: an option of a wrong kind or out of its range.
    """

    __slots__ = ("_attempts", "_budget_s", "_secret_id", "_secrets")

    def __init__(
        self,
        secrets: SecretsClient,
        secret_id: str,
        *,
        attempts: int = DEFAULT_ATTEMPTS,
        budget_s: float = DEFAULT_BUDGET_S,
    ) -> None:
        check_options(secrets, SecretsClient, secret_id, attempts, budget_s)
        self._secrets = secrets
        self._secret_id = secret_id
        self._attempts = attempts
        self._budget_s = budget_s

    @property
    def options(self) -> dict[str, Any]:
        """For `redis.Redis`, its pools and their connections."""
        return {"credential_provider": self, "redis_connect_func": self.log_in}

    def get_credentials(self) -> Credentials:
        """What redis-py asks a credential provider for: user and password, or the password alone."""
        return _credentials(driver_arguments(self._secrets.get(self._secret_id), DRIVER, NO_ARGUMENTS))

    def log_in(self, connection: Any) -> None:
        """Log in on a connection of redis-py that is open; it is closed if that fails.

        Raises:
            LoginRefused and what else `envelope_secrets.connectors.connect` raises.
        """
        try:
            with _as_it_was(connection, "redis.retry"):
                connect(
                    self._secrets,
                    self._secret_id,
                    _attempts(connection),
                    arguments=_place(connection),
                    driver=DRIVER,
                    attempts=self._attempts,
                    budget_s=self._budget_s,
                )
        except BaseException:
            connection.disconnect()  # redis-py does so for its own exceptions only
            raise


class AsyncRedisLogin(HidesValue):
    """The same for `redis.asyncio`: ``redis.asyncio.Redis(host="cache", **AsyncRedisLogin(secrets, id).options)``."""

    __slots__ = ("_attempts", "_budget_s", "_secret_id", "_secrets")

    def __init__(
        self,
        secrets: AsyncSecretsClient,
        secret_id: str,
        *,
        attempts: int = DEFAULT_ATTEMPTS,
        budget_s: float = DEFAULT_BUDGET_S,
    ) -> None:
        check_options(secrets, AsyncSecretsClient, secret_id, attempts, budget_s)
        self._secrets = secrets
        self._secret_id = secret_id
        self._attempts = attempts
        self._budget_s = budget_s

    @property
    def options(self) -> dict[str, Any]:
        """For `redis.asyncio.Redis`, its pools and their connections."""
        return {"credential_provider": self, "redis_connect_func": self.log_in}

    async def get_credentials_async(self) -> Credentials:
        """What redis-py asks a credential provider for: user and password, or the password alone."""
        return _credentials(driver_arguments(await self._secrets.get(self._secret_id), DRIVER, NO_ARGUMENTS))

    async def log_in(self, connection: Any) -> None:
        """See `RedisLogin.log_in`."""
        try:
            with _as_it_was(connection, "redis.asyncio.retry"):
                await connect_async(
                    self._secrets,
                    self._secret_id,
                    _async_attempts(connection),
                    arguments=_place(connection),
                    driver=DRIVER,
                    attempts=self._attempts,
                    budget_s=self._budget_s,
                )
        except BaseException:
            await connection.disconnect(nowait=True)
            raise


def _place(connection: Any) -> dict[str, object]:
    return {"host": getattr(connection, "host", None), "port": getattr(connection, "port", None)}


@contextmanager
def _as_it_was(connection: Any, retries: str) -> Iterator[None]:
    """While it logs in, a connection is not to call us again, nor to repeat a refused login by its own policy."""
    kept = (connection.credential_provider, connection.redis_connect_func, connection.retry)
    no_backoff = load_library("redis.backoff", "redis").NoBackoff()
    connection.redis_connect_func = None
    connection.retry = load_library(retries, "redis").Retry(no_backoff, 0)
    try:
        yield
    finally:
        connection.credential_provider, connection.redis_connect_func, connection.retry = kept


def _attempts(connection: Any) -> Callable[..., None]:
    """What logs in once: the first time on the open connection, then each time on another, as redis-py closes it."""
    is_first = True

    def log_in_once(**given: object) -> None:
        nonlocal is_first
        connection.credential_provider = _Given(_credentials(given))
        if is_first:
            is_first = False
            connection.on_connect()
        else:
            connection.disconnect()
            connection.connect()

    return log_in_once


def _async_attempts(connection: Any) -> Callable[..., Awaitable[None]]:
    """See `_attempts`."""
    is_first = True

    async def log_in_once(**given: object) -> None:
        nonlocal is_first
        connection.credential_provider = _Given(_credentials(given))
        if is_first:
            is_first = False
            await connection.on_connect()
        else:
            await connection.disconnect()
            await connection.connect()

    return log_in_once


@dataclass(frozen=True, slots=True)
class _Given(HidesValue):
    """A credential provider with one answer."""

    credentials: Credentials = field(repr=False)

    def get_credentials(self) -> Credentials:
        return self.credentials

    async def get_credentials_async(self) -> Credentials:
        return self.credentials


def _credentials(given: Mapping[str, object]) -> Credentials:
    password = str(given["password"])
    return (str(given["username"]), password) if "username" in given else (password,)
