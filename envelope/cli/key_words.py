"""Key words: how a key is named in one word of a command line, and the keyring that several of them make.

    kms:arn:aws:kms:<region>:<account>:key/<id>     also without kms:; an alias, alias/app, is resolved when it is used
    local:app                                       a key of the local keystore
    aes:namespace/name@file                         16, 24 or 32 bytes, or base64 or hexadecimal text of them
    rsa:namespace/name@file.pem#oaep-sha256         a public or private key; the padding can be left out
    env:NAME                                        an environment variable that holds one of these words

The file name is what follows the first @; in namespace and name, %2F, %40 and %25 stand for ``/``, ``@`` and ``%``.
Key material never stands in a word. Since people put it there all the same, no error shows a word that is none.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar
from urllib.parse import unquote

from envelope.aws.arn import KeyArn
from envelope.cli.aws_options import AwsSettings, shared_aws
from envelope.cli.key_files import KeyEncoding, read_aes_key, read_key_file
from envelope.cli.keystore_options import KeystoreSettings, open_keystore
from envelope.errors import InvalidArgument

if TYPE_CHECKING:
    from envelope.aws.session import Aws
    from envelope.keyrings.protocol import Keyring
    from envelope.keystore.store import LocalKeystore

__all__ = ["KeySettings", "discovery_keyring", "key_arns_of", "keyring_of", "words_in_file"]

Purpose = Literal["encrypt", "decrypt"]
Suffix = TypeVar("Suffix", bound=str)

_PADDINGS = {
    "pkcs1": "PKCS1",
    "oaep-sha1": "OAEP_SHA1",
    "oaep-sha256": "OAEP_SHA256",
    "oaep-sha384": "OAEP_SHA384",
    "oaep-sha512": "OAEP_SHA512",
}
_ENCODINGS: dict[str, KeyEncoding] = {"raw": "raw", "hex": "hex", "base64": "base64"}
_SCHEME = re.compile(r"[a-z]{1,8}(?=:)")
_MOST_FILE_BYTES = 1_048_576

_WORDS_HINT = (
    "a key is kms:arn:..., alias/app, local:app, aes:namespace/name@file, rsa:namespace/name@file.pem or env:NAME"
)


@dataclass(frozen=True, slots=True)
class KeySettings:
    """What key words stand on: the keystore, how to reach AWS, the environment.

    Attributes:
        aws: called when a word needs AWS for the first time; the `Aws` of the whole run.
    """

    keystore: KeystoreSettings = field(default_factory=KeystoreSettings)
    aws: Callable[[], Aws] = lambda: shared_aws(AwsSettings())
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)


@dataclass(frozen=True, slots=True)
class _Word:
    """A key word in its parts; the kind is kms, local, aes or rsa. The position, from 1, names it in errors."""

    kind: str
    rest: str = field(repr=False)
    position: int


def keyring_of(words: Sequence[str], *, settings: KeySettings, purpose: Purpose) -> Keyring:
    """The keyring of these key words: the first makes the data keys, and any of them opens the message.

    Raises:
        InvalidArgument: no word, one that is none, the same twice, or a file that holds no such key.
        KeyUnavailable: a key file cannot be read.
        KeystoreError: the keystore does not open or has no such key.
        AwsError: an alias cannot be resolved.
    """
    parsed = [_parsed(word, position, settings.environ) for position, word in enumerate(words, 1)]
    if not parsed:
        raise InvalidArgument("no key is given", hint=f"-k KEY names one; {_WORDS_HINT}")
    _check_different(parsed)
    keystore = cache(lambda: open_keystore(settings.keystore))  # a passphrase is asked for once, or never
    keyrings: list[Keyring] = []
    for is_kms, group in groupby(parsed, key=lambda word: word.kind == "kms"):
        if is_kms:
            keyrings.append(_kms_keyring(list(group), settings))
        else:
            keyrings += [_keyring(word, keystore, purpose, is_alone=len(parsed) == 1) for word in group]
    if len(keyrings) == 1:
        return keyrings[0]
    from envelope.keyrings.multi import MultiKeyring

    return MultiKeyring(keyrings[0], keyrings[1:])


def key_arns_of(words: Sequence[str], *, settings: KeySettings) -> tuple[str, ...]:
    """The key ARNs of key words that all name keys of AWS KMS; aliases are resolved.

    Raises:
        InvalidArgument: a word names another kind of key, or the same key twice.
        AwsError: an alias cannot be resolved.
    """
    parsed = [_parsed(word, position, settings.environ) for position, word in enumerate(words, 1)]
    for word in parsed:
        if word.kind != "kms":
            raise InvalidArgument(
                f"key {word.position} is no key of AWS KMS ({word.kind}:)",
                hint="give its ARN, or an alias like alias/app",
            )
    _check_different(parsed)
    return tuple(_key_arn(word, settings) for word in parsed)


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


def words_in_file(path: Path) -> tuple[str, ...]:
    """The key words of a keys file: one a line; empty lines and those that begin with # do not count.

    Raises:
        InvalidArgument: it cannot be read, is too long, is no UTF-8, or has no word.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_FILE_BYTES).decode()
    except OSError as error:
        raise InvalidArgument(f"cannot read the keys file {str(path)!r}: {error.strerror}") from error
    except UnicodeDecodeError:
        text = ""
    lines = (line.strip() for line in text.splitlines())
    words = tuple(line for line in lines if line and not line.startswith("#"))
    if not words:
        raise InvalidArgument(f"the keys file {str(path)!r} holds no key word", hint=f"one on each line: {_WORDS_HINT}")
    return words


def _parsed(word: str, position: int, environ: Mapping[str, str]) -> _Word:
    kind, _, rest = word.partition(":")
    if kind == "env" and rest:
        named = environ.get(rest, "")
        if not named or named.startswith("env:"):
            raise InvalidArgument(
                f"the environment variable {rest!r:.100} holds no key word",
                hint="it is not set or empty" if not named else "it names another variable; name that one",
            )
        return _parsed(named, position, {})
    if word.startswith(("arn:", "alias/")):
        return _Word("kms", word, position)
    if kind == "kms" and rest.startswith(("arn:", "alias/")):
        return _Word("kms", rest, position)
    if rest and kind in ("local", "aes", "rsa"):
        return _Word(kind, rest, position)
    scheme = _SCHEME.match(word)
    raise InvalidArgument(
        f"key {position} is no key word" + (f" ({scheme.group()}:)" if scheme else ""), hint=_WORDS_HINT
    )


def _check_different(words: Iterable[_Word]) -> None:
    seen: dict[tuple[str, str], int] = {}
    for word in words:
        if (first := seen.setdefault((word.kind, word.rest), word.position)) != word.position:
            raise InvalidArgument(f"key {word.position} is the same as key {first}", hint="name each key once")


def _keyring(word: _Word, keystore: Callable[[], LocalKeystore], purpose: Purpose, *, is_alone: bool) -> Keyring:
    if word.kind == "local":
        from envelope.keyrings.local import LocalKeyring

        return LocalKeyring(keystore(), word.rest)
    namespace, name, file = _named_file(word)
    if word.kind == "aes":
        from envelope.keyrings.raw_aes import RawAesKeyring

        path, encoding = _split_suffix(file, _ENCODINGS)
        return RawAesKeyring(namespace, name, read_aes_key(path, encoding))
    from envelope.keyrings.raw_rsa import RawRsaKeyring, RsaPadding

    path, padding = _split_suffix(file, _PADDINGS)
    pem = read_key_file(path)
    is_private = b"PRIVATE KEY-----" in pem
    if purpose == "decrypt" and is_alone and not is_private:
        raise InvalidArgument(f"{str(path)!r} holds a public key, which only encrypts", hint="give the private key")
    return RawRsaKeyring(
        namespace,
        name,
        private_key=pem if is_private else None,
        public_key=None if is_private else pem,
        padding=RsaPadding[padding or "OAEP_SHA256"],
    )


def _named_file(word: _Word) -> tuple[str, str, str]:
    """Namespace, name and file of ``namespace/name@file``."""
    names, at, file = word.rest.partition("@")
    namespace, slash, name = names.partition("/")
    if not (at and slash and namespace and name and file):
        raise InvalidArgument(
            f"key {word.position} is not {word.kind}:namespace/name@file",
            hint="namespace and name are what messages call the key; the file holds it",
        )
    return unquote(namespace), unquote(name), file


def _split_suffix(file: str, known: Mapping[str, Suffix]) -> tuple[Path, Suffix | None]:
    """The path, and what stands behind its last #; a # that is followed by nothing known belongs to the path."""
    path, _, suffix = file.rpartition("#")
    if suffix in known and path:
        return Path(path).expanduser(), known[suffix]
    return Path(file).expanduser(), None


def _kms_keyring(words: list[_Word], settings: KeySettings) -> Keyring:
    arns = [_key_arn(word, settings) for word in words]
    if any(KeyArn.parse(arn).is_mrk for arn in arns):
        from envelope.keyrings.kms_mrk import KmsMrkKeyring

        return KmsMrkKeyring(*arns, aws=settings.aws())
    from envelope.keyrings.kms import KmsKeyring

    return KmsKeyring(*arns, aws=settings.aws())


def _key_arn(word: _Word, settings: KeySettings) -> str:
    if word.rest.startswith("alias/"):
        return settings.aws().resolve_key_arn(word.rest)
    try:
        arn = KeyArn.parse(word.rest)
    except ValueError:
        raise InvalidArgument(
            f"key {word.position} is not the ARN of a KMS key", hint="arn:aws:kms:<region>:<account>:key/<id>"
        ) from None
    return str(arn) if arn.is_key else settings.aws().resolve_key_arn(str(arn))
