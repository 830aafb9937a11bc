"""`envelope keys`: the local keystore from a shell."""

from __future__ import annotations

import json
import os
import pty
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from envelope import Client, InvalidArgument, KeystoreError, LocalKeyring, LocalKeystore
from envelope.cli.key_words import KeySettings, keyring_of
from envelope.cli.passphrases import PASSPHRASE_VARIABLE
from tests.cli_for_tests import Ended, environment, run_cli

SECRET = "a passphrase that is nowhere"
KEY = bytes(range(32))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for the keystore, and the passphrase in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv(PASSPHRASE_VARIABLE, SECRET)
    return tmp_path


def succeeded(*arguments: object) -> str:
    ended = run_cli("keys", *arguments)
    assert ended.status == 0, ended.errors
    assert SECRET not in ended.out.decode() + ended.errors
    return ended.out.decode()


def failed(status: int, *arguments: object) -> Ended:
    ended = run_cli("keys", *arguments)
    assert ended.status == status, ended.errors
    assert (ended.out, SECRET in ended.errors) == (b"", False)
    return ended


def test_the_first_key_makes_the_keystore_in_its_default_place(home: Path) -> None:
    place = home / "data/envelope/keystore.json"
    assert succeeded("create", "app") == f"created key app in {place}; use it as -k local:app\n"
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700
    succeeded("create", "other")
    assert LocalKeystore.open(place, passphrase=SECRET).key_names() == ("app", "other")


def test_keys_are_listed_with_their_versions(home: Path) -> None:
    succeeded("create", "app")
    succeeded("create", "other")
    assert succeeded("rotate", "app") == "key app has version 2 now\n"
    first, second = succeeded("list").splitlines()
    assert first.startswith("app: 2 versions, the newest of 20")
    assert second.startswith("other: 1 version, the newest of 20")
    shown = [json.loads(line) for line in succeeded("list", "--json").splitlines()]
    assert [(key["name"], [version["version"] for version in key["versions"]]) for key in shown] == [
        ("app", [1, 2]),
        ("other", [1]),
    ]
    assert run_cli("--json", "keys", "list").out.splitlines() == [json.dumps(key).encode() for key in shown]


def test_a_rotated_key_opens_what_its_older_version_has_written(home: Path) -> None:
    path = home / "data/envelope/keystore.json"
    succeeded("create", "app")
    message = Client(LocalKeyring(LocalKeystore.open(path, passphrase=SECRET), "app")).encrypt(b"plaintext")
    succeeded("rotate", "app")
    client = Client(LocalKeyring(LocalKeystore.open(path, passphrase=SECRET), "app"))
    assert client.decrypt(message) == b"plaintext"


def test_an_exported_key_opens_the_messages_as_the_word_that_is_shown(home: Path) -> None:
    path = home / "keystore.json"
    succeeded("create", "app", "--keystore", path)
    message = Client(LocalKeyring(LocalKeystore.open(path, passphrase=SECRET), "app")).encrypt(b"plaintext")
    succeeded("rotate", "app", "--keystore", path)
    ended = run_cli("keys", "export", "app", "--version", "1", "-o", "app.key", "--keystore", path)
    assert (ended.status, ended.errors) == (0, "")
    assert b"in the clear" in ended.out
    assert stat.S_IMODE((home / "app.key").stat().st_mode) == 0o600
    word = ended.out.decode().strip().partition("use it as -k ")[2]
    assert Client(keyring_of([word], settings=KeySettings(), purpose="decrypt")).decrypt(message) == b"plaintext"


def test_an_export_replaces_nothing_and_goes_to_no_terminal(home: Path) -> None:
    succeeded("create", "app")
    (home / "app.key").write_bytes(b"mine")
    assert "there is a file 'app.key' already" in failed(2, "export", "app", "-o", "app.key").errors
    assert (home / "app.key").read_bytes() == b"mine"
    assert "to a file only" in failed(2, "export", "app", "-o", "-").errors
    assert "already" in failed(2, "export", "app", "-o", "/dev/stdout").errors
    assert "cannot write" in failed(1, "export", "app", "-o", "none/app.key").errors
    assert "versions 1 to 1" in failed(4, "export", "app", "--version", "2", "-o", "two.key").errors
    assert not (home / "two.key").exists()


def test_an_export_that_fails_leaves_no_part_of_the_key(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    succeeded("create", "app")
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    assert "No space left" in failed(1, "export", "app", "-o", "app.key").errors
    monkeypatch.setattr(os, "fsync", real)
    assert not (home / "app.key").exists()


@pytest.mark.parametrize("content", [KEY, KEY.hex().encode() + b"\n"])
def test_an_imported_key_is_the_key_of_the_file(home: Path, content: bytes) -> None:
    (home / "mine.key").write_bytes(content)
    assert succeeded("import", "mine", "mine.key") == "imported key mine; use it as -k local:mine\n"
    succeeded("export", "mine", "-o", "out.key")
    assert (home / "out.key").read_bytes() == KEY
    assert "a key 'mine' already" in failed(4, "import", "mine", "mine.key").errors


def test_what_was_done_is_said_in_json_or_not_at_all(home: Path) -> None:
    shown = json.loads(succeeded("create", "app", "--json"))
    assert shown == {"created": "app", "keystore": str(home / "data/envelope/keystore.json")}
    assert succeeded("rotate", "app", "--quiet") == ""
    assert json.loads(succeeded("rotate", "app", "--json")) == {"rotated": "app", "version": 3}


def test_a_key_of_another_length_is_not_imported(home: Path) -> None:
    (home / "short.key").write_bytes(KEY[:16])
    assert "wrapping_key has 16 bytes" in failed(2, "import", "short", "short.key").errors
    assert "cannot read the key file" in failed(4, "import", "short", "none").errors


def test_a_keystore_for_development_has_no_passphrase(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PASSPHRASE_VARIABLE)
    succeeded("create", "app", "--unprotected-for-development")
    assert "app" in succeeded("list", "--unprotected-for-development")
    monkeypatch.setenv(PASSPHRASE_VARIABLE, SECRET)
    ended = failed(4, "list")
    assert "is not under a passphrase" in ended.errors
    assert "hint: --unprotected-for-development opens it" in ended.errors


def test_what_is_missing_or_locked_ends_with_status_4(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "there is no keystore at" in failed(4, "list").errors
    succeeded("create", "app")
    assert "no key 'none'" in failed(4, "rotate", "none").errors
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "another")
    assert "does not open the keystore" in failed(4, "list").errors


def test_a_name_that_would_move_the_cursor_is_refused_and_shown_escaped(home: Path) -> None:
    ended = failed(2, "create", "a\x1b[2J")
    assert "\x1b" not in ended.errors


def test_the_passphrase_can_come_on_a_descriptor(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PASSPHRASE_VARIABLE)
    reading, writing = os.pipe()
    os.write(writing, SECRET.encode() + b"\n")
    succeeded("create", "app", "--passphrase-fd", reading)
    os.close(reading)
    os.close(writing)
    assert LocalKeystore.open(home / "data/envelope/keystore.json", passphrase=SECRET).key_names() == ("app",)


def test_the_library_imports_keys_of_32_bytes_under_new_names(home: Path) -> None:
    keystore = LocalKeystore.create_unprotected_for_development(home / "keystore.json")
    for kind in (bytes, bytearray, memoryview):
        keystore.import_key(f"key {kind.__name__}", kind(KEY))
        assert keystore.export_key(f"key {kind.__name__}").wrapping_key == KEY
    with pytest.raises(KeystoreError, match="already"):
        keystore.import_key("key bytes", KEY)
    with pytest.raises(InvalidArgument, match="wrapping_key has 31 bytes"):
        keystore.import_key("short", KEY[:31])
    with pytest.raises(InvalidArgument, match="wrapping_key must be bytes, not str"):
        keystore.import_key("text", KEY.hex())  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="cannot be printed"):
        keystore.import_key("a\n", KEY)
    assert LocalKeystore.open_unprotected_for_development(home / "keystore.json").versions("key bytes")[0].version == 1


def test_in_a_terminal_a_new_passphrase_is_asked_for_twice_and_not_shown(home: Path) -> None:
    terminal, follower = pty.openpty()
    begin = (
        "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
        "os.execv(sys.executable, [sys.executable, '-m', 'envelope.cli', 'keys', 'create', 'app'])"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", begin],
        env=environment(),
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
    )
    os.close(follower)
    shown = b""
    for prompt in (b"New passphrase of the keystore: ", b"The same again: "):
        while not shown.endswith(prompt):
            shown += os.read(terminal, 1_000)
        os.write(terminal, SECRET.encode() + b"\n")
    while b"local:app\r\n" not in shown:
        shown += os.read(terminal, 1_000)
    assert child.wait(60) == 0
    os.close(terminal)
    assert SECRET.encode() not in shown
    assert LocalKeystore.open(home / "data/envelope/keystore.json", passphrase=SECRET).key_names() == ("app",)


@pytest.mark.parametrize("name", ["", "a\x1b[31m", "x" * 129, "\udcff"])
def test_a_name_that_no_key_can_have_makes_no_keystore(home: Path, name: str) -> None:
    Path("given.key").write_bytes(KEY)
    failed(2, "create", name)
    failed(2, "import", name, "given.key")
    assert not (home / "data").exists()


def test_a_passphrase_in_the_place_of_something_else_is_not_shown(home: Path) -> None:
    for arguments in (("create", "app", SECRET), ("create", "app", "--passphrase-fd", SECRET)):
        ended = failed(2, *arguments)
        assert ended.errors.startswith("envelope: error: ")
    ended = failed(2, "create", "app", f"--passphrase={SECRET}")
    assert "no such option" in ended.errors


def test_old_and_new_keys_of_one_keystore_take_one_passphrase(home: Path) -> None:
    for name in ("old", "new"):
        succeeded("create", name, "--keystore", "keystore.json")
    Path("in").write_bytes(b"plaintext")
    assert run_cli("encrypt", "in", "-o", "message", "-k", "local:old", "--keystore", "keystore.json").status == 0
    words = ("-k", "local:old", "--to", "local:new", "--keystore", "keystore.json", "--passphrase-fd", "0")
    ended = run_cli("rekey", "message", "-o", "other", *words, stdin=SECRET.encode() + b"\n")
    assert (ended.status, ended.errors) == (0, "")


def test_a_new_keystore_without_a_terminal_is_not_said_to_have_a_passphrase(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "envelope.cli", "keys", "create", "app"],
        env={name: value for name, value in environment().items() if name != PASSPHRASE_VARIABLE},
        start_new_session=True,
        stderr=subprocess.PIPE,
    ) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 4
    assert errors.startswith(b"envelope: error: a passphrase is needed, and there is no terminal to ask for it\n")
    assert not (home / "data/envelope/keystore.json").exists()
