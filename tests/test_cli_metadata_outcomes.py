"""The line of metadata of a message that failed, and of one whose reader is slow."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from envelope.cli import main
from tests.cli_for_tests import AES, OTHER, make_keys, run_cli, standing_for

SIZES = [100, 300_000]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    make_keys(tmp_path)


def write_message(size: int, *, changed_at: int) -> None:
    Path("in").write_bytes(bytes(size))
    ended = run_cli("encrypt", "in", "-o", "message", "-k", AES, "-c", "tenant=42", "--frame-length", 4096)
    assert ended.status == 0
    data = bytearray(Path("message").read_bytes())
    data[changed_at] ^= 1
    Path("message").write_bytes(data)


def line_of(*arguments: object) -> dict[str, Any]:
    assert run_cli(*arguments, "--metadata", "log").status == 3
    (line,) = Path("log").read_text().splitlines()
    fields: dict[str, Any] = json.loads(line)
    assert fields["status"] == "failed"
    return fields


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("verb", ["decrypt", "verify", "rekey"])
def test_a_message_that_fails_in_its_body_has_its_authentic_header_in_its_line(verb: str, size: int) -> None:
    write_message(size, changed_at=-20)
    more = {"decrypt": ("-o", "back"), "verify": (), "rekey": ("-o", "back", "--to", OTHER)}[verb]
    fields = line_of(verb, "message", "-k", AES, *more)
    assert fields["header"]["encryption_context"] == {"tenant": "42"}
    assert fields["unwrapped_by"]["key_name"] == "one"
    assert not Path("back").exists()


@pytest.mark.parametrize("size", SIZES)
def test_a_message_that_fails_in_its_header_has_none(size: int) -> None:
    write_message(size, changed_at=10)
    fields = line_of("decrypt", "message", "-o", "back", "-k", AES)
    assert "header" not in fields
    assert "unwrapped_by" not in fields


@pytest.mark.parametrize("size", SIZES)
def test_a_message_without_a_pair_that_was_asked_for_has_the_header_that_shows_it(size: int) -> None:
    write_message(size, changed_at=-1)
    Path("message").unlink()
    assert run_cli("encrypt", "in", "-o", "message", "-k", AES, "-c", "tenant=42").status == 0
    fields = line_of("decrypt", "message", "-o", "back", "-k", AES, "-c", "owner")
    assert fields["header"]["encryption_context"] == {"tenant": "42"}


def test_metadata_wait_for_a_reader_that_has_taken_standard_output_out_of_blocking_mode() -> None:
    Path("in").write_bytes(b"plaintext")
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    filling = 0
    try:
        while True:
            filling += os.write(writing, bytes(4096))
    except BlockingIOError:
        pass
    asked, taken = threading.Event(), bytearray()

    def read() -> None:
        asked.wait(30)
        while part := os.read(reading, 65_536):
            taken.extend(part)

    reader = threading.Thread(target=read)
    reader.start()
    threading.Timer(0.05, asked.set).start()
    with standing_for(1, writing):
        os.close(writing)
        assert main(["encrypt", "in", "-o", "out", "-k", AES, "--metadata", "-"]) == 0
    reader.join(30)
    os.close(reading)
    assert json.loads(taken[filling:])["status"] == "done"
