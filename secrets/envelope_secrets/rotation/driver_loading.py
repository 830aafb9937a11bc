"""Importing a driver when the first connection needs it: each is an extra of the package."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from envelope_secrets.rotation.failures import TargetError

__all__ = ["load_driver"]


def load_driver(module: str, extra: str) -> Any:
    """The driver's module.

    Raises:
        TargetError: it is not installed; the hint says which extra brings it.
    """
    try:
        return import_module(module)
    except ImportError:
        pass  # what is raised below must not carry paths of this machine in its context
    raise TargetError(
        f"the driver {module} is not installed, so nothing can be asked",
        hint=f"pip install 'envelope-kms[{extra}]'",
    )
