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


SECTIONS = {
    "pending vectors": "published vectors that wait for a keyring",
    "deaths": "rotations and writers that died",
}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what tests that just passed have recorded: vectors that nothing opens yet, and how often a process died."""
    reports = terminalreporter.getreports("passed")
    for property_name, title in SECTIONS.items():
        lines = [str(value) for report in reports for name, value in report.user_properties if name == property_name]
        if lines:
            terminalreporter.section(title)
        for line in sorted(lines):
            terminalreporter.line(line)
