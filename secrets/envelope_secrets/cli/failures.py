"""The exit statuses of exceptions about secrets, in the sense of docs/cli.md.

1    no such secret, version or field; it is scheduled for deletion; an input or output cannot be read or written; the
     target of a rotation did not do what it was asked
2    usage, and what this store cannot do
3    refused: by a compare-and-swap that found something else, by the store's rules, or by those of rotations
4    the key of the secret, the file of the store, AWS, or the target of a rotation is not available
126, 127    exec: the program cannot be run, is not found
"""

from __future__ import annotations

import contextlib
import errno
import json
import sys

from envelope.cli.failure import FAILED, REFUSED, UNAVAILABLE, USAGE, described, exit_code_of, show_error
from envelope.cli.report import Report
from envelope.errors import EnvelopeError, StreamFailed
from envelope_secrets.errors import (
    NotSupported,
    SecretConflict,
    SecretKeyUnavailable,
    SecretRefused,
    SecretsError,
    StoreFailed,
)
from envelope_secrets.rotation.failures import RotationRefused, TargetUnreachable, TlsFailed

__all__ = ["CannotRun", "reported", "status_of"]

CANNOT_RUN, NOT_FOUND = 126, 127
"""As of env, nohup and every shell."""

_STATUSES: tuple[tuple[type[SecretsError], int], ...] = (
    (NotSupported, USAGE),
    (SecretConflict, REFUSED),
    (SecretRefused, REFUSED),
    (SecretKeyUnavailable, UNAVAILABLE),
    (StoreFailed, UNAVAILABLE),
    (RotationRefused, REFUSED),
    (TargetUnreachable, UNAVAILABLE),
    (TlsFailed, UNAVAILABLE),
)


class CannotRun(StreamFailed):
    """A program cannot be started.

    Attributes:
        status: 127 if there is none of that name, otherwise 126.
    """

    def __init__(self, name: str, error: OSError, *, hint: str = "") -> None:
        super().__init__(f"cannot run {name!r}: {error.strerror or 'the operating system refused'}", hint=hint)
        self.status = NOT_FOUND if error.errno == errno.ENOENT else CANNOT_RUN


def status_of(error: BaseException) -> int:
    """The exit status that a failure stands for."""
    if isinstance(error, CannotRun):
        return error.status
    if isinstance(error, SecretsError):
        return next((status for kind, status in _STATUSES if isinstance(error, kind)), FAILED)
    return exit_code_of(error)


def reported(report: Report, error: EnvelopeError, subject: str = "") -> int:
    """Say that something failed, as `Report.failed` does; return the exit status that it stands for.

    Args:
        subject: the secret that it is about, where there are several.
    """
    status = status_of(error)
    if status == exit_code_of(error):
        return report.failed(error, subject)
    with report.lock, contextlib.suppress(OSError):  # where nothing can be said, the status still tells
        shown = {**described(error, subject=subject), "exit_code": status}
        if report.log_json:
            shown = {"time": report.clock().isoformat(), "level": "error", "event": "failed", **shown}
        if report.log_json or report.as_json:
            sys.stderr.write(json.dumps(shown) + "\n")
        else:
            show_error(error, subject=subject, details=report.verbose > 1)
    return status
