"""What tests of asynchronous code share: an event loop that complains, and an executor that counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Coroutine, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from envelope import AsyncClient, CommitmentPolicy, Keyring
from tests.keyrings_for_tests import FixedKeyring

T = TypeVar("T")


class CountingExecutor(ThreadPoolExecutor):
    """Counts what leaves the event loop."""

    def __init__(self, max_workers: int = 4) -> None:
        super().__init__(max_workers)
        self.calls = 0

    def submit(self, *arguments: Any, **options: Any) -> Future[Any]:
        self.calls += 1
        return super().submit(*arguments, **options)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, in an event loop that tells of coroutines and calls that went wrong."""
    return asyncio.run(coroutine, debug=True)


def counting_executor(max_workers: int = 4) -> CountingExecutor:
    """The executor of the running event loop from now on."""
    executor = CountingExecutor(max_workers)
    asyncio.get_running_loop().set_default_executor(executor)
    return executor


async def until(condition: Callable[[], object]) -> None:
    """Let other tasks and threads run until something is so."""
    while not condition():  # noqa: ASYNC110 - threads make it so, and they know no asyncio.Event
        await asyncio.sleep(0)


async def joined(chunks: AsyncIterable[bytes]) -> bytes:
    """All chunks in one."""
    return b"".join([chunk async for chunk in chunks])


async def gathered(chunks: AsyncIterable[bytes], into: list[bytes]) -> None:
    """All chunks, and those before a failure, into a list."""
    async for chunk in chunks:
        into.append(chunk)


async def generated(chunks: Iterable[Any]) -> AsyncGenerator[Any, None]:
    """The chunks, each after other tasks have had their turn; exceptions among them are raised."""
    for chunk in chunks:
        await asyncio.sleep(0)
        if isinstance(chunk, BaseException):
            raise chunk
        yield chunk


class Pulled:
    """An asynchronous iterator of these chunks, no generator, that counts how many were taken."""

    def __init__(self, chunks: Iterable[Any]) -> None:
        self._chunks = iter(chunks)
        self.count = 0
        self.is_at_its_end = False

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        for chunk in self._chunks:
            self.count += 1
            return chunk
        self.is_at_its_end = True
        raise StopAsyncIteration


def cut(data: bytes, size: int) -> list[bytes]:
    """The data in pieces of so many bytes."""
    return [data[start : start + size] for start in range(0, len(data), size)]


def open_async_client(keyring: Keyring | None = None, **options: Any) -> AsyncClient:
    """A client that writes committing suites and opens all."""
    return AsyncClient(
        FixedKeyring() if keyring is None else keyring,
        commitment_policy=options.pop("commitment_policy", CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT),
        **options,
    )
