"""A rotation that dies at any point, before or after any call of AWS and any statement, and is repeated, ends well."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
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
from tests.bad_ends import NO_LOGIN, problems_of_versions
from tests.crash_points import CrashPoints, Rehearsed, rehearse, with_more
from tests.database_rotations import GRANTS, RotationWorld, fields
from tests.fake_databases import Account, FakeDatabase, FakeServer
from tests.local_rotations import LocalWorld
from tests.rotation_stops import LOCAL, store_of
from tests.thoroughness import POINTS, TAKES_ALL, Recorder

STRATEGIES: dict[str, Strategy] = {
    "single user": SingleUser(),
    "alternating users": AlternatingUsers(),
    "dual password": DualPassword(),
}
CURRENT_ALWAYS_WORKS = ("alternating users", "dual password")

SAMPLE = 5
"""Where not all is taken, a rotation dies at each fifth point only."""

CHANGES = ("after UpdateSecretVersionStage", "after PutSecretValue", "after set password", "after add password")


Ending = Callable[[RotationWorld], list[str]]


class Rehearsal:
    """One strategy: in another service, with another secret and another server for each run."""

    def __init__(self, strategy: Strategy, *, always_works: bool, cleans_up: bool) -> None:
        self.strategy = strategy
        self.always_works = always_works
        self.cleans_up = cleans_up

    def world(self, points: CrashPoints) -> RotationWorld:
        """Another secret on another server, which locks accounts and remembers passwords."""
        server = FakeServer(points, locks_after=6, refuses_former=True)
        return RotationWorld(self.strategy, points=points, server=server, cleans_up_pending=self.cleans_up)

    def ends(self, ending: Ending, *, rotations: int, seconds: int = 1) -> Rehearsed:
        """What became of these rotations, which died at some or all of their points."""

        def run(points: CrashPoints) -> list[str]:
            world = self.world(points)
            moments = moments_without_a_login(world, always_works=self.always_works)
            return ending(world) + moments

        return rehearse(run, rotations=rotations, seconds=seconds, sample=SAMPLE)


def moments_without_a_login(world: RotationWorld, *, always_works: bool) -> list[str]:
    """A list to which is added each change after which nobody can log in. An error here would be one of the call."""
    points, found = world.points, list[str]()

    def look() -> None:
        if points.passed[-1] in CHANGES:
            is_served = world.works() or (not always_works and world.works(AWSPENDING))
            found.extend([] if is_served else [f"nobody can log in {points.passed[-1]}"])

    points.at_each = look
    return found


def failures(world: RotationWorld, *numbers: int) -> list[str]:
    """Rotate once for each number, each repeated up to three times; what is wrong after one of them."""
    for number in numbers:
        run = world.rotate(number, attempts=4)
        if not run.succeeded:
            return [f"failed: {[(step.step, step.error) for step in run.steps if step.error]}"]
        problems = world.problems() + problems_of_grants(world.server)
        problems += problems_of_versions(world.values_stored(), number)
        if problems:
            return problems
    return []


def twice(world: RotationWorld) -> list[str]:
    """Two rotations, each repeated up to three times."""
    return failures(world, 2, 3)


def given_up(world: RotationWorld) -> list[str]:
    """A rotation that is given up where it dies, and another one, which may die too and is repeated."""
    if not world.rotate(2).succeeded:
        world.cancel()
        if not world.works():  # which giving up a single user's rotation can do, until the next one
            world.points.at_each = lambda: None
    run = world.rotate(3, attempts=4)
    return world.problems() if run.succeeded else [f"failed: {[step.error for step in run.steps if step.error]}"]


@pytest.mark.parametrize("ending", [twice, given_up], ids=["repeated", "given up"])
@pytest.mark.parametrize("name", STRATEGIES)
def test_a_rotation_that_dies_anywhere_ends_well(name: str, ending: Ending, record_property: Recorder) -> None:
    rehearsal = Rehearsal(STRATEGIES[name], always_works=name in CURRENT_ALWAYS_WORKS, cleans_up=ending is twice)
    outcome = rehearsal.ends(ending, rotations=2, seconds=2 if ending is twice else 1)
    record_property(POINTS, f"fake, {name}, {ending.__name__}: {outcome}")
    assert outcome.points >= 70
    assert not outcome.bad


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_rotation_in_a_local_store_that_dies_anywhere_ends_well(
    name: str, tmp_path: Path, record_property: Recorder
) -> None:
    strategy, numbers, store = STRATEGIES[name], count(1), store_of(LOCAL, tmp_path)

    def run(points: CrashPoints) -> list[str]:
        server = FakeServer(points, locks_after=6, refuses_former=True)
        server.accounts["app"] = Account(("first",), set(GRANTS), requires_tls=True)
        server.accounts["root"] = Account(("rootpw",), {"all"}, is_admin=True)
        world = LocalWorld(
            store,
            FakeDatabase(server),
            strategy,
            points=points,
            name=f"prod/db-{next(numbers)}",
            value=fields(),
            admin_value=fields("root", "rootpw"),
            with_admin=name != "single user",
        )
        found = []
        for number in (2, 3):
            found += world.rotated(number) + problems_of_grants(server)
            current = store.read(world.name).json
            found += [] if server.accepts(current["username"], current["password"]) else [NO_LOGIN]
        return found

    outcome = rehearse(run, rotations=2, each=2, sample=3 * SAMPLE)
    record_property(POINTS, f"fake, {name}, {LOCAL}: {outcome}")
    assert outcome.points >= 70
    assert not outcome.bad


def problems_of_grants(server: FakeServer) -> list[str]:
    """Accounts that may not do, or may do more than, what the account could in the beginning."""
    accounts = {name: account for name, account in server.accounts.items() if not account.is_admin}
    return [f"{name} is half granted" for name, account in accounts.items() if account.grants != GRANTS]


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
    outcome = Rehearsal(PasswordFirst(), always_works=True, cleans_up=True).ends(
        lambda world: failures(world, 2), rotations=1
    )
    assert outcome.points > 35
    assert {problem for problems in outcome.bad.values() for problem in problems} == {"app_clone is half granted"}


def test_a_point_is_where_a_process_dies() -> None:
    points = CrashPoints(1)
    with pytest.raises(Stopped, match="after x"), points.around("x"):
        pass
    with points.around("y"):
        pass
    assert points.passed == ["before x", "after x", "before y", "after y"]


def test_a_process_dies_again_in_what_is_repeated() -> None:
    points, deaths = CrashPoints(2, 1, 0), []
    for _ in range(4):
        try:
            for name in ("a", "b", "c", "d"):
                points.point(name)
        except Stopped as stop:
            deaths.append(str(stop))
    assert deaths == points.deaths == ["c", "b", "a"]
    assert points.passed == ["a", "b", "c", "a", "b", "a", "a", "b", "c", "d"]


@pytest.mark.parametrize("left", [1, 7, 23, 29, 60, 77])
def test_every_point_of_a_repeat_comes_second_and_third(left: int) -> None:
    chosen = [with_more(first, 0, left) for first in range(4 * left)]
    assert {deaths[1] for deaths in chosen} == set(range(left))
    thirds = [deaths[2] for deaths in chosen if len(deaths) == 3]
    assert len(thirds) == 2 * left


def test_all_that_went_wrong_is_told_with_the_points_where_it_died() -> None:
    def run(points: CrashPoints) -> list[str]:
        try:
            points.point("one")
            points.point("two")
        except Stopped:
            return ["bad"]
        return []

    outcome = rehearse(run, sample=1)
    assert (outcome.points, outcome.deaths) == (2, (4, 0, 0) if TAKES_ALL else (2, 0, 0))
    assert outcome.bad["(0,): one"] == ["bad"]
    assert str(outcome).startswith("2 points, ")
    assert str(outcome).endswith(f"{len(outcome.bad)} bad ends")
    with pytest.raises(AssertionError, match="it fails without dying"):
        rehearse(lambda _: ["always"])
