"""Encryption contexts: what is allowed, their canonical bytes, and the pairs that a message does not store."""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envelope import (
    Client,
    ContextMismatch,
    EncryptionContext,
    EnvelopeError,
    InvalidArgument,
    KeyUnavailable,
    NotAuthentic,
    Suite,
    describe,
)
from tests.crafted_messages import pairs
from tests.keyrings_for_tests import FixedKeyring, open_client, raw_aes

SIGNED = Suite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384
SECRET = "the value that must not be told"

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
contexts = st.dictionaries(texts.filter(bool), texts, max_size=8)


def _serialized(context: Mapping[str, str]) -> bytes:
    """The specification's bytes: nothing for no pairs, else sorted by the UTF-8 bytes of the names."""
    items = sorted((name.encode(), value.encode()) for name, value in context.items())
    return pairs(*items) if items else b""


@given(contexts)
def test_the_canonical_bytes_are_those_of_the_specification(context: dict[str, str]) -> None:
    backwards = dict(reversed(context.items()))
    assert EncryptionContext(context).serialized == EncryptionContext(backwards).serialized == _serialized(context)
    assert EncryptionContext(context) == context == EncryptionContext(backwards)
    assert hash(EncryptionContext(context)) == hash(EncryptionContext(backwards))


def test_names_are_sorted_by_their_utf8_and_not_by_their_utf16() -> None:
    """In UTF-16 a name beyond the basic plane begins with a surrogate and would come before U+FFEE."""
    context = {"\U0001d54c": "1", "\uffee": "2", "z": "3", "é": "4"}
    in_utf8 = pairs(("z", "3"), ("é", "4"), ("\uffee", "2"), ("\U0001d54c", "1"))
    assert EncryptionContext(context).serialized == in_utf8
    message = Client(raw_aes()).encrypt(b"x", context)
    assert in_utf8 in message
    assert Client(raw_aes()).decrypt(message, context) == b"x"


def test_names_are_not_normalized() -> None:
    composed, decomposed = "\u00e9", "e\u0301"
    message = Client(raw_aes()).encrypt(b"x", {composed: "1", decomposed: "2"})
    assert describe(message).encryption_context == {composed: "1", decomposed: "2"}


@pytest.mark.parametrize("kind", [dict, MappingProxyType, EncryptionContext])
def test_any_mapping_is_a_context(kind: Any) -> None:
    client = Client(raw_aes())
    for context in ({}, {"tenant": "42"}, {"a": "", "b": "x" * 300}):
        message = client.encrypt(b"x", kind(context))
        assert describe(message).encryption_context == context
        assert client.decrypt(message, kind(context)) == b"x"


def test_a_context_is_a_mapping_that_cannot_be_changed() -> None:
    pairs_of_the_caller = {"tenant": "42", "a": "b"}
    context = EncryptionContext(pairs_of_the_caller)
    pairs_of_the_caller["tenant"] = "43"
    assert (context["tenant"], len(context), sorted(context)) == ("42", 2, ["a", "tenant"])
    assert "none" not in context
    assert pickle.loads(pickle.dumps(context)) == context  # noqa: S301 - our own bytes
    with pytest.raises(TypeError):
        context["tenant"] = "43"  # type: ignore[index]


class Unhashable(str):
    """Text that no cache can remember."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]


NOT_TEXT = [None, 1, 1.0, True, b"bytes", ["list"], {"dict": "dict"}, ("tuple",), object()]


@pytest.mark.parametrize("value", NOT_TEXT, ids=lambda value: type(value).__name__)
def test_names_and_values_that_are_no_text_are_refused(value: Any) -> None:
    for attempt in _ways_to_give({"tenant": value}):
        with pytest.raises(InvalidArgument, match="'tenant' must be str"):
            attempt()
    if value.__hash__ is not None:
        for attempt in _ways_to_give({value: "value"}):
            with pytest.raises(InvalidArgument, match="name must be str"):
                attempt()


def _ways_to_give(context: Any) -> Iterator[Any]:
    client = Client(raw_aes())
    message = client.encrypt(b"x")
    yield lambda: client.encrypt(b"x", context)
    yield lambda: client.decrypt(message, context)
    yield lambda: client.decrypt_message(message, context)
    yield lambda: client.encrypting_writer(io.BytesIO(), context)
    yield lambda: client.decrypting_reader(io.BytesIO(message), context)
    yield lambda: client.encrypt_stream(io.BytesIO(), io.BytesIO(), context)
    yield lambda: client.decrypt_stream(io.BytesIO(message), io.BytesIO(), context)
    yield lambda: client.open_range(io.BytesIO(message), 0, 1, context)


@pytest.mark.parametrize("context", [None, "tenant=42", [("tenant", "42")], {"tenant"}, 42, b""])
def test_what_is_no_mapping_is_refused(context: Any) -> None:
    for attempt in _ways_to_give(context):
        with pytest.raises(InvalidArgument, match="mapping of str to str"):
            attempt()


@pytest.mark.parametrize(
    ("context", "text"),
    [
        ({"": "value"}, "name is empty"),
        ({"n\ud800": "value"}, "UTF-8 cannot encode"),
        ({"name": "v\udcff"}, "UTF-8 cannot encode"),
        ({"name": "x" * 65_536}, "65,535 bytes"),
        ({"n" * 65_536: "x"}, "65,535 bytes"),
        ({"a": "x" * 40_000, "b": "x" * 40_000}, "65,535 bytes"),
        ({str(number): "" for number in range(70_000)}, "65,535 bytes"),
    ],
    ids=["empty name", "surrogate in a name", "surrogate in a value", "long value", "long name", "two", "many"],
)
def test_a_context_that_no_message_can_hold_is_refused(context: dict[str, str], text: str) -> None:
    for attempt in _ways_to_give(context):
        with pytest.raises(InvalidArgument, match=text):
            attempt()


@pytest.mark.parametrize(
    "context",
    [
        {"a": 1},
        {1: "a"},
        {"a": "x" * 70_000},
        {"a": "x" * 40_000, "b": "x" * 40_000},
        {"a": "\ud800"},
        [1],
        "text",
        None,
    ],
    ids=["value", "name", "long value", "long", "surrogate", "list", "str", "None"],
)
def test_an_encryption_context_of_nonsense_cannot_be_made(context: Any) -> None:
    """The public class checks what the client checks: otherwise the client takes it for checked."""
    with pytest.raises(InvalidArgument):
        EncryptionContext(context)


@pytest.mark.parametrize("context", [{"": "value"}, {"aws-crypto-x": "value"}])
def test_an_encryption_context_made_by_hand_is_checked_on_encryption(context: dict[str, str]) -> None:
    with pytest.raises(InvalidArgument):
        Client(raw_aes()).encrypt(b"x", EncryptionContext(context))


def test_text_that_cannot_be_hashed_is_text() -> None:
    client = Client(raw_aes())
    message = client.encrypt(b"x", {"tenant": Unhashable("42")})
    assert describe(message).encryption_context == {"tenant": "42"}


GREATEST = {"n": "v" * (65_535 - 2 - 2 - 1 - 2)}


def test_a_context_of_65535_bytes_is_the_greatest() -> None:
    client = Client(raw_aes())
    message = client.encrypt(b"x", GREATEST)
    assert client.decrypt(message, GREATEST) == b"x"
    assert client.decrypting_reader(io.BytesIO(message), GREATEST).read() == b"x"
    with pytest.raises(InvalidArgument, match="65,535 bytes"):
        client.encrypt(b"x", {"n": GREATEST["n"] + "v"})


def test_the_public_key_of_a_signed_message_counts_too() -> None:
    with pytest.raises(InvalidArgument, match="65,535 bytes"):
        open_client().encrypt(b"x", GREATEST, suite=SIGNED)


def test_unstored_pairs_that_do_not_fit_beside_the_stored_ones_are_refused() -> None:
    keyring = FixedKeyring()
    message = open_client(keyring).encrypt(b"x", GREATEST)
    with pytest.raises(EnvelopeError):
        open_client(keyring).decrypt(message, {"more": "pairs"})


CONTEXT = {"tenant": "42", "table": "users", "request": SECRET}


@pytest.fixture
def client() -> Client:
    return Client(raw_aes())


@pytest.fixture
def message(client: Client) -> bytes:
    """Its pair `request` is authenticated and not stored."""
    return client.encrypt(b"plaintext", CONTEXT, unstored_context_keys=["request"])


def test_an_unstored_pair_is_not_in_the_message(message: bytes) -> None:
    assert SECRET.encode() not in message
    assert describe(message).encryption_context == {"tenant": "42", "table": "users"}


@pytest.mark.parametrize("given_to_decrypt", [CONTEXT, {"request": SECRET}, {"request": SECRET, "tenant": "42"}])
def test_an_unstored_pair_must_be_brought_to_decrypt(
    client: Client, message: bytes, given_to_decrypt: dict[str, str]
) -> None:
    opened = client.decrypt_message(message, given_to_decrypt)
    assert opened.plaintext == b"plaintext"
    assert opened.encryption_context == CONTEXT
    reader = client.decrypting_reader(io.BytesIO(message), given_to_decrypt)
    assert reader.encryption_context == CONTEXT
    assert client.open_range(io.BytesIO(message), 5, 9, given_to_decrypt) == b"text"


@pytest.mark.parametrize("suite", [Suite(0x0478), SIGNED])
@pytest.mark.parametrize(
    "wrong", [{}, {"tenant": "42"}, {"request": "wrong"}, {**CONTEXT, "more": "1"}, {"request": SECRET, "more": ""}]
)
def test_a_missing_wrong_or_additional_unstored_pair_is_refused(wrong: dict[str, str], suite: Suite) -> None:
    """By the keyring, which binds the whole context; by the header tag, where the keyring binds nothing."""
    for keyring, error in ((raw_aes(), KeyUnavailable), (FixedKeyring(), NotAuthentic)):
        client = open_client(keyring)
        message = client.encrypt(b"plaintext", CONTEXT, unstored_context_keys=["request"], suite=suite)
        with pytest.raises(error) as caught:
            client.decrypt(message, wrong)
        assert SECRET not in f"{caught.value} {caught.value.hint}"
        assert caught.value.hint


def test_the_header_error_names_the_unstored_pairs_that_were_given() -> None:
    client = open_client()
    message = client.encrypt(b"x", {"tenant": "42"}, unstored_context_keys=["tenant"])
    with pytest.raises(NotAuthentic) as caught:
        client.decrypt(message, {"tenant": SECRET, "other": SECRET})
    assert "'other'" in caught.value.hint
    assert "'tenant'" in caught.value.hint
    assert SECRET not in caught.value.hint
    with pytest.raises(NotAuthentic) as caught:
        client.decrypt(message)
    assert "unstored" in caught.value.hint


@pytest.mark.parametrize("given_to_decrypt", [{"tenant": "43"}, {"tenant": ""}, {"tenant": SECRET, "table": "users"}])
def test_a_stored_pair_that_differs_is_named_and_its_values_are_not(given_to_decrypt: dict[str, str]) -> None:
    keyring = FixedKeyring()
    client = open_client(keyring)
    message = client.encrypt(b"x", {"tenant": "stored value", "table": "users"})
    for attempt in (
        lambda: client.decrypt(message, given_to_decrypt),
        lambda: client.decrypting_reader(io.BytesIO(message), given_to_decrypt),
        lambda: client.open_range(io.BytesIO(message), 0, 1, given_to_decrypt),
    ):
        with pytest.raises(ContextMismatch, match="'tenant'") as caught:
            attempt()
        told = f"{caught.value} {caught.value.hint}"
        assert "stored value" not in told
        assert SECRET not in told
        assert "43" not in told
    assert keyring.unwraps == []


def test_stored_pairs_may_be_given_or_left_out(client: Client) -> None:
    message = client.encrypt(b"x", {"a": "1", "b": "2"})
    for given_to_decrypt in ({}, {"a": "1"}, {"b": "2", "a": "1"}):
        assert client.decrypt(message, given_to_decrypt) == b"x"


@pytest.mark.parametrize(
    "names", [["none"], ["tenant", "none"], "tenant", b"tenant", 1, None, [1], [None], [["tenant"]], [{}], [b"tenant"]]
)
def test_unstored_names_that_are_no_names_of_pairs_are_refused(names: Any) -> None:
    keyring = FixedKeyring()
    with pytest.raises(InvalidArgument, match="unstored_context_keys"):
        open_client(keyring).encrypt(b"x", {"tenant": "42"}, unstored_context_keys=names)
    assert keyring.wraps == []


@pytest.mark.parametrize("names", [(), [], set(), {}, iter(())])
def test_no_unstored_names_store_everything(names: Any) -> None:
    message = Client(raw_aes()).encrypt(b"x", {"tenant": "42"}, unstored_context_keys=names)
    assert describe(message).encryption_context == {"tenant": "42"}


@pytest.mark.parametrize("suite_id", [0x0478, 0x0578])
def test_a_message_can_store_no_pair_at_all(suite_id: int) -> None:
    client = open_client(raw_aes())
    names = (name for name in CONTEXT)
    message = client.encrypt(b"x", CONTEXT, unstored_context_keys=names, suite=Suite(suite_id))
    assert not CONTEXT.keys() & describe(message).encryption_context.keys()
    assert client.decrypt(message, CONTEXT) == b"x"


def test_a_keyring_sees_all_pairs_stored_or_not() -> None:
    keyring = FixedKeyring()
    client = open_client(keyring)
    client.decrypt(client.encrypt(b"x", CONTEXT, unstored_context_keys=["tenant"]), {"tenant": "42"})
    assert keyring.wraps[0].encryption_context == keyring.unwraps[0].encryption_context == CONTEXT
    assert keyring.unwraps[0].encryption_context.serialized == _serialized(CONTEXT)
