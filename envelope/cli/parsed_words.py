"""Key words in their parts, before anything is looked up.

    kms:arn:aws:kms:<region>:<account>:key/<id>     also without kms:; an alias, alias/app, is resolved when it is used
    local:app                                       a key of the local keystore
    aes:namespace/name@file                         16, 24 or 32 bytes, or base64 or hexadecimal text of them
    rsa:namespace/name@file.pem#oaep-sha256         a public or private key; the padding can be left out
    env:NAME                                        an environment variable that holds one of these words

The file name is what follows the first @; in namespace and name, %2F, %40 and %25 stand for ``/``, ``@`` and ``%``.
Key material never stands in a word. Since people put it there all the same, no error shows a word that is none.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from envelope.cli.key_files import KeyEncoding
from envelope.errors import InvalidArgument

__all__ = ["WORDS_HINT", "KeyWord", "NamedFile", "files_of", "parsed_words", "shown_words", "words_in_file"]

_PADDINGS = {
    "pkcs1": "PKCS1",
    "oaep-sha1": "OAEP_SHA1",
    "oaep-sha256": "OAEP_SHA256",
    "oaep-sha384": "OAEP_SHA384",
    "oaep-sha512": "OAEP_SHA512",
}
_ENCODINGS: dict[str, KeyEncoding] = {"raw": "raw", "hex": "hex", "base64": "base64"}
_KINDS = ("kms", "local", "aes", "rsa", "env")
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")
_MOST_FILE_BYTES = 1_048_576

WORDS_HINT = (
    "a key is kms:arn:..., alias/app, local:app, aes:namespace/name@file, rsa:namespace/name@file.pem or env:NAME"
)


@dataclass(frozen=True, slots=True)
class KeyWord:
    """A key word in its parts; the kind is kms, local, aes or rsa. The position, from 1, names it in errors."""

    kind: str
    rest: str = field(repr=False)
    position: int


@dataclass(frozen=True, slots=True)
class NamedFile:
    """What an aes: or rsa: word says.

    Attributes:
        namespace: of the key, as messages have it.
        name: the same.
        path: of the file that holds the key.
        encoding: how an AES key stands in it, None where the word does not say.
        padding: the name of an RSA padding, None where the word does not say.
    """

    namespace: str
    name: str
    path: Path
    encoding: KeyEncoding | None = None
    padding: str | None = None

    @classmethod
    def of(cls, word: KeyWord) -> NamedFile:
        """The parts of ``namespace/name@file#suffix``.

        A # that is followed by nothing known belongs to the path.

        Raises:
            InvalidArgument: one of them is missing.
        """
        names, at, file = word.rest.partition("@")
        namespace, slash, name = names.partition("/")
        if not (at and slash and namespace and name and file):
            raise InvalidArgument(
                f"key {word.position} is not {word.kind}:namespace/name@file",
                hint="namespace and name are what messages call the key; the file holds it",
            )
        path, _, suffix = file.rpartition("#")
        encoding = _ENCODINGS.get(suffix) if word.kind == "aes" else None
        padding = _PADDINGS.get(suffix) if word.kind == "rsa" else None
        if not path or (encoding is None and padding is None):
            return cls(unquote(namespace), unquote(name), _expanded(file))
        return cls(unquote(namespace), unquote(name), _expanded(path), encoding, padding)


def parsed_words(words: Sequence[str], environ: Mapping[str, str]) -> list[KeyWord]:
    """The words in their parts.

    Raises:
        InvalidArgument: one that is none, or the same twice.
    """
    parsed = [_parsed(word, position, environ) for position, word in enumerate(words, 1)]
    seen: dict[tuple[str, str], int] = {}
    for word in parsed:
        if (first := seen.setdefault((word.kind, word.rest), word.position)) != word.position:
            raise InvalidArgument(f"key {word.position} is the same as key {first}", hint="name each key once")
    return parsed


def shown_words(words: Iterable[str], environ: Mapping[str, str]) -> Iterator[str]:
    """The words as they can be shown: one that is none could be key material."""
    for word in words:
        try:
            _parsed(word, 1, environ)
            yield word
        except InvalidArgument:
            yield "(no key word)"


def files_of(words: Iterable[str], environ: Mapping[str, str]) -> Iterator[Path]:
    """The key files that these words name, as far as they are key words."""
    for word in words:
        with contextlib.suppress(InvalidArgument):
            parsed = _parsed(word, 1, environ)
            if parsed.kind in ("aes", "rsa"):
                yield NamedFile.of(parsed).path


def words_in_file(path: Path) -> tuple[str, ...]:
    """The key words of a keys file: one a line; empty lines and those that begin with # do not count.

    Raises:
        InvalidArgument: it cannot be read, has more than 1 MiB, is no UTF-8, or has no word.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_FILE_BYTES + 1)
    except OSError as error:
        raise InvalidArgument(f"cannot read the keys file {str(path)!r}: {error.strerror}") from error
    if len(content) > _MOST_FILE_BYTES:
        raise InvalidArgument(f"the keys file {str(path)!r} has more than {_MOST_FILE_BYTES:,} bytes")
    try:
        lines = [line.strip() for line in content.decode().splitlines()]
    except UnicodeDecodeError:
        lines = []
    words = tuple(line for line in lines if line and not line.startswith("#"))
    if not words:
        raise InvalidArgument(f"the keys file {str(path)!r} holds no key word", hint=f"one on each line: {WORDS_HINT}")
    return words


def _parsed(word: str, position: int, environ: Mapping[str, str]) -> KeyWord:
    kind, _, rest = word.partition(":")
    if kind == "env" and rest:
        return _of_variable(rest, position, environ)
    if word.startswith(("arn:", "alias/")):
        return KeyWord("kms", word, position)
    if kind == "kms" and rest.startswith(("arn:", "alias/")):
        return KeyWord("kms", rest, position)
    if rest and kind in ("local", "aes", "rsa"):
        return KeyWord(kind, rest, position)
    shown = f" ({kind}:)" if kind in _KINDS and ":" in word else ""
    raise InvalidArgument(f"key {position} is no key word{shown}", hint=WORDS_HINT)


def _of_variable(name: str, position: int, environ: Mapping[str, str]) -> KeyWord:
    named = environ.get(name, "")
    if named and not named.startswith("env:"):
        return _parsed(named, position, {})
    # What does not look like the name of a variable can be the key itself.
    shown = repr(name) if name in environ or _VARIABLE.fullmatch(name) else f"of key {position}"
    raise InvalidArgument(
        f"the environment variable {shown} holds no key word",
        hint="it is not set or empty" if not named else "it names another variable; name that one",
    )


def _expanded(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:  # nobody knows whose home that would be
        return Path(path)
