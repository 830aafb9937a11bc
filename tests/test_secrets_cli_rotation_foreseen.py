"""`envelope secrets rotate --dry-run` promises nothing that would fail, and hints name commands that can be run."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from envelope_secrets.cli import store_options
from envelope_secrets.rotation.single_user import SingleUser
from envelope_secrets.stages import AWSCURRENT, AWSPENDING
from tests.cli_for_tests import Ended, run_cli
from tests.database_rotations import ADMIN, GRANTS, RotationWorld, fields
from tests.fake_databases import HOST, Account
from tests.fake_secrets_for_tests import NAME
from tests.secrets_cli_for_tests import LOCAL, create, labels, local, prepare, put

ADMINS_SECRET = f"{NAME}-{ADMIN}"
SINGLE = ("--strategy", "single-user")
ALTERNATING = ("--strategy", "alternating-users")
DUAL = ("--strategy", "dual-password")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    prepare(tmp_path, monkeypatch)
    return tmp_path


@pytest.fixture(name="world")
def _world(monkeypatch: pytest.MonkeyPatch) -> RotationWorld:
    return served(RotationWorld(SingleUser()), monkeypatch)


def served(world: RotationWorld, monkeypatch: pytest.MonkeyPatch) -> RotationWorld:
    """The world, in the place of AWS."""
    monkeypatch.setattr(store_options, "_aws_store", lambda settings: world.store)
    monkeypatch.setitem(sys.modules, "the_database", SimpleNamespace(database=world.database))
    return world


def rotate(*arguments: str) -> Ended:
    return run_cli("secrets", "rotate", NAME, "--with", "the_database:database", *arguments)


def plan(world: RotationWorld, *arguments: str) -> str:
    """What a dry run is refused with; it changes nothing."""
    before, values = world.labels, world.values_stored()
    ended = rotate(*arguments, "--dry-run")
    assert (ended.status, ended.out) == (3, b""), ended.errors
    assert "a rotation would fail: " in ended.errors
    assert (world.labels, world.values_stored()) == (before, values)
    return ended.errors


@pytest.mark.parametrize("how", [SINGLE, ALTERNATING, DUAL])
def test_what_is_planned_can_be_done(world: RotationWorld, how: tuple[str, ...]) -> None:
    ended = rotate(*how, "--dry-run")
    assert (ended.status, b"would make a new version" in ended.out) == (0, True), ended.errors
    assert rotate(*how).status == 0


@pytest.mark.parametrize(
    ("value", "how", "text", "hint"),
    [
        (fields(), ALTERNATING, "no field masterarn", "put a version that has it"),
        (fields(engine="oracle"), SINGLE, "its field engine is none of", "put a version that is a JSON"),
        (fields(engine="oracle"), (*SINGLE, "--recover-with-admin"), "its field engine is none of", "put a version"),
        (fields(host=""), SINGLE, "its field host is missing", "put a version that is a JSON object"),
        ('{"engine": ', SINGLE, "is no database secret for this rotation", "put a version that is a JSON object"),
        (fields(password="unknown"), SINGLE, "no version that was tried works", ""),
        (fields(masterarn="nowhere"), ALTERNATING, "nowhere", ""),
        (fields(masterarn="nowhere"), DUAL, "nowhere", ""),
        (fields(password="no", masterarn="nowhere"), (*SINGLE, "--recover-with-admin"), "nowhere", ""),
        (fields(username="x_clone"), ALTERNATING, "whether it is a clone", "put back a version with the account's own"),
    ],
)
def test_what_would_fail_for_the_value_is_refused_with_reason_and_hint(
    world: RotationWorld, value: Any, how: tuple[str, ...], text: str, hint: str
) -> None:
    world.server.accounts["x_clone"] = Account(("first",), set(GRANTS), requires_tls=True)
    if isinstance(value, dict) and value["username"] == "x_clone":
        value = {**value, "masterarn": ADMINS_SECRET}
    world.put(2, value)
    if isinstance(value, dict) and value["password"] != "first":
        world.server.accounts["app"].take("set by hand")
    errors = plan(world, *how)
    assert text in errors
    assert f"hint: {hint}" in errors
    assert rotate(*how).status != 0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (fields("root", "wrong"), "does not accept the administrator's secret"),
        (fields("root", "rootpw", host="elsewhere"), "is for another server"),
        ("no JSON", "is no database secret"),
    ],
)
def test_an_administrator_who_cannot_help_is_told_before(world: RotationWorld, value: Any, text: str) -> None:
    world.client.put_secret_value(
        SecretId=ADMINS_SECRET, SecretString=value if isinstance(value, str) else json.dumps(value)
    )
    assert text in plan(world, *ALTERNATING)
    assert rotate(*ALTERNATING).status != 0


def test_a_secret_without_a_value_or_that_is_deleted_has_no_plan(world: RotationWorld) -> None:
    world.client.create_secret(Name="prod/empty")
    arguments = ("secrets", "rotate", "prod/empty", "--with", "signing-key")
    for more in ((), ("--dry-run",)):
        ended = run_cli(*arguments, *more)
        assert (ended.status, "has no current version" in ended.errors) == (3, True)
    world.client.delete_secret(SecretId=NAME)
    ended = rotate(*SINGLE, "--dry-run")
    assert (ended.status, "scheduled for deletion" in ended.errors) == (1, True), ended.errors


def test_an_account_that_lacks_a_privilege_has_no_plan_because_the_new_password_would_not_pass(
    world: RotationWorld,
) -> None:
    world.server.accounts["app"].grants.clear()
    errors = plan(world, *SINGLE)
    assert rotate(*SINGLE).status != 0
    assert "hint: " in errors


def test_status_says_no_hint_where_there_is_none(world: RotationWorld) -> None:
    world.server.accounts["app"].take("set by hand")
    shown = run_cli("secrets", "rotation", "status", NAME, "--with", "the_database:database", *SINGLE).out.decode()
    assert shown.endswith("no rotation now: no version that was tried works\n")
    words = ("rotation", "repair", NAME, "--with", "the_database:database", *SINGLE, "--no-rds-hosts", "--yes")
    world.put(2, fields(host="elsewhere"), AWSPENDING)
    assert "no-rds-hosts" not in run_cli("secrets", *words).errors


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_a_key_is_not_put_into_the_secret_of_a_database(
    world: RotationWorld, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...]
) -> None:
    before = world.labels
    for kind in (("iam-access-key", "--user", "app"), ("signing-key",)):
        ended = run_cli("secrets", "rotate", NAME, "--region", "eu-west-1", "--with", *kind, *more)
        assert (ended.status, "is the secret of a database, which" in ended.errors) == (3, True), ended.errors
        assert "--with postgresql" in ended.errors
    world.put(2, "no JSON")
    ended = run_cli(
        "secrets", "rotate", NAME, "--region", "eu-west-1", "--with", "iam-access-key", "--user", "a", *more
    )
    assert (ended.status, "is no JSON object" in ended.errors) == (3, True)
    assert world.labels.holder(AWSPENDING) == before.holder(AWSPENDING)


# --- hints


def command_in(text: str) -> list[str]:
    """The words after ``envelope`` of the command that a hint names."""
    return shlex.split(text.split("`")[1])[1:]


def test_the_hint_about_another_version_that_moved_in_names_a_command_that_takes_it_away(world: RotationWorld) -> None:
    world.put(2, fields(host="elsewhere"), AWSPENDING)
    ended = rotate(*SINGLE, "--host-alias", "a b", "--host-alias", HOST)
    words = command_in(ended.errors)
    assert words[:4] == ["secrets", "rotation", "repair", NAME]
    assert words[-4:] == ["--action", "drop-pending", "--min-age", "0"]
    assert ("a b" in words, world.labels.holder(AWSPENDING) is not None) == (True, True)
    assert run_cli(*words, "--yes").status == 0
    assert world.labels.holder(AWSPENDING) is None


def test_what_is_no_key_is_taken_away_by_the_command_of_the_hint_in_the_store_that_was_meant() -> None:
    create("prod/jwt", '{"issuer": "none"}')
    put("prod/jwt", "not a key", "--stage", "AWSPENDING")
    how = ("prod/jwt", "--with", "signing-key", "--kind", "ec-p256")
    planned = local("rotate", *how, "--dry-run")
    assert (planned.status, "a rotation would fail: " in planned.errors) == (3, True)
    words = command_in(local("rotate", *how).errors)
    assert words == command_in(planned.errors)
    assert words[:4] == ["secrets", "repair", "prod/jwt", "--drop-pending"]
    assert run_cli(*words).status == 0
    assert [*labels("prod/jwt")] == [AWSCURRENT]


def test_a_young_pending_version_is_dropped_by_the_command_of_the_hint_in_the_store_that_was_meant() -> None:
    create("prod/jwt", '{"issuer": "none"}')
    how = ("prod/jwt", "--with", "signing-key", "--kind", "ec-p256")
    assert local("rotate", *how).status == 0
    for wanted in ("repair", "status"):
        put("prod/jwt", "not a key", "--stage", "AWSPENDING")
        ended = run_cli("secrets", "rotation", wanted, *LOCAL, *how, *(("--yes",) if wanted == "repair" else ()))
        text = ended.errors + ended.out.decode()
        shown = text if wanted == "repair" else text[text.index("if no rotation runs: ") :].replace(": ", ": `", 1)
        words = command_in(shown)
        assert ("--store" in words, "ec-p256" in words, "0" in words) == (True, True, True)
        assert run_cli(*words, "--yes").status == 0
        assert AWSPENDING not in labels("prod/jwt")


def test_status_names_the_strategy_that_fits_a_pending_version(
    world: RotationWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put(2, {**world.value(), "username": "app_clone", "password": "second"}, AWSPENDING)
    for asked, fitting in ((SINGLE, "alternating-users"), (DUAL, "alternating-users"), (ALTERNATING, "")):
        shown = run_cli("secrets", "rotation", "status", NAME, "--with", "the_database:database", *asked).out.decode()
        assert ("repair would" in shown) is not bool(fitting)
        assert ("this strategy is for one user" in shown) is bool(fitting)
        assert ("hint: ask with the one that fits: `" in shown) is bool(fitting)
        if fitting:
            again = run_cli(*command_in(shown[shown.index("hint: ") :])).out.decode()
            assert "the target does not accept it" in again
            told = json.loads(
                run_cli(
                    *("secrets", "rotation", "status", NAME, "--with", "the_database:database", *asked, "--json")
                ).out
            )
            assert told["obstacle_hint"].startswith("ask with the one that fits: ")
            errors = plan(world, *asked)
            assert "is of another strategy" in errors
    world.put(3, {**world.value(), "password": "third"}, AWSPENDING)
    shown = run_cli("secrets", "rotation", "status", NAME, "--with", "the_database:database", *ALTERNATING).out.decode()
    assert "this strategy is for two in turn" in shown
    assert "--strategy single-user`, or with dual-password" in shown
    world.put(4, world.value(), AWSPENDING)
    shown = run_cli("secrets", "rotation", "status", NAME, "--with", "the_database:database", *ALTERNATING).out.decode()
    assert "this strategy is for two in turn" not in shown


def test_a_secret_of_a_function_is_rotated_by_the_command_of_the_hint(world: RotationWorld) -> None:
    world.rotate(2)
    ended = rotate(*SINGLE, "--no-rds-hosts", "--region", "eu-west-1")
    assert command_in(ended.errors) == ["secrets", "rotate", NAME, "--region", "eu-west-1"]
