"""Multi-keyring: every key can open the message, and every failure is told."""

from __future__ import annotations

from typing import Any

import pytest

from envelope import (
    Client,
    DataKey,
    EncryptedDataKey,
    EncryptionContext,
    InvalidArgument,
    KeyUnavailable,
    LimitExceeded,
    MultiKeyring,
    Suite,
    UnwrapFailed,
    WrapRequest,
    describe,
)
from tests.crafted_messages import Crafted, Key
from tests.keyrings_for_tests import AnswersWith, FixedKeyring, Refuses, raw_aes

ONE, TWO, THREE = raw_aes("one", 1), raw_aes("two", 2), raw_aes("three", 3)
SOME_KEY = EncryptedDataKey("test", b"key", b"wrapped")


def _names(message: bytes) -> list[bytes]:
    return [key.provider_info[:-20] for key in describe(message).encrypted_data_keys]


def test_the_generator_comes_first_and_the_children_in_their_order() -> None:
    message = Client(MultiKeyring(TWO, [THREE, ONE])).encrypt(b"plaintext", {"a": "b"})
    assert _names(message) == [b"two", b"three", b"one"]


@pytest.mark.parametrize("keyring", [ONE, TWO, THREE, MultiKeyring(None, [TWO]), MultiKeyring(THREE, (ONE, TWO))])
def test_any_one_of_the_keys_opens_the_message(keyring: Any) -> None:
    message = Client(MultiKeyring(ONE, [TWO, THREE])).encrypt(b"plaintext", {"a": "b"})
    assert Client(keyring).decrypt(message, {"a": "b"}) == b"plaintext"


def test_the_generator_is_asked_first_and_the_first_that_can_is_enough() -> None:
    message = Client(MultiKeyring(ONE, [TWO])).encrypt(b"plaintext")
    last = FixedKeyring()
    opened = Client(MultiKeyring(TWO, [ONE, last])).decrypt_message(message)
    assert opened.unwrapped_by.key_name == "two"
    assert last.unwraps == []


def test_every_keyring_sees_the_whole_request() -> None:
    message = Crafted(keys=(Key(b"a"), Key(b"b"))).serialize()
    first, second = FixedKeyring(b"too short"), FixedKeyring()
    seen = FixedKeyring()
    with pytest.raises(KeyUnavailable):
        Client(MultiKeyring(first, [second])).decrypt(message)
    Client(MultiKeyring(Refuses(), [seen])).decrypt(message)
    assert first.unwraps == seen.unwraps
    assert [key.provider_id for key in seen.unwraps[0].encrypted_data_keys] == ["a", "b"]


def test_a_keyring_that_raises_anything_does_not_keep_the_others_from_trying() -> None:
    message = Client(ONE).encrypt(b"plaintext")
    for error in (ValueError("x"), KeyUnavailable("x"), InvalidArgument("x"), OSError(5, "x"), TypeError()):
        assert Client(MultiKeyring(AnswersWith(error), [Refuses(), ONE])).decrypt(message) == b"plaintext"


def test_an_interrupt_does() -> None:
    with pytest.raises(KeyboardInterrupt):
        Client(MultiKeyring(AnswersWith(KeyboardInterrupt()), [ONE])).decrypt(Client(ONE).encrypt(b"x"))


def test_every_cause_is_told_one_for_each_key_and_keyring() -> None:
    message = Client(MultiKeyring(TWO, [THREE])).encrypt(b"x")
    oops = ValueError("oops")
    keyring = MultiKeyring(ONE, [AnswersWith(oops), Refuses(), MultiKeyring(raw_aes("two", 9), [raw_aes("four", 4)])])
    with pytest.raises(KeyUnavailable, match=r"no keyring could unwrap the data key \(8 tried\)") as caught:
        Client(keyring).decrypt(message)
    errors = caught.value.errors
    named = [(error.keyring, error.key_name) for error in errors if isinstance(error, UnwrapFailed)]
    assert named == [
        ("RawAesKeyring('tests', 'one')", "two"),
        ("RawAesKeyring('tests', 'one')", "three"),
        ("RawAesKeyring('tests', 'two')", "two"),
        ("RawAesKeyring('tests', 'two')", "three"),
        ("RawAesKeyring('tests', 'four')", "two"),
        ("RawAesKeyring('tests', 'four')", "three"),
    ]
    assert errors[2] is oops
    assert str(errors[3]) == "Refuses() refuses"
    assert "tests:two, tests:three" in caught.value.hint


@pytest.mark.parametrize(
    "keyring",
    [MultiKeyring(Refuses(), [ONE]), MultiKeyring(ONE, [TWO, Refuses()]), MultiKeyring(ONE, [MultiKeyring(Refuses())])],
)
def test_one_keyring_that_cannot_wrap_fails_all(keyring: Any) -> None:
    with pytest.raises(KeyUnavailable, match=r"Refuses\(\) refuses"):
        Client(keyring).encrypt(b"x")


@pytest.mark.parametrize("error", [ValueError("x"), OSError(5, "x")])
def test_a_child_that_raises_anything_fails_all(error: Exception) -> None:
    with pytest.raises(KeyUnavailable) as caught:
        Client(MultiKeyring(ONE, [AnswersWith(error)])).encrypt(b"x")
    assert caught.value.__cause__ is error


OTHER_KEY = DataKey(bytes(32), (SOME_KEY,))


@pytest.mark.parametrize("answer", [OTHER_KEY, None, b"x", DataKey(b"", ()), "text"])
def test_a_child_that_wraps_another_key_or_none_fails_all(answer: Any) -> None:
    """Its encrypted data key would be in the message, and nobody could ever open it with that one."""
    with pytest.raises(KeyUnavailable):
        Client(MultiKeyring(ONE, [TWO, AnswersWith(answer)])).encrypt(b"x")


@pytest.mark.parametrize("answer", [None, b"x", DataKey(b"short", (SOME_KEY,)), "text"])
def test_a_generator_that_makes_no_data_key_fails_all(answer: Any) -> None:
    with pytest.raises(KeyUnavailable):
        Client(MultiKeyring(AnswersWith(answer), [ONE])).encrypt(b"x")


def test_a_child_may_add_no_encrypted_data_key() -> None:
    """A keyring of somebody's that only opens old messages."""

    class AddsNone(FixedKeyring):
        def wrap(self, request: WrapRequest) -> DataKey:
            return DataKey(super().wrap(request).plaintext, ())

    assert _names(Client(MultiKeyring(ONE, [AddsNone(), TWO])).encrypt(b"x")) == [b"one", b"two"]


def test_without_a_generator_there_is_no_data_key() -> None:
    with pytest.raises(InvalidArgument, match="without a generator") as caught:
        Client(MultiKeyring(children=[ONE, TWO])).encrypt(b"x")
    assert "generator=" in caught.value.hint


def test_a_multi_keyring_can_be_a_child_or_a_generator_of_another() -> None:
    inner = MultiKeyring(children=[TWO, THREE])
    message = Client(MultiKeyring(ONE, [inner])).encrypt(b"plaintext")
    assert _names(message) == [b"one", b"two", b"three"]
    assert Client(inner).decrypt(message) == b"plaintext"
    assert _names(Client(MultiKeyring(MultiKeyring(THREE, [ONE]), [TWO])).encrypt(b"x")) == [b"three", b"one", b"two"]
    assert _names(Client(MultiKeyring(ONE, [MultiKeyring(TWO, [THREE])])).encrypt(b"x")) == [b"one", b"two", b"three"]


def test_a_given_data_key_is_wrapped_and_no_other() -> None:
    given = bytes(range(32))
    request = WrapRequest(Suite(0x0478), EncryptionContext({}), given)
    assert MultiKeyring(ONE, [TWO]).wrap(request).plaintext == given
    assert MultiKeyring(None, [TWO]).wrap(request).plaintext == given


def test_all_keys_count_against_the_limit() -> None:
    keyring = MultiKeyring(ONE, [TWO, THREE])
    assert len(_names(Client(keyring, max_encrypted_data_keys=3).encrypt(b"x"))) == 3
    with pytest.raises(LimitExceeded, match="3 encrypted data keys, more than the limit of 2"):
        Client(keyring, max_encrypted_data_keys=2).encrypt(b"x")


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"generator": None, "children": []},
        {"generator": "key"},
        {"generator": bytes(32)},
        {"children": ONE},
        {"children": MultiKeyring(ONE)},
        {"generator": ONE, "children": TWO},
        {"generator": ONE, "children": None},
        {"generator": ONE, "children": 1},
        {"generator": ONE, "children": [None]},
        {"generator": ONE, "children": "keyring"},
        {"generator": ONE, "children": [TWO, "keyring"]},
        {"generator": type(ONE)},
    ],
)
def test_what_is_no_keyring_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        MultiKeyring(**arguments)


def test_children_may_come_from_any_iterable_once() -> None:
    keyring = MultiKeyring(ONE, (child for child in (TWO, THREE)))
    assert _names(Client(keyring).encrypt(b"x")) == _names(Client(keyring).encrypt(b"x")) == [b"one", b"two", b"three"]


def test_its_name_is_made_of_theirs() -> None:
    assert repr(MultiKeyring(ONE, [TWO])) == (
        "MultiKeyring(generator=RawAesKeyring('tests', 'one'), children=[RawAesKeyring('tests', 'two')])"
    )
