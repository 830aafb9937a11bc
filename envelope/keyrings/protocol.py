"""What a keyring is, and how several encrypted data keys are tried in turn.

Anybody can write a keyring: two methods, no base class. docs/keyrings.md has one of twenty lines.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from envelope.errors import InvalidArgument, KeyUnavailable, UnwrapFailed
from envelope.materials import (
    DataKey,
    EncryptedDataKey,
    UnwrappedBy,
    UnwrappedDataKey,
    UnwrapRequest,
    WrapRequest,
)

_SHOWN_CHARACTERS = 200

__all__ = ["Keyring", "check_keyring", "unwrap_first"]


@runtime_checkable
class Keyring(Protocol):
    """Wraps and unwraps data keys. It is called from several threads at once.

    Source: AWS Encryption SDK specification, framework/keyring-interface.md (OnEncrypt, OnDecrypt).
    """

    def wrap(self, request: WrapRequest) -> DataKey:
        """Wrap `request.data_key`; where it is None, a new random key of `request.suite.data_key_bytes` bytes.

        Raises:
            EnvelopeError: the key cannot be wrapped, `KeyUnavailable` for a reason outside the call. Any other
                `Exception` is turned into `KeyUnavailable`.
        """
        ...

    def unwrap(self, request: UnwrapRequest) -> UnwrappedDataKey:
        """Unwrap the first of `request.encrypted_data_keys` that this keyring can unwrap.

        Raises:
            KeyUnavailable: none of them; `.errors` has one `UnwrapFailed` for each. Any other `Exception` is turned
                into `KeyUnavailable`.
        """
        ...


def check_keyring(keyring: object, name: str = "keyring") -> Keyring:
    """Return `keyring`, or raise `InvalidArgument` if it does not have the two methods."""
    if isinstance(keyring, type) or not isinstance(keyring, Keyring):
        shown = keyring.__name__ if isinstance(keyring, type) else type(keyring).__name__
        raise InvalidArgument(
            f"{name} must be a keyring, not {shown}",
            hint="for example RawAesKeyring(namespace, name, wrapping_key); anything with wrap and unwrap will do",
        )
    return keyring


def unwrap_first(
    request: UnwrapRequest,
    *,
    keyring: str,
    unwrap_one: Callable[[EncryptedDataKey], bytes],
    key_name: Callable[[EncryptedDataKey], str],
) -> UnwrappedDataKey:
    """Try each encrypted data key in its order; the first that unwraps to the right length wins.

    Args:
        keyring: the keyring's name for itself.
        unwrap_one: gives the data key, or raises an `UnwrapRefused` that says why not.
        key_name: the key that an encrypted data key names, for the reports.
    """
    failures: list[UnwrapFailed] = []
    for key in request.encrypted_data_keys:
        try:
            plaintext = unwrap_one(key)
            check_unwrapped_length(plaintext, request)
        except UnwrapRefused as refusal:
            failure = UnwrapFailed(
                f"{keyring}: {refusal}", keyring=keyring, provider_id=key.provider_id, key_name=key_name(key)
            )
            failure.__cause__ = refusal.__cause__
            failures.append(failure)
        else:
            return UnwrappedDataKey(plaintext, UnwrappedBy(keyring, key.provider_id, key_name(key)))
    raise no_keyring_could(tuple(failures), request)


class UnwrapRefused(Exception):
    """Why one encrypted data key was not unwrapped; becomes an `UnwrapFailed`."""


def check_unwrapped_length(plaintext: bytes, request: UnwrapRequest) -> None:
    """Raise `UnwrapRefused` if a data key has not the length that the suite needs."""
    if len(plaintext) != request.suite.data_key_bytes:
        raise UnwrapRefused("what was unwrapped is not a data key of the suite's length")


def no_keyring_could(errors: tuple[Exception, ...], request: UnwrapRequest) -> KeyUnavailable:
    """The error of an unwrap for which there is nothing left to try."""
    named = ", ".join(shown_key(key) for key in request.encrypted_data_keys[:3])
    more = ", ..." if len(request.encrypted_data_keys) > 3 else ""
    return KeyUnavailable(
        f"no keyring could unwrap the data key ({len(errors)} tried)",
        hint=f"the message names {named}{more}; .errors of this exception says why each was not unwrapped",
        errors=errors,
    )


def shown_key(key: EncryptedDataKey) -> str:
    """Provider and key that an encrypted data key names, fit for an error text: anybody may have written them."""
    return f"{_printable(key.provider_id)}:{shown_key_name(key)}"


def shown_key_name(key: EncryptedDataKey) -> str:
    """The provider information as far as it is readable: a raw AES keyring puts binary fields behind the name."""
    return _printable(key.provider_info.split(b"\0", 1)[0].decode(errors="replace"))


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text[:_SHOWN_CHARACTERS])
