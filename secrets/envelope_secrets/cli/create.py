"""``envelope secrets create``: a new secret."""

from __future__ import annotations

from typing import Any

import click

from envelope.cli.program import ManyOptions
from envelope_secrets.cli.examples import examples
from envelope_secrets.cli.password_options import password_options, password_policy_of
from envelope_secrets.cli.said import labels_text, place_fields, say
from envelope_secrets.cli.store_options import OFTEN, opened_client, store_options, store_settings_of
from envelope_secrets.cli.value_input import NO_VALUES, refuse_values, value_options, value_source_of
from envelope_secrets.password import PasswordPolicy, random_password

__all__ = ["command"]


@click.command(
    "create",
    cls=ManyOptions,
    often=("file", "binary", "generate", "without_value", "description", "kms_key", "tags", "length", *OFTEN),
    context_settings=NO_VALUES,
    epilog=examples(
        "envelope secrets create prod/api-key --generate --length 48",
        "envelope secrets create prod/db --file db.json --tag team=payments",
    ),
)
@click.argument("name")
@value_options
@click.option("--generate", is_flag=True, help="The value is a random password.")
@click.option("--without-value", is_flag=True, help="The first value comes from a rotation.")
@click.option("--description", default="", metavar="TEXT", help="What the secret is for.")
@click.option("--kms-key", default="", metavar="KEY", help="Key of AWS KMS; aws/secretsmanager.")
@click.option("--tag", "tags", multiple=True, metavar="NAME=VALUE", help="A tag; repeatable.")
@click.option("--token", metavar="TEXT", help="The version's id, to repeat a call whose answer was lost.")
@password_options
@store_options
@click.pass_context
def command(
    context: click.Context,
    /,
    name: str,
    generate: bool,
    without_value: bool,
    description: str,
    kms_key: str,
    tags: tuple[str, ...],
    token: str | None,
    **values: Any,
) -> None:
    """Create a secret, of the value on standard input.

    Of a text, one line end at its end is not stored.
    """
    refuse_values(context)
    source, policy = value_source_of(values), password_policy_of(values)
    settings = store_settings_of(context, values)
    if generate + without_value + source.is_given > 1:
        raise click.UsageError("--generate, --without-value and what is read exclude one another")
    if policy != PasswordPolicy() and not generate:
        raise click.UsageError("what a password shall be like is for --generate")
    pairs = _pairs(tags)
    with opened_client(context, settings, makes=True) as client:
        # Not before: the passphrase of a store can be the first line of standard input.
        value = random_password(policy) if generate else None if without_value else source.read(name)
        place = client.create(name, value, description=description, kms_key_id=kms_key, tags=pairs, token=token)
    shown = f"version {place.version_id} has {labels_text(place.stages)}" if place.version_id else "it has no value yet"
    say(f"created {place.name}: {shown}", place_fields(place))


def _pairs(tags: tuple[str, ...]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for number, tag in enumerate(tags, 1):
        name, equals, value = tag.partition("=")
        if not (name and equals) or name in pairs:
            raise click.UsageError(f"--tag number {number} must be another name=value")
        pairs[name] = value
    return pairs
