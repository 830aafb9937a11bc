"""The options of clients, checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from envelope.arguments import check_count, check_flag
from envelope.errors import InvalidArgument

if TYPE_CHECKING:
    import boto3

__all__ = ["ClientOptions", "check_client_for_region", "check_maker", "check_region", "check_session"]

MOST_SECONDS = 900
MOST_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """What all clients of one `Aws` have in common; None leaves it to the configuration of AWS. Checked where made."""

    endpoint_url: str | None
    use_fips_endpoint: bool
    connect_timeout_s: float
    read_timeout_s: float
    max_attempts: int | None
    call_timeout_s: float | None = None

    def __post_init__(self) -> None:
        if self.endpoint_url is not None:
            _check_endpoint_url(self.endpoint_url)
        check_flag("use_fips_endpoint", self.use_fips_endpoint)
        _check_timeout("connect_timeout_s", self.connect_timeout_s)
        _check_timeout("read_timeout_s", self.read_timeout_s)
        if self.call_timeout_s is not None:
            _check_timeout("call_timeout_s", self.call_timeout_s)
        if self.max_attempts is not None:
            check_count("max_attempts", self.max_attempts, 1, MOST_ATTEMPTS)


def check_region(option: str, value: object) -> str:
    """A region as text that is not empty, or `InvalidArgument`."""
    if not isinstance(value, str) or not value or not value.isprintable():
        shown = repr(value[:100]) if isinstance(value, str) else type(value).__name__
        raise InvalidArgument(f"{option} must be the name of a region, not {shown}", hint='for example "eu-west-1"')
    return value


def check_session(session: Any) -> boto3.Session | None:
    """A boto3 session or None, or `InvalidArgument`."""
    if session is not None and not (callable(getattr(session, "client", None)) and hasattr(session, "_session")):
        raise InvalidArgument(
            f"session must be a boto3.Session, not {type(session).__name__}",
            hint='Aws(boto3.Session(profile_name="app"))',
        )
    checked: boto3.Session | None = session
    return checked


def check_client_for_region(value: Any, options: ClientOptions) -> Callable[[str], Any] | None:
    """A function that makes clients of KMS or None, or `InvalidArgument`."""
    if value is None:
        return None
    if options.endpoint_url is not None or options.use_fips_endpoint or options.call_timeout_s is not None:
        raise InvalidArgument(
            "client_for_region excludes endpoint_url, use_fips_endpoint and call_timeout_s",
            hint="make the clients with the endpoint and the limits that they shall have",
        )
    return check_maker(value, "kms")


def check_maker(value: Any, service: str) -> Callable[[str], Any]:
    """A function that makes clients of a service, or `InvalidArgument`."""
    if not callable(value):
        raise InvalidArgument(
            f"client_for_region must be a function of a region, not {type(value).__name__}",
            hint=f'for example lambda region: boto3.client("{service}", region_name=region)',
        )
    checked: Callable[[str], Any] = value
    return checked


def _check_endpoint_url(value: object) -> None:
    from envelope.aws.transport import is_private, origin

    hint = 'for example "https://vpce-0123456789abcdef0.kms.eu-west-1.vpce.amazonaws.com"; http on loopback only'
    if not isinstance(value, str):
        raise InvalidArgument(f"endpoint_url must be text, not {type(value).__name__}", hint=hint)
    if not is_private(value):
        raise InvalidArgument(f"endpoint_url must be an https URL without user name, not {origin(value)!r}", hint=hint)


def _check_timeout(option: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidArgument(f"{option} must be a number of seconds, not {type(value).__name__}")
    if not 0 < value <= MOST_SECONDS:  # neither is a NaN
        shown = f"{value:.6g}" if isinstance(value, float) or value.bit_length() <= 64 else "a number that large"
        raise InvalidArgument(f"{option} must be above 0 and at most {MOST_SECONDS} seconds, not {shown}")
