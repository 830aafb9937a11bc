"""The options that say where the local keystore is and how it opens."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from envelope.cli.passphrases import Ask, ask_at_the_terminal, find_passphrase
from envelope.errors import EnvelopeError, KeystoreError
from envelope.replacement import translated_os_errors

if TYPE_CHECKING:
    from envelope.keystore.store import LocalKeystore

__all__ = [
    "KeystoreSettings",
    "default_keystore",
    "keystore_options",
    "keystore_settings_of",
    "open_keystore",
    "opened_once",
]

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class KeystoreSettings:
    """Where the keystore is, and what opens it. `environ` may hold the passphrase."""

    path: Path | None = None
    passphrase_fd: int | None = None
    is_unprotected: bool = False
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    ask: Ask = ask_at_the_terminal

    @property
    def place(self) -> Path:
        """The path that was given, or the default place."""
        return default_keystore(self.environ) if self.path is None else self.path

    def passphrase(self, *, is_new: bool = False) -> str | bytes:
        """See `find_passphrase`."""
        return find_passphrase(descriptor=self.passphrase_fd, environ=self.environ, ask=self.ask, is_new=is_new)


def default_keystore(environ: Mapping[str, str]) -> Path:
    """``envelope/keystore.json`` in the folder of the user's data.

    Source: XDG Base Directory Specification: a relative or empty XDG_DATA_HOME counts as not set.

    Raises:
        KeystoreError: the user has no home directory.
    """
    data = Path(environ.get("XDG_DATA_HOME", ""))
    if not data.is_absolute():
        try:
            data = Path.home() / ".local" / "share"
        except RuntimeError:
            raise KeystoreError(
                "nobody knows where the keystore of this user is", hint="name it with --keystore, or set HOME"
            ) from None
    return data / "envelope" / "keystore.json"


class _Descriptor(click.IntRange):
    """The number of a file descriptor. What is none is not shown: it can be the passphrase."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See click."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail("this is the number of an open file descriptor: --passphrase-fd 3 3<file", param, ctx)


def keystore_options(command: Command) -> Command:
    """Add ``--keystore`` and what opens it; `keystore_settings_of` takes their values."""
    options = (
        click.option(
            "--keystore",
            type=click.Path(path_type=Path, dir_okay=False),
            envvar="ENVELOPE_KEYSTORE",
            metavar="FILE",
            help="Keystore of local keys.",
        ),
        click.option(
            "--passphrase-fd",
            type=_Descriptor(0),
            envvar="ENVELOPE_PASSPHRASE_FD",
            metavar="N",
            help="Descriptor that gives its passphrase.",
        ),
        click.option("--unprotected-for-development", is_flag=True, help="The keystore has no passphrase."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def keystore_settings_of(values: dict[str, Any]) -> KeystoreSettings:
    """Take the values of these options out of a command's keyword arguments."""
    return KeystoreSettings(
        values.pop("keystore"), values.pop("passphrase_fd"), values.pop("unprotected_for_development")
    )


def open_keystore(settings: KeystoreSettings) -> LocalKeystore:
    """Open the keystore; the passphrase is asked for only once it is known to be there.

    Raises:
        KeystoreError: it is not there, damaged, open to others, or locked by another passphrase.
        StreamFailed: the operating system does not let it be read.
    """
    from envelope.keystore.store import LocalKeystore

    with translated_os_errors("read the keystore", settings.place):
        try:
            status = settings.place.stat()
        except (FileNotFoundError, NotADirectoryError):
            raise KeystoreError(
                f"there is no keystore at {str(settings.place)!r}",
                hint="name it with --keystore; envelope keys create makes one",
            ) from None
    if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for
        raise KeystoreError(f"{str(settings.place)!r} is not a keystore file")
    if settings.is_unprotected:
        return LocalKeystore.open_unprotected_for_development(settings.place)
    return LocalKeystore.open(settings.place, passphrase=settings.passphrase())


def opened_once(settings: KeystoreSettings) -> Callable[[], LocalKeystore]:
    """A function that opens the keystore when it is called first, and then has the same answer, or error, for ever."""
    outcome: list[LocalKeystore | EnvelopeError] = []

    def opened() -> LocalKeystore:
        if not outcome:
            try:
                outcome.append(open_keystore(settings))
            except EnvelopeError as error:
                outcome.append(error)
        found = outcome[0]
        if isinstance(found, EnvelopeError):
            raise found
        return found

    return opened
