"""Which secret a command is about, and what of it is wanted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

from envelope_secrets.errors import SecretFormatError
from envelope_secrets.references import SecretReference
from envelope_secrets.value import Secret

__all__ = ["plain", "reference_of", "value_of"]


def reference_of(text: str, *, field: str = "", stage: str = "", version_id: str = "") -> SecretReference:
    """The reference that an argument is, together with what options say.

    Raises:
        InvalidArgument: it is none. It is not shown: somebody may have written the secret itself.
        click.UsageError: an option says another thing than the argument.
    """
    parsed = SecretReference.parse(text)
    options = {"field": field, "stage": stage, "version_id": version_id}
    for name, option in options.items():
        said = getattr(parsed, name)
        if option and said and option != said:
            shown = name.replace("_", "-")
            raise click.UsageError(f"--{shown} and the argument name different ones; give one of them")
        options[name] = option or said
    return SecretReference(parsed.secret_id, **options)


def value_of(secret: Secret, field: str) -> str | bytes:
    """The whole value, or a field of it: text as it is, and everything else as JSON.

    Raises:
        SecretFormatError: there is no such field, it is null, or its text cannot be written.
    """
    if not field:
        return secret.binary if secret.is_binary else secret.text
    found = secret.json[field]
    where = f"the field {field[:80]!r} of {secret.name}"
    if found is None:
        raise SecretFormatError(f"{where} is null", hint="with --json it is shown as that")
    if not isinstance(found, str):
        return json.dumps(plain(found))
    try:
        found.encode()
    except UnicodeEncodeError:  # it quotes the text, and goes no further than this
        problem = f"{where} cannot be written in UTF-8: it has half of a surrogate pair"
    else:
        return found
    raise SecretFormatError(problem, hint="with --json it is shown escaped")


def plain(value: Any) -> Any:
    """A part of a secret in the types that the JSON encoder knows."""
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return value
