"""A day of a fleet: how often does it ask KMS, and which messages fail when KMS is throttled or away?

1,000 processes that encrypt for 1,000 tenants each, simulated by a fake clock: with and without renewal ahead of time,
with and without jitter, for two ages; and without a cache. benchmarks/fleet/ says what is exact and what is sampled.
The figures depend on the sample and its seed alone, not on the machine. docs/fleet.md explains them.

Run it by `python -m benchmarks.fleet_day`: two to three minutes. `--processes` and `--contexts` give a larger sample.
"""

from __future__ import annotations

import argparse
import math
import sys

from benchmarks.contest.report import print_table
from benchmarks.fleet.counts import MINUTE_S, Counts, dollars
from benchmarks.fleet.day import DAY_S, Day, Trouble
from benchmarks.fleet.simulation import Sample, Scenario, simulate
from envelope.cache.refresh import JITTER

SCENARIOS = {
    f"{age}, {renewal}{jitter}": Scenario(max_age_s, refresh_ahead, has_jitter)
    for age, max_age_s in (("5 min", 300.0), ("1 h", 3_600.0))
    for renewal, refresh_ahead, jitters in (
        ("renewed ahead", 0.8, ((", jitter", True), (", no jitter", False))),
        ("not renewed ahead", 1.0, (("", True),)),
    )
    for jitter, has_jitter in jitters
}

QUIET_FROM_S, QUIET_TO_S = 3_600.0, 5 * 3_600.0
"""Nothing happens from one to five, and it is five times the time to renewal of an hour's age."""

ROUTES = (1_000, 100, 10, 1)


def main() -> None:
    day, sample = Day(), _arguments()
    results = {}
    for name, scenario in SCENARIOS.items():
        print(f"{name} ...", file=sys.stderr)
        results[name] = simulate(day, scenario, sample)
    print(f"{sample.processes} of {day.processes:,} processes, {sample.contexts} of {day.contexts:,} contexts of each")
    _print_requests(day, results)
    _print_messages(day, results)
    _print_arithmetic(day, results)
    _print_reading(day)


def _arguments() -> Sample:
    parser, default = argparse.ArgumentParser(description="Simulate a day of a fleet."), Sample()
    parser.add_argument(
        "--processes", type=int, default=default.processes, help="so many of 1,000 (default %(default)s)"
    )
    parser.add_argument("--contexts", type=int, default=default.contexts, help="so many of 1,000 (default %(default)s)")
    parser.add_argument("--seed", type=int, default=default.seed, help="of the chance (default %(default)s)")
    return Sample(**vars(parser.parse_args()))


def _print_requests(day: Day, results: dict[str, Counts]) -> None:
    """How often KMS is asked, beside the quota."""
    without = sorted(day.messages_at(minute * MINUTE_S) for minute in range(int(DAY_S / MINUTE_S)))
    answered = sum(min(day.messages_at(second), day.quota_at(second)) for second in range(int(DAY_S)))
    rows = [_request_row("no cache (computed)", without, f"{without[-1]:,.0f}", dollars(answered))]
    for name, counts in results.items():
        busiest = f"{counts.busiest_good_minute_per_s():,.0f}"
        rows.append(_request_row(name, counts.requests_per_s(), busiest, counts.dollars()))
    print_table(
        f"Requests to KMS per second, minute by minute; the quota is {day.quota_per_s:,.0f}",
        ("", "mean", "99 % of minutes below", "busiest minute", "busiest while KMS is well", "dollars a day"),
        rows,
    )


def _request_row(name: str, per_s: list[float], busiest_good: str, cost: float) -> tuple[str, ...]:
    below = per_s[int(0.99 * len(per_s))]
    return name, f"{sum(per_s) / len(per_s):,.0f}", f"{below:,.0f}", f"{per_s[-1]:,.0f}", busiest_good, f"{cost:,.0f}"


def _print_messages(day: Day, results: dict[str, Counts]) -> None:
    """Which messages wait for KMS, and which fail."""
    messages = day.messages_per_s * DAY_S  # the sine has no mean of its own
    failed = dict.fromkeys(Trouble, 0.0)
    for second in range(int(DAY_S)):
        failed[day.trouble_at(second)] += max(day.messages_at(second) - day.quota_at(second), 0.0)
    rows = [("no cache (computed)", "all", "", *_failures(failed, messages))]
    rows += [
        (
            name,
            f"{counts.waited / counts.share / 1e6:,.1f}",
            f"{counts.longest_wait_s:.2f}",
            *_failures({trouble: counts.failed_messages(trouble) for trouble in Trouble}, messages),
        )
        for name, counts in results.items()
    ]
    print_table(
        f"Messages that wait and that fail, in millions of {messages / 1e6:,.0f} million",
        ("", "wait", "longest wait, s", "fail: spells", "fail: outage", "fail: otherwise", "fail, per million"),
        rows,
    )


def _failures(failed: dict[Trouble, float], messages: float) -> tuple[str, ...]:
    shown = [f"{failed[trouble] / 1e6:,.1f}" for trouble in (Trouble.THROTTLING, Trouble.OUTAGE, Trouble.NONE)]
    return *shown, f"{sum(failed.values()) / messages * 1e6:,.0f}"


def _print_arithmetic(day: Day, results: dict[str, Counts]) -> None:
    """Does the simulation agree with what a formula says about hours in which nothing happens?"""
    rows = []
    for name, counts in results.items():
        expected = wraps_per_s(day, SCENARIOS[name], (QUIET_FROM_S + QUIET_TO_S) / 2)
        rows.append((name, f"{expected:,.0f}", f"{counts.answered_per_s(QUIET_FROM_S, QUIET_TO_S):,.0f}"))
    print_table("Data keys per second, 01:00 to 05:00", ("", "by arithmetic", "simulated"), rows)


def wraps_per_s(day: Day, scenario: Scenario, now_s: float) -> float:
    """Calls of GenerateDataKey by arithmetic, while nothing happens: each pair makes one in its time between two.

    That is until the data key is due, and until the next message comes.
    """
    return day.pairs / (due_after_s(scenario) + day.pairs / day.messages_at(now_s))


def due_after_s(scenario: Scenario) -> float:
    """After how long a data key is renewed, in the mean: jitter takes up to a fifth."""
    mean_jitter = JITTER / 2 if scenario.has_jitter and scenario.refresh_ahead < 1 else 0.0
    return scenario.max_age_s * min(scenario.refresh_ahead, 1.0) * (1 - mean_jitter)


def unwraps_per_s(day: Day, scenario: Scenario, routes: int) -> float:
    """Calls of Decrypt by arithmetic, if each message is read once, soon, by one of `routes` processes.

    So many processes serve a context: they write its messages and read them, each message by one of them at random. A
    data key of n messages reaches routes * (1 - exp(-n / routes)) of them.
    """
    data_keys_per_s = wraps_of_routes_per_s(day, scenario, routes)
    messages = day.messages_per_s / data_keys_per_s
    return data_keys_per_s * routes * -math.expm1(-messages / routes)


def wraps_of_routes_per_s(day: Day, scenario: Scenario, routes: int) -> float:
    """Calls of GenerateDataKey by arithmetic, at the mean of the day, if so many processes serve each context."""
    pairs = routes * day.contexts
    return pairs / (due_after_s(scenario) + pairs / day.messages_per_s)


def _print_reading(day: Day) -> None:
    """What reading costs by arithmetic, by how many processes serve a context."""
    rows = []
    for routes in ROUTES:
        for age in ("5 min", "1 h"):
            scenario = SCENARIOS[f"{age}, renewed ahead, jitter"]
            wraps, unwraps = wraps_of_routes_per_s(day, scenario, routes), unwraps_per_s(day, scenario, routes)
            share = f"{unwraps / day.messages_per_s:.2%}"
            name = f"{routes:,} {'process' if routes == 1 else 'processes'} for a context, {age}"
            rows.append((name, f"{wraps:,.1f}", f"{unwraps:,.1f}", share))
    print_table(
        "Calls per second if each message is read once (computed)",
        ("", "GenerateDataKey", "Decrypt", "Decrypt per message"),
        rows,
    )


if __name__ == "__main__":
    main()
