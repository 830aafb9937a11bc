"""How much of the speed of bare AES-GCM is left for a large message at once, and how much longer do the peers take?

`envelope` meets the bare cipher alone first: what the peers leave behind in the heap would blur that ratio.

Run it by `python benchmarks/large_messages.py`.
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

KIB = 1024
MIB = 1024 * KIB
BETWEEN = {"16 KiB": 16 * KIB, "64 KiB": 64 * KIB, "200 KiB": 200 * KIB, "256 KiB": 256 * KIB}
LARGE = {"1 MiB": MIB, "16 MiB": 16 * MIB, "64 MiB": 64 * MIB}
MOST_ROUNDS, LEAST_ROUNDS = 100, 15
PEERS = {
    "sdk": "aws-encryption-sdk",
    "sdk 256 KiB": "aws-encryption-sdk, 256 KiB frames",
    "tink": "tink",
    "tink envelope": "tink envelope",
    "asherah": "asherah",
}

LEAST_SHARE = 0.80
LEAST_TIMES_FASTER = 50

Results = dict[str, dict[str, Timing]]


class Setting:
    """All contenders, set up once."""

    def __init__(self) -> None:
        self.client = static_client()
        self.bare = BareAesGcm()
        self.sdk = AwsEncryptionSdk()
        self.tink = Tink.new()
        self.asherah = Asherah()

    def encryptions(self, plaintext: bytes) -> dict[str, Call]:
        contenders: dict[str, Call] = {
            "bare": partial(self.bare.encrypt, plaintext),
            "envelope": partial(self.client.encrypt, plaintext),
            "sdk": partial(self.sdk.encrypt, plaintext),
            "sdk 256 KiB": partial(self.sdk.encrypt, plaintext, frame_length_bytes=256 * KIB),
            "tink": partial(self.tink.aead.encrypt, plaintext, b""),
            "tink envelope": partial(self.tink.envelope.encrypt, plaintext, b""),
        }
        if len(plaintext) <= Asherah.MOST_BYTES:
            contenders["asherah"] = partial(self.asherah.encrypt, plaintext)
        return contenders

    def decryptions(self, plaintext: bytes) -> dict[str, Call]:
        messages = {name: encrypt() for name, encrypt in self.encryptions(plaintext).items()}
        decrypt = {
            "bare": self.bare.decrypt,
            "envelope": self.client.decrypt,
            "sdk": self.sdk.decrypt,
            "sdk 256 KiB": self.sdk.decrypt,
            "tink": lambda message: self.tink.aead.decrypt(message, b""),
            "tink envelope": lambda message: self.tink.envelope.decrypt(message, b""),
            "asherah": self.asherah.decrypt,
        }
        contenders: dict[str, Call] = {name: partial(decrypt[name], message) for name, message in messages.items()}
        for name, contender in contenders.items():
            assert contender() == plaintext, name
        return contenders


def main() -> None:
    load = OtherLoad()
    setting = Setting()
    beside_bare = _contests(setting, {**BETWEEN, **LARGE}, with_peers=False)
    beside_peers = _contests(setting, {**BETWEEN, **LARGE}, with_peers=True)
    setting.sdk.check_cache(most_misses=2)
    _print(beside_bare, beside_peers)
    load.print()
    shares = {name: timings["bare"].ratio_to(timings["envelope"]) for name, timings in beside_bare.items()}
    times = {name: timings["sdk"].ratio_to(timings["envelope"]) for name, timings in beside_peers.items()}
    for direction in ("encrypt", "decrypt"):
        names = [f"{size} {direction}" for size in LARGE]
        print_target(
            f"{direction} at once, at least {LEAST_SHARE:.2f} of the speed of bare AESGCM returning new bytes",
            {name: shares[name] for name in names},
            least=LEAST_SHARE,
        )
        print_target(
            f"{direction} at once, at least {LEAST_TIMES_FASTER} times aws-encryption-sdk",
            {name: times[name] for name in names},
            least=LEAST_TIMES_FASTER,
        )


def _contests(setting: Setting, sizes: Mapping[str, int], *, with_peers: bool) -> Results:
    results = {}
    for name, size in sizes.items():
        plaintext = os.urandom(size)
        rounds = max(LEAST_ROUNDS, min(MOST_ROUNDS, 400 * MIB // size))
        for direction, make in (("encrypt", setting.encryptions), ("decrypt", setting.decryptions)):
            contenders = make(plaintext)
            if not with_peers:
                contenders = {who: contenders[who] for who in ("bare", "envelope")}
            results[f"{name} {direction}"] = interleave(contenders, rounds=rounds)
    return results


def _print(beside_bare: Results, beside_peers: Results) -> None:
    print_table(
        "One-shot beside bare AESGCM: the speed of `envelope` as a share of the bare speed",
        ("", "bare AESGCM µs", "envelope µs", "share"),
        ((name, *_beside_bare(timings["bare"], timings["envelope"])) for name, timings in beside_bare.items()),
    )
    print_table(
        "One-shot beside the peers: how many times as long as `envelope` they take",
        ("", *PEERS.values(), "aws-encryption-sdk / bare AESGCM"),
        ((name, *_beside_peers(timings)) for name, timings in beside_peers.items()),
    )


def _beside_bare(bare: Timing, own: Timing) -> list[str]:
    return [f"{bare.undisturbed_s * 1e6:,.1f}", f"{own.undisturbed_s * 1e6:,.1f}", f"{bare.ratio_to(own):.0%}"]


def _beside_peers(timings: Mapping[str, Timing]) -> list[str]:
    times = [f"{timings[who].ratio_to(timings['envelope']):.1f}" if who in timings else "refuses it" for who in PEERS]
    return [*times, f"{timings['sdk'].ratio_to(timings['bare']):.1f}"]


if __name__ == "__main__":
    main()
