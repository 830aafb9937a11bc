"""The bare cipher: what the other contenders are measured against."""

from __future__ import annotations

import os
from collections.abc import Callable
from io import BytesIO

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = ["BareAesGcm", "BareFrames"]

TAG_BYTES = 16


class BareAesGcm:
    """One AES-256-GCM call under a key that stays, over as much associated data as a frame has."""

    def __init__(self) -> None:
        self.cipher = AESGCM(os.urandom(32))
        self.iv = os.urandom(12)
        self.aad = os.urandom(77)

    def encrypt(self, plaintext: bytes) -> bytes:
        return self.cipher.encrypt(self.iv, plaintext, self.aad)

    def decrypt(self, sealed: bytes) -> bytes:
        return self.cipher.decrypt(self.iv, sealed, self.aad)


class BareFrames:
    """`AESGCM` over a plaintext in pieces of the frame length, into one buffer; one IV and one associated data for all.

    That is no message and no safe use of the cipher, only the fastest that its calls can be made.
    """

    def __init__(self, plaintext: bytes, frame_length_bytes: int) -> None:
        self._cipher, self._iv, self._aad = AESGCM(os.urandom(32)), os.urandom(12), os.urandom(71)
        self._frame_length = frame_length_bytes
        self._plaintext = plaintext
        self._sealed = b"".join(
            self._cipher.encrypt(self._iv, plaintext[start : start + frame_length_bytes], self._aad)
            for start in range(0, len(plaintext), frame_length_bytes)
        )
        self._out = bytearray(frame_length_bytes + TAG_BYTES)

    def encrypt(self) -> None:
        self._each(self._cipher.encrypt_into, self._plaintext, self._frame_length, self._out)

    def decrypt(self) -> None:
        out = memoryview(self._out)[: self._frame_length]
        self._each(self._cipher.decrypt_into, self._sealed, self._frame_length + TAG_BYTES, out)

    def encrypt_from_file(self) -> None:
        """Each piece is read into a buffer first, as every reader of a binary file has to."""
        piece = bytearray(self._frame_length)
        source = BytesIO(self._plaintext)
        while source.readinto(piece):
            self._cipher.encrypt_into(self._iv, piece, self._aad, self._out)

    def decrypt_from_file(self) -> None:
        piece = bytearray(self._frame_length + TAG_BYTES)
        out = memoryview(self._out)[: self._frame_length]
        source = BytesIO(self._sealed)
        while source.readinto(piece):
            self._cipher.decrypt_into(self._iv, piece, self._aad, out)

    def _each(self, call: Callable[..., int], source: bytes, size: int, out: bytearray | memoryview) -> None:
        view, iv, aad = memoryview(source), self._iv, self._aad
        for start in range(0, len(source), size):
            call(iv, view[start : start + size], aad, out)
