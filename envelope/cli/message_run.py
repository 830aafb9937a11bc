"""What the commands on messages have in common: where messages come from and go to, and the run itself."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import click

from envelope.cli.collisions import OtherFiles, same_file
from envelope.cli.inputs import planned
from envelope.cli.keystore_options import KeystoreSettings
from envelope.cli.messages import Conversion, MessageWork, TextForm
from envelope.cli.metadata import opened_metadata
from envelope.cli.parsed_words import files_of
from envelope.cli.plan import STREAM, Plan
from envelope.cli.report import Report
from envelope.cli.run import RunOptions, Verb, run
from envelope.cli.selection import Selection
from envelope.cli.streams import named_output, refuse_existing, refuse_terminal
from envelope.cli.target import PERMISSIONS, TargetOptions
from envelope.errors import KeystoreError

__all__ = ["Ends", "ends_of", "ends_without_output", "run_messages"]

Values = dict[str, Any]
NameOf = Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """Where the messages of a run come from and go to.

    Attributes:
        plan: each of them.
        output: as it was named; empty where nothing is written.
        target: how files are written.
        form: whether text is written.
    """

    plan: Plan
    output: str = ""
    target: TargetOptions = field(default_factory=TargetOptions)
    form: TextForm = field(default_factory=TextForm)


def ends_of(
    values: Values, words: Sequence[str], *, name_of: NameOf, new_mode: int, carried_bits: int = PERMISSIONS
) -> Ends:
    """The ends that these options name. Everything is checked that can be before a passphrase is asked for.

    Args:
        values: of a command with inputs, output and --encode; perhaps with --armor.
        words: the key words of the run.
        name_of: the name of the target for the name of a source.
        new_mode: permission bits of new files, less the umask.
        carried_bits: permission bits that --preserve may carry over.

    Raises:
        click.UsageError: they do not fit together.
        StreamFailed: the only target exists already.
    """
    form = TextForm(encode=values["encode"], armor=values.get("armor", False))
    if form.armor and form.encode:
        raise click.UsageError("--armor is base64 already: leave out --encode")
    if values["force"] and values["skip_existing"]:
        raise click.UsageError("--force and --skip-existing are opposites")
    if "/" in values["suffix"]:
        raise click.UsageError("--suffix is a part of a name: it cannot have a / in it")
    way_out = "--armor makes text, -o names a file" if "armor" in values else "-o names a file"
    output = named_output(values["output"]) if form.armor or form.encode else refuse_terminal(values["output"], way_out)
    plan = planned(
        values["inputs"], output, _selection_of(values), name_of=name_of, others=_other_files_of(values, words)
    )
    target = TargetOptions(
        force=values["force"],
        preserve=values["preserve"],
        carried_bits=carried_bits,
        devices=not plan.is_tree,
        fsync=values["fsync"],
        new_mode=new_mode,
    )
    refuse_existing(plan, target, skip_existing=values["skip_existing"])
    return Ends(plan=plan, output=output, target=target, form=form)


def ends_without_output(values: Values, words: Sequence[str]) -> Ends:
    """The ends of a run that writes nothing.

    Raises:
        click.UsageError: the options do not fit together.
    """
    others = _other_files_of(values, words)
    return Ends(plan=planned(values["inputs"], "", _selection_of(values), name_of=str, others=others))


def run_messages(ends: Ends, convert: Conversion, verb: Verb, *, values: Values, report: Report) -> int:
    """Do it; return the exit status."""
    skip_existing = values.get("skip_existing", False)
    options = RunOptions(
        threads=values["jobs"] or min(4, os.cpu_count() or 1), fail_fast=values["fail_fast"], target=ends.target
    )
    with opened_metadata(values["metadata"], overwrite=values["overwrite_metadata"], output=ends.output) as metadata:
        work = MessageWork(
            convert=convert,
            target=ends.target,
            form=ends.form,
            skip_existing=skip_existing,
            wants_header=metadata.is_wanted,
        )
        return run(ends.plan, work, verb, options=options, report=report, metadata=metadata)


def _selection_of(values: Values) -> Selection:
    return Selection(recursive=values["recursive"], include=values["include"], exclude=values["exclude"])


def _other_files_of(values: Values, words: Sequence[str]) -> OtherFiles:
    """Files of the run that are neither source nor target.

    Raises:
        click.UsageError: the metadata would be written to another one of them.
    """
    metadata = values["metadata"]
    named = [os.fspath(path) for path in (values["keys_file"], values["keystore"]) if path is not None]
    guarded = [os.fspath(path) for path in files_of(words, os.environ)]
    with contextlib.suppress(KeystoreError):  # without a home there is no default place
        guarded.append(os.fspath(KeystoreSettings(values["keystore"]).place))
    if metadata in (None, STREAM):
        return OtherFiles(own=named, guarded=guarded, are_on_output=metadata == STREAM)
    if any(same_file(metadata, path) for path in (*named, *guarded)):
        raise click.UsageError(f"{metadata!r} is named for the metadata and is another file of this run")
    return OtherFiles(own=[metadata, *named], guarded=guarded)
