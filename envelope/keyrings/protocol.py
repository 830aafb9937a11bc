"""What a keyring is, and how several encrypted data keys are tried in turn.

Anybody can write a keyring: two methods, no base class. docs/keyrings.md has one of twenty lines.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from envelope.errors import EnvelopeError, InvalidArgument, KeyUnavailable, UnwrapFailed
from envelope.materials import (
    DataKey,
    EncryptedDataKey,
    UnwrappedBy,
    UnwrappedDataKey,
    UnwrapRequest,
    WrapRequest,
)

_SHOWN_CHARACTERS = 200

__all__ = ["CountingKeyring", "Keyring", "check_keyring", "unwrap_first"]


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


@runtime_checkable
class CountingKeyring(Keyring, Protocol):
    """A keyring that gives one data key for several messages, and counts messages and bytes.

    Where the suite signs, it makes the signing key with the data key: `request.encryption_context` comes without the
    public key, and `DataKey.signing_key` has to be there.
    """

    def wrap_for(self, request: WrapRequest, plaintext_bytes: int) -> DataKey:
        """Like `wrap`, for one message of exactly so many bytes."""
        ...

    def wrap_stream(self, request: WrapRequest, least_bytes: int | None) -> DataKey:
        """Like `wrap`, for one message of some length: so many bytes as far as is known, and None where nothing is.

        Whatever was said before, `DataKey.count_bytes` is told how many there are as they flow.
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
                f"{keyring}: {refusal}",
                keyring=keyring,
                provider_id=key.provider_id,
                key_name=key_name(key),
                hint=refusal.hint,
                errors=refusal.errors,
            )
            failure.__cause__ = refusal.__cause__
            failures.append(failure)
        else:
            return UnwrappedDataKey(plaintext, UnwrappedBy(keyring, key.provider_id, key_name(key)))
    raise no_keyring_could(tuple(failures), request)


class UnwrapRefused(Exception):
    """Why one encrypted data key was not unwrapped; becomes an `UnwrapFailed`.

    Attributes:
        hint: what to do about it, or empty.
        errors: what went wrong outside, like a failed call.
    """

    def __init__(self, reason: str, *, hint: str = "", errors: tuple[Exception, ...] = ()) -> None:
        super().__init__(reason)
        self.hint = hint
        self.errors = errors


def in_order_of(rank: Callable[[EncryptedDataKey], int], request: UnwrapRequest) -> UnwrapRequest:
    """The same request with its encrypted data keys sorted.

    Args:
        rank: less is earlier; one for which it raises `UnwrapRefused` goes to the end. Equals keep their order.
    """
    if len(request.encrypted_data_keys) == 1:
        return request

    def rank_or_last(key: EncryptedDataKey) -> tuple[bool, int]:
        try:
            return False, rank(key)
        except UnwrapRefused:
            return True, 0

    keys = tuple(sorted(request.encrypted_data_keys, key=rank_or_last))
    return UnwrapRequest(request.suite, request.encryption_context, keys)


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
        hint=f"the message names {named}{more}; {_first_hint(errors) or _NO_HINT}",
        errors=errors,
    )


_NO_HINT = ".errors of this exception says why each was not unwrapped"


def _first_hint(errors: tuple[Exception, ...]) -> str:
    """What to do about the first cause. A call that failed tells more than a key that belongs to somebody else."""
    causes = [error for error in errors if isinstance(error, EnvelopeError) and error.hint]
    failed = [cause for cause in causes if getattr(cause, "errors", ())]
    return next((cause.hint for cause in failed + causes), "")


def shown_key(key: EncryptedDataKey) -> str:
    """Provider and key that an encrypted data key names, fit for an error text: anybody may have written them."""
    return f"{_printable(key.provider_id)}:{shown_key_name(key)}"


def shown_key_name(key: EncryptedDataKey) -> str:
    """The provider information as far as it is readable: a raw AES keyring puts binary fields behind the name."""
    return _printable(key.provider_info.split(b"\0", 1)[0].decode(errors="replace"))


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text[:_SHOWN_CHARACTERS])
