"""Resource policies: put, get, delete, list, validate."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from envelope.testing.kms_policy import Policy
from envelope_secrets.service_rules.deletion import check_not_deleted
from envelope_secrets.testing.access import Call, check_action, found, written
from envelope_secrets.testing.faults import ServiceFault
from envelope_secrets.testing.request_checks import page
from envelope_secrets.testing.resource_policies import locks_out, opens_to_public, parse_policy

__all__ = [
    "delete_resource_policy",
    "get_resource_policy",
    "list_resource_policies",
    "put_resource_policy",
    "validate_resource_policy",
]

_PUBLIC = "This resource policy grants broad access to the secret: anybody could use it."
_LOCKS_OUT = "This resource policy would keep the caller from changing or deleting it."
_NAME = {"PolicyName": "default"}


def put_resource_policy(call: Call) -> dict[str, Any]:
    text = call.parameters["ResourcePolicy"]
    record = written(call)
    check_not_deleted(record.state)
    policy = parse_policy(text)
    if call.get("BlockPublicPolicy", False) and opens_to_public(policy):
        raise ServiceFault("PublicPolicyException", _PUBLIC)
    call.state.commit(record, replace(record.state, policy=text))
    return _named(call, record.name)


def get_resource_policy(call: Call) -> dict[str, Any]:
    state = call.state.read(found(call))
    check_not_deleted(state)
    policy = {} if state.policy is None else {"ResourcePolicy": state.policy, **_NAME}
    return {**_named(call, state.name), **policy}


def delete_resource_policy(call: Call) -> dict[str, Any]:
    record = written(call)
    check_not_deleted(record.state)
    call.state.commit(record, replace(record.state, policy=None))
    return _named(call, record.name)


def list_resource_policies(call: Call) -> dict[str, Any]:
    state = call.state.read(found(call))
    return page(call.parameters, "ResourcePolicies", [] if state.policy is None else [_NAME])


def validate_resource_policy(call: Call) -> dict[str, Any]:
    arn = "*"
    if "SecretId" in call.parameters:
        arn = found(call).place.arn
    else:
        check_action(call, call.operation)
    policy = parse_policy(call.parameters["ResourcePolicy"])
    errors = [{"CheckName": name, "ErrorMessage": text} for name, text in _objections(call, policy, arn)]
    return {"PolicyValidationPassed": not errors, "ValidationErrors": errors}


def _objections(call: Call, policy: Policy, arn: str) -> list[tuple[str, str]]:
    objections = []
    if opens_to_public(policy):
        objections.append(("PublicAccess", _PUBLIC))
    if locks_out(policy, call.caller, arn):
        objections.append(("CallerLockOut", _LOCKS_OUT))
    return objections


def _named(call: Call, name: str) -> dict[str, Any]:
    return {"ARN": call.secret_arn, "Name": name}
