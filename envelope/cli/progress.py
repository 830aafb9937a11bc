"""The progress bar of a run: bytes, rate and time left, on a terminal only.

rich is imported when a run takes longer than a moment.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import TextIO

__all__ = ["Meter", "shown_progress"]

DELAY_S = 0.3
INTERVAL_S = 0.1


class Meter:
    """How far a run is; fed by many threads.

    Attributes:
        total_bytes: of all inputs; None if that is not known.
        done_bytes: so far.
    """

    def __init__(self, total_bytes: int | None) -> None:
        self.total_bytes = total_bytes
        self.done_bytes = 0
        self._lock = threading.Lock()

    def add(self, count_bytes: int) -> None:
        """Bytes were done; fewer than none if they turned out to be less."""
        with self._lock:
            self.done_bytes += count_bytes


@contextlib.contextmanager
def shown_progress(
    meter: Meter,
    label: str,
    stream: TextIO,
    *,
    is_wanted: bool = True,
    delay_s: float = DELAY_S,
    interval_s: float = INTERVAL_S,
) -> Iterator[None]:
    """Show a bar while the block runs, if the stream is a terminal and the run takes longer than `delay_s`."""
    if not (is_wanted and stream.isatty()):
        yield
        return
    finished = threading.Event()

    def draw() -> None:
        if not finished.wait(delay_s):
            with contextlib.suppress(Exception):  # a terminal that went away: the run goes on
                _draw(meter, label, stream, finished, interval_s)

    thread = threading.Thread(target=draw, name="envelope progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()


def _draw(meter: Meter, label: str, stream: TextIO, finished: threading.Event, interval_s: float) -> None:
    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(bar_width=None),
        progress.DownloadColumn(binary_units=True),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(compact=True),
    )
    with progress.Progress(
        *columns, console=Console(file=stream), transient=True, expand=True, auto_refresh=False
    ) as bar:
        task = bar.add_task(label, total=meter.total_bytes)
        while True:
            bar.update(task, completed=meter.done_bytes, refresh=True)
            if finished.wait(interval_s):
                return
