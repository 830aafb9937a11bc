"""The peers, each set up as its documentation advises for speed, with its keys at hand.

None of them calls a KMS. Their messages hold different things; benchmarks/README.md says which.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

import asherah
import aws_encryption_sdk
import tink
from aws_encryption_sdk.identifiers import Algorithm, CommitmentPolicy, EncryptionKeyType, WrappingAlgorithm
from aws_encryption_sdk.internal.crypto.wrapping_keys import WrappingKey
from aws_encryption_sdk.key_providers.base import MasterKeyProvider
from aws_encryption_sdk.key_providers.raw import RawMasterKeyProvider
from aws_encryption_sdk.materials_managers.default import DefaultCryptoMaterialsManager
from tink import aead

__all__ = ["Asherah", "AwsEncryptionSdk", "Tink"]

CHUNK_BYTES = 1024 * 1024
_SUITE = Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY


class _RawKeys(RawMasterKeyProvider):
    """One AES-256 wrapping key in memory."""

    provider_id = "benchmarks"

    def _get_raw_key(self, _key_id: bytes) -> WrappingKey:
        return WrappingKey(
            wrapping_algorithm=WrappingAlgorithm.AES_256_GCM_IV12_TAG16_NO_PADDING,
            wrapping_key=os.urandom(32),
            wrapping_key_type=EncryptionKeyType.SYMMETRIC,
        )


def _raw_keys() -> MasterKeyProvider:
    keys = _RawKeys()
    keys.add_master_key(b"wrapping key")
    return keys


class _CountingMaterials(DefaultCryptoMaterialsManager):
    """What stands behind the cache; counts how often it is asked."""

    requests = 0

    def get_encryption_materials(self, request: object) -> object:
        self.requests += 1
        return super().get_encryption_materials(request)

    def decrypt_materials(self, request: object) -> object:
        self.requests += 1
        return super().decrypt_materials(request)


class AwsEncryptionSdk:
    """aws-encryption-sdk with its caching materials manager and the suite that `envelope` writes by default.

    Args:
        keys: wraps the data keys; a raw AES key unless another provider is given.
    """

    def __init__(self, keys: MasterKeyProvider | None = None) -> None:
        self._client = aws_encryption_sdk.EncryptionSDKClient(
            commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
        )
        self._uncached = _CountingMaterials(_raw_keys() if keys is None else keys)
        self._materials = aws_encryption_sdk.CachingCryptoMaterialsManager(
            backing_materials_manager=self._uncached,
            cache=aws_encryption_sdk.LocalCryptoMaterialsCache(100),
            max_age=86_400.0,
        )

    def check_cache(self, most_misses: int) -> None:
        """Raise unless the cache gave all but some of the data keys."""
        assert self._uncached.requests <= most_misses, f"{self._uncached.requests} cache misses"

    def encrypt(
        self, plaintext: bytes, context: Mapping[str, str] | None = None, frame_length_bytes: int = 4096
    ) -> bytes:
        message, _ = self._client.encrypt(
            source=plaintext,
            materials_manager=self._materials,
            algorithm=_SUITE,
            encryption_context=dict(context or {}),
            frame_length=frame_length_bytes,
        )
        return message

    def decrypt(self, message: bytes) -> bytes:
        plaintext, _ = self._client.decrypt(source=message, materials_manager=self._materials)
        return plaintext

    def encrypt_stream(self, plaintext: bytes, sink: BinaryIO, frame_length_bytes: int) -> None:
        with self._client.stream(
            mode="encrypt",
            source=BytesIO(plaintext),
            source_length=len(plaintext),
            materials_manager=self._materials,
            algorithm=_SUITE,
            encryption_context={},
            frame_length=frame_length_bytes,
        ) as stream:
            while chunk := stream.read(CHUNK_BYTES):
                sink.write(chunk)

    def decrypt_stream(self, message: bytes, sink: BinaryIO) -> None:
        with self._client.stream(mode="decrypt", source=BytesIO(message), materials_manager=self._materials) as stream:
            while chunk := stream.read(CHUNK_BYTES):
                sink.write(chunk)


@dataclass(frozen=True, slots=True)
class Tink:
    """tink's AES-256-GCM under a key that stays, and its KMS envelope over such a key in place of the KMS.

    Attributes:
        aead: one key for all messages.
        envelope: a new data key for each message, wrapped each time.
    """

    aead: aead.Aead
    envelope: aead.KmsEnvelopeAead

    @classmethod
    def new(cls) -> Tink:
        aead.register()
        template = aead.aead_key_templates.AES256_GCM
        single = tink.new_keyset_handle(template).primitive(aead.Aead)
        wrapping = tink.new_keyset_handle(template).primitive(aead.Aead)
        return cls(single, aead.KmsEnvelopeAead(template, wrapping))


class Asherah:
    """asherah with its keys in memory: static master key, in-memory metastore, one session."""

    MOST_BYTES = 32 * 1024 * 1024
    """It refuses envelopes of more than 65 MiB, which are JSON with the ciphertext in base64."""

    def __init__(self) -> None:
        self._factory = asherah.SessionFactory(
            {
                "ServiceName": "benchmarks",
                "ProductID": "envelope",
                "Metastore": "memory",
                "KMS": "static",
                "StaticMasterKeyHex": os.urandom(32).hex(),
            }
        )
        session = self._factory.get_session("partition")
        self.encrypt = session.encrypt_bytes
        self.decrypt = session.decrypt_bytes
