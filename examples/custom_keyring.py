"""Write a keyring: two methods, no base class. This one wraps data keys with AES Key Wrap (RFC 3394)."""

import os

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from envelope import (
    Client,
    DataKey,
    EncryptedDataKey,
    KeyUnavailable,
    UnwrappedBy,
    UnwrappedDataKey,
    UnwrapRequest,
    WrapRequest,
)


class KeyWrapKeyring:
    """Wraps data keys under one AES key. RFC 3394 binds no encryption context to the wrapped key."""

    def __init__(self, key_name: str, wrapping_key: bytes) -> None:
        self._key_name = key_name
        self._wrapping_key = wrapping_key

    def wrap(self, request: WrapRequest) -> DataKey:
        data_key = request.data_key or os.urandom(request.suite.data_key_bytes)
        ciphertext = aes_key_wrap(self._wrapping_key, data_key)
        return DataKey(data_key, (EncryptedDataKey("rfc3394", self._key_name.encode(), ciphertext),))

    def unwrap(self, request: UnwrapRequest) -> UnwrappedDataKey:
        for key in request.encrypted_data_keys:
            if (key.provider_id, key.provider_info) != ("rfc3394", self._key_name.encode()):
                continue
            try:
                data_key = aes_key_unwrap(self._wrapping_key, key.ciphertext)
            except InvalidUnwrap:
                continue
            return UnwrappedDataKey(data_key, UnwrappedBy("KeyWrapKeyring", "rfc3394", self._key_name))
        raise KeyUnavailable(f"no data key of this message is wrapped under {self._key_name}")


def main() -> None:
    client = Client(KeyWrapKeyring("vault-7", os.urandom(32)))
    message = client.encrypt(b"plaintext", {"tenant": "42"})
    print(client.decrypt_message(message))


if __name__ == "__main__":
    main()
