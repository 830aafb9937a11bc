"""The published vectors in tests/vectors/: messages of other implementations and what opens them.

tests/vectors/README.md says where they come from.
"""

from __future__ import annotations

import json
import zipfile
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from envelope import EncryptionContext, Keyring, MultiKeyring, RawAesKeyring, RawRsaKeyring, RsaPadding, Suite
from tests.fake_keyrings import GivenDataKey

VECTORS = Path(__file__).parent / "vectors"
SUITES = {suite.value: suite for suite in Suite}
RSA_PADDINGS = {
    ("pkcs1", "sha1"): RsaPadding.PKCS1,
    ("oaep-mgf1", "sha1"): RsaPadding.OAEP_SHA1,
    ("oaep-mgf1", "sha256"): RsaPadding.OAEP_SHA256,
    ("oaep-mgf1", "sha384"): RsaPadding.OAEP_SHA384,
    ("oaep-mgf1", "sha512"): RsaPadding.OAEP_SHA512,
}


@dataclass(frozen=True, slots=True)
class PublishedMessage:
    """A message of another implementation.

    Attributes:
        name: the file and the publisher's own name for it.
        kind: what opens it, in the publisher's words.
    """

    name: str
    kind: str
    suite: Suite
    message: bytes = field(repr=False)
    plaintext: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class OpenableMessage:
    """A message of another implementation that must open.

    Attributes:
        given_context: the pairs that the reader brings; the message does not store all of them.
    """

    published: PublishedMessage
    keyring: Keyring
    given_context: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CommitmentAnswer:
    """One known answer for a committing suite.

    Attributes:
        content_key: None where it was not published.
        plaintext: None where the message must be refused.
    """

    name: str
    message: bytes = field(repr=False)
    header: bytes = field(repr=False)
    message_id: bytes
    data_key: bytes
    content_key: bytes | None
    commitment: bytes
    encryption_context: Mapping[str, str]
    plaintext: bytes | None

    @property
    def suite(self) -> Suite:
        return SUITES[int.from_bytes(self.message[1:3], "big")]


def load(name: str) -> Any:
    """The content of a JSON file in tests/vectors/."""
    return json.loads((VECTORS / name).read_bytes())


def load_zipped(archive: str, name: str) -> Any:
    """The content of a JSON file in a zip file in tests/vectors/."""
    with zipfile.ZipFile(VECTORS / archive) as files:
        return json.loads(files.read(name))


@cache
def pending_names() -> Mapping[str, Mapping[str, list[str]]]:
    """The vectors whose keyring does not exist yet: file, kind, names."""
    pending: dict[str, dict[str, list[str]]] = load("pending.json")
    return pending


# --- decrypt.zip ----------------------------------------------------------------------------------


@cache
def decrypt_scenarios() -> Mapping[str, Mapping[str, Any]]:
    """Every scenario of decrypt.zip by the name of its message."""
    tests = load_zipped("decrypt.zip", "manifest.json")["tests"]
    return {name: test["decryption-scenario"] for name, test in tests.items()}


@cache
def decrypt_messages() -> tuple[PublishedMessage, ...]:
    """All messages of decrypt.zip."""
    with zipfile.ZipFile(VECTORS / "decrypt.zip") as files:
        return tuple(
            PublishedMessage(
                f"decrypt.zip {name}",
                scenario["decryptKeyDescription"]["type"],
                SUITES[int(scenario["algorithmSuiteId"], 16)],
                files.read(scenario["ciphertext"].removeprefix("file://")),
                files.read(scenario["result"].removeprefix("file://")),
            )
            for name, scenario in decrypt_scenarios().items()
        )


def openable_decrypt_messages() -> list[OpenableMessage]:
    """The messages of decrypt.zip that are not listed as pending."""
    pending = {name for names in pending_names()["decrypt.zip"].values() for name in names}
    return [
        OpenableMessage(
            published,
            keyring_of(scenario["decryptKeyDescription"]),
            scenario["reproduced-encryption-context"],
        )
        for published, (name, scenario) in zip(decrypt_messages(), decrypt_scenarios().items(), strict=True)
        if name not in pending
    ]


def keyring_of(description: Mapping[str, Any]) -> Keyring:
    """The keyring of a key description; KeyError for a kind that is still to be written."""
    makers = {
        "raw": _raw_keyring,
        "multi-keyring": _multi_keyring,
        # Required pairs are those that the reader brings; the public API needs no keyring for that.
        "required-encryption-context-cmm": lambda described: keyring_of(described["underlying"]),
    }
    return makers[description["type"]](description)


def _multi_keyring(description: Mapping[str, Any]) -> Keyring:
    children = [keyring_of(child) for child in description["childKeyrings"]]
    return MultiKeyring(keyring_of(description["generator"]), children)


def _raw_keyring(description: Mapping[str, Any]) -> Keyring:
    makers = {"aes": _raw_aes_keyring, "rsa": _raw_rsa_keyring}
    return makers[description["encryption-algorithm"]](description)


def _raw_aes_keyring(description: Mapping[str, Any]) -> Keyring:
    key = _keys()[description["key"]]
    return RawAesKeyring(description["provider-id"], key["key-id"], b64decode(key["material"]))


def _raw_rsa_keyring(description: Mapping[str, Any]) -> Keyring:
    padding = RSA_PADDINGS[description["padding-algorithm"], description["padding-hash"]]
    key = _keys()[description["key"]]
    return RawRsaKeyring(
        description["provider-id"], key["key-id"], private_key=_private_key(key["material"]), padding=padding
    )


@cache
def _keys() -> Mapping[str, Any]:
    keys: Mapping[str, Any] = load_zipped("decrypt.zip", "keys.json")["keys"]
    return keys


@cache
def _private_key(pem: str) -> RSAPrivateKey:
    key = load_pem_private_key(pem.encode(), password=None)
    assert isinstance(key, RSAPrivateKey)
    return key


# --- commitment.json ------------------------------------------------------------------------------


@cache
def commitment_answers() -> tuple[CommitmentAnswer, ...]:
    """All known answers of commitment.json."""
    return tuple(
        CommitmentAnswer(
            test["comment"],
            b64decode(test["ciphertext"]),
            b64decode(test["header"]),
            b64decode(test["message-id"]),
            b64decode(test["decrypted-dek"]),
            b64decode(test["content-encryption-key"]) if "content-encryption-key" in test else None,
            b64decode(test["commitment"]),
            test["encryption-context"],
            "".join(test["plaintext-frames"]).encode() if test["status"] else None,
        )
        for test in load("commitment.json")["tests"]
    )


def committed_messages() -> list[OpenableMessage]:
    """The known answers that must open, each with a keyring that hands out its data key."""
    return [
        OpenableMessage(
            PublishedMessage(
                f"commitment.json {answer.name}", "data key", answer.suite, answer.message, answer.plaintext
            ),
            GivenDataKey(answer.data_key),
            EncryptionContext(answer.encryption_context),
        )
        for answer in commitment_answers()
        if answer.plaintext is not None
    ]


# --- zero_key_messages.json -----------------------------------------------------------------------


def zero_key_messages() -> list[OpenableMessage]:
    """All messages of zero_key_messages.json, each with a keyring that hands out zeros."""
    messages = []
    for test in load("zero_key_messages.json")["tests"]:
        suite = Suite[test["alg"].removeprefix("ALG_").removesuffix("_NO_KDF").replace("AES", "AES_", 1)]
        published = PublishedMessage(
            f"zero_key_messages.json {test['name']}",
            "data key",
            suite,
            b64decode(test["ciphertext"]),
            b64decode(test["plaintext"]),
        )
        messages.append(OpenableMessage(published, GivenDataKey(bytes(suite.data_key_bytes)), {}))
    return messages


# --- together -------------------------------------------------------------------------------------


@cache
def openable_messages() -> tuple[OpenableMessage, ...]:
    """Every published message that must open."""
    return (*openable_decrypt_messages(), *committed_messages(), *zero_key_messages())


@cache
def all_messages() -> tuple[PublishedMessage, ...]:
    """Every published message with a plaintext, whether there is a keyring for it or not."""
    opened_by_data_key = (*committed_messages(), *zero_key_messages())
    return (*decrypt_messages(), *(openable.published for openable in opened_by_data_key))
