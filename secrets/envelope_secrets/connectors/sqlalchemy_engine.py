"""SQLAlchemy engines whose every new connection is made with the credentials of that moment."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from envelope.errors import InvalidArgument
from envelope_secrets.aio.client import AsyncSecretsClient
from envelope_secrets.client import SecretsClient
from envelope_secrets.connectors.connecting import connect, connect_waiting
from envelope_secrets.connectors.libraries import load_library
from envelope_secrets.connectors.options import DEFAULT_ATTEMPTS, DEFAULT_BUDGET_S, check_options

if TYPE_CHECKING:
    from collections.abc import Callable

    import sqlalchemy
    import sqlalchemy.ext.asyncio

__all__ = ["async_engine", "engine"]


def engine(
    secrets: SecretsClient,
    secret_id: str,
    url: str | sqlalchemy.URL,
    *,
    attempts: int = DEFAULT_ATTEMPTS,
    budget_s: float = DEFAULT_BUDGET_S,
    is_refused: Callable[[Exception], bool] | None = None,
    **options: Any,
) -> sqlalchemy.Engine:
    """Like `sqlalchemy.create_engine`.

    Args:
        url: names the dialect, like ``postgresql+psycopg://``; what else it has, but a password, wins over the secret.
        attempts, budget_s, is_refused: see `envelope_secrets.connectors.connect`.
        options: those of `create_engine`.

    Raises:
        InvalidArgument: the URL is none, or has a password, or is that of a driver for asyncio; another wrong option.
        NotSupported: SQLAlchemy is not installed.
    """
    check_options(secrets, SecretsClient, secret_id, attempts, budget_s)
    library = load_library("sqlalchemy", "sqlalchemy")
    parsed = _parsed(library, url)
    made: sqlalchemy.Engine = library.create_engine(parsed, **options)
    if made.dialect.is_async:
        raise InvalidArgument("url must name a driver for threads", hint="async_engine takes those for asyncio")

    def connect_now(dialect: Any, _: object, positional: list[Any], arguments: dict[str, Any]) -> Any:
        return connect(
            secrets,
            secret_id,
            partial(dialect.connect, *positional),
            arguments=arguments,
            driver=dialect.loaded_dbapi.__name__,
            attempts=attempts,
            budget_s=budget_s,
            is_refused=is_refused,
        )

    library.event.listen(made, "do_connect", connect_now)
    return made


def async_engine(
    secrets: AsyncSecretsClient,
    secret_id: str,
    url: str | sqlalchemy.URL,
    *,
    attempts: int = DEFAULT_ATTEMPTS,
    budget_s: float = DEFAULT_BUDGET_S,
    is_refused: Callable[[Exception], bool] | None = None,
    **options: Any,
) -> sqlalchemy.ext.asyncio.AsyncEngine:
    """Like `sqlalchemy.ext.asyncio.create_async_engine`; see `engine`.

    Args:
        url: like ``postgresql+asyncpg://``, ``postgresql+psycopg://`` or ``mysql+aiomysql://``.

    Raises:
        InvalidArgument: the URL is none, or has a password, or is that of a driver for threads; another wrong option.
        NotSupported: SQLAlchemy is not installed, or without asyncio.
    """
    check_options(secrets, AsyncSecretsClient, secret_id, attempts, budget_s)
    library = load_library("sqlalchemy", "sqlalchemy[asyncio]")
    load_library("greenlet", "sqlalchemy[asyncio]")
    asynchronous = load_library("sqlalchemy.ext.asyncio", "sqlalchemy[asyncio]")
    parsed = _parsed(library, url)
    made: sqlalchemy.ext.asyncio.AsyncEngine | None = None
    with suppress(library.exc.InvalidRequestError):  # as of `_parsed`
        made = asynchronous.create_async_engine(parsed, **options)
    if made is None:
        raise InvalidArgument("url must name a driver for asyncio", hint="like postgresql+asyncpg or mysql+aiomysql")

    def connect_now(dialect: Any, _: object, positional: list[Any], arguments: dict[str, Any]) -> Any:
        return connect_waiting(
            secrets,
            secret_id,
            partial(dialect.connect, *positional),
            library.util.await_only,
            arguments=arguments,
            driver=dialect.driver.removesuffix("_async"),
            attempts=attempts,
            budget_s=budget_s,
            is_refused=is_refused,
        )

    library.event.listen(made.sync_engine, "do_connect", connect_now)
    return made


def _parsed(library: Any, url: str | sqlalchemy.URL) -> sqlalchemy.URL:
    parsed: sqlalchemy.URL | None = None
    with suppress(library.exc.ArgumentError):  # what is raised below must not carry it: its text may quote a password
        parsed = library.make_url(url)
    if parsed is None:
        raise InvalidArgument("url must be one of SQLAlchemy's, like postgresql+psycopg://")
    if parsed.password is not None:
        raise InvalidArgument("url must not have a password", hint="it is read from the secret")
    return parsed
