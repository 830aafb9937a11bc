"""How long do the `envelope` command and its peers take, and how much memory?

One file of 1 GiB, 2,000 files of 10 KiB, and a start. Every command is a process of its own, against a KMS on loopback
where it wants one; age and openssl must be on PATH, and aws-encryption-cli in .venv-cli-peer. Files are in /dev/shm
where it has room, so that no disk is measured; name another directory as the argument.

Run it by `python benchmarks/command_line.py [DIRECTORY]`.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.contest.commands import Age, AwsEncryptionCli, Command, Copy, Envelope, Openssl, child_environment
from benchmarks.contest.kms_server import kms_server
from benchmarks.contest.processes import Measured, measured
from benchmarks.contest.report import OtherLoad, print_table, print_target

MIB = 2**20
LARGE_BYTES = 1024 * MIB
SMALL_FILES, SMALL_BYTES = 2_000, 10 * 1024
ROUNDS, STARTS = 3, 15
NEEDED_BYTES = 6 * LARGE_BYTES
VERBS = ("encrypt", "decrypt")
OURS, OURS_KMS, AWS, AWS_LARGE_FRAMES, AWS_CACHE, AGE, OPENSSL_CBC = (
    "envelope, AES key in a file",
    "envelope, KMS",
    "aws-encryption-cli",
    "aws-encryption-cli, frames of 256 KiB",
    "aws-encryption-cli, cache",
    "age",
    "openssl aes-256-cbc",
)
Runs = dict[tuple[str, str], list[Measured]]


def contenders(key_arn: str, folder: Path) -> dict[str, Command]:
    """All that are installed; the others are named."""
    key = folder / "key"
    key.write_bytes(os.urandom(32))
    makers: dict[str, Callable[[], Command]] = {
        OURS: partial(Envelope, f"aes:benchmark/key@{key}"),
        OURS_KMS: partial(Envelope, f"kms:{key_arn}"),
        AWS: partial(AwsEncryptionCli, key_arn),
        AWS_LARGE_FRAMES: partial(AwsEncryptionCli, key_arn, frame_bytes=256 * 1024),
        AWS_CACHE: partial(AwsEncryptionCli, key_arn, caches=True),
        AGE: partial(Age, folder),
        "openssl aes-256-ctr": partial(Openssl, "aes-256-ctr", folder),
        OPENSSL_CBC: partial(Openssl, "aes-256-cbc", folder),
        "cp": Copy,
    }
    made = {}
    for name, maker in makers.items():
        try:
            made[name] = maker()
        except LookupError as error:
            print(f"\nMissing here: {error}.")
    return made


def there_and_back(
    lines: Mapping[str, Callable[[str, Path, Path], Sequence[str]]],
    source: Path,
    *,
    prepare: Callable[[Path], None],
    environment: Mapping[str, str],
) -> Runs:
    """Let contenders encrypt `source`, and decrypt what they made, in turns.

    Args:
        lines: the command lines, for a verb, a source and a target.
        prepare: what a target must be before the command runs; untimed.
    """
    runs: Runs = {(name, verb): [] for name in lines for verb in VERBS}
    order, shuffle = list(lines), random.Random(ROUNDS).shuffle
    message, back = source.with_name("message"), source.with_name("back")
    for round_number in range(ROUNDS):
        shuffle(order)
        for name in order:
            for verb, this, that in ("encrypt", source, message), ("decrypt", message, back):
                prepare(that)
                runs[name, verb].append(measured(lines[name](verb, this, that), environment))
            if round_number == 0:
                assert _contents(back) == _contents(source), name
    _remove(message)
    _remove(back)
    return runs


def starts(lines: Mapping[str, Sequence[str]], target: Path, environment: Mapping[str, str]) -> dict[str, float]:
    """Milliseconds in the middle of many runs of each command, in turns."""
    taken: dict[str, list[float]] = {name: [] for name in lines}
    order, shuffle = list(lines), random.Random(STARTS).shuffle
    for _ in range(STARTS):
        shuffle(order)
        for name in order:
            _remove(target)
            taken[name].append(measured(lines[name], environment).taken_s * 1e3)
    return {name: median(figures) for name, figures in taken.items()}


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)


def _made_anew(path: Path) -> None:
    _remove(path)
    path.mkdir()


def _contents(path: Path) -> list[int]:
    """A digest of a file, or of each of a directory's, by name. Commands may add suffixes, which keep the order."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return [hash(file.read_bytes()) for file in files]


def _fastest_s(runs: Runs, name: str, verb: str) -> float:
    return min(run.taken_s for run in runs[name, verb])


def _peak_mib(runs: Runs, name: str) -> float:
    return max(run.peak_mib for verb in VERBS for run in runs[name, verb])


def _names(runs: Runs) -> list[str]:
    return list(dict.fromkeys(name for name, _ in runs))


def print_runs(title: str, runs: Runs) -> None:
    """A table of times, of how many times as long as ours they are, and of memory."""
    base = {verb: _fastest_s(runs, OURS, verb) for verb in VERBS}
    print_table(
        title,
        ("", "encrypt, s", "decrypt, s", "encrypt, times envelope", "decrypt, times envelope", "peak, MiB"),
        (
            (
                name,
                *(f"{_fastest_s(runs, name, verb):.2f}" for verb in VERBS),
                *(f"{_fastest_s(runs, name, verb) / base[verb]:.1f}" for verb in VERBS),
                f"{_peak_mib(runs, name):.0f}",
            )
            for name in _names(runs)
        ),
    )


def _print_factor(title: str, runs: Runs, peer: str, least: float) -> None:
    """Beside one peer; ours with the same KMS, where the peer has one."""
    if (peer, VERBS[0]) not in runs:
        return
    own = OURS_KMS if peer.startswith(AWS) else OURS
    factors = {verb: _fastest_s(runs, peer, verb) / _fastest_s(runs, own, verb) for verb in VERBS}
    print_target(f"{title}, at least {least:g} times {peer}", factors, least=least)


def _print_memory(runs: Mapping[str, Runs]) -> None:
    peaks = {f"{what}, {own}": _peak_mib(each, own) for what, each in runs.items() for own in (OURS, OURS_KMS)}
    print_target("peak memory under 100 MiB", peaks, most=100)


def place() -> Path:
    """Where the files go."""
    if len(sys.argv) > 1:
        return Path(sys.argv[1])
    memory = Path("/dev/shm")  # noqa: S108 - a file system in memory
    has_room = memory.is_dir() and shutil.disk_usage(memory).free > NEEDED_BYTES
    return memory if has_room else Path(tempfile.gettempdir())


def large_file(made: Mapping[str, Command], folder: Path, environment: Mapping[str, str]) -> Runs:
    """A file of 1 GiB."""
    source = folder / "large"
    with source.open("wb") as file:
        for _ in range(LARGE_BYTES // MIB):
            file.write(os.urandom(MIB))
    lines = {name: command.file for name, command in made.items() if name != AWS_CACHE}
    runs = there_and_back(lines, source, prepare=_remove, environment=environment)
    source.unlink()
    print_runs("A file of 1 GiB", runs)
    return runs


def small_files(made: Mapping[str, Command], folder: Path, environment: Mapping[str, str]) -> Runs:
    """A directory of 2,000 files of 10 KiB."""
    source = folder / "small"
    source.mkdir()
    for number in range(SMALL_FILES):
        (source / f"{number:04}").write_bytes(os.urandom(SMALL_BYTES))
    lines = {name: command.tree for name, command in made.items() if name not in (AWS_LARGE_FRAMES, OPENSSL_CBC)}
    runs = there_and_back(lines, source, prepare=_made_anew, environment=environment)
    shutil.rmtree(source)
    print_runs(f"{SMALL_FILES:,} files of {SMALL_BYTES // 1024} KiB", runs)
    return runs


def first_moments(made: Mapping[str, Command], folder: Path, environment: Mapping[str, str]) -> float:
    """What a start costs; return milliseconds of our ``--version``."""
    source, target = folder / "one", folder / "target"
    source.write_bytes(os.urandom(SMALL_BYTES))
    started = {name: command for name, command in made.items() if name not in (AWS_CACHE, AWS_LARGE_FRAMES)}
    versions = starts({name: command.version() for name, command in started.items()}, target, environment)
    lines = {name: command.file("encrypt", source, target) for name, command in started.items()}
    encrypted = starts(lines, target, environment)
    print_table(
        "A start",
        ("", "--version, ms", f"encrypt {SMALL_BYTES // 1024} KiB, ms"),
        ((name, f"{versions[name]:.0f}", f"{encrypted[name]:.0f}") for name in started),
    )
    return versions[OURS]


def main() -> None:
    load = OtherLoad()
    with tempfile.TemporaryDirectory(dir=place()) as name, kms_server() as (url, key_arn):
        folder = Path(name)
        print(f"\nFiles are in {folder.parent}. The fastest of {ROUNDS} rounds; of starts the median of {STARTS}.")
        environment, made = child_environment(url, folder), contenders(key_arn, folder)
        gib = large_file(made, folder, environment)
        files = small_files(made, folder, environment)
        version_ms = first_moments(made, folder, environment)
    load.print()
    _print_factor("1 GiB", gib, AWS, 20)
    _print_factor("1 GiB", gib, AGE, 1)
    _print_factor(f"{SMALL_FILES:,} files", files, AWS, 20)
    _print_memory({"1 GiB": gib, f"{SMALL_FILES:,} files": files})
    print_target("envelope --version under 150 ms", {"median": version_ms}, most=150)


if __name__ == "__main__":
    main()
