"""The fields of a secret as dataclasses and pydantic models: what fits, what does not; no text shows a value."""

from __future__ import annotations

import inspect
import sys
import traceback
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import KW_ONLY, InitVar, dataclass, field, make_dataclass
from enum import Enum, IntEnum
from typing import Annotated, Any, ClassVar, Generic, Literal, NewType, Optional, TypeVar, Union

import pydantic
import pytest
from typing_extensions import TypeAliasType

from envelope.errors import InvalidArgument
from envelope_secrets import typed_values
from envelope_secrets.errors import SecretFormatError
from envelope_secrets.value import Secret, SecretFields

CANARY = "k4n4r13nv0gel"

Port = NewType("Port", int)
Ports = TypeAliasType("Ports", tuple[Port, ...])
T = TypeVar("T")


class Engine(Enum):
    POSTGRESQL = "postgresql"
    MYSQL = "mysql"
    ODD = ("a", "b")


class Level(IntEnum):
    LOW = 1
    HIGH = 2


@dataclass(frozen=True)
class Tls:
    ca: str
    required: bool = True


@dataclass(frozen=True)
class Credentials:
    username: str
    password: str = field(repr=False)
    host: str
    port: int = 5432
    engine: Engine = Engine.POSTGRESQL
    tls: Tls | None = None


def secret(text: str) -> Secret:
    return Secret(text, name="prod/db", arn="arn", version_id="v1")


def read(kind: type[T], text: str) -> T:
    return secret(text).as_(kind)


def refusal(kind: type[Any], text: str) -> str:
    """The text of the error; nothing that hangs on the error shows the canary."""
    with pytest.raises(SecretFormatError) as caught:
        read(kind, text)
    error: BaseException | None = caught.value
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + caught.value.hint
    assert CANARY not in shown
    while error is not None:
        assert CANARY not in f"{error!r} {vars(error)}"
        error = error.__cause__ or error.__context__
    return str(caught.value)


def field_refusal(hint: Any, text: str) -> str:
    """The text for one field `it` of a type; what comes before the field is the same for all."""
    message = refusal(one_field(hint), f'{{"it": {text}}}')
    start = "the value of prod/db is no One: 'it' "
    assert message.startswith(start)
    return message.removeprefix(start)


def one_field(hint: Any) -> type[Any]:
    return make_dataclass("One", [("it", hint)])


def test_fields_become_an_object() -> None:
    text = (
        '{"username": "app", "password": "p", "host": "db", "port": 5433, "tls": {"ca": "x", "more": 1}, "dbname": "d"}'
    )
    assert read(Credentials, text) == Credentials("app", "p", "db", 5433, tls=Tls("x"))


def test_what_the_console_stores_as_text_is_read_as_a_number_or_a_truth_value() -> None:
    @dataclass
    class Console:
        port: int
        offset: int
        ratio: float
        tls: bool
        plain: bool
        engine: Engine
        level: Level
        size: Literal[1, 2]

    text = (
        '{"port": "5432", "offset": "-3", "ratio": "0.5", "tls": "true", "plain": "False", "engine": "mysql",'
        ' "level": "2", "size": "1"}'
    )
    assert read(Console, text) == Console(
        5432, -3, 0.5, tls=True, plain=False, engine=Engine.MYSQL, level=Level.HIGH, size=1
    )


FITTING: list[tuple[Any, str, Any]] = [
    (str, '""', ""),
    (Any, "[1]", (1,)),
    (object, "null", None),
    (int, "0", 0),
    (float, "3", 3.0),
    (float, '"1e3"', 1000.0),
    (float, '".5"', 0.5),
    (bool, "false", False),
    (None, "null", None),
    (type(None), "null", None),
    (Optional[int], "null", None),  # noqa: UP045 - the old spelling is another type
    (Union[int, None], '"7"', 7),  # noqa: UP007
    (int | None, '"7"', 7),
    (int | str, '"7"', "7"),
    (str | int, "7", 7),
    (bool | int, "1", 1),
    (list[int | None], '["1", null]', [1, None]),
    (Port, '"80"', 80),
    (Ports, '["80", 81]', (80, 81)),
    (Annotated[int, "a port"], "80", 80),
    (Literal["a", "b"], '"b"', "b"),
    (Literal[1, True], "true", True),
    (Literal[True, 1], "1", 1),
    (Literal[None, "a"], "null", None),
    (Literal[5432], '"5432"', 5432),
    (Engine, '"mysql"', Engine.MYSQL),
    (Level, "2", Level.HIGH),
    (list, "[1, [2]]", [1, (2,)]),
    (list[str], '["a"]', ["a"]),
    (Sequence[int], "[1]", (1,)),
    (tuple, "[1]", (1,)),
    (tuple[int, ...], "[1, 2]", (1, 2)),
    (tuple[int, str], '["1", "a"]', (1, "a")),
    (set[int], "[1, 1]", {1}),
    (frozenset[int], "[1]", frozenset({1})),
    (AbstractSet[int], "[1]", frozenset({1})),
    (dict, '{"a": 1}', {"a": 1}),
    (dict[str, int], '{"a": "1"}', {"a": 1}),
    (Mapping[str, Tls], '{"a": {"ca": "x"}}', {"a": Tls("x")}),
    (dict[Any, str], '{"a": "x"}', {"a": "x"}),
    (list[Tls], '[{"ca": "x", "required": "false"}]', [Tls("x", required=False)]),
    (Tls | str, '"none"', "none"),
    (str | Tls, '{"ca": "x"}', Tls("x")),
]


@pytest.mark.parametrize(("hint", "text", "expected"), FITTING)
def test_a_value_of_the_declared_type_fits(hint: Any, text: str, expected: object) -> None:
    made = read(one_field(hint), f'{{"it": {text}}}').it
    assert made == expected
    assert type(made) is type(expected)


LONG = "9" * 401
UNFIT: list[tuple[Any, str, str]] = [
    (str, "1", "must be text, not a number"),
    (str, "null", "must be text, not null"),
    (int, "1.5", "must be a whole number, not a number"),
    (int, "true", "must be a whole number, not a truth value"),
    (int, f'"{CANARY}"', "must be a whole number, not text"),
    (int, f'"{LONG}"', "must be a whole number, not text"),
    (int, '"\\u0661"', "must be a whole number, not text"),
    (int, '" 1"', "must be a whole number, not text"),
    (int, '"12x"', "must be a whole number, not text"),
    (int, '"1_000"', "must be a whole number, not text"),
    (float, '"1.5.2"', "must be a number that fits a float, not text"),
    (float, '"nan"', "must be a number that fits a float, not text"),
    (float, '"1e999"', "must be a number that fits a float, not text"),
    (float, "1" + "0" * 400, "must be a number that fits a float, not a number"),
    (float, "-1" + "0" * 400, "must be a number that fits a float, not a number"),
    (float, "false", "must be a number that fits a float, not a truth value"),
    (bool, "1", "must be true or false, not a number"),
    (bool, '"yes"', "must be true or false, not text"),
    (None, "0", "must be null, not a number"),
    (int | None, f'"{CANARY}"', "must be a whole number, not text"),
    (int | bool, f'"{CANARY}"', "must be of one of 2 types, not text"),
    (Literal["a", 2], f'"{CANARY}"', "must be one of 'a', 2"),
    (Literal["a", None], "2", "must be one of 'a', None"),
    (Engine, f'"{CANARY}"', "must be one of 'postgresql', 'mysql', ('a', 'b')"),
    (Level, "true", "must be one of 1, 2"),
    (list[int], f'"{CANARY}"', "must be an array, not text"),
    (tuple[int, int], "[1]", "must have 2 items, not 1"),
    (dict[str, int], "[]", "must be an object, not an array"),
    (Tls, "[]", "must be an object, not an array"),
    (set, "[[1], {}]", "is refused by set (TypeError)"),
    (list[Tls | None], "{}", "must be an array, not an object"),
]


@pytest.mark.parametrize(("hint", "text", "said"), UNFIT)
def test_a_value_of_another_type_is_refused_by_its_kind(hint: Any, text: str, said: str) -> None:
    assert field_refusal(hint, text) == said


def test_one_error_names_everything_that_is_missing_or_wrong_and_where() -> None:
    text = f'{{"password": ["{CANARY}"], "port": "{CANARY}", "tls": {{"required": "{CANARY}"}}}}'
    assert refusal(Credentials, text) == (
        "the value of prod/db is no Credentials: it lacks 'tls.ca', 'username', 'host'; 'password' must be text, not "
        "an array; 'port' must be a whole number, not text; 'tls.required' must be true or false, not text"
    )


def test_the_place_of_an_item_is_named() -> None:
    assert refusal(one_field(list[Tls]), '{"it": [{"ca": "x"}, {"ca": 1}, {}]}') == (
        "the value of prod/db is no One: it lacks 'it[2].ca'; 'it[1].ca' must be text, not a number"
    )


def test_a_long_list_of_problems_is_cut() -> None:
    message = refusal(one_field(list[int]), f'{{"it": {["x"] * 50}}}'.replace("'", '"'))
    assert message.count("must be") == 20
    missing = refusal(one_field(list[Tls]), f'{{"it": [{", ".join(["{}"] * 50)}]}}')
    assert missing.endswith("and 30 more")
    assert len(refusal(one_field(dict[str, int]), f'{{"it": {{"{"n" * 10_000}": "x"}}}}')) < 300


def test_a_class_that_refuses_is_named_with_its_error_and_not_quoted() -> None:
    @dataclass
    class Strict:
        password: str

        def __post_init__(self) -> None:
            raise ValueError(f"{self.password} is too short")

    assert (
        refusal(Strict, f'{{"password": "{CANARY}"}}')
        == "the value of prod/db is no Strict: refused by Strict (ValueError)"
    )
    nested = refusal(one_field(Strict), f'{{"it": {{"password": "{CANARY}"}}}}')
    assert nested == "the value of prod/db is no One: 'it' is refused by Strict (ValueError)"


def test_an_error_that_only_looks_like_one_of_pydantic_is_not_believed() -> None:
    class Odd(Exception):
        def errors(self) -> list[str]:
            return [CANARY]

    @dataclass
    class Strict:
        password: str

        def __post_init__(self) -> None:
            raise Odd(self.password)

    assert refusal(Strict, f'{{"password": "{CANARY}"}}').endswith("refused by Strict (Odd)")


def test_parameters_count_not_attributes() -> None:
    @dataclass
    class Base:
        kind: ClassVar[str] = "x"
        host: str
        made: str = field(init=False, default="here")
        _: KW_ONLY
        salt: InitVar[int]

        def __post_init__(self, salt: int) -> None:
            self.made = f"{self.host}{salt}"

    @dataclass
    class Derived(Base):
        tags: list[str] = field(default_factory=list)

    made = read(Derived, '{"host": "a", "made": "x", "kind": "y", "salt": "3"}')
    assert (made.host, made.made, made.tags, Derived.kind) == ("a", "a3", [], "x")


def test_a_constructor_of_ones_own_is_asked_what_it_takes() -> None:
    @dataclass(init=False)
    class Own:
        host: str

        def __init__(self, host, *more: str, **rest: str) -> None:  # type: ignore[no-untyped-def]
            self.host = host

    assert read(Own, '{"host": "a", "more": 1}').host == "a"


def test_a_class_may_hold_itself() -> None:
    assert read(Tree, '{"name": "a", "below": [{"name": "b"}]}') == Tree("a", [Tree("b", [])])


@dataclass
class Tree:
    name: str
    below: list[Tree] = field(default_factory=list)


class PlainClass:
    pass


@pytest.mark.parametrize("kind", [dict, PlainClass, Tls("x"), "Tls", None])
def test_what_is_no_such_class_is_an_invalid_argument(kind: Any) -> None:
    with pytest.raises(InvalidArgument, match="kind must be a dataclass or a pydantic model, not "):
        read(kind, '{"ca": "x"}')


@pytest.mark.parametrize("hint", [bytes, complex, PlainClass, T, Generic, list[PlainClass]])
def test_a_field_of_a_type_that_json_does_not_have_is_an_invalid_argument(hint: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"'it.*is declared as .*, which no JSON value is"):
        read(one_field(hint), '{"it": ["x"]}')


def test_a_dictionary_with_other_names_than_text_is_an_invalid_argument() -> None:
    with pytest.raises(InvalidArgument, match="names that are no text"):
        read(one_field(dict[int, str]), '{"it": {}}')


def test_a_type_that_cannot_be_found_is_an_invalid_argument() -> None:
    with pytest.raises(InvalidArgument, match="a type that One names cannot be resolved"):
        read(one_field("Nowhere"), '{"it": 1}')


# --- depth ----------------------------------------------------------------------------------------------------------


@dataclass
class Leaf:
    value: int
    next: Leaf | Branch | None = None


@dataclass
class Branch:
    name: str
    next: list[Leaf] | tuple[Branch, ...] | Leaf | None = None
    names: list[str] | list[int] | None = None


def nested(innermost: str, levels: int) -> str:
    for _ in range(levels):
        innermost = f'{{"value": 1, "next": {innermost}}}'
    return innermost


def test_a_union_of_several_classes_takes_no_time_that_doubles_with_each_level() -> None:
    assert refusal(Leaf, nested(f'{{"value": "{CANARY}"}}', 40)) == (
        "the value of prod/db is no Leaf: 'next' must be of one of 3 types, not an object"
    )
    made: Any = read(Leaf, nested('{"name": "end", "next": [{"value": "7"}], "names": []}', 40))
    for _ in range(40):
        made = made.next
    assert made == Branch("end", [Leaf(7)], [])


def test_what_is_read_twice_is_no_object_of_two_owners() -> None:
    both = read(Branch, '{"name": "a", "names": [], "next": [{"value": 1, "next": {"name": "b", "names": []}}]}')
    below: Any = both.next
    assert both.names == below[0].next.names == []
    assert both.names is not below[0].next.names


def test_a_depth_that_the_calls_under_way_leave_no_room_for_is_refused_without_the_value() -> None:
    deep = secret(nested(f'{{"value": 1, "next": {{"name": "{CANARY}"}}}}', 90))
    _ = deep.json

    def reading_below(calls: int) -> object:
        return deep.as_(Leaf) if calls == 0 else reading_below(calls - 1)

    with pytest.raises(SecretFormatError, match="is nested too deep for the calls that are under way") as caught:
        reading_below(sys.getrecursionlimit() - len(inspect.stack()) - 150)
    report = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert CANARY not in "".join(report.format())


def test_a_class_that_json_cannot_fill_is_refused_without_a_frame_that_holds_the_value() -> None:
    text, array = f'{{"it": "{CANARY}"}}', f'{{"it": [{{"{CANARY}": 1}}, "{CANARY}"]}}'
    for hint, given in ((complex, text), (list[dict[int, str]], array), ("nowhere", text)):
        with pytest.raises(InvalidArgument) as caught:
            secret(given).as_(one_field(hint))
        report = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        frames = [frame for frame in report.stack if frame.filename != __file__]
        assert frames
        assert not [frame.name for frame in frames if CANARY in repr(frame.locals)]


# --- pydantic -------------------------------------------------------------------------------------------------------


class Model(pydantic.BaseModel):
    username: str
    port: int = 5432
    tags: list[str] = []
    tls: Tls | None = None
    below: dict[str, Any] = {}


class StrictModel(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True)
    pair: tuple[int, int]


class CheckedModel(pydantic.BaseModel):
    password: str
    pin: int

    @pydantic.field_validator("password")
    @classmethod
    def long_enough(cls, password: str) -> str:
        raise ValueError(f"{password} is too short")


@pydantic.dataclasses.dataclass
class PydanticDataclass:
    port: pydantic.PositiveInt


def test_a_pydantic_model_reads_the_fields() -> None:
    made = read(Model, '{"username": "app", "port": "5433", "tags": ["a"], "tls": {"ca": "x"}, "below": {"a": [{}]}}')
    assert made == Model(username="app", port=5433, tags=["a"], tls=Tls("x"), below={"a": [{}]})
    assert type(made.below["a"]) is list


def test_a_strict_model_reads_as_from_json() -> None:
    assert read(StrictModel, '{"pair": [1, 2]}').pair == (1, 2)
    assert refusal(StrictModel, '{"pair": [1, "2"]}') == (
        "the value of prod/db is no StrictModel: 'pair[1]' is refused by StrictModel (int_type)"
    )


def test_a_pydantic_error_names_places_and_kinds_and_no_input() -> None:
    assert refusal(CheckedModel, f'{{"password": "{CANARY}", "pin": "{CANARY}"}}') == (
        "the value of prod/db is no CheckedModel: 'password' is refused by CheckedModel (value_error); "
        "'pin' is refused by CheckedModel (int_parsing)"
    )
    assert refusal(Model, '{"tls": {}}') == "the value of prod/db is no Model: it lacks 'username', 'tls.ca'"


def test_models_and_dataclasses_mix() -> None:
    assert read(one_field(Model), '{"it": {"username": "a"}}').it == Model(username="a")
    assert refusal(one_field(Model), f'{{"it": {{"port": "{CANARY}"}}}}') == (
        "the value of prod/db is no One: it lacks 'it.username'; 'it.port' is refused by Model (int_parsing)"
    )
    assert read(PydanticDataclass, '{"port": 1}').port == 1
    assert refusal(PydanticDataclass, '{"port": -1}') == (
        "the value of prod/db is no PydanticDataclass: 'port' is refused by PydanticDataclass (greater_than)"
    )


def test_pydantic_is_not_imported_for_the_question() -> None:
    assert not any(name.startswith("pydantic") for name in vars(typed_values))
    source = sys.modules["envelope_secrets.typed_values"].__file__
    assert source is not None
    assert isinstance(secret('{"a": 1}').json, SecretFields)
