"""A keyring can be anybody's: what it raises comes out as an error of ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from envelope.errors import EnvelopeError, KeyUnavailable
from envelope.keyrings.protocol import Keyring
from envelope.materials import DataKey, UnwrappedBy, UnwrappedDataKey
from envelope.suites import Suite

__all__ = ["check_data_key", "check_unwrapped", "guarded"]

_Arguments = ParamSpec("_Arguments")
_Answer = TypeVar("_Answer")


def guarded(ask: Callable[_Arguments, _Answer], keyring: Keyring, action: str) -> Callable[_Arguments, _Answer]:
    """The same question, after which no foreign exception comes out."""

    def ask_guarded(*arguments: _Arguments.args, **options: _Arguments.kwargs) -> _Answer:
        try:
            return ask(*arguments, **options)
        except EnvelopeError:
            raise
        except Exception as error:
            raise KeyUnavailable(f"{shown_keyring(keyring)} failed to {action}", errors=(error,)) from error

    return ask_guarded


def check_data_key(data_key: object, suite: Suite) -> DataKey:
    """Return what a keyring returned, or raise `KeyUnavailable` if it is not a data key of this suite.

    What encrypted data keys hold is for the message format to check.
    """
    if not isinstance(data_key, DataKey) or type(data_key.plaintext) is not bytes:
        raise KeyUnavailable(f"the keyring returned {type(data_key).__name__}, not a DataKey of bytes")
    if type(data_key.encrypted_data_keys) is not tuple:
        raise KeyUnavailable("the keyring returned encrypted data keys that are no tuple")
    if len(data_key.plaintext) != suite.data_key_bytes:
        raise KeyUnavailable(
            f"the keyring returned a data key of {len(data_key.plaintext)} bytes; "
            f"{suite.name} needs {suite.data_key_bytes}"
        )
    if not data_key.encrypted_data_keys:
        raise KeyUnavailable("the keyring returned no encrypted data key", hint="nobody could open the message")
    return data_key


def check_unwrapped(unwrapped: object, suite: Suite) -> UnwrappedDataKey:
    """Return what a keyring returned, or raise `KeyUnavailable` if it is not an unwrapped data key of this suite."""
    if not isinstance(unwrapped, UnwrappedDataKey) or type(unwrapped.plaintext) is not bytes:
        raise KeyUnavailable(f"the keyring returned {type(unwrapped).__name__}, not an UnwrappedDataKey of bytes")
    if len(unwrapped.plaintext) != suite.data_key_bytes:
        raise KeyUnavailable(
            f"the keyring returned a data key of {len(unwrapped.plaintext)} bytes; "
            f"the suite needs {suite.data_key_bytes}"
        )
    if not isinstance(unwrapped.unwrapped_by, UnwrappedBy):
        raise KeyUnavailable("the keyring does not say who unwrapped the data key", hint="return an UnwrappedBy")
    return unwrapped


def shown_keyring(keyring: object) -> str:
    """A keyring in an error text; its own repr may fail."""
    try:
        return repr(keyring)
    except Exception:  # noqa: BLE001 - somebody else's keyring
        return type(keyring).__name__
