"""``envelope secrets import``: secrets from an encrypted file."""

from __future__ import annotations

import functools
import os
from contextlib import nullcontext
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from envelope.cli.failure import FAILED, worst_of
from envelope.cli.key_words import keyring_of
from envelope.cli.parsed_words import shown_words
from envelope.cli.program import ManyOptions
from envelope.cli.project_file import tell_origin
from envelope.cli.refusals import context_refused
from envelope.cli.report import Report
from envelope.errors import EnvelopeError, InvalidArgument
from envelope.replacement import translated_os_errors
from envelope_secrets.cli.examples import examples
from envelope_secrets.cli.export_file import CONTEXT, ExportedSecret, parsed_export
from envelope_secrets.cli.exporting import STORE_KEY
from envelope_secrets.cli.failures import reported
from envelope_secrets.cli.imports import Existing, Step, bring, planned
from envelope_secrets.cli.said import say
from envelope_secrets.cli.store_options import OFTEN, opened_client, store_options, store_settings_of
from envelope_secrets.cli.value_input import read_limited
from envelope_secrets.cli.wording import reworded

if TYPE_CHECKING:
    from envelope_secrets.client import SecretsClient

__all__ = ["command"]

MOST_FILE_BYTES = 256 * 1024 * 1024

_DONE = {
    Step.CREATE: ("would create", "created"),
    Step.OVERWRITE: ("would overwrite", "overwrote"),
    Step.KEEP: ("would keep", "kept"),
    Step.NOTHING: ("would leave unchanged", "left unchanged"),
}


@click.command(
    "import",
    cls=ManyOptions,
    often=("keys", "overwrite", "skip_existing", "dry_run", *OFTEN, "store_keys"),
    epilog=examples(
        "envelope secrets import prod.encrypted -k alias/app --dry-run",
        "envelope secrets import prod.encrypted -k local:app --store secrets.db",
    ),
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("-k", "--key", "keys", multiple=True, required=True, metavar="KEY", help="Key of the file; repeatable.")
@click.option("--overwrite", is_flag=True, help="Give new versions to secrets that exist.")
@click.option("--skip-existing", is_flag=True, help="Leave secrets that exist, and go on.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@functools.partial(store_options, key=STORE_KEY)
@click.pass_context
def command(
    context: click.Context,
    /,
    file: Path,
    keys: tuple[str, ...],
    overwrite: bool,
    skip_existing: bool,
    dry_run: bool,
    **values: Any,
) -> None:
    """Create the secrets of a FILE that export has written, or - for standard input.

    A secret that exists is kept, and the status is 1. With --overwrite its current version becomes AWSPREVIOUS.
    """
    from envelope.client import Client

    if overwrite and skip_existing:
        raise click.UsageError("--overwrite and --skip-existing exclude one another")
    settings = store_settings_of(context, values, key="store_keys")
    tell_origin(context, "keys", "key", shown_words(keys, os.environ))
    keyring = keyring_of(keys, settings=settings.keys, purpose="decrypt")
    message = _content(file)
    with context_refused(CONTEXT, message):
        secrets = parsed_export(Client(keyring).decrypt(message, CONTEXT))
    existing = Existing.OVERWRITTEN if overwrite else Existing.KEPT
    is_missing = settings.path is not None and not os.path.lexists(settings.path)
    with nullcontext() if dry_run and is_missing else opened_client(context, settings, makes=True) as client:
        statuses = [_import(context, client, secret, existing, dry_run=dry_run) for secret in secrets]
    if None in statuses and not skip_existing:
        text = (
            "what was kept has other versions here: --overwrite gives it those of the file, --skip-existing leaves it"
        )
        context.ensure_object(Report).note("kept", text)
    kept = FAILED if not skip_existing else 0
    context.exit(worst_of(kept if status is None else status for status in statuses))


def _content(file: Path) -> bytes:
    is_input = str(file) == "-"
    with (
        translated_os_errors("read standard input" if is_input else "read", None if is_input else file),
        FileIO(0 if is_input else file, "r", closefd=not is_input) as opened,
    ):
        content = read_limited(opened, MOST_FILE_BYTES)
    if len(content) > MOST_FILE_BYTES:
        raise InvalidArgument(f"the file has more than {MOST_FILE_BYTES:,} bytes", hint="export fewer secrets at once")
    return content


def _import(
    context: click.Context, client: SecretsClient | None, secret: ExportedSecret, existing: Existing, *, dry_run: bool
) -> int | None:
    """The status of one secret; None if it was kept."""
    try:
        plan = planned(client, secret, existing)
        if client is not None and not dry_run:
            bring(client, secret, plan)
    except EnvelopeError as error:
        return reported(context.ensure_object(Report), reworded(error), subject=secret.name)
    would, did = _DONE[plan.step]
    say(
        f"{would if dry_run else did} {secret.name}",
        {"secret": secret.name, "step": plan.step.value, "done": not dry_run},
    )
    return None if plan.step is Step.KEEP else 0
