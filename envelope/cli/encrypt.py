"""`envelope encrypt`."""

from __future__ import annotations

from typing import Any

import click

from envelope.cli import run_options as options
from envelope.cli.context_options import written_context
from envelope.cli.inputs import planned
from envelope.cli.key_words import keyring_of
from envelope.cli.messages import Encryption, MessageWork, TextForm
from envelope.cli.metadata import opened_metadata
from envelope.cli.program import ManyOptions
from envelope.cli.report import Report
from envelope.cli.run import Verb, run
from envelope.cli.streams import named_output, refuse_existing, refuse_terminal
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
    if values["armor"] and values["encode"]:
        raise click.UsageError("--armor is base64 already: leave out --encode")
    is_text = values["armor"] or values["encode"]
    name = values["output"]
    output = named_output(name) if is_text else refuse_terminal(name, "--armor makes text, -o names a file")
    target = options.target_options_of(values, new_mode=CIPHERTEXT_MODE)
    context = written_context(values["context"])
    plan = planned(
        values["inputs"],
        output,
        options.selection_of(values),
        name_of=lambda name: name + values["suffix"],
        kept=options.other_files_of(values),
    )
    refuse_existing(plan, target, skip_existing=values["skip_existing"])
    keyring = keyring_of(options.words_of(values), settings=options.key_settings_of(values), purpose="encrypt")
    with opened_metadata(values["metadata"], overwrite=values["overwrite_metadata"], output=output) as metadata:
        convert = Encryption(
            client=options.client_of(options.shared_keyring(keyring, is_tree=plan.is_tree), values),
            context=context,
            suite=options.suite_of(values),
            frame_length_bytes=values["frame_length"],
            unstored=values["unstored"],
            decode=values["decode"],
            wants_header=metadata.is_wanted,
        )
        work = MessageWork(
            convert=convert,
            target=target,
            form=TextForm(encode=values["encode"], armor=values["armor"]),
            skip_existing=values["skip_existing"],
            wants_header=metadata.is_wanted,
        )
        return run(plan, work, _VERB, options=options.run_options_of(values), report=report, metadata=metadata)
