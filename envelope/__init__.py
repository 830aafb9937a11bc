"""Envelope encryption in the AWS Encryption SDK message format.

Most programs need a keyring and a client:

    client = Client(LocalKeyring(LocalKeystore.open(path, passphrase=passphrase), "app"))
    message = client.encrypt(b"plaintext", {"tenant": "42"})
    plaintext = client.decrypt(message, {"tenant": "42"})

Every exception is an `EnvelopeError`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from envelope.errors import (
    AwsAccessDenied,
    AwsError,
    AwsMisconfigured,
    AwsUnavailable,
    ContextMismatch,
    EnvelopeError,
    InvalidArgument,
    KeystoreError,
    KeyUnavailable,
    LimitExceeded,
    MalformedMessage,
    MessageRefused,
    NotAuthentic,
    PassphraseRefused,
    PolicyRefused,
    StreamFailed,
    TruncatedMessage,
    UnwrapFailed,
)

if TYPE_CHECKING:
    from envelope.aio.client import AsyncClient
    from envelope.aio.decrypting_reader import AsyncDecryptingReader
    from envelope.aio.encrypting_writer import AsyncEncryptingWriter
    from envelope.aws.session import Aws
    from envelope.client import Client, describe
    from envelope.context import EncryptionContext
    from envelope.data_key_events import CacheStats, DataKeyEvent, OperationStats
    from envelope.data_keys import DataKeyCache
    from envelope.decrypting_reader import DecryptingReader
    from envelope.encrypting_writer import EncryptingWriter
    from envelope.keyrings.kms import KmsKeyring
    from envelope.keyrings.kms_discovery import DiscoveryFilter, KmsDiscoveryKeyring
    from envelope.keyrings.kms_mrk import KmsMrkDiscoveryKeyring, KmsMrkKeyring
    from envelope.keyrings.local import LocalKeyring
    from envelope.keyrings.multi import MultiKeyring
    from envelope.keyrings.protocol import Keyring
    from envelope.keyrings.raw_aes import RawAesKeyring
    from envelope.keyrings.raw_rsa import RawRsaKeyring, RsaPadding
    from envelope.keystore.format import ScryptCost
    from envelope.keystore.store import ExportedKey, LocalKeystore
    from envelope.materials import (
        DataKey,
        EncryptedDataKey,
        UnwrappedBy,
        UnwrappedDataKey,
        UnwrapRequest,
        WrapRequest,
    )
    from envelope.message.describe import MessageDescription
    from envelope.message.header import Header
    from envelope.opened import Opened, OpenedMessage
    from envelope.suites import CommitmentPolicy, Suite
else:
    # Imported when they are first asked for: a program pays for what it uses, and one that only catches errors, or
    # reads secrets from AWS, for no cryptography.
    _MODULES = {
        "AsyncClient": "envelope.aio.client",
        "AsyncDecryptingReader": "envelope.aio.decrypting_reader",
        "AsyncEncryptingWriter": "envelope.aio.encrypting_writer",
        "Aws": "envelope.aws.session",
        "CacheStats": "envelope.data_key_events",
        "Client": "envelope.client",
        "CommitmentPolicy": "envelope.suites",
        "DataKey": "envelope.materials",
        "DataKeyCache": "envelope.data_keys",
        "DataKeyEvent": "envelope.data_key_events",
        "DecryptingReader": "envelope.decrypting_reader",
        "DiscoveryFilter": "envelope.keyrings.kms_discovery",
        "EncryptedDataKey": "envelope.materials",
        "EncryptingWriter": "envelope.encrypting_writer",
        "EncryptionContext": "envelope.context",
        "ExportedKey": "envelope.keystore.store",
        "Header": "envelope.message.header",
        "Keyring": "envelope.keyrings.protocol",
        "KmsDiscoveryKeyring": "envelope.keyrings.kms_discovery",
        "KmsKeyring": "envelope.keyrings.kms",
        "KmsMrkDiscoveryKeyring": "envelope.keyrings.kms_mrk",
        "KmsMrkKeyring": "envelope.keyrings.kms_mrk",
        "LocalKeyring": "envelope.keyrings.local",
        "LocalKeystore": "envelope.keystore.store",
        "MessageDescription": "envelope.message.describe",
        "MultiKeyring": "envelope.keyrings.multi",
        "Opened": "envelope.opened",
        "OpenedMessage": "envelope.opened",
        "OperationStats": "envelope.data_key_events",
        "RawAesKeyring": "envelope.keyrings.raw_aes",
        "RawRsaKeyring": "envelope.keyrings.raw_rsa",
        "RsaPadding": "envelope.keyrings.raw_rsa",
        "ScryptCost": "envelope.keystore.format",
        "Suite": "envelope.suites",
        "UnwrapRequest": "envelope.materials",
        "UnwrappedBy": "envelope.materials",
        "UnwrappedDataKey": "envelope.materials",
        "WrapRequest": "envelope.materials",
        "describe": "envelope.client",
    }

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module 'envelope' has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_MODULES[name]), name)
        return value

    def __dir__() -> list[str]:
        return sorted(__all__)


__all__ = [
    "AsyncClient",
    "AsyncDecryptingReader",
    "AsyncEncryptingWriter",
    "Aws",
    "AwsAccessDenied",
    "AwsError",
    "AwsMisconfigured",
    "AwsUnavailable",
    "CacheStats",
    "Client",
    "CommitmentPolicy",
    "ContextMismatch",
    "DataKey",
    "DataKeyCache",
    "DataKeyEvent",
    "DecryptingReader",
    "DiscoveryFilter",
    "EncryptedDataKey",
    "EncryptingWriter",
    "EncryptionContext",
    "EnvelopeError",
    "ExportedKey",
    "Header",
    "InvalidArgument",
    "KeyUnavailable",
    "Keyring",
    "KeystoreError",
    "KmsDiscoveryKeyring",
    "KmsKeyring",
    "KmsMrkDiscoveryKeyring",
    "KmsMrkKeyring",
    "LimitExceeded",
    "LocalKeyring",
    "LocalKeystore",
    "MalformedMessage",
    "MessageDescription",
    "MessageRefused",
    "MultiKeyring",
    "NotAuthentic",
    "Opened",
    "OpenedMessage",
    "OperationStats",
    "PassphraseRefused",
    "PolicyRefused",
    "RawAesKeyring",
    "RawRsaKeyring",
    "RsaPadding",
    "ScryptCost",
    "StreamFailed",
    "Suite",
    "TruncatedMessage",
    "UnwrapFailed",
    "UnwrapRequest",
    "UnwrappedBy",
    "UnwrappedDataKey",
    "WrapRequest",
    "describe",
]
