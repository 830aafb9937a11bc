"""Which version is current, pending, previous: the transitions that the service was seen to make, and what holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envelope_secrets.stages import (
    AWSCURRENT,
    AWSPENDING,
    AWSPREVIOUS,
    Finding,
    StageConflict,
    StageMove,
    StagingLabels,
    after_move,
    after_put,
    diagnose,
    pending_removal,
    promotion,
    rollback,
)

SHORT = {"C": AWSCURRENT, "P": AWSPENDING, "V": AWSPREVIOUS}


def labels_of(text: str) -> StagingLabels:
    """Labels written like ``v1:V v2:C,P v3:``."""
    pairs = (one.split(":") for one in text.split())
    return StagingLabels.of(
        {version: [SHORT.get(stage, stage) for stage in stages.split(",") if stage] for version, stages in pairs}
    )


def text_of(labels: StagingLabels) -> str:
    """The same in one order, that of the letters C, P, V and then other labels."""
    long = {stage: letter for letter, stage in SHORT.items()}
    return " ".join(
        f"{version}:{','.join(sorted(long.get(stage, stage) for stage in stages))}"
        for version, stages in sorted(labels.by_version.items())
    )


# The first value of a secret, PutSecretValue with its labels (None: by default), and RotateSecret, which is a put of
# AWSPENDING without a value.
PUTS = [
    ("", "v1", None, "v1:C"),
    ("", "v1", [AWSPENDING], "v1:C,P"),
    ("v1:C", "v2", None, "v1:V v2:C"),
    ("v1:C", "v2", [AWSPENDING], "v1:C v2:P"),
    ("v1:V v2:C", "v3", [AWSPENDING], "v1:V v2:C v3:P"),
    ("v1:V v2:C,P", "v3", [AWSPENDING], "v1:V v2:C v3:P"),
    ("v1:V v2:C,P", "v3", None, "v1: v2:V v3:C"),
    ("v1:C v2:one,three,two", "v3", ["one", "two", "four"], "v1:C v2:three v3:four,one,two"),
    ("v1:C", "v2", [], "v1:C v2:"),
    ("v1: v2:", "v3", ["mine"], "v1: v2: v3:C,mine"),
    ("v1:C v2:P", "v2", [AWSPENDING], "v1:C v2:P"),
    ("v1:V v2:C", "v3", [AWSPREVIOUS], "v1: v2:C v3:V"),
]

MOVES = [
    ("v1:C v2:P", StageMove(AWSCURRENT, "v2", "v1"), "v1:V v2:C,P"),
    ("v1:V v2:C v3:P", StageMove(AWSCURRENT, "v3", "v2"), "v1: v2:V v3:C,P"),
    ("v2:C v3:P", StageMove(AWSPENDING, None, "v3"), "v2:C v3:"),
    ("v1:V v2:C", StageMove(AWSCURRENT, "v1", "v2"), "v1:C v2:V"),
    ("v1:C,ONE,TWO v2:", StageMove(AWSCURRENT, "v2", "v1"), "v1:ONE,TWO,V v2:C"),
    ("v1: v2:", StageMove(AWSCURRENT, "v2", None), "v1: v2:C"),
    ("v1:P", StageMove(AWSCURRENT, "v1", None), "v1:C,P"),
    ("v1:C", StageMove(AWSCURRENT, "v1", None), "v1:C"),
    ("v1:C", StageMove(AWSCURRENT, "v1", "v1"), "v1:C"),
    ("v1:C v2:", StageMove("mine", "v2", None), "v1:C v2:mine"),
    ("v1:C", StageMove(AWSPENDING, None, None), "v1:C"),
]

REFUSED_MOVES = [
    ("v1:C v2:P", StageMove(AWSCURRENT, "v2", None), "AWSCURRENT is on version v1, which the call does not name"),
    ("v1:C v2:P v3:", StageMove(AWSCURRENT, "v3", "v2"), "AWSCURRENT is on version v1, not on version v2"),
    ("v1:C v2:", StageMove(AWSPENDING, "v2", "v1"), "AWSPENDING is on no version, not on version v1"),
    ("v1:C v2:", StageMove(AWSPENDING, None, "v2"), "AWSPENDING is on no version, not on version v2"),
    ("v1:C v2:P", StageMove(AWSPENDING, None, None), "AWSPENDING is on version v2, which the call does not name"),
    ("v1:C", StageMove(AWSCURRENT, "v9", "v1"), "there is no version v9"),
]


def row(value: object) -> str | None:
    return value.replace(" ", "_") or "nothing" if isinstance(value, str) else None


@pytest.mark.parametrize(("before", "version", "stages", "after"), PUTS, ids=row)
def test_a_put_moves_labels_as_the_service_does(
    before: str, version: str, stages: list[str] | None, after: str
) -> None:
    assert text_of(after_put(labels_of(before), version, stages)) == after


@pytest.mark.parametrize(("before", "move", "after"), MOVES, ids=row)
def test_a_move_moves_labels_as_the_service_does(before: str, move: StageMove, after: str) -> None:
    assert text_of(after_move(labels_of(before), move)) == after


@pytest.mark.parametrize(("before", "move", "text"), REFUSED_MOVES, ids=row)
def test_a_move_that_supposes_something_else_changes_nothing(before: str, move: StageMove, text: str) -> None:
    labels = labels_of(before)
    with pytest.raises(StageConflict) as caught:
        after_move(labels, move)
    assert str(caught.value) == text
    assert text_of(labels) == before


def test_a_promotion_names_the_version_that_is_current() -> None:
    assert promotion(labels_of("v1:C v2:P"), "v2") == StageMove(AWSCURRENT, "v2", "v1")


def test_the_first_promotion_of_a_secret_without_a_current_version_names_none() -> None:
    assert promotion(labels_of("v1:P"), "v1") == StageMove(AWSCURRENT, "v1", None)


def test_the_promotion_of_the_current_version_is_nothing_to_do() -> None:
    assert promotion(labels_of("v1:C"), "v1") is None


def test_an_unknown_version_cannot_be_promoted() -> None:
    with pytest.raises(StageConflict, match="there is no version v9"):
        promotion(labels_of("v1:C"), "v9")


def test_two_rollbacks_bring_the_first_state_back() -> None:
    labels = labels_of("v1:V v2:C,P")
    once = after_move(labels, rollback(labels))
    assert text_of(once) == "v1:C v2:P,V"
    assert text_of(after_move(once, rollback(once))) == text_of(labels)


@pytest.mark.parametrize(("before", "lacking"), [("v1:C", AWSPREVIOUS), ("v1:", AWSPREVIOUS), ("v1:V", AWSCURRENT)])
def test_there_is_no_rollback_without_a_current_and_a_previous_version(before: str, lacking: str) -> None:
    with pytest.raises(StageConflict, match=f"no version has {lacking}"):
        rollback(labels_of(before))


def test_pending_is_taken_from_the_version_that_has_it() -> None:
    assert pending_removal(labels_of("v1:C v2:P")) == StageMove(AWSPENDING, None, "v2")
    assert pending_removal(labels_of("v1:C")) is None


DIAGNOSES: list[tuple[str, str, str, list[Finding]]] = [
    ("v1:C", "v1", "", []),
    ("v1:C,P", "v1", "", []),
    ("v1:V v2:C,P", "v1 v2", "", []),
    ("v1:C v2:P", "v1 v2", "v2", [Finding.STUCK_PENDING]),
    ("v1:C v2:P", "v1", "", [Finding.EMPTY_PENDING]),
    ("v1:C v2:", "v1 v2", "v2", [Finding.ORPHANED_PENDING]),
    ("v1: v2:C", "v1 v2", "", []),
    ("v1:C v2: v3:P", "v1 v2 v3", "v2 v3", [Finding.STUCK_PENDING, Finding.ORPHANED_PENDING]),
    ("v1:P", "", "", [Finding.NO_CURRENT, Finding.EMPTY_PENDING]),
    ("v1:P", "v1", "", [Finding.NO_CURRENT, Finding.STUCK_PENDING]),
    ("v1:C v2:envelope-swap-2", "v1 v2", "v2", [Finding.SWAP_LEFT]),
    ("v1:envelope-swapped v2:C", "v1 v2", "", []),
    ("", "", "", [Finding.NO_CURRENT]),
]


@pytest.mark.parametrize(("labels", "with_value", "newer", "found"), DIAGNOSES)
def test_a_diagnosis_names_what_blocks_a_rotation_and_what_was_left_behind(
    labels: str, with_value: str, newer: str, found: list[Finding]
) -> None:
    assert list(diagnose(labels_of(labels), with_value=with_value.split(), newer=newer.split())) == found


def test_what_no_secret_may_look_like_is_named() -> None:
    assert labels_of("v1:C v2:C v3:V v4:V v5:V").problems() == [
        "AWSCURRENT is on 2 versions",
        "AWSPREVIOUS is on 3 versions",
    ]
    assert labels_of("v1:V").problems() == ["AWSPREVIOUS without AWSCURRENT"]
    assert labels_of("v1:V v2:C,P").problems() == []


def test_labels_cannot_be_changed_from_outside() -> None:
    source = {"v1": [AWSCURRENT]}
    labels = StagingLabels.of(source)
    source["v1"].append(AWSPENDING)
    assert text_of(labels) == "v1:C"
    with pytest.raises(TypeError):
        labels.by_version["v2"] = frozenset()  # type: ignore[index]


def test_a_version_that_nobody_knows_has_no_labels() -> None:
    assert labels_of("v1:C").stages_of("v9") == frozenset()


# --- whatever happens -----------------------------------------------------------------------------------------------

stages = st.sampled_from([AWSCURRENT, AWSPENDING, AWSPREVIOUS, "mine", "yours"])
versions = st.sampled_from([f"v{number}" for number in range(6)])
puts = st.tuples(st.just("put"), versions, st.none() | st.lists(stages, max_size=3))
moves = st.tuples(st.just("move"), stages, st.none() | versions, st.booleans())
steps = st.lists(puts | moves, max_size=30)


def played(steps_made: list[tuple]) -> list[tuple[StagingLabels, StagingLabels, tuple]]:
    """The labels before and after each step that was not refused."""
    labels, seen = StagingLabels.of({}), []
    for step in steps_made:
        before = labels
        if step[0] == "put":
            if before.stages_of(step[1]):
                continue  # the service takes a put under a known token for a repetition
            labels = after_put(before, step[1], step[2])
        else:
            _, stage, to, names_holder = step
            if stage == AWSCURRENT and to is None:
                continue  # nobody takes AWSCURRENT away
            try:
                labels = after_move(before, StageMove(stage, to, before.holder(stage) if names_holder else None))
            except StageConflict:
                continue
        seen.append((before, labels, step))
    return seen


@given(steps)
def test_whatever_happens_a_label_is_on_one_version_at_most_and_there_is_a_current_one(steps_made: list[tuple]) -> None:
    for _, labels, _ in played(steps_made):
        assert not [problem for problem in labels.problems() if "versions" in problem]
        assert labels.holder(AWSCURRENT) or not labels.by_version, (
            "the first version gets AWSCURRENT; it never goes away"
        )


@given(steps)
def test_whenever_current_moves_the_version_that_it_leaves_is_previous(steps_made: list[tuple]) -> None:
    for before, labels, step in played(steps_made):
        was, now = before.holder(AWSCURRENT), labels.holder(AWSCURRENT)
        if was is not None and was != now and (step[0] == "move" or AWSPREVIOUS not in (step[2] or ())):
            assert labels.holder(AWSPREVIOUS) == was


@given(steps)
def test_other_labels_move_only_when_they_are_told_to(steps_made: list[tuple]) -> None:
    for before, labels, step in played(steps_made):
        told = {step[1]} if step[0] == "move" else set(step[2] or ())
        for stage in ("mine", "yours"):
            assert before.holder(stage) == labels.holder(stage) or stage in told


@given(steps)
def test_pending_is_dropped_by_the_next_value_only_from_the_version_that_was_current(steps_made: list[tuple]) -> None:
    for before, labels, step in played(steps_made):
        told = {step[1]} if step[0] == "move" else set(step[2] or ())
        lost = before.holder(AWSPENDING) is not None and labels.holder(AWSPENDING) is None
        if lost and AWSPENDING not in told:
            assert step[0] == "put"
            assert before.holder(AWSPENDING) == before.holder(AWSCURRENT)


@given(steps)
def test_no_version_is_ever_forgotten(steps_made: list[tuple]) -> None:
    for before, labels, _ in played(steps_made):
        assert before.by_version.keys() <= labels.by_version.keys()
