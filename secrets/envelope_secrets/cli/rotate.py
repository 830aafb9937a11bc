"""``envelope secrets rotate``: start a rotation, configure it, cancel it, ask where it stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from envelope.cli.program import ManyOptions
from envelope_secrets.cli.describe import rotation_fields, rotation_text
from envelope_secrets.cli.examples import examples
from envelope_secrets.cli.said import place_fields, say
from envelope_secrets.cli.store_options import OFTEN, opened_client, store_options, store_settings_of
from envelope_secrets.stores.protocol import RotationStatus

if TYPE_CHECKING:
    from envelope_secrets.client import SecretsClient
    from envelope_secrets.rotation_control import RotationReport

__all__ = ["command"]

_CONFIGURATION = ("lambda_arn", "schedule", "window", "immediately")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Configuration:
    lambda_arn: str | None
    schedule: str
    window: str
    immediately: bool


@click.command(
    "rotate",
    cls=ManyOptions,
    often=("status", "cancel", "configure", *_CONFIGURATION, *OFTEN),
    epilog=examples(
        "envelope secrets rotate prod/db",
        'envelope secrets rotate prod/db --configure --lambda "$function"',
    ),
)
@click.argument("secret_id", metavar="ID")
@click.option("--status", is_flag=True, help="Only say where it stands.")
@click.option("--cancel", is_flag=True, help="Turn rotation off.")
@click.option("--configure", is_flag=True, help="Rotate on a schedule from now on.")
@click.option("--lambda", "lambda_arn", metavar="ARN", help="The function that rotates.")
@click.option("--schedule", default="rate(30 days)", metavar="TEXT", help="rate(...) or cron(...), in UTC.")
@click.option("--window", default="2h", metavar="HOURS", help="How long one may take; 2h.")
@click.option("--immediately", is_flag=True, help="Rotate now, too.")
@store_options
@click.pass_context
def command(
    context: click.Context, /, secret_id: str, status: bool, cancel: bool, configure: bool, **values: Any
) -> None:
    """Start a rotation, which goes on by itself; --status tells how far."""
    if status + cancel + configure > 1:
        raise click.UsageError("--status, --cancel and --configure exclude one another")
    configuration = _Configuration(**{name: values.pop(name) for name in _CONFIGURATION})
    if not configure and any(context.get_parameter_source(n) is ParameterSource.COMMANDLINE for n in _CONFIGURATION):
        raise click.UsageError("--lambda, --schedule, --window and --immediately are for --configure")
    settings = store_settings_of(context, values)
    with opened_client(context, settings) as client:
        if status:
            _tell(secret_id, client.rotation.status(secret_id))
        else:
            _change(client, secret_id, configuration if configure else None, cancel=cancel)


def _change(client: SecretsClient, secret_id: str, configuration: _Configuration | None, *, cancel: bool) -> None:
    if cancel:
        place = client.rotation.cancel(secret_id)
        text = "rotation is off; repair tells whether AWSPENDING was left behind"
    elif configuration is None:
        place = client.rotation.start(secret_id)
        text = f"rotation to version {place.version_id} has begun"
    else:
        place = client.rotation.configure(
            secret_id,
            configuration.lambda_arn,
            schedule=configuration.schedule,
            window=configuration.window,
            immediately=configuration.immediately,
        )
        text = f"rotates by {configuration.schedule} from now on"
    say(f"{secret_id}: {text}", place_fields(place))


def _tell(secret_id: str, report: RotationReport) -> None:
    rotation = RotationStatus(
        report.enabled,
        report.lambda_arn,
        report.schedule,
        report.window,
        report.last_rotated,
        report.next_rotation,
    )
    fields = {
        "secret": secret_id,
        **rotation_fields(rotation),
        "pending_version": report.pending_version,
        "findings": [finding.name for finding in report.findings],
        "explanation": report.explanation,
    }
    say(f"{secret_id}: rotation: {rotation_text(rotation)}; labels: {report.explanation}", fields)
