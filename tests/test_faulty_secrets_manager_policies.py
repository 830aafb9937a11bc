"""Who may do what in the fake: denied actions, resource policies, callers of other accounts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from envelope.errors import InvalidArgument
from envelope_secrets.testing import FaultySecretsManager
from tests.fake_secrets_for_tests import (
    ACCOUNT,
    APPLICATION,
    NAME,
    OTHER_ACCOUNT,
    READER,
    STRANGER,
    V1,
    created,
    policy,
    put,
    refused,
    statement,
    to_reader,
)


@pytest.fixture(name="fake")
def _fake() -> FaultySecretsManager:
    return FaultySecretsManager()


def put_policy(fake: FaultySecretsManager, text: str, **options: Any) -> str:
    """Create a secret with this policy; its ARN."""
    client = created(fake)
    client.put_resource_policy(SecretId=NAME, ResourcePolicy=text, **options)
    arn: str = client.describe_secret(SecretId=NAME)["ARN"]
    return arn


# Denied actions


def test_a_denied_action_is_refused_and_others_are_not(fake: FaultySecretsManager) -> None:
    client = created(fake)
    fake.deny("PutSecretValue")
    with refused("AccessDeniedException", "is not authorized to perform: secretsmanager:PutSecretValue on resource:"):
        put(client, 2)
    assert client.get_secret_value(SecretId=NAME)["VersionId"] == V1
    fake.allow("PutSecretValue")
    put(client, 2)


def test_an_action_can_be_denied_to_one_caller(fake: FaultySecretsManager) -> None:
    client = created(fake)
    fake.deny("GetSecretValue", principal=READER)
    session = "arn:aws:sts::111122223333:assumed-role/reader/me"
    for principal in (READER, session):
        with refused("AccessDeniedException", principal):
            fake.client(principal=principal).get_secret_value(SecretId=NAME)
    assert client.get_secret_value(SecretId=NAME)["VersionId"] == V1


def test_an_action_can_be_denied_for_one_secret_under_each_of_its_ids(fake: FaultySecretsManager) -> None:
    client = created(fake)
    created(fake, "other")
    arn = client.describe_secret(SecretId=NAME)["ARN"]
    for denied in (NAME, arn):
        fake.deny("GetSecretValue", secret=denied)
        for secret_id in (NAME, arn, arn[:-7]):
            with refused("AccessDeniedException"):
                client.get_secret_value(SecretId=secret_id)
        assert client.get_secret_value(SecretId="other")["VersionId"] == V1
        fake.allow("GetSecretValue")


def test_a_denied_caller_does_not_learn_whether_a_secret_exists(fake: FaultySecretsManager) -> None:
    fake.deny("GetSecretValue")
    with refused("AccessDeniedException"):
        fake.client().get_secret_value(SecretId="missing")


@pytest.mark.parametrize(
    ("operation", "method", "arguments"),
    [
        ("CreateSecret", "create_secret", {"Name": "x"}),
        ("ListSecrets", "list_secrets", {}),
        ("ListSecrets", "batch_get_secret_value", {"Filters": [{"Key": "name", "Values": ["x"]}]}),
        ("BatchGetSecretValue", "batch_get_secret_value", {"SecretIdList": ["x"]}),
        ("GetRandomPassword", "get_random_password", {}),
        ("ValidateResourcePolicy", "validate_resource_policy", {"ResourcePolicy": policy()}),
        ("DeleteSecret", "delete_secret", {"SecretId": "x", "ForceDeleteWithoutRecovery": True}),
    ],
)
def test_an_action_about_no_secret_can_be_denied_too(
    fake: FaultySecretsManager, operation: str, method: str, arguments: dict[str, Any]
) -> None:
    fake.deny(operation)
    with refused("AccessDeniedException", operation):
        getattr(fake.client(), method)(**arguments)


def test_only_actions_of_the_service_can_be_denied(fake: FaultySecretsManager) -> None:
    for call in (fake.deny, fake.allow):
        with pytest.raises(InvalidArgument, match="operation must be one of the service, not 'Decrypt'"):
            call("Decrypt")


# Callers of other accounts


def test_a_caller_of_another_account_needs_a_policy_and_the_arn(fake: FaultySecretsManager) -> None:
    arn = put_policy(fake, to_reader())
    stranger: Any = fake.client(principal=STRANGER)
    for secret_id in (arn, arn[:-7]):
        assert stranger.get_secret_value(SecretId=secret_id)["SecretString"] == "one"
    with refused("ResourceNotFoundException"):
        stranger.get_secret_value(SecretId=NAME)
    with refused("AccessDeniedException", "no resource-based policy allows the secretsmanager:PutSecretValue action"):
        stranger.put_secret_value(SecretId=arn, SecretString="x")
    with refused("AccessDeniedException", "no resource-based policy"):
        fake.client(account="999988887777").get_secret_value(SecretId=arn)
    with refused("AccessDeniedException", "no resource-based policy"):
        stranger.get_secret_value(SecretId=arn.replace(NAME, "missing"))


@pytest.mark.parametrize("principal", [OTHER_ACCOUNT, f"arn:aws:iam::{OTHER_ACCOUNT}:root", STRANGER, "*"])
def test_a_policy_can_name_a_role_an_account_or_everybody(fake: FaultySecretsManager, principal: str) -> None:
    arn = put_policy(fake, to_reader(principal))
    assert fake.client(principal=STRANGER).get_secret_value(SecretId=arn)["SecretString"] == "one"


def test_a_denial_in_a_policy_is_the_end_of_it(fake: FaultySecretsManager) -> None:
    arn = put_policy(fake, policy(statement("Deny", {"AWS": READER}, Action="secretsmanager:Get*")))
    with refused("AccessDeniedException", "explicit deny in a resource-based policy"):
        fake.client(principal=READER).get_secret_value(SecretId=arn)
    assert fake.client().get_secret_value(SecretId=arn)["SecretString"] == "one"


def test_conditions_on_the_label_the_tags_and_the_caller_decide(fake: FaultySecretsManager) -> None:
    pending_only = statement(
        "Deny",
        Action="secretsmanager:GetSecretValue",
        Condition={"StringNotEquals": {"secretsmanager:VersionStage": "AWSPENDING"}},
    )
    tagged = statement("Deny", Action="secretsmanager:Describe*", Condition={"Null": {"aws:ResourceTag/team": True}})
    known = statement(
        "Deny",
        Action="secretsmanager:ListSecretVersionIds",
        Condition={"ForAnyValue:StringEqualsIfExists": {"aws:PrincipalAccount": ACCOUNT}},
    )
    client = created(fake)
    put(client, 2, "P")
    client.put_resource_policy(SecretId=NAME, ResourcePolicy=policy(pending_only, tagged, known))
    with refused("AccessDeniedException"):
        client.get_secret_value(SecretId=NAME, VersionStage="AWSCURRENT")
    assert client.get_secret_value(SecretId=NAME, VersionStage="AWSPENDING")["SecretString"] == "value-2"
    with refused("AccessDeniedException"):
        client.describe_secret(SecretId=NAME)
    client.tag_resource(SecretId=NAME, Tags=[{"Key": "team", "Value": "shop"}])
    assert client.describe_secret(SecretId=NAME)["Name"] == NAME
    with refused("AccessDeniedException"):
        client.list_secret_version_ids(SecretId=NAME)


# Policies as documents


def test_a_policy_is_stored_told_and_taken_away(fake: FaultySecretsManager) -> None:
    arn = put_policy(fake, to_reader())
    client: Any = fake.client()
    told = client.get_resource_policy(SecretId=NAME)
    assert (told["ARN"], told["Name"], told["ResourcePolicy"]) == (arn, NAME, to_reader())
    assert client.list_resource_policies(SecretId=NAME)["ResourcePolicies"] == [{"PolicyName": "default"}]
    client.delete_resource_policy(SecretId=NAME)
    assert "ResourcePolicy" not in client.get_resource_policy(SecretId=NAME)
    assert client.list_resource_policies(SecretId=NAME)["ResourcePolicies"] == []


MALFORMED = {
    "no JSON": "{",
    "no object": "[]",
    "no statement": "{}",
    "an empty list": policy(),
    "a statement that is none": json.dumps({"Statement": ["x"]}),
    "no principal": json.dumps({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}),
    "another effect": policy(statement("Maybe")),
    "an unknown element": policy(statement(Colour="red")),
    "an action of another service": policy(statement(Action="kms:Decrypt")),
    "a number for an action": policy(statement(Action=3)),
    "an empty principal": policy(statement(principal={})),
    "a principal of an unknown kind": policy(statement(principal={"Planet": "Mars"})),
    "half a principal": policy(statement(principal={"AWS": "arn:aws:iam::*:root"})),
    "a condition that is none": policy(statement(Condition=["x"])),
    "an unknown operator": policy(statement(Condition={"Guess": {"aws:PrincipalArn": "x"}})),
    "an unknown quantifier": policy(statement(Condition={"ForSome:StringLike": {"aws:PrincipalArn": "x"}})),
    "an unknown key": policy(statement(Condition={"StringLike": {"aws:Colour": "x"}})),
    "a variable": policy(statement(Condition={"StringLike": {"aws:PrincipalArn": "${x}"}})),
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED)
def test_a_policy_with_an_error_is_refused(fake: FaultySecretsManager, text: str) -> None:
    client = created(fake)
    with refused("MalformedPolicyDocumentException", "This resource policy contains an error") as _:
        client.put_resource_policy(SecretId=NAME, ResourcePolicy=text)
    with refused("MalformedPolicyDocumentException"):
        client.validate_resource_policy(ResourcePolicy=text)
    assert "ResourcePolicy" not in client.get_resource_policy(SecretId=NAME)


def test_a_policy_that_is_too_long_is_refused(fake: FaultySecretsManager) -> None:
    client = created(fake)
    with refused("InvalidParameterException", "20,480"):
        client.put_resource_policy(SecretId=NAME, ResourcePolicy=to_reader() + " " * 20_480)


def test_a_public_policy_is_blocked_only_if_that_is_asked_for(fake: FaultySecretsManager) -> None:
    client = created(fake)
    public = policy(statement(Action="secretsmanager:GetSecretValue"))
    with refused("PublicPolicyException"):
        client.put_resource_policy(SecretId=NAME, ResourcePolicy=public, BlockPublicPolicy=True)
    client.put_resource_policy(SecretId=NAME, ResourcePolicy=public)
    told = client.validate_resource_policy(ResourcePolicy=public)
    assert (told["PolicyValidationPassed"], told["ValidationErrors"][0]["CheckName"]) == (False, "PublicAccess")


@pytest.mark.parametrize(
    ("condition", "is_public"),
    [
        ({"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}, False),
        ({"StringNotEquals": {"aws:PrincipalAccount": ACCOUNT}}, True),
        ({"StringLike": {"aws:PrincipalArn": "*"}}, True),
        ({"StringEquals": {"secretsmanager:VersionStage": "AWSCURRENT"}}, True),
    ],
    ids=str,
)
def test_a_condition_on_the_caller_makes_a_policy_private(
    fake: FaultySecretsManager, condition: dict[str, Any], is_public: bool
) -> None:
    told = fake.client().validate_resource_policy(ResourcePolicy=policy(statement(Condition=condition)))
    assert told["PolicyValidationPassed"] is not is_public


def test_a_policy_that_the_caller_could_not_take_back_is_objected_to(fake: FaultySecretsManager) -> None:
    client = created(fake)
    text = policy(statement("Deny", {"AWS": APPLICATION}, Action=["secretsmanager:*"]))
    told = client.validate_resource_policy(SecretId=NAME, ResourcePolicy=text)
    assert [error["CheckName"] for error in told["ValidationErrors"]] == ["CallerLockOut"]
    assert client.validate_resource_policy(SecretId=NAME, ResourcePolicy=to_reader())["PolicyValidationPassed"]


def test_a_service_can_be_a_principal_and_nobody_is_it(fake: FaultySecretsManager) -> None:
    arn = put_policy(fake, policy(statement(principal={"Service": "lambda.amazonaws.com"})))
    with refused("AccessDeniedException"):
        fake.client(principal=STRANGER).get_secret_value(SecretId=arn)
