"""What a run reads, writes and keeps are different files, by which way ever they are named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from envelope import LocalKeystore
from envelope.cli.collisions import OtherFiles
from envelope.cli.inputs import planned
from envelope.cli.selection import Selection
from tests.cli_for_tests import AES, OTHER, environment, make_keys, run_cli, standing_for, tree_of

ENCRYPT = ("encrypt", "-k", AES)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    make_keys(tmp_path)
    return tmp_path


def make(*paths: str) -> None:
    for path in paths:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(path)


def refused(*arguments: str, text: str) -> None:
    before = tree_of(Path())
    ended = run_cli(*arguments)
    assert (ended.status, tree_of(Path())) == (2, before), ended.errors
    assert text in ended.errors


def test_a_link_in_the_output_does_not_lead_to_another_input() -> None:
    make("in/a", "in/b")
    Path("out").mkdir()
    Path("out/a.encrypted").symlink_to("../in/b")
    refused(*ENCRYPT, "-r", "in", "-o", "out", "--force", text="'in/b' is an input, and 'in/a' would be written to it")
    refused(*ENCRYPT, "in/a", "in/b", "-o", "out", "--force", text="'in/b' is an input, and 'in/a' would be written")


def test_a_linked_directory_in_the_output_does_not_lead_to_the_inputs() -> None:
    make("in/sub/a", "in/a.encrypted")
    Path("out").mkdir()
    Path("out/sub").symlink_to("../in")
    refused(*ENCRYPT, "-r", "in", "-o", "out", "--force", text="'in/a.encrypted' is an input")


def test_two_targets_are_not_one_file_behind_a_link() -> None:
    make("in/a", "in/b", "precious")
    Path("out").mkdir()
    for name in ("a", "b"):
        Path(f"out/{name}.encrypted").symlink_to("../precious")
    refused(*ENCRYPT, "-r", "in", "-o", "out", "--force", text="would both be written to")


def test_names_with_dots_are_the_files_that_they_lead_to() -> None:
    make("in/a", "elsewhere/deep/x")
    Path("link").symlink_to("elsewhere/deep")
    ended = run_cli(*ENCRYPT, "in/a", "-o", "link/..")  # a directory, and not this one
    assert (ended.status, ended.errors) == (0, "")
    assert Path("elsewhere/a.encrypted").exists()


@pytest.mark.parametrize("link", [os.link, os.symlink])
def test_the_files_of_a_run_are_no_output_by_another_name_either(link: object) -> None:
    make("in")
    link("one.key", "other-name")  # type: ignore[operator]  # one of two functions
    for output in ("one.key", "other-name"):
        refused(*ENCRYPT, "in", "-o", output, "--force", text="is named as an output and as another file of this run")
    refused("rekey", "in", "-k", OTHER, "--to", AES, "-o", "one.key", "-f", text="as another file of this run")


def test_the_keystore_in_its_default_place_is_not_written_over() -> None:
    place = Path("home/.local/share/envelope/keystore.json")
    place.parent.mkdir(parents=True)
    LocalKeystore.create_unprotected_for_development(place).create_key("app")
    make("in")
    refused(*ENCRYPT, "in", "-o", str(place), "--force", text="as another file of this run")
    refused(*ENCRYPT, "in", "-o", "out", "--metadata", str(place), text="is named for the metadata")
    refused(*ENCRYPT, "in", "-o", "out", "--metadata", "one.key", "--overwrite-metadata", text="for the metadata")


def test_a_user_without_a_home_has_no_default_keystore(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    make("in")
    monkeypatch.setattr(Path, "home", nobody)
    assert run_cli(*ENCRYPT, "in", "-o", "out").status == 0
    ended = run_cli("encrypt", "-k", "local:app", "in", "-o", "other")
    assert ended.status == 4
    assert "nobody knows where the keystore of this user is" in ended.errors


def test_files_of_the_run_in_a_directory_are_left_out_and_said() -> None:
    make("in/a", "in/keys.txt", "in/.envelope-0123456789abcdef.partial")
    Path("in/keys.txt").write_text(AES)
    LocalKeystore.create_unprotected_for_development("in/keystore.json").create_key("app")
    more = ("--keys-file", "in/keys.txt", "--keystore", "in/keystore.json", "--metadata", "in/log", "-v")
    Path("in/log").write_text("")
    ended = run_cli("encrypt", "-r", "in", "-o", "in/out", *more)
    assert "2 encrypted, 4 left out" in ended.errors  # the lock of the keystore is a file like others
    for name in ("keys.txt", "keystore.json", "log"):
        assert f"in/{name}: left out, another file of this run" in ended.errors
    assert "in/.envelope-0123456789abcdef.partial: left out, an unfinished file" in ended.errors


def test_the_output_inside_an_input_is_left_out_and_said() -> None:
    make("in/a", "in/out/precious")
    ended = run_cli(*ENCRYPT, "-r", "in", "-o", "in/out", "-v")
    assert "in/out: left out, the output of this run" in ended.errors
    assert "1 encrypted, 1 left out" in ended.errors


def test_a_directory_that_is_encrypted_into_itself_again_reads_no_message_of_its_own() -> None:
    make("in/a", "in/a.encrypted.encrypted")
    assert run_cli(*ENCRYPT, "-r", "in", "-o", "in", "-q").status == 0
    ended = run_cli(*ENCRYPT, "-r", "in", "-o", "in", "--force", "-v")
    assert "in/a.encrypted: left out, this run writes it" in ended.errors
    # What nobody writes is read, though its name looks like that of a message of a message.
    assert "in/a.encrypted.encrypted -> in/a.encrypted.encrypted.encrypted" in ended.errors
    assert ended.status == 0


def test_two_devices_are_not_one_file(folder: Path) -> None:
    make("in")
    assert run_cli(*ENCRYPT, "in", "-o", "/dev/null", "--metadata", "/dev/null").status == 0
    assert run_cli(*ENCRYPT, "/dev/null", "-o", "/dev/null").status == 0


@pytest.mark.parametrize(
    "command",
    [
        "encrypt -k {key} big >> big",
        "encrypt -k {key} < big >> big",
        "encrypt -k {key} < big -o big --force",
        "encrypt -k {key} < big -o link --force",
        "verify -k {key} small big --metadata - >> big",
        "encrypt -k {key} big -o other --metadata - >> big",
        "encrypt -k {key} big --metadata small >> small",
        "encrypt -k {key} < big -o other --metadata big",
        "encrypt -k {key} big >> one.key",
    ],
)
def test_a_file_is_not_added_to_itself_or_to_another_one_of_the_run(folder: Path, command: str) -> None:
    make("big", "small")
    Path("link").symlink_to("big")
    before = tree_of(folder)
    script = f"{sys.executable} -m envelope.cli {command.format(key=AES)}"
    ended = subprocess.run(["/bin/sh", "-c", script], env=environment(), capture_output=True, timeout=60, check=False)
    assert (ended.returncode, tree_of(folder)) == (2, before)
    assert b"source and destination are the same file" in ended.stderr or b"is another file of this run" in ended.stderr


def test_standard_input_is_not_the_output_by_another_name() -> None:
    make("big")
    Path("link").symlink_to("big")
    with (
        Path("big").open("rb") as given,
        standing_for(0, given.fileno()),
        pytest.raises(click.UsageError, match="the same file"),
    ):
        planned(["-"], "link", Selection(), name_of=str)


def test_standard_input_and_output_are_no_other_files_of_the_run() -> None:
    with Path("one.key").open("rb") as given:
        for number, own, text in ((0, ["one.key"], "standard input is"), (1, [], "standard output is")):
            others = OtherFiles(own=own, guarded=["one.key"])
            with standing_for(number, given.fileno()), pytest.raises(click.UsageError, match=text):
                planned(["-"], "-", Selection(), name_of=str, others=others)


def test_other_files_can_be_standard_input_and_output(folder: Path) -> None:
    make("big")
    script = f"{sys.executable} -m envelope.cli encrypt -k {AES} < big >> other"
    ended = subprocess.run(["/bin/sh", "-c", script], env=environment(), capture_output=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert run_cli("verify", "-k", AES, "other").status == 0
