"""`envelope encrypt`."""

from __future__ import annotations

from typing import Any

import click

from envelope.cli import run_options as options
from envelope.cli.context_options import written_context
from envelope.cli.key_words import keyring_of
from envelope.cli.message_run import ends_of, run_messages
from envelope.cli.messages import Encryption
from envelope.cli.precedence import settled
from envelope.cli.program import ManyOptions
from envelope.cli.report import Report
from envelope.cli.run import Verb
from envelope.files import CIPHERTEXT_MODE

__all__ = ["command"]

_VERB = Verb("encrypt", "encrypted", "Encrypting")

_EXAMPLES = """\b
Examples:
  envelope encrypt report.csv -o report.encrypted -k local:app -c tenant=42
  tar c photos | envelope encrypt -k alias/backup -o photos.tar.encrypted
"""


@click.command(
    "encrypt",
    cls=ManyOptions,
    often=("keys", "context", "output", "recursive", "force", "skip_existing", "preserve", "jobs", "armor"),
    epilog=_EXAMPLES,
)
@options.key_options
@click.option("-c", "--context", multiple=True, metavar="NAME=VALUE", help="A pair of the encryption context.")
@options.output_options
@options.input_options
@click.option("-a", "--armor", is_flag=True, help="Write text that says what it is.")
@click.option("--encode", is_flag=True, help="Write base64.")
@click.option("--decode", is_flag=True, help="The input is base64.")
@click.option(
    "--unstored", multiple=True, metavar="NAME", help="A pair that is not stored: decrypting needs -c NAME=VALUE."
)
@options.writing_options
@options.client_options
@click.pass_obj
def command(report: Report, /, **values: Any) -> int:
    """Encrypt files, directories (-r) or standard input.

    Output goes to -o, or to standard output. In a directory, names get .encrypted added.
    The first -k makes the data keys; every one of them decrypts.
    """
    values = settled(click.get_current_context(), values)
    words = options.words_of(values)
    ends = ends_of(values, words, name_of=lambda name: name + values["suffix"], new_mode=CIPHERTEXT_MODE)
    context = written_context(values["context"])
    keyring = keyring_of(words, settings=options.key_settings_of(values), purpose="encrypt")
    convert = Encryption(
        client=options.client_of(options.shared_keyring(keyring, is_tree=ends.plan.is_tree), values),
        context=context,
        suite=options.suite_of(values),
        frame_length_bytes=values["frame_length"],
        unstored=values["unstored"],
        decode=values["decode"],
        wants_header=values["metadata"] is not None,
    )
    return run_messages(ends, convert, _VERB, values=values, report=report)
