"""A rotation that dies at any point, before or after any call of AWS and any statement, and is repeated, ends well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from envelope_secrets.rotation.alternating_users import AlternatingUsers
from envelope_secrets.rotation.credentials import parse_credentials
from envelope_secrets.rotation.dual_password import DualPassword
from envelope_secrets.rotation.failures import LoginRefused
from envelope_secrets.rotation.rotator import Rotation
from envelope_secrets.rotation.single_user import SingleUser
from envelope_secrets.rotation.strategy import Strategy
from envelope_secrets.stages import AWSPENDING
from envelope_secrets.testing import Stopped
from envelope_secrets.value import Secret
from tests.crash_points import CrashPoints, StoppingService, points_to_die_at
from tests.database_rotations import RotationWorld
from tests.fake_databases import Account, FakeServer
from tests.thoroughness import POINTS, Recorder

STRATEGIES: dict[str, Strategy] = {
    "single user": SingleUser(),
    "alternating users": AlternatingUsers(),
    "dual password": DualPassword(),
}
CURRENT_ALWAYS_WORKS = ("alternating users", "dual password")

CHANGES = ("after UpdateSecretVersionStage", "after PutSecretValue", "after set password", "after add password")


Ending = Callable[[RotationWorld], list[str]]


class Rehearsal:
    """One strategy: in one service, with another secret and another server for each run."""

    def __init__(self, strategy: Strategy, *, always_works: bool, cleans_up: bool) -> None:
        self.strategy = strategy
        self.always_works = always_works
        self.service = StoppingService(cleans_up_pending=cleans_up)
        self.runs = 0

    def world(self, points: CrashPoints) -> RotationWorld:
        """A world in which nobody is ever locked out, at no point: what is checked after each change."""
        self.runs += 1
        server = FakeServer(points, locks_after=6, refuses_former=True)
        world = RotationWorld(
            self.strategy, points=points, server=server, service=self.service, name=f"prod/db-{self.runs}"
        )

        def check() -> None:
            if points.passed[-1] in CHANGES:
                is_served = world.works() or (not self.always_works and world.works(AWSPENDING))
                assert is_served, f"nobody can log in {points.passed[-1]}"

        points.at_each = check
        return world

    def bad_ends(self, rotations: Ending, ending: Ending) -> tuple[int, dict[str, list[str]]]:
        """How many points these rotations have, and what went wrong with `ending` after a death at some of them."""
        points = CrashPoints()
        assert not rotations(self.world(points)), "the rotation fails without dying"
        bad = {}
        for dies_at in points_to_die_at(len(points.passed)):
            dying = CrashPoints(dies_at)
            problems = ending(self.world(dying))
            if problems:
                bad[f"{dies_at}, {dying.passed[dies_at]}"] = problems
        return len(points.passed), bad


def failures(world: RotationWorld, *numbers: int) -> list[str]:
    """Rotate once for each number, each repeated up to three times; what is wrong after one of them."""
    for number in numbers:
        run = world.rotate(number, attempts=4)
        if not run.succeeded:
            return [f"failed: {[(step.step, step.error) for step in run.steps if step.error]}"]
        problems = world.problems()
        if problems:
            return problems
    return []


def twice(world: RotationWorld) -> list[str]:
    """Two rotations, each repeated up to three times."""
    return failures(world, 2, 3) or ([] if world.values_stored() == 3 else ["a second pending value"])


def once(world: RotationWorld) -> list[str]:
    """One rotation, repeated up to three times."""
    return failures(world, 2)


def given_up(world: RotationWorld) -> list[str]:
    """A rotation that is given up where it dies, and another one."""
    if not world.rotate(2).succeeded:
        world.cancel()
    return failures(world, 3)


@pytest.mark.parametrize(("rotations", "ending"), [(twice, twice), (once, given_up)], ids=["repeated", "given up"])
@pytest.mark.parametrize("name", STRATEGIES)
def test_a_rotation_that_dies_anywhere_ends_well(
    name: str, rotations: Ending, ending: Ending, record_property: Recorder
) -> None:
    rehearsal = Rehearsal(STRATEGIES[name], always_works=name in CURRENT_ALWAYS_WORKS, cleans_up=ending is twice)
    number, bad = rehearsal.bad_ends(rotations, ending)
    record_property(
        POINTS,
        f"fake, {name}, {ending.__name__}: {number} points, {len(points_to_die_at(number))} tried, {len(bad)} bad ends",
    )
    assert number >= 35
    assert not bad


class PasswordFirst:
    """What the published handlers do: the clone gets its password before its grants, and a login counts as applied."""

    def rotator(self, target: Any) -> Any:
        careful = AlternatingUsers().rotator(target)

        class Rotator:
            new_value, retire = careful.new_value, careful.retire

            def apply(self, rotation: Rotation, pending: Secret) -> None:
                wanted, like = parse_credentials(pending, target), rotation.current
                assert like is not None
                try:
                    with target.connect(wanted, deadline=rotation.deadline):
                        return
                except LoginRefused:
                    pass
                admin = parse_credentials(rotation.other_secret(wanted.admin_secret_id), target)
                with target.connect(admin, deadline=rotation.deadline) as session:
                    session.server.accounts.setdefault(wanted.username, Account())
                    session.set_password(wanted.username, wanted.password)
                    session.prepare_account("app_clone", "app")

            def verify(self, rotation: Rotation, pending: Secret) -> None:
                with target.connect(parse_credentials(pending, target), deadline=rotation.deadline):
                    pass

        return Rotator()


def test_the_same_rehearsal_finds_what_is_wrong_with_a_clone_that_gets_its_password_first() -> None:
    number, bad = Rehearsal(PasswordFirst(), always_works=True, cleans_up=True).bad_ends(once, once)
    assert number > 35
    assert {problem for problems in bad.values() for problem in problems} == {"app_clone is half granted"}


def test_a_point_is_where_a_process_dies() -> None:
    points = CrashPoints(1)
    with pytest.raises(Stopped, match="after x"), points.around("x"):
        pass
    with points.around("y"):
        pass
    assert points.passed == ["before x", "after x", "before y", "after y"]
