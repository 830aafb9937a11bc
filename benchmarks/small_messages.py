"""How long does a message of 64 B to 4 KiB take, with the data key at hand?

Run it by `python benchmarks/small_messages.py`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial

from benchmarks.contest.bare import BareAesGcm
from benchmarks.contest.peers import Asherah, AwsEncryptionSdk, Tink
from benchmarks.contest.report import OtherLoad, print_table, print_target
from benchmarks.contest.static_keyring import static_client
from benchmarks.contest.timing import Call, Timing, interleave

SIZES = (64, 256, 1024, 4096)
PAIRS = {"tenant": "tenant-4711", "table": "payments", "column": "card_number"}
ROUNDS = 60

MOST_TIMES_BARE = 17
LEAST_TIMES_FASTER = 10


class Setting:
    """All contenders, set up once."""

    def __init__(self) -> None:
        self.client = static_client()
        self.bare = BareAesGcm()
        self.sdk = AwsEncryptionSdk()
        self.tink = Tink.new()
        self.asherah = Asherah()

    def encryptions(self, plaintext: bytes, context: Mapping[str, str]) -> dict[str, Call]:
        aad = repr(sorted(context.items())).encode() if context else b""
        return {
            **self._reference(plaintext),
            "envelope": partial(self.client.encrypt, plaintext, context),
            "sdk": partial(self.sdk.encrypt, plaintext, context),
            "tink": partial(self.tink.aead.encrypt, plaintext, aad),
            "tink envelope": partial(self.tink.envelope.encrypt, plaintext, aad),
            "asherah": partial(self.asherah.encrypt, plaintext),
        }

    def decryptions(self, plaintext: bytes, context: Mapping[str, str], given: Mapping[str, str]) -> dict[str, Call]:
        aad = repr(sorted(context.items())).encode() if context else b""
        contenders: dict[str, Call] = {
            "envelope": partial(self.client.decrypt, self.client.encrypt(plaintext, context), given),
            "sdk": partial(self.sdk.decrypt, self.sdk.encrypt(plaintext, context)),
            "tink": partial(self.tink.aead.decrypt, self.tink.aead.encrypt(plaintext, aad), aad),
            "tink envelope": partial(self.tink.envelope.decrypt, self.tink.envelope.encrypt(plaintext, aad), aad),
            "asherah": partial(self.asherah.decrypt, self.asherah.encrypt(plaintext)),
        }
        for name, contender in contenders.items():
            assert contender() == plaintext, name
        sealed = self.bare.encrypt(plaintext)
        bare = partial(self.bare.cipher.decrypt, self.bare.iv, sealed, self.bare.aad)
        return {**self._reference(plaintext), "bare": bare, **contenders}

    def _reference(self, plaintext: bytes) -> dict[str, Call]:
        encrypt = self.bare.cipher.encrypt
        return {
            "bare": partial(encrypt, self.bare.iv, plaintext, self.bare.aad),
            "bare 1 KiB": partial(encrypt, self.bare.iv, bytes(1024), self.bare.aad),
        }


def main() -> None:
    load = OtherLoad()
    setting = Setting()
    results = {}
    for size in SIZES:
        plaintext = os.urandom(size)
        for label, contenders in (
            ("encrypt", setting.encryptions(plaintext, {})),
            ("encrypt, 3 pairs", setting.encryptions(plaintext, PAIRS)),
            ("decrypt", setting.decryptions(plaintext, {}, {})),
            ("decrypt, 3 pairs", setting.decryptions(plaintext, PAIRS, {})),
            ("decrypt, 3 pairs given", setting.decryptions(plaintext, PAIRS, PAIRS)),
        ):
            results[f"{size:,} B {label}"] = interleave(contenders, rounds=ROUNDS)
    setting.sdk.check_cache(most_misses=4)  # two encryption contexts, both directions
    _print(results)
    load.print()
    print_target(
        f"at most {MOST_TIMES_BARE} times a bare AESGCM call on 1 KiB",
        {name: timings["envelope"].ratio_to(timings["bare 1 KiB"]) for name, timings in results.items()},
        most=MOST_TIMES_BARE,
    )
    print_target(
        f"at least {LEAST_TIMES_FASTER} times aws-encryption-sdk",
        {name: timings["sdk"].ratio_to(timings["envelope"]) for name, timings in results.items()},
        least=LEAST_TIMES_FASTER,
    )


def _print(results: Mapping[str, Mapping[str, Timing]]) -> None:
    shown = {"envelope": "envelope", "bare": "bare AESGCM", "sdk": "aws-encryption-sdk"}
    shown |= {name: name for name in ("tink", "tink envelope", "asherah")}
    print_table(
        "Microseconds per message",
        ("", *shown.values()),
        ((name, *(f"{timings[who].undisturbed_s * 1e6:.2f}" for who in shown)) for name, timings in results.items()),
    )
    print_table(
        "`envelope` as a multiple of bare calls, the peers as multiples of `envelope`",
        ("", "bare of that size", "bare 1 KiB", *list(shown.values())[2:]),
        ((name, *_ratios(timings)) for name, timings in results.items()),
    )


def _ratios(timings: Mapping[str, Timing]) -> list[str]:
    own = timings["envelope"]
    to_bare = [own.ratio_to(timings[name]) for name in ("bare", "bare 1 KiB")]
    of_peers = [timings[name].ratio_to(own) for name in ("sdk", "tink", "tink envelope", "asherah")]
    return [f"{ratio:.2f}" for ratio in to_bare + of_peers]


if __name__ == "__main__":
    main()
