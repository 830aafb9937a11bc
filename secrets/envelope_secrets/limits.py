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
    "window_problem",
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
MAX_ROTATION_DAYS = 1_000
MIN_ROTATION_HOURS = 4
MAX_WINDOW_HOURS = 24

_DAY_HOURS = 24
_CRON_FIELDS = 6

_NAME = re.compile(r"[A-Za-z0-9/_+=.@-]+")
_RATE = re.compile(r"rate\(([1-9][0-9]{0,4}) (hours?|days?)\)")
_CRON = re.compile(r"cron\(([0-9A-Za-z#?*/, -]+)\)")
_HOURS = re.compile(r"(?:\*|([0-9]{1,2})(?:-([0-9]{1,2}))?)?(?:/([0-9]{1,2}))?")
_WINDOW = re.compile(r"[0-9]{1,2}h")


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
    """1 to 20 labels of 1 to 256 characters."""
    if not isinstance(stages, Collection) or isinstance(stages, str | bytes):
        return f"must be several staging labels, not {type(stages).__name__}"
    if not 1 <= len(stages) <= MAX_STAGES:
        return f"must have 1 to {MAX_STAGES} labels, not {len(stages):,}"
    problems = (_text_problem(stage, 1, MAX_STAGE_CHARACTERS) for stage in stages)
    return next((f"has a label that {problem}" for problem in problems if problem), None)


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
    if rate := _RATE.fullmatch(schedule):
        return _rate_problem(int(rate[1]), rate[2])
    if cron := _CRON.fullmatch(schedule):
        return _cron_problem(cron[1].split())
    return "must be like rate(30 days), rate(6 hours) or cron(0 8 1 * ? *)"


def window_problem(window: object) -> str | None:
    """``1h`` to ``24h``; how long after its scheduled start a rotation may begin. It must end with the UTC day."""
    if not isinstance(window, str):
        return f"must be text, not {type(window).__name__}"
    if _WINDOW.fullmatch(window) is None or not 1 <= int(window[:-1]) <= MAX_WINDOW_HOURS:
        return f"must be a number of hours from 1h to {MAX_WINDOW_HOURS}h"
    return None


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


def _rate_problem(count: int, unit: str) -> str | None:
    hours = count if unit.startswith("hour") else count * _DAY_HOURS
    if not MIN_ROTATION_HOURS <= hours <= MAX_ROTATION_DAYS * _DAY_HOURS:
        return f"must be a rate of {MIN_ROTATION_HOURS} hours to {MAX_ROTATION_DAYS:,} days"
    return None


def _cron_problem(fields: list[str]) -> str | None:
    if len(fields) != _CRON_FIELDS:
        return "must have six fields in cron(): minutes, hours, day of the month, month, day of the week, year"
    if fields[0] != "0" or fields[-1] != "*":
        return "must have 0 for the minutes and * for the year in cron(): rotations begin with the hour, in every year"
    hours = _hours_of(fields[1])
    if not hours:
        return f"must have hours from 0 to {_DAY_HOURS - 1} in cron()"
    following = [*hours[1:], hours[0] + _DAY_HOURS]
    if any(later - hour < MIN_ROTATION_HOURS for hour, later in zip(hours, following, strict=True)):
        return f"must leave {MIN_ROTATION_HOURS} hours between two rotations"
    return None


def _hours_of(field: str) -> list[int]:
    """The hours that a field of cron() means, in their order; none if it cannot be understood."""
    hours: set[int] = set()
    for part in field.split(","):
        known = _HOURS.fullmatch(part)
        if not part or known is None:
            return []
        first, last, step = (None if group is None else int(group) for group in known.groups())
        begin = 0 if first is None else first
        end = _last_hour(first, last, step)
        if step == 0 or not begin <= end < _DAY_HOURS:
            return []
        hours.update(range(begin, end + 1, step or 1))
    return sorted(hours)


def _last_hour(first: int | None, last: int | None, step: int | None) -> int:
    """Where a part of the field ends: ``8`` at 8, ``8-16`` at 16, ``*`` and ``8/4`` with the day."""
    if last is not None:
        return last
    return first if first is not None and step is None else _DAY_HOURS - 1
