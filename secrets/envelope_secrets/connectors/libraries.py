"""Importing a library when it is first needed: nobody has all of them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from envelope_secrets.errors import NotSupported

__all__ = ["load_library"]


def load_library(module: str, requirement: str) -> Any:
    """The module.

    Args:
        requirement: what to install, as pip takes it.

    Raises:
        NotSupported: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError:
        pass  # what is raised below must not carry paths of this machine in its context
    raise NotSupported(f"{module} is not installed", hint=f"pip install '{requirement}'")
