"""By which key a value is kept: everything that was asked, as it was spelled."""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias

from envelope.errors import InvalidArgument
from envelope_secrets.stages import AWSCURRENT

__all__ = ["CacheKey", "Whole", "checked_id", "version_key"]

MAX_ID_CHARACTERS = 2_048
"""Service model: SecretIdType."""

MAX_STAGE_CHARACTERS = 256
"""Service model: SecretVersionStageType."""

MAX_VERSION_ID_CHARACTERS = 64
"""Service model: SecretVersionIdType."""


class Whole(Enum):
    """What is kept as one thing besides single versions. It stands in a key where a stage stands otherwise."""

    KEY_RING = "key ring"
    TREE = "tree"


CacheKey: TypeAlias = tuple[str, str | Whole | None, str | None]
"""Id, stage, version id."""


def checked_id(secret_id: object, option: str = "secret_id") -> str:
    """An id that may be kept.

    Raises:
        InvalidArgument: it is none; the text does not repeat it, because somebody may have given a value.
    """
    return _checked(option, secret_id, MAX_ID_CHARACTERS)


def version_key(secret_id: object, stage: object = None, version_id: object = None) -> CacheKey:
    """The key of one version: by AWSCURRENT, if neither a stage nor a version id is given.

    Raises:
        InvalidArgument: one of them is of a wrong type, empty or too long.
    """
    name = checked_id(secret_id)
    if stage is None and version_id is None:
        return (name, AWSCURRENT, None)
    return (
        name,
        None if stage is None else _checked("stage", stage, MAX_STAGE_CHARACTERS),
        None if version_id is None else _checked("version_id", version_id, MAX_VERSION_ID_CHARACTERS),
    )


def _checked(option: str, value: object, most: int) -> str:
    if not isinstance(value, str):
        raise InvalidArgument(f"{option} must be text, not {type(value).__name__}")
    if not 1 <= len(value) <= most:
        raise InvalidArgument(f"{option} must have 1 to {most:,} characters, not {len(value):,}")
    return value
