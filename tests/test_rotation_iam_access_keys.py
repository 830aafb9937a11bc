"""Access keys of an IAM user: two in turn, though they have no names, lists are late and a third is never allowed."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from envelope import Aws
from envelope.aws import access_keys
from envelope.aws.access_key_redaction import redact_access_keys
from envelope.aws.caller import CallerIdentity
from envelope.errors import AwsAccessDenied, AwsError, AwsMisconfigured, EnvelopeError, InvalidArgument
from envelope.testing import FakeClock
from envelope_secrets.rotation import iam_access_key
from envelope_secrets.rotation.deadline import Deadline
from envelope_secrets.rotation.failures import LoginRefused, OutOfTime, RotationRefused
from envelope_secrets.rotation.iam_access_key import IamAccessKey
from envelope_secrets.rotation.in_process import rotate
from envelope_secrets.rotation.rotator import Rotation
from envelope_secrets.stages import StageMove
from envelope_secrets.stores.local import LocalSecretStore
from envelope_secrets.stores.protocol import NewVersion, SecretStore
from envelope_secrets.value import Secret
from envelope_secrets.writing import new_secret
from tests.bad_ends import NO_LOGIN, problems_of_keys
from tests.crash_points import CrashPoints, rehearse
from tests.iam_for_tests import ADMIN, USER, FakeIam, serving
from tests.local_secrets_for_tests import local_store
from tests.rotation_stops import LOCAL, SAMPLES, STORES, Stops, repeated, stopping_store, store_of, store_problems
from tests.thoroughness import POINTS, Recorder

NAME = "prod/iam"
T1, T2, T3, T4 = (f"{number:032d}" for number in (1, 2, 3, 4))
EACH = {LOCAL: 2}
"""How many points a kind of store takes the next of; all, if it is not here."""


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[FakeIam, Aws]]:
    fake = FakeIam()
    with serving(fake) as aws:
        yield fake, aws


@pytest.fixture
def iam(server: tuple[FakeIam, Aws]) -> FakeIam:
    FakeIam.__init__(server[0])
    return server[0]


@pytest.fixture
def aws(server: tuple[FakeIam, Aws]) -> Aws:
    return server[1]


@pytest.fixture
def store(tmp_path: Path) -> LocalSecretStore:
    return local_store(tmp_path / "secrets.db")


def with_secret(store: SecretStore, iam: FakeIam, name: str = NAME) -> str:
    """A secret with a key that somebody made by hand."""
    key_id = iam.make()
    value = {"AccessKeyId": key_id, "SecretAccessKey": iam.keys[key_id], "UserName": USER}
    store.create(new_secret(name, value, token=T1))
    return key_id


def works(iam: FakeIam, store: SecretStore, name: str = NAME, stage: str = "AWSCURRENT") -> bool:
    value = store.read(name, stage=stage).json
    return iam.works(value["AccessKeyId"], value["SecretAccessKey"])


def rotation_of(store: SecretStore, token: str = T2, *, clock: FakeClock | None = None) -> Rotation:
    clock = FakeClock() if clock is None else clock
    deadline = Deadline(60.0, clock=clock.now, sleep=clock.advance)
    return Rotation(store.describe(NAME).arn, token, store, deadline, store.read(NAME))


def pending_of(value: Any, token: str = T2) -> Secret:
    return Secret(json.dumps(value), name=NAME, arn="arn", version_id=token, stages=("AWSPENDING",))


def test_two_keys_take_turns(iam: FakeIam, aws: Aws, store: LocalSecretStore) -> None:
    with_secret(store, iam)
    for _ in range(3):
        rotate(store, NAME, IamAccessKey(USER, aws=aws))
        assert works(iam, store)
        assert works(iam, store, stage="AWSPREVIOUS")
        assert len(iam.keys) == 2
        assert iam.tags == {"envelope-rotation": ""}
    assert store.read(NAME).json["UserName"] == USER


def test_the_fields_have_other_names(iam: FakeIam, aws: Aws, store: LocalSecretStore) -> None:
    store.create(new_secret(NAME, None))
    target = IamAccessKey(USER, aws=aws, id_field="aws_access_key_id", secret_field="aws_secret_access_key")
    rotate(store, NAME, target)
    assert dict(store.read(NAME).json) == {
        "aws_access_key_id": "AKIAUSER000000000001",
        "aws_secret_access_key": "secret+part/1",
    }


def test_it_says_once_that_a_role_is_better(
    iam: FakeIam, aws: Aws, store: LocalSecretStore, caplog: pytest.LogCaptureFixture
) -> None:
    with_secret(store, iam)
    target = IamAccessKey(USER, aws=aws)
    rotate(store, NAME, target)
    rotate(store, NAME, target)
    assert caplog.text.count("a role, whose credentials end by themselves, is better") == 1


def test_no_log_shows_a_key(iam: FakeIam, aws: Aws, store: LocalSecretStore, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    with_secret(store, iam)
    rotate(store, NAME, IamAccessKey(USER, aws=aws))
    assert "AKIAUSER" in caplog.text
    assert "secret+part" not in caplog.text
    assert "secret%2Bpart" not in caplog.text


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (("<SecretAccessKey>canary</SecretAccessKey>",), "<SecretAccessKey><redacted></SecretAccessKey>"),
        ((b"<SecretAccessKey>cana",), "b'<SecretAccessKey><redacted>'"),
        ((7,), "7"),
        (({"name": "value"},), "{'name': 'value'}"),
    ],
)
def test_a_secret_part_is_redacted_in_text_and_bytes_also_where_it_was_cut(
    given: tuple[Any, ...], shown: str, caplog: pytest.LogCaptureFixture
) -> None:
    redact_access_keys()
    redact_access_keys()
    caplog.set_level("DEBUG")
    logging.getLogger("botocore.parsers").debug("%s", *given)
    assert caplog.messages == [shown]


# --- interrupted, late, in the way ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize("late", [0, 1], ids=["lists are exact", "lists are late"])
def test_a_rotation_that_dies_at_any_call_leaves_a_working_key_and_no_leak(
    iam: FakeIam,
    aws: Aws,
    tmp_path: Path,
    kind: str,
    late: int,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Recorder,
) -> None:
    store, stops, numbers = store_of(kind, tmp_path), Stops(), count(1)
    for function, answered in answers_of(iam).items():
        monkeypatch.setattr(iam_access_key, function, stops.around(answered, function))
    target, watched = IamAccessKey(USER, aws=aws), stopping_store(store, stops)

    def run(points: CrashPoints) -> list[str]:
        FakeIam.__init__(iam)
        name, found = f"prod/{next(numbers)}", []
        with_secret(store, iam, name)
        rotate(store, name, target, token=T2)

        def look() -> None:
            found.extend([] if works(iam, store, name) else [NO_LOGIN])
            iam.unlisted = late

        stops.points = points
        recovered(partial(repeated, partial(rotate, watched, name, target, token=T3), look))
        stops.points = CrashPoints()
        look()
        found.extend(store_problems(store, name, values=3))
        recovered(partial(rotate, store, name, target, token=T4))
        held = {store.read(name, stage=stage).json["AccessKeyId"] for stage in ("AWSCURRENT", "AWSPREVIOUS")}
        return found + problems_of_keys(held, iam.keys.keys())

    outcome = rehearse(run, each=EACH.get(kind), sample=SAMPLES[kind])
    record_property(POINTS, f"IAM access key, lists are {'late' if late else 'exact'}, {kind}: {outcome}")
    assert outcome.points >= 70
    assert not outcome.bad


def answers_of(iam: FakeIam) -> dict[str, Callable[..., Any]]:
    """The functions of the door to IAM, without the door: it takes too long for some thousand calls."""

    def make_key(aws: Aws, user: str) -> access_keys.AccessKey:
        if len(iam.keys) >= 2:
            raise AwsError("no third key", operation="iam:CreateAccessKey", code="LimitExceeded")
        key_id = iam.make()
        return access_keys.AccessKey(key_id, iam.keys[key_id])

    def caller_with_key(aws: Aws, key: access_keys.AccessKey) -> CallerIdentity:
        assert iam.works(key.key_id, key.secret)
        return CallerIdentity("111122223333", f"arn:aws:iam::111122223333:user/{USER}", None)

    return {
        "list_keys": lambda aws, user: tuple(iam.listed()),
        "make_key": make_key,
        "delete_key": lambda aws, user, key_id: iam.keys.pop(key_id, None),
        "tag_of": lambda aws, user, name: iam.tags.get(name, ""),
        "set_tag": lambda aws, user, name, value: iam.tags.update({name: value}),
        "caller_with_key": caller_with_key,
    }


def recovered(run: Callable[[], object]) -> None:
    """Repeat what a late list refuses, which it does once after each death."""
    for _ in range(4):
        with contextlib.suppress(EnvelopeError):
            run()
            return
    run()


def test_a_key_of_an_interrupted_call_that_was_listed_late_is_still_known_as_such(
    iam: FakeIam, aws: Aws, store: LocalSecretStore
) -> None:
    with_secret(store, iam)
    target = IamAccessKey(USER, aws=aws)
    target.new_value(rotation_of(store))  # its answer is lost
    iam.unlisted = 1
    with pytest.raises(AwsError, match="the user has as many access keys as it can have") as caught:
        target.new_value(rotation_of(store))
    assert caught.value.code == "LimitExceeded"
    value = target.new_value(rotation_of(store))
    assert isinstance(value, dict)
    assert [*iam.keys] == ["AKIAUSER000000000001", value["AccessKeyId"]]


def test_a_key_that_an_operator_promoted_in_the_midst_of_a_rotation_is_not_deleted(
    iam: FakeIam, aws: Aws, store: LocalSecretStore
) -> None:
    first = with_secret(store, iam)
    target = IamAccessKey(USER, aws=aws)
    value = target.new_value(rotation_of(store))
    store.put(NAME, NewVersion(json.dumps(value), T2, ("AWSPENDING",)))
    store.move_stage(NAME, StageMove("AWSCURRENT", T2, T1))
    store.move_stage(NAME, StageMove("AWSPENDING", None, T2))
    rotate(store, NAME, target, token=T3)
    assert works(iam, store)
    assert works(iam, store, stage="AWSPREVIOUS")
    assert first not in iam.keys


def test_an_older_key_that_was_made_inactive_to_see_who_uses_it_is_deleted_like_others(
    iam: FakeIam, aws: Aws, store: LocalSecretStore
) -> None:
    older = with_secret(store, iam)
    target = IamAccessKey(USER, aws=aws)
    rotate(store, NAME, target)
    iam.inactive = {older}
    rotate(store, NAME, target)
    assert older not in iam.keys
    assert works(iam, store)
    assert works(iam, store, stage="AWSPREVIOUS")


def test_a_current_key_that_was_made_inactive_is_replaced(iam: FakeIam, aws: Aws, store: LocalSecretStore) -> None:
    iam.inactive = {with_secret(store, iam)}
    assert not works(iam, store)
    rotate(store, NAME, IamAccessKey(USER, aws=aws))
    assert works(iam, store)


def test_a_new_key_that_was_made_inactive_at_once_is_not_promoted(
    iam: FakeIam, aws: Aws, store: LocalSecretStore
) -> None:
    first = with_secret(store, iam)
    target = IamAccessKey(USER, aws=aws, propagation_s=0.01)
    value = target.new_value(rotation_of(store))
    iam.inactive = {*iam.keys} - {first}
    with pytest.raises(LoginRefused, match="AWS does not know the access key"):
        target.verify(rotation_of(store), pending_of(value))


def test_a_key_that_somebody_made_by_hand_between_two_rotations_is_not_deleted(
    iam: FakeIam, aws: Aws, store: LocalSecretStore
) -> None:
    with_secret(store, iam)
    theirs = iam.make()
    with pytest.raises(RotationRefused, match="there are 2 keys, and 2 are allowed"):
        rotate(store, NAME, IamAccessKey(USER, aws=aws))
    assert theirs in iam.keys
    assert works(iam, store)


def test_a_key_that_aws_does_not_know_yet_is_tried_again(iam: FakeIam, aws: Aws, store: LocalSecretStore) -> None:
    with_secret(store, iam)
    iam.unknown = 2
    clock = FakeClock()
    before_s = clock.now()
    IamAccessKey(USER, aws=aws).verify(rotation_of(store, clock=clock), pending_of(dict(store.read(NAME).json)))
    assert clock.now() - before_s == 2


def test_a_key_with_another_secret_part_is_refused(iam: FakeIam, aws: Aws, store: LocalSecretStore) -> None:
    with_secret(store, iam)
    value = {**store.read(NAME).json, "SecretAccessKey": "canary"}
    with pytest.raises(LoginRefused, match=r"AWS does not know the access key AKIAUSER\d+ \(SignatureDoesNotMatch\)"):
        IamAccessKey(USER, aws=aws, propagation_s=1).verify(rotation_of(store), pending_of(value))


@pytest.mark.parametrize("owner", ["user/somebody-else", f"assumed-role/{USER}", "root", f"user/x{USER}"])
def test_a_key_of_somebody_else_is_refused(iam: FakeIam, aws: Aws, store: LocalSecretStore, owner: str) -> None:
    with_secret(store, iam)
    iam.owner = owner
    with pytest.raises(RotationRefused, match="belongs to somebody else"):
        IamAccessKey(USER, aws=aws).verify(rotation_of(store), pending_of(dict(store.read(NAME).json)))


def test_a_user_with_a_path_is_the_same_user(iam: FakeIam, aws: Aws, store: LocalSecretStore) -> None:
    with_secret(store, iam)
    iam.owner = f"user/team/payments/{USER}"
    rotate(store, NAME, IamAccessKey(USER, aws=aws))
    assert works(iam, store)


# --- failures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "code", "kind"),
    [
        ("CreateAccessKey", "AccessDenied", AwsAccessDenied),
        ("ListAccessKeys", "AccessDenied", AwsAccessDenied),
        ("TagUser", "NoSuchEntity", AwsError),
    ],
)
def test_a_refusal_of_iam_names_the_action(
    iam: FakeIam, aws: Aws, store: LocalSecretStore, action: str, code: str, kind: type[AwsError]
) -> None:
    with_secret(store, iam)
    iam.failures = {action: code}
    with pytest.raises(kind) as caught:
        rotate(store, NAME, IamAccessKey(USER, aws=aws))
    assert (caught.value.operation, caught.value.code) == (f"iam:{action}", code)
    assert works(iam, store)


def test_other_trouble_with_credentials_is_not_taken_for_an_unknown_key(
    iam: FakeIam, aws: Aws, store: LocalSecretStore
) -> None:
    with_secret(store, iam)
    iam.failures = {"GetCallerIdentity": "RequestExpired"}
    with pytest.raises(AwsMisconfigured):
        IamAccessKey(USER, aws=aws).verify(rotation_of(store), pending_of(dict(store.read(NAME).json)))


def test_a_key_that_is_gone_is_deleted_without_an_error(iam: FakeIam, aws: Aws) -> None:
    access_keys.delete_key(aws, USER, "AKIANOBODY0000000000")
    iam.failures = {"DeleteAccessKey": "AccessDenied"}
    with pytest.raises(AwsAccessDenied):
        access_keys.delete_key(aws, USER, "AKIANOBODY0000000000")


def test_a_tag_is_read_among_others(iam: FakeIam, aws: Aws) -> None:
    iam.tags = {"team": "payments", "envelope-rotation": "x"}
    assert access_keys.tag_of(aws, USER, "envelope-rotation") == "x"
    assert access_keys.tag_of(aws, USER, "nothing") == ""


def test_nothing_is_begun_without_time(iam: FakeIam, aws: Aws, store: LocalSecretStore) -> None:
    with_secret(store, iam)
    clock = FakeClock()
    rotation = rotation_of(store, clock=clock)
    clock.advance(60)
    with pytest.raises(OutOfTime):
        IamAccessKey(USER, aws=aws).new_value(rotation)
    assert iam.calls == []


class Strange:
    """A client whose answers are not those of IAM."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def client(self, service: str, region: str | None = None) -> Any:
        return self

    def __getattr__(self, name: str) -> Any:
        return lambda **arguments: self.answer


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        (access_keys.list_keys, None),
        (access_keys.list_keys, {"AccessKeyMetadata": ["key"]}),
        (access_keys.list_keys, {"AccessKeyMetadata": [{"AccessKeyId": ""}]}),
        (access_keys.list_keys, {"IsTruncated": True}),
        (access_keys.list_keys, {"IsTruncated": True, "Marker": "for ever"}),
        (access_keys.make_key, {}),
        (access_keys.make_key, {"AccessKey": {"AccessKeyId": "AKIA", "SecretAccessKey": None}}),
    ],
)
def test_an_answer_that_is_not_of_iam_is_an_error(call: Callable[..., object], answer: Any) -> None:
    with pytest.raises(AwsError, match="the answer is not one of IAM"):
        call(Strange(answer), USER)


def test_an_empty_answer_has_no_keys() -> None:
    strange: Any = Strange({"AccessKeyMetadata": None})
    assert access_keys.list_keys(strange, USER) == ()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"user_name": ""}, "user_name must be the name of an IAM user"),
        ({"user_name": "team/user"}, "user_name must be the name of an IAM user"),
        ({"user_name": 7}, "user_name must be the name of an IAM user"),
        ({"aws": "eu-west-1"}, "aws must be an Aws, not str"),
        ({"secret_field": ""}, "secret_field must be the name of another field than id_field"),
        ({"secret_field": "AccessKeyId"}, "secret_field must be the name of another field than id_field"),
        ({"secret_field": None}, "secret_field must be the name of another field than id_field"),
        ({"id_field": ""}, "id_field must be the name of a field"),
        ({"propagation_s": -1}, "propagation_s must be more than 0"),
    ],
)
def test_options_are_checked(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        IamAccessKey(**{"user_name": USER, **options})
    assert str(caught.value).startswith(said)


def test_no_repr_shows_a_key() -> None:
    assert repr(access_keys.AccessKey(ADMIN, "canary")) == f"AccessKey(key_id='{ADMIN}')"
    assert repr(IamAccessKey(USER)).startswith(f"IamAccessKey(user_name='{USER}', aws=Aws(")
