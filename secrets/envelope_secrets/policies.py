"""Resource policies of secrets: who else may read one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from envelope.arguments import check_flag
from envelope.errors import InvalidArgument
from envelope_secrets.errors import NotSupported, SecretRefused
from envelope_secrets.limits import policy_problem
from envelope_secrets.policy_documents import (
    READERS_SID,
    SecretArn,
    account_of,
    document_of,
    identity_statements,
    is_managed_key,
    key_statement,
    principal_arn,
    readers_of,
    readers_statement,
    text_of,
    with_statement,
    without_statement,
)
from envelope_secrets.stores.protocol import HasPolicies, PolicyFinding, SecretStore

__all__ = ["PolicyControl", "ReadAccess"]

MAX_SHOWN_FINDINGS = 5


@dataclass(frozen=True, slots=True)
class ReadAccess:
    """What `allow_read` has done, and what is left to do elsewhere.

    Attributes:
        policy: the resource policy that the secret has now.
        key_statement: to be added to the policy of the secret's KMS key by somebody who may; without it a reader of
            another account is denied kms:Decrypt. None where all readers are of the secret's own account and the key is
            the one that AWS manages: it lets the whole account decrypt through Secrets Manager.
        identity_statements: for a policy of the readers' own roles, in each of their accounts; none where all readers
            are of the secret's own account.
    """

    policy: str
    key_statement: Mapping[str, Any] | None
    identity_statements: tuple[Mapping[str, Any], ...]


class PolicyControl:
    """The resource policies of a store's secrets. Safe for threads; but two changes at once of one policy are not seen.

    Every method raises `NotSupported` for a store whose secrets have none, and what its store raises: `SecretRefused`
    for a policy that is malformed or opens the secret to the public.
    """

    def __init__(self, store: SecretStore) -> None:
        self._store = store

    def get(self, secret_id: str) -> str | None:
        """The policy, or None."""
        return self._policies().policy(secret_id)

    def put(self, secret_id: str, policy: str | Mapping[str, Any], *, block_public: bool = True) -> None:
        """Replace the policy.

        Args:
            policy: the text, or the document.
            block_public: have the service refuse what opens the secret to the public.
        """
        check_flag("block_public", block_public)
        self._policies().put_policy(secret_id, _text(policy), block_public=block_public)

    def delete(self, secret_id: str) -> None:
        """Take the policy away."""
        self._policies().delete_policy(secret_id)

    def validate(self, policy: str | Mapping[str, Any], *, secret_id: str | None = None) -> tuple[PolicyFinding, ...]:
        """What the service objects to; nothing if it would take it."""
        return self._policies().validate_policy(_text(policy), secret_id=secret_id)

    def allow_read(self, secret_id: str, principals: Iterable[str], *, key_arn: str | None = None) -> ReadAccess:
        """Let exactly these principals read the secret and describe it, besides whoever another statement lets.

        The statement of an earlier call is replaced, all others stay. The policy is validated first, and put with
        public access blocked.

        Args:
            principals: ids of accounts, or ARNs of roles, users and sessions.
            key_arn: the ARN of the secret's KMS key, for the statements that are returned; needed only where the
                secret names it by an alias.

        Raises:
            InvalidArgument: a principal is none, has a wildcard, or is of another partition.
            SecretRefused: a principal is of another account, and the secret is encrypted under the key that AWS
                manages, which no other account can use; or the service objects.
        """
        policies = self._policies()
        described = self._store.describe(secret_id)
        secret = SecretArn.parse(described.arn)
        readers = _readers(principals, secret)
        key = _checked_key(described.kms_key_id, key_arn)
        foreign = [reader for reader in readers if account_of(reader) != secret.account]
        if foreign and is_managed_key(described.kms_key_id):
            raise SecretRefused(
                "the secret is under aws/secretsmanager, the key that AWS manages, and no other account can use that",
                hint="give the secret a KMS key of your own (update), then allow the readers",
            )
        document = with_statement(document_of(policies.policy(secret_id)), readers_statement(readers))
        policy = _text(document)
        _check_accepted(policies.validate_policy(policy, secret_id=secret_id))
        policies.put_policy(secret_id, policy, block_public=True)
        return ReadAccess(
            policy,
            None if is_managed_key(key) else key_statement(secret, readers),
            identity_statements(secret, key) if foreign else (),
        )

    def revoke_read(self, secret_id: str, principals: Iterable[str] | None = None) -> str | None:
        """Take back what `allow_read` has given; statements that others have written stay.

        The statement in the key's policy is to be taken back by hand.

        Args:
            principals: who shall not read any more; everybody if None.

        Returns:
            The policy that the secret has now, or None.
        """
        policies = self._policies()
        current = policies.policy(secret_id)
        document = document_of(current)
        had = readers_of(document)
        left = () if principals is None or had is None else self._left(secret_id, had, principals)
        if had is None or (left and left == had):
            return current
        rest = with_statement(document, readers_statement(left)) if left else without_statement(document, READERS_SID)
        if rest is None:
            policies.delete_policy(secret_id)
            return None
        policies.put_policy(secret_id, _text(rest), block_public=True)
        return _text(rest)

    def _left(self, secret_id: str, had: tuple[str, ...], principals: Iterable[str]) -> tuple[str, ...]:
        secret = SecretArn.parse(self._store.describe(secret_id).arn)
        gone = _readers(principals, secret)
        return tuple(reader for reader in had if reader not in gone)

    def _policies(self) -> HasPolicies:
        if isinstance(self._store, HasPolicies):
            return self._store
        raise NotSupported(f"the secrets of a {type(self._store).__name__} have no policies")


def _readers(principals: Iterable[str], secret: SecretArn) -> list[str]:
    if isinstance(principals, str) or not isinstance(principals, Iterable):
        raise InvalidArgument(f"principals must be several, like ['111122223333'], not {type(principals).__name__}")
    readers = [principal_arn(principal, secret) for principal in principals]
    if not readers:
        raise InvalidArgument("principals must name one at least")
    return readers


def _checked_key(kms_key_id: str, key_arn: object) -> str:
    if key_arn is None:
        return kms_key_id
    if not isinstance(key_arn, str) or not key_arn.startswith("arn:") or ":key/" not in key_arn:
        raise InvalidArgument("key_arn must be the ARN of a KMS key, like arn:aws:kms:eu-west-1:111122223333:key/...")
    return key_arn


def _text(policy: str | Mapping[str, Any]) -> str:
    if not isinstance(policy, (str, Mapping)):
        raise InvalidArgument(f"policy must be text or a document, not {type(policy).__name__}")
    try:
        text = policy if isinstance(policy, str) else text_of(policy)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgument(f"policy is no JSON document ({type(error).__name__})") from error
    problem = policy_problem(text)
    if problem is not None:
        raise InvalidArgument(f"policy {problem}")
    return text


def _check_accepted(findings: tuple[PolicyFinding, ...]) -> None:
    if findings:
        shown = "; ".join(f"{finding.check}: {finding.text}" for finding in findings[:MAX_SHOWN_FINDINGS])
        raise SecretRefused(f"the resource policy was not put, because the service objects: {shown}")
