"""When a secret is rotated next.

Source: AWS Secrets Manager User Guide, "Schedule expressions in Secrets Manager rotation". All times are UTC.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar

from envelope_secrets.service_rules.state import RotationState, SecretState

__all__ = ["next_rotation_s"]

V = TypeVar("V")

DAY_S = 86_400
HOUR_S = 3_600
MOST_DAYS = 366 * 8
"""29 February comes again after eight years at the latest."""

_RATE = re.compile(r"rate\((\d+) (hour|day)s?\)")
_PART = re.compile(r"(?:\*|\?|(\w+)(?:-(\w+))?)?(?:/(\d+))?")
_MONTHS = {name.upper(): str(number) for number, name in enumerate(calendar.month_abbr) if name}
_WEEKDAYS = {name: str(number) for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), 1)}


def next_rotation_s(state: SecretState[V]) -> float | None:
    """The date of the next rotation; None if none is planned, or it takes something like ``L`` or ``#`` to tell."""
    rotation = state.rotation
    if rotation is None or not rotation.enabled or rotation.since_s is None:
        return None
    period_s = _period_s(rotation)
    if period_s is not None:
        return rotation.since_s + period_s
    if not rotation.schedule.startswith("cron("):
        return None
    fields = rotation.schedule.removeprefix("cron(").removesuffix(")").upper().split()
    return _next_date_s(fields, rotation.since_s)


def _period_s(rotation: RotationState) -> int | None:
    if rotation.after_days is not None:
        return rotation.after_days * DAY_S
    rate = _RATE.fullmatch(rotation.schedule)
    if rate is None:
        return None
    return int(rate[1]) * (HOUR_S if rate[2] == "hour" else DAY_S)


def _next_date_s(fields: list[str], after_s: float) -> float | None:
    _, hours, days, months, weekdays, _ = fields
    allowed = (
        _numbers(hours, 0, 23, {}),
        _numbers(days, 1, 31, {}),
        _numbers(months, 1, 12, _MONTHS),
        _numbers(weekdays, 1, 7, _WEEKDAYS),
    )
    if not all(allowed):
        return None
    first = datetime.fromtimestamp(after_s, UTC).date()
    moments = (_moment_s(day, hour) for day in _days(first, *allowed[1:]) for hour in sorted(allowed[0]))
    return next((moment_s for moment_s in moments if moment_s > after_s), None)


def _days(first: date, days: set[int], months: set[int], weekdays: set[int]) -> Iterator[date]:
    for number in range(MOST_DAYS):
        day = first + timedelta(days=number)
        if day.day in days and day.month in months and day.isoweekday() % 7 + 1 in weekdays:
            yield day


def _moment_s(day: date, hour: int) -> float:
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC).timestamp()


def _numbers(field: str, least: int, most: int, names: dict[str, str]) -> set[int]:
    """What a field of cron() means; nothing if it is not understood."""
    numbers: set[int] = set()
    for part in field.split(","):
        known = _PART.fullmatch(part)
        texts = [None if text is None else names.get(text, text) for text in known.groups()] if known else ["?"]
        if not all(text is None or text.isdecimal() for text in texts):
            return set()
        first, last, step = (None if text is None else int(text) for text in texts)
        end = last if last is not None else most if first is None or step is not None else first
        numbers.update(range(least if first is None else first, end + 1, step or 1))
    return numbers & set(range(least, most + 1))
