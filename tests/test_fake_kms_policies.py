"""Who may do what with a key of the fake KMS, by key policies and identity policies."""

from __future__ import annotations

import json
from typing import Any

import pytest

from envelope import InvalidArgument
from envelope.testing import FakeKms
from tests.fake_kms_for_tests import (
    ACCOUNT,
    APPLICATION,
    OTHER_ACCOUNT,
    READER,
    STRANGER,
    new_key,
    policy,
    refused,
    statement,
)

SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/reader/session-1"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
TENANT = {"kms:EncryptionContext:tenant": "42"}


@pytest.fixture(name="fake")
def _fake() -> FakeKms:
    return FakeKms()


def may_decrypt(fake: FakeKms, key_arn: str, principal: str = READER, **context: str) -> bool:
    """Whether this principal may decrypt under this encryption context, once somebody has encrypted under it."""
    blob = _sealed(fake, key_arn, context)
    try:
        fake.client(principal=principal).decrypt(CiphertextBlob=blob, EncryptionContext=context)
    except fake.client(principal=principal).exceptions.ClientError as error:
        if error.response["Error"]["Code"] != "AccessDeniedException":
            raise
        return False
    return True


def _sealed(fake: FakeKms, key_arn: str, context: dict[str, str]) -> bytes:
    return fake.client().encrypt(KeyId=key_arn, Plaintext=b"x", EncryptionContext=context)["CiphertextBlob"]


def key_with(fake: FakeKms, **conditions: Any) -> str:
    """A key whose policy denies decryption unless the conditions hold."""
    by_account = statement(principal={"AWS": ROOT}, action=["kms:CreateKey", "kms:Put*", "kms:Encrypt"])
    conditional = statement(principal={"AWS": ROOT}, action="kms:Decrypt", Condition=conditions)
    return new_key(fake, Policy=json.dumps({"Statement": [by_account, conditional]}))


def test_everybody_of_the_keys_account_is_an_administrator_by_default(fake: FakeKms) -> None:
    key_arn = new_key(fake)
    for principal in (APPLICATION, READER, SESSION, ROOT, f"arn:aws:iam::{ACCOUNT}:user/somebody"):
        assert may_decrypt(fake, key_arn, principal)


def test_nobody_of_another_account_may_do_anything_by_default(fake: FakeKms) -> None:
    key_arn = new_key(fake)
    message = (
        f"User: {STRANGER} is not authorized to perform: kms:Decrypt on resource: {key_arn} "
        "because no resource-based policy allows the kms:Decrypt action"
    )
    with refused("AccessDeniedException", message):
        fake.client(principal=STRANGER).decrypt(KeyId=key_arn, CiphertextBlob=_sealed(fake, key_arn, {}))


@pytest.mark.parametrize("principal", [STRANGER, f"arn:aws:iam::{OTHER_ACCOUNT}:root", OTHER_ACCOUNT, "*"])
def test_another_account_may_what_the_key_policy_says(fake: FakeKms, principal: str) -> None:
    allowed = statement(principal={"AWS": [principal]}, action="kms:Decrypt")
    key_arn = new_key(fake, Policy=policy(allowed))
    assert may_decrypt(fake, key_arn, STRANGER)
    with refused("AccessDeniedException", "kms:Encrypt"):
        fake.client(principal=STRANGER).encrypt(KeyId=key_arn, Plaintext=b"x")


def test_another_account_needs_its_own_identity_policy_too(fake: FakeKms) -> None:
    key_arn = new_key(fake, Policy=policy(statement()))
    fake.put_identity_policy(STRANGER, {"Statement": [_identity_statement(action="kms:Encrypt")]})
    fake.client(principal=STRANGER).encrypt(KeyId=key_arn, Plaintext=b"x")
    with refused("AccessDeniedException", "because no identity-based policy allows the kms:Decrypt action"):
        fake.client(principal=STRANGER).decrypt(CiphertextBlob=_sealed(fake, key_arn, {}))


def test_administration_does_not_reach_across_accounts(fake: FakeKms) -> None:
    key_arn = new_key(fake, Policy=policy(statement()))
    with refused("AccessDeniedException", "kms:DisableKey"):
        fake.client(principal=STRANGER).disable_key(KeyId=key_arn)


def test_the_account_delegates_to_identity_policies(fake: FakeKms) -> None:
    key_arn, other_arn = new_key(fake), new_key(fake)
    fake.put_identity_policy(READER, {"Statement": _identity_statement(action="kms:Decrypt", resource=key_arn)})
    assert may_decrypt(fake, key_arn)
    assert may_decrypt(fake, key_arn, SESSION)
    assert not may_decrypt(fake, other_arn)
    with refused("AccessDeniedException", "because no identity-based policy allows the kms:Encrypt action"):
        fake.client(principal=READER).encrypt(KeyId=key_arn, Plaintext=b"x")
    with refused("AccessDeniedException", "kms:ListKeys on resource: *"):
        fake.client(principal=READER).list_keys()


def test_a_key_policy_that_names_the_principal_needs_no_identity_policy(fake: FakeKms) -> None:
    key_arn = new_key(fake, Policy=policy(statement(principal={"AWS": READER}, action="kms:Decrypt")))
    fake.put_identity_policy(READER, {"Statement": []})
    assert may_decrypt(fake, key_arn)
    assert may_decrypt(fake, key_arn, SESSION)


def test_a_session_can_be_named_itself(fake: FakeKms) -> None:
    key_arn = new_key(fake, Policy=policy(statement("Deny", principal={"AWS": SESSION}, action="kms:Decrypt")))
    assert not may_decrypt(fake, key_arn, SESSION)
    assert may_decrypt(fake, key_arn, SESSION.replace("session-1", "session-2"))


def test_a_key_policy_without_the_account_shuts_its_administrators_out(fake: FakeKms) -> None:
    only = {"Statement": statement(principal={"AWS": APPLICATION})}
    key_arn = new_key(fake, Policy=json.dumps(only))
    assert may_decrypt(fake, key_arn, APPLICATION)
    assert not may_decrypt(fake, key_arn, READER)


@pytest.mark.parametrize("principal", ["*", {"AWS": "*"}, {"AWS": READER}, {"AWS": ACCOUNT}])
def test_a_denial_in_the_key_policy_beats_everything(fake: FakeKms, principal: Any) -> None:
    everything = statement(principal={"AWS": READER})
    key_arn = new_key(fake, Policy=policy(everything, statement("Deny", principal, "kms:Decrypt")))
    with refused("AccessDeniedException", "with an explicit deny in a resource-based policy"):
        fake.client(principal=READER).decrypt(CiphertextBlob=_sealed(fake, key_arn, {}))


def test_a_denial_in_the_identity_policy_beats_the_key_policy(fake: FakeKms) -> None:
    key_arn = new_key(fake, Policy=policy(statement(principal={"AWS": READER})))
    fake.put_identity_policy(READER, {"Statement": [{**_identity_statement(action="kms:D*"), "Effect": "Deny"}]})
    with refused("AccessDeniedException", "with an explicit deny in an identity-based policy"):
        fake.client(principal=READER).describe_key(KeyId=key_arn)


@pytest.mark.parametrize(
    ("action", "is_allowed"),
    [
        ("kms:Decrypt", True),
        ("KMS:decrypt", True),
        ("kms:De*", True),
        ("kms:?ecrypt", True),
        (["kms:Encrypt", "kms:Decrypt"], True),
        ("kms:Encrypt", False),
        ("kms:Decryp", False),
        ("kms:[D]ecrypt", False),
    ],
)
def test_actions_are_matched_with_wildcards(fake: FakeKms, action: Any, *, is_allowed: bool) -> None:
    allowed = statement(principal={"AWS": STRANGER}, action=action)
    assert may_decrypt(fake, new_key(fake, Policy=policy(allowed)), STRANGER) is is_allowed


def test_re_encryption_needs_both_of_its_actions(fake: FakeKms) -> None:
    actions = {"from": "kms:ReEncryptFrom", "to": "kms:ReEncryptTo", "both": "kms:ReEncrypt*"}
    keys = {
        name: new_key(fake, Policy=policy(statement(principal={"AWS": STRANGER}, action=action)))
        for name, action in actions.items()
    }
    stranger = fake.client(principal=STRANGER)
    blobs = {name: _sealed(fake, key_arn, {}) for name, key_arn in keys.items()}
    stranger.re_encrypt(CiphertextBlob=blobs["from"], DestinationKeyId=keys["to"])
    stranger.re_encrypt(CiphertextBlob=blobs["both"], DestinationKeyId=keys["both"])
    with refused("AccessDeniedException", "kms:ReEncryptFrom"):
        stranger.re_encrypt(CiphertextBlob=blobs["to"], DestinationKeyId=keys["to"])
    with refused("AccessDeniedException", "kms:ReEncryptTo"):
        stranger.re_encrypt(CiphertextBlob=blobs["from"], DestinationKeyId=keys["from"])


@pytest.mark.parametrize(
    ("conditions", "context", "is_allowed"),
    [
        ({"StringEquals": TENANT}, {"tenant": "42", "more": "x"}, True),
        ({"StringEquals": TENANT}, {"tenant": "43"}, False),
        ({"StringEquals": TENANT}, {}, False),
        ({"StringEquals": {"kms:encryptioncontext:TENANT": ["41", "42"]}}, {"tenant": "42"}, True),
        ({"StringEqualsIfExists": TENANT}, {}, True),
        ({"StringEqualsIfExists": TENANT}, {"tenant": "43"}, False),
        ({"StringEqualsIgnoreCase": {"kms:EncryptionContext:tenant": "ABC"}}, {"tenant": "abc"}, True),
        ({"StringEquals": {"kms:EncryptionContext:tenant": "ABC"}}, {"tenant": "abc"}, False),
        ({"StringNotEquals": TENANT}, {"tenant": "43"}, True),
        ({"StringNotEquals": TENANT}, {"tenant": "42"}, False),
        ({"StringNotEquals": TENANT}, {}, True),
        ({"StringLike": {"kms:EncryptionContext:tenant": "4?-*"}}, {"tenant": "42-a"}, True),
        ({"StringLike": {"kms:EncryptionContext:tenant": "4?-*"}}, {"tenant": "42"}, False),
        ({"StringNotLike": {"kms:EncryptionContext:tenant": "4*"}}, {"tenant": "42"}, False),
        (
            {"StringLike": {"kms:EncryptionContext:tenant": ["a*", "b*"]}, "StringEquals": TENANT},
            {"tenant": "42"},
            False,
        ),
        ({"Null": {"kms:EncryptionContext:tenant": "false"}}, {"tenant": "1"}, True),
        ({"Null": {"kms:EncryptionContext:tenant": False}}, {}, False),
        ({"Null": {"kms:EncryptionContextKeys": "true"}}, {}, True),
        ({"Null": {"kms:EncryptionContextKeys": "true"}}, {"tenant": "1"}, False),
        ({"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["tenant", "more"]}}, {"tenant": "1"}, True),
        ({"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["tenant"]}}, {"tenant": "1", "b": "2"}, False),
        ({"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["tenant"]}}, {}, True),
        ({"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["tenant"]}}, {"Tenant": "1"}, False),
        ({"ForAnyValue:StringEquals": {"kms:EncryptionContextKeys": ["tenant"]}}, {"tenant": "1", "b": "2"}, True),
        ({"ForAnyValue:StringLike": {"kms:EncryptionContextKeys": "ten*"}}, {"b": "2"}, False),
        ({"ForAnyValue:StringEquals": {"kms:EncryptionContextKeys": ["tenant"]}}, {}, False),
        ({"ForAnyValue:StringNotEquals": {"kms:EncryptionContextKeys": ["tenant"]}}, {}, False),
        ({"StringEquals": {"kms:CallerAccount": ACCOUNT}}, {}, True),
        ({"StringEquals": {"aws:PrincipalAccount": OTHER_ACCOUNT}}, {}, False),
        ({"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/r*"}}, {}, True),
        ({"ArnNotEquals": {"aws:PrincipalArn": READER}}, {}, False),
    ],
)
def test_conditions_are_about_context_and_caller(
    fake: FakeKms, conditions: dict[str, Any], context: dict[str, str], *, is_allowed: bool
) -> None:
    assert may_decrypt(fake, key_with(fake, **conditions), SESSION, **context) is is_allowed


@pytest.mark.parametrize(
    ("element", "text"),
    [
        ({"NotAction": "kms:Decrypt"}, "NotAction"),
        ({"Condition": {"DateLessThan": {"aws:CurrentTime": "2026-01-01"}}}, "DateLessThan"),
        ({"Condition": {"ForSomeValues:StringEquals": TENANT}}, "ForSomeValues"),
        ({"Condition": {"StringEquals": {"aws:SourceVpce": "s3.eu-west-1.amazonaws.com"}}}, "aws:SourceVpce"),
        ({"Condition": {"StringEquals": {"kms:EncryptionContextKeys": "tenant"}}}, "ForAllValues or ForAnyValue"),
        ({"Condition": {"StringEquals": {"kms:EncryptionContext:a": "${aws:username}"}}}, "policy variables"),
        ({"Condition": {"StringEquals": {"kms:EncryptionContext:a": 42}}}, "must be a text"),
        ({"Condition": {"StringEquals": "tenant"}}, "must be an object"),
        ({"Condition": "tenant"}, "must be an object"),
        ({"Principal": "somebody"}, "Principal"),
        ({"Principal": {"Federated": "x"}}, "Federated"),
        ({"Principal": {"AWS": "arn:aws:iam::*:root"}}, "must be whole"),
        ({"Effect": "Maybe"}, "Effect"),
    ],
)
def test_what_the_fake_does_not_understand_cannot_be_put(fake: FakeKms, element: dict[str, Any], text: str) -> None:
    for put in (
        lambda: new_key(fake, Policy=policy({**statement(), **element})),
        lambda: fake.client().put_key_policy(KeyId=new_key(fake), Policy=policy({**statement(), **element})),
    ):
        with refused("MalformedPolicyDocumentException", text):
            put()


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"Statement": 1}', '{"Statement": [1]}', '{"Statement": [{}]}'])
def test_what_is_no_policy_cannot_be_put(fake: FakeKms, text: str) -> None:
    with refused("MalformedPolicyDocumentException"):
        new_key(fake, Policy=text)


def test_a_service_as_principal_fits_no_caller(fake: FakeKms) -> None:
    of_service = statement("Deny", principal={"Service": "logs.eu-west-1.amazonaws.com"})
    assert may_decrypt(fake, new_key(fake, Policy=policy(of_service)))


def test_a_policy_that_locks_its_author_out_needs_to_be_asked_for_twice(fake: FakeKms) -> None:
    kms, key_arn = fake.client(), new_key(fake)
    locked = json.dumps({"Statement": statement(principal={"AWS": READER})})
    with refused("MalformedPolicyDocumentException", "will not allow you to update the key policy"):
        kms.put_key_policy(KeyId=key_arn, Policy=locked)
    kms.put_key_policy(KeyId=key_arn, Policy=locked, BypassPolicyLockoutSafetyCheck=True)
    with refused("AccessDeniedException"):
        kms.get_key_policy(KeyId=key_arn)
    assert fake.client(principal=READER).get_key_policy(KeyId=key_arn)["Policy"] == locked


def test_a_key_has_one_policy_called_default(fake: FakeKms) -> None:
    kms, key_arn = fake.client(), new_key(fake)
    assert kms.list_key_policies(KeyId=key_arn)["PolicyNames"] == ["default"]
    text = kms.get_key_policy(KeyId=key_arn, PolicyName="default")["Policy"]
    assert json.loads(text)["Statement"][0]["Principal"] == {"AWS": ROOT}
    with refused("NotFoundException", "No such policy"):
        kms.put_key_policy(KeyId=key_arn, PolicyName="other", Policy=text)


def test_an_identity_policy_names_no_principal_and_only_what_is_known(fake: FakeKms) -> None:
    for wrong in ({"Statement": {**_identity_statement(), "Condition": {"Bool": {}, "Date": {"a": "b"}}}}, {}):
        with pytest.raises(InvalidArgument, match="the identity policy cannot be used"):
            fake.put_identity_policy(READER, wrong)
    with pytest.raises(InvalidArgument, match="principal"):
        fake.put_identity_policy("reader", {"Statement": []})


def _identity_statement(*, action: str = "kms:*", resource: str = "*") -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource}
