"""What do two threads gain on separate messages?

Beside the speed-up of two threads stands that of two processes, which share no interpreter lock: where they gain no
more than threads do, the memory is the limit and not Python. It takes two free cores: rounds in which other processes
were busy do not count, and without enough quiet rounds no target is judged.

Run it by `python benchmarks/threads.py`.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache, partial
from io import BytesIO
from itertools import repeat
from multiprocessing import get_context

from benchmarks.contest.bare import BareAesGcm, BareFrames
from benchmarks.contest.report import OtherLoad, machine_busy_s, print_table, print_target
from benchmarks.contest.static_keyring import static_client
from benchmarks.contest.streams import NULL_SINK, decrypt_by_reader, encrypt_by_writer
from benchmarks.contest.timing import Call

KIB = 1024
MIB = 1024 * KIB
LARGE = 16 * MIB
SLICE_S = 0.1
QUIET_ROUNDS = 11
MOST_ROUNDS = 33
LEAST_QUIET_ROUNDS = 5
MOST_OTHERS = 0.1
"""A round is quiet if other processes took no more than this share of the machine in it."""
PAUSE_S = 0.2
"""After a round that was not."""

LEAST_SPEED_UP = 1.7


def _one_shot(size: int) -> dict[str, Call]:
    client, bare, plaintext = static_client(), BareAesGcm(), os.urandom(size)
    return {
        "bare encrypt": partial(bare.encrypt, plaintext),
        "bare decrypt": partial(bare.decrypt, bare.encrypt(plaintext)),
        "encrypt": partial(client.encrypt, plaintext),
        "decrypt": partial(client.decrypt, client.encrypt(plaintext)),
    }


def _streamed(frame_length_bytes: int) -> dict[str, Call]:
    client, plaintext = static_client(), os.urandom(LARGE)
    bare = BareFrames(plaintext, frame_length_bytes)
    message = client.encrypt(plaintext, frame_length_bytes=frame_length_bytes)
    return {
        "bare encrypt_into": bare.encrypt,
        "bare decrypt_into": bare.decrypt,
        "encrypting_writer": partial(encrypt_by_writer, client, plaintext, frame_length_bytes, LARGE),
        "decrypting_reader": partial(decrypt_by_reader, client, message),
        "encrypt_stream": lambda: client.encrypt_stream(
            BytesIO(plaintext), NULL_SINK, frame_length_bytes=frame_length_bytes
        ),
        "decrypt_stream": lambda: client.decrypt_stream(BytesIO(message), NULL_SINK),
    }


GROUPS: dict[str, Callable[[], dict[str, Call]]] = {
    "16 MiB one-shot": partial(_one_shot, LARGE),
    "16 MiB streamed, 256 KiB frames": partial(_streamed, 256 * KIB),
    "16 MiB streamed, 1 MiB frames": partial(_streamed, MIB),
    "1 KiB": partial(_one_shot, KIB),
}


@dataclass(frozen=True, slots=True)
class SpeedUp:
    """How many times as much two workers do in the same time as one thread.

    Attributes:
        one_s: seconds per message with one thread.
        quiet_rounds: how many rounds were quiet; with too few, the figures are those of all rounds and say little.
    """

    one_s: float
    threads: float
    processes: float
    quiet_rounds: int


@lru_cache(maxsize=2)
def _contenders(group: str, _worker: int) -> dict[str, Call]:
    """The contenders with keys and buffers of this worker's own; the group before is forgotten."""
    return GROUPS[group]()


def _run(group: str, name: str, worker: int, calls: int) -> tuple[float, float, float]:
    """When a worker began, when it had finished, and its processor time; the clock is the same in all processes."""
    contender = _contenders(group, worker)[name]
    start_s, start_cpu_s = time.perf_counter(), time.thread_time()
    for _ in repeat(None, calls):
        contender()
    return start_s, time.perf_counter(), time.thread_time() - start_cpu_s


def _together(workers: Sequence[Executor], group: str, name: str, calls: int) -> tuple[float, float]:
    """Seconds that the workers took together, and processor seconds that other processes took meanwhile."""
    busy_s = machine_busy_s()
    futures = [executor.submit(_run, group, name, worker, calls) for worker, executor in enumerate(workers)]
    starts, ends, own_s = zip(*(future.result() for future in futures), strict=True)
    return max(ends) - min(starts), max(machine_busy_s() - busy_s - sum(own_s), 0.0)


def _speed_up(threads: Sequence[Executor], processes: Sequence[Executor], group: str, name: str) -> SpeedUp:
    for workers in (threads, processes):
        _together(workers, group, name, 1)  # everything is built
    calls = max(1, round(SLICE_S / _together(threads[:1], group, name, 1)[0]))
    rounds: list[tuple[float, float, float]] = []
    quiet: list[tuple[float, float, float]] = []
    while len(quiet) < QUIET_ROUNDS and len(rounds) < MOST_ROUNDS:
        taken = [_together(workers, group, name, calls) for workers in (threads[:1], threads, processes)]
        one, two, apart = (wall_s for wall_s, _ in taken)
        rounds.append((one, two, apart))
        if sum(others for _, others in taken) <= MOST_OTHERS * (os.cpu_count() or 1) * sum(rounds[-1]):
            quiet.append(rounds[-1])
        else:
            time.sleep(PAUSE_S)
    chosen = quiet if len(quiet) >= LEAST_QUIET_ROUNDS else rounds
    return SpeedUp(
        statistics.median(one for one, _, _ in chosen) / calls,
        statistics.median(2 * one / two for one, two, _ in chosen),
        statistics.median(2 * one / apart for one, _, apart in chosen),
        len(quiet),
    )


def main() -> None:
    load = OtherLoad()
    with ExitStack() as stack:
        threads = [stack.enter_context(ThreadPoolExecutor(1)) for _ in range(2)]
        spawn = get_context("spawn")
        processes = [stack.enter_context(ProcessPoolExecutor(1, mp_context=spawn)) for _ in range(2)]
        results = {
            group: {name: _speed_up(threads, processes, group, name) for name in _contenders(group, 0)}
            for group in GROUPS
        }
    _print(results)
    load.print()  # behind the end of the processes, whose time is counted then
    large = {group: speed_ups for group, speed_ups in results.items() if group != "1 KiB"}
    for group, speed_ups in large.items():
        text = f"{group}: two threads at least {LEAST_SPEED_UP} times one"
        own = {name: figure for name, figure in speed_ups.items() if not name.startswith("bare")}
        if min(figure.quiet_rounds for figure in own.values()) < LEAST_QUIET_ROUNDS:
            print(f"target: {text}: not measured, the machine was busy")
        else:
            print_target(text, {name: figure.threads for name, figure in own.items()}, least=LEAST_SPEED_UP)


def _print(results: dict[str, dict[str, SpeedUp]]) -> None:
    for group, speed_ups in results.items():
        size, unit = (LARGE, "GB/s") if group.startswith("16 MiB") else (1000, "1,000 messages/s")
        print_table(
            group,
            ("", f"one thread, {unit}", "two threads / one", "two processes / one thread", "quiet rounds"),
            (
                (
                    name,
                    f"{size / figure.one_s / (1e9 if size == LARGE else 1e6):.1f}",
                    f"{figure.threads:.2f}",
                    f"{figure.processes:.2f}",
                    f"{figure.quiet_rounds}",
                )
                for name, figure in speed_ups.items()
            ),
        )


if __name__ == "__main__":
    main()
