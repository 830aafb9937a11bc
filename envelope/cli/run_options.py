"""Options that the commands on messages share, and what they make of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from envelope.cli.aws_options import aws_options, aws_settings_of, shared_aws
from envelope.cli.key_words import KeySettings, discovery_keyring, keyring_of
from envelope.cli.keystore_options import keystore_options, keystore_settings_of
from envelope.cli.parsed_words import shown_words, words_in_file
from envelope.cli.precedence import ENVIRONMENTS_RANK, rank_of
from envelope.cli.project_file import tell_origin
from envelope.client import Client
from envelope.data_keys import DataKeyCache
from envelope.keyrings.protocol import Keyring
from envelope.suites import CommitmentPolicy, Suite

__all__ = [
    "client_of",
    "client_options",
    "decrypted_name",
    "decrypting_keyring_of",
    "discovery_options",
    "expected_options",
    "input_options",
    "key_options",
    "key_settings_of",
    "new_words_of",
    "output_options",
    "policy_of",
    "reading_options",
    "shared_keyring",
    "suite_of",
    "words_of",
    "writing_options",
]

Command = TypeVar("Command", bound=Callable[..., Any])
Values = dict[str, Any]

_POLICIES: dict[str, CommitmentPolicy] = {policy.value: policy for policy in CommitmentPolicy}
MAX_FRAME_BYTES = 2**31 - 17
_COUNT = click.IntRange(1, 65_535)


def _added(*options: Callable[[Any], Any]) -> Callable[[Command], Command]:
    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


key_options = _added(
    click.option(
        "-k", "--key", "keys", multiple=True, metavar="KEY", help="A key, like local:app or alias/app; repeatable."
    ),
    click.option(
        "--keys-file",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Key words, one on each line.",
    ),
    keystore_options,
    aws_options,
)

client_options = _added(
    click.option(
        "--commitment-policy",
        type=click.Choice(list(_POLICIES)),
        default=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT.value,
        metavar="POLICY",
        help="Which suites are written and opened: require-encrypt-require-decrypt, require-encrypt-allow-decrypt or "
        "forbid-encrypt-allow-decrypt.",
    ),
    click.option(
        "--max-encrypted-data-keys", type=_COUNT, metavar="N", help="Refuse messages with more encrypted data keys."
    ),
)

input_options = _added(
    click.argument("inputs", nargs=-1, metavar="[INPUT...]"),
    click.option("-r", "--recursive", is_flag=True, help="Read directories, and those in them."),
    click.option("--include", multiple=True, metavar="PATTERN", help="Take only such files of directories."),
    click.option("--exclude", multiple=True, metavar="PATTERN", help="Leave out such files and directories."),
    click.option(
        "-j",
        "--jobs",
        type=click.IntRange(1, 256),
        metavar="N",
        help="Messages at a time, at most.",
    ),
    click.option("--fail-fast", is_flag=True, help="Begin nothing more after a failure."),
    click.option(
        "--metadata",
        type=click.Path(dir_okay=False, allow_dash=True),
        metavar="FILE",
        help="A JSON line for each message.",
    ),
    click.option("--overwrite-metadata", is_flag=True, help="Begin the metadata file anew."),
)

output_options = _added(
    click.option("-o", "--output", metavar="OUTPUT", help="A file, a directory, or - for standard output."),
    click.option("-f", "--force", is_flag=True, help="Replace files that exist."),
    click.option("--skip-existing", is_flag=True, help="Leave files that exist, and go on."),
    click.option("-p", "--preserve", is_flag=True, help="Carry modes and times over."),
    click.option("--fsync", is_flag=True, help="Flush each file to the disk before it gets its name."),
    click.option("--suffix", default=".encrypted", metavar="TEXT", help="Of messages in directories; .encrypted."),
)

discovery_options = _added(
    click.option("--discovery", is_flag=True, help="Ask the KMS keys that messages name."),
    click.option(
        "--account", "accounts", multiple=True, metavar="ID", help="Whose keys --discovery may ask; repeatable."
    ),
    click.option("--partition", default="aws", metavar="NAME", help="AWS partition of the accounts."),
    click.option(
        "--discovery-of-any-account", is_flag=True, help="Ask keys of anybody: then a message proves nothing."
    ),
)

expected_options = click.option(
    "-c", "--context", multiple=True, metavar="NAME[=VALUE]", help="What the encryption context must have."
)

reading_options = _added(
    click.option("--decode", is_flag=True, help="The input is base64. Armor is recognized by itself."),
    click.option(
        "--max-length",
        type=click.IntRange(1, MAX_FRAME_BYTES),
        metavar="BYTES",
        help="Refuse messages with longer frames, or longer unframed ones.",
    ),
    click.option("--unsigned-only", is_flag=True, help="Refuse signed messages."),
    click.option("--release-early", is_flag=True, help="Write to standard output before the signature was verified."),
)

writing_options = _added(
    click.option(
        "--suite",
        type=click.Choice([suite.name for suite in Suite], case_sensitive=False),
        metavar="NAME",
        help="Algorithm suite; one with ECDSA signs.",
    ),
    click.option(
        "--frame-length",
        type=click.IntRange(1, MAX_FRAME_BYTES),
        metavar="BYTES",
        help="Plaintext in a frame; 262,144.",
    ),
)


def key_settings_of(values: Values) -> KeySettings:
    """What the values of keystore and AWS options say."""
    rest = dict(values)  # the functions below take out what they use
    aws = aws_settings_of(rest)
    return KeySettings(keystore=keystore_settings_of(rest), aws=lambda: shared_aws(aws))


def words_of(values: Values) -> tuple[str, ...]:
    """The key words of -k, then those of the keys file. What a project's file chose is told.

    Args:
        values: settled, see `envelope.cli.precedence`.
    """
    words, file = values["keys"], values["keys_file"]
    if words:
        tell_origin(click.get_current_context(), "keys", "key", shown_words(words, os.environ))
    return (*words, *(() if file is None else words_in_file(file)))


def new_words_of(values: Values) -> tuple[str, ...]:
    """The key words of --to. What a project's file chose is told."""
    tell_origin(click.get_current_context(), "to", "new key", shown_words(values["to"], os.environ))
    return tuple(values["to"])


def decrypting_keyring_of(values: Values, words: Sequence[str], settings: KeySettings) -> Keyring:
    """The keyring that opens messages: of the key words, or discovery.

    Accounts in a configuration file may wait there for --discovery.

    Args:
        values: settled, see `envelope.cli.precedence`.

    Raises:
        click.UsageError: both, or accounts without discovery.
    """
    context = click.get_current_context()
    accounts, any_account = values["accounts"], values["discovery_of_any_account"]
    if not (values["discovery"] or any_account):
        if accounts and rank_of(context, "accounts") >= ENVIRONMENTS_RANK:
            raise click.UsageError("--account is for --discovery")
        return keyring_of(words, settings=settings, purpose="decrypt")
    if words:
        raise click.UsageError("messages are opened by -k or by --discovery, not by both")
    tell_origin(context, "accounts", "account", map(repr, accounts))
    region = values["region"]
    return discovery_keyring(
        settings=settings,
        accounts=accounts,
        partition=values["partition"],
        regions=() if region is None else (region,),
        any_account=any_account,
    )


def decrypted_name(name: str, suffix: str) -> str:
    """The name of the plaintext of a message that is called `name`."""
    base = name.removesuffix(suffix)
    return base if base not in ("", ".", "..", name) else name + ".decrypted"


def shared_keyring(keyring: Keyring, *, is_tree: bool) -> Keyring:
    """A keyring for a run: many messages share data keys."""
    return DataKeyCache(keyring) if is_tree else keyring


def policy_of(values: Values) -> CommitmentPolicy:
    """The commitment policy."""
    return _POLICIES[values["commitment_policy"]]


def suite_of(values: Values) -> Suite | None:
    """The suite, None if none was named."""
    return None if values["suite"] is None else Suite[values["suite"]]


def client_of(keyring: Keyring, values: Values) -> Client:
    """The client of a run."""
    options: Values = {"decrypt_unsigned_only": values.get("unsigned_only", False)}
    if values["max_encrypted_data_keys"] is not None:
        options["max_encrypted_data_keys"] = values["max_encrypted_data_keys"]
    if values.get("max_length") is not None:
        options["max_frame_bytes"] = values["max_length"]
    return Client(keyring, commitment_policy=policy_of(values), **options)
