"""A keyring can be anybody's: what it raises comes out as an error of ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from envelope.errors import EnvelopeError, KeyUnavailable
from envelope.keyrings.protocol import Keyring
from envelope.materials import DataKey, UnwrappedDataKey

__all__ = ["checked_data_key", "checked_unwrapped", "guarded"]

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
            raise KeyUnavailable(f"{keyring!r} failed to {action}", errors=(error,)) from error

    return ask_guarded


def checked_data_key(answer: object) -> DataKey:
    """What a keyring returned, if it is a data key; the engine checks what is in it."""
    if not isinstance(answer, DataKey):
        raise KeyUnavailable(f"the keyring returned {type(answer).__name__}, not a DataKey")
    return answer


def checked_unwrapped(answer: object) -> UnwrappedDataKey:
    """What a keyring returned, if it is an unwrapped data key; the engine checks what is in it."""
    if not isinstance(answer, UnwrappedDataKey):
        raise KeyUnavailable(f"the keyring returned {type(answer).__name__}, not an UnwrappedDataKey")
    return answer
