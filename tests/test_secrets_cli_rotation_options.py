"""`envelope secrets rotate --with`: which source of an option goes first, and what reaches the target."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from envelope_secrets.cli import rotation_targets, store_options
from envelope_secrets.rotation import HostAliases, MariaDb, MySql, PostgreSql, RdsHosts
from tests.cli_for_tests import run_cli
from tests.secrets_cli_for_tests import create, local, prepare, refused

SINGLE = ("prod/db", "--strategy", "single-user")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    prepare(tmp_path, monkeypatch)
    (tmp_path / "config/envelope").mkdir(parents=True)
    create("prod/db", "{}")
    return tmp_path


@pytest.fixture(name="made")
def _made(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The targets and strategies that commands have made."""
    made: list[Any] = []
    kind = rotation_targets.RotationTarget

    def remember(target: Any, strategy: Any) -> Any:
        made[:] = [target, strategy]
        return kind(target, strategy)

    monkeypatch.setattr(rotation_targets, "RotationTarget", remember)
    return made


def configured(folder: Path, text: str) -> None:
    (folder / "config/envelope/config.toml").write_text("[secrets.rotate]\n" + text)


def test_a_flag_goes_before_what_a_file_says_of_the_same_hosts(folder: Path, made: list[Any]) -> None:
    configured(folder, 'host-alias = ["a", "b"]\n')
    local("rotate", *SINGLE, "--with", "postgresql", "--dry-run", "--rds-hosts")
    assert type(made[1].same_host).__name__ == RdsHosts.__name__
    configured(folder, "rds-hosts = true\n")
    local("rotate", *SINGLE, "--with", "postgresql", "--dry-run", "--host-alias", "a", "--host-alias", "b")
    assert type(made[1].same_host).__name__ == HostAliases.__name__
    configured(folder, 'rds-hosts = true\nhost-alias = ["a", "b"]\n')
    assert "exclude one another" in refused(2, "rotate", *SINGLE, "--with", "postgresql")


def test_certificates_without_tls_are_usage_and_the_stronger_source_of_the_two_counts(
    folder: Path, made: list[Any]
) -> None:
    how = (*SINGLE, "--with", "mysql", "--dry-run")
    assert "--tls disable does without" in refused(2, "rotate", *how, "--tls", "disable", "--ca-file", "rds")
    configured(folder, 'ca-file = "rds"\n')
    local("rotate", *how, "--tls", "disable")
    assert (made[0].tls, made[0].ca_file) == ("disable", None)
    configured(folder, 'tls = "disable"\n')
    local("rotate", *how, "--ca-file", "rds")
    assert (made[0].tls, made[0].ca_file) == ("verify-full", "rds")
    configured(folder, 'tls = "disable"\nca-file = "rds"\n')
    assert "--tls disable does without" in refused(2, "rotate", *how)


def test_one_of_the_four_ways_to_use_rotate_goes_before_what_the_environment_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ENVELOPE_SECRETS_ROTATE_CANCEL", "1")
    ended = local("rotate", "prod/db", "--with", "signing-key", "--dry-run")
    assert (ended.status, b"would make a new version" in ended.out) == (0, True), ended.errors
    assert "exclude one another" not in local("rotate", "prod/db", "--status").errors
    assert "exclude one another" in refused(2, "rotate", "prod/db", "--status", "--with", "signing-key")
    monkeypatch.setenv("ENVELOPE_SECRETS_ROTATE_STATUS", "1")
    assert "exclude one another" in refused(2, "rotate", "prod/db")
    assert "--with says what is rotated" in refused(2, "rotate", "prod/db", "--with", "", "--cancel")


@pytest.mark.parametrize(("name", "kind"), [("postgresql", PostgreSql), ("mysql", MySql), ("mariadb", MariaDb)])
def test_statements_and_the_number_of_refusals_reach_the_target(name: str, kind: Any, made: list[Any]) -> None:
    statements = ("--test-statement", "SELECT 1 FROM a", "--test-statement", "SELECT 2 FROM b")
    local("rotate", *SINGLE, "--with", name, *statements, "--most-refusals", "7", "--dry-run")
    assert isinstance(made[0], kind)
    assert made[0].test_statements == ("SELECT 1 FROM a", "SELECT 2 FROM b")
    assert made[0].most_refusals == 7
    local("rotate", *SINGLE, "--with", name, "--dry-run")
    assert (made[0].test_statements, made[0].most_refusals) == ((), kind().most_refusals)


def test_options_that_a_target_has_no_use_for_are_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "--test-statement does not go with --with redis" in refused(
        2, "rotate", *SINGLE, "--with", "redis", "--test-statement", "SELECT 1"
    )
    assert "--most-refusals must be 1" in refused(2, "rotate", *SINGLE, "--with", "mysql", "--most-refusals", "0")
    assert "does not count them" in refused(2, "rotate", "prod/db", "--with", "signing-key", "--most-refusals", "3")
    monkeypatch.setattr(store_options, "shared_aws", lambda settings: None)
    monkeypatch.setitem(sys.modules, "counts", SimpleNamespace(target=PostgreSql()))
    assert run_cli("secrets", "rotation", "status", "--with", "counts:target", *SINGLE).status != 2
