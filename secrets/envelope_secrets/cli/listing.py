"""``envelope secrets list``: the names."""

from __future__ import annotations

import json
from typing import Any

import click

from envelope.cli.printable import printable
from envelope.cli.program import ManyOptions
from envelope_secrets.cli.describe import description_fields
from envelope_secrets.cli.examples import examples
from envelope_secrets.cli.said import date_text, wants_json
from envelope_secrets.cli.store_options import OFTEN, opened_client, store_options, store_settings_of

__all__ = ["command"]


@click.command(
    "list",
    cls=ManyOptions,
    often=("deleted", "as_json", *OFTEN),
    epilog=examples("envelope secrets list prod/", "envelope secrets list --json | jq -r 'select(.tags.team)|.name'"),
)
@click.argument("prefix", default="")
@click.option("--deleted", is_flag=True, help="Those too that are scheduled for deletion.")
@click.option("--json", "as_json", is_flag=True, help="A line of JSON for each secret.")
@store_options
@click.pass_context
def command(context: click.Context, /, prefix: str, deleted: bool, as_json: bool, **values: Any) -> None:
    """List secrets whose names begin with PREFIX.

    AWS may take five minutes to show a new one.
    """
    settings = store_settings_of(context, values)
    as_json = wants_json(given=as_json)
    with opened_client(context, settings) as client:
        for secret in client.list(prefix=prefix, include_deleted=deleted):
            if as_json:
                click.echo(json.dumps(description_fields(secret)))
            else:
                gone = f"  (deleted, {date_text(secret.deleted)})" if secret.deleted else ""
                click.echo(printable(f"{secret.name}{gone}"))
