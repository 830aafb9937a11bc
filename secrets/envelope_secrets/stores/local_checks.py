"""What the methods of a local store take, and what a rule that forbids it becomes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from envelope.errors import EnvelopeError, InvalidArgument
from envelope_secrets.errors import NotSupported, SecretNotFound
from envelope_secrets.limits import (
    description_problem,
    name_problem,
    recovery_window_problem,
    stages_problem,
    tags_problem,
    token_problem,
    value_problem,
)
from envelope_secrets.service_rules.broken import RuleBroken
from envelope_secrets.stages import StageMove
from envelope_secrets.stores.protocol import NewSecret, NewVersion
from envelope_secrets.stores.refusals import error_for, refusal_of

__all__ = [
    "check_description",
    "check_ids",
    "check_move",
    "check_no_key",
    "check_now",
    "check_prefix",
    "check_recovery_window",
    "check_secret",
    "check_selector",
    "check_something",
    "check_tag_names",
    "check_tags",
    "check_token",
    "check_version",
    "rules_translated",
]

MAX_NOW_S = 253_370_764_800
"""The year 9999 begins. A recovery window later there is still a date."""

_NOT_FOUND_HINT = "check the name, the label and the file of the store; list and versions say what there is"

_SHOWN_TEXTS = ("InvalidParameterException", "LimitExceededException")
"""Of these codes the rule's own text says more than the code."""


@contextlib.contextmanager
def rules_translated(subject: str) -> Iterator[None]:
    """Turn a broken rule into the error that the same refusal of the service would be.

    Args:
        subject: the secret that the call is about.
    """
    try:
        yield
    except RuleBroken as broken:
        raise _error_of(broken, subject) from None


def _error_of(broken: RuleBroken, subject: str) -> EnvelopeError:
    # No rule but that of label moves has InvalidParameterException left: everything else is checked before.
    refusal = refusal_of(broken.code, said=broken.text, moves_label=True)
    what = broken.text if refusal is None else refusal.what
    more = f" ({broken.text.removesuffix('.')})" if broken.code in _SHOWN_TEXTS else ""
    error = error_for(broken.code, f"secret {subject[:200]!r}: {what}{more}", said=broken.text, moves_label=True)
    if type(error) is SecretNotFound:
        error.hint = error.hint and _NOT_FOUND_HINT  # that of AWS speaks of regions and accounts
    return error


def check_secret(secret: object) -> NewSecret:
    """Return it, or raise `InvalidArgument`, or `NotSupported` for a key or copies of its own."""
    if not isinstance(secret, NewSecret):
        raise InvalidArgument(f"secret must be a NewSecret, not {type(secret).__name__}", hint="new_secret makes one")
    _check("name", name_problem(secret.name))
    _check("description", description_problem(secret.description))
    _check("tags", tags_problem(secret.tags))
    check_no_key(secret.kms_key_id)
    if secret.replica_regions:
        raise NotSupported("a local store has no copies in other regions", hint="leave out replica_regions")
    if secret.version is not None:
        check_version(secret.version)
    return secret


def check_version(version: object) -> NewVersion:
    """Return it, or raise `InvalidArgument`."""
    if not isinstance(version, NewVersion):
        raise InvalidArgument(
            f"version must be a NewVersion, not {type(version).__name__}", hint="new_version makes one"
        )
    _check("value", value_problem(version.value))
    check_token(version.token)
    _check("stages", stages_problem(version.stages))
    return version


def check_token(token: object) -> None:
    """Raise `InvalidArgument` unless it is a token of 32 to 64 characters."""
    _check("token", token_problem(token))


def check_selector(stage: object, version_id: object) -> None:
    """Raise `InvalidArgument` if neither is given, or if no version could have that label or id."""
    if stage is None and version_id is None:
        raise InvalidArgument("neither stage nor version_id is given", hint='stage="AWSCURRENT" is the usual one')
    if stage is not None:
        _check("stage", stages_problem((stage,)))
    _check_version_id(version_id)


def _check_version_id(version_id: object) -> None:
    if version_id is not None:
        _check("version_id", token_problem(version_id))


def check_move(move: object) -> StageMove:
    """Return it, or raise `InvalidArgument`."""
    if not isinstance(move, StageMove):
        raise InvalidArgument(f"move must be a StageMove, not {type(move).__name__}")
    _check("stage", stages_problem((move.stage,)))
    _check_version_id(move.to_version)
    _check_version_id(move.from_version)
    if move.to_version is None and move.from_version is None:
        raise InvalidArgument("the move names no version", hint="say where the label is, or where it goes")
    return move


def check_something(*options: object) -> None:
    """Raise `InvalidArgument` if every option of an update is None."""
    if all(option is None for option in options):
        raise InvalidArgument("neither description nor kms_key_id is given", hint="give what shall change")


def check_now(now_s: object) -> float:
    """Return what a clock says, or raise `InvalidArgument` unless it is a date from 1970 to the year 9998, in UTC."""
    if isinstance(now_s, bool) or not isinstance(now_s, int | float):
        raise InvalidArgument(f"clock must return seconds since 1970, not {type(now_s).__name__}")
    if not 0 <= now_s < MAX_NOW_S:
        raise InvalidArgument("clock must return seconds since 1970, and a date before the year 9999")
    return float(now_s)


def check_recovery_window(days: object) -> int:
    """Return 7 to 30 days, or raise `InvalidArgument`."""
    problem = recovery_window_problem(days)
    if problem is not None or not isinstance(days, int):
        raise InvalidArgument(f"recovery_window_days {problem}", hint="None deletes at once and for good")
    return days


def check_description(description: object) -> None:
    """Raise `InvalidArgument` unless it is a description, or None."""
    if description is not None:
        _check("description", description_problem(description))


def check_no_key(kms_key_id: object) -> None:
    """Raise `NotSupported` for a key of a secret's own."""
    if kms_key_id:
        raise NotSupported(
            "the secrets of a local store have no key of their own: its keyring encrypts them",
            hint="leave out kms_key_id, or make another store with another keyring",
        )


def check_tags(tags: object) -> None:
    """Raise `InvalidArgument` unless they can be tags."""
    _check("tags", tags_problem(tags))


def check_tag_names(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of tags, or raise `InvalidArgument`."""
    listed = _listed("names", names)
    _check("names", tags_problem(dict.fromkeys(listed, "")))
    return listed


def check_ids(secret_ids: Iterable[str]) -> tuple[str, ...]:
    """Return the ids, each once, or raise `InvalidArgument` if they are not several."""
    return tuple(dict.fromkeys(_listed("secret_ids", secret_ids)))


def check_prefix(prefix: object) -> str:
    """Return the beginning of names, or raise `InvalidArgument`; empty for all."""
    if not isinstance(prefix, str):
        raise InvalidArgument(f"prefix must be text, not {type(prefix).__name__}")
    if prefix:
        _check("prefix", name_problem(prefix))
    return prefix


def _listed(option: str, values: object) -> tuple[str, ...]:
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise InvalidArgument(f"{option} must be several texts, not {type(values).__name__}")
    listed = tuple(values)
    for value in listed:
        if not isinstance(value, str):
            raise InvalidArgument(f"{option} must be several texts; one of them is {type(value).__name__}")
    return listed


def _check(option: str, problem: str | None) -> None:
    if problem is not None:
        raise InvalidArgument(f"{option} {problem}")
