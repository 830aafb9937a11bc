"""Keeps the secret parts of access keys out of botocore's debug logs, which hold the XML that IAM answers."""

from __future__ import annotations

import logging
import re

__all__ = ["redact_access_keys"]

LOGGERS = ("botocore.parsers", "botocore.endpoint")

# The end may be missing: a body that was cut is logged as well.
_TEXT = re.compile(r"(<SecretAccessKey>)[^<]*")
_BYTES = re.compile(_TEXT.pattern.encode())


def redact_access_keys() -> None:
    """From now on no log record of botocore holds the text of a SecretAccessKey. Repeating it does nothing."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_filter)


def _filter(record: logging.LogRecord) -> bool:
    """Replace what a record would show; never what botocore goes on working with."""
    if isinstance(record.args, tuple):
        record.args = tuple(map(_redacted, record.args))
    return True


def _redacted(argument: object) -> object:
    if isinstance(argument, str):
        return _TEXT.sub(r"\1<redacted>", argument)
    if isinstance(argument, bytes):
        return _BYTES.sub(rb"\1<redacted>", argument)
    return argument
