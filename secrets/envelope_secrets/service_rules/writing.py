"""New secrets and new versions: tokens make them idempotent, labels move at once, old versions go.

Source: AWS Secrets Manager API reference, CreateSecret, PutSecretValue, UpdateSecret.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TypeVar

from envelope_secrets.limits import (
    MAX_STAGES,
    MAX_VERSIONS,
    description_problem,
    name_problem,
    stages_problem,
    tags_problem,
    token_problem,
)
from envelope_secrets.service_rules.broken import RuleBroken, check_parameter
from envelope_secrets.service_rules.deletion import check_not_deleted
from envelope_secrets.service_rules.state import NO_TAGS, SecretState, StoredVersion, without_versions
from envelope_secrets.stages import StagingLabels, after_put

__all__ = ["check_free", "check_stage_count", "created", "is_repeated", "put", "updated"]

V = TypeVar("V")

KEPT_S = 86_400.0
"""Younger versions are never removed."""


def check_free(state: SecretState[V], token: str, is_same: Callable[[V], bool]) -> None:
    """CreateSecret for a name that exists: return if it is a repetition of the call that has created it.

    Args:
        is_same: whether the value of the version that has this token is the one of the call. Called for that one only.

    Raises:
        RuleBroken: ResourceExistsException; InvalidRequestException for a secret that is scheduled for deletion.
    """
    if state.deletes_s is not None:
        raise RuleBroken(
            "InvalidRequestException",
            "You can't create this secret because a secret with this name is already scheduled for deletion.",
        )
    known = state.versions.get(token)
    if known is None or known.value is None or not is_same(known.value):
        raise RuleBroken(
            "ResourceExistsException", f"The operation failed because the secret {state.name} already exists."
        )


def created(
    *,
    name: str,
    arn: str,
    now_s: float,
    token: str = "",
    value: V | None = None,
    kms_key_ids: tuple[str, ...] = (),
    description: str = "",
    kms_key_id: str = "",
    tags: Mapping[str, str] = NO_TAGS,
) -> SecretState[V]:
    """A new secret; one without a value has no version.

    Raises:
        RuleBroken: InvalidParameterException.
    """
    check_parameter("Name", name_problem(name))
    check_parameter("Description", description_problem(description))
    check_parameter("Tags", tags_problem(tags))
    empty: SecretState[V] = SecretState(
        name=name,
        arn=arn,
        created_s=now_s,
        changed_s=now_s,
        description=description,
        kms_key_id=kms_key_id,
        tags=MappingProxyType(dict(tags)),
    )
    if value is None:
        return empty
    check_parameter("ClientRequestToken", token_problem(token))
    return _with_version(empty, token, StoredVersion(value, now_s, None, kms_key_ids), None)


def is_repeated(state: SecretState[V], token: str, is_same: Callable[[V], bool]) -> bool:
    """Whether a PutSecretValue with this token has been done before. For stores that seal only what is new.

    Raises:
        RuleBroken: ResourceExistsException: done with another value; InvalidRequestException: scheduled for deletion.
    """
    check_not_deleted(state)
    known = state.versions.get(token)
    if known is None or known.value is None:
        return False
    if not is_same(known.value):
        raise _token_in_use(state, token)
    return True


def put(
    state: SecretState[V],
    token: str,
    value: V,
    stages: Sequence[str] | None = None,
    *,
    is_same: Callable[[V], bool],
    now_s: float,
    kms_key_ids: tuple[str, ...] = (),
) -> SecretState[V]:
    """PutSecretValue: a new version, or the value of one that a rotation has announced.

    Args:
        stages: exactly these labels move to it; AWSCURRENT if None.
        is_same: whether a stored value is the one of this call; called only if the token has a value already.

    Returns:
        The very same state if it is a repetition: not even labels move.

    Raises:
        RuleBroken: ResourceExistsException: the token has another value. LimitExceededException: too many labels, or
            versions of the last 24 hours. InvalidRequestException, InvalidParameterException.
    """
    check_parameter("ClientRequestToken", token_problem(token))
    if stages is not None:
        check_parameter("VersionStages", stages_problem(stages))
    if is_repeated(state, token, is_same):
        return state
    return _with_version(state, token, StoredVersion(value, now_s, None, kms_key_ids), stages)


def updated(
    state: SecretState[V],
    *,
    now_s: float,
    description: str | None = None,
    kms_key_id: str | None = None,
    token: str = "",
    value: V | None = None,
    kms_key_ids: tuple[str, ...] = (),
) -> SecretState[V]:
    """UpdateSecret: what belongs to the secret, and a new current version if there is a value.

    Raises:
        RuleBroken: ResourceExistsException: the token is in use, with whatever value. Others as in `put`.
    """
    check_not_deleted(state)
    if description is not None:
        check_parameter("Description", description_problem(description))
    changed = replace(
        state,
        description=state.description if description is None else description,
        kms_key_id=state.kms_key_id if kms_key_id is None else kms_key_id,
        changed_s=now_s,
    )
    if value is None:
        return changed
    check_parameter("ClientRequestToken", token_problem(token))
    if state.has_value(token):
        raise _token_in_use(state, token)
    return _with_version(changed, token, StoredVersion(value, now_s, None, kms_key_ids), None)


def check_stage_count(labels: StagingLabels) -> None:
    """Raise LimitExceededException if the secret has more than 20 labels."""
    if sum(map(len, labels.by_version.values())) > MAX_STAGES:
        raise RuleBroken("LimitExceededException", f"A secret can't have more than {MAX_STAGES} staging labels.")


def _with_version(
    state: SecretState[V], token: str, version: StoredVersion[V], stages: Sequence[str] | None
) -> SecretState[V]:
    others = {version_id: other for version_id, other in state.versions.items() if version_id != token}
    labels = after_put(state.labels, token, stages)
    check_stage_count(labels)
    versions, labels = _without_surplus({**others, token: version}, labels, version.created_s)
    rotation = state.rotation and replace(state.rotation, since_s=version.created_s)
    return replace(state, versions=versions, labels=labels, rotation=rotation, changed_s=version.created_s)


def _without_surplus(
    versions: Mapping[str, StoredVersion[V]], labels: StagingLabels, now_s: float
) -> tuple[Mapping[str, StoredVersion[V]], StagingLabels]:
    """At most 100 versions: the oldest of those go that have no label and are older than a day."""
    surplus = len(versions) - MAX_VERSIONS
    old = [
        version_id
        for version_id, version in versions.items()
        if not labels.stages_of(version_id) and now_s - version.created_s > KEPT_S
    ]
    if surplus > len(old):
        raise RuleBroken(
            "LimitExceededException",
            f"The secret has {MAX_VERSIONS} versions that have a label or are younger than 24 hours.",
        )
    return without_versions(versions, labels, frozenset(old[: max(surplus, 0)]))


def _token_in_use(state: SecretState[V], token: str) -> RuleBroken:
    return RuleBroken(
        "ResourceExistsException",
        f"You can't use ClientRequestToken {token} because that value is already in use for a version of secret "
        f"{state.arn}.",
    )
