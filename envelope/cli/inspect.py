"""``envelope inspect``: what messages say of themselves. No key, no network."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from io import FileIO
from typing import TYPE_CHECKING, Any

import click

from envelope.cli.failure import worst_of
from envelope.cli.printable import printable
from envelope.cli.report import Report
from envelope.errors import EnvelopeError

if TYPE_CHECKING:
    from envelope.materials import EncryptedDataKey
    from envelope.message.describe import MessageDescription

__all__ = ["command"]

_NOTE = "Nothing of this is authenticated: only decryption tells whether it is true."

_EXAMPLES = """\b
Examples:
  envelope inspect report.csv.encrypted
  envelope inspect --json backup/*.encrypted | jq .encryption_context
"""

Row = tuple[str, str]


@click.command("inspect", epilog=_EXAMPLES)
@click.argument("inputs", metavar="[INPUT]...", nargs=-1)
@click.option("--decode", is_flag=True, help="The input is base64. Armor is recognized by itself.")
@click.option("--json", "as_json", is_flag=True, help="A line of JSON for each input.")
@click.pass_context
def command(context: click.Context, /, inputs: tuple[str, ...], decode: bool, as_json: bool) -> None:
    """Show what messages say: suite, keys, encryption context, frames, sizes.

    No key is needed, nothing is decrypted, and nothing is authenticated. - or no INPUT reads standard input.
    """
    report = context.ensure_object(Report)
    report.as_json = as_json = as_json or report.as_json
    codes = []
    is_first = True
    for name in inputs or ("-",):
        try:
            description = _described(name, decode=decode)
        except (EnvelopeError, OSError) as error:
            codes.append(report.failed(error, name))
            continue
        if as_json:
            click.echo(json.dumps(as_object(name, description)))
        else:
            _show(name, list(rows(description)), is_first=is_first)
            is_first = False
    if codes:
        context.exit(worst_of(codes))


def _described(name: str, *, decode: bool) -> MessageDescription:
    from envelope.cli.message_layout import describe_file

    if name == "-":
        with FileIO(0, closefd=False) as file:
            return describe_file(file, decode=decode)
    with FileIO(name) as file:
        return describe_file(file, decode=decode)


def as_object(name: str, description: MessageDescription) -> dict[str, Any]:
    """What ``--json`` shows of a message."""
    suite = description.suite
    return {
        "input": name,
        "suite": suite.name,
        "suite_id": f"{suite.value:#06x}",
        "version": description.version,
        "is_signed": suite.is_signing,
        "is_committing": suite.is_committing,
        "message_id": description.message_id.hex(),
        "encryption_context": dict(description.encryption_context),
        "encrypted_data_keys": [_key_as_object(key) for key in description.encrypted_data_keys],
        "is_framed": description.is_framed,
        "frame_length_bytes": description.frame_length_bytes,
        "frames": description.frames,
        "plaintext_bytes": description.plaintext_bytes,
        "header_bytes": description.header_bytes,
        "body_bytes": description.body_bytes,
        "footer_bytes": description.footer_bytes,
        "message_bytes": description.message_bytes,
        "is_authenticated": False,
    }


def _key_as_object(key: EncryptedDataKey) -> dict[str, Any]:
    return {
        "provider_id": key.provider_id,
        "key_name": _name_of(key),
        "provider_info": base64.b64encode(key.provider_info).decode(),
        "encrypted_data_key": base64.b64encode(key.ciphertext).decode(),
    }


def _name_of(key: EncryptedDataKey) -> str:
    """The provider information as far as it is text: a raw AES keyring puts binary fields behind the name."""
    return key.provider_info.split(b"\0", 1)[0].decode(errors="replace")


def rows(description: MessageDescription) -> Iterator[Row]:
    """What a person is shown: names and texts, every one of them printable."""
    suite = description.suite
    yield "suite", f"{suite.name} ({suite.value:#06x})"
    yield "", f"message version {description.version}, {_properties(description)}"
    yield "message id", description.message_id.hex()
    for key in description.encrypted_data_keys:
        name = f"{key.provider_id}: {_name_of(key)}"
        yield "key", f"{printable(name)} ({len(key.ciphertext):,} bytes)"
    for name, value in description.encryption_context.items():
        yield "context", printable(f"{name}={value}")
    if description.is_framed:
        yield "frames", f"{description.frames:,} of {description.frame_length_bytes:,} bytes"
    else:
        yield "frames", "none: one block"
    yield "plaintext", f"{description.plaintext_bytes:,} bytes"
    yield "message", f"{description.message_bytes:,} bytes"
    parts = f"header {description.header_bytes:,}, body {description.body_bytes:,}"
    yield "", parts + (f", footer {description.footer_bytes:,}" if description.footer_bytes else "")


def _properties(description: MessageDescription) -> str:
    signed = "signed" if description.suite.is_signing else "not signed"
    return f"{signed}, {'committing' if description.suite.is_committing else 'not committing'}"


def _show(name: str, shown: list[Row], *, is_first: bool) -> None:
    title = printable("standard input" if name == "-" else name)
    if sys.stdout.isatty():
        _show_table(title, shown)
        return
    lines = [] if is_first else [""]
    lines.append(f"input: {title}")
    label = ""
    for given, text in shown:
        label = given or label
        lines.append(f"{label}: {text}")
    click.echo("\n".join(lines))


def _show_table(title: str, shown: list[Row]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # Every text as `Text`: a message must not bring markup along.
    table = Table(title=Text(title), title_justify="left", show_header=False, caption=_NOTE, caption_justify="left")
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in shown:
        table.add_row(Text(label), Text(text))
    Console(file=sys.stdout).print(table)
