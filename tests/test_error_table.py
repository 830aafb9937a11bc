"""Which error where: messages that are wrong in one place, each by a writer that does nothing else wrong."""

from __future__ import annotations

import base64
import io
import struct
from dataclasses import replace
from typing import Any

import pytest

from envelope import (
    Client,
    EnvelopeError,
    LimitExceeded,
    MalformedMessage,
    NotAuthentic,
    Suite,
    TruncatedMessage,
    describe,
)
from envelope.message.header import parse_header, serialize_header
from tests.crafted_messages import Crafted, Frame, Key, pairs, u16
from tests.file_objects_for_tests import StreamedFile
from tests.keyrings_for_tests import FixedKeyring, open_client

pytestmark = pytest.mark.smoke

V1 = Crafted(suite_id=0x0178)
V2 = Crafted(suite_id=0x0478)
BLOCK = replace(V2, content_type=1)
MALFORMED: dict[str, tuple[Crafted, str]] = {
    "version 0": (replace(V2, version=0), "version 0 is not supported"),
    "version 3": (replace(V2, version=3), "version 3 is not supported"),
    "version 1 with a suite of version 2": (replace(V2, version=1), "version 1 cannot have suite"),
    "version 2 with a suite of version 1": (replace(V1, version=2), "version 2 cannot have suite"),
    "another type": (replace(V1, message_type=0x81), "type 0x81 is not supported"),
    "type zero": (replace(V1, message_type=0), "type 0x00 is not supported"),
    "the reserved suite": (replace(V2, suite_id=0), "suite 0x0000 is not supported"),
    "a suite of the database encryption SDK": (replace(V2, suite_id=0x6701), "suite 0x6701 is not supported"),
    "an unknown suite": (replace(V2, suite_id=0x0479), "suite 0x0479 is not supported"),
    "content type 0": (replace(V2, content_type=0), "content type 0 is not supported"),
    "content type 3": (replace(V2, content_type=3), "content type 3 is not supported"),
    "reserved bytes": (replace(V1, reserved=b"\0\0\0\1"), "reserved bytes"),
    "IVs of 16 bytes": (replace(V1, iv_bytes=16), "IVs have 16 bytes"),
    "frames of no bytes": (replace(V2, stated_frame_length=0), "frames of no bytes"),
    "no frames with a frame length": (replace(BLOCK, stated_frame_length=8), "frame length for a body without frames"),
    "no encrypted data key": (replace(V2, keys=()), "no encrypted data key"),
    "a name twice": (replace(V2, context=pairs(("a", "1"), ("a", "1"))), "a name twice"),
    "a byte behind the pairs": (replace(V2, context=pairs(("a", "1")) + b"\0"), "longer than its pairs"),
    "fewer pairs than counted": (
        replace(V2, context=pairs(("a", "1"), count=2)),
        "context of the message is malformed",
    ),
    "more pairs than counted": (replace(V2, context=pairs(("a", "1"), ("b", "2"), count=1)), "longer than its pairs"),
    "a context of one byte": (replace(V2, context=b"\0"), "context of the message is malformed"),
    "a value that ends too late": (replace(V2, context=pairs(("a", "1"))[:-1]), "context of the message is malformed"),
    "a name that is not UTF-8": (replace(V2, context=pairs((b"\xff", "1"))), "malformed|not UTF-8"),
    "a value that is not UTF-8": (replace(V2, context=pairs(("a", b"\xc0\x80"))), "malformed|not UTF-8"),
    "a surrogate in UTF-8": (replace(V2, context=pairs(("a", b"\xed\xa0\x80"))), "malformed|not UTF-8"),
    "a provider id that is not UTF-8": (replace(V2, keys=(Key(provider_id=b"\xff"),)), "not UTF-8"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_header_is_refused_before_a_key_is_asked_for(name: str) -> None:
    crafted, text = MALFORMED[name]
    message = crafted.serialize()
    keyring = FixedKeyring()
    client = open_client(keyring)
    for attempt in (
        lambda: client.decrypt(message),
        lambda: client.decrypting_reader(StreamedFile(message)),
        lambda: client.decrypt_stream(StreamedFile(message), io.BytesIO()),
        lambda: client.open_range(StreamedFile(message), 0, 1),
        lambda: describe(message),
    ):
        with pytest.raises(MalformedMessage, match=text) as caught:
            attempt()
        assert not isinstance(caught.value, TruncatedMessage)
    assert keyring.unwraps == []


@pytest.mark.parametrize("suite_id", [0x0178, 0x0478, 0x0578])
def test_base64_text_is_refused_with_a_hint(suite_id: int) -> None:
    text = base64.b64encode(replace(V2, suite_id=suite_id).serialize())
    assert text.startswith({0x0178: b"AY", 0x0478: b"AgR4", 0x0578: b"AgV4"}[suite_id])
    for attempt in (describe, open_client().decrypt):
        with pytest.raises(MalformedMessage, match="base64") as caught:
            attempt(text)
        assert "b64decode" in caught.value.hint


@pytest.mark.parametrize("message", [b"", b"\x02", b"\x01\x80", V2.header()[:-1], V1.header()[:-1]])
def test_a_message_that_ends_in_its_header_is_truncated(message: bytes) -> None:
    for attempt in (describe, open_client().decrypt, lambda cut: open_client().decrypting_reader(StreamedFile(cut))):
        with pytest.raises(TruncatedMessage):
            attempt(message)


@pytest.mark.parametrize("crafted", [V1, V2])
def test_a_huge_number_of_keys_is_refused_where_it_stands(crafted: Crafted) -> None:
    """The count is the last thing there is: nothing behind it is waited for, and no memory is taken for it."""
    header = replace(crafted, keys=(), key_count=65_535).header_body()
    cut = header[: header.index(b"\xff\xff") + 2]
    keyring = FixedKeyring()
    for attempt in (
        lambda: open_client(keyring).decrypt(cut),
        lambda: open_client(keyring).decrypting_reader(StreamedFile(cut)),
    ):
        with pytest.raises(LimitExceeded, match="65,535 encrypted data keys, more than the limit of 32"):
            attempt()
    assert keyring.unwraps == []
    with pytest.raises(TruncatedMessage):
        describe(cut)


def test_as_many_keys_as_the_limit_are_opened_and_one_more_is_not() -> None:
    at_limit, above = replace(V2, keys=(Key(),) * 3), replace(V2, keys=(Key(),) * 4)
    client = open_client(max_encrypted_data_keys=3)
    assert client.decrypt(at_limit.serialize()) == V2.plaintext
    with pytest.raises(LimitExceeded, match="4 encrypted data keys, more than the limit of 3") as caught:
        client.decrypt(above.serialize())
    assert "max_encrypted_data_keys" in caught.value.hint
    assert open_client(max_encrypted_data_keys=65_535).decrypt(replace(V2, keys=(Key(),) * 65_535).serialize())


def test_keys_keep_their_order_and_their_bytes() -> None:
    once, greatest = Key(b"z", b"", b"1"), Key(b"", b"info", bytes(65_535))
    keys = (once, Key(b"a", b"\xff\0", b""), once, greatest, Key("é".encode(), b"", b""))
    message = replace(V2, keys=keys).serialize()
    keyring = FixedKeyring()
    assert open_client(keyring).decrypt(message) == V2.plaintext
    for stored in (keyring.unwraps[0].encrypted_data_keys, describe(message).encrypted_data_keys):
        assert [Key(key.provider_id.encode(), key.provider_info, key.ciphertext) for key in stored] == list(keys)


TOLERATED = {
    "unsorted pairs": (pairs(("b", "2"), ("a", "1")), {"a": "1", "b": "2"}),
    "expanded empty pairs": (pairs(), {}),
    "an empty name and an empty value": (pairs(("", "")), {"": ""}),
    "a name beyond the basic plane": (pairs(("\U0001d54c", "\uffee")), {"\U0001d54c": "\uffee"}),
}


@pytest.mark.parametrize("crafted", [V1, V2])
@pytest.mark.parametrize("name", TOLERATED)
def test_what_other_writers_do_to_a_context_is_read(name: str, crafted: Crafted) -> None:
    stored, context = TOLERATED[name]
    message = replace(crafted, context=stored).serialize()
    keyring = FixedKeyring()
    opened = open_client(keyring).decrypt_message(message)
    assert opened.plaintext == crafted.plaintext
    assert opened.encryption_context == describe(message).encryption_context == context
    # What keyrings authenticate is canonical, whatever the message stores.
    canonical = pairs(*sorted(context.items())) if context else b""
    assert keyring.unwraps[0].encryption_context.serialized == canonical
    header = parse_header(message, max_encrypted_data_keys=1)
    assert message.startswith(serialize_header(header))


def test_frames_above_the_limit_are_refused_before_a_key_is_asked_for() -> None:
    keyring = FixedKeyring()
    client = open_client(keyring, max_frame_bytes=8)
    assert client.decrypt(V2.serialize()) == V2.plaintext
    keyring.unwraps.clear()
    for crafted in (replace(V2, frame_length=9), replace(V2, stated_frame_length=0xFFFF_FFFF)):
        for message in (crafted.serialize(), crafted.header()):
            with pytest.raises(LimitExceeded, match="limit of 8"):
                client.decrypt(message)
            with pytest.raises(LimitExceeded):
                client.decrypting_reader(StreamedFile(message))
    assert keyring.unwraps == []


@pytest.mark.parametrize("stated", [25, 2**31, 2**32 + 24, 2**36 - 32])
def test_a_block_above_the_limit_is_refused_before_a_key_is_asked_for(stated: int) -> None:
    keyring = FixedKeyring()
    client = open_client(keyring, max_frame_bytes=24)
    assert client.decrypt(BLOCK.serialize()) == BLOCK.plaintext
    keyring.unwraps.clear()
    message = replace(BLOCK, block_bytes=stated).serialize()
    for attempt in (client.decrypt, lambda message: client.decrypting_reader(StreamedFile(message))):
        with pytest.raises(LimitExceeded, match=f"{stated:,} bytes"):
            attempt(message)
    assert keyring.unwraps == []


@pytest.mark.parametrize("stated", [2**36 - 31, 2**63, 2**64 - 1])
def test_a_block_longer_than_aes_gcm_allows_is_malformed(stated: int) -> None:
    message = replace(BLOCK, block_bytes=stated).serialize()
    for attempt in (
        open_client().decrypt,
        describe,
        lambda message: open_client().decrypting_reader(StreamedFile(message)),
    ):
        with pytest.raises(MalformedMessage, match="more than AES-GCM can encrypt"):
            attempt(message)


@pytest.mark.parametrize("suite_id", [0x0014, 0x0178, 0x0478])
@pytest.mark.parametrize("plaintext", [b"", b"x", b"a block of some length" * 300])
def test_a_body_without_frames_is_read(suite_id: int, plaintext: bytes) -> None:
    message = replace(BLOCK, suite_id=suite_id, plaintext=plaintext).serialize()
    client = open_client()
    assert client.decrypt(message) == plaintext
    assert client.decrypting_reader(StreamedFile(message)).read() == plaintext
    said = describe(message)
    assert (said.is_framed, said.frames, said.frame_length_bytes) == (False, 1, 0)
    assert said.plaintext_bytes == len(plaintext)


@pytest.mark.parametrize("cut", [1, 16, 17, 30, 36, 50])
def test_a_block_that_is_cut_is_truncated(cut: int) -> None:
    message = BLOCK.serialize()[:-cut]
    for attempt in (
        open_client().decrypt,
        describe,
        lambda message: open_client().decrypting_reader(StreamedFile(message)).read(),
    ):
        with pytest.raises(TruncatedMessage):
            attempt(message)


def test_a_block_whose_stated_length_is_another_is_refused() -> None:
    for stated, error in ((23, MalformedMessage), (25, TruncatedMessage)):
        with pytest.raises(error):
            open_client().decrypt(replace(BLOCK, block_bytes=stated).serialize())


def test_the_stored_ivs_are_used_whatever_they_are() -> None:
    frames = tuple(replace(frame, iv=bytes([200 - frame.number]) * 12) for frame in V2.frames_of_plaintext())
    assert open_client().decrypt(replace(V2, frames=frames).serialize()) == V2.plaintext
    assert open_client().decrypt(replace(BLOCK, block_iv=b"any other IV").serialize()) == BLOCK.plaintext
    random_header_iv = replace(V1, header_iv=b"random in v1")
    assert open_client().decrypt(random_header_iv.serialize()) == V1.plaintext
    assert describe(random_header_iv.serialize()).header.iv == b"random in v1"


@pytest.mark.parametrize("crafted", [V1, V2])
def test_an_empty_final_frame_behind_a_full_one_is_read(crafted: Crafted) -> None:
    frames = tuple(replace(frame, is_final=False) for frame in crafted.frames_of_plaintext())
    message = replace(crafted, frames=(*frames, Frame(4, b"", is_final=True))).serialize()
    client = open_client()
    assert client.decrypt(message) == crafted.plaintext
    assert list(client.decrypting_reader(StreamedFile(message))) == [frame.plaintext for frame in frames]
    reader = client.decrypting_reader(StreamedFile(message))
    buffer = bytearray(64)
    assert (reader.readinto(buffer), bytes(buffer[:24])) == (24, crafted.plaintext)
    assert reader.readinto1(buffer) == 0
    assert client.open_range(StreamedFile(message), 20, 9) == crafted.plaintext[20:29]
    assert describe(message).frames == 4


def test_the_commitment_is_checked_before_the_header_tag() -> None:
    for tag in (None, bytes(16)):
        wrong = replace(V2, commitment=bytes(32), header_tag=tag)
        with pytest.raises(NotAuthentic, match="does not commit to this data key"):
            open_client().decrypt(wrong.serialize())
    with pytest.raises(NotAuthentic, match="header of the message is not authentic"):
        open_client().decrypt(replace(V2, header_tag=bytes(16)).serialize())


@pytest.mark.parametrize(("suite_id", "text"), [(0x0478, "does not commit"), (0x0178, "header"), (0x0078, "header")])
def test_a_message_under_another_data_key_is_not_authentic(suite_id: int, text: str) -> None:
    message = replace(V2, suite_id=suite_id, data_key=bytes(32)).serialize()
    with pytest.raises(NotAuthentic, match=text):
        open_client().decrypt(message)


def test_nothing_in_the_table_is_refused_for_another_reason() -> None:
    """The messages that the others are made from open, so each test above has one cause."""
    for crafted in (V1, V2, BLOCK, replace(V1, content_type=1)):
        assert open_client().decrypt(crafted.serialize()) == crafted.plaintext


MAX_U16 = 65_535


def test_a_context_of_the_greatest_length_is_read() -> None:
    value = "v" * (MAX_U16 - 2 - 4 - 1)
    message = replace(V2, context=pairs(("n", value))).serialize()
    assert message[35:37] == u16(MAX_U16)
    assert open_client().decrypt_message(message).encryption_context == {"n": value}
    assert open_client().decrypting_reader(StreamedFile(message)).encryption_context == {"n": value}


@pytest.mark.parametrize("garbage", [bytes(100), b"\xff" * 100, b"PK\x03\x04", b"age-encryption.org/v1\n", b"{}"])
def test_what_is_no_message_is_malformed(garbage: bytes) -> None:
    for attempt in (describe, open_client().decrypt):
        with pytest.raises(MalformedMessage) as caught:
            attempt(garbage)
        assert caught.value.hint


@pytest.mark.parametrize("message", [None, 1, "text", ["bytes"], object(), memoryview(bytes(16))[::2], io.BytesIO()])
def test_a_message_that_is_not_bytes_is_refused(message: Any) -> None:
    client = open_client()
    for attempt in (describe, client.decrypt, client.decrypt_message, client.encrypt):
        with pytest.raises(EnvelopeError, match="must be bytes"):
            attempt(message)


def test_a_message_says_what_it_is_made_of() -> None:
    """`Client.decrypt_message` gives the raw header: its bytes are those that were authenticated."""
    opened = Client(FixedKeyring()).decrypt_message(V2.serialize())
    assert opened.header.body + opened.header.auth == V2.header()
    assert opened.header.suite is Suite(0x0478)
    assert struct.unpack(">I", V2.header_body()[-36:-32])[0] == opened.header.frame_length_bytes == 8
