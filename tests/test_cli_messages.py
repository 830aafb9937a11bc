"""encrypt, decrypt, verify and rekey, as a user calls them."""

from __future__ import annotations

import base64
import io
import json
import os
import stat
import threading
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import pytest

from envelope import Client, Suite, describe
from envelope.cli import main
from envelope.cli.messages import SMALL_BYTES
from envelope.cli.metadata import MetadataFile
from tests.cli_for_tests import AES, OTHER, Ended, make_keys, run_cli, standing_for, tree_of
from tests.keyrings_for_tests import open_client, raw_aes

LARGE = bytes(range(256)) * (SMALL_BYTES // 256 + 4_000)
SIGNED = "AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384"
NON_COMMITTING = "AES_256_GCM_IV12_TAG16_HKDF_SHA256"
NON_COMMITTING_SIGNED = "AES_256_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384"
ALLOW = ("--commitment-policy", "require-encrypt-allow-decrypt")
FORBID = ("--commitment-policy", "forbid-encrypt-allow-decrypt")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("ENVELOPE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    make_keys(tmp_path)
    return tmp_path


def good(ended: Ended) -> bytes:
    assert (ended.status, ended.errors) == (0, ""), ended.errors
    return ended.out


def one() -> Client:
    return open_client(raw_aes("one"))


@pytest.mark.parametrize("plaintext", [b"", b"hello\n", LARGE])
@pytest.mark.parametrize("form", [(), ("--armor",), ("--encode",)])
def test_a_file_comes_back(plaintext: bytes, form: tuple[str, ...]) -> None:
    Path("in").write_bytes(plaintext)
    decode = ("--decode",) if form == ("--encode",) else ()
    good(run_cli("encrypt", "in", "-o", "message", "-k", AES, "-c", "tenant=42", *form))
    good(run_cli("decrypt", "message", "-o", "out", "-k", AES, "-c", "tenant=42", *decode))
    assert Path("out").read_bytes() == plaintext
    assert Path("message").read_bytes().isascii() is bool(form)
    assert stat.S_IMODE(Path("out").stat().st_mode) == 0o600


@pytest.mark.parametrize("plaintext", [b"", b"hello\n", LARGE])
@pytest.mark.parametrize("suite", [(), ("--suite", SIGNED)])
def test_a_pipe_comes_back(plaintext: bytes, suite: tuple[str, ...]) -> None:
    message = good(run_cli("encrypt", "-k", AES, *suite, stdin=plaintext))
    assert one().decrypt(message) == plaintext
    for release in ((), ("--release-early",)):
        assert good(run_cli("decrypt", "-", "-o", "-", "-k", AES, *release, stdin=message)) == plaintext


def test_what_the_library_writes_the_command_reads_and_the_other_way_round() -> None:
    message = one().encrypt(b"hello", {"tenant": "42"})
    assert good(run_cli("decrypt", "-k", AES, "-c", "tenant", stdin=message)) == b"hello"
    text = good(run_cli("encrypt", "-k", AES, "-k", OTHER, "-c", "tenant=42", "--encode", stdin=b"hello"))
    assert open_client(raw_aes("two", 2)).decrypt(base64.b64decode(text), {"tenant": "42"}) == b"hello"


def test_options_of_the_message_arrive() -> None:
    message = good(
        run_cli("encrypt", "-k", AES, "-c", "a=1", "-c", "b=2", "--unstored", "b", "--frame-length", 100, stdin=b"x")
    )
    assert describe(message).frame_length_bytes == 100
    assert dict(describe(message).encryption_context) == {"a": "1"}
    assert run_cli("decrypt", "-k", AES, stdin=message).status == 3
    assert good(run_cli("decrypt", "-k", AES, "-c", "b=2", "-c", "a", stdin=message)) == b"x"


def test_plaintext_and_its_text_are_turned_around() -> None:
    message = good(run_cli("encrypt", "-k", AES, "--decode", stdin=base64.b64encode(b"hello")))
    assert good(run_cli("decrypt", "-k", AES, "--encode", stdin=message)) == base64.b64encode(b"hello") + b"\n"


@pytest.mark.parametrize("size", [5, len(LARGE)])
@pytest.mark.parametrize("word", ["tenant=43", "owner=me", "owner"])
def test_another_context_is_refused_and_nothing_is_written(size: int, word: str) -> None:
    Path("message").write_bytes(one().encrypt(LARGE[:size], {"tenant": "42"}))
    before = tree_of(Path())
    ended = run_cli("decrypt", "message", "-o", "out", "-k", AES, "-c", word)
    assert ended.status == 3
    assert ended.errors.startswith("envelope: error:")
    assert "42" not in ended.errors
    assert "43" not in ended.errors
    assert tree_of(Path()) == before


@pytest.mark.parametrize("size", [5, len(LARGE)])
@pytest.mark.parametrize("suite", [Suite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY, Suite[SIGNED]])
@pytest.mark.parametrize("command", ["decrypt", "verify", "rekey"])
def test_a_changed_message_is_refused_and_nothing_is_written(size: int, suite: Suite, command: str) -> None:
    message = bytearray(one().encrypt(LARGE[:size], suite=suite))
    message[-1] ^= 1
    Path("message").write_bytes(message)
    Path("out").write_bytes(b"old")
    before = tree_of(Path())
    output = () if command == "verify" else ("-f", "-o", "out")
    ended = run_cli(command, "message", *output, "-k", AES, *(("--to", OTHER) if command == "rekey" else ()))
    assert ended.status == 3
    assert tree_of(Path()) == before


def test_a_signed_message_waits_for_its_signature_unless_told_otherwise() -> None:
    message = bytearray(one().encrypt(LARGE, suite=Suite[SIGNED]))
    message[-1] ^= 1
    Path("message").write_bytes(message)
    assert run_cli("decrypt", "message", "-k", AES).out == b""
    early = run_cli("decrypt", "message", "-k", AES, "--release-early")
    assert early.status == 3
    assert LARGE.startswith(early.out)
    assert early.out


def test_limits_of_the_reader_hold() -> None:
    signed = one().encrypt(b"x", suite=Suite[SIGNED])
    assert "signed" in run_cli("decrypt", "-k", AES, "--unsigned-only", stdin=signed).errors
    assert run_cli("decrypt", "-k", AES, "--max-length", 1000, stdin=signed).status == 3
    two = good(run_cli("encrypt", "-k", AES, "-k", OTHER, stdin=b"x"))
    assert run_cli("decrypt", "-k", AES, "--max-encrypted-data-keys", 1, stdin=two).status == 3


def test_another_key_is_not_available() -> None:
    ended = run_cli("decrypt", "-k", OTHER, stdin=one().encrypt(b"x"))
    assert ended.status == 4
    assert "envelope: hint:" in ended.errors


def test_verify_says_by_its_status_and_writes_nothing() -> None:
    Path("message").write_bytes(one().encrypt(LARGE))
    before = tree_of(Path())
    assert good(run_cli("verify", "message", "-k", AES)) == b""
    assert tree_of(Path()) == before


@pytest.mark.parametrize(
    ("suite", "options", "expected"),
    [
        (Suite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY, (), Suite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY),
        (Suite[SIGNED], (), Suite[SIGNED]),
        (Suite[SIGNED], ("--suite", "AES_256_GCM_HKDF_SHA512_COMMIT_KEY"), Suite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY),
        (Suite[SIGNED], FORBID, Suite[NON_COMMITTING_SIGNED]),
        (Suite[NON_COMMITTING], ALLOW, Suite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY),
        (Suite[NON_COMMITTING_SIGNED], ALLOW, Suite[SIGNED]),
    ],
)
def test_rekey_writes_a_fresh_message_with_the_same_context(
    suite: Suite, options: tuple[str, ...], expected: Suite
) -> None:
    policy = FORBID if not suite.is_committing else ()
    old = good(run_cli("encrypt", "-k", AES, "-c", "a=1", "-c", "b=2", "--unstored", "b", "--suite", suite.name,
                       *policy, stdin=LARGE))  # fmt: skip
    Path("old").write_bytes(old)
    good(run_cli("rekey", "old", "-o", "new", "-k", AES, "--to", OTHER, "-c", "b=2", *options))
    new = Path("new").read_bytes()
    opened = open_client(raw_aes("two", 2)).decrypt_message(new, {"b": "2"})
    assert opened.plaintext == LARGE
    assert opened.suite is expected
    assert describe(new).message_id != describe(old).message_id
    stored = {name: value for name, value in describe(new).encryption_context.items() if not name.startswith("aws-")}
    assert stored == {"a": "1"}


def test_rekey_to_standard_output_waits_for_the_signature() -> None:
    message = one().encrypt(LARGE, suite=Suite[SIGNED])
    new = good(run_cli("rekey", "-k", AES, "--to", OTHER, "--armor", stdin=message))
    assert good(run_cli("decrypt", "-k", OTHER, stdin=new)) == LARGE
    assert run_cli("rekey", "-k", AES, "--to", OTHER, stdin=message[:-1] + b"\0").out == b""


def lines(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


@pytest.mark.parametrize("size", [5, len(LARGE)])
def test_metadata_is_written_with_the_outcome(size: int) -> None:
    Path("in").write_bytes(LARGE[:size])
    for arguments in (
        ("encrypt", "in", "-o", "message", "-k", AES, "-c", "a=1"),
        ("decrypt", "message", "-o", "out", "-k", AES),
        ("decrypt", "message", "-o", "out", "-k", AES, "--skip-existing"),
        ("verify", "message", "-k", AES),
        ("rekey", "message", "-o", "new", "-k", AES, "--to", OTHER),
        ("verify", "message", "-k", OTHER),
    ):
        run_cli(*arguments, "--metadata", "log")
    written, read, skipped, verified, rekeyed, failed = lines("log")
    assert [line["mode"] for line in (written, read, verified, rekeyed)] == ["encrypt", "decrypt", "verify", "rekey"]
    assert written["header"] == read["header"] == verified["header"]
    assert rekeyed["header"]["message_id"] != read["header"]["message_id"]
    assert read["header"]["encryption_context"] == {"a": "1"}
    assert read["input"] == str(Path("message").absolute())
    assert verified["output"] is None
    assert (skipped["status"], failed["status"]) == ("skipped", "failed")
    assert {"header", "unwrapped_by"}.isdisjoint(failed)
    assert "unwrapped_by" not in written
    key = {"keyring": "RawAesKeyring('tests', 'one')", "provider_id": "tests", "key_name": "one"}
    assert read["unwrapped_by"] == verified["unwrapped_by"] == rekeyed["unwrapped_by"] == key
    assert stat.S_IMODE(Path("log").stat().st_mode) == 0o600
    run_cli("verify", "message", "-k", AES, "--metadata", "log", "--overwrite-metadata")
    assert len(lines("log")) == 1


def test_metadata_goes_to_standard_output_unless_the_message_does() -> None:
    Path("in").write_bytes(b"x")
    ended = run_cli("encrypt", "in", "-o", "message", "-k", AES, "--metadata", "-")
    assert json.loads(ended.out)["status"] == "done"
    ended = run_cli("encrypt", "in", "-k", AES, "--metadata", "-")
    assert ended.status == 2
    assert "cannot both go to standard output" in ended.errors


def test_a_non_committing_message_has_metadata_too() -> None:
    message = good(run_cli("encrypt", "-k", AES, "--suite", NON_COMMITTING, *FORBID, stdin=b"x"))
    Path("message").write_bytes(message)
    good(run_cli("verify", "message", "-k", AES, *ALLOW, "--metadata", "log"))
    (line,) = lines("log")
    assert (line["header"]["version"], line["header"]["commitment_key"]) == ("1.0", None)


def test_metadata_that_cannot_be_written_is_a_failure() -> None:
    Path("in").write_bytes(b"x")
    ended = run_cli("encrypt", "in", "-o", "message", "-k", AES, "--metadata", "/dev/full")
    assert ended.status == 1
    assert "cannot write metadata" in ended.errors
    assert run_cli("verify", "message", "-k", AES, "--metadata", "in/log").status == 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("encrypt", "-c", "a"), "-c number 1 has no value"),
        (("encrypt", "-c", "=1"), "a value without a name"),
        (("encrypt", "-c", "a=1", "-c", "a=2"), "'a' is given twice"),
        (("decrypt", "-c", "a=1", "-c", "a"), "'a' is given twice"),
        (("encrypt", "--armor", "--encode"), "leave out --encode"),
        (("rekey", "--to", OTHER, "--armor", "--encode"), "leave out --encode"),
        (("encrypt", "--force", "--skip-existing"), "opposites"),
        (("decrypt", "--discovery"), "not by both"),
        (("decrypt", "--account", "111122223333"), "--account is for --discovery"),
        (("encrypt", "one.key", "-o", "one.key"), "same file"),
        (("encrypt", "in", "-o", "one.key", "--keys-file", "one.key"), "as another file of this run"),
        (("encrypt", "-j", "0"), "jobs"),
    ],
)
def test_wrong_usage_is_said_before_anything_is_done(arguments: tuple[str, ...], text: str) -> None:
    before = tree_of(Path())
    ended = run_cli(*arguments, "-k", AES, stdin=b"x")
    assert ended.status == 2
    assert text in ended.errors
    assert tree_of(Path()) == before


def test_without_a_key_there_is_a_hint() -> None:
    ended = run_cli("encrypt", stdin=b"x")
    assert ended.status == 2
    assert "no key is given" in ended.errors


def test_a_file_that_is_there_is_kept_before_any_key_is_asked_for() -> None:
    Path("in").write_bytes(b"x")
    Path("out").write_bytes(b"old")
    ended = run_cli("encrypt", "in", "-o", "out", "-k", "local:no-such-keystore")
    assert ended.status == 1
    assert "exists already" in ended.errors
    good(run_cli("encrypt", "in", "-o", "out", "-k", AES, "--skip-existing"))
    assert Path("out").read_bytes() == b"old"
    good(run_cli("encrypt", "in", "-o", "out", "-k", AES, "--force", "--preserve", "--fsync"))
    assert one().decrypt(Path("out").read_bytes()) == b"x"


def test_a_file_that_is_missing_is_a_failure() -> None:
    ended = run_cli("encrypt", "gone", "-o", "out", "-k", AES)
    assert ended.status == 1
    assert "No such file" in ended.errors


def test_keys_come_from_a_file_too() -> None:
    Path("keys").write_text(f"# the old one\n{OTHER}\n")
    message = good(run_cli("encrypt", "-k", AES, "--keys-file", "keys", stdin=b"x"))
    assert len(describe(message).encrypted_data_keys) == 2


@pytest.mark.parametrize("command", ["encrypt", "decrypt"])
def test_a_file_that_grew_since_it_was_listed_is_read_to_its_end(command: str) -> None:
    Path("in").write_bytes(LARGE if command == "encrypt" else one().encrypt(LARGE))
    real = os.stat

    def early(path: Any, **options: Any) -> os.stat_result:
        status = real(path, **options)
        return os.stat_result((*status[:6], 10, *status[7:10])) if path == "in" else status

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "stat", early)
        good(run_cli(command, "in", "-o", "out", "-k", AES))
    written = Path("out").read_bytes()
    assert (one().decrypt(written) if command == "encrypt" else written) == LARGE


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--account", "111122223333"], {"accounts": ("111122223333",), "regions": (), "any_account": False}),
        (
            ["--region", "eu-west-1", "--account", "1"],
            {"accounts": ("1",), "regions": ("eu-west-1",), "any_account": False},
        ),
        (["--discovery-of-any-account"], {"accounts": (), "regions": (), "any_account": True}),
    ],
)
def test_discovery_asks_the_keys_of_accounts(
    options: list[str], expected: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, object]] = []

    def keyring(*, settings: object, partition: str, **rest: object) -> object:
        asked.append(rest)
        return raw_aes("one")

    monkeypatch.setattr("envelope.cli.run_options.discovery_keyring", keyring)
    discovery = () if "--discovery-of-any-account" in options else ("--discovery",)
    assert good(run_cli("decrypt", *discovery, *options, stdin=one().encrypt(b"x"))) == b"x"
    assert asked == [expected]


@pytest.mark.parametrize("command", ["encrypt", "decrypt"])
def test_binary_data_is_not_written_to_a_terminal_unless_asked_for(command: str) -> None:
    terminal, other_end = os.openpty()
    errors = io.StringIO()
    try:
        with standing_for(1, other_end), redirect_stderr(errors):
            Path("in").write_bytes(b"x" if command == "encrypt" else one().encrypt(b"x"))
            assert main([command, "in", "-k", AES]) == 2
            assert main([command, "in", "-k", AES, "-o", "-"]) == 0
            assert main([command, "in", "-k", AES, "--encode"]) == 0
    finally:
        os.close(terminal)
        os.close(other_end)
    assert "standard output is a terminal" in errors.getvalue()


def test_an_output_that_is_not_in_blocking_mode_is_waited_for() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    Path("in").write_bytes(LARGE)
    taken: list[bytes] = []

    def read() -> None:
        while part := os.read(reading, 65_536):
            taken.append(part)

    reader = threading.Thread(target=read)
    try:
        with standing_for(1, writing):
            os.close(writing)
            reader.start()
            assert main(["encrypt", "in", "-k", AES]) == 0
        reader.join(30)
    finally:
        os.close(reading)
    assert run_cli("decrypt", "-k", AES, stdin=b"".join(taken)).out == LARGE


def test_a_run_without_metadata_writes_none() -> None:
    MetadataFile(None).write({"mode": "encrypt"})
    assert not Path("log").exists()
