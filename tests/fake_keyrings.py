"""Keyrings that real programs must not have."""

from __future__ import annotations

from envelope import DataKey, Keyring, UnwrappedBy, UnwrappedDataKey, UnwrapRequest, WrapRequest


class GivenDataKey:
    """Hands out one data key for every message, whatever encrypted data keys the message has.

    Attributes:
        unwrap_calls: how often it was asked to unwrap.
    """

    def __init__(self, data_key: bytes) -> None:
        self._data_key = data_key
        self.unwrap_calls = 0

    def wrap(self, request: WrapRequest) -> DataKey:
        raise AssertionError("this keyring only decrypts")

    def unwrap(self, request: UnwrapRequest) -> UnwrappedDataKey:
        self.unwrap_calls += 1
        first = request.encrypted_data_keys[0]
        return UnwrappedDataKey(self._data_key, UnwrappedBy("GivenDataKey", first.provider_id, "given"))


class CountingKeyring:
    """Another keyring, and how often it was asked.

    Attributes:
        calls: how often it was asked to wrap or unwrap.
    """

    def __init__(self, inner: Keyring) -> None:
        self._inner = inner
        self.calls = 0

    def wrap(self, request: WrapRequest) -> DataKey:
        self.calls += 1
        return self._inner.wrap(request)

    def unwrap(self, request: UnwrapRequest) -> UnwrappedDataKey:
        self.calls += 1
        return self._inner.unwrap(request)
