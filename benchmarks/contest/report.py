"""Markdown: tables, whether targets are reached, and what the figures were made on."""

from __future__ import annotations

import os
import platform
import ssl
import time
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cryptography.hazmat.backends.openssl import backend

__all__ = ["OtherLoad", "machine", "machine_busy_s", "print_table", "print_target"]

_PACKAGES = (
    "cryptography",
    "aws-encryption-sdk",
    "aws-cryptographic-material-providers",
    "tink",
    "asherah",
    "boto3",
    "aws-secretsmanager-caching",
    "aws-lambda-powertools",
)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a Markdown table; the first column is text, the others are figures."""
    print(f"\n**{title}**\n")
    print(f"| {' | '.join(columns)} |")
    print(f"|---{'|---:' * (len(columns) - 1)}|")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def print_target(
    text: str, figures: dict[str, float], *, least: float | None = None, most: float | None = None
) -> None:
    """Print whether the worst of some figures reaches a target, and which one it is.

    Args:
        figures: each with what it is of.
        least: the target is reached from here on; give this or `most`.
        most: the target is reached up to here.
    """
    if least is not None:
        name, figure = min(figures.items(), key=lambda item: item[1])
        reached = figure >= least
    else:
        assert most is not None
        name, figure = max(figures.items(), key=lambda item: item[1])
        reached = figure <= most
    print(f"target: {text}: {'reached' if reached else 'NOT reached'} ({figure:.2f}, {name})")


class OtherLoad:
    """How busy other processes kept the machine, from when this was made until `print` is called."""

    def __init__(self) -> None:
        self._start = self._now()

    def print(self) -> None:
        busy_s, own_s, wall_s = (now - then for now, then in zip(self._now(), self._start, strict=True))
        share = max(busy_s - own_s, 0) / (wall_s * (os.cpu_count() or 1))
        print(f"\nOther processes took {share:.0%} of the machine meanwhile.\n")

    @staticmethod
    def _now() -> tuple[float, float, float]:
        return machine_busy_s(), _own_s(), time.monotonic()


def machine_busy_s() -> float:
    """Seconds since the start in which all processors together were not idle. Source: proc(5), /proc/stat."""
    ticks = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def _own_s() -> float:
    own = os.times()
    return own.user + own.system + own.children_user + own.children_system


def machine() -> str:
    """The processor, the interpreter and the libraries, as a Markdown list."""
    packages = ", ".join(f"{name} {_version(name)}" for name in _PACKAGES)
    return "\n".join(
        (
            f"- {_processor()}, {os.cpu_count()} cores",
            f"- {platform.system()} {platform.release().partition('-')[0]}, {' '.join(platform.libc_ver())}",
            f"- {platform.python_implementation()} {platform.python_version()} with {ssl.OPENSSL_VERSION}",
            f"- {packages}",
            f"- {backend.openssl_version_text()} in cryptography",
        )
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"
