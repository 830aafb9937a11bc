"""Signed messages: the public key in the context, the signature in the footer, and who may leave either out."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    Prehashed,
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from envelope import (
    ContextMismatch,
    EnvelopeError,
    InvalidArgument,
    MalformedMessage,
    NotAuthentic,
    Suite,
    TruncatedMessage,
    describe,
)
from tests.crafted_messages import FACTS, PUBLIC_KEY, Crafted, message_of, pairs, public_key_text, signed_message, u16
from tests.keyrings_for_tests import (
    ALL_SUITES,
    SIGNED_SUITES,
    UNSIGNED_SUITES,
    FixedKeyring,
    open_client,
    writing_client,
)

GROUP_ORDERS = {
    "secp256r1": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "secp384r1": 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
}

each_signed_suite = pytest.mark.parametrize("suite_id", SIGNED_SUITES, ids=lambda suite_id: f"{suite_id:04x}")


def _read(message: bytes, *, early: bool) -> bytes:
    with open_client().decrypting_reader(io.BytesIO(message), release_plaintext_before_signature=early) as reader:
        return reader.read()


def _ways_to_open(message: bytes) -> list[Callable[[], Any]]:
    client = open_client()
    return [
        lambda: client.decrypt(message),
        lambda: _read(message, early=False),
        lambda: _read(message, early=True),
        lambda: client.decrypt_stream(io.BytesIO(message), io.BytesIO()),
    ]


def _refused(message: bytes, error: type[EnvelopeError], text: str = "") -> None:
    for attempt in _ways_to_open(message):
        with pytest.raises(error, match=text or None):
            attempt()


@each_signed_suite
def test_a_signed_message_without_its_public_key_is_malformed(suite_id: int) -> None:
    _refused(signed_message(suite_id, context=b"").serialize(), MalformedMessage, "must store its public key")


@pytest.mark.parametrize("suite_id", UNSIGNED_SUITES)
def test_an_unsigned_message_with_a_public_key_is_malformed(suite_id: int) -> None:
    """Whoever has the data key and strips the signature leaves the pair behind, or changes the context."""
    key = ec.generate_private_key(ec.SECP384R1())
    crafted = Crafted(suite_id=suite_id, context=pairs((PUBLIC_KEY, public_key_text(key))))
    _refused(crafted.serialize(), MalformedMessage, "unsigned one must not")


def _encoded(key: ec.EllipticCurvePrivateKey, form: PublicFormat) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, form)


P256 = ec.generate_private_key(ec.SECP256R1())
P384 = ec.generate_private_key(ec.SECP384R1())
P384_POINT = _encoded(P384, PublicFormat.CompressedPoint)
UNCOMPRESSED = _encoded(P384, PublicFormat.UncompressedPoint)
BAD_PUBLIC_KEYS = {
    "another curve": base64.b64encode(_encoded(P256, PublicFormat.CompressedPoint)),
    "uncompressed": base64.b64encode(UNCOMPRESSED),
    "hybrid form": base64.b64encode(bytes([6 + (UNCOMPRESSED[-1] & 1)]) + UNCOMPRESSED[1:]),
    "infinity": base64.b64encode(b"\0"),
    "a prefix of its own": base64.b64encode(b"\x04" + P384_POINT[1:]),
    "a byte too long": base64.b64encode(P384_POINT + b"\0"),
    "a byte too short": base64.b64encode(P384_POINT[:-1]),
    "not on the curve": base64.b64encode(b"\x02" + bytes(47) + b"\x01"),
    "above the field": base64.b64encode(b"\x02" + b"\xff" * 48),
    "no base64": b"*" * 68,
    "base64 in lines": base64.encodebytes(P384_POINT),
    "base64 between blanks": b" " + base64.b64encode(P384_POINT),
    "base64 of another alphabet": base64.urlsafe_b64encode(b"\x02" + b"\xfb\xff\xfe" * 16),
    "text beyond ASCII": "é".encode() * 34,
    "empty": b"",
}


@pytest.mark.parametrize("name", BAD_PUBLIC_KEYS)
def test_a_bad_public_key_is_malformed(name: str) -> None:
    context = pairs((PUBLIC_KEY, BAD_PUBLIC_KEYS[name]))
    _refused(signed_message(context=context).serialize(), MalformedMessage, "bad public key")


def test_a_point_of_the_other_curve_is_refused_on_p256_too() -> None:
    context = pairs((PUBLIC_KEY, base64.b64encode(P384_POINT)))
    _refused(signed_message(0x0214, context=context).serialize(), MalformedMessage, "bad public key")


def _der_of_length(crafted: Crafted, wanted: int) -> bytes:
    """A message whose DER signature has this length: signed again until it comes out so."""
    signed = crafted.header() + crafted.body()
    while True:
        footer = crafted.sign(signed)
        if len(footer) == 2 + wanted:
            return signed + footer


@pytest.mark.parametrize(
    ("suite_id", "lengths"), [(0x0214, (70, 71, 72)), (0x0378, (102, 103, 104)), (0x0578, (102, 104))]
)
def test_a_der_signature_of_any_length_is_accepted(suite_id: int, lengths: tuple[int, ...]) -> None:
    crafted = signed_message(suite_id)
    for length in lengths:
        message = _der_of_length(crafted, length)
        assert open_client().decrypt(message) == crafted.plaintext
        assert describe(message).footer_bytes == 2 + length
        for attempt in _ways_to_open(message):
            attempt()


@each_signed_suite
def test_the_other_half_of_a_signature_is_valid_too(suite_id: int) -> None:
    """With (r, s) also (r, n - s) is a signature: readers take both."""
    crafted = signed_message(suite_id)
    signed = crafted.header() + crafted.body()
    r, s = decode_dss_signature(crafted.sign(signed)[2:])
    assert crafted.signing_key is not None
    other = encode_dss_signature(r, GROUP_ORDERS[crafted.signing_key.curve.name] - s)
    assert open_client().decrypt(signed + u16(len(other)) + other) == crafted.plaintext


@each_signed_suite
def test_the_signature_covers_header_and_body_under_the_hash_of_the_suite(suite_id: int) -> None:
    """Verified by pyca/cryptography alone, over the bytes as they stand in the message."""
    keyring = FixedKeyring()
    message = writing_client(suite_id, keyring).encrypt(
        b"x" * 20, {"a": "b"}, suite=Suite(suite_id), frame_length_bytes=8
    )
    said = describe(message)
    facts = FACTS[suite_id]
    assert facts.curve is not None
    assert facts.signature_hash is not None
    point = base64.b64decode(said.encryption_context[PUBLIC_KEY])
    signature = message[-said.footer_bytes + 2 :]
    public_key = ec.EllipticCurvePublicKey.from_encoded_point(facts.curve(), point)
    public_key.verify(signature, message[: -said.footer_bytes], ec.ECDSA(facts.signature_hash()))
    assert keyring.wraps[0].encryption_context == {"a": "b", PUBLIC_KEY: said.encryption_context[PUBLIC_KEY]}


def test_every_signed_message_has_its_own_key_pair() -> None:
    client = open_client()
    suite = Suite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384
    public_keys = {describe(client.encrypt(b"x", suite=suite)).encryption_context[PUBLIC_KEY] for _ in range(20)}
    assert len(public_keys) == 20


@each_signed_suite
def test_a_message_without_its_footer_is_truncated(suite_id: int) -> None:
    message = signed_message(suite_id, footer=b"").serialize()
    _refused(message, TruncatedMessage)
    _refused(message + b"\0", TruncatedMessage)


@each_signed_suite
def test_a_signature_by_another_key_is_not_authentic(suite_id: int) -> None:
    crafted = signed_message(suite_id)
    curve = FACTS[suite_id].curve
    assert curve is not None
    forged = replace(crafted, signing_key=ec.generate_private_key(curve()))
    _refused(forged.serialize(), NotAuthentic, "signature of the message does not fit")


def test_a_footer_of_another_message_is_not_authentic() -> None:
    crafted = signed_message()
    assert crafted.signing_key is not None
    other = replace(crafted, plaintext=b"three frames of 9 bytes!")
    footer = other.sign(other.header() + other.body())
    _refused(replace(crafted, footer=footer).serialize(), NotAuthentic, "signature")


def test_a_signature_under_another_hash_is_not_authentic() -> None:
    crafted = signed_message()
    assert crafted.signing_key is not None
    digest = hashes.Hash(hashes.SHA256())
    digest.update(crafted.header() + crafted.body())
    signature = crafted.signing_key.sign(digest.finalize(), ec.ECDSA(Prehashed(hashes.SHA256())))
    _refused(replace(crafted, footer=u16(len(signature)) + signature).serialize(), NotAuthentic, "signature")


@pytest.mark.parametrize("size", [0, 121, 65_535])
def test_a_footer_of_an_impossible_length_is_malformed(size: int) -> None:
    message = signed_message(footer=u16(size) + bytes(size)).serialize()
    _refused(message, MalformedMessage, f"signature of {size:,} bytes|signature of {size} bytes")
    with pytest.raises(MalformedMessage):
        describe(message)


@pytest.mark.parametrize("signature", [b"\0", b"\x30\x06\x02\x01\x00\x02\x01\x00", bytes(103), b"\x30" * 120])
def test_a_signature_that_is_none_is_not_authentic(signature: bytes) -> None:
    _refused(signed_message(footer=u16(len(signature)) + signature).serialize(), NotAuthentic, "signature")


def test_a_body_changed_by_somebody_who_has_the_data_key_is_not_authentic() -> None:
    crafted = signed_message()
    signed = crafted.header() + crafted.body()
    changed = replace(crafted, plaintext=b"forged by a reader......", footer=crafted.sign(signed))
    _refused(changed.serialize(), NotAuthentic, "signature")


@pytest.mark.parametrize("suite_id", ALL_SUITES)
def test_reserved_names_cannot_be_given_to_encrypt(suite_id: int) -> None:
    keyring = FixedKeyring()
    client = writing_client(suite_id, keyring)
    for name in (PUBLIC_KEY, "aws-crypto-", "aws-crypto-ec:tenant"):
        with pytest.raises(InvalidArgument, match="reserved"):
            client.encrypt(b"x", {name: "value"}, suite=Suite(suite_id))
        with pytest.raises(InvalidArgument, match="reserved"):
            client.encrypting_writer(io.BytesIO(), {"a": "b", name: "value"}, suite=Suite(suite_id))
    assert keyring.wraps == []
    assert client.encrypt(b"x", {"aws-crypto": "allowed", "AWS-CRYPTO-": "allowed"}, suite=Suite(suite_id))


def test_the_whole_stored_context_can_be_given_to_decrypt() -> None:
    crafted = signed_message()
    message = crafted.serialize()
    client = open_client()
    stored = describe(message).encryption_context
    assert client.decrypt(message, stored) == client.decrypt(message, dict(stored)) == crafted.plaintext
    with pytest.raises(ContextMismatch, match=PUBLIC_KEY):
        client.decrypt(message, {PUBLIC_KEY: public_key_text(P384)})


def test_a_reserved_name_that_is_not_stored_cannot_be_given_to_decrypt() -> None:
    message = message_of(0x0478).serialize()
    keyring = FixedKeyring()
    for name in (PUBLIC_KEY, "aws-crypto-other"):
        with pytest.raises(ContextMismatch, match="does not store"):
            open_client(keyring).decrypt(message, {name: "value"})
    assert keyring.unwraps == []
