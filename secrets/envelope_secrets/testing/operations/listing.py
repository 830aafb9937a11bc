"""DescribeSecret, ListSecrets, ListSecretVersionIds."""

from __future__ import annotations

from typing import Any

from envelope_secrets.service_rules.reading import listed_stages, listed_versions
from envelope_secrets.service_rules.rotation_dates import next_rotation_s
from envelope_secrets.service_rules.state import RotationState, SecretState
from envelope_secrets.testing.access import Call, check_action, found
from envelope_secrets.testing.faults import bad_parameter
from envelope_secrets.testing.operations.filters import check_filters, matching
from envelope_secrets.testing.request_checks import page
from envelope_secrets.testing.service_state import Found, in_region
from envelope_secrets.testing.values import DEFAULT_KEY, StoredValue

__all__ = ["describe_secret", "list_secret_version_ids", "list_secrets", "replication_status"]

State = SecretState[StoredValue]

_ORDERS = {
    "name": lambda told: told["Name"],
    "created-date": lambda told: told["CreatedDate"],
    "last-changed-date": lambda told: told["LastChangedDate"],
    "last-accessed-date": lambda told: told.get("LastAccessedDate", 0.0),
}


def describe_secret(call: Call) -> dict[str, Any]:
    secret = found(call)
    state = call.state.read(secret)
    stages = listed_stages(state)
    return {
        **_told(secret, state),
        **({"VersionIdsToStages": stages} if stages else {}),
        **({"ReplicationStatus": replication_status(call, secret)} if state.replicas else {}),
    }


def list_secrets(call: Call) -> dict[str, Any]:
    check_action(call, "ListSecrets")
    filters, order = call.get("Filters", []), call.get("SortBy", "created-date")
    check_filters(filters)
    if order not in _ORDERS or call.get("SortOrder", "desc") not in ("asc", "desc"):
        raise bad_parameter("SortBy or SortOrder is not known.")
    listed = [
        _entry(secret, state)
        for secret in call.state.all_in(call.caller.region, call.caller.account)
        if matching(secret, filters) and (state := _visible(call, secret)) is not None
    ]
    listed.sort(key=_ORDERS[order], reverse=call.get("SortOrder", "desc") == "desc")
    return page(call.parameters, "SecretList", listed)


def list_secret_version_ids(call: Call) -> dict[str, Any]:
    secret = found(call)
    state = call.state.read(secret)
    versions = []
    for version_id, version in listed_versions(state, include_deprecated=call.get("IncludeDeprecated", False)).items():
        stages = sorted(state.labels.stages_of(version_id))
        versions.append(
            {
                "VersionId": version_id,
                **({"VersionStages": stages} if stages else {}),
                **({"LastAccessedDate": version.accessed_s} if version.accessed_s is not None else {}),
                "CreatedDate": version.created_s,
                "KmsKeyIds": list(version.kms_key_ids) or [DEFAULT_KEY],
            }
        )
    return {**page(call.parameters, "Versions", versions), "ARN": secret.place.arn, "Name": state.name}


def replication_status(call: Call, secret: Found) -> list[dict[str, Any]]:
    """The copies of a secret as the service tells of them."""
    return [
        {
            "Region": replica.region,
            "KmsKeyId": replica.kms_key_id or "alias/aws/secretsmanager",
            "Status": replica.status,
            **({"StatusMessage": replica.message} if replica.message else {}),
        }
        for replica in call.state.replicas(secret.record)
    ]


def _visible(call: Call, secret: Found) -> State | None:
    """What a list shows of a secret; nothing of those that are scheduled for deletion, unless they are asked for."""
    state = call.state.peek(secret)
    if state is None or (state.deletes_s is not None and not call.get("IncludePlannedDeletion", False)):
        return None
    return state


def _entry(secret: Found, state: State) -> dict[str, Any]:
    stages = listed_stages(state)
    return {**_told(secret, state), **({"SecretVersionsToStages": stages} if stages else {})}


def _told(secret: Found, state: State) -> dict[str, Any]:
    told = {
        "ARN": in_region(state.arn, secret.region),
        "Name": state.name,
        "Description": state.description or None,
        "KmsKeyId": secret.place.kms_key_id or None,
        "LastRotatedDate": state.rotated_s,
        "LastChangedDate": state.changed_s,
        "LastAccessedDate": state.accessed_s,
        "DeletedDate": state.deleted_s,
        "Tags": [{"Key": name, "Value": value} for name, value in state.tags.items()] or None,
        "OwningService": secret.record.owner or None,
        "CreatedDate": state.created_s,
        "PrimaryRegion": secret.record.region if state.replicas else None,
        **_rotation(state, state.rotation),
    }
    return {name: value for name, value in told.items() if value is not None}


def _rotation(state: State, rotation: RotationState | None) -> dict[str, Any]:
    if rotation is None:
        return {}
    rules = {
        "AutomaticallyAfterDays": rotation.after_days,
        "ScheduleExpression": rotation.schedule or None,
        "Duration": rotation.window or None,
    }
    return {
        "RotationEnabled": rotation.enabled,
        "RotationLambdaARN": rotation.lambda_arn,
        "RotationRules": {name: value for name, value in rules.items() if value is not None} or None,
        "NextRotationDate": next_rotation_s(state),
    }
