"""A store that somebody else has written may raise anything and return anything: out come errors of this package."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from envelope_secrets import SecretsClient
from envelope_secrets.errors import NotSupported, SecretNotFound, StoreFailed
from envelope_secrets.rotation import SigningKey, rotate, rotation_handler, rotation_status
from envelope_secrets.stores.guarded_store import guarded_store
from envelope_secrets.stores.protocol import HasTrees, Replicates, Rotates, SecretStore
from tests.labelled_store_for_tests import LabelledStore
from tests.secret_stores_for_tests import MemoryStore

CALLS: dict[str, Callable[[SecretsClient], Any]] = {
    "describe": lambda client: client.describe("a"),
    "versions": lambda client: client.versions("a"),
    "list": lambda client: list(client.list()),
    "create": lambda client: client.create("z", "value"),
    "put": lambda client: client.put("a", "value"),
    "update": lambda client: client.update("a", description="text"),
    "move_stage": lambda client: client.stages.move("a", "MINE", to="v1", from_=None),
    "delete": lambda client: client.delete("a"),
    "restore": lambda client: client.restore("a"),
    "tag": lambda client: client.tag("a", {"k": "v"}),
    "untag": lambda client: client.untag("a", ["k"]),
    "read": lambda client: client.get("a"),
    "read_many": lambda client: client.get_many(["a"])["a"],
}


class Foreign(Exception):
    """What a careless store raises."""


def store_with(name: str, method: Callable[..., Any]) -> MemoryStore:
    store = MemoryStore(a="1")
    setattr(store, name, method)
    return store


@pytest.mark.parametrize("name", CALLS)
def test_what_a_store_raises_is_told_by_its_type_alone(name: str) -> None:
    def fail(*_: object, **__: object) -> None:
        raise Foreign("the value")

    with pytest.raises(StoreFailed, match=r"^the store raised Foreign$") as caught:
        CALLS[name](SecretsClient(store_with(name, fail)))
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


@pytest.mark.parametrize("name", CALLS)
def test_an_error_of_this_package_comes_as_it_is(name: str) -> None:
    error = SecretNotFound("there is none")

    def fail(*_: object, **__: object) -> None:
        raise error

    with pytest.raises(SecretNotFound, match="there is none"):
        CALLS[name](SecretsClient(store_with(name, fail)))


@pytest.mark.parametrize("name", ["describe", "create", "put"])
@pytest.mark.parametrize("answer", [None, 5, "text", {}])
def test_what_is_no_answer_is_refused(name: str, answer: object) -> None:
    with pytest.raises(StoreFailed, match=f"but a value of type {type(answer).__name__}$"):
        CALLS[name](SecretsClient(store_with(name, lambda *_, **__: answer)))


@pytest.mark.parametrize("name", ["versions", "list"])
@pytest.mark.parametrize("answer", [None, 5, [5], "text"])
def test_what_is_no_list_of_answers_is_refused(name: str, answer: object) -> None:
    with pytest.raises(StoreFailed, match=r"^the store (raised TypeError|gave no Secret\w+, but a value of type)"):
        CALLS[name](SecretsClient(store_with(name, lambda *_, **__: answer)))


def test_a_list_that_breaks_off_gives_what_came_before() -> None:
    whole = MemoryStore(a="1", b="2")
    descriptions = list(whole.list())

    def broken(**_: object) -> Iterator[object]:
        yield descriptions[0]
        raise Foreign("the value")

    listed = SecretsClient(store_with("list", broken)).list()
    assert next(listed) == descriptions[0]
    with pytest.raises(StoreFailed, match="the store raised Foreign"):
        next(listed)


def test_an_operation_on_labels_is_guarded_too() -> None:
    client = SecretsClient(store_with("describe", lambda _: None))
    for operation in (client.stages.rollback, client.stages.drop_pending, client.stages.repair, client.key_ring):
        with pytest.raises(StoreFailed, match="gave no SecretDescription"):
            operation("a")


def test_a_guarded_store_can_do_what_the_store_can_and_is_called_as_it_is() -> None:
    store = guarded_store(MemoryStore(a="1"))
    assert isinstance(store, SecretStore)
    assert isinstance(store, HasTrees) is isinstance(MemoryStore(), HasTrees)
    assert not isinstance(guarded_store(LabelledStore()), Replicates | Rotates)
    assert repr(store) == repr(MemoryStore(a="1"))
    with pytest.raises(NotSupported, match="the secrets of a MemoryStore have no policies"):
        SecretsClient(MemoryStore()).policy.get("a")


def test_interrupts_pass() -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for call in CALLS.values():
        with pytest.raises(KeyboardInterrupt):
            call(SecretsClient(store_with(next(name for name in CALLS if CALLS[name] is call), interrupted)))


def test_a_rotation_lets_out_errors_of_this_package_alone() -> None:
    def fail(*_: object, **__: object) -> None:
        raise Foreign("the value")

    store: Any = store_with("describe", fail)
    event = {"Step": "createSecret", "SecretId": "a", "ClientRequestToken": "1" * 32}
    for call in (
        lambda: rotate(store, "a", SigningKey()),
        lambda: rotation_status(store, "a", SigningKey()),
        lambda: rotation_handler(SigningKey(), store=store)(event, None),
    ):
        with pytest.raises(StoreFailed, match="the store raised Foreign"):
            call()
