"""The command `envelope`. Importing this loads neither click nor rich nor boto3."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main", "version"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, by default those of the process; return the exit status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given == ["--version"]:  # click alone takes 50 ms
        return _show_version()
    if arguments is None:
        from envelope.cli.own_process import prepare

        prepare()
    try:
        import click  # noqa: F401 - is it there?
    except ModuleNotFoundError:
        sys.stderr.write("envelope: error: the command needs its extra\n")
        sys.stderr.write("envelope: hint: pip install 'envelope-kms[cli]'; in a checkout: pip install '.[cli]'\n")
        return 2
    from envelope.cli.program import start

    return start(given)


def version() -> str:
    """The version of the installed distribution."""
    from importlib import metadata

    try:
        return metadata.version("envelope-kms")
    except metadata.PackageNotFoundError:
        return "(not installed)"


def _show_version() -> int:
    if sys.stdout is None:  # it is closed
        return 1
    try:
        sys.stdout.write(f"envelope {version()}\n")
        sys.stdout.flush()
    except OSError:
        sys.stdout = None  # or the interpreter would write it once more at its end, and say so
        return 1
    return 0
