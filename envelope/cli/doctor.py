"""``envelope doctor``: what this process would use, and what it may do. It changes nothing."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterable
from typing import Any

import click

from envelope.aws.arn import KeyArn
from envelope.cli.aws_options import aws_options, aws_settings_of, shared_aws
from envelope.cli.doctor_checks import Finding, State, aws_findings, keystore_finding, word_findings
from envelope.cli.failure import UNAVAILABLE
from envelope.cli.key_words import KeySettings
from envelope.cli.keystore_options import keystore_options, keystore_settings_of
from envelope.cli.parsed_words import shown_words
from envelope.cli.printable import printable
from envelope.cli.project_file import tell_origin
from envelope.cli.report import Report
from envelope.errors import InvalidArgument

__all__ = ["command"]

_EXAMPLES = """\b
Examples:
  envelope doctor
  envelope doctor -k alias/app -c tenant=42
"""

_COLOURS = {State.OK: "green", State.WARNING: "yellow", State.FAILED: "red", State.UNKNOWN: "yellow"}


@click.command("doctor", epilog=_EXAMPLES)
@click.option("-k", "--key", "keys", multiple=True, metavar="KEY", help="A key to try; can be repeated.")
@click.option(
    "-c", "--context", "pairs", multiple=True, metavar="NAME=VALUE", help="Encryption context to try it with."
)
@click.option("--json", "as_json", is_flag=True, help="A line of JSON for each finding.")
@keystore_options
@aws_options
@click.pass_context
def command(
    context: click.Context, /, keys: tuple[str, ...], pairs: tuple[str, ...], as_json: bool, **values: Any
) -> None:
    """Show region, endpoint, credentials and the clock, and what the caller may do with a key.

    Keys of AWS KMS are asked by dry runs. Only to try Decrypt, a zero byte is encrypted first.
    """
    as_json = as_json or context.ensure_object(Report).as_json
    keystore, aws = keystore_settings_of(values), aws_settings_of(values)
    settings = KeySettings(keystore, lambda: shared_aws(aws), os.environ)
    tell_origin(context, "keys", "key", shown_words(keys, os.environ))
    encryption_context = _context_of(pairs)
    findings: list[Finding] = []
    kms = [_named(word) for word in keys if _is_kms(word)]
    groups: list[Iterable[Finding]] = [[keystore_finding(keystore)]]
    if kms or not keys:
        groups.append(aws_findings(settings.aws, region=_region_of(kms)))
    groups += [word_findings(word, settings, encryption_context, is_kms=_is_kms(word)) for word in keys]
    for group in groups:
        for finding in group:
            _show(finding, as_json=as_json)
            findings.append(finding)
    if any(finding.state is State.FAILED for finding in findings):
        context.exit(UNAVAILABLE)


def _named(word: str) -> str:
    """The word, or the one in the variable that it names."""
    return os.environ.get(word.removeprefix("env:"), "") if word.startswith("env:") else word


def _is_kms(word: str) -> bool:
    return _named(word).startswith(("kms:", "arn:", "alias/"))


def _region_of(words: Iterable[str]) -> str | None:
    """The region of the first ARN among these words."""
    for word in words:
        with contextlib.suppress(ValueError):
            return KeyArn.parse(word.removeprefix("kms:")).region
    return None


def _context_of(pairs: tuple[str, ...]) -> dict[str, str]:
    context: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals) or name in context:
            raise InvalidArgument("each -c must be another name=value", hint="-c tenant=42 -c purpose=backup")
        context[name] = value
    return context


def _show(finding: Finding, *, as_json: bool) -> None:
    if as_json:
        shown = {"check": finding.name, "state": finding.state.value, "text": finding.text, "hint": finding.hint}
        click.echo(json.dumps(shown))
        return
    state = f"{finding.state.value:<8}"
    if sys.stdout.isatty() and "NO_COLOR" not in os.environ:
        state = click.style(state, fg=_COLOURS[finding.state])
    click.echo(f"{state}{finding.name}: {printable(finding.text)}")
    if finding.hint:
        click.echo(f"{'':<8}{printable(finding.hint)}")
