"""Starting a server for tests, or skipping them by name where there is none."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, ExitStack
from typing import TypeVar

import pytest

from tests.servers.processes import NoServer

__all__ = ["REQUIRED_VARIABLE", "started"]

REQUIRED_VARIABLE = "ENVELOPE_REQUIRE_SERVERS"
"""Where it is 1, a missing server is a failure, but for MySQL: Debian's stable releases have none."""

Server = TypeVar("Server")


def started(stack: ExitStack, server: AbstractContextManager[Server], *, is_optional: bool = False) -> Server:
    """Start a server; skip the test by name where there is none."""
    try:
        return stack.enter_context(server)
    except NoServer as error:
        if os.environ.get(REQUIRED_VARIABLE) == "1" and not is_optional:
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))
