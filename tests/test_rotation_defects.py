"""The table of defects in docs/rotation-defects.md: each row has its tests. Those that no other file has are here."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from envelope_secrets.rotation import (
    AlternatingUsers,
    DualPassword,
    LoginRefused,
    RotationRefused,
    SingleUser,
    Strategy,
)
from envelope_secrets.stages import AWSCURRENT, AWSPENDING
from tests.database_rotations import RotationWorld, fields
from tests.fake_secrets_for_tests import V1, V2

ROOT = Path(__file__).parent.parent
TABLE = ROOT / "docs/rotation-defects.md"
STRATEGIES = [SingleUser(), AlternatingUsers(), DualPassword()]


def rows() -> dict[str, list[str]]:
    """The cells of each row, by the defect's name."""
    lines = re.findall(r"^\| (B\d+) \|(.*)\|$", TABLE.read_text(), re.MULTILINE)
    return {name: [cell.strip() for cell in cells.split(" | ")] for name, cells in lines}


@cache
def functions() -> frozenset[str]:
    """The name of every test of the project."""
    texts = (path.read_text() for path in ROOT.glob("tests/test_*.py"))
    return frozenset(name for text in texts for name in re.findall(r"^(?:async )?def (test_\w+)\(", text, re.MULTILINE))


def test_the_table_has_every_defect_once_and_in_order() -> None:
    assert list(rows()) == [f"B{number}" for number in range(1, 26)]
    assert TABLE.read_text().count("\n| B") == 25


@pytest.mark.parametrize("defect", [f"B{number}" for number in range(1, 26)])
def test_every_row_names_tests_that_exist(defect: str) -> None:
    published, here, tests = rows()[defect]
    named = re.findall(r"`(\w+)`", tests)
    assert published
    assert here
    assert named, "a claim that nothing shows"
    assert not [name for name in named if name not in functions()]


def begun(strategy: Strategy) -> RotationWorld:
    """A world in which V2 is announced, and has no value."""
    world = RotationWorld(strategy)
    world.clock.advance(60)
    world.fake.rotate(world.name, lambda event, context: None, token=V2)
    return world


@pytest.mark.parametrize("password", ["\"); DROP ROLE admin; --'", "a;PWD=b\\%s{}"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_b6_the_password_that_is_stored_is_the_one_that_is_set(strategy: Strategy, password: str) -> None:
    world = begun(strategy)
    user = "app_clone" if isinstance(strategy, AlternatingUsers) else "app"
    world.put(2, {**world.value(), "username": user, "password": password}, AWSPENDING)
    assert world.rotate(2).succeeded
    assert world.value()["password"] == password
    assert password in world.server.accounts[user].passwords


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_b10_create_secret_asks_the_target_nothing_also_after_the_password_has_changed(strategy: Strategy) -> None:
    world = begun(strategy)
    world.step("createSecret", 2)
    world.step("setSecret", 2)
    value, logins = world.value(AWSPENDING), len(world.server.logins)
    world.step("createSecret", 2)
    assert (world.value(AWSPENDING), len(world.server.logins)) == (value, logins)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_b12_test_secret_logs_in_with_the_pending_password(strategy: Strategy) -> None:
    world = begun(strategy)
    world.step("createSecret", 2)
    world.step("setSecret", 2)
    pending = world.value(AWSPENDING)
    world.server.logins.clear()
    world.step("testSecret", 2)
    assert world.server.logins[0] == (pending["username"], True)
    world.server.accounts[pending["username"]].passwords = ("another",)
    with pytest.raises(LoginRefused):
        world.step("testSecret", 2)
    assert world.labels.holder(AWSCURRENT) == V1


@pytest.mark.parametrize("value", ["no json", fields(password=None)])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_b14_after_a_malformed_pending_value_a_rotation_is_possible_again(strategy: Strategy, value: Any) -> None:
    world = begun(strategy)
    world.put(2, value, AWSPENDING)
    run = world.rotate(2, attempts=2)
    assert isinstance(run.error, RotationRefused)
    assert "take AWSPENDING away from this version, and rotate again" in run.error.hint
    assert not world.server.logins
    world.cancel()
    assert world.rotate(3).succeeded
    assert not world.problems()
