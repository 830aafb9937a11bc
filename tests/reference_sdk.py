"""aws-encryption-sdk 4, the reference implementation, with the same keys as our keyrings.

It takes keys in two ways: master key providers, which it has had from its beginning, and the keyrings of its material
providers library (MPL), generated from verified Dafny.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from aws_cryptographic_material_providers.mpl import AwsCryptographicMaterialProviders
from aws_cryptographic_material_providers.mpl.config import MaterialProvidersConfig
from aws_cryptographic_material_providers.mpl.models import (
    AesWrappingAlg,
    CreateDefaultCryptographicMaterialsManagerInput,
    CreateMultiKeyringInput,
    CreateRawAesKeyringInput,
    CreateRawRsaKeyringInput,
    CreateRequiredEncryptionContextCMMInput,
    PaddingScheme,
)
from aws_encryption_sdk import CommitmentPolicy as TheirPolicy
from aws_encryption_sdk import EncryptionSDKClient
from aws_encryption_sdk.identifiers import AlgorithmSuite, EncryptionKeyType, WrappingAlgorithm
from aws_encryption_sdk.internal.crypto.wrapping_keys import WrappingKey
from aws_encryption_sdk.key_providers.raw import RawMasterKeyProvider
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from envelope import (
    Client,
    CommitmentPolicy,
    Keyring,
    MultiKeyring,
    RawAesKeyring,
    RawRsaKeyring,
    RsaPadding,
    Suite,
)

NAMESPACE = "interoperability"


@dataclass(frozen=True, slots=True)
class AesKey:
    """A wrapping key of 16, 24 or 32 bytes, as all three kinds of keys."""

    name: str
    material: bytes = field(repr=False)

    def ours(self) -> Keyring:
        return RawAesKeyring(NAMESPACE, self.name, self.material)

    def wrapping_key(self) -> WrappingKey:
        algorithm = WrappingAlgorithm[f"AES_{len(self.material) * 8}_GCM_IV12_TAG16_NO_PADDING"]
        return WrappingKey(algorithm, self.material, EncryptionKeyType.SYMMETRIC)

    def their_keyring(self) -> Any:
        algorithm = f"ALG_AES{len(self.material) * 8}_GCM_IV12_TAG16"
        return mpl().create_raw_aes_keyring(
            CreateRawAesKeyringInput(
                key_namespace=NAMESPACE,
                key_name=self.name,
                wrapping_key=self.material,
                wrapping_alg=getattr(AesWrappingAlg, algorithm),
            )
        )


@dataclass(frozen=True, slots=True)
class RsaKey:
    """An RSA key of 2,048 bits with one padding, as all three kinds of keys."""

    name: str
    padding: RsaPadding

    def ours(self) -> Keyring:
        return RawRsaKeyring(NAMESPACE, self.name, private_key=private_pem(), padding=self.padding)

    def ours_to_encrypt(self) -> Keyring:
        return RawRsaKeyring(NAMESPACE, self.name, public_key=public_pem(), padding=self.padding)

    def wrapping_key(self) -> WrappingKey:
        algorithm = WrappingAlgorithm[f"RSA_{self._their_padding()}"]
        return WrappingKey(algorithm, private_pem(), EncryptionKeyType.PRIVATE)

    def their_keyring(self) -> Any:
        return mpl().create_raw_rsa_keyring(
            CreateRawRsaKeyringInput(
                key_namespace=NAMESPACE,
                key_name=self.name,
                padding_scheme=getattr(PaddingScheme, self._their_padding()),
                public_key=public_pem(),
                private_key=private_pem(),
            )
        )

    def _their_padding(self) -> str:
        return {RsaPadding.PKCS1: "PKCS1"}.get(self.padding, f"{self.padding.name}_MGF1")


Key = AesKey | RsaKey

# One name is the beginning of another: a raw AES keyring finds its name where longer ones begin.
AES_KEYS = tuple(AesKey(name, bytes([fill]) * 32) for fill, name in enumerate(("key", "key 2", "clé", "鍵"), 1))


class TheirMasterKeys(RawMasterKeyProvider):
    """Their master key provider for some of our keys; the first one makes the data keys."""

    provider_id = NAMESPACE

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self.keys: Mapping[str, Key] = {}

    def _get_raw_key(self, key_id: bytes) -> WrappingKey:
        return self.keys[key_id.decode()].wrapping_key()


def their_master_keys(keys: Sequence[Key]) -> TheirMasterKeys:
    provider = TheirMasterKeys()
    provider.keys = {key.name: key for key in keys}
    for key in keys:
        provider.add_master_key(key.name)
    return provider


def their_keyring(keys: Sequence[Key]) -> Any:
    """Their multi-keyring: the first key generates, the others are children."""
    generator, *children = (key.their_keyring() for key in keys)
    return mpl().create_multi_keyring(CreateMultiKeyringInput(generator=generator, child_keyrings=children))


def their_required_context(keyring: Any, names: Sequence[str]) -> Any:
    """Their materials manager that authenticates these pairs and does not store them."""
    manager = mpl().create_default_cryptographic_materials_manager(
        CreateDefaultCryptographicMaterialsManagerInput(keyring=keyring)
    )
    return mpl().create_required_encryption_context_cmm(
        CreateRequiredEncryptionContextCMMInput(underlying_cmm=manager, required_encryption_context_keys=list(names))
    )


KINDS_OF_KEYS: Mapping[str, tuple[str, Callable[[Sequence[Key]], Any]]] = {
    "master keys": ("key_provider", their_master_keys),
    "keyring": ("keyring", their_keyring),
}
"""Two ways to give keys to their client: the name of the argument, and what makes its value."""


def our_keyring(keys: Sequence[Key]) -> Keyring:
    generator, *children = (key.ours() for key in keys)
    return MultiKeyring(generator, children)


def their_client(suite: Suite) -> EncryptionSDKClient:
    """Their client with the policy that writes and opens this suite."""
    return EncryptionSDKClient(commitment_policy=TheirPolicy[policy_for(suite).name])


def our_client(suite: Suite, keyring: Keyring) -> Client:
    """Our client with the same policy."""
    return Client(keyring, commitment_policy=policy_for(suite))


def policy_for(suite: Suite) -> CommitmentPolicy:
    policies = {
        1: CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT,
        2: CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT,
    }
    return policies[suite.message_version]


def their_suite(suite: Suite) -> AlgorithmSuite:
    return AlgorithmSuite.get_by_id(suite.value)


def plaintext_of(size: int) -> bytes:
    return bytes(itertools.islice(itertools.cycle(range(251)), size))


@cache
def mpl() -> AwsCryptographicMaterialProviders:
    return AwsCryptographicMaterialProviders(config=MaterialProvidersConfig())


@cache
def _private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


@cache
def private_pem() -> bytes:
    return _private_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@cache
def public_pem() -> bytes:
    return _private_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
