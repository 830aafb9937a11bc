"""Messages and known answers that other implementations have published."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable
from typing import Any, BinaryIO, cast

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from envelope import (
    Client,
    CommitmentPolicy,
    EncryptedDataKey,
    EncryptionContext,
    MalformedMessage,
    NotAuthentic,
    PolicyRefused,
    RawAesKeyring,
    RawRsaKeyring,
    RsaPadding,
    Suite,
    TruncatedMessage,
    UnwrapRequest,
    describe,
)
from envelope.engine.keys import derive_keys
from envelope.message.header import parse_header, serialize_header
from tests.fake_keyrings import CountingKeyring, GivenDataKey
from tests.file_objects_for_tests import StreamedFile
from tests.published_vectors import (
    CommitmentAnswer,
    OpenableMessage,
    PublishedMessage,
    all_messages,
    commitment_answers,
    decrypt_messages,
    decrypt_scenarios,
    keyring_of,
    load,
    load_zipped,
    openable_decrypt_messages,
    openable_messages,
    pending_names,
    zero_key_messages,
)

OPENABLE = openable_messages()
COMMITTED = [answer for answer in commitment_answers() if answer.plaintext is not None]
REFUSED = [answer for answer in commitment_answers() if answer.plaintext is None]
VERSION_1 = [openable for openable in OPENABLE if not openable.published.suite.is_committing]
SIGNED = [openable for openable in OPENABLE if openable.published.suite.is_signing]
RAW_AES = load_zipped("raw_encrypted_data_keys.zip", "raw_aes_encrypted_data_keys.json")
RAW_RSA = load_zipped("raw_encrypted_data_keys.zip", "raw_rsa_encrypted_data_keys.json")
RSA_PADDINGS = {
    "pkcs1": RsaPadding.PKCS1,
    "oaep-sha1": RsaPadding.OAEP_SHA1,
    "oaep-sha256": RsaPadding.OAEP_SHA256,
}
SUITES_BY_KEY_BYTES = {
    16: Suite.AES_128_GCM_IV12_TAG16_HKDF_SHA256,
    24: Suite.AES_192_GCM_IV12_TAG16_HKDF_SHA256,
    32: Suite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
}

each_openable = pytest.mark.parametrize("openable", OPENABLE, ids=lambda openable: openable.published.name)
each_signed = pytest.mark.parametrize("openable", SIGNED, ids=lambda openable: openable.published.name)
each_version_1 = pytest.mark.parametrize("openable", VERSION_1, ids=lambda openable: openable.published.name)
each_message = pytest.mark.parametrize("published", all_messages(), ids=lambda published: published.name)
each_answer = pytest.mark.parametrize("answer", commitment_answers(), ids=lambda answer: answer.name)
each_committed = pytest.mark.parametrize("answer", COMMITTED, ids=lambda answer: answer.name)
each_refused = pytest.mark.parametrize("answer", REFUSED, ids=lambda answer: answer.name)
ODD_SIZES = (1, 3, 977, 7)


class SlowFile(io.RawIOBase):
    """A pipe that never gives more bytes at once than the next of `sizes`, which start over at their end."""

    def __init__(self, content: bytes, sizes: Iterable[int]) -> None:
        self._content = io.BytesIO(content)
        self._sizes = itertools.cycle(sizes)

    def readinto(self, buffer: Any) -> int:
        return self._content.readinto(memoryview(buffer)[: next(self._sizes)])


def slow_file(content: bytes, sizes: Iterable[int] = (1,)) -> BinaryIO:
    return cast("BinaryIO", SlowFile(content, sizes))


def client_for(openable: OpenableMessage) -> Client:
    """A client with the strictest policy that allows the message."""
    policies = {
        1: CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT,
        2: CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT,
    }
    version = openable.published.suite.message_version
    return Client(openable.keyring, commitment_policy=policies[version])


def releasable(published: PublishedMessage, *, before_signature: bool = False) -> bytes:
    """What a stream has released when the message ends wrongly: all frames but the last, and none if signed."""
    description = describe(published.message)
    frames = {True: description.frames - 1, False: 0}[before_signature or not published.suite.is_signing]
    return published.plaintext[: frames * description.frame_length_bytes]


# --- all are accounted for ------------------------------------------------------------------------


def test_every_message_of_decrypt_zip_is_opened_here_or_listed_as_pending_by_name() -> None:
    opened = {openable.published.name for openable in openable_decrypt_messages()}
    pending = [f"decrypt.zip {name}" for names in pending_names()["decrypt.zip"].values() for name in names]
    assert opened | set(pending) == {f"decrypt.zip {name}" for name in decrypt_scenarios()}
    assert (len(opened), len(pending), len(decrypt_scenarios())) == (61, 37, 98)
    assert opened < {openable.published.name for openable in OPENABLE}


def test_every_known_answer_is_counted() -> None:
    assert (len(COMMITTED), len(REFUSED), len(commitment_answers())) == (41, 5, 46)
    assert len(zero_key_messages()) == len(load("zero_key_messages.json")["tests"]) == 45
    assert (len(RAW_AES["tests"]), len(RAW_RSA["tests"])) == (3, 9)
    assert (len(OPENABLE), len(all_messages())) == (61 + 41 + 45, 98 + 41 + 45)


def test_the_published_messages_cover_every_suite_and_every_rsa_padding() -> None:
    assert {openable.published.suite for openable in OPENABLE} == set(Suite)
    described = [scenario["decryptKeyDescription"] for scenario in decrypt_scenarios().values()]
    rsa = [description for description in described if description.get("encryption-algorithm") == "rsa"]
    assert len({(description["padding-algorithm"], description["padding-hash"]) for description in rsa}) == 5


@pytest.mark.parametrize(("kind", "count"), [("aws-kms-hierarchy", 6), ("raw-ecdh", 31)])
def test_messages_wait_for_a_keyring_only_as_long_as_there_is_none(kind: str, count: int, record_property: Any) -> None:
    names = pending_names()["decrypt.zip"][kind]
    descriptions = {name: scenario["decryptKeyDescription"] for name, scenario in decrypt_scenarios().items()}
    assert names == sorted(name for name, description in descriptions.items() if description["type"] == kind)
    assert len(names) == count
    for name in names:
        with pytest.raises(KeyError, match=kind):
            keyring_of(descriptions[name])
    record_property("pending vectors", f"decrypt.zip, {kind}, {count}: {' '.join(names)}")


def test_the_known_answers_of_the_counter_kdf_wait_for_the_keyrings_that_use_it(record_property: Any) -> None:
    names = pending_names()["kdf_ctr.json"]["kdf-ctr"]
    assert [test["id"] for test in load("kdf_ctr.json")["tests"]] == names
    assert len(names) == 15
    record_property("pending vectors", f"kdf_ctr.json, 15: {' '.join(names)}")


# --- messages that open ---------------------------------------------------------------------------


@each_openable
def test_a_published_message_decrypts(openable: OpenableMessage) -> None:
    client, message = client_for(openable), openable.published.message
    assert client.decrypt(message, openable.given_context) == openable.published.plaintext
    opened = client.decrypt_message(message, openable.given_context)
    assert opened.plaintext == openable.published.plaintext
    assert opened.suite is openable.published.suite
    assert opened.encryption_context.items() >= openable.given_context.items()


@each_openable
@pytest.mark.parametrize("sizes", [(1,), ODD_SIZES], ids=["byte by byte", "odd pieces"])
def test_a_published_message_that_comes_in_pieces_is_read(openable: OpenableMessage, sizes: tuple[int, ...]) -> None:
    source = slow_file(openable.published.message, sizes)
    with client_for(openable).decrypting_reader(source, openable.given_context) as reader:
        pieces = [reader.read(size) for size in (1, 0, 13)]
        pieces += iter(lambda: reader.read(997), b"")
    assert b"".join(pieces) == openable.published.plaintext


@each_openable
@pytest.mark.parametrize(
    ("sizes", "early"),
    [((1,), False), (ODD_SIZES, True)],
    ids=["byte by byte", "odd pieces, before the signature"],
)
def test_a_published_message_that_comes_in_pieces_is_copied(
    openable: OpenableMessage, sizes: tuple[int, ...], early: bool
) -> None:
    source, destination = slow_file(openable.published.message, sizes), io.BytesIO()
    opened = client_for(openable).decrypt_stream(
        source, destination, openable.given_context, release_plaintext_before_signature=early
    )
    assert destination.getvalue() == openable.published.plaintext
    assert opened.suite is openable.published.suite


@each_openable
def test_a_published_message_with_a_byte_behind_its_end_is_refused(openable: OpenableMessage) -> None:
    client, longer, destination = client_for(openable), openable.published.message + b"\0", io.BytesIO()
    with pytest.raises(MalformedMessage, match="behind the end"):
        client.decrypt(longer, openable.given_context)
    with pytest.raises(MalformedMessage, match="behind the end"):
        client.decrypt_stream(slow_file(longer), destination, openable.given_context)
    assert destination.getvalue() == releasable(openable.published)


@each_openable
def test_a_published_message_without_its_last_byte_is_refused(openable: OpenableMessage) -> None:
    client, cut, destination = client_for(openable), openable.published.message[:-1], io.BytesIO()
    with pytest.raises(TruncatedMessage):
        client.decrypt(cut, openable.given_context)
    with pytest.raises(TruncatedMessage):
        client.decrypt_stream(slow_file(cut, ODD_SIZES), destination, openable.given_context)
    assert destination.getvalue() == releasable(openable.published)


@each_signed
@pytest.mark.parametrize("early", [False, True], ids=["after the signature", "before the signature"])
def test_a_published_message_with_another_signature_is_refused(openable: OpenableMessage, early: bool) -> None:
    client, message, destination = client_for(openable), openable.published.message, io.BytesIO()
    changed = message[:-1] + bytes([message[-1] ^ 1])
    with pytest.raises(NotAuthentic, match="signature"):
        client.decrypt(changed, openable.given_context)
    with pytest.raises(NotAuthentic, match="signature"):
        client.decrypt_stream(
            slow_file(changed), destination, openable.given_context, release_plaintext_before_signature=early
        )
    assert destination.getvalue() == releasable(openable.published, before_signature=early)


@each_version_1
def test_a_message_without_commitment_is_refused_before_its_key_is_wanted(openable: OpenableMessage) -> None:
    keyring = CountingKeyring(openable.keyring)
    message, given = openable.published.message, openable.given_context
    with pytest.raises(PolicyRefused, match="require-encrypt-require-decrypt"):
        Client(keyring).decrypt(message, given)
    with pytest.raises(PolicyRefused, match="require-encrypt-require-decrypt"):
        Client(keyring).decrypt_stream(StreamedFile(message), io.BytesIO(), given)
    assert keyring.calls == 0


@each_version_1
def test_a_message_without_commitment_opens_while_migrating(openable: OpenableMessage) -> None:
    client = Client(openable.keyring, commitment_policy=CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT)
    assert client.decrypt(openable.published.message, openable.given_context) == openable.published.plaintext


# --- messages without a key -----------------------------------------------------------------------


@each_message
def test_a_published_message_is_described_without_a_key(published: PublishedMessage) -> None:
    description = describe(published.message)
    assert description.suite is published.suite
    assert description.version == published.suite.message_version == published.message[0]
    assert description.plaintext_bytes == len(published.plaintext)
    assert description.message_bytes == len(published.message)
    parts_bytes = (description.header_bytes, description.body_bytes, description.footer_bytes)
    assert sum(parts_bytes) == len(published.message)
    overhead_bytes = {True: 32 * description.frames + 8, False: 36}[description.is_framed]
    assert description.body_bytes == len(published.plaintext) + overhead_bytes
    assert (description.footer_bytes > 0) is published.suite.is_signing


def test_the_messages_of_decrypt_zip_have_three_frames() -> None:
    """The manifest asks for frames of 512 bytes; the generator has left its default."""
    descriptions = [describe(published.message) for published in decrypt_messages()]
    assert {description.plaintext_bytes for description in descriptions} == {10_240}
    assert {description.frame_length_bytes for description in descriptions} == {4_096}
    assert {description.frames for description in descriptions} == {3}


@each_message
def test_a_published_header_is_serialized_as_it_was_parsed(published: PublishedMessage) -> None:
    header = parse_header(published.message, max_encrypted_data_keys=65_535)
    assert serialize_header(header) == published.message[: header.header_bytes]


@each_message
def test_no_published_message_ends_earlier_or_later_than_it_does(published: PublishedMessage) -> None:
    end = len(published.message)
    with pytest.raises(MalformedMessage, match="behind the end"):
        describe(published.message + b"\0")
    for size in (*range(min(end, 1_024)), *range(1_024, end, 101), end - 1):
        with pytest.raises(TruncatedMessage):
            describe(published.message[:size])


# --- commitment -----------------------------------------------------------------------------------


@each_committed
def test_the_keys_of_a_message_are_the_published_ones(answer: CommitmentAnswer) -> None:
    content_key, commitment = derive_keys(answer.suite, answer.data_key, answer.message_id)
    assert commitment == answer.commitment == describe(answer.message).header.commitment
    assert answer.content_key in (content_key, None)


def test_the_content_key_is_published_for_sixteen_messages_that_open() -> None:
    assert sum(answer.content_key is not None for answer in COMMITTED) == 16


@each_answer
def test_a_committing_header_has_the_published_values(answer: CommitmentAnswer) -> None:
    header = describe(answer.message).header
    assert header.message_id == answer.message_id
    assert header.encryption_context == answer.encryption_context
    assert header.body + header.auth == answer.header == serialize_header(header)
    assert header.body.endswith(header.commitment)


@each_refused
def test_a_data_key_without_commitment_is_refused_for_that_reason(answer: CommitmentAnswer) -> None:
    with pytest.raises(NotAuthentic, match="does not commit to this data key"):
        Client(GivenDataKey(answer.data_key)).decrypt(answer.message)
    destination = io.BytesIO()
    with pytest.raises(NotAuthentic, match="does not commit to this data key"):
        Client(GivenDataKey(answer.data_key)).decrypt_stream(slow_file(answer.message), destination)
    assert destination.getvalue() == b""


@each_refused
def test_the_commitment_is_checked_before_the_header_tag(answer: CommitmentAnswer) -> None:
    tag_end = len(answer.header)
    changed = answer.message[: tag_end - 16] + bytes(16) + answer.message[tag_end:]
    with pytest.raises(NotAuthentic, match="does not commit to this data key"):
        Client(GivenDataKey(answer.data_key)).decrypt(changed)


@each_refused
def test_nothing_but_the_commitment_is_wrong_with_a_refused_message(answer: CommitmentAnswer) -> None:
    """The published content key opens its header: a reader that leaves out the commitment accepts it."""
    assert answer.content_key is not None
    header = describe(answer.message).header
    AESGCM(answer.content_key).decrypt(header.iv, header.tag, header.body)


@each_committed
def test_a_message_with_another_commitment_is_refused(answer: CommitmentAnswer) -> None:
    start = len(answer.header) - 16 - 32
    changed = answer.message[:start] + bytes([answer.message[start] ^ 1]) + answer.message[start + 1 :]
    with pytest.raises(NotAuthentic, match="does not commit to this data key"):
        Client(GivenDataKey(answer.data_key)).decrypt(changed)


# --- encrypted data keys --------------------------------------------------------------------------


@pytest.mark.parametrize("vector", RAW_AES["tests"], ids=["AES-256", "AES-192", "AES-128"])
def test_a_published_raw_aes_data_key_is_unwrapped(vector: Any) -> None:
    keyring = RawAesKeyring(vector["namespace"], vector["name"], bytes.fromhex(vector["wrapping_key"]))
    provider_info = vector["name"].encode() + bytes.fromhex("00000080" + "0000000c" + vector["iv"])
    wrapped = EncryptedDataKey(vector["namespace"], provider_info, bytes.fromhex(vector["edk_ciphertext"]))
    data_key = bytes.fromhex(vector["data_key"])
    context = EncryptionContext(vector["encryption_context"])
    unwrapped = keyring.unwrap(UnwrapRequest(SUITES_BY_KEY_BYTES[len(data_key)], context, (wrapped,)))
    assert unwrapped.plaintext == data_key


@pytest.mark.parametrize("vector", RAW_RSA["tests"], ids=lambda vector: vector["padding"])
def test_a_published_raw_rsa_data_key_is_unwrapped(vector: Any) -> None:
    keyring = RawRsaKeyring(
        RAW_RSA["namespace"],
        RAW_RSA["name"],
        private_key=RAW_RSA["private_key_pem"].encode(),
        padding=RSA_PADDINGS[vector["padding"]],
    )
    ciphertext = bytes.fromhex(vector["edk_ciphertext"])
    wrapped = EncryptedDataKey(RAW_RSA["namespace"], RAW_RSA["name"].encode(), ciphertext)
    data_key = bytes.fromhex(vector["data_key"])
    request = UnwrapRequest(SUITES_BY_KEY_BYTES[len(data_key)], EncryptionContext({}), (wrapped,))
    assert keyring.unwrap(request).plaintext == data_key
