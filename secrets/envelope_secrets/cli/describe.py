"""``envelope secrets describe``: everything but the value."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from envelope.cli.printable import printable
from envelope.cli.program import ManyOptions
from envelope_secrets.cli.examples import examples
from envelope_secrets.cli.said import date_text, iso_date, wants_json
from envelope_secrets.cli.store_options import OFTEN, opened_client, store_options, store_settings_of

if TYPE_CHECKING:
    from envelope_secrets.stores.protocol import RotationStatus, SecretDescription

__all__ = ["command", "description_fields", "rotation_fields", "rotation_text"]


@click.command(
    "describe",
    cls=ManyOptions,
    often=("as_json", *OFTEN),
    epilog=examples("envelope secrets describe prod/db", "envelope secrets describe prod/db --json | jq .rotation"),
)
@click.argument("secret_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="All of it as one JSON object.")
@store_options
@click.pass_context
def command(context: click.Context, /, secret_id: str, as_json: bool, **values: Any) -> None:
    """Show what is known of a secret without its value."""
    settings = store_settings_of(context, values)
    as_json = wants_json(given=as_json)
    with opened_client(context, settings) as client:
        secret = client.describe(secret_id)
    if as_json:
        click.echo(json.dumps(description_fields(secret)))
        return
    for line in _lines(secret):
        click.echo(printable(line))


def description_fields(secret: SecretDescription) -> dict[str, Any]:
    """A description as JSON has it."""
    return {
        "name": secret.name,
        "arn": secret.arn,
        "description": secret.description,
        "kms_key_id": secret.kms_key_id,
        "tags": dict(secret.tags),
        "created": iso_date(secret.created),
        "changed": iso_date(secret.changed),
        "last_accessed": iso_date(secret.last_accessed),
        "deleted": iso_date(secret.deleted),
        "primary_region": secret.primary_region,
        "owning_service": secret.owning_service,
        "rotation": rotation_fields(secret.rotation),
        "replicas": [{"region": copy.region, "status": copy.status} for copy in secret.replicas],
        "versions": {version_id: sorted(stages) for version_id, stages in secret.labels.by_version.items()},
    }


def rotation_fields(rotation: RotationStatus) -> dict[str, Any]:
    """How a secret is rotated, as JSON has it."""
    return {
        "enabled": rotation.enabled,
        "lambda_arn": rotation.lambda_arn,
        "schedule": rotation.schedule,
        "window": rotation.window,
        "last_rotated": iso_date(rotation.last_rotated),
        "next_rotation": iso_date(rotation.next_rotation),
    }


def rotation_text(rotation: RotationStatus) -> str:
    """How a secret is rotated, in words."""
    if not rotation.enabled:
        return "never configured" if rotation.enabled is None else "turned off"
    parts = [
        rotation.schedule,
        f"within {rotation.window}" if rotation.window else "",
        f"by {rotation.lambda_arn}" if rotation.lambda_arn else "",
        f"last on {date_text(rotation.last_rotated)}" if rotation.last_rotated else "",
        f"next on {date_text(rotation.next_rotation)}" if rotation.next_rotation else "",
    ]
    return ", ".join(filter(None, parts)) or "on"


def _lines(secret: SecretDescription) -> Iterator[str]:
    rows = (
        ("name", secret.name),
        ("arn", secret.arn),
        ("description", secret.description),
        ("key", secret.kms_key_id),
        *(("tag", f"{name}={value}") for name, value in secret.tags.items()),
        ("created", date_text(secret.created)),
        ("changed", date_text(secret.changed)),
        ("last read", date_text(secret.last_accessed)),
        ("deleted", date_text(secret.deleted)),
        ("owner", secret.owning_service),
        ("primary region", secret.primary_region),
        *(("replica", f"{copy.region} {copy.status}") for copy in secret.replicas),
        ("rotation", rotation_text(secret.rotation)),
        *(("version", " ".join((one, *sorted(stages)))) for one, stages in secret.labels.by_version.items()),
    )
    return (f"{name}: {text}" for name, text in rows if text)
