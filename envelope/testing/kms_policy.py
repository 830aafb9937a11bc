"""Key policies and identity policies: what they say about one call.

Source: IAM User Guide, "Policy evaluation logic"; KMS Developer Guide, "Key policies in AWS KMS".
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto

from envelope.testing.kms_conditions import (
    Condition,
    Facts,
    as_texts,
    malformed,
    matches_pattern,
    parse_conditions,
)

__all__ = ["Caller", "Policy", "Verdict", "default_key_policy", "parse_policy"]

_ELEMENTS = frozenset({"Sid", "Effect", "Principal", "Action", "Resource", "Condition"})
_SESSION_PARTS = 3


class Verdict(Enum):
    """What a policy says about a call."""

    NOTHING = auto()
    DENIED = auto()
    ALLOWED = auto()
    ACCOUNT_ALLOWED = auto()
    """The caller's account may; whether the caller may, its identity policy says."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and where.

    Attributes:
        principal: ARN of a user, a role, a session of an assumed role, or the account's root.
        via_service: the AWS service that calls in the principal's name, or an empty string.
    """

    principal: str
    account: str
    region: str
    via_service: str = ""

    @property
    def identity(self) -> str:
        """The ARN that policies are written for: of a session the role's."""
        parts = self.principal.split("/")
        if ":assumed-role" not in parts[0] or len(parts) != _SESSION_PARTS:
            return self.principal
        return f"{parts[0].replace(':sts:', ':iam:').replace(':assumed-role', ':role')}/{parts[1]}"


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement; `principals` is None in an identity policy, which is about its owner."""

    allows: bool
    principals: tuple[str, ...] | None
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[Condition, ...]

    def applies(self, action: str, resource: str, facts: Facts) -> bool:
        return (
            any(matches_pattern(action.lower(), pattern) for pattern in self.actions)
            and any(matches_pattern(resource, pattern) for pattern in self.resources)
            and all(condition.holds(facts) for condition in self.conditions)
        )

    def verdict(self, caller: Caller) -> Verdict:
        """What it says about this caller, if it applies to the call."""
        names_caller = self.principals is None or not {"*", caller.principal, caller.identity}.isdisjoint(
            self.principals
        )
        names_account = self.principals is not None and any(
            principal == caller.account or principal.endswith(f":iam::{caller.account}:root")
            for principal in self.principals
        )
        if not names_caller and not names_account:
            return Verdict.NOTHING
        if not self.allows:
            return Verdict.DENIED
        return Verdict.ALLOWED if names_caller else Verdict.ACCOUNT_ALLOWED


@dataclass(frozen=True, slots=True)
class Policy:
    """A parsed policy and the text it was put as."""

    text: str
    statements: tuple[Statement, ...]

    def verdict(self, caller: Caller, action: str, resource: str, facts: Facts) -> Verdict:
        """The strongest word of all statements that apply: denied, allowed, allowed to the account, nothing."""
        said = {s.verdict(caller) for s in self.statements if s.applies(action, resource, facts)}
        order = (Verdict.DENIED, Verdict.ALLOWED, Verdict.ACCOUNT_ALLOWED)
        return next((verdict for verdict in order if verdict in said), Verdict.NOTHING)


def default_key_policy(account: str, partition: str) -> str:
    """What a key has that is created without a policy: its account decides, by identity policies."""
    statement = {
        "Sid": "Enable IAM User Permissions",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:{partition}:iam::{account}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    return json.dumps({"Version": "2012-10-17", "Id": "key-default-1", "Statement": [statement]})


def parse_policy(text: str, *, has_principals: bool) -> Policy:
    """Read a policy; a key policy names principals, an identity policy does not.

    Raises:
        KmsFault: MalformedPolicyDocumentException, also for whatever the fake does not know.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise malformed("the policy is not JSON") from error
    if not isinstance(document, dict) or not isinstance(document.get("Statement"), (dict, list)):
        raise malformed("the policy must be an object with a Statement")
    _refuse_unknown(document, ("Version", "Id", "Statement"))
    listed = document["Statement"]
    statements = listed if isinstance(listed, list) else [listed]
    return Policy(text, tuple(_parse_statement(statement, has_principals) for statement in statements))


def _parse_statement(statement: object, has_principals: bool) -> Statement:
    if not isinstance(statement, dict):
        raise malformed("a statement must be an object")
    _refuse_unknown(statement, _ELEMENTS)
    missing = {"Effect", "Action", "Resource", *(["Principal"] if has_principals else [])} - statement.keys()
    if missing:
        raise malformed(f"a statement lacks {min(missing)}")
    if statement["Effect"] not in ("Allow", "Deny"):
        raise malformed("Effect must be Allow or Deny")
    return Statement(
        allows=statement["Effect"] == "Allow",
        principals=_parse_principals(statement["Principal"]) if has_principals else None,
        actions=tuple(action.lower() for action in as_texts(statement["Action"])),
        resources=as_texts(statement["Resource"]),
        conditions=parse_conditions(statement.get("Condition", {})),
    )


def _parse_principals(element: object) -> tuple[str, ...]:
    if element == "*":
        return ("*",)
    if not isinstance(element, dict):
        raise malformed('Principal must be "*" or an object')
    _refuse_unknown(element, ("AWS", "Service"))
    as_texts(element.get("Service", []))  # no caller of the fake is a service: such a principal fits nobody
    principals = as_texts(element.get("AWS", []))
    if any("*" in principal and principal != "*" for principal in principals):
        raise malformed("a principal must be whole: * can only stand alone")
    return principals


def _refuse_unknown(element: dict[str, object], known: Iterable[str]) -> None:
    unknown = set(element) - set(known)
    if unknown:
        raise malformed(f"FakeKms does not know the policy element {min(unknown)}")
