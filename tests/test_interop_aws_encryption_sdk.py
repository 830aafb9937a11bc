"""Messages to and from aws-encryption-sdk 4, the reference implementation.

Its master key providers meet every combination of suite, plaintext size, encryption context and number of data keys.
Its keyrings, which take up to ten times as long, meet every pair of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from aws_encryption_sdk.exceptions import AWSEncryptionSDKClientError, SerializationError

from envelope import (
    Client,
    EncryptionContext,
    KeyUnavailable,
    NotAuthentic,
    RsaPadding,
    Suite,
    describe,
)
from tests.reference_sdk import (
    AES_KEYS,
    KINDS_OF_KEYS,
    AesKey,
    Key,
    RsaKey,
    our_client,
    our_keyring,
    plaintext_of,
    their_client,
    their_keyring,
    their_master_keys,
    their_required_context,
    their_suite,
)

# A stream of theirs that refused raises again in its finalizer, which Python's development mode shows.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <aws_encryption_sdk.streaming_client:pytest.PytestUnraisableExceptionWarning"
)

FRAME = 128  # their writer takes multiples of 128 only
SIZES = (0, 1, FRAME - 1, FRAME, FRAME + 1, 2 * FRAME, 2 * FRAME + 1)
KEY_COUNTS = (1, 2, 3, 4)
CONTEXTS: Mapping[str, Mapping[str, str]] = {
    "empty": {},
    # In UTF-8 the first name sorts before the second, in UTF-16 behind it.
    "non-ASCII": {"\uffee": "größer", "\U00010000": "🗝", "tenant": "42", "mieter": "ж" * 100},
    "60 KiB": {"ж": "x" * 30_000, "tenant": "42", "large": "й" * 15_000, "rest": "r" * 1_403},
}
WRONG_CONTEXTS: Sequence[Mapping[str, str]] = (
    {},
    {"tenant": "42"},
    {"tenant": "42", "größe": "🔑"},
    {"tenant": "42", "größe": "🗝", "more": "1"},
)
COVERING_ROWS = tuple(
    (suite, SIZES[b], tuple(CONTEXTS)[(a + b) % 3], KEY_COUNTS[(a + b) % 4])
    for (a, suite), b in itertools.product(enumerate(Suite), range(len(SIZES)))
)

each_suite = pytest.mark.parametrize("suite", Suite, ids=lambda suite: f"{suite.value:04x}")
each_combination = pytest.mark.parametrize(
    ("suite", "context_name", "keys"),
    [
        pytest.param(suite, name, AES_KEYS[:count], id=f"{suite.value:04x} {name} {count}")
        for suite, name, count in itertools.product(Suite, CONTEXTS, KEY_COUNTS)
    ],
)
each_covering_row = pytest.mark.parametrize(
    ("suite", "size", "context_name", "keys"),
    [
        pytest.param(suite, size, name, AES_KEYS[:count], id=f"{suite.value:04x} {size} {name} {count}")
        for suite, size, name, count in COVERING_ROWS
    ],
)
each_kind_of_keys = pytest.mark.parametrize(
    ("argument", "their_keys"), KINDS_OF_KEYS.values(), ids=KINDS_OF_KEYS.keys()
)
each_key = pytest.mark.parametrize(
    "key",
    [
        *(AesKey(f"AES-{size * 8}", bytes(range(size))) for size in (16, 24, 32)),
        *(RsaKey(f"RSA {padding.name}", padding) for padding in RsaPadding),
    ],
    ids=lambda key: key.name,
)


def key_names(message: bytes, keys: Sequence[Key]) -> list[str]:
    """The keys of a message in its order: each name as it stands in the bytes, behind its length."""
    infos = {key.name: (len(key.name.encode()) + 20).to_bytes(2, "big") + key.name.encode() for key in keys}
    return sorted(infos, key=lambda name: message.index(infos[name]))


# --- what is covered -------------------------------------------------------------------------------------------


def test_the_rows_for_the_keyrings_hold_every_pair_of_values() -> None:
    values = (tuple(Suite), SIZES, tuple(CONTEXTS), KEY_COUNTS)
    for first, second in itertools.combinations(range(4), 2):
        pairs = {(row[first], row[second]) for row in COVERING_ROWS}
        assert pairs == set(itertools.product(values[first], values[second]))
    assert len(COVERING_ROWS) == 77


def test_the_large_encryption_context_takes_60_kib() -> None:
    assert len(EncryptionContext(CONTEXTS["60 KiB"]).serialized) == 60 * 1024


# --- every combination, by master key providers ----------------------------------------------------------------


@each_combination
def test_we_open_what_their_master_keys_wrote(suite: Suite, context_name: str, keys: Sequence[Key]) -> None:
    context, client = CONTEXTS[context_name], our_client(suite, our_keyring(keys))
    for size in SIZES:
        message, _ = their_client(suite).encrypt(
            source=plaintext_of(size),
            key_provider=their_master_keys(keys),
            encryption_context=dict(context),
            algorithm=their_suite(suite),
            frame_length=FRAME,
        )
        opened = client.decrypt_message(message, context)
        assert opened.plaintext == plaintext_of(size)
        assert opened.suite is suite
        assert opened.encryption_context.items() >= context.items()
        assert [shown_name(key) for key in describe(message).encrypted_data_keys] == key_names(message, keys)


@each_combination
def test_their_master_keys_open_what_we_wrote(suite: Suite, context_name: str, keys: Sequence[Key]) -> None:
    context, client = CONTEXTS[context_name], our_client(suite, our_keyring(keys))
    for size in SIZES:
        message = client.encrypt(plaintext_of(size), context, suite=suite, frame_length_bytes=FRAME)
        plaintext, header = their_client(suite).decrypt(source=message, key_provider=their_master_keys(keys))
        assert plaintext == plaintext_of(size)
        assert header.algorithm is their_suite(suite)
        assert header.frame_length == FRAME
        assert header.encryption_context.items() >= context.items()
        assert key_names(message, keys) == [key.name for key in keys]


def shown_name(key: Any) -> str:
    name: bytes = key.provider_info[:-20]
    return name.decode()


# --- every pair, by keyrings -----------------------------------------------------------------------------------


@each_covering_row
def test_we_open_what_their_keyrings_wrote(suite: Suite, size: int, context_name: str, keys: Sequence[Key]) -> None:
    context = CONTEXTS[context_name]
    message, _ = their_client(suite).encrypt(
        source=plaintext_of(size),
        keyring=their_keyring(keys),
        encryption_context=dict(context),
        algorithm=their_suite(suite),
        frame_length=FRAME,
    )
    opened = our_client(suite, our_keyring(keys)).decrypt_message(message, context)
    assert opened.plaintext == plaintext_of(size)
    assert opened.encryption_context.items() >= context.items()
    assert [shown_name(key) for key in opened.header.encrypted_data_keys] == key_names(message, keys)


@each_covering_row
def test_their_keyrings_open_what_we_wrote(suite: Suite, size: int, context_name: str, keys: Sequence[Key]) -> None:
    context = CONTEXTS[context_name]
    client = our_client(suite, our_keyring(keys))
    message = client.encrypt(plaintext_of(size), context, suite=suite, frame_length_bytes=FRAME)
    plaintext, header = their_client(suite).decrypt(
        source=message, keyring=their_keyring(keys), encryption_context=dict(context)
    )
    assert plaintext == plaintext_of(size)
    assert header.algorithm is their_suite(suite)
    assert header.encryption_context.items() >= context.items()


# --- keys ------------------------------------------------------------------------------------------------------


@each_kind_of_keys
@each_key
def test_every_kind_of_wrapping_key_goes_both_ways(key: Key, argument: str, their_keys: Any) -> None:
    for suite in (Suite.AES_128_GCM_IV12_TAG16, Suite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384):
        ours, theirs = our_client(suite, key.ours()), their_client(suite)
        keys = {argument: their_keys([key])}
        message, _ = theirs.encrypt(source=b"theirs", algorithm=their_suite(suite), **keys)
        assert ours.decrypt(message) == b"theirs"
        plaintext, _ = theirs.decrypt(source=ours.encrypt(b"ours", suite=suite), **keys)
        assert plaintext == b"ours"


@each_kind_of_keys
def test_a_message_under_four_keys_of_different_kinds_opens_with_each(argument: str, their_keys: Any) -> None:
    suite = Suite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY
    keys: list[Key] = [
        RsaKey("first", RsaPadding.OAEP_SHA512),
        AesKey("second", bytes(32)),
        RsaKey("third", RsaPadding.OAEP_SHA256),
        AesKey("fourth", bytes(16)),
    ]
    ours, theirs = our_client(suite, our_keyring(keys)), their_client(suite)
    from_us = ours.encrypt(b"ours", {"tenant": "42"}, suite=suite)
    from_them, _ = theirs.encrypt(source=b"theirs", encryption_context={"tenant": "42"}, **{argument: their_keys(keys)})
    for key in keys:
        plaintext, _ = theirs.decrypt(source=from_us, **{argument: their_keys([key])})
        assert plaintext == b"ours"
        assert our_client(suite, key.ours()).decrypt(from_them, {"tenant": "42"}) == b"theirs"


def test_what_we_wrote_with_the_public_key_alone_opens_for_them() -> None:
    key = RsaKey("public", RsaPadding.OAEP_SHA256)
    message = Client(key.ours_to_encrypt()).encrypt(b"ours")
    plaintext, _ = their_client(Suite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY).decrypt(
        source=message, keyring=their_keyring([key])
    )
    assert plaintext == b"ours"


def test_our_data_keys_stand_in_the_order_of_the_keyrings() -> None:
    """Theirs do not: the reference implementation keeps them in a set."""
    for keys in itertools.permutations(AES_KEYS):
        message = Client(our_keyring(keys)).encrypt(b"")
        names = [key.name for key in keys]
        assert names == key_names(message, keys)
        assert names == [shown_name(key) for key in describe(message).encrypted_data_keys]


# --- encryption context -----------------------------------------------------------------------------------------


@each_suite
def test_pairs_that_they_did_not_store_must_be_given_to_us(suite: Suite) -> None:
    keys = AES_KEYS[:1]
    message, _ = their_client(suite).encrypt(
        source=b"theirs",
        materials_manager=their_required_context(their_keyring(keys), ["tenant", "größe"]),
        encryption_context={"tenant": "42", "größe": "🗝", "stored": "yes"},
        algorithm=their_suite(suite),
    )
    assert describe(message).encryption_context.keys() - {"aws-crypto-public-key"} == {"stored"}
    client = our_client(suite, our_keyring(keys))
    opened = client.decrypt_message(message, {"tenant": "42", "größe": "🗝"})
    assert opened.plaintext == b"theirs"
    assert opened.encryption_context.items() >= {"tenant": "42", "größe": "🗝", "stored": "yes"}.items()
    for given in WRONG_CONTEXTS:
        with pytest.raises(KeyUnavailable):
            client.decrypt(message, given)


@each_suite
def test_pairs_that_we_did_not_store_must_be_given_to_them(suite: Suite) -> None:
    keys = AES_KEYS[:1]
    message = our_client(suite, our_keyring(keys)).encrypt(
        b"ours",
        {"tenant": "42", "größe": "🗝", "stored": "yes"},
        suite=suite,
        unstored_context_keys=["größe", "tenant"],
    )
    keyring, client = their_keyring(keys), their_client(suite)
    required = their_required_context(keyring, ["tenant", "größe"])
    for opens_it in ({"keyring": keyring}, {"materials_manager": required}):
        plaintext, header = client.decrypt(
            source=message, encryption_context={"tenant": "42", "größe": "🗝"}, **opens_it
        )
        assert plaintext == b"ours"
        assert header.encryption_context.keys() - {"aws-crypto-public-key"} == {"stored"}
    for given in WRONG_CONTEXTS:
        with pytest.raises(AWSEncryptionSDKClientError):
            client.decrypt(source=message, encryption_context=dict(given), keyring=keyring)


@each_suite
def test_the_header_tag_alone_holds_unstored_pairs_where_the_data_key_does_not(suite: Suite) -> None:
    """RSA binds no encryption context to the data key."""
    keys = [RsaKey("RSA", RsaPadding.OAEP_SHA256)]
    context = {"tenant": "42", "größe": "🗝", "stored": "yes"}
    client = our_client(suite, our_keyring(keys))
    keyring = their_keyring(keys)
    from_them, _ = their_client(suite).encrypt(
        source=b"theirs",
        materials_manager=their_required_context(keyring, ["tenant", "größe"]),
        encryption_context=context,
        algorithm=their_suite(suite),
    )
    from_us = client.encrypt(b"ours", context, suite=suite, unstored_context_keys=["tenant", "größe"])
    assert client.decrypt(from_them, context) == b"theirs"
    for given in WRONG_CONTEXTS:
        with pytest.raises(NotAuthentic, match="header"):
            client.decrypt(from_them, given)
        with pytest.raises(SerializationError, match="Header authorization failed"):
            their_client(suite).decrypt(source=from_us, keyring=keyring, encryption_context=dict(given))


@each_kind_of_keys
@pytest.mark.parametrize("size", [65_534, 65_535])
def test_the_largest_encryption_context_goes_both_ways(argument: str, their_keys: Any, size: int) -> None:
    context = {"name": "x" * (size - 10)}
    assert len(EncryptionContext(context).serialized) == size
    suite = Suite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY
    ours, theirs = our_client(suite, our_keyring(AES_KEYS[:1])), their_client(suite)
    keys = {argument: their_keys(AES_KEYS[:1])}
    message, _ = theirs.encrypt(source=b"theirs", encryption_context=context, algorithm=their_suite(suite), **keys)
    assert ours.decrypt(message, context) == b"theirs"
    plaintext, _ = theirs.decrypt(source=ours.encrypt(b"ours", context), **keys)
    assert plaintext == b"ours"
