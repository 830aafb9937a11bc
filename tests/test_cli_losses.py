"""Ways to lose data, or to give it to somebody, by a command that ends as if all were well."""

from __future__ import annotations

import io
from contextlib import redirect_stderr
from pathlib import Path

import pytest

from envelope import describe
from envelope.cli.report import Report
from tests.cli_for_tests import AES, OTHER, make_keys, run_cli


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    make_keys(tmp_path)
    Path("plain").write_bytes(b"plaintext")


@pytest.mark.parametrize("more", [(), ("--armor",)])
@pytest.mark.parametrize("verb", ["encrypt", "decrypt", "rekey"])
def test_an_output_without_a_name_is_a_usage_error(verb: str, more: tuple[str, ...]) -> None:
    """A backup script with an unset variable would otherwise end with 0 and have written nothing."""
    to = ("--to", OTHER) if verb == "rekey" else ()
    options = ("--encode",) if verb == "decrypt" and more else more
    ended = run_cli(verb, "plain", "-k", AES, "-o", "", *to, *options)
    assert ended.status == 2
    assert "-o is empty" in ended.errors


@pytest.mark.parametrize("metadata", ["plain", "link"])
def test_an_input_is_not_taken_for_the_metadata_file(metadata: str) -> None:
    Path("link").hardlink_to("plain")
    ended = run_cli("encrypt", "plain", "-k", AES, "-o", "out", "--metadata", metadata, "--overwrite-metadata")
    assert ended.status == 2
    assert "'plain' is named as an input and as another file of this run" in ended.errors
    assert Path("plain").read_bytes() == b"plaintext"


def test_an_input_that_another_one_would_be_written_to_is_not_left_out_in_silence() -> None:
    Path("out").mkdir()
    Path("out/plain.encrypted").write_bytes(b"precious")
    ended = run_cli("encrypt", "plain", "out/plain.encrypted", "-k", AES, "-o", "out", "--force")
    assert ended.status == 2
    assert "'out/plain.encrypted' is an input, and 'plain' would be written to it" in ended.errors
    assert Path("out/plain.encrypted").read_bytes() == b"precious"


def test_who_cannot_be_told_of_a_failure_gets_its_status_all_the_same() -> None:
    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(28, "No space left on device")

    Path("bad").write_bytes(b"no message at all")
    for options in (("-q",), ("--log-json",), ("-v",)):
        with redirect_stderr(Full()):
            report = Report(verbose=2, log_json="--log-json" in options)
            assert report.failed(FileNotFoundError(2, "No such file or directory")) == 1
            report.step("encrypted", "plain")


def test_a_keys_file_of_a_configuration_adds_no_reader_to_the_keys_of_the_command_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("more.txt").write_text(OTHER + "\n")
    Path("named.toml").write_text('[encrypt]\nkeys-file = "more.txt"\n')
    monkeypatch.setenv("ENVELOPE_CONFIG", "named.toml")
    assert run_cli("encrypt", "plain", "-k", AES, "-o", "one").status == 0
    assert len(describe(Path("one").read_bytes()).encrypted_data_keys) == 1
    assert run_cli("encrypt", "plain", "-o", "two").status == 0
    assert run_cli("decrypt", "two", "-k", OTHER, "-o", "back").status == 0
    assert run_cli("encrypt", "plain", "-k", AES, "--keys-file", "more.txt", "-o", "both").status == 0
    assert len(describe(Path("both").read_bytes()).encrypted_data_keys) == 2


@pytest.mark.parametrize("name", ["ENVELOPE_VERSION", "ENVELOPE_ENCRYPT_HELP_ALL", "ENVELOPE_ENCRYPT_HELP"])
def test_a_variable_does_not_make_the_command_print_something_and_do_nothing(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "1")
    assert run_cli("encrypt", "plain", "-k", AES, "-o", "out").status == 0
    assert Path("out").exists()


def test_all_options_are_shown_only_when_they_are_asked_for() -> None:
    short = run_cli("encrypt", "--help").out
    assert len(run_cli("encrypt", "--help-all").out) > len(short)
    assert run_cli("encrypt", "--help").out == short


@pytest.mark.parametrize("command", [(), ("keys",)])
def test_without_arguments_the_help_is_shown_as_it_is(command: tuple[str, ...]) -> None:
    ended = run_cli(*command)
    assert ended.status == 2
    assert "\n\nOptions:\n" in ended.errors.replace("\n  ", "\n")
    assert "\\n" not in ended.errors
