"""How a boto3 client is made and checked. Imported by the first call that needs one."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from envelope.aws.call_limit import limit_calls
from envelope.aws.calls import call_service
from envelope.aws.client_options import MOST_ATTEMPTS, ClientOptions
from envelope.aws.log_redaction import redact_botocore_logs
from envelope.aws.transport import check_transport
from envelope.errors import AwsMisconfigured, EnvelopeError, InvalidArgument

__all__ = ["injected_client", "made_client", "new_session"]

DEFAULT_ATTEMPTS = 3


def new_session() -> boto3.Session:
    """The default configuration.

    Raises:
        AwsMisconfigured: it names a profile that does not exist, and the like.
    """
    return call_service(boto3.Session, {}, operation="reading the AWS configuration", resource="")


def made_client(service: str, region: str | None, session: boto3.Session, options: ClientOptions) -> Any:
    """A client of a service with these options.

    Raises:
        AwsMisconfigured: the configuration allows none, or none that talks in private.
    """
    config = call_service(_config, {"session": session, "options": options}, operation=_making(service), resource="")
    make: Any = session.client  # its overloads want the service as a literal

    def made() -> Any:
        try:
            return make(service, region_name=region, endpoint_url=options.endpoint_url, config=config)
        except BotoCoreError:  # some are a ValueError too
            raise
        except ValueError:  # from an endpoint URL or a number that is none; its text quotes what may hold a password
            return None

    client = _made(service, made)
    if client is None:
        raise AwsMisconfigured(
            f"{_making(service)} failed: a setting of AWS is no value of its kind",
            operation=_making(service),
            code="ValueError",
            hint="check the endpoint URLs first: AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_<SERVICE>, endpoint_url in the "
            "profile; then the numbers among the AWS variables",
        )
    check_transport(client)
    if options.call_timeout_s is not None:
        limit_calls(client, options.call_timeout_s)
    return client


def injected_client(service: str, region: str, client_for_region: Callable[[str], Any]) -> Any:
    """A client of a service as the caller makes them.

    Raises:
        InvalidArgument: it is none of that service in that region, or the function failed.
        AwsMisconfigured: it could not be made, or does not talk in private.
    """
    client = _made(service, lambda: _injected(region, client_for_region))
    its_service, its_region, url = _described(client)
    hint = f'for example lambda region: boto3.client("{service}", region_name=region)'
    if not (isinstance(its_service, str) and isinstance(its_region, str) and isinstance(url, str)):
        raise InvalidArgument(f"client_for_region gave no boto3 client but {type(client).__name__}", hint=hint)
    if (its_service, its_region) != (service, region):
        raise InvalidArgument(f"client_for_region({region!r}) gave a client of another service or region", hint=hint)
    check_transport(client)
    return client


def _described(client: Any) -> tuple[object, object, object]:
    """Service, region and URL of what is perhaps a client, and perhaps a stand-in for one."""
    try:
        return client.meta.service_model.service_name, client.meta.region_name, client.meta.endpoint_url
    except Exception:  # noqa: BLE001 - whatever an object of anybody's raises, it is no client
        return None, None, None


def _injected(region: str, client_for_region: Callable[[str], Any]) -> Any:
    try:
        return client_for_region(region)
    except (BotoCoreError, EnvelopeError):
        raise
    except Exception as error:
        raise InvalidArgument(
            f"client_for_region({region!r}) raised {type(error).__name__}", hint="the exception is chained"
        ) from error


def _made(service: str, make: Callable[[], Any]) -> Any:
    redact_botocore_logs()
    return call_service(make, {}, operation=_making(service), resource="")


def _making(service: str) -> str:
    return f"making a client of {service}"


def _config(session: boto3.Session, options: ClientOptions) -> Config:
    configured: Any = session._session.get_config_variable  # boto3 has no other way to ask
    attempts = options.max_attempts or _configured_attempts(configured)
    mode = "adaptive" if configured("retry_mode") == "adaptive" else "standard"
    retries: Any = {"mode": mode, "total_max_attempts": attempts}
    asked_for: dict[str, Any] = {"use_fips_endpoint": True} if options.use_fips_endpoint else {}
    return Config(
        connect_timeout=options.connect_timeout_s,
        read_timeout=options.read_timeout_s,
        retries=retries,
        user_agent_extra=_own_name(),
        **asked_for,
    )


def _own_name() -> str:
    """The distribution as AWS's logs name it."""
    try:
        return f"envelope-kms/{version('envelope-kms')}"
    except PackageNotFoundError:  # copied without its metadata, as some builders of zips do
        return "envelope-kms"


def _configured_attempts(configured: Callable[[str], Any]) -> int:
    """What the configuration says, but no more than the option allows; botocore refuses a negative number."""
    try:
        attempts = configured("max_attempts")
    except ValueError as error:
        raise AwsMisconfigured(
            "the AWS configuration is not valid: the attempts are no whole number",
            operation="reading the AWS configuration",
            code="ValueError",
            hint="check AWS_MAX_ATTEMPTS, and max_attempts in the profile: 1 tries once",
        ) from error
    return min(attempts or DEFAULT_ATTEMPTS, MOST_ATTEMPTS)
