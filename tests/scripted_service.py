"""A service of AWS whose answers a test writes down, behind real boto3 clients in this process."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from envelope.aws.in_process import JsonAnswer, NoAnswer, client_answered_by

__all__ = ["Asked", "Refused", "ScriptedService"]


@dataclass(frozen=True)
class Asked:
    """One request."""

    region: str
    operation: str
    request: dict[str, Any]


@dataclass(frozen=True)
class Refused:
    """An answer that is an error."""

    code: str
    message: str = ""
    status: int = 400


Answered = dict[str, Any] | Refused | NoAnswer
Scripted = Answered | Callable[[Asked], Answered]


class ScriptedService:
    """Answers of one service in all regions.

    Attributes:
        asked: every request, in the order of arrival.
    """

    def __init__(self, service: str) -> None:
        self.asked: list[Asked] = []
        self._service = service
        self._answers: dict[str, Iterator[Scripted] | Scripted] = {}
        self._clients: dict[tuple[str, int], Any] = {}

    def on(self, operation: str, *answers: Scripted) -> None:
        """Answer an operation like this: one answer for ever, or several one after the other."""
        self._answers[operation] = answers[0] if len(answers) == 1 else iter(answers)

    def operations(self) -> list[str]:
        return [asked.operation for asked in self.asked]

    def regions(self) -> list[str]:
        return [asked.region for asked in self.asked]

    def last(self) -> dict[str, Any]:
        """The last request."""
        return self.asked[-1].request

    def client_for_region(self, region: str, *, max_attempts: int = 1) -> Any:
        key = region, max_attempts
        if key not in self._clients:
            self._clients[key] = client_answered_by(
                self._service,
                region,
                lambda operation, request: self._answer(Asked(region, operation, request)),
                max_attempts=max_attempts,
            )
        return self._clients[key]

    def _answer(self, asked: Asked) -> JsonAnswer:
        self.asked.append(asked)
        scripted = self._answers[asked.operation]
        if isinstance(scripted, Iterator):
            scripted = next(scripted)
        answered = scripted(asked) if callable(scripted) else scripted
        if isinstance(answered, NoAnswer):
            raise NoAnswer(answered.kind)
        if isinstance(answered, Refused):
            return JsonAnswer(answered.status, {"__type": answered.code, "message": answered.message}, "request-1")
        return JsonAnswer(200, copy.deepcopy(answered), "request-1")
