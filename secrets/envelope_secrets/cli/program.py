"""The group ``envelope secrets``: its commands, and how their failures are told."""

from __future__ import annotations

from typing import Any

import click

from envelope.cli.report import Report
from envelope.errors import EnvelopeError
from envelope_secrets.cli.create import command as create
from envelope_secrets.cli.deletion import delete, restore
from envelope_secrets.cli.describe import command as describe
from envelope_secrets.cli.edit import command as edit
from envelope_secrets.cli.examples import examples
from envelope_secrets.cli.execute import command as execute
from envelope_secrets.cli.exporting import command as exporting
from envelope_secrets.cli.failures import reported
from envelope_secrets.cli.get import command as get
from envelope_secrets.cli.importing import command as importing
from envelope_secrets.cli.label_moves import promote, rollback
from envelope_secrets.cli.listing import command as listing
from envelope_secrets.cli.put import command as put
from envelope_secrets.cli.random_passwords import command as random_password
from envelope_secrets.cli.repair import command as repair
from envelope_secrets.cli.rotate import command as rotate
from envelope_secrets.cli.rotation import command as rotation
from envelope_secrets.cli.versions import command as versions
from envelope_secrets.cli.wording import reworded

__all__ = ["command"]

_OVERVIEW = (
    ("get", "Write a value, and nothing else."),
    ("put, create", "Store a value of standard input."),
    ("list, versions, describe", "Show everything but values."),
    ("promote, rollback", "Make another version current."),
    ("repair", "Explain and mend what a rotation has left behind."),
    ("delete, restore", "Schedule a deletion; take it back."),
    ("rotate, rotation", "Do, start or configure a rotation; mend it."),
    ("random", "Write a random password."),
    ("exec", "Run a program with secrets in its environment."),
    ("edit", "Change a value in an editor."),
    ("export, import", "Move secrets in an encrypted file."),
)
"""What `--help` shows: each command in a line of its own would not fit on a screen."""


class _Secrets(click.Group):
    """Gives the exceptions about secrets their exit status, and their texts the words of the command."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except EnvelopeError as error:
            status = reported(ctx.ensure_object(Report), reworded(error))
            ctx.exit(status)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        with formatter.section("Commands"):
            formatter.write_dl(_OVERVIEW)


@click.group(
    "secrets",
    cls=_Secrets,
    epilog=examples(
        "envelope secrets get prod/db:password | pbcopy",
        "envelope secrets exec --env DB_PASSWORD=prod/db:password -- ./server",
    ),
)
def command() -> None:
    """Read, write and rotate secrets, in AWS Secrets Manager or in a local --store."""


for _command in (
    get,
    put,
    create,
    listing,
    versions,
    describe,
    promote,
    rollback,
    repair,
    delete,
    restore,
    rotate,
    rotation,
    random_password,
    execute,
    edit,
    exporting,
    importing,
):
    command.add_command(_command)
