"""Users of ElastiCache by API: two passwords, changes that take minutes, and failures that are told apart."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from envelope import Aws
from envelope.aws import cache_users
from envelope.aws.cache_users import CacheUser
from envelope.aws.password_redaction import redact_passwords
from envelope.errors import AwsAccessDenied, AwsError, AwsUnavailable, EnvelopeError, InvalidArgument
from envelope.testing import FakeClock
from envelope_secrets.password import PasswordPolicy
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.rotation.elasticache_user import ElastiCacheUser
from envelope_secrets.rotation.failures import LoginRefused, OutOfTime, PasswordRefused, RotationRefused, TargetError
from envelope_secrets.rotation.in_process import rotate
from envelope_secrets.rotation.redis import Redis
from envelope_secrets.rotation.rotator import Rotation
from envelope_secrets.stores.local import LocalSecretStore
from envelope_secrets.stores.protocol import NewVersion
from envelope_secrets.value import Secret
from envelope_secrets.writing import new_secret
from tests.elasticache_for_tests import ARN, USER_ID, USER_NAME, FakeElastiCache
from tests.local_secrets_for_tests import local_store
from tests.query_api_for_tests import serving
from tests.servers.redis import RunningRedis

pytest_plugins = ["tests.servers.fixtures"]

NAME = "prod/cache"
T1, T2, T3 = (f"{number:032d}" for number in (1, 2, 3))
FIRST = {"username": USER_NAME, "password": "the first password", "user_arn": ARN, "team": "payments"}


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[FakeElastiCache, Aws]]:
    fake = FakeElastiCache()
    with serving(fake) as aws:
        yield fake, aws


@pytest.fixture
def cache(server: tuple[FakeElastiCache, Aws]) -> FakeElastiCache:
    FakeElastiCache.__init__(server[0])
    return server[0]


@pytest.fixture
def target(server: tuple[FakeElastiCache, Aws], cache: FakeElastiCache) -> ElastiCacheUser:
    return ElastiCacheUser(USER_ID, aws=server[1])


@pytest.fixture
def store(tmp_path: Path) -> LocalSecretStore:
    made = local_store(tmp_path / "secrets.db")
    made.create(new_secret(NAME, FIRST, token=T1))
    return made


def rotated(store: LocalSecretStore, target: ElastiCacheUser, *, token: str | None = None, left_s: float = 300) -> None:
    clock = FakeClock()
    rotate(store, NAME, target, token=token, timeout_s=left_s, clock=clock.now, sleep=clock.advance)


def password(store: LocalSecretStore, stage: str = "AWSCURRENT") -> str:
    return str(store.read(NAME, stage=stage).json["password"])


def rotation_of(store: LocalSecretStore, *, left_s: float = 60, token: str = T2, **options: Any) -> Rotation:
    clock = FakeClock()
    deadline = Deadline(left_s, clock=clock.now, sleep=clock.advance)
    return Rotation(store.describe(NAME).arn, token, store, deadline, store.read(NAME), **options)


def pending_of(value: object, token: str = T2) -> Secret:
    text = value if isinstance(value, str) else json.dumps(value)
    return Secret(text, name=NAME, arn="arn", version_id=token, stages=("AWSPENDING",))


def put_pending(store: LocalSecretStore, value: object) -> Secret:
    """What createSecret does."""
    store.put(NAME, NewVersion(json.dumps(value), token=T2, stages=("AWSPENDING",)))
    return pending_of(value)


SECOND = {**FIRST, "password": "the second password"}


def test_the_old_password_works_until_the_next_rotation(
    cache: FakeElastiCache, target: ElastiCacheUser, store: LocalSecretStore
) -> None:
    for _ in range(3):
        rotated(store, target)
        assert cache.passwords == (password(store, "AWSPREVIOUS"), password(store))
    assert cache.changes == 3
    assert store.read(NAME).json["team"] == "payments"


def test_a_default_password_is_one_that_the_service_and_urls_take(
    cache: FakeElastiCache, target: ElastiCacheUser, store: LocalSecretStore
) -> None:
    rotated(store, target)
    assert len(password(store)) == 40
    assert all(character.isalnum() or character in "!$-" for character in password(store))


def test_a_first_value_is_made_by_the_rotation(cache: FakeElastiCache, target: ElastiCacheUser, tmp_path: Path) -> None:
    store = local_store(tmp_path / "others.db")
    store.create(new_secret(NAME, None))
    rotated(store, target)
    assert {name: store.read(NAME).json[name] for name in ("username", "user_arn")} == {
        "username": USER_NAME,
        "user_arn": ARN,
    }
    assert cache.passwords == (password(store),)


# --- changes that take long -----------------------------------------------------------------------------------------


def test_e11_setsecret_begins_the_change_and_testsecret_waits_for_it(
    cache: FakeElastiCache, target: ElastiCacheUser, store: LocalSecretStore
) -> None:
    cache.takes = 4
    target.apply(rotation_of(store), put_pending(store, SECOND))
    assert cache.modifying == 4
    rotation = rotation_of(store)
    target.verify(rotation, pending_of(SECOND))
    assert rotation.deadline.left_s == 60 - 1 - 4 * 5
    assert cache.passwords == ("the first password", "the second password")


def test_e11_a_change_that_outlasts_the_function_is_awaited_by_the_next_try_and_not_begun_again(
    cache: FakeElastiCache, target: ElastiCacheUser, store: LocalSecretStore
) -> None:
    cache.takes = 20
    for _ in range(2):
        with pytest.raises(OutOfTime, match="a change of the user is under way") as caught:
            rotated(store, target, token=T2, left_s=30)
        assert caught.value.can_retry
        assert "longer timeout" in caught.value.hint
    rotated(store, target, left_s=300)
    assert cache.changes == 1
    assert cache.works(password(store))


def test_a_change_that_somebody_else_has_begun_is_awaited(
    cache: FakeElastiCache, target: ElastiCacheUser, store: LocalSecretStore
) -> None:
    cache.takes = 3
    cache.modify(["the first password"])
    rotated(store, target)
    assert cache.passwords == ("the first password", password(store))


def test_a_change_that_somebody_begins_at_the_same_moment_is_awaited_too(
    cache: FakeElastiCache, target: ElastiCacheUser, store: LocalSecretStore
) -> None:
    cache.failures = {"ModifyUser": "InvalidUserState"}
    rotated(store, target)
    assert cache.calls.count("ModifyUser") == 2
    assert cache.works(password(store))


def test_e13_a_change_is_not_begun_without_the_time_to_note_it(
    cache: FakeElastiCache, target: ElastiCacheUser, store: LocalSecretStore
) -> None:
    pending = put_pending(store, SECOND)
    with pytest.raises(OutOfTime, match="changing the passwords of a user may take 10 s"):
        target.apply(rotation_of(store, left_s=8), pending)
    assert cache.changes == 0
    with pytest.raises(OutOfTime):
        target.apply(rotation_of(store, left_s=0.5), pending_of(SECOND))


def test_l14_testsecret_alone_changes_nothing(
    cache: FakeElastiCache, target: ElastiCacheUser, store: LocalSecretStore
) -> None:
    target.verify(rotation_of(store), pending_of(FIRST))
    assert cache.calls == ["DescribeUsers"]


def test_a_pending_copy_of_the_current_password_is_sent_once(
    cache: FakeElastiCache, target: ElastiCacheUser, store: LocalSecretStore
) -> None:
    target.apply(rotation_of(store), put_pending(store, FIRST))
    cache.finish()
    assert cache.passwords == ("the first password",)


def test_a_rotation_that_another_has_overtaken_changes_nothing(
    cache: FakeElastiCache, target: ElastiCacheUser, store: LocalSecretStore
) -> None:
    overtaken = rotation_of(store)
    pending = put_pending(store, SECOND)
    rotated(store, target, token=T2)
    before = cache.changes
    cache.tags.clear()
    target.apply(overtaken, pending)  # somebody has finished this very rotation
    rotated(store, target, token=T3)
    with pytest.raises(RotationRefused):
        target.apply(overtaken, pending)
    assert cache.changes == before + 1


# --- whose password it is -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [{"username": "admin"}, {"user_arn": f"{ARN}2"}])
def test_a_pending_version_for_another_user_is_refused_before_anything_is_asked(
    cache: FakeElastiCache, target: ElastiCacheUser, store: LocalSecretStore, change: dict[str, str]
) -> None:
    with pytest.raises(RotationRefused, match="names another user than the current version"):
        target.apply(rotation_of(store), pending_of({**SECOND, **change}))
    assert cache.calls == []


@pytest.mark.parametrize("change", [{"username": "admin"}, {"user_arn": f"{ARN}2"}])
def test_a_secret_of_another_user_than_the_configured_one_is_refused(
    cache: FakeElastiCache, target: ElastiCacheUser, store: LocalSecretStore, change: dict[str, str]
) -> None:
    store.put(NAME, NewVersion(json.dumps({**FIRST, **change}), T3, ("AWSCURRENT",)))
    with pytest.raises(RotationRefused, match=f"is for another user than {USER_ID}"):
        rotated(store, target)
    assert cache.changes == 0


@pytest.mark.parametrize("authentication", ["iam", "no-password"])
def test_a_user_without_a_password_is_not_given_one(
    cache: FakeElastiCache, target: ElastiCacheUser, store: LocalSecretStore, authentication: str
) -> None:
    cache.authentication = authentication
    with pytest.raises(RotationRefused, match="does not log in by a password"):
        rotated(store, target)
    assert cache.changes == 0


@pytest.mark.parametrize(
    "value", ["no JSON", {"username": USER_NAME}, {**FIRST, "password": 7}, {**FIRST, "username": ""}]
)
def test_l4_a_malformed_version_is_refused_without_its_value(
    cache: FakeElastiCache, target: ElastiCacheUser, store: LocalSecretStore, value: object
) -> None:
    with pytest.raises(RotationRefused, match="no JSON object with the texts username and password") as caught:
        target.apply(rotation_of(store), pending_of(value))
    assert "first password" not in f"{caught.value} {caught.value.hint}"
    assert cache.calls == []


# --- failures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "code", "kind", "said"),
    [
        ("DescribeUsers", "AccessDenied", AwsAccessDenied, "elasticache:DescribeUsers"),
        ("ModifyUser", "AccessDenied", AwsAccessDenied, "elasticache:ModifyUser"),
        ("AddTagsToResource", "AccessDenied", AwsAccessDenied, "elasticache:AddTagsToResource"),
        ("ListTagsForResource", "Throttling", AwsUnavailable, "elasticache:ListTagsForResource"),
        ("ModifyUser", "InvalidParameterValue", PasswordRefused, "does not take the passwords"),
        ("ModifyUser", "InvalidParameterCombination", PasswordRefused, "does not take the passwords"),
        ("ModifyUser", "ServiceLinkedRoleNotFoundFault", AwsError, "elasticache:ModifyUser"),
        ("DescribeUsers", "UserNotFound", TargetError, "no user with this id"),
    ],
)
def test_failures_of_the_service_are_told_apart_and_quote_no_password(
    cache: FakeElastiCache,
    target: ElastiCacheUser,
    store: LocalSecretStore,
    action: str,
    code: str,
    kind: type[EnvelopeError],
    said: str,
) -> None:
    cache.failures = {action: code}
    with pytest.raises(kind, match=said) as caught:
        rotated(store, target)
    seen: BaseException | None = caught.value
    while seen is not None:
        assert password(store, "AWSPENDING") not in f"{seen!r} {seen} {getattr(seen, 'hint', '')}"
        assert "first password" not in f"{seen!r} {seen}"
        seen = seen.__cause__ or seen.__context__
    rotated(store, target)
    assert cache.works(password(store))


def test_a_user_that_is_being_deleted_is_not_waited_for(
    cache: FakeElastiCache, target: ElastiCacheUser, store: LocalSecretStore
) -> None:
    cache.status = "deleting"
    with pytest.raises(TargetError, match="neither active nor being changed"):
        rotated(store, target)
    assert cache.calls == ["DescribeUsers", "ListTagsForResource"]


def test_e10_a_password_that_is_too_short_for_the_service_is_never_stored(
    cache: FakeElastiCache, target: ElastiCacheUser, store: LocalSecretStore
) -> None:
    with pytest.raises(InvalidArgument, match="a length of 16 to 128 for ElastiCache, not 12"):
        target.new_value(rotation_of(store, password_policy=PasswordPolicy(length=12)))
    value = target.new_value(rotation_of(store, password_policy=PasswordPolicy(length=16, punctuation=False)))
    assert isinstance(value, dict)
    assert len(value["password"]) == 16


def test_e17_no_log_shows_a_password(
    cache: FakeElastiCache, target: ElastiCacheUser, store: LocalSecretStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    rotated(store, target)
    assert "ModifyUser" in caplog.text
    for shown in (password(store), "first password", "first+password", "first%20password"):
        assert shown not in caplog.text


def test_passwords_are_redacted_wherever_they_are_in_what_botocore_logs(caplog: pytest.LogCaptureFixture) -> None:
    redact_passwords()
    redact_passwords()
    caplog.set_level("DEBUG")
    log = logging.getLogger("botocore.endpoint")
    log.debug("%s %s", {"body": {"Passwords.member.1": "canary", "UserId": "app", 7: "x"}}, "text")
    log.debug("%(Passwords)s", {"Passwords": "as one argument"})
    assert caplog.messages[0] == "{'body': {'Passwords.member.1': '<redacted>', 'UserId': 'app', 7: 'x'}} text"


class Strange:
    """A client whose answers are not those of ElastiCache."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def client(self, service: str, region: str | None = None) -> Any:
        return self

    def __getattr__(self, name: str) -> Any:
        return lambda **arguments: self.answer


@pytest.mark.parametrize(
    "answer",
    [
        None,
        {},
        {"Users": []},
        {"Users": ["user"]},
        {"Users": [{"UserId": USER_ID}, {"UserId": USER_ID}]},
        {"Users": [{"UserId": "another-user"}]},
        {"Users": [{"UserId": USER_ID, "ARN": ARN, "UserName": "app", "Status": ""}]},
        {"Users": [{"UserId": USER_ID, "ARN": ARN, "UserName": "app", "Status": "active"}]},
    ],
)
def test_an_answer_that_is_not_of_elasticache_is_an_error(answer: Any) -> None:
    strange: Any = Strange(answer)
    with pytest.raises(AwsError, match="the answer is not one of ElastiCache"):
        cache_users.cache_user(strange, USER_ID)


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ({}, ""),
        ({"TagList": [{"Key": "other", "Value": "x"}]}, ""),
        ({"TagList": [{"Key": "name"}]}, ""),
        ({"TagList": [{"Key": "other", "Value": "x"}, {"Key": "name", "Value": "y"}]}, "y"),
    ],
)
def test_a_tag_is_read_among_others(answer: Any, value: str) -> None:
    strange: Any = Strange(answer)
    assert cache_users.cache_user_tag(strange, CacheUser(ARN, "app", "active", "password"), "name") == value


# --- the login ------------------------------------------------------------------------------------------------------


def logging_in(target: ElastiCacheUser, redis: RunningRedis, **options: Any) -> ElastiCacheUser:
    reached = {"endpoint": "localhost", "port": redis.tls.port, **options}
    return ElastiCacheUser(USER_ID, aws=target.aws, redis=Redis(ca_file=redis.tls.ca_file), **reached)


@pytest.fixture
def redis_user(redis_server: RunningRedis) -> RunningRedis:
    server = redis_server.tls
    from redis import Redis as Driver

    with Driver("localhost", server.port, password=server.password, ssl=True, ssl_ca_certs=server.ca_file) as admin:
        rules = {"passwords": ["+the first password", "+the second password"], "commands": ["+@all"]}
        admin.acl_setuser(USER_NAME, enabled=True, reset=True, **rules)
    return redis_server


def test_testsecret_logs_in_with_tls_where_it_can(
    target: ElastiCacheUser, store: LocalSecretStore, redis_user: RunningRedis
) -> None:
    logging_in(target, redis_user).verify(rotation_of(store), pending_of(SECOND))


def test_a_password_that_does_not_log_in_is_tried_for_a_while_and_refused(
    target: ElastiCacheUser, store: LocalSecretStore, redis_user: RunningRedis
) -> None:
    rotation = rotation_of(store)
    with pytest.raises(LoginRefused, match="does not accept this user and password"):
        logging_in(target, redis_user).verify(rotation, pending_of({**FIRST, "password": "never set, not at all"}))
    assert rotation.deadline.left_s == 60 - 1 - 10


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"user_id": ""}, "user_id must be the id of an ElastiCache user"),
        ({"user_id": "app_user"}, "user_id must be the id of an ElastiCache user"),
        ({"user_id": 7}, "user_id must be the id of an ElastiCache user"),
        ({"aws": "eu-west-1"}, "aws must be of the type Aws, not str"),
        ({"redis": None}, "redis must be of the type Redis, not NoneType"),
        ({"password_policy": 12}, "password_policy must be of the type PasswordPolicy, not int"),
        ({"password_policy": PasswordPolicy(length=129)}, "password_policy must have a length of 16 to 128"),
        ({"endpoint": ""}, "endpoint must be the name of a host"),
        ({"endpoint": 7}, "endpoint must be the name of a host"),
        ({"port": 0}, "port must be"),
    ],
)
def test_options_are_checked(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        ElastiCacheUser(**{"user_id": USER_ID, **options})
    assert str(caught.value).startswith(said)
