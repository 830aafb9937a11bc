"""An end for what a driver does: its own timeouts begin again with every byte that a server sends."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

__all__ = ["ends_after"]


@contextmanager
def ends_after(seconds: float, file_number: Callable[[], int]) -> Iterator[None]:
    """Shut a connection down if the block takes longer: whatever waits for it fails, as if the server were gone.

    Args:
        file_number: of the driver's socket; asked when the time is over. It may raise if there is none yet.
    """
    timer = threading.Timer(seconds, _shut, (file_number,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _shut(file_number: Callable[[], int]) -> None:
    # A copy of the number: the driver's own socket stays as it thinks it is, and is closed by the driver.
    with suppress(Exception), socket.socket(fileno=os.dup(file_number())) as line:
        line.shutdown(socket.SHUT_RDWR)
