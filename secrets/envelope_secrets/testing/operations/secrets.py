"""CreateSecret, DeleteSecret, RestoreSecret, tags."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

from envelope.testing.kms_keys import partition_of
from envelope_secrets.limits import MAX_RECOVERY_WINDOW_DAYS
from envelope_secrets.service_rules.deletion import check_deletable, restored, scheduled
from envelope_secrets.service_rules.state import SecretState
from envelope_secrets.service_rules.tagging import tagged, untagged
from envelope_secrets.service_rules.writing import check_free, created
from envelope_secrets.testing.access import Call, authorize, check_action, written
from envelope_secrets.testing.faults import bad_parameter, bad_request
from envelope_secrets.testing.operations.listing import replication_status
from envelope_secrets.testing.operations.replicas import copied_to
from envelope_secrets.testing.operations.writing import key_ids, same_value, sealed
from envelope_secrets.testing.request_checks import new_value, region_pairs, tags_of, token_of
from envelope_secrets.testing.service_state import Found, Record
from envelope_secrets.testing.values import StoredValue

__all__ = ["create_secret", "delete_secret", "restore_secret", "tag_resource", "untag_resource"]

State = SecretState[StoredValue]


def create_secret(call: Call) -> dict[str, Any]:
    check_action(call, call.operation)
    value = new_value(call.parameters, is_required=False)
    token = token_of(call.operation, call.parameters)
    regions = region_pairs(call.parameters, call.caller.region)
    record = _record_of(call, call.parameters["Name"])
    if record is None:
        record = _created(call, token, value, regions)
    else:
        check_free(record.state, token, same_value(call, record.state, token, value))
    found = Found(record, call.caller.region)
    call.secret_arn, call.version_id = found.place.arn, token if value is not None else ""
    answer = {"ARN": found.place.arn, "Name": record.name}
    return {
        **answer,
        **({"VersionId": token} if value is not None else {}),
        **({"ReplicationStatus": replication_status(call, found)} if record.state.replicas else {}),
    }


def delete_secret(call: Call) -> dict[str, Any]:
    days, by_force = call.get("RecoveryWindowInDays"), call.get("ForceDeleteWithoutRecovery", False)
    if days is not None and by_force:
        raise bad_parameter("You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.")
    if by_force and call.state.find(call.parameters["SecretId"], call.caller) is None:
        return _unknown_deleted(call)
    record = written(call)
    if by_force:
        check_deletable(record.state)
        return _deleted_at_once(call, record)
    state = scheduled(record.state, MAX_RECOVERY_WINDOW_DAYS if days is None else days, call.now_s)
    call.state.commit(record, state)
    return {**_named(state), "DeletionDate": state.deletes_s}


def restore_secret(call: Call) -> dict[str, Any]:
    record = written(call)
    call.state.commit(record, restored(record.state))
    return _named(record.state)


def tag_resource(call: Call) -> dict[str, Any]:
    tags = tags_of(call.parameters)
    record = written(call)
    call.state.commit(record, tagged(record.state, tags, now_s=call.now_s))
    return {}


def untag_resource(call: Call) -> dict[str, Any]:
    record = written(call)
    call.state.commit(record, untagged(record.state, call.parameters["TagKeys"], now_s=call.now_s))
    return {}


def _record_of(call: Call, name: str) -> Record | None:
    """The secret that has this name here, a replica too."""
    secrets = call.state.all_in(call.caller.region, call.caller.account)
    return next((secret.record for secret in secrets if secret.record.name == name), None)


def _created(call: Call, token: str, value: StoredValue | None, regions: dict[str, str]) -> Record:
    region, account, name = call.caller.region, call.caller.account, call.parameters["Name"]
    if (region, account, name) in call.state.leaving:
        raise bad_request(
            "You can't create this secret because a secret with this name is already scheduled for deletion."
        )
    state: State = created(
        name=name,
        arn=f"arn:{partition_of(region)}:secretsmanager:{region}:{account}:secret:{name}-{call.state.new_suffix()}",
        now_s=call.now_s,
        token=token,
        value=value,
        description=call.get("Description", ""),
        kms_key_id=call.get("KmsKeyId", ""),
        tags=tags_of(call.parameters),
    )
    if value is not None:
        stored, state = sealed(call, state, token, value)
        version = replace(state.versions[token], value=stored, kms_key_ids=key_ids(state))
        state = replace(state, versions=MappingProxyType({token: version}))
    record = Record(region, account, name)
    state = copied_to(call, record, state, regions, overwrite=call.get("ForceOverwriteReplicaSecret", False))
    call.state.records.append(record)
    call.state.commit(record, state)
    return record


def _deleted_at_once(call: Call, record: Record) -> dict[str, Any]:
    call.state.records.remove(record)
    call.state.leaving[record.region, record.account, record.name] = call.now_s + call.state.deletion_delay_s
    return {**_named(record.state), "DeletionDate": call.now_s}


def _unknown_deleted(call: Call) -> dict[str, Any]:
    """Deleting by force what is not there is no error."""
    secret_id = call.parameters["SecretId"]
    check_action(call, call.operation, None, secret_id)
    if secret_id.startswith("arn:"):
        authorize(call, secret_id, call.operation)
    arn = f"arn:{partition_of(call.caller.region)}:secretsmanager:{call.caller.region}:{call.caller.account}:secret:"
    return {"ARN": f"{arn}{secret_id}-{call.state.new_suffix()}", "Name": secret_id, "DeletionDate": call.now_s}


def _named(state: State) -> dict[str, Any]:
    return {"ARN": state.arn, "Name": state.name}
