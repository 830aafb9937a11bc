"""Who else may read a secret: the documents, and what is done with the policy that is there already."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from envelope.errors import AwsAccessDenied, InvalidArgument
from envelope.testing import FakeKms
from envelope_secrets.client import SecretsClient
from envelope_secrets.errors import NotSupported, SecretNotFound, SecretRefused
from envelope_secrets.policies import PolicyControl
from envelope_secrets.policy_documents import (
    READERS_SID,
    SecretArn,
    document_of,
    identity_statements,
    is_managed_key,
    principal_arn,
    readers_of,
    without_statement,
)
from envelope_secrets.stores.protocol import PolicyFinding
from envelope_secrets.stores.secrets_manager import SecretsManagerStore
from envelope_secrets.testing import FaultySecretsManager
from tests.labelled_store_for_tests import ARN, ID, V1, LabelledStore, RotatingStore

KEY = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
OTHER = "444455556666"
OTHER_ROOT = f"arn:aws:iam::{OTHER}:root"
ROLE = f"arn:aws:iam::{OTHER}:role/team/reader"
OWN_ROLE = "arn:aws:iam::111122223333:role/own"
SECRET = SecretArn(ARN, "aws", "eu-west-1", "111122223333")

CONDITION = {
    "StringEquals": {
        "kms:ViaService": "secretsmanager.eu-west-1.amazonaws.com",
        "kms:EncryptionContext:SecretARN": ARN,
    }
}
STRANGERS = {"Sid": "Auditors", "Effect": "Allow", "Principal": {"AWS": OTHER_ROOT}, "Action": "*", "Resource": "*"}


def stored(*, kms_key_id: str = KEY, policy: dict[str, Any] | None = None) -> RotatingStore:
    store = RotatingStore.of({V1: ["AWSCURRENT"]})
    assert isinstance(store, RotatingStore)
    store.kms_key_id = kms_key_id
    store.text = None if policy is None else json.dumps(policy)
    return store


def statement(*principals: str) -> dict[str, Any]:
    return {
        "Sid": READERS_SID,
        "Effect": "Allow",
        "Principal": {"AWS": list(principals)},
        "Action": ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"],
        "Resource": "*",
    }


# --- the whole way ---------------------------------------------------------------------------------------------------


MISSING = ("nothing", "the secret's policy", "the key's statement", "what IAM allows the reader")


@pytest.mark.parametrize("missing", MISSING)
def test_a_reader_of_another_account_needs_all_three_and_the_service_between(missing: str) -> None:
    kms = FakeKms()
    fake = FaultySecretsManager(kms=kms, clock=kms.clock)
    key_arn = kms.client().create_key()["KeyMetadata"]["Arn"]
    owners = SecretsClient(SecretsManagerStore(fake.aws("eu-west-1")))
    arn = owners.create("prod/shared", "one", kms_key_id=key_arn).arn
    access = owners.policy.allow_read(arn, [ROLE])
    document = json.loads(kms.client().get_key_policy(KeyId=key_arn)["Policy"])
    if missing == "the secret's policy":
        owners.policy.revoke_read(arn)
    if missing != "the key's statement":
        document["Statement"].append(access.key_statement)
    kms.client().put_key_policy(KeyId=key_arn, Policy=json.dumps(document))
    allowed = access.identity_statements if missing != "what IAM allows the reader" else access.identity_statements[:1]
    kms.put_identity_policy(ROLE, {"Statement": list(allowed)})
    reader = SecretsClient(SecretsManagerStore(fake.aws("eu-west-1", principal=ROLE)))
    if missing != "nothing":
        with pytest.raises((AwsAccessDenied, SecretNotFound)):
            reader.get(arn)
        return
    secret = reader.get(arn)
    assert secret.text == "one"
    context = {"SecretARN": arn, "SecretVersionId": secret.version_id}
    blob = kms.client().encrypt(KeyId=key_arn, Plaintext=b"x", EncryptionContext=context)["CiphertextBlob"]
    for via in ("", "ssm.eu-west-1.amazonaws.com"):
        with pytest.raises(ClientError, match="AccessDenied"):
            kms.client(principal=ROLE, via_service=via).decrypt(CiphertextBlob=blob, EncryptionContext=context)


# --- allow_read ------------------------------------------------------------------------------------------------------


def test_readers_of_another_account_get_three_statements_one_of_which_is_put() -> None:
    store = stored()
    access = PolicyControl(store).allow_read(ID, [ROLE, OTHER])
    policy = {"Version": "2012-10-17", "Statement": [statement(ROLE, OTHER_ROOT)]}
    assert json.loads(access.policy) == json.loads(store.text or "") == policy
    assert access.key_statement == {
        "Sid": READERS_SID,
        "Effect": "Allow",
        "Principal": {"AWS": [ROLE, OTHER_ROOT]},
        "Action": "kms:Decrypt",
        "Resource": "*",
        "Condition": CONDITION,
    }
    assert access.identity_statements == (
        {"Effect": "Allow", "Action": statement()["Action"], "Resource": ARN},
        {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": KEY, "Condition": CONDITION},
    )


def test_the_policy_is_validated_first_and_public_access_blocked() -> None:
    store = stored()
    PolicyControl(store).allow_read(ID, [ROLE])
    assert [name for name, _ in store.calls] == ["describe", "policy", "validate_policy", "put_policy"]
    assert store.calls[2][1] == (store.text, ID)
    assert store.calls[3][1] == (store.text, True)


def test_what_the_service_objects_to_is_not_put() -> None:
    store = stored()
    store.objections = tuple(PolicyFinding("BROAD", f"text {number}") for number in range(9))
    with pytest.raises(SecretRefused) as caught:
        PolicyControl(store).allow_read(ID, [ROLE])
    assert "the service objects: BROAD: text 0; BROAD: text 1" in str(caught.value)
    assert str(caught.value).count("BROAD") == 5
    assert store.count("put_policy") == 0


def test_the_own_statement_is_replaced_and_others_stay_as_they_are() -> None:
    before = {"Version": "2012-10-17", "Id": "mine", "Statement": [statement(OWN_ROLE), STRANGERS]}
    store = stored(policy=before)
    PolicyControl(store).allow_read(ID, [ROLE])
    assert json.loads(store.text or "") == {**before, "Statement": [statement(ROLE), STRANGERS]}
    store = stored(policy={"Version": "2008-10-17", "Statement": STRANGERS})
    PolicyControl(store).allow_read(ID, [ROLE, ROLE])
    assert json.loads(store.text or "") == {"Version": "2008-10-17", "Statement": [STRANGERS, statement(ROLE)]}


@pytest.mark.parametrize(
    "kms_key_id", ["", "alias/aws/secretsmanager", "arn:aws:kms:eu-west-1:111122223333:alias/aws/secretsmanager"]
)
def test_no_other_account_can_use_the_key_that_aws_manages(kms_key_id: str) -> None:
    store = stored(kms_key_id=kms_key_id)
    with pytest.raises(SecretRefused, match="no other account can use that") as caught:
        PolicyControl(store).allow_read(ID, [OWN_ROLE, ROLE])
    assert "KMS key of your own" in caught.value.hint
    assert store.text is None


def test_readers_of_the_own_account_can_use_the_key_that_aws_manages() -> None:
    access = PolicyControl(stored(kms_key_id="")).allow_read(ID, [OWN_ROLE])
    assert access.key_statement is None
    assert access.identity_statements == ()


def test_readers_of_the_own_account_need_the_statement_of_a_key_of_its_own() -> None:
    access = PolicyControl(stored()).allow_read(ID, [OWN_ROLE])
    assert access.key_statement is not None
    assert access.key_statement["Principal"] == {"AWS": [OWN_ROLE]}
    assert access.identity_statements == ()


@pytest.mark.parametrize(
    ("kms_key_id", "key_arn", "resource"),
    [
        (KEY, None, KEY),
        (KEY.rpartition("/")[2], None, KEY),
        ("alias/mine", None, "arn:aws:kms:eu-west-1:111122223333:key/*"),
        ("arn:aws:kms:eu-west-1:111122223333:alias/mine", None, "arn:aws:kms:eu-west-1:111122223333:key/*"),
        ("alias/mine", KEY, KEY),
    ],
)
def test_the_key_is_named_as_exactly_as_it_is_known(kms_key_id: str, key_arn: str | None, resource: str) -> None:
    access = PolicyControl(stored(kms_key_id=kms_key_id)).allow_read(ID, [ROLE], key_arn=key_arn)
    assert access.identity_statements[1]["Resource"] == resource


@pytest.mark.parametrize(
    ("principals", "said"),
    [
        (["*"], "a principal must not have a wildcard"),
        ([f"arn:aws:iam::{OTHER}:role/*"], "a principal must not have a wildcard"),
        (["arn:aws:iam::44445555666?:root"], "a principal must not have a wildcard"),
        ([OTHER, "everybody"], "a principal must be the id of an account, 12 digits, or the ARN of a role"),
        (["44445555666"], "a principal must be the id of an account"),
        (["lambda.amazonaws.com"], "a principal must be the id of an account"),
        ([f"arn:aws:iam::{OTHER}:group/all"], "a principal must be the id of an account"),
        ([f"arn:aws:iam::{OTHER}:role/a b"], "a principal must be the id of an account"),
        ([f"arn:aws-cn:iam::{OTHER}:root"], "a principal of the partition aws-cn cannot read a secret of aws"),
        ([444455556666], "a principal must be text, not int"),
        ([], "principals must name one at least"),
        (OTHER, "principals must be several, like ['111122223333'], not str"),
        (None, "principals must be several, like ['111122223333'], not NoneType"),
    ],
)
def test_nobody_else_can_be_a_reader(principals: Any, said: str) -> None:
    store = stored()
    with pytest.raises(InvalidArgument) as caught:
        PolicyControl(store).allow_read(ID, principals)
    assert str(caught.value).startswith(said)
    assert store.text is None


@pytest.mark.parametrize(
    "principal",
    [
        ROLE,
        OTHER_ROOT,
        f"arn:aws:iam::{OTHER}:user/anna@example.com",
        f"arn:aws:sts::{OTHER}:assumed-role/reader/session",
        f"arn:aws:sts::{OTHER}:federated-user/anna",
    ],
)
def test_roles_users_and_sessions_are_named_by_their_arns(principal: str) -> None:
    assert principal_arn(principal, SECRET) == principal


@given(st.text(max_size=60) | st.from_regex(r"arn:aws:iam::[0-9]{12}:.{0,20}", fullmatch=True))
def test_a_principal_never_has_a_wildcard(text: str) -> None:
    try:
        arn = principal_arn(text, SECRET)
    except InvalidArgument:
        return
    assert not set(arn) & set("*? \n")
    assert arn.startswith("arn:aws:")


@pytest.mark.parametrize("key_arn", ["alias/x", "arn:aws:kms:eu-west-1:111122223333:alias/x", 7])
def test_the_arn_of_a_key_is_one(key_arn: Any) -> None:
    with pytest.raises(InvalidArgument, match="key_arn must be the ARN of a KMS key"):
        PolicyControl(stored()).allow_read(ID, [ROLE], key_arn=key_arn)


def test_a_policy_that_cannot_be_read_is_not_overwritten() -> None:
    for text in ("[]", "{", '{"Statement": ["x"]}', "[" * 100_000):
        store = stored()
        store.text = text
        with pytest.raises(SecretRefused, match="the resource policy that is there is no policy document"):
            PolicyControl(store).allow_read(ID, [ROLE])
        assert store.text == text


def test_a_policy_that_would_be_too_large_is_not_sent() -> None:
    store = stored()
    with pytest.raises(InvalidArgument, match="policy must have 1 to 20,480 characters"):
        PolicyControl(store).allow_read(ID, [f"{ROLE}{number:04}" for number in range(600)])
    assert store.text is None


def test_a_secret_of_another_store_has_no_readers_of_aws() -> None:
    store = stored()
    store.arn = "prod/db"
    with pytest.raises(InvalidArgument, match="a policy is for a secret with an ARN of AWS Secrets Manager"):
        PolicyControl(store).allow_read(ID, [ROLE])


def test_other_partitions_have_their_own_names() -> None:
    china = SecretArn.parse(ARN.replace("arn:aws:", "arn:aws-cn:").replace("eu-west-1", "cn-north-1"))
    assert principal_arn(OTHER, china) == f"arn:aws-cn:iam::{OTHER}:root"
    name = "secretsmanager.cn-north-1.amazonaws.com"
    condition = identity_statements(china, "")[1]["Condition"]
    assert condition["StringEquals"]["kms:ViaService"] == [name, f"{name}.cn"]
    government = SecretArn.parse(ARN.replace("arn:aws:", "arn:aws-us-gov:").replace("eu-west-1", "us-gov-west-1"))
    assert government.via_service == "secretsmanager.us-gov-west-1.amazonaws.com"


def test_the_managed_key_is_known_by_its_alias_only() -> None:
    assert not is_managed_key("alias/aws/secretsmanager2")
    assert not is_managed_key("alias/my/aws/secretsmanager")


# --- revoke_read -----------------------------------------------------------------------------------------------------


def test_the_last_statement_goes_with_the_policy() -> None:
    store = stored()
    control = PolicyControl(store)
    control.allow_read(ID, [ROLE])
    assert control.revoke_read(ID) is None
    assert store.text is None
    assert store.count("delete_policy") == 1


def test_the_statements_of_others_stay() -> None:
    store = stored(policy={"Version": "2012-10-17", "Statement": [statement(ROLE), STRANGERS]})
    assert PolicyControl(store).revoke_read(ID) == store.text
    assert json.loads(store.text or "")["Statement"] == [STRANGERS]
    assert store.calls[-1][1] == (store.text, True)


def test_some_readers_can_be_taken_out() -> None:
    store = stored(policy={"Version": "2012-10-17", "Statement": [statement(OTHER_ROOT, ROLE, OWN_ROLE)]})
    control = PolicyControl(store)
    control.revoke_read(ID, [OTHER])
    assert readers_of(document_of(store.text)) == (OWN_ROLE, ROLE)
    assert control.revoke_read(ID, [ROLE, OWN_ROLE]) is None
    assert store.text is None


def test_a_statement_that_somebody_has_opened_to_everybody_is_revoked_too() -> None:
    principals: list[Any] = ["*", {"AWS": []}, {"Federated": "x"}]
    for principal in principals:
        store = stored(policy={"Statement": [{**statement(), "Principal": principal}, STRANGERS]})
        PolicyControl(store).revoke_read(ID)
        assert json.loads(store.text or "") == {"Statement": [STRANGERS]}
        store = stored(policy={"Statement": [{**statement(), "Principal": principal}]})
        assert PolicyControl(store).revoke_read(ID, [ROLE]) is None


def test_nothing_is_put_where_nothing_changes() -> None:
    policies: list[dict[str, Any] | None] = [None, {"Statement": [STRANGERS]}, {"Statement": [statement(ROLE)]}]
    for policy in policies:
        store = stored(policy=policy)
        before = store.text
        assert PolicyControl(store).revoke_read(ID, [OWN_ROLE]) == before
        assert store.count("put_policy") + store.count("delete_policy") == 0
    store = stored(policy={"Statement": [STRANGERS]})
    assert PolicyControl(store).revoke_read(ID) == store.text
    assert store.count("put_policy") == 0


def test_readers_are_found_however_they_are_written() -> None:
    assert readers_of({"Statement": {**statement(), "Principal": {"AWS": ROLE}}}) == (ROLE,)
    assert readers_of({"Statement": [{**statement(), "Principal": "*"}]}) == ()
    assert readers_of({"Statement": STRANGERS}) is None
    assert readers_of({}) is None
    assert without_statement({}, READERS_SID) is None


# --- the rest --------------------------------------------------------------------------------------------------------


def test_a_policy_is_put_read_validated_and_deleted() -> None:
    store = stored()
    control = PolicyControl(store)
    assert control.get(ID) is None
    control.put(ID, {"Statement": [STRANGERS]})
    assert json.loads(control.get(ID) or "") == {"Statement": [STRANGERS]}
    assert store.calls[1] == ("put_policy", (store.text, True))
    control.put(ID, '{"Statement": []}', block_public=False)
    assert store.calls[-1] == ("put_policy", ('{"Statement": []}', False))
    store.objections = (PolicyFinding("SYNTAX", "no statement"),)
    assert control.validate('{"Statement": []}', secret_id=ID) == store.objections
    assert control.validate({"Statement": []}) == store.objections
    control.delete(ID)
    assert control.get(ID) is None


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ("", "policy must have 1 to 20,480 characters, not 0"),
        ("{", "policy must be a JSON document, and it cannot be parsed"),
        ("[]", "policy must be a JSON object"),
        (7, "policy must be text or a document, not int"),
        ({"a": {1}}, "policy is no JSON document (TypeError)"),
        ({"a": "x" * 20_480}, "policy must have 1 to 20,480 characters, not 20,488"),
    ],
)
def test_a_policy_that_is_none_is_not_sent(policy: Any, said: str) -> None:
    store = stored()
    for call in (lambda: PolicyControl(store).put(ID, policy), lambda: PolicyControl(store).validate(policy)):
        with pytest.raises(InvalidArgument) as caught:
            call()
        assert str(caught.value) == said
    assert store.calls == []


def test_block_public_is_a_flag() -> None:
    with pytest.raises(InvalidArgument, match="block_public must be True or False"):
        PolicyControl(stored()).put(ID, "{}", block_public="no")  # type: ignore[arg-type]


def test_a_store_without_policies_says_so() -> None:
    control = PolicyControl(LabelledStore.of({V1: ["AWSCURRENT"]}))
    for call in (
        lambda: control.get(ID),
        lambda: control.put(ID, "{}"),
        lambda: control.delete(ID),
        lambda: control.validate("{}"),
        lambda: control.allow_read(ID, [ROLE]),
        lambda: control.revoke_read(ID),
    ):
        with pytest.raises(NotSupported, match="the secrets of a LabelledStore have no policies"):
            call()
