"""``envelope secrets edit``: a value in an editor, stored only if nobody else has changed it meanwhile."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from envelope.cli.program import ManyOptions
from envelope.cli.report import Report
from envelope_secrets.cli.editors import editor_of, in_place, run_editor
from envelope_secrets.cli.examples import examples
from envelope_secrets.cli.private_files import AnonymousFile, PrivateFile, anonymous_file, private_file
from envelope_secrets.cli.said import labels_text, place_fields, say
from envelope_secrets.cli.store_options import OFTEN, opened_client, store_options, store_settings_of
from envelope_secrets.errors import SecretConflict, SecretFormatError, SecretNotFound
from envelope_secrets.limits import MAX_VALUE_BYTES, value_problem
from envelope_secrets.stages import AWSCURRENT

if TYPE_CHECKING:
    from envelope_secrets.client import SecretsClient
    from envelope_secrets.stores.protocol import VersionPlace
    from envelope_secrets.value import Secret

__all__ = ["command"]


@click.command(
    "edit",
    cls=ManyOptions,
    often=("stage", *OFTEN),
    epilog=examples("envelope secrets edit prod/db", "envelope secrets edit prod/db --stage AWSPENDING"),
)
@click.argument("secret_id", metavar="ID")
@click.option("--stage", default=AWSCURRENT, metavar="LABEL", help="Label of the version to edit; AWSCURRENT.")
@store_options
@click.pass_context
def command(context: click.Context, /, secret_id: str, stage: str, **values: Any) -> None:
    """Open a value in VISUAL or EDITOR; store what comes back as a new version.

    Nothing is stored if nothing was changed, or if somebody else has stored a version meanwhile. The file is in memory
    where the system has a place for that, and is removed in any case.
    """
    settings = store_settings_of(context, values)
    with opened_client(context, settings) as client:
        draft = _begun(client, secret_id, stage)
        text = _edited(draft, context.ensure_object(Report))
        if text == draft.text:
            say(f"{secret_id}: nothing was changed", {"secret": secret_id, "changed": False})
            return
        place = _stored(client, secret_id, draft, text)
    fields = {"secret": secret_id, "changed": True, **place_fields(place)}
    say(f"{place.name}: version {place.version_id} has {labels_text(place.stages)}", fields)


@dataclass(frozen=True, slots=True)
class _Draft:
    """What is edited.

    Attributes:
        base: the version that it comes from.
        stage: the label that the new version gets.
        holder: the version that has this label, or None.
    """

    base: Secret
    stage: str
    holder: str | None

    @property
    def text(self) -> str:
        return self.base.text

    @property
    def is_json(self) -> bool:
        return self.text.lstrip()[:1] in ("{", "[") and _json_problem(self.text) is None


def _begun(client: SecretsClient, secret_id: str, stage: str) -> _Draft:
    try:
        base = client.get(secret_id, stage=stage)
        return _Draft(base, stage, base.version_id)
    except SecretNotFound:
        if stage == AWSCURRENT:
            raise
    holder = client.describe(secret_id).labels.holder(stage)
    return _Draft(client.get(secret_id), stage, holder)


def _edited(draft: _Draft, report: Report) -> str:
    """What the editor made of it, once it can be stored."""
    words = editor_of(os.environ)
    before = draft.text.encode()  # the error for a binary value comes before any file
    with _file_for(words, "secret.json" if draft.is_json else "secret.txt") as (words, file):
        if not file.is_in_memory:
            report.note("on disk", f"the file for the editor is on a disk, until it is removed: {file.path.parent}")
        file.write(before)
        while True:
            run_editor(words, file.path, os.environ)
            text = _read(file, draft)
            problem = _problem(draft, text)
            if problem is None or _is_stored_all_the_same(problem):
                return text


@contextlib.contextmanager
def _file_for(words: list[str], name: str) -> Iterator[tuple[list[str], AnonymousFile | PrivateFile]]:
    """The words to start an editor with, and a file that it can edit; one without a name where that is safe."""
    words_in_place = in_place(words, os.environ)
    anonymous = anonymous_file() if words_in_place else None
    if words_in_place and anonymous:
        with contextlib.closing(anonymous):
            yield words_in_place, anonymous
    else:
        with private_file(name, os.environ) as file:
            yield words, file


def _read(file: AnonymousFile | PrivateFile, draft: _Draft) -> str:
    """What is in the file. Editors end the last line; a value without a line end keeps none."""
    content = file.read(MAX_VALUE_BYTES + 1)
    try:
        text = content.decode()
    except UnicodeDecodeError:  # it quotes the value, and goes no further than this
        text = None
    if text is None:
        raise SecretFormatError("what was edited is no text in UTF-8 any more", hint="nothing was changed")
    return text if draft.text.endswith("\n") else text.removesuffix("\n").removesuffix("\r")


@dataclass(frozen=True, slots=True)
class _Problem:
    """Why a text should not be stored, or cannot be. The text shows nothing of it."""

    text: str
    is_final: bool


def _problem(draft: _Draft, text: str) -> _Problem | None:
    if wrong := value_problem(text):
        return _Problem(f"the value {wrong}", is_final=True)
    if draft.is_json and (where := _json_problem(text)):
        return _Problem(f"the value was JSON, and is none any more ({where})", is_final=False)
    return None


def _json_problem(text: str) -> str | None:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return f"line {error.lineno}, column {error.colno}"
    except (ValueError, RecursionError):  # a number of thousands of digits, brackets in thousands of brackets
        return "it is too deep, or has too long a number"
    return None


def _is_stored_all_the_same(problem: _Problem) -> bool:
    """Ask what to do: True to store it, False to edit it again.

    Raises:
        SecretFormatError: neither, or nobody can be asked.
    """
    if os.isatty(0) and sys.stderr.isatty():
        click.echo(f"envelope: {problem.text}", err=True)
        choices = ["edit", "quit"] if problem.is_final else ["edit", "store", "quit"]
        answer = click.prompt("What now", type=click.Choice(choices), default="edit", err=True)
        if answer != "quit":
            return bool(answer == "store")
    raise SecretFormatError(problem.text, hint="nothing was changed")


def _stored(client: SecretsClient, secret_id: str, draft: _Draft, text: str) -> VersionPlace:
    token = str(uuid.uuid4())
    if draft.stage == AWSCURRENT:
        try:
            return client.put(secret_id, text, token=token, expected_version_id=draft.holder)
        except SecretConflict as conflict:
            conflict.hint = (
                f"another version was stored meanwhile. What you wrote is version {token}, without a label: envelope "
                f"secrets promote {secret_id} {token} makes it current all the same"
            )
            raise
    # No compare-and-swap: only AWSCURRENT is read by others, and this keeps an edit of minutes from being lost.
    holder = client.describe(secret_id).labels.holder(draft.stage)
    if holder != draft.holder:
        raise SecretConflict(
            f"{draft.stage[:256]} has moved to another version meanwhile", hint="nothing was changed; edit that one"
        )
    return client.put(secret_id, text, stages=(draft.stage,), token=token)
