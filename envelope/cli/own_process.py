"""What the command changes in a process that is its own, before it does anything else."""

from __future__ import annotations

import contextlib
import resource
import signal

__all__ = ["prepare"]


def prepare() -> None:
    """Let SIGINT end the process in silence while it starts, and let no passphrase or key get into a core file."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
