"""Where a signing key comes from: fresh, with its public key in the encryption context that the data key is bound to.

Source: AWS Encryption SDK specification, framework/default-cmm.md#get-encryption-materials.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from envelope.context import PUBLIC_KEY_NAME
from envelope.materials import WrapRequest

if TYPE_CHECKING:
    from envelope.crypto.ecdsa import SigningKey

__all__ = ["with_signing_key"]


def with_signing_key(request: WrapRequest, curve: str) -> tuple[WrapRequest, SigningKey]:
    """The request that a keyring gets for a signed message, and the private key to the public one in it."""
    from envelope.crypto.ecdsa import SigningKey  # 15 ms that most programs never need

    key = SigningKey(curve)
    context = request.encryption_context.plus({PUBLIC_KEY_NAME: key.public_key_text()})
    return WrapRequest(request.suite, context), key
