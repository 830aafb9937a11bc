"""What a service answers in the place of a result. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["ServiceRefusal"]


@dataclass(frozen=True, slots=True)
class ServiceRefusal:
    """What a service answered in the place of a result.

    Attributes:
        code: its error code, or an empty string where it gave none that is one.
        message: its text; to be searched for known words, and not to be shown: it can quote the request.
        request_id: the id by which AWS finds the call, or an empty string.
        http_status: None where it is not known.
    """

    code: str
    message: str = field(default="", repr=False)
    request_id: str = ""
    http_status: int | None = None
