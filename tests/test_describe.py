"""What a message says without a key."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from envelope import EnvelopeError, Suite, describe
from tests.crafted_messages import FACTS, Crafted, Key, message_of, pairs
from tests.keyrings_for_tests import ALL_SUITES, raw_aes, writing_client

FOOTER_BYTES: dict[type[ec.EllipticCurve] | None, int] = {None: 0, ec.SECP256R1: 2 + 71, ec.SECP384R1: 2 + 103}


@pytest.mark.parametrize("suite_id", ALL_SUITES)
def test_a_message_says_its_suite_its_keys_its_context_and_its_sizes(suite_id: int) -> None:
    client = writing_client(suite_id, raw_aes())
    message = client.encrypt(b"x" * 20, {"tenant": "42"}, suite=Suite(suite_id), frame_length_bytes=8)
    said = describe(message)
    facts = FACTS[suite_id]
    assert (said.suite, said.version) == (Suite(suite_id), facts.version)
    assert len(said.message_id) == (32 if facts.is_committing else 16)
    assert said.encryption_context["tenant"] == "42"
    assert [(key.provider_id, key.provider_info[:3]) for key in said.encrypted_data_keys] == [("tests", b"key")]
    assert (said.is_framed, said.frame_length_bytes, said.frames, said.plaintext_bytes) == (True, 8, 3, 20)
    assert said.body_bytes == 2 * (8 + 32) + 4 + 40
    assert said.footer_bytes == FOOTER_BYTES[facts.curve]
    assert said.message_bytes == len(message) == said.header_bytes + said.body_bytes + said.footer_bytes
    assert message.startswith(said.header.body + said.header.auth)
    assert said.header_bytes == len(said.header.body + said.header.auth) == said.header.header_bytes


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_kind_of_bytes_is_described(kind: type) -> None:
    crafted = Crafted(context=pairs(("a", "b")))
    assert describe(kind(crafted.serialize())).encryption_context == {"a": "b"}


def test_a_description_needs_no_true_message() -> None:
    """Nothing is authenticated: a message with a wrong tag says what it says."""
    said = describe(replace(message_of(0x0478), header_tag=bytes(16), keys=(Key(b"p", b"i", b"c"),)).serialize())
    assert [(key.provider_id, key.provider_info, key.ciphertext) for key in said.encrypted_data_keys] == [
        ("p", b"i", b"c")
    ]


@given(st.binary(max_size=200), st.integers(0, 200), st.sampled_from(ALL_SUITES))
def test_no_bytes_make_describe_fail_otherwise(noise: bytes, position: int, suite_id: int) -> None:
    message = bytearray(message_of(suite_id).serialize())
    message[position : position + len(noise)] = noise
    for attempt in (noise, bytes(message)):
        try:
            said = describe(attempt)
        except EnvelopeError:
            continue
        assert said.message_bytes == len(attempt)
