"""What Secrets Manager answers, as values of the protocol.

Source: AWS Secrets Manager API reference and service model 2017-10-17.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType

from envelope_secrets.limits import MAX_STAGES
from envelope_secrets.stages import StagingLabels
from envelope_secrets.stores.answers import Answer
from envelope_secrets.stores.protocol import (
    PolicyFinding,
    Replica,
    RotationStatus,
    SecretDescription,
    SecretVersion,
    VersionPlace,
)
from envelope_secrets.stores.secret_ids import is_arn_of, names_secret
from envelope_secrets.value import Secret

__all__ = [
    "description_in",
    "finding_in",
    "listed_in",
    "place_in",
    "replicas_in",
    "secret_in",
    "secret_read",
    "versions_in",
]


def secret_in(answer: Answer) -> Secret:
    """The version of a secret that an answer holds.

    Raises:
        AwsError: it contradicts itself.
    """
    name, arn, stages = answer.text("Name"), answer.text("ARN"), answer.texts("VersionStages")
    if not is_arn_of(arn, name):
        answer.refuse("has an ARN that is not of the secret that it names")
    if len(stages) > MAX_STAGES:
        answer.refuse(f"has {len(stages):,} staging labels on one version")
    return Secret(
        _value_in(answer),
        name=name,
        arn=arn,
        version_id=answer.text("VersionId"),
        stages=stages,
        created=answer.date("CreatedDate"),
    )


def secret_read(answer: Answer, secret_id: str, *, stage: str | None, version_id: str | None) -> Secret:
    """The version of a secret that was asked for.

    Raises:
        AwsError: it is another one.
    """
    secret = secret_in(answer)
    if not names_secret(secret_id, secret.arn, secret.name):
        answer.refuse("is about another secret than was asked for")
    if version_id not in (None, secret.version_id):
        answer.refuse("holds another version than was asked for")
    if stage is not None and stage not in secret.stages:
        answer.refuse(f"holds a version without the staging label {stage}")
    return secret


def _value_in(answer: Answer) -> str | bytes:
    """The value. No local variable holds it where an error is raised: reports of errors write those down."""
    held = [name for name in ("SecretString", "SecretBinary") if answer.members.get(name) is not None]
    if len(held) != 1:
        answer.refuse("holds no value" if not held else "holds two values")
    if not answer.members[held[0]]:
        answer.refuse("holds an empty value, which the service stores nowhere")
    return answer.value("SecretString", str) if held == ["SecretString"] else answer.value("SecretBinary", bytes)


def place_in(answer: Answer, *, stages: Iterable[str] = ()) -> VersionPlace:
    """Which version a call has written; the answers of some calls tell neither a version nor its labels."""
    told = answer.texts("VersionStages") or tuple(stages)
    version_id = answer.optional_text("VersionId")
    return VersionPlace(answer.text("ARN"), answer.text("Name"), version_id, tuple(sorted(told)) if version_id else ())


def description_in(answer: Answer) -> SecretDescription:
    """What DescribeSecret tells."""
    return _description(answer, _labels_in(answer, "VersionIdsToStages"))


def listed_in(answer: Answer) -> SecretDescription:
    """What ListSecrets tells of one secret."""
    return _description(answer, _labels_in(answer, "SecretVersionsToStages"))


def _description(answer: Answer, labels: StagingLabels) -> SecretDescription:
    return SecretDescription(
        name=answer.text("Name"),
        arn=answer.text("ARN"),
        labels=labels,
        description=answer.optional_text("Description"),
        kms_key_id=answer.optional_text("KmsKeyId"),
        tags=MappingProxyType(answer.pairs("Tags")),
        created=answer.date("CreatedDate"),
        changed=answer.date("LastChangedDate"),
        last_accessed=answer.date("LastAccessedDate"),
        deleted=answer.date("DeletedDate"),
        rotation=_rotation_in(answer),
        replicas=replicas_in(answer),
        primary_region=answer.optional_text("PrimaryRegion"),
        owning_service=answer.optional_text("OwningService"),
    )


def _labels_in(answer: Answer, name: str) -> StagingLabels:
    versions = answer.part(name)
    labels = {version_id: versions.texts(version_id) for version_id in versions.members}
    placed = [stage for stages in labels.values() for stage in stages]
    if len(set(placed)) < len(placed):  # where it really is decides which version is current
        answer.refuse("has a staging label on two versions")
    return StagingLabels.of(labels)


def _rotation_in(answer: Answer) -> RotationStatus:
    rules = answer.part("RotationRules")
    days = rules.optional("AutomaticallyAfterDays", int)
    return RotationStatus(
        enabled=answer.optional("RotationEnabled", bool),
        lambda_arn=answer.optional_text("RotationLambdaARN"),
        schedule=rules.optional_text("ScheduleExpression") or (f"rate({days} days)" if days else ""),
        window=rules.optional_text("Duration"),
        last_rotated=answer.date("LastRotatedDate"),
        next_rotation=answer.date("NextRotationDate"),
    )


def replicas_in(answer: Answer) -> tuple[Replica, ...]:
    """The copies in other regions."""
    return tuple(
        Replica(
            part.text("Region"),
            part.optional_text("Status"),
            part.optional_text("KmsKeyId"),
            part.optional_text("StatusMessage"),
        )
        for part in answer.parts("ReplicationStatus")
    )


def finding_in(answer: Answer) -> PolicyFinding:
    """One objection of ValidateResourcePolicy."""
    return PolicyFinding(answer.optional_text("CheckName"), answer.optional_text("ErrorMessage"))


def versions_in(
    pages: Iterable[Answer], labels: StagingLabels, *, include_deprecated: bool
) -> tuple[SecretVersion, ...]:
    """The versions that have a value or a label, the youngest first.

    Args:
        pages: of ListSecretVersionIds with deprecated ones: the versions that have a value.
        labels: what DescribeSecret told. It counts, because it is one look at all labels; a version that it does not
            know, and that is not deprecated, came after it.
    """
    listed = [_version_in(part) for page in pages for part in page.parts("Versions")]
    known: Mapping[str, SecretVersion] = {version.version_id: version for version in listed}
    announced = [
        SecretVersion(version_id, tuple(sorted(stages)), has_value=False)
        for version_id, stages in labels.by_version.items()
        if version_id not in known and stages
    ]
    with_value = [replace(version, stages=_stages_of(version, labels)) for version in known.values()]
    with_value.sort(key=lambda version: _timestamp(version.created), reverse=True)
    return tuple(version for version in (*announced, *with_value) if version.stages or include_deprecated)


def _version_in(part: Answer) -> SecretVersion:
    return SecretVersion(
        part.text("VersionId"),
        tuple(sorted(part.texts("VersionStages"))),
        created=part.date("CreatedDate"),
        last_accessed=part.date("LastAccessedDate"),
    )


def _stages_of(version: SecretVersion, labels: StagingLabels) -> tuple[str, ...]:
    """Its labels in the one look, and those of its own that no other version has there."""
    if version.version_id in labels.by_version:
        return tuple(sorted(labels.stages_of(version.version_id)))
    return tuple(stage for stage in version.stages if labels.holder(stage) is None)


def _timestamp(date: datetime | None) -> float:
    return 0.0 if date is None else date.timestamp()
