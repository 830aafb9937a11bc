"""What a command says of what it did: on standard output, and never a value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click

from envelope.cli.printable import printable
from envelope.cli.report import Report
from envelope_secrets.stages import StageMove
from envelope_secrets.stores.protocol import VersionPlace

__all__ = [
    "date_text",
    "iso_date",
    "labels_text",
    "move_fields",
    "move_text",
    "moves_fields",
    "place_fields",
    "say",
    "wants_json",
]


def wants_json(*, given: bool) -> bool:
    """Whether results are to be JSON: by the command's own option, or by that of the program."""
    return given or click.get_current_context().ensure_object(Report).as_json


def say(text: str, fields: Mapping[str, Any]) -> None:
    """Say what was done, as text or as a line of JSON."""
    report = click.get_current_context().ensure_object(Report)
    if report.as_json:
        click.echo(json.dumps(fields))
    elif not report.quiet:
        click.echo(printable(text))


def place_fields(place: VersionPlace) -> dict[str, Any]:
    """Where a value was stored."""
    return {"name": place.name, "arn": place.arn, "version_id": place.version_id, "stages": sorted(place.stages)}


def move_fields(name: str, move: StageMove | None) -> dict[str, Any]:
    """A label's move; null if it was in its place."""
    moved = None if move is None else {"stage": move.stage, "to": move.to_version, "from": move.from_version}
    return {"secret": name, "moved": moved}


def moves_fields(name: str, moves: tuple[StageMove, ...]) -> dict[str, Any]:
    """The moves of labels, as many as there were."""
    return {"secret": name, "moved": [move_fields(name, move)["moved"] for move in moves]}


def move_text(move: StageMove) -> str:
    """A label's move in words."""
    if move.to_version is None:
        return f"took {move.stage} away from version {move.from_version}"
    where = "" if move.from_version is None else f", and was on version {move.from_version}"
    return f"{move.stage} is on version {move.to_version} now{where}"


def labels_text(stages: tuple[str, ...]) -> str:
    """Labels as a text."""
    return " ".join(stages) or "no label"


def date_text(date: datetime | None) -> str:
    """A date for a person, in UTC."""
    return "" if date is None else f"{date.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def iso_date(date: datetime | None) -> str | None:
    """A date for a program, in UTC."""
    return None if date is None else date.astimezone(UTC).isoformat()
