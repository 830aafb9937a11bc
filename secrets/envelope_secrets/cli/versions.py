"""``envelope secrets versions``: which version has which labels."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from envelope.cli.printable import printable
from envelope.cli.program import ManyOptions
from envelope_secrets.cli.examples import examples
from envelope_secrets.cli.said import date_text, iso_date, wants_json
from envelope_secrets.cli.store_options import OFTEN, opened_client, store_options, store_settings_of
from envelope_secrets.stages import AWSCURRENT, AWSPENDING

if TYPE_CHECKING:
    from envelope_secrets.stores.protocol import SecretVersion

__all__ = ["command"]

_COLOURS = {AWSCURRENT: "green", AWSPENDING: "yellow"}
PIPE_COLUMNS = 4_096
"""Nobody wraps lines for a program."""


@click.command(
    "versions",
    cls=ManyOptions,
    often=("everything", "as_json", *OFTEN),
    epilog=examples(
        "envelope secrets versions prod/db", "envelope secrets versions prod/db --json | jq -r .version_id"
    ),
)
@click.argument("secret_id", metavar="ID")
@click.option("--all", "everything", is_flag=True, help="Those too that have no label any more.")
@click.option("--json", "as_json", is_flag=True, help="A line of JSON for each version.")
@store_options
@click.pass_context
def command(context: click.Context, /, secret_id: str, everything: bool, as_json: bool, **values: Any) -> None:
    """Show the versions of a secret with their staging labels, the youngest first."""
    settings = store_settings_of(context, values)
    as_json = wants_json(given=as_json)
    with opened_client(context, settings) as client:
        found = client.versions(secret_id, include_deprecated=everything)
    if as_json:
        for version in found:
            click.echo(json.dumps(_fields(version)))
    elif found:
        _draw(found)


def _fields(version: SecretVersion) -> dict[str, Any]:
    return {
        "version_id": version.version_id,
        "stages": list(version.stages),
        "created": iso_date(version.created),
        "has_value": version.has_value,
        "last_accessed": iso_date(version.last_accessed),
    }


def _draw(found: Iterable[SecretVersion]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("VERSION", "LABELS", "CREATED", box=None, pad_edge=False, header_style="")
    for version in found:
        # `Text`, because a label may hold what rich takes for markup.
        labels = Text(" ").join(Text(printable(stage), _COLOURS.get(stage, "")) for stage in version.stages)
        created = date_text(version.created) if version.has_value else "no value yet"
        table.add_row(Text(printable(version.version_id), no_wrap=True), labels or Text("-"), created)
    is_terminal = sys.stdout.isatty()
    console = Console(file=sys.stdout, width=None if is_terminal else PIPE_COLUMNS)
    with console.capture() as drawn:
        console.print(table)
    for line in drawn.get().splitlines():
        click.echo(line.rstrip(), color=is_terminal)
