"""Runs one server until its standard input ends, then stops the server and removes its folder.

It is a process of its own so that nothing is left over however the tests end: when they are killed, their end of the
pipe closes too. Called as ``python guardian.py FOLDER SIGNAL UID COMMAND...``; a UID of -1 changes nothing.
"""

from __future__ import annotations

import select
import shutil
import subprocess
import sys
from pathlib import Path

STOP_S = 10


def main(folder: str, signal_number: str, uid: str, *command: str) -> None:
    identity = {} if uid == "-1" else {"user": int(uid), "group": int(uid), "extra_groups": []}
    with (Path(folder) / "log").open("ab") as log:
        server = subprocess.Popen(  # type: ignore[call-overload]  # the keywords are there or not
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **identity
        )
    try:
        while server.poll() is None and not select.select([sys.stdin], [], [], 0.2)[0]:
            pass
        if server.poll() is not None:
            sys.stderr.write((Path(folder) / "log").read_text(errors="replace")[-2_000:])
    finally:
        server.send_signal(int(signal_number))
        try:
            server.wait(STOP_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
