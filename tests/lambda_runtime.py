"""What Lambda is around a handler, as a program: ``python -I -S lambda_runtime.py``, with Lambda's variables.

It imports the handler from the folder of the function, invokes it once for each line of its standard input, and writes
one line for each: null, or the error. What the function logs goes to standard error, as it goes to the log there.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import traceback
from importlib import import_module
from typing import Any


class Context:
    """What a handler can ask about an invocation."""

    def __init__(self, timeout_s: float) -> None:
        self._ends_s = time.monotonic() + timeout_s
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]

    def get_remaining_time_in_millis(self) -> int:
        return max(0, round((self._ends_s - time.monotonic()) * 1_000))


def answer(handler: Any, invocation: dict[str, Any]) -> dict[str, str] | None:
    """Invoke it. Lambda answers an exception with its name and text, and logs its traceback."""
    try:
        handler(invocation["event"], Context(invocation["timeout_s"]))
    except Exception as error:  # noqa: BLE001 - whatever it is
        traceback.print_exc()
        return {"errorType": type(error).__name__, "errorMessage": str(error)}
    return None


def main() -> None:
    sys.path[:0] = [os.environ["LAMBDA_TASK_ROOT"], os.environ["LAMBDA_RUNTIME_DIR"]]
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    module, _, name = os.environ["_HANDLER"].partition(".")
    handler = getattr(import_module(module), name)
    for line in sys.stdin:
        sys.stdout.write(f"{json.dumps(answer(handler, json.loads(line)))}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
