"""What a project's file may say. It counts in whatever directory the command is started, after any `git clone` too.

So it may choose what messages are like and which keys they are for, which is told. It may not lead calls, credentials,
keys or files elsewhere, hide what is said, or loosen a check: that is for the user's own file, or one that is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from envelope.cli.report import Report

__all__ = ["ALLOWED", "PROJECT_FILE", "is_from_project", "remember", "tell_origin"]

PROJECT_FILE = "envelope.toml"
_META = f"{__name__}.values"

ALLOWED = frozenset(
    {
        "accounts",
        "armor",
        "as_json",
        "context",
        "decode",
        "decrypt_only",
        "discovery",
        "encode",
        "encrypt_only",
        "exclude",
        "fail_fast",
        "frame_length",
        "fsync",
        "include",
        "jobs",
        "keys",
        "log_json",
        "max_encrypted_data_keys",
        "max_length",
        "pairs",
        "partition",
        "preserve",
        "recursive",
        "region",
        "rules",
        "suffix",
        "suite",
        "to",
        "unsigned_only",
        "unstored",
        "verbose",
    }
)
"""Options by the name of their value. What is not here, and so every new option, is not for a project's file."""


def remember(context: click.Context, path: Path, values: Mapping[str, Any]) -> None:
    """Keep what a project's file has set, as a default map of the program, for `tell_origin`."""
    context.meta[_META] = (path, values)


def is_from_project(context: click.Context, name: str) -> bool:
    """Whether the value of an option of the command of this context is what a project's file has set."""
    _, values = context.meta.get(_META, (None, {}))
    return context.get_parameter_source(name) is ParameterSource.DEFAULT_MAP and name in _below(values, context)


def tell_origin(context: click.Context, name: str, what: str, shown: Iterable[str]) -> None:
    """Say that keys or accounts come from a project's file, if they do.

    Args:
        context: of the command that uses them.
        name: of the option's value.
        what: they are.
        shown: themselves, printable or not.
    """
    if not is_from_project(context, name):
        return
    path, _ = context.meta[_META]
    text = ", ".join(shown)
    context.ensure_object(Report).note("from project", f"{what} {text} from {path}", **{what: text, "file": str(path)})


def _below(values: Mapping[str, Any], context: click.Context) -> Mapping[str, Any]:
    """The part of a default map that is for the command of a context."""
    if context.parent is None:
        return values
    below: Mapping[str, Any] = _below(values, context.parent).get(str(context.info_name), {})
    return below
