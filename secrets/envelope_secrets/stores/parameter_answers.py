"""What Parameter Store answers, as values of the protocol. Its newest version counts as AWSCURRENT.

Source: AWS Systems Manager API reference and service model 2014-11-06.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from envelope_secrets.stages import AWSCURRENT, StagingLabels
from envelope_secrets.stores.answers import Answer
from envelope_secrets.stores.parameter_names import ParameterName
from envelope_secrets.stores.protocol import SecretDescription, SecretVersion
from envelope_secrets.value import Secret

__all__ = ["labels_in", "listed_parameter", "newest_in", "parameter_in", "parameter_read", "parameter_versions"]


def parameter_read(answer: Answer, asked: ParameterName) -> Secret:
    """The parameter that was asked for.

    Raises:
        AwsError: it is another one, or another version.
    """
    secret = parameter_in(answer, asked.selector)
    if not asked.is_named(secret.name, secret.arn):
        answer.refuse("is about another parameter than was asked for")
    if asked.selector.isdigit() and asked.selector != secret.version_id:
        answer.refuse("holds another version than was asked for")
    return secret


def parameter_in(answer: Answer, selector: str = "") -> Secret:
    """The value of a parameter; the label is told of which it was asked for by, and AWSCURRENT for the newest."""
    source = _source_in(answer)
    number = str(answer.whole_number("Version"))
    stages = () if selector.isdigit() else (selector or AWSCURRENT,)
    return Secret(
        answer.text("Value"),
        name=answer.text("Name"),
        arn=source.arn or answer.text("ARN"),
        version_id=source.version_id or number,
        stages=stages if source.stages is None else source.stages,
        created=answer.date("LastModifiedDate"),
    )


@dataclass(frozen=True, slots=True)
class _Source:
    """What Secrets Manager told Parameter Store of a secret, but for its value; nothing for a parameter."""

    arn: str = ""
    version_id: str = ""
    stages: tuple[str, ...] | None = None


def _source_in(answer: Answer) -> _Source:
    text = answer.optional_text("SourceResult")
    try:
        source = json.loads(text) if text else None
    except (ValueError, RecursionError):  # it holds the value, as the exception does
        source = None
    if not isinstance(source, Mapping):
        return _Source()
    return _Source(_text(source.get("ARN")), _text(source.get("versionId")), _texts(source.get("versionStages")))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> tuple[str, ...] | None:
    return tuple(value) if isinstance(value, list) and all(isinstance(item, str) for item in value) else None


def newest_in(history: Sequence[Answer]) -> Answer:
    """The newest entry of GetParameterHistory, which is not empty."""
    return max(history, key=lambda entry: entry.whole_number("Version"))


def labels_in(history: Sequence[Answer]) -> StagingLabels:
    """The labels of every version."""
    labels = {str(entry.whole_number("Version")): set(entry.texts("Labels")) for entry in history}
    labels[str(newest_in(history).whole_number("Version"))].add(AWSCURRENT)
    return StagingLabels.of(labels)


def parameter_versions(history: Sequence[Answer], *, include_deprecated: bool) -> tuple[SecretVersion, ...]:
    """The versions, the youngest first; those without a label only if they are asked for."""
    labels = labels_in(history)
    newest_first = sorted(history, key=lambda entry: entry.whole_number("Version"), reverse=True)
    versions = [_version_in(entry, labels) for entry in newest_first]
    return tuple(version for version in versions if version.stages or include_deprecated)


def _version_in(entry: Answer, labels: StagingLabels) -> SecretVersion:
    version_id = str(entry.whole_number("Version"))
    return SecretVersion(
        version_id, tuple(sorted(labels.stages_of(version_id))), created=entry.date("LastModifiedDate")
    )


def listed_parameter(answer: Answer) -> SecretDescription:
    """What DescribeParameters tells of one: of its versions the newest only."""
    return SecretDescription(
        name=answer.text("Name"),
        arn=answer.optional_text("ARN"),
        labels=StagingLabels.of({str(answer.whole_number("Version")): (AWSCURRENT,)}),
        description=answer.optional_text("Description"),
        kms_key_id=answer.optional_text("KeyId"),
        changed=answer.date("LastModifiedDate"),
    )
