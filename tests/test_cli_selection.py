"""--include, --exclude and --suffix: every pattern can match something, or is refused."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from envelope.cli.selection import Selection
from tests.cli_for_tests import AES, make_keys, run_cli, tree_of


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    make_keys(tmp_path)
    for path in ("in/sec/a", "in/deep/sec/b", "in/deep/c", "in/other/sec"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(path)


@pytest.mark.parametrize(
    ("pattern", "left"),
    [
        ("sec/", {"deep/c", "other/sec"}),
        ("sec", {"deep/c"}),
        ("/sec", {"deep/sec/b", "deep/c", "other/sec"}),
        ("./sec/", {"deep/sec/b", "deep/c", "other/sec"}),
        ("deep/sec/", {"sec/a", "deep/c", "other/sec"}),
        ("deep/*", {"sec/a", "other/sec"}),
    ],
)
def test_a_pattern_leaves_out_what_it_says(pattern: str, left: set[str]) -> None:
    assert run_cli("encrypt", "-r", "in", "-o", "out", "-k", AES, "--exclude", pattern, "-q").status == 0
    assert {path.removesuffix(".encrypted") for path in tree_of(Path("out"))} == left


@pytest.mark.parametrize("pattern", ["", "/", "//"])
@pytest.mark.parametrize("option", ["--include", "--exclude"])
def test_a_pattern_of_nothing_is_refused(option: str, pattern: str) -> None:
    ended = run_cli("encrypt", "-r", "in", "-o", "out", "-k", AES, option, pattern)
    assert ended.status == 2
    assert f"{option} is empty" in ended.errors


def test_an_included_directory_is_refused_because_files_are_included() -> None:
    with pytest.raises(click.UsageError, match=r"'sec/\*'"):
        Selection(include=["*.sql", "sec/"])


@pytest.mark.parametrize("verb", ["encrypt", "decrypt"])
def test_a_suffix_is_a_part_of_a_name(verb: str) -> None:
    for suffix in ("/x", "../x", "/"):
        ended = run_cli(verb, "-r", "in", "-o", "out", "-k", AES, "--suffix", suffix)
        assert ended.status == 2
        assert "cannot have a / in it" in ended.errors


@pytest.mark.parametrize("name", [".", ".."])
def test_a_message_is_not_called_like_its_directory(name: str) -> None:
    assert run_cli("encrypt", "in/sec/a", "-o", f"messages/{name}.encrypted", "-k", AES).status == 0
    assert run_cli("decrypt", "-r", "messages", "-o", "out", "-k", AES, "-q").status == 0
    assert tree_of(Path("out")) == {f"{name}.encrypted.decrypted": b"in/sec/a"}
