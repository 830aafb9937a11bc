"""The errors of AsyncClient are those of Client: the same class, text and hint for the same call."""

from __future__ import annotations

import inspect
import io
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from envelope import AsyncClient, Client, EnvelopeError, RawAesKeyring, Suite
from tests.async_for_tests import joined, open_async_client, run
from tests.crafted_messages import Crafted
from tests.keyrings_for_tests import FixedKeyring, open_client, raw_aes
from tests.test_error_table import MALFORMED
from tests.test_wrong_types import NONSENSE

SYNC: Any = open_client()
ASYNC: Any = open_async_client()
MESSAGE = Crafted().serialize()
KeyOf = tuple[type, str, str] | None


async def _used(manager: AbstractAsyncContextManager[Any]) -> None:
    async with manager:
        pass


async def _read(manager: AbstractAsyncContextManager[Any]) -> bytes:
    async with manager as reader:
        plaintext: bytes = await reader.read()
        return plaintext


def _outcome(call: Callable[[], object]) -> KeyOf:
    try:
        call()
    except EnvelopeError as error:
        return type(error), str(error), error.hint
    return None


async def _outcome_async(call: Callable[[], Awaitable[object]]) -> KeyOf:
    try:
        await call()
    except EnvelopeError as error:
        return type(error), str(error), error.hint
    return None


def _messages() -> dict[str, bytes]:
    """Messages that are wrong in one place."""
    client = Client(FixedKeyring())
    signed = client.encrypt(b"plaintext", suite=Suite(0x0578))
    changed = bytearray(MESSAGE)
    changed[-1] ^= 1
    of_another_key = Client(raw_aes()).encrypt(b"plaintext")
    return {
        **{name: crafted.serialize() for name, (crafted, _) in MALFORMED.items()},
        "nothing": b"",
        "cut in its header": MESSAGE[:50],
        "cut in its last frame": MESSAGE[:-1],
        "cut between frames": MESSAGE[: -(40 + 8)],
        "changed": bytes(changed),
        "with a byte behind it": MESSAGE + b"x",
        "a block that is cut": Crafted(content_type=1).serialize()[:-1],
        "a signature that is cut": signed[:-1],
        "a signature that is changed": signed[:-1] + bytes([signed[-1] ^ 1]),
        "long frames": Crafted(frame_length=65_000).serialize(),
        "of another key": of_another_key,
        "right": MESSAGE,
    }


@pytest.mark.parametrize("name", _messages())
def test_a_bad_message_is_the_same_error(name: str) -> None:
    message = _messages()[name]
    limits: dict[str, Any] = {"max_frame_bytes": 60_000, "decrypt_unsigned_only": name == "a signature that is cut"}
    keyring = RawAesKeyring("tests", "other", bytes(32)) if name == "of another key" else FixedKeyring()
    sync, client = open_client(keyring, **limits), open_async_client(keyring, **limits)

    def reading() -> io.BytesIO:
        return io.BytesIO(message)

    async def compare() -> None:
        whole = _outcome(lambda: sync.decrypt(message))
        assert await _outcome_async(lambda: client.decrypt(message)) == whole
        assert await _outcome_async(lambda: client.decrypt_message(message)) == whole
        streamed = _outcome(lambda: sync.decrypting_reader(reading()).read())
        for chunks in ([message], [message[:70], message[70:]]):
            assert await _outcome_async(lambda chunks=chunks: joined(client.decrypt_chunks(chunks))) == streamed  # type: ignore[misc]
        assert await _outcome_async(lambda: _read(client.decrypting_reader(reading()))) == streamed
        assert await _outcome_async(lambda: client.decrypt_stream(reading(), io.BytesIO())) == streamed
        ranged = _outcome(lambda: sync.open_range(reading(), 0, 1))
        assert await _outcome_async(lambda: client.open_range(reading(), 0, 1)) == ranged
        if name != "right":
            assert None not in (whole, streamed, ranged)

    run(compare())


CONTEXT: dict[str, Callable[[], Any]] = {"encryption_context": dict}
ENCRYPTION: dict[str, Callable[[], Any]] = {
    **CONTEXT,
    "suite": lambda: None,
    "frame_length_bytes": lambda: 8,
    "unstored_context_keys": list,
}
EARLY: dict[str, Callable[[], Any]] = {"release_plaintext_before_signature": lambda: True}
READING: dict[str, Callable[[], Any]] = {"source": lambda: io.BytesIO(MESSAGE)}
PATHS: dict[str, Callable[[], Any]] = {"source_path": lambda: "message", "destination_path": lambda: "target"}
TO: dict[str, Callable[[], Any]] = {"destination": io.BytesIO}

# What is called of both clients, how a result of the asynchronous one is awaited, and good arguments.
CALLS: dict[str, tuple[Callable[[Any], Awaitable[object]], dict[str, Callable[[], Any]]]] = {
    "encrypt": (lambda result: result, {"plaintext": lambda: b"x", **ENCRYPTION}),
    "decrypt": (lambda result: result, {"message": lambda: MESSAGE, **CONTEXT}),
    "decrypt_message": (lambda result: result, {"message": lambda: MESSAGE, **CONTEXT}),
    "encrypting_writer": (_used, {"binary_file": io.BytesIO, "length": lambda: 0, **ENCRYPTION}),
    "decrypting_reader": (_used, {"binary_file": lambda: io.BytesIO(MESSAGE), **CONTEXT, **EARLY}),
    "encrypt_stream": (lambda result: result, {"source": io.BytesIO, **TO, **ENCRYPTION}),
    "decrypt_stream": (lambda result: result, {**READING, **TO, **CONTEXT, **EARLY}),
    "encrypt_file": (lambda result: result, {**PATHS, **ENCRYPTION}),
    "decrypt_file": (lambda result: result, {**PATHS, **CONTEXT}),
    "open_range": (lambda result: result, {**READING, "start": lambda: 0, "length": lambda: 1, **CONTEXT}),
}


def _called(name: str, arguments: dict[str, Any]) -> None:
    result = getattr(SYNC, name)(**arguments)
    if name in ("encrypting_writer", "decrypting_reader"):
        result.close()


@pytest.mark.parametrize("name", CALLS)
def test_nonsense_is_the_same_error(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "message").write_bytes(MESSAGE)
    awaited, makers = CALLS[name]

    async def compare(parameter: str, nonsense: object) -> KeyOf:
        def arguments() -> dict[str, Any]:
            if isinstance(nonsense, io.StringIO):
                nonsense.seek(0)  # as the call before found it
            return {**{key: make() for key, make in makers.items()}, parameter: nonsense}

        expected = _outcome(lambda: _called(name, arguments()))
        assert await _outcome_async(lambda: awaited(getattr(ASYNC, name)(**arguments()))) == expected
        return expected

    async def compare_all() -> None:
        for parameter in makers:
            outcomes = [await compare(parameter, nonsense) for nonsense in NONSENSE.values()]
            assert len(outcomes) - outcomes.count(None) > 15, "most of it is nonsense for any parameter"

    run(compare_all())


@pytest.mark.parametrize(
    "option",
    [
        "commitment_policy",
        "max_encrypted_data_keys",
        "max_frame_bytes",
        "decrypt_unsigned_only",
        "allow_net_4_0_0_messages",
        "keyring",
    ],
)
def test_a_nonsensical_option_is_the_same_error(option: str) -> None:
    for nonsense in NONSENSE.values():
        options: dict[str, Any] = {"keyring": raw_aes(), option: nonsense}
        expected = _outcome(lambda options=options: Client(**options))  # type: ignore[misc]  # a default that binds it
        assert _outcome(lambda options=options: AsyncClient(**options)) == expected  # type: ignore[misc]


def test_the_methods_and_their_parameters_are_those_of_the_sync_client() -> None:
    public = {name for name in vars(Client) if not name.startswith("_")}
    assert {name for name in vars(AsyncClient) if not name.startswith("_")} == public | {
        "encrypt_chunks",
        "decrypt_chunks",
    }
    for name in (*public, "__init__"):
        parameters = [
            [(parameter.name, parameter.default, parameter.kind) for parameter in signature.parameters.values()]
            for signature in map(inspect.signature, (getattr(Client, name), getattr(AsyncClient, name)))
        ]
        assert parameters[0] == parameters[1]
