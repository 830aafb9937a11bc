"""What holds for every option: its variable, what takes a flag back, and which source goes first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from envelope import describe
from envelope.cli.program import program
from envelope.cli.report import Report
from tests.cli_for_tests import AES, OTHER, make_keys, run_cli

ARN = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
DISCOVERY = ("--discovery", "--account", "111122223333", "--region", "eu-west-1")
NEVER = {
    "--version",
    "--help-all",
    "--yes",
    "--force-without-recovery",
    "--despite-function",
    "--with",
    "--test-statement",
}
"""Asked for on the command line only: a variable would do it again and again."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    make_keys(tmp_path)
    Path("config/envelope").mkdir(parents=True)
    Path("in").write_bytes(b"plaintext")
    assert run_cli("encrypt", "in", "-o", "message", "-k", AES).status == 0
    return tmp_path


def user_file(text: str) -> None:
    Path("config/envelope/config.toml").write_text(text)


def contexts(context: click.Context | None = None) -> Iterator[click.Context]:
    """A context of each command, with those above it."""
    context = context or click.Context(program, info_name="envelope", obj=Report(), help_option_names=["--help", "-h"])
    yield context
    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            found = context.command.get_command(context, name)
            assert found is not None
            yield from contexts(click.Context(found, info_name=name, parent=context, obj=Report()))


COMMANDS = {context.command_path: context for context in contexts()}
OPTIONS = [
    (path, option)
    for path, context in COMMANDS.items()
    for option in context.command.params
    if isinstance(option, click.Option)
]


def named(path: str, option: click.Option) -> str:
    long_name = next(opt for opt in option.opts if opt.startswith("--"))
    return "_".join([*path.split(), long_name.removeprefix("--")]).replace("-", "_").upper()


def test_no_two_options_have_one_variable() -> None:
    names = [named(path, option) for path, option in OPTIONS]
    assert len(OPTIONS) > 300
    assert len({*names}) == len(names)


def test_every_option_of_every_command_is_given_by_the_variable_of_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for path, option in OPTIONS:
        value = "1" if option.count or option.is_flag else "17"
        with monkeypatch.context() as only:
            only.setenv(named(path, option), value)
            taken = option.value_from_envvar(COMMANDS[path])
            assert (taken is not None) is not bool(NEVER & {*option.opts} and path != "envelope keys export"), (
                path,
                option.opts,
            )
        by_value = "_".join([*path.split(), str(option.name)]).upper()
        if by_value != named(path, option):
            with monkeypatch.context() as only:
                only.setenv(by_value, value)
                assert option.value_from_envvar(COMMANDS[path]) is None, (path, option.opts)


def test_the_variable_of_one_command_goes_before_that_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    region = next(one for path, one in OPTIONS if path == "envelope decrypt" and one.name == "region")
    monkeypatch.setenv("ENVELOPE_REGION", "eu-west-1")
    assert region.value_from_envvar(COMMANDS["envelope decrypt"]) == "eu-west-1"
    monkeypatch.setenv("ENVELOPE_DECRYPT_REGION", "us-east-1")
    assert region.value_from_envvar(COMMANDS["envelope decrypt"]) == "us-east-1"


def test_conditions_of_a_policy_come_from_the_variable_that_the_document_promises(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ENVELOPE_POLICY_CONTEXT", "tenant=42")
    assert b"kms:EncryptionContext:tenant" in run_cli("policy", "-k", ARN).out


@pytest.mark.parametrize("variable", ["ENVELOPE_JSON", "ENVELOPE_DECRYPT_JSON"])
def test_json_is_asked_for_by_a_variable_too(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "1")
    assert json.loads(run_cli("decrypt", "missing", "-o", "-", "-k", AES).errors)["exit_code"] == 1


def test_every_flag_is_taken_back_by_no_before_its_name() -> None:
    for path, option in OPTIONS:
        if (option.is_bool_flag or option.count) and not option.secondary_opts and not NEVER & {*option.opts}:
            context = COMMANDS[path]
            long_name = next(opt for opt in option.opts if opt.startswith("--"))
            parser = context.command.make_parser(context)
            given, _, _ = parser.parse_args([long_name, f"--no-{long_name[2:]}"])
            assert given[option.name] in (False, 0), (path, long_name)
            given, _, _ = parser.parse_args([f"--no-{long_name[2:]}", long_name])
            assert given[option.name] in (True, 1, getattr(option, "flag_activation_value", True)), (path, long_name)


def test_a_flag_of_a_file_or_a_variable_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    user_file("[encrypt]\nforce = true\narmor = true\n")
    before = Path("message").read_bytes()
    assert run_cli("encrypt", "in", "-o", "message", "-k", AES, "--no-force").status == 1
    assert Path("message").read_bytes() == before
    assert run_cli("encrypt", "in", "-o", "-", "-k", AES, "--no-armor").out[:1] != b"-"
    assert run_cli("encrypt", "in", "-o", "message", "-k", AES).status == 0
    monkeypatch.setenv("ENVELOPE_ENCRYPT_FORCE", "0")
    assert run_cli("encrypt", "in", "-o", "message", "-k", AES).status == 1


@pytest.mark.parametrize("where", [("--no-json", "decrypt"), ("decrypt", "--no-json")])
def test_what_is_said_as_json_in_a_file_is_said_as_text_again(where: tuple[str, ...]) -> None:
    user_file("json = true\n")
    more = ("missing", "-o", "-", "-k", AES)
    assert run_cli("decrypt", *more).errors.startswith("{")
    assert run_cli(*where, *more).errors.startswith("envelope: error: ")
    assert run_cli("inspect", "message").out.startswith(b"{")
    assert run_cli("inspect", "message", "--no-json").out.startswith(b"input: ")
    assert run_cli("--no-json", "inspect", "message").out.startswith(b"input: ")
    assert run_cli("--json", "inspect", "--no-json", "message").out.startswith(b"input: ")


def test_more_words_behind_the_command_go_before_silence_in_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVELOPE_QUIET", "1")
    assert "message: good" in run_cli("verify", "message", "-k", AES, "-v").errors
    monkeypatch.setenv("ENVELOPE_QUIET", "0")
    monkeypatch.setenv("ENVELOPE_VERBOSE", "1")
    assert "message: good" in run_cli("verify", "message", "-k", AES).errors
    assert run_cli("verify", "message", "-k", AES, "-q").errors == ""


def test_more_words_on_the_command_line_go_before_silence_in_a_file() -> None:
    user_file("quiet = true\n")
    assert run_cli("verify", "message", "-k", AES).errors == ""
    assert "message: good" in run_cli("verify", "message", "-k", AES, "-v").errors
    assert "message: good" in run_cli("-v", "verify", "message", "-k", AES).errors
    user_file("verbose = 1\n")
    assert "message: good" in run_cli("verify", "message", "-k", AES).errors
    assert run_cli("verify", "message", "-k", AES, "--no-verbose").errors == ""
    assert run_cli("verify", "message", "-k", AES, "-q").errors == ""
    assert run_cli("-q", "verify", "message", "-k", AES).errors == ""


@pytest.mark.parametrize("verb", ["decrypt", "verify", "rekey"])
def test_a_key_of_the_command_line_goes_before_discovery_of_a_file(verb: str) -> None:
    more = {"decrypt": ("-o", "back"), "verify": (), "rekey": ("-o", "back", "--to", OTHER)}[verb]
    text = 'discovery = true\naccount = ["111122223333"]\n'
    user_file(text)
    assert run_cli(verb, "message", "-k", AES, *more).status == 0
    Path("back").unlink(missing_ok=True)
    user_file("discovery-of-any-account = true\n")
    Path("envelope.toml").write_text(text)
    assert run_cli(verb, "message", "-k", AES, *more).status == 0


def test_discovery_of_the_command_line_goes_before_keys_of_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    user_file(f'keys = ["{AES}"]\nkeys-file = "one.key"\n')
    ended = run_cli("decrypt", "message", "-o", "-", *DISCOVERY)
    assert (ended.status, "no keyring could unwrap" in ended.errors) == (4, True)
    monkeypatch.setenv("ENVELOPE_DECRYPT_KEY", AES)
    assert run_cli("decrypt", "message", "-o", "-", *DISCOVERY).status == 4
    assert run_cli("decrypt", "message", "-o", "-").out == b"plaintext"


def test_anybodys_keys_of_a_file_do_not_stand_beside_accounts_of_the_command_line() -> None:
    user_file("discovery-of-any-account = true\n")
    assert run_cli("decrypt", "message", "-o", "-", *DISCOVERY).status == 4
    ended = run_cli("decrypt", "message", "-o", "-", "--account", "111122223333")
    assert (ended.status, "--account is for --discovery" in ended.errors) == (2, True)


def test_accounts_of_a_file_wait_for_discovery() -> None:
    user_file(f'keys = ["{AES}"]\naccount = ["111122223333"]\nregion = "eu-west-1"\n')
    assert run_cli("decrypt", "message", "-o", "-").out == b"plaintext"
    ended = run_cli("decrypt", "message", "-o", "-", "--discovery")
    assert (ended.status, "no keyring could unwrap" in ended.errors) == (4, True)


def test_what_excludes_one_another_in_one_source_is_still_an_error() -> None:
    for options in (("-k", AES, *DISCOVERY), ("-k", AES, "--force", "--skip-existing")):
        assert run_cli("decrypt", "message", "-o", "back", *options).status == 2
    assert run_cli("encrypt", "in", "-o", "-", "-k", AES, "--armor", "--encode").status == 2
    assert run_cli("policy", "-k", ARN, "--decrypt-only", "--encrypt-only").status == 2


def test_a_flag_goes_before_its_opposite_of_a_variable_or_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Path("message").read_bytes()
    monkeypatch.setenv("ENVELOPE_ENCRYPT_FORCE", "1")
    assert run_cli("encrypt", "in", "-o", "message", "-k", AES, "--skip-existing").status == 0
    assert Path("message").read_bytes() == before
    user_file("[encrypt]\nskip-existing = true\narmor = true\n[policy]\ndecrypt-only = true\n")
    assert run_cli("encrypt", "in", "-o", "message", "-k", AES).status == 0
    assert Path("message").read_bytes() != before
    assert not run_cli("encrypt", "in", "-o", "-", "-k", AES, "--encode").out.startswith(b"-----")
    assert b"kms:Decrypt" not in run_cli("policy", "-k", ARN, "--encrypt-only").out


def test_keys_of_a_stronger_source_stand_alone() -> None:
    Path("more.txt").write_text(OTHER + "\n")
    user_file(f'keys = ["{AES}"]\n')
    assert run_cli("encrypt", "in", "-o", "other", "--keys-file", "more.txt").status == 0
    assert len(describe(Path("other").read_bytes()).encrypted_data_keys) == 1
