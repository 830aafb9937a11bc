"""A secret that was read: exact types, parsed once, read-only, and silent whatever is done to show it."""

from __future__ import annotations

import copy
import json
import pickle
import pprint
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envelope_secrets.errors import SecretFormatError
from envelope_secrets.stores.protocol import NewSecret, NewVersion
from envelope_secrets.value import MAX_JSON_DEPTH, Secret, SecretFields

CANARY = "k4n4r13nv0gel"
ARN = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/db-AbCdEf"


def secret(value: str | bytes) -> Secret:
    made = datetime(2026, 1, 1, tzinfo=UTC)
    return Secret(value, name="prod/db", arn=ARN, version_id="v1", stages=("B", "AWSCURRENT"), created=made)


def refused(value: str | bytes) -> str:
    with pytest.raises(SecretFormatError) as caught:
        _ = secret(value).json
    assert caught.value.hint
    assert caught.value.__cause__ is None
    assert CANARY not in "".join(traceback.format_exception(caught.value))
    assert CANARY not in repr(caught.value.__context__)
    return str(caught.value)


def test_a_secret_tells_what_it_is() -> None:
    one = secret('{"a": 1}')
    assert (one.name, one.arn, one.version_id, one.stages) == ("prod/db", ARN, "v1", ("AWSCURRENT", "B"))
    assert one.created == datetime(2026, 1, 1, tzinfo=UTC)
    assert (one.text, one.is_binary) == ('{"a": 1}', False)


def test_binary_and_text_are_never_taken_for_each_other() -> None:
    assert (secret(b"\x00\xff").binary, secret(b"").is_binary) == (b"\x00\xff", True)
    with pytest.raises(SecretFormatError, match="the value of prod/db is binary, not text"):
        _ = secret(b"x").text
    with pytest.raises(SecretFormatError, match="the value of prod/db is text, not binary"):
        _ = secret("x").binary
    with pytest.raises(SecretFormatError, match="is binary, not text"):
        _ = secret(b'{"a": 1}').json


def test_the_object_is_parsed_once() -> None:
    one = secret('{"a": {"b": [1]}}')
    assert one.json is one.json
    assert one.json["a"] is one.json["a"]


def test_the_fields_cannot_be_changed_for_others() -> None:
    fields = secret('{"a": {"b": [1, {"c": 2}]}}').json
    with pytest.raises(TypeError):
        fields["a"] = 1  # type: ignore[index]
    assert isinstance(fields["a"]["b"], tuple)
    with pytest.raises(TypeError):
        fields["a"]["b"][1]["c"] = 3
    taken = dict(fields)
    taken["a"] = None
    assert fields["a"]["b"] == (1, {"c": 2})


def test_a_secret_does_not_change() -> None:
    one = secret("x")
    with pytest.raises(AttributeError, match="a Secret does not change; put a new version instead of setting name"):
        one.name = "other"
    with pytest.raises(AttributeError, match="a Secret does not change; arn stays"):
        del one.arn
    with pytest.raises(AttributeError):
        one.note = "x"
    with pytest.raises(AttributeError):
        one.json = {}  # type: ignore[assignment, misc]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (f"{CANARY}", "is no JSON"),
        (f'{{"a": {CANARY}}}', "is no JSON"),
        (f'["{CANARY}"]', "is JSON, but no object"),
        (f'"{CANARY}"', "is JSON, but no object"),
        ("null", "is JSON, but no object"),
        (f'{{"a": "{CANARY}", "b": 1, "a": 2}}', "has the field 'a' twice"),
        (f'{{"x": {{"a": "{CANARY}", "a": "{CANARY}"}}}}', "has the field 'a' twice"),
        (f'{{"a": NaN, "b": "{CANARY}"}}', "has a number that JSON does not know: NaN or Infinity"),
        ('{"a": -Infinity}', "has a number that JSON does not know: NaN or Infinity"),
        ('{"a":' * 101 + "1" + "}" * 101, "is nested more than 100 deep"),
        ('{"a":' + "[" * 100 + "]" * 100 + "}", "is nested more than 100 deep"),
        ("[" * 100_000, "is no JSON"),
        ('{"a": ' + "9" * 10_000 + "}", "has a number of 10,000 digits, which are too many"),
        ('{"a": -' + "9" * 4_301 + "}", "has a number of 4,301 digits, which are too many"),
        ('{"a": 1e999}', "has a number that is too large for a float"),
        ('{"a": [-1e309]}', "has a number that is too large for a float"),
        ("\ufeff{}", "is no JSON"),
    ],
    ids=lambda value: value[:20],
)
def test_what_is_no_object_is_refused_without_being_shown(value: str, said: str) -> None:
    assert refused(value) == f"the value of prod/db {said}"


def test_the_largest_numbers_are_read_as_they_are_written() -> None:
    digits = "9" * 4_300
    fields = secret(f'{{"a": {digits}, "b": -1.5e308, "c": 1e-999}}').json
    assert (fields["a"], fields["b"], fields["c"]) == (int(digits), -1.5e308, 0.0)


def test_the_deepest_object_is_read() -> None:
    fields: Any = secret('{"a":' * MAX_JSON_DEPTH + "1" + "}" * MAX_JSON_DEPTH).json
    for _ in range(MAX_JSON_DEPTH):
        fields = fields["a"]
    assert fields == 1


def test_an_empty_object_and_one_of_64_kib_are_read() -> None:
    assert dict(secret("{}").json) == {}
    large = json.dumps({"a": "x" * 65_526})
    assert len(large) == 65_536 - 1
    assert len(secret(large).json["a"]) == 65_526


def test_a_missing_field_is_named_with_those_that_are_there() -> None:
    fields = secret(f'{{"user": "{CANARY}", "password": "{CANARY}"}}').json
    with pytest.raises(SecretFormatError) as caught:
        _ = fields["passwort"]
    assert str(caught.value) == "the value of prod/db has no field 'passwort'"
    assert caught.value.hint == "it has 'password', 'user'"
    assert isinstance(caught.value, KeyError)


def test_a_mapping_is_what_a_mapping_is() -> None:
    fields = secret('{"a": 1, "b": null}').json
    assert list(fields) == ["a", "b"]
    assert len(fields) == 2
    assert "b" in fields
    assert "c" not in fields
    assert fields.get("c", 7) == 7
    assert fields == {"a": 1, "b": None}


def test_names_in_error_texts_are_bounded() -> None:
    many = secret(json.dumps({f"f{number:03}": 1 for number in range(30)})).json
    with pytest.raises(SecretFormatError) as caught:
        _ = many["x" * 1_000]
    assert len(str(caught.value)) < 150
    assert caught.value.hint.endswith("'f019' and 10 more")
    with pytest.raises(SecretFormatError, match="has no field of type int"):
        _ = many[7]  # type: ignore[index]
    with pytest.raises(SecretFormatError) as caught:
        _ = secret("{}").json["a"]
    assert caught.value.hint == "it has no fields"


@dataclass
class Holder:
    held: object


SHOWN = [
    repr,
    str,
    "{}".format,
    lambda value: f"{value!r} {value}",
    "%s".__mod__,
    ascii,
    pprint.pformat,
    lambda value: repr([value, {"x": value}, Holder(value)]),
    lambda value: repr(
        [getattr(value, name) for name in ("name", "arn", "version_id", "stages") if hasattr(value, name)]
    ),
]


@pytest.mark.parametrize("show", SHOWN)
@pytest.mark.parametrize("value", [f'{{"password": "{CANARY}", "in": {{"deep": "{CANARY}"}}}}', CANARY.encode()])
def test_nothing_that_shows_a_secret_shows_its_value(show: Any, value: str | bytes) -> None:
    one = secret(value)
    assert CANARY not in show(one)
    if isinstance(value, str):
        assert CANARY not in show(one.json)
        assert CANARY not in show(one.json["in"])
    version = NewVersion(value, "t" * 32, rotation_token=CANARY)
    assert CANARY not in show(version)
    assert CANARY not in show(NewSecret("prod/db", version))


def test_a_repr_says_which_version_it_is_and_which_fields_there_are() -> None:
    one = secret('{"b": 1, "a": 2}')
    assert repr(one) == "Secret('prod/db', version_id='v1', stages=('AWSCURRENT', 'B'))"
    assert repr(one.json) == "SecretFields('a', 'b')"


@pytest.mark.parametrize(
    "take",
    [pickle.dumps, copy.copy, copy.deepcopy, lambda value: pickle.dumps([value]), vars, lambda value: value.__dict__],
)
def test_a_secret_is_neither_pickled_nor_copied_and_has_no_dictionary(take: Any) -> None:
    one = secret('{"a": 1}')
    version = NewVersion("x", "t" * 32)
    for value in (one, one.json, version, NewSecret("prod/db", version)):
        with pytest.raises((TypeError, AttributeError)) as caught:
            take(value)
        assert "cannot be pickled or copied" in str(caught.value) or "__dict__" in str(caught.value)


def test_secrets_are_no_keys_that_compare_by_value() -> None:
    assert secret("x") != secret("x")
    with pytest.raises(TypeError):
        hash(secret('{"a": 1}').json)


def test_fields_become_typed_objects() -> None:
    @dataclass
    class Login:
        user: str
        port: int

    assert secret('{"user": "a", "port": "1"}').as_(Login) == Login("a", 1)
    with pytest.raises(SecretFormatError, match="is no Login: it lacks 'port'"):
        secret('{"user": "a"}').as_(Login)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def plain(value: Any) -> Any:
    if isinstance(value, SecretFields):
        return {name: plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, tuple) else value


@given(st.dictionaries(st.text(), json_values, max_size=4))
def test_every_object_is_read_as_it_was_written(fields: dict[str, Any]) -> None:
    assert plain(secret(json.dumps(fields)).json) == fields
