"""``envelope keys``: the local keystore."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from envelope.cli.keystore_options import KeystoreSettings, keystore_options, keystore_settings_of, open_keystore
from envelope.cli.printable import printable
from envelope.cli.report import Report
from envelope.errors import InvalidArgument, StreamFailed
from envelope.replacement import translated_os_errors

if TYPE_CHECKING:
    from envelope.keystore.store import LocalKeystore

__all__ = ["command"]


def _examples(*lines: str) -> str:
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


@click.group(
    "keys",
    epilog=_examples("envelope keys create app", "envelope encrypt -k local:app report.csv -o report.csv.encrypted"),
)
def command() -> None:
    """Create, list, rotate, export and import the keys of the local keystore.

    The keystore is one file under a passphrase: asked for at the terminal, read from --passphrase-fd, or taken from
    ENVELOPE_KEYSTORE_PASSPHRASE. Without --keystore it is ~/.local/share/envelope/keystore.json.
    """


@command.command(
    "create", epilog=_examples("envelope keys create app", "envelope keys create app --keystore ./keystore.json")
)
@click.argument("name")
@keystore_options
def create(name: str, **values: Any) -> None:
    """Add a key NAME; make the keystore first if there is none."""
    settings = keystore_settings_of(values)
    keystore = _keystore_for(name, settings)
    keystore.create_key(name)
    _say(
        f"created key {name} in {settings.place}; use it as -k local:{name}", created=name, keystore=str(settings.place)
    )


@command.command("list", epilog=_examples("envelope keys list", "envelope keys list --json"))
@click.option("--json", "as_json", is_flag=True, help="A line of JSON for each key.")
@keystore_options
@click.pass_context
def list_keys(context: click.Context, /, as_json: bool, **values: Any) -> None:
    """List the keys, with how many versions they have and when these were made."""
    keystore = open_keystore(keystore_settings_of(values))
    as_json = as_json or context.ensure_object(Report).as_json
    for name in keystore.key_names():
        versions = keystore.versions(name)
        if as_json:
            made = [{"version": version.version, "created": version.created} for version in versions]
            click.echo(json.dumps({"name": name, "namespace": keystore.namespace, "versions": made}))
        else:
            plural = "" if len(versions) == 1 else "s"
            click.echo(f"{printable(name)}: {len(versions)} version{plural}, the newest of {versions[-1].created}")


@command.command(
    "rotate", epilog=_examples("envelope keys rotate app", "envelope keys rotate app --passphrase-fd 3 3<file")
)
@click.argument("name")
@keystore_options
def rotate(name: str, **values: Any) -> None:
    """Add a version to the key NAME. New messages use it; older messages open as before."""
    keystore = open_keystore(keystore_settings_of(values))
    keystore.rotate_key(name)
    version = len(keystore.versions(name))
    _say(f"key {name} has version {version} now", rotated=name, version=version)


@command.command(
    "export",
    epilog=_examples("envelope keys export app -o app.key", "envelope keys export app --version 1 -o app-1.key"),
)
@click.argument("name")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="New file of mode 0600.")
@click.option("--version", type=click.IntRange(1), metavar="N", help="The newest version by default.")
@keystore_options
def export(name: str, output: Path, version: int | None, **values: Any) -> None:
    """Write the key NAME in the clear to a new file, for a raw AES keyring of any implementation.

    Whoever reads the file has the key, and there is no taking it back.
    """
    exported = open_keystore(keystore_settings_of(values)).export_key(name, version)
    _write_new(output, exported.wrapping_key)
    word = f"aes:{_quoted(exported.namespace)}/{_quoted(exported.name)}@{output}"
    _say(f"wrote {output}, with the key in the clear; use it as -k {word}", exported=name, output=str(output), key=word)


@command.command(
    "import",
    epilog=_examples("envelope keys import app app.key", "envelope keys import app app.key --keystore ./keystore.json"),
)
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
@keystore_options
def import_key(name: str, file: Path, **values: Any) -> None:
    """Add an AES key of 32 bytes that was made elsewhere as the key NAME.

    FILE holds the bytes, or base64 or hexadecimal text of them. It is left as it is. Messages name the keystore: those
    that were written under the key elsewhere open with -k aes:namespace/name@FILE, and not with this key.
    """
    from envelope.cli.key_files import read_aes_key

    settings = keystore_settings_of(values)
    wrapping_key = read_aes_key(file)
    keystore = _keystore_for(name, settings)
    keystore.import_key(name, wrapping_key)
    _say(f"imported key {name}; use it as -k local:{name}", imported=name, keystore=str(settings.place))


def _say(text: str, **fields: object) -> None:
    """Say what was done, on standard output."""
    report = click.get_current_context().ensure_object(Report)
    if report.as_json:
        click.echo(json.dumps(fields))
    elif not report.quiet:
        click.echo(printable(text))


def _keystore_for(name: str, settings: KeystoreSettings) -> LocalKeystore:
    """The keystore that a key is added to; a new one only for a name that it is going to take."""
    if os.path.lexists(settings.place):
        return open_keystore(settings)
    from envelope.key_names import check_key_name
    from envelope.keystore.store import MAX_NAME_BYTES

    check_key_name(name, most_bytes=MAX_NAME_BYTES)
    if not name.isprintable():
        raise InvalidArgument(f"key name {name!r} holds characters that cannot be printed")
    return _new_keystore(settings)


def _new_keystore(settings: KeystoreSettings) -> LocalKeystore:
    from envelope.keystore.store import LocalKeystore

    if settings.path is None:
        settings.place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if settings.is_unprotected:
        return LocalKeystore.create_unprotected_for_development(settings.place)
    return LocalKeystore.create(settings.place, passphrase=settings.passphrase(is_new=True))


def _quoted(name: str) -> str:
    from urllib.parse import quote

    return quote(name, safe="", encoding="utf-8")


def _write_new(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, and that did not exist: not a terminal, not a device, no link."""
    if str(path) == "-":
        raise InvalidArgument("a key is written to a file only", hint="-o FILE")
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise InvalidArgument(f"there is a file {str(path)!r} already", hint="choose another name") from None
    except OSError as error:
        raise StreamFailed(f"cannot write {str(path)!r}: {error.strerror}") from error
    try:
        with translated_os_errors("write", path), os.fdopen(descriptor, "wb", buffering=0) as file:
            file.write(content)
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
