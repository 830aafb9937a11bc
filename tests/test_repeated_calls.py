"""What was parsed, planned or checked once is remembered: no call may see another call's answer in place of its own."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest

from envelope import (
    CommitmentPolicy,
    EnvelopeError,
    InvalidArgument,
    LimitExceeded,
    MalformedMessage,
    PolicyRefused,
    Suite,
    describe,
)
from tests.crafted_messages import DATA_KEY, Crafted, Key, message_of, pairs, signed_message
from tests.keyrings_for_tests import ALL_SUITES, FixedKeyring, open_client, raw_aes


def test_a_context_that_was_changed_meanwhile_is_another_context() -> None:
    client = open_client(raw_aes())
    context = {"tenant": "1"}
    first = client.encrypt(b"x", context)
    context["tenant"] = "2"
    second = client.encrypt(b"x", context)
    assert describe(first).encryption_context == {"tenant": "1"}
    assert describe(second).encryption_context == {"tenant": "2"}
    assert client.decrypt(second, context) == b"x"
    with pytest.raises(EnvelopeError):
        client.decrypt(first, context)


@pytest.mark.parametrize(("good", "bad"), [(8, 8.0), (1, True), (8, 8 + 0j)])
def test_an_equal_number_of_another_type_is_refused_after_the_right_one_too(good: int, bad: Any) -> None:
    client = open_client(raw_aes())
    assert client.encrypt(b"x", {"a": "b"}, frame_length_bytes=good)
    with pytest.raises(InvalidArgument):
        client.encrypt(b"x", {"a": "b"}, frame_length_bytes=bad)


def test_a_reserved_name_that_decryption_has_taken_is_refused_on_encryption() -> None:
    client = open_client()
    context = {"aws-crypto-x": "value"}
    message = replace(Crafted(), context=pairs(("aws-crypto-x", "value"))).serialize()
    for _ in range(2):
        assert client.decrypt(message, context) == Crafted().plaintext
        with pytest.raises(InvalidArgument, match="reserved"):
            client.encrypt(b"x", context)


def test_every_option_of_a_message_is_its_own() -> None:
    client = open_client(raw_aes())
    context = {"a": "1", "b": "2"}
    for _ in range(2):
        for suite in (Suite(0x0478), Suite(0x0578)):
            for frame_length in (8, 9):
                for unstored in ((), ("a",), ("b",), ("a", "b")):
                    message = client.encrypt(
                        b"x" * 20, context, suite=suite, frame_length_bytes=frame_length, unstored_context_keys=unstored
                    )
                    said = describe(message)
                    assert (said.suite, said.frame_length_bytes) == (suite, frame_length)
                    assert context.keys() - said.encryption_context.keys() == set(unstored)
                    assert client.decrypt(message, context) == b"x" * 20


def test_suites_that_share_context_and_keys_are_told_apart() -> None:
    """The bytes between message id and tag are the same: only suite and version differ."""
    keyring = FixedKeyring()
    client = open_client(keyring)
    for _ in range(2):
        for suite_id in ALL_SUITES:
            message = message_of(suite_id).serialize()
            assert client.decrypt_message(message).suite is Suite(suite_id)
            assert describe(message).suite is Suite(suite_id)
            assert keyring.unwraps[-1].suite is Suite(suite_id)


def test_a_limit_of_one_client_is_not_that_of_another() -> None:
    message = Crafted(keys=(Key(),) * 3).serialize()
    keyring = raw_aes()
    for _ in range(2):
        assert describe(message).frames == 3
        assert open_client().decrypt(message) == Crafted().plaintext
        with pytest.raises(LimitExceeded):
            open_client(max_encrypted_data_keys=2).decrypt(message)
        with pytest.raises(LimitExceeded):
            open_client(max_frame_bytes=7).decrypt(message)
        with pytest.raises(LimitExceeded):
            open_client(max_encrypted_data_keys=2).decrypt_stream(io.BytesIO(message), io.BytesIO())
        assert open_client(keyring).encrypt(b"x", {"a": "b"})
        with pytest.raises(PolicyRefused):
            open_client(keyring, commitment_policy=CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT).encrypt(
                b"x", {"a": "b"}, suite=Suite(0x0478)
            )


def test_a_signed_block_under_an_unsigned_suite_is_refused_after_the_signed_one_was_opened() -> None:
    signed = signed_message()
    stripped = replace(signed, suite_id=0x0478, signing_key=None)
    for _ in range(2):
        assert open_client().decrypt(signed.serialize()) == signed.plaintext
        with pytest.raises(MalformedMessage, match="unsigned one must not"):
            open_client().decrypt(stripped.serialize())


def test_a_key_of_another_keyring_under_the_same_names_is_not_remembered() -> None:
    message = Crafted().serialize()
    assert open_client().decrypt(message) == Crafted().plaintext
    with pytest.raises(EnvelopeError):
        open_client(FixedKeyring(DATA_KEY[::-1])).decrypt(message)
    keyring = FixedKeyring()
    client = open_client(keyring)
    for _ in range(3):
        client.decrypt(message)
        client.encrypt(b"x")
    assert (len(keyring.unwraps), len(keyring.wraps)) == (3, 3)


def test_what_a_keyring_was_given_cannot_change_what_others_are_given() -> None:
    keyring = FixedKeyring()
    client = open_client(keyring)
    client.decrypt(client.encrypt(b"x", {"a": "b"}))
    for request in (keyring.wraps[0], keyring.unwraps[0]):
        with pytest.raises(AttributeError):
            request.encryption_context = {}  # type: ignore[assignment,misc]
        with pytest.raises(AttributeError):
            request.encryption_context.serialized = b""
        with pytest.raises(TypeError):
            request.encryption_context["a"] = "c"  # type: ignore[index]


def test_large_headers_are_remembered_or_not_with_the_same_result() -> None:
    for size in (8_000, 8_192, 9_000, 60_000):
        crafted = Crafted(context=pairs(("name", "v" * size)))
        for _ in range(2):
            assert open_client().decrypt_message(crafted.serialize()).encryption_context == {"name": "v" * size}
