"""Every transcript in tests/transcripts, played with keys of the local keystore and with keys of KMS."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.thoroughness import TAKES_ALL
from tests.transcript_places import kms_environment, local_environment
from tests.transcript_player import matches, play, steps_of

TRANSCRIPTS = sorted((Path(__file__).parent / "transcripts").glob("*.txt"))
PLACES = {"local": local_environment, "kms": kms_environment}


def places_of(transcript: Path) -> list[str]:
    """Which keys it is for: all, unless it says otherwise."""
    said = re.search(r"^# keys: (.*)$", transcript.read_text(), re.MULTILINE)
    return said.group(1).split() if said else list(PLACES)


def plays() -> Iterator[tuple[Path, str]]:
    """What is played: of a transcript for all keys one place after the other, where not everything is taken."""
    for number, transcript in enumerate(TRANSCRIPTS):
        places = places_of(transcript)
        for place in places if TAKES_ALL else places[number % len(places) :][:1]:
            yield transcript, place


@pytest.mark.parametrize(
    ("transcript", "place"),
    [pytest.param(transcript, place, id=f"{transcript.stem}-{place}") for transcript, place in plays()],
)
def test_a_transcript_says_what_happens(transcript: Path, place: str, tmp_path: Path) -> None:
    environment = PLACES[place](tmp_path / "home")
    folder = tmp_path / "work"
    folder.mkdir()
    steps = list(steps_of(transcript.read_text()))
    assert steps
    for step in steps:
        answered = play(step.command, folder, environment)
        assert matches(step.expected, answered), "\n".join(
            [f"$ {step.command}", *answered, "--- expected:", *step.expected]
        )


def test_each_known_complaint_about_aws_encryption_cli_has_a_transcript() -> None:
    """The threads of aws/aws-encryption-sdk-cli, by number, and one of ansible/awx."""
    told = {int(number) for path in TRANSCRIPTS for number in re.findall(r"\d+", path.stem)}
    assert {7, 13, 15, 16, 28, 29, 34, 35, 49, 65, 69, 79, 110, 124, 130, 307, 426, 9444} <= told
    assert {186, 189, 190, 191, 195, 197, 202} <= told, "why a message does not open"


@pytest.mark.parametrize(
    ("expected", "answered", "is_match"),
    [
        ([], [], True),
        ([], ["more"], False),
        (["a ... c"], ["a b c"], True),
        (["a ... c"], ["a b"], False),
        (["...", "b"], ["a", "a", "b"], True),
        (["..."], [], True),
        (["a"], ["a", "[status 1]"], False),
        (["a.c"], ["abc"], False),
    ],
)
def test_an_answer_is_compared_line_by_line(expected: list[str], answered: list[str], is_match: bool) -> None:
    assert matches(expected, answered) is is_match


def test_a_transcript_is_read_as_it_is_written() -> None:
    first, second = steps_of("# why\n$ one \\\n> two\nanswer\n[status 1]\n\n# and then\n$ three\n")
    assert (first.command, first.expected) == ("one \\\ntwo", ("answer", "[status 1]"))
    assert (second.command, second.expected) == ("three", ())
