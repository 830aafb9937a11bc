"""`envelope rekey`."""

from __future__ import annotations

from typing import Any

import click

from envelope.cli import run_options as options
from envelope.cli.context_options import expected_context
from envelope.cli.inputs import planned
from envelope.cli.key_words import keyring_of
from envelope.cli.messages import MessageWork, Rekeying, TextForm
from envelope.cli.metadata import opened_metadata
from envelope.cli.program import ManyOptions
from envelope.cli.report import Report
from envelope.cli.run import Verb, run
from envelope.cli.streams import named_output, refuse_existing, refuse_terminal
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
    if values["armor"] and values["encode"]:
        raise click.UsageError("--armor is base64 already: leave out --encode")
    is_text = values["armor"] or values["encode"]
    name = values["output"]
    output = named_output(name) if is_text else refuse_terminal(name, "--armor makes text, -o names a file")
    target = options.target_options_of(values, new_mode=CIPHERTEXT_MODE)
    expected = expected_context(values["context"])
    plan = planned(
        values["inputs"], output, options.selection_of(values), name_of=str, kept=options.other_files_of(values)
    )
    refuse_existing(plan, target, skip_existing=values["skip_existing"])
    settings = options.key_settings_of(values)
    old = options.decrypting_keyring_of(values, settings)
    new = keyring_of(values["to"], settings=settings, purpose="encrypt")
    with opened_metadata(values["metadata"], overwrite=values["overwrite_metadata"], output=output) as metadata:
        convert = Rekeying(
            old=options.client_of(options.shared_keyring(old, is_tree=plan.is_tree), values),
            new=options.client_of(options.shared_keyring(new, is_tree=plan.is_tree), values),
            policy=options.policy_of(values),
            expected=expected,
            suite=options.suite_of(values),
            frame_length_bytes=values["frame_length"],
            release_early=values["release_early"],
            decode=values["decode"],
        )
        work = MessageWork(
            convert=convert,
            target=target,
            form=TextForm(encode=values["encode"], armor=values["armor"]),
            skip_existing=values["skip_existing"],
            wants_header=metadata.is_wanted,
        )
        return run(plan, work, _VERB, options=options.run_options_of(values), report=report, metadata=metadata)
