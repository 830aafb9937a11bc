"""One client and one keyring for all threads."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from envelope import Client, EncryptionContext, KeyUnavailable, MultiKeyring, RawAesKeyring, Suite
from tests.keyrings_for_tests import open_client, raw_aes

THREADS = 8
ROUNDS = 25
SUITES = (Suite(0x0478), Suite(0x0578))


def _work(client: Client, start: Barrier, number: int) -> list[EncryptionContext]:
    """Every round with a plaintext and a context of its own; returns the contexts that came back."""
    start.wait()
    seen = []
    for turn in range(ROUNDS):
        plaintext = bytes([number, turn]) * (50 + turn)
        context = {"thread": str(number), "turn": str(turn), "shared": "same"}
        message = client.encrypt(
            plaintext, context, suite=SUITES[turn % 2], frame_length_bytes=16, unstored_context_keys=["turn"]
        )
        opened = client.decrypt_message(message, context)
        assert opened.plaintext == plaintext
        out = io.BytesIO()
        client.decrypt_stream(io.BytesIO(message), out, {"turn": str(turn)})
        assert out.getvalue() == plaintext
        seen.append(opened.encryption_context)
    return seen


def test_eight_threads_share_a_client() -> None:
    client = open_client(MultiKeyring(raw_aes("one"), [raw_aes("two", 2)]))
    start = Barrier(THREADS)
    with ThreadPoolExecutor(THREADS) as pool:
        results = list(pool.map(lambda number: _work(client, start, number), range(THREADS)))
    for number, seen in enumerate(results):
        assert [(context["thread"], context["turn"]) for context in seen] == [
            (str(number), str(turn)) for turn in range(ROUNDS)
        ]


def test_a_failure_in_one_thread_is_none_in_another() -> None:
    good, other = Client(raw_aes()), Client(RawAesKeyring("tests", "key", bytes(32)))
    message = good.encrypt(b"plaintext", {"a": "b"})

    def attempt(number: int) -> bytes | None:
        if number % 2:
            return good.decrypt(message, {"a": "b"})
        with pytest.raises(KeyUnavailable) as caught:
            other.decrypt(message, {"a": "b"})
        assert len(caught.value.errors) == 1
        return None

    with ThreadPoolExecutor(THREADS) as pool:
        assert list(pool.map(attempt, range(200))) == [None, b"plaintext"] * 100
