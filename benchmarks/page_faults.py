"""Does a message cost page faults in a program that does nothing else?

Fresh pages cost more than AES-GCM on them does. The C library hands memory back to the system when enough of it is
free at the end of the heap, so a call that holds two large blocks for a moment can pay for both again at each call.
Whether it does depends on what the program has freed before; here every figure comes from a fresh process. Linux only.

Run it by `python benchmarks/page_faults.py`.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

from benchmarks.contest.bare import BareAesGcm
from benchmarks.contest.report import print_table
from benchmarks.contest.static_keyring import static_client

KIB = 1024
SIZES = {f"{kib:,} KiB": kib * KIB for kib in (64, 100, 128, 200, 256, 1024, 16 * 1024)}
WARM_UP_CALLS, CALLS = 5, 200


def _contender(who: str, direction: str, size: int) -> Callable[[], object]:
    contender = BareAesGcm() if who == "bare AESGCM" else static_client()
    plaintext = bytes(size)
    if direction == "encrypt":
        return partial(contender.encrypt, plaintext)
    return partial(contender.decrypt, contender.encrypt(plaintext))


def measure(who: str, direction: str, size: int) -> tuple[float, float]:
    """Median microseconds and average page faults of one call, after some calls."""
    call = _contender(who, direction, size)
    for _ in range(WARM_UP_CALLS):
        call()
    seconds = []
    start_faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(CALLS):
        start_s = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start_s)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - start_faults
    return statistics.median(seconds) * 1e6, faults / CALLS


def _in_child(who: str, direction: str, size: int) -> tuple[str, str]:
    child = subprocess.run(  # noqa: S603 - this script again
        [sys.executable, __file__, who, direction, str(size)], check=True, capture_output=True, text=True
    )
    micros, faults = (float(figure) for figure in child.stdout.split())
    return f"{micros:,.1f}", f"{faults:.0f}"


def main() -> None:
    ways = [(who, direction) for direction in ("encrypt", "decrypt") for who in ("bare AESGCM", "envelope")]
    print_table(
        "Page faults for each call in a fresh process, and µs",
        ("", *(f"{who} {direction} {figure}" for who, direction in ways for figure in ("µs", "faults"))),
        (
            (name, *(figure for who, direction in ways for figure in _in_child(who, direction, size)))
            for name, size in SIZES.items()
        ),
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(*measure(sys.argv[1], sys.argv[2], int(sys.argv[3])))
    else:
        main()
