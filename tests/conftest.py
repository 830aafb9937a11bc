"""Settings of all tests. Needs pytest and hypothesis only, because the installed wheel is tested with it too."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "moderate",
    deadline=None,  # the speed of the machine is no property of the code
    max_examples=100,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("moderate")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the published vectors that nothing opens yet, as the tests that just passed have recorded them."""
    reports = terminalreporter.getreports("passed")
    pending = [value for report in reports for name, value in report.user_properties if name == "pending vectors"]
    if pending:
        terminalreporter.section("published vectors that wait for a keyring")
        for line in sorted(map(str, pending)):
            terminalreporter.line(line)
