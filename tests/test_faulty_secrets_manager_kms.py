"""The fake with a fake KMS behind it: what is asked of KMS, as whom, and what its troubles look like."""

from __future__ import annotations

import json
from typing import Any

import pytest

from envelope.testing import FakeKms
from envelope_secrets.testing import FaultySecretsManager
from tests.fake_secrets_for_tests import (
    APPLICATION,
    NAME,
    READER,
    STRANGER,
    V1,
    V2,
    created,
    labels,
    move,
    put,
    refused,
    to_reader,
)


@pytest.fixture(name="kms")
def _kms() -> FakeKms:
    return FakeKms()


@pytest.fixture(name="fake")
def _fake(kms: FakeKms) -> FaultySecretsManager:
    return FaultySecretsManager(kms=kms, clock=kms.clock)


def new_key(kms: FakeKms, region: str = "eu-west-1", **options: Any) -> str:
    arn: str = kms.client(region).create_key(**options)["KeyMetadata"]["Arn"]
    return arn


def deny_kms(kms: FakeKms, *actions: str, principal: str = APPLICATION) -> None:
    """Give the caller an identity policy that allows all of KMS but this."""
    allowed = {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}
    denied = {"Effect": "Deny", "Action": list(actions) or ["kms:None"], "Resource": "*"}
    kms.put_identity_policy(principal, {"Statement": [allowed, denied]})


def operations(kms: FakeKms) -> list[str]:
    return [call.operation for call in kms.calls]


def test_every_version_has_a_data_key_bound_to_its_arn_and_id(fake: FaultySecretsManager, kms: FakeKms) -> None:
    key = new_key(kms)
    client = created(fake, KmsKeyId=key)
    kms.clear_calls()
    arn = put(client, 2)["ARN"]
    assert client.get_secret_value(SecretId=NAME)["SecretString"] == "value-2"
    assert operations(kms) == ["GenerateDataKey", "Decrypt"]
    for call in kms.calls:
        assert dict(call.encryption_context) == {"SecretARN": arn, "SecretVersionId": V2}
        assert (call.key_arn, call.principal) == (key, APPLICATION)


def test_kms_is_called_as_the_caller(fake: FaultySecretsManager, kms: FakeKms) -> None:
    created(fake)
    deny_kms(kms, "kms:Decrypt", principal=READER)
    with refused("AccessDeniedException", "Access to KMS is not allowed"):
        fake.client(principal=READER).get_secret_value(SecretId=NAME)
    assert fake.client().get_secret_value(SecretId=NAME)["SecretString"] == "one"


def test_a_retried_put_needs_kms_decrypt_and_a_first_one_does_not(fake: FaultySecretsManager, kms: FakeKms) -> None:
    client = created(fake)
    deny_kms(kms, "kms:Decrypt")
    put(client, 2, "P")
    with refused("AccessDeniedException", "Access to KMS is not allowed"):
        put(client, 2, "P")
    deny_kms(kms)
    assert put(client, 2, "P")["VersionStages"] == ["AWSPENDING"]
    with refused("ResourceExistsException"):
        put(client, 2, "P", value="another")


@pytest.mark.parametrize("trouble", ["disable_key", "schedule_key_deletion"])
def test_a_key_that_cannot_be_used_fails_reads_and_writes(
    fake: FaultySecretsManager, kms: FakeKms, trouble: str
) -> None:
    key = new_key(kms)
    client = created(fake, KmsKeyId=key.rpartition("/")[2])
    getattr(kms.client(), trouble)(KeyId=key)
    with refused("DecryptionFailure", "(Service: AWSKMS)"):
        client.get_secret_value(SecretId=NAME)
    with refused("EncryptionFailure"):
        put(client, 2)
    told = client.batch_get_secret_value(SecretIdList=[NAME])
    assert [error["ErrorCode"] for error in told["Errors"]] == ["DecryptionFailure"]
    assert labels(client) == "v1:C"


def test_nothing_is_created_with_a_key_that_is_not_there(fake: FaultySecretsManager) -> None:
    client: Any = fake.client()
    with refused("EncryptionFailure", "NotFoundException"):
        client.create_secret(Name=NAME, SecretString="x", KmsKeyId="alias/nobody")
    assert client.list_secrets()["SecretList"] == []


def test_what_the_rules_refuse_makes_no_call_of_kms(fake: FaultySecretsManager, kms: FakeKms) -> None:
    client = created(fake)
    kms.clear_calls()
    with refused("LimitExceededException"):
        put(client, 2, *[f"label-{number}" for number in range(20)])
    client.delete_secret(SecretId=NAME)
    with refused("InvalidRequestException"):
        put(client, 2)
    assert kms.calls == ()


def test_kms_that_is_throttled_or_down_shows_as_such(fake: FaultySecretsManager, kms: FakeKms) -> None:
    client = created(fake)
    kms.fail_next(code="ThrottlingException")
    with refused("ThrottlingException", "Rate exceeded"):
        client.get_secret_value(SecretId=NAME)
    failures: list[dict[str, Any]] = [{"error": "timeout"}, {"code": "KMSInternalException"}]
    for failure in failures:
        kms.fail_next(**failure)
        with refused("InternalServiceError", http_status=500):
            client.get_secret_value(SecretId=NAME)


def test_a_new_key_is_tried_and_the_labelled_versions_open_with_both(fake: FaultySecretsManager, kms: FakeKms) -> None:
    first, second = new_key(kms), new_key(kms)
    client = created(fake, KmsKeyId=first)
    put(client, 2)
    put(client, 3, "P")
    put(client, 4, "green")
    kms.clear_calls()
    client.update_secret(SecretId=NAME, KmsKeyId=second)
    assert operations(kms) == ["GenerateDataKey", "Decrypt", *(["Decrypt", "Encrypt"] * 3)]
    assert kms.calls[0].encryption_context["SecretVersionId"] == "RequestToValidateKeyAccess"
    kms.client().disable_key(KeyId=first)
    for stage in ("AWSCURRENT", "AWSPREVIOUS", "AWSPENDING"):
        assert client.get_secret_value(SecretId=NAME, VersionStage=stage)["VersionId"]
    with refused("DecryptionFailure"):
        client.get_secret_value(SecretId=NAME, VersionStage="green")
    kms.client().enable_key(KeyId=first)
    kms.client().disable_key(KeyId=second)
    assert client.get_secret_value(SecretId=NAME)["SecretString"] == "value-2"
    listed = client.list_secret_version_ids(SecretId=NAME)["Versions"]
    assert {version["VersionId"][:2]: version["KmsKeyIds"] for version in listed} == {
        "v1": [first, second],
        "v2": [first, second],
        "v3": [first, second],
        "v4": [first],
    }


def test_a_key_and_a_value_can_change_at_once_and_the_newest_version_has_the_new_key(
    fake: FaultySecretsManager, kms: FakeKms
) -> None:
    client = created(fake)
    key = new_key(kms)
    client.update_secret(SecretId=NAME, ClientRequestToken=V2, SecretString="two", KmsKeyId=key)
    listed = client.list_secret_version_ids(SecretId=NAME)["Versions"]
    assert [version["KmsKeyIds"] for version in listed] == [[key], ["DefaultEncryptionKey", key]]
    assert client.get_secret_value(SecretId=NAME)["SecretString"] == "two"
    client.update_secret(SecretId=NAME, KmsKeyId=key, Description="the same key")


def test_a_new_key_that_cannot_be_used_changes_nothing(fake: FaultySecretsManager, kms: FakeKms) -> None:
    client = created(fake)
    key = new_key(kms)
    kms.client().disable_key(KeyId=key)
    with refused("EncryptionFailure"):
        client.update_secret(SecretId=NAME, KmsKeyId=key, SecretString="two")
    assert "KmsKeyId" not in client.describe_secret(SecretId=NAME)
    assert labels(client) == "v1:C"


def test_an_announced_version_has_nothing_to_encrypt_anew(fake: FaultySecretsManager, kms: FakeKms) -> None:
    client = created(fake)
    fake.register_function("arn:aws:lambda:eu-west-1:111122223333:function:rotate", lambda event, context: None)
    client.rotate_secret(
        SecretId=NAME,
        ClientRequestToken=V2,
        RotationLambdaARN="arn:aws:lambda:eu-west-1:111122223333:function:rotate",
    )
    client.update_secret(SecretId=NAME, KmsKeyId=new_key(kms))
    assert labels(client) == "v1:C v2:P?"


def test_the_default_key_does_not_open_for_other_accounts(fake: FaultySecretsManager, kms: FakeKms) -> None:
    client = created(fake)
    client.put_resource_policy(SecretId=NAME, ResourcePolicy=to_reader())
    arn = client.describe_secret(SecretId=NAME)["ARN"]
    with refused("AccessDeniedException", "Access to KMS is not allowed"):
        fake.client(principal=STRANGER).get_secret_value(SecretId=arn)


def test_another_account_reads_with_a_key_that_lets_it(fake: FaultySecretsManager, kms: FakeKms) -> None:
    own = {"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "kms:*", "Resource": "*"}
    theirs = {"Effect": "Allow", "Principal": {"AWS": STRANGER}, "Action": "kms:Decrypt", "Resource": "*"}
    key = new_key(kms, Policy=json.dumps({"Statement": [own, theirs]}))
    client = created(fake, KmsKeyId=key)
    client.put_resource_policy(SecretId=NAME, ResourcePolicy=to_reader())
    arn = client.describe_secret(SecretId=NAME)["ARN"]
    assert fake.client(principal=STRANGER).get_secret_value(SecretId=arn)["SecretString"] == "one"


def test_metadata_needs_no_key(fake: FaultySecretsManager, kms: FakeKms) -> None:
    client = created(fake)
    put(client, 2, "P")
    kms.clear_calls()
    client.describe_secret(SecretId=NAME)
    client.list_secret_version_ids(SecretId=NAME)
    client.tag_resource(SecretId=NAME, Tags=[{"Key": "a", "Value": "b"}])
    move(client, "C", from_=1, to=2)
    assert kms.calls == ()


def test_a_replica_has_a_key_of_its_own_region(fake: FaultySecretsManager, kms: FakeKms) -> None:
    there = new_key(kms, "us-east-1")
    client = created(fake, AddReplicaRegions=[{"Region": "us-east-1", "KmsKeyId": there}])
    put(client, 2)
    kms.clear_calls()
    with kms.outage("eu-west-1"):
        assert fake.client("us-east-1").get_secret_value(SecretId=NAME)["SecretString"] == "value-2"
    assert [(call.region, call.key_arn) for call in kms.calls] == [("us-east-1", there)]
    assert ":us-east-1:" in kms.calls[0].encryption_context["SecretARN"]


def test_a_replica_whose_key_cannot_be_used_has_failed(fake: FaultySecretsManager, kms: FakeKms) -> None:
    there = new_key(kms, "us-east-1")
    kms.client("us-east-1").disable_key(KeyId=there)
    client = created(fake)
    add = {"SecretId": NAME, "AddReplicaRegions": [{"Region": "us-east-1", "KmsKeyId": there}]}
    status = client.replicate_secret_to_regions(**add)["ReplicationStatus"][0]
    assert (status["Status"], "AWSKMS" in status["StatusMessage"]) == ("Failed", True)
    kms.client("us-east-1").enable_key(KeyId=there)
    assert client.replicate_secret_to_regions(**add)["ReplicationStatus"][0]["Status"] == "InSync"
    kms.client("us-east-1").disable_key(KeyId=there)
    put(client, 2)
    assert client.describe_secret(SecretId=NAME)["ReplicationStatus"][0]["Status"] == "Failed"
    assert client.get_secret_value(SecretId=NAME)["SecretString"] == "value-2"
    with refused("DecryptionFailure", "no key"):
        fake.client("us-east-1").get_secret_value(SecretId=NAME)
    kms.client("us-east-1").enable_key(KeyId=there)
    put(client, 3)
    assert client.describe_secret(SecretId=NAME)["ReplicationStatus"][0]["Status"] == "Failed"
    client.replicate_secret_to_regions(**add)
    assert fake.client("us-east-1").get_secret_value(SecretId=NAME)["SecretString"] == "value-3"


def test_a_test_of_a_rotation_encrypts_its_copy_for_its_own_version(fake: FaultySecretsManager, kms: FakeKms) -> None:
    client = created(fake)
    seen = []

    def handler(event: dict[str, Any], context: object) -> None:
        pending = client.get_secret_value(SecretId=event["SecretId"], VersionStage="AWSPENDING")
        seen.append((event["Step"], pending["SecretString"], pending["VersionId"]))

    assert fake.rotate(NAME, handler, token=V2, immediately=False).succeeded
    assert seen == [("testSecret", "one", V2)]
    assert labels(client) == "v1:C"
    assert kms.calls[-1].encryption_context["SecretVersionId"] == V2
    assert V1 != V2
