"""``envelope secrets get``: the value, and nothing else; or with ``--json`` everything."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import click

from envelope.cli.failure import worst_of
from envelope.cli.program import ManyOptions
from envelope.cli.report import Report
from envelope.errors import EnvelopeError
from envelope_secrets.cli.examples import examples
from envelope_secrets.cli.failures import reported
from envelope_secrets.cli.references_given import plain, reference_of, value_of
from envelope_secrets.cli.said import iso_date, wants_json
from envelope_secrets.cli.store_options import OFTEN, opened_client, store_options, store_settings_of
from envelope_secrets.cli.value_output import SHOW_HELP, warn_of_terminal, write_value
from envelope_secrets.cli.wording import reworded
from envelope_secrets.references import SecretReference

if TYPE_CHECKING:
    from envelope_secrets.client import SecretsClient
    from envelope_secrets.value import Secret

__all__ = ["command"]


@click.command(
    "get",
    cls=ManyOptions,
    often=("field", "stage", "version_id", "as_json", "show", *OFTEN),
    epilog=examples(
        "PGPASSWORD=$(envelope secrets get prod/db:password) psql",
        "envelope secrets get prod/db --stage AWSPENDING --json | jq -r .version_id",
    ),
)
@click.argument("ids", nargs=-1, required=True, metavar="ID[:FIELD[:STAGE[:VERSION]]]...")
@click.option("--field", default="", metavar="NAME", help="Of the JSON object that the value is.")
@click.option("--stage", default="", metavar="LABEL", help="A staging label; AWSCURRENT.")
@click.option("--version-id", default="", metavar="VERSION", help="A version, whatever its labels are.")
@click.option("--json", "as_json", is_flag=True, help="Value and all about it; a line for each ID.")
@click.option("--show", is_flag=True, help=SHOW_HELP)
@store_options
@click.pass_context
def command(
    context: click.Context,
    /,
    ids: tuple[str, ...],
    field: str,
    stage: str,
    version_id: str,
    as_json: bool,
    show: bool,
    **values: Any,
) -> None:
    """Write the value of a secret: nothing added, nothing taken away.

    Only on a terminal a line end follows it.
    """
    settings = store_settings_of(context, values)
    as_json = wants_json(given=as_json)
    references = [reference_of(text, field=field, stage=stage, version_id=version_id) for text in ids]
    if len(references) > 1 and not as_json:
        raise click.UsageError("several values cannot be told apart: give --json, or one ID")
    report = context.ensure_object(Report)
    with opened_client(context, settings) as client:
        if as_json:
            warn_of_terminal(report, show=show)
            context.exit(_write_lines(client, references, report))
        reference = references[0]
        value = value_of(client.get(reference.secret_id, **reference.options()), reference.field)
        warn_of_terminal(report, show=show)
        write_value(value)


def _write_lines(client: SecretsClient, references: list[SecretReference], report: Report) -> int:
    """A line for each secret that there is; the gravest status of the others."""
    current = [reference.secret_id for reference in references if not reference.options()]
    if len(current) > 1:
        client.prefetch(current)
    statuses = []
    for reference in references:
        try:
            secret = client.get(reference.secret_id, **reference.options())
            line = json.dumps(_shown(secret, reference))
        except EnvelopeError as error:
            statuses.append(reported(report, reworded(error), subject=reference.secret_id))
        else:
            click.echo(line)
    return worst_of(statuses)


def _shown(secret: Secret, reference: SecretReference) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": reference.secret_id,
        "name": secret.name,
        "arn": secret.arn,
        "version_id": secret.version_id,
        "stages": list(secret.stages),
        "created": iso_date(secret.created),
    }
    if reference.field:
        return {**shown, "field": reference.field, "value": plain(secret.json[reference.field])}
    if secret.is_binary:
        return {**shown, "value_base64": base64.b64encode(secret.binary).decode()}
    return {**shown, "value": secret.text}
