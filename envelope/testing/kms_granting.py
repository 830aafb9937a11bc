"""Operations on grants."""

from __future__ import annotations

import base64
from typing import Any

from envelope.testing.kms_access import Call, authorize, find_key, key_of, stop_dry_run
from envelope.testing.kms_faults import KmsFault, unsupported, validation_fault
from envelope.testing.kms_grants import GRANT_OPERATIONS, Grant
from envelope.testing.kms_keys import KmsKey
from envelope.testing.kms_limits import page

__all__ = ["create_grant", "list_grants", "list_retirable_grants", "retire_grant", "revoke_grant"]


def create_grant(call: Call) -> dict[str, Any]:
    grant = _new_grant(call)
    key = find_key(call, call.parameters["KeyId"])
    parent = authorize(call, key)
    if parent is not None and not grant.operations <= parent.operations:
        raise KmsFault("AccessDeniedException", "a grant made through a grant cannot allow more than that one")
    key.check_usable()
    stop_dry_run(call)
    same = next((known for known in key.grants.values() if known.is_same_as(grant)), None)
    if same is not None:
        return {"GrantId": same.grant_id, "GrantToken": same.token}
    key.grants[grant.grant_id] = grant
    return {"GrantId": grant.grant_id, "GrantToken": grant.token}


def list_grants(call: Call) -> dict[str, Any]:
    key = key_of(call)
    wanted_id, wanted_grantee = call.get("GrantId"), call.get("GranteePrincipal")
    if wanted_id is not None and wanted_id not in key.grants:
        raise KmsFault("InvalidGrantIdException", f"Grant ID {wanted_id} not found")
    grants = [
        _told(key, grant)
        for grant in key.grants.values()
        if wanted_id in (None, grant.grant_id) and wanted_grantee in (None, grant.grantee)
    ]
    return page(call.parameters, "Grants", grants)


def list_retirable_grants(call: Call) -> dict[str, Any]:
    retiring = call.get("RetiringPrincipal")
    grants = [
        _told(key, grant)
        for key in call.state.keys.values()
        for grant in key.grants.values()
        if key.region == call.caller.region and grant.retiring == retiring
    ]
    return page(call.parameters, "Grants", grants)


def revoke_grant(call: Call) -> dict[str, Any]:
    key = key_of(call)
    _known(key, call.parameters["GrantId"])
    stop_dry_run(call)
    del key.grants[call.parameters["GrantId"]]
    return {}


def retire_grant(call: Call) -> dict[str, Any]:
    key, grant = _to_retire(call)
    callers = (call.caller.principal, call.caller.identity)
    is_retiring = grant.retiring in callers
    is_grantee = grant.grantee in callers and "RetireGrant" in grant.operations
    if not is_retiring and not is_grantee:
        authorize(call, key)
    stop_dry_run(call)
    del key.grants[grant.grant_id]
    return {}


def _new_grant(call: Call) -> Grant:
    if "GranteePrincipal" not in call.parameters:
        raise unsupported("FakeKms has grants to a GranteePrincipal only")
    unknown = set(call.parameters["Operations"]) - GRANT_OPERATIONS
    if unknown or not call.parameters["Operations"]:
        raise validation_fault("1 validation error detected: Value at 'operations' must be grant operations")
    constraints = call.get("Constraints") or {}
    if "SourceArn" in constraints:
        raise unsupported("FakeKms does not have the grant constraint SourceArn")
    return Grant(
        grant_id=call.state.random_bytes(32).hex(),
        token=base64.b64encode(call.state.random_bytes(96)).decode(),
        grantee=call.parameters["GranteePrincipal"],
        retiring=call.get("RetiringPrincipal"),
        operations=frozenset(call.parameters["Operations"]),
        issuing_account=call.caller.account,
        name=call.get("Name", ""),
        created_s=call.now_s,
        known_everywhere_s=call.now_s + call.state.grant_delay_s,
        context_subset=constraints.get("EncryptionContextSubset"),
        context_equals=constraints.get("EncryptionContextEquals"),
    )


def _to_retire(call: Call) -> tuple[KmsKey, Grant]:
    token = call.get("GrantToken")
    if token is not None:
        for key in call.state.keys.values():
            for grant in key.grants.values():
                if key.region == call.caller.region and grant.token == token:
                    call.key_arn = key.arn
                    return key, grant
        raise KmsFault("InvalidGrantTokenException", "a grant token is not valid")
    if not {"KeyId", "GrantId"} <= call.parameters.keys():
        raise validation_fault("RetireGrant needs a grant token, or a key ARN and a grant id.")
    key = find_key(call, call.parameters["KeyId"])
    return key, _known(key, call.parameters["GrantId"])


def _known(key: KmsKey, grant_id: str) -> Grant:
    if grant_id not in key.grants:
        raise KmsFault("NotFoundException", f"Grant ID {grant_id} not found")
    return key.grants[grant_id]


def _told(key: KmsKey, grant: Grant) -> dict[str, Any]:
    constraints = {
        name: dict(pairs)
        for name, pairs in (
            ("EncryptionContextSubset", grant.context_subset),
            ("EncryptionContextEquals", grant.context_equals),
        )
        if pairs is not None
    }
    told: dict[str, Any] = {
        "KeyId": key.arn,
        "GrantId": grant.grant_id,
        "Name": grant.name,
        "CreationDate": grant.created_s,
        "GranteePrincipal": grant.grantee,
        "IssuingAccount": f"arn:aws:iam::{grant.issuing_account}:root",
        "Operations": sorted(grant.operations),
    }
    if grant.retiring is not None:
        told["RetiringPrincipal"] = grant.retiring
    return {**told, "Constraints": constraints} if constraints else told
