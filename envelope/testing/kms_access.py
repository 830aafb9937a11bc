"""Who may do what: key policy, identity policy and grants together.

The rules of the service, without organizations, sessions and endpoints:

- an explicit denial in the key policy or in the caller's identity policy is the end of it;
- a grant on the key to the caller allows what it is about;
- the key policy must allow the caller, or the caller's account. Where it names the account only, or where the caller is
  of another account than the key, the caller's identity policy must allow it too.

Source: KMS Developer Guide, "Determining access to AWS KMS keys"; IAM User Guide, "Policy evaluation logic".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from envelope.testing.kms_conditions import Facts
from envelope.testing.kms_faults import KmsFault
from envelope.testing.kms_grants import Grant
from envelope.testing.kms_keys import KmsKey
from envelope.testing.kms_policy import Caller, Policy, Verdict
from envelope.testing.kms_state import KmsState

__all__ = ["Call", "authorize", "authorize_account", "denied_ciphertext", "find_key", "key_of", "stop_dry_run"]

_ACROSS_ACCOUNTS = frozenset(
    {
        "CreateGrant",
        "Decrypt",
        "DescribeKey",
        "Encrypt",
        "GenerateDataKey",
        "GenerateDataKeyWithoutPlaintext",
        "GetKeyRotationStatus",
        "ListGrants",
        "ReEncryptFrom",
        "ReEncryptTo",
        "RetireGrant",
        "RevokeGrant",
    }
)
"""What can be asked about a key of another account ("Cross-account use: Yes" in the API reference)."""


@dataclass(slots=True)
class Call:
    """One request on its way through the service.

    Attributes:
        parameters: the JSON of the request; blobs are base64 text.
        key_arn: the key it turned out to be about, for the call log.
    """

    state: KmsState
    caller: Caller
    operation: str
    parameters: dict[str, Any] = field(repr=False)
    key_arn: str = ""

    @property
    def now_s(self) -> float:
        return self.state.now()

    def get(self, name: str, default: Any = None) -> Any:
        return self.parameters.get(name, default)

    def context(self, name: str = "EncryptionContext") -> dict[str, str]:
        return dict(self.get(name) or {})


def key_of(call: Call, *, context: Mapping[str, str] | None = None) -> KmsKey:
    """The key that `KeyId` names, if the caller may do the operation with it.

    Raises:
        KmsFault: NotFoundException, AccessDeniedException, InvalidArnException, InvalidGrantTokenException.
    """
    key = find_key(call, call.parameters["KeyId"])
    authorize(call, key, context=context)
    return key


def find_key(call: Call, key_name: str) -> KmsKey:
    """The key of that name; of another account's missing keys the service says no more than that access is denied."""
    arn, key = call.state.resolve(key_name, region=call.caller.region, account=call.caller.account)
    call.key_arn = arn
    if key is not None:
        return key
    if arn.split(":")[4] != call.caller.account:
        raise _denied(call, call.operation, arn, "the resource does not exist in this Region, " + _NO_RESOURCE_POLICY)
    raise KmsFault("NotFoundException", f"{'Key' if ':key/' in arn else 'Alias'} '{arn}' does not exist")


def authorize(
    call: Call,
    key: KmsKey,
    *,
    action: str | None = None,
    context: Mapping[str, str] | None = None,
    policy: Policy | None = None,
) -> Grant | None:
    """Raise AccessDeniedException unless the caller may; return the grant if it is a grant that allows it.

    Args:
        action: without ``kms:``; the operation unless another is given.
        context: the encryption context of the call, or None where the operation has none.
        policy: evaluated in the place of the key's own.
    """
    action = action or call.operation
    facts = _facts(call.caller, context)
    by_key = (policy or key.policy).verdict(call.caller, f"kms:{action}", key.arn, facts)
    by_identity = _identity_verdict(call, f"kms:{action}", key.arn, facts)
    if Verdict.DENIED in (by_key, by_identity):
        kind = "a resource-based policy" if by_key is Verdict.DENIED else "an identity-based policy"
        raise _denied(call, action, key.arn, kind, joint="with an explicit deny in")
    grant = _grant_for(call, key, action, context)
    if grant is not None:
        return grant
    is_own = key.account == call.caller.account
    if by_key is Verdict.NOTHING or not (is_own or action in _ACROSS_ACCOUNTS):
        raise _denied(call, action, key.arn, f"no resource-based policy allows the kms:{action} action")
    if by_identity is not Verdict.ALLOWED and not (is_own and by_key is Verdict.ALLOWED):
        raise _denied(call, action, key.arn, f"no identity-based policy allows the kms:{action} action")
    return None


def authorize_account(call: Call) -> None:
    """Raise AccessDeniedException unless the caller may do something that is about no key."""
    action = f"kms:{call.operation}"
    if _identity_verdict(call, action, "*", _facts(call.caller, None)) is not Verdict.ALLOWED:
        raise _denied(call, call.operation, "*", f"no identity-based policy allows the {action} action")


def denied_ciphertext(call: Call, action: str) -> KmsFault:
    """What the service says where only the ciphertext names the key, and there is no such key here."""
    return KmsFault(
        "AccessDeniedException",
        f"User: {call.caller.principal} is not authorized to perform: kms:{action} on the resource associated with "
        f"this ciphertext because the resource does not exist in this Region, {_NO_RESOURCE_POLICY}",
    )


def stop_dry_run(call: Call) -> None:
    """Raise DryRunOperationException if that is what the caller wants to hear: everything up to here was fine."""
    if call.get("DryRun"):
        raise KmsFault("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.")


_NO_RESOURCE_POLICY = "no resource-based policies allow access, or a resource-based policy explicitly denies access"


def _identity_verdict(call: Call, action: str, resource: str, facts: Facts) -> Verdict:
    policy = call.state.identity_policies.get(call.caller.identity)
    return Verdict.ALLOWED if policy is None else policy.verdict(call.caller, action, resource, facts)


def _grant_for(call: Call, key: KmsKey, action: str, context: Mapping[str, str] | None) -> Grant | None:
    tokens = set(call.get("GrantTokens") or ())
    unknown = tokens - {grant.token for known in call.state.keys.values() for grant in known.grants.values()}
    if unknown:
        raise KmsFault("InvalidGrantTokenException", "a grant token is not valid")
    for grant in key.grants.values():
        is_in_force = call.now_s >= grant.known_everywhere_s or grant.token in tokens
        is_caller = grant.grantee in (call.caller.principal, call.caller.identity)
        if is_in_force and is_caller and grant.allows(action, context):
            return grant
    return None


def _facts(caller: Caller, context: Mapping[str, str] | None) -> Facts:
    facts: dict[str, tuple[str, ...]] = {
        "aws:principalarn": (caller.identity,),
        "aws:principalaccount": (caller.account,),
        "kms:calleraccount": (caller.account,),
    }
    if caller.via_service:
        facts["kms:viaservice"] = (caller.via_service,)
    if context:
        facts["kms:encryptioncontextkeys"] = tuple(context)
        for name, value in context.items():
            facts[f"kms:encryptioncontext:{name.lower()}"] = (value,)
    return facts


def _denied(call: Call, action: str, resource: str, reason: str, *, joint: str = "because") -> KmsFault:
    return KmsFault(
        "AccessDeniedException",
        f"User: {call.caller.principal} is not authorized to perform: kms:{action} "
        f"on resource: {resource} {joint} {reason}",
    )
