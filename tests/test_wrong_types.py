"""Nonsense for every parameter of every public call: an error of ours, or an answer, and nothing else."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from envelope import (
    Client,
    EncryptionContext,
    EnvelopeError,
    MultiKeyring,
    RawAesKeyring,
    RawRsaKeyring,
    describe,
)
from tests.crafted_messages import Crafted
from tests.keyrings_for_tests import open_client, raw_aes

NONSENSE: dict[str, Any] = {
    "None": None,
    "true": True,
    "zero": 0,
    "minus one": -1,
    "huge": 10**5000,
    "minus huge": -(10**5000),
    "float": 1.5,
    "not a number": float("nan"),
    "complex": 1j,
    "empty text": "",
    "text": "text",
    "surrogate": "\ud800",
    "zero character": "\0",
    "bytes": b"bytes",
    "no bytes": b"",
    "bytearray": bytearray(b"bytes"),
    "every other byte": memoryview(b"bytes")[::2],
    "list": [b"bytes"],
    "list of lists": [[]],
    "tuple of None": (None,),
    "set": {1},
    "dictionary": {1: 2},
    "dictionary of lists": {"name": []},
    "object": object(),
    "class": bytes,
    "class of files": io.BytesIO,
    "function": len,
    "exception": ValueError("x"),
    "module": io,
    "text file": io.StringIO("text"),
    "path": Path("path"),
    "iterator": iter(()),
}


def _calls() -> Iterator[tuple[str, Callable[..., Any], dict[str, Callable[[], Any]]]]:
    """Every public call, and how to make good arguments for it."""
    client: Any = open_client()
    message = Crafted().serialize()
    context: dict[str, Callable[[], Any]] = {"encryption_context": dict}
    encryption: dict[str, Callable[[], Any]] = {
        **context,
        "suite": lambda: None,
        "frame_length_bytes": lambda: 8,
        "unstored_context_keys": list,
    }
    early: dict[str, Callable[[], Any]] = {"release_plaintext_before_signature": lambda: True}
    reading: Callable[[], Any] = lambda: io.BytesIO(message)  # noqa: E731 - one of a row of makers
    yield "encrypt", client.encrypt, {"plaintext": lambda: b"x", **encryption}
    yield "decrypt", client.decrypt, {"message": lambda: message, **context}
    yield "decrypt_message", client.decrypt_message, {"message": lambda: message, **context}
    yield (
        "encrypting_writer",
        lambda **arguments: client.encrypting_writer(**arguments).close(),
        {"binary_file": io.BytesIO, "length": lambda: 0, **encryption},
    )
    yield "decrypting_reader", client.decrypting_reader, {"binary_file": reading, **context, **early}
    yield "encrypt_stream", client.encrypt_stream, {"source": io.BytesIO, "destination": io.BytesIO, **encryption}
    yield "decrypt_stream", client.decrypt_stream, {"source": reading, "destination": io.BytesIO, **context, **early}
    paths: dict[str, Callable[[], Any]] = {"source_path": lambda: "message", "destination_path": lambda: "target"}
    yield "encrypt_file", client.encrypt_file, {**paths, **encryption}
    yield "decrypt_file", client.decrypt_file, {**paths, **context}
    yield "open_range", client.open_range, {"source": reading, "start": lambda: 0, "length": lambda: 1, **context}
    yield "describe", describe, {"message": lambda: message}
    options = ("commitment_policy", "max_encrypted_data_keys", "max_frame_bytes", "decrypt_unsigned_only")
    for option in (*options, "allow_net_4_0_0_messages"):
        yield f"Client {option}", lambda **arguments: Client(raw_aes(), **arguments), {option: lambda: None}
    yield "Client", Client, {"keyring": raw_aes}
    yield "EncryptionContext", EncryptionContext, {"pairs": dict}
    yield (
        "RawAesKeyring",
        RawAesKeyring,
        {"namespace": lambda: "tests", "name": lambda: "key", "wrapping_key": lambda: bytes(32)},
    )
    yield "MultiKeyring", MultiKeyring, {"generator": raw_aes, "children": list}
    yield (
        "RawRsaKeyring",
        RawRsaKeyring,
        {name: lambda: None for name in ("namespace", "name", "public_key", "private_key", "padding")},
    )


CASES = [(name, parameter) for name, _, makers in _calls() for parameter in makers]


@pytest.mark.parametrize(("name", "parameter"), CASES, ids=[" ".join(case) for case in CASES])
def test_nonsense_is_an_error_of_ours_or_has_an_answer(
    name: str, parameter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "message").write_bytes(Crafted().serialize())
    ((call, makers),) = [(call, makers) for called, call, makers in _calls() if called == name]
    refusals = []
    for nonsense in NONSENSE.values():
        arguments = {key: make() for key, make in makers.items()}
        try:
            call(**{**arguments, parameter: nonsense})
        except EnvelopeError as error:
            refusals.append((str(error), error.hint))
    assert len(refusals) > 15, "most of it is nonsense for any parameter"
    for text, hint in refusals:
        assert text.isprintable()
        assert len(text) + len(hint) < 1_000
