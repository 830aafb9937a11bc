"""The template of the rotation function: nothing dangles, nobody is allowed more than is needed, failures are told."""

from __future__ import annotations

import fnmatch
import re
from functools import cache
from typing import Any

import botocore.session
import pytest

from envelope_secrets import rotation
from examples.rotation_lambda.build import DEFAULT_OUTPUT, MACHINES, PACKAGES, PYTHON
from tests.lambda_template import PATH, Template

SECRET = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/db-aBcDeF"
ADMIN = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/admin-aBcDeF"
KEY = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
EVERYTHING: dict[str, Any] = {
    "SecretArn": SECRET,
    "AdminSecretArn": ADMIN,
    "KmsKeyArn": KEY,
    "AdminKmsKeyArn": f"{KEY}-2",
    "SubnetIds": "subnet-1,subnet-2",
    "SecurityGroupIds": "sg-1",
    "NotificationEmail": "you@example.org",
}

# What CloudTrail tells EventBridge of a rotation that failed. Source: AWS Secrets Manager User Guide, "AWS CloudTrail
# entries for Secrets Manager", "Log entries for rotation".
FAILED: dict[str, Any] = {
    "version": "0",
    "detail-type": "AWS Service Event via CloudTrail",
    "source": "aws.secretsmanager",
    "account": "111122223333",
    "time": "2026-11-23T03:00:00Z",
    "region": "eu-west-1",
    "resources": [],
    "detail": {
        "eventVersion": "1.08",
        "userIdentity": {"accountId": "111122223333", "invokedBy": "secretsmanager.amazonaws.com"},
        "eventSource": "secretsmanager.amazonaws.com",
        "eventName": "RotationFailed",
        "awsRegion": "eu-west-1",
        "requestParameters": None,
        "responseElements": None,
        "additionalEventData": {"SecretId": SECRET},
        "eventType": "AwsServiceEvent",
    },
}


def matches(pattern: Any, event: Any) -> bool:
    """Whether an event has what a pattern wants: for each field one of the values listed."""
    if isinstance(pattern, dict):
        return isinstance(event, dict) and all(
            name in event and matches(pattern[name], event[name]) for name in pattern
        )
    return event in pattern


@cache
def operations(service: str) -> frozenset[str]:
    """What botocore knows that a service does."""
    return frozenset(botocore.session.get_session().get_service_model(service).operation_names)


@pytest.fixture(params=[{"SecretArn": SECRET}, EVERYTHING], ids=["the least", "everything"])
def template(request: pytest.FixtureRequest) -> Template:
    return Template.read(**request.param)


def test_every_reference_leads_to_something_that_is_there_under_the_same_condition(template: Template) -> None:
    assert template.resources
    assert template.resolved(template.document["Outputs"])
    for about in template.document["Resources"].values():
        assert about.get("DependsOn", "Function") in template.resources


def test_a_reference_to_nothing_is_noticed() -> None:
    template = Template.read(SecretArn=SECRET)
    for dangling in ({"Ref": "Nothing"}, {"Fn::GetAtt": ["Nothing", "Arn"]}, {"Fn::Sub": "${Nothing}"}):
        with pytest.raises(KeyError):
            template.resolved(dangling)
    with pytest.raises(AssertionError, match="Subscription"):
        template.resolved({"Ref": "Subscription"})


def test_every_parameter_and_every_condition_is_used() -> None:
    text = PATH.read_text()
    document = Template.read(SecretArn=SECRET).document
    for name in document["Parameters"]:
        assert re.search(rf"!Ref {name}\b|\$\{{{name}\}}", text), name
    for name in document["Conditions"]:
        assert re.search(rf"(!If|- {name}$|Condition: {name}$|\[{name},)", text, re.MULTILINE), name
        assert text.count(name) > 1, name


def test_every_action_exists(template: Template) -> None:
    actions = list(template.actions())
    assert len(actions) == len(set(actions)), "an action stands there twice"
    for action in [*(action for action, _ in actions), "lambda:InvokeFunction", "sns:Publish"]:
        service, _, operation = action.partition(":")
        known = operations(service)
        assert operation.removesuffix("Function") in known or operation in known, action


def test_the_role_reaches_this_secret_and_its_key_and_no_others() -> None:
    template = Template.read(**EVERYTHING)
    by_id = {statement["Sid"]: statement for statement in template.statements()}
    everywhere = {sid for sid, statement in by_id.items() if statement["Resource"] == "*"}
    assert everywhere == {"AttachToTheNetwork"}, "these actions have no resource"
    assert not [action for action, resource in template.actions() if "*" in action or "*" in resource.removesuffix("*")]
    assert template.allowed_operations() == {
        *((name, SECRET) for name in ("DescribeSecret", "GetSecretValue", "ListSecretVersionIds")),
        *((name, SECRET) for name in ("PutSecretValue", "UpdateSecretVersionStage")),
        ("GetSecretValue", ADMIN),
    }
    for sid, arn in (("UseTheKeyOfThisSecret", SECRET), ("UseTheKeyOfTheAdministrator", ADMIN)):
        assert by_id[sid]["Condition"]["StringEquals"] == {
            "kms:EncryptionContext:SecretARN": arn,
            "kms:ViaService": "secretsmanager.eu-west-1.amazonaws.com",
        }
    assert by_id["UseTheKeyOfTheAdministrator"]["Action"] == "kms:Decrypt"
    assert by_id["WriteTheLog"]["Resource"] == "<LogGroup.Arn>"


def test_what_is_not_asked_for_is_not_allowed() -> None:
    sids = {statement["Sid"] for statement in Template.read(SecretArn=SECRET).statements()}
    assert sids == {"RotateThisSecret", "WriteTheLog"}


def test_secrets_manager_invokes_the_function_for_this_account_and_nobody_else_does(template: Template) -> None:
    permission = template.resources["Permission"]["Properties"]
    assert permission == {
        "Action": "lambda:InvokeFunction",
        "FunctionName": "<Function.Arn>",
        "Principal": "secretsmanager.amazonaws.com",
        "SourceAccount": "111122223333",
    }
    schedule = template.resources["Schedule"]
    assert schedule["DependsOn"] == "Permission", "without it the service refuses the function"
    assert schedule["Properties"]["RotationLambdaARN"] == "<Function.Arn>"
    assert schedule["Properties"]["SecretId"] == SECRET


@pytest.mark.parametrize("name", ["RotationFailed", "RotationAbandoned"])
def test_a_rotation_that_failed_is_told(template: Template, name: str) -> None:
    rule = template.resources["Failed"]["Properties"]
    event = {**FAILED, "detail": {**FAILED["detail"], "eventName": name}}
    assert matches(rule["EventPattern"], event)
    (target,) = rule["Targets"]
    assert target["Arn"] == "<Topic>"
    paths = target["InputTransformer"]["InputPathsMap"]
    assert set(re.findall("<(.+?)>", target["InputTransformer"]["InputTemplate"])) == paths.keys()
    assert [_at(event, path) for path in paths.values()] == [name, SECRET, event["time"]]
    (statement,) = template.resources["TopicPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": "<Failed.Arn>"}}


def _at(event: Any, path: str) -> Any:
    for name in path.removeprefix("$.").split("."):
        event = event[name]
    return event


@pytest.mark.parametrize(
    "other",
    [
        {"source": "aws.kms"},
        {"detail-type": "AWS API Call via CloudTrail"},
        {"detail": {**FAILED["detail"], "eventName": "RotationSucceeded"}},
        {"detail": {**FAILED["detail"], "additionalEventData": {"SecretId": ADMIN}}},
        {"detail": {**FAILED["detail"], "additionalEventData": None}},
    ],
)
def test_what_is_no_failure_of_this_secret_is_not_told(template: Template, other: dict[str, Any]) -> None:
    assert not matches(template.resources["Failed"]["Properties"]["EventPattern"], {**FAILED, **other})


def test_the_alarm_counts_what_the_rule_has_seen(template: Template) -> None:
    alarm = template.resources["FailedAlarm"]["Properties"]
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/Events", "TriggeredRules")
    assert alarm["Dimensions"] == [{"Name": "RuleName", "Value": "<Failed>"}]
    assert alarm["TreatMissingData"] == "notBreaching"


def test_the_function_is_the_one_that_is_built(template: Template) -> None:
    function = template.resources["Function"]["Properties"]
    assert (PATH.parent / function["CodeUri"]).resolve() == DEFAULT_OUTPUT.resolve()
    assert function["Handler"] == "handler.handler"
    assert function["Runtime"] == f"python{PYTHON}"
    assert function["LoggingConfig"]["LogGroup"] == "<LogGroup>"
    assert ("VpcConfig" in function) == (template.parameters["SubnetIds"] != [""])
    variables = re.findall(r'environ\["(\w+)"\]', (PATH.parent / "handler.py").read_text())
    assert sorted(function["Environment"]["Variables"]) == sorted(variables)


def test_the_parameters_name_what_there_is() -> None:
    parameters = Template.read(SecretArn=SECRET).document["Parameters"]
    assert parameters["Target"]["AllowedValues"] == list(PACKAGES)
    assert parameters["Architecture"]["AllowedValues"] == list(MACHINES)
    assert parameters["Tls"]["AllowedValues"] == ["verify-full", "verify-ca", "require", "disable"]
    for name in [*parameters["Target"]["AllowedValues"], *parameters["Strategy"]["AllowedValues"]]:
        assert hasattr(rotation, name)
    assert re.fullmatch(parameters["SecretArn"]["AllowedPattern"], SECRET)
    assert not re.fullmatch(parameters["SecretArn"]["AllowedPattern"], SECRET[:-7]), "events come with the whole ARN"


def test_nothing_is_reserved_where_an_account_has_nothing_to_reserve() -> None:
    reserved = [
        Template.read(SecretArn=SECRET, **chosen)
        .resources["Function"]["Properties"]
        .get("ReservedConcurrentExecutions")
        for chosen in ({}, {"ReservedConcurrency": 0})
    ]
    assert reserved == [2, None]


def test_the_log_is_not_kept_for_ever_and_has_no_name_of_its_own(template: Template) -> None:
    group = template.resources["LogGroup"]["Properties"]
    assert group == {"RetentionInDays": 90}
    assert not fnmatch.filter(group, "*Name*"), "two stacks of one template must not share it"
