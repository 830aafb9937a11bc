"""A place for plaintext that must wait for a signature: memory at first, then an anonymous temporary file.

What is written is sealed under a key that exists only in this object, so nothing readable touches the disk.
"""

from __future__ import annotations

import os

from envelope.crypto.gcm import AESGCM, InvalidTag
from envelope.errors import StreamFailed
from envelope.replacement import translated_os_errors
from envelope.suites import TAG_BYTES

__all__ = ["Spool"]

MEMORY_BYTES = 8 * 1024 * 1024


class Spool:
    """Parts of plaintext, first written, then read in the same order."""

    def __init__(self, memory_bytes: int = MEMORY_BYTES) -> None:
        # Signed streams are rare, and an import costs 5 ms.
        import tempfile

        self._file = tempfile.SpooledTemporaryFile(max_size=memory_bytes)  # noqa: SIM115 - closed by close()
        self._cipher = AESGCM(os.urandom(32))
        self._sizes: list[int] = []
        self._next = 0

    def write(self, plaintext: memoryview) -> None:
        """Add a part."""
        sealed = self._cipher.encrypt(_iv(len(self._sizes)), plaintext, b"")
        with translated_os_errors("write a temporary file"):
            self._file.write(sealed)
        self._sizes.append(len(plaintext))

    def rewind(self) -> None:
        """From now on, read."""
        with translated_os_errors("read a temporary file"):
            self._file.seek(0)

    def next_bytes(self) -> int | None:
        """Length of the next part; None behind the last."""
        return self._sizes[self._next] if self._next < len(self._sizes) else None

    def open_part(self) -> bytes:
        """The next part."""
        size = self._sizes[self._next]
        with translated_os_errors("read a temporary file"):
            sealed = self._file.read(size + TAG_BYTES)
        try:
            plaintext = self._cipher.decrypt(_iv(self._next), sealed, b"")
        except InvalidTag as error:
            raise StreamFailed("a temporary file was changed while it was in use") from error
        self._next += 1
        return plaintext

    def open_into(self, out: memoryview) -> int:
        """The next part, written to the beginning of `out`."""
        plaintext = self.open_part()
        out[: len(plaintext)] = plaintext
        return len(plaintext)

    def close(self) -> None:
        """Give memory and disk back."""
        self._file.close()

    def __del__(self) -> None:
        self.close()  # an abandoned reader has nobody else to do it


def _iv(number: int) -> bytes:
    return number.to_bytes(12, "big")  # the key is fresh and each number is used once
