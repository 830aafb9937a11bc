"""`envelope verify`."""

from __future__ import annotations

from typing import Any

import click

from envelope.cli import run_options as options
from envelope.cli.context_options import expected_context
from envelope.cli.inputs import planned
from envelope.cli.messages import Decryption, MessageWork
from envelope.cli.metadata import opened_metadata
from envelope.cli.program import ManyOptions
from envelope.cli.report import Report
from envelope.cli.run import Verb, run
from envelope.cli.target import TargetOptions

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
    expected = expected_context(values["context"])
    plan = planned(values["inputs"], "", options.selection_of(values), name_of=str, kept=options.other_files_of(values))
    keyring = options.decrypting_keyring_of(values, options.key_settings_of(values))
    with opened_metadata(values["metadata"], overwrite=values["overwrite_metadata"], output="") as metadata:
        convert = Decryption(
            client=options.client_of(options.shared_keyring(keyring, is_tree=plan.is_tree), values),
            expected=expected,
            decode=values["decode"],
        )
        work = MessageWork(
            convert=convert,
            target=TargetOptions(),
            wants_header=metadata.is_wanted,
        )
        return run(plan, work, _VERB, options=options.run_options_of(values), report=report, metadata=metadata)
