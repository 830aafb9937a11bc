"""Clients of pymongo that are replaced when a rotation has changed the password: each has its own for as long as it is.

A `pymongo.MongoClient` opens connections whenever its pool grows, always with the credentials that it was made with.
Connections that are open stay so through a rotation; the next one is refused, be it hours later.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from envelope.arguments import check_function
from envelope.cache.clock import elapsed_s
from envelope_secrets.client import SecretsClient
from envelope_secrets.connectors.connecting import NO_ARGUMENTS, connect
from envelope_secrets.connectors.driver_arguments import check_arguments, driver_arguments
from envelope_secrets.connectors.libraries import load_library
from envelope_secrets.connectors.options import DEFAULT_ATTEMPTS, DEFAULT_BUDGET_S, check_options
from envelope_secrets.rotation.mongodb_connection import REFUSED_CODES, login_failure
from envelope_secrets.value import HidesValue, Secret

if TYPE_CHECKING:
    import pymongo

__all__ = ["MongoClients"]

T = TypeVar("T")

DRIVER = "pymongo"

PAUSED = "connection pool paused"
"""The driver has no other word for it: after a refused login it empties the pool, and other threads get this."""


@dataclass(slots=True)
class _Held:
    """A client and how many use it now."""

    client: Any
    users: int = 0
    is_replaced: bool = False


class MongoClients(HidesValue):
    """One `pymongo.MongoClient` at a time, with the credentials that work. For all threads of a process.

        clients = MongoClients(secrets, "prod/shop")
        clients.run(lambda client: client.shop.orders.insert_one({"item": "tea"}))

    The first is made by the first `run`. Where the server refuses to let one of its connections in, another one is made
    as `envelope_secrets.connectors.connect` does it, once for all threads, and the old one is closed when nobody uses
    it any more.

    The secret has ``host``, ``port``, ``username``, ``password``, and ``ssl`` for TLS with a checked host name. Its
    ``authSource`` is the database of the account, ``admin`` by default.

    Args:
        arguments: more arguments for `pymongo.MongoClient`, which win over the secret's, like ``tlsCAFile``; for
            DocumentDB ``retryWrites=False``.
        attempts, budget_s, clock, sleep: see `envelope_secrets.connectors.connect`.

    Raises:
        InvalidArgument: an option of a wrong kind or out of its range.
    """

    __slots__ = (
        *("_arguments", "_attempts", "_budget_s", "_clock", "_held"),
        *("_lock", "_making", "_secret_id", "_secrets", "_sleep"),
    )

    def __init__(
        self,
        secrets: SecretsClient,
        secret_id: str,
        *,
        arguments: Mapping[str, object] = NO_ARGUMENTS,
        attempts: int = DEFAULT_ATTEMPTS,
        budget_s: float = DEFAULT_BUDGET_S,
        clock: Callable[[], float] = elapsed_s,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        check_options(secrets, SecretsClient, secret_id, attempts, budget_s)
        check_arguments(arguments)
        check_function("clock", clock)
        check_function("sleep", sleep)
        self._secrets = secrets
        self._secret_id = secret_id
        self._arguments = dict(arguments)
        self._attempts = attempts
        self._budget_s = budget_s
        self._clock = clock
        self._sleep = sleep
        self._held: _Held | None = None
        self._lock = threading.Lock()
        self._making = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def run(self, work: Callable[[pymongo.MongoClient[Any]], T]) -> T:
        """What `work` gives for the client; it is called a second time if the server let no connection in.

        An operation without a connection was not done. So let `work` be one operation, or a transaction by
        ``with_transaction``; and let it keep neither the client nor a cursor.

        Raises:
            LoginRefused, TargetUnreachable and what else `envelope_secrets.connectors.connect` raises.
            pymongo.errors.PyMongoError: of the operation itself, as it is.
        """
        check_function("work", work)
        errors = load_library("pymongo.errors", DRIVER)
        with self._using(None) as held:
            try:
                return work(held.client)
            except errors.PyMongoError as error:
                if not _was_not_begun(error):
                    raise
        with self._using(held) as newer:
            return work(newer.client)

    def close(self) -> None:
        """Close the client, once nobody uses it any more. The next `run` makes another one."""
        self._replace(None)

    @contextmanager
    def _using(self, refused: _Held | None) -> Iterator[_Held]:
        """The client, which is not closed meanwhile; not the one that was refused."""
        held = self._taken(refused) or self._new(refused)
        try:
            yield held
        finally:
            with self._lock:
                held.users -= 1
            self._close_unused(held)

    def _taken(self, refused: _Held | None) -> _Held | None:
        """What there is, unless it is the one that was refused."""
        with self._lock:
            held = self._held
            if held is None or held is refused:
                return None
            held.users += 1
            return held

    def _new(self, refused: _Held | None) -> _Held:
        with self._making:  # whoever waits here finds the other's
            held = self._taken(refused)
            if held is None:
                held = _Held(self._made(), users=1)
                self._replace(held)
        return held

    def _replace(self, held: _Held | None) -> None:
        with self._lock:
            old, self._held = self._held, held
            if old is not None:
                old.is_replaced = True
        if old is not None:
            self._close_unused(old)

    def _close_unused(self, held: _Held) -> None:
        with self._lock:
            is_over = held.is_replaced and held.users == 0
        if is_over:
            held.client.close()

    def _made(self) -> Any:
        return connect(
            self._secrets,
            self._secret_id,
            _connected,
            arguments=self._arguments_of,
            driver=DRIVER,
            is_refused=_is_refused,
            attempts=self._attempts,
            budget_s=self._budget_s,
            clock=self._clock,
            sleep=self._sleep,
        )

    def _arguments_of(self, secret: Secret) -> Mapping[str, object]:
        source = secret.json.get("authSource")
        own = {"authSource": source} if isinstance(source, str) and source else {}
        return {**own, **driver_arguments(secret, DRIVER, self._arguments)}


def _connected(**arguments: object) -> Any:
    """A client that has logged in. What is not for the credentials is one of our errors."""
    driver = load_library(DRIVER, DRIVER)
    client = driver.MongoClient(**arguments)
    try:
        client.admin.command("ping")
        return client
    except (driver.errors.PyMongoError, ValueError, IndexError) as error:
        client.close()
        if _is_refused(error):
            raise
        failure = login_failure(driver, error)
    except BaseException:
        client.close()
        raise
    raise failure


def _was_not_begun(error: Exception) -> bool:
    """Whether no connection was let in, or the driver let nobody have one because another thread's was not."""
    return _is_refused(error) or PAUSED in str(error.__cause__)


def _is_refused(error: Exception) -> bool:
    return getattr(error, "code", None) in REFUSED_CODES
