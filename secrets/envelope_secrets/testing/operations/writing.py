"""PutSecretValue, UpdateSecret, UpdateSecretVersionStage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from envelope_secrets.service_rules.moving import moved
from envelope_secrets.service_rules.state import SecretState, StoredVersion
from envelope_secrets.service_rules.writing import is_repeated, put, updated
from envelope_secrets.stages import AWSCURRENT, AWSPENDING, AWSPREVIOUS, StageMove
from envelope_secrets.testing.access import Call, written
from envelope_secrets.testing.faults import ServiceFault, access_denied, bad_parameter
from envelope_secrets.testing.request_checks import new_value, token_of
from envelope_secrets.testing.service_state import Record, place_in
from envelope_secrets.testing.values import DEFAULT_KEY, Place, StoredValue

__all__ = ["key_ids", "put_secret_value", "same_value", "sealed", "update_secret", "update_secret_version_stage"]

State = SecretState[StoredValue]


def put_secret_value(call: Call) -> dict[str, Any]:
    token = token_of(call.operation, call.parameters)
    value = new_value(call.parameters, is_required=True)
    record = written(call)
    _check_rotation_token(call, record, token)
    call.version_id = token
    stages = call.get("VersionStages")
    state = record.state
    is_same = same_value(call, state, token, value)
    if value is not None and not is_repeated(state, token, is_same):
        put(state, token, value, stages, is_same=is_same, now_s=call.now_s)  # what is refused makes no call of KMS
        stored, state = sealed(call, state, token, value)
        keys = key_ids(state)
        state = put(state, token, stored, stages, is_same=is_same, now_s=call.now_s, kms_key_ids=keys)
        call.state.commit(record, state)
    return {**_named(state), "VersionId": token, "VersionStages": sorted(state.labels.stages_of(token))}


def update_secret(call: Call) -> dict[str, Any]:
    value = new_value(call.parameters, is_required=False)
    token = "" if value is None else token_of(call.operation, call.parameters)
    record = written(call)
    description, key = call.get("Description"), call.get("KmsKeyId")
    state = updated(record.state, now_s=call.now_s, description=description, kms_key_id=key)
    if value is not None:
        updated(state, now_s=call.now_s, token=token, value=value)  # what is refused makes no call of KMS
    if key is not None and key != record.state.kms_key_id:
        state = _with_key(call, record.state, state)
    if value is not None:
        stored, state = sealed(call, state, token, value)
        state = updated(state, now_s=call.now_s, token=token, value=stored, kms_key_ids=key_ids(state))
    call.state.commit(record, state)
    call.version_id = token
    return {**_named(state), **({"VersionId": token} if token else {})}


def update_secret_version_stage(call: Call) -> dict[str, Any]:
    record = written(call)
    move = StageMove(call.parameters["VersionStage"], call.get("MoveToVersionId"), call.get("RemoveFromVersionId"))
    call.version_id = move.to_version or ""
    call.state.commit(record, moved(record.state, move, now_s=call.now_s))
    return _named(record.state)


def sealed(call: Call, state: State, token: str, value: StoredValue) -> tuple[StoredValue, State]:
    """The stored form of a new value, for every region that the secret is in; what fails there is the replica's status.

    Raises:
        ServiceFault: EncryptionFailure, AccessDeniedException of the primary region.
    """
    place = place_in(state, call.caller.region)
    stored = call.state.vault.seal(call.caller, place, token, value)
    replicas = []
    for replica in state.replicas:
        if replica.status == "Failed":  # until it is replicated anew
            replicas.append(replica)
            continue
        try:
            stored = call.state.vault.wrap_again(
                call.caller, place, token, stored, to_place=place_in(state, replica.region)
            )
            replicas.append(replica)
        except ServiceFault as fault:
            replicas.append(replace(replica, status="Failed", message=fault.message))
    return stored, replace(state, replicas=tuple(replicas))


def key_ids(state: State) -> tuple[str, ...]:
    """The key of a new version, as the list of versions names it."""
    return (state.kms_key_id or DEFAULT_KEY,)


def same_value(call: Call, state: State, token: str, value: StoredValue | None) -> Callable[[StoredValue], bool]:
    """Compares a stored value to the one of this call: it is decrypted for that, as the caller."""
    place = place_in(state, call.caller.region)
    return lambda stored: call.state.vault.open(call.caller, place, token, stored) == value


def _with_key(call: Call, before: State, after: State) -> State:
    """The labelled versions under the new key too; the old one opens them still."""
    from_place, to_place = place_in(before, call.caller.region), place_in(after, call.caller.region)
    call.state.vault.check_key(call.caller, to_place)
    versions = dict(after.versions)
    for stage in (AWSCURRENT, AWSPENDING, AWSPREVIOUS):
        version_id = after.labels.holder(stage)
        if version_id is not None and versions[version_id] is before.versions[version_id]:
            versions[version_id] = _wrapped(call, from_place, to_place, version_id, versions[version_id])
    return replace(after, versions=MappingProxyType(versions))


def _wrapped(
    call: Call, from_place: Place, to_place: Place, version_id: str, version: StoredVersion[StoredValue]
) -> StoredVersion[StoredValue]:
    if version.value is None:
        return version
    stored = call.state.vault.wrap_again(call.caller, from_place, version_id, version.value, to_place=to_place)
    return replace(version, value=stored, kms_key_ids=(*version.kms_key_ids, to_place.kms_key_id or DEFAULT_KEY))


def _check_rotation_token(call: Call, record: Record, token: str) -> None:
    """A rotation token must be the one that the rotation of this version was given."""
    given, known = call.get("RotationToken"), record.rotation_tokens.get(token)
    if given is not None and given != known:
        raise bad_parameter("The parameter RotationToken is not the one of this rotation.")
    if given is None and known is not None and call.state.requires_rotation_token:
        raise access_denied(call.caller.principal, call.operation, record.state.arn, "without a rotation token")


def _named(state: State) -> dict[str, Any]:
    return {"ARN": state.arn, "Name": state.name}
