"""What Secrets Manager takes: every limit at its edge, and no text that quotes a value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envelope_secrets import limits, schedules

Problem = Callable[[Any], str | None]

ACCEPTED = [
    (limits.name_problem, "x"),
    (limits.name_problem, "prod/db_1+=.@-a1b2c3"),
    (limits.name_problem, "x" * 512),
    (limits.value_problem, "x"),
    (limits.value_problem, "x" * 65_536),
    (limits.value_problem, "é" * 32_768),
    (limits.value_problem, b"\x00"),
    (limits.value_problem, bytes(65_536)),
    (limits.token_problem, "x" * 32),
    (limits.token_problem, "x" * 64),
    (limits.stages_problem, ("AWSCURRENT",)),
    (limits.stages_problem, {"x" * 256}),
    (limits.stages_problem, [f"label-{number}" for number in range(20)]),
    (limits.description_problem, ""),
    (limits.description_problem, "é" * 2_048),
    (limits.tags_problem, {}),
    (limits.tags_problem, {f"name-{number}": "" for number in range(50)}),
    (limits.tags_problem, {"x" * 128: "x" * 256}),
    (limits.schedule_problem, "rate(4 hours)"),
    (limits.schedule_problem, "rate(1 day)"),
    (limits.schedule_problem, "rate(1000 days)"),
    (limits.schedule_problem, "cron(0 8 1 * ? *)"),
    (limits.schedule_problem, "cron(0 /4 * * ? *)"),
    (limits.schedule_problem, "cron(0 0/4 * * ? *)"),
    (limits.schedule_problem, "cron(0 8-16/4 ? * MON#1 *)"),
    (limits.schedule_problem, "cron(0 2,6,20 L * ? *)"),
    (limits.schedule_problem, "cron(0 8 1-7,15W,LW,*/2 JAN-MAR,6,10/2 ? *)"),
    (limits.schedule_problem, "cron(0 8 ? 1/3 2#1 *)"),
    (limits.schedule_problem, "cron(0 8 ? feb 6L,L,TUE-thu,*/2,FRIL,/3 *)"),
    (schedules.window_problem, "1h"),
    (schedules.window_problem, "24h"),
    (limits.policy_problem, "{}"),
    (limits.policy_problem, '{"a": "' + "x" * 20_471 + '"}'),
    (limits.recovery_window_problem, 7),
    (limits.recovery_window_problem, 30),
]

REFUSED = [
    (limits.name_problem, "", "must have 1 to 512 characters, not 0"),
    (limits.name_problem, "x" * 513, "must have 1 to 512 characters, not 513"),
    (limits.name_problem, "with space", "must have only the letters A to Z and a to z, digits and /_+=.@-"),
    (limits.name_problem, "é", "must have only the letters"),
    (limits.name_problem, "name\n", "must have only the letters"),
    (limits.name_problem, b"name", "must be text, not bytes"),
    (limits.value_problem, "", "must have 1 to 65,536 bytes (text in UTF-8), not 0"),
    (limits.value_problem, b"", "must have 1 to 65,536 bytes (text in UTF-8), not 0"),
    (limits.value_problem, "x" * 65_537, "not 65,537"),
    (limits.value_problem, "é" * 32_769, "not 65,538"),
    (limits.value_problem, bytes(65_537), "not 65,537"),
    (limits.value_problem, "\ud800", "must be text that can be written in UTF-8"),
    (limits.value_problem, {"a": 1}, "must be text or bytes, not dict"),
    (limits.token_problem, "x" * 31, "must have 32 to 64 characters, not 31"),
    (limits.token_problem, "x" * 65, "must have 32 to 64 characters, not 65"),
    (limits.token_problem, "x" * 32 + "\n", "must have printable characters only"),
    (limits.token_problem, None, "must be text, not NoneType"),
    (limits.stages_problem, (), "must have 1 to 20 labels, not 0"),
    (limits.stages_problem, [f"label-{number}" for number in range(21)], "must have 1 to 20 labels, not 21"),
    (limits.stages_problem, ("",), "has a label that must have 1 to 256 characters, not 0"),
    (limits.stages_problem, ("x", "x" * 257), "has a label that must have 1 to 256 characters, not 257"),
    (limits.stages_problem, (3,), "has a label that must be text, not int"),
    (limits.stages_problem, "AWSCURRENT", "must be several staging labels, not str"),
    (limits.stages_problem, 3, "must be several staging labels, not int"),
    (limits.description_problem, "x" * 2_049, "must have 0 to 2,048 characters, not 2,049"),
    (limits.description_problem, None, "must be text, not NoneType"),
    (limits.tags_problem, {f"name-{number}": "" for number in range(51)}, "must have up to 50 tags, not 51"),
    (limits.tags_problem, {"": ""}, "has a name that must have 1 to 128 characters, not 0"),
    (limits.tags_problem, {"x" * 129: ""}, "has a name that must have 1 to 128 characters, not 129"),
    (limits.tags_problem, {"AWS:x": ""}, "begins with aws:, which is reserved"),
    (limits.tags_problem, {"x": "x" * 257}, "has a value that must have 0 to 256 characters, not 257"),
    (limits.tags_problem, {"x": 3}, "has a value that must be text, not int"),
    (limits.tags_problem, [("x", "y")], "must map names to values, not be list"),
    (limits.schedule_problem, "", "must have 1 to 256 characters, not 0"),
    (limits.schedule_problem, 3, "must be text, not int"),
    (limits.schedule_problem, "every day", "must be like rate(30 days)"),
    (limits.schedule_problem, "rate(0 days)", "must be like rate(30 days)"),
    (limits.schedule_problem, "rate(3 hours)", "must be a rate of 4 hours to 1,000 days"),
    (limits.schedule_problem, "rate(1001 days)", "must be a rate of 4 hours to 1,000 days"),
    (limits.schedule_problem, "cron(0 8 1 * ?)", "must have six fields in cron()"),
    (limits.schedule_problem, "cron(5 8 1 * ? *)", "must have 0 for the minutes"),
    (limits.schedule_problem, "cron(0 8 1 * ? 2027)", "* for the year"),
    (limits.schedule_problem, "cron(0 24 * * ? *)", "must have hours from 0 to 23"),
    (limits.schedule_problem, "cron(0 8, * * ? *)", "must have hours from 0 to 23"),
    (limits.schedule_problem, "cron(0 22-3 * * ? *)", "must have hours from 0 to 23"),
    (limits.schedule_problem, "cron(0 /0 * * ? *)", "must have hours from 0 to 23"),
    (limits.schedule_problem, "cron(0 MON * * ? *)", "must have hours from 0 to 23"),
    (limits.schedule_problem, "cron(0 * * * ? *)", "must leave 4 hours between two rotations"),
    (limits.schedule_problem, "cron(0 1,22 * * ? *)", "must leave 4 hours between two rotations"),
    (limits.schedule_problem, "cron(0 8 99 * ? *)", "must have days of the month from 1 to 31"),
    (limits.schedule_problem, "cron(0 8 0 * ? *)", "must have days of the month from 1 to 31"),
    (limits.schedule_problem, "cron(0 8 MON * ? *)", "must have days of the month from 1 to 31"),
    (limits.schedule_problem, "cron(0 8 1-2-3 * ? *)", "must have days of the month from 1 to 31"),
    (limits.schedule_problem, "cron(0 8 1/0 * ? *)", "must have days of the month from 1 to 31"),
    (limits.schedule_problem, "cron(0 8 1,? * ? *)", "must have days of the month from 1 to 31"),
    (limits.schedule_problem, "cron(0 8 1 13 ? *)", "must have months from 1 to 12"),
    (limits.schedule_problem, "cron(0 8 1 ? ? *)", "must have months from 1 to 12"),
    (limits.schedule_problem, "cron(0 8 1 SUN ? *)", "must have months from 1 to 12"),
    (limits.schedule_problem, "cron(0 8 ? * 8 *)", "must have days of the week from 1 to 7"),
    (limits.schedule_problem, "cron(0 8 ? * 2#6 *)", "must have days of the week from 1 to 7"),
    (limits.schedule_problem, "cron(0 8 ? * 2# *)", "must have days of the week from 1 to 7"),
    (limits.schedule_problem, "cron(0 8 1 * 2 *)", "must have ? for the day of the month or for the day of the week"),
    (limits.schedule_problem, "cron(0 8 * * * *)", "must have ? for the day of the month or for the day of the week"),
    (limits.schedule_problem, "cron(0 8 ? * ? *)", "must have ? for the day of the month or for the day of the week"),
    (limits.stages_problem, ("\x00",), "has a label that must have printable characters only"),
    (limits.stages_problem, ("x", "\ud800"), "has a label that must have printable characters only"),
    (schedules.window_problem, "0h", "must be a number of hours from 1h to 24h"),
    (schedules.window_problem, "25h", "must be a number of hours from 1h to 24h"),
    (schedules.window_problem, "3 hours", "must be a number of hours"),
    (schedules.window_problem, 3, "must be text, not int"),
    (limits.policy_problem, "", "must have 1 to 20,480 characters, not 0"),
    (limits.policy_problem, '{"a": "' + "x" * 20_472 + '"}', "must have 1 to 20,480 characters, not 20,481"),
    (limits.policy_problem, "{", "must be a JSON document, and it cannot be parsed"),
    (limits.policy_problem, "[" * 20_000, "must be a JSON document, and it cannot be parsed"),
    (limits.policy_problem, "[]", "must be a JSON object"),
    (limits.policy_problem, {}, "must be text, not dict"),
    (limits.recovery_window_problem, 6, "must be 7 to 30 days"),
    (limits.recovery_window_problem, 31, "must be 7 to 30 days"),
    (limits.recovery_window_problem, True, "must be a whole number of days, not bool"),
    (limits.recovery_window_problem, 7.0, "must be a whole number of days, not float"),
]


@pytest.mark.parametrize(("problem", "value"), ACCEPTED, ids=lambda value: getattr(value, "__name__", repr(value)[:30]))
def test_what_the_service_takes_is_no_problem(problem: Problem, value: object) -> None:
    assert problem(value) is None


@pytest.mark.parametrize(
    ("problem", "value", "text"), REFUSED, ids=lambda value: getattr(value, "__name__", repr(value)[:30])
)
def test_what_the_service_does_not_take_is_told_as_the_end_of_a_sentence(
    problem: Problem, value: object, text: str
) -> None:
    told = problem(value)
    assert told is not None
    assert text in told
    assert told.split()[0] in ("must", "has")


@given(st.text(min_size=8) | st.binary(min_size=8))
def test_no_text_quotes_a_value(value: str | bytes) -> None:
    told = limits.value_problem(value * 20_000 if len(value) * 20_000 < 10_000_000 else value)
    assert str(value) not in (told or "")


@given(st.text(), st.integers(1, 23), st.integers(0, 23))
def test_no_schedule_makes_it_fail(text: str, step: int, hour: int) -> None:
    limits.schedule_problem(f"cron(0 {text} * * ? *)")
    told = limits.schedule_problem(f"cron(0 {hour}/{step} * * ? *)")
    begins = range(hour, 24, step)
    gap = min([step] * (len(begins) > 1) + [24 - begins[-1] + hour])
    assert (told is None) == (gap >= 4)


@pytest.mark.parametrize(
    ("schedule", "window"),
    [
        ("rate(4 hours)", "4h"),
        ("rate(1 day)", "24h"),
        ("cron(0 0 1 * ? *)", "24h"),
        ("cron(0 22 1 * ? *)", "2h"),
        ("cron(0 0,8,20 * * ? *)", "4h"),
    ],
)
def test_a_window_may_last_until_the_next_one_or_the_end_of_the_day(schedule: str, window: str) -> None:
    assert schedules.fit_problem(schedule, window) is None


@pytest.mark.parametrize(
    ("schedule", "window", "text"),
    [
        ("rate(4 hours)", "5h", "must not be longer than the time between two rotations, 4h"),
        ("cron(0 22 1 * ? *)", "3h", "must end before the end of the day in UTC: the one that begins at 22:00 has 2h"),
        ("cron(0 0,8,20 * * ? *)", "5h", "must end before the end of the day in UTC: the one that begins at 20:00 has"),
        ("cron(0 0,8,20 * * ? *)", "9h", "must end before the rotation of 8:00: the one that begins at 0:00 has 8h"),
    ],
)
def test_a_window_that_reaches_into_the_next_one_or_the_next_day_is_refused(
    schedule: str, window: str, text: str
) -> None:
    assert text in str(schedules.fit_problem(schedule, window))


@given(st.text(alphabet="0123456789LW#/*?,-MONJA", max_size=12), st.integers(0, 2))
def test_no_day_makes_a_schedule_fail(text: str, place: int) -> None:
    fields = ["1", "*", "?"]
    fields[place] = text
    limits.schedule_problem(f"cron(0 8 {' '.join(fields)} *)")
