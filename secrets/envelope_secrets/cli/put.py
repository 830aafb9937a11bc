"""``envelope secrets put``: a new version of a secret."""

from __future__ import annotations

from typing import Any

import click

from envelope.cli.program import ManyOptions
from envelope_secrets.cli.examples import examples
from envelope_secrets.cli.said import labels_text, place_fields, say
from envelope_secrets.cli.store_options import OFTEN, opened_client, store_options, store_settings_of
from envelope_secrets.cli.value_input import NO_VALUES, refuse_values, value_options, value_source_of
from envelope_secrets.stages import AWSCURRENT

__all__ = ["command"]


@click.command(
    "put",
    cls=ManyOptions,
    often=("file", "binary", "keep_newline", "stages", "if_current", *OFTEN),
    context_settings=NO_VALUES,
    epilog=examples(
        "envelope secrets random | envelope secrets put prod/api-key",
        'envelope secrets put prod/db --file db.json --if-current "$version"',
    ),
)
@click.argument("secret_id", metavar="ID")
@value_options
@click.option("--stage", "stages", multiple=True, metavar="LABEL", help="Label of the version; AWSCURRENT.")
@click.option("--if-current", metavar="VERSION", help="Only if this version is current until then.")
@click.option("--token", metavar="TEXT", help="The version's id, to repeat a call whose answer was lost.")
@store_options
@click.pass_context
def command(
    context: click.Context,
    /,
    secret_id: str,
    stages: tuple[str, ...],
    if_current: str | None,
    token: str | None,
    **values: Any,
) -> None:
    """Store a new version, of the value on standard input.

    It is asked for at a terminal. Of a text, one line end at its end is not stored.
    """
    refuse_values(context)
    source, settings = value_source_of(values), store_settings_of(context, values)
    with opened_client(context, settings) as client:
        place = client.put(
            secret_id,
            source.read(secret_id),
            stages=stages or (AWSCURRENT,),
            token=token,
            expected_version_id=if_current,
        )
    say(f"{place.name}: version {place.version_id} has {labels_text(place.stages)}", place_fields(place))
