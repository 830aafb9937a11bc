"""How one secret of an exported file gets into a store: every version under its own id, so an import can be repeated.

A new secret gets its previous version first and its current one after that, so that the labels fall into place by
themselves; then come the others. In a secret that exists, what is current becomes AWSPREVIOUS: a rollback takes the
import back. The previous version of the file is not brought then.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from envelope_secrets.cli.export_file import ExportedSecret, ExportedVersion
from envelope_secrets.errors import SecretConflict, SecretDeleted, SecretFormatError, SecretNotFound
from envelope_secrets.stages import AWSCURRENT, AWSPREVIOUS, StagingLabels

if TYPE_CHECKING:
    from envelope_secrets.client import SecretsClient
    from envelope_secrets.stores.protocol import SecretDescription

__all__ = ["Existing", "Plan", "Step", "bring", "planned"]

_AUTOMATIC = (AWSCURRENT, AWSPREVIOUS)


class Existing(Enum):
    """What becomes of a secret that is there already."""

    KEPT = "kept"
    OVERWRITTEN = "overwritten"


class Step(Enum):
    """What is done about one secret."""

    CREATE = "create"
    OVERWRITE = "overwrite"
    KEEP = "keep"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, and what was there when that was decided."""

    step: Step
    before: SecretDescription | None = None


def planned(client: SecretsClient | None, secret: ExportedSecret, existing: Existing) -> Plan:
    """What is to be done about a secret.

    Args:
        client: None for a store that is not there yet.

    Raises:
        SecretFormatError: it has versions and none of them is current: one would become that by accident.
        SecretDeleted: its name is taken by one that is scheduled for deletion.
    """
    if secret.versions and secret.holder(AWSCURRENT) is None:
        raise SecretFormatError("no version of it is current", hint="promote one where it comes from, and export again")
    if client is None:
        return Plan(Step.CREATE)
    try:
        before = client.describe(secret.name)
    except SecretNotFound:
        return Plan(Step.CREATE)
    if before.deleted is not None:
        raise SecretDeleted("it is scheduled for deletion here", hint=f"envelope secrets restore {secret.name}")
    if _is_same(secret, before):
        return Plan(Step.NOTHING, before)
    return Plan(Step.OVERWRITE if existing is Existing.OVERWRITTEN else Step.KEEP, before)


def bring(client: SecretsClient, secret: ExportedSecret, plan: Plan) -> None:
    """Do it.

    Raises:
        SecretConflict: somebody else changes the secret at the same time, or a version has another value there.
    """
    if plan.step is Step.CREATE:
        _create(client, secret)
    elif plan.step is Step.OVERWRITE and plan.before is not None:
        _overwrite(client, secret, plan.before)


def _is_same(secret: ExportedSecret, before: SecretDescription) -> bool:
    """Whether all labels of the file are where they are in the store. A version's value never changes."""
    labels = StagingLabels.of({version.version_id: version.stages for version in secret.versions})
    return all(before.labels.stages_of(one) == stages for one, stages in labels.by_version.items()) and (
        bool(secret.versions) or not before.labels.by_version
    )


def _create(client: SecretsClient, secret: ExportedSecret) -> None:
    current, previous = secret.holder(AWSCURRENT), secret.holder(AWSPREVIOUS)
    if current is None:
        client.create(secret.name, description=secret.description, tags=secret.tags)
        return
    first = current if previous is None else previous
    client.create(secret.name, first.value, description=secret.description, tags=secret.tags, token=first.version_id)
    if first is not current:
        client.put(secret.name, current.value, token=current.version_id)
    _label_rest(client, secret, {current.version_id, first.version_id})


def _overwrite(client: SecretsClient, secret: ExportedSecret, before: SecretDescription) -> None:
    current = secret.holder(AWSCURRENT)
    if current is not None:
        _make_current(client, secret.name, current, before.labels.holder(AWSCURRENT))
        _label_rest(client, secret, {current.version_id})
    # Only now: if somebody else was faster, nothing was changed.
    client.update(secret.name, description=secret.description)
    if secret.tags:
        client.tag(secret.name, secret.tags)


def _make_current(client: SecretsClient, name: str, current: ExportedVersion, holder: str | None) -> None:
    """By a compare-and-swap with what was current when the plan was made."""
    known = {version.version_id for version in client.versions(name, include_deprecated=True)}
    if current.version_id not in known:
        client.put(name, current.value, token=current.version_id, expected_version_id=holder)
        return
    _check_same(client, name, current)
    if holder != current.version_id:
        client.stages.move(name, AWSCURRENT, to=current.version_id, from_=holder)


def _label_rest(client: SecretsClient, secret: ExportedSecret, there: set[str]) -> None:
    """Put all labels but the automatic ones in their places, and bring the versions that they need."""
    for version in secret.versions:
        stages = tuple(stage for stage in version.stages if stage not in _AUTOMATIC)
        if version.version_id not in there and stages:
            client.put(secret.name, version.value, stages=stages, token=version.version_id)
        labels = client.describe(secret.name).labels
        for stage in stages:
            holder = labels.holder(stage)
            if holder != version.version_id:
                client.stages.move(secret.name, stage, to=version.version_id, from_=holder)


def _check_same(client: SecretsClient, name: str, version: ExportedVersion) -> None:
    found = client.get(name, version_id=version.version_id)
    if (found.binary if found.is_binary else found.text) != version.value:
        raise SecretConflict(
            f"version {version.version_id} has another value there", hint="the file or the store was edited: find out"
        )
