"""How much of the speed of bare AES-GCM into a reused buffer is left for a stream in memory?

What reads from a `BytesIO` copies every byte once more than the bare calls do; the bare calls stand here with that copy
as well.

Run it by `python benchmarks/streams.py`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from io import BytesIO

from benchmarks.contest.bare import BareFrames
from benchmarks.contest.peers import AwsEncryptionSdk
from benchmarks.contest.report import OtherLoad, print_table, print_target
from benchmarks.contest.static_keyring import static_client
from benchmarks.contest.streams import NULL_SINK, decrypt_by_reader, encrypt_by_writer
from benchmarks.contest.timing import Call, Timing, interleave

KIB = 1024
MIB = 1024 * KIB
STREAMED_BYTES = 64 * MIB
ROUNDS = 15
DEFAULT = "256 KiB (default)"
FRAME_LENGTHS = {"4 KiB": 4 * KIB, "64 KiB": 64 * KIB, DEFAULT: 256 * KIB, "1 MiB": MIB}

LEAST_SHARE = 0.80


def _own(plaintext: bytes, frame_length_bytes: int) -> dict[str, Call]:
    client, bare = static_client(), BareFrames(plaintext, frame_length_bytes)
    message = client.encrypt(plaintext, frame_length_bytes=frame_length_bytes)
    return {
        "bare encrypt_into": bare.encrypt,
        "bare encrypt_into from BytesIO": bare.encrypt_from_file,
        "encrypting_writer": partial(encrypt_by_writer, client, plaintext, frame_length_bytes, len(plaintext)),
        "encrypting_writer, writes of 1 MiB": partial(encrypt_by_writer, client, plaintext, frame_length_bytes, MIB),
        "encrypt_stream from BytesIO": lambda: client.encrypt_stream(
            BytesIO(plaintext), NULL_SINK, frame_length_bytes=frame_length_bytes
        ),
        "bare decrypt_into": bare.decrypt,
        "bare decrypt_into from BytesIO": bare.decrypt_from_file,
        "decrypting_reader from BytesIO": partial(decrypt_by_reader, client, message),
        "decrypt_stream from BytesIO": lambda: client.decrypt_stream(BytesIO(message), NULL_SINK),
    }


def _peers(sdk: AwsEncryptionSdk, plaintext: bytes, frame_length_bytes: int) -> dict[str, Call]:
    bare = BareFrames(plaintext, frame_length_bytes)
    message = sdk.encrypt(plaintext, frame_length_bytes=frame_length_bytes)
    return {
        "bare encrypt_into": bare.encrypt,
        "aws-encryption-sdk encrypt stream": partial(sdk.encrypt_stream, plaintext, NULL_SINK, frame_length_bytes),
        "bare decrypt_into": bare.decrypt,
        "aws-encryption-sdk decrypt stream": partial(sdk.decrypt_stream, message, NULL_SINK),
    }


def main() -> None:
    load = OtherLoad()
    sdk = AwsEncryptionSdk()
    plaintext = os.urandom(STREAMED_BYTES)
    results: dict[str, dict[str, Timing]] = {}
    shares: dict[str, dict[str, float]] = {}
    for name, frame_length in FRAME_LENGTHS.items():
        own = interleave(_own(plaintext, frame_length), rounds=ROUNDS)
        peers = interleave(_peers(sdk, plaintext, frame_length), rounds=ROUNDS // 3)
        results[name] = {**peers, **own}
        shares[name] = {**_shares(peers), **_shares(own)}
    sdk.check_cache(most_misses=2)
    _print(results, shares)
    load.print()
    for way in (name for name in shares[DEFAULT] if not name.startswith(("bare", "aws"))):
        for lengths in ([DEFAULT], [length for length in shares if length != DEFAULT]):
            print_target(
                f"{way}, at least {LEAST_SHARE:.2f} of the speed of bare calls into a reused buffer",
                {f"{length} frames": shares[length][way] for length in lengths},
                least=LEAST_SHARE,
            )


def _shares(timings: Mapping[str, Timing]) -> dict[str, float]:
    """The speed of each as a share of that of the bare calls of its direction."""
    shares = {}
    for name, timing in timings.items():
        bare = timings["bare decrypt_into" if "decrypt" in name else "bare encrypt_into"]
        if timing is not bare:
            shares[name] = bare.ratio_to(timing)
    return shares


def _print(results: Mapping[str, Mapping[str, Timing]], shares: Mapping[str, Mapping[str, float]]) -> None:
    print_table(
        f"{STREAMED_BYTES // MIB} MiB in memory, by frame length: GB/s of the bare calls",
        ("", *results),
        (
            (name, *(f"{STREAMED_BYTES / timings[name].undisturbed_s / 1e9:.1f}" for timings in results.values()))
            for name in ("bare encrypt_into", "bare decrypt_into")
        ),
    )
    print_table(
        "Speed as a share of the bare calls of that direction, by frame length",
        ("", *results),
        ((name, *(f"{share[name]:.0%}" for share in shares.values())) for name in sorted(shares[DEFAULT], key=_place)),
    )


def _place(name: str) -> tuple[bool, bool, bool]:
    """Where a contender stands in the table: by direction, then bare calls, then `envelope`, then the peer."""
    return "decrypt" in name, name.startswith("aws"), not name.startswith("bare")


if __name__ == "__main__":
    main()
