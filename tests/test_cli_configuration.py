"""Configuration files: what goes before what, profiles, and errors that name file, line and option."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from envelope.cli.configuration import configuration_options
from envelope.cli.configuration_files import find_files, user_file
from envelope.cli.configuration_lines import line_of


@click.group(context_settings={"auto_envvar_prefix": "ENVELOPE"})
@click.option("--quiet", is_flag=True)
@configuration_options
def program(quiet: bool) -> None:
    click.echo(f"quiet={quiet}")


@program.command()
@click.argument("inputs", nargs=-1)
@click.option("-k", "--key", "keys", multiple=True)
@click.option("--region", envvar="ENVELOPE_REGION")
@click.option("--frame-length", type=int)
def encrypt(**values: Any) -> None:
    click.echo(f"{values['keys']} {values['region']} {values['frame_length']}")


@program.group()
def keys() -> None:
    pass


@keys.command()
@click.option("--keystore")
def create(keystore: str) -> None:
    click.echo(f"keystore={keystore}")


class Place:
    """A working directory and a configuration folder."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "project" / "envelope.toml"
        self.user = folder / "config" / "envelope" / "config.toml"
        self.project.parent.mkdir()
        self.user.parent.mkdir(parents=True)

    def run(self, *arguments: str, status: int = 0, **environ: str) -> str:
        result = CliRunner(env=environ).invoke(program, arguments)
        assert result.exit_code == status, result.output
        return result.output


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    made = Place(tmp_path)
    monkeypatch.chdir(made.project.parent)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return made


def test_without_files_options_have_their_own_defaults(place: Place) -> None:
    assert place.run("encrypt") == "quiet=False\n() None None\n"


def test_flags_go_before_the_environment_that_before_the_project_and_that_before_the_user(place: Place) -> None:
    place.user.write_text('region = "user"\nframe-length = 1\nquiet = true\n')
    assert place.run("encrypt") == "quiet=True\n() user 1\n"
    place.project.write_text('region = "project"\n')
    assert place.run("encrypt") == "quiet=True\n() project 1\n"
    assert place.run("encrypt", ENVELOPE_REGION="environment") == "quiet=True\n() environment 1\n"
    assert place.run("encrypt", ENVELOPE_ENCRYPT_FRAME_LENGTH="9") == "quiet=True\n() project 9\n"
    assert place.run("encrypt", "--region", "flag", ENVELOPE_REGION="environment") == "quiet=True\n() flag 1\n"


def test_a_table_is_for_one_command_and_goes_before_what_is_for_all(place: Place) -> None:
    place.user.write_text(
        'region = "all"\nkeystore = "all"\n[encrypt]\nregion = "encrypt"\n[keys.create]\nkeystore = "create"\n'
    )
    assert place.run("encrypt") == "quiet=False\n() encrypt None\n"
    assert place.run("keys", "create") == "quiet=False\nkeystore=create\n"


@pytest.mark.parametrize("text", ['keys = ["local:app"]', 'key = "local:app"', 'key = ["local:app"]'])
def test_an_option_has_its_long_name_and_the_name_of_its_value(place: Place, text: str) -> None:
    place.project.write_text(f"{text}\nframe_length = 7\n")
    assert place.run("encrypt") == "quiet=False\n('local:app',) None 7\n"


def test_a_profile_goes_before_the_rest_of_its_file(place: Place) -> None:
    place.project.write_text(
        'region = "usual"\n[profiles.east]\nregion = "east"\n[profiles.east.encrypt]\nframe-length = 5\n'
        "[profiles.west]\n"
    )
    assert place.run("encrypt") == "quiet=False\n() usual None\n"
    assert place.run("--profile", "east", "encrypt") == "quiet=False\n() east 5\n"
    assert place.run("encrypt", ENVELOPE_PROFILE="east") == "quiet=False\n() east 5\n"
    assert place.run("--profile", "west", "encrypt") == "quiet=False\n() usual None\n"


def test_a_profile_that_no_file_has_is_a_usage_error(place: Place) -> None:
    assert "there is no profile 'x' in any file: there is none" in place.run("--profile", "x", "encrypt", status=2)
    place.user.write_text('region = "user"\n')
    output = place.run("--profile", "x", "encrypt", status=2)
    assert "there is no profile 'x' in '" in output


def test_a_named_file_takes_the_place_of_both_others(place: Place, tmp_path: Path) -> None:
    place.project.write_text('region = "project"\n')
    place.user.write_text("frame-length = 1\n")
    (tmp_path / "other.toml").write_text('region = "other"\n')
    assert place.run("--config", str(tmp_path / "other.toml"), "encrypt") == "quiet=False\n() other None\n"
    assert place.run("--config", "/dev/null", "encrypt") == "quiet=False\n() None None\n"
    assert place.run("encrypt", ENVELOPE_CONFIG=str(tmp_path / "other.toml")) == "quiet=False\n() other None\n"
    assert "there is no configuration file" in place.run("--config", "none", "encrypt", status=2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# comment\nregoin = 'x'\n", "line 2: there is no option 'regoin'"),
        ("[encrypt]\n\n'regoin' = 1\n", "line 3: there is no option 'regoin' in [encrypt]"),
        ("[encrypt]\nkeystore = 'x'\n", "line 2: there is no option 'keystore' in [encrypt]"),
        ("[encript]\n", "line 1: there is no command 'encript'"),
        ("[profiles.app]\nregoin = 1\n", "line 2: there is no option 'regoin' in [profiles.app]"),
        ("[profiles.app.encript]\nregion = 1\n", "line 1: there is no command 'encript' in [profiles.app]"),
        ("encrypt = {regoin = 1}\n", "': there is no option 'regoin' in [encrypt]"),
        ("config = 'x'\n", "line 1: there is no option 'config'"),
        ("region = ['a', 'b']\n", "line 1: the option 'region' takes one value and no list"),
        ("keys = \n", "(at line 1, column 8)"),
        ("'a\\u001b' = 1\n", "there is no option 'a"),
        ("profiles = 1\n", "profiles must be tables"),
        ("[profiles]\nx = 1\n", "profiles must be tables"),
    ],
)
def test_what_is_wrong_in_a_file_is_a_usage_error_with_file_line_and_option(place: Place, text: str, said: str) -> None:
    place.project.write_text(text)
    output = " ".join(place.run("encrypt", status=2).split())
    assert said in output
    assert "envelope.toml" in output
    assert "\x1b" not in output


def test_a_file_that_is_no_text_or_too_long_or_cannot_be_read_is_a_usage_error(place: Place) -> None:
    place.project.write_bytes(b"\xff")
    assert "is no TOML: it is not UTF-8" in place.run("encrypt", status=2)
    place.project.write_bytes(b"#" * 1_048_577)
    assert "more than 1,048,576 bytes" in place.run("encrypt", status=2)
    assert "cannot read the configuration file" in place.run("--config", "/proc/self/mem", "encrypt", status=2)


def test_a_project_file_that_everybody_may_write_is_not_used(place: Place) -> None:
    place.project.write_text("keys = ['aes:attacker/key@/tmp/key']\n")
    place.project.chmod(0o666)
    assert "it is not used" in place.run("encrypt", status=2)
    assert "attacker" in place.run("--config", "envelope.toml", "encrypt")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_project_file_of_somebody_else_is_not_used(place: Place) -> None:
    place.project.write_text("quiet = true\n")
    os.chown(place.project, 12_345, -1)
    assert "belongs to somebody else" in place.run("encrypt", status=2)


def test_help_and_completion_do_not_need_a_correct_file(place: Place) -> None:
    place.project.write_text("wrong\n")
    context = click.Context(program, resilient_parsing=True)
    program.parse_args(context, [])
    assert context.default_map is None


def test_the_users_file_is_where_the_desktop_specification_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_file({"XDG_CONFIG_HOME": "relative"}) == tmp_path / ".config/envelope/config.toml"
    assert find_files(None, environ={}, directory=tmp_path) == ()


def test_lines_are_found_as_people_write_them() -> None:
    text = 'a = 1\n[ "profiles" . app ] # x\n  b.c = 2\n[[list]]\ntext\n"d e" = 3\n'
    assert line_of(text, (), "a") == 1
    assert line_of(text, (), "profiles") == 2
    assert line_of(text, ("profiles.app",), "b") == 3
    assert line_of(text, ("profiles.app", "b"), "c") == 3
    assert line_of(text, ("list",), "d e") == 6
    assert line_of(text, (), "none") is None
