"""The keyring of some key words; see `envelope.cli.parsed_words` for what a key word is."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from envelope.aws.arn import KeyArn
from envelope.cli.aws_options import AwsSettings, shared_aws
from envelope.cli.key_files import read_aes_key, read_key_file, shown_path
from envelope.cli.keystore_options import KeystoreSettings, opened_once
from envelope.cli.parsed_words import WORDS_HINT, KeyWord, NamedFile, parsed_words
from envelope.errors import InvalidArgument

if TYPE_CHECKING:
    from envelope.aws.session import Aws
    from envelope.keyrings.protocol import Keyring
    from envelope.keystore.store import LocalKeystore

__all__ = ["KeySettings", "KmsKey", "discovery_keyring", "keyring_of", "kms_keys_of"]

Purpose = Literal["encrypt", "decrypt"]


@dataclass(frozen=True, slots=True)
class KeySettings:
    """What key words stand on: the keystore, how to reach AWS, the environment.

    Attributes:
        aws: called when a word needs AWS for the first time; the `Aws` of the whole run.
        opened: opens the keystore once for the run: a descriptor gives its passphrase once, a person types it once.
    """

    keystore: KeystoreSettings = field(default_factory=KeystoreSettings)
    aws: Callable[[], Aws] = lambda: shared_aws(AwsSettings())
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    opened: Callable[[], LocalKeystore] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "opened", opened_once(self.keystore))


def keyring_of(words: Sequence[str], *, settings: KeySettings, purpose: Purpose) -> Keyring:
    """The keyring of these key words: the first makes the data keys, and any of them opens the message.

    Raises:
        InvalidArgument: no word, one that is none, the same twice, or a file that holds no such key.
        KeyUnavailable: a key file cannot be read.
        KeystoreError: the keystore does not open or has no such key.
        AwsError: an alias cannot be resolved.
    """
    parsed = parsed_words(words, settings.environ)
    if not parsed:
        raise InvalidArgument("no key is given", hint=f"-k KEY names one; {WORDS_HINT}")
    keyrings: list[Keyring] = []
    for is_kms, group in groupby(parsed, key=lambda word: word.kind == "kms"):
        if is_kms:
            keyrings.append(_kms_keyring(list(group), settings))
        else:
            keyrings += [_keyring(word, settings.opened, purpose, is_alone=len(parsed) == 1) for word in group]
    if len(keyrings) == 1:
        return keyrings[0]
    from envelope.keyrings.multi import MultiKeyring

    return MultiKeyring(keyrings[0], keyrings[1:])


@dataclass(frozen=True, slots=True)
class KmsKey:
    """A key of AWS KMS.

    Attributes:
        arn: of the key itself.
        is_alias: whether the word was an alias, so that whoever uses it must be allowed to resolve it.
    """

    arn: str
    is_alias: bool


def kms_keys_of(words: Sequence[str], *, settings: KeySettings) -> tuple[KmsKey, ...]:
    """The keys of key words that all name keys of AWS KMS; aliases are resolved.

    Raises:
        InvalidArgument: a word names another kind of key, or the same key twice.
        AwsError: an alias cannot be resolved.
    """
    parsed = parsed_words(words, settings.environ)
    for word in parsed:
        if word.kind != "kms":
            raise InvalidArgument(
                f"key {word.position} is no key of AWS KMS ({word.kind}:)",
                hint="give its ARN, or an alias like alias/app",
            )
    return tuple(KmsKey(_key_arn(word, settings), is_alias=_is_alias(word)) for word in parsed)


def discovery_keyring(
    *,
    settings: KeySettings,
    accounts: Sequence[str],
    partition: str = "aws",
    regions: Sequence[str] = (),
    any_account: bool = False,
) -> Keyring:
    """The keyring that asks the keys that messages name; it decrypts only.

    Args:
        accounts: whose keys are asked.
        regions: ask keys in these regions only. With a single one, the replica there stands for a multi-Region key.
        any_account: ask keys of anybody's account, in the place of `accounts`.

    Raises:
        InvalidArgument: no account, or both.
    """
    from envelope.keyrings.kms_discovery import DiscoveryFilter, KmsDiscoveryKeyring
    from envelope.keyrings.kms_mrk import KmsMrkDiscoveryKeyring

    if bool(accounts) == any_account:
        raise InvalidArgument(
            "discovery needs to know whose keys may be asked: either accounts or any account",
            hint="--account 111122223333, once for each; a message that opens under anybody's key proves nothing",
        )
    aws, only = settings.aws(), list(regions) or None
    if any_account:
        if len(regions) == 1:
            return KmsMrkDiscoveryKeyring.with_keys_of_any_account(regions[0], aws=aws)
        return KmsDiscoveryKeyring.with_keys_of_any_account(aws=aws, regions=only)
    admitted = DiscoveryFilter(partition, accounts)
    if len(regions) == 1:
        return KmsMrkDiscoveryKeyring(regions[0], admitted, aws=aws)
    return KmsDiscoveryKeyring(admitted, aws=aws, regions=only)


def _keyring(word: KeyWord, keystore: Callable[[], LocalKeystore], purpose: Purpose, *, is_alone: bool) -> Keyring:
    if word.kind == "local":
        from envelope.keyrings.local import LocalKeyring

        return LocalKeyring(keystore(), word.rest)
    file = NamedFile.of(word)
    if word.kind == "aes":
        from envelope.keyrings.raw_aes import RawAesKeyring

        return RawAesKeyring(file.namespace, file.name, read_aes_key(file.path, file.encoding))
    from envelope.keyrings.raw_rsa import RawRsaKeyring, RsaPadding

    pem = read_key_file(file.path)
    is_private = b"PRIVATE KEY-----" in pem
    if purpose == "decrypt" and is_alone and not is_private:
        raise InvalidArgument(
            f"{shown_path(file.path)} holds a public key, which only encrypts", hint="give the private key"
        )
    return RawRsaKeyring(
        file.namespace,
        file.name,
        private_key=pem if is_private else None,
        public_key=None if is_private else pem,
        padding=RsaPadding[file.padding or "OAEP_SHA256"],
    )


def _kms_keyring(words: list[KeyWord], settings: KeySettings) -> Keyring:
    arns = [_key_arn(word, settings) for word in words]
    if any(KeyArn.parse(arn).is_mrk for arn in arns):
        from envelope.keyrings.kms_mrk import KmsMrkKeyring

        return KmsMrkKeyring(*arns, aws=settings.aws())
    from envelope.keyrings.kms import KmsKeyring

    return KmsKeyring(*arns, aws=settings.aws())


def _is_alias(word: KeyWord) -> bool:
    return word.rest.rpartition(":")[2].startswith("alias/")


def _key_arn(word: KeyWord, settings: KeySettings) -> str:
    if word.rest.startswith("alias/"):
        return settings.aws().resolve_key_arn(word.rest)
    try:
        arn = KeyArn.parse(word.rest)
    except ValueError:
        raise InvalidArgument(
            f"key {word.position} is not the ARN of a KMS key", hint="arn:aws:kms:<region>:<account>:key/<id>"
        ) from None
    return str(arn) if arn.is_key else settings.aws().resolve_key_arn(str(arn))
