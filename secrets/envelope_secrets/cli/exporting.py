"""``envelope secrets export``: secrets with all their labels in one encrypted file."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any

import click

from envelope.cli.key_words import keyring_of
from envelope.cli.parsed_words import shown_words
from envelope.cli.plan import STREAM
from envelope.cli.program import ManyOptions
from envelope.cli.project_file import tell_origin
from envelope.cli.report import Report
from envelope.cli.streams import refuse_terminal
from envelope.cli.target import TargetOptions, already_there, opened_target
from envelope_secrets.cli.examples import examples
from envelope_secrets.cli.export_file import CONTEXT, ExportedSecret, ExportedVersion, serialized_export
from envelope_secrets.cli.said import say
from envelope_secrets.cli.store_options import OFTEN, opened_client, store_options, store_settings_of
from envelope_secrets.cli.value_output import write_value

if TYPE_CHECKING:
    from envelope_secrets.client import SecretsClient

__all__ = ["STORE_KEY", "command"]

STORE_KEY = ("--store-key", "store_keys")
"""Here -k is the key of the file."""


@click.command(
    "export",
    cls=ManyOptions,
    often=("output", "keys", "force", *OFTEN, "store_keys"),
    epilog=examples(
        "envelope secrets export prod/db prod/api -o prod.encrypted -k alias/app",
        "envelope secrets list app/ | xargs envelope secrets export -o app -k local:a",
    ),
)
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option("-o", "--output", metavar="FILE", help="File of mode 0600, or - for standard output.")
@click.option("-k", "--key", "keys", multiple=True, required=True, metavar="KEY", help="Key of the file; repeatable.")
@click.option("-f", "--force", is_flag=True, help="Replace a file that exists.")
@functools.partial(store_options, key=STORE_KEY)
@click.pass_context
def command(
    context: click.Context,
    /,
    ids: tuple[str, ...],
    output: str | None,
    keys: tuple[str, ...],
    force: bool,
    **values: Any,
) -> None:
    """Write secrets with all labelled versions into one encrypted file.

    envelope secrets import reads it, into any store. KMS keys, rotation and policies are not in it.
    """
    from envelope.client import Client

    settings = store_settings_of(context, values, key="store_keys")
    target = refuse_terminal(output, "-o FILE")
    if target != STREAM and os.path.isfile(target) and not force:  # noqa: PTH113 - a name, as everywhere in the command
        raise already_there(target)
    tell_origin(context, "keys", "key", shown_words(keys, os.environ))
    keyring = keyring_of(keys, settings=settings.keys, purpose="encrypt")
    with opened_client(context, settings) as client:
        secrets = _read(client, ids, context.ensure_object(Report))
    message = Client(keyring).encrypt(serialized_export(secrets.values()), CONTEXT)
    if target == STREAM:
        write_value(message)
        return
    with opened_target(target, TargetOptions(force=force, new_mode=0o600)) as file:
        file.write(message)
    names = [secret.name for secret in secrets.values()]
    plural = "" if len(names) == 1 else "s"
    say(f"wrote {target}, with {len(names)} secret{plural}", {"output": target, "secrets": names})


def _read(client: SecretsClient, ids: tuple[str, ...], report: Report) -> dict[str, ExportedSecret]:
    """The secrets by their ARNs: one that is named twice is there once."""
    secrets: dict[str, ExportedSecret] = {}
    for secret_id in ids:
        described, ring = client.describe(secret_id), client.key_ring(secret_id)
        versions = tuple(
            ExportedVersion(version.version_id, version.stages, version.binary if version.is_binary else version.text)
            for version in ring
        )
        empty = described.labels.by_version.keys() - {version.version_id for version in versions}
        if empty:
            text = f"{described.name}: left out {len(empty)} announced by a rotation, without a value"
            report.note("left out", text, secret=described.name, versions=sorted(empty))
        secrets[ring.arn] = ExportedSecret(described.name, described.description, described.tags, versions)
    return secrets
