"""KMS keyrings through boto3 and HTTP against moto: two regions, two accounts, aliases, rotation, discovery."""

from __future__ import annotations

import pytest

from envelope import (
    AwsError,
    Client,
    DiscoveryFilter,
    InvalidArgument,
    KeyUnavailable,
    KmsDiscoveryKeyring,
    KmsKeyring,
    KmsMrkKeyring,
    MultiKeyring,
)
from tests.aws_environment import clean_aws_environment
from tests.moto_server import FIRST_ACCOUNT, REGIONS, SECOND_ACCOUNT, aws_of, new_key

__all__ = ["clean_aws_environment"]

CONTEXT = {"tenant": "42"}
ACCOUNTS = (FIRST_ACCOUNT, SECOND_ACCOUNT)


@pytest.mark.parametrize("account", ACCOUNTS)
def test_keys_of_two_regions_open_one_message(account: str) -> None:
    aws = aws_of(account)
    arns = [new_key(region, account) for region in REGIONS]
    assert [arn.split(":")[3:5] for arn in arns] == [[region, account] for region in REGIONS]
    message = Client(KmsKeyring(*arns, aws=aws)).encrypt(b"plaintext", CONTEXT)
    for arn in arns:
        assert Client(KmsKeyring(arn, aws=aws)).decrypt(message, CONTEXT) == b"plaintext"
        assert Client(KmsMrkKeyring(arn, aws=aws)).decrypt(message, CONTEXT) == b"plaintext"


def test_keys_of_two_accounts_open_one_message_each_with_its_own_role() -> None:
    keyrings = [KmsKeyring(new_key(account=account), aws=aws_of(account)) for account in ACCOUNTS]
    message = Client(MultiKeyring(keyrings[0], keyrings[1:])).encrypt(b"plaintext", CONTEXT)
    for keyring in keyrings:
        assert Client(keyring).decrypt(message, CONTEXT) == b"plaintext"


def test_the_role_of_one_account_does_not_reach_the_key_of_the_other() -> None:
    theirs = new_key(account=SECOND_ACCOUNT)
    message = Client(KmsKeyring(theirs, aws=aws_of(SECOND_ACCOUNT))).encrypt(b"")
    with pytest.raises(KeyUnavailable) as caught:
        Client(KmsKeyring(theirs, aws=aws_of(FIRST_ACCOUNT))).decrypt(message)
    (error,) = caught.value.errors[0].errors  # type: ignore[attr-defined]
    assert isinstance(error, AwsError)
    assert error.operation == "kms:Decrypt"


def test_discovery_finds_the_key_in_either_region_but_not_of_another_account() -> None:
    for region in REGIONS:
        message = Client(KmsKeyring(new_key(region), aws=aws_of())).encrypt(b"plaintext", CONTEXT)
        ours = KmsDiscoveryKeyring(DiscoveryFilter("aws", [FIRST_ACCOUNT]), aws=aws_of())
        assert Client(ours).decrypt(message, CONTEXT) == b"plaintext"
        theirs = KmsDiscoveryKeyring(DiscoveryFilter("aws", [SECOND_ACCOUNT]), aws=aws_of())
        with pytest.raises(KeyUnavailable):
            Client(theirs).decrypt(message, CONTEXT)


def test_another_context_does_not_open() -> None:
    client = Client(KmsKeyring(new_key(), aws=aws_of()))
    message = client.encrypt(b"", {"tenant": "42", "hidden": "x"}, unstored_context_keys=["hidden"])
    assert client.decrypt(message, {"hidden": "x"}) == b""
    with pytest.raises(KeyUnavailable) as caught:
        client.decrypt(message, {"hidden": "y"})
    assert "InvalidCiphertextException" in str(caught.value.errors[0])
    assert "usually the encryption context" in caught.value.hint


def test_rotation_inside_kms_needs_nothing_of_the_caller() -> None:
    arn = new_key()
    client = Client(KmsKeyring(arn, aws=aws_of()))
    before = client.encrypt(b"before", CONTEXT)
    aws_of().client("kms").rotate_key_on_demand(KeyId=arn)
    assert client.decrypt(before, CONTEXT) == b"before"
    assert client.decrypt(client.encrypt(b"after", CONTEXT), CONTEXT) == b"after"


def test_an_alias_is_resolved_once_to_the_arn_of_its_key() -> None:
    aws, arn = aws_of(), new_key()
    alias = f"alias/{arn[-12:]}"
    aws.client("kms").create_alias(AliasName=alias, TargetKeyId=arn)
    alias_arn = arn.rpartition(":")[0] + ":" + alias
    for name in (alias, alias_arn, arn, arn.rpartition("/")[2]):
        assert aws.resolve_key_arn(name) == arn
    there = new_key(REGIONS[1])
    assert aws.resolve_key_arn(there) == there
    with pytest.raises(InvalidArgument, match="not the ARN of a KMS key"):
        KmsKeyring(alias_arn, aws=aws)
    with pytest.raises(AwsError, match="kms:DescribeKey on alias/none failed: there is no such key") as caught:
        aws.resolve_key_arn("alias/none")
    assert caught.value.code == "NotFoundException"


def test_a_key_that_does_not_exist_is_named_in_the_error() -> None:
    arn = new_key()[:-4] + "0000"
    with pytest.raises(KeyUnavailable, match=f"kms:GenerateDataKey on {arn} failed: there is no such key"):
        Client(KmsKeyring(arn, aws=aws_of())).encrypt(b"")
