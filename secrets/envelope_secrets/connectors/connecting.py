"""Connections of DBAPI drivers and their like, for threads and for tasks. Credentials are read when one is made."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from envelope.arguments import check_function
from envelope.cache.clock import elapsed_s
from envelope.errors import EnvelopeError, InvalidArgument
from envelope_secrets.aio.client import AsyncSecretsClient
from envelope_secrets.client import SecretsClient
from envelope_secrets.connectors.driver_arguments import Arguments, check_arguments, driver_arguments, driver_of
from envelope_secrets.connectors.driver_failures import Failed, failure_of
from envelope_secrets.connectors.login import Effect, Login, Made, Pause, Read
from envelope_secrets.connectors.options import DEFAULT_ATTEMPTS, DEFAULT_BUDGET_S, check_options
from envelope_secrets.connectors.standings import standings_of
from envelope_secrets.value import HidesValue, Secret

__all__ = ["NO_ARGUMENTS", "connect", "connect_async", "connect_waiting"]

ConnectionT = TypeVar("ConnectionT")

NO_ARGUMENTS: Mapping[str, object] = MappingProxyType({})


def connect(
    secrets: SecretsClient,
    secret_id: str,
    make: Callable[..., ConnectionT],
    *,
    arguments: Arguments = NO_ARGUMENTS,
    driver: str | None = None,
    is_refused: Callable[[Exception], bool] | None = None,
    attempts: int = DEFAULT_ATTEMPTS,
    budget_s: float = DEFAULT_BUDGET_S,
    clock: Callable[[], float] = elapsed_s,
    sleep: Callable[[float], object] = time.sleep,
) -> ConnectionT:
    """Make a connection with the credentials that a secret has now.

    If they are refused, the secret is read anew, once for all threads; then AWSPENDING is tried, then AWSCURRENT again
    as often as its label moves, AWSPREVIOUS last. Anything else that goes wrong is raised at once.

    Args:
        make: the driver's own, like ``psycopg.connect``; called with `arguments` and the fields of the secret.
        arguments: more arguments for it, which win over the secret's; or a function that makes all of them from a
            `Secret`.
        driver: the driver's module, like ``psycopg``, where `make` is a function around it.
        is_refused: whether an exception means that the credentials were refused; known for psycopg, psycopg2,
            PyMySQL, aiomysql, mysqlclient, mysql-connector-python, redis, and drivers whose exceptions have a
            ``sqlstate``, like asyncpg.
        attempts: logins at the most, 1 to 100. Fewer than the server takes before it locks the account.
        budget_s: seconds to wait for a rotation to move AWSCURRENT; the driver's own timeouts are not counted.
        clock: monotonic seconds.
        sleep: waits so many seconds.

    Raises:
        LoginRefused: no version logs in; `AccountLocked` if trying more would make it worse.
        TargetUnreachable, TlsFailed, PrivilegeMissing, TargetError: of the driver, without its text.
        SecretNotFound, AwsError and what else reading the secret raises; SecretFormatError: the value is no login.
        InvalidArgument: an option of a wrong kind or out of its range.
    """
    check_options(secrets, SecretsClient, secret_id, attempts, budget_s)
    check_function("sleep", sleep)
    caller = _Caller(secret_id, make, arguments, driver, is_refused)
    steps = caller.login(secrets, attempts, budget_s, clock).steps()

    def perform(effect: Effect) -> object:
        if isinstance(effect, Pause):
            return sleep(effect.seconds)
        if isinstance(effect, Read):
            return _read(secrets, secret_id, effect)
        return caller.log_in(effect.secret)

    connection: ConnectionT = _drive(steps, perform)
    return connection


async def connect_async(
    secrets: AsyncSecretsClient,
    secret_id: str,
    make: Callable[..., Awaitable[ConnectionT]],
    *,
    arguments: Arguments = NO_ARGUMENTS,
    driver: str | None = None,
    is_refused: Callable[[Exception], bool] | None = None,
    attempts: int = DEFAULT_ATTEMPTS,
    budget_s: float = DEFAULT_BUDGET_S,
    clock: Callable[[], float] = elapsed_s,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> ConnectionT:
    """See `connect`; for coroutine functions like ``psycopg.AsyncConnection.connect`` and ``asyncpg.connect``."""
    check_options(secrets, AsyncSecretsClient, secret_id, attempts, budget_s)
    check_function("sleep", sleep)
    caller = _Caller(secret_id, make, arguments, driver, is_refused)
    steps = caller.login(secrets, attempts, budget_s, clock).steps()

    async def perform(effect: Effect) -> object:
        if isinstance(effect, Pause):
            return await sleep(effect.seconds)
        if isinstance(effect, Read):
            return await _read_async(secrets, secret_id, effect)
        return await caller.log_in_async(effect.secret)

    answer: object = None
    with contextlib.closing(steps):
        while True:
            try:
                effect = steps.send(answer)
            except StopIteration as end:
                connection: ConnectionT = end.value
                return connection
            answer = await perform(effect)


def connect_waiting(
    secrets: AsyncSecretsClient,
    secret_id: str,
    make: Callable[..., ConnectionT],
    wait: Callable[[Coroutine[Any, Any, Any]], Any],
    *,
    arguments: Arguments,
    driver: str,
    is_refused: Callable[[Exception], bool] | None,
    attempts: int,
    budget_s: float,
) -> ConnectionT:
    """See `connect`; in a function that is none of asyncio's, called by something that lets it wait for tasks.

    Args:
        wait: gives the result of a coroutine.
    """
    caller = _Caller(secret_id, make, arguments, driver, is_refused)

    def perform(effect: Effect) -> object:
        if isinstance(effect, Pause):
            return wait(asyncio.sleep(effect.seconds))
        if isinstance(effect, Read):
            return wait(_read_async(secrets, secret_id, effect))
        return caller.log_in(effect.secret)

    connection: ConnectionT = _drive(caller.login(secrets, attempts, budget_s, elapsed_s).steps(), perform)
    return connection


def _drive(steps: Generator[Effect, Any, Any], perform: Callable[[Effect], object]) -> Any:
    answer: object = None
    with contextlib.closing(steps):  # an interrupt must not leave a version claimed for ever
        while True:
            try:
                effect = steps.send(answer)
            except StopIteration as end:
                return end.value
            answer = perform(effect)


def _read(secrets: SecretsClient, secret_id: str, effect: Read) -> Secret | EnvelopeError:
    try:
        if effect.is_fresh:
            return secrets.refresh(secret_id, stage=effect.stage, replacing=effect.replacing)
        return secrets.get(secret_id, stage=effect.stage)
    except EnvelopeError as error:
        return error


async def _read_async(secrets: AsyncSecretsClient, secret_id: str, effect: Read) -> Secret | EnvelopeError:
    try:
        if effect.is_fresh:
            return await secrets.refresh(secret_id, stage=effect.stage, replacing=effect.replacing)
        return await secrets.get(secret_id, stage=effect.stage)
    except EnvelopeError as error:
        return error


class _Caller(HidesValue):
    """What the caller wants to be connected to, checked."""

    __slots__ = ("_arguments", "_driver", "_is_refused", "_make", "_secret_id")

    def __init__(
        self,
        secret_id: str,
        make: Callable[..., Any],
        arguments: Arguments,
        driver: object,
        is_refused: Callable[[Exception], bool] | None,
    ) -> None:
        check_function("make", make)
        check_arguments(arguments)
        if driver is not None and not isinstance(driver, str):
            raise InvalidArgument(f"driver must be the name of a module, not {type(driver).__name__}")
        if is_refused is not None:
            check_function("is_refused", is_refused)
        self._secret_id = secret_id
        self._make = make
        self._arguments = arguments
        self._driver = driver_of(make) if driver is None else driver
        self._is_refused = is_refused

    def login(self, secrets: object, attempts: int, budget_s: float, clock: Callable[[], float]) -> Login:
        """The way to a connection. What was found out is shared by those with the same secret, driver and host."""
        check_function("clock", clock)
        arguments = {} if callable(self._arguments) else self._arguments
        place = (str(arguments.get("host")), str(arguments.get("port")))
        return Login(
            self._secret_id,
            standings_of(secrets, (self._secret_id, self._driver, place)),
            attempts,
            budget_s,
            clock,
        )

    def log_in(self, secret: Secret) -> Made[Any] | Failed:
        """One attempt."""
        arguments = driver_arguments(secret, self._driver, self._arguments)
        try:
            return Made(self._make(**arguments))
        except EnvelopeError:
            raise
        except Exception as error:  # noqa: BLE001 - of a driver
            raised = error
        return failure_of(raised, self._is_refused)  # out here: its text may have the password

    async def log_in_async(self, secret: Secret) -> Made[Any] | Failed:
        """One attempt of a task."""
        arguments = driver_arguments(secret, self._driver, self._arguments)
        try:
            return Made(await self._make(**arguments))
        except EnvelopeError:
            raise
        except Exception as error:  # noqa: BLE001 - of a driver
            raised = error
        return failure_of(raised, self._is_refused)  # out here: its text may have the password
