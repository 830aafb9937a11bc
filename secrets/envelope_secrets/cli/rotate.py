"""``envelope secrets rotate``: start a rotation, configure it, cancel it, ask where it stands; or rotate here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from envelope.cli.precedence import settled
from envelope.cli.program import ManyOptions
from envelope_secrets.cli.describe import rotation_fields, rotation_text
from envelope_secrets.cli.examples import examples
from envelope_secrets.cli.password_options import PASSWORD_OPTIONS, password_options
from envelope_secrets.cli.rotating import (
    IN_PROCESS_OPTIONS,
    PROBING_OPTIONS,
    check_plan,
    in_process_options,
    probing_options,
    run,
    say_plan,
)
from envelope_secrets.cli.rotation import looked_at
from envelope_secrets.cli.rotation_commands import RotationCommands
from envelope_secrets.cli.rotation_targets import (
    TARGET_OPTIONS,
    check_named,
    given_policy,
    target_of,
    target_options,
    typed_options,
)
from envelope_secrets.cli.said import place_fields, say
from envelope_secrets.cli.store_options import OFTEN, opened_client, opened_store, store_options, store_settings_of
from envelope_secrets.stores.protocol import RotationStatus

if TYPE_CHECKING:
    from envelope_secrets.client import SecretsClient
    from envelope_secrets.rotation_control import RotationReport

__all__ = ["command"]

_CONFIGURATION = ("lambda_arn", "schedule", "window", "immediately")
_EXCLUSIVE = ((("status",), ("cancel",), ("configure",), ("with_",)),)
_HERE = (
    *(name for name in TARGET_OPTIONS if name != "with_"),
    *IN_PROCESS_OPTIONS,
    *PROBING_OPTIONS,
    *PASSWORD_OPTIONS,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Configuration:
    lambda_arn: str | None
    schedule: str
    window: str
    immediately: bool


@click.command(
    "rotate",
    cls=ManyOptions,
    often=("status", "cancel", "configure", "lambda_arn", "schedule", "with_", "strategy", "dry_run", *OFTEN),
    epilog=examples(
        "envelope secrets rotate prod/db --with postgresql --strategy single-user",
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
@target_options
@click.option("--dry-run", is_flag=True, help="With --with: only say what it would do.")
@probing_options
@in_process_options
@password_options
@store_options
@click.pass_context
def command(
    context: click.Context, /, secret_id: str, status: bool, cancel: bool, configure: bool, **values: Any
) -> None:
    """Start a rotation, which goes on by itself; --status tells how far.

    With --with, the four steps are done here.
    """
    if values["with_"] is not None:
        check_named(values["with_"])
    chosen = {"status": status, "cancel": cancel, "configure": configure, "with_": values["with_"]}
    status, cancel, configure, is_here = map(bool, settled(context, chosen, _EXCLUSIVE).values())
    if status + cancel + configure + is_here > 1:
        raise click.UsageError("--status, --cancel, --configure and --with exclude one another")
    configuration = _Configuration(**{name: values.pop(name) for name in _CONFIGURATION})
    if not configure and any(context.get_parameter_source(n) is ParameterSource.COMMANDLINE for n in _CONFIGURATION):
        raise click.UsageError("--lambda, --schedule, --window and --immediately are for --configure")
    if is_here:
        _rotate_here(context, secret_id, values)
        return
    if typed_options(context, ("dry_run", *_HERE)):
        raise click.UsageError("--dry-run, --strategy and what they go with are for --with")
    settings = store_settings_of(context, values)
    with opened_client(context, settings) as client:
        if status:
            _tell(secret_id, client.rotation.status(secret_id))
        else:
            _change(client, secret_id, configuration if configure else None, cancel=cancel)


def _rotate_here(context: click.Context, secret_id: str, values: dict[str, Any]) -> None:
    settings = store_settings_of(context, values)
    target = target_of(context, values, settings.keys.aws)
    policy = given_policy(context, values, target)
    if not hasattr(target.target, "most_refusals") and typed_options(context, PROBING_OPTIONS):
        raise click.UsageError("--most-refusals is for logins, and what is rotated here does not count them")
    with opened_store(context, settings) as store, RotationCommands.of(context, secret_id).hinted():
        if values["dry_run"]:
            found = looked_at(store, secret_id, target, values)
            check_plan(store, found, target, policy, values["deadline"], despite_function=values["despite_function"])
            say_plan(found)
            return
        run(
            context,
            store,
            secret_id,
            target,
            password_policy=policy,
            deadline=values["deadline"],
            despite_function=values["despite_function"],
        )


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
