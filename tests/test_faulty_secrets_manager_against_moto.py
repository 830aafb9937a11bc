"""The fake Secrets Manager beside moto's, over HTTP on loopback: where moto is right they agree, the rest is listed.

A test of the list fails when moto is mended: then the difference moves up, into what both do alike. The numbers M1 to
M22 are those by which the tests of stores name the same deviations.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from envelope.testing import FakeKms
from envelope_secrets.testing import FaultySecretsManager
from tests.fake_secrets_for_tests import CURRENT, FUNCTION, PENDING, UNKNOWN, V1, V2, policy, statement, token
from tests.moto_server import moto_url

_numbers = itertools.count()


@dataclass(frozen=True)
class Peer:
    """One of the two. Every story has secrets of its own."""

    client: Any
    there: Any = None
    kms: Any = None
    runs_rotations: Callable[[], object] = lambda: None
    name: str = field(default_factory=lambda: f"story-{next(_numbers)}/db")

    def create(self, **options: Any) -> Any:
        return self.client.create_secret(Name=self.name, ClientRequestToken=V1, **{"SecretString": "one", **options})

    def empty(self) -> Any:
        return self.client.create_secret(Name=self.name, ClientRequestToken=V1)

    def put(self, number: int, *stages: str, value: str = "") -> Any:
        given = {"VersionStages": list(stages)} if stages else {}
        return self.client.put_secret_value(
            SecretId=self.name, ClientRequestToken=token(number), SecretString=value or f"value-{number}", **given
        )

    def move(self, stage: str, from_: str | None, to: str | None) -> None:
        versions = {"RemoveFromVersionId": from_, "MoveToVersionId": to}
        given = {name: version for name, version in versions.items() if version}
        self.client.update_secret_version_stage(SecretId=self.name, VersionStage=stage, **given)

    def get(self, **options: Any) -> Any:
        return self.client.get_secret_value(SecretId=self.name, **options)

    def stages(self) -> dict[str, list[str]]:
        told = self.client.describe_secret(SecretId=self.name).get("VersionIdsToStages", {})
        return {version.rstrip("-"): sorted(stages) for version, stages in told.items() if stages}


Story = Callable[[Peer], Any]


@cache
def moto_client(region: str, service: Any = "secretsmanager") -> Any:
    return boto3.session.Session().client(
        service,
        region_name=region,
        endpoint_url=moto_url(),
        aws_access_key_id="made-up",
        aws_secret_access_key="made-up",
        config=Config(retries={"total_max_attempts": 1, "mode": "standard"}),
    )


@cache
def fake_kms() -> FakeKms:
    return FakeKms()


@cache
def fake() -> FaultySecretsManager:
    kms = fake_kms()
    fake = FaultySecretsManager(kms=kms, clock=kms.clock)
    fake.register_function(FUNCTION, lambda event, context: invocations.append(seen_by(fake, event)))
    return fake


invocations: list[tuple[str, str, bool]] = []
"""Of the function of the fake: the secret, the step, and whether its version had AWSPENDING then."""


def seen_by(fake: FaultySecretsManager, event: dict[str, str]) -> tuple[str, str, bool]:
    told = fake.client("eu-west-1").describe_secret(SecretId=event["SecretId"])
    return told["Name"], event["Step"], PENDING in told["VersionIdsToStages"][event["ClientRequestToken"]]


@pytest.fixture(name="moto")
def _moto() -> Peer:
    return Peer(moto_client("eu-west-1"), moto_client("us-east-1"), moto_client("eu-west-1", "kms"))


@pytest.fixture(name="ours")
def _ours() -> Peer:
    return Peer(
        fake().client("eu-west-1"),
        fake().client("us-east-1"),
        fake_kms().client("eu-west-1"),
        fake().run_rotations,
    )


def outcome(story: Story, peer: Peer) -> Any:
    """The error code; or what the answer has, as a set of names; or whatever else the story ends with."""
    try:
        told = story(peer)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return frozenset(told) - {"ResponseMetadata"} if isinstance(told, dict) and "ResponseMetadata" in told else told


def story(*steps: Story) -> Story:
    """Some steps; it ends with the last one, and begins with a secret."""

    def told(peer: Peer) -> Any:
        peer.create()
        return [step(peer) for step in steps][-1]

    return told


def stages(peer: Peer) -> Any:
    return peer.stages()


# Where they agree


def deleted(peer: Peer, **options: Any) -> Any:
    return peer.client.delete_secret(SecretId=peer.name, **options)


def by_partial_arn(peer: Peer) -> Any:
    arn = peer.client.describe_secret(SecretId=peer.name)["ARN"]
    return peer.client.get_secret_value(SecretId=arn[:-7])["SecretString"]


def replicated(peer: Peer) -> Any:
    regions = [{"Region": "us-east-1"}]
    return peer.client.replicate_secret_to_regions(SecretId=peer.name, AddReplicaRegions=regions)


def put_there(peer: Peer) -> Any:
    return peer.there.put_secret_value(SecretId=peer.name, SecretString="x")


def restored(peer: Peer) -> Any:
    return peer.client.restore_secret(SecretId=peer.name)


def batch(peer: Peer) -> Any:
    told = peer.client.batch_get_secret_value(SecretIdList=[peer.name, "missing"])
    return len(told["SecretValues"]), [error["ErrorCode"] for error in told["Errors"]]


def created_again(value: str) -> Story:
    return lambda peer: peer.create(SecretString=value)["VersionId"]


def binary(peer: Peer) -> Any:
    peer.client.put_secret_value(SecretId=peer.name, SecretBinary=b"\xff")
    return peer.get(VersionStage=CURRENT)["SecretBinary"]


def tagged(peer: Peer) -> Any:
    peer.client.tag_resource(SecretId=peer.name, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    peer.client.untag_resource(SecretId=peer.name, TagKeys=["a"])
    return peer.client.describe_secret(SecretId=peer.name)["Tags"]


ALIKE: dict[str, Story] = {
    "a new secret": lambda peer: peer.create(),
    "a value": story(lambda peer: peer.get(VersionStage=CURRENT)),
    "bytes": story(binary),
    "a created secret is created again": story(created_again("one")),
    "a name in use": story(created_again("two")),
    "a put moves awscurrent": story(lambda peer: peer.put(2), stages),
    "a put of awspending": story(lambda peer: peer.put(2, PENDING), stages),
    "the first version is current": lambda peer: (peer.empty(), peer.put(2), peer.stages())[-1],
    "a put is repeated": story(lambda p: p.put(2), lambda p: p.put(2), stages),
    "a token in use": story(lambda p: p.put(2), lambda p: p.put(2, value="other")),
    "a promotion": story(lambda p: p.put(2, PENDING), lambda p: p.move(CURRENT, V1, V2), stages),
    "a rollback": story(lambda p: p.put(2), lambda p: p.move(CURRENT, V2, V1), stages),
    "awscurrent moved from an unnamed version": story(lambda p: p.put(2, PENDING), lambda p: p.move(CURRENT, None, V2)),
    "awscurrent moved from another version": story(lambda p: p.put(2, PENDING), lambda p: p.move(CURRENT, V2, V2)),
    "awspending taken away": story(lambda p: p.put(2, PENDING), lambda p: p.move(PENDING, V2, None), stages),
    "a version by its id": story(lambda p: p.put(2), lambda p: p.get(VersionId=V1)["SecretString"]),
    "a version and a label of another": story(lambda p: p.put(2), lambda p: p.get(VersionId=V1, VersionStage=CURRENT)),
    "a label that is nowhere": story(lambda p: p.get(VersionStage=PENDING)),
    "a missing version": story(lambda p: p.get(VersionId=UNKNOWN)),
    "a missing secret": lambda peer: peer.get(),
    "a secret without a value": lambda peer: (peer.empty(), peer.get()),
    "a partial ARN": story(by_partial_arn),
    "an update with a value": story(
        lambda p: p.client.update_secret(SecretId=p.name, SecretString="two", ClientRequestToken=V2), stages
    ),
    "a deletion": story(deleted),
    "a read of a deleted secret": story(deleted, lambda p: p.get()),
    "a secret restored": story(deleted, restored, lambda p: p.get(VersionStage=CURRENT)["SecretString"]),
    "too short a window": story(lambda p: deleted(p, RecoveryWindowInDays=6)),
    "a window and force": story(lambda p: deleted(p, RecoveryWindowInDays=7, ForceDeleteWithoutRecovery=True)),
    "a deleted secret deleted": story(deleted, deleted),
    "a deleted secret deleted by force": story(deleted, lambda p: deleted(p, ForceDeleteWithoutRecovery=True)),
    "a missing secret deleted by force": lambda peer: deleted(peer, ForceDeleteWithoutRecovery=True),
    "a batch": story(batch),
    "a rotation that never was is cancelled": story(lambda p: p.client.cancel_rotate_secret(SecretId=p.name)),
    "a replica": story(replicated),
    "a replica is read": story(replicated, lambda p: p.there.get_secret_value(SecretId=p.name)["SecretString"]),
    "a replica is written": story(replicated, put_there),
    "a secret with replicas deleted": story(replicated, deleted),
    "tags": story(tagged),
    "a password": lambda peer: len(peer.client.get_random_password(PasswordLength=20)["RandomPassword"]),
}


@pytest.mark.parametrize("name", ALIKE)
def test_they_agree(name: str, moto: Peer, ours: Peer) -> None:
    theirs, own = outcome(ALIKE[name], moto), outcome(ALIKE[name], ours)
    assert own >= theirs if isinstance(theirs, frozenset) else own == theirs


# Where moto is wrong. What it does with a function (M4) needs Docker and cannot be told here.


@dataclass(frozen=True)
class Difference:
    """What a story ends with on each; `number` is that of the list of deviations."""

    number: int
    story: Story
    moto: Any
    ours: Any


def rotated(peer: Peer, number: int = 2, **options: Any) -> Any:
    return peer.client.rotate_secret(SecretId=peer.name, ClientRequestToken=token(number), **options)


def by_function(peer: Peer, number: int = 2, **options: Any) -> Any:
    return rotated(peer, number, RotationLambdaARN=FUNCTION, **options)


def by_missing_function(peer: Peer) -> Any:
    return rotated(peer, RotationLambdaARN=FUNCTION + "-missing")


def tried(step: Story) -> Story:
    """The step, refused or not."""

    def told(peer: Peer) -> None:
        with contextlib.suppress(ClientError):
            step(peer)

    return told


def deprecated(peer: Peer) -> Any:
    peer.put(2)
    peer.put(3)
    return len(peer.client.list_secret_version_ids(SecretId=peer.name)["Versions"])


def listed_arn(peer: Peer) -> Any:
    return peer.client.list_secret_version_ids(SecretId=peer.name)["ARN"].startswith("arn:")


def label_twice(peer: Peer) -> Any:
    peer.put(2, "green")
    peer.move("green", None, V1)
    return peer.stages()


def custom_label_lost(peer: Peer) -> Any:
    peer.put(2, CURRENT, "green")
    peer.put(3)
    return peer.stages().get("v2")


def done(step: Story) -> Story:
    """The step, and what it leaves is not looked at."""
    return lambda peer: (step(peer), "done")[-1]


def status_of(step: Story) -> Story:
    """The HTTP status of a refusal."""

    def told(peer: Peer) -> Any:
        with pytest.raises(ClientError) as caught:
            step(peer)
        return caught.value.response["ResponseMetadata"]["HTTPStatusCode"]

    return told


def of_test_only(peer: Peer) -> Any:
    """The steps of the function with what they have seen, and what a test leaves behind."""
    peer.put(2)
    by_function(peer, 3, RotateImmediately=False)
    peer.runs_rotations()
    return [seen[1:] for seen in invocations if seen[0] == peer.name], "v3" in peer.stages()


def while_pending(peer: Peer) -> None:
    """A rotation has a function, which moto has never heard of, and another version is pending."""
    tried(lambda peer: by_function(peer, 9, RotateImmediately=False))(peer)
    peer.runs_rotations()
    peer.put(2, PENDING)


def reason_of(step: Story) -> Story:
    """What the refusal says, because one code has several reasons."""

    def told(peer: Peer) -> Any:
        try:
            step(peer)
        except ClientError as error:
            return error.response["Error"]["Message"]
        return "done"

    return told


def without_current(peer: Peer) -> Any:
    peer.move(CURRENT, V1, None)
    peer.move(CURRENT, None, V1)


def scheduled(peer: Peer) -> Any:
    """What a secret says of the schedule that came with a rotation that is to be tested only."""
    rules = {"ScheduleExpression": "rate(10 days)", "Duration": "2h"}
    tried(lambda peer: by_function(peer, RotateImmediately=False, RotationRules=rules))(peer)
    told = peer.client.describe_secret(SecretId=peer.name)
    return told["RotationEnabled"], told["RotationRules"]


def filtered(peer: Peer) -> Any:
    told = peer.client.batch_get_secret_value(Filters=[{"Key": "name", "Values": [peer.name]}])
    return len(told["SecretValues"]), [error["ErrorCode"] for error in told["Errors"]]


def under_a_disabled_key(peer: Peer) -> Any:
    key_id = peer.kms.create_key()["KeyMetadata"]["KeyId"]
    peer.kms.disable_key(KeyId=key_id)
    return peer.create(KmsKeyId=key_id)


def under_a_key_disabled_later(peer: Peer) -> Any:
    key_id = peer.kms.create_key()["KeyMetadata"]["KeyId"]
    peer.create(KmsKeyId=key_id)
    peer.kms.disable_key(KeyId=key_id)
    return peer.get(VersionStage=CURRENT)["SecretString"]


def public_policy(peer: Peer) -> Any:
    text = policy(statement(Action="secretsmanager:GetSecretValue"))
    peer.client.put_resource_policy(SecretId=peer.name, ResourcePolicy=text, BlockPublicPolicy=True)
    return "stored"


def many_versions(peer: Peer) -> Any:
    for number in range(2, 103):
        peer.put(number)
    return "stored"


def read_date(peer: Peer) -> Any:
    peer.get(VersionStage=CURRENT)
    return "LastAccessedDate" in peer.client.describe_secret(SecretId=peer.name)


def foreign(peer: Peer) -> Any:
    arn = peer.client.describe_secret(SecretId=peer.name)["ARN"].split(":")
    return peer.client.get_secret_value(SecretId=":".join((*arn[:4], "444455556666", *arn[5:])))


DIFFERENCES = {
    "a read without a label after a move": Difference(
        1,
        story(lambda p: p.put(2, PENDING), lambda p: p.move(CURRENT, V1, V2), lambda p: p.get()["VersionId"]),
        V1,
        V2,
    ),
    "another value for the token of awspending": Difference(
        2,
        story(lambda p: p.put(2, PENDING), done(lambda p: p.put(2, PENDING, value="other"))),
        "done",
        "ResourceExistsException",
    ),
    "a rotation without a function": Difference(3, story(done(rotated)), "done", "InvalidRequestException"),
    "a function that is not there": Difference(
        9,
        story(by_missing_function),
        "ResourceNotFoundException",
        "AccessDeniedException",
    ),
    "another rotation while one is pending": Difference(
        6,
        story(while_pending, reason_of(lambda p: rotated(p, 3))),
        "done",
        "A previous rotation isn't complete. That rotation will be reattempted.",
    ),
    "another rotation while one is pending makes an empty version current": Difference(
        6,
        story(while_pending, tried(lambda p: rotated(p, 3)), stages),
        {"v1": ["AWSPREVIOUS"], "v3": [CURRENT]},
        {"v1": [CURRENT], "v2": [PENDING]},
    ),
    "the schedule of a rotation that is tested first": Difference(
        8,
        story(scheduled),
        (False, {"AutomaticallyAfterDays": 0}),
        (True, {"ScheduleExpression": "rate(10 days)", "Duration": "2h"}),
    ),
    "a test of a rotation leaves awspending behind": Difference(
        8, story(of_test_only), "ResourceNotFoundException", ([("testSecret", True)], False)
    ),
    "a read after a rotation without a function": Difference(
        5, story(tried(rotated), lambda p: p.get()["SecretString"]), "ResourceNotFoundException", "one"
    ),
    "awspending on the current version": Difference(
        7,
        story(lambda p: p.put(2, PENDING), lambda p: p.move(CURRENT, V1, V2), done(lambda p: by_function(p, 3))),
        "InvalidRequestException",
        "done",
    ),
    "a function that is not there changes the secret": Difference(
        9, story(tried(by_missing_function), stages), {"v1": [CURRENT], "v2": [PENDING]}, {"v1": [CURRENT]}
    ),
    "a rotation that never began is cancelled": Difference(
        10,
        story(tried(by_missing_function), done(lambda p: p.client.cancel_rotate_secret(SecretId=p.name))),
        "done",
        "InvalidRequestException",
    ),
    "the version of a rotation that is cancelled": Difference(
        10,
        story(tried(by_function), lambda p: p.client.cancel_rotate_secret(SecretId=p.name)["VersionId"]),
        V1,
        V2,
    ),
    "deprecated versions are listed": Difference(11, story(deprecated), 3, 2),
    "versions are listed under a name": Difference(11, story(listed_arn), False, True),
    "a label on two versions": Difference(
        12, story(label_twice), {"v1": [CURRENT, "green"], "v2": ["green"]}, "InvalidParameterException"
    ),
    "awscurrent taken away": Difference(
        13, story(done(lambda p: p.move(CURRENT, V1, None))), "done", "InvalidParameterException"
    ),
    "a version becomes current where none is": Difference(
        13, story(done(without_current)), "500", "InvalidParameterException"
    ),
    "a label of the version that was current is lost": Difference(
        14, story(custom_label_lost), ["AWSPREVIOUS"], ["AWSPREVIOUS", "green"]
    ),
    "too large a value": Difference(
        15, story(done(lambda p: p.put(2, value="é" * 32_769))), "done", "InvalidParameterException"
    ),
    "too many labels": Difference(
        15,
        story(done(lambda p: p.put(2, *[f"l{number}" for number in range(21)]))),
        "done",
        "InvalidParameterException",
    ),
    "an illegal name": Difference(
        15,
        done(lambda p: p.client.create_secret(Name=p.name + "/with space", SecretString="x")),
        "done",
        "InvalidParameterException",
    ),
    "text and bytes at once": Difference(
        15, done(lambda p: p.create(SecretBinary=b"x")), "done", "InvalidParameterException"
    ),
    "the status of what is not found": Difference(16, status_of(lambda p: p.get()), 404, 400),
    "the status of a label of another version": Difference(
        16, story(lambda p: p.put(2), status_of(lambda p: p.get(VersionId=V1, VersionStage=CURRENT))), 404, 400
    ),
    "a put to a deleted secret": Difference(
        17, story(deleted, done(lambda p: p.put(2))), "done", "InvalidRequestException"
    ),
    "a move in a deleted secret": Difference(
        17, story(deleted, done(lambda p: p.move("green", None, V1))), "done", "InvalidRequestException"
    ),
    "the name of a deleted secret": Difference(
        17, story(deleted, created_again("two")), "ResourceExistsException", "InvalidRequestException"
    ),
    "a secret that lives is restored": Difference(17, story(done(restored)), "done", "InvalidRequestException"),
    "an unknown key": Difference(18, done(lambda p: p.create(KmsKeyId="alias/nobody")), "done", "EncryptionFailure"),
    "a disabled key": Difference(18, done(under_a_disabled_key), "done", "EncryptionFailure"),
    "a key that was disabled later": Difference(18, under_a_key_disabled_later, "one", "DecryptionFailure"),
    "a short password of two kinds": Difference(
        19,
        lambda p: len(
            p.client.get_random_password(PasswordLength=2, ExcludeNumbers=True, ExcludePunctuation=True)[
                "RandomPassword"
            ]
        ),
        "InvalidParameterException",
        2,
    ),
    "a password without digits that must have one": Difference(
        19, lambda p: p.client.get_random_password(ExcludeCharacters="0123456789"), "500", "InvalidParameterException"
    ),
    "a batch of too many": Difference(
        20,
        lambda p: len(p.client.batch_get_secret_value(SecretIdList=[f"s{n}" for n in range(21)])["Errors"]),
        21,
        "InvalidParameterException",
    ),
    "a batch of nothing": Difference(
        20, done(lambda p: p.client.batch_get_secret_value()), "done", "InvalidParameterException"
    ),
    "a batch by a filter that fits a deleted secret": Difference(
        20, story(deleted, filtered), "InvalidRequestException", (0, [])
    ),
    "the policies of a secret are listed": Difference(
        21,
        story(lambda p: len(p.client.list_resource_policies(SecretId=p.name)["ResourcePolicies"])),
        "500",
        0,
    ),
    "a replica becomes a secret of its own": Difference(
        21,
        story(replicated, done(lambda p: p.there.stop_replication_to_replica(SecretId=p.name))),
        "500",
        "done",
    ),
    "a public policy": Difference(21, story(public_policy), "stored", "PublicPolicyException"),
    "a policy that is no JSON": Difference(
        21,
        story(done(lambda p: p.client.put_resource_policy(SecretId=p.name, ResourcePolicy="{"))),
        "done",
        "MalformedPolicyDocumentException",
    ),
    "a policy is validated": Difference(
        21,
        lambda p: p.client.validate_resource_policy(ResourcePolicy=policy(statement()))["PolicyValidationPassed"],
        "500",
        False,
    ),
    "more than a hundred versions": Difference(22, story(many_versions), "stored", "LimitExceededException"),
    "the day of the last read": Difference(22, story(read_date), False, True),
    "a secret of another account": Difference(22, story(foreign), "ResourceNotFoundException", "AccessDeniedException"),
}


@pytest.mark.parametrize("name", DIFFERENCES, ids=[f"M{one.number} {name}" for name, one in DIFFERENCES.items()])
def test_moto_is_wrong(name: str, moto: Peer, ours: Peer) -> None:
    difference = DIFFERENCES[name]
    assert outcome(difference.story, ours) == difference.ours
    assert outcome(difference.story, moto) == difference.moto


def test_every_line_is_a_difference() -> None:
    assert not [name for name, one in DIFFERENCES.items() if one.moto == one.ours]
    assert {one.number for one in DIFFERENCES.values()} == set(range(1, 23)) - {4}
