"""`envelope rekey`."""

from __future__ import annotations

from typing import Any

import click

from envelope.cli import run_options as options
from envelope.cli.context_options import expected_context
from envelope.cli.key_words import keyring_of
from envelope.cli.message_run import ends_of, run_messages
from envelope.cli.messages import Rekeying
from envelope.cli.precedence import settled
from envelope.cli.program import ManyOptions
from envelope.cli.report import Report
from envelope.cli.run import Verb
from envelope.files import CIPHERTEXT_MODE

__all__ = ["command"]

_VERB = Verb("rekey", "rekeyed", "Rekeying")

_EXAMPLES = """\b
Examples:
  envelope rekey old.encrypted -o new.encrypted -k local:app --to alias/app
  envelope rekey -r backup -o backup-new -k alias/2023 --to alias/2024
"""


@click.command(
    "rekey",
    cls=ManyOptions,
    often=("keys", "to", "context", "output", "recursive", "force", "skip_existing", "preserve", "jobs"),
    epilog=_EXAMPLES,
)
@options.key_options
@click.option("--to", multiple=True, required=True, metavar="KEY", help="A new key; repeatable.")
@options.discovery_options
@options.expected_options
@options.output_options
@options.input_options
@options.reading_options
@click.option("-a", "--armor", is_flag=True, help="Write text that says what it is.")
@click.option("--encode", is_flag=True, help="Write base64.")
@options.writing_options
@options.client_options
@click.pass_obj
def command(report: Report, /, **values: Any) -> int:
    """Encrypt messages again, under other keys; their encryption context stays.

    No rewrap: a new list of keys needs a second tag under the same content key and nonce, and two of them let
    anybody forge the header and every frame. So each message is decrypted and encrypted under a fresh key.
    """
    values = settled(click.get_current_context(), values)
    words, new_words = options.words_of(values), options.new_words_of(values)
    ends = ends_of(values, (*words, *new_words), name_of=str, new_mode=CIPHERTEXT_MODE)
    expected = expected_context(values["context"])
    settings = options.key_settings_of(values)
    old = options.decrypting_keyring_of(values, words, settings)
    new = keyring_of(new_words, settings=settings, purpose="encrypt")
    convert = Rekeying(
        old=options.client_of(options.shared_keyring(old, is_tree=ends.plan.is_tree), values),
        new=options.client_of(options.shared_keyring(new, is_tree=ends.plan.is_tree), values),
        policy=options.policy_of(values),
        expected=expected,
        suite=options.suite_of(values),
        frame_length_bytes=values["frame_length"],
        release_early=values["release_early"],
        decode=values["decode"],
    )
    return run_messages(ends, convert, _VERB, values=values, report=report)
