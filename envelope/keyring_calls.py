"""How a client asks a keyring for the data key of a message. The keyring can be anybody's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from envelope.keyrings.guard import check_data_key, guarded
from envelope.keyrings.protocol import CountingKeyring, Keyring
from envelope.materials import DataKey, UnwrappedDataKey, UnwrapRequest, WrapRequest
from envelope.signing import with_signing_key

__all__ = ["KeyringCalls"]


class KeyringCalls:
    """The three questions of a client; whatever a keyring raises comes out as an `EnvelopeError`.

    Attributes:
        data_key: the data key of one message of exactly so many bytes, with a signing key where the suite signs.
        stream_data_key: the same for one message of so many bytes as far as is known; None where nothing is.
        unwrapped: the data key of a message that somebody wrote.
    """

    __slots__ = ("data_key", "stream_data_key", "unwrapped")

    data_key: Callable[[WrapRequest, int], DataKey]
    stream_data_key: Callable[[WrapRequest, int | None], DataKey]
    unwrapped: Callable[[UnwrapRequest], UnwrappedDataKey]

    def __init__(self, keyring: Keyring) -> None:
        if isinstance(keyring, CountingKeyring):
            self.data_key = guarded(keyring.wrap_for, keyring, "wrap a data key")
            self.stream_data_key = guarded(keyring.wrap_stream, keyring, "wrap a data key")
        else:
            self.stream_data_key = guarded(_data_key_of_one_message(keyring), keyring, "wrap a data key")
            self.data_key = self.stream_data_key
        self.unwrapped = guarded(keyring.unwrap, keyring, "unwrap the data key")


def _data_key_of_one_message(keyring: Keyring) -> Callable[[WrapRequest, int | None], DataKey]:
    """How a keyring that does not count is asked: it gives each message a data key of its own."""

    def data_key(request: WrapRequest, plaintext_bytes: int | None) -> DataKey:  # noqa: ARG001 - for those that count
        curve = request.suite.curve
        if curve is None:
            return keyring.wrap(request)
        signed_request, signing_key = with_signing_key(request, curve)
        return replace(check_data_key(keyring.wrap(signed_request), request.suite), signing_key=signing_key)

    return data_key
