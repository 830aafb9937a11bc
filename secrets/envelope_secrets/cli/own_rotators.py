"""A rotator of the user's own: ``--with MODULE:ATTRIBUTE`` imports it, as WSGI servers import an application."""

from __future__ import annotations

import inspect
import os
import re
import sys
from importlib import import_module
from typing import Any

from envelope.errors import EnvelopeError, InvalidArgument

__all__ = ["is_reference", "own_rotator"]

_REFERENCE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", re.ASCII)


def is_reference(text: str) -> bool:
    """Whether a text is MODULE:ATTRIBUTE."""
    return _REFERENCE.fullmatch(text) is not None


def own_rotator(reference: str) -> Any:
    """The rotator or database that is named; a class or a function is called without arguments, and makes it.

    The directory in which the command was started counts last among the places of modules, so that a file there cannot
    take the place of an installed one.

    Raises:
        InvalidArgument: there is no such module or attribute, or its own code fails. Only the name of its exception is
            shown, whose text may quote anything.
    """
    module, _, attribute = reference.partition(":")
    folder = os.getcwd()  # noqa: PTH109 - a text, as sys.path wants it
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        found: Any = import_module(module)
        for name in attribute.split("."):
            found = getattr(found, name)
        return found() if inspect.isclass(found) or inspect.isfunction(found) else found
    except EnvelopeError:
        raise
    except Exception as error:  # noqa: BLE001 - it is anybody's code
        problem = type(error).__name__
    raise InvalidArgument(
        f"--with {reference} cannot be used: {problem}",
        hint="it must be MODULE:ATTRIBUTE, of an installed module or one in this directory: a rotator, or a class or "
        "function that makes one without arguments",
    )
