"""``envelope secrets``: `command` is what the program loads."""

from __future__ import annotations

from envelope_secrets.cli.program import command

__all__ = ["command"]
