"""What a local store seals: each value on its own, and the key that its records are authenticated under.

Values are messages of `envelope` with the encryption context that Secrets Manager uses, so a value opens in the place
it was written for and nowhere else. The store's own key is 32 random bytes, sealed in the same way when the store is
made, and never kept: a keyring that has lost its rights stops reading names and labels too.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from envelope.client import Client
from envelope.data_keys import DataKeyCache
from envelope.errors import AwsError, EnvelopeError, KeyUnavailable, MessageRefused
from envelope.keyrings.protocol import CountingKeyring, Keyring, check_keyring
from envelope_secrets.errors import SecretKeyUnavailable, StoreFailed
from envelope_secrets.stores.local_failures import damaged
from envelope_secrets.stores.local_tables import StoreRow

__all__ = ["RecordMacs", "Sealing"]

KEY_BYTES = 32
TEXT, BINARY = b"t", b"b"
"""The first byte of what is sealed says what the value was."""

_PURPOSE = b"envelope local secret store, record, version 1\0"


class Sealing:
    """Seals and opens for one store. Safe for threads; every method may call KMS.

    Args:
        path: for error texts.
        keyring: cached inside, unless it counts messages itself, as a `DataKeyCache` does.
    """

    __slots__ = ("_client", "_path")

    def __init__(self, path: Path, keyring: Keyring) -> None:
        checked = check_keyring(keyring)
        self._path = path
        self._client = Client(checked if isinstance(checked, CountingKeyring) else DataKeyCache(checked))

    def __repr__(self) -> str:
        return f"Sealing({str(self._path)!r})"

    def new_store(self, store_id: str) -> StoreRow:
        """The row of a new store, with a new key."""
        with self._failures_translated("the key of the store"):
            sealed = self._client.encrypt(os.urandom(KEY_BYTES), _context_of_store(store_id))
        return StoreRow(store_id.encode(), sealed)

    def macs(self, store_id: str, sealed_key: bytes) -> RecordMacs:
        """What authenticates the records of the store.

        Raises:
            StoreFailed: the keyring has another key, or the row was edited.
            SecretKeyUnavailable: the key cannot be used now.
        """
        with self._failures_translated("the key of the store"):
            return RecordMacs(self._client.decrypt(sealed_key, _context_of_store(store_id)))

    def seal(self, value: str | bytes, arn: str, version_id: str) -> bytes:
        """The sealed value of one version."""
        plaintext = TEXT + value.encode() if isinstance(value, str) else BINARY + value
        with self._failures_translated("the value"):
            return self._client.encrypt(plaintext, _context(arn, version_id))

    def open(self, sealed: object, arn: str, version_id: str) -> str | bytes:
        """The value of one version.

        Raises:
            StoreFailed: it is not what was sealed for that version.
            SecretKeyUnavailable: the key cannot be used now.
        """
        what = f"the value of version {version_id}"
        if not isinstance(sealed, bytes):
            raise damaged(self._path, f"{what} is gone")
        with self._failures_translated(what):
            plaintext = self._client.decrypt(sealed, _context(arn, version_id))
        return plaintext[1:].decode() if plaintext[:1] == TEXT else plaintext[1:]

    @contextlib.contextmanager
    def _failures_translated(self, what: str) -> Iterator[None]:
        try:
            yield
        except MessageRefused as error:
            raise damaged(self._path, f"{what} does not open") from error
        except KeyUnavailable as error:
            if error.can_retry or _has_called_aws(error):
                unavailable = SecretKeyUnavailable(
                    f"the keyring of the secret store {str(self._path)!r} cannot be used for {what}", hint=error.hint
                )
                unavailable.can_retry = error.can_retry
                raise unavailable from error
            raise StoreFailed(
                f"the keyring does not open {what} in the secret store {str(self._path)!r}",
                hint="use the keyring under which the store was made; the cause says which key that is",
            ) from error


class RecordMacs:
    """Authenticates records under the key of a store. For one call: it holds the key."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        self._key = key

    def __repr__(self) -> str:
        return "RecordMacs()"

    def of(self, record: bytes) -> bytes:
        """The MAC of a record: 32 bytes."""
        return hmac.digest(self._key, _PURPOSE + record, hashlib.sha256)

    def fits(self, record: bytes, mac: bytes) -> bool:
        """Whether this store has written the record."""
        return hmac.compare_digest(self.of(record), mac)


def _context(arn: str, version_id: str) -> Mapping[str, str]:
    """As Secrets Manager has it: User Guide, "Secret encryption and decryption in AWS Secrets Manager"."""
    return {"SecretARN": arn, "SecretVersionId": version_id}


def _context_of_store(store_id: str) -> Mapping[str, str]:
    return {"LocalSecretStore": store_id, "Purpose": "AuthenticateRecords"}


def _has_called_aws(error: EnvelopeError) -> bool:
    """Whether a call to AWS is among the causes: then the key may be the right one, and cannot be used."""
    causes = getattr(error, "errors", ())
    return isinstance(error, AwsError) or any(
        isinstance(cause, EnvelopeError) and _has_called_aws(cause) for cause in causes
    )
