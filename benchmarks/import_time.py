"""How long do `import envelope` and `import envelope_secrets` take, and do they leave boto3 alone?

Names of both packages are loaded when they are first asked for: so the lines of a program that reads secrets are here
too.

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
CLIENT, LOCAL_STORE = (f"envelope_secrets, {name}" for name in ("SecretsClient", "LocalSecretStore"))
MOST_MS = {"envelope": 80, "envelope_secrets": 40}
STATEMENTS = {
    "nothing": "pass",
    "envelope": "import envelope",
    "envelope_secrets": "import envelope_secrets",
    CLIENT: "from envelope_secrets import SecretsClient",
    LOCAL_STORE: "from envelope_secrets import LocalSecretStore",
    "bare AESGCM": "from cryptography.hazmat.primitives.ciphers.aead import AESGCM",
    "boto3": "import boto3",
    "tink": "from tink import aead",
    "asherah": "import asherah",
    "aws-encryption-sdk": "import aws_encryption_sdk",
    "aws-secretsmanager-caching": "import aws_secretsmanager_caching",
    "Powertools": "from aws_lambda_powertools.utilities import parameters",
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
    for name, most_ms in MOST_MS.items():
        print_target(f"{STATEMENTS[name]} takes less than {most_ms} ms", {"median": figures_ms[name]}, most=most_ms)
        loaded = "; import sys; print('boto3' in sys.modules, 'botocore' in sys.modules)"
        imported = _python(STATEMENTS[name] + loaded).split()
        print_target(
            f"{STATEMENTS[name]} imports neither boto3 nor botocore", {"modules": imported.count("True")}, most=0
        )


if __name__ == "__main__":
    main()
