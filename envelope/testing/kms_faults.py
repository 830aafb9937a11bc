"""The errors of AWS KMS: code, text, HTTP status."""

from __future__ import annotations

__all__ = ["KmsFault", "unsupported", "validation_fault"]

_HTTP_STATUS = {"KMSInternalException": 500, "KeyUnavailableException": 500, "DependencyTimeoutException": 503}
"""All others are 400, throttling and refused access too."""


class KmsFault(Exception):
    """An answer that is an error.

    Attributes:
        code: like ``NotFoundException``.
        message: the text for people; empty for `InvalidCiphertextException`, as in the service.
        http_status: the code's own unless another is given.
    """

    def __init__(self, code: str, message: str = "", *, http_status: int | None = None) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.http_status = _HTTP_STATUS.get(code, 400) if http_status is None else http_status


def validation_fault(message: str) -> KmsFault:
    """A parameter is missing or out of its range."""
    return KmsFault("ValidationException", message)


def unsupported(message: str) -> KmsFault:
    """The service refuses it for this kind of key, or the fake does not have it."""
    return KmsFault("UnsupportedOperationException", message)
