"""Keys of the fake KMS: states, deletion, aliases, rotation, imported material, multi-Region keys."""

from __future__ import annotations

from typing import Any

import pytest

from envelope import InvalidArgument
from envelope.testing import FakeKms
from tests.fake_kms_for_tests import ACCOUNT, OTHER_ACCOUNT, STRANGER, new_key, policy, refused, statement

DAY_S = 86_400
MATERIAL = bytes(range(32))


@pytest.fixture(name="fake")
def _fake() -> FakeKms:
    return FakeKms()


@pytest.fixture(name="kms")
def _kms(fake: FakeKms) -> Any:
    return fake.client()


@pytest.fixture(name="key_arn")
def _key_arn(fake: FakeKms) -> str:
    return new_key(fake)


def state_of(kms: Any, key_arn: str) -> str:
    return kms.describe_key(KeyId=key_arn)["KeyMetadata"]["KeyState"]


def seal(kms: Any, key_arn: str) -> bytes:
    return kms.encrypt(KeyId=key_arn, Plaintext=b"x")["CiphertextBlob"]


def test_a_new_key_is_described(kms: Any) -> None:
    metadata = kms.create_key(Description="mine", Tags=[{"TagKey": "a", "TagValue": "b"}])["KeyMetadata"]
    assert metadata["Arn"] == f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/{metadata['KeyId']}"
    assert (metadata["AWSAccountId"], metadata["Description"], metadata["Enabled"]) == (ACCOUNT, "mine", True)
    assert (metadata["KeyState"], metadata["KeyManager"], metadata["Origin"]) == ("Enabled", "CUSTOMER", "AWS_KMS")
    assert metadata["CreationDate"].timestamp() == 1_767_225_600
    assert metadata == kms.describe_key(KeyId=metadata["KeyId"])["KeyMetadata"]


@pytest.mark.parametrize(
    ("region", "partition"), [("eu-west-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")]
)
def test_an_arn_is_of_the_partition_of_its_region(fake: FakeKms, region: str, partition: str) -> None:
    key_arn = new_key(fake, region)
    assert key_arn.startswith(f"arn:{partition}:kms:{region}:{ACCOUNT}:key/")
    seal(fake.client(region), key_arn)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"KeySpec": "RSA_2048"}, "UnsupportedOperationException"),
        ({"KeyUsage": "SIGN_VERIFY"}, "UnsupportedOperationException"),
        ({"Origin": "AWS_CLOUDHSM"}, "UnsupportedOperationException"),
        ({"CustomKeyStoreId": "store"}, "UnsupportedOperationException"),
        ({"KeyUsage": "DANCE"}, "ValidationException"),
        ({"Description": "x" * 8_193}, "ValidationException"),
    ],
)
def test_a_key_of_a_kind_that_the_fake_does_not_have_is_refused(kms: Any, options: dict[str, str], code: str) -> None:
    with refused(code):
        kms.create_key(**options)


def test_keys_are_listed_page_by_page_in_their_region_and_account(fake: FakeKms, kms: Any) -> None:
    arns = {new_key(fake) for _ in range(5)}
    new_key(fake, "us-east-1")
    pages = list(kms.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 2}))
    assert [len(page["Keys"]) for page in pages] == [2, 2, 1]
    assert {key["KeyArn"] for page in pages for key in page["Keys"]} == arns
    assert fake.client(account=OTHER_ACCOUNT).list_keys()["Keys"] == []


@pytest.mark.parametrize("marker", ["x", "99"])
def test_a_marker_that_no_list_gave_is_refused(kms: Any, marker: str) -> None:
    with refused("InvalidMarkerException"):
        kms.list_keys(Marker=marker)


def test_a_page_of_too_many_is_refused(kms: Any) -> None:
    with refused("ValidationException"):
        kms.list_keys(Limit=1_001)


def test_a_disabled_key_does_nothing_until_it_is_enabled(fake: FakeKms, kms: Any, key_arn: str) -> None:
    other_arn, blob = new_key(fake), seal(kms, key_arn)
    kms.disable_key(KeyId=key_arn)
    assert state_of(kms, key_arn) == "Disabled"
    calls = [
        lambda: kms.encrypt(KeyId=key_arn, Plaintext=b"x"),
        lambda: kms.generate_data_key(KeyId=key_arn, NumberOfBytes=32),
        lambda: kms.decrypt(CiphertextBlob=blob),
        lambda: kms.decrypt(KeyId=key_arn, CiphertextBlob=blob),
        lambda: kms.re_encrypt(CiphertextBlob=blob, DestinationKeyId=other_arn),
        lambda: kms.re_encrypt(CiphertextBlob=seal(kms, other_arn), DestinationKeyId=key_arn),
        lambda: kms.rotate_key_on_demand(KeyId=key_arn),
        lambda: kms.create_grant(KeyId=key_arn, GranteePrincipal=STRANGER, Operations=["Decrypt"]),
    ]
    for call in calls:
        with refused("DisabledException", f"{key_arn} is disabled."):
            call()
    kms.enable_key(KeyId=key_arn)
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"


def test_a_key_that_waits_for_its_deletion_does_nothing(kms: Any, key_arn: str) -> None:
    blob = seal(kms, key_arn)
    scheduled = kms.schedule_key_deletion(KeyId=key_arn, PendingWindowInDays=7)
    assert (scheduled["KeyId"], scheduled["KeyState"]) == (key_arn, "PendingDeletion")
    assert scheduled["DeletionDate"].timestamp() == 1_767_225_600 + 7 * DAY_S
    assert kms.describe_key(KeyId=key_arn)["KeyMetadata"]["DeletionDate"] == scheduled["DeletionDate"]
    calls = [
        lambda: kms.decrypt(CiphertextBlob=blob),
        lambda: kms.enable_key(KeyId=key_arn),
        lambda: kms.disable_key(KeyId=key_arn),
        lambda: kms.schedule_key_deletion(KeyId=key_arn),
        lambda: kms.put_key_policy(KeyId=key_arn, Policy=policy()),
        lambda: kms.create_alias(AliasName="alias/late", TargetKeyId=key_arn),
        lambda: kms.tag_resource(KeyId=key_arn, Tags=[]),
        lambda: kms.untag_resource(KeyId=key_arn, TagKeys=[]),
        lambda: kms.update_key_description(KeyId=key_arn, Description=""),
        lambda: kms.get_key_rotation_status(KeyId=key_arn),
    ]
    for call in calls:
        with refused("KMSInvalidStateException", "is pending deletion"):
            call()


def test_a_deletion_can_be_cancelled_and_leaves_the_key_disabled(fake: FakeKms, kms: Any, key_arn: str) -> None:
    kms.schedule_key_deletion(KeyId=key_arn)
    fake.clock.advance(30 * DAY_S - 1)
    assert kms.cancel_key_deletion(KeyId=key_arn)["KeyId"] == key_arn
    assert state_of(kms, key_arn) == "Disabled"
    fake.clock.advance(DAY_S)
    kms.enable_key(KeyId=key_arn)
    with refused("KMSInvalidStateException", "is not pending deletion"):
        kms.cancel_key_deletion(KeyId=key_arn)


def test_a_deleted_key_is_gone_and_so_are_its_aliases(fake: FakeKms, kms: Any, key_arn: str) -> None:
    kept_arn = new_key(fake)
    blob = seal(kms, key_arn)
    kms.create_alias(AliasName="alias/gone", TargetKeyId=key_arn)
    kms.create_alias(AliasName="alias/kept", TargetKeyId=kept_arn)
    kms.schedule_key_deletion(KeyId=key_arn)
    fake.clock.advance(30 * DAY_S)
    for name in (key_arn, "alias/gone"):
        with refused("NotFoundException"):
            kms.describe_key(KeyId=name)
    with refused("InvalidCiphertextException"):
        kms.decrypt(CiphertextBlob=blob)
    assert [alias["AliasName"] for alias in kms.list_aliases()["Aliases"]] == ["alias/kept"]


@pytest.mark.parametrize("days", [6, 31])
def test_a_key_waits_seven_to_thirty_days_for_its_deletion(kms: Any, key_arn: str, days: int) -> None:
    with refused("ValidationException", "pendingWindowInDays"):
        kms.schedule_key_deletion(KeyId=key_arn, PendingWindowInDays=days)


def test_an_alias_moves_from_key_to_key(fake: FakeKms, kms: Any, key_arn: str) -> None:
    other_arn = new_key(fake)
    kms.create_alias(AliasName="alias/mine", TargetKeyId=key_arn)
    assert kms.describe_key(KeyId="alias/mine")["KeyMetadata"]["Arn"] == key_arn
    fake.clock.advance(5)
    kms.update_alias(AliasName="alias/mine", TargetKeyId=other_arn)
    assert kms.describe_key(KeyId="alias/mine")["KeyMetadata"]["Arn"] == other_arn
    (alias,) = kms.list_aliases(KeyId=other_arn)["Aliases"]
    assert alias["AliasArn"] == f"arn:aws:kms:eu-west-1:{ACCOUNT}:alias/mine"
    assert alias["TargetKeyId"] == other_arn.split("/")[1]
    assert (alias["LastUpdatedDate"] - alias["CreationDate"]).total_seconds() == 5
    assert kms.list_aliases(KeyId=key_arn)["Aliases"] == []
    kms.delete_alias(AliasName="alias/mine")
    with refused("NotFoundException", "is not found"):
        kms.delete_alias(AliasName="alias/mine")


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("alias/taken", "AlreadyExistsException"),
        ("alias/aws/mine", "NotAuthorizedException"),
        ("mine", "ValidationException"),
        ("alias/a b", "ValidationException"),
    ],
)
def test_an_alias_that_cannot_be_is_refused(kms: Any, key_arn: str, name: str, code: str) -> None:
    kms.create_alias(AliasName="alias/taken", TargetKeyId=key_arn)
    with refused(code):
        kms.create_alias(AliasName=name, TargetKeyId=key_arn)


def test_an_alias_of_an_alias_is_refused(kms: Any, key_arn: str) -> None:
    kms.create_alias(AliasName="alias/one", TargetKeyId=key_arn)
    with refused("ValidationException", "Not aliases"):
        kms.create_alias(AliasName="alias/two", TargetKeyId="alias/one")


def test_an_alias_is_of_its_region_and_account(fake: FakeKms, kms: Any, key_arn: str) -> None:
    kms.create_alias(AliasName="alias/mine", TargetKeyId=key_arn)
    for other in (fake.client("us-east-1"), fake.client(account=OTHER_ACCOUNT)):
        assert other.list_aliases()["Aliases"] == []
        with refused("NotFoundException"):
            other.describe_key(KeyId="alias/mine")


def test_tags_and_description_can_be_changed(kms: Any, key_arn: str) -> None:
    kms.tag_resource(KeyId=key_arn, Tags=[{"TagKey": "a", "TagValue": "1"}, {"TagKey": "b", "TagValue": "2"}])
    kms.untag_resource(KeyId=key_arn, TagKeys=["a", "unknown"])
    assert kms.list_resource_tags(KeyId=key_arn)["Tags"] == [{"TagKey": "b", "TagValue": "2"}]
    kms.update_key_description(KeyId=key_arn, Description="new")
    assert kms.describe_key(KeyId=key_arn)["KeyMetadata"]["Description"] == "new"


# Rotation


def test_what_was_encrypted_before_a_rotation_opens_after_it(kms: Any, key_arn: str) -> None:
    before = kms.generate_data_key(KeyId=key_arn, NumberOfBytes=32)
    assert kms.rotate_key_on_demand(KeyId=key_arn)["KeyId"] == key_arn
    after = kms.generate_data_key(KeyId=key_arn, NumberOfBytes=32)
    assert before["KeyMaterialId"] != after["KeyMaterialId"]
    for data_key in (before, after):
        opened = kms.decrypt(KeyId=key_arn, CiphertextBlob=data_key["CiphertextBlob"])
        assert opened["Plaintext"] == data_key["Plaintext"]
        assert opened["KeyMaterialId"] == data_key["KeyMaterialId"]
    (rotation,) = kms.list_key_rotations(KeyId=key_arn)["Rotations"]
    assert (rotation["KeyMaterialId"], rotation["RotationType"]) == (after["KeyMaterialId"], "ON_DEMAND")


def test_a_key_rotates_by_itself_as_time_passes(fake: FakeKms, kms: Any, key_arn: str) -> None:
    kms.enable_key_rotation(KeyId=key_arn, RotationPeriodInDays=90)
    blob = seal(kms, key_arn)
    fake.clock.advance(271 * DAY_S)
    rotations = kms.list_key_rotations(KeyId=key_arn)["Rotations"]
    assert [rotation["RotationType"] for rotation in rotations] == ["AUTOMATIC"] * 3
    assert rotations[0]["RotationDate"].timestamp() == 1_767_225_600 + 90 * DAY_S
    status = kms.get_key_rotation_status(KeyId=key_arn)
    assert (status["KeyRotationEnabled"], status["RotationPeriodInDays"]) == (True, 90)
    assert status["NextRotationDate"].timestamp() == 1_767_225_600 + 360 * DAY_S
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    kms.disable_key_rotation(KeyId=key_arn)
    assert kms.get_key_rotation_status(KeyId=key_arn)["KeyRotationEnabled"] is False
    fake.clock.advance(900 * DAY_S)
    assert len(kms.list_key_rotations(KeyId=key_arn)["Rotations"]) == 3


def test_a_key_rotates_once_a_year_unless_another_period_is_given(kms: Any, key_arn: str) -> None:
    kms.enable_key_rotation(KeyId=key_arn)
    assert kms.get_key_rotation_status(KeyId=key_arn)["RotationPeriodInDays"] == 365


def test_a_rotation_period_out_of_range_is_refused(kms: Any, key_arn: str) -> None:
    with refused("ValidationException", "rotationPeriodInDays"):
        kms.enable_key_rotation(KeyId=key_arn, RotationPeriodInDays=2_561)


def test_a_key_rotates_on_demand_25_times(kms: Any, key_arn: str) -> None:
    for _ in range(25):
        kms.rotate_key_on_demand(KeyId=key_arn)
    with refused("LimitExceededException"):
        kms.rotate_key_on_demand(KeyId=key_arn)


def test_some_keys_do_not_rotate(fake: FakeKms, kms: Any, key_arn: str) -> None:
    mac = new_key(fake, KeyUsage="GENERATE_VERIFY_MAC", KeySpec="HMAC_256")
    imported = new_key(fake, Origin="EXTERNAL")
    for call in (kms.rotate_key_on_demand, kms.enable_key_rotation, kms.get_key_rotation_status):
        for arn in (mac, imported):
            with refused("UnsupportedOperationException", "does not support rotation"):
                call(KeyId=arn)
    with refused("UnsupportedOperationException", "rotations only"):
        kms.list_key_rotations(KeyId=key_arn, IncludeKeyMaterial="ALL_KEY_MATERIAL")


# Imported material


def test_a_key_for_imported_material_waits_for_it(fake: FakeKms, kms: Any) -> None:
    key_arn = new_key(fake, Origin="EXTERNAL")
    assert state_of(kms, key_arn) == "PendingImport"
    with refused("KMSInvalidStateException", "is pending import"):
        seal(kms, key_arn)
    with refused("KMSInvalidStateException", "is pending import"):
        kms.enable_key(KeyId=key_arn)
    fake.import_key_material(key_arn, MATERIAL)
    blob = seal(kms, key_arn)
    metadata = kms.describe_key(KeyId=key_arn)["KeyMetadata"]
    assert (metadata["Origin"], metadata["ExpirationModel"]) == ("EXTERNAL", "KEY_MATERIAL_DOES_NOT_EXPIRE")
    deleted = kms.delete_imported_key_material(KeyId=key_arn)
    assert deleted["KeyMaterialId"] == metadata["CurrentKeyMaterialId"]
    assert "KeyMaterialId" not in kms.delete_imported_key_material(KeyId=key_arn)
    with refused("KMSInvalidStateException", "is pending import"):
        kms.decrypt(CiphertextBlob=blob)
    fake.import_key_material(key_arn, MATERIAL)
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"


def test_imported_material_expires(fake: FakeKms, kms: Any) -> None:
    key_arn = new_key(fake, Origin="EXTERNAL")
    fake.import_key_material(key_arn, MATERIAL, valid_to_s=fake.clock.now() + 60)
    metadata = kms.describe_key(KeyId=key_arn)["KeyMetadata"]
    assert metadata["ExpirationModel"] == "KEY_MATERIAL_EXPIRES"
    assert metadata["ValidTo"].timestamp() == fake.clock.now() + 60
    fake.clock.advance(60)
    assert state_of(kms, key_arn) == "PendingImport"


def test_an_import_that_cannot_be_is_refused(fake: FakeKms, kms: Any, key_arn: str) -> None:
    with pytest.raises(InvalidArgument, match="no key for imported material"):
        fake.import_key_material(key_arn, MATERIAL)
    with pytest.raises(InvalidArgument, match="no key for imported material"):
        fake.import_key_material(key_arn[:-1], MATERIAL)
    with refused("UnsupportedOperationException", "origin is AWS_KMS"):
        kms.delete_imported_key_material(KeyId=key_arn)
    imported = new_key(fake, Origin="EXTERNAL")
    with pytest.raises(InvalidArgument, match="31 bytes, not 32"):
        fake.import_key_material(imported, MATERIAL[1:])
    fake.import_key_material(imported, MATERIAL)
    with pytest.raises(InvalidArgument, match="other material before"):
        fake.import_key_material(imported, MATERIAL[::-1])
    kms.schedule_key_deletion(KeyId=imported)
    with pytest.raises(InvalidArgument, match="pending deletion"):
        fake.import_key_material(imported, MATERIAL)


def test_the_import_over_the_wire_is_refused(fake: FakeKms, kms: Any) -> None:
    key_arn = new_key(fake, Origin="EXTERNAL")
    with refused("UnsupportedOperationException", "GetParametersForImport"):
        kms.get_parameters_for_import(KeyId=key_arn, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048")


# Multi-Region keys


def replicate(fake: FakeKms, key_arn: str, region: str, **options: Any) -> str:
    kms: Any = fake.client(key_arn.split(":")[3])
    return kms.replicate_key(KeyId=key_arn, ReplicaRegion=region, **options)["ReplicaKeyMetadata"]["Arn"]


@pytest.fixture(name="primary_arn")
def _primary_arn(fake: FakeKms) -> str:
    return new_key(fake, MultiRegion=True)


def test_a_ciphertext_of_one_region_opens_in_the_other_under_the_replicas_arn(fake: FakeKms, primary_arn: str) -> None:
    replica_arn = replicate(fake, primary_arn, "us-east-1")
    assert primary_arn.split("/")[1].startswith("mrk-")
    assert replica_arn == primary_arn.replace("eu-west-1", "us-east-1")
    blob = seal(fake.client("eu-west-1"), primary_arn)
    opened = fake.client("us-east-1").decrypt(KeyId=replica_arn, CiphertextBlob=blob)
    assert (opened["KeyId"], opened["Plaintext"]) == (replica_arn, b"x")
    back = seal(fake.client("us-east-1"), replica_arn)
    assert fake.client("eu-west-1").decrypt(CiphertextBlob=back)["KeyId"] == primary_arn


def test_related_keys_know_one_another(fake: FakeKms, kms: Any, primary_arn: str) -> None:
    replica_arn = replicate(fake, primary_arn, "us-east-1")
    for client, arn, kind in ((kms, primary_arn, "PRIMARY"), (fake.client("us-east-1"), replica_arn, "REPLICA")):
        told = client.describe_key(KeyId=arn)["KeyMetadata"]["MultiRegionConfiguration"]
        assert told == {
            "MultiRegionKeyType": kind,
            "PrimaryKey": {"Arn": primary_arn, "Region": "eu-west-1"},
            "ReplicaKeys": [{"Arn": replica_arn, "Region": "us-east-1"}],
        }


def test_a_replica_has_a_state_a_policy_and_tags_of_its_own(fake: FakeKms, kms: Any, primary_arn: str) -> None:
    tags = [{"TagKey": "a", "TagValue": "b"}]
    text = policy(statement(principal={"AWS": STRANGER}))
    answer = kms.replicate_key(KeyId=primary_arn, ReplicaRegion="us-east-1", Policy=text, Tags=tags, Description="x")
    assert (answer["ReplicaPolicy"], answer["ReplicaTags"]) == (text, tags)
    assert answer["ReplicaKeyMetadata"]["Description"] == "x"
    fake.client("us-east-1").disable_key(KeyId=answer["ReplicaKeyMetadata"]["Arn"])
    seal(kms, primary_arn)


def test_rotation_of_the_primary_reaches_the_replicas(fake: FakeKms, kms: Any, primary_arn: str) -> None:
    replica_arn = replicate(fake, primary_arn, "us-east-1")
    kms.rotate_key_on_demand(KeyId=primary_arn)
    there = fake.client("us-east-1")
    after = seal(kms, primary_arn)
    assert there.decrypt(KeyId=replica_arn, CiphertextBlob=after)["Plaintext"] == b"x"
    with refused("UnsupportedOperationException", "rotate the primary key"):
        there.rotate_key_on_demand(KeyId=replica_arn)


def test_another_region_can_become_the_primary(fake: FakeKms, kms: Any, primary_arn: str) -> None:
    with refused("NotFoundException", "no related multi-Region key in us-east-1"):
        kms.update_primary_region(KeyId=primary_arn, PrimaryRegion="us-east-1")
    replica_arn = replicate(fake, primary_arn, "us-east-1")
    kms.update_primary_region(KeyId=primary_arn, PrimaryRegion="us-east-1")
    with refused("UnsupportedOperationException", "is not the primary key"):
        replicate(fake, primary_arn, "us-west-2")
    assert replicate(fake, replica_arn, "us-west-2").startswith("arn:aws:kms:us-west-2:")


@pytest.mark.parametrize("region", ["eu-west-1", "us-east-1"])
def test_there_is_one_related_key_in_a_region(fake: FakeKms, primary_arn: str, region: str) -> None:
    replicate(fake, primary_arn, "us-east-1")
    with refused("AlreadyExistsException"):
        replicate(fake, primary_arn, region)


def test_a_single_region_key_is_not_replicated(fake: FakeKms, key_arn: str) -> None:
    with refused("UnsupportedOperationException", "is not a multi-Region key"):
        replicate(fake, key_arn, "us-east-1")


def test_a_region_must_look_like_one(fake: FakeKms, primary_arn: str) -> None:
    with refused("ValidationException", "replicaRegion"):
        replicate(fake, primary_arn, "somewhere")


def test_a_replica_of_a_key_with_imported_material_waits_for_the_same(fake: FakeKms) -> None:
    primary_arn = new_key(fake, MultiRegion=True, Origin="EXTERNAL")
    fake.import_key_material(primary_arn, MATERIAL)
    replica_arn = replicate(fake, primary_arn, "us-east-1")
    there = fake.client("us-east-1")
    assert state_of(there, replica_arn) == "PendingImport"
    fake.import_key_material(replica_arn, MATERIAL)
    blob = seal(fake.client(), primary_arn)
    assert there.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"


def test_a_primary_waits_for_the_deletion_of_its_replicas(fake: FakeKms, kms: Any, primary_arn: str) -> None:
    replicas = [replicate(fake, primary_arn, region) for region in ("us-east-1", "us-west-2")]
    scheduled = kms.schedule_key_deletion(KeyId=primary_arn, PendingWindowInDays=10)
    assert scheduled["KeyState"] == "PendingReplicaDeletion"
    assert kms.describe_key(KeyId=primary_arn)["KeyMetadata"]["PendingDeletionWindowInDays"] == 10
    with refused("KMSInvalidStateException", "is pending replica deletion"):
        seal(kms, primary_arn)
    for replica, region in zip(replicas, ("us-east-1", "us-west-2"), strict=True):
        assert state_of(kms, primary_arn) == "PendingReplicaDeletion"
        fake.client(region).schedule_key_deletion(KeyId=replica, PendingWindowInDays=7)
        fake.clock.advance(7 * DAY_S)
    assert state_of(kms, primary_arn) == "PendingDeletion"
    fake.clock.advance(10 * DAY_S)
    with refused("NotFoundException"):
        kms.describe_key(KeyId=primary_arn)


@pytest.mark.parametrize("is_moved", [False, True])
def test_replicas_and_primary_are_deleted_in_one_long_leap_of_time(
    fake: FakeKms, kms: Any, primary_arn: str, *, is_moved: bool
) -> None:
    replica, there = replicate(fake, primary_arn, "us-east-1"), fake.client("us-east-1")
    if is_moved:
        kms.update_primary_region(KeyId=primary_arn, PrimaryRegion="us-east-1")
    kms.schedule_key_deletion(KeyId=primary_arn)
    there.schedule_key_deletion(KeyId=replica)
    fake.clock.advance(60 * DAY_S)
    assert kms.list_keys()["Keys"] == there.list_keys()["Keys"] == []


def test_the_deletion_of_a_primary_that_waits_can_be_cancelled(fake: FakeKms, kms: Any, primary_arn: str) -> None:
    replicate(fake, primary_arn, "us-east-1")
    kms.schedule_key_deletion(KeyId=primary_arn)
    kms.cancel_key_deletion(KeyId=primary_arn)
    assert state_of(kms, primary_arn) == "Disabled"
