"""What a request must be like before it is sent, as far as AWS and a store on this machine say the same of it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from envelope.aws.client_options import check_region
from envelope.errors import EnvelopeError, InvalidArgument
from envelope_secrets import limits
from envelope_secrets.stages import AWSCURRENT, StageMove
from envelope_secrets.stores.protocol import NewSecret, NewVersion

__all__ = [
    "check_ids",
    "check_move",
    "check_new_secret",
    "check_new_secret_but_name",
    "check_new_version",
    "check_read",
    "check_region_names",
    "check_regions",
    "check_rules",
    "check_secret_id",
    "check_some",
    "check_stage",
    "check_tag_names",
    "check_text",
    "check_version_ids",
]

MAX_ID_CHARACTERS = 2_048
"""Service models: SecretIdType of Secrets Manager, PSParameterName of Systems Manager."""

MAX_KEY_ID_CHARACTERS = 2_048
"""Service model: KmsKeyIdType."""

MAX_VERSION_ID_CHARACTERS = 64
"""Service model: SecretVersionIdType."""

_ROTATION_TOKEN = re.compile(r"[a-zA-Z0-9-]{36,256}")
"""Service model: RotationTokenType."""


def check_rules(**problems: str | None) -> None:
    """Raise `InvalidArgument` for the first option that has a problem, as the functions of `limits` tell it."""
    for option, problem in problems.items():
        if problem is not None:
            raise InvalidArgument(f"{option} {problem}")


def check_secret_id(secret_id: object) -> str:
    """A name or an ARN, or `InvalidArgument`."""
    if not isinstance(secret_id, str):
        raise InvalidArgument(f"secret_id must be a name or an ARN, not {type(secret_id).__name__}")
    if not 1 <= len(secret_id) <= MAX_ID_CHARACTERS:
        raise InvalidArgument(f"secret_id has {len(secret_id):,} characters; 1 to {MAX_ID_CHARACTERS:,} are allowed")
    if not secret_id.isprintable():
        raise InvalidArgument("secret_id has a character that cannot be printed", hint="give the name or the ARN alone")
    return secret_id


def sorted_ids(secret_ids: Sequence[str]) -> tuple[tuple[str, ...], dict[str, EnvelopeError]]:
    """Names and ARNs, each once, in their order; and those that are none, with their errors.

    One that is none must not cost the others their answer. What is no text at all is a mistake of the caller's.
    """
    refused: dict[str, EnvelopeError] = {}
    good = []
    for secret_id in check_ids(secret_ids):
        try:
            good.append(check_secret_id(secret_id))
        except InvalidArgument as error:
            refused[secret_id] = error
    return tuple(good), refused


def check_ids(secret_ids: Sequence[str]) -> tuple[str, ...]:
    """Texts, each once, in their order, or `InvalidArgument`."""
    given: object = secret_ids
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise InvalidArgument(f"secret_ids must be a list of names and ARNs, not {type(given).__name__}")
    listed = tuple(dict.fromkeys(given))
    return tuple(secret_id if isinstance(secret_id, str) else check_secret_id(secret_id) for secret_id in listed)


def check_read(stage: str | None, version_id: str | None) -> None:
    """Which version to read: by label, by id, or by both, which have to agree; `InvalidArgument` for neither."""
    if stage is None and version_id is None:
        raise InvalidArgument("neither stage nor version_id is given", hint='stage="AWSCURRENT" is the usual one')
    if stage is not None:
        check_stage(stage)
    if version_id is not None:
        check_text("version_id", version_id, MAX_VERSION_ID_CHARACTERS, least=1)


def check_version_ids(**version_ids: str | None) -> None:
    """Raise `InvalidArgument` for what cannot be the id of a version in Secrets Manager, where it is a token."""
    check_rules(**{name: limits.token_problem(given) for name, given in version_ids.items() if given is not None})


def check_new_version(version: NewVersion) -> None:
    """Raise `InvalidArgument` for a value, token or labels that no store takes."""
    given: object = version
    if not isinstance(given, NewVersion):
        raise InvalidArgument(f"version must be a NewVersion, not {type(given).__name__}")
    check_rules(
        value=limits.value_problem(version.value),
        token=limits.token_problem(version.token),
        stages=limits.stages_problem(version.stages),
    )
    if not _is_rotation_token(version.rotation_token):
        raise InvalidArgument("rotation_token is no RotationToken", hint="pass on what the rotation event holds")


def _is_rotation_token(token: object) -> bool:
    """Here, because a frame that raises must not have it among its local variables."""
    return token is None or (isinstance(token, str) and _ROTATION_TOKEN.fullmatch(token) is not None)


def check_new_secret(secret: NewSecret) -> None:
    """Raise `InvalidArgument` for what cannot be created."""
    check_new_secret_but_name(secret)
    check_rules(name=limits.name_problem(secret.name))


def check_new_secret_but_name(secret: NewSecret) -> None:
    """The same but for the name, which not all stores take alike; it is text."""
    given: object = secret
    if not isinstance(given, NewSecret):
        raise InvalidArgument(f"secret must be a NewSecret, not {type(given).__name__}")
    check_rules(
        description=limits.description_problem(secret.description),
        tags=limits.tags_problem(secret.tags),
    )
    check_text("name", secret.name, MAX_ID_CHARACTERS, least=1)
    check_text("kms_key_id", secret.kms_key_id, MAX_KEY_ID_CHARACTERS)
    check_regions("replica_regions", secret.replica_regions)
    if secret.version is not None:
        check_new_version(secret.version)


def check_move(move: StageMove) -> None:
    """Raise `InvalidArgument` for a move of no label, from no version to no version, or that leaves nothing current."""
    given: object = move
    if not isinstance(given, StageMove):
        raise InvalidArgument(f"move must be a StageMove, not {type(given).__name__}")
    check_stage(move.stage)
    versions = [version_id for version_id in (move.to_version, move.from_version) if version_id is not None]
    if not versions:
        raise InvalidArgument(f"the move of {move.stage} names no version", hint="say where it is, or where it goes")
    if move.stage == AWSCURRENT and move.to_version is None:
        raise InvalidArgument(
            f"{AWSCURRENT} cannot be taken away: nobody could read the secret", hint="move it to another version"
        )
    for version_id in versions:
        check_text("version_id", version_id, MAX_VERSION_ID_CHARACTERS, least=1)


def check_regions(option: str, regions: Mapping[str, str]) -> None:
    """Raise `InvalidArgument` unless it maps regions to keys, which may be empty."""
    given: object = regions
    if not isinstance(given, Mapping):
        raise InvalidArgument(f"{option} must map regions to KMS keys, not be {type(given).__name__}")
    for region, key in given.items():
        check_region(option, region)
        check_text("a KMS key", key, MAX_KEY_ID_CHARACTERS)


def check_region_names(option: str, regions: Iterable[str]) -> tuple[str, ...]:
    """Names of regions, each once, in their order, or `InvalidArgument`."""
    given: object = regions
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise InvalidArgument(f"{option} must be a list of regions, not {type(given).__name__}", hint='["us-east-1"]')
    return tuple(dict.fromkeys(check_region(option, region) for region in given))


def check_some(option: str, values: Collection[str]) -> None:
    """Raise `InvalidArgument` if there are none."""
    if not values:
        raise InvalidArgument(f"{option} must be one at least")


def check_text(option: str, value: object, most: int, *, least: int = 0) -> str:
    """A text of so many characters, or `InvalidArgument`, which does not show it."""
    if not isinstance(value, str):
        raise InvalidArgument(f"{option} must be text, not {type(value).__name__}")
    if not least <= len(value) <= most:
        raise InvalidArgument(f"{option} has {len(value):,} characters; {least} to {most:,} are allowed")
    return value


def check_stage(stage: object) -> None:
    """Raise `InvalidArgument` for what is no staging label."""
    if not isinstance(stage, str):
        raise InvalidArgument(f"stage must be a staging label, not {type(stage).__name__}")
    check_rules(stage=limits.stages_problem((stage,)))


def check_tag_names(names: Iterable[str]) -> list[str]:
    """Names of tags, or `InvalidArgument`."""
    given: object = names
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise InvalidArgument(f"names must be a list of names of tags, not {type(given).__name__}")
    listed = list(given)
    check_rules(names=limits.tags_problem(dict.fromkeys(listed, "")))
    return listed
