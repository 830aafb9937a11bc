"""When Secrets Manager rotates: ``rate(...)`` and ``cron(...)``, and the window after each start. Pure.

Every ``..._problem`` function returns what is wrong as the end of a sentence, or None, as those of `limits` do. What
the service takes and this refuses would be a defect; the other way round it only costs a trip.

Source: AWS Secrets Manager User Guide, "Schedule expressions in Secrets Manager rotation" and "Rotation windows";
Amazon EventBridge User Guide, "Cron expressions", for the fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

__all__ = ["MAX_ROTATION_DAYS", "expression_problem", "fit_problem", "window_problem"]

MAX_ROTATION_DAYS = 1_000
MIN_ROTATION_HOURS = 4
MAX_WINDOW_HOURS = 24

_DAY_HOURS = 24
_CRON_FIELDS = 6

_RATE = re.compile(r"rate\(([1-9][0-9]{0,4}) (hours?|days?)\)")
_CRON = re.compile(r"cron\(([0-9A-Za-z#?*/, -]+)\)")
_HOURS = re.compile(r"(?:\*|([0-9]{1,2})(?:-([0-9]{1,2}))?)?(?:/([0-9]{1,2}))?")
_WINDOW = re.compile(r"[0-9]{1,2}h")
_NUMBER = re.compile(r"[0-9]{1,2}")

_MONTH_NAMES = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, 1)}
_WEEKDAYS = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), 1)}


def expression_problem(schedule: str) -> str | None:
    """``rate(30 days)``, ``rate(6 hours)`` or ``cron(0 8 1 * ? *)`` in UTC; every four hours at the most."""
    if rate := _RATE.fullmatch(schedule):
        return _rate_problem(int(rate[1]), rate[2])
    if cron := _CRON.fullmatch(schedule):
        return _cron_problem(cron[1].split())
    return "must be like rate(30 days), rate(6 hours) or cron(0 8 1 * ? *)"


def window_problem(window: object) -> str | None:
    """``1h`` to ``24h``; how long after its scheduled start a rotation may begin."""
    if not isinstance(window, str):
        return f"must be text, not {type(window).__name__}"
    if _WINDOW.fullmatch(window) is None or not 1 <= int(window[:-1]) <= MAX_WINDOW_HOURS:
        return f"must be a number of hours from 1h to {MAX_WINDOW_HOURS}h"
    return None


def fit_problem(schedule: str, window: str) -> str | None:
    """Whether a window ends before the next one begins, and on the day in UTC on which it began.

    Args:
        schedule: nothing is wrong with it by itself. When on its day a ``rate`` of days begins is not known.
        window: nor with this.
    """
    window_hours = int(window.removesuffix("h"))
    rate, cron = _RATE.fullmatch(schedule), _CRON.fullmatch(schedule)
    if rate is not None and rate[2].startswith("hour") and window_hours > int(rate[1]):
        return f"must not be longer than the time between two rotations, {rate[1]}h"
    starts = [] if cron is None else _hours_of(cron[1].split()[1])
    ends = [*starts[1:], _DAY_HOURS]
    for start, end in zip(starts, ends, strict=False):
        if start + window_hours > end:
            before = "the end of the day in UTC" if end == _DAY_HOURS else f"the rotation of {end}:00"
            return f"must end before {before}: the one that begins at {start}:00 has {end - start}h"
    return None


def _rate_problem(count: int, unit: str) -> str | None:
    hours = count if unit.startswith("hour") else count * _DAY_HOURS
    if not MIN_ROTATION_HOURS <= hours <= MAX_ROTATION_DAYS * _DAY_HOURS:
        return f"must be a rate of {MIN_ROTATION_HOURS} hours to {MAX_ROTATION_DAYS:,} days"
    return None


def _cron_problem(fields: list[str]) -> str | None:
    if len(fields) != _CRON_FIELDS:
        return "must have six fields in cron(): minutes, hours, day of the month, month, day of the week, year"
    minutes, hours, month_day, month, weekday, year = fields
    if minutes != "0" or year != "*":
        return "must have 0 for the minutes and * for the year in cron(): rotations begin with the hour, in every year"
    return _cron_hours_problem(hours) or _cron_days_problem(month_day, month, weekday)


def _cron_hours_problem(field: str) -> str | None:
    hours = _hours_of(field)
    if not hours:
        return f"must have hours from 0 to {_DAY_HOURS - 1} in cron()"
    following = [*hours[1:], hours[0] + _DAY_HOURS]
    if any(later - hour < MIN_ROTATION_HOURS for hour, later in zip(hours, following, strict=True)):
        return f"must leave {MIN_ROTATION_HOURS} hours between two rotations"
    return None


def _cron_days_problem(month_day: str, month: str, weekday: str) -> str | None:
    if (month_day == "?") is (weekday == "?"):
        return "must have ? for the day of the month or for the day of the week in cron(), and not for both"
    if month_day != "?" and not _all(month_day, _is_month_day):
        return "must have days of the month from 1 to 31, or L for the last, in cron()"
    if not _all(month, lambda part: _is_between(part, 12, _MONTHS)):
        return "must have months from 1 to 12, or JAN to DEC, in cron()"
    if weekday != "?" and not _all(weekday, _is_weekday):
        return "must have days of the week from 1 to 7, or SUN to SAT, in cron()"
    return None


def _all(field: str, fits: Callable[[str], bool]) -> bool:
    return all(map(fits, field.split(",")))


def _is_month_day(part: str) -> bool:
    """``L`` is the last day, ``LW`` the last weekday, ``15W`` the weekday nearest to the 15th."""
    return part in ("L", "LW") or _is_between(part.removesuffix("W"), 31, {})


def _is_weekday(part: str) -> bool:
    """``6L`` is the last Friday of a month, ``6#2`` the second."""
    day, hash_sign, number = part.partition("#")
    if hash_sign and number not in ("1", "2", "3", "4", "5"):
        return False
    return part == "L" or _is_between(day.removesuffix("L") if day not in _WEEKDAYS else day, 7, _WEEKDAYS)


def _is_between(part: str, most: int, words: Mapping[str, int]) -> bool:
    """``*``, ``3``, ``3-5`` or ``MON-FRI``, each also with a step, like ``1/3``."""
    values, slash, step = part.partition("/")
    if slash and not (_NUMBER.fullmatch(step) and int(step)):
        return False
    if values == "*" or (slash and not values):
        return True
    numbers = [words.get(value, int(value) if _NUMBER.fullmatch(value) else 0) for value in values.upper().split("-")]
    return len(numbers) <= 2 and all(1 <= number <= most for number in numbers)


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
