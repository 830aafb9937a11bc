"""Label moves as they were recorded from AWS, each on a real store: before, call, after.

C, P and V stand for AWSCURRENT, AWSPENDING and AWSPREVIOUS. Versions that have no label are not shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from envelope_secrets.stages import AWSCURRENT, AWSPENDING, AWSPREVIOUS, StageMove
from envelope_secrets.stores.local import LocalSecretStore
from envelope_secrets.stores.protocol import NewSecret
from tests.local_secrets_for_tests import NAME, local_store, secret, stages, token, version

LETTERS = {"C": AWSCURRENT, "P": AWSPENDING, "V": AWSPREVIOUS}
NAMES = {name: letter for letter, name in LETTERS.items()}

Call = Callable[[LocalSecretStore], object]


def create(store: LocalSecretStore) -> object:
    return store.create(secret("value", 1))


def put(number: int, *labels: str) -> Call:
    names = [LETTERS.get(label, label) for label in labels]
    return lambda store: store.put(NAME, version(f"value {number}", number, *names))


def move(label: str, from_number: int | None, to_number: int | None) -> Call:
    from_version, to_version = (None if one is None else token(one) for one in (from_number, to_number))
    return lambda store: store.move_stage(NAME, StageMove(LETTERS.get(label, label), to_version, from_version))


def announce(number: int) -> Call:
    return lambda store: store.announce(NAME, token(number))


def shown(store: LocalSecretStore) -> str:
    """Like ``1:V 2:C,P``."""
    return " ".join(
        f"{number}:{','.join(sorted(NAMES.get(name, name) for name in names.split()))}"
        for number, names in stages(store).items()
    )


TABLE: list[tuple[str, list[Call], str, str]] = [
    ("a new secret", [create], "", "1:C"),
    ("a put", [create, put(2)], "1:C", "1:V 2:C"),
    ("a put of a pending version", [create, put(2, "P")], "1:C", "1:C 2:P"),
    ("a pending one beside a previous one", [create, put(2), put(3, "P")], "1:V 2:C", "1:V 2:C 3:P"),
    ("a promotion", [create, put(2, "P"), move("C", 1, 2)], "1:C 2:P", "1:V 2:C,P"),
    ("the next pending one", [create, put(2, "P"), move("C", 1, 2), put(3, "P")], "1:V 2:C,P", "1:V 2:C 3:P"),
    ("a put over current and pending", [create, put(2, "P"), move("C", 1, 2), put(3)], "1:V 2:C,P", "2:V 3:C"),
    ("the next promotion", [create, put(2), put(3, "P"), move("C", 2, 3)], "1:V 2:C 3:P", "2:V 3:C,P"),
    ("pending taken away", [create, put(2), put(3, "P"), move("P", 3, None)], "1:V 2:C 3:P", "1:V 2:C"),
    (
        "labels of one's own, of which some move",
        [create, put(2, "one", "two", "three"), put(3, "one", "two", "four")],
        "1:C 2:one,three,two",
        "1:C 2:three 3:four,one,two",
    ),
    (
        "labels of one's own on the version that loses the current one",
        [create, put(2), put(3, "P"), move("mine", None, 2), move("C", 2, 3)],
        "1:V 2:C,mine 3:P",
        "2:V,mine 3:C,P",
    ),
    ("an announced rotation", [create, announce(2)], "1:C", "1:C 2:P"),
    ("a rollback", [create, put(2), move("C", 2, 1)], "1:V 2:C", "1:C 2:V"),
]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalSecretStore]:
    with local_store(tmp_path / "secrets.db") as store:
        yield store


@pytest.mark.parametrize(("calls", "before", "after"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_labels_move_as_in_the_service(store: LocalSecretStore, calls: list[Call], before: str, after: str) -> None:
    *earlier, last = calls
    for call in earlier:
        call(store)
    assert not earlier or shown(store) == before
    last(store)
    assert shown(store) == after


def test_the_first_version_of_a_secret_is_current_whatever_was_asked_for(store: LocalSecretStore) -> None:
    store.create(NewSecret(NAME))
    put(1, "P")(store)
    assert shown(store) == "1:C,P"


def test_a_secret_that_gets_its_first_value_by_a_rotation_has_no_current_version_before(
    store: LocalSecretStore,
) -> None:
    store.create(NewSecret(NAME))
    announce(1)(store)
    assert shown(store) == "1:P"
    put(1, "P")(store)
    assert shown(store) == "1:P"
    move("C", None, 1)(store)
    assert shown(store) == "1:C,P"
