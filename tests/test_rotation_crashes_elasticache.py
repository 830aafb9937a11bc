"""A rotation of an ElastiCache user that dies at any call, of the store or of ElastiCache, ends well."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from envelope import Aws
from envelope.aws.cache_users import CacheUser
from envelope.errors import AwsError
from envelope.testing import FakeClock
from envelope_secrets.rotation import elasticache_user
from envelope_secrets.rotation.elasticache_user import ElastiCacheUser
from envelope_secrets.rotation.handler import rotation_handler
from envelope_secrets.rotation.in_process import rotate
from envelope_secrets.stages import AWSCURRENT, AWSPENDING, AWSPREVIOUS, StageMove
from envelope_secrets.stores.protocol import SecretStore
from envelope_secrets.stores.secrets_manager import SecretsManagerStore
from envelope_secrets.writing import new_secret
from tests.bad_ends import NO_LOGIN
from tests.crash_points import CrashPoints, StoppingService, rehearse
from tests.elasticache_for_tests import ARN, USER_ID, USER_NAME, FakeElastiCache
from tests.fake_secrets_for_tests import token
from tests.query_api_for_tests import Refused
from tests.rotation_stops import LOCAL, Stops, repeated, stopping_store, store_of, store_problems
from tests.thoroughness import POINTS, Recorder

CHANGE_TAKES = 3
CHANGES = ("UpdateSecretVersionStage", "PutSecretValue", "move_stage", "put", "ModifyUser", "DescribeUsers")
CHANGED = tuple(f"after {name}" for name in CHANGES)
SAMPLE = 5
"""Where not all is taken, the rotation dies at each fifth point only."""


class World:
    """A secret, the user, and points at each call of ElastiCache."""

    def __init__(self, store: SecretStore, name: str, points: CrashPoints) -> None:
        self.store, self.name, self.points = store, name, points
        self.cache = FakeElastiCache()
        self.cache.takes = CHANGE_TAKES
        self.moments: list[str] = []
        with points.nobody_watches():
            first = {"username": USER_NAME, "password": "the first password"}
            store.create(new_secret(name, first, token=token(1)))
        points.at_each = self._look

    def _look(self) -> None:
        """Note the changes after which nobody can log in; an error here would be one of the call."""
        if self.points.passed[-1] in CHANGED and not self.cache.works(self.password(AWSCURRENT)):
            self.moments.append(f"nobody can log in {self.points.passed[-1]}")

    def password(self, stage: str) -> str:
        with self.points.nobody_watches():
            return str(self.store.read(self.name, stage=stage).json["password"])

    def values(self) -> int:
        with self.points.nobody_watches():
            return len(self.store.versions(self.name, include_deprecated=True))

    def problems(self, *, values: int) -> list[str]:
        """What is wrong after a rotation has ended."""
        self.cache.finish()
        with self.points.nobody_watches():
            found = self.moments + store_problems(self.store, self.name, values=values)
        found += [] if self.cache.works(self.password(AWSCURRENT)) else [NO_LOGIN]
        if self.cache.passwords != (self.password(AWSPREVIOUS), self.password(AWSCURRENT)):
            found.append("the user has other passwords than those of AWSPREVIOUS and AWSCURRENT")
        return found


def door(world: World) -> Mapping[str, Callable[..., Any]]:
    """The functions of the door to ElastiCache, without the door, and with points around them."""

    def asked(action: str, answer: Callable[[], Any]) -> Any:
        with world.points.around(action):
            try:
                return answer()
            except Refused as error:
                raise AwsError("refused", operation=f"elasticache:{action}", code=str(error)) from None

    def user() -> CacheUser:
        return CacheUser(ARN, USER_NAME, world.cache.look()["Status"], "password")

    def describe(aws: Aws, user_id: str) -> Any:
        return asked("DescribeUsers", user)

    def modify(aws: Aws, user_id: str, passwords: tuple[str, ...]) -> Any:
        return asked("ModifyUser", lambda: world.cache.modify(passwords))

    def tag_of(aws: Aws, user: CacheUser, name: str) -> Any:
        return asked("ListTagsForResource", lambda: world.cache.tags.get(name, ""))

    def tag(aws: Aws, user: CacheUser, name: str, value: str) -> Any:
        return asked("AddTagsToResource", lambda: world.cache.tags.update({name: value}))

    return {
        "cache_user": describe,
        "set_cache_passwords": modify,
        "cache_user_tag": tag_of,
        "tag_cache_user": tag,
    }


RotateTo = Callable[[int, int], bool]
"""Rotates to the version of this number, tried so often; whether that succeeded."""


def by_function(service: StoppingService, world: World) -> RotateTo:
    """As Secrets Manager calls a function."""
    clock = service.fake.clock
    target = ElastiCacheUser(USER_ID)
    handler = rotation_handler(target, store=world.store, timeout_s=120, clock=clock, sleep=clock.advance)

    def rotated(number: int, attempts: int) -> bool:
        clock.advance(60)
        return service.fake.rotate(world.name, handler, token=token(number), attempts=attempts).succeeded

    return rotated


def in_process(world: World) -> RotateTo:
    """Without a function, and repeated until it succeeds."""
    clock, stops, target = FakeClock(), Stops(), ElastiCacheUser(USER_ID)
    stops.points = world.points
    watched = stopping_store(world.store, stops)

    def rotated(number: int, _: int) -> bool:
        repeated(lambda: rotate(watched, world.name, target, token=token(number), clock=clock, sleep=clock.advance))
        return True

    return rotated


def twice(world: World, rotated: RotateTo) -> list[str]:
    """Two rotations, each repeated up to three times."""
    found = []
    for number in (2, 3):
        found += world.problems(values=number) if rotated(number, 4) else ["failed"]
    return found


def given_up(world: World, rotated: RotateTo) -> list[str]:
    """A rotation that is given up where it dies, and another one, which may die too and is repeated."""
    if not rotated(2, 1):
        give_up(world)
    stored = world.values()
    return world.problems(values=stored + 1) if rotated(3, 4) else ["failed"]


def give_up(world: World) -> None:
    """What an operator does."""
    assert isinstance(world.store, SecretsManagerStore)
    with world.points.nobody_watches():
        world.store.cancel_rotation(world.name)
        pending = world.store.describe(world.name).labels.holder(AWSPENDING)
        if pending is not None:
            world.store.move_stage(world.name, StageMove(AWSPENDING, None, pending))


def watched_world(store: SecretStore, number: int, points: CrashPoints, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(store, f"prod/{number}", points)
    for function, answer in door(world).items():
        monkeypatch.setattr(elasticache_user, function, answer)
    return world


@pytest.mark.parametrize("ending", [twice, given_up])
def test_a_rotation_that_dies_anywhere_ends_well(
    ending: Callable[[World, RotateTo], list[str]], monkeypatch: pytest.MonkeyPatch, record_property: Recorder
) -> None:
    def run(points: CrashPoints) -> list[str]:
        service = StoppingService(points, cleans_up_pending=True)
        store = SecretsManagerStore(client_for_region=service.client_for_region, region="eu-west-1")
        world = watched_world(store, 1, points, monkeypatch)
        return ending(world, by_function(service, world))

    outcome = rehearse(run, rotations=2, seconds=2, sample=SAMPLE)
    record_property(POINTS, f"ElastiCache user, {ending.__name__}: {outcome}")
    assert outcome.points >= 80
    assert not outcome.bad


def test_a_rotation_in_a_local_store_that_dies_anywhere_ends_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Recorder
) -> None:
    store, numbers = store_of(LOCAL, tmp_path), count(1)

    def run(points: CrashPoints) -> list[str]:
        world = watched_world(store, next(numbers), points, monkeypatch)
        return twice(world, in_process(world))

    outcome = rehearse(run, rotations=2, sample=3 * SAMPLE)
    record_property(POINTS, f"ElastiCache user, {LOCAL}: {outcome}")
    assert outcome.points >= 80
    assert not outcome.bad
