"""How an asynchronous client asks a keyring for the data key of a message."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import ParamSpec, Protocol, TypeVar, runtime_checkable

from envelope.errors import EnvelopeError, KeyUnavailable
from envelope.keyring_calls import KeyringCalls
from envelope.keyrings.guard import shown_keyring
from envelope.keyrings.protocol import Keyring
from envelope.materials import DataKey, UnwrappedDataKey, UnwrapRequest, WrapRequest

__all__ = ["AsyncKeyring", "AsyncKeyringCalls"]

_Arguments = ParamSpec("_Arguments")
_Answer = TypeVar("_Answer")


@runtime_checkable
class AsyncKeyring(Keyring, Protocol):
    """A keyring whose answers can be awaited, as `DataKeyCache`. The methods are those of `CountingKeyring`."""

    async def wrap_for_async(self, request: WrapRequest, plaintext_bytes: int) -> DataKey:
        """See `CountingKeyring.wrap_for`."""
        ...

    async def wrap_stream_async(self, request: WrapRequest, least_bytes: int | None) -> DataKey:
        """See `CountingKeyring.wrap_stream`."""
        ...

    async def unwrap_async(self, request: UnwrapRequest) -> UnwrappedDataKey:
        """See `Keyring.unwrap`."""
        ...


class AsyncKeyringCalls:
    """The three questions of a client; whatever a keyring raises comes out as an `EnvelopeError`.

    A keyring that cannot be awaited is asked in a worker thread, each time.

    Attributes:
        data_key, stream_data_key, unwrapped: see `KeyringCalls`.
    """

    __slots__ = ("data_key", "stream_data_key", "unwrapped")

    data_key: Callable[[WrapRequest, int], Awaitable[DataKey]]
    stream_data_key: Callable[[WrapRequest, int | None], Awaitable[DataKey]]
    unwrapped: Callable[[UnwrapRequest], Awaitable[UnwrappedDataKey]]

    def __init__(self, keyring: Keyring) -> None:
        if isinstance(keyring, AsyncKeyring):
            self.data_key = _guarded(keyring.wrap_for_async, keyring, "wrap a data key")
            self.stream_data_key = _guarded(keyring.wrap_stream_async, keyring, "wrap a data key")
            self.unwrapped = _guarded(keyring.unwrap_async, keyring, "unwrap the data key")
        else:
            calls = KeyringCalls(keyring)
            self.data_key = _in_thread(calls.data_key)
            self.stream_data_key = _in_thread(calls.stream_data_key)
            self.unwrapped = _in_thread(calls.unwrapped)


def _guarded(
    ask: Callable[_Arguments, Awaitable[_Answer]], keyring: Keyring, action: str
) -> Callable[_Arguments, Awaitable[_Answer]]:
    """The same question, after which no foreign exception comes out."""

    async def ask_guarded(*arguments: _Arguments.args, **options: _Arguments.kwargs) -> _Answer:
        try:
            return await ask(*arguments, **options)
        except EnvelopeError:
            raise
        except Exception as error:
            raise KeyUnavailable(f"{shown_keyring(keyring)} failed to {action}", errors=(error,)) from error

    return ask_guarded


def _in_thread(ask: Callable[_Arguments, _Answer]) -> Callable[_Arguments, Awaitable[_Answer]]:
    async def ask_in_thread(*arguments: _Arguments.args, **options: _Arguments.kwargs) -> _Answer:
        return await asyncio.to_thread(ask, *arguments, **options)

    return ask_in_thread
