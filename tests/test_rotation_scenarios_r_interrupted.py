"""R6, R9 and R10 once more: a crash, the same step again, or steps of another rotation between any two calls."""

from __future__ import annotations

import pytest

from envelope_secrets.rotation.alternating_users import AlternatingUsers
from envelope_secrets.rotation.dual_password import DualPassword
from envelope_secrets.rotation.failures import RotationRefused
from envelope_secrets.rotation.rotator import Rotation
from envelope_secrets.rotation.single_user import SingleUser
from envelope_secrets.rotation.strategy import Strategy
from envelope_secrets.stages import AWSCURRENT
from envelope_secrets.value import Secret
from tests.crash_points import CrashPoints
from tests.database_rotations import RotationWorld
from tests.fake_secrets_for_tests import V1, V2, V3

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")


class Keys:
    """A rotator whose target knows a key for each version, until it is told to forget one."""

    def __init__(self, points: CrashPoints) -> None:
        self.known = {V1}
        self.points = points

    def new_value(self, rotation: Rotation) -> str:
        return f"key of {rotation.token}"

    def apply(self, rotation: Rotation, pending: Secret) -> None:
        self.known.add(pending.version_id)

    def verify(self, rotation: Rotation, pending: Secret) -> None:
        assert pending.version_id in self.known

    def retire(self, rotation: Rotation, pending: Secret) -> None:
        assert rotation.current is not None
        for version_id in self.known - {pending.version_id, rotation.current.version_id}:
            with self.points.around(f"forget {version_id}"):
                self.known.remove(version_id)


def test_r6_a_key_that_a_crash_in_finish_secret_leaves_is_forgotten_by_the_next_attempt() -> None:
    passed = finished_keys(CrashPoints())[1].points.passed
    assert {"before forget " + V1, "after UpdateSecretVersionStage"} <= set(passed)
    for number, name in enumerate(passed):
        keys, world = finished_keys(CrashPoints(number))
        assert keys.known == {V2, V3}, name
        assert world.labels.holder(AWSCURRENT) == V3


def finished_keys(points: CrashPoints) -> tuple[Keys, RotationWorld]:
    """Two rotations, the second of which may die in finishSecret, and is repeated then."""
    world = RotationWorld(SingleUser(), points=CrashPoints())
    keys = Keys(points)
    handler = world.handler_of(keys)

    def watched(event: dict[str, str], context: object) -> None:
        is_watched = event["ClientRequestToken"] == V3 and event["Step"] == "finishSecret"
        world.points = world.service.points = points if is_watched else CrashPoints()
        handler(event, context)

    for version_id in (V2, V3):
        world.clock.advance(60)
        assert world.fake.rotate(world.name, watched, token=version_id, attempts=2).succeeded
    world.points = points
    return keys, world


@pytest.mark.parametrize(
    ("step", "strategy"),
    [
        ("createSecret", SingleUser()),
        ("setSecret", SingleUser()),
        ("finishSecret", SingleUser()),
        ("setSecret", DualPassword()),
        ("setSecret", AlternatingUsers()),
    ],
)
def test_r9_a_delivery_that_comes_between_any_two_calls_of_another_one_is_a_success_for_both(
    step: str, strategy: Strategy
) -> None:
    number, was_last = 1, False  # after the first call; before a call is the same as after the one before it
    while not was_last:
        world = RotationWorld(strategy)
        world.fake.rotate(world.name, lambda event, context: None, token=V2)
        for earlier in STEPS[: STEPS.index(step)]:
            world.step(earlier, 2)
        was_last = not delivered_within_itself(world, step, number)
        for later in STEPS[STEPS.index(step) + 1 :]:
            world.step(later, 2)
        assert (world.labels.holder(AWSCURRENT), world.values_stored()) == (V2, 2)
        assert world.works(), f"{number}: {world.points.passed}"
        assert not [one for one in world.problems() if one != "AWSPENDING is stuck"]
        number += 2
    assert number >= 7, "so few points cannot be the whole of it"


@pytest.mark.parametrize("strategy", [SingleUser(), DualPassword(), AlternatingUsers()])
def test_r9_a_step_whose_rotation_is_finished_by_another_delivery_changes_nothing_more(strategy: Strategy) -> None:
    """It read the secret before that, and goes on after it."""
    number, was_last = 0, False
    while not was_last:
        world = RotationWorld(strategy)
        world.fake.rotate(world.name, lambda event, context: None, token=V2)
        world.step("createSecret", 2)
        was_last = not finished_within(world, number)
        assert world.labels.holder(AWSCURRENT) == V2
        assert world.works(), f"{number}: {world.points.passed}"
        number += 1
    assert number >= 9, "so few points cannot be the whole of it"


def finished_within(world: RotationWorld, number: int) -> bool:
    """Deliver setSecret, and at this point of it all that is left of the rotation. Whether there was such a point."""
    first = len(world.points.passed)

    def finish() -> None:
        if len(world.points.passed) == first + number + 1:
            with world.points.nobody_watches():
                for step in STEPS[1:]:
                    world.step(step, 2)

    world.points.at_each = finish
    world.step("setSecret", 2)
    world.points.at_each = lambda: None
    is_there = len(world.points.passed) - first > number
    if not is_there:
        for step in STEPS[1:]:
            world.step(step, 2)
    return is_there


def delivered_within_itself(world: RotationWorld, step: str, number: int) -> bool:
    """Deliver a step, and the whole of it once more at this point of it. Whether there was such a point."""
    first = len(world.points.passed)

    def another() -> None:
        if len(world.points.passed) == first + number + 1:
            with world.points.nobody_watches():
                world.step(step, 2)

    world.points.at_each = another
    world.step(step, 2)
    world.points.at_each = lambda: None
    return len(world.points.passed) - first > number


@pytest.mark.parametrize("done", range(4))
@pytest.mark.parametrize("strategy", [SingleUser(), DualPassword(), AlternatingUsers()])
def test_r10_late_steps_of_a_rotation_that_another_one_replaced_change_nothing(strategy: Strategy, done: int) -> None:
    """The steps of both in turn; the first rotation was given up after some of its steps."""
    world = RotationWorld(strategy)
    world.fake.rotate(world.name, lambda event, context: None, token=V2)
    for step in STEPS[:done]:
        world.step(step, 2)
    world.cancel()
    world.clock.advance(60)
    world.fake.rotate(world.name, lambda event, context: None, token=V3)
    for late, step in zip(STEPS, STEPS, strict=True):
        before = (world.labels, dict(world.server.accounts), world.server.statements.copy(), len(world.server.logins))
        with pytest.raises(RotationRefused):
            world.step(late, 2)
        after = (world.labels, dict(world.server.accounts), world.server.statements.copy(), len(world.server.logins))
        assert after == before
        world.step(step, 3)
    assert world.labels.holder(AWSCURRENT) == V3
    assert world.works()
    assert world.values_stored() == (2 if done == 0 else 3)
    for late in STEPS:
        with pytest.raises(RotationRefused):
            world.step(late, 2)
    assert world.works()
