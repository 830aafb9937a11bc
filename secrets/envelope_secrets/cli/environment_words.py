"""``NAME=REFERENCE``: which secret, or which field of it, a variable of a program's environment gets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from io import FileIO
from pathlib import Path

from envelope.errors import InvalidArgument
from envelope.replacement import translated_os_errors
from envelope_secrets.cli.references_given import reference_of, value_of
from envelope_secrets.cli.value_input import read_limited
from envelope_secrets.client import SecretsClient
from envelope_secrets.errors import SecretFormatError
from envelope_secrets.references import SecretReference

__all__ = ["environment_of", "lines_of", "parsed_variables"]

MOST_FILE_BYTES = 1_048_576

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HINT = "DB_PASSWORD=prod/db:password: a name, and id[:field[:stage[:version_id]]]"


def parsed_variables(words: Iterable[tuple[str, str]]) -> dict[str, SecretReference]:
    """Variables with the references that stand for their values.

    Args:
        words: each with where it stands, for errors: what is no such word can be a value.

    Raises:
        InvalidArgument: a word that is none, or a name that is there twice.
    """
    variables: dict[str, SecretReference] = {}
    for where, word in words:
        name, equals, reference = word.partition("=")
        if not equals or _NAME.fullmatch(name) is None:
            raise InvalidArgument(f"{where} is not NAME=REFERENCE", hint=_HINT)
        if name in variables:
            raise InvalidArgument(f"{where} sets {name[:80]} again", hint="set each variable once")
        try:
            variables[name] = reference_of(reference)
        except InvalidArgument as error:
            raise InvalidArgument(f"{where}: {error}", hint=error.hint) from None
    return variables


def lines_of(path: Path) -> Iterator[tuple[str, str]]:
    """The words of a file, one a line; empty lines and those that begin with # do not count.

    Raises:
        InvalidArgument: it is too large, or no UTF-8.
        StreamFailed: it cannot be read.
    """
    with translated_os_errors("read", path), FileIO(path, "r") as file:
        content = read_limited(file, MOST_FILE_BYTES)
    if len(content) > MOST_FILE_BYTES:
        raise InvalidArgument(f"{str(path)!r} has more than {MOST_FILE_BYTES:,} bytes")
    try:
        lines = content.decode().splitlines()
    except UnicodeDecodeError:  # it quotes the content
        lines = None
    if lines is None:
        raise InvalidArgument(f"{str(path)!r} is no text in UTF-8")
    for number, line in enumerate(map(str.strip, lines), 1):
        if line and not line.startswith("#"):
            yield f"{str(path)!r}, line {number}", line


def environment_of(client: SecretsClient, variables: dict[str, SecretReference]) -> dict[str, str]:
    """The values. Each secret is read once, so a user and a password are of one version.

    Raises:
        SecretFormatError: a value that no environment can hold.
    """
    current = {reference.secret_id for reference in variables.values() if not reference.options()}
    if len(current) > 1:
        client.prefetch(sorted(current))
    return {name: _value(client, name, reference) for name, reference in variables.items()}


def _value(client: SecretsClient, name: str, reference: SecretReference) -> str:
    secret = client.get(reference.secret_id, **reference.options())
    value = value_of(secret, reference.field)
    if isinstance(value, bytes):
        raise SecretFormatError(
            f"the value of {secret.name} is binary, and {name} can hold text only",
            hint="let the program read it: envelope secrets get ID | program",
        )
    if "\0" in value:
        raise SecretFormatError(f"the value for {name} has a NUL character, which no environment can hold")
    return value
