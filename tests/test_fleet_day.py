"""The simulation of a fleet's day, in small: what must hold of it however the dice fall, and its own bookkeeping."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.fleet.counts import Counts, dollars
from benchmarks.fleet.day import DAY_S, Day, Trouble
from benchmarks.fleet.kms import Answer, QuotaKms, RetryQuota, pause_s
from benchmarks.fleet.simulation import Sample, Scenario, simulate
from benchmarks.fleet_day import ROUTES, due_after_s, unwraps_per_s, wraps_of_routes_per_s, wraps_per_s

DAY = Day(processes=4, contexts=6, messages_per_s=2.4, quota_per_s=100.0, restart_s=30.0)
"""24 pairs, each with a message every ten seconds, and a quota that only the outage takes away."""

WHOLE = Sample(processes=4, contexts=6)
AN_HOUR = Scenario(max_age_s=3_600.0)


@pytest.fixture(scope="module")
def renewed() -> Counts:
    return simulate(DAY, Scenario(), WHOLE)


@pytest.fixture(scope="module")
def not_renewed() -> Counts:
    return simulate(DAY, Scenario(refresh_ahead=1.0), WHOLE)


def test_no_message_fails_outside_the_outage(renewed: Counts) -> None:
    assert renewed.failed_messages(Trouble.THROTTLING, Trouble.NONE) == 0
    assert renewed.failed_messages(Trouble.OUTAGE) > 0  # ten minutes are longer than the life of a data key


def test_renewal_ahead_loses_fewer_messages(renewed: Counts, not_renewed: Counts) -> None:
    assert renewed.failed_messages() < not_renewed.failed_messages()


def test_with_renewal_ahead_fewer_messages_wait_for_kms(renewed: Counts, not_renewed: Counts) -> None:
    assert renewed.waited < not_renewed.waited / 2


def test_a_data_key_that_lives_for_an_hour_outlives_the_outage() -> None:
    assert simulate(DAY, AN_HOUR, WHOLE).failed_messages() == 0


def test_an_hour_without_renewal_ahead_does_not() -> None:
    assert simulate(DAY, replace(AN_HOUR, refresh_ahead=1.0), WHOLE).failed_messages(Trouble.OUTAGE) > 0


def test_the_same_seed_gives_the_same_day(renewed: Counts) -> None:
    assert simulate(DAY, Scenario(), WHOLE) == renewed
    assert simulate(DAY, Scenario(), replace(WHOLE, seed=2)) != renewed


@pytest.mark.parametrize("scenario", [Scenario(), Scenario(has_jitter=False), Scenario(refresh_ahead=1.0)])
def test_quiet_hours_agree_with_the_arithmetic(scenario: Scenario) -> None:
    from_s, to_s = 3_600.0, 5 * 3_600.0
    simulated = simulate(DAY, scenario, WHOLE).answered_per_s(from_s, to_s)
    assert simulated == pytest.approx(wraps_per_s(DAY, scenario, (from_s + to_s) / 2), rel=0.1)


def test_a_sample_stands_for_the_whole_fleet(renewed: Counts) -> None:
    half = simulate(DAY, Scenario(), Sample(processes=4, contexts=3))
    assert half.share == 0.5
    assert half.dollars() == pytest.approx(renewed.dollars(), rel=0.1)


def test_a_spell_that_takes_the_quota_costs_messages() -> None:
    throttled = replace(DAY, quota_per_s=1.0, throttled_to=0.001, throttled_s=1_200.0)
    assert simulate(throttled, Scenario(), WHOLE).failed_messages(Trouble.THROTTLING) > 0


def test_messages_that_fail_wait_no_longer_than_botocore_tries(renewed: Counts) -> None:
    longest = sum(pause_s(Answer.THROTTLED, attempts, 1.0) for attempts in (1, 2))
    assert 0 < renewed.longest_wait_s < longest + 0.5


def test_a_restart_loads_every_data_key_anew(renewed: Counts) -> None:
    minutes = range(int(DAY.restart_at_s // 60), int(DAY.restart_at_s // 60) + 2)
    assert sum(renewed.answered[minute] for minute in minutes) >= DAY.pairs


def test_the_curve_of_the_day_has_the_mean_that_was_asked_for() -> None:
    messages = [DAY.messages_at(second) for second in range(int(DAY_S))]
    assert sum(messages) / DAY_S == pytest.approx(DAY.messages_per_s)
    assert max(messages) == pytest.approx(1.6 * DAY.messages_per_s)


def test_a_failure_just_after_an_outage_is_put_down_to_it() -> None:
    end_s = DAY.outage_at_s + DAY.outage_s
    assert DAY.quota_at(end_s - 1) == 0
    assert DAY.quota_at(end_s) == DAY.quota_per_s
    assert DAY.trouble_at(end_s) is Trouble.OUTAGE
    assert DAY.trouble_at(end_s + DAY.AFTERMATH_S) is Trouble.NONE


def test_kms_answers_no_more_than_its_quota() -> None:
    kms = QuotaKms(replace(DAY, quota_per_s=50.0), 1.0)
    answers = [kms.answer(second / 100) for second in range(1_000)]
    assert 500 <= answers.count(Answer.DATA_KEY) <= 550
    assert kms.answer(DAY.outage_at_s) is Answer.INTERNAL_ERROR
    assert kms.answer(DAY.outage_at_s + DAY.outage_s) is Answer.DATA_KEY


def test_botocore_stops_trying_again_when_nothing_succeeds() -> None:
    quota = RetryQuota()
    assert sum(quota.take(Answer.INTERNAL_ERROR.retry_tokens) for _ in range(1_000)) == 35
    quota.give_back(0.0)
    assert not quota.take(Answer.INTERNAL_ERROR.retry_tokens)
    quota.give_back(14.0)
    assert quota.take(Answer.INTERNAL_ERROR.retry_tokens)


def test_who_reads_what_anybody_wrote_asks_kms_for_nearly_every_message() -> None:
    day, scenario = Day(), Scenario()
    per_message = {routes: unwraps_per_s(day, scenario, routes) / day.messages_per_s for routes in ROUTES}
    assert per_message[1_000] > 0.95
    assert per_message[1] < 1e-4
    # Where each reader sees each data key, that is readers * writers * contexts / age.
    exact = 10 * 10 * day.contexts / due_after_s(scenario)
    assert unwraps_per_s(day, scenario, 10) == pytest.approx(exact, rel=0.01)
    assert wraps_of_routes_per_s(day, scenario, 10) == pytest.approx(exact / 10, rel=0.02)


def test_dollars_are_three_cents_for_ten_thousand() -> None:
    assert dollars(10_000) == pytest.approx(0.03)
