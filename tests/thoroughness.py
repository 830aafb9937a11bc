"""How thorough a run is: `make test` takes a sample of what would take minutes, `.ci/run` takes all of it."""

from __future__ import annotations

import os

__all__ = ["TAKES_ALL"]

TAKES_ALL = os.environ.get("ENVELOPE_EVERY_POINT") == "1"
"""Whether every crash point, every kill and every combination with another implementation is tried."""
