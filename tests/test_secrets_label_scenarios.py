"""What happens to labels in a fleet, one scenario each: L1 to L13 as far as they concern a client.

L4, L5 and L14 are about what a rotation's function does with values; they are not here.
"""

from __future__ import annotations

from typing import Any

import pytest

from envelope.errors import AwsUnavailable
from envelope_secrets.errors import SecretConflict, SecretNotFound, SecretRefused
from envelope_secrets.rotation_control import RotationControl
from envelope_secrets.stage_operations import RepairAction, StageOperations
from envelope_secrets.stages import AWSCURRENT, AWSPENDING, AWSPREVIOUS, Finding, StageMove
from envelope_secrets.stores.protocol import RotationStatus
from envelope_secrets.writing import new_version, put, put_if_current
from tests.labelled_store_for_tests import ID, V1, V2, V3, V4, LabelledStore, RotatingStore, no_answer

C, P, V = AWSCURRENT, AWSPENDING, AWSPREVIOUS


def operations(store: LabelledStore) -> StageOperations:
    return StageOperations(store, pause=lambda _: None)


def rotating(stages: dict[str, list[str]], without_value: tuple[str, ...] = ()) -> RotatingStore:
    store = RotatingStore.of(stages, without_value=without_value)
    assert isinstance(store, RotatingStore)
    return store


def test_l01_an_unknown_version_is_an_error_and_the_current_one_a_success_without_work() -> None:
    store = LabelledStore.of({V1: [V], V2: [C], V3: [P]})
    with pytest.raises((SecretConflict, SecretNotFound)):
        operations(store).promote(ID, V4)
    assert store.stages() == {V1: [V], V2: [C], V3: [P]}
    store.calls.clear()
    assert operations(store).promote(ID, V2) is None
    assert store.count("move_stage") == 0


@pytest.mark.parametrize("enabled", [None, False])
def test_l02_rotation_that_never_was_and_rotation_that_is_off_are_told_apart(enabled: bool | None) -> None:
    store = rotating({V1: [C]})
    store.rotation = RotationStatus(enabled=enabled)
    report = RotationControl(store).status(ID)
    assert report.enabled is enabled
    assert report.findings == ()


def test_l03_a_pending_placeholder_without_a_value_is_never_promoted() -> None:
    store = LabelledStore.of({V1: [C], V2: [P]}, without_value=[V2])
    with pytest.raises(SecretNotFound, match="has no value yet"):
        operations(store).promote(ID, V2)
    assert operations(store).repair(ID).actions == (RepairAction.DROP_PENDING,)
    with pytest.raises(SecretNotFound):
        store.read(ID, stage=P)
    assert store.stages() == {V1: [C], V2: [P]}


def test_l06_a_version_that_an_operator_made_current_meanwhile_is_not_demoted() -> None:
    store = LabelledStore.of({V1: [C], V2: [P]})

    def operator_puts() -> None:
        put(store, ID, new_version("the operator's", token=V3))

    store.before["move_stage"] = [operator_puts]
    with pytest.raises(SecretConflict, match=f"AWSCURRENT is on version {V3}, not on version {V1}"):
        operations(store).promote(ID, V2)
    assert store.stages() == {V1: [V], V2: [P], V3: [C]}, "all versions are kept"

    with pytest.raises(SecretConflict):
        operations(store).move(ID, C, to=V2, from_=V1)
    with pytest.raises(SecretConflict):
        put_if_current(store, ID, new_version("mine", token=V4), V1, pause=lambda _: None)
    assert store.labels.holder(C) == V3


def test_l07_the_first_value_of_a_secret_is_promoted_without_naming_a_version_that_loses_the_label() -> None:
    store = LabelledStore.of({V1: [P]})
    operations(store).promote(ID, V1)
    assert [what for name, what in store.calls if name == "move_stage"] == [StageMove(C, V1, None)]
    assert store.stages() == {V1: [C, P]}


@pytest.mark.parametrize(
    ("known_to_the_target", "action", "after"),
    [
        (V1, "drop-pending", {V1: [C], V2: []}),
        (V2, "promote-pending", {V1: [V], V2: [C, P]}),
    ],
)
def test_l08_a_stuck_pending_version_is_explained_and_repaired_as_the_target_demands(
    known_to_the_target: str, action: str, after: dict[str, list[str]]
) -> None:
    store = rotating({V1: [C], V2: [P]})
    store.fails("rotate", SecretConflict("a rotation of the secret is not complete"))
    with pytest.raises(SecretConflict):
        RotationControl(store).start(ID)

    explained = operations(store).repair(ID)
    assert explained.findings == (Finding.STUCK_PENDING,)
    assert V2 in explained.explanation
    assert action in explained.actions

    operations(store).repair(ID, action=action)
    assert store.stages() == after
    assert store.labels.holder(C) == known_to_the_target
    assert Finding.STUCK_PENDING not in RotationControl(store).status(ID).findings
    RotationControl(store).start(ID, token=V3)
    assert store.labels.holder(P) == V3


@pytest.mark.parametrize("stages", [{V1: [V], V2: [C, P]}, {V1: [V], V2: [C]}])
def test_l09_pending_left_on_the_current_version_and_taken_away_are_both_well(stages: dict[str, list[str]]) -> None:
    store = rotating(stages)
    assert operations(store).repair(ID).findings == ()
    assert RotationControl(store).status(ID).pending_version is None
    operations(store).rollback(ID)
    assert store.labels.holder(C) == V1


MOVES: list[Any] = [
    lambda store: operations(store).promote(ID, V3),
    lambda store: operations(store).rollback(ID),
    lambda store: operations(store).drop_pending(ID),
    lambda store: operations(store).move(ID, "blue", to=V3, from_=V1),
    lambda store: operations(store).move(ID, "blue", to=None, from_=V1),
    lambda store: operations(store).repair(ID, action="drop-pending"),
]


@pytest.mark.parametrize("move", MOVES)
def test_l10_a_lost_reply_is_followed_by_a_look_and_then_a_success(move: Any) -> None:
    expected = LabelledStore.of({V1: [V, "blue"], V2: [C], V3: [P]})
    move(expected)
    store = LabelledStore.of({V1: [V, "blue"], V2: [C], V3: [P]})
    store.fails("move_stage", no_answer(), done=True)
    move(store)
    assert store.stages() == expected.stages()
    assert store.count("move_stage") == 1

    # botocore has repeated the call whose reply was lost: what comes is the refusal of the repetition.
    store = LabelledStore.of({V1: [V, "blue"], V2: [C], V3: [P]})
    store.fails("move_stage", SecretConflict("not there", code="InvalidParameterException"), done=True)
    move(store)
    assert store.stages() == expected.stages()


def test_l11_a_limit_is_told_and_not_tried_again() -> None:
    store = LabelledStore.of({V1: [C], V2: []})
    store.fails("move_stage", SecretRefused("a quota of the service is reached", code="LimitExceededException"))
    with pytest.raises(SecretRefused) as caught:
        operations(store).move(ID, "blue", to=V2, from_=None)
    assert (caught.value.code, caught.value.can_retry) == ("LimitExceededException", False)
    assert store.count("move_stage") == 1

    store.fails("put", SecretRefused("a quota of the service is reached", code="LimitExceededException"))
    with pytest.raises(SecretRefused):
        put_if_current(store, ID, new_version("x"), V1)
    assert store.count("put") == 1
    assert store.stages() == {V1: [C], V2: []}


def test_l12_a_rollback_swaps_the_labels_and_leaves_the_values_alone() -> None:
    store = LabelledStore.of({V1: [V], V2: [C, P]})
    values = dict(store.values)
    operations(store).rollback(ID)
    assert store.stages() == {V1: [C], V2: [P, V]}
    assert store.values == values
    assert store.read(ID).version_id == V1
    assert operations(store).repair(ID).findings == (Finding.STUCK_PENDING,), "the next rotation would be refused"
    operations(store).drop_pending(ID)
    assert operations(store).repair(ID).findings == ()
    operations(store).rollback(ID)
    assert store.stages() == {V1: [V], V2: [C]}


def test_l12_a_rollback_whose_replies_are_all_lost_happens_once() -> None:
    for lost in range(1, 4):
        store = LabelledStore.of({V1: [V], V2: [C]})
        store.fails("move_stage", *[no_answer()] * lost, done=True)
        store.fails("describe", *[None] * 2)
        operations(store).rollback(ID)
        assert store.stages() == {V1: [C], V2: [V]}
    store = LabelledStore.of({V1: [V], V2: [C]})
    store.fails("move_stage", no_answer(), done=True)
    store.fails("describe", None, no_answer())
    with pytest.raises(AwsUnavailable) as caught:
        operations(store).rollback(ID)
    assert not caught.value.can_retry
    assert store.stages() == {V1: [C], V2: [V]}


def test_l13_a_cancelled_rotation_leaves_a_version_that_can_still_be_promoted() -> None:
    store = rotating({V1: [C]})
    RotationControl(store).start(ID, token=V2)
    store.values[V2] = "the target knows this one already"
    store.made[V2] = store.made[V1].replace(hour=1)
    RotationControl(store).cancel(ID)
    assert RotationControl(store).status(ID).findings == (Finding.STUCK_PENDING,)
    operations(store).drop_pending(ID)  # too early: nobody has tried the pending value
    repair = operations(store).repair(ID)
    assert repair.findings == (Finding.ORPHANED_PENDING,)
    assert operations(store).repair(ID, action="promote-newest").done == (StageMove(C, V2, V1),)
    assert store.read(ID).text == "the target knows this one already"
