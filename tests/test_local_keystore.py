"""The local keystore as its users see it: versions, names, passphrases, several writers, crashes."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from envelope import (
    Client,
    InvalidArgument,
    KeystoreError,
    KeyUnavailable,
    LocalKeyring,
    LocalKeystore,
    PassphraseRefused,
    RawAesKeyring,
    ScryptCost,
)

PASSPHRASE = "correct horse battery staple"
CHEAP = ScryptCost(n=2**14)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "app.keys"


@pytest.fixture
def keystore(path: Path) -> LocalKeystore:
    keystore = LocalKeystore.create(path, passphrase=PASSPHRASE, scrypt_cost=CHEAP)
    keystore.create_key("app")
    return keystore


def reopened(path: Path) -> LocalKeystore:
    return LocalKeystore.open(path, passphrase=PASSPHRASE)


# --- versions


def test_old_messages_open_after_a_rotation_and_new_ones_use_the_newest_version(keystore: LocalKeystore) -> None:
    client = Client(LocalKeyring(keystore, "app"))
    messages = []
    for _ in range(11):  # past the point where version 1 is a prefix of version 10
        messages.append(client.encrypt(b"plaintext"))
        keystore.rotate_key("app")
    names = [client.decrypt_message(message).unwrapped_by.key_name for message in messages]
    assert names == [f"app/{version}" for version in range(1, 12)]
    assert [version.version for version in keystore.versions("app")] == list(range(1, 13))


def test_an_exported_key_opens_messages_in_a_raw_aes_keyring(keystore: LocalKeystore) -> None:
    message = Client(LocalKeyring(keystore, "app")).encrypt(b"plaintext", {"tenant": "42"})
    keystore.rotate_key("app")
    first = keystore.export_key("app", version=1)
    assert Client(RawAesKeyring(first.namespace, first.name, first.wrapping_key)).decrypt(message) == b"plaintext"
    assert keystore.export_key("app").name == "app/2"
    assert first.wrapping_key.hex() not in repr(first)


@pytest.mark.parametrize("version", [0, 3, -1, True, "1", 1.0])
def test_a_version_that_is_not_there_cannot_be_exported(keystore: LocalKeystore, version: Any) -> None:
    keystore.rotate_key("app")
    with pytest.raises(KeystoreError, match="versions 1 to 2"):
        keystore.export_key("app", version=version)


def test_versions_say_when_they_were_made_by_the_clock_given(path: Path) -> None:
    moment = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
    keystore = LocalKeystore.create_unprotected_for_development(path, clock=lambda: moment)
    keystore.create_key("app")
    assert keystore.versions("app")[0].created == "2026-11-22T12:00:00+00:00"


def test_a_key_rotated_by_another_process_is_used_with_the_next_message(keystore: LocalKeystore, path: Path) -> None:
    client = Client(LocalKeyring(keystore, "app"))
    client.encrypt(b"")
    reopened(path).rotate_key("app")
    assert client.decrypt_message(client.encrypt(b"")).unwrapped_by.key_name == "app/2"


def test_a_message_under_a_version_made_elsewhere_opens(keystore: LocalKeystore, path: Path) -> None:
    other = reopened(path)
    other.rotate_key("app")
    message = Client(LocalKeyring(other, "app")).encrypt(b"plaintext")
    assert Client(LocalKeyring(keystore, "app")).decrypt(message) == b"plaintext"


def test_other_keys_and_other_keystores_are_named_as_the_cause(keystore: LocalKeystore, tmp_path: Path) -> None:
    keystore.create_key("other")
    second = LocalKeystore.create_unprotected_for_development(tmp_path / "second")
    second.create_key("app")
    message = Client(LocalKeyring(keystore, "app")).encrypt(b"plaintext")
    for keyring in (LocalKeyring(keystore, "other"), LocalKeyring(second, "app")):
        with pytest.raises(KeyUnavailable) as caught:
            Client(keyring).decrypt(message)
        assert len(caught.value.errors) == 1
        assert "wrapped under another key" in str(caught.value.errors[0])


@pytest.mark.parametrize("number", ["2", "0", "x", "", "9999999999", "²"])
def test_a_message_under_an_unknown_version_names_it(keystore: LocalKeystore, number: str) -> None:
    key = keystore.export_key("app")
    message = Client(RawAesKeyring(key.namespace, f"app/{number}", key.wrapping_key)).encrypt(b"plaintext")
    with pytest.raises(KeyUnavailable) as caught:
        Client(LocalKeyring(keystore, "app")).decrypt(message)
    assert "no version" in str(caught.value.errors[0])


# --- names


def test_key_names_are_listed_and_need_not_be_ascii(keystore: LocalKeystore, path: Path) -> None:
    keystore.create_key("Zürich/eins")
    assert reopened(path).key_names() == ("Zürich/eins", "app")
    client = Client(LocalKeyring(keystore, "Zürich/eins"))
    assert client.decrypt(client.encrypt(b"plaintext")) == b"plaintext"


@pytest.mark.parametrize("name", ["", "a" * 129, "a\nb", 7, None, b"app", "\ud800"])
def test_a_bad_key_name_is_refused(keystore: LocalKeystore, name: Any) -> None:
    with pytest.raises(InvalidArgument):
        keystore.create_key(name)


def test_a_key_is_created_once_and_only_a_key_that_is_there_is_used(keystore: LocalKeystore) -> None:
    with pytest.raises(KeystoreError, match="already"):
        keystore.create_key("app")
    for use in (keystore.rotate_key, keystore.versions, keystore.export_key, lambda name: LocalKeyring(keystore, name)):
        with pytest.raises(KeystoreError, match="no key 'none'"):
            use("none")
    with pytest.raises(InvalidArgument, match="LocalKeystore"):
        LocalKeyring("app.keys", "app")  # type: ignore[arg-type]  # what a caller may try


# --- passphrases


def test_a_wrong_passphrase_is_refused_and_the_right_one_opens_in_either_composition(path: Path) -> None:
    LocalKeystore.create(path, passphrase="caf\u00e9", scrypt_cost=CHEAP).create_key("app")
    assert LocalKeystore.open(path, passphrase="cafe\u0301").key_names() == ("app",)
    assert LocalKeystore.open(path, passphrase="caf\u00e9".encode()).key_names() == ("app",)
    with pytest.raises(PassphraseRefused):
        LocalKeystore.open(path, passphrase="cafe")


@pytest.mark.parametrize("passphrase", ["", b"", None, 7, ["x"]])
def test_a_bad_passphrase_is_refused_without_showing_it(path: Path, passphrase: Any) -> None:
    with pytest.raises(InvalidArgument) as caught:
        LocalKeystore.create(path, passphrase=passphrase, scrypt_cost=CHEAP)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert not path.exists()


def test_the_passphrase_can_be_changed_and_the_keys_stay(keystore: LocalKeystore, path: Path) -> None:
    message = Client(LocalKeyring(keystore, "app")).encrypt(b"plaintext")
    elsewhere = reopened(path)
    keystore.change_passphrase("another", scrypt_cost=CHEAP)
    keystore.rotate_key("app")
    with pytest.raises(PassphraseRefused):
        reopened(path)
    assert Client(LocalKeyring(LocalKeystore.open(path, passphrase="another"), "app")).decrypt(message) == b"plaintext"
    with pytest.raises(PassphraseRefused):
        elsewhere.versions("app")
    assert Client(LocalKeyring(keystore, "app")).decrypt(message) == b"plaintext"


def test_an_unprotected_keystore_is_opened_by_its_long_name_only(path: Path, keystore: LocalKeystore) -> None:
    unprotected = path.with_name("open.keys")
    LocalKeystore.create_unprotected_for_development(unprotected).create_key("app")
    assert LocalKeystore.open_unprotected_for_development(unprotected).key_names() == ("app",)
    with pytest.raises(KeystoreError, match="not under a passphrase"):
        LocalKeystore.open(unprotected, passphrase=PASSPHRASE)
    with pytest.raises(PassphraseRefused, match="under a passphrase"):
        LocalKeystore.open_unprotected_for_development(path)
    with pytest.raises(KeystoreError, match="no passphrase"):
        LocalKeystore.open_unprotected_for_development(unprotected).change_passphrase("x")


def test_the_default_scrypt_cost_is_the_stored_one_and_others_are_bounded(path: Path) -> None:
    LocalKeystore.create(path, passphrase=PASSPHRASE)
    protection = json.loads(path.read_bytes())["protection"]
    assert (protection["kind"], protection["n"], protection["r"], protection["p"]) == ("scrypt", 2**17, 8, 1)
    assert LocalKeystore.open(path, passphrase=PASSPHRASE).key_names() == ()
    for bad in (
        {"n": 2**13},
        {"n": 2**21},
        {"n": 2**14 + 1},
        {"r": 4},
        {"p": 0},
        {"p": 17},
        {"n": 2.0**14},
        {"n": "x"},
    ):
        with pytest.raises(InvalidArgument, match="scrypt"):
            ScryptCost(**bad)
    with pytest.raises(InvalidArgument, match="ScryptCost"):
        LocalKeystore.create(path, passphrase=PASSPHRASE, scrypt_cost=2**17)  # type: ignore[arg-type]  # likewise


# --- several writers, and crashes


def rotate_often(path: Path, times: int) -> None:
    keystore = LocalKeystore.open_unprotected_for_development(path)
    for _ in range(times):
        keystore.rotate_key("app")


def test_no_version_is_lost_when_processes_and_threads_rotate_at_once(path: Path) -> None:
    keystore = LocalKeystore.create_unprotected_for_development(path)
    keystore.create_key("app")
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=rotate_often, args=(path, 10)) for _ in range(3)]
    for process in processes:
        process.start()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: keystore.rotate_key("app"), range(20)))
    for process in processes:
        process.join()
        assert process.exitcode == 0
    versions = keystore.versions("app")
    assert [version.version for version in versions] == list(range(1, 52))
    assert len({version.wrapping_key for version in versions}) == 51


CRASHING_WRITER = """
import os, signal, sys
from pathlib import Path
import envelope.replacement
from envelope import LocalKeystore
keystore = LocalKeystore.open_unprotected_for_development(sys.argv[1])
setattr({target}, {name!r}, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
keystore.rotate_key("app")
"""


@pytest.mark.parametrize(
    ("target", "name"), [("os", "fsync"), ("Path", "replace"), ("envelope.replacement", "_sync_directory")]
)
def test_a_writer_that_is_killed_leaves_the_old_or_the_new_keystore(path: Path, target: str, name: str) -> None:
    keystore = LocalKeystore.create_unprotected_for_development(path)
    keystore.create_key("app")
    code = CRASHING_WRITER.format(target=target, name=name)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    result = subprocess.run([sys.executable, "-c", code, str(path)], env=environment, check=False)
    assert result.returncode == -signal.SIGKILL
    survivor = LocalKeystore.open_unprotected_for_development(path)
    assert len(survivor.versions("app")) == (2 if name == "_sync_directory" else 1)
    survivor.rotate_key("app")  # the lock of a dead process is free


def test_nothing_of_a_keystore_shows_a_key(keystore: LocalKeystore) -> None:
    key = keystore.export_key("app").wrapping_key
    texts = [repr(keystore), str(keystore), repr(keystore.versions("app")), repr(LocalKeyring(keystore, "app"))]
    for text in texts:
        assert key.hex() not in text
        assert repr(key)[2:-1] not in text
