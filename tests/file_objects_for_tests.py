"""Binary files that behave badly, or only unusually."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any


class StreamedFile(io.BytesIO):
    """A file in memory that is read as one on disk is: only a plain `BytesIO` shares its bytes."""


class ShortReads:
    """A source whose `readinto` gives as many bytes at a time as it was told, then whatever is left."""

    def __init__(self, data: bytes, sizes: Iterable[int] = ()) -> None:
        self._file = io.BytesIO(data)
        self._sizes = iter(sizes)

    def _next_size(self, most: int) -> int:
        return max(1, min(next(self._sizes, most), most))

    def readinto(self, view: memoryview) -> int:
        return self._file.readinto(view[: self._next_size(len(view))])


class ShortReadsByRead(ShortReads):
    """The same with `read` alone, like many bodies of HTTP responses."""

    readinto = None  # type: ignore[assignment]  # hides the method

    def read(self, size: int = -1) -> bytes:
        return self._file.read(self._next_size(size))


class ShortReadsByReadinto1(ShortReads):
    """The same with `readinto1`; asking it for more at once fails."""

    def readinto1(self, view: memoryview) -> int:
        return super().readinto(view)

    def readinto(self, view: memoryview) -> int:
        raise AssertionError("readinto1 is there and does not wait for a full buffer")


class WouldHang(BaseException):
    """Nothing that catches `Exception` may take this for an answer."""


class FailsAfter:
    """A source that gives so many bytes, then raises or returns whatever it was told."""

    def __init__(self, data: bytes, then: Any) -> None:
        self._file = io.BytesIO(data)
        self._then = then
        self.calls = 0

    def read(self, size: int = -1) -> Any:
        self.calls += 1
        if self.calls > 10_000:
            raise WouldHang("asked again and again")
        if data := self._file.read(size):
            return data
        if isinstance(self._then, BaseException):
            raise self._then
        return self._then


class Answers:
    """A file whose `read` and `write` return or raise these things one after the other.

    Afterwards `read` is at the end, and `write` takes everything.
    """

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.taken = bytearray()

    def _next(self, otherwise: Any) -> Any:
        answer = self._answers.pop(0) if self._answers else otherwise
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def read(self, size: int = -1) -> Any:
        answer = self._next(b"")
        if len(answer) > size:
            self._answers.insert(0, answer[size:])
        return answer[:size]

    def write(self, data: memoryview) -> Any:
        answer = self._next(len(data))
        self.taken += data
        return answer


class ReadintoReturns:
    """A source whose `readinto` returns whatever it was told and fills nothing."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def readinto(self, view: memoryview) -> Any:
        if isinstance(self._answer, BaseException):
            raise self._answer
        return self._answer


class ShortWrites:
    """A destination that takes so many bytes at a time and says so."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.taken = bytearray()

    def write(self, data: memoryview) -> int:
        part = data[: self._most]
        self.taken += part
        return len(part)


class SilentWrites:
    """A destination whose `write` takes everything and returns nothing."""

    def __init__(self) -> None:
        self.taken = bytearray()

    def write(self, data: memoryview) -> None:
        self.taken += data


class WriteReturns:
    """A destination that takes so many bytes as it should, then raises or returns whatever it was told."""

    def __init__(self, answer: Any, *, after_bytes: int = 0) -> None:
        self._answer = answer
        self._after_bytes = after_bytes
        self.taken = bytearray()
        self.calls = 0

    def write(self, data: memoryview) -> Any:
        self.calls += 1
        if self.calls > 10_000:
            raise WouldHang("asked again and again")
        if len(self.taken) < self._after_bytes:
            self.taken += data
            return len(data)
        if isinstance(self._answer, BaseException):
            raise self._answer
        return self._answer
