"""Envelope encryption in the AWS Encryption SDK message format.

Most programs need a keyring and a client:

    client = Client(LocalKeyring(LocalKeystore.open(path, passphrase=passphrase), "app"))
    message = client.encrypt(b"plaintext", {"tenant": "42"})
    plaintext = client.decrypt(message, {"tenant": "42"})

Every exception is an `EnvelopeError`.
"""

from envelope.client import Client, describe
from envelope.context import EncryptionContext
from envelope.decrypting_reader import DecryptingReader
from envelope.encrypting_writer import EncryptingWriter
from envelope.errors import (
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

__all__ = [
    "Client",
    "CommitmentPolicy",
    "ContextMismatch",
    "DataKey",
    "DecryptingReader",
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
