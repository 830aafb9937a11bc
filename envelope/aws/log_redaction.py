"""Keeps keys and secrets out of botocore's debug logs, which hold the bodies of requests and responses.

Source: the calls of `logger.debug` in botocore (1.35 to 1.44). `botocore.endpoint` logs each request with its body,
`botocore.parsers` each response body, `botocore.handlers` the idempotency tokens that it draws. The signer logs the
hash of a body only.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["redact_botocore_logs"]

SECRET_NAMES = (
    "Plaintext",  # KMS: data keys
    "PrivateKeyPlaintext",
    "SharedSecret",
    "SecretString",  # Secrets Manager
    "SecretBinary",
    "RandomPassword",
    "ClientRequestToken",
    "RotationToken",
    "SourceResult",  # Systems Manager: a whole answer of Secrets Manager, for /aws/reference/secretsmanager/...
    "Value",  # Systems Manager parameters
)
LOGGERS = ("botocore.endpoint", "botocore.parsers", "botocore.handlers")
REDACTED = "<redacted>"

# A JSON member of such a name and its text. The end may be missing: a body that was cut is logged as well.
_MEMBER = rf'("(?:{"|".join(SECRET_NAMES)})"\s*:\s*)"(?:[^"\\]|\\.|\\\Z)*+"?'
# What a service says of a value that it does not take: "Value '...' at 'secretString' failed to satisfy constraint".
_QUOTE = r'("[Mm]essage"\s*:\s*)"(?=(?:[^"\\]|\\.)*?[Vv]alue)(?:[^"\\]|\\.|\\\Z)*+"?'
_TEXT = re.compile(f"{_MEMBER}|{_QUOTE}", re.DOTALL)
_BYTES = re.compile(f"{_MEMBER}|{_QUOTE}".encode(), re.DOTALL)


def redact_botocore_logs() -> None:
    """From now on no log record of botocore holds the value of a `SECRET_NAMES` member. Repeating it does nothing."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_filter)


def _filter(record: logging.LogRecord) -> bool:
    """Replace what a record would show; never what botocore goes on working with."""
    arguments = record.args
    if isinstance(arguments, tuple) and any(argument in SECRET_NAMES for argument in arguments if _is_text(argument)):
        record.args = tuple(REDACTED if _is_text(argument) else argument for argument in arguments)
    else:
        record.args = redacted(arguments)
    return True


def redacted(value: Any) -> Any:
    """The same value without secrets, as a copy where it held some."""
    if isinstance(value, Mapping):
        return {name: REDACTED if name in SECRET_NAMES else redacted(member) for name, member in value.items()}
    if isinstance(value, tuple):
        return tuple(redacted(member) for member in value)
    if isinstance(value, list):
        return [redacted(member) for member in value]
    if isinstance(value, str):
        return _redacted_text(value)
    if isinstance(value, bytes | bytearray):
        return _redacted_bytes(bytes(value))
    return value


def _redacted_text(text: str) -> str:
    if text.lstrip().startswith("{"):
        return _TEXT.sub(rf'\1\2"{REDACTED}"', text)
    return text


def _redacted_bytes(body: bytes) -> bytes:
    if body.lstrip().startswith(b"{"):
        return _BYTES.sub(rb'\1\2"' + REDACTED.encode() + b'"', body)
    # Another encoding, like CBOR: nothing says where a secret ends.
    return REDACTED.encode() if any(name.encode() in body for name in SECRET_NAMES[:-1]) else body


def _is_text(value: object) -> bool:
    return isinstance(value, str)
