"""Creating, finding, listing, deleting and restoring secrets of the fake; sizes and names; its passwords."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from envelope_secrets.testing import FaultySecretsManager
from tests.fake_secrets_for_tests import ACCOUNT, FUNCTION, NAME, UNKNOWN, V1, V2, created, labels, policy, put, refused

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(name="fake")
def _fake() -> FaultySecretsManager:
    return FaultySecretsManager()


# Names and ARNs


def test_a_secret_is_found_by_name_arn_and_arn_without_its_suffix(fake: FaultySecretsManager) -> None:
    client = created(fake)
    arn = client.describe_secret(SecretId=NAME)["ARN"]
    assert re.fullmatch(rf"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:prod/db-[A-Za-z0-9]{{6}}", arn)
    for secret_id in (NAME, arn, arn[:-7]):
        assert client.get_secret_value(SecretId=secret_id)["ARN"] == arn
    for secret_id in ("prod", f"{NAME}x", arn[:-1], arn.replace("eu-west-1", "us-east-1")):
        with refused("ResourceNotFoundException", "can't find the specified secret."):
            client.get_secret_value(SecretId=secret_id)
    for secret_id in ("arn:aws:sns:eu-west-1:111122223333:topic", "arn:x"):
        with refused("InvalidParameterException", "ARN"):
            client.get_secret_value(SecretId=secret_id)


def test_a_name_that_ends_like_a_suffix_is_not_found_by_its_partial_arn(fake: FaultySecretsManager) -> None:
    client = created(fake, "invalid/name-a1b2c3")
    arn = client.describe_secret(SecretId="invalid/name-a1b2c3")["ARN"]
    assert client.get_secret_value(SecretId=arn)["SecretString"] == "one"
    with refused("ResourceNotFoundException"):
        client.get_secret_value(SecretId=arn[:-7])


def test_a_recreated_secret_has_another_arn_and_the_old_one_finds_nothing(fake: FaultySecretsManager) -> None:
    client = created(fake)
    arn = client.describe_secret(SecretId=NAME)["ARN"]
    client.delete_secret(SecretId=NAME, ForceDeleteWithoutRecovery=True)
    created(fake, value="other")
    assert client.get_secret_value(SecretId=arn[:-7])["SecretString"] == "other"
    with refused("ResourceNotFoundException"):
        client.get_secret_value(SecretId=arn)


def test_regions_and_accounts_have_their_own_secrets(fake: FaultySecretsManager) -> None:
    created(fake)
    for client in (fake.client("us-east-1"), fake.client(account="444455556666")):
        with refused("ResourceNotFoundException"):
            client.get_secret_value(SecretId=NAME)
    there: Any = fake.client("cn-north-1")
    assert there.create_secret(Name=NAME)["ARN"].startswith("arn:aws-cn:secretsmanager:cn-north-1:")


# Sizes


def test_a_value_is_measured_in_bytes(fake: FaultySecretsManager) -> None:
    client = created(fake)
    client.put_secret_value(SecretId=NAME, SecretString="x" * 65_536)
    client.put_secret_value(SecretId=NAME, SecretString="é" * 32_768)
    for value in ("x" * 65_537, "é" * 32_769):
        with refused("InvalidParameterException", "bytes"):
            client.put_secret_value(SecretId=NAME, SecretString=value)
    with refused("InvalidParameterException", "bytes"):
        client.update_secret(SecretId=NAME, SecretBinary=bytes(65_537))


@pytest.mark.parametrize(
    "arguments",
    [
        {"Name": "with space"},
        {"Name": "x" * 513},
        {"Name": "é"},
        {"Description": "x" * 2_049},
        {"KmsKeyId": "x" * 2_049},
        {"Tags": [{"Key": "x" * 129, "Value": ""}]},
        {"Tags": [{"Key": "aws:x", "Value": ""}]},
        {"Tags": [{"Key": "x", "Value": ""}, {"Key": "x", "Value": ""}]},
        {"Tags": [{"Key": f"x{number}", "Value": ""} for number in range(51)]},
        {"ClientRequestToken": "x" * 65},
        {"AddReplicaRegions": [{"Region": "eu-west-1"}]},
        {"AddReplicaRegions": [{"Region": "us-east-1"}, {"Region": "us-east-1"}]},
        {"AddReplicaRegions": [{"Region": "nowhere"}]},
        {"Type": "SomebodyElse"},
    ],
    ids=lambda arguments: str(arguments)[:40],
)
def test_a_secret_is_not_created_with_what_the_service_does_not_take(
    fake: FaultySecretsManager, arguments: dict[str, Any]
) -> None:
    client: Any = fake.client()
    with refused("InvalidParameterException"):
        client.create_secret(**{"Name": NAME, "SecretString": "x", **arguments})
    assert client.list_secrets()["SecretList"] == []


def test_other_parameters_have_their_limits_too(fake: FaultySecretsManager) -> None:
    client = created(fake)
    with refused("InvalidParameterException", "VersionStages"):
        put(client, 2, *[f"label-{number}" for number in range(21)])
    with refused("InvalidParameterException", "VersionStages"):
        put(client, 2, "x" * 257)
    with refused("InvalidParameterException", "VersionStage "):
        client.get_secret_value(SecretId=NAME, VersionStage="x" * 257)
    with refused("InvalidParameterException", "MaxResults"):
        client.list_secrets(MaxResults=101)
    with refused("InvalidParameterException", "RotationToken"):
        client.put_secret_value(SecretId=NAME, SecretString="x", RotationToken="_" * 40)
    with refused("InvalidParameterException", "default"):
        client.get_resource_policy(SecretId=NAME, PolicyName="another")
    with refused("InvalidParameterException", "SecretId"):
        client.get_secret_value(SecretId="x" * 2_049)


def test_what_the_fake_does_not_have_it_refuses_by_name(fake: FaultySecretsManager) -> None:
    client = created(fake)
    arn = client.describe_secret(SecretId=NAME)["ARN"]
    with refused("InvalidRequestException", "AssociateCrossAccountReplica"):
        client.associate_cross_account_replica(SecretId=NAME, CrossAccountReplicaARN=arn)
    with refused("InvalidParameterException", "CrossAccountPrimaryARN"):
        client.create_secret(Name="x", CrossAccountPrimaryARN=arn)


# Deletion


def test_a_deletion_takes_as_long_as_it_was_asked_for(fake: FaultySecretsManager) -> None:
    client = created(fake)
    told = client.delete_secret(SecretId=NAME, RecoveryWindowInDays=7)
    assert told["DeletionDate"] == START + timedelta(days=7)
    fake.clock.advance(7 * 86_400 - 1)
    assert client.describe_secret(SecretId=NAME)["DeletedDate"] == START
    fake.clock.advance(1)
    with refused("ResourceNotFoundException"):
        client.describe_secret(SecretId=NAME)
    created(fake)


def test_a_deletion_takes_thirty_days_by_default(fake: FaultySecretsManager) -> None:
    client = created(fake)
    assert client.delete_secret(SecretId=NAME)["DeletionDate"] == START + timedelta(days=30)


@pytest.mark.parametrize("days", [6, 31])
def test_a_recovery_window_has_seven_to_thirty_days(fake: FaultySecretsManager, days: int) -> None:
    client = created(fake)
    with refused("InvalidParameterException", "7 to 30 days"):
        client.delete_secret(SecretId=NAME, RecoveryWindowInDays=days)
    with refused("InvalidParameterException", "in conjunction"):
        client.delete_secret(SecretId=NAME, RecoveryWindowInDays=7, ForceDeleteWithoutRecovery=True)
    assert client.get_secret_value(SecretId=NAME)["SecretString"] == "one"


REFUSED_WHILE_DELETED = [
    ("get_secret_value", {}),
    ("put_secret_value", {"SecretString": "x"}),
    ("put_secret_value", {"SecretString": "one", "ClientRequestToken": V1}),
    ("update_secret", {"Description": "x"}),
    ("update_secret_version_stage", {"VersionStage": "green", "MoveToVersionId": V1}),
    ("rotate_secret", {"RotationLambdaARN": FUNCTION}),
    ("cancel_rotate_secret", {}),
    ("tag_resource", {"Tags": [{"Key": "a", "Value": "b"}]}),
    ("untag_resource", {"TagKeys": ["a"]}),
    ("get_resource_policy", {}),
    ("put_resource_policy", {"ResourcePolicy": policy()}),
    ("delete_resource_policy", {}),
    ("delete_secret", {}),
    ("replicate_secret_to_regions", {"AddReplicaRegions": [{"Region": "us-east-1"}]}),
]


@pytest.mark.parametrize(("method", "arguments"), REFUSED_WHILE_DELETED, ids=lambda value: str(value)[:40])
def test_a_secret_that_is_scheduled_for_deletion_can_be_described_and_restored_and_nothing_else(
    fake: FaultySecretsManager, method: str, arguments: dict[str, Any]
) -> None:
    client = created(fake)
    client.delete_secret(SecretId=NAME)
    with refused("InvalidRequestException", "deletion"):
        getattr(client, method)(SecretId=NAME, **arguments)
    client.restore_secret(SecretId=NAME)
    assert "DeletedDate" not in client.describe_secret(SecretId=NAME)
    assert client.get_secret_value(SecretId=NAME)["VersionId"] == V1


def test_the_name_of_a_secret_that_is_scheduled_for_deletion_is_taken(fake: FaultySecretsManager) -> None:
    client = created(fake)
    client.delete_secret(SecretId=NAME)
    with refused("InvalidRequestException", "already scheduled for deletion"):
        created(fake)
    client.delete_secret(SecretId=NAME, ForceDeleteWithoutRecovery=True)
    created(fake, value="other")


def test_a_secret_that_lives_cannot_be_restored(fake: FaultySecretsManager) -> None:
    client = created(fake)
    with refused("InvalidRequestException", "not scheduled"):
        client.restore_secret(SecretId=NAME)


def test_deleting_by_force_what_is_not_there_is_no_error(fake: FaultySecretsManager) -> None:
    client: Any = fake.client()
    assert client.delete_secret(SecretId="nothing", ForceDeleteWithoutRecovery=True)["Name"] == "nothing"
    with refused("ResourceNotFoundException"):
        client.delete_secret(SecretId="nothing")
    own = f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:nothing-abcdef"
    with refused("ResourceNotFoundException"):
        client.delete_secret(SecretId=own, ForceDeleteWithoutRecovery=True)


def test_a_name_can_stay_taken_for_a_while_after_a_deletion_by_force() -> None:
    fake = FaultySecretsManager(deletion_delay_s=60)
    client = created(fake)
    client.delete_secret(SecretId=NAME, ForceDeleteWithoutRecovery=True)
    with refused("InvalidRequestException", "already scheduled for deletion"):
        created(fake)
    fake.clock.advance(60)
    created(fake)


# Tags, descriptions, lists


def test_tags_are_added_replaced_and_taken_away(fake: FaultySecretsManager) -> None:
    client = created(fake, Tags=[{"Key": "team", "Value": "shop"}])
    client.tag_resource(SecretId=NAME, Tags=[{"Key": "team", "Value": "pay"}, {"Key": "stage", "Value": "prod"}])
    client.untag_resource(SecretId=NAME, TagKeys=["stage", "unknown"])
    assert client.describe_secret(SecretId=NAME)["Tags"] == [{"Key": "team", "Value": "pay"}]
    with refused("InvalidParameterException", "Tags"):
        client.tag_resource(SecretId=NAME, Tags=[{"Key": f"t{number}", "Value": ""} for number in range(50)])


def test_a_description_tells_what_is_known_and_leaves_out_the_rest(fake: FaultySecretsManager) -> None:
    client = created(fake, Description="of the shop", KmsKeyId="alias/shop")
    told = client.describe_secret(SecretId=NAME)
    del told["ResponseMetadata"]
    arn = told.pop("ARN")
    assert arn.endswith(arn[-6:])
    assert told == {
        "Name": NAME,
        "Description": "of the shop",
        "KmsKeyId": "alias/shop",
        "CreatedDate": START,
        "LastChangedDate": START,
        "VersionIdsToStages": {V1: ["AWSCURRENT"]},
    }
    fake.clock.advance(86_400 * 1.5)
    client.get_secret_value(SecretId=NAME)
    client.get_secret_value(SecretId=NAME)
    assert client.describe_secret(SecretId=NAME)["LastAccessedDate"] == START + timedelta(days=1)
    version = client.list_secret_version_ids(SecretId=NAME)["Versions"][0]
    assert (version["LastAccessedDate"], version["KmsKeyIds"]) == (START + timedelta(days=1), ["alias/shop"])


def test_a_key_is_only_noted_without_a_kms(fake: FaultySecretsManager) -> None:
    client = created(fake)
    client.update_secret(SecretId=NAME, KmsKeyId="alias/shop")
    assert client.describe_secret(SecretId=NAME)["KmsKeyId"] == "alias/shop"


def test_lists_come_in_pages_in_the_order_that_was_asked_for(fake: FaultySecretsManager) -> None:
    client: Any = fake.client()
    for name in ("b", "a", "c"):
        client.create_secret(Name=name, SecretString=name)
        fake.clock.advance(86_400)
    client.get_secret_value(SecretId="a")

    def names(**arguments: Any) -> str:
        pages = client.get_paginator("list_secrets").paginate(PaginationConfig={"PageSize": 2}, **arguments)
        return "".join(secret["Name"] for page in pages for secret in page["SecretList"])

    assert names() == "cab"
    assert names(SortBy="name", SortOrder="asc") == "abc"
    assert names(SortBy="last-changed-date") == "cab"
    assert names(SortBy="last-accessed-date")[0] == "a"
    client.delete_secret(SecretId="b")
    assert names() == "ca"
    assert names(IncludePlannedDeletion=True) == "cab"
    with refused("InvalidParameterException", "SortBy"):
        client.list_secrets(SortBy="size")
    for marker in ("x", "9"):
        with refused("InvalidNextTokenException"):
            client.list_secrets(NextToken=marker)


def test_versions_come_in_pages_too(fake: FaultySecretsManager) -> None:
    client = created(fake)
    for number in range(2, 6):
        put(client, number, f"label-{number}")
    first = client.list_secret_version_ids(SecretId=NAME, MaxResults=3)
    second = client.list_secret_version_ids(SecretId=NAME, MaxResults=3, NextToken=first["NextToken"])
    assert (len(first["Versions"]), len(second["Versions"]), "NextToken" in second) == (3, 2, False)


FILTERS = [
    ("name", ["prod/"], "prod/db prod/web"),
    ("name", ["rod/"], ""),
    ("name", ["Prod"], ""),
    ("name", ["!prod/"], "Test"),
    ("name", ["prod/w", "Te"], "Test prod/web"),
    ("description", ["the SHOP"], "prod/db"),
    ("tag-key", ["team"], "prod/web"),
    ("tag-value", ["pa"], "prod/web"),
    ("tag-value", ["Pa"], ""),
    ("all", ["SHOP"], "prod/db"),
    ("all", ["web nothing"], "prod/web"),
    ("owning-service", ["rds"], "Test"),
    ("primary-region", ["eu-"], "prod/db"),
]


@pytest.mark.parametrize(("key", "values", "expected"), FILTERS)
def test_filters_choose_secrets(fake: FaultySecretsManager, key: str, values: list[str], expected: str) -> None:
    client = created(fake, Description="The shop", AddReplicaRegions=[{"Region": "us-east-1"}])
    client.create_secret(Name="prod/web", SecretString="w", Tags=[{"Key": "team", "Value": "pay"}])
    client.create_secret(Name="Test", SecretString="t")
    fake.set_owner("Test", "rds")
    filters = [{"Key": key, "Values": values}]
    assert " ".join(sorted(s["Name"] for s in client.list_secrets(Filters=filters)["SecretList"])) == expected
    batch = client.batch_get_secret_value(Filters=filters)
    assert " ".join(sorted(value["Name"] for value in batch["SecretValues"])) == expected


def test_unknown_filters_are_refused(fake: FaultySecretsManager) -> None:
    client: Any = fake.client()
    for one in ({"Key": "colour", "Values": ["x"]}, {"Key": "name", "Values": ["#"]}, {"Key": "name"}):
        with refused("InvalidParameterException", "Filters"):
            client.list_secrets(Filters=[one])


# Many at once


def test_a_batch_brings_a_value_or_an_error_for_each(fake: FaultySecretsManager) -> None:
    client = created(fake)
    created(fake, "gone")
    client.delete_secret(SecretId="gone")
    created(fake, "denied")
    fake.deny("GetSecretValue", secret="denied")
    told = client.batch_get_secret_value(SecretIdList=[NAME, "gone", "missing", "denied", NAME])
    assert [(value["Name"], value["VersionStages"]) for value in told["SecretValues"]] == [(NAME, ["AWSCURRENT"])]
    assert {error["SecretId"]: error["ErrorCode"] for error in told["Errors"]} == {
        "gone": "InvalidRequestException",
        "missing": "ResourceNotFoundException",
        "denied": "AccessDeniedException",
    }


def test_a_batch_by_filters_comes_in_pages(fake: FaultySecretsManager) -> None:
    client: Any = fake.client()
    for number in range(25):
        client.create_secret(Name=f"s{number:02}", SecretString="x")
    client.delete_secret(SecretId="s24")
    first = client.batch_get_secret_value(Filters=[{"Key": "name", "Values": ["s"]}])
    assert (len(first["SecretValues"]), first["NextToken"]) == (20, "20")
    second = client.batch_get_secret_value(Filters=[{"Key": "name", "Values": ["s"]}], NextToken="20", MaxResults=20)
    assert (len(second["SecretValues"]), "NextToken" in second, second["Errors"]) == (4, False, [])


def test_a_batch_is_asked_for_by_ids_or_by_filters(fake: FaultySecretsManager) -> None:
    client: Any = fake.client()
    filters = [{"Key": "name", "Values": ["s"]}]
    for arguments in ({}, {"SecretIdList": ["a"], "Filters": filters}):
        with refused("InvalidParameterException", "either"):
            client.batch_get_secret_value(**arguments)
    with refused("InvalidParameterException", "SecretIdList"):
        client.batch_get_secret_value(SecretIdList=[f"s{number}" for number in range(21)])
    with refused("InvalidParameterException", "Filters only"):
        client.batch_get_secret_value(SecretIdList=["a"], MaxResults=5)
    with refused("InvalidParameterException", "MaxResults"):
        client.batch_get_secret_value(Filters=filters, MaxResults=21)


# Passwords


def test_a_password_has_a_character_of_each_kind(fake: FaultySecretsManager) -> None:
    client: Any = fake.client()
    for _ in range(20):
        password = client.get_random_password(PasswordLength=4)["RandomPassword"]
        assert re.search("[a-z]", password)
        assert re.search("[A-Z]", password)
        assert re.search("[0-9]", password)
        assert re.search("[^a-zA-Z0-9]", password)
    assert len(client.get_random_password()["RandomPassword"]) == 32


def test_a_password_leaves_out_what_it_is_told_to(fake: FaultySecretsManager) -> None:
    client: Any = fake.client()
    password = client.get_random_password(
        PasswordLength=200,
        ExcludeNumbers=True,
        ExcludePunctuation=True,
        ExcludeUppercase=True,
        ExcludeCharacters="abc",
    )["RandomPassword"]
    assert re.fullmatch("[d-z]{200}", password)
    assert client.get_random_password(PasswordLength=2, RequireEachIncludedType=False)["RandomPassword"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"PasswordLength": 3},
        {"PasswordLength": 4_097},
        {"ExcludeCharacters": "0123456789"},
        {
            "ExcludeNumbers": True,
            "ExcludePunctuation": True,
            "ExcludeUppercase": True,
            "ExcludeLowercase": True,
        },
    ],
    ids=str,
)
def test_an_impossible_password_is_refused(fake: FaultySecretsManager, arguments: dict[str, Any]) -> None:
    client: Any = fake.client()
    with refused("InvalidParameterException"):
        client.get_random_password(**arguments)


def test_a_secret_that_a_service_manages_can_be_read_only(fake: FaultySecretsManager) -> None:
    client = created(fake)
    fake.set_owner(NAME, "rds")
    assert client.get_secret_value(SecretId=NAME)["SecretString"] == "one"
    assert client.describe_secret(SecretId=NAME)["OwningService"] == "rds"
    with refused("InvalidRequestException", "managed by rds"):
        put(client, 2)
    assert labels(client) == "v1:C"


def test_a_version_that_does_not_exist_is_not_moved_to(fake: FaultySecretsManager) -> None:
    client = created(fake)
    with refused("ResourceNotFoundException"):
        client.update_secret_version_stage(
            SecretId=NAME, VersionStage="AWSCURRENT", RemoveFromVersionId=V1, MoveToVersionId=UNKNOWN
        )
    assert V2 not in labels(client)
