"""Help fits on a screen of 80 columns and 24 lines, and ends with two examples that can be parsed."""

from __future__ import annotations

import pytest

from tests.cli_examples import parses
from tests.cli_for_tests import run_cli

NAMES = (
    "inspect",
    "keys",
    "keys create",
    "keys list",
    "keys rotate",
    "keys export",
    "keys import",
    "doctor",
    "policy",
    "completion",
)


@pytest.mark.parametrize("name", NAMES)
def test_help_fits_on_a_screen_and_ends_with_two_examples(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    ended = run_cli(*name.split(), "--help")
    assert (ended.status, ended.errors) == (0, "")
    lines = ended.out.decode().splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 24
    assert lines[-3] == "  Examples:"
    for line in lines[-2:]:
        parses(line.strip())
