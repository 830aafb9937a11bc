"""The command `envelope`. Importing this loads neither click nor rich nor boto3."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main", "version"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, by default those of the process; return the exit status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given == ["--version"]:  # click alone takes 50 ms
        sys.stdout.write(f"envelope {version()}\n")
        return 0
    try:
        import click  # noqa: F401 - is it there?
    except ModuleNotFoundError:
        sys.stderr.write("envelope: error: the command needs its extra\n")
        sys.stderr.write("envelope: hint: pip install 'envelope-kms[cli]'\n")
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
