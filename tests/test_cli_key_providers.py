"""The same commands with a local keystore, and with KMS on a loopback endpoint."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from envelope import LocalKeystore, ScryptCost
from tests.aws_environment import clean_aws_environment
from tests.cli_for_tests import Ended, run_cli, tree_of
from tests.moto_server import FIRST_ACCOUNT, REGIONS, moto_url, new_key

__all__ = ["clean_aws_environment"]

PASSPHRASE = "correct horse"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    for path, content in {"in/a": b"1", "in/b/c": b"22" * 200_000}.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(content)
    return tmp_path


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    keystore = LocalKeystore.create("keys.json", passphrase=PASSPHRASE, scrypt_cost=ScryptCost(2**14))
    keystore.create_key("app")
    monkeypatch.setenv("ENVELOPE_KEYSTORE_PASSPHRASE", PASSPHRASE)
    return ("-k", "local:app", "--keystore", "keys.json")


@pytest.fixture
def kms(monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    return ("-k", f"kms:{new_key()}", "--endpoint-url", moto_url())


@pytest.mark.parametrize("provider", ["local", "kms"])
def test_a_tree_comes_back(provider: str, request: pytest.FixtureRequest) -> None:
    key = request.getfixturevalue(provider)

    def run(*arguments: str) -> Ended:
        ended = run_cli(*arguments, *key)
        assert ended.status == 0, ended.errors
        return ended

    run("encrypt", "-r", "in", "-o", "messages", "-c", "tenant=42", "--metadata", "log")
    run("verify", "-r", "messages", "-c", "tenant")
    run("decrypt", "-r", "messages", "-o", "out", "-c", "tenant=42")
    assert tree_of(Path("out")) == tree_of(Path("in"))
    assert run_cli("decrypt", "-r", "messages", "-o", "other", "-c", "tenant=43", *key).status == 3
    assert not tree_of(Path("other"))
    wrapped = {json.loads(line)["header"]["encrypted_data_keys"][0]["encrypted_data_key"] for line in open_lines("log")}
    assert len(wrapped) == 1, "one call to the key provider for the whole run"


def open_lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


def test_discovery_opens_what_a_key_of_the_account_wrote(kms: tuple[str, ...]) -> None:
    assert run_cli("encrypt", "in/a", "-o", "message", *kms).status == 0

    def discovery(account: str, *more: str) -> Ended:
        return run_cli("decrypt", "message", "-o", "-", "--discovery", "--account", account, *kms[2:], *more)

    assert discovery(FIRST_ACCOUNT).out == b"1"
    assert discovery(FIRST_ACCOUNT, "--region", REGIONS[0]).out == b"1"
    assert discovery("999999999999").status == 4


def test_rekey_carries_a_tree_from_the_local_keystore_to_kms(local: tuple[str, ...], kms: tuple[str, ...]) -> None:
    assert run_cli("encrypt", "-r", "in", "-o", "old", *local).status == 0
    assert run_cli("rekey", "-r", "old", "-o", "new", *local, "--to", kms[1], *kms[2:]).status == 0
    assert run_cli("decrypt", "-r", "new", "-o", "out", *kms).status == 0
    assert tree_of(Path("out")) == tree_of(Path("in"))
    assert run_cli("verify", "-r", "new", *local).status == 4


def test_a_pair_that_the_message_does_not_have_is_refused_by_kms_too(kms: tuple[str, ...]) -> None:
    assert run_cli("encrypt", "in/a", "-o", "message", *kms).status == 0
    ended = run_cli("decrypt", "message", "-o", "out", "-c", "owner=me", *kms)
    assert ended.status == 3, ended.errors
    assert "'owner'" in ended.errors


def test_a_wrong_passphrase_is_no_key(local: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVELOPE_KEYSTORE_PASSPHRASE", "battery staple")
    ended = run_cli("encrypt", "in/a", "-o", "message", *local)
    assert ended.status == 4
    assert "staple" not in ended.errors
    assert not Path("message").exists()
