"""Answers of AWS, read with suspicion: what is missing or of another type is an error, and never None by accident."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeVar

from envelope.errors import AwsError

__all__ = ["Answer"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service answered, or a part of it.

    Attributes:
        operation: which call it answers, like ``secretsmanager:GetSecretValue``.
        members: as botocore parsed them; they may hold a secret.

    Raises:
        AwsError: code ``UnexpectedResponse``, in all methods: it is not what the service's model says.
    """

    operation: str
    members: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, operation: str, response: object) -> Answer:
        """The answer that a boto3 client, or a stand-in for one, gave."""
        if not isinstance(response, Mapping):
            cls(operation, {}).refuse(f"is no mapping but {type(response).__name__}")
        return cls(operation, response)

    def text(self, name: str) -> str:
        """A text that has to be there, and not empty."""
        if not isinstance(self.members.get(name), str) or not self.members[name]:
            self.refuse(f"holds no {name}")
        value: str = self.members[name]
        return value

    def optional_text(self, name: str) -> str:
        """A text, or an empty one."""
        return self.optional(name, str) or ""

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts, or an empty one."""
        return self._list(name, str)

    def date(self, name: str) -> datetime | None:
        """A date in UTC, if there is one."""
        date = self.optional(name, datetime)
        if date is None:
            return None
        try:
            return date.astimezone(UTC)
        except (OverflowError, ValueError):  # out of what Python's dates can be
            self.refuse(f"has a {name} that is no date of this age")

    def whole_number(self, name: str) -> int:
        """A whole number that has to be there."""
        value = self.members.get(name)
        if type(value) is not int:
            self.refuse(f"holds no {name}")
        return value

    def optional(self, name: str, kind: type[T]) -> T | None:
        """A member of this type, or None if there is none."""
        return None if self.members.get(name) is None else self.value(name, kind)

    def value(self, name: str, kind: type[T]) -> T:
        """A member of this type that has to be there. What is of another type may be a secret all the same."""
        if not isinstance(self.members.get(name), kind):
            self.refuse(f"has a {name} of type {type(self.members.get(name)).__name__}")
        value: T = self.members[name]
        return value

    def part(self, name: str) -> Answer:
        """A structure; one without members if it is not there."""
        return Answer(self.operation, self.optional(name, dict) or {})

    def parts(self, name: str) -> tuple[Answer, ...]:
        """A list of structures, or an empty one."""
        return tuple(Answer(self.operation, part) for part in self._list(name, dict))

    def pairs(self, name: str) -> dict[str, str]:
        """A list of keys and values, as tags are."""
        return {part.text("Key"): part.optional_text("Value") for part in self.parts(name)}

    def refuse(self, what: str) -> NoReturn:
        """Say what is wrong with it; `what` shows no value."""
        raise AwsError(
            f"the response to {self.operation} {what}",
            operation=self.operation,
            code="UnexpectedResponse",
            hint="this is not how the service answers: check the endpoint and whatever stands between",
        )

    def _list(self, name: str, kind: type[T]) -> tuple[T, ...]:
        values = self.optional(name, list) or []
        if not all(isinstance(value, kind) for value in values):
            self.refuse(f"has a {name} that is no list of {kind.__name__}")
        return tuple(values)
