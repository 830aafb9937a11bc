"""What Secrets Manager takes: sizes, names, schedules. Checked here before a call, because a refusal costs a trip.

Every ``..._problem`` function takes what a caller may have given, of any type. It returns what is wrong with it as the
end of a sentence that begins with the option's name, like ``must have 32 to 64 characters, not 3``, or None. It never
quotes the value of a secret, and nothing long.

Source: constraints of botocore's model of Secrets Manager; AWS Secrets Manager User Guide, "AWS Secrets Manager quotas"
and "Schedule expressions in Secrets Manager rotation".
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping

from envelope_secrets.schedules import expression_problem

__all__ = [
    "MAX_BATCH_IDS",
    "MAX_DESCRIPTION_CHARACTERS",
    "MAX_NAME_CHARACTERS",
    "MAX_POLICY_CHARACTERS",
    "MAX_RECOVERY_WINDOW_DAYS",
    "MAX_STAGES",
    "MAX_STAGE_CHARACTERS",
    "MAX_TAGS",
    "MAX_TAG_NAME_CHARACTERS",
    "MAX_TAG_VALUE_CHARACTERS",
    "MAX_TOKEN_CHARACTERS",
    "MAX_VALUE_BYTES",
    "MAX_VERSIONS",
    "MIN_RECOVERY_WINDOW_DAYS",
    "MIN_TOKEN_CHARACTERS",
    "description_problem",
    "name_problem",
    "policy_problem",
    "recovery_window_problem",
    "schedule_problem",
    "stages_problem",
    "tags_problem",
    "token_problem",
    "value_problem",
]

MAX_VALUE_BYTES = 65_536
"""Of a value; text counts in UTF-8, where the service's own model counts characters."""
MAX_NAME_CHARACTERS = 512
MAX_DESCRIPTION_CHARACTERS = 2_048
MIN_TOKEN_CHARACTERS = 32
MAX_TOKEN_CHARACTERS = 64
MAX_STAGE_CHARACTERS = 256
MAX_STAGES = 20
"""Labels of one secret, on all its versions together."""
MAX_VERSIONS = 100
"""Kept by the service; older ones without a label go. Versions of the last 24 hours are kept in any case."""
MAX_TAGS = 50
MAX_TAG_NAME_CHARACTERS = 128
MAX_TAG_VALUE_CHARACTERS = 256
MAX_POLICY_CHARACTERS = 20_480
MIN_RECOVERY_WINDOW_DAYS = 7
MAX_RECOVERY_WINDOW_DAYS = 30
MAX_BATCH_IDS = 20
MAX_SCHEDULE_CHARACTERS = 256

_NAME = re.compile(r"[A-Za-z0-9/_+=.@-]+")


def name_problem(name: object) -> str | None:
    """1 to 512 characters: letters, digits and ``/_+=.@-``."""
    problem = _text_problem(name, 1, MAX_NAME_CHARACTERS)
    if problem is None and isinstance(name, str) and _NAME.fullmatch(name) is None:
        return "must have only the letters A to Z and a to z, digits and /_+=.@-"
    return problem


def value_problem(value: object) -> str | None:
    """Text of 1 to 65,536 bytes in UTF-8, or as many bytes."""
    if not isinstance(value, str | bytes):
        return f"must be text or bytes, not {type(value).__name__}"
    size_bytes = _utf8_bytes(value) if isinstance(value, str) else len(value)
    if size_bytes is None:
        return "must be text that can be written in UTF-8: it has half of a surrogate pair"
    if not 1 <= size_bytes <= MAX_VALUE_BYTES:
        return f"must have 1 to {MAX_VALUE_BYTES:,} bytes (text in UTF-8), not {size_bytes:,}"
    return None


def token_problem(token: object) -> str | None:
    """32 to 64 characters; a UUID has 36."""
    problem = _text_problem(token, MIN_TOKEN_CHARACTERS, MAX_TOKEN_CHARACTERS)
    if problem is None and isinstance(token, str) and not token.isprintable():
        return "must have printable characters only"
    return problem


def stages_problem(stages: object) -> str | None:
    """1 to 20 labels of 1 to 256 printable characters."""
    if not isinstance(stages, Collection) or isinstance(stages, str | bytes):
        return f"must be several staging labels, not {type(stages).__name__}"
    if not 1 <= len(stages) <= MAX_STAGES:
        return f"must have 1 to {MAX_STAGES} labels, not {len(stages):,}"
    problems = map(_stage_problem, stages)
    return next((f"has a label that {problem}" for problem in problems if problem), None)


def _stage_problem(stage: object) -> str | None:
    problem = _text_problem(stage, 1, MAX_STAGE_CHARACTERS)
    if problem is None and isinstance(stage, str) and not stage.isprintable():
        return "must have printable characters only"
    return problem


def description_problem(description: object) -> str | None:
    """Up to 2,048 characters."""
    return _text_problem(description, 0, MAX_DESCRIPTION_CHARACTERS)


def tags_problem(tags: object) -> str | None:
    """Up to 50 names of 1 to 128 characters that do not begin with ``aws:``, with values of up to 256 characters."""
    if not isinstance(tags, Mapping):
        return f"must map names to values, not be {type(tags).__name__}"
    if len(tags) > MAX_TAGS:
        return f"must have up to {MAX_TAGS} tags, not {len(tags):,}"
    problems = (_tag_problem(name, value) for name, value in tags.items())
    return next((problem for problem in problems if problem), None)


def schedule_problem(schedule: object) -> str | None:
    """``rate(30 days)``, ``rate(6 hours)`` or ``cron(0 8 1 * ? *)`` in UTC; every four hours at the most."""
    problem = _text_problem(schedule, 1, MAX_SCHEDULE_CHARACTERS)
    if problem or not isinstance(schedule, str):
        return problem
    return expression_problem(schedule)


def policy_problem(policy: object) -> str | None:
    """The text of a JSON object of 1 to 20,480 characters."""
    problem = _text_problem(policy, 1, MAX_POLICY_CHARACTERS)
    if problem or not isinstance(policy, str):
        return problem
    try:
        document = json.loads(policy)
    except (ValueError, RecursionError):
        return "must be a JSON document, and it cannot be parsed"
    return None if isinstance(document, dict) else "must be a JSON object"


def recovery_window_problem(days: object) -> str | None:
    """7 to 30 days."""
    if type(days) is not int:
        return f"must be a whole number of days, not {type(days).__name__}"
    if not MIN_RECOVERY_WINDOW_DAYS <= days <= MAX_RECOVERY_WINDOW_DAYS:
        return f"must be {MIN_RECOVERY_WINDOW_DAYS} to {MAX_RECOVERY_WINDOW_DAYS} days"
    return None


def _text_problem(value: object, least: int, most: int) -> str | None:
    if not isinstance(value, str):
        return f"must be text, not {type(value).__name__}"
    if not least <= len(value) <= most:
        return f"must have {least:,} to {most:,} characters, not {len(value):,}"
    return None


def _utf8_bytes(text: str) -> int | None:
    if text.isascii():
        return len(text)
    try:
        return len(text.encode())
    except UnicodeEncodeError:  # it quotes the text, and goes no further than this
        return None


def _tag_problem(name: object, value: object) -> str | None:
    problem = _text_problem(name, 1, MAX_TAG_NAME_CHARACTERS)
    if problem:
        return f"has a name that {problem}"
    if isinstance(name, str) and name.lower().startswith("aws:"):
        return "has a name that begins with aws:, which is reserved"
    problem = _text_problem(value, 0, MAX_TAG_VALUE_CHARACTERS)
    return f"has a value that {problem}" if problem else None
