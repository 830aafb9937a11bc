"""AES-GCM with 12-byte IVs and 16-byte tags.

`AESGCM` objects are used as they are: on a message of 1 KiB a wrapper around each call costs as much as the call.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = ["AESGCM", "InvalidTag"]
