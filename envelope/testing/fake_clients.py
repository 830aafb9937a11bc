"""The clients of a fake service: real boto3 clients, answered in this process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from envelope.arguments import check_count
from envelope.aws.client_options import MOST_ATTEMPTS
from envelope.aws.in_process import JsonAnswer, client_answered_by
from envelope.testing.callers import DEFAULT_REGION, caller_of
from envelope.testing.kms_policy import Caller
from envelope.testing.kms_trouble import check_texts

__all__ = ["FakeClients"]


class FakeClients:
    """One client for each region, principal, service between, and number of attempts. Safe for threads.

    Args:
        service: boto3's name of it.
        answer: the fake's answer to a caller's operation with these parameters.
    """

    def __init__(self, service: str, answer: Callable[[Caller, str, dict[str, Any]], JsonAnswer]) -> None:
        self._service = service
        self._answer = answer
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """Forget clients and locks, which threads of the parent may use just now."""
        self._lock = threading.Lock()
        self._made: dict[tuple[str, str, int, str], Any] = {}

    def client(
        self, region: str, account: str | None, principal: str | None, max_attempts: int, *, via_service: str = ""
    ) -> Any:
        """The client of this caller.

        Args:
            via_service: the AWS service that calls in the caller's name, or an empty string.

        Raises:
            InvalidArgument: an option that means no caller, or a number of attempts out of its range.
        """
        check_count("max_attempts", max_attempts, 1, MOST_ATTEMPTS)
        check_texts(via_service=via_service)
        caller = replace(caller_of(region, account, principal), via_service=via_service)
        name = (region, caller.principal, max_attempts, via_service)
        with self._lock:
            if name not in self._made:
                self._made[name] = client_answered_by(
                    self._service,
                    region,
                    lambda operation, parameters: self._answer(caller, operation, parameters),
                    max_attempts=max_attempts,
                )
            return self._made[name]

    def client_for(self, account: str | None, principal: str | None, max_attempts: int) -> Callable[[str], Any]:
        """A function that gives the client of a region. The options are checked at once."""
        caller_of(DEFAULT_REGION, account, principal)
        return lambda region: self.client(region, account, principal, max_attempts)
