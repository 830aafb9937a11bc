"""Pools of psycopg 3 whose every new connection is made with the credentials of that moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from envelope_secrets.aio.client import AsyncSecretsClient
from envelope_secrets.client import SecretsClient
from envelope_secrets.connectors.connecting import NO_ARGUMENTS, connect, connect_async
from envelope_secrets.connectors.driver_arguments import check_arguments
from envelope_secrets.connectors.libraries import load_library
from envelope_secrets.connectors.options import DEFAULT_ATTEMPTS, DEFAULT_BUDGET_S, check_options

if TYPE_CHECKING:
    import psycopg
    import psycopg_pool

__all__ = ["async_connection_class", "async_pool", "connection_class", "pool"]

DRIVER = "psycopg"


def pool(
    secrets: SecretsClient,
    secret_id: str,
    *,
    arguments: Mapping[str, object] = NO_ARGUMENTS,
    attempts: int = DEFAULT_ATTEMPTS,
    budget_s: float = DEFAULT_BUDGET_S,
    **options: Any,
) -> psycopg_pool.ConnectionPool[psycopg.Connection[Any]]:
    """A `psycopg_pool.ConnectionPool`.

    Connections that are open stay so through a rotation: servers ask for a password only once. `max_lifetime` of the
    pool bounds how long an old one is used.

    Args:
        arguments, attempts, budget_s: see `envelope_secrets.connectors.connect`.
        options: the pool's own, but ``conninfo``, ``kwargs`` and ``connection_class``.

    Raises:
        NotSupported: psycopg or psycopg_pool is not installed.
    """
    check_arguments(arguments)
    made_by = connection_class(secrets, secret_id, attempts=attempts, budget_s=budget_s)
    library = load_library("psycopg_pool", "psycopg[binary,pool]")
    made: psycopg_pool.ConnectionPool[psycopg.Connection[Any]] = library.ConnectionPool(
        kwargs=dict(arguments), connection_class=made_by, **options
    )
    return made


def async_pool(
    secrets: AsyncSecretsClient,
    secret_id: str,
    *,
    arguments: Mapping[str, object] = NO_ARGUMENTS,
    attempts: int = DEFAULT_ATTEMPTS,
    budget_s: float = DEFAULT_BUDGET_S,
    **options: Any,
) -> psycopg_pool.AsyncConnectionPool[psycopg.AsyncConnection[Any]]:
    """A `psycopg_pool.AsyncConnectionPool`; see `pool`."""
    check_arguments(arguments)
    made_by = async_connection_class(secrets, secret_id, attempts=attempts, budget_s=budget_s)
    library = load_library("psycopg_pool", "psycopg[binary,pool]")
    made: psycopg_pool.AsyncConnectionPool[psycopg.AsyncConnection[Any]] = library.AsyncConnectionPool(
        kwargs=dict(arguments), connection_class=made_by, **options
    )
    return made


def connection_class(
    secrets: SecretsClient, secret_id: str, *, attempts: int = DEFAULT_ATTEMPTS, budget_s: float = DEFAULT_BUDGET_S
) -> type[psycopg.Connection[Any]]:
    """A `psycopg.Connection` whose `connect` is `envelope_secrets.connectors.connect`, for whatever takes a class."""
    check_options(secrets, SecretsClient, secret_id, attempts, budget_s)
    made = load_library("psycopg", "psycopg[binary]").Connection

    def connect_now(kind: type[Any], /, conninfo: str = "", **arguments: object) -> Any:
        make = _with_conninfo(connecting.__func__, kind, conninfo)
        return connect(
            secrets, secret_id, make, arguments=arguments, driver=DRIVER, attempts=attempts, budget_s=budget_s
        )

    connecting = made.connect
    rotating: type[psycopg.Connection[Any]] = type("RotatingConnection", (made,), {"connect": classmethod(connect_now)})
    return rotating


def async_connection_class(
    secrets: AsyncSecretsClient, secret_id: str, *, attempts: int = DEFAULT_ATTEMPTS, budget_s: float = DEFAULT_BUDGET_S
) -> type[psycopg.AsyncConnection[Any]]:
    """The same for `psycopg.AsyncConnection`."""
    check_options(secrets, AsyncSecretsClient, secret_id, attempts, budget_s)
    made = load_library("psycopg", "psycopg[binary]").AsyncConnection

    async def connect_now(kind: type[Any], /, conninfo: str = "", **arguments: object) -> Any:
        make = _with_conninfo(connecting.__func__, kind, conninfo)
        return await connect_async(
            secrets, secret_id, make, arguments=arguments, driver=DRIVER, attempts=attempts, budget_s=budget_s
        )

    connecting = made.connect
    rotating: type[psycopg.AsyncConnection[Any]] = type(
        "RotatingAsyncConnection", (made,), {"connect": classmethod(connect_now)}
    )
    return rotating


def _with_conninfo(connecting: Callable[..., Any], kind: type, conninfo: str) -> Callable[..., Any]:
    """The class method of the driver's class, which makes an object of our class."""
    return lambda **arguments: connecting(kind, conninfo, **arguments)
