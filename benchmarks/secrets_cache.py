"""What does a secret cost that was read before, who waits when many read at once, and who waits while it is renewed?

`envelope_secrets` beside aws-secretsmanager-caching and Powertools' parameters. The service is a fake in this process
that takes its time where that matters; all contenders talk to it by boto3 clients.

Run it by `python -m benchmarks.secrets_cache`.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from aws_lambda_powertools.utilities.parameters import SecretsProvider
from aws_secretsmanager_caching import SecretCache, SecretCacheConfig

from benchmarks.contest.report import OtherLoad, print_table, print_target
from benchmarks.contest.secrets_service import NAME, REGION, VALUE, SlowSecretsManager
from benchmarks.contest.timing import Call, Timing, interleave
from envelope_secrets import AsyncSecretsClient, CacheLimits, SecretsClient, SecretsManagerStore

ROUNDS = 100
THREADS = 64
HERD = 1_000
SLOW_S = 0.1
"""How long a call takes where many wait for it."""

READ_EVERY_S = 0.01
"""Each reader of a service: a value for every request, a hundred requests a second."""

REFRESH_AGE_S = 1
REFRESH_RUN_S = 4.0

MOST_HIT_S = 1.5e-6
MOST_OF_POWERTOOLS = 0.6
LEAST_TIMES_FASTER_THAN_CACHING = 25.0
MOST_WAIT_MS = 1.0

PASSWORD = json.loads(VALUE)["password"]
ENVELOPE, CACHING, POWERTOOLS = "envelope_secrets", "aws-secretsmanager-caching", "Powertools"
PEERS = (CACHING, POWERTOOLS)
Reads = dict[str, Call]


def envelope_store(service: SlowSecretsManager) -> SecretsManagerStore:
    client = service.client()
    return SecretsManagerStore(region=REGION, client_for_region=lambda _: client)


def envelope_client(service: SlowSecretsManager, limits: CacheLimits | None = None) -> SecretsClient:
    return SecretsClient(envelope_store(service), limits=limits or CacheLimits())


def text_reads(service: SlowSecretsManager) -> Reads:
    """The value as text, each by its own cache."""
    secrets = envelope_client(service)
    caching = SecretCache(client=service.client())
    powertools = SecretsProvider(boto3_client=service.client())
    return {
        ENVELOPE: lambda: secrets.get(NAME).text,
        CACHING: partial(caching.get_secret_string, NAME),
        POWERTOOLS: partial(powertools.get, NAME, max_age=3600),
    }


def field_reads(service: SlowSecretsManager) -> Reads:
    """One field of the JSON object, as each of them offers it: caching has no such thing, so it is parsed each time."""
    secrets = envelope_client(service)
    caching = SecretCache(client=service.client())
    powertools = SecretsProvider(boto3_client=service.client())
    return {
        ENVELOPE: lambda: secrets.get(NAME).json["password"],
        CACHING: lambda: json.loads(caching.get_secret_string(NAME))["password"],
        POWERTOOLS: lambda: powertools.get(NAME, max_age=3600, transform="json")["password"],
    }


@dataclass(frozen=True, slots=True)
class Herd:
    """What came of many who asked at the same time."""

    calls: int
    all_served_s: float


def herd(service: SlowSecretsManager, read: Call, readers: int) -> Herd:
    """Threads that ask at once for what nobody has read before."""
    before, start = sum(service.calls.values()), threading.Barrier(readers + 1)

    def one() -> None:
        start.wait()
        assert read() == VALUE

    threads = [threading.Thread(target=one) for _ in range(readers)]
    for thread in threads:
        thread.start()
    start.wait()
    started_s = time.perf_counter()
    for thread in threads:
        thread.join()
    return Herd(sum(service.calls.values()) - before, time.perf_counter() - started_s)


def herd_of_tasks(service: SlowSecretsManager, readers: int) -> Herd:
    """Tasks of one event loop that ask at once; the peers have nothing for them."""
    before = sum(service.calls.values())

    async def all_of_them() -> float:
        secrets = AsyncSecretsClient(envelope_store(service))
        started_s = time.perf_counter()
        values = await asyncio.gather(*(secrets.get(NAME) for _ in range(readers)))
        taken_s = time.perf_counter() - started_s
        assert all(secret.text == VALUE for secret in values)
        return taken_s

    taken_s = asyncio.run(all_of_them())
    return Herd(sum(service.calls.values()) - before, taken_s)


def longest_waits(reads: Mapping[str, Call]) -> dict[str, list[float]]:
    """The longest wait of each of 64 threads, in which values get too old some times; one contender after another."""
    found = {}
    for name, read in reads.items():
        read()
        ends_s = time.perf_counter() + REFRESH_RUN_S
        with ThreadPoolExecutor(THREADS) as threads:
            found[name] = sorted(threads.map(partial(_longest_wait, read), [ends_s] * THREADS))
    return found


def _longest_wait(read: Call, ends_s: float) -> float:
    longest_s = 0.0
    while (now_s := time.perf_counter()) < ends_s:
        read()
        longest_s = max(longest_s, time.perf_counter() - now_s)
        time.sleep(READ_EVERY_S)
    return longest_s


def nothing() -> str:
    """What a reader costs that reads nothing: what the machine's own scheduling adds to the longest wait."""
    return VALUE


def short_lived_reads(service: SlowSecretsManager) -> Reads:
    """Each renews its value every second."""
    secrets = envelope_client(service, CacheLimits(soft_age_s=REFRESH_AGE_S, hard_age_s=60))
    caching = SecretCache(SecretCacheConfig(secret_refresh_interval=REFRESH_AGE_S), service.client())
    powertools = SecretsProvider(boto3_client=service.client())
    return {
        ENVELOPE: lambda: secrets.get(NAME).text,
        CACHING: partial(caching.get_secret_string, NAME),
        POWERTOOLS: partial(powertools.get, NAME, max_age=REFRESH_AGE_S),
        "(nothing)": nothing,
    }


def hits_by_threads(reads: Mapping[str, Call]) -> dict[str, float]:
    """Hits a second of 64 threads together."""
    return {name: _hits_a_second(read) for name, read in reads.items()}


def _hits_a_second(read: Call, *, for_s: float = 2.0) -> float:
    read()
    ends_s = time.perf_counter() + for_s
    with ThreadPoolExecutor(THREADS) as threads:
        counts = list(threads.map(partial(_hits_until, read), [ends_s] * THREADS))
    return sum(counts) / for_s


def _hits_until(read: Call, ends_s: float) -> int:
    hits = 0
    while time.perf_counter() < ends_s:
        for _ in range(100):
            read()
        hits += 100
    return hits


def main() -> None:
    load = OtherLoad()
    service = SlowSecretsManager()
    texts, fields = text_reads(service), field_reads(service)
    assert {read() for read in texts.values()} == {VALUE}
    assert {read() for read in fields.values()} == {PASSWORD}
    hits = {"text": interleave(texts, rounds=ROUNDS), "JSON field": interleave(fields, rounds=ROUNDS)}
    throughput = hits_by_threads(texts)
    service.latency_s = SLOW_S
    herds = _herds(service)
    waits = longest_waits(short_lived_reads(service))
    _print_hits(hits)
    _print_threads(throughput)
    _print_herds(herds)
    _print_waits(waits)
    load.print()
    _print_targets(hits, waits)


def _herds(service: SlowSecretsManager) -> dict[str, Herd]:
    makers: Sequence[tuple[str, Callable[[], Call]]] = tuple(
        (name, partial(_cold, service, name)) for name in (ENVELOPE, *PEERS)
    )
    found = {f"{name}, threads": herd(service, make(), HERD) for name, make in makers}
    found[f"{ENVELOPE}, tasks"] = herd_of_tasks(service, HERD)
    return found


def _cold(service: SlowSecretsManager, name: str) -> Call:
    return text_reads(service)[name]


def _print_hits(hits: Mapping[str, Mapping[str, Timing]]) -> None:
    print_table(
        "A hit, in µs, one thread",
        ("", ENVELOPE, *PEERS, "`envelope_secrets` / Powertools", "caching / `envelope_secrets`"),
        (
            (
                what,
                *(f"{timings[name].undisturbed_s * 1e6:.2f}" for name in (ENVELOPE, *PEERS)),
                f"{timings[ENVELOPE].ratio_to(timings[POWERTOOLS]):.2f}",
                f"{timings[CACHING].ratio_to(timings[ENVELOPE]):.0f}",
            )
            for what, timings in hits.items()
        ),
    )


def _print_threads(throughput: Mapping[str, float]) -> None:
    print_table(
        f"1,000 hits a second, {THREADS} threads together",
        ("", "1,000 hits/s"),
        ((name, f"{hits / 1e3:,.0f}") for name, hits in throughput.items()),
    )


def _print_herds(herds: Mapping[str, Herd]) -> None:
    print_table(
        f"{HERD:,} ask at once for what nobody has read; a call takes {SLOW_S * 1e3:.0f} ms",
        ("", "calls", "all served after, ms"),
        ((name, f"{herd.calls:,}", f"{herd.all_served_s * 1e3:,.0f}") for name, herd in herds.items()),
    )


def _print_waits(waits: Mapping[str, Sequence[float]]) -> None:
    print_table(
        f"The longest wait of each of {THREADS} threads in {REFRESH_RUN_S:.0f} s, while the value is renewed each "
        f"second by calls of {SLOW_S * 1e3:.0f} ms; in ms",
        ("", "median thread", "worst thread"),
        (
            (name, f"{longest[len(longest) // 2] * 1e3:.2f}", f"{longest[-1] * 1e3:.2f}")
            for name, longest in waits.items()
        ),
    )


def _print_targets(hits: Mapping[str, Mapping[str, Timing]], waits: Mapping[str, Sequence[float]]) -> None:
    ours = {what: timings[ENVELOPE].undisturbed_s * 1e6 for what, timings in hits.items()}
    print_target(f"a hit takes at most {MOST_HIT_S * 1e6:.1f} µs", ours, most=MOST_HIT_S * 1e6)
    print_target(
        f"a hit takes at most {MOST_OF_POWERTOOLS} times as long as Powertools'",
        {what: timings[ENVELOPE].ratio_to(timings[POWERTOOLS]) for what, timings in hits.items()},
        most=MOST_OF_POWERTOOLS,
    )
    print_target(
        f"a hit is at least {LEAST_TIMES_FASTER_THAN_CACHING:.0f} times as fast as aws-secretsmanager-caching's",
        {what: timings[CACHING].ratio_to(timings[ENVELOPE]) for what, timings in hits.items()},
        least=LEAST_TIMES_FASTER_THAN_CACHING,
    )
    print_target(
        f"nobody waits longer than {MOST_WAIT_MS:.0f} ms while a value is renewed, in ms",
        {"the worst of 64 threads": waits[ENVELOPE][-1] * 1e3},
        most=MOST_WAIT_MS,
    )


if __name__ == "__main__":
    main()
