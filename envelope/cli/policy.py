"""``envelope policy``: the least that a caller must be allowed, as JSON."""

from __future__ import annotations

import json
import os
from typing import Any

import click

from envelope.cli.aws_options import aws_options, aws_settings_of, shared_aws
from envelope.cli.key_words import KeySettings, kms_keys_of
from envelope.cli.parsed_words import shown_words
from envelope.cli.policy_statements import ContextRule, iam_policy, key_policy_statements
from envelope.cli.precedence import settled
from envelope.cli.project_file import tell_origin

__all__ = ["command"]

_EXAMPLES = """\b
Examples:
  envelope policy -k alias/app --context tenant=42
  envelope policy -k alias/app --role arn:aws:iam::111122223333:role/reader
"""


@click.command("policy", epilog=_EXAMPLES)
@click.option(
    "-k", "--key", "keys", multiple=True, required=True, metavar="KEY", help="A key of AWS KMS; can be repeated."
)
@click.option("--role", metavar="ARN", help="Adds statements for key policies.")
@click.option(
    "-c",
    "--context",
    "rules",
    multiple=True,
    metavar="NAME[=VALUE]",
    help="A pair, or a name, that every call must have.",
)
@click.option("--any-other-context", is_flag=True, help="Allow more pairs than those of --context.")
@click.option("--decrypt-only", is_flag=True, help="Allow no encryption.")
@click.option("--encrypt-only", is_flag=True, help="Allow no decryption.")
@aws_options
@click.pass_context
def command(
    context: click.Context,
    /,
    keys: tuple[str, ...],
    role: str | None,
    rules: tuple[str, ...],
    any_other_context: bool,
    decrypt_only: bool,
    encrypt_only: bool,
    **values: Any,
) -> None:
    """Print the least that must be allowed to encrypt and decrypt under keys of AWS KMS, as JSON.

    The first key generates data keys, the others wrap them, any of them decrypts. With --context, calls must have these
    pairs and no others, but for that of signed messages. An alias must be resolved, too. Nothing is changed.
    """
    only = settled(context, {"decrypt_only": decrypt_only, "encrypt_only": encrypt_only})
    if all(only.values()):
        raise click.UsageError("--decrypt-only and --encrypt-only exclude one another")
    settings = aws_settings_of(values)
    tell_origin(context, "keys", "key", shown_words(keys, os.environ))
    found = kms_keys_of(keys, settings=KeySettings(aws=lambda: shared_aws(settings), environ=os.environ))
    by_alias = [key.arn for key in found if key.is_alias]
    rule = ContextRule.of(rules, is_open=any_other_context)
    may = {"may_encrypt": not only["decrypt_only"], "may_decrypt": not only["encrypt_only"]}
    shown: dict[str, Any] = {"IdentityPolicy": iam_policy([key.arn for key in found], rule, by_alias=by_alias, **may)}
    if role is not None:
        shown["KeyPolicyStatements"] = {
            key.arn: key_policy_statements(role, rule, is_first=number == 0, is_alias=key.is_alias, **may)
            for number, key in enumerate(found)
        }
    click.echo(json.dumps(shown, indent=2))
