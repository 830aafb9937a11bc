"""Every byte of a message counts: whatever is cut, changed, moved or added is refused, and gives no plaintext.

One small message of each suite, exhaustively: three frames of 8 bytes, one encrypted data key. The plaintext has
neither the byte 0 nor `UNTOUCHED`, so a buffer shows whether something was left in it.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from envelope import (
    Client,
    DecryptingReader,
    EnvelopeError,
    MalformedMessage,
    MessageRefused,
    NotAuthentic,
    Suite,
    TruncatedMessage,
    describe,
)
from tests.crafted_messages import FACTS, Crafted, Frame, message_of, pairs
from tests.file_objects_for_tests import StreamedFile
from tests.keyrings_for_tests import ALL_SUITES, FixedKeyring, open_client, raw_aes, writing_client
from tests.python_child import run_python

PLAINTEXT = b"frame 1.frame 2.frame 3."
FRAME_BYTES = 8
UNTOUCHED = 0xAA
MESSAGES = {suite_id: message_of(suite_id, plaintext=PLAINTEXT) for suite_id in ALL_SUITES}

each_suite = pytest.mark.parametrize("suite_id", ALL_SUITES, ids=lambda suite_id: f"{suite_id:04x}")


def _truncations(message: bytes) -> Iterator[bytes]:
    return (message[:end] for end in range(len(message)))


def _changes(message: bytes) -> Iterator[bytes]:
    for position in range(len(message)):
        for pattern in (0x01, 0x80):
            changed = bytearray(message)
            changed[position] ^= pattern
            yield bytes(changed)


def _damaged(message: bytes) -> list[bytes]:
    return [*_truncations(message), *_changes(message)]


def _reader(client: Client, message: bytes, early: bool) -> DecryptingReader:
    return client.decrypting_reader(StreamedFile(message), release_plaintext_before_signature=early)


def _read_to_end(read: Callable[[], bytes], released: list[bytes]) -> None:
    while piece := read():
        released.append(piece)


def _by_reads(client: Client, message: bytes, *, early: bool) -> bytes:
    """What a reader released before it failed."""
    released: list[bytes] = []
    with pytest.raises(EnvelopeError), _reader(client, message, early) as reader:
        _read_to_end(lambda: reader.read1(5), released)
    return b"".join(released)


def _by_stream(client: Client, message: bytes, *, early: bool) -> bytes:
    """What a stream wrote before it failed."""
    out = io.BytesIO()
    with pytest.raises(EnvelopeError):
        client.decrypt_stream(StreamedFile(message), out, release_plaintext_before_signature=early)
    return out.getvalue()


def _by_buffer(client: Client, message: bytes, *, early: bool) -> bytes:
    """What stands in the caller's buffer after a failure; everything in it that was not released must be blank."""
    buffer = bytearray([UNTOUCHED]) * 40
    with pytest.raises(EnvelopeError), _reader(client, message, early) as reader:
        reader.readinto(buffer)
    released = bytes(buffer).rstrip(bytes([UNTOUCHED, 0]))
    assert set(buffer[len(released) :]) <= {UNTOUCHED, 0}
    return released


WAYS = [_by_reads, _by_stream, _by_buffer]
each_way = pytest.mark.parametrize("way", WAYS, ids=["read1", "stream", "readinto"])


@each_suite
def test_no_damaged_message_decrypts(suite_id: int) -> None:
    message = MESSAGES[suite_id].serialize()
    client = open_client()
    assert client.decrypt(message) == PLAINTEXT
    for damaged in _damaged(message):
        with pytest.raises(MessageRefused):
            client.decrypt(damaged)


@each_suite
def test_every_truncated_message_says_that_it_is_truncated(suite_id: int) -> None:
    message = MESSAGES[suite_id].serialize()
    client = open_client()
    for cut in _truncations(message):
        for attempt in (client.decrypt, describe, lambda cut: client.decrypting_reader(StreamedFile(cut)).read()):
            with pytest.raises(TruncatedMessage):
                attempt(cut)


@each_suite
def test_describing_a_damaged_message_fails_properly_or_not_at_all(suite_id: int) -> None:
    for damaged in _damaged(MESSAGES[suite_id].serialize()):
        try:
            said = describe(damaged)
        except EnvelopeError:
            continue
        assert said.message_bytes == len(damaged)


@each_way
@each_suite
def test_a_stream_releases_verified_frames_only_and_nothing_of_a_signed_message(
    suite_id: int, way: Callable[..., bytes]
) -> None:
    """The last frame is never released: it waits for the end of the message, and that is the damage."""
    client = open_client()
    most = 0 if FACTS[suite_id].curve else 2 * FRAME_BYTES
    seen = set()
    for damaged in _damaged(MESSAGES[suite_id].serialize()):
        released = way(client, damaged, early=False)
        assert released == PLAINTEXT[: len(released)]
        assert len(released) % FRAME_BYTES == 0
        seen.add(len(released))
    assert max(seen) == most


@each_way
@pytest.mark.parametrize("suite_id", [0x0214, 0x0378, 0x0578])
def test_early_release_keeps_the_last_frame_until_the_signature_is_verified(
    suite_id: int, way: Callable[..., bytes]
) -> None:
    client = open_client()
    seen = set()
    for damaged in _damaged(MESSAGES[suite_id].serialize()):
        released = way(client, damaged, early=True)
        assert released == PLAINTEXT[: len(released)]
        seen.add(len(released))
    assert seen == {0, FRAME_BYTES, 2 * FRAME_BYTES}


@each_suite
def test_no_damaged_message_of_a_raw_aes_keyring_decrypts(suite_id: int) -> None:
    client = writing_client(suite_id, raw_aes())
    message = client.encrypt(PLAINTEXT, {"tenant": "42"}, suite=Suite(suite_id), frame_length_bytes=8)
    assert client.decrypt(message) == PLAINTEXT
    for damaged in _changes(message):
        with pytest.raises(EnvelopeError):
            client.decrypt(damaged)


@each_way
@each_suite
def test_a_body_without_frames_is_released_as_a_whole_or_not_at_all(suite_id: int, way: Callable[..., bytes]) -> None:
    client = open_client()
    message = replace(MESSAGES[suite_id], content_type=1).serialize()
    assert client.decrypt(message) == PLAINTEXT
    for damaged in _damaged(message):
        assert way(client, damaged, early=True) == b""


@each_suite
def test_no_damaged_message_without_frames_decrypts(suite_id: int) -> None:
    client = open_client()
    for damaged in _damaged(replace(MESSAGES[suite_id], content_type=1).serialize()):
        with pytest.raises(MessageRefused):
            client.decrypt(damaged)


V2 = MESSAGES[0x0478]
F1, F2, F3 = V2.frames_of_plaintext()
REGULAR_F3 = replace(F3, is_final=False)
FINAL_F2 = replace(F2, is_final=True)
FRAME_TEXT = b"AWSKMSEncryptionClient Frame"
OTHER = replace(V2, message_id=b"another message of thirty-two by")

# Every frame here is sealed under the key of the message; only the place, the number or the kind is wrong.
WRONG_FRAMES: dict[str, tuple[tuple[Frame, ...], type[EnvelopeError], bytes]] = {
    "swapped": ((F2, F1, F3), MalformedMessage, b""),
    "the first one dropped": ((F2, F3), MalformedMessage, b""),
    "one in the middle dropped": ((F1, F3), MalformedMessage, b"frame 1."),
    "the final one dropped": ((F1, F2), TruncatedMessage, b"frame 1.frame 2."),
    "repeated": ((F1, F1, F2, F3), MalformedMessage, b"frame 1."),
    "no frame at all": ((), TruncatedMessage, b""),
    "a final frame turned regular": ((F1, F2, REGULAR_F3), TruncatedMessage, b"frame 1.frame 2.frame 3."),
    "a regular frame turned final": ((F1, replace(FINAL_F2, text=FRAME_TEXT)), NotAuthentic, b"frame 1."),
    "two final frames": ((F1, FINAL_F2, F3), MalformedMessage, b"frame 1."),
    "a number of zero": ((replace(F1, stated_number=0), F2, F3), MalformedMessage, b""),
    "numbers from zero on": ((Frame(0, b"frame 0."), F1, F2, F3), MalformedMessage, b""),
    "a number written wrong": ((replace(F1, stated_number=2), F2, F3), MalformedMessage, b""),
    "a number sealed wrong": ((replace(F1, number=7, stated_number=1, iv=bytes(12)), F2, F3), NotAuthentic, b""),
    "a final number written wrong": ((F1, F2, replace(F3, stated_number=4)), MalformedMessage, b"frame 1.frame 2."),
    "a regular frame of the final mark": ((replace(F1, stated_number=0xFFFFFFFF), F2, F3), MalformedMessage, b""),
    "a final frame above the frame length": (
        (F1, F2, replace(F3, plaintext=b"9 bytes..")), MalformedMessage, b"frame 1.frame 2."
    ),
    "a final frame that says more": ((F1, F2, replace(F3, stated_bytes=9)), MalformedMessage, b"frame 1.frame 2."),
    "a final frame that says most": (
        (F1, F2, replace(F3, stated_bytes=0xFFFFFFFF)), MalformedMessage, b"frame 1.frame 2."
    ),
    "a final frame that says less": ((F1, F2, replace(F3, stated_bytes=7)), MalformedMessage, b"frame 1.frame 2."),
    "a short regular frame": ((replace(F1, plaintext=b"7 bytes"), F2, F3), NotAuthentic, b""),
    "a regular frame sealed as a final one": (
        (replace(F1, text=b"AWSKMSEncryptionClient Final Frame"), F2, F3), NotAuthentic, b""
    ),
    "a final frame sealed as a block": (
        (F1, F2, replace(F3, text=b"AWSKMSEncryptionClient Single Block")), NotAuthentic, b"frame 1.frame 2."
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_FRAMES)
def test_frames_out_of_their_place_are_refused(name: str) -> None:
    frames, error, prefix = WRONG_FRAMES[name]
    message = replace(V2, frames=frames).serialize()
    client = open_client()
    with pytest.raises(error):
        client.decrypt(message)
    assert _by_reads(client, message, early=False) == prefix
    for way in WAYS:
        released = way(client, message, early=False)
        assert released == prefix[: len(released)]
        assert len(released) % FRAME_BYTES == 0


def _with_body(*parts: bytes) -> bytes:
    return V2.header() + b"".join(parts)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_frame_of_another_message_under_the_same_data_key_is_refused(place: int) -> None:
    frames = V2.sealed_frames()
    frames[place] = OTHER.sealed_frames()[place]
    with pytest.raises(NotAuthentic, match=f"frame {place + 1}"):
        open_client().decrypt(_with_body(*frames))


def test_the_header_of_another_message_under_the_same_data_key_is_refused() -> None:
    with pytest.raises(NotAuthentic, match="frame 1 "):
        open_client().decrypt(OTHER.header() + V2.body())
    context = replace(V2, context=pairs(("tenant", "42")))
    with pytest.raises(NotAuthentic, match="header"):
        open_client().decrypt(replace(V2, header_tag=context.header()[-16:]).header() + V2.body())


@each_suite
@pytest.mark.parametrize("extra", [b"\0", b"\n", b"\xff" * 200, b"message"])
def test_what_stands_behind_a_message_is_refused(suite_id: int, extra: bytes) -> None:
    message = MESSAGES[suite_id].serialize()
    appended = message + (message if extra == b"message" else extra)
    client = open_client()
    for attempt in (
        client.decrypt,
        describe,
        lambda appended: client.decrypting_reader(StreamedFile(appended)).read(),
        lambda appended: client.decrypt_stream(StreamedFile(appended), io.BytesIO()),
    ):
        with pytest.raises(MalformedMessage, match="behind the end of the message"):
            attempt(appended)
    assert _by_stream(client, appended, early=False) in (b"", PLAINTEXT[:16])


@each_way
def test_a_refused_reader_keeps_refusing(way: Callable[..., Any]) -> None:
    message = bytearray(V2.serialize())
    message[-20] ^= 1
    client = open_client()
    reader = client.decrypting_reader(StreamedFile(bytes(message)))
    assert reader.read(16) == PLAINTEXT[:16]
    for attempt in (
        reader.read,
        reader.read1,
        lambda: reader.readinto(bytearray(5)),
        lambda: reader.readinto1(bytearray(50)),
        lambda: next(reader),
        lambda: list(reader),
    ):
        with pytest.raises(NotAuthentic, match="frame 3"):
            attempt()
    assert way(client, bytes(message), early=False) == PLAINTEXT[:16]


def test_the_keyring_is_asked_once_for_each_damaged_message() -> None:
    keyring = FixedKeyring()
    client = open_client(keyring)
    with pytest.raises(NotAuthentic):
        client.decrypt(replace(V2, frames=(F1, F2, replace(F3, text=FRAME_TEXT))).serialize())
    assert len(keyring.unwraps) == 1


def test_a_refused_message_leaves_nothing_that_the_garbage_collector_complains_about() -> None:
    """An exception that was kept holds its frames, and they hold buffers: none may be resized under a view of it."""
    code = """
import gc
message = bytearray(client.encrypt(b"x" * 100, frame_length_bytes=16))
message[-20] ^= 1

class StreamedFile(io.BytesIO):
    pass

def keep(attempt):
    try:
        attempt()
    except EnvelopeError as error:
        kept = error
        return True

for attempt in (
    lambda: client.decrypt(message),
    lambda: client.decrypt(bytes(message)),
    lambda: client.decrypting_reader(io.BytesIO(message)).read(),
    lambda: client.decrypting_reader(StreamedFile(message)).read(),
    lambda: client.decrypting_reader(StreamedFile(message)).readinto(bytearray(200)),
    lambda: client.decrypt_stream(StreamedFile(message), io.BytesIO()),
    lambda: client.open_range(StreamedFile(message), 0, 100),
    lambda: Client(RawAesKeyring("tests", "key", bytes(32))).decrypt(message),
):
    assert keep(attempt)
    gc.collect()
"""
    assert run_python(code) == b""


def test_two_encrypted_data_keys_do_not_open_one_message_to_two_plaintexts() -> None:
    """The commitment: a frame that opens under two keys is of no use, since the header opens under one."""
    one, two = V2, replace(V2, data_key=bytes(32))
    salamander = Crafted(plaintext=b"", commitment=one.keys_of_message()[1], header_tag=two.header()[-16:])
    for crafted in (one, two):
        with pytest.raises(NotAuthentic):
            open_client(FixedKeyring(crafted.data_key)).decrypt(salamander.serialize())
