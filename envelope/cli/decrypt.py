"""`envelope decrypt`."""

from __future__ import annotations

from typing import Any

import click

from envelope.cli import run_options as options
from envelope.cli.context_options import expected_context
from envelope.cli.message_run import ends_of, run_messages
from envelope.cli.messages import Decryption
from envelope.cli.precedence import settled
from envelope.cli.program import ManyOptions
from envelope.cli.report import Report
from envelope.cli.run import Verb
from envelope.files import PLAINTEXT_MODE

__all__ = ["command"]

_VERB = Verb("decrypt", "decrypted", "Decrypting")

OWNERS_BITS = 0o700

_EXAMPLES = """\b
Examples:
  envelope decrypt report.encrypted -o report.csv -k local:app -c tenant=42
  envelope decrypt -r backup -o restored --discovery --account 111122223333
"""


@click.command(
    "decrypt",
    cls=ManyOptions,
    often=(
        "keys",
        "discovery",
        "accounts",
        "context",
        "output",
        "recursive",
        "force",
        "skip_existing",
        "preserve",
        "jobs",
    ),
    epilog=_EXAMPLES,
)
@options.key_options
@options.discovery_options
@options.expected_options
@options.output_options
@options.input_options
@options.reading_options
@click.option("--encode", is_flag=True, help="Write the plaintext as base64.")
@options.client_options
@click.pass_obj
def command(report: Report, /, **values: Any) -> int:
    """Decrypt messages in files, directories (-r) or standard input.

    Output goes to -o, or to standard output; a file appears when all of it was verified. In a directory, names lose
    their .encrypted.
    """
    values = settled(click.get_current_context(), values)
    words = options.words_of(values)
    # Messages may be open to all without the plaintext being so.
    ends = ends_of(
        values,
        words,
        name_of=lambda name: options.decrypted_name(name, values["suffix"]),
        new_mode=PLAINTEXT_MODE,
        carried_bits=OWNERS_BITS,
    )
    expected = expected_context(values["context"])
    keyring = options.decrypting_keyring_of(values, words, options.key_settings_of(values))
    convert = Decryption(
        client=options.client_of(options.shared_keyring(keyring, is_tree=ends.plan.is_tree), values),
        expected=expected,
        release_early=values["release_early"],
        decode=values["decode"],
    )
    return run_messages(ends, convert, _VERB, values=values, report=report)
