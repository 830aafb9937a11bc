"""Contenders whose data keys come from one KMS, which answers in this process and counts its calls."""

from __future__ import annotations

from typing import Any

from aws_encryption_sdk.key_providers.kms import StrictAwsKmsMasterKeyProvider

from benchmarks.contest.peers import AwsEncryptionSdk
from envelope import (
    Client,
    DataKey,
    DataKeyCache,
    KmsKeyring,
    Suite,
    UnwrappedDataKey,
    UnwrapRequest,
    WrapRequest,
)
from envelope.context import EMPTY_CONTEXT
from envelope.testing import FakeKms

__all__ = ["KmsContenders"]


class _OneClientProvider(StrictAwsKmsMasterKeyProvider):
    """The strict provider, with a client that is at hand in place of those that it would make."""

    one_client: Any = None

    def _client(self, _key_id: str) -> Any:
        return self.one_client


class _SameAnswer:
    """A keyring that says what another one said the first time, with nothing in between."""

    def __init__(self, keyring: KmsKeyring) -> None:
        suite = Suite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY
        self._data_key = keyring.wrap(WrapRequest(suite, EMPTY_CONTEXT))
        request = UnwrapRequest(suite, EMPTY_CONTEXT, self._data_key.encrypted_data_keys)
        self._unwrapped = keyring.unwrap(request)

    def wrap(self, _request: WrapRequest, /) -> DataKey:
        return self._data_key

    def unwrap(self, _request: UnwrapRequest, /) -> UnwrappedDataKey:
        return self._unwrapped


class KmsContenders:
    """Everything over one key of a fake KMS.

    Attributes:
        cache: a data-key cache with the default limits.
        cached: a client over it.
        uncached: a client whose keyring gives the same answers at once, without a cache.
        sdk: aws-encryption-sdk with its KMS provider and its cache.
    """

    def __init__(self) -> None:
        self.kms = FakeKms()
        key_arn = self.kms.client().create_key()["KeyMetadata"]["Arn"]
        keyring = KmsKeyring(key_arn, aws=self.kms.aws())
        self.cache = DataKeyCache(keyring)
        self.cached = Client(self.cache)
        self.uncached = Client(_SameAnswer(keyring))
        provider = type("Provider", (_OneClientProvider,), {"one_client": self.kms.client()})
        self.sdk = AwsEncryptionSdk(provider(key_ids=[key_arn]))
