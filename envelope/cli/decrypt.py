"""`envelope decrypt`."""

from __future__ import annotations

from typing import Any

import click

from envelope.cli import run_options as options
from envelope.cli.context_options import expected_context
from envelope.cli.inputs import planned
from envelope.cli.messages import Decryption, MessageWork, TextForm
from envelope.cli.metadata import opened_metadata
from envelope.cli.program import ManyOptions
from envelope.cli.report import Report
from envelope.cli.run import Verb, run
from envelope.cli.streams import named_output, refuse_existing, refuse_terminal
from envelope.files import PLAINTEXT_MODE

__all__ = ["command"]

_VERB = Verb("decrypt", "decrypted", "Decrypting")

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
    name = values["output"]
    output = named_output(name) if values["encode"] else refuse_terminal(name, "-o names a file")
    target = options.target_options_of(values, new_mode=PLAINTEXT_MODE)
    expected = expected_context(values["context"])
    plan = planned(
        values["inputs"],
        output,
        options.selection_of(values),
        name_of=lambda name: options.decrypted_name(name, values["suffix"]),
        kept=options.other_files_of(values),
    )
    refuse_existing(plan, target, skip_existing=values["skip_existing"])
    keyring = options.decrypting_keyring_of(values, options.key_settings_of(values))
    with opened_metadata(values["metadata"], overwrite=values["overwrite_metadata"], output=output) as metadata:
        convert = Decryption(
            client=options.client_of(options.shared_keyring(keyring, is_tree=plan.is_tree), values),
            expected=expected,
            release_early=values["release_early"],
            decode=values["decode"],
        )
        work = MessageWork(
            convert=convert,
            target=target,
            form=TextForm(encode=values["encode"]),
            skip_existing=values["skip_existing"],
            wants_header=metadata.is_wanted,
        )
        return run(plan, work, _VERB, options=options.run_options_of(values), report=report, metadata=metadata)
