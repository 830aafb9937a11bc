"""A connection to MySQL or MariaDB that answers from a script, for what no server at hand can be made to say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["ScriptedConnection"]


class ScriptedConnection:
    """Stands for a `MySqlConnection`.

    Args:
        answers: by how a statement begins: its rows, or the number of an error; rows of none by default. A list is
            used up, one for each time.

    Attributes:
        statements: that were run.
        waits: seconds.
    """

    def __init__(self, answers: Mapping[str, Any] | None = None) -> None:
        self.answers = {"SELECT GET_LOCK": ((1,),), "SELECT @@GLOBAL.innodb": ((1, 1),), **(answers or {})}
        self.statements: list[str] = []
        self.waits: list[float] = []
        self.is_closed = False

    def rows(self, statement: str, *values: object, what: str, passing: frozenset[int] = frozenset()) -> Any:
        self.statements.append(statement)
        beginning = next((text for text in self.answers if statement.startswith(text)), None)
        answer = () if beginning is None else self.answers[beginning]
        if isinstance(answer, list):
            answer = answer.pop(0)
        if isinstance(answer, int):
            assert answer in passing, f"{statement} fails with {answer}"
            return None
        return answer

    def wait(self, wanted_s: float, what: str) -> None:
        self.waits.append(wanted_s)

    def quoted(self, text: str) -> str:
        return f"'{text}'"

    def account(self, name: str, host: str) -> str:
        return f"'{name}'@'{host}'"

    def close(self) -> None:
        self.is_closed = True

    def ran(self, beginning: str) -> list[str]:
        """The statements that begin so."""
        return [statement for statement in self.statements if statement.startswith(beginning)]
