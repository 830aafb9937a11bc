"""Copies in other regions: read there, written in the primary region only.

Source: AWS Secrets Manager API reference, ReplicateSecretToRegions, RemoveRegionsFromReplication,
StopReplicationToReplica.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

from envelope_secrets.service_rules.deletion import check_not_deleted
from envelope_secrets.service_rules.state import ReplicaState, SecretState
from envelope_secrets.testing.access import Call, found, written
from envelope_secrets.testing.faults import ServiceFault, bad_parameter, bad_request
from envelope_secrets.testing.operations.listing import replication_status
from envelope_secrets.testing.request_checks import region_pairs
from envelope_secrets.testing.service_state import Found, Record, in_region, place_in
from envelope_secrets.testing.values import StoredValue

__all__ = [
    "copied_to",
    "remove_regions_from_replication",
    "replicate_secret_to_regions",
    "stop_replication_to_replica",
]

State = SecretState[StoredValue]


def replicate_secret_to_regions(call: Call) -> dict[str, Any]:
    regions = region_pairs(call.parameters, call.caller.region)
    record = written(call)
    check_not_deleted(record.state)
    state = copied_to(call, record, record.state, regions, overwrite=call.get("ForceOverwriteReplicaSecret", False))
    call.state.commit(record, replace(state, changed_s=call.now_s))
    return _status(call, record)


def remove_regions_from_replication(call: Call) -> dict[str, Any]:
    record = written(call)
    gone = set(call.parameters["RemoveReplicaRegions"])
    if not gone <= {replica.region for replica in record.state.replicas}:
        raise bad_parameter("The secret is not replicated to one of these regions.")
    kept = tuple(replica for replica in record.state.replicas if replica.region not in gone)
    call.state.commit(record, replace(record.state, replicas=kept, changed_s=call.now_s))
    for region in gone:
        record.replicated_s.pop(region, None)
    return _status(call, record)


def stop_replication_to_replica(call: Call) -> dict[str, Any]:
    secret = found(call)
    if secret.is_primary:
        raise bad_request("The secret is not a replica.")
    record, region = secret.record, secret.region
    promoted = _promoted(record.state, region)
    kept = tuple(replica for replica in record.state.replicas if replica.region != region)
    call.state.commit(record, replace(record.state, replicas=kept))
    del record.replicated_s[region]
    own = Record(region, record.account, record.name)
    call.state.records.append(own)
    call.state.commit(own, promoted)
    return {"ARN": promoted.arn}


def copied_to(call: Call, record: Record, state: State, regions: dict[str, str], *, overwrite: bool) -> State:
    """The secret with these replicas: each gets its data keys under its own key."""
    kept = [replica for replica in state.replicas if replica.region not in regions]
    for region, key in regions.items():
        replica = ReplicaState(region, key)
        if _is_taken(call, record, region, overwrite=overwrite):
            text = f"Replication failed: Secret name {state.name} already exists in region {region}."
            replica = replace(replica, status="Failed", message=text)
        else:
            record.replicated_s.setdefault(region, call.now_s)
            state, replica = _with_copies(call, replace(state, replicas=(*kept, replica)), replica)
        kept.append(replica)
    return replace(state, replicas=tuple(kept))


def _is_taken(call: Call, record: Record, region: str, *, overwrite: bool) -> bool:
    """Whether another secret has the name there; it is thrown away if that was asked for."""
    others = [
        other.record
        for other in call.state.all_in(region, record.account)
        if other.record is not record and other.record.name == record.name
    ]
    if others and overwrite and others[0].region == region:
        call.state.records.remove(others[0])
        return False
    return bool(others)


def _with_copies(call: Call, state: State, replica: ReplicaState) -> tuple[State, ReplicaState]:
    from_place, to_place = place_in(state, call.caller.region), place_in(state, replica.region)
    versions = dict(state.versions)
    try:
        for version_id, version in state.versions.items():
            if version.value is not None and state.labels.stages_of(version_id):
                stored = call.state.vault.wrap_again(
                    call.caller, from_place, version_id, version.value, to_place=to_place
                )
                versions[version_id] = replace(version, value=stored)
    except ServiceFault as fault:
        return state, replace(replica, status="Failed", message=fault.message)
    return replace(state, versions=MappingProxyType(versions)), replica


def _promoted(state: State, region: str) -> State:
    """A secret of its own, as it is now; it is not rotated."""
    place = place_in(state, region)
    return replace(
        state, arn=in_region(state.arn, region), kms_key_id=place.kms_key_id, replicas=(), rotation=None, policy=None
    )


def _status(call: Call, record: Record) -> dict[str, Any]:
    found = Found(record, record.region)
    return {"ARN": record.state.arn, "ReplicationStatus": replication_status(call, found)}
