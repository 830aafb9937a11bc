"""A rotation of an ElastiCache user that dies at any call, of Secrets Manager or of ElastiCache, ends well."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from envelope import Aws
from envelope.aws.cache_users import CacheUser
from envelope.errors import AwsError
from envelope_secrets.rotation import elasticache_user
from envelope_secrets.rotation.elasticache_user import ElastiCacheUser
from envelope_secrets.rotation.handler import rotation_handler
from envelope_secrets.stages import AWSCURRENT, AWSPENDING, AWSPREVIOUS, StagingLabels
from envelope_secrets.stores.secrets_manager import SecretsManagerStore
from tests.crash_points import CrashPoints, StoppingService, points_to_die_at
from tests.elasticache_for_tests import ARN, USER_ID, USER_NAME, FakeElastiCache
from tests.fake_secrets_for_tests import token
from tests.query_api_for_tests import Refused
from tests.thoroughness import POINTS, Recorder

CHANGE_TAKES = 3
CHANGED = ("after UpdateSecretVersionStage", "after PutSecretValue", "after ModifyUser", "after DescribeUsers")


class World:
    """A secret, the service that has it, the user, and points at each call of both services."""

    def __init__(self, service: StoppingService, name: str, points: CrashPoints) -> None:
        self.service, self.name, self.points = service, name, points
        service.points = points
        self.cache = FakeElastiCache()
        self.cache.takes = CHANGE_TAKES
        self.client: Any = service.fake.client()
        first = {"username": USER_NAME, "password": "the first password"}
        self.client.create_secret(Name=name, SecretString=json.dumps(first), ClientRequestToken=token(1))
        self.handler = rotation_handler(
            ElastiCacheUser(USER_ID),
            store=SecretsManagerStore(client_for_region=service.client_for_region, region="eu-west-1"),
            timeout_s=120,
            clock=service.fake.clock,
            sleep=service.fake.clock.advance,
        )
        points.at_each = self.check

    def check(self) -> None:
        if self.points.passed[-1] in CHANGED:
            assert self.works(AWSCURRENT), f"nobody can log in {self.points.passed[-1]}"

    def works(self, stage: str) -> bool:
        return self.cache.works(self.password(stage))

    def password(self, stage: str) -> str:
        value = json.loads(self.client.get_secret_value(SecretId=self.name, VersionStage=stage)["SecretString"])
        return str(value["password"])

    @property
    def labels(self) -> StagingLabels:
        return StagingLabels.of(self.client.describe_secret(SecretId=self.name)["VersionIdsToStages"])

    def rotate(self, number: int, *, attempts: int) -> list[str]:
        """What is wrong after a rotation that is tried so often."""
        self.service.fake.clock.advance(60)
        run = self.service.fake.rotate(self.name, self.handler, token=token(number), attempts=attempts)
        return self.problems() if run.succeeded else [f"failed: {[step.error for step in run.steps if step.error]}"]

    def problems(self) -> list[str]:
        found = list(self.labels.problems())
        self.cache.finish()
        if self.cache.passwords != (self.password(AWSPREVIOUS), self.password(AWSCURRENT)):
            found.append("the user has other passwords than those of AWSPREVIOUS and AWSCURRENT")
        listed = self.client.list_secret_version_ids(SecretId=self.name, IncludeDeprecated=True)["Versions"]
        if self.labels.holder(AWSPENDING) not in (None, self.labels.holder(AWSCURRENT)):
            found.append("AWSPENDING is stuck")
        return found + ([] if len(listed) <= 3 else ["a second pending value"])

    def give_up(self) -> None:
        self.service.fake.start_again()
        self.client.cancel_rotate_secret(SecretId=self.name)
        pending = self.labels.holder(AWSPENDING)
        if pending is not None:
            self.client.update_secret_version_stage(
                SecretId=self.name, VersionStage=AWSPENDING, RemoveFromVersionId=pending
            )


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


def repeated(world: World) -> list[str]:
    """Two rotations, each repeated up to three times."""
    return world.rotate(2, attempts=4) or world.rotate(3, attempts=4)


def given_up(world: World) -> list[str]:
    """A rotation that is given up where it dies, and another one."""
    if world.rotate(2, attempts=1):
        world.give_up()
    return world.rotate(3, attempts=4)


@pytest.mark.parametrize("ending", [repeated, given_up])
def test_a_rotation_that_dies_anywhere_ends_well(
    ending: Callable[[World], list[str]], monkeypatch: pytest.MonkeyPatch, record_property: Recorder
) -> None:
    service = StoppingService(cleans_up_pending=True)

    def world_with(points: CrashPoints, name: str) -> World:
        world = World(service, name, points)
        for function, answer in door(world).items():
            monkeypatch.setattr(elasticache_user, function, answer)
        return world

    points = CrashPoints()
    assert not ending(world_with(points, "prod/rehearsal"))
    bad = {}
    for dies_at in points_to_die_at(len(points.passed)):
        dying = CrashPoints(dies_at)
        problems = ending(world_with(dying, f"prod/{dies_at}"))
        assert dying.died
        if problems:
            bad[f"{dies_at}, {dying.passed[dies_at]}"] = problems
    tried = len(points_to_die_at(len(points.passed)))
    record_property(
        POINTS,
        f"ElastiCache user, {ending.__name__}: {len(points.passed)} points, {tried} tried, {len(bad)} bad ends",
    )
    assert len(points.passed) >= 80
    assert not bad
