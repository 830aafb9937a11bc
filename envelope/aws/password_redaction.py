"""Keeps passwords out of botocore's debug logs, which hold the forms that are sent to ElastiCache."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

__all__ = ["redact_passwords"]

LOGGER = "botocore.endpoint"
REDACTED = "<redacted>"


def redact_passwords() -> None:
    """From now on no log record of botocore holds the value of a member Passwords. Repeating it does nothing."""
    logging.getLogger(LOGGER).addFilter(_filter)


def _filter(record: logging.LogRecord) -> bool:
    """Replace what a record would show; never what botocore goes on working with."""
    if isinstance(record.args, tuple):
        record.args = tuple(map(_redacted, record.args))
    return True


def _redacted(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {
        name: REDACTED if isinstance(name, str) and name.startswith("Passwords") else _redacted(member)
        for name, member in value.items()
    }
