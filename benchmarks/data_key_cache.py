"""How many messages a second go through the data-key cache, what does a hit add, and how often is KMS asked?

The caches are warm, and KMS is a fake in this process. Two threads share one client and its cache.

Run it by `python -m benchmarks.data_key_cache`.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import repeat

import asherah
from tink import aead

from benchmarks.contest.bare import BareAesGcm
from benchmarks.contest.kms_peers import KmsContenders
from benchmarks.contest.peers import Asherah, AwsEncryptionSdk, Tink
from benchmarks.contest.report import OtherLoad, print_table, print_target
from benchmarks.contest.timing import Call, Timing, interleave

KIB = 1024
SIZES = {"64 B": 64, "1 KiB": KIB, "64 KiB": 64 * KIB, "1 MiB": KIB * KIB}
ROUNDS = 60
ROUNDS_OF_THREADS = 15
BATCH_S = 0.05
"""Ten times the time after which the interpreter's lock changes hands."""

MOST_HIT_S = 1.5e-6
LEAST_TIMES_FASTER = {"1 KiB": 12.0, "1 MiB": 50.0}

COUNTED = {"envelope": 1_000_000, "aws-encryption-sdk, KMS": 50_000, "tink envelope": 10_000, "asherah": 100_000}

LATE_S = 0.5
"""So long after the fact asherah tells of it at the latest."""

SHOWN = (
    "envelope",
    "no cache",
    "aws-encryption-sdk, KMS",
    "aws-encryption-sdk, raw",
    "tink envelope",
    "asherah",
    "bare",
)


PLAINTEXT = bytes(KIB)


class CountedAead(aead.Aead):
    """A key-encryption key that counts its calls, as a KMS would bill them."""

    def __init__(self, key: aead.Aead) -> None:
        self._key = key
        self.encrypts = self.decrypts = 0

    def encrypt(self, plaintext: bytes, associated_data: bytes) -> bytes:
        self.encrypts += 1
        return self._key.encrypt(plaintext, associated_data)

    def decrypt(self, ciphertext: bytes, associated_data: bytes) -> bytes:
        self.decrypts += 1
        return self._key.decrypt(ciphertext, associated_data)


class CacheMisses:
    """Counts the keys that asherah did not find in its caches."""

    count = 0

    def __call__(self, event: Mapping[str, object]) -> None:
        self.count += event["type"] == "cache_miss"


class Setting:
    """All contenders, set up once."""

    def __init__(self) -> None:
        self.over_kms = KmsContenders()
        self.bare = BareAesGcm()
        self.raw_sdk = AwsEncryptionSdk()
        self.tink = Tink.new()
        self.asherah = Asherah()

    def encryptions(self, plaintext: bytes) -> dict[str, Call]:
        return {
            "envelope": partial(self.over_kms.cached.encrypt, plaintext),
            "no cache": partial(self.over_kms.uncached.encrypt, plaintext),
            "aws-encryption-sdk, KMS": partial(self.over_kms.sdk.encrypt, plaintext),
            "aws-encryption-sdk, raw": partial(self.raw_sdk.encrypt, plaintext),
            "tink envelope": partial(self.tink.envelope.encrypt, plaintext, b""),
            "asherah": partial(self.asherah.encrypt, plaintext),
            "bare": partial(self.bare.encrypt, plaintext),
        }

    def decryptions(self, plaintext: bytes) -> dict[str, Call]:
        opened_by: dict[str, Call] = {
            "envelope": partial(self.over_kms.cached.decrypt, self.over_kms.cached.encrypt(plaintext)),
            "no cache": partial(self.over_kms.uncached.decrypt, self.over_kms.uncached.encrypt(plaintext)),
            "aws-encryption-sdk, KMS": partial(self.over_kms.sdk.decrypt, self.over_kms.sdk.encrypt(plaintext)),
            "aws-encryption-sdk, raw": partial(self.raw_sdk.decrypt, self.raw_sdk.encrypt(plaintext)),
            "tink envelope": partial(self.tink.envelope.decrypt, self.tink.envelope.encrypt(plaintext, b""), b""),
            "asherah": partial(self.asherah.decrypt, self.asherah.encrypt(plaintext)),
            "bare": partial(self.bare.decrypt, self.bare.encrypt(plaintext)),
        }
        for name, contender in opened_by.items():
            assert contender() == plaintext, name
        return opened_by


def main() -> None:
    load = OtherLoad()
    setting = Setting()
    alone: dict[str, dict[str, Timing]] = {}
    together: dict[str, dict[str, Timing]] = {}
    with ThreadPoolExecutor(2) as threads:
        for size, length in SIZES.items():
            plaintext = os.urandom(length)
            for direction, contenders in (
                ("encrypt", setting.encryptions(plaintext)),
                ("decrypt", setting.decryptions(plaintext)),
            ):
                name = f"{size} {direction}"
                alone[name] = interleave(contenders, rounds=ROUNDS)
                together[name] = _by_two_threads(threads, contenders, alone[name])
    setting.raw_sdk.check_cache(most_misses=2)
    setting.over_kms.sdk.check_cache(most_misses=2)
    _print_speed(alone, together)
    load.print()
    _print_targets(alone)
    _print_calls()


def _by_two_threads(
    threads: ThreadPoolExecutor, contenders: Mapping[str, Call], alone: Mapping[str, Timing]
) -> dict[str, Timing]:
    """Seconds for each message of two threads together."""
    batches = {name: max(1, round(BATCH_S / timing.undisturbed_s)) for name, timing in alone.items()}
    pairs = {name: partial(_both, threads, contender, batches[name]) for name, contender in contenders.items()}
    taken = interleave(pairs, rounds=ROUNDS_OF_THREADS)
    return {
        name: Timing(tuple(batch_s / 2 / batches[name] for batch_s in timing.rounds_s))
        for name, timing in taken.items()
    }


def _both(threads: ThreadPoolExecutor, contender: Call, calls: int) -> None:
    for future in [threads.submit(_repeat, contender, calls) for _ in range(2)]:
        future.result()


def _repeat(contender: Call, calls: int) -> None:
    for _ in repeat(None, calls):
        contender()


def _print_speed(alone: Mapping[str, Mapping[str, Timing]], together: Mapping[str, Mapping[str, Timing]]) -> None:
    for title, results in (("one thread", alone), ("two threads together", together)):
        print_table(
            f"1,000 messages per second, {title}",
            ("", *SHOWN),
            (
                (name, *(f"{1e-3 / timings[who].undisturbed_s:,.1f}" for who in SHOWN))
                for name, timings in results.items()
            ),
        )
    print_table(
        "What a hit adds, and how many times as long as `envelope` the others take, one thread",
        ("", "a hit adds µs", *SHOWN[2:-1], "`envelope` / bare"),
        (
            (
                name,
                f"{_hit_s(timings) * 1e6:.2f}",
                *(f"{timings[who].ratio_to(timings['envelope']):.2f}" for who in SHOWN[2:-1]),
                f"{timings['envelope'].ratio_to(timings['bare']):.2f}",
            )
            for name, timings in alone.items()
        ),
    )


def _hit_s(timings: Mapping[str, Timing]) -> float:
    """What is between a message through the cache and one whose keyring has the answer at hand.

    The median over the rounds, in each of which the two took their turns within some milliseconds: a difference of a
    tenth would drown in that of two rounds.
    """
    pairs = zip(timings["envelope"].rounds_s, timings["no cache"].rounds_s, strict=True)
    return statistics.median(cached_s - uncached_s for cached_s, uncached_s in pairs)


def _print_targets(alone: Mapping[str, Mapping[str, Timing]]) -> None:
    small = {name: _hit_s(timings) * 1e6 for name, timings in alone.items() if name.startswith(("64 B", "1 KiB"))}
    print_target(f"a hit adds at most {MOST_HIT_S * 1e6:.1f} µs to a message", small, most=MOST_HIT_S * 1e6)
    for size, least in LEAST_TIMES_FASTER.items():
        for peer in ("KMS", "raw"):
            ratios = {
                name: timings[f"aws-encryption-sdk, {peer}"].ratio_to(timings["envelope"])
                for name, timings in alone.items()
                if name.startswith(size)
            }
            text = f"{size} through the cache, at least {least:.0f} times aws-encryption-sdk with its cache ({peer})"
            print_target(text, ratios, least=least)


def _print_calls() -> None:
    """How often new caches ask for a key, for one tenant and 1 KiB; asherah counts the keys that it has to load."""
    counts = {
        "envelope": _calls_of_envelope(COUNTED["envelope"]),
        "aws-encryption-sdk, KMS": _calls_of_sdk(COUNTED["aws-encryption-sdk, KMS"]),
        "tink envelope": _calls_of_tink(COUNTED["tink envelope"]),
        "asherah": _loads_of_asherah(COUNTED["asherah"]),
    }
    print_table(
        "Calls of KMS, or what stands for it",
        ("", "messages", "calls to encrypt them", "calls to decrypt one of them as often"),
        ((name, f"{COUNTED[name]:,}", *(f"{calls:,}" for calls in pair)) for name, pair in counts.items()),
    )


def _calls_of_envelope(messages: int) -> tuple[int, int]:
    new = KmsContenders()
    new.kms.clear_calls()
    _repeat(partial(new.cached.encrypt, PLAINTEXT), messages)
    _repeat(partial(new.cached.decrypt, new.cached.encrypt(PLAINTEXT)), messages)
    stats = new.cache.stats()
    calls = new.kms.count("GenerateDataKey"), new.kms.count("Decrypt")
    assert calls == (stats.wrap.kms_calls, stats.unwrap.kms_calls)
    return calls


def _calls_of_sdk(messages: int) -> tuple[int, int]:
    new = KmsContenders()
    new.kms.clear_calls()
    _repeat(partial(new.sdk.encrypt, PLAINTEXT), messages)
    _repeat(partial(new.sdk.decrypt, new.sdk.encrypt(PLAINTEXT)), messages)
    return new.kms.count("GenerateDataKey"), new.kms.count("Decrypt")


def _calls_of_tink(messages: int) -> tuple[int, int]:
    wrapping = CountedAead(Tink.new().aead)
    envelope = aead.KmsEnvelopeAead(aead.aead_key_templates.AES256_GCM, wrapping)
    _repeat(partial(envelope.encrypt, PLAINTEXT, b""), messages)
    encrypts = wrapping.encrypts
    _repeat(partial(envelope.decrypt, envelope.encrypt(PLAINTEXT, b""), b""), messages)
    return encrypts, wrapping.decrypts


def _loads_of_asherah(messages: int) -> tuple[int, int]:
    new, misses = Asherah(), CacheMisses()
    asherah.set_metrics_hook(misses)  # for the rest of the process: asherah 0.5.56 hangs when it is taken away again
    _repeat(partial(new.encrypt, PLAINTEXT), messages)
    time.sleep(LATE_S)
    encrypts = misses.count
    _repeat(partial(new.decrypt, new.encrypt(PLAINTEXT)), messages)
    time.sleep(LATE_S)
    return encrypts, misses.count - encrypts


if __name__ == "__main__":
    main()
