"""The keystore file: rights, damage, hostile content. Never a lost key, always a clear error."""

import base64
import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from envelope import (
    Client,
    InvalidArgument,
    KeystoreError,
    LocalKeyring,
    LocalKeystore,
    PassphraseRefused,
    ScryptCost,
    StreamFailed,
)
from envelope.keystore.format import MAX_FILE_BYTES

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


def edited(path: Path, **changes: Any) -> None:
    """Change the outer object as somebody would who knows the format but not the passphrase."""
    outer = {**json.loads(path.read_bytes()), **changes}
    del outer["checksum"]
    canonical = json.dumps(outer, sort_keys=True, separators=(",", ":")).encode()
    path.write_text(json.dumps({**outer, "checksum": hashlib.sha256(canonical).hexdigest()}))


def test_the_file_is_for_its_owner_and_is_refused_if_others_may_read_it(keystore: LocalKeystore, path: Path) -> None:
    for file in (path, Path(f"{path}.lock")):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    path.chmod(0o640)
    with pytest.raises(KeystoreError, match="open to others"):
        reopened(path)


def test_an_existing_file_is_never_overwritten(keystore: LocalKeystore, path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(KeystoreError, match="already"):
        LocalKeystore.create(path, passphrase="x", scrypt_cost=CHEAP)
    dangling = path.with_name("dangling")
    dangling.symlink_to(path.with_name("nowhere"))
    with pytest.raises(KeystoreError, match="already"):
        LocalKeystore.create_unprotected_for_development(dangling)
    assert path.read_bytes() == before


def test_a_missing_file_folder_or_right_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(KeystoreError, match="there is no keystore"):
        LocalKeystore.open(tmp_path / "none", passphrase="x")
    with pytest.raises(StreamFailed, match="cannot lock the keystore"):
        LocalKeystore.create_unprotected_for_development(tmp_path / "no" / "folder")
    with pytest.raises(StreamFailed):
        LocalKeystore.open(tmp_path, passphrase="x")
    for bad in ("", "a\0b", b"bytes", None, 3):
        with pytest.raises(InvalidArgument, match="must be a path"):
            LocalKeystore.open(bad, passphrase="x")  # type: ignore[arg-type]  # what a caller may try


def test_a_keystore_that_vanished_wraps_nothing_but_still_unwraps(keystore: LocalKeystore, path: Path) -> None:
    client = Client(LocalKeyring(keystore, "app"))
    message = client.encrypt(b"plaintext")
    path.unlink()
    with pytest.raises(KeystoreError, match="there is no keystore"):
        client.encrypt(b"would be lost")
    assert client.decrypt(message) == b"plaintext"


def test_a_fifo_in_the_place_of_a_keystore_and_a_huge_file_are_refused(tmp_path: Path) -> None:
    huge = tmp_path / "huge"
    huge.touch(mode=0o600)
    os.truncate(huge, MAX_FILE_BYTES + 1)
    with pytest.raises(KeystoreError, match="not a keystore file"):
        LocalKeystore.open(huge, passphrase="x")


def test_every_truncation_is_damage_and_never_a_wrong_passphrase(keystore: LocalKeystore, path: Path) -> None:
    whole = path.read_bytes()
    for length in range(len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(KeystoreError) as caught:
            reopened(path)
        assert not isinstance(caught.value, PassphraseRefused)
        assert "damaged" in str(caught.value)
    path.write_bytes(whole)
    assert reopened(path).key_names() == ("app",)


def test_every_changed_byte_is_noticed_or_changes_nothing(path: Path) -> None:
    keystore = LocalKeystore.create_unprotected_for_development(path)
    keystore.create_key("app")
    key = keystore.export_key("app")
    whole = path.read_bytes()
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x11]) + whole[position + 1 :])
        try:
            assert LocalKeystore.open_unprotected_for_development(path).export_key("app") == key
        except KeystoreError:
            continue


@pytest.mark.parametrize("change", [{"id": "0" * 16}, {"keys": base64.b64encode(bytes(80)).decode()}])
def test_an_edited_keystore_does_not_open_even_with_a_fresh_checksum(
    keystore: LocalKeystore, path: Path, change: dict[str, str]
) -> None:
    edited(path, **change)
    with pytest.raises(PassphraseRefused, match="does not open"):
        reopened(path)


SCRYPT = {"kind": "scrypt", "n": 2**14, "r": 8, "p": 1, "salt": "AAAA"}


@pytest.mark.parametrize(
    "change",
    [
        {"protection": {**SCRYPT, "n": 2**40}},
        {"protection": {**SCRYPT, "n": None}},
        {"protection": {**SCRYPT, "salt": "not base64!"}},
        {"protection": {**SCRYPT, "salt": 7}},
        {"protection": {"kind": "scrypt"}},
        {"protection": None},
        {"keys": 7},
        {"id": 7},
        {"keys": "not base64!"},
    ],
)
def test_hostile_parameters_cost_nothing_and_are_damage(
    keystore: LocalKeystore, path: Path, change: dict[str, Any]
) -> None:
    edited(path, **change)
    with pytest.raises(KeystoreError, match="damaged") as caught:
        reopened(path)
    assert "backup" in caught.value.hint


@pytest.mark.parametrize("change", [{"format": "envelope-keystore/2"}, {"protection": {"kind": "kms"}}])
def test_a_later_format_asks_for_an_upgrade(keystore: LocalKeystore, path: Path, change: dict[str, Any]) -> None:
    edited(path, **change)
    with pytest.raises(KeystoreError) as caught:
        reopened(path)
    assert "upgrade" in caught.value.hint


@pytest.mark.parametrize(
    "keys",
    [
        [],
        {"app": []},
        {"app": [{"version": 2, "created": "", "key": "A" * 43 + "="}]},
        {"app": [{"version": 1, "created": "", "key": "AAAA"}]},
        {"app": [{"version": 1, "created": ""}]},
        {"app": "x"},
    ],
)
def test_keys_that_no_keystore_has_are_damage(path: Path, keys: Any) -> None:
    LocalKeystore.create_unprotected_for_development(path)
    edited(path, keys=base64.b64encode(json.dumps(keys).encode()).decode())
    with pytest.raises(KeystoreError, match="damaged"):
        LocalKeystore.open_unprotected_for_development(path)


def test_another_keystore_in_the_same_place_is_noticed(path: Path) -> None:
    keystore = LocalKeystore.create_unprotected_for_development(path)
    keystore.create_key("app")
    path.unlink()
    LocalKeystore.create_unprotected_for_development(path).create_key("app")
    for use in (keystore.key_names, lambda: keystore.rotate_key("app")):
        with pytest.raises(KeystoreError, match="another keystore"):
            use()


def test_a_keystore_does_not_grow_over_what_it_reads(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keystore = LocalKeystore.create_unprotected_for_development(path)
    keystore.create_key("app")
    monkeypatch.setattr("envelope.keystore.format.MAX_FILE_BYTES", 550)
    keystore.rotate_key("app")
    with pytest.raises(KeystoreError, match="would grow"):
        keystore.rotate_key("app")
    assert LocalKeystore.open_unprotected_for_development(path).versions("app")
