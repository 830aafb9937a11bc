"""The judge of rotations that die: each end that must never be, made by hand, is seen and called by its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from envelope_secrets.rotation.alternating_users import AlternatingUsers
from envelope_secrets.rotation.failures import LoginRefused, PrivilegeMissing
from envelope_secrets.rotation.single_user import SingleUser
from envelope_secrets.stages import AWSCURRENT, AWSPENDING, AWSPREVIOUS, StagingLabels
from envelope_secrets.stores.protocol import NewVersion
from envelope_secrets.writing import new_secret
from tests.bad_ends import (
    LEAKED,
    LOST,
    NO_LOGIN,
    NOT_ALLOWED,
    SECOND_VALUE,
    STUCK,
    problems_of_keys,
    problems_of_labels,
    problems_of_use,
)
from tests.crash_points import CrashPoints
from tests.database_rotations import RotationWorld
from tests.fake_databases import Account
from tests.fake_secrets_for_tests import token
from tests.rotation_stops import STORES, store_of, store_problems
from tests.test_rotation_crashes import moments_without_a_login, problems_of_grants
from tests.test_rotation_crashes_elasticache import World

NAME = "prod/judged"
T1, T2, T3 = (token(number) for number in (1, 2, 3))


def rotated_world() -> RotationWorld:
    """After a rotation, with a clone, and nothing wrong."""
    world = RotationWorld(AlternatingUsers())
    assert world.rotate(2).succeeded
    assert world.problems() + problems_of_grants(world.server) == []
    return world


@pytest.mark.parametrize(
    ("by_version", "said"),
    [
        ({T1: {AWSPREVIOUS}, T2: {AWSCURRENT}}, []),
        ({T1: {AWSPREVIOUS}, T2: {AWSCURRENT, AWSPENDING}}, []),
        ({T1: {AWSCURRENT}, T2: {AWSCURRENT}}, ["AWSCURRENT is on 2 versions"]),
        ({T1: {AWSPREVIOUS}}, ["AWSPREVIOUS without AWSCURRENT"]),
        ({T1: {AWSCURRENT}, T2: {AWSPENDING}}, [STUCK]),
    ],
)
def test_labels_that_are_not_legal_are_seen(by_version: dict[str, set[str]], said: list[str]) -> None:
    labels = StagingLabels.of({version: sorted(stages) for version, stages in by_version.items()})
    assert problems_of_labels(labels) == said


@pytest.mark.parametrize("kind", STORES)
def test_a_second_pending_value_is_seen(kind: str, tmp_path: Path) -> None:
    store = store_of(kind, tmp_path)
    store.create(new_secret(NAME, {"password": "first"}, token=T1))
    store.put(NAME, NewVersion("second", T2, (AWSCURRENT,)))
    assert store_problems(store, NAME, values=2) == []
    store.put(NAME, NewVersion("third", T3, (AWSPENDING,)))
    assert store_problems(store, NAME, values=2) == [STUCK, SECOND_VALUE]


@pytest.mark.parametrize("kind", STORES)
def test_a_second_pending_value_is_seen_when_its_label_is_gone(kind: str, tmp_path: Path) -> None:
    store = store_of(kind, tmp_path)
    store.create(new_secret(NAME, {"password": "first"}, token=T1))
    store.put(NAME, NewVersion("second", T2, (AWSPENDING,)))
    store.put(NAME, NewVersion("third", T3, (AWSPENDING, AWSCURRENT)))
    assert store_problems(store, NAME, values=2) == [SECOND_VALUE]


@pytest.mark.parametrize(
    ("held", "there", "spare", "said"),
    [
        ("ab", "ab", "", []),
        ("ab", "abc", "c", []),
        ("ab", "ab", "c", []),
        ("ab", "abc", "", [LEAKED]),
        ("ab", "abcd", "c", [LEAKED]),
        ("ab", "a", "", [LOST]),
        ("ab", "ac", "", [LOST, LEAKED]),
    ],
)
def test_keys_that_leaked_or_are_gone_are_seen(held: str, there: str, spare: str, said: list[str]) -> None:
    assert problems_of_keys(set(held), set(there), spare=set(spare)) == said


def fail(error: Exception) -> Callable[[], None]:
    def use() -> None:
        raise error

    return use


def test_a_login_that_is_refused_is_another_end_than_one_that_may_not_do_all() -> None:
    assert problems_of_use(lambda: None, denied=PrivilegeMissing) == []
    assert problems_of_use(fail(LoginRefused("no")), denied=(LoginRefused, PrivilegeMissing)) == [NO_LOGIN]
    assert problems_of_use(fail(PrivilegeMissing("no")), denied=PrivilegeMissing) == [NOT_ALLOWED]
    with pytest.raises(PrivilegeMissing):
        problems_of_use(fail(PrivilegeMissing("not expected")))


def test_on_the_fake_server_a_current_value_that_does_not_log_in_is_seen() -> None:
    world = rotated_world()
    world.server.accounts[world.value()["username"]].take("another")
    assert NO_LOGIN in world.problems()


def test_on_the_fake_server_a_half_granted_clone_is_seen() -> None:
    world = rotated_world()
    world.server.accounts["app_clone"].grants.remove("write b")
    assert world.problems() == ["app_clone is half granted"]
    assert problems_of_grants(world.server) == ["app_clone is half granted"]


def test_on_the_fake_server_an_account_that_lost_what_it_could_do_is_seen_without_a_clone_too() -> None:
    world = RotationWorld(SingleUser())
    world.server.accounts["app"].grants.remove("write b")
    assert problems_of_grants(world.server) == ["app is half granted"]
    world.server.accounts["app_clone"] = Account(("x",), {"read a", "read b"})
    assert problems_of_grants(world.server) == ["app is half granted", "app_clone is half granted"]


def test_a_moment_in_which_nobody_can_log_in_is_seen_though_the_end_is_well() -> None:
    world = RotationWorld(SingleUser())
    moments = moments_without_a_login(world, always_works=False)
    world.server.accounts["app"].take("another")
    world.points.point("after set password")
    world.points.point("after connect")
    world.server.accounts["app"].take("first")
    world.points.point("after set password")
    assert moments == ["nobody can log in after set password"]


def test_of_a_cache_user_passwords_and_moments_are_seen(tmp_path: Path) -> None:
    world = World(store_of("local store", tmp_path), NAME, CrashPoints())
    world.store.put(NAME, NewVersion('{"password": "the second password"}', T2, (AWSCURRENT,)))
    world.points.point("after put")
    assert world.moments == ["nobody can log in after put"]
    assert world.problems(values=2)[:2] == ["nobody can log in after put", NO_LOGIN]
    world.moments.clear()
    world.cache.passwords = ("another password", "the second password")
    assert world.problems(values=2) == ["the user has other passwords than those of AWSPREVIOUS and AWSCURRENT"]
    world.cache.passwords = ("the first password", "the second password")
    assert world.problems(values=2) == []
