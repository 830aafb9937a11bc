"""New values: what is refused before any call, what is sent, and a swap that only replaces the value that was seen."""

from __future__ import annotations

import inspect
import json
import logging
import sys
import traceback
import uuid
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envelope.errors import AwsAccessDenied, AwsUnavailable, EnvelopeError, InvalidArgument
from envelope_secrets.errors import SecretConflict, SecretKeyUnavailable
from envelope_secrets.stages import AWSCURRENT, AWSPENDING, AWSPREVIOUS, SWAP_STAGE_PREFIX
from envelope_secrets.stores.protocol import NewVersion, VersionPlace
from envelope_secrets.value import Secret
from envelope_secrets.writing import create, new_secret, new_version, put, put_if_current
from tests.labelled_store_for_tests import ARN, ID, V1, V2, V3, V4, LabelledStore, no_answer

C, P, V = AWSCURRENT, AWSPENDING, AWSPREVIOUS
CANARY = "k4n4r13nv0gel"
PRIVATE = f"{SWAP_STAGE_PREFIX}{V4}"


def refused(make: Any) -> str:
    with pytest.raises(InvalidArgument) as caught:
        make()
    shown = "".join(traceback.format_exception(caught.value)) + caught.value.hint + repr(caught.value.__context__)
    assert CANARY not in shown
    return str(caught.value)


# --- new_version and new_secret --------------------------------------------------------------------------------------


def test_a_version_becomes_current_under_a_token_of_its_own() -> None:
    first, second = new_version("x"), new_version("x")
    assert (first.value, first.stages, first.rotation_token) == ("x", (C,), None)
    assert first.token != second.token
    assert str(uuid.UUID(first.token)) == first.token


def test_what_is_given_is_kept() -> None:
    version = new_version(b"\x00", token=V1, stages=["AWSPENDING", "mine"], rotation_token="r" * 36)
    assert version == NewVersion(b"\x00", V1, ("AWSPENDING", "mine"), "r" * 36)


@pytest.mark.parametrize("value", [bytearray(b"ab"), memoryview(b"ab"), b"ab"])
def test_bytes_may_come_in_any_form(value: Any) -> None:
    assert new_version(value).value == b"ab"


def test_a_mapping_becomes_a_json_object() -> None:
    fields = {"user": "ä", "port": 1, "tls": {"ca": ("x", None)}, "ratio": 0.5, "on": True}
    text = new_version(fields).value
    assert text == '{"user":"ä","port":1,"tls":{"ca":["x",null]},"ratio":0.5,"on":true}'


def test_the_fields_of_a_secret_can_be_stored_again() -> None:
    fields = Secret('{"a": {"b": [1, {"c": null}]}}', name="n", arn="a", version_id="v").json
    assert new_version({**fields, "d": 2}).value == '{"a":{"b":[1,{"c":null}]},"d":2}'
    assert new_version(fields).value == '{"a":{"b":[1,{"c":null}]}}'


def itself() -> dict[str, Any]:
    fields: dict[str, Any] = {"a": CANARY}
    fields["b"] = [fields]
    return fields


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "value must have 1 to 65,536 bytes (text in UTF-8), not 0"),
        (b"", "value must have 1 to 65,536 bytes (text in UTF-8), not 0"),
        ("ä" * 32_769, "value must have 1 to 65,536 bytes (text in UTF-8), not 65,538"),
        (f"{CANARY}\ud800", "value must be text that can be written in UTF-8: it has half of a surrogate pair"),
        ({"a": "x" * 65_536}, "value must have 1 to 65,536 bytes (text in UTF-8), not 65,544"),
        (None, "value must be text, bytes or a mapping, not NoneType"),
        ([CANARY], "value must be text, bytes or a mapping, not list"),
        (7, "value must be text, bytes or a mapping, not int"),
        ({1: CANARY}, "value is no JSON object: it has a name that is no text"),
        ({"a": {CANARY}}, "value is no JSON object: it has a value of type set in it"),
        ({"a": CANARY.encode()}, "value is no JSON object: it has a value of type bytes in it"),
        ({"a": float("nan")}, "value is no JSON object: it has a number that JSON does not know, a too long one, or"),
        (
            {"a": f"{CANARY}\ud800"},
            "value is no JSON object: it has a number that JSON does not know, a too long one, or",
        ),
        (itself(), "value is nested more than 100 deep, or contains itself"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_value_that_the_service_would_refuse_is_not_sent(value: Any, said: str) -> None:
    assert refused(lambda: new_version(value)).startswith(said)


def test_a_number_that_is_too_long_to_be_read_again_is_not_written() -> None:
    assert refused(lambda: new_version({"a": 10**5_000})).startswith("value is no JSON object: it has a number that")


def nested(levels: int) -> Any:
    return {"a": nested(levels - 1)} if levels > 1 else {"a": [1] if levels else CANARY}


def test_what_is_too_deep_to_be_read_again_is_not_written() -> None:
    deepest = str(new_version(nested(99)).value)
    assert Secret(deepest, name="db", arn="arn", version_id="v1").json["a"]
    assert refused(lambda: new_version(nested(100))) == "value is nested more than 100 deep, or contains itself"


def test_a_depth_that_the_calls_under_way_leave_no_room_for_is_refused() -> None:
    def writing_below(calls: int) -> object:
        return new_version(deep) if calls == 0 else writing_below(calls - 1)

    deep = nested(90)
    said = refused(lambda: writing_below(sys.getrecursionlimit() - len(inspect.stack()) - 60))
    assert said == "value is nested too deep for the calls that are under way"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"token": "x" * 31}, "token must have 32 to 64 characters, not 31"),
        ({"token": 7}, "token must be text, not int"),
        ({"stages": ()}, "stages must have 1 to 20 labels, not 0"),
        ({"stages": "AWSPENDING"}, "stages must be several labels, like ('AWSPENDING',), not str"),
        ({"stages": None}, "stages must be several labels, like ('AWSPENDING',), not NoneType"),
        ({"stages": ["x"] * 21}, "stages must have 1 to 20 labels, not 21"),
        ({"rotation_token": 7}, "rotation_token must be text, not int"),
        ({"rotation_token": CANARY * 30}, "rotation_token must have up to 256 characters, not 390"),
    ],
)
def test_options_of_a_version_are_checked(options: dict[str, Any], said: str) -> None:
    assert refused(lambda: new_version(CANARY, **options)) == said


def test_a_secret_is_made_of_its_parts() -> None:
    secret = new_secret(
        ID, {"a": 1}, token=V1, description="d", kms_key_id="alias/k", tags={"t": "v"}, replica_regions=["eu-central-1"]
    )
    assert secret.version == NewVersion('{"a":1}', V1)
    assert (secret.name, secret.description, secret.kms_key_id) == (ID, "d", "alias/k")
    assert (secret.tags, secret.replica_regions) == ({"t": "v"}, {"eu-central-1": ""})
    assert new_secret(ID, "x", replica_regions={"eu-central-1": "key"}).replica_regions == {"eu-central-1": "key"}


def test_a_secret_may_get_its_first_value_from_a_rotation() -> None:
    assert new_secret(ID).version is None
    assert refused(lambda: new_secret(ID, token=V1)) == "a token is for a value, and there is none"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": "a b"}, "name must have only the letters A to Z and a to z, digits and /_+=.@-"),
        ({"name": ""}, "name must have 1 to 512 characters, not 0"),
        ({"value": ""}, "value must have 1 to 65,536 bytes (text in UTF-8), not 0"),
        ({"description": "x" * 2_049}, "description must have 0 to 2,048 characters, not 2,049"),
        ({"kms_key_id": 7}, "kms_key_id must be text, not int"),
        ({"kms_key_id": "x" * 2_049}, "kms_key_id must have up to 2,048 characters, not 2,049"),
        ({"tags": {"aws:x": "y"}}, "tags has a name that begins with aws:, which is reserved"),
        ({"tags": [("a", "b")]}, "tags must map names to values, not be list"),
        ({"replica_regions": "eu-west-1"}, "replica_regions must be several names of regions, not str"),
        ({"replica_regions": 7}, "replica_regions must be several names of regions, not int"),
        ({"replica_regions": [7]}, "each of replica_regions must be text, not int"),
        ({"replica_regions": {"eu-west-1": None}}, "each key of replica_regions must be text, not NoneType"),
    ],
)
def test_options_of_a_secret_are_checked(options: dict[str, Any], said: str) -> None:
    assert refused(lambda: new_secret(**{"name": ID, **options})) == said


fields = st.dictionaries(
    st.text(st.characters(codec="utf-8"), max_size=5),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8"), max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just("n"), inner),
        max_leaves=5,
    ),
    max_size=4,
)


@given(fields)
def test_what_is_stored_is_what_is_read(value: Mapping[str, Any]) -> None:
    assert json.loads(new_version(value).value) == value


# --- put and create --------------------------------------------------------------------------------------------------


def test_a_lost_reply_says_how_the_call_is_repeated() -> None:
    store = LabelledStore.of({V1: [C]})
    store.fails("put", no_answer(), done=True)
    version = new_version(CANARY, token=V2)
    with pytest.raises(AwsUnavailable) as caught:
        put(store, ID, version)
    assert caught.value.hint == (
        f"version {V2} may have been stored all the same: repeat the call with that token and the same value, which "
        "changes nothing if it was"
    )
    assert put(store, ID, version).version_id == V2
    assert store.stages() == {V1: [V], V2: [C]}
    assert store.count("put") == 2


def test_a_call_is_not_repeated_here() -> None:
    store = LabelledStore.of({V1: [C]})
    store.fails("put", no_answer())
    with pytest.raises(AwsUnavailable):
        put(store, ID, new_version("x"))
    assert store.count("put") == 1


def test_an_error_that_is_an_answer_keeps_its_hint() -> None:
    store = LabelledStore.of({V1: [C]})
    store.fails("put", SecretKeyUnavailable("the key is disabled", hint="enable it"))
    with pytest.raises(SecretKeyUnavailable) as caught:
        put(store, ID, new_version("x"))
    assert caught.value.hint == "enable it"


def test_a_creation_without_an_answer_says_how_it_is_repeated() -> None:
    store = LabelledStore()
    store.fails("create", no_answer(), None, no_answer(), done=True)
    secret = new_secret(ID, "x", token=V1)
    with pytest.raises(AwsUnavailable, match="no answer") as caught:
        create(store, secret)
    assert V1 in caught.value.hint
    assert create(store, secret).version_id == V1
    with pytest.raises(AwsUnavailable) as caught:
        create(store, new_secret(ID))
    assert caught.value.hint == "", "without a value there is no token to repeat it with"


# --- put_if_current --------------------------------------------------------------------------------------------------


def swapped(store: LabelledStore, expected: str | None = V1, pauses: list[float] | None = None) -> VersionPlace:
    pause = list[float]().append if pauses is None else pauses.append
    return put_if_current(store, ID, new_version("new", token=V4), expected, pause=pause)


def test_a_new_value_becomes_current_in_place_of_the_one_that_was_seen() -> None:
    store = LabelledStore.of({V1: [C], V2: [P]})
    assert swapped(store) == VersionPlace(ARN, ID, V4, (C,))
    assert store.stages() == {V1: [V], V2: [P], V4: [C]}
    assert [name for name, _ in store.calls] == ["put", "move_stage", "move_stage"]
    assert store.calls[0][1].stages == (PRIVATE,)


def test_a_value_that_somebody_else_has_put_stays_and_nothing_is_left_behind() -> None:
    store = LabelledStore.of({V1: [V], V2: [C]})
    with pytest.raises(SecretConflict, match=f"AWSCURRENT is on version {V2}, not on version {V1}"):
        swapped(store)
    assert store.stages() == {V1: [V], V2: [C], V4: []}


def test_a_value_that_comes_in_between_stays() -> None:
    store = LabelledStore.of({V1: [C], V3: []})
    store.before["move_stage"] = [lambda: store.moved_by_somebody(C, V3)]
    with pytest.raises(SecretConflict):
        swapped(store)
    assert store.stages() == {V1: [V], V3: [C], V4: []}


def test_the_first_value_of_a_secret_is_expected_to_replace_none() -> None:
    store = LabelledStore()
    assert swapped(store, None).version_id == V4
    assert store.stages() == {V4: [C]}
    store = LabelledStore.of({V1: [P]})
    swapped(store, None)
    assert store.stages() == {V1: [P], V4: [C]}
    store = LabelledStore.of({V1: [C]})
    with pytest.raises(SecretConflict, match=f"AWSCURRENT is on version {V1}, not on no version"):
        swapped(store, None)
    assert store.stages() == {V1: [C], V4: []}


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("call", [0, 1])
def test_a_lost_reply_of_either_move_is_settled(done: bool, call: int) -> None:
    store = LabelledStore.of({V1: [C]})
    store.fails("move_stage", *[None] * call, no_answer(), done=done)
    swapped(store)
    assert store.stages() == {V1: [V], V4: [C]}


@pytest.mark.parametrize("done", [False, True])
def test_a_put_without_an_answer_is_finished_by_the_same_call(done: bool) -> None:
    store = LabelledStore.of({V1: [C]})
    store.fails("put", no_answer(), done=done)
    with pytest.raises(AwsUnavailable) as caught:
        swapped(store)
    assert V4 in caught.value.hint
    swapped(store)
    assert store.stages() == {V1: [V], V4: [C]}


def test_a_swap_that_was_interrupted_anywhere_is_finished_by_the_same_call() -> None:
    for calls in range(8):
        store = LabelledStore.of({V1: [C]})
        store.fails("put", *[None] * calls, *[no_answer()] * 5)
        store.fails("move_stage", *[None] * calls, *[no_answer()] * 9)
        try:
            swapped(store)
        except AwsUnavailable:
            store.before.clear()
            swapped(store)
        assert store.labels.holder(C) == V4
        assert store.labels.holder(V) == V1


def test_a_swap_that_loses_its_label_meanwhile_gets_on_without_it() -> None:
    store = LabelledStore.of({V1: [C]})
    store.before["move_stage"] = [lambda: store.moved_by_somebody(PRIVATE, None)]
    assert swapped(store).stages == (C,)
    assert store.stages() == {V1: [V], V4: [C]}


@pytest.mark.parametrize("call", ["put", "move_stage"])
@pytest.mark.parametrize("done", [False, True])
def test_ctrl_c_in_the_midst_of_a_swap_leaves_no_label_behind(call: str, done: bool) -> None:
    store = LabelledStore.of({V1: [C]})

    def interrupted() -> None:
        raise KeyboardInterrupt

    (store.after if done else store.before)[call] = [interrupted]
    with pytest.raises(KeyboardInterrupt):
        swapped(store)
    assert PRIVATE not in {stage for stages in store.stages().values() for stage in stages}


def test_a_move_without_an_answer_says_how_the_call_is_repeated() -> None:
    store, pauses = LabelledStore.of({V1: [C]}), list[float]()
    store.fails("move_stage", *[no_answer()] * 9)
    with pytest.raises(AwsUnavailable) as caught:
        swapped(store, pauses=pauses)
    assert "repeat the call with that token and the same value" in caught.value.hint
    assert pauses == [0.2, 0.8]


def test_a_denied_move_leaves_no_label_behind() -> None:
    store = LabelledStore.of({V1: [C]})
    store.fails("move_stage", denied())
    with pytest.raises(AwsAccessDenied) as caught:
        swapped(store)
    assert store.stages() == {V1: [C], V4: []}
    assert caught.value.hint == "let the caller do it"


def test_a_label_that_cannot_be_taken_away_is_named() -> None:
    store = LabelledStore.of({V1: [C]})
    store.fails("move_stage", denied(), denied())
    with pytest.raises(AwsAccessDenied) as caught:
        swapped(store)
    assert caught.value.hint == f"let the caller do it; take the label {PRIVATE} away, which could not be done now"


def test_a_label_that_stays_after_success_is_logged_and_no_error(caplog: pytest.LogCaptureFixture) -> None:
    store = LabelledStore.of({V1: [C]})
    store.fails("move_stage", None, denied())
    with caplog.at_level(logging.WARNING, "envelope_secrets"):
        assert swapped(store).version_id == V4
    assert store.stages() == {V1: [V], V4: [C, PRIVATE]}
    assert [record.getMessage() for record in caplog.records] == [
        f"version {V4} is current, but its label {PRIVATE} could not be taken away"
    ]


def test_the_same_token_with_another_value_is_a_conflict() -> None:
    store = LabelledStore.of({V1: [C], V4: []})
    with pytest.raises(SecretConflict, match="the token is taken"):
        swapped(store)
    assert store.stages() == {V1: [C], V4: []}


def test_only_current_can_be_swapped() -> None:
    store = LabelledStore.of({V1: [C]})
    with pytest.raises(InvalidArgument, match="stages must be AWSCURRENT alone"):
        put_if_current(store, ID, new_version("x", stages=[C, "mine"]), V1)
    assert store.calls == []


def test_of_two_writers_that_have_seen_the_same_version_one_wins() -> None:
    store = LabelledStore.of({V1: [C]})
    put_if_current(store, ID, new_version("a", token=V2), V1)
    with pytest.raises(SecretConflict):
        put_if_current(store, ID, new_version("b", token=V3), V1)
    assert store.stages() == {V1: [V], V2: [C], V3: []}


def denied() -> EnvelopeError:
    return AwsAccessDenied("denied", operation="secretsmanager:X", code="AccessDenied", hint="let the caller do it")
