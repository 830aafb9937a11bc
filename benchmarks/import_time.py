"""How long does `import envelope` take, and does it leave boto3 alone?

Run it by `python benchmarks/import_time.py`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial

from benchmarks.contest.report import OtherLoad, print_table, print_target
from benchmarks.contest.timing import interleave

ROUNDS = 20
MOST_MS = 80
STATEMENTS = {
    "nothing": "pass",
    "envelope": "import envelope",
    "bare AESGCM": "from cryptography.hazmat.primitives.ciphers.aead import AESGCM",
    "boto3": "import boto3",
    "tink": "from tink import aead",
    "asherah": "import asherah",
    "aws-encryption-sdk": "import aws_encryption_sdk",
}


def _python(statement: str) -> str:
    """What a fresh interpreter prints; with compiled modules, as pip installs them."""
    command = [sys.executable, "-c", statement]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run(  # noqa: S603 - the statements above
        command, check=True, capture_output=True, text=True, env=environment
    ).stdout


def main() -> None:
    load = OtherLoad()
    timings = interleave(
        {name: partial(_python, statement) for name, statement in STATEMENTS.items()}, rounds=ROUNDS, slice_s=0
    )
    bare_ms = timings["nothing"].median_s * 1e3
    figures_ms = {name: timing.median_s * 1e3 - bare_ms for name, timing in timings.items() if name != "nothing"}
    print_table(
        f"Import in a fresh interpreter, without the {bare_ms:.0f} ms of the interpreter itself",
        ("", "ms", "times envelope"),
        ((name, f"{ms:.0f}", f"{ms / figures_ms['envelope']:.1f}") for name, ms in figures_ms.items()),
    )
    load.print()
    print_target(f"import envelope takes less than {MOST_MS} ms", {"median": figures_ms["envelope"]}, most=MOST_MS)
    imported = _python("import envelope, sys; print('boto3' in sys.modules, 'botocore' in sys.modules)").split()
    print_target("import envelope imports neither boto3 nor botocore", {"modules": imported.count("True")}, most=0)


if __name__ == "__main__":
    main()
