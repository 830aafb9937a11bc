"""``envelope secrets repair``: labels that a rotation has left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from envelope.cli.program import ManyOptions
from envelope_secrets.cli.examples import examples
from envelope_secrets.cli.said import move_text, moves_fields, say
from envelope_secrets.cli.store_options import OFTEN, opened_client, store_options, store_settings_of

if TYPE_CHECKING:
    from envelope_secrets.stage_operations import Repair

__all__ = ["command"]

_ACTIONS = ("drop_pending", "promote_pending", "promote_newest", "drop_swap_labels")


@click.command(
    "repair",
    cls=ManyOptions,
    often=(*_ACTIONS, *OFTEN),
    epilog=examples("envelope secrets repair prod/db", "envelope secrets repair prod/db --drop-pending"),
)
@click.argument("secret_id", metavar="ID")
@click.option("--drop-pending", is_flag=True, help="Take AWSPENDING away: nothing knows its value.")
@click.option("--promote-pending", is_flag=True, help="Make that version current: its value is in use.")
@click.option("--promote-newest", is_flag=True, help="The same, if it has lost its label.")
@click.option("--drop-swap-labels", is_flag=True, help="Take away what killed swaps have left.")
@store_options
@click.pass_context
def command(context: click.Context, /, secret_id: str, **values: Any) -> None:
    """Explain what is wrong with the labels of a secret; with an option, mend it.

    Which value is in use, nobody knows here: log in with both before you choose.
    """
    chosen = [name.replace("_", "-") for name in _ACTIONS if values.pop(name)]
    if len(chosen) > 1:
        raise click.UsageError(f"--{' and --'.join(chosen)} exclude one another")
    settings = store_settings_of(context, values)
    with opened_client(context, settings) as client:
        repair = client.stages.repair(secret_id, action=chosen[0] if chosen else None)
    say(f"{secret_id}: {_text(repair)}", _fields(secret_id, repair))


def _text(repair: Repair) -> str:
    if repair.done:
        return "; ".join(map(move_text, repair.done))
    possible = " or ".join(f"--{action}" for action in repair.actions)
    return f"{repair.explanation}; what can be done: {possible}" if possible else repair.explanation


def _fields(name: str, repair: Repair) -> dict[str, Any]:
    return {
        **moves_fields(name, repair.done),
        "findings": [finding.name for finding in repair.findings],
        "explanation": repair.explanation,
        "actions": [str(action) for action in repair.actions],
    }
