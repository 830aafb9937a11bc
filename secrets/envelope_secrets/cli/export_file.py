"""The file of ``envelope secrets export``: a JSON document in a message of the AWS Encryption SDK.

    {"format": "envelope-secrets", "version": 1, "secrets": [
        {"name": "prod/db", "description": "", "tags": {}, "versions": [
            {"version_id": "...", "stages": ["AWSCURRENT"], "text": "..."},
            {"version_id": "...", "stages": ["AWSPREVIOUS"], "base64": "..."}]}]}

The message has the encryption context `CONTEXT`, so no other message under the same key is taken for an export. Keys,
rotation, policies and replicas belong to a place, and are not in it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from envelope_secrets.errors import SecretFormatError
from envelope_secrets.limits import (
    description_problem,
    name_problem,
    stages_problem,
    tags_problem,
    token_problem,
    value_problem,
)
from envelope_secrets.value import HidesValue

__all__ = ["CONTEXT", "ExportedSecret", "ExportedVersion", "parsed_export", "serialized_export"]

FORMAT = "envelope-secrets"
VERSION = 1
CONTEXT: Mapping[str, str] = {"Format": FORMAT, "FormatVersion": str(VERSION)}


@dataclass(frozen=True, slots=True)
class ExportedVersion(HidesValue):
    """A version with a label and a value."""

    version_id: str
    stages: tuple[str, ...]
    value: str | bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ExportedSecret(HidesValue):
    """A secret with its labelled versions; none for one that waits for its first value."""

    name: str
    description: str
    tags: Mapping[str, str]
    versions: tuple[ExportedVersion, ...]

    def holder(self, stage: str) -> ExportedVersion | None:
        """The version that has the label."""
        return next((version for version in self.versions if stage in version.stages), None)


def serialized_export(secrets: Iterable[ExportedSecret]) -> bytes:
    """The document."""
    listed = [
        {
            "name": secret.name,
            "description": secret.description,
            "tags": dict(secret.tags),
            "versions": [_version_fields(version) for version in secret.versions],
        }
        for secret in secrets
    ]
    return json.dumps({"format": FORMAT, "version": VERSION, "secrets": listed}).encode()


def parsed_export(document: bytes) -> tuple[ExportedSecret, ...]:
    """The secrets of a document.

    Raises:
        SecretFormatError: it is none, or one of a newer version. The text shows nothing of it but a secret's name.
    """
    try:
        found = json.loads(document)
    except (ValueError, RecursionError):  # it quotes the document
        found = None
    match found:
        case {"format": str(kind), "version": int(version), "secrets": [*listed]} if kind == FORMAT:
            if version != VERSION:
                _refuse(f"has version {version}; this one knows {VERSION}", hint="upgrade the package")
        case _:
            _refuse("is no document of secrets")
    secrets = tuple(map(_secret, listed))
    if len({secret.name for secret in secrets}) < len(secrets):
        _refuse("has a secret twice")
    return secrets


def _version_fields(version: ExportedVersion) -> dict[str, Any]:
    value = version.value
    shown = {"text": value} if isinstance(value, str) else {"base64": base64.b64encode(value).decode()}
    return {"version_id": version.version_id, "stages": list(version.stages), **shown}


def _secret(found: object) -> ExportedSecret:
    match found:
        case {"name": name, "description": description, "tags": tags, "versions": [*versions]}:
            problems = (name_problem(name), description_problem(description), tags_problem(tags))
        case _:
            _refuse("has a secret without a name, description, tags or versions")
    if any(problems):
        _refuse("has a secret with a wrong name, description or tag")
    secret = ExportedSecret(name, description, tags, tuple(map(_version, versions)))
    stages = [stage for version in secret.versions for stage in version.stages]
    ids = {version.version_id for version in secret.versions}
    if len(set(stages)) < len(stages) or len(ids) < len(secret.versions):
        _refuse(f"has the secret {name!r} with a label or version twice")
    return secret


def _version(found: object) -> ExportedVersion:
    value: object = None
    match found:
        case {"version_id": version_id, "stages": [*stages], "text": str(value)}:
            pass
        case {"version_id": version_id, "stages": [*stages], "base64": str(text)}:
            value = _decoded(text)
        case _:
            _refuse("has a version without an id, labels or a value")
    if token_problem(version_id) or stages_problem(stages) or not isinstance(value, (str, bytes)):
        _refuse("has a version with a wrong id or label")
    if value_problem(value):
        _refuse("has a version with a value that no store takes")
    return ExportedVersion(version_id, tuple(sorted(stages)), value)


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return None


def _refuse(problem: str, *, hint: str = "envelope secrets export writes such files") -> NoReturn:
    raise SecretFormatError(f"the file {problem}", hint=hint)
