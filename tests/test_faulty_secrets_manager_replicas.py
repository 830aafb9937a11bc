"""Copies of a secret in other regions: read there, written at home, late on demand."""

from __future__ import annotations

from typing import Any

import pytest

from envelope.errors import InvalidArgument
from envelope_secrets.testing import FaultySecretsManager
from tests.fake_secrets_for_tests import NAME, V1, created, labels, policy, put, refused

THERE = "us-east-1"
TO_THERE: dict[str, Any] = {"AddReplicaRegions": [{"Region": THERE}]}


@pytest.fixture(name="fake")
def _fake() -> FaultySecretsManager:
    return FaultySecretsManager()


def value_there(fake: FaultySecretsManager) -> str:
    told: str = fake.client(THERE).get_secret_value(SecretId=NAME)["SecretString"]
    return told


def test_a_replica_has_the_same_versions_under_the_arn_of_its_region(fake: FaultySecretsManager) -> None:
    client = created(fake, **TO_THERE)
    arn = client.describe_secret(SecretId=NAME)["ARN"].replace("eu-west-1", THERE)
    there: Any = fake.client(THERE)
    for secret_id in (NAME, arn, arn[:-7]):
        told = there.get_secret_value(SecretId=secret_id)
        assert (told["ARN"], told["VersionId"], told["SecretString"]) == (arn, V1, "one")
    put(client, 2)
    assert value_there(fake) == "value-2"
    assert labels(there) == "v1:V v2:C"
    told = there.describe_secret(SecretId=NAME)
    assert (told["ARN"], told["PrimaryRegion"]) == (arn, "eu-west-1")
    assert [secret["ARN"] for secret in there.list_secrets()["SecretList"]] == [arn]


def test_a_replica_cannot_be_written(fake: FaultySecretsManager) -> None:
    created(fake, **TO_THERE)
    there: Any = fake.client(THERE)
    for call in (
        lambda: put(there, 2),
        lambda: there.delete_secret(SecretId=NAME),
        lambda: there.rotate_secret(SecretId=NAME),
        lambda: there.put_resource_policy(SecretId=NAME, ResourcePolicy=policy()),
    ):
        with refused("InvalidParameterException", "replica secret. Call must be made in primary"):
            call()


def test_a_change_is_on_its_way_as_long_as_the_test_says(fake: FaultySecretsManager) -> None:
    fake.delay_replication(30)
    client = created(fake, **TO_THERE)
    status = client.describe_secret(SecretId=NAME)["ReplicationStatus"]
    assert status == [{"Region": THERE, "KmsKeyId": "alias/aws/secretsmanager", "Status": "InProgress"}]
    with refused("ResourceNotFoundException"):
        value_there(fake)
    assert fake.client(THERE).list_secrets()["SecretList"] == []
    fake.clock.advance(30)
    assert client.describe_secret(SecretId=NAME)["ReplicationStatus"][0]["Status"] == "InSync"
    put(client, 2)
    fake.clock.advance(29)
    assert value_there(fake) == "one"
    fake.clock.advance(1)
    assert value_there(fake) == "value-2"
    with pytest.raises(InvalidArgument, match="seconds must be a number of seconds"):
        fake.delay_replication(-1)


def test_a_secret_with_replicas_cannot_be_deleted(fake: FaultySecretsManager) -> None:
    client = created(fake, **TO_THERE)
    for arguments in ({}, {"ForceDeleteWithoutRecovery": True}):
        with refused("InvalidParameterException", "still has replica regions [us-east-1]"):
            client.delete_secret(SecretId=NAME, **arguments)
    client.remove_regions_from_replication(SecretId=NAME, RemoveReplicaRegions=[THERE])
    with refused("ResourceNotFoundException"):
        value_there(fake)
    client.delete_secret(SecretId=NAME)


def test_only_replicas_can_be_removed(fake: FaultySecretsManager) -> None:
    client = created(fake, **TO_THERE)
    with refused("InvalidParameterException", "not replicated"):
        client.remove_regions_from_replication(SecretId=NAME, RemoveReplicaRegions=["us-west-2"])


def test_a_replica_can_become_a_secret_of_its_own(fake: FaultySecretsManager) -> None:
    client = created(fake, **TO_THERE)
    there: Any = fake.client(THERE)
    with refused("InvalidRequestException", "not a replica"):
        client.stop_replication_to_replica(SecretId=NAME)
    arn = there.stop_replication_to_replica(SecretId=NAME)["ARN"]
    assert arn == client.describe_secret(SecretId=NAME)["ARN"].replace("eu-west-1", THERE)
    put(there, 2)
    assert (labels(there), labels(client)) == ("v1:V v2:C", "v1:C")
    assert "ReplicationStatus" not in client.describe_secret(SecretId=NAME)
    client.delete_secret(SecretId=NAME)


def test_a_name_that_is_taken_there_fails_the_replica_unless_it_may_be_overwritten(fake: FaultySecretsManager) -> None:
    there: Any = fake.client(THERE)
    there.create_secret(Name=NAME, SecretString="their own")
    client = created(fake)
    status = client.replicate_secret_to_regions(SecretId=NAME, **TO_THERE)["ReplicationStatus"][0]
    assert (status["Status"], "already exists" in status["StatusMessage"]) == ("Failed", True)
    assert value_there(fake) == "their own"
    client.remove_regions_from_replication(SecretId=NAME, RemoveReplicaRegions=[THERE])
    client.replicate_secret_to_regions(SecretId=NAME, ForceOverwriteReplicaSecret=True, **TO_THERE)
    assert value_there(fake) == "one"


def test_a_replica_of_another_secret_is_not_overwritten(fake: FaultySecretsManager) -> None:
    created(fake, **TO_THERE)
    third: Any = fake.client("us-west-2")
    third.create_secret(Name=NAME, SecretString="third")
    told = third.replicate_secret_to_regions(SecretId=NAME, ForceOverwriteReplicaSecret=True, **TO_THERE)
    assert told["ReplicationStatus"][0]["Status"] == "Failed"
    assert value_there(fake) == "one"


def test_only_versions_with_a_value_and_a_label_are_copied(fake: FaultySecretsManager) -> None:
    client = created(fake)
    put(client, 2)
    put(client, 3)
    told = client.replicate_secret_to_regions(SecretId=NAME, **TO_THERE)
    assert told["ReplicationStatus"][0]["Status"] == "InSync"
    assert value_there(fake) == "value-3"
    client.replicate_secret_to_regions(SecretId=NAME, AddReplicaRegions=[{"Region": "us-west-2"}])
    assert [one["Region"] for one in client.describe_secret(SecretId=NAME)["ReplicationStatus"]] == [THERE, "us-west-2"]


def test_a_region_that_is_down_leaves_the_replicas(fake: FaultySecretsManager) -> None:
    created(fake, **TO_THERE)
    with fake.outage("eu-west-1"):
        assert value_there(fake) == "one"
