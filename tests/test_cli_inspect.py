"""`envelope inspect`: what `describe` says, of files and pipes of any size; and nothing that a message says acts."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import tempfile
import threading
import tracemalloc
from dataclasses import replace
from io import FileIO
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from envelope import (
    Client,
    EnvelopeError,
    LimitExceeded,
    MalformedMessage,
    MessageDescription,
    Suite,
    TruncatedMessage,
    describe,
)
from envelope.cli import inspect
from envelope.cli.message_layout import describe_file
from tests.cli_for_tests import run_cli
from tests.crafted_messages import Crafted, Frame, Key, message_of, pairs, signed_message, u16
from tests.keyrings_for_tests import ALL_SUITES, raw_aes, writing_client


def of_file(message: bytes) -> MessageDescription:
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(message)
        file.seek(0)
        assert isinstance(file, FileIO)
        return describe_file(file)


def of_pipe(message: bytes, *, decode: bool = False) -> MessageDescription:
    reading, writing = os.pipe()

    def feed() -> None:
        with FileIO(writing, "w") as file:
            try:
                for start in range(0, len(message), 1_000):
                    file.write(message[start : start + 1_000])
            except BrokenPipeError:
                pass

    feeding = threading.Thread(target=feed)
    feeding.start()
    try:
        with FileIO(reading) as file:
            return describe_file(file, decode=decode)
    finally:
        feeding.join()


BOTH = pytest.mark.parametrize("described", [of_file, of_pipe])


@BOTH
@pytest.mark.parametrize("suite_id", ALL_SUITES)
@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 16, 1_000])
def test_a_file_and_a_pipe_say_what_describe_says(described: object, suite_id: int, size: int) -> None:
    client = writing_client(suite_id, raw_aes())
    message = client.encrypt(bytes(size), {"tenant": "42"}, suite=Suite(suite_id), frame_length_bytes=8)
    assert of_file(message) == describe(message) if described is of_file else of_pipe(message) == describe(message)


@BOTH
def test_a_body_without_frames_is_described(described: object) -> None:
    for crafted in (message_of(0x0478, content_type=1), signed_message(0x0378, content_type=1)):
        message = crafted.serialize()
        assert (of_file if described is of_file else of_pipe)(message) == describe(message)


def test_a_file_is_described_from_where_it_stands(tmp_path: Path) -> None:
    message = message_of(0x0578).serialize()
    (tmp_path / "message").write_bytes(b"before" + message)
    with FileIO(tmp_path / "message") as file:
        file.seek(6)
        assert describe_file(file) == describe(message)


def test_armor_is_recognized_and_base64_is_read_if_asked() -> None:
    message = message_of(0x0478).serialize()
    text = base64.b64encode(message)
    assert of_pipe(text, decode=True) == describe(message)
    armor = b"-----BEGIN AWS ENCRYPTION SDK MESSAGE-----\n" + text + b"\n-----END AWS ENCRYPTION SDK MESSAGE-----\n"
    assert of_pipe(armor) == of_file(armor) == describe(message)
    with pytest.raises(MalformedMessage, match="looks like base64"):
        of_file(text)


@BOTH
@pytest.mark.parametrize("suite_id", [0x0478, 0x0578])
def test_every_beginning_of_a_message_is_truncated(described: object, suite_id: int) -> None:
    message = message_of(suite_id).serialize()
    of = of_file if described is of_file else of_pipe
    for length in range(0, len(message), 1 if described is of_file else 7):
        with pytest.raises(EnvelopeError) as caught:
            of(message[:length])
        # In a file, the place of the last frame is found by the length, so a cut can look like frames out of order.
        assert isinstance(caught.value, TruncatedMessage if described is of_pipe else MalformedMessage)


@BOTH
@pytest.mark.parametrize("behind", [b"x", bytes(500)])
@pytest.mark.parametrize("crafted", [message_of(0x0478), message_of(0x0578), message_of(0x0478, content_type=1)])
def test_bytes_behind_the_end_are_refused(described: object, behind: bytes, crafted: Crafted) -> None:
    with pytest.raises(MalformedMessage, match=r"behind the end|frame 0 stands|frame 0 must"):
        (of_file if described is of_file else of_pipe)(crafted.serialize() + behind)


WRONG = [
    (Crafted(frames=(Frame(1, b"8 bytes!"), Frame(2, b"8 bytes!", is_final=True, stated_number=3))), "frame 3 stands"),
    (Crafted(frames=(Frame(1, b"8 bytes!", stated_number=5), Frame(2, b"x", is_final=True))), "frame 5 stands"),
    (Crafted(frames=(Frame(1, b"x", is_final=True, stated_bytes=9),)), "the final frame says 9 bytes"),
    (Crafted(content_type=1, block_bytes=2**40), "more than AES-GCM can encrypt"),
    (signed_message(footer=u16(0)), "the footer says a signature of 0 bytes"),
    (signed_message(footer=u16(121) + bytes(121)), "the footer says a signature of 121 bytes"),
]


@BOTH
@pytest.mark.parametrize(("crafted", "text"), WRONG)
def test_what_is_wrong_in_the_body_is_said(described: object, crafted: Crafted, text: str) -> None:
    with pytest.raises(MalformedMessage, match=text):
        (of_file if described is of_file else of_pipe)(crafted.serialize())


@given(st.binary(max_size=200), st.integers(0, 300), st.sampled_from(ALL_SUITES))
@example(b"", 0, 0x0578)
def test_no_bytes_make_it_fail_otherwise_or_say_another_length(noise: bytes, position: int, suite_id: int) -> None:
    message = bytearray(message_of(suite_id).serialize())
    message[position : position + len(noise)] = noise
    for attempt in (noise, bytes(message)):
        for of in (of_file, of_pipe):
            try:
                said = of(attempt)
            except EnvelopeError:
                continue
            assert said.message_bytes == len(attempt)


def test_a_large_header_is_read_in_growing_parts_and_a_huge_one_is_refused() -> None:
    key = Key(b"provider", b"info", bytes(65_535))
    message = Crafted(keys=(key,) * 20).serialize()
    assert len(of_pipe(message).encrypted_data_keys) == 20
    huge = Crafted(keys=(key,) * 400).serialize()
    for of in (of_file, of_pipe):
        with pytest.raises(LimitExceeded, match="the header has more than"):
            of(huge)


def test_memory_does_not_grow_with_the_message() -> None:
    message = writing_client(0x0478).encrypt(bytes(20_000_000), frame_length_bytes=4_096)
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(message)
        file.seek(0)
        assert isinstance(file, FileIO)
        tracemalloc.start()
        try:
            assert describe_file(file).frames == 4_883
            assert tracemalloc.get_traced_memory()[1] < 500_000
            tracemalloc.reset_peak()
            assert of_pipe(message).frames == 4_883
            assert tracemalloc.get_traced_memory()[1] < 2_000_000
        finally:
            tracemalloc.stop()


def written(folder: Path, **knobs: object) -> Path:
    path = folder / "message.encrypted"
    crafted = Crafted(context=pairs(("tenant", "42"), ("purpose", "backup")), **knobs)  # type: ignore[arg-type]
    path.write_bytes(crafted.serialize())
    return path


def test_the_command_shows_plain_lines_where_nobody_looks(tmp_path: Path) -> None:
    path = written(tmp_path)
    ended = run_cli("inspect", path)
    assert (ended.status, ended.errors) == (0, "")
    assert ended.out.decode() == (
        f"input: {path}\n"
        "suite: AES_256_GCM_HKDF_SHA512_COMMIT_KEY (0x0478)\n"
        "suite: message version 2, not signed, committing\n"
        f"message id: {Crafted().message_id.hex()}\n"
        "key: test: key (7 bytes)\n"
        "context: tenant=42\n"
        "context: purpose=backup\n"
        "frames: 3 of 8 bytes\n"
        "plaintext: 24 bytes\n"
        "message: 271 bytes\n"
        "message: header 143, body 128\n"
    )


def test_the_command_says_signed_and_not_framed(tmp_path: Path) -> None:
    path = tmp_path / "message"
    path.write_bytes(replace(signed_message(0x0378), content_type=1).serialize())
    out = run_cli("inspect", path).out.decode()
    assert "message version 1, signed, not committing" in out
    assert "frames: none: one block" in out
    assert ", footer 10" in out


def test_with_json_each_message_is_an_object(tmp_path: Path) -> None:
    path = written(tmp_path)
    ended = run_cli("inspect", "--json", path, path)
    first, second = [json.loads(line) for line in ended.out.splitlines()]
    assert first == second
    assert first == {
        "input": str(path),
        "suite": "AES_256_GCM_HKDF_SHA512_COMMIT_KEY",
        "suite_id": "0x0478",
        "version": 2,
        "is_signed": False,
        "is_committing": True,
        "message_id": Crafted().message_id.hex(),
        "encryption_context": {"tenant": "42", "purpose": "backup"},
        "encrypted_data_keys": [
            {"provider_id": "test", "key_name": "key", "provider_info": "a2V5", "encrypted_data_key": "d3JhcHBlZA=="}
        ],
        "is_framed": True,
        "frame_length_bytes": 8,
        "frames": 3,
        "plaintext_bytes": 24,
        "header_bytes": 143,
        "body_bytes": 128,
        "footer_bytes": 0,
        "message_bytes": 271,
        "is_authenticated": False,
    }
    assert run_cli("--json", "inspect", path).out == ended.out.splitlines(keepends=True)[0]


def test_standard_input_is_read_by_default(tmp_path: Path) -> None:
    message = written(tmp_path).read_bytes()
    for arguments in ((), ("-",)):
        assert run_cli("inspect", *arguments, stdin=message).out.startswith(b"input: standard input\nsuite: ")
    assert run_cli("inspect", "--decode", stdin=base64.b64encode(message)).status == 0


def test_it_goes_on_past_a_failure_and_ends_with_its_status(tmp_path: Path) -> None:
    path = written(tmp_path)
    (tmp_path / "none").write_bytes(b"no message")
    ended = run_cli("inspect", tmp_path / "missing", tmp_path / "none", path)
    assert ended.status == 3
    assert ended.out.decode().strip().startswith(f"input: {path}")
    assert "missing: no such file or directory" in ended.errors
    assert "none: message version 110 is not supported" in ended.errors
    assert run_cli("inspect", tmp_path / "missing").status == 1
    failed = run_cli("inspect", "--json", tmp_path / "none")
    assert json.loads(failed.errors)["kind"] == "MalformedMessage"


NASTY = "a\x1b]0;owned\x07\n[red]b[/red]\u202e"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def nasty_message() -> bytes:
    key = Key(b"p\x1b[2J", b"k\r\n[bold]\0binary", b"c")
    return Crafted(context=pairs((NASTY, NASTY)), keys=(key,)).serialize()


@pytest.mark.parametrize("columns", ["80", "200", "20"])
def test_on_a_terminal_it_is_a_table_and_what_a_message_says_is_only_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    path = tmp_path / "message\n"
    path.write_bytes(nasty_message())
    assert inspect.command.main([str(path)], standalone_mode=False) is None
    shown = re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue())
    assert all(line.isprintable() for line in shown.splitlines())
    text = "".join(line.strip(" │┃").rpartition("│")[2].strip() for line in shown.splitlines())
    for escaped in (r"\x1b]0;owned\x07\n[red]b[/red]\u202e", r"p\x1b[2J: k\r\n[bold]", "only decryption tells"):
        assert escaped.replace(" ", "") in text.replace(" ", ""), shown
    assert max(map(len, shown.splitlines())) <= int(columns)


def test_in_plain_lines_and_json_nothing_acts_either(tmp_path: Path) -> None:
    (tmp_path / "message").write_bytes(nasty_message())
    plain = run_cli("inspect", tmp_path / "message").out.decode()
    assert all(line.isprintable() for line in plain.split("\n"))
    assert run_cli("inspect", "--json", tmp_path / "message").out.isascii()


def test_what_is_shown_begins_without_an_empty_line_also_behind_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("message").write_bytes(Client(raw_aes()).encrypt(b"plaintext"))
    ended = run_cli("inspect", "none", "message", "message")
    assert ended.status == 1
    assert ended.out.startswith(b"input: message\n")
    assert ended.out.count(b"\n\ninput: ") == 1
