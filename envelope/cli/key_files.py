"""Raw keys in files: an AES key as bytes or as text of them, an RSA key as PEM."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Literal

from envelope.errors import InvalidArgument, KeyUnavailable

__all__ = ["KeyEncoding", "read_aes_key", "read_key_file", "shown_path"]

KeyEncoding = Literal["raw", "hex", "base64"]

AES_KEY_BYTES = (16, 24, 32)
MOST_BYTES = 65_536
"""An RSA key of 16,384 bits takes 13 KiB as PEM."""


def shown_path(path: Path) -> str:
    """The path of a key file as errors name it; without it where somebody has put the key itself there."""
    found = _readings(str(path).encode(errors="surrogateescape"))
    looks_like_a_key = any(len(key) >= min(AES_KEY_BYTES) for kind, key in found.items() if kind != "raw")
    return "(its name looks like a key)" if looks_like_a_key and not path.exists() else repr(str(path))


def read_key_file(path: Path) -> bytes:
    """The content of a key file.

    Raises:
        KeyUnavailable: it cannot be read.
        InvalidArgument: it is too long for a key.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise KeyUnavailable(
            f"cannot read the key file {shown_path(path)}: {error.strerror}",
            hint="the file name is what follows @ in a key word",
        ) from error
    if len(content) > MOST_BYTES:
        raise InvalidArgument(f"{shown_path(path)} has more than {MOST_BYTES:,} bytes and is no key file")
    return content


def read_aes_key(path: Path, encoding: KeyEncoding | None = None) -> bytes:
    """An AES key of 16, 24 or 32 bytes from a file that holds these bytes, or base64 or hexadecimal text of them.

    Args:
        encoding: how the file holds it; None finds out.

    Raises:
        KeyUnavailable: it cannot be read.
        InvalidArgument: it is no AES key, or can be read in two ways.
    """
    content = read_key_file(path)
    found = {kind: key for kind, key in _readings(content).items() if len(key) in AES_KEY_BYTES}
    if encoding is None and "hex" in found:
        found.pop("base64", None)  # random bytes have 32 hexadecimal digits for base64 once in 2**49 cases
    if encoding is not None:
        found = {kind: key for kind, key in found.items() if kind == encoding}
    if len(found) > 1:
        raise InvalidArgument(
            f"{shown_path(path)} can be read as {' and as '.join(sorted(found))}",
            hint=f"say which: add {' or '.join(f'#{kind}' for kind in sorted(found))} behind the file name",
        )
    if not found:
        raise InvalidArgument(
            f"{shown_path(path)} holds no AES key ({len(content):,} bytes)",
            hint="a key file has 16, 24 or 32 bytes, or base64 or hexadecimal text of them; "
            "head -c 32 /dev/urandom > FILE makes one",
        )
    return next(iter(found.values()))


def _readings(content: bytes) -> dict[str, bytes]:
    """The content as it is, and as what its text stands for, as far as it is such text."""
    readings, text = {"raw": content}, content.strip()
    try:
        readings["base64"] = base64.b64decode(text, validate=True)
        readings["hex"] = binascii.unhexlify(text)
    except ValueError:  # every hexadecimal text of a whole key is base64 text too
        pass
    return readings
