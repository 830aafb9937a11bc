"""The engine without any driver."""

import hmac
import io

import pytest

from envelope import Client, NotAuthentic, RawAesKeyring
from envelope.context import EMPTY_CONTEXT
from envelope.engine.decryptor import Decryptor
from envelope.engine.input import InputBuffer
from envelope.engine.options import Options

KEYRING = RawAesKeyring("tests", "key", bytes(32))


def test_a_driver_that_asks_for_a_part_before_there_is_one_is_told_so() -> None:
    decryptor = Decryptor(Options(), EMPTY_CONTEXT, InputBuffer(b""))
    with pytest.raises(RuntimeError, match="next_part"):
        decryptor.open_part()


@pytest.mark.parametrize("step", [1, 3, 100])
def test_a_message_that_comes_in_piece_by_piece_is_opened_without_any_file(step: int) -> None:
    plaintext = bytes(range(256)) * 3
    message = Client(KEYRING).encrypt(plaintext, {"tenant": "42"}, frame_length_bytes=100)
    source = InputBuffer()
    decryptor = Decryptor(Options(), EMPTY_CONTEXT, source)
    pieces = io.BytesIO(message)
    opened = b""

    def fill() -> None:
        space = source.space(decryptor.wanted_bytes())
        source.filled(pieces.readinto(space[:step]))

    while (request := decryptor.read_header()) is None:
        fill()
    assert request.encryption_context == {"tenant": "42"}
    decryptor.supply(KEYRING.unwrap(request))
    while not decryptor.is_finished:
        if decryptor.next_part() is None:
            fill()
        else:
            opened += decryptor.open_part()
    assert opened == plaintext


def test_commitments_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test can see a time; so it looks for the one comparison that promises it."""
    compared: list[set[bytes]] = []
    in_constant_time = hmac.compare_digest

    def watched(one: bytes, other: bytes) -> bool:
        compared.append({one, other})
        return in_constant_time(one, other)

    monkeypatch.setattr(hmac, "compare_digest", watched)
    client = Client(KEYRING)
    message = client.encrypt(b"plaintext")
    commitment = client.decrypt_message(message).header.commitment
    compared.clear()
    client.decrypt(message)
    assert compared == [{commitment}]
    where = message.index(commitment)
    other = bytes([commitment[0] ^ 1]) + commitment[1:]
    with pytest.raises(NotAuthentic, match="commit"):
        client.decrypt(message[:where] + other + message[where + 32 :])
    assert compared[1:] == [{commitment, other}]


def test_memory_for_the_input_grows_only_with_what_has_come_in() -> None:
    source = InputBuffer()
    for _ in range(20):
        before = len(source.view)
        assert len(source.space(64 * 1024 * 1024)) <= before
        source.filled(10)
        assert len(source.view) <= 4_096
    while len(source.view) < 64 * 1024 * 1024:
        space = source.space(64 * 1024 * 1024)
        source.filled(len(space))
        assert len(source.view) <= 2 * source.size
