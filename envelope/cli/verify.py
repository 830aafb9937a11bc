"""`envelope verify`."""

from __future__ import annotations

from typing import Any

import click

from envelope.cli import run_options as options
from envelope.cli.context_options import expected_context
from envelope.cli.message_run import ends_without_output, run_messages
from envelope.cli.messages import Decryption
from envelope.cli.precedence import settled
from envelope.cli.program import ManyOptions
from envelope.cli.report import Report
from envelope.cli.run import Verb

__all__ = ["command"]

_VERB = Verb("verify", "verified", "Verifying")

_EXAMPLES = """\b
Examples:
  envelope verify -r backup -k local:app
  envelope verify report.csv.encrypted -k alias/app -c tenant=42
"""


@click.command(
    "verify",
    cls=ManyOptions,
    often=(
        "keys",
        "discovery",
        "accounts",
        "context",
        "recursive",
        "include",
        "exclude",
        "jobs",
        "fail_fast",
        "metadata",
    ),
    epilog=_EXAMPLES,
)
@options.key_options
@options.discovery_options
@options.expected_options
@options.input_options
@options.reading_options
@options.client_options
@click.pass_obj
def command(report: Report, /, **values: Any) -> int:
    """Decrypt messages to nowhere: are they authentic, and does the key open them?"""
    values = settled(click.get_current_context(), values)
    words = options.words_of(values)
    ends = ends_without_output(values, words)
    expected = expected_context(values["context"])
    keyring = options.decrypting_keyring_of(values, words, options.key_settings_of(values))
    convert = Decryption(
        client=options.client_of(options.shared_keyring(keyring, is_tree=ends.plan.is_tree), values),
        expected=expected,
        decode=values["decode"],
    )
    return run_messages(ends, convert, _VERB, values=values, report=report)
