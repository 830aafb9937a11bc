"""The errors of AWS Secrets Manager: code, text, HTTP status."""

from __future__ import annotations

__all__ = ["ServiceFault", "access_denied", "bad_parameter", "bad_request", "http_status_of"]

_HTTP_STATUS = {"InternalServiceError": 500, "InternalFailure": 500, "ServiceUnavailable": 503}
"""All others are 400: throttling, refused access and what is not found too."""


class ServiceFault(Exception):
    """An answer that is an error.

    Attributes:
        code: like ``ResourceNotFoundException``.
        message: the text for people.
        http_status: the code's own unless another is given.
    """

    def __init__(self, code: str, message: str, *, http_status: int | None = None) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.http_status = http_status_of(code) if http_status is None else http_status


def http_status_of(code: str) -> int:
    return _HTTP_STATUS.get(code, 400)


def bad_parameter(message: str) -> ServiceFault:
    """A parameter is missing, out of its range, or not known to the fake."""
    return ServiceFault("InvalidParameterException", message)


def bad_request(message: str) -> ServiceFault:
    """The secret is in a state that does not allow it."""
    return ServiceFault("InvalidRequestException", message)


def access_denied(principal: str, action: str, resource: str, reason: str) -> ServiceFault:
    """Not modelled by botocore: a plain ClientError there."""
    return ServiceFault(
        "AccessDeniedException",
        f"User: {principal} is not authorized to perform: secretsmanager:{action} on resource: {resource} {reason}",
    )
