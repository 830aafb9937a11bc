"""One version of a secret, as it was read: its value, parsed once, and everything that may be shown of it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NoReturn, TypeVar

from envelope_secrets.errors import NoSuchField, SecretFormatError
from envelope_secrets.typed_values import typed_value

__all__ = ["HidesValue", "Secret", "SecretFields"]

T = TypeVar("T")

MAX_JSON_DEPTH = 100
"""Deeper values are no configuration, and a read-only copy is made by recursion."""

MAX_SHOWN_NAMES = 20
MAX_SHOWN_CHARACTERS = 80


class HidesValue:
    """Refuses to be pickled or copied: a value must not land in a queue, a cache server or a crash dump by accident."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(f"{type(self).__name__} holds a secret and cannot be pickled or copied")

    def __getstate__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} holds a secret and does not give its state away")


class SecretFields(HidesValue, Mapping[str, Any]):
    """The fields of a JSON object. Read-only all the way down, and silent: its repr shows the names alone.

    Nested objects are `SecretFields` too, and arrays are tuples. ``dict(fields)`` makes a copy of the first level.

    Raises:
        NoSuchField: on access to a field that is not there. It is a `SecretFormatError`, and a `KeyError` too, as of
            every mapping.
    """

    __slots__ = ("_fields", "_where")

    def __init__(self, fields: Mapping[str, Any], where: str) -> None:
        self._fields = fields
        self._where = where

    def __getitem__(self, name: str) -> Any:
        try:
            return self._fields[name]
        except KeyError:
            raise NoSuchField(
                f"{self._where} has no field {_shown(name)}", hint=f"it has {_names_of(self._fields)}"
            ) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __contains__(self, name: object) -> bool:
        return name in self._fields

    def __repr__(self) -> str:
        return f"SecretFields({_names_of(self._fields)})"


class Secret(HidesValue):
    """One version of a secret. Immutable, safe to share between threads; whoever prints it sees no value.

    Attributes:
        name: the name of the secret, or the id that it was asked for by where the store tells no name.
        arn: its full ARN.
        version_id: the version's id.
        stages: the staging labels that the version had when it was read, in alphabetical order.
        created: when the version was made; None where the store does not tell.
    """

    __slots__ = ("_fields", "_value", "arn", "created", "name", "stages", "version_id")

    name: str
    arn: str
    version_id: str
    stages: tuple[str, ...]
    created: datetime | None
    _value: str | bytes
    _fields: SecretFields | None

    def __init__(
        self,
        value: str | bytes,
        *,
        name: str,
        arn: str,
        version_id: str,
        stages: tuple[str, ...] = (),
        created: datetime | None = None,
    ) -> None:
        put = object.__setattr__
        put(self, "_value", value)
        put(self, "_fields", None)
        put(self, "name", name)
        put(self, "arn", arn)
        put(self, "version_id", version_id)
        put(self, "stages", tuple(sorted(stages)))
        put(self, "created", created)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a Secret does not change; put a new version instead of setting {name}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a Secret does not change; {name} stays")

    def __repr__(self) -> str:
        return f"Secret({self.name!r}, version_id={self.version_id!r}, stages={self.stages!r})"

    @property
    def is_binary(self) -> bool:
        """Whether the value is bytes."""
        return isinstance(self._value, bytes)

    @property
    def text(self) -> str:
        """The value as text.

        Raises:
            SecretFormatError: the value is binary.
        """
        if isinstance(self._value, str):
            return self._value
        raise SecretFormatError(f"the value of {self.name} is binary, not text", hint="read .binary")

    @property
    def binary(self) -> bytes:
        """The value as bytes.

        Raises:
            SecretFormatError: the value is text.
        """
        if isinstance(self._value, bytes):
            return self._value
        raise SecretFormatError(f"the value of {self.name} is text, not binary", hint="read .text")

    @property
    def json(self) -> SecretFields:
        """The fields of the JSON object that the text is; parsed once.

        Raises:
            SecretFormatError: the value is binary, no JSON, no object, nested more than 100 deep, or has a field twice
                or a number that would not be read as it is written: 1e999, or one of more than 4,300 digits.
        """
        fields = self._fields
        if fields is None:
            fields = self._read_fields()
            object.__setattr__(self, "_fields", fields)
        return fields

    def _read_fields(self) -> SecretFields:
        parsed = _parsed(self.text, f"the value of {self.name}")
        if isinstance(parsed, SecretFields):
            return parsed
        raise SecretFormatError(f"the value of {self.name} {parsed}", hint="read .text, or store a JSON object")

    def as_(self, kind: type[T]) -> T:
        """The fields as an object of a dataclass or a pydantic model.

        The AWS console writes every field as text: for a field of type int, float or bool, "5432", "0.5" and "true"
        are taken for numbers and truth values. Fields that the class does not name are left out.

        Raises:
            SecretFormatError: a field is missing or of another type; the text names it and shows no value.
            InvalidArgument: `kind` is neither a dataclass nor a pydantic model.
        """
        return typed_value(kind, self.json, where=f"the value of {self.name}")


def _parsed(text: str, where: str) -> SecretFields | str:
    """The fields, or what is wrong. It does not raise: the local variables of this frame hold the value."""
    try:
        parsed = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_refused_constant,
            parse_float=_finite,
            parse_int=_whole,
        )
        if isinstance(parsed, dict):
            fields: SecretFields = _frozen(parsed, where)
            return fields
        problem = "is JSON, but no object"
    except _Refused as refusal:
        problem = str(refusal)
    except (ValueError, RecursionError):  # not chained: their texts and attributes hold the value
        problem = "is no JSON"
    return problem


class _Refused(Exception):
    """What a hook of the JSON parser does not take; the text is fit to be shown."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, if no field is there twice: two readers could take two different ones for the password."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise _Refused(f"has the field {_shown(twice)} twice")
    return fields


def _refused_constant(_: str) -> NoReturn:
    raise _Refused("has a number that JSON does not know: NaN or Infinity")


def _finite(digits: str) -> float:
    """A number that a float can hold: Python would make infinity of the others, which JSON does not know."""
    number = float(digits)
    if math.isinf(number):
        raise _Refused("has a number that is too large for a float")
    return number


def _whole(digits: str) -> int:
    """A whole number that Python is willing to read: its time grows with the square of the digits."""
    try:
        return int(digits)
    except ValueError:  # sys.set_int_max_str_digits, 4,300 by default
        raise _Refused(f"has a number of {len(digits.lstrip('-')):,} digits, which are too many") from None


def _frozen(value: Any, where: str, depth: int = 1) -> Any:
    """The same value, read-only."""
    if depth > MAX_JSON_DEPTH and isinstance(value, (dict, list)):
        raise _Refused(f"is nested more than {MAX_JSON_DEPTH} deep")
    if isinstance(value, dict):
        return SecretFields({name: _frozen(item, where, depth + 1) for name, item in value.items()}, where)
    if isinstance(value, list):
        return tuple(_frozen(item, where, depth + 1) for item in value)
    return value


def _shown(name: object) -> str:
    """A field's name in an error text: somebody may have asked by what is no name at all."""
    text = repr(name) if isinstance(name, str) else f"of type {type(name).__name__}"
    return text if len(text) <= MAX_SHOWN_CHARACTERS else f"{text[:MAX_SHOWN_CHARACTERS]}..."


def _names_of(fields: Mapping[str, Any]) -> str:
    names = sorted(fields)
    shown = ", ".join(_shown(name) for name in names[:MAX_SHOWN_NAMES])
    more = f" and {len(names) - MAX_SHOWN_NAMES} more" if len(names) > MAX_SHOWN_NAMES else ""
    return f"{shown}{more}" if names else "no fields"
