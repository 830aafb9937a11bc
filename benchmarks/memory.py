"""How much memory does a stream of 4 GiB take?

A child process encrypts a generated source into a pipe and decrypts from its other end in a second thread, so the peak
is that of both directions together. Nothing touches a disk. Linux only.

Run it by `python benchmarks/memory.py`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, cast

from benchmarks.contest.report import print_table, print_target
from benchmarks.contest.static_keyring import static_client
from envelope import Suite

MIB = 1024 * 1024
STREAMED_BYTES = 4096 * MIB
MOST_MIB = 64
SUITES = {
    "unsigned": Suite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
    "signed, released early": Suite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384,
}


class Repeating:
    """A binary file of `left` bytes: one mebibyte again and again."""

    def __init__(self, left: int) -> None:
        self.left = left
        self._piece = memoryview(os.urandom(MIB))

    def readinto(self, buffer: memoryview) -> int:
        count = min(len(buffer), len(self._piece), self.left)
        buffer[:count] = self._piece[:count]
        self.left -= count
        return count


class Counting:
    """A binary file that takes everything."""

    written = 0

    def write(self, data: memoryview) -> int:
        self.written += len(data)
        return len(data)


def stream(suite: Suite) -> tuple[float, float]:
    """Encrypt and decrypt `STREAMED_BYTES` in this process; return the memory at rest and at the peak, in MiB."""
    client, target = static_client(), Counting()
    idle_mib = _memory_mib("VmRSS")
    read_end, write_end = os.pipe()

    def encrypt() -> None:
        with open(write_end, "wb", buffering=0) as pipe:  # noqa: PTH123 - a descriptor, not a path
            client.encrypt_stream(cast(BinaryIO, Repeating(STREAMED_BYTES)), pipe, suite=suite)

    with open(read_end, "rb", buffering=0) as pipe, ThreadPoolExecutor(1) as executor:  # noqa: PTH123
        encrypted = executor.submit(encrypt)
        client.decrypt_stream(pipe, cast(BinaryIO, target), release_plaintext_before_signature=True)
        encrypted.result()
    assert target.written == STREAMED_BYTES
    return idle_mib, _memory_mib("VmHWM")


def _memory_mib(field: str) -> float:
    """Resident memory of this process, now or at most. Source: proc(5), /proc/pid/status."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise LookupError(field)


def _in_child(name: str) -> tuple[float, float, float]:
    start_s = time.monotonic()
    child = subprocess.run(  # noqa: S603 - this script again
        [sys.executable, __file__, name], check=True, capture_output=True, text=True
    )
    idle_mib, peak_mib = (float(figure) for figure in child.stdout.split())
    return idle_mib, peak_mib, time.monotonic() - start_s


def main() -> None:
    results = {name: _in_child(name) for name in SUITES}
    print_table(
        f"{STREAMED_BYTES // MIB:,} MiB through `encrypt_stream`, a pipe and `decrypt_stream`",
        ("", "idle after the import, MiB", "peak, MiB", "above idle, MiB", "GB/s"),
        (
            (name, f"{idle:.1f}", f"{peak:.1f}", f"{peak - idle:.1f}", f"{STREAMED_BYTES / taken_s / 1e9:.1f}")
            for name, (idle, peak, taken_s) in results.items()
        ),
    )
    print()
    print_target(
        f"a stream of 4 GiB, at most {MOST_MIB} MiB above an idle import",
        {name: peak - idle for name, (idle, peak, _) in results.items()},
        most=MOST_MIB,
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(*stream(SUITES[sys.argv[1]]))
    else:
        main()
