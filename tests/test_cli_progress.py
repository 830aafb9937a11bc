"""The progress bar."""

from __future__ import annotations

import io
import re
import threading

import pytest

from envelope.cli.progress import Meter, shown_progress

MIB = 2**20
RATE = re.compile(r"[0-9.]+ [kMGT]?B/s")
TIME_LEFT = re.compile(r"[0-9]{2}:[0-9]{2}")


class Terminal(io.StringIO):
    """A terminal that remembers, and says when it was written to."""

    def __init__(self) -> None:
        super().__init__()
        self.was_written = threading.Event()

    def isatty(self) -> bool:
        return True

    def flush(self) -> None:
        super().flush()
        if RATE.search(self.getvalue()) and TIME_LEFT.search(self.getvalue()):
            self.was_written.set()


def test_a_run_that_takes_long_has_a_bar_with_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    terminal = Terminal()
    meter = Meter(100 * MIB)
    with shown_progress(meter, "Encrypting", terminal, delay_s=0, interval_s=0.001):
        for _ in range(300):  # the rate is that of one picture to the next
            meter.add(MIB // 10)
            if terminal.was_written.wait(timeout=0.1):
                break
        assert terminal.was_written.is_set(), terminal.getvalue()
    assert "Encrypting" in terminal.getvalue()
    assert "100.0 MiB" in terminal.getvalue()


def test_a_run_of_a_moment_has_none() -> None:
    terminal = Terminal()
    with shown_progress(Meter(None), "Encrypting", terminal, delay_s=1000):
        pass
    assert terminal.getvalue() == ""


@pytest.mark.parametrize(("stream", "is_wanted"), [(io.StringIO(), True), (Terminal(), False)])
def test_without_a_terminal_or_when_it_is_not_wanted_there_is_no_thread(stream: io.StringIO, is_wanted: bool) -> None:
    before = threading.active_count()
    with shown_progress(Meter(None), "Encrypting", stream, is_wanted=is_wanted, delay_s=0):
        assert threading.active_count() == before
    assert stream.getvalue() == ""


def test_a_meter_counts_for_many_threads() -> None:
    meter = Meter(None)

    def count() -> None:
        for _ in range(1000):
            meter.add(3)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert meter.done_bytes == 12_000
