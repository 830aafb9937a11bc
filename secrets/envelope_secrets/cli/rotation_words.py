"""What a command says of where a rotation stands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from envelope_secrets.rotation.diagnosis import RotationDiagnosis, VersionAnswer

__all__ = ["ACTION_TEXTS", "diagnosis_fields", "diagnosis_lines", "version_lines"]

ACTION_TEXTS = {
    "drop-pending": "take AWSPENDING away",
    "promote-pending": "make the pending version current",
    "promote-previous": "make the previous version current",
    "promote-orphan": "make the version current that a cancelled rotation has left",
    "rotate": "take the rotation up where it stopped, or begin one",
}


def diagnosis_lines(diagnosis: RotationDiagnosis) -> Iterator[str]:
    """A diagnosis for a person."""
    yield f"{diagnosis.name}: {diagnosis.verdict.value}"
    yield from version_lines(diagnosis)
    if diagnosis.function_arn:
        yield f"rotated by: {diagnosis.function_arn}"
    if diagnosis.obstacle and not diagnosis.is_well:
        yield f"no rotation now: {diagnosis.obstacle}"
        if diagnosis.obstacle_hint:
            yield f"hint: {diagnosis.obstacle_hint}"
    for number, action in enumerate(diagnosis.actions):
        yield f"{'repair would' if number == 0 else '    or could'}: {action}: {ACTION_TEXTS[action]}"


def version_lines(diagnosis: RotationDiagnosis) -> Iterator[str]:
    """A line for each version."""
    for answer in diagnosis.answers:
        yield f"  {_label(answer):<8} {answer.version_id}  {_answer_text(answer)}"


def _label(answer: VersionAnswer) -> str:
    return "orphan" if answer.source.name == "ORPHAN" else answer.source.value


def _answer_text(answer: VersionAnswer) -> str:
    return answer.answer.value + (f" ({answer.detail})" if answer.detail else "")


def diagnosis_fields(diagnosis: RotationDiagnosis) -> dict[str, Any]:
    """A diagnosis as JSON has it."""
    return {
        "secret": diagnosis.name,
        "arn": diagnosis.arn,
        "function_arn": diagnosis.function_arn,
        "is_well": diagnosis.is_well,
        "verdict": diagnosis.verdict.name,
        "explanation": diagnosis.verdict.value,
        "obstacle": diagnosis.obstacle,
        "obstacle_hint": diagnosis.obstacle_hint,
        "action": diagnosis.proposed,
        "actions": list(diagnosis.actions),
        "versions": [
            {
                "version_id": answer.version_id,
                "label": _label(answer),
                "answer": answer.answer.name,
                "explanation": answer.answer.value,
                "detail": answer.detail,
                "hint": answer.hint,
            }
            for answer in diagnosis.answers
        ],
    }
