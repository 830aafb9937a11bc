"""How thorough a run is: `make test` takes a sample of what would take minutes, `.ci/run` takes all of it."""

from __future__ import annotations

import os
from typing import Protocol

__all__ = ["POINTS", "TAKES_ALL", "Recorder"]

TAKES_ALL = os.environ.get("ENVELOPE_EVERY_POINT") == "1"
"""Whether every crash point, kill, transcript with each kind of key, and combination with a peer is tried."""

POINTS = "deaths"
"""The property of a test whose value is shown at the end of the run: how often something died, and what came of it."""


class Recorder(Protocol):
    """pytest's fixture `record_property`."""

    def __call__(self, name: str, value: object) -> None: ...
