"""Wall time and peak memory of a command, measured from a process that is small itself."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Measured", "measured"]

# A process begins its life with the peak of the one that started it (Linux, exec), so a command must not be started by
# this one, which has boto3 and more in it.
_LAUNCHER = """
import os, sys, time
quiet = [(os.POSIX_SPAWN_OPEN, number, os.devnull, flags, 0) for number, flags in ((0, os.O_RDONLY), (1, os.O_WRONLY))]
start_s = time.perf_counter()
child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=quiet)
_, status, usage = os.wait4(child, 0)
print(time.perf_counter() - start_s, usage.ru_maxrss, os.waitstatus_to_exitcode(status))
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of a command.

    Attributes:
        peak_mib: resident memory at most, of the largest process if it started others. What is below 10 is the
            launcher's.
    """

    taken_s: float
    peak_mib: float


def measured(command: Sequence[str], environment: Mapping[str, str]) -> Measured:
    """Run a command to its end, without input and with its output thrown away.

    Raises:
        RuntimeError: it failed; with what it wrote to standard error.
    """
    ended = subprocess.run(  # noqa: S603 - a contender
        [sys.executable, "-I", "-S", "-c", _LAUNCHER, *command], check=False, capture_output=True, env=environment
    )
    if ended.returncode:
        raise RuntimeError(ended.stderr.decode())
    taken_s, peak_kib, status = ended.stdout.split()
    if int(status):
        raise RuntimeError(f"{command[0]} ended with {int(status)}: {ended.stderr.decode()}")
    return Measured(float(taken_s), int(peak_kib) / 1024)
