"""`SecretsManagerStore` on the strict fake and over real HTTP on moto: where moto is right they agree.

Where moto is wrong is listed, M1 to M22, with what the service does. A test of that list fails when moto is mended:
then the line moves up, into what both do alike.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from envelope import AwsAccessDenied, AwsError, AwsUnavailable, InvalidArgument
from envelope_secrets.errors import SecretConflict, SecretDeleted, SecretKeyUnavailable, SecretNotFound, SecretRefused
from envelope_secrets.stages import AWSCURRENT, AWSPENDING, AWSPREVIOUS, StageMove
from envelope_secrets.stores.protocol import NewSecret, NewVersion, SecretDescription
from envelope_secrets.value import Secret
from tests.moto_server import FIRST_ACCOUNT, REGIONS
from tests.secrets_peers import FUNCTION, NO_FUNCTION, Peer, Story, fake_peer, moto_peer, new_name, outcome, token


@pytest.fixture(scope="module", name="moto")
def _moto() -> Peer:
    return moto_peer()


@pytest.fixture(scope="module", name="fake")
def _fake() -> Peer:
    return fake_peer()


# --- where they agree


def told(secret: Secret) -> tuple[str | bytes, tuple[str, ...]]:
    return (secret.binary if secret.is_binary else secret.text), secret.stages


def created_twice(peer: Peer, value: str) -> Any:
    name, key = new_name(), token()
    first = peer.store.create(NewSecret(name, NewVersion("one", key)))
    again = peer.store.create(NewSecret(name, NewVersion(value, key)))
    return first == again, len(peer.store.versions(name))


def put_twice(peer: Peer, value: str) -> Any:
    name, key = peer.secret(), token()
    first = peer.store.put(name, NewVersion("two", key))
    return first == peer.store.put(name, NewVersion(value, key)), peer.labels(name)


def rotated_by_hand(peer: Peer) -> Any:
    """What a rotation does: createSecret, finishSecret, and the clean-up of the label."""
    name = peer.secret()
    current = peer.store.read(name).version_id
    pending = peer.put(name, "two", AWSPENDING)
    seen = [told(peer.store.read(name)), told(peer.store.read(name, stage=AWSPENDING))]
    peer.store.move_stage(name, StageMove(AWSCURRENT, pending, current))
    peer.store.move_stage(name, StageMove(AWSPENDING, None, pending))
    return [*seen, told(peer.store.read(name)), told(peer.store.read(name, stage=AWSPREVIOUS))]


def rolled_back(peer: Peer) -> Any:
    name = peer.secret()
    first, second = peer.store.read(name).version_id, peer.put(name)
    peer.store.move_stage(name, StageMove(AWSCURRENT, first, second))
    return peer.labels(name)


def moved_from_elsewhere(peer: Peer) -> Any:
    name = peer.secret()
    first, second = peer.store.read(name).version_id, peer.put(name)
    peer.store.move_stage(name, StageMove(AWSCURRENT, first, first if second else None))


def moved_without_saying_from_where(peer: Peer) -> Any:
    name = peer.secret()
    peer.store.move_stage(name, StageMove(AWSCURRENT, peer.put(name, "two", "mine"), None))


def deprecated(peer: Peer) -> Any:
    name = peer.secret()
    pending = peer.put(name, "two", AWSPENDING)
    peer.store.move_stage(name, StageMove(AWSPENDING, None, pending))
    listed = [version.stages for version in peer.store.versions(name)]
    return listed, peer.labels(name), peer.store.read(name, stage=None, version_id=pending).text


def described(peer: Peer) -> Any:
    name = new_name()
    version = NewVersion("one", token())
    peer.store.create(NewSecret(name, version, description="a secret", tags={"team": "a"}))
    peer.store.tag(name, {"stage": "test"})
    peer.store.untag(name, ["team"])
    peer.store.update(name, description="another")
    it = peer.store.describe(name)
    parts = it.arn.split(":")
    is_named = it.name == name and parts[6].startswith(f"{name}-")
    return parts[2:5], is_named, it.description, dict(it.tags), it.labels.holder(AWSCURRENT) == version.token


def found_by_every_name(peer: Peer) -> Any:
    name = peer.secret()
    arn = peer.store.describe(name).arn
    return [told(peer.store.read(secret_id)) for secret_id in (name, arn, arn[:-7])]


def many(peer: Peer) -> Any:
    names = [peer.secret(f"value {number}") for number in range(22)]
    arn = peer.store.describe(names[0]).arn
    outcomes = peer.store.read_many([*names, "app/none", arn])
    texts = [it.text if isinstance(it, Secret) else type(it) for it in outcomes.values()]
    return texts[:3], len(texts), texts[-2:]


def listed(peer: Peer) -> Any:
    prefix = f"list/{token()}/"
    for name in ("b", "a"):
        peer.store.create(NewSecret(f"{prefix}{name}", NewVersion("x", token())))
    peer.store.create(NewSecret(f"other/{prefix}c", NewVersion("x", token())))
    deleted = f"{prefix}gone"
    peer.store.create(NewSecret(deleted, NewVersion("x", token())))
    peer.store.delete(deleted)

    def names(found: Iterator[SecretDescription]) -> list[str]:
        return sorted(secret.name.removeprefix(prefix) for secret in found)

    return names(peer.store.list(prefix=prefix)), names(peer.store.list(prefix=prefix, include_deleted=True))


def deleted_and_restored(peer: Peer) -> Any:
    name = peer.secret()
    date = peer.store.delete(name, recovery_window_days=7)
    seen = [outcome(lambda peer: peer.store.read(name), peer), peer.store.describe(name).deleted is not None]
    peer.store.restore(name)
    return [date is not None, *seen, peer.store.read(name).text]


def deleted_for_good(peer: Peer) -> Any:
    name = peer.secret()
    peer.store.delete(name, recovery_window_days=None)
    return outcome(lambda peer: peer.store.read(name), peer)


def policies(peer: Peer) -> Any:
    name = peer.secret()
    reader = {"AWS": "arn:aws:iam::222233334444:root"}
    statement = {"Effect": "Allow", "Principal": reader, "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    before = peer.store.policy(name)
    peer.store.put_policy(name, policy)
    put = peer.store.policy(name)
    peer.store.delete_policy(name)
    return before, put == policy, peer.store.policy(name)


def replicated(peer: Peer) -> Any:
    name = peer.secret()
    (replica,) = peer.store.replicate(name, {REGIONS[1]: ""})
    arn = peer.store.describe(name).arn
    there = peer.replicas.read(name)
    refused = outcome(lambda peer: peer.replicas.put(name, NewVersion("x", token())), peer)
    left = peer.store.remove_replicas(name, [REGIONS[1]])
    return replica.region, there.text, there.arn == arn.replace(*REGIONS), refused, left


ALIKE: dict[str, tuple[Story, Any]] = {
    "text": (lambda peer: told(peer.store.read(peer.secret("pässwörd"))), ("pässwörd", (AWSCURRENT,))),
    "bytes": (lambda peer: told(peer.store.read(peer.secret(b"\x00\xff"))), (b"\x00\xff", (AWSCURRENT,))),
    "65,536 bytes": (lambda peer: len(peer.store.read(peer.secret("é" * 32_768)).text), 32_768),
    "no secret": (lambda peer: peer.store.read("app/none"), SecretNotFound),
    "no label": (lambda peer: peer.store.read(peer.secret(), stage="mine"), SecretNotFound),
    "no version": (lambda peer: peer.store.read(peer.secret(), stage=None, version_id=token()), SecretNotFound),
    "a label of another version": (
        lambda peer: peer.store.read((name := peer.secret()), stage=AWSCURRENT, version_id=peer.put(name, "2", "x")),
        SecretConflict,
    ),
    "a secret is created twice": (lambda peer: created_twice(peer, "one"), (True, 1)),
    "a secret is created twice with another value": (lambda peer: created_twice(peer, "other"), SecretConflict),
    "a name is taken": (
        lambda peer: peer.store.create(NewSecret(peer.secret(), NewVersion("x", token()))),
        SecretConflict,
    ),
    "a version is put twice": (
        lambda peer: put_twice(peer, "two"),
        (True, {"one": {AWSPREVIOUS}, "two": {AWSCURRENT}}),
    ),
    "a version is put twice with another value": (lambda peer: put_twice(peer, "other"), SecretConflict),
    "a rotation by hand": (
        rotated_by_hand,
        [
            ("one", (AWSCURRENT,)),
            ("two", (AWSPENDING,)),
            ("two", (AWSCURRENT,)),
            ("one", (AWSPREVIOUS,)),
        ],
    ),
    "a rollback": (rolled_back, {"one": {AWSCURRENT}, "two": {AWSPREVIOUS}}),
    "a move from elsewhere": (moved_from_elsewhere, SecretConflict),
    "a move from where nobody says": (moved_without_saying_from_where, SecretConflict),
    "M11 a deprecated version is hidden by the store": (
        deprecated,
        ([(AWSCURRENT,)], {"one": {AWSCURRENT}, "two": set()}, "two"),
    ),
    "a description": (
        described,
        (["secretsmanager", REGIONS[0], FIRST_ACCOUNT], True, "another", {"stage": "test"}, True),
    ),
    "every name": (found_by_every_name, [("one", (AWSCURRENT,))] * 3),
    "many": (many, (["value 0", "value 1", "value 2"], 24, [SecretNotFound, "value 0"])),
    "a list": (listed, (["a", "b"], ["a", "b", "gone"])),
    "a deletion that is taken back": (deleted_and_restored, [True, SecretDeleted, True, "one"]),
    "a deletion for good": (deleted_for_good, SecretNotFound),
    "a window of six days": (
        lambda peer: peer.store.delete(peer.secret(), recovery_window_days=6),
        InvalidArgument,
    ),
    "policies": (policies, (None, True, None)),
    "replicas": (replicated, (REGIONS[1], "one", True, SecretRefused, ())),
    "M1 the store asks by the label": (
        lambda peer: told(peer.store.read(promoted(peer))),
        ("two", (AWSCURRENT, AWSPENDING)),
    ),
    "M13 the store never takes AWSCURRENT away": (
        lambda peer: peer.store.move_stage(peer.secret(), StageMove(AWSCURRENT, None, token())),
        InvalidArgument,
    ),
    "M15 the store checks a size": (lambda peer: peer.secret("x" * 65_537), InvalidArgument),
    "M15 the store checks a name": (lambda peer: peer.store.create(NewSecret("a b")), InvalidArgument),
    "M16 the store looks at codes": (lambda peer: peer.store.describe("app/none"), SecretNotFound),
    "M20 the store sends batches of 20": (
        lambda peer: len(peer.store.read_many([f"app/none/{number}" for number in range(21)])),
        21,
    ),
}


@pytest.mark.parametrize("name", ALIKE)
def test_they_agree(name: str, moto: Peer, fake: Peer) -> None:
    story, expected = ALIKE[name]
    assert outcome(story, fake) == expected
    assert outcome(story, moto) == expected


# --- where moto is wrong


def promoted(peer: Peer) -> str:
    """A secret whose pending version was made current by a move of the label."""
    name = peer.secret()
    current = peer.store.read(name).version_id
    peer.store.move_stage(name, StageMove(AWSCURRENT, peer.put(name, "two", AWSPENDING), current))
    return name


def overwritten_pending(peer: Peer) -> Any:
    name, key = peer.secret(), token()
    peer.store.put(name, NewVersion("two", key, (AWSPENDING,)))
    peer.store.put(name, NewVersion("three", key, (AWSPENDING,)))
    return peer.store.read(name, stage=AWSPENDING).text


def rotated(peer: Peer, name: str, function: str | None = None, **options: Any) -> str:
    peer.store.rotate(name, token=token(), lambda_arn=function, **options)
    return "started"


def read_after_rotation(peer: Peer) -> Any:
    name = peer.secret()
    outcome(lambda peer: rotated(peer, name), peer)
    return peer.store.read(name).text


def rotated_while_pending(peer: Peer) -> str:
    """The secret has a function, or it would be refused for another reason; moto has never heard of it."""
    name = peer.secret()
    outcome(lambda peer: rotated(peer, name, FUNCTION, immediately=False), peer)
    peer.put(name, "two", AWSPENDING)
    return started_or_why(peer, name)


def rotated_after_promotion(peer: Peer) -> str:
    """AWSPENDING is left on the current version: that is legal. The service only misses its function."""
    return started_or_why(peer, promoted(peer))


def started_or_why(peer: Peer, name: str) -> str:
    try:
        return rotated(peer, name)
    except SecretConflict as conflict:
        return "no function" if "no function" in str(conflict) else "not complete"


def tried_out(peer: Peer) -> Any:
    """A rotation that is to be tested only, by a function that does not exist: nothing may change."""
    name = peer.secret()
    options = {"schedule": "rate(10 days)", "window": "2h", "immediately": False}
    outcome(lambda peer: rotated(peer, name, NO_FUNCTION, **options), peer)
    it = peer.store.describe(name)
    return it.rotation.lambda_arn == NO_FUNCTION, it.rotation.schedule, it.labels.holder(AWSPENDING) is not None


def cancelled(peer: Peer) -> str:
    """The version of a rotation that never was."""
    name = peer.secret()
    outcome(lambda peer: rotated(peer, name, NO_FUNCTION), peer)
    place = peer.store.cancel_rotation(name)
    return "a version" if place.version_id else "none"


def versions_without_being_asked(peer: Peer) -> int:
    name = peer.secret()
    pending = peer.put(name, "two", AWSPENDING)
    peer.store.move_stage(name, StageMove(AWSPENDING, None, pending))
    return len(peer.client.list_secret_version_ids(SecretId=name)["Versions"])


def label_on_two_versions(peer: Peer) -> Any:
    name = peer.secret()
    peer.put(name, "two", "mine")
    third = peer.put(name, "three", "other")
    peer.store.move_stage(name, StageMove("mine", third, None))
    return peer.store.describe(name)


def nothing_is_current(peer: Peer) -> Any:
    name = peer.secret()
    current = peer.store.read(name).version_id
    peer.client.update_secret_version_stage(SecretId=name, VersionStage=AWSCURRENT, RemoveFromVersionId=current)
    return peer.store.describe(name).labels.holder(AWSCURRENT)


def custom_label_after_put(peer: Peer) -> Any:
    name = peer.secret()
    first = peer.store.read(name).version_id
    peer.store.move_stage(name, StageMove("mine", first, None))
    peer.put(name, "two")
    return set(peer.store.describe(name).labels.stages_of(first))


def status_of_nothing(peer: Peer) -> int:
    try:
        peer.client.get_secret_value(SecretId="app/none")
    except ClientError as error:
        status: int = error.response["ResponseMetadata"]["HTTPStatusCode"]
        return status
    raise AssertionError


def put_while_deleted(peer: Peer) -> str:
    name = peer.secret()
    peer.store.delete(name)
    peer.put(name)
    return "put"


def created_while_deleted(peer: Peer) -> str:
    name = peer.secret()
    peer.store.delete(name)
    peer.store.create(NewSecret(name, NewVersion("x", token())))
    return "created"


def under_no_key(peer: Peer) -> str:
    key = f"arn:aws:kms:{REGIONS[0]}:{FIRST_ACCOUNT}:key/00000000-0000-4000-8000-000000000000"
    peer.store.create(NewSecret(new_name(), NewVersion("x", token()), kms_key_id=key))
    return "created"


def batch_of_21(peer: Peer) -> str:
    peer.client.batch_get_secret_value(SecretIdList=[f"app/none/{number}" for number in range(21)])
    return "answered"


PUBLIC = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": "*", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
        ],
    }
)


def public_policy(peer: Peer) -> str:
    peer.store.put_policy(peer.secret(), PUBLIC)
    return "put"


def validated(peer: Peer) -> bool:
    return len(peer.store.validate_policy(PUBLIC)) > 0


def promoted_replica(peer: Peer) -> bool:
    name = peer.secret()
    peer.store.replicate(name, {REGIONS[1]: ""})
    return peer.replicas.stop_replication(name).split(":")[3] == REGIONS[1]


def versions_after(peer: Peer, number: int) -> int:
    """Of versions made within a day none goes, so there is an end to making them."""
    name = peer.secret()
    for value in range(number):
        peer.put(name, str(value))
    return len(peer.store.versions(name, include_deprecated=True))


@dataclass(frozen=True)
class Difference:
    """One story, and how it ends here and there."""

    story: Story
    service: Any
    moto: Any


DIFFERENCES: Mapping[str, Difference] = {
    "M1 a read without a label is of the version that was current": Difference(
        lambda peer: peer.client.get_secret_value(SecretId=promoted(peer))["SecretString"], "two", "one"
    ),
    "M2 a pending version is overwritten under its own token": Difference(overwritten_pending, SecretConflict, "three"),
    "M3 a rotation without a function starts": Difference(
        lambda peer: rotated(peer, peer.secret()), SecretConflict, "started"
    ),
    "M5 a rotation that could not start makes the secret unreadable": Difference(
        read_after_rotation, "one", SecretNotFound
    ),
    "M6 a rotation starts while another version is pending": Difference(
        rotated_while_pending, "not complete", "started"
    ),
    "M7 a rotation does not start because the current version is pending": Difference(
        rotated_after_promotion, "no function", "not complete"
    ),
    "M8 a test of a rotation leaves its label and forgets the schedule": Difference(
        tried_out, (False, "", False), (True, "", True)
    ),
    "M9 a function that cannot be called is a secret that is not found": Difference(
        lambda peer: rotated(peer, peer.secret(), NO_FUNCTION), AwsAccessDenied, SecretNotFound
    ),
    "M10 the version of a cancelled rotation is any version": Difference(cancelled, SecretConflict, "a version"),
    "M11 deprecated versions are listed without being asked for": Difference(versions_without_being_asked, 1, 2),
    "M12 a label is on two versions": Difference(label_on_two_versions, SecretConflict, AwsError),
    "M13 a secret without a current version": Difference(nothing_is_current, "InvalidParameterException", None),
    "M14 a label of one's own is lost from the version that was current": Difference(
        custom_label_after_put, {"mine", AWSPREVIOUS}, {AWSPREVIOUS}
    ),
    "M15 a name that is none": Difference(
        lambda peer: peer.client.create_secret(Name="a b", SecretString="x")["Name"], "InvalidParameterException", "a b"
    ),
    "M16 what is not found is 404": Difference(status_of_nothing, 400, 404),
    "M17 a version is put while the secret waits for its deletion": Difference(put_while_deleted, SecretDeleted, "put"),
    "M17 a name is taken, and not waiting for its deletion": Difference(
        created_while_deleted, SecretDeleted, SecretConflict
    ),
    "M18 a key that does not exist encrypts": Difference(under_no_key, SecretKeyUnavailable, "created"),
    "M19 a password of three characters": Difference(
        lambda peer: len(
            peer.client.get_random_password(PasswordLength=3, RequireEachIncludedType=False)["RandomPassword"]
        ),
        3,
        "InvalidParameterException",
    ),
    "M20 a batch of 21": Difference(batch_of_21, "InvalidParameterException", "answered"),
    "M21 a secret is opened to the public": Difference(public_policy, SecretRefused, "put"),
    "M21 policies are not validated": Difference(validated, True, AwsUnavailable),
    "M21 replicas do not become secrets of their own": Difference(promoted_replica, True, AwsUnavailable),
    "M22 there is no end to versions": Difference(lambda peer: versions_after(peer, 101), SecretRefused, 102),
}

NOT_ASKED = {
    "M4": "moto runs the function in Docker, or not at all: there is no outcome to compare",
}


@pytest.mark.parametrize("name", DIFFERENCES)
def test_the_service_does_it_so(name: str, fake: Peer) -> None:
    assert outcome(DIFFERENCES[name].story, fake) == DIFFERENCES[name].service


@pytest.mark.parametrize("name", DIFFERENCES)
def test_moto_is_wrong(name: str, moto: Peer) -> None:
    assert outcome(DIFFERENCES[name].story, moto) == DIFFERENCES[name].moto


def test_every_deviation_of_moto_has_its_line() -> None:
    numbers = {int(found[1]) for name in [*DIFFERENCES, *NOT_ASKED] if (found := re.match(r"M(\d+)", name))}
    assert numbers == set(range(1, 23))
    assert not [name for name, one in DIFFERENCES.items() if one.service == one.moto]
