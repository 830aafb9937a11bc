"""Raw RSA keyring: keys, paddings, and what neither is."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from envelope import (
    Client,
    InvalidArgument,
    KeyUnavailable,
    NotAuthentic,
    RawRsaKeyring,
    RsaPadding,
    Suite,
    UnwrapFailed,
    describe,
)
from tests.crafted_messages import Crafted, Key
from tests.keyrings_for_tests import raw_aes

PRIVATE = rsa.generate_private_key(65_537, 2_048)
OTHER = rsa.generate_private_key(65_537, 2_048)
SHORT = rsa.generate_private_key(65_537, 1_024)  # noqa: S505 - what old systems still have
EC = ec.generate_private_key(ec.SECP256R1())


def _private_pem(
    key: Any, form: PrivateFormat = PrivateFormat.PKCS8, encryption: KeySerializationEncryption | None = None
) -> bytes:
    pem: bytes = key.private_bytes(Encoding.PEM, form, encryption or NoEncryption())
    return pem


def _public_pem(key: Any, form: PublicFormat = PublicFormat.SubjectPublicKeyInfo) -> bytes:
    pem: bytes = key.public_key().public_bytes(Encoding.PEM, form)
    return pem


def _keyring(**options: Any) -> RawRsaKeyring:
    return RawRsaKeyring("tests", "rsa", **options)


HASHES: dict[RsaPadding, HashAlgorithm | None] = {
    RsaPadding.PKCS1: None,
    RsaPadding.OAEP_SHA1: SHA1(),  # noqa: S303 - as the format has it
    RsaPadding.OAEP_SHA256: SHA256(),
    RsaPadding.OAEP_SHA384: SHA384(),
    RsaPadding.OAEP_SHA512: SHA512(),
}


def _pyca_padding(chosen: RsaPadding) -> padding.AsymmetricPadding:
    algorithm = HASHES[chosen]
    if algorithm is None:
        return padding.PKCS1v15()
    return padding.OAEP(padding.MGF1(algorithm), algorithm, None)


@pytest.mark.parametrize("chosen", RsaPadding)
def test_every_padding_wraps_and_unwraps_as_others_do(chosen: RsaPadding) -> None:
    client = Client(_keyring(private_key=PRIVATE, padding=chosen))
    message = client.encrypt(b"plaintext", {"a": "b"})
    opened = client.decrypt_message(message)
    assert opened.plaintext == b"plaintext"
    assert opened.unwrapped_by.keyring == "RawRsaKeyring('tests', 'rsa')"
    assert (opened.unwrapped_by.provider_id, opened.unwrapped_by.key_name) == ("tests", "rsa")
    (key,) = describe(message).encrypted_data_keys
    assert (key.provider_id, key.provider_info, len(key.ciphertext)) == ("tests", b"rsa", 256)
    assert len(PRIVATE.decrypt(key.ciphertext, _pyca_padding(chosen))) == 32

    crafted = Crafted()
    ciphertext = PRIVATE.public_key().encrypt(crafted.data_key, _pyca_padding(chosen))
    message = Crafted(keys=(Key(b"tests", b"rsa", ciphertext),)).serialize()
    assert client.decrypt(message) == crafted.plaintext


# PKCS #1 v1.5 makes random bytes of a wrong padding. Once in some hundred times they are as many as a data key has;
# then it is the commitment that refuses them.
WRONG_PADDING = (KeyUnavailable, NotAuthentic)


@pytest.mark.parametrize("chosen", RsaPadding)
def test_another_padding_does_not_unwrap(chosen: RsaPadding) -> None:
    message = Client(_keyring(private_key=PRIVATE, padding=chosen)).encrypt(b"x")
    for other in RsaPadding:
        if other is not chosen:
            with pytest.raises(WRONG_PADDING):
                Client(_keyring(private_key=PRIVATE, padding=other)).decrypt(message)


def test_the_default_padding_is_oaep_with_sha256() -> None:
    message = Client(_keyring(private_key=PRIVATE)).encrypt(b"x")
    assert Client(_keyring(private_key=PRIVATE, padding=RsaPadding.OAEP_SHA256)).decrypt(message) == b"x"


PAIRS: dict[str, dict[str, Any]] = {
    "key objects": {"public_key": PRIVATE.public_key(), "private_key": PRIVATE},
    "PEM": {"public_key": _public_pem(PRIVATE), "private_key": _private_pem(PRIVATE)},
    "PKCS #1": {
        "public_key": _public_pem(PRIVATE, PublicFormat.PKCS1),
        "private_key": _private_pem(PRIVATE, PrivateFormat.TraditionalOpenSSL),
    },
    "private PEM alone": {"private_key": _private_pem(PRIVATE)},
    "private object alone": {"private_key": PRIVATE},
    "one of each": {"public_key": PRIVATE.public_key(), "private_key": _private_pem(PRIVATE)},
}


@pytest.mark.parametrize("name", PAIRS)
def test_keys_come_as_pem_or_as_objects(name: str) -> None:
    client = Client(_keyring(**PAIRS[name]))
    message = client.encrypt(b"plaintext")
    assert client.decrypt(message) == Client(_keyring(private_key=PRIVATE)).decrypt(message) == b"plaintext"


@pytest.mark.parametrize("public_key", [PRIVATE.public_key(), _public_pem(PRIVATE)])
def test_a_public_key_alone_encrypts_only(public_key: Any) -> None:
    writer = Client(_keyring(public_key=public_key))
    message = writer.encrypt(b"plaintext")
    with pytest.raises(KeyUnavailable) as caught:
        writer.decrypt(message)
    (cause,) = caught.value.errors
    assert isinstance(cause, UnwrapFailed)
    assert "no private key" in str(cause)
    assert Client(_keyring(private_key=PRIVATE)).decrypt(message) == b"plaintext"


def test_a_short_key_only_decrypts() -> None:
    keyring = _keyring(private_key=SHORT)
    ciphertext = SHORT.public_key().encrypt(Crafted().data_key, _pyca_padding(RsaPadding.OAEP_SHA256))
    message = Crafted(keys=(Key(b"tests", b"rsa", ciphertext),)).serialize()
    assert Client(keyring).decrypt(message) == Crafted().plaintext
    with pytest.raises(InvalidArgument, match="less than 2,048 bits"):
        Client(keyring).encrypt(b"x")


WRONG_KEYS: dict[str, tuple[dict[str, Any], str]] = {
    "none": ({}, "needs a public_key"),
    "no pair": ({"public_key": OTHER.public_key(), "private_key": PRIVATE}, "not a pair"),
    "an EC key in PEM": ({"private_key": _private_pem(EC)}, "not of RSA"),
    "a public EC key in PEM": ({"public_key": _public_pem(EC)}, "not of RSA"),
    "an EC key": ({"private_key": EC}, "must be PEM bytes or an RSA private key"),
    "a public EC key": ({"public_key": EC.public_key()}, "must be PEM bytes or an RSA public key"),
    "PEM under a passphrase": (
        {"private_key": _private_pem(PRIVATE, encryption=BestAvailableEncryption(b"passphrase"))}, "passphrase"
    ),
    "traditional PEM under a passphrase": (
        {"private_key": _private_pem(PRIVATE, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"x"))},
        "passphrase",
    ),
    "garbage for private": ({"private_key": b"garbage"}, "private_key is not a private key in PEM"),
    "garbage for public": ({"public_key": b"garbage"}, "public_key is not a public key in PEM"),
    "nothing for private": ({"private_key": b""}, "private_key is not"),
    "nothing for public": ({"public_key": b""}, "public_key is not"),
    "public for private": ({"private_key": _public_pem(PRIVATE)}, "private_key is not"),
    "private for public": ({"public_key": _private_pem(PRIVATE)}, "public_key is not"),
    "a private object for public": ({"public_key": PRIVATE}, "public_key must be"),
    "a public object for private": ({"private_key": PRIVATE.public_key()}, "private_key must be"),
    "text for private": ({"private_key": _private_pem(PRIVATE).decode()}, "private_key must be"),
    "text for public": ({"public_key": _public_pem(PRIVATE).decode()}, "public_key must be"),
    "a number": ({"public_key": 1}, "public_key must be"),
    "a damaged PEM": ({"private_key": _private_pem(PRIVATE)[:-100]}, "private_key is"),
    "a padding by its name": ({"private_key": PRIVATE, "padding": "sha256"}, "padding must be an envelope.RsaPadding"),
    "no padding": ({"private_key": PRIVATE, "padding": None}, "padding must be an envelope.RsaPadding"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_KEYS)
def test_what_is_no_rsa_key_is_refused(name: str) -> None:
    options, text = WRONG_KEYS[name]
    with pytest.raises(InvalidArgument, match=text):
        _keyring(**options)


@pytest.mark.parametrize(
    ("namespace", "key_name"), [("", "rsa"), ("tests", ""), ("aws-kms", "rsa"), (1, "rsa"), ("tests", b"")]
)
def test_names_are_checked(namespace: Any, key_name: Any) -> None:
    with pytest.raises(InvalidArgument):
        RawRsaKeyring(namespace, key_name, private_key=PRIVATE)


GOOD = PRIVATE.public_key().encrypt(Crafted().data_key, _pyca_padding(RsaPadding.OAEP_SHA256))
SHORT_DATA_KEY = PRIVATE.public_key().encrypt(bytes(16), _pyca_padding(RsaPadding.OAEP_SHA256))


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (Key(b"other", b"rsa", GOOD), "another key, other:rsa"),
        (Key(b"tests", b"rsa2", GOOD), "another key, tests:rsa2"),
        (Key(b"tests", b"rs", GOOD), "another key, tests:rs"),
        (Key(b"tests", b"", GOOD), "another key, tests:"),
        (Key(b"tests", b"rsa", b""), "does not decrypt"),
        (Key(b"tests", b"rsa", GOOD[:-1]), "does not decrypt"),
        (Key(b"tests", b"rsa", GOOD + b"\0"), "does not decrypt"),
        (Key(b"tests", b"rsa", bytes(256)), "does not decrypt"),
        (Key(b"tests", b"rsa", b"\xff" * 256), "does not decrypt"),
        (Key(b"tests", b"rsa", SHORT_DATA_KEY), "not a data key of the suite's length"),
    ],
)
def test_an_encrypted_data_key_that_is_not_ours_says_why_and_the_next_is_tried(key: Key, text: str) -> None:
    client = Client(_keyring(private_key=PRIVATE))
    with pytest.raises(KeyUnavailable) as caught:
        client.decrypt(Crafted(keys=(key,)).serialize())
    (cause,) = caught.value.errors
    assert text in str(cause)
    good = Key(b"tests", b"rsa", GOOD)
    assert client.decrypt(Crafted(keys=(key, good)).serialize()) == Crafted().plaintext


@pytest.mark.parametrize("position", [0, 100, 255])
def test_pkcs1_failures_cannot_be_told_apart_from_wrong_keys(position: int) -> None:
    """A wrong padding gives random bytes: of another length almost always, and never an error of its own."""
    ciphertext = bytearray(PRIVATE.public_key().encrypt(Crafted().data_key, padding.PKCS1v15()))
    ciphertext[position] ^= 1
    message = Crafted(keys=(Key(b"tests", b"rsa", bytes(ciphertext)),)).serialize()
    with pytest.raises(WRONG_PADDING) as caught:
        Client(_keyring(private_key=PRIVATE, padding=RsaPadding.PKCS1)).decrypt(message)
    assert "padding" not in str(getattr(caught.value, "errors", caught.value))


def test_rsa_binds_no_context_but_the_message_does() -> None:
    client = Client(_keyring(private_key=PRIVATE))
    message = client.encrypt(b"plaintext", {"tenant": "42"})
    changed = message.replace(b"\0\x0242", b"\0\x0243")
    assert changed != message
    with pytest.raises(NotAuthentic, match="header"):
        client.decrypt(changed)


def test_a_keyring_of_another_kind_under_the_same_name_opens_nothing() -> None:
    message = Client(_keyring(public_key=PRIVATE.public_key())).encrypt(b"x", suite=Suite(0x0478))
    with pytest.raises(KeyUnavailable):
        Client(raw_aes("rsa")).decrypt(message)
