"""``envelope secrets rotation``: where a rotation stands, by its labels and by logins, and what mends it."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from envelope.cli.printable import printable
from envelope.cli.program import ManyOptions
from envelope.cli.report import Report
from envelope_secrets.cli.examples import examples
from envelope_secrets.cli.password_options import password_options
from envelope_secrets.cli.rotating import (
    Told,
    in_process_options,
    probing_options,
    result_fields,
    result_text,
)
from envelope_secrets.cli.rotation_commands import RotationCommands
from envelope_secrets.cli.rotation_targets import RotationTarget, given_policy, target_of, target_options
from envelope_secrets.cli.rotation_words import ACTION_TEXTS, diagnosis_fields, diagnosis_lines
from envelope_secrets.cli.said import move_fields, move_text, say, wants_json
from envelope_secrets.cli.store_options import OFTEN, opened_store, store_options, store_settings_of

if TYPE_CHECKING:
    from envelope_secrets.password import PasswordPolicy
    from envelope_secrets.rotation.diagnosis import RotationAction, RotationDiagnosis
    from envelope_secrets.rotation.repairing import RotationRepair
    from envelope_secrets.stores.protocol import SecretStore

__all__ = ["command"]

_WITH = ("with_", "strategy", "tls", "ca_file")


@click.group(
    "rotation",
    epilog=examples(
        "envelope secrets rotation status db --with redis --strategy dual-password",
        "envelope secrets rotation repair db --with mysql --strategy single-user",
    ),
)
def command() -> None:
    """Find out by logins where a rotation stands, and mend it."""


_age_option = click.option(
    "--min-age", type=float, default=900.0, metavar="S", help="Of a pending version whose rotation may run; 900."
)


@command.command(
    "status",
    cls=ManyOptions,
    often=(*_WITH, "as_json", *OFTEN),
    epilog=examples(
        "envelope secrets rotation status db --with mariadb --strategy single-user",
        "envelope secrets rotation status prod/jwt --with signing-key --json",
    ),
)
@click.argument("secret_id", metavar="ID")
@target_options
@click.option("--json", "as_json", is_flag=True, help="All of it as one JSON object.")
@probing_options
@_age_option
@click.option("--deadline", type=float, metavar="S", help="Seconds for all of it; 60.")
@store_options
@click.pass_context
def status(context: click.Context, /, secret_id: str, as_json: bool, **values: Any) -> None:
    """Tell which versions log in, and what a repair would do.

    Nothing is changed. A refused login counts on the server, so there are few.
    """
    settings = store_settings_of(context, values)
    target = target_of(context, values, settings.keys.aws)
    as_json = wants_json(given=as_json)
    commands = RotationCommands.of(context, secret_id)
    with opened_store(context, settings) as store, commands.hinted():
        found = commands.diagnosed(looked_at(store, secret_id, target, values))
    if as_json:
        click.echo(json.dumps(diagnosis_fields(found)))
        return
    for line in diagnosis_lines(found):
        click.echo(printable(line))
    if found.verdict.name == "RUNNING":
        click.echo(printable(f"if no rotation runs: {commands.drop_pending()}"))


@command.command(
    "repair",
    cls=ManyOptions,
    often=(*_WITH, "action", "dry_run", "yes", *OFTEN),
    epilog=examples(
        "envelope secrets rotation repair db --with mysql --strategy single-user",
        "envelope secrets rotation repair prod/jwt --with signing-key --yes",
    ),
)
@click.argument("secret_id", metavar="ID")
@target_options
@click.option("--action", type=click.Choice(list(ACTION_TEXTS)), metavar="NAME", help="Another than the first.")
@click.option("--dry-run", is_flag=True, help="Only say what it would do.")
@click.option("--yes", is_flag=True, allow_from_autoenv=False, help="Do it without a question.")
@probing_options
@_age_option
@in_process_options
@password_options
@store_options
@click.pass_context
def repair(
    context: click.Context, /, secret_id: str, action: str | None, dry_run: bool, yes: bool, **values: Any
) -> None:
    """Do what status proposes, after a question.

    It does nothing where the target does not tell which value works.
    """
    settings = store_settings_of(context, values)
    target = target_of(context, values, settings.keys.aws)
    policy = given_policy(context, values, target)
    if not (yes or dry_run or _has_terminal()):
        raise click.UsageError("there is no terminal to ask at: give --yes, or --dry-run")
    commands = RotationCommands.of(context, secret_id)
    with opened_store(context, settings) as store, commands.hinted():
        found = looked_at(store, secret_id, target, values)
        if dry_run or not yes:
            _show(commands.diagnosed(found), is_result=dry_run)
        chosen = _chosen(found, action)
        if dry_run or (chosen is not None and not yes and not _agreed(chosen)):
            return
        told = Told(context.ensure_object(Report))
        with told.around():
            done = _repaired(store, found, target, chosen, told, policy, values)
    _say_done(secret_id, done)


def _show(found: RotationDiagnosis, *, is_result: bool) -> None:
    """Show what was found: as the result, or before a question."""
    if is_result and wants_json(given=False):
        click.echo(json.dumps(diagnosis_fields(found)))
        return
    for line in diagnosis_lines(found):
        click.echo(printable(line), err=not is_result)


def _chosen(found: RotationDiagnosis, action: str | None) -> RotationAction | None:
    from envelope_secrets.rotation.diagnosis import RotationAction
    from envelope_secrets.rotation.repairing import chosen_action

    return chosen_action(found, None if action is None else RotationAction(action))


def _agreed(chosen: str) -> bool:
    return click.confirm(f"{chosen}: {ACTION_TEXTS[chosen]}", err=True)


def _has_terminal() -> bool:
    return os.isatty(0) and sys.stderr.isatty()


def _repaired(
    store: SecretStore,
    found: RotationDiagnosis,
    target: RotationTarget,
    chosen: RotationAction | None,
    told: Told,
    policy: PasswordPolicy | None,
    values: dict[str, Any],
) -> RotationRepair:
    from envelope_secrets.rotation.in_process import DEFAULT_TIMEOUT_S
    from envelope_secrets.rotation.repairing import repair_rotation

    return repair_rotation(
        store,
        found,
        target.target,
        target.strategy,
        action=chosen,
        despite_function=values["despite_function"],
        password_policy=policy,
        progress=told,
        timeout_s=DEFAULT_TIMEOUT_S if values["deadline"] is None else values["deadline"],
    )


def _say_done(secret_id: str, done: RotationRepair) -> None:
    fields = {**move_fields(secret_id, done.move), "action": done.action, "rotation": None}
    if done.result is not None:
        say(f"{secret_id}: {result_text(done.result)}", {**fields, "rotation": result_fields(secret_id, done.result)})
    else:
        text = "nothing is to be done" if done.move is None else move_text(done.move)
        say(f"{secret_id}: {text}", fields)


def looked_at(store: SecretStore, secret_id: str, target: RotationTarget, values: dict[str, Any]) -> RotationDiagnosis:
    """A diagnosis, by the options of a command."""
    from envelope_secrets.rotation.status import DEFAULT_MIN_AGE_S, DEFAULT_TIMEOUT_S, rotation_status

    deadline = values.get("deadline")
    return rotation_status(
        store,
        secret_id,
        target.target,
        target.strategy,
        most_refusals=values["most_refusals"],
        min_age_s=values.get("min_age", DEFAULT_MIN_AGE_S),
        timeout_s=DEFAULT_TIMEOUT_S if deadline is None else deadline,
    )
