"""`SecretsManagerStore`: what is sent, and what an answer becomes."""

from __future__ import annotations

import base64
import inspect
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from envelope import Aws, AwsError, EnvelopeError, InvalidArgument
from envelope_secrets.errors import SecretNotFound
from envelope_secrets.stages import AWSCURRENT, AWSPENDING, AWSPREVIOUS, StageMove
from envelope_secrets.stores.answers import Answer
from envelope_secrets.stores.protocol import (
    HasPolicies,
    HasTrees,
    NewSecret,
    NewVersion,
    PolicyFinding,
    Replica,
    Replicates,
    Rotates,
    RotationStatus,
    SecretStore,
    SecretVersion,
    VersionPlace,
)
from envelope_secrets.stores.secrets_manager import SecretsManagerStore
from tests.scripted_service import Asked, Refused, ScriptedService

ARN = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/db-AbCdEf"
ID = "11111111-1111-4111-8111-111111111111"
OTHER_ID = "22222222-2222-4222-8222-222222222222"
PLACE = {"ARN": ARN, "Name": "prod/db", "VersionId": ID}
VALUE = PLACE | {"SecretString": "hunter2", "VersionStages": ["AWSCURRENT"], "CreatedDate": 1_700_000_000}
DATE = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


@pytest.fixture
def service() -> ScriptedService:
    return ScriptedService("secretsmanager")


@pytest.fixture
def store(service: ScriptedService) -> SecretsManagerStore:
    return SecretsManagerStore(region="eu-west-1", client_for_region=service.client_for_region)


# --- reading


def test_a_read_asks_by_an_explicit_stage(service: ScriptedService, store: SecretsManagerStore) -> None:
    service.on("GetSecretValue", VALUE)
    secret = store.read("prod/db")
    assert service.last() == {"SecretId": "prod/db", "VersionStage": "AWSCURRENT"}
    assert (secret.text, secret.name, secret.arn, secret.version_id) == ("hunter2", "prod/db", ARN, ID)
    assert (secret.stages, secret.created) == (("AWSCURRENT",), DATE)


def test_a_read_by_version_id_asks_for_that_alone(service: ScriptedService, store: SecretsManagerStore) -> None:
    service.on("GetSecretValue", {name: value for name, value in VALUE.items() if name != "VersionStages"})
    assert store.read("prod/db", stage=None, version_id=ID).stages == ()
    assert service.last() == {"SecretId": "prod/db", "VersionId": ID}


def test_a_read_by_both_asks_for_both(service: ScriptedService, store: SecretsManagerStore) -> None:
    service.on("GetSecretValue", VALUE | {"VersionStages": ["AWSPENDING"]})
    assert store.read("prod/db", stage=AWSPENDING, version_id=ID).version_id == ID
    assert service.last() == {"SecretId": "prod/db", "VersionId": ID, "VersionStage": "AWSPENDING"}


def test_a_binary_value_is_bytes(service: ScriptedService, store: SecretsManagerStore) -> None:
    binary = {"SecretBinary": base64.b64encode(b"\x00\xff").decode(), "SecretString": None}
    service.on("GetSecretValue", {name: value for name, value in (VALUE | binary).items() if value is not None})
    assert store.read("prod/db").binary == b"\x00\xff"


@pytest.mark.parametrize("secret_id", [ARN, ARN[:-7], "prod/db"])
def test_a_secret_is_found_by_name_and_by_arn(
    secret_id: str, service: ScriptedService, store: SecretsManagerStore
) -> None:
    service.on("GetSecretValue", VALUE)
    assert store.read(secret_id).arn == ARN


def test_an_arn_is_asked_for_in_its_region(service: ScriptedService, store: SecretsManagerStore) -> None:
    elsewhere = ARN.replace("eu-west-1", "us-east-1")
    service.on("GetSecretValue", VALUE | {"ARN": elsewhere})
    store.read(elsewhere)
    assert service.regions() == ["us-east-1"]


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in VALUE.items() if key != name}


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (without("SecretString"), "holds no value"),
        (VALUE | {"SecretBinary": "AA=="}, "holds two values"),
        (without("VersionId"), "holds no VersionId"),
        (without("ARN"), "holds no ARN"),
        (VALUE | {"Name": ""}, "holds no Name"),
        (VALUE | {"VersionStages": ["AWSPREVIOUS"]}, "a version without the staging label AWSCURRENT"),
        (VALUE | {"ARN": ARN[:-9] + "xx-AbCdEf", "Name": "prod/xx"}, "is about another secret"),
        (VALUE | {"SecretString": 7}, "has a SecretString of type int"),
        (VALUE | {"VersionStages": [1]}, "has a VersionStages that is no list of str"),
        (VALUE | {"SecretBinary": 7}, "failed in an unforeseen way"),
        ({}, "holds no Name"),
        (VALUE | {"SecretString": ""}, "holds an empty value"),
        (VALUE | {"ARN": ARN.replace("prod/db", "prod/xx")}, "has an ARN that is not of the secret that it names"),
        (VALUE | {"ARN": "prod/db-AbCdEf"}, "has an ARN that is not of the secret that it names"),
        (VALUE | {"ARN": ARN.replace("eu-west-1", "nowhere")}, "has an ARN that is not of the secret that it names"),
        (VALUE | {"VersionStages": ["AWSCURRENT", *map(str, range(20))]}, "has 21 staging labels on one version"),
    ],
)
def test_an_answer_that_is_none_is_an_error(
    answer: dict[str, Any], text: str, service: ScriptedService, store: SecretsManagerStore
) -> None:
    service.on("GetSecretValue", answer)
    with pytest.raises(AwsError, match=text) as caught:
        store.read("prod/db")
    assert "hunter2" not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"


def test_another_version_than_was_asked_for_is_an_error(service: ScriptedService, store: SecretsManagerStore) -> None:
    service.on("GetSecretValue", VALUE)
    with pytest.raises(AwsError, match="holds another version") as caught:
        store.read("prod/db", stage=None, version_id=OTHER_ID)
    assert caught.value.code == "UnexpectedResponse"


def test_an_answer_of_a_stand_in_is_no_mapping() -> None:
    service = ScriptedService("secretsmanager")

    class StandIn:
        meta = service.client_for_region("eu-west-1").meta
        describe_secret = staticmethod(lambda **_: "text")

    store = SecretsManagerStore(region="eu-west-1", client_for_region=lambda region: StandIn())
    with pytest.raises(AwsError, match="is no mapping but str"):
        store.describe("prod/db")


# --- descriptions, versions, lists


def test_a_description_tells_everything(service: ScriptedService, store: SecretsManagerStore) -> None:
    service.on(
        "DescribeSecret",
        {
            "ARN": ARN,
            "Name": "prod/db",
            "Description": "the database",
            "KmsKeyId": "alias/app",
            "RotationEnabled": True,
            "RotationLambdaARN": "arn:aws:lambda:eu-west-1:111122223333:function:rotate",
            "RotationRules": {"ScheduleExpression": "rate(6 hours)", "Duration": "2h"},
            "LastRotatedDate": 1_700_000_000,
            "NextRotationDate": 1_700_000_000,
            "LastChangedDate": 1_700_000_000,
            "LastAccessedDate": 1_700_000_000,
            "DeletedDate": 1_700_000_000,
            "CreatedDate": 1_700_000_000,
            "Tags": [{"Key": "team", "Value": "a"}, {"Key": "empty", "Value": ""}],
            "VersionIdsToStages": {ID: ["AWSCURRENT"], OTHER_ID: ["AWSPREVIOUS", "mine"]},
            "OwningService": "rds",
            "PrimaryRegion": "eu-west-1",
            "ReplicationStatus": [
                {"Region": "us-east-1", "KmsKeyId": "alias/there", "Status": "Failed", "StatusMessage": "no key"},
                {"Region": "us-east-2"},
            ],
        },
    )
    told = store.describe("prod/db")
    assert service.last() == {"SecretId": "prod/db"}
    assert (told.name, told.arn, told.description, told.kms_key_id) == ("prod/db", ARN, "the database", "alias/app")
    assert told.tags == {"team": "a", "empty": ""}
    assert told.labels.holder(AWSCURRENT) == ID
    assert told.labels.stages_of(OTHER_ID) == {AWSPREVIOUS, "mine"}
    assert (told.created, told.changed, told.last_accessed, told.deleted) == (DATE,) * 4
    assert told.rotation == RotationStatus(
        True, "arn:aws:lambda:eu-west-1:111122223333:function:rotate", "rate(6 hours)", "2h", DATE, DATE
    )
    assert told.replicas == (Replica("us-east-1", "Failed", "alias/there", "no key"), Replica("us-east-2", ""))
    assert (told.primary_region, told.owning_service) == ("eu-west-1", "rds")


def test_a_description_of_little_has_no_surprises(service: ScriptedService, store: SecretsManagerStore) -> None:
    """RotationEnabled is missing from a secret that never was rotated: that is not False."""
    service.on("DescribeSecret", {"ARN": ARN, "Name": "prod/db"})
    told = store.describe("prod/db")
    assert told.rotation == RotationStatus()
    assert told.rotation.enabled is None
    assert (told.created, dict(told.tags), dict(told.labels.by_version), told.replicas) == (None, {}, {}, ())


def test_a_schedule_in_days_is_a_rate(service: ScriptedService, store: SecretsManagerStore) -> None:
    rules = {"RotationRules": {"AutomaticallyAfterDays": 30}, "RotationEnabled": False}
    service.on("DescribeSecret", {"ARN": ARN, "Name": "prod/db"} | rules)
    assert store.describe("prod/db").rotation == RotationStatus(enabled=False, schedule="rate(30 days)")


def test_a_label_on_two_versions_is_not_believed(service: ScriptedService, store: SecretsManagerStore) -> None:
    both = {ID: ["AWSCURRENT"], OTHER_ID: ["AWSCURRENT"]}
    service.on("DescribeSecret", {"ARN": ARN, "Name": "prod/db", "VersionIdsToStages": both})
    with pytest.raises(AwsError, match="has a staging label on two versions"):
        store.describe("prod/db")


PENDING_ID = "33333333-3333-4333-8333-333333333333"
DEPRECATED_ID = "44444444-4444-4444-8444-444444444444"
NEW_ID = "55555555-5555-4555-8555-555555555555"


@pytest.fixture
def versioned(service: ScriptedService, store: SecretsManagerStore) -> SecretsManagerStore:
    """A rotation has announced AWSPENDING; between the two calls a version was put with a label of its own."""
    service.on(
        "DescribeSecret",
        {
            "ARN": ARN,
            "Name": "prod/db",
            "VersionIdsToStages": {ID: ["AWSCURRENT"], OTHER_ID: ["AWSPREVIOUS"], PENDING_ID: ["AWSPENDING"]}
            | {"66666666-6666-4666-8666-666666666666": []},
        },
    )
    service.on(
        "ListSecretVersionIds",
        {
            "Versions": [
                {"VersionId": DEPRECATED_ID, "CreatedDate": 1_000},
                {"VersionId": OTHER_ID, "VersionStages": ["AWSPREVIOUS"], "CreatedDate": 2_000},
            ],
            "NextToken": "more",
        },
        {"Versions": [], "NextToken": "most"},
        {
            "Versions": [
                {"VersionId": ID, "VersionStages": ["AWSCURRENT"], "CreatedDate": 3_000, "LastAccessedDate": 4_000},
                {"VersionId": NEW_ID, "VersionStages": ["new", "AWSCURRENT"], "CreatedDate": 5_000},
            ]
        },
    )
    return store


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


LISTED = (
    SecretVersion(PENDING_ID, (AWSPENDING,), has_value=False),
    SecretVersion(NEW_ID, ("new",), at(5_000)),
    SecretVersion(ID, (AWSCURRENT,), at(3_000), last_accessed=at(4_000)),
    SecretVersion(OTHER_ID, (AWSPREVIOUS,), at(2_000)),
)


def test_versions_are_those_with_a_label_and_no_label_is_there_twice(
    service: ScriptedService, versioned: SecretsManagerStore
) -> None:
    assert versioned.versions("prod/db") == LISTED
    assert service.operations() == ["DescribeSecret"] + ["ListSecretVersionIds"] * 3
    assert [asked.request.get("NextToken") for asked in service.asked[1:]] == [None, "more", "most"]
    assert service.last()["IncludeDeprecated"] is True


def test_deprecated_versions_are_there_if_they_are_asked_for(versioned: SecretsManagerStore) -> None:
    everything = versioned.versions("prod/db", include_deprecated=True)
    assert everything == (*LISTED, SecretVersion(DEPRECATED_ID, (), at(1_000)))


def test_pages_that_go_round_in_circles_are_an_error(service: ScriptedService, store: SecretsManagerStore) -> None:
    service.on("ListSecrets", {"SecretList": [], "NextToken": "again"})
    with pytest.raises(AwsError, match="repeats a page"):
        list(store.list())
    assert len(service.asked) == 2


def test_a_list_is_filtered_by_a_prefix_that_is_one(service: ScriptedService, store: SecretsManagerStore) -> None:
    """moto, and a service that changes its mind, may take the filter for something else."""
    deleted = {"ARN": ARN, "Name": "prod/gone", "DeletedDate": 1_000}
    names = [{"ARN": ARN, "Name": name} for name in ("prod/db", "Prod/db", "my/prod/db")]
    service.on("ListSecrets", {"SecretList": [], "NextToken": "more"}, {"SecretList": [*names, deleted]})
    assert [secret.name for secret in store.list(prefix="prod/")] == ["prod/db"]
    assert service.last() == {
        "MaxResults": 100,
        "IncludePlannedDeletion": False,
        "Filters": [{"Key": "name", "Values": ["prod/"]}],
        "NextToken": "more",
    }
    service.on("ListSecrets", {"SecretList": [deleted | {"SecretVersionsToStages": {ID: ["AWSCURRENT"]}}]})
    (secret,) = store.list(include_deleted=True)
    assert (secret.deleted, secret.labels.holder(AWSCURRENT)) == (at(1_000), ID)
    assert service.last() == {"MaxResults": 100, "IncludePlannedDeletion": True}


# --- writing

Call = Callable[[SecretsManagerStore], object]
VERSION = NewVersion("hunter2", ID)

SENT: dict[str, tuple[Call, str, dict[str, Any], dict[str, Any], object]] = {
    "create": (
        lambda store: store.create(NewSecret("prod/db", VERSION)),
        "CreateSecret",
        {"Name": "prod/db", "ClientRequestToken": ID, "SecretString": "hunter2"},
        PLACE,
        VersionPlace(ARN, "prod/db", ID, (AWSCURRENT,)),
    ),
    "create with everything": (
        lambda store: store.create(
            NewSecret(
                "prod/db",
                NewVersion(b"\x00", ID),
                description="the database",
                kms_key_id="alias/app",
                tags={"team": "a"},
                replica_regions={"us-east-1": "alias/there", "us-east-2": ""},
            )
        ),
        "CreateSecret",
        {
            "Name": "prod/db",
            "ClientRequestToken": ID,
            "SecretBinary": "AA==",
            "Description": "the database",
            "KmsKeyId": "alias/app",
            "Tags": [{"Key": "team", "Value": "a"}],
            "AddReplicaRegions": [{"Region": "us-east-1", "KmsKeyId": "alias/there"}, {"Region": "us-east-2"}],
        },
        PLACE,
        VersionPlace(ARN, "prod/db", ID, (AWSCURRENT,)),
    ),
    "put": (
        lambda store: store.put("prod/db", NewVersion("hunter2", ID, (AWSPENDING,), "r" * 36)),
        "PutSecretValue",
        {
            "SecretId": "prod/db",
            "ClientRequestToken": ID,
            "SecretString": "hunter2",
            "VersionStages": ["AWSPENDING"],
            "RotationToken": "r" * 36,
        },
        PLACE | {"VersionStages": ["mine", "AWSPENDING"]},
        VersionPlace(ARN, "prod/db", ID, (AWSPENDING, "mine")),
    ),
    "put bytes": (
        lambda store: store.put("prod/db", NewVersion(b"\x00", ID)),
        "PutSecretValue",
        {"SecretId": "prod/db", "ClientRequestToken": ID, "SecretBinary": "AA==", "VersionStages": ["AWSCURRENT"]},
        PLACE | {"VersionStages": ["AWSCURRENT"]},
        VersionPlace(ARN, "prod/db", ID, (AWSCURRENT,)),
    ),
    "move": (
        lambda store: store.move_stage("prod/db", StageMove(AWSCURRENT, ID, OTHER_ID)),
        "UpdateSecretVersionStage",
        {
            "SecretId": "prod/db",
            "VersionStage": "AWSCURRENT",
            "MoveToVersionId": ID,
            "RemoveFromVersionId": OTHER_ID,
        },
        {"ARN": ARN},
        None,
    ),
    "move from nowhere": (
        lambda store: store.move_stage("prod/db", StageMove(AWSCURRENT, ID, None)),
        "UpdateSecretVersionStage",
        {"SecretId": "prod/db", "VersionStage": "AWSCURRENT", "MoveToVersionId": ID},
        {},
        None,
    ),
    "move away": (
        lambda store: store.move_stage("prod/db", StageMove(AWSPENDING, None, ID)),
        "UpdateSecretVersionStage",
        {"SecretId": "prod/db", "VersionStage": "AWSPENDING", "RemoveFromVersionId": ID},
        {},
        None,
    ),
    "delete": (
        lambda store: store.delete("prod/db", recovery_window_days=7),
        "DeleteSecret",
        {"SecretId": "prod/db", "RecoveryWindowInDays": 7},
        {"DeletionDate": 1_700_000_000},
        DATE,
    ),
    "delete for good": (
        lambda store: store.delete("prod/db", recovery_window_days=None),
        "DeleteSecret",
        {"SecretId": "prod/db", "ForceDeleteWithoutRecovery": True},
        {},
        None,
    ),
    "restore": (lambda store: store.restore("prod/db"), "RestoreSecret", {"SecretId": "prod/db"}, {}, None),
    "tag": (
        lambda store: store.tag("prod/db", {"team": "a"}),
        "TagResource",
        {"SecretId": "prod/db", "Tags": [{"Key": "team", "Value": "a"}]},
        {},
        None,
    ),
    "untag": (
        lambda store: store.untag("prod/db", ("team", "stage")),
        "UntagResource",
        {"SecretId": "prod/db", "TagKeys": ["team", "stage"]},
        {},
        None,
    ),
    "rotate": (
        lambda store: store.rotate("prod/db", token=ID),
        "RotateSecret",
        {"SecretId": "prod/db", "ClientRequestToken": ID, "RotateImmediately": True},
        PLACE,
        VersionPlace(ARN, "prod/db", ID, ()),
    ),
    "rotate with everything": (
        lambda store: store.rotate(
            "prod/db", token=ID, lambda_arn="arn:x", schedule="rate(30 days)", window="2h", immediately=False
        ),
        "RotateSecret",
        {
            "SecretId": "prod/db",
            "ClientRequestToken": ID,
            "RotationLambdaARN": "arn:x",
            "RotationRules": {"ScheduleExpression": "rate(30 days)", "Duration": "2h"},
            "RotateImmediately": False,
        },
        PLACE,
        VersionPlace(ARN, "prod/db", ID, ()),
    ),
    "cancel": (
        lambda store: store.cancel_rotation("prod/db"),
        "CancelRotateSecret",
        {"SecretId": "prod/db"},
        {"ARN": ARN, "Name": "prod/db"},
        VersionPlace(ARN, "prod/db", "", ()),
    ),
    "policy": (
        lambda store: store.policy("prod/db"),
        "GetResourcePolicy",
        {"SecretId": "prod/db"},
        {"ARN": ARN, "ResourcePolicy": "{}"},
        "{}",
    ),
    "no policy": (lambda store: store.policy("prod/db"), "GetResourcePolicy", {"SecretId": "prod/db"}, {}, None),
    "put policy": (
        lambda store: store.put_policy("prod/db", "{}"),
        "PutResourcePolicy",
        {"SecretId": "prod/db", "ResourcePolicy": "{}", "BlockPublicPolicy": True},
        {},
        None,
    ),
    "delete policy": (
        lambda store: store.delete_policy("prod/db"),
        "DeleteResourcePolicy",
        {"SecretId": "prod/db"},
        {},
        None,
    ),
    "validate policy": (
        lambda store: store.validate_policy("{}"),
        "ValidateResourcePolicy",
        {"ResourcePolicy": "{}"},
        {"PolicyValidationPassed": True},
        (),
    ),
    "validate a policy that is wrong": (
        lambda store: store.validate_policy("{}", secret_id="prod/db"),
        "ValidateResourcePolicy",
        {"ResourcePolicy": "{}", "SecretId": "prod/db"},
        {"PolicyValidationPassed": False, "ValidationErrors": [{"CheckName": "PUBLIC", "ErrorMessage": "too broad"}]},
        (PolicyFinding("PUBLIC", "too broad"),),
    ),
    "validate a policy that is wrong for no reason": (
        lambda store: store.validate_policy("{}"),
        "ValidateResourcePolicy",
        {"ResourcePolicy": "{}"},
        {},
        (PolicyFinding("", "the service does not say why"),),
    ),
    "replicate": (
        lambda store: store.replicate("prod/db", {"us-east-1": ""}, overwrite=True),
        "ReplicateSecretToRegions",
        {
            "SecretId": "prod/db",
            "AddReplicaRegions": [{"Region": "us-east-1"}],
            "ForceOverwriteReplicaSecret": True,
        },
        {"ReplicationStatus": [{"Region": "us-east-1", "Status": "InProgress"}]},
        (Replica("us-east-1", "InProgress"),),
    ),
    "remove replicas": (
        lambda store: store.remove_replicas("prod/db", {"us-east-1"}),
        "RemoveRegionsFromReplication",
        {"SecretId": "prod/db", "RemoveReplicaRegions": ["us-east-1"]},
        {"ReplicationStatus": []},
        (),
    ),
    "stop replication": (
        lambda store: store.stop_replication("prod/db"),
        "StopReplicationToReplica",
        {"SecretId": "prod/db"},
        {"ARN": ARN},
        ARN,
    ),
}


@pytest.mark.parametrize("name", SENT)
def test_a_call_is_sent_so(name: str, service: ScriptedService, store: SecretsManagerStore) -> None:
    call, operation, request, answer, result = SENT[name]
    service.on(operation, answer)
    assert call(store) == result
    assert service.asked == [Asked("eu-west-1", operation, request)]


def test_a_secret_without_a_value_is_created_under_a_token_too(
    service: ScriptedService, store: SecretsManagerStore
) -> None:
    service.on("CreateSecret", {"ARN": ARN, "Name": "prod/db"})
    assert store.create(NewSecret("prod/db")) == VersionPlace(ARN, "prod/db", "", ())
    assert service.last() == {"Name": "prod/db", "ClientRequestToken": service.last()["ClientRequestToken"]}


def test_an_update_sends_what_changes(service: ScriptedService, store: SecretsManagerStore) -> None:
    service.on("UpdateSecret", PLACE)
    store.update("prod/db", description="")
    assert service.last() == {
        "SecretId": "prod/db",
        "Description": "",
        "ClientRequestToken": service.last()["ClientRequestToken"],
    }
    store.update("prod/db", kms_key_id="alias/app")
    assert {"KmsKeyId", "SecretId", "ClientRequestToken"} == set(service.last())


def test_a_repeated_call_of_botocore_has_the_same_token() -> None:
    service = ScriptedService("secretsmanager")
    service.on("PutSecretValue", Refused("ThrottlingException"), PLACE | {"VersionStages": ["AWSCURRENT"]})
    store = SecretsManagerStore(
        region="eu-west-1", client_for_region=lambda region: service.client_for_region(region, max_attempts=2)
    )
    store.put("prod/db", VERSION)
    assert [asked.request["ClientRequestToken"] for asked in service.asked] == [ID, ID]


# --- arguments

TOO_LONG = "x" * 2_049

WRONG: dict[str, tuple[Call, str]] = {
    "an id that is no text": (lambda store: store.read(7), "secret_id must be a name or an ARN, not int"),  # type: ignore[arg-type]
    "an empty id": (lambda store: store.read(""), "secret_id has 0 characters"),
    "a long id": (lambda store: store.describe(TOO_LONG), "secret_id has 2,049 characters"),
    "an id in two lines": (lambda store: store.describe("a\nb"), "secret_id has a character that cannot be printed"),
    "neither stage nor version": (lambda store: store.read("a", stage=None), "neither stage nor version_id is given"),
    "a stage that is no text": (lambda store: store.read("a", stage=1), "stage must be a staging label, not int"),  # type: ignore[arg-type]
    "an empty stage": (lambda store: store.read("a", stage=""), "stage has a label that must have 1 to 256"),
    "an empty version": (lambda store: store.read("a", version_id=""), "version_id has 0 characters"),
    "a version that is no text": (lambda store: store.read("a", version_id=b"1"), "version_id must be text"),  # type: ignore[arg-type]
    "ids that are a text": (
        lambda store: store.read_many("ab"),
        "secret_ids must be a list of names and ARNs, not str",
    ),
    "ids that are none": (lambda store: store.read_many(None), "secret_ids must be a list"),  # type: ignore[arg-type]
    "one id that is no text": (lambda store: store.read_many(["a", 7]), "secret_id must be a name or an ARN, not int"),  # type: ignore[list-item]
    "a flag": (lambda store: store.versions("a", include_deprecated="no"), "include_deprecated must be True or False"),  # type: ignore[arg-type]
    "a prefix": (lambda store: store.list(prefix="!x"), "prefix must have only the letters"),
    "a prefix that is no text": (lambda store: store.list(prefix=None), "prefix must be text"),  # type: ignore[arg-type]
    "a flag of the list": (lambda store: store.list(include_deleted=1), "include_deleted must be True or False"),  # type: ignore[arg-type]
    "no secret": (lambda store: store.create("a"), "secret must be a NewSecret, not str"),  # type: ignore[arg-type]
    "a name": (lambda store: store.create(NewSecret("a b")), "name must have only the letters"),
    "an empty name": (lambda store: store.create(NewSecret("")), "name has 0 characters"),
    "a description": (lambda store: store.create(NewSecret("a", description=TOO_LONG)), "description must have 0 to"),
    "tags": (lambda store: store.create(NewSecret("a", tags={"aws:x": ""})), "tags has a name that begins with aws:"),
    "a key": (lambda store: store.create(NewSecret("a", kms_key_id=TOO_LONG)), "kms_key_id has 2,049 characters"),
    "a replica": (lambda store: store.create(NewSecret("a", replica_regions={"": ""})), "replica_regions must be"),
    "a value": (lambda store: store.create(NewSecret("a", NewVersion("", ID))), "value must have 1 to 65,536 bytes"),
    "a first version that is pending": (
        lambda store: store.create(NewSecret("a", NewVersion("hunter2", ID, (AWSPENDING,)))),
        "the first version of a secret gets AWSCURRENT and nothing else",
    ),
    "a first version that is rotated": (
        lambda store: store.create(NewSecret("a", NewVersion("hunter2", ID, rotation_token="r" * 36))),
        "the first version of a secret",
    ),
    "no version": (lambda store: store.put("a", "hunter2"), "version must be a NewVersion, not str"),  # type: ignore[arg-type]
    "a token": (lambda store: store.put("a", NewVersion("hunter2", "short")), "token must have 32 to 64"),
    "stages": (lambda store: store.put("a", NewVersion("hunter2", ID, ())), "stages must have 1 to 20 labels"),
    "a rotation token": (
        lambda store: store.put("a", NewVersion("hunter2", ID, rotation_token="no token")),
        "rotation_token is no RotationToken",
    ),
    "an update of nothing": (lambda store: store.update("a"), "neither description nor kms_key_id is given"),
    "an update": (lambda store: store.update("a", description=TOO_LONG), "description must have"),
    "an update of the key": (lambda store: store.update("a", kms_key_id=TOO_LONG), "kms_key_id has"),
    "no move": (lambda store: store.move_stage("a", "x"), "move must be a StageMove, not str"),  # type: ignore[arg-type]
    "a move to and from nowhere": (
        lambda store: store.move_stage("a", StageMove("x", None, None)),
        "the move of x names no version",
    ),
    "a move of the current label to nowhere": (
        lambda store: store.move_stage("a", StageMove(AWSCURRENT, None, ID)),
        "AWSCURRENT cannot be taken away",
    ),
    "a move of no label": (lambda store: store.move_stage("a", StageMove("", ID, None)), "stage has a label that"),
    "a move to no version": (lambda store: store.move_stage("a", StageMove("x", "", None)), "version_id has 0"),
    "a window": (lambda store: store.delete("a", recovery_window_days=6), "recovery_window_days must be 7 to 30"),
    "tags to set": (lambda store: store.tag("a", ["x"]), "tags must map names to values"),  # type: ignore[arg-type]
    "tags to take": (lambda store: store.untag("a", "x"), "names must be a list of names of tags, not str"),
    "a tag to take": (lambda store: store.untag("a", [""]), "names has a name that must have 1 to 128"),
    "a rotation": (lambda store: store.rotate("a", token="x"), "token must have 32 to 64"),
    "a schedule": (lambda store: store.rotate("a", token=ID, schedule="daily"), "schedule must be like"),
    "a window of rotation": (lambda store: store.rotate("a", token=ID, window="2"), "window must be a number of hours"),
    "a function": (lambda store: store.rotate("a", token=ID, lambda_arn=TOO_LONG), "lambda_arn has 2,049"),
    "a flag of rotation": (lambda store: store.rotate("a", token=ID, immediately=1), "immediately must be True"),  # type: ignore[arg-type]
    "a policy": (lambda store: store.put_policy("a", "no"), "policy must be a JSON document"),
    "a flag of the policy": (lambda store: store.put_policy("a", "{}", block_public=1), "block_public must be"),  # type: ignore[arg-type]
    "a policy to validate": (lambda store: store.validate_policy("[]"), "policy must be a JSON object"),
    "an id beside it": (lambda store: store.validate_policy("{}", secret_id=""), "secret_id has 0 characters"),
    "no regions": (lambda store: store.replicate("a", ["us-east-1"]), "regions must map regions to KMS keys"),  # type: ignore[arg-type]
    "a version that is short": (
        lambda store: store.read("a", version_id="x"),
        "version_id must have 32 to 64 characters",
    ),
    "a move to a short one": (
        lambda store: store.move_stage("a", StageMove("b", "x", None)),
        "to_version must have 32",
    ),
    "a move from a short one": (
        lambda store: store.move_stage("a", StageMove("b", None, "x")),
        "from_version must have 32",
    ),
    "copies nowhere": (lambda store: store.replicate("a", {}), "regions must be one at least"),
    "no copies to remove": (lambda store: store.remove_replicas("a", []), "regions must be one at least"),
    "a region's key": (lambda store: store.replicate("a", {"us-east-1": TOO_LONG}), "a KMS key has 2,049"),
    "a flag of replicas": (lambda store: store.replicate("a", {}, overwrite=1), "overwrite must be True or False"),  # type: ignore[arg-type]
    "regions to leave": (lambda store: store.remove_replicas("a", "us-east-1"), "regions must be a list of regions"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_argument_is_refused_before_the_call(
    name: str, service: ScriptedService, store: SecretsManagerStore
) -> None:
    call, text = WRONG[name]
    with pytest.raises(InvalidArgument, match=text) as caught:
        call(store)
    assert service.asked == []
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"aws": "eu-west-1"}, "aws must be an Aws, not str"),
        ({"region": ""}, "region must be the name of a region"),
        ({"aws": Aws(), "client_for_region": lambda region: None}, "client_for_region excludes aws"),
        ({"client_for_region": "x"}, "client_for_region must be a function of a region"),
        ({"replica_regions": "us-east-1"}, "replica_regions must be a list of regions, not str"),
        ({"replica_regions": [1]}, "replica_regions must be the name of a region, not int"),
    ],
)
def test_options_are_checked_where_they_are_given(options: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidArgument, match=text):
        SecretsManagerStore(**options)


# --- what it is


def test_it_is_what_the_protocols_say(store: SecretsManagerStore) -> None:
    for protocol in (SecretStore, Rotates, HasPolicies, Replicates):
        assert isinstance(store, protocol)
        for name, method in inspect.getmembers(protocol, inspect.isfunction):
            if not name.startswith("_"):
                assert inspect.signature(method) == inspect.signature(getattr(SecretsManagerStore, name)), name
    assert not isinstance(store, HasTrees)


def test_its_repr_says_where_it_reads() -> None:
    assert repr(SecretsManagerStore()) == "SecretsManagerStore()"
    shown = SecretsManagerStore(region="eu-west-1", replica_regions=["us-east-1"])
    assert repr(shown) == "SecretsManagerStore(region='eu-west-1', replica_regions=('us-east-1',))"


def test_what_is_read_many_times_is_asked_for_once_each(service: ScriptedService, store: SecretsManagerStore) -> None:
    service.on("BatchGetSecretValue", {"SecretValues": [VALUE]})
    assert list(store.read_many(["prod/db", "prod/db"])) == ["prod/db"]
    assert service.last() == {"SecretIdList": ["prod/db"]}


def test_nothing_is_asked_for_if_nothing_is_to_be_read(service: ScriptedService, store: SecretsManagerStore) -> None:
    assert store.read_many([]) == {}
    assert service.asked == []


def test_an_error_says_what_was_called_on_what(service: ScriptedService, store: SecretsManagerStore) -> None:
    service.on("GetSecretValue", Refused("ResourceNotFoundException", "Secrets Manager can't find the secret."))
    with pytest.raises(SecretNotFound) as caught:
        store.read("prod/db")
    assert str(caught.value) == (
        "secretsmanager:GetSecretValue on prod/db failed: there is no such secret "
        "(ResourceNotFoundException, request id request-1)"
    )
    assert (caught.value.code, caught.value.request_id) == ("ResourceNotFoundException", "request-1")
    assert isinstance(caught.value, EnvelopeError)
    assert caught.value.__cause__ is caught.value.__context__ is None


@pytest.mark.parametrize(
    "date",
    [
        datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-14))),
    ],
    ids=["first", "last"],
)
def test_a_date_that_no_date_can_be_is_an_error(date: datetime) -> None:
    with pytest.raises(AwsError, match="has a CreatedDate that is no date of this age"):
        Answer.of("secretsmanager:GetSecretValue", {"CreatedDate": date}).date("CreatedDate")
