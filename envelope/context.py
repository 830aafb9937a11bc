"""The encryption context: checks, canonical bytes, reserved names.

An encryption context is a set of name-value pairs that is authenticated with a message and stored in it in
the clear. It is also what key policies of AWS KMS can be conditioned on, and it stands in CloudTrail: no secrets.

Source: AWS Encryption SDK specification, framework/structures.md#encryption-context.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from envelope.errors import ContextMismatch, InvalidArgument

__all__ = ["EMPTY_CONTEXT", "PUBLIC_KEY_NAME", "RESERVED_PREFIX", "EncryptionContext", "check_context"]

RESERVED_PREFIX = "aws-crypto-"
PUBLIC_KEY_NAME = "aws-crypto-public-key"

MAX_SERIALIZED_BYTES = 65_535
"""The header counts the serialized pairs in two bytes."""

_U16 = struct.Struct(">H")


class EncryptionContext(Mapping[str, str]):
    """An immutable encryption context: a mapping of text to text.

    Attributes:
        serialized: the canonical bytes: empty for no pairs, else a count and the pairs sorted by the UTF-8 bytes of
            their names. Every keyring that binds the context to a data key authenticates these bytes.
    """

    __slots__ = ("_pairs", "serialized")

    _pairs: dict[str, str]
    serialized: bytes

    def __init__(self, pairs: Mapping[str, str]) -> None:
        """Take a copy of the pairs. Empty and reserved names may stand in it: a message can store them.

        Raises:
            InvalidArgument: not a mapping of text to text, text that UTF-8 cannot encode, or more than 65,535 bytes
                serialized.
        """
        if not isinstance(pairs, Mapping):
            raise _not_a_mapping(pairs)
        copied = dict(pairs)
        if len(copied) > MAX_SERIALIZED_BYTES:
            raise _too_large()
        serialized = serialize_pairs(sorted(_encoded_pair(name, value) for name, value in copied.items()))
        if len(serialized) > MAX_SERIALIZED_BYTES:
            raise _too_large()
        object.__setattr__(self, "_pairs", copied)
        object.__setattr__(self, "serialized", serialized)

    def __setattr__(self, name: str, value: object) -> None:
        # Contexts are remembered and shared between messages: a keyring of anybody's must not change one.
        raise AttributeError(f"an encryption context cannot be changed: {name}")

    def __reduce__(self) -> tuple[object, ...]:
        return EncryptionContext, (self._pairs,)

    def __getitem__(self, name: str) -> str:
        return self._pairs[name]

    def __contains__(self, name: object) -> bool:
        return name in self._pairs

    def __iter__(self) -> Iterator[str]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)

    def __hash__(self) -> int:
        return hash(self.serialized)

    def __repr__(self) -> str:
        # The names only: the values are not secret, but they are often personal data.
        return f"EncryptionContext(names={sorted(self._pairs)!r})"

    def items_tuple(self) -> tuple[tuple[str, str], ...]:
        """The pairs, faster than through the mapping's view."""
        return tuple(self._pairs.items())

    def plus(self, pairs: Mapping[str, str]) -> EncryptionContext:
        """This context and more pairs.

        Raises:
            InvalidArgument: together they take too many bytes.
        """
        return EncryptionContext({**self._pairs, **pairs}) if pairs else self

    def without(self, names: Iterable[str]) -> EncryptionContext:
        """This context less the pairs of those names."""
        left_out = frozenset(names)
        if not left_out:
            return self
        return EncryptionContext({name: value for name, value in self._pairs.items() if name not in left_out})

    def only(self, names: Iterable[str]) -> EncryptionContext:
        """The pairs of those names."""
        pairs = {name: self._pairs[name] for name in names}
        return EncryptionContext(pairs) if pairs else EMPTY_CONTEXT


def serialize_pairs(pairs: list[tuple[bytes, bytes]]) -> bytes:
    """The bytes of these pairs in this order; no bytes at all for no pairs."""
    if not pairs:
        return b""
    parts = [_U16.pack(len(pairs))]
    for name, value in pairs:
        parts += (_U16.pack(len(name)), name, _U16.pack(len(value)), value)
    return b"".join(parts)


EMPTY_CONTEXT = EncryptionContext({})


def check_context(context: object, *, reserved_allowed: bool) -> EncryptionContext:
    """The caller's encryption context, checked.

    Args:
        context: a mapping of text to text.
        reserved_allowed: whether names that begin with ``aws-crypto-`` may stand in it: on decryption, where they
            are only compared.

    Raises:
        InvalidArgument: not a mapping, a name or value that is no text, an empty or reserved name, text that UTF-8
            cannot encode, or more than 65,535 bytes serialized.
    """
    items = context_items(context)
    if not items:
        return EMPTY_CONTEXT
    try:
        return _remembered(items, reserved_allowed)
    except TypeError:  # an unhashable name or value, which is no text: say so properly
        return _checked(items, reserved_allowed)


def context_items(context: object) -> tuple[tuple[str, str], ...]:
    """The pairs of a mapping as it stands now, not checked; `InvalidArgument` if it is no mapping."""
    if isinstance(context, dict):
        return tuple(context.items())
    if isinstance(context, EncryptionContext):
        return context.items_tuple()
    if not isinstance(context, Mapping):
        raise _not_a_mapping(context)
    return tuple(context.items())


def check_names(names: object, option: str) -> tuple[str, ...]:
    """The names that an option lists, sorted; `InvalidArgument` if they are no collection of text."""
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise InvalidArgument(
            f"{option} must be a collection of names, not {type(names).__name__}",
            hint=f'for example {option}=("tenant",)',
        )
    listed = list(names)
    if not all(isinstance(name, str) for name in listed):
        raise InvalidArgument(f"{option} must list names as str")
    return tuple(sorted(set(listed)))


def merge_reproduced(stored: EncryptionContext, given: EncryptionContext) -> frozenset[str]:
    """Compare the pairs given to decrypt with those that the message stores; return the names it does not store.

    Raises:
        ContextMismatch: a pair is stored with another value, or a reserved name is not stored.
    """
    if given.serialized == stored.serialized:
        return frozenset()
    for name, value in given.items_tuple():
        if name in stored and stored[name] != value:
            raise ContextMismatch(
                f"the message stores another value for {name!r} than the encryption context given",
                hint="describe(message) shows the stored encryption context; if the given one is right, "
                "this message was written for something else",
            )
        if name not in stored and name.startswith(RESERVED_PREFIX):
            raise ContextMismatch(
                f"the message does not store {name!r}, and a reserved name cannot be authenticated otherwise",
                hint=f"leave out names that begin with {RESERVED_PREFIX}",
            )
    return frozenset(name for name in given if name not in stored)


# 256 contexts of at most 64 KiB: 16 MiB at the very worst, 100 KiB in practice.
@lru_cache(maxsize=256)
def _remembered(items: tuple[tuple[str, str], ...], reserved_allowed: bool) -> EncryptionContext:
    return _checked(items, reserved_allowed)


def _checked(items: tuple[tuple[str, str], ...], reserved_allowed: bool) -> EncryptionContext:
    context = EncryptionContext(dict(items))
    for name in context:
        if not name:
            raise InvalidArgument("an encryption context name is empty")
        if not reserved_allowed and name.startswith(RESERVED_PREFIX):
            raise InvalidArgument(
                f"the encryption context name {name!r} is reserved",
                hint=f"names that begin with {RESERVED_PREFIX} belong to the message format",
            )
    return context


def _encoded_pair(name: object, value: object) -> tuple[bytes, bytes]:
    if not isinstance(name, str):
        raise InvalidArgument(f"an encryption context name must be str, not {type(name).__name__}")
    if not isinstance(value, str):
        raise InvalidArgument(
            f"the encryption context value of {name!r:.200} must be str, not {type(value).__name__}",
            hint="numbers and identifiers are given as text: str(value)",
        )
    pair = _encoded(name), _encoded(value)
    if max(map(len, pair)) > MAX_SERIALIZED_BYTES:
        raise _too_large()
    return pair


def _encoded(text: str) -> bytes:
    with contextlib.suppress(UnicodeEncodeError):
        return text.encode()
    # Raised out here, without the cause: that one holds the text.
    raise InvalidArgument(
        "an encryption context name or value holds text that UTF-8 cannot encode",
        hint="lone surrogates come from file names or broken decoding; clean the text first",
    )


def _not_a_mapping(context: object) -> InvalidArgument:
    return InvalidArgument(
        f"encryption context must be a mapping of str to str, not {type(context).__name__}",
        hint='for example {"tenant": "42"}',
    )


def _too_large() -> InvalidArgument:
    return InvalidArgument(
        f"the encryption context takes more than {MAX_SERIALIZED_BYTES:,} bytes serialized",
        hint="an encryption context names what the data belongs to; put large data into the plaintext",
    )
