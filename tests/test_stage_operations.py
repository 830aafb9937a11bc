"""Promote, roll back, drop, move, repair: one move each, made sure of when its reply is lost or the label has moved."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envelope.errors import AwsAccessDenied, AwsUnavailable, EnvelopeError, InvalidArgument
from envelope_secrets.errors import SecretConflict, SecretNotFound
from envelope_secrets.label_moves import make_move
from envelope_secrets.stage_operations import Repair, RepairAction, StageOperations
from envelope_secrets.stages import (
    AWSCURRENT,
    AWSPENDING,
    AWSPREVIOUS,
    SWAP_STAGE_PREFIX,
    Finding,
    StageMove,
    StagingLabels,
)
from tests.labelled_store_for_tests import ID, V1, V2, V3, V4, LabelledStore, no_answer

C, P, V = AWSCURRENT, AWSPENDING, AWSPREVIOUS


class Told:
    """What `changed` was told, and how long was waited."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.pauses: list[float] = []

    def operations(self, store: LabelledStore) -> StageOperations:
        return StageOperations(store, changed=self.ids.append, pause=self.pauses.append)


def denied() -> AwsAccessDenied:
    return AwsAccessDenied("denied", operation="secretsmanager:UpdateSecretVersionStage", code="AccessDeniedException")


# --- promote --------------------------------------------------------------------------------------------------------


def test_a_promotion_moves_current_and_leaves_previous_behind() -> None:
    store, told = LabelledStore.of({V1: [C], V2: [P]}), Told()
    assert told.operations(store).promote(ID, V2) == StageMove(C, V2, V1)
    assert store.stages() == {V1: [V], V2: [C, P]}
    assert (told.ids, told.pauses) == ([ID], [])


def test_the_current_version_is_promoted_without_a_move() -> None:
    store, told = LabelledStore.of({V1: [C]}), Told()
    assert told.operations(store).promote(ID, V1) is None
    assert [name for name, _ in store.calls] == ["describe"]
    assert told.ids == [ID], "somebody else may have moved it"


def test_a_deprecated_version_can_be_promoted() -> None:
    store = LabelledStore.of({V1: [], V2: [V], V3: [C]})
    assert StageOperations(store).promote(ID, V1) == StageMove(C, V1, V3)
    assert store.stages() == {V1: [C], V2: [], V3: [V]}


def test_a_version_that_is_not_listed_is_left_to_the_store_to_judge() -> None:
    store = LabelledStore.of({V1: [C]})
    with pytest.raises(SecretConflict):
        StageOperations(store, pause=Told().pauses.append).promote(ID, V4)
    assert store.stages() == {V1: [C]}


def test_a_version_without_a_value_is_not_promoted() -> None:
    store, told = LabelledStore.of({V1: [C], V2: [P]}, without_value=[V2]), Told()
    with pytest.raises(SecretNotFound, match=f"version {V2} has no value yet") as caught:
        told.operations(store).promote(ID, V2)
    assert "AWSPENDING" in caught.value.hint
    assert store.count("move_stage") == 0


# --- what happens around a move ------------------------------------------------------------------------------------


def test_a_lost_reply_of_a_move_that_was_made_is_a_success() -> None:
    store, told = LabelledStore.of({V1: [C], V2: [P]}), Told()
    store.fails("move_stage", no_answer(), done=True)
    told.operations(store).promote(ID, V2)
    assert store.stages() == {V1: [V], V2: [C, P]}
    assert store.count("move_stage") == 1


def test_a_move_that_did_not_arrive_is_made_again() -> None:
    store = LabelledStore.of({V1: [C], V2: [P]})
    store.fails("move_stage", no_answer())
    StageOperations(store).promote(ID, V2)
    assert store.stages() == {V1: [V], V2: [C, P]}
    assert store.count("move_stage") == 2


def test_a_move_is_tried_four_times_in_all_and_then_fails_with_a_warning() -> None:
    store, told = LabelledStore.of({V1: [C], V2: [P]}), Told()
    store.fails("move_stage", *[no_answer()] * 9)
    with pytest.raises(AwsUnavailable) as caught:
        told.operations(store).promote(ID, V2)
    assert caught.value.hint == "AWSCURRENT may have moved all the same: look at the labels before you try again"
    assert store.count("move_stage") == 4
    assert told.pauses == [0.2, 0.8]
    assert told.ids == [ID]


def test_a_look_that_fails_too_leaves_the_outcome_open() -> None:
    store, told = LabelledStore.of({V1: [C], V2: [P]}), Told()
    operations = told.operations(store)
    store.fails("describe", None, no_answer("secretsmanager:DescribeSecret"))
    store.fails("move_stage", no_answer(), done=True)
    with pytest.raises(AwsUnavailable) as caught:
        operations.promote(ID, V2)
    assert "may have moved all the same" in caught.value.hint
    assert told.ids == [ID], "a reader must not go on with the version that was current"


@pytest.mark.parametrize(("old_looks", "pauses"), [(1, [0.2]), (2, [0.2, 0.8])])
def test_a_look_that_is_too_old_is_taken_again_after_a_pause(old_looks: int, pauses: list[float]) -> None:
    store, told = LabelledStore.of({V1: [C], V2: [P]}), Told()
    store.fails("move_stage", no_answer(), done=True)
    store.old_looks = [store.labels] * (1 + old_looks)  # the first is the plan's
    told.operations(store).promote(ID, V2)
    assert store.stages() == {V1: [V], V2: [C, P]}
    assert told.pauses == pauses


def test_looks_that_stay_too_old_leave_the_outcome_open() -> None:
    store, told = LabelledStore.of({V1: [C], V2: [P]}), Told()
    store.fails("move_stage", no_answer(), done=True)
    store.old_looks = [store.labels] * 4
    with pytest.raises(SecretConflict) as caught:
        told.operations(store).promote(ID, V2)
    assert "may have moved all the same" in caught.value.hint


def test_a_denied_move_is_not_tried_again() -> None:
    store, told = LabelledStore.of({V1: [C], V2: [P]}), Told()
    store.fails("move_stage", denied())
    with pytest.raises(AwsAccessDenied):
        told.operations(store).promote(ID, V2)
    assert store.count("move_stage") == 1
    assert store.count("describe") == 1


def test_a_label_that_somebody_else_moved_there_is_where_it_should_be() -> None:
    store = LabelledStore.of({V1: [C], V2: [P]})
    store.before["move_stage"] = [lambda: store.moved_by_somebody(C, V2)]
    StageOperations(store).promote(ID, V2)
    assert store.stages() == {V1: [V], V2: [C, P]}


def test_a_label_that_somebody_else_moved_elsewhere_is_a_conflict() -> None:
    store, told = LabelledStore.of({V1: [C], V2: [P], V3: ["mine"]}), Told()
    store.before["move_stage"] = [lambda: store.moved_by_somebody(C, V3)]
    with pytest.raises(SecretConflict) as caught:
        told.operations(store).promote(ID, V2)
    assert str(caught.value) == f"AWSCURRENT is on version {V3}, not on version {V1}"
    assert store.stages() == {V1: [V], V2: [P], V3: [C, "mine"]}
    assert told.ids == [ID], "the cache is not what the service has"


def test_a_plan_is_never_made_anew() -> None:
    store = LabelledStore.of({V1: [V], V2: [C], V3: ["mine"]})
    store.before["move_stage"] = [lambda: store.moved_by_somebody(C, V3)]
    with pytest.raises(SecretConflict, match=f"AWSCURRENT is on version {V3}, not on version {V2}"):
        StageOperations(store).rollback(ID)
    assert store.labels.holder(C) == V3


def test_the_move_of_a_label_that_is_nowhere_is_settled_too() -> None:
    store = LabelledStore.of({V1: [C], V2: [P]})
    store.before["move_stage"] = [lambda: store.moved_by_somebody("mine", V1)]
    with pytest.raises(SecretConflict, match=f"mine is on version {V1}, not on no version"):
        make_move(store, ID, StageMove("mine", V2, None))


# --- roll back ------------------------------------------------------------------------------------------------------


def test_a_rollback_swaps_current_and_previous() -> None:
    store, told = LabelledStore.of({V1: [V], V2: [C, P]}), Told()
    assert told.operations(store).rollback(ID) == StageMove(C, V1, V2)
    assert store.stages() == {V1: [C], V2: [P, V]}
    assert told.ids == [ID]


def test_a_rollback_whose_reply_is_lost_does_not_flip_back() -> None:
    store = LabelledStore.of({V1: [V], V2: [C]})
    store.fails("move_stage", no_answer(), done=True)
    StageOperations(store).rollback(ID)
    assert store.stages() == {V1: [C], V2: [V]}
    assert store.count("move_stage") == 1


def test_a_rollback_without_an_answer_is_not_to_be_repeated_blindly() -> None:
    store = LabelledStore.of({V1: [V], V2: [C]})
    store.fails("move_stage", no_answer(), done=True)
    store.fails("describe", None, no_answer())
    with pytest.raises(AwsUnavailable) as caught:
        StageOperations(store).rollback(ID)
    assert caught.value.can_retry is False
    assert "look at the labels before you try again" in caught.value.hint


@pytest.mark.parametrize("stages", [{V1: [C]}, {V1: [P]}, {}])
def test_there_is_nothing_to_go_back_to_without_a_previous_version(stages: dict[str, list[str]]) -> None:
    store = LabelledStore.of(stages)
    with pytest.raises(SecretConflict, match="there is nothing to go back to: no version has AWSPREVIOUS"):
        StageOperations(store).rollback(ID)
    assert store.count("move_stage") == 0


# --- drop and move --------------------------------------------------------------------------------------------------


def test_pending_is_dropped() -> None:
    store, told = LabelledStore.of({V1: [C], V2: [P]}), Told()
    assert told.operations(store).drop_pending(ID) == StageMove(P, None, V2)
    assert store.stages() == {V1: [C], V2: []}
    assert told.ids == [ID]


def test_there_may_be_no_pending_to_drop() -> None:
    store, told = LabelledStore.of({V1: [C]}), Told()
    assert told.operations(store).drop_pending(ID) is None
    assert (store.count("move_stage"), told.ids) == (0, [])


def test_a_label_that_is_gone_already_counts_as_dropped() -> None:
    store = LabelledStore.of({V1: [C], V2: [P]})
    store.before["move_stage"] = [lambda: store.moved_by_somebody(P, None)]
    StageOperations(store).drop_pending(ID)
    assert store.stages() == {V1: [C], V2: []}


def test_the_pending_label_of_a_new_rotation_is_not_dropped_in_its_place() -> None:
    store = LabelledStore.of({V1: [C], V2: [P], V3: []})
    store.before["move_stage"] = [lambda: store.moved_by_somebody(P, V3)]
    with pytest.raises(SecretConflict, match=f"AWSPENDING is on version {V3}, not on version {V2}"):
        StageOperations(store).drop_pending(ID)
    assert store.labels.holder(P) == V3


def test_any_label_can_be_moved() -> None:
    store = LabelledStore.of({V1: [C], V2: []})
    operations = StageOperations(store)
    assert operations.move(ID, "blue", to=V2, from_=None) == StageMove("blue", V2, None)
    operations.move(ID, "blue", to=V1, from_=V2)
    operations.move(ID, "blue", to=None, from_=V1)
    assert store.stages() == {V1: [C], V2: []}
    assert store.count("describe") == 0


@pytest.mark.parametrize(
    ("stage", "to", "from_", "said"),
    [
        ("blue", None, None, "to or from_ must be given"),
        (C, None, V1, "AWSCURRENT can be moved, not taken away"),
        ("", V1, None, "stage has a label that must have 1 to 256 characters, not 0"),
        (7, V1, None, "stage has a label that must be text, not int"),
        ("blue", 7, None, "to must be text, not int"),
        ("blue", V1, "", "from_ must have 1 to 64 characters, not 0"),
        ("blue", "x" * 65, None, "to must have 1 to 64 characters, not 65"),
    ],
)
def test_a_move_that_makes_no_sense_is_not_sent(stage: Any, to: Any, from_: Any, said: str) -> None:
    store = LabelledStore.of({V1: [C]})
    with pytest.raises(InvalidArgument) as caught:
        StageOperations(store).move(ID, stage, to=to, from_=from_)
    assert str(caught.value) == said
    assert store.calls == []


def test_wrong_arguments_are_refused() -> None:
    store = LabelledStore.of({V1: [C]})
    with pytest.raises(InvalidArgument, match="changed must be a function"):
        StageOperations(store, changed=None)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="pause must be a function"):
        StageOperations(store, pause=1)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="version_id must be text, not NoneType"):
        StageOperations(store).promote(ID, None)  # type: ignore[arg-type]
    assert store.calls == []


# --- repair ---------------------------------------------------------------------------------------------------------

MADE_SECOND = "made 2026-01-01 00:01 UTC"


def test_a_secret_that_is_well_needs_no_repair() -> None:
    for stages in ({V1: [C]}, {V1: [V], V2: [C]}, {V1: [V], V2: [C, P]}):
        assert StageOperations(LabelledStore.of(stages)).repair(ID) == Repair(
            (), "nothing is wrong with the labels", ()
        )


def test_a_stuck_pending_version_is_explained_and_nothing_is_done() -> None:
    store, told = LabelledStore.of({V1: [C], V2: [P]}), Told()
    repair = told.operations(store).repair(ID)
    assert repair.findings == (Finding.STUCK_PENDING,)
    assert repair.explanation == f"{Finding.STUCK_PENDING.value} (version {V2}, {MADE_SECOND})"
    assert repair.actions == (RepairAction.DROP_PENDING, RepairAction.PROMOTE_PENDING)
    assert repair.done == ()
    assert (store.count("move_stage"), told.ids) == (0, [])


def test_an_empty_pending_version_can_only_be_dropped() -> None:
    store = LabelledStore.of({V1: [C], V2: [P]}, without_value=[V2])
    repair = StageOperations(store).repair(ID)
    assert repair.findings == (Finding.EMPTY_PENDING,)
    assert repair.explanation == f"{Finding.EMPTY_PENDING.value} (version {V2})"
    assert repair.actions == (RepairAction.DROP_PENDING,)
    with pytest.raises(SecretConflict, match="promote-pending is not possible") as caught:
        StageOperations(store).repair(ID, action=RepairAction.PROMOTE_PENDING)
    assert caught.value.hint == "what can be done now: drop-pending"


def test_an_orphaned_version_can_be_promoted() -> None:
    store = LabelledStore.of({V1: [], V2: [C], V3: [], V4: []})
    repair = StageOperations(store).repair(ID, action="promote-newest")
    assert repair.findings == (Finding.ORPHANED_PENDING,)
    assert f"(version {V4}, made 2026-01-01 00:03 UTC)" in repair.explanation
    assert repair.done == (StageMove(C, V4, V2),)
    assert store.stages() == {V1: [], V2: [V], V3: [], V4: [C]}


def test_an_older_version_without_labels_is_no_orphan() -> None:
    assert StageOperations(LabelledStore.of({V1: [], V2: [V], V3: [C]})).repair(ID).findings == ()


def test_a_version_of_the_same_moment_is_no_orphan() -> None:
    store = LabelledStore.of({V1: [C], V2: []})
    store.made[V2] = store.made[V1]
    assert StageOperations(store).repair(ID).findings == ()


def test_the_youngest_version_is_one_with_a_value() -> None:
    store = LabelledStore.of({V1: [], V2: []}, without_value=[V2])
    store.made = {}
    assert StageOperations(store).repair(ID, action="promote-newest").done == (StageMove(C, V1, None),)


def test_what_is_asked_for_is_done() -> None:
    store, told = LabelledStore.of({V1: [C], V2: [P]}), Told()
    assert told.operations(store).repair(ID, action="drop-pending").done == (StageMove(P, None, V2),)
    assert store.stages() == {V1: [C], V2: []}
    store = LabelledStore.of({V1: [C], V2: [P]})
    assert told.operations(store).repair(ID, action=RepairAction.PROMOTE_PENDING).done == (StageMove(C, V2, V1),)
    assert store.stages() == {V1: [V], V2: [C, P]}
    assert told.ids == [ID, ID]


def test_a_secret_without_a_current_version_gets_one() -> None:
    store = LabelledStore.of({V1: [P]})
    repair = StageOperations(store).repair(ID)
    assert repair.findings == (Finding.NO_CURRENT, Finding.STUCK_PENDING)
    assert repair.explanation.startswith(f"{Finding.NO_CURRENT.value}; ")
    assert repair.actions == (RepairAction.DROP_PENDING, RepairAction.PROMOTE_PENDING)
    assert StageOperations(store).repair(ID, action="promote-pending").done == (StageMove(C, V1, None),)


def test_a_secret_without_any_label_gets_its_youngest_version() -> None:
    store = LabelledStore.of({V1: [], V2: []})
    repair = StageOperations(store).repair(ID)
    assert repair.findings == (Finding.NO_CURRENT,)
    assert repair.actions == (RepairAction.PROMOTE_NEWEST,)
    assert StageOperations(store).repair(ID, action="promote-newest").done == (StageMove(C, V2, None),)


def test_a_secret_without_any_version_cannot_be_repaired() -> None:
    repair = StageOperations(LabelledStore.of({})).repair(ID)
    assert repair == Repair((Finding.NO_CURRENT,), Finding.NO_CURRENT.value, ())
    with pytest.raises(SecretConflict) as caught:
        StageOperations(LabelledStore.of({})).repair(ID, action="promote-newest")
    assert caught.value.hint == "what can be done now: nothing"


def test_where_no_dates_are_told_the_order_of_the_store_counts() -> None:
    store = LabelledStore.of({V1: [], V2: []})
    store.made = {}
    assert StageOperations(store).repair(ID, action="promote-newest").done == (StageMove(C, V2, None),)
    store = LabelledStore.of({V1: [C], V2: []})
    store.made = {V2: datetime(2026, 1, 1, tzinfo=UTC)}
    assert StageOperations(store).repair(ID).findings == ()


@pytest.mark.parametrize("action", ["promote", "", 7, b"drop-pending", ["x" * 1_000]])
def test_an_unknown_action_is_refused_before_any_call(action: Any) -> None:
    store = LabelledStore.of({V1: [C], V2: [P]})
    with pytest.raises(
        InvalidArgument,
        match="action must be one of drop-pending, promote-pending, promote-newest, drop-swap-labels, or",
    ):
        StageOperations(store).repair(ID, action=action)
    assert store.calls == []


def test_a_repair_is_a_compare_and_swap_too() -> None:
    store = LabelledStore.of({V1: [C], V2: [P], V3: []})
    store.before["move_stage"] = [lambda: store.moved_by_somebody(P, V3)]
    with pytest.raises(SecretConflict, match=f"AWSPENDING is on version {V3}, not on version {V2}"):
        StageOperations(store).repair(ID, action="drop-pending")


# --- whatever goes wrong --------------------------------------------------------------------------------------------

faults = st.lists(st.sampled_from(["fine", "lost before", "lost after"]), max_size=6)
interference = st.lists(
    st.none() | st.tuples(st.sampled_from([C, P, "mine"]), st.sampled_from([V1, V2, V3])), max_size=6
)


@given(faults, interference, st.sampled_from(["promote", "rollback", "drop", "repair"]), st.integers(0, 3))
def test_an_operation_that_returns_has_happened_and_one_that_conflicts_has_not(
    wrong: list[str], moved: list[tuple[str, str] | None], name: str, old_looks: int
) -> None:
    store = LabelledStore.of({V1: [V], V2: [C], V3: [P]})
    store.old_looks = [store.labels] * old_looks
    store.before["move_stage"] = [_mess(store, how, some) for how, some in zip(wrong, moved + [None] * 6, strict=False)]
    store.after["move_stage"] = [_lose if how == "lost after" else None for how in wrong]
    operations = Told().operations(store)
    make = {
        "promote": lambda: operations.promote(ID, V3),
        "rollback": lambda: operations.rollback(ID),
        "drop": lambda: operations.drop_pending(ID),
        "repair": lambda: operations.repair(ID, action="promote-pending"),
    }[name]
    stage, to = {"promote": (C, V3), "rollback": (C, V1), "drop": (P, None), "repair": (C, V3)}[name]
    try:
        make()
    except EnvelopeError:
        pass
    else:
        assert store.labels.holder(stage) == to
    assert not store.labels.problems()


def _lose() -> None:
    raise no_answer()


def _mess(store: LabelledStore, how: str, some: tuple[str, str] | None) -> Any:
    def mess() -> None:
        if some is not None:
            store.moved_by_somebody(*some)
        if how == "lost before":
            raise no_answer()

    return mess


def test_of_many_threads_that_promote_different_versions_one_wins() -> None:
    versions = {str(number).zfill(32): ["x" + str(number)] for number in range(10)}
    store, lock = LabelledStore.of({V1: [C], **versions}), threading.Lock()
    barrier = threading.Barrier(10)
    move = store.move_stage
    outcomes: list[str] = []

    def one_at_a_time(secret_id: str, wanted: StageMove) -> None:
        barrier.wait(10)
        with lock:
            move(secret_id, wanted)

    store.move_stage = one_at_a_time  # type: ignore[assignment, method-assign]

    def promote(version_id: str) -> None:
        try:
            StageOperations(store).promote(ID, version_id)
            outcomes.append(version_id)
        except SecretConflict:
            outcomes.append("conflict")

    threads = [threading.Thread(target=promote, args=[version_id]) for version_id in versions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(outcomes)[-9:] == ["conflict"] * 9
    assert store.labels.holder(C) in outcomes
    assert store.labels.holder(V) == V1


def test_labels_are_told_from_one_look() -> None:
    store = LabelledStore.of({V1: [V], V2: [C]})
    store.old_looks = [StagingLabels.of({V1: [V], V2: [C]})]
    StageOperations(store).rollback(ID)
    assert store.count("describe") == 1


# --- what killed swaps have left ------------------------------------------------------------------------------------

SWAP_OF_2, SWAP_OF_3 = f"{SWAP_STAGE_PREFIX}{V2}", f"{SWAP_STAGE_PREFIX}{V3}"


def test_labels_that_killed_swaps_have_left_are_found_and_taken_away() -> None:
    store, told = LabelledStore.of({V1: [C], V2: [SWAP_OF_2], V3: [SWAP_OF_3, "mine"]}), Told()
    repair = told.operations(store).repair(ID)
    assert repair.findings == (Finding.SWAP_LEFT,)
    assert repair.explanation == f"{Finding.SWAP_LEFT.value} (version {V3}, made 2026-01-01 00:02 UTC)"
    assert repair.actions == (RepairAction.DROP_SWAP_LABELS,)
    done = told.operations(store).repair(ID, action="drop-swap-labels").done
    assert done == (StageMove(SWAP_OF_3, None, V3), StageMove(SWAP_OF_2, None, V2))
    assert store.stages() == {V1: [C], V2: [], V3: ["mine"]}


def test_a_swap_that_was_done_but_for_its_label_is_found_too() -> None:
    store = LabelledStore.of({V1: [V], V2: [C, SWAP_OF_2]})
    assert StageOperations(store).repair(ID, action="drop-swap-labels").done == (StageMove(SWAP_OF_2, None, V2),)
    assert store.stages() == {V1: [V], V2: [C]}
