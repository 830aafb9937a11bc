"""``envelope secrets delete`` and ``restore``."""

from __future__ import annotations

from typing import Any

import click

from envelope.cli.program import ManyOptions
from envelope_secrets.cli.examples import examples
from envelope_secrets.cli.said import date_text, iso_date, say
from envelope_secrets.cli.store_options import OFTEN, opened_client, store_options, store_settings_of

__all__ = ["delete", "restore"]

DEFAULT_DAYS = 30


@click.command(
    "delete",
    cls=ManyOptions,
    often=("recovery_days", "force_without_recovery", *OFTEN),
    epilog=examples("envelope secrets delete prod/old", "envelope secrets delete test/tmp --force-without-recovery"),
)
@click.argument("secret_id", metavar="ID")
@click.option("--recovery-days", type=int, metavar="N", help=f"7 to 30 days; {DEFAULT_DAYS}.")
@click.option("--force-without-recovery", is_flag=True, allow_from_autoenv=False, help="At once. There is no way back.")
@store_options
@click.pass_context
def delete(
    context: click.Context, /, secret_id: str, recovery_days: int | None, force_without_recovery: bool, **values: Any
) -> None:
    """Schedule the deletion of a secret.

    From now on nobody can read it; until then restore takes it back.
    """
    if force_without_recovery and recovery_days is not None:
        raise click.UsageError("--recovery-days and --force-without-recovery exclude one another")
    settings = store_settings_of(context, values)
    days = DEFAULT_DAYS if recovery_days is None else recovery_days
    with opened_client(context, settings) as client:
        date = client.delete(secret_id, recovery_window_days=None if force_without_recovery else days)
    when = f" on {date_text(date)}" if date else ""
    text = (
        "deleted for good" if force_without_recovery else f"will be deleted{when}; restore takes that back until then"
    )
    say(
        f"{secret_id}: {text}",
        {"deleted": secret_id, "date": iso_date(date), "can_restore": not force_without_recovery},
    )


@click.command(
    "restore",
    cls=ManyOptions,
    often=OFTEN,
    epilog=examples("envelope secrets restore prod/old", "envelope secrets restore prod/old --store secrets.db"),
)
@click.argument("secret_id", metavar="ID")
@store_options
@click.pass_context
def restore(context: click.Context, /, secret_id: str, **values: Any) -> None:
    """Take back a deletion that is scheduled."""
    settings = store_settings_of(context, values)
    with opened_client(context, settings) as client:
        client.restore(secret_id)
    say(f"{secret_id}: restored", {"restored": secret_id})
