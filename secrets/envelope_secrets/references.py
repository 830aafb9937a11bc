"""References to a secret, or to one field of it, as they stand in configuration files and environment variables.

``id[:field[:stage[:version_id]]]``, with an id that is a name or an ARN. A part may be empty: ``prod/db::AWSPENDING``.
It is the syntax of Amazon ECS.

Source: Amazon ECS Developer Guide, "Pass Secrets Manager secrets through Amazon ECS environment variables".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from envelope.errors import InvalidArgument

__all__ = ["ReadValue", "SecretReference", "resolve"]

MAX_REFERENCE_CHARACTERS = 4_096
MAX_STAGE_CHARACTERS = 256
MAX_VERSION_ID_CHARACTERS = 64

_SYNTAX = "write id[:field[:stage[:version_id]]], like prod/db:password"

_ARN_COLONS = {"secretsmanager": 6, "ssm": 5}
"""How many colons an ARN has: ``arn:aws:secretsmanager:region:account:secret:name``, and one less for a parameter."""


class ReadValue(Protocol):
    """What a reference needs of a `Secret`."""

    @property
    def is_binary(self) -> bool: ...
    @property
    def text(self) -> str: ...
    @property
    def binary(self) -> bytes: ...
    @property
    def json(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class SecretReference:
    """Which secret, and what of it.

    Attributes:
        secret_id: a name or an ARN.
        field: a field of the JSON object that the secret is; empty for the whole value.
        stage: a staging label; empty for the current version, or for whatever labels `version_id` has.
        version_id: the id of a version, or empty.
    """

    secret_id: str
    field: str = ""
    stage: str = ""
    version_id: str = ""

    def __post_init__(self) -> None:
        _check_part("secret_id", self.secret_id, 1, MAX_REFERENCE_CHARACTERS)
        _check_part("field", self.field, 0, MAX_REFERENCE_CHARACTERS)
        _check_part("stage", self.stage, 0, MAX_STAGE_CHARACTERS)
        _check_part("version_id", self.version_id, 0, MAX_VERSION_ID_CHARACTERS)

    @classmethod
    def parse(cls, text: str) -> SecretReference:
        """The reference that `text` is.

        A field with a colon in its name cannot be written; make a `SecretReference` of its parts.

        Raises:
            InvalidArgument: it is none. Its text is not shown: somebody may have written the secret in its place.
        """
        if not isinstance(text, str):
            raise InvalidArgument(f"a reference must be text, not {type(text).__name__}", hint=_SYNTAX)
        secret_id, parts = _split(text)
        if len(parts) > 3:
            raise InvalidArgument(f"a reference has an id and up to 3 parts after it, not {len(parts)}", hint=_SYNTAX)
        return cls(secret_id, *parts)

    def value_of(self, secret: ReadValue) -> Any:
        """What the reference wants of a secret that was read: a field, or the whole value as text or bytes.

        Raises:
            SecretFormatError: the secret has no such field, or is no JSON object.
        """
        if self.field:
            return secret.json[self.field]
        return secret.binary if secret.is_binary else secret.text

    def options(self) -> dict[str, str]:
        """The keyword arguments for a client's `get`: what is not asked for is not among them."""
        asked = {"stage": self.stage, "version_id": self.version_id}
        return {name: value for name, value in asked.items() if value}


def resolve(reference: SecretReference | str, get: Callable[..., ReadValue]) -> Any:
    """What a reference stands for: the value of a field as JSON has it, or the whole value as text or bytes.

    Args:
        get: like `SecretsClient.get`.

    Raises:
        InvalidArgument: the text is no reference.
        SecretFormatError: the secret has no such field, or is no JSON object.
    """
    wanted = reference if isinstance(reference, SecretReference) else SecretReference.parse(reference)
    return wanted.value_of(get(wanted.secret_id, **wanted.options()))


def _split(text: str) -> tuple[str, list[str]]:
    """The id, which may be an ARN with colons of its own, and the parts after it."""
    parts = text.split(":")
    inside = 0
    if parts[0] == "arn":
        inside = _ARN_COLONS.get(parts[2], 0) if len(parts) > 2 else 0
        if not inside or len(parts) <= inside:
            raise InvalidArgument(
                "a reference begins like an ARN, but not like that of a secret or a parameter", hint=_SYNTAX
            )
    return ":".join(parts[: inside + 1]), parts[inside + 1 :]


def _check_part(name: str, value: object, least: int, most: int) -> None:
    if not isinstance(value, str):
        raise InvalidArgument(f"{name} of a reference must be text, not {type(value).__name__}", hint=_SYNTAX)
    if not least <= len(value) <= most:
        raise InvalidArgument(
            f"{name} of a reference must have {least} to {most:,} characters, not {len(value):,}", hint=_SYNTAX
        )
    if not value.isprintable():
        raise InvalidArgument(f"{name} of a reference must have printable characters only", hint=_SYNTAX)
