"""Policies for readers of a secret, as pure functions: the secret's own, its key's, and the one of the readers.

Source: AWS Secrets Manager User Guide, "Access AWS Secrets Manager secrets from a different account"; AWS KMS Developer
Guide, "kms:ViaService", "kms:EncryptionContext:context-key"; IAM User Guide, "AWS JSON policy elements: Principal".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from envelope.errors import InvalidArgument
from envelope_secrets.errors import SecretRefused

__all__ = [
    "READERS_SID",
    "SecretArn",
    "document_of",
    "identity_statements",
    "is_managed_key",
    "key_statement",
    "principal_arn",
    "readers_of",
    "readers_statement",
    "text_of",
    "with_statement",
    "without_statement",
]

READERS_SID = "EnvelopeSecretsReaders"
"""The statement of a resource policy that this package writes; it leaves all others alone."""

MANAGED_KEY_ALIAS = "alias/aws/secretsmanager"

POLICY_VERSION = "2012-10-17"

_READ_ACTIONS = ("secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue")

_SECRET_ARN = re.compile(r"arn:(aws[a-z0-9-]*):secretsmanager:([a-z0-9-]+):([0-9]{12}):secret:\S+")
_ACCOUNT = re.compile(r"[0-9]{12}")
_PRINCIPAL_ARN = re.compile(
    r"arn:(aws[a-z0-9-]*):(?:"
    r"iam::([0-9]{12}):(?:root|(?:role|user)/[\w+=,.@/-]+)|"
    r"sts::([0-9]{12}):(?:assumed-role|federated-user)/[\w+=,.@/-]+)",
    re.ASCII,
)
_KEY_ID = re.compile(r"[A-Za-z0-9-]+")

Statement = Mapping[str, Any]
Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SecretArn:
    """What the ARN of a secret says about where it is."""

    arn: str
    partition: str
    region: str
    account: str

    @classmethod
    def parse(cls, arn: str) -> SecretArn:
        """The parts of a full ARN.

        Raises:
            InvalidArgument: it is no ARN of a secret.
        """
        match = _SECRET_ARN.fullmatch(arn)
        if match is None:
            raise InvalidArgument("a policy is for a secret with an ARN of AWS Secrets Manager, and this has none")
        return cls(arn, match[1], match[2], match[3])

    @property
    def via_service(self) -> str | list[str]:
        """The value of ``kms:ViaService`` in a call that Secrets Manager makes for a reader.

        For China both domains are named, because the documentation does not show which one KMS sees there.
        """
        name = f"secretsmanager.{self.region}.amazonaws.com"
        return [name, f"{name}.cn"] if self.partition == "aws-cn" else name


# --- principals -----------------------------------------------------------------------------------------------------


def principal_arn(principal: str, secret: SecretArn) -> str:
    """The ARN of a principal: of an account by its id, of a role, a user or a session by its ARN.

    Raises:
        InvalidArgument: it is none of these, has a wildcard, or is of another partition. A service, an identity
            provider or everybody cannot be a reader.
    """
    if not isinstance(principal, str):
        raise InvalidArgument(f"a principal must be text, not {type(principal).__name__}")
    if "*" in principal or "?" in principal:
        raise InvalidArgument("a principal must not have a wildcard: it would open the secret to the public")
    if _ACCOUNT.fullmatch(principal):
        return f"arn:{secret.partition}:iam::{principal}:root"
    match = _PRINCIPAL_ARN.fullmatch(principal)
    if match is None:
        raise InvalidArgument(
            "a principal must be the id of an account, 12 digits, or the ARN of a role, a user or a session",
            hint="like 111122223333, or arn:aws:iam::111122223333:role/reader",
        )
    if match[1] != secret.partition:
        raise InvalidArgument(f"a principal of the partition {match[1]} cannot read a secret of {secret.partition}")
    return principal


def account_of(principal: str) -> str:
    """The account of a principal's ARN."""
    return principal.split(":")[4]


def is_managed_key(kms_key_id: str) -> bool:
    """Whether it is the key that AWS manages for the account, whose policy nobody can change. No key means it."""
    return not kms_key_id or kms_key_id.rpartition(":")[2] == MANAGED_KEY_ALIAS


# --- statements -----------------------------------------------------------------------------------------------------


def readers_statement(principals: Iterable[str]) -> Statement:
    """The statement of a secret's resource policy that lets principals read it. In it, ``*`` is the secret itself."""
    return {
        "Sid": READERS_SID,
        "Effect": "Allow",
        "Principal": {"AWS": sorted(set(principals))},
        "Action": list(_READ_ACTIONS),
        "Resource": "*",
    }


def key_statement(secret: SecretArn, principals: Iterable[str]) -> Statement:
    """The statement that the policy of the secret's KMS key needs: decryption of this secret, through the service."""
    return {
        "Sid": READERS_SID,
        "Effect": "Allow",
        "Principal": {"AWS": sorted(set(principals))},
        "Action": "kms:Decrypt",
        "Resource": "*",
        "Condition": _only_this(secret),
    }


def identity_statements(secret: SecretArn, kms_key_id: str) -> tuple[Statement, ...]:
    """What a reader in another account needs in a policy of its own role, besides the two others."""
    return (
        {"Effect": "Allow", "Action": list(_READ_ACTIONS), "Resource": secret.arn},
        {
            "Effect": "Allow",
            "Action": "kms:Decrypt",
            "Resource": _key_resource(secret, kms_key_id),
            "Condition": _only_this(secret),
        },
    )


def _only_this(secret: SecretArn) -> Mapping[str, Any]:
    return {
        "StringEquals": {"kms:ViaService": secret.via_service, "kms:EncryptionContext:SecretARN": secret.arn},
    }


def _key_resource(secret: SecretArn, kms_key_id: str) -> str:
    """The ARN of the key. An alias cannot stand there: it means any key in that place, and the conditions narrow it."""
    if kms_key_id.startswith("arn:") and ":key/" in kms_key_id:
        return kms_key_id
    place = f"arn:{secret.partition}:kms:{secret.region}:{secret.account}:key"
    return f"{place}/{kms_key_id if _KEY_ID.fullmatch(kms_key_id) else '*'}"


# --- documents ------------------------------------------------------------------------------------------------------


def document_of(policy: str | None) -> Document:
    """A policy as a document; an empty one for None.

    Raises:
        SecretRefused: it is no JSON object with statements.
    """
    if policy is None:
        return {"Version": POLICY_VERSION, "Statement": []}
    try:
        document = json.loads(policy)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or not all(isinstance(one, dict) for one in _statements(document)):
        raise SecretRefused("the resource policy that is there is no policy document", hint="replace it with put")
    return document


def text_of(document: Document) -> str:
    """A document as the text of a policy."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def with_statement(document: Document, statement: Statement) -> Document:
    """The document with a statement in the place of the one of its Sid, or at the end."""
    sid = statement["Sid"]
    statements = list(_statements(document))
    if not any(one.get("Sid") == sid for one in statements):
        return {**document, "Statement": [*statements, statement]}
    return {**document, "Statement": [statement if one.get("Sid") == sid else one for one in statements]}


def without_statement(document: Document, sid: str) -> Document | None:
    """The document without the statement of that Sid; None if no statement is left."""
    kept = [one for one in _statements(document) if one.get("Sid") != sid]
    return {**document, "Statement": kept} if kept else None


def readers_of(document: Document) -> tuple[str, ...] | None:
    """The principals of the statement that this package writes, or None if it is not there.

    A role that was deleted shows as an id, like AROA. Whatever somebody else has made of the statement is no reader.
    """
    for statement in _statements(document):
        if statement.get("Sid") == READERS_SID:
            principal = statement.get("Principal")
            principals = principal.get("AWS", []) if isinstance(principal, dict) else []
            return (principals,) if isinstance(principals, str) else tuple(principals)
    return None


def _statements(document: Document) -> list[Any]:
    """The statements; a document may have one without a list around it."""
    found = document.get("Statement", [])
    return found if isinstance(found, list) else [found]
