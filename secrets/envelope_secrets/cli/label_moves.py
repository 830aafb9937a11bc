"""``envelope secrets promote`` and ``rollback``: AWSCURRENT goes to another version."""

from __future__ import annotations

from typing import Any

import click

from envelope.cli.program import ManyOptions
from envelope_secrets.cli.examples import examples
from envelope_secrets.cli.said import move_fields, move_text, say
from envelope_secrets.cli.store_options import OFTEN, opened_client, store_options, store_settings_of

__all__ = ["promote", "rollback"]


@click.command(
    "promote",
    cls=ManyOptions,
    often=OFTEN,
    epilog=examples(
        "envelope secrets promote prod/db 3f1c8a52-9d0e-4b7a-8c6d-2e5f7a9b1c3d",
        'envelope secrets promote prod/db "$version" --store secrets.db',
    ),
)
@click.argument("secret_id", metavar="ID")
@click.argument("version_id", metavar="VERSION")
@store_options
@click.pass_context
def promote(context: click.Context, /, secret_id: str, version_id: str, **values: Any) -> None:
    """Make a version current, also one without labels.

    AWSPREVIOUS goes to the version that was current.
    """
    settings = store_settings_of(context, values)
    with opened_client(context, settings) as client:
        move = client.stages.promote(secret_id, version_id)
    text = "it was current already; nothing was changed" if move is None else move_text(move)
    say(f"{secret_id}: {text}", move_fields(secret_id, move))


@click.command(
    "rollback",
    cls=ManyOptions,
    often=OFTEN,
    epilog=examples("envelope secrets rollback prod/db", "envelope secrets rollback prod/db --store secrets.db"),
)
@click.argument("secret_id", metavar="ID")
@store_options
@click.pass_context
def rollback(context: click.Context, /, secret_id: str, **values: Any) -> None:
    """Swap AWSCURRENT and AWSPREVIOUS.

    The secret is what it was. What it opens is not: a database goes on with the newer password until somebody sets the
    older one. A second rollback takes the first one back.
    """
    settings = store_settings_of(context, values)
    with opened_client(context, settings) as client:
        move = client.stages.rollback(secret_id)
    say(f"{secret_id}: {move_text(move)}", move_fields(secret_id, move))
