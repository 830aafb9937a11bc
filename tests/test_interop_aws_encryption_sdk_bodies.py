"""Frames, bodies without frames, and streams: to and from aws-encryption-sdk 4."""

from __future__ import annotations

import io
from functools import partial
from typing import Any

import pytest
from aws_encryption_sdk.exceptions import ActionNotAllowedError

from envelope import Client, CommitmentPolicy, PolicyRefused, Suite, describe
from tests.file_objects_for_tests import StreamedFile
from tests.reference_sdk import (
    AES_KEYS,
    KINDS_OF_KEYS,
    our_client,
    our_keyring,
    plaintext_of,
    their_client,
    their_keyring,
    their_master_keys,
    their_suite,
)

# A stream of theirs that refused raises again in its finalizer, which Python's development mode shows.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <aws_encryption_sdk.streaming_client:pytest.PytestUnraisableExceptionWarning"
)

KEYS = AES_KEYS[:2]
FRAME = 128
SIZES = (0, 1, FRAME - 1, FRAME, FRAME + 1, 2 * FRAME, 2 * FRAME + 1)
CONTEXT = {"tenant": "42"}
SIGNED = [suite for suite in Suite if suite.is_signing]
UNSIGNED = [suite for suite in Suite if not suite.is_signing]

each_suite = pytest.mark.parametrize("suite", Suite, ids=lambda suite: f"{suite.value:04x}")

each_kind_of_keys = pytest.mark.parametrize(
    ("argument", "their_keys"), KINDS_OF_KEYS.values(), ids=KINDS_OF_KEYS.keys()
)


def write_theirs(suite: Suite, plaintext: bytes, frame_length: int) -> bytes:
    message, _ = their_client(suite).encrypt(
        source=plaintext,
        key_provider=their_master_keys(KEYS),
        encryption_context=CONTEXT,
        algorithm=their_suite(suite),
        frame_length=frame_length,
    )
    return bytes(message)


def open_theirs(suite: Suite, message: bytes) -> bytes:
    plaintext, _ = their_client(suite).decrypt(source=message, key_provider=their_master_keys(KEYS))
    return bytes(plaintext)


def read_in_pieces(stream: Any, size: int) -> bytes:
    return b"".join(iter(partial(stream.read, size), b""))


# --- frames ----------------------------------------------------------------------------------------------------


@each_suite
def test_we_open_an_empty_final_frame_behind_full_ones(suite: Suite) -> None:
    for frames in (1, 2, 5):
        message = write_theirs(suite, plaintext_of(frames * FRAME), FRAME)
        assert describe(message).frames == frames + 1
        assert our_client(suite, our_keyring(KEYS)).decrypt(message, CONTEXT) == plaintext_of(frames * FRAME)


@each_suite
def test_they_open_a_full_final_frame(suite: Suite) -> None:
    for frames in (1, 2, 5):
        message = our_client(suite, our_keyring(KEYS)).encrypt(
            plaintext_of(frames * FRAME), CONTEXT, suite=suite, frame_length_bytes=FRAME
        )
        assert describe(message).frames == frames
        assert open_theirs(suite, message) == plaintext_of(frames * FRAME)


@each_suite
@pytest.mark.parametrize("frame_length", [1, 5, 127, 129, 1_000])
def test_they_open_frame_lengths_that_they_do_not_write(suite: Suite, frame_length: int) -> None:
    client = our_client(suite, our_keyring(KEYS))
    for size in (
        0,
        1,
        frame_length - 1,
        frame_length,
        frame_length + 1,
        2 * frame_length,
        2 * frame_length + 1,
    ):
        message = client.encrypt(plaintext_of(size), CONTEXT, suite=suite, frame_length_bytes=frame_length)
        assert open_theirs(suite, message) == plaintext_of(size)


@pytest.mark.parametrize("size", [256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, 1_000_000])
def test_the_default_frame_lengths_go_both_ways(size: int) -> None:
    suite = Suite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY
    client = Client(our_keyring(KEYS))
    message = client.encrypt(plaintext_of(size), CONTEXT)
    assert describe(message).suite is suite
    assert open_theirs(suite, message) == plaintext_of(size)
    from_them, _ = their_client(suite).encrypt(source=plaintext_of(size), keyring=their_keyring(KEYS))
    assert describe(from_them).suite is Suite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384
    assert client.decrypt(from_them) == plaintext_of(size)


@each_suite
def test_we_open_bodies_without_frames(suite: Suite) -> None:
    client = our_client(suite, our_keyring(KEYS))
    for size in (*SIZES, 70_000):
        message = write_theirs(suite, plaintext_of(size), 0)
        assert not describe(message).is_framed
        assert client.decrypt(message, CONTEXT) == plaintext_of(size)
        with client.decrypting_reader(StreamedFile(message), CONTEXT) as reader:
            assert reader.read() == plaintext_of(size)


@pytest.mark.parametrize("size", SIZES)
def test_we_open_any_range_of_their_frames(size: int) -> None:
    suite = Suite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY
    source = io.BytesIO(write_theirs(suite, plaintext_of(size), FRAME))
    client = our_client(suite, our_keyring(KEYS))
    for start in (0, 1, FRAME - 1, FRAME, FRAME + 1, size):
        for length in (0, 1, FRAME, size):
            expected = plaintext_of(size)[start : start + length]
            assert client.open_range(source, start, length, CONTEXT) == expected


# --- streams ---------------------------------------------------------------------------------------------------


@each_suite
@each_kind_of_keys
def test_we_read_what_their_stream_wrote(suite: Suite, argument: str, their_keys: Any) -> None:
    client = our_client(suite, our_keyring(KEYS))
    for size in (*SIZES, 5_000):
        with their_client(suite).stream(
            mode="encrypt",
            source=io.BytesIO(plaintext_of(size)),
            encryption_context=CONTEXT,
            algorithm=their_suite(suite),
            frame_length=FRAME,
            **{argument: their_keys(KEYS)},
        ) as encryptor:
            message = read_in_pieces(encryptor, 37)
        with client.decrypting_reader(StreamedFile(message), CONTEXT) as reader:
            assert read_in_pieces(reader, 41) == plaintext_of(size)
        destination = io.BytesIO()
        client.decrypt_stream(StreamedFile(message), destination, CONTEXT)
        assert destination.getvalue() == plaintext_of(size)


@each_suite
@each_kind_of_keys
def test_their_stream_reads_what_we_wrote(suite: Suite, argument: str, their_keys: Any) -> None:
    client = our_client(suite, our_keyring(KEYS))
    for size in (*SIZES, 5_000):
        written, copied = io.BytesIO(), io.BytesIO()
        with client.encrypting_writer(written, CONTEXT, suite=suite, frame_length_bytes=FRAME) as writer:
            for start in range(0, size, 41):
                writer.write(plaintext_of(size)[start : start + 41])
        source = io.BytesIO(plaintext_of(size))
        client.encrypt_stream(source, copied, CONTEXT, suite=suite, frame_length_bytes=FRAME)
        for message in (written.getvalue(), copied.getvalue()):
            with their_client(suite).stream(
                mode="decrypt", source=io.BytesIO(message), **{argument: their_keys(KEYS)}
            ) as decryptor:
                plaintext = read_in_pieces(decryptor, 37)
            assert plaintext == plaintext_of(size)


@pytest.mark.parametrize("suite", UNSIGNED, ids=lambda suite: suite.name)
def test_unsigned_messages_go_both_ways_where_only_they_are_allowed(suite: Suite) -> None:
    from_us = our_client(suite, our_keyring(KEYS)).encrypt(plaintext_of(300), CONTEXT, suite=suite)
    with their_client(suite).stream(
        mode="decrypt-unsigned", source=from_us, key_provider=their_master_keys(KEYS)
    ) as decryptor:
        assert decryptor.read() == plaintext_of(300)
    from_them = write_theirs(suite, plaintext_of(300), FRAME)
    assert unsigned_only_client().decrypt(from_them, CONTEXT) == plaintext_of(300)


@pytest.mark.parametrize("suite", SIGNED, ids=lambda suite: suite.name)
def test_signed_messages_are_refused_on_both_sides_where_unsigned_ones_are_wanted(suite: Suite) -> None:
    from_us = our_client(suite, our_keyring(KEYS)).encrypt(plaintext_of(300), CONTEXT, suite=suite)
    stream = their_client(suite).stream(mode="decrypt-unsigned", source=from_us, key_provider=their_master_keys(KEYS))
    with pytest.raises(ActionNotAllowedError, match="decrypt-unsigned"):
        stream.read()
    with pytest.raises(PolicyRefused, match="unsigned messages only"):
        unsigned_only_client().decrypt(write_theirs(suite, plaintext_of(300), FRAME), CONTEXT)


def unsigned_only_client() -> Client:
    return Client(
        our_keyring(KEYS),
        commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT,
        decrypt_unsigned_only=True,
    )
