"""The rules of the service as pure functions: what the fake does not reach, and that nothing is changed in place."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envelope_secrets.limits import schedule_problem
from envelope_secrets.service_rules.broken import RuleBroken
from envelope_secrets.service_rules.deletion import is_gone, scheduled
from envelope_secrets.service_rules.moving import moved
from envelope_secrets.service_rules.reading import accessed, found_version, listed_stages, listed_versions
from envelope_secrets.service_rules.rotation import announced, completed, configured, started, without_pending
from envelope_secrets.service_rules.rotation_dates import next_rotation_s
from envelope_secrets.service_rules.state import RotationState, SecretState
from envelope_secrets.service_rules.tagging import tagged
from envelope_secrets.service_rules.writing import created, put, updated
from envelope_secrets.stages import AWSCURRENT, AWSPENDING, StageMove
from tests.fake_secrets_for_tests import FUNCTION, V1, V2, V3

State = SecretState[str]
NOW_S = datetime(2026, 1, 1, tzinfo=UTC).timestamp()


def new_secret(value: str | None = "one") -> State:
    return created(name="prod/db", arn="arn", now_s=NOW_S, token=V1, value=value)


def put_value(state: State, token: str, value: str, *stages: str) -> State:
    return put(state, token, value, stages or None, is_same=lambda stored: stored == value, now_s=NOW_S)


def test_a_repetition_gives_the_very_same_state() -> None:
    state = put_value(new_secret(), V2, "two", AWSPENDING)
    assert put_value(state, V2, "two") is state
    assert announced(state, V2, now_s=NOW_S) is state
    assert without_pending(new_secret()).versions.keys() == {V1}
    configured_state = configured(new_secret(), now_s=NOW_S, lambda_arn=FUNCTION)
    begun = started(configured_state, V2, now_s=NOW_S)
    assert started(begun, V2, now_s=NOW_S) is begun


def test_a_state_cannot_be_changed_in_place() -> None:
    state: Any = tagged(new_secret(), {"team": "shop"}, now_s=NOW_S)
    for mapping in (state.tags, state.versions, state.labels.by_version):
        with pytest.raises(TypeError):
            mapping["x"] = "y"
    with pytest.raises(AttributeError):
        state.name = "x"


def test_old_states_stay_as_they_were() -> None:
    first = new_secret()
    second = put_value(first, V2, "two")
    assert (found_version(first), found_version(second)) == (V1, V2)
    scheduled(second, 7, NOW_S)
    assert second.deletes_s is None


def test_no_value_is_in_a_repr() -> None:
    assert "canary" not in repr(new_secret("canary"))


def test_announcing_needs_no_function_and_starting_does() -> None:
    state = announced(new_secret(), V2, now_s=NOW_S)
    assert listed_stages(state) == {V1: [AWSCURRENT], V2: [AWSPENDING]}
    assert list(listed_versions(state, include_deprecated=True)) == [V1]
    with pytest.raises(RuleBroken, match="No Lambda") as caught:
        started(new_secret(), V2, now_s=NOW_S)
    assert caught.value.code == "InvalidRequestException"
    with pytest.raises(RuleBroken, match="A previous rotation"):
        announced(state, V3, now_s=NOW_S)


def test_awspending_moves_from_the_current_version_to_the_announced_one() -> None:
    state = put_value(new_secret(), V2, "two", AWSCURRENT, AWSPENDING)
    assert listed_stages(announced(state, V3, now_s=NOW_S))[V3] == [AWSPENDING]
    assert state.labels.holder(AWSPENDING) == V2


def test_a_secret_that_is_gone_is_so_from_the_end_of_its_window_on() -> None:
    state = scheduled(new_secret(), 7, NOW_S)
    assert not is_gone(new_secret(), NOW_S)
    assert not is_gone(state, NOW_S + 7 * 86_400 - 1)
    assert is_gone(state, NOW_S + 7 * 86_400)


def test_reads_are_dated_by_the_day() -> None:
    state = accessed(new_secret(), V1, NOW_S + 100_000)
    assert (state.accessed_s, state.versions[V1].accessed_s) == (NOW_S + 86_400, NOW_S + 86_400)
    assert accessed(state, V1, NOW_S + 172_799) is state


def test_an_update_with_a_used_token_is_refused_and_one_without_a_value_needs_none() -> None:
    with pytest.raises(RuleBroken) as caught:
        updated(new_secret(), now_s=NOW_S, token=V1, value="one")
    assert caught.value.code == "ResourceExistsException"
    assert updated(new_secret(), now_s=NOW_S + 1, kms_key_id="key").kms_key_id == "key"


def test_a_new_schedule_keeps_what_it_does_not_name() -> None:
    state = configured(new_secret(), now_s=NOW_S, lambda_arn=FUNCTION, schedule="rate(30 days)", window="3h")
    again = configured(state, now_s=NOW_S, window="4h")
    assert again.rotation is not None
    assert (again.rotation.schedule, again.rotation.window, again.rotation.lambda_arn) == (
        "rate(30 days)",
        "4h",
        FUNCTION,
    )
    assert completed(again, now_s=NOW_S + 5).rotation == RotationState(
        enabled=True, lambda_arn=FUNCTION, schedule="rate(30 days)", window="4h", since_s=NOW_S + 5
    )
    assert completed(new_secret(), now_s=NOW_S).rotation is None


def test_a_move_of_the_last_label_of_an_announced_version_forgets_it() -> None:
    state = moved(announced(new_secret(), V2, now_s=NOW_S), StageMove(AWSPENDING, None, V2), now_s=NOW_S)
    assert state.versions.keys() == {V1}


# When a secret is rotated next


def next_date(schedule: str, *, now: str = "2026-01-01T00:00") -> str | None:
    since_s = datetime.fromisoformat(now).replace(tzinfo=UTC).timestamp()
    state: State = configured(new_secret(), now_s=since_s, lambda_arn=FUNCTION, schedule=schedule)
    date_s = next_rotation_s(state)
    return None if date_s is None else datetime.fromtimestamp(date_s, UTC).strftime("%Y-%m-%dT%H:%M")


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("rate(30 days)", "2026-01-31T00:00"),
        ("rate(1 day)", "2026-01-02T00:00"),
        ("rate(12 hours)", "2026-01-01T12:00"),
        ("cron(0 8 * * ? *)", "2026-01-01T08:00"),
        ("cron(0 0 * * ? *)", "2026-01-02T00:00"),
        ("cron(0 8 1 * ? *)", "2026-01-01T08:00"),
        ("cron(0 0 1 * ? *)", "2026-02-01T00:00"),
        ("cron(0 /4 * * ? *)", "2026-01-01T04:00"),
        ("cron(0 16 ? * SUN *)", "2026-01-04T16:00"),
        ("cron(0 16 ? * 2-3 *)", "2026-01-05T16:00"),
        ("cron(0 16 ? * MON-WED *)", "2026-01-05T16:00"),
        ("cron(0 8 15 MAR,JUN ? *)", "2026-03-15T08:00"),
        ("cron(0 8 29 2 ? *)", "2028-02-29T08:00"),
        ("cron(0 8 L * ? *)", None),
        ("cron(0 8 ? * MON#1 *)", None),
        ("cron(0 8 31 2 ? *)", None),
    ],
)
def test_the_next_date_follows_the_schedule(schedule: str, expected: str | None) -> None:
    assert next_date(schedule) == expected


def test_without_a_rotation_or_a_schedule_there_is_no_next_date() -> None:
    assert next_rotation_s(new_secret()) is None
    state = configured(new_secret(), now_s=NOW_S, lambda_arn=FUNCTION)
    assert next_rotation_s(state) is None
    later = configured(state, now_s=NOW_S, after_days=3)
    assert next_rotation_s(later) == NOW_S + 3 * 86_400


@given(st.integers(0, 23), st.integers(1, 28), st.integers(0, 400 * 24))
def test_a_next_date_is_in_the_future_and_on_its_hour(hour: int, day: int, hours_on: int) -> None:
    schedule = f"cron(0 {hour} {day} * ? *)"
    assert schedule_problem(schedule) is None
    since_s = NOW_S + hours_on * 3_600
    date_s = next_rotation_s(configured(new_secret(), now_s=since_s, lambda_arn=FUNCTION, schedule=schedule))
    assert date_s is not None
    assert since_s < date_s <= since_s + 32 * 86_400
    date = datetime.fromtimestamp(date_s, UTC)
    assert (date.day, date.hour, date.minute) == (day, hour, 0)
