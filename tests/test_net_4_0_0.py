"""Messages of ESDK .NET 4.0.0, whose headers no other version writes.

In every suite it authenticated two zero bytes for the pairs that a message does not store, although there are
none. In the suites of version 1 with HKDF it also left the message id out of the derivation. The writer here is
independent of the library.
"""

from __future__ import annotations

import base64
import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from envelope import Client, CommitmentPolicy, MessageRefused, NotAuthentic, describe
from tests.fake_keyrings import GivenDataKey
from tests.file_objects_for_tests import StreamedFile

SHA256, SHA384, SHA512 = hashes.SHA256(), hashes.SHA384(), hashes.SHA512()


@dataclass(frozen=True)
class Facts:
    """What the specification says of a suite."""

    suite_id: int
    key_bytes: int
    kdf_hash: hashes.HashAlgorithm | None = None
    signature: tuple[ec.EllipticCurve, hashes.HashAlgorithm] | None = None
    version: int = 1

    @property
    def id_bytes(self) -> bytes:
        return struct.pack(">H", self.suite_id)


PLAIN = [Facts(0x0014, 16), Facts(0x0046, 24), Facts(0x0078, 32)]
HKDF_SUITES = [
    Facts(0x0114, 16, SHA256),
    Facts(0x0146, 24, SHA256),
    Facts(0x0178, 32, SHA256),
    Facts(0x0214, 16, SHA256, (ec.SECP256R1(), SHA256)),
    Facts(0x0346, 24, SHA384, (ec.SECP384R1(), SHA384)),
    Facts(0x0378, 32, SHA384, (ec.SECP384R1(), SHA384)),
]
COMMITTING = [
    Facts(0x0478, 32, SHA512, None, 2),
    Facts(0x0578, 32, SHA512, (ec.SECP384R1(), SHA384), 2),
]
ALL = [*PLAIN, *HKDF_SUITES, *COMMITTING]

each_suite = pytest.mark.parametrize("facts", ALL, ids=lambda facts: f"{facts.suite_id:04x}")
each_hkdf_suite = pytest.mark.parametrize("facts", HKDF_SUITES, ids=lambda facts: f"{facts.suite_id:04x}")
each_committing_suite = pytest.mark.parametrize("facts", COMMITTING, ids=lambda facts: f"{facts.suite_id:04x}")

DATA_KEY = bytes(range(100, 132))
PLAINTEXT = b"a plaintext of three frames, the last one not full"
CONTEXT = {"tenant": "42", "größe": "🗝"}
FRAME = 20


# --- the writer ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Quirks:
    """What .NET 4.0.0 did otherwise than all others."""

    header_aad_end: bytes = b"\0\0"
    leaves_out_message_id: bool = True


NET_4_0_0 = Quirks()
NO_QUIRKS = Quirks(header_aad_end=b"", leaves_out_message_id=False)


def write(facts: Facts, quirks: Quirks = NET_4_0_0, context: Mapping[str, str] = CONTEXT) -> bytes:
    """A message of PLAINTEXT under DATA_KEY."""
    message_id = bytes(range(32))[: 16 * facts.version]
    data_key = DATA_KEY[: facts.key_bytes]
    signing_key = None if facts.signature is None else ec.generate_private_key(facts.signature[0])
    content_key, commitment = derive(facts, data_key, message_id, quirks)
    block = serialized_field(serialized(with_public_key(context, signing_key))) + b"\0\1" + entry()
    header = header_body(facts, message_id, block, commitment)
    tag = AESGCM(content_key).encrypt(bytes(12), b"", header + quirks.header_aad_end)
    auth = {1: bytes(12) + tag, 2: tag}[facts.version]
    signed = header + auth + frames(content_key, message_id)
    return signed + footer(facts, signing_key, signed)


def derive(facts: Facts, data_key: bytes, message_id: bytes, quirks: Quirks) -> tuple[bytes, bytes]:
    if facts.kdf_hash is None:
        return data_key, b""
    if facts.version == 2:
        content = HKDF(facts.kdf_hash, 32, message_id, facts.id_bytes + b"DERIVEKEY").derive(data_key)
        return content, HKDF(facts.kdf_hash, 32, message_id, b"COMMITKEY").derive(data_key)
    info = facts.id_bytes + {True: b"", False: message_id}[quirks.leaves_out_message_id]
    return HKDF(facts.kdf_hash, facts.key_bytes, None, info).derive(data_key), b""


def with_public_key(context: Mapping[str, str], key: ec.EllipticCurvePrivateKey | None) -> dict[str, str]:
    if key is None:
        return dict(context)
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    return {**context, "aws-crypto-public-key": base64.b64encode(point).decode()}


def serialized(context: Mapping[str, str]) -> bytes:
    pairs = sorted((name.encode(), value.encode()) for name, value in context.items())
    fields = b"".join(serialized_field(name) + serialized_field(value) for name, value in pairs)
    return struct.pack(">H", len(pairs)) + fields if pairs else b""


def serialized_field(content: bytes) -> bytes:
    return struct.pack(">H", len(content)) + content


def entry() -> bytes:
    """An encrypted data key; the keyring in these tests does not look at it."""
    return b"".join(serialized_field(part) for part in (b"provider", b"key name", b"wrapped data key"))


def header_body(facts: Facts, message_id: bytes, block: bytes, commitment: bytes) -> bytes:
    frame_length = struct.pack(">I", FRAME)
    if facts.version == 2:
        return b"\2" + facts.id_bytes + message_id + block + b"\2" + frame_length + commitment
    return b"\1\x80" + facts.id_bytes + message_id + block + b"\2" + bytes(4) + b"\x0c" + frame_length


def frames(content_key: bytes, message_id: bytes) -> bytes:
    parts = [PLAINTEXT[start : start + FRAME] for start in range(0, len(PLAINTEXT), FRAME)]
    regular, final = parts[:-1], parts[-1]
    body = b""
    for number, part in enumerate(regular, 1):
        body += struct.pack(">I", number) + sealed(content_key, message_id, b"Frame", number, part)
    number = len(parts)
    length = struct.pack(">I", len(final))
    sealed_final = sealed(content_key, message_id, b"Final Frame", number, final)
    return body + struct.pack(">II", 0xFFFFFFFF, number) + sealed_final[:12] + length + sealed_final[12:]


def sealed(content_key: bytes, message_id: bytes, kind: bytes, number: int, plaintext: bytes) -> bytes:
    iv = number.to_bytes(12, "big")
    aad = message_id + b"AWSKMSEncryptionClient " + kind + struct.pack(">IQ", number, len(plaintext))
    return iv + AESGCM(content_key).encrypt(iv, plaintext, aad)


def footer(facts: Facts, key: ec.EllipticCurvePrivateKey | None, signed: bytes) -> bytes:
    if key is None or facts.signature is None:
        return b""
    return serialized_field(key.sign(signed, ec.ECDSA(facts.signature[1])))


def client_for(facts: Facts, *, allow: bool) -> Client:
    return Client(
        GivenDataKey(DATA_KEY[: facts.key_bytes]),
        commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT,
        allow_net_4_0_0_messages=allow,
    )


# --- the messages ----------------------------------------------------------------------------------------------


@each_suite
@pytest.mark.parametrize("allow", [False, True], ids=["strict", "lenient"])
def test_without_its_quirks_the_writer_here_writes_ordinary_messages(facts: Facts, allow: bool) -> None:
    for context in ({}, CONTEXT):
        opened = client_for(facts, allow=allow).decrypt_message(write(facts, NO_QUIRKS, context), context)
        assert opened.plaintext == PLAINTEXT
        assert opened.suite.value == facts.suite_id


@each_suite
def test_a_message_of_net_4_0_0_is_refused_by_default(facts: Facts) -> None:
    client = client_for(facts, allow=False)
    with pytest.raises(NotAuthentic, match="header"):
        client.decrypt(write(facts), CONTEXT)
    destination = io.BytesIO()
    with pytest.raises(NotAuthentic, match="header"):
        client.decrypt_stream(StreamedFile(write(facts)), destination, CONTEXT)
    assert destination.getvalue() == b""


@each_suite
def test_a_message_of_net_4_0_0_opens_where_it_is_allowed(facts: Facts) -> None:
    client = client_for(facts, allow=True)
    for context in ({}, CONTEXT):
        message, destination = write(facts, NET_4_0_0, context), io.BytesIO()
        opened = client.decrypt_message(message, context)
        assert opened.plaintext == PLAINTEXT
        assert opened.suite.value == facts.suite_id
        assert opened.encryption_context.items() >= context.items()
        client.decrypt_stream(StreamedFile(message), destination, context)
        assert destination.getvalue() == PLAINTEXT
        with client.decrypting_reader(StreamedFile(message), context) as reader:
            assert reader.read() == PLAINTEXT
        assert describe(message).plaintext_bytes == len(PLAINTEXT)


@pytest.mark.parametrize(
    "facts", [facts for facts in ALL if facts.signature is None], ids=lambda facts: f"{facts.suite_id:04x}"
)
def test_a_range_of_a_message_of_net_4_0_0_opens_where_it_is_allowed(facts: Facts) -> None:
    source = io.BytesIO(write(facts))
    assert client_for(facts, allow=True).open_range(source, FRAME - 3, 9, CONTEXT) == PLAINTEXT[17:26]
    with pytest.raises(NotAuthentic, match="header"):
        client_for(facts, allow=False).open_range(source, FRAME - 3, 9, CONTEXT)


@each_hkdf_suite
@pytest.mark.parametrize(
    "quirks",
    [Quirks(header_aad_end=b""), Quirks(leaves_out_message_id=False)],
    ids=["message id left out only", "two zero bytes only"],
)
def test_one_of_the_two_quirks_alone_is_always_refused(facts: Facts, quirks: Quirks) -> None:
    for allow in (False, True):
        with pytest.raises(NotAuthentic, match="header"):
            client_for(facts, allow=allow).decrypt(write(facts, quirks), CONTEXT)


@each_suite
@pytest.mark.parametrize("end", [b"\0", b"\0\0\0", b"\0\1"], ids=["one zero", "three zeros", "zero and one"])
def test_no_other_end_of_the_header_is_allowed(facts: Facts, end: bytes) -> None:
    with pytest.raises(NotAuthentic, match="header"):
        client_for(facts, allow=True).decrypt(write(facts, Quirks(header_aad_end=end)), CONTEXT)


@each_suite
def test_an_allowed_message_of_net_4_0_0_has_no_unstored_pairs(facts: Facts) -> None:
    with pytest.raises(NotAuthentic, match="header"):
        client_for(facts, allow=True).decrypt(write(facts), {**CONTEXT, "unstored": "pair"})


@each_suite
def test_every_changed_byte_of_an_allowed_message_is_refused(facts: Facts) -> None:
    client, message = client_for(facts, allow=True), write(facts)
    for position in range(len(message)):
        changed = bytearray(message)
        changed[position] ^= 1
        with pytest.raises(MessageRefused):
            client.decrypt(changed)


@each_suite
def test_an_allowed_message_must_be_under_the_data_key(facts: Facts) -> None:
    client = Client(
        GivenDataKey(bytes(facts.key_bytes)),
        commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT,
        allow_net_4_0_0_messages=True,
    )
    with pytest.raises(NotAuthentic):
        client.decrypt(write(facts))


@each_committing_suite
def test_the_commitment_of_an_allowed_message_is_checked_first(facts: Facts) -> None:
    message = write(facts)
    commitment_end = describe(message).header_bytes - 16
    changed = message[: commitment_end - 32] + bytes(32) + message[commitment_end:]
    with pytest.raises(NotAuthentic, match="does not commit to this data key"):
        client_for(facts, allow=True).decrypt(changed)
