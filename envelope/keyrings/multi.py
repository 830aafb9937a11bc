"""Multi-keyring: one data key wrapped under several keys, any of which opens the message.

Source: AWS Encryption SDK specification, framework/multi-keyring.md.
"""

from __future__ import annotations

from collections.abc import Iterable

from envelope.errors import InvalidArgument, KeyUnavailable
from envelope.keyrings.protocol import Keyring, check_keyring, no_keyring_could
from envelope.materials import DataKey, EncryptedDataKey, UnwrappedDataKey, UnwrapRequest, WrapRequest

__all__ = ["MultiKeyring"]


class MultiKeyring:
    """Wraps each data key under a generator and under every child.

    On encryption the generator makes the data key, and one keyring that fails fails all. On decryption the generator,
    then the children are tried in their order, and the first that succeeds is enough.

    Args:
        generator: makes the data keys. Without it this keyring decrypts, and encrypts only as a child of another.
        children: more keyrings.

    Raises:
        InvalidArgument: no keyring at all, or something that is none.
    """

    __slots__ = ("_children", "_generator")

    def __init__(self, generator: Keyring | None = None, children: Iterable[Keyring] = ()) -> None:
        self._generator = None if generator is None else check_keyring(generator, "generator")
        if isinstance(children, Keyring) or not isinstance(children, Iterable):
            raise InvalidArgument(
                f"children must be several keyrings, not {type(children).__name__}", hint="children=[keyring]"
            )
        self._children = tuple(check_keyring(child, "each child") for child in children)
        if generator is None and not self._children:
            raise InvalidArgument("a multi-keyring needs a generator, a child, or both")

    def __repr__(self) -> str:
        return f"MultiKeyring(generator={self._generator!r}, children={list(self._children)!r})"

    def wrap(self, request: WrapRequest) -> DataKey:
        """See `Keyring.wrap`."""
        data_key, count_bytes = request.data_key, None
        encrypted_data_keys: list[EncryptedDataKey] = []
        if self._generator is not None:
            generated = self._generator.wrap(request)
            data_key, count_bytes = generated.plaintext, generated.count_bytes
            encrypted_data_keys += generated.encrypted_data_keys
        if data_key is None:
            raise InvalidArgument(
                "a multi-keyring without a generator cannot make a data key",
                hint="give the keyring that shall make data keys as generator=",
            )
        child_request = WrapRequest(request.suite, request.encryption_context, data_key)
        for child in self._children:
            wrapped = child.wrap(child_request)
            if wrapped.plaintext != data_key:
                raise KeyUnavailable(f"{child!r} wrapped another data key than the one it was given")
            encrypted_data_keys += wrapped.encrypted_data_keys
        return DataKey(data_key, tuple(encrypted_data_keys), count_bytes=count_bytes)

    def unwrap(self, request: UnwrapRequest) -> UnwrappedDataKey:
        """See `Keyring.unwrap`."""
        errors: list[Exception] = []
        for keyring in (self._generator, *self._children):
            if keyring is None:
                continue
            try:
                return keyring.unwrap(request)
            except KeyUnavailable as error:
                errors += error.errors or (error,)
            except Exception as error:  # noqa: BLE001 - a keyring of anybody's; the next one may still do
                errors.append(error)
        raise no_keyring_could(tuple(errors), request)
