"""Who may do what: actions that a test denies, and resource policies.

A caller may do everything in its own account, as an administrator, but what was denied. A caller of another account
needs a resource policy that allows it. An explicit denial in a resource policy is the end of it for everybody.

Source: IAM User Guide, "Policy evaluation logic"; AWS Secrets Manager User Guide, "Cross-account access".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from envelope.testing.kms_policy import Caller, Verdict
from envelope_secrets.service_rules.broken import no_such_secret
from envelope_secrets.testing.faults import access_denied, bad_parameter, bad_request
from envelope_secrets.testing.resource_policies import parse_policy, unconditional_facts
from envelope_secrets.testing.service_state import Found, Record, ServiceState

__all__ = ["Call", "authorize", "check_action", "found", "written"]


@dataclass(slots=True)
class Call:
    """One request on its way through the service.

    Attributes:
        parameters: the JSON of the request; binary values are base64 text.
        secret_arn, version_id: what it turned out to be about, for the call log.
        is_done: whether the service has done it, whatever became of the reply.
    """

    state: ServiceState
    caller: Caller
    operation: str
    parameters: dict[str, Any] = field(repr=False)
    secret_arn: str = ""
    version_id: str = ""
    is_done: bool = False

    @property
    def now_s(self) -> float:
        return self.state.now()

    def get(self, name: str, default: Any = None) -> Any:
        return self.parameters.get(name, default)


def found(call: Call) -> Found:
    """The secret that `SecretId` names, if the caller may do the operation with it.

    Raises:
        ServiceFault: AccessDeniedException, InvalidParameterException.
        RuleBroken: ResourceNotFoundException.
    """
    secret = authorize(call, call.parameters["SecretId"], call.operation)
    call.secret_arn = secret.place.arn
    return secret


def written(call: Call) -> Record:
    """The same for an operation that changes it: in the primary region only, and not if a service manages it."""
    secret = found(call)
    if not secret.is_primary:
        raise bad_parameter(
            "Operation not permitted on a replica secret. Call must be made in primary secret's region."
        )
    if secret.record.owner:
        raise bad_request(f"You can't perform this operation on a secret that is managed by {secret.record.owner}.")
    return secret.record


def authorize(call: Call, secret_id: str, action: str) -> Found:
    """The secret of that name if the caller may do the action with it."""
    secret = call.state.find(secret_id, call.caller)
    check_action(call, action, secret, secret_id)
    is_foreign = secret_id.startswith("arn:") and secret_id.split(":")[4] != call.caller.account
    if secret is None and not is_foreign:
        raise no_such_secret()
    verdict = Verdict.NOTHING if secret is None else _policy_verdict(call, action, secret)
    if verdict is Verdict.DENIED:
        reason = "with an explicit deny in a resource-based policy"
        raise access_denied(call.caller.principal, action, secret_id, reason)
    if secret is None or (is_foreign and verdict is Verdict.NOTHING):
        reason = f"because no resource-based policy allows the secretsmanager:{action} action"
        raise access_denied(call.caller.principal, action, secret_id, reason)
    return secret


def check_action(call: Call, action: str, secret: Found | None = None, resource: str = "*") -> None:
    """Raise AccessDeniedException if a test has denied this to the caller."""
    names = () if secret is None else (secret.record.name, secret.record.state.arn)
    for denial in call.state.denials:
        is_caller = denial.principal in (None, call.caller.principal, call.caller.identity)
        if denial.operation == action and is_caller and (denial.secret is None or denial.secret in (resource, *names)):
            reason = f"because no identity-based policy allows the secretsmanager:{action} action"
            raise access_denied(call.caller.principal, action, resource, reason)


def _policy_verdict(call: Call, action: str, secret: Found) -> Verdict:
    state = secret.record.state
    if state.policy is None:
        return Verdict.NOTHING
    facts = {
        **unconditional_facts(call.caller),
        **{f"{prefix}:resourcetag/{n.lower()}": (v,) for n, v in state.tags.items() for prefix in _TAG_SOURCES},
        "secretsmanager:secretid": (secret.place.arn,),
    }
    for name, key in (("VersionStage", "versionstage"), ("VersionId", "versionid")):
        if call.get(name) is not None:
            facts[f"secretsmanager:{key}"] = (call.get(name),)
    return parse_policy(state.policy).verdict(call.caller, f"secretsmanager:{action}", secret.place.arn, facts)


_TAG_SOURCES = ("aws", "secretsmanager")
