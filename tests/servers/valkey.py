"""Valkey, which Debian 12 does not have: the one on the path, or from the folder that ``ENVELOPE_VALKEY_FOLDER`` names.

The folder is the root of a system into which packages were unpacked, as `tests/servers/unpack_valkey` makes it. Its
programs run with the libraries that are in it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.processes import find_binary
from tests.servers.redis import RunningRedis, running_redis

__all__ = ["FOLDER_VARIABLE", "running_valkey"]

FOLDER_VARIABLE = "ENVELOPE_VALKEY_FOLDER"
PACKAGE = f"valkey-server, or run tests/servers/unpack_valkey and set {FOLDER_VARIABLE}"


def _valkey_server() -> list[str]:
    folder = os.environ.get(FOLDER_VARIABLE, "")
    if not folder:
        return [find_binary("valkey-server", package=PACKAGE)]
    root = Path(folder).resolve()
    loader = root / "usr/lib64/ld-linux-x86-64.so.2"
    return [str(loader), "--library-path", str(root / "usr/lib/x86_64-linux-gnu"), str(root / "usr/bin/valkey-server")]


@contextmanager
def running_valkey() -> Iterator[RunningRedis]:
    """Start one; `NoServer` says what to do."""
    with running_redis(_valkey_server()) as server:
        yield server
