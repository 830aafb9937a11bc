"""What a project's file may set, and what is told of it: it comes along with whatever somebody has checked out."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from envelope import describe
from envelope.cli.program import program
from envelope.cli.project_file import ALLOWED
from tests.cli_for_tests import AES, OTHER, environment, make_keys, run_cli

ENCRYPT = ("encrypt", "in", "-o", "out", "--force")
TRAFFIC = ("endpoint-url", "aws-profile")
PLACES = ("keystore", "passphrase-fd", "unprotected-for-development", "keys-file", "metadata", "overwrite-metadata")
OUTPUT = ("output", "force", "skip-existing")
LOOSE = ("discovery-of-any-account", "release-early", "commitment-policy", "quiet", "role", "any-other-context")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    place = tmp_path / "project"
    place.mkdir()
    monkeypatch.chdir(place)
    make_keys(place)
    Path("in").write_bytes(b"plaintext")
    return place


@pytest.mark.parametrize("name", [*TRAFFIC, *PLACES, *OUTPUT, *LOOSE])
def test_a_project_leads_nothing_elsewhere_and_loosens_nothing(name: str) -> None:
    Path("envelope.toml").write_text(f'# project\nregion = "eu-west-1"\n{name} = "x"\n')
    ended = run_cli(*ENCRYPT, "-k", AES)
    assert ended.status == 2
    assert f"envelope.toml', line 3: '{name}' is not for a project's file" in ended.errors
    assert "--config or ENVELOPE_CONFIG" in ended.errors
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ("[decrypt]\nforce = true", 2),
        ("[profiles.x]\nkeystore = 'x'", 2),
        ("[profiles.x.keys.create]\nkeystore = 'x'", 2),
    ],
)
def test_tables_and_profiles_of_a_project_are_no_way_around_it(table: str, line: int) -> None:
    Path("envelope.toml").write_text(table)
    ended = run_cli(*ENCRYPT, "-k", AES)
    assert ended.status == 2
    assert f"line {line}: " in ended.errors


@pytest.mark.parametrize("name", ["user", "named", "variable"])
def test_the_users_own_file_and_a_named_one_may_say_everything(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = '[encrypt]\nforce = true\nmetadata = "log"\nendpoint-url = "https://kms.example"\n'
    Path("out").write_bytes(b"old")
    more: tuple[str, ...] = ()
    if name == "user":
        place = Path("../config/envelope/config.toml")
        place.parent.mkdir(parents=True)
        place.write_text(text)
    else:
        Path("envelope.toml").write_text(text)
        if name == "named":
            more = ("--config", "envelope.toml")
        else:
            monkeypatch.setenv("ENVELOPE_CONFIG", "envelope.toml")
    ended = run_cli(*more, "encrypt", "in", "-o", "out", "-k", AES)
    assert (ended.status, ended.errors) == (0, "")
    assert json.loads(Path("log").read_text())["status"] == "done"


def test_what_a_project_may_set_are_options_that_there_are() -> None:
    names: set[str] = set()
    waiting: list[click.Command] = [program]
    while waiting:
        command = waiting.pop()
        names |= {str(parameter.name) for parameter in command.params if isinstance(parameter, click.Option)}
        if isinstance(command, click.Group):
            context = click.Context(command)
            found = [command.get_command(context, name) for name in command.list_commands(context)]
            waiting += [one for one in found if one is not None]
    assert names >= ALLOWED


def test_the_document_names_what_a_project_may_set() -> None:
    text = (Path(__file__).parent.parent / "docs/cli.md").read_text()
    named = set(re.findall(r"`([a-z-]+)`", text.partition("It may set ")[2].partition("All others")[0]))
    other_names = {"keys": "key", "accounts": "account", "as_json": "json", "pairs": "context", "rules": "context"}
    assert named == {other_names.get(name, name.replace("_", "-")) for name in ALLOWED}


def test_keys_of_a_project_are_told_once_and_those_of_anybody_else_are_not() -> None:
    Path("envelope.toml").write_text(f'keys = ["{AES}", "{OTHER}"]\n')
    path = Path("envelope.toml").absolute()
    ended = run_cli(*ENCRYPT)
    assert (ended.status, ended.errors) == (0, f"envelope: note: key {AES}, {OTHER} from {path}\n")
    assert run_cli(*ENCRYPT, "-k", AES).errors == ""
    assert run_cli("-q", *ENCRYPT).errors == ""
    assert run_cli("--config", "envelope.toml", *ENCRYPT).errors == ""
    said = json.loads(run_cli("--json", *ENCRYPT).errors)
    assert (said["event"], said["key"], said["file"]) == ("from project", f"{AES}, {OTHER}", str(path))


def test_keys_of_the_user_under_those_of_a_project_are_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Path("../config/envelope/config.toml")
    place.parent.mkdir(parents=True)
    place.write_text(f'keys = ["{AES}"]\n')
    Path("envelope.toml").write_text('region = "eu-west-1"\n')
    assert run_cli(*ENCRYPT).errors == ""
    Path("envelope.toml").write_text(f'[decrypt]\nkeys = ["{AES}"]\n')
    assert run_cli(*ENCRYPT).errors == ""
    assert "note: key" in run_cli("decrypt", "out").errors
    monkeypatch.setenv("ENVELOPE_DECRYPT_KEY", AES)
    assert run_cli("decrypt", "out").errors == ""


def test_new_keys_and_accounts_of_a_project_are_told_too() -> None:
    assert run_cli(*ENCRYPT, "-k", AES).status == 0
    Path("envelope.toml").write_text(
        f'[rekey]\nto = ["{OTHER}"]\n[decrypt]\ndiscovery = true\naccounts = ["111122223333"]\n'
        f"[policy]\nkeys = ['{AES}']\n[doctor]\nkeys = ['{AES}']\n"
    )
    assert f"envelope: note: new key {OTHER} from " in run_cli("rekey", "out", "-o", "new", "-k", AES).errors
    ended = run_cli("decrypt", "out", "-o", "back", "--region", "eu-west-1")
    assert "envelope: note: account '111122223333' from " in ended.errors
    for command in ("policy", "doctor"):
        assert f"envelope: note: key {AES} from " in run_cli(command).errors


def test_what_is_no_key_word_is_not_shown_as_the_key_of_a_project() -> None:
    Path("envelope.toml").write_text('keys = ["MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="]\n')
    ended = run_cli(*ENCRYPT)
    assert ended.status == 2
    assert "note: key (no key word) from " in ended.errors
    assert "MDEy" not in ended.errors


def test_a_keys_file_of_the_command_line_goes_before_keys_of_a_project_which_are_not_told() -> None:
    Path("envelope.toml").write_text(f'keys = ["{OTHER}"]\n')
    Path("words").write_text(AES)
    assert run_cli(*ENCRYPT, "--keys-file", "words").errors == ""


def test_keys_of_a_project_are_not_added_to_a_keys_file_of_the_user() -> None:
    place = Path("../config/envelope/config.toml")
    place.parent.mkdir(parents=True)
    place.write_text("keys-file = 'words'\n")
    Path("words").write_text(AES)
    Path("envelope.toml").write_text(f'keys = ["{OTHER}"]\n')
    assert f"note: key {OTHER} from " in run_cli(*ENCRYPT).errors
    assert len(describe(Path("out").read_bytes()).encrypted_data_keys) == 1
    Path("envelope.toml").unlink()
    assert run_cli(*ENCRYPT).errors == ""
    assert run_cli("verify", "out", "-k", AES).status == 0


def test_a_pipe_in_the_place_of_a_project_file_is_not_waited_for() -> None:
    os.mkfifo("envelope.toml")
    ended = run_cli(*ENCRYPT, "-k", AES)
    assert ended.status == 2
    assert "is no regular file" in ended.errors


def test_a_project_file_that_cannot_be_read_is_a_usage_error() -> None:
    Path("envelope.toml").symlink_to("envelope.toml")
    assert "cannot read the configuration file" in run_cli(*ENCRYPT, "-k", AES).errors
    Path("envelope.toml").unlink()
    Path("envelope.toml").symlink_to("/proc/self/mem")
    assert run_cli(*ENCRYPT, "-k", AES).status == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a link away")
def test_a_link_of_somebody_else_does_not_choose_among_the_files_of_the_user() -> None:
    Path("own.toml").write_text(f'keys = ["{AES}"]\n')
    Path("envelope.toml").symlink_to("own.toml")
    assert run_cli(*ENCRYPT).status == 0
    os.chown("envelope.toml", 12_345, -1, follow_symlinks=False)
    ended = run_cli(*ENCRYPT)
    assert ended.status == 2
    assert "belongs to somebody else" in ended.errors


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('jobs = "4"', "'jobs' takes a number without quotes"),
        ("jobs = true", "'jobs' takes a number without quotes"),
        ("jobs = 0", "'jobs': 0 is not in the range 1<=x<=256"),
        ('fail-fast = "yes"', "'fail-fast' takes true or false"),
        ("region = 1", "'region' takes text in quotes"),
        ("accounts = [111122223333]", "'accounts' takes text in quotes"),
        ("exclude = [['a']]", "'exclude' takes text in quotes"),
        ("suffix = ['a']", "'suffix' takes one value and no list"),
        ("suite = 'ROT13'", "'suite': 'ROT13' is not one of"),
        ("region = 2024-05-06", "'region' takes text in quotes"),
        (f"jobs = {'9' * 5_000}", "is no TOML: it is too large or too deep"),
        (f"exclude = {'[' * 100_000}", "is no TOML: it is too large or too deep"),
    ],
)
def test_a_value_of_the_wrong_kind_is_a_usage_error_that_names_the_file(text: str, said: str) -> None:
    Path("envelope.toml").write_text(f"# one\n{text}\n")
    ended = run_cli(*ENCRYPT, "-k", AES)
    assert ended.status == 2
    assert "envelope.toml'" in ended.errors
    assert said in ended.errors
    assert ("line 2" in ended.errors) == ("TOML" not in said)


def test_values_of_the_right_kind_count() -> None:
    Path("envelope.toml").write_text(
        'jobs = 2\nverbose = 1\nfail-fast = true\ninclude = "a*"\nexclude = ["b", "c"]\nsuite = '
        '"aes_256_gcm_hkdf_sha512_commit_key"\n'
    )
    Path("tree").mkdir()
    for name in ("ab", "b", "c", "d"):
        Path("tree", name).write_bytes(b"")
    ended = run_cli("encrypt", "-r", "tree", "-o", "messages", "-k", AES)
    assert "1 encrypted" in ended.errors
    assert "tree/ab -> " in ended.errors


def test_without_a_home_there_is_no_file_of_the_user(folder: Path) -> None:
    """Not one in a directory that is called ~ either, which a project could bring along."""
    place = Path("~/.config/envelope/config.toml")
    place.parent.mkdir(parents=True)
    place.write_text("metadata = 'log'\n")
    code = (
        "import pathlib, sys\n"
        "def nobody(): raise RuntimeError('Could not determine home directory.')\n"
        "pathlib.Path.home = nobody\n"
        "from envelope.cli import main\n"
        "sys.exit(main())\n"
    )
    kept = {name: value for name, value in environment().items() if name != "XDG_CONFIG_HOME"}
    ended = subprocess.run(
        [sys.executable, "-c", code, *ENCRYPT, "-k", AES], env=kept, capture_output=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert not Path("log").exists()
