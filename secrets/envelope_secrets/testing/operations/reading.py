"""GetSecretValue and BatchGetSecretValue."""

from __future__ import annotations

import base64
from typing import Any

from envelope_secrets.service_rules.broken import RuleBroken
from envelope_secrets.service_rules.reading import accessed, found_value
from envelope_secrets.testing.access import Call, authorize, check_action, found
from envelope_secrets.testing.faults import ServiceFault, bad_parameter
from envelope_secrets.testing.operations.filters import check_filters, matching
from envelope_secrets.testing.request_checks import page
from envelope_secrets.testing.service_state import Found, place_in

__all__ = ["batch_get_secret_value", "get_secret_value"]

BATCH_SECRETS = 20


def get_secret_value(call: Call) -> dict[str, Any]:
    return _value_of(call, found(call), call.get("VersionId"), call.get("VersionStage"))


def batch_get_secret_value(call: Call) -> dict[str, Any]:
    check_action(call, call.operation)
    ids, filters = call.get("SecretIdList"), call.get("Filters")
    if (ids is None) == (filters is None):
        raise bad_parameter("You must provide either SecretIdList or Filters, and not both.")
    if ids is not None and ("MaxResults" in call.parameters or "NextToken" in call.parameters):
        raise bad_parameter("MaxResults and NextToken can be used with Filters only.")
    if ids is not None:
        return _batch(call, list(dict.fromkeys(ids)), {})
    check_action(call, "ListSecrets")
    check_filters(filters)
    matched = [
        secret.record.name
        for secret in call.state.all_in(call.caller.region, call.caller.account)
        if secret.record.state.deletes_s is None and matching(secret, filters)
    ]
    listed = page(call.parameters, "Ids", matched, BATCH_SECRETS)
    return _batch(call, listed.pop("Ids"), listed)


def _batch(call: Call, ids: list[str], answer: dict[str, Any]) -> dict[str, Any]:
    """What can be read, and an error for each that cannot."""
    values, errors = [], []
    for secret_id in ids:
        try:
            values.append(_value_of(call, authorize(call, secret_id, "GetSecretValue"), None, None))
        except ServiceFault as fault:
            errors.append({"SecretId": secret_id, "ErrorCode": fault.code, "Message": fault.message})
        except RuleBroken as broken:
            errors.append({"SecretId": secret_id, "ErrorCode": broken.code, "Message": broken.text})
    return {**answer, "SecretValues": values, "Errors": errors}


def _value_of(call: Call, secret: Found, version_id: str | None, stage: str | None) -> dict[str, Any]:
    state = call.state.read(secret)
    version_id, stored = found_value(state, version_id, stage)
    call.version_id = version_id
    place = place_in(state, secret.region)
    value = call.state.vault.open(call.caller, place, version_id, stored)
    _note_access(call, secret, version_id)
    told = {"SecretString": value.data.decode()} if value.is_text else {"SecretBinary": _base64(value.data)}
    stages = sorted(state.labels.stages_of(version_id))
    return {
        "ARN": place.arn,
        "Name": state.name,
        "VersionId": version_id,
        **told,
        **({"VersionStages": stages} if stages else {}),
        "CreatedDate": state.versions[version_id].created_s,
    }


def _note_access(call: Call, secret: Found, version_id: str) -> None:
    latest = secret.record.state
    if version_id in latest.versions:
        secret.record.history.amend(accessed(latest, version_id, call.now_s))


def _base64(blob: bytes) -> str:
    return base64.b64encode(blob).decode()
