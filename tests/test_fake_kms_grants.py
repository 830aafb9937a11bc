"""Grants of the fake KMS: what they allow, to whom, from when on."""

from __future__ import annotations

from typing import Any

import pytest

from envelope.testing import FakeKms
from tests.fake_kms_for_tests import ACCOUNT, READER, STRANGER, new_key, policy, refused, statement

FIVE_MINUTES_S = 300


@pytest.fixture(name="fake")
def _fake() -> FakeKms:
    return FakeKms()


@pytest.fixture(name="kms")
def _kms(fake: FakeKms) -> Any:
    return fake.client()


@pytest.fixture(name="stranger")
def _stranger(fake: FakeKms) -> Any:
    return fake.client(principal=STRANGER)


@pytest.fixture(name="key_arn")
def _key_arn(fake: FakeKms) -> str:
    return new_key(fake)


def grant(kms: Any, key_arn: str, *operations: str, **options: Any) -> dict[str, Any]:
    return kms.create_grant(KeyId=key_arn, GranteePrincipal=STRANGER, Operations=list(operations), **options)


def test_a_new_grant_needs_its_token_until_five_minutes_have_passed(
    fake: FakeKms, kms: Any, stranger: Any, key_arn: str
) -> None:
    token = grant(kms, key_arn, "Encrypt")["GrantToken"]
    with refused("AccessDeniedException"):
        stranger.encrypt(KeyId=key_arn, Plaintext=b"x")
    stranger.encrypt(KeyId=key_arn, Plaintext=b"x", GrantTokens=[token])
    fake.clock.advance(FIVE_MINUTES_S)
    stranger.encrypt(KeyId=key_arn, Plaintext=b"x")


def test_the_delay_of_grants_can_be_chosen() -> None:
    fake = FakeKms(grant_delay_s=0)
    key_arn = new_key(fake)
    grant(fake.client(), key_arn, "Encrypt")
    fake.client(principal=STRANGER).encrypt(KeyId=key_arn, Plaintext=b"x")


def test_a_grant_allows_its_operations_to_its_grantee_only(
    fake: FakeKms, kms: Any, stranger: Any, key_arn: str
) -> None:
    token = grant(kms, key_arn, "Decrypt", "DescribeKey")["GrantToken"]
    blob = kms.encrypt(KeyId=key_arn, Plaintext=b"x")["CiphertextBlob"]
    assert stranger.decrypt(CiphertextBlob=blob, GrantTokens=[token])["Plaintext"] == b"x"
    stranger.describe_key(KeyId=key_arn, GrantTokens=[token])
    with refused("AccessDeniedException", "kms:Encrypt"):
        stranger.encrypt(KeyId=key_arn, Plaintext=b"x", GrantTokens=[token])
    with refused("AccessDeniedException"):
        fake.client(principal=STRANGER + "2").decrypt(CiphertextBlob=blob, GrantTokens=[token])


@pytest.mark.parametrize(
    ("constraints", "context", "is_allowed"),
    [
        ({"EncryptionContextSubset": {"tenant": "42"}}, {"tenant": "42", "more": "x"}, True),
        ({"EncryptionContextSubset": {"tenant": "42"}}, {"tenant": "43"}, False),
        ({"EncryptionContextSubset": {"tenant": "42"}}, {}, False),
        ({"EncryptionContextEquals": {"tenant": "42"}}, {"tenant": "42"}, True),
        ({"EncryptionContextEquals": {"tenant": "42"}}, {"tenant": "42", "more": "x"}, False),
    ],
)
def test_a_grant_can_be_about_some_encryption_contexts(
    kms: Any, stranger: Any, key_arn: str, constraints: Any, context: dict[str, str], *, is_allowed: bool
) -> None:
    token = grant(kms, key_arn, "Encrypt", "DescribeKey", Constraints=constraints)["GrantToken"]
    arguments = {"KeyId": key_arn, "Plaintext": b"x", "EncryptionContext": context, "GrantTokens": [token]}
    if is_allowed:
        stranger.encrypt(**arguments)
    else:
        with refused("AccessDeniedException"):
            stranger.encrypt(**arguments)
    stranger.describe_key(KeyId=key_arn, GrantTokens=[token])  # has no context that could be wrong


def test_a_denial_beats_a_grant(fake: FakeKms, kms: Any, stranger: Any) -> None:
    key_arn = new_key(fake, Policy=policy(statement("Deny", {"AWS": STRANGER}, "kms:Encrypt")))
    token = grant(kms, key_arn, "Encrypt")["GrantToken"]
    with refused("AccessDeniedException", "explicit deny"):
        stranger.encrypt(KeyId=key_arn, Plaintext=b"x", GrantTokens=[token])


def test_a_token_that_is_none_is_refused(kms: Any, key_arn: str) -> None:
    with refused("InvalidGrantTokenException"):
        kms.encrypt(KeyId=key_arn, Plaintext=b"x", GrantTokens=["no-token"])


def test_a_named_grant_that_is_made_again_is_the_same(kms: Any, key_arn: str) -> None:
    first = grant(kms, key_arn, "Encrypt", Name="mine")
    assert grant(kms, key_arn, "Encrypt", Name="mine")["GrantId"] == first["GrantId"]
    assert grant(kms, key_arn, "Decrypt", Name="mine")["GrantId"] != first["GrantId"]
    assert grant(kms, key_arn, "Encrypt")["GrantId"] != grant(kms, key_arn, "Encrypt")["GrantId"]
    assert len(kms.list_grants(KeyId=key_arn)["Grants"]) == 4


def test_grants_are_listed_with_what_they_allow(fake: FakeKms, kms: Any, key_arn: str) -> None:
    constraints = {"EncryptionContextSubset": {"tenant": "42"}}
    made = grant(kms, key_arn, "Encrypt", "Decrypt", Name="mine", RetiringPrincipal=READER, Constraints=constraints)
    kms.create_grant(KeyId=key_arn, GranteePrincipal=READER, Operations=["Decrypt"])
    (told,) = kms.list_grants(KeyId=key_arn, GrantId=made["GrantId"])["Grants"]
    assert told.pop("CreationDate").timestamp() == fake.clock.now()
    assert told == {
        "KeyId": key_arn,
        "GrantId": made["GrantId"],
        "Name": "mine",
        "GranteePrincipal": STRANGER,
        "RetiringPrincipal": READER,
        "IssuingAccount": f"arn:aws:iam::{ACCOUNT}:root",
        "Operations": ["Decrypt", "Encrypt"],
        "Constraints": constraints,
    }
    (of_reader,) = kms.list_grants(KeyId=key_arn, GranteePrincipal=READER)["Grants"]
    assert of_reader["GranteePrincipal"] == READER
    (retirable,) = fake.client(principal=READER).list_retirable_grants(RetiringPrincipal=READER)["Grants"]
    assert retirable["GrantId"] == made["GrantId"]
    with refused("InvalidGrantIdException"):
        kms.list_grants(KeyId=key_arn, GrantId="none")


def test_a_revoked_grant_allows_nothing(fake: FakeKms, kms: Any, stranger: Any, key_arn: str) -> None:
    grant_id = grant(kms, key_arn, "Encrypt")["GrantId"]
    fake.clock.advance(FIVE_MINUTES_S)
    stranger.encrypt(KeyId=key_arn, Plaintext=b"x")
    with refused("DryRunOperationException"):
        kms.revoke_grant(KeyId=key_arn, GrantId=grant_id, DryRun=True)
    kms.revoke_grant(KeyId=key_arn, GrantId=grant_id)
    with refused("AccessDeniedException"):
        stranger.encrypt(KeyId=key_arn, Plaintext=b"x")
    with refused("NotFoundException"):
        kms.revoke_grant(KeyId=key_arn, GrantId=grant_id)


def test_a_grant_is_retired_by_its_retiring_principal_and_by_a_grantee_that_may(
    fake: FakeKms, kms: Any, stranger: Any, key_arn: str
) -> None:
    with_retirer = grant(kms, key_arn, "Encrypt", RetiringPrincipal=READER)
    retirable = grant(kms, key_arn, "RetireGrant")
    grant(kms, key_arn, "Encrypt", Name="stays")
    with refused("AccessDeniedException", "kms:RetireGrant"):
        stranger.retire_grant(GrantToken=with_retirer["GrantToken"])
    fake.put_identity_policy(READER, {"Statement": []})
    fake.client(principal=READER).retire_grant(GrantToken=with_retirer["GrantToken"])
    stranger.retire_grant(KeyId=key_arn, GrantId=retirable["GrantId"])
    assert [known["Name"] for known in kms.list_grants(KeyId=key_arn)["Grants"]] == ["stays"]


def test_a_grant_is_retired_by_whoever_the_key_policy_allows(kms: Any, key_arn: str) -> None:
    kms.retire_grant(GrantToken=grant(kms, key_arn, "Encrypt")["GrantToken"])
    assert kms.list_grants(KeyId=key_arn)["Grants"] == []


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"GrantToken": "no-token"}, "InvalidGrantTokenException"),
        ({}, "ValidationException"),
        ({"GrantId": "none"}, "ValidationException"),
    ],
)
def test_a_grant_that_is_not_named_cannot_be_retired(
    kms: Any, key_arn: str, parameters: dict[str, str], code: str
) -> None:
    grant(kms, key_arn, "Encrypt")
    with refused(code):
        kms.retire_grant(**parameters)


def test_a_grant_made_through_a_grant_allows_no_more_than_that_one(kms: Any, stranger: Any, key_arn: str) -> None:
    token = grant(kms, key_arn, "CreateGrant", "Encrypt")["GrantToken"]
    grant(stranger, key_arn, "Encrypt", GrantTokens=[token])
    with refused("AccessDeniedException", "cannot allow more"):
        grant(stranger, key_arn, "Decrypt", GrantTokens=[token])


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"Operations": ["Dance"]}, "ValidationException"),
        ({"Operations": []}, "ValidationException"),
        ({"Constraints": {"SourceArn": "arn:aws:s3:::some-bucket"}}, "UnsupportedOperationException"),
        ({"Name": "x" * 257}, "ValidationException"),
        ({"DryRun": True}, "DryRunOperationException"),
    ],
)
def test_a_grant_that_cannot_be_is_refused(kms: Any, key_arn: str, options: dict[str, Any], code: str) -> None:
    with refused(code):
        kms.create_grant(**{"KeyId": key_arn, "GranteePrincipal": STRANGER, "Operations": ["Decrypt"], **options})
    assert kms.list_grants(KeyId=key_arn)["Grants"] == []


def test_a_grant_to_a_service_is_refused(kms: Any, key_arn: str) -> None:
    with refused("UnsupportedOperationException", "GranteePrincipal only"):
        kms.create_grant(KeyId=key_arn, GranteeServicePrincipal="s3.amazonaws.com", Operations=["Decrypt"])
