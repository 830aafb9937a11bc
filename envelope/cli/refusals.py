"""When no key opens a message because of a pair that was given: say so, and end with the status of a refusal.

The library takes a pair that the message does not store for one that was left out of it on purpose. Keys open the
message only with the pairs that it was encrypted with, so a wrong pair looks like a wrong key there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import BinaryIO, cast

from envelope.binary_files import checked_reader
from envelope.errors import (
    AwsAccessDenied,
    AwsMisconfigured,
    AwsUnavailable,
    ContextMismatch,
    KeyUnavailable,
    MessageRefused,
)
from envelope.message.header import parse_header

__all__ = ["Watched", "context_refused"]

HEADER_BYTES = 256 * 1024
MAX_ENCRYPTED_DATA_KEYS = 65_535


class Watched:
    """A message that is read, of which the start is kept until it is known whether its key is there."""

    def __init__(self, source: BinaryIO) -> None:
        self._read_into = checked_reader(source, "source")
        self.start = bytearray()

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill a part of the buffer; 0 at the end."""
        count = self._read_into(buffer)
        if len(self.start) < HEADER_BYTES:
            self.start += buffer[:count]
        return count

    def as_file(self) -> BinaryIO:
        """This, for the library, which needs one method only."""
        return cast("BinaryIO", self)


@contextmanager
def context_refused(pairs: Mapping[str, str], message: Watched | bytes) -> Iterator[None]:
    """Turn `KeyUnavailable` into `ContextMismatch` where the message does not store one of the pairs.

    Unless AWS did not answer, or did not let the caller ask.
    """
    try:
        yield
    except KeyUnavailable as error:
        names = _unstored(pairs, message if isinstance(message, bytes) else bytes(message.start))
        if not names or any(isinstance(cause, _OTHER_REASONS) for cause in _causes(error)):
            raise
        raise ContextMismatch(
            f"the message does not store {names}, and no key opens it with the pairs given",
            hint="leave out what the message was not encrypted with; if all pairs are right, the key is another one",
        ) from error


_OTHER_REASONS = (AwsAccessDenied, AwsMisconfigured, AwsUnavailable)


def _unstored(pairs: Mapping[str, str], start: bytes) -> str:
    try:
        stored = parse_header(start, max_encrypted_data_keys=MAX_ENCRYPTED_DATA_KEYS).encryption_context
    except MessageRefused:  # a header longer than what was kept
        return ""
    return ", ".join(repr(name) for name in pairs if name not in stored)


def _causes(error: KeyUnavailable) -> Iterator[Exception]:
    for cause in error.errors:
        yield cause
        if isinstance(cause, KeyUnavailable):
            yield from _causes(cause)
