"""Where the keystore is, and where its passphrase comes from."""

from __future__ import annotations

import os
import pty
import termios
import threading
from pathlib import Path

import pytest

from envelope import InvalidArgument, KeystoreError, LocalKeystore, PassphraseRefused, StreamFailed
from envelope.cli.aws_options import AwsSettings, shared_aws
from envelope.cli.keystore_options import KeystoreSettings, open_keystore
from envelope.cli.passphrases import PASSPHRASE_VARIABLE, ask_at_the_terminal, find_passphrase
from envelope.errors import AwsMisconfigured
from tests.aws_environment import clean_aws_environment

__all__ = ["clean_aws_environment"]


def nobody(prompt: str) -> bytes:
    raise AssertionError(prompt)


def piped(content: bytes) -> int:
    reading, writing = os.pipe()
    os.write(writing, content)
    os.close(writing)
    return reading


@pytest.mark.parametrize("line", [b"passphrase\n", b"passphrase", b"passphrase\r\n", b"passphrase\nthe message"])
def test_a_descriptor_gives_its_first_line_and_keeps_the_rest(line: bytes) -> None:
    reading = piped(line)
    environ = {PASSPHRASE_VARIABLE: "another"}
    assert find_passphrase(descriptor=reading, environ=environ, ask=nobody) == "passphrase"
    assert os.read(reading, 100) == line.partition(b"\n")[2]
    os.close(reading)


def test_a_descriptor_without_a_line_is_refused() -> None:
    for content, text in ((b"", "there is no passphrase"), (b"\n", "there is no passphrase"), (bytes(5_000), "longer")):
        reading = piped(content)
        with pytest.raises(InvalidArgument, match=text):
            find_passphrase(descriptor=reading, environ={}, ask=nobody)
        os.close(reading)
    with pytest.raises(InvalidArgument, match="cannot be read from file descriptor"):
        find_passphrase(descriptor=1_000_000, environ={}, ask=nobody)


def test_without_a_descriptor_the_variable_counts_then_the_person() -> None:
    assert find_passphrase(descriptor=None, environ={PASSPHRASE_VARIABLE: "sähe"}, ask=nobody) == "sähe"
    assert (
        find_passphrase(descriptor=None, environ={}, ask=lambda prompt: prompt.encode())
        == "Passphrase of the keystore: "
    )
    assert find_passphrase(descriptor=None, environ={}, ask=lambda _: b"\xff") == b"\xff"


def test_a_new_passphrase_is_typed_twice() -> None:
    typed = iter([b"one", b"one", b"one", b"two"])
    assert find_passphrase(descriptor=None, environ={}, ask=lambda _: next(typed), is_new=True) == "one"
    with pytest.raises(KeystoreError, match="not the same"):
        find_passphrase(descriptor=None, environ={}, ask=lambda _: next(typed), is_new=True)


def test_at_a_terminal_the_passphrase_is_not_shown_and_the_terminal_is_as_before() -> None:
    leader, follower = pty.openpty()
    name = os.ttyname(follower)
    answers: list[bytes] = []
    before = termios.tcgetattr(follower)
    asking = threading.Thread(target=lambda: answers.append(ask_at_the_terminal("Passphrase: ", terminal=name)))
    asking.start()
    shown = b""
    while not shown.endswith(b"Passphrase: "):
        shown += os.read(leader, 100)
    os.write(leader, "pässword\n".encode())
    asking.join(10)
    assert answers == ["pässword".encode()]
    assert os.read(leader, 100) == b"\r\n"
    assert termios.tcgetattr(follower) == before
    os.close(leader)
    os.close(follower)


def test_without_a_terminal_the_error_says_how_else_to_give_it(tmp_path: Path) -> None:
    with pytest.raises(KeystoreError, match="no terminal") as caught:
        ask_at_the_terminal("Passphrase: ", terminal=str(tmp_path / "tty"))
    assert "--passphrase-fd" in caught.value.hint


def test_the_default_place_is_in_the_folder_of_the_users_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert KeystoreSettings(environ={"XDG_DATA_HOME": "/data"}).place == Path("/data/envelope/keystore.json")
    monkeypatch.setenv("HOME", str(tmp_path))
    for environ in ({}, {"XDG_DATA_HOME": "relative"}):
        assert KeystoreSettings(environ=environ).place == tmp_path / ".local/share/envelope/keystore.json"
    assert KeystoreSettings(Path("elsewhere")).place == Path("elsewhere")


def test_a_keystore_that_is_not_there_is_an_error_before_anybody_is_asked(tmp_path: Path) -> None:
    with pytest.raises(KeystoreError, match="there is no keystore at"):
        open_keystore(KeystoreSettings(tmp_path / "none", ask=nobody))


def test_what_is_no_file_or_cannot_be_looked_at_is_no_keystore(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(KeystoreError, match="is not a keystore file"):
        open_keystore(KeystoreSettings(tmp_path / "pipe", ask=nobody))
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(StreamFailed, match="cannot read the keystore"):
        open_keystore(KeystoreSettings(tmp_path / "circle", ask=nobody))


def test_a_keystore_opens_under_its_passphrase_or_none_if_it_is_for_development(tmp_path: Path) -> None:
    LocalKeystore.create(tmp_path / "protected", passphrase="passphrase").create_key("app")
    LocalKeystore.create_unprotected_for_development(tmp_path / "open").create_key("app")
    settings = KeystoreSettings(tmp_path / "protected", environ={PASSPHRASE_VARIABLE: "passphrase"})
    assert open_keystore(settings).key_names() == ("app",)
    assert open_keystore(KeystoreSettings(tmp_path / "open", is_unprotected=True)).key_names() == ("app",)
    with pytest.raises(PassphraseRefused):
        open_keystore(KeystoreSettings(tmp_path / "protected", environ={PASSPHRASE_VARIABLE: "another"}))


def test_a_passphrase_is_in_no_repr() -> None:
    assert "secret" not in repr(KeystoreSettings(environ={PASSPHRASE_VARIABLE: "secret"}))


def test_one_aws_serves_the_whole_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config"
    config.write_text(
        "[profile app]\nregion = us-east-1\naws_access_key_id = made-up\naws_secret_access_key = made-up\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    settings = AwsSettings(aws_profile="app")
    assert shared_aws(settings) is shared_aws(AwsSettings(aws_profile="app"))
    assert shared_aws(settings).client("kms").meta.region_name == "us-east-1"
    assert repr(shared_aws(AwsSettings("eu-west-1", "https://kms.example"))) == (
        "Aws(region='eu-west-1', endpoint_url='https://kms.example')"
    )
    with pytest.raises(AwsMisconfigured, match="the profile does not exist"):
        shared_aws(AwsSettings(aws_profile="none"))
