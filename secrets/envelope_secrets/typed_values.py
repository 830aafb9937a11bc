"""The fields of a secret as an object of a class that says which fields there are, and of which types.

No text made here holds a value. What a class says while it refuses a value is dropped, because it may quote the value.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
import re
import types
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import InitVar, dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Any, Literal, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

from envelope.errors import InvalidArgument
from envelope_secrets.errors import SecretFormatError

__all__ = ["typed_value"]

T = TypeVar("T")

MAX_NUMBER_CHARACTERS = 400
"""Longer texts are no numbers: the largest float has 309 digits, and Python is slow at long ones."""

MAX_SHOWN_PROBLEMS = 20
MAX_SHOWN_CHARACTERS = 80

_WHOLE = re.compile(r"[+-]?[0-9]+")
_DECIMAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_TRUTH = {"true": True, "false": False}

_LISTS: dict[object, type] = {list: list, Sequence: tuple, tuple: tuple, set: set, AbstractSet: frozenset}
_LISTS[frozenset] = frozenset

_UNFIT = object()  # given back in place of a value after a problem was noted


def typed_value(kind: type[T], fields: Mapping[str, Any], *, where: str) -> T:
    """The fields as an object of a dataclass or a pydantic model.

    A dataclass may use str, int, float, bool, None, Any, object, Optional and unions, Literal, Enum, NewType,
    Annotated, type aliases, lists, tuples, sets and dictionaries of these, other dataclasses and pydantic models. For
    int, float and bool, texts like "5432", "0.5" and "true" are taken too, because the AWS console stores every field
    as text; in a union only if no member takes the value as it is. Fields that the class does not name are left out.
    A pydantic model reads the fields as JSON, by its own rules.

    Args:
        where: the beginning of error texts, like ``the value of prod/db``.

    Raises:
        SecretFormatError: it does not fit. The text names every field that is missing or of a wrong type, and shows no
            value; nor does what is chained to it.
        InvalidArgument: `kind` is neither a dataclass nor a pydantic model, or has a field of a type that JSON does not
            have.
    """
    if not (_is_dataclass(kind) or _is_model(kind)):
        shown = getattr(kind, "__name__", f"of type {type(kind).__name__}")
        raise InvalidArgument(f"kind must be a dataclass or a pydantic model, not {shown}")
    made, problem = _made_or_problem(kind, fields)
    if isinstance(problem, InvalidArgument):
        raise problem
    if problem:
        raise SecretFormatError(f"{where} is no {kind.__name__}: {problem}", hint="compare it with the class")
    fitting: T = made
    return fitting


def _made_or_problem(kind: type, fields: Mapping[str, Any]) -> tuple[Any, str | InvalidArgument]:
    """The object, or what is wrong. It does not raise: frames from here on hold values in their local variables."""
    problems = _Problems()
    try:
        made = _object(kind, fields, _Place("", problems, from_text=True, tries={}))
    except InvalidArgument as error:
        return _UNFIT, error.with_traceback(None)
    except RecursionError:
        return _UNFIT, "it is nested too deep for the calls that are under way"
    return made, problems.text() if made is _UNFIT else ""


@dataclass(slots=True)
class _Problems:
    """Everything that does not fit, so that one error names it all."""

    missing: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    def text(self) -> str:
        lacks = [f"it lacks {_listed(self.missing)}"] if self.missing else []
        return "; ".join([*lacks, *self.others[:MAX_SHOWN_PROBLEMS]])


_Tries: TypeAlias = dict[tuple[int, int, bool], tuple[Any, Any]]
"""What came of each type, value and `from_text`, after the type itself. The keys are identities, as types need not be
hashable, and so the types have to be kept; values are kept by their secret."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the secret a value is.

    Attributes:
        from_text: whether text may be taken for a number here.
        tries: what came of trying members of unions.
    """

    path: str
    problems: _Problems
    from_text: bool
    tries: _Tries

    def inside(self, name: str) -> _Place:
        return dataclasses.replace(self, path=f"{self.path}.{name}" if self.path else name)

    def item(self, number: int) -> _Place:
        return dataclasses.replace(self, path=f"{self.path}[{number}]")

    def trying(self, *, from_text: bool) -> _Place:
        return _Place(self.path, _Problems(), from_text, self.tries)

    def refuse(self, allowed: str, value: object) -> object:
        return self.note(f"{self._name()} must be {allowed}, not {_json_word(value)}")

    def note(self, text: str) -> object:
        self.problems.others.append(text)
        return _UNFIT

    def lacks(self) -> None:
        self.problems.missing.append(_shown(self.path))

    def refused_by(self, kind: type, reason: str) -> object:
        return self.note(f"{f'{self._name()} is ' if self.path else ''}refused by {kind.__name__} ({reason})")

    def _name(self) -> str:
        return _shown(self.path) if self.path else "it"


# --- objects -------------------------------------------------------------------------------------------------------


def _object(kind: type, value: Any, place: _Place) -> Any:
    if not isinstance(value, Mapping):
        return place.refuse("an object", value)
    if _is_model(kind):
        return _model(kind, value, place)
    parameters = _parameters(kind)
    arguments = {
        name: _read(hint, value[name], place.inside(name)) for name, (hint, _) in parameters.items() if name in value
    }
    missing = [name for name, (_, needed) in parameters.items() if needed and name not in value]
    for name in missing:
        place.inside(name).lacks()
    if missing or any(argument is _UNFIT for argument in arguments.values()):
        return _UNFIT
    return _made(kind, lambda: kind(**arguments), place)


def _model(kind: Any, value: Mapping[str, Any], place: _Place) -> Any:
    text = json.dumps(_plain(value))
    return _made(kind, lambda: kind.model_validate_json(text), place)


def _made(kind: type, make: Callable[[], Any], place: _Place) -> Any:
    """What `make` gives; if it fails, the kind of its error alone is noted: texts and inputs stay behind."""
    try:
        return make()
    except Exception as error:  # noqa: BLE001 - the class may raise anything, and quote the value
        return _explained(kind, error, place)


def _explained(kind: type, error: Exception, place: _Place) -> object:
    details = _details(error)
    if not details:
        return place.refused_by(kind, type(error).__name__)
    for location, reason in details:
        at = place
        for step in location:
            at = at.item(step) if isinstance(step, int) else at.inside(str(step))
        if reason == "missing":
            at.lacks()
        else:
            at.refused_by(kind, reason)
    return _UNFIT


def _details(error: Any) -> list[tuple[tuple[Any, ...], str]]:
    """Place and kind of every objection in a ValidationError of pydantic; nothing for other errors."""
    if not callable(getattr(error, "errors", None)):
        return []
    try:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        return [(tuple(one["loc"]), str(one["type"])) for one in found]
    except Exception:  # noqa: BLE001 - somebody else's class with such a method
        return []


@lru_cache(maxsize=256)
def _parameters(kind: type) -> dict[str, tuple[Any, bool]]:
    """The parameters of a dataclass: the type of each, and whether it must be given."""
    try:
        hints = get_type_hints(kind)
    except Exception as error:  # whatever the evaluation of an annotation raises; it knows no secret
        raise InvalidArgument(
            f"a type that {kind.__name__} names cannot be resolved ({type(error).__name__})",
            hint="define the class and the types it names at the top of a module",
        ) from error
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {
        name: (_hint_of(hints.get(name, Any)), parameter.default is inspect.Parameter.empty)
        for name, parameter in inspect.signature(kind).parameters.items()
        if parameter.kind not in variable
    }


def _hint_of(hint: Any) -> Any:
    return hint.type if isinstance(hint, InitVar) else hint


def _is_dataclass(kind: object) -> bool:
    return isinstance(kind, type) and dataclasses.is_dataclass(kind)


def _is_model(kind: object) -> bool:
    """Whether it is a model of pydantic 2, which is not imported for the question."""
    return isinstance(kind, type) and callable(getattr(kind, "model_validate_json", None))


# --- values --------------------------------------------------------------------------------------------------------


def _read(hint: Any, value: Any, place: _Place) -> Any:
    """`value` as the type hint wants it, or `_UNFIT` after the problem was noted."""
    origin = get_origin(hint) or hint
    if origin is Any or origin is object:
        return value
    named = getattr(origin, "__supertype__", None) or getattr(origin, "__value__", None)
    if named is not None:  # NewType; TypeAliasType
        return _read(named, value, place)
    if origin in (Union, types.UnionType):
        return _union(get_args(hint), value, place)
    if origin is Literal:
        return _choice([(choice, choice) for choice in get_args(hint)], value, place)
    if origin in _SCALARS:
        return _SCALARS[origin](value, place)
    return _composed(origin, get_args(hint), value, place)


def _composed(origin: Any, arguments: tuple[Any, ...], value: Any, place: _Place) -> Any:
    if origin in _LISTS:
        return _array(origin, arguments, value, place)
    if origin is dict or origin is Mapping:
        return _dictionary(arguments, value, place)
    if _is_dataclass(origin) or _is_model(origin):
        return _object(origin, value, place)
    if isinstance(origin, type) and issubclass(origin, Enum):
        return _choice([(member.value, member) for member in origin], value, place)
    shown = getattr(origin, "__name__", type(origin).__name__)
    raise InvalidArgument(f"{_shown(place.path)} is declared as {shown}, which no JSON value is")


def _text(value: Any, place: _Place) -> Any:
    return value if isinstance(value, str) else place.refuse("text", value)


def _whole(value: Any, place: _Place) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if place.from_text and _is_number(value, _WHOLE):
        return int(value)
    return place.refuse("a whole number", value)


def _float(value: Any, place: _Place) -> Any:
    number = math.nan
    if isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool)):
        # A whole number of JSON may have any size.
        number = float(value) if abs(value) < 1 << 1023 else math.inf
    elif place.from_text and _is_number(value, _DECIMAL):
        number = float(value)
    return number if math.isfinite(number) else place.refuse("a number that fits a float", value)


def _truth(value: Any, place: _Place) -> Any:
    if isinstance(value, bool):
        return value
    truth = _TRUTH.get(value.lower()) if place.from_text and isinstance(value, str) else None
    return place.refuse("true or false", value) if truth is None else truth


def _null(value: Any, place: _Place) -> Any:
    return None if value is None else place.refuse("null", value)


_SCALARS: dict[Any, Callable[[Any, _Place], Any]] = {
    str: _text,
    int: _whole,
    float: _float,
    bool: _truth,
    type(None): _null,
    None: _null,
}


def _is_number(value: object, pattern: re.Pattern[str]) -> bool:
    return isinstance(value, str) and len(value) <= MAX_NUMBER_CHARACTERS and pattern.fullmatch(value) is not None


def _union(members: tuple[Any, ...], value: Any, place: _Place) -> Any:
    """The first member that takes the value as it is, or else the first that takes its text for something."""
    others = [member for member in members if member is not type(None)]
    if len(others) == 1 and value is not None:  # once: each further look would double at each level below
        return _read(others[0], value, place)
    for from_text in (False, True) if place.from_text else (False,):
        for member in members:
            read = _tried(member, value, place.trying(from_text=from_text))
            if read is not _UNFIT:
                return read
    return place.refuse(f"of one of {len(members)} types", value)


def _tried(member: Any, value: Any, place: _Place) -> Any:
    """What a member makes of a value; found out once, or else the time would double at every level of unions."""
    if not (value and isinstance(value, (Mapping, tuple))):
        return _read(member, value, place)  # it has no levels; and an empty tuple is the same object everywhere
    key = (id(member), id(value), place.from_text)
    if key not in place.tries:
        place.tries[key] = (member, _read(member, value, place))
    return place.tries[key][1]


def _choice(choices: Sequence[tuple[Any, Any]], value: Any, place: _Place) -> Any:
    """The choice that equals the value and has its type: 1 is not true."""
    for choice, chosen in choices:
        if type(choice) is type(value) and choice == value:
            return chosen
    if place.from_text and isinstance(value, str):
        for choice, chosen in choices:
            reader = _SCALARS.get(type(choice), _text)
            if choice is not None and reader(value, place.trying(from_text=True)) == choice:
                return chosen
    return place.note(f"{_shown(place.path)} must be one of {_listed([_shown(choice) for choice, _ in choices])}")


def _array(origin: Any, arguments: tuple[Any, ...], value: Any, place: _Place) -> Any:
    if not isinstance(value, (tuple, list)):
        return place.refuse("an array", value)
    if origin is tuple and arguments and arguments[-1] is not Ellipsis:
        hints = arguments
        if len(hints) != len(value):
            return place.note(f"{_shown(place.path)} must have {len(hints)} items, not {len(value)}")
    else:
        hints = (arguments[0] if arguments else Any,) * len(value)
    items = [_read(hint, item, place.item(i)) for i, (hint, item) in enumerate(zip(hints, value, strict=True))]
    if any(item is _UNFIT for item in items):
        return _UNFIT
    return _made(_LISTS[origin], lambda: _LISTS[origin](items), place)  # a set of what cannot be hashed


def _dictionary(arguments: tuple[Any, ...], value: Any, place: _Place) -> Any:
    if not isinstance(value, Mapping):
        return place.refuse("an object", value)
    names_as, values_as = arguments or (str, Any)
    if names_as not in (str, Any):
        raise InvalidArgument(f"{_shown(place.path)} is declared with names that are no text; those of JSON are")
    read = {name: _read(values_as, item, place.inside(name)) for name, item in value.items()}
    return _UNFIT if any(item is _UNFIT for item in read.values()) else read


def _plain(value: Any) -> Any:
    """The value in the types that the JSON encoder knows."""
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (tuple, list)) else value


# --- texts ---------------------------------------------------------------------------------------------------------

_JSON_WORDS = {str: "text", bool: "a truth value", int: "a number", float: "a number", type(None): "null"}


def _json_word(value: object) -> str:
    """What kind of JSON value it is."""
    return _JSON_WORDS.get(type(value), "an object" if isinstance(value, Mapping) else "an array")


def _shown(name: object) -> str:
    text = repr(name)
    return text if len(text) <= MAX_SHOWN_CHARACTERS else f"{text[:MAX_SHOWN_CHARACTERS]}..."


def _listed(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - MAX_SHOWN_PROBLEMS} more" if len(texts) > MAX_SHOWN_PROBLEMS else ""
    return f"{', '.join(texts[:MAX_SHOWN_PROBLEMS])}{more}"
