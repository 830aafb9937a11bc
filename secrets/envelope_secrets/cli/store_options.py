"""The options that say where the secrets are: in AWS Secrets Manager, or in a file on this machine."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from envelope.cli.aws_options import aws_options, aws_settings_of, shared_aws
from envelope.cli.key_words import KeySettings, keyring_of
from envelope.cli.keystore_options import keystore_options, keystore_settings_of
from envelope.cli.parsed_words import shown_words
from envelope.cli.project_file import tell_origin
from envelope.cli.report import Report
from envelope_secrets.errors import StoreFailed

if TYPE_CHECKING:
    from envelope_secrets.client import SecretsClient
    from envelope_secrets.stores.protocol import SecretStore

__all__ = ["OFTEN", "StoreSettings", "opened_client", "opened_store", "store_options", "store_settings_of"]

Command = TypeVar("Command", bound=Callable[..., Any])

DEFAULT_KEY = "local:secrets"
"""What seals a store where no other key is named."""

OFTEN = ("store", "keys", "region")
"""Of these options, what ``--help`` shows."""


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Where the secrets are.

    Attributes:
        path: of a local store; None for AWS Secrets Manager.
        words: the keys of the local store.
        keys: what key words stand on, those of an exported file too: the keystore is opened once.
    """

    path: Path | None
    words: tuple[str, ...]
    keys: KeySettings


def store_options(command: Command, *, key: tuple[str, ...] = ("-k", "--key", "keys")) -> Command:
    """Add ``--store``, its key, and how to reach the keystore and AWS; `store_settings_of` takes their values.

    Args:
        key: the names of the option for the store's key, that of its value at the end.
    """
    own = (
        click.option(
            "--store",
            type=click.Path(path_type=Path, dir_okay=False),
            envvar="ENVELOPE_SECRETS_STORE",
            metavar="FILE",
            help="A local store, in the place of AWS.",
        ),
        click.option(*key, multiple=True, metavar="KEY", help=f"Key of the local store; {DEFAULT_KEY}."),
    )
    for option in reversed((*own, keystore_options, aws_options)):
        command = option(command)
    return command


def store_settings_of(context: click.Context, values: dict[str, Any], *, key: str = "keys") -> StoreSettings:
    """Take the values of these options out of a command's keyword arguments.

    Raises:
        click.UsageError: a key for a local store, and no store.
    """
    keystore, aws = keystore_settings_of(values), aws_settings_of(values)
    path, words = values.pop("store"), values.pop(key)
    if path is None and context.get_parameter_source(key) is ParameterSource.COMMANDLINE:
        raise click.UsageError("a key is for a local store, and no --store is given; AWS has keys of its own")
    if path is not None:
        tell_origin(context, key, "key", shown_words(words, os.environ))
    return StoreSettings(path, words or (DEFAULT_KEY,), KeySettings(keystore, lambda: shared_aws(aws), os.environ))


@contextlib.contextmanager
def opened_client(context: click.Context, settings: StoreSettings, *, makes: bool = False) -> Iterator[SecretsClient]:
    """The secrets, open as long as the block runs.

    Args:
        makes: make the local store if there is none, and say so.

    Raises:
        StoreFailed: there is no such store, or it does not open.
        KeystoreError, InvalidArgument: its key is not there, or no key.
    """
    from envelope_secrets.client import SecretsClient

    with opened_store(context, settings, makes=makes) as store, SecretsClient(store) as client:
        yield client


@contextlib.contextmanager
def opened_store(context: click.Context, settings: StoreSettings, *, makes: bool = False) -> Iterator[SecretStore]:
    """The store itself, as `opened_client` opens it."""
    with contextlib.ExitStack() as stack:
        if settings.path is None:
            yield _aws_store(settings)
        else:
            yield _local_store(context, settings, stack, makes=makes)


def _aws_store(settings: StoreSettings) -> SecretStore:
    from envelope_secrets.stores.secrets_manager import SecretsManagerStore

    return SecretsManagerStore(settings.keys.aws())


def _local_store(
    context: click.Context, settings: StoreSettings, stack: contextlib.ExitStack, *, makes: bool
) -> SecretStore:
    from envelope_secrets.stores.local import LocalSecretStore

    path = str(settings.path)
    is_new = not os.path.lexists(path)
    if is_new and not makes:
        raise StoreFailed(
            f"there is no secret store {path!r}", hint="envelope secrets create and import make one with --store"
        )
    keyring = keyring_of(settings.words, settings=settings.keys, purpose="decrypt")
    store = stack.enter_context(LocalSecretStore(path, keyring))
    if is_new:
        context.ensure_object(Report).note("made store", f"made the secret store {path}", store=path)
    return store
