"""Resource policies of secrets: their syntax, what they allow, and whether they open a secret to the public.

A policy that the fake does not understand is refused when it is put, never ignored.

Source: IAM User Guide, "Grammar of the IAM JSON policy language"; AWS Secrets Manager User Guide, "Resource-based
policies" and "Block public access"; "Actions, resources, and condition keys for AWS Secrets Manager".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from envelope.testing.kms_conditions import Condition, as_texts
from envelope.testing.kms_faults import KmsFault
from envelope.testing.kms_policy import Caller, Policy, Statement, Verdict
from envelope_secrets.limits import policy_problem
from envelope_secrets.testing.faults import ServiceFault, bad_parameter

__all__ = ["Finding", "locks_out", "opens_to_public", "parse_policy", "unconditional_facts"]

Finding = tuple[str, str]
"""The check that objects, and what it says."""

_ELEMENTS = frozenset({"Sid", "Effect", "Principal", "Action", "Resource", "Condition"})
_COMPARISONS = ("StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike", "Null")
_CALLER_KEYS = frozenset({"aws:principalaccount", "aws:principalarn", "aws:principalorgid", "aws:sourcevpce"})
_KEYS = _CALLER_KEYS | {
    "secretsmanager:resource/allowrotationlambdaarn",
    "secretsmanager:secretid",
    "secretsmanager:versionid",
    "secretsmanager:versionstage",
}
_TAG_PREFIXES = ("aws:resourcetag/", "secretsmanager:resourcetag/")


def parse_policy(text: str) -> Policy:
    """Read a policy.

    Raises:
        ServiceFault: InvalidParameterException for its length; MalformedPolicyDocumentException, also for what the
            fake does not know.
    """
    document = _document(text)
    _refuse_unknown(document, ("Version", "Id", "Statement"))
    listed = document.get("Statement")
    statements = listed if isinstance(listed, list) else [listed]
    if not statements:
        raise _malformed("there is no Statement")
    try:
        return Policy(text, tuple(_parse_statement(statement) for statement in statements))
    except KmsFault as fault:  # from the parts that resource policies and key policies have in common
        raise _malformed(fault.message.replace("FakeKms", "FaultySecretsManager")) from None


def opens_to_public(policy: Policy) -> bool:
    """Whether anybody may do something: a statement allows all principals, and no condition says which."""
    return any(
        statement.allows
        and "*" in (statement.principals or ())
        and not any(c.key in _CALLER_KEYS and not c.is_negated and "*" not in c.wanted for c in statement.conditions)
        for statement in policy.statements
    )


def locks_out(policy: Policy, caller: Caller, arn: str) -> bool:
    """Whether the caller could not take the policy back."""
    actions = ("secretsmanager:PutResourcePolicy", "secretsmanager:DeleteResourcePolicy")
    facts = unconditional_facts(caller)
    return all(policy.verdict(caller, action, arn, facts) is Verdict.DENIED for action in actions)


def unconditional_facts(caller: Caller) -> dict[str, tuple[str, ...]]:
    """What conditions know of every call: who makes it."""
    return {"aws:principalarn": (caller.identity,), "aws:principalaccount": (caller.account,)}


def _document(text: str) -> Mapping[str, object]:
    problem = policy_problem(text)
    if problem is not None and "characters" in problem:
        raise bad_parameter(f"The parameter ResourcePolicy {problem}.")
    if problem is not None:
        raise _malformed(f"the policy {problem}")
    document: Mapping[str, object] = json.loads(text)
    return document


def _parse_statement(statement: object) -> Statement:
    if not isinstance(statement, dict):
        raise _malformed("a statement must be an object")
    _refuse_unknown(statement, _ELEMENTS)
    missing = {"Effect", "Action", "Resource", "Principal"} - statement.keys()
    if missing:
        raise _malformed(f"a statement lacks {min(missing)}")
    if statement["Effect"] not in ("Allow", "Deny"):
        raise _malformed("Effect must be Allow or Deny")
    actions = tuple(action.lower() for action in as_texts(statement["Action"]))
    if not all(action == "*" or action.startswith("secretsmanager:") for action in actions):
        raise _malformed("an action must be one of secretsmanager")
    return Statement(
        allows=statement["Effect"] == "Allow",
        principals=_parse_principals(statement["Principal"]),
        actions=actions,
        resources=as_texts(statement["Resource"]),
        conditions=_parse_conditions(statement.get("Condition", {})),
    )


def _parse_principals(element: object) -> tuple[str, ...]:
    if element == "*":
        return ("*",)
    if not isinstance(element, dict) or not element:
        raise _malformed('Principal must be "*" or an object')
    _refuse_unknown(element, ("AWS", "Service"))
    as_texts(element.get("Service", []))  # no caller of the fake is a service
    principals = as_texts(element.get("AWS", []))
    if any("*" in principal and principal != "*" for principal in principals):
        raise _malformed("a principal must be whole: * can only stand alone")
    return principals


def _parse_conditions(element: object) -> tuple[Condition, ...]:
    if not isinstance(element, dict) or not all(isinstance(pairs, dict) for pairs in element.values()):
        raise _malformed("Condition must be an object of objects")
    return tuple(
        _parse_condition(operator, key, values) for operator, pairs in element.items() for key, values in pairs.items()
    )


def _parse_condition(operator: str, key: str, values: object) -> Condition:
    quantifier, _, name = operator.rpartition(":")
    if_exists = name.endswith("IfExists")
    plain = name.removesuffix("IfExists").replace("Not", "")
    if plain not in _COMPARISONS or quantifier not in ("", "ForAllValues", "ForAnyValue"):
        raise _malformed(f"FaultySecretsManager does not know the condition operator {operator}")
    known = key.lower()
    if known not in _KEYS and not known.startswith(_TAG_PREFIXES):
        raise _malformed(f"FaultySecretsManager does not know the condition key {key}")
    return Condition(plain, "Not" in name, quantifier, if_exists, known, as_texts(values))


def _refuse_unknown(element: Mapping[str, object], known: Iterable[str]) -> None:
    unknown = set(element) - set(known)
    if unknown:
        raise _malformed(f"FaultySecretsManager does not know the policy element {min(unknown)}")


def _malformed(message: str) -> ServiceFault:
    return ServiceFault("MalformedPolicyDocumentException", f"This resource policy contains an error: {message}.")
