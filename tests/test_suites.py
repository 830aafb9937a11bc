"""Algorithm suites and commitment policies: the tables of the specification."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from envelope import Client, CommitmentPolicy, InvalidArgument, PolicyRefused, Suite, describe
from tests.crafted_messages import FACTS, message_of
from tests.keyrings_for_tests import ALL_SUITES, FixedKeyring, raw_aes

pytestmark = pytest.mark.smoke

FORBID = CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT
REQUIRE_ALLOW = CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT
REQUIRE_REQUIRE = CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT

# framework/algorithm-suites.md, "Supported Algorithm Suites": id, version, key, HKDF, commitment, curve, hash.
TABLE = [
    (0x0014, 1, 16, None, False, None, None, "AES_128_GCM_IV12_TAG16"),
    (0x0046, 1, 24, None, False, None, None, "AES_192_GCM_IV12_TAG16"),
    (0x0078, 1, 32, None, False, None, None, "AES_256_GCM_IV12_TAG16"),
    (0x0114, 1, 16, "sha256", False, None, None, "AES_128_GCM_IV12_TAG16_HKDF_SHA256"),
    (0x0146, 1, 24, "sha256", False, None, None, "AES_192_GCM_IV12_TAG16_HKDF_SHA256"),
    (0x0178, 1, 32, "sha256", False, None, None, "AES_256_GCM_IV12_TAG16_HKDF_SHA256"),
    (0x0214, 1, 16, "sha256", False, "P-256", "sha256", "AES_128_GCM_IV12_TAG16_HKDF_SHA256_ECDSA_P256"),
    (0x0346, 1, 24, "sha384", False, "P-384", "sha384", "AES_192_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384"),
    (0x0378, 1, 32, "sha384", False, "P-384", "sha384", "AES_256_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384"),
    (0x0478, 2, 32, "sha512", True, None, None, "AES_256_GCM_HKDF_SHA512_COMMIT_KEY"),
    (0x0578, 2, 32, "sha512", True, "P-384", "sha384", "AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384"),
]


@pytest.mark.parametrize("row", TABLE, ids=[row[-1] for row in TABLE])
def test_a_suite_is_its_row_of_the_specification(row: tuple[Any, ...]) -> None:
    suite = Suite(row[0])
    assert row == (
        suite.value,
        suite.message_version,
        suite.data_key_bytes,
        suite.hkdf_hash,
        suite.is_committing,
        suite.curve,
        suite.signature_hash,
        suite.name,
    )
    assert suite.is_signing is (suite.curve is not None)
    assert Suite[suite.name] is suite
    assert pickle.loads(pickle.dumps(suite)) is suite  # noqa: S301 - our own bytes


def test_there_are_no_other_suites() -> None:
    assert [suite.value for suite in Suite] == [row[0] for row in TABLE]


@pytest.mark.parametrize("suite_id", ALL_SUITES)
def test_a_message_of_an_independent_writer_opens(suite_id: int) -> None:
    crafted = message_of(suite_id)
    client = Client(FixedKeyring(), commitment_policy=REQUIRE_ALLOW)
    opened = client.decrypt_message(crafted.serialize())
    assert opened.plaintext == crafted.plaintext
    assert opened.suite is Suite(suite_id)
    assert opened.header.message_id == crafted.id_bytes


@pytest.mark.parametrize("suite_id", ALL_SUITES)
def test_a_message_of_the_library_is_what_an_independent_writer_makes(suite_id: int) -> None:
    """The header and the frames, byte by byte, given the message id that the library chose."""
    keyring = FixedKeyring()
    policy = REQUIRE_ALLOW if FACTS[suite_id].is_committing else FORBID
    client = Client(keyring, commitment_policy=policy)
    plaintext = b"three frames of 8 bytes!"
    message = client.encrypt(plaintext, {"b": "2", "a": "1"}, suite=Suite(suite_id), frame_length_bytes=8)
    said = describe(message)
    crafted = message_of(
        suite_id,
        message_id=said.message_id,
        context=keyring.wraps[0].encryption_context.serialized,
    )
    assert message.startswith(crafted.header() + crafted.body())
    assert len(message) == said.header_bytes + said.body_bytes + said.footer_bytes


@pytest.mark.parametrize("suite_id", ALL_SUITES)
@pytest.mark.parametrize("policy", CommitmentPolicy)
def test_the_policy_says_which_suites_are_written(policy: CommitmentPolicy, suite_id: int) -> None:
    keyring = FixedKeyring()
    client = Client(keyring, commitment_policy=policy)
    if FACTS[suite_id].is_committing is (policy is not FORBID):
        assert describe(client.encrypt(b"x", suite=Suite(suite_id))).suite is Suite(suite_id)
        assert [request.suite for request in keyring.wraps] == [Suite(suite_id)]
    else:
        with pytest.raises(PolicyRefused, match=f"{policy.value} forbids writing suite {Suite(suite_id).name}"):
            client.encrypt(b"x", suite=Suite(suite_id))
        assert keyring.wraps == []


@pytest.mark.parametrize("suite_id", ALL_SUITES)
@pytest.mark.parametrize("policy", CommitmentPolicy)
def test_the_policy_says_which_suites_are_opened_before_a_key_is_asked_for(
    policy: CommitmentPolicy, suite_id: int
) -> None:
    keyring = FixedKeyring()
    client = Client(keyring, commitment_policy=policy)
    crafted = message_of(suite_id)
    if FACTS[suite_id].is_committing or policy is not REQUIRE_REQUIRE:
        assert client.decrypt(crafted.serialize()) == crafted.plaintext
    else:
        with pytest.raises(PolicyRefused, match=f"forbids opening suite {Suite(suite_id).name}"):
            client.decrypt(crafted.serialize())
        assert keyring.unwraps == []


@pytest.mark.parametrize(("policy", "suite_id"), [(FORBID, 0x0178), (REQUIRE_ALLOW, 0x0478), (REQUIRE_REQUIRE, 0x0478)])
def test_each_policy_has_a_default_suite(policy: CommitmentPolicy, suite_id: int) -> None:
    client = Client(raw_aes(), commitment_policy=policy)
    assert describe(client.encrypt(b"x")).suite is Suite(suite_id) is policy.default_suite


def test_a_client_requires_commitment_unless_told_otherwise() -> None:
    keyring = FixedKeyring()
    with pytest.raises(PolicyRefused):
        Client(keyring).decrypt(message_of(0x0178).serialize())
    with pytest.raises(PolicyRefused):
        Client(keyring).encrypt(b"x", suite=Suite(0x0178))


@pytest.mark.parametrize("suite_id", ALL_SUITES)
def test_a_client_for_unsigned_messages_refuses_signed_ones_before_a_key_is_asked_for(suite_id: int) -> None:
    keyring = FixedKeyring()
    client = Client(keyring, commitment_policy=REQUIRE_ALLOW, decrypt_unsigned_only=True)
    crafted = message_of(suite_id)
    if FACTS[suite_id].curve is None:
        assert client.decrypt(crafted.serialize()) == crafted.plaintext
    else:
        with pytest.raises(PolicyRefused, match="opens unsigned messages only"):
            client.decrypt(crafted.serialize())
        assert keyring.unwraps == []


@pytest.mark.parametrize("suite", [0x0478, "AES_256_GCM_HKDF_SHA512_COMMIT_KEY", b"\x04\x78", True])
def test_a_suite_is_a_suite_and_not_its_number_or_name(suite: object) -> None:
    with pytest.raises(InvalidArgument, match=r"suite must be an envelope\.Suite"):
        Client(FixedKeyring()).encrypt(b"x", suite=suite)  # type: ignore[arg-type]


def test_no_data_key_and_no_message_id_is_used_twice() -> None:
    client = Client(raw_aes())
    messages = [describe(client.encrypt(b"x")) for _ in range(50)]
    assert len({said.message_id for said in messages}) == 50
    assert len({said.header.commitment for said in messages}) == 50
    assert len({key.ciphertext for said in messages for key in said.encrypted_data_keys}) == 50
