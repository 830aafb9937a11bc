"""A second Python process with the same library, for what must not happen to the process of the tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import envelope

_PREAMBLE = """
import io, os, pickle, sys
from pathlib import Path
from envelope import *
client = Client(RawAesKeyring("tests", "key", bytes([1]) * 32))
"""


def start_python(code: str, *arguments: object, cwd: Path | None = None) -> subprocess.Popen[bytes]:
    """Start Python on this code, with `client` like `Client(raw_aes())`, and pipes for input and output.

    In development mode, which tells of unclosed files and of exceptions in finalizers.
    """
    paths = [str(Path(envelope.__file__).parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.Popen(
        [sys.executable, "-X", "dev", "-c", _PREAMBLE + code, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def run_python(code: str, *arguments: object, cwd: Path | None = None, stdin: bytes = b"") -> bytes:
    """Run Python on this code to its end, which says nothing on standard error; return what it wrote."""
    with start_python(code, *arguments, cwd=cwd) as child:
        output, errors = child.communicate(stdin, timeout=60)
    assert (child.returncode, errors) == (0, b""), errors.decode()
    return output
