"""Run all benchmarks, each in a process of its own, and print one Markdown report.

Run it by `python -m benchmarks`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.contest.report import machine

SCRIPTS = (
    "small_messages",
    "large_messages",
    "streams",
    "page_faults",
    "threads",
    "data_key_cache",
    "secrets_cache",
    "memory",
    "import_time",
    "command_line",
)


def main() -> None:
    reports = {}
    for name in SCRIPTS:
        print(f"benchmarks/{name}.py ...", file=sys.stderr)
        script = Path(__file__).with_name(f"{name}.py")
        reports[name] = subprocess.run(  # noqa: S603 - the scripts beside this one
            [sys.executable, str(script)], check=True, capture_output=True, text=True
        ).stdout
    lines = [line for report in reports.values() for line in report.splitlines()]
    print(f"{machine()}\n\n### Targets\n")
    print(*(f"- {line.removeprefix('target: ')}" for line in lines if _is_target(line)), sep="\n")
    for name, report in reports.items():
        tables = "\n".join(line for line in report.splitlines() if not _is_target(line))
        print(f"\n### `benchmarks/{name}.py`\n\n{tables.strip()}")


def _is_target(line: str) -> bool:
    return line.startswith("target: ")


if __name__ == "__main__":
    main()
