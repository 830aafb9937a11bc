"""How a boto3 client is made and checked. Imported by the first call that needs one."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from envelope.aws.calls import call_service
from envelope.aws.client_options import ClientOptions
from envelope.aws.log_redaction import redact_botocore_logs
from envelope.aws.transport import check_transport
from envelope.errors import EnvelopeError, InvalidArgument

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
    make: Any = session.client  # its overloads want the service as a literal
    return _checked(
        service,
        lambda: make(service, region_name=region, endpoint_url=options.endpoint_url, config=_config(session, options)),
    )


def injected_client(region: str, client_for_region: Callable[[str], Any]) -> Any:
    """A client of KMS as the caller makes them.

    Raises:
        InvalidArgument: it is none of KMS in that region, or the function failed.
        AwsMisconfigured: it could not be made, or does not talk in private.
    """
    client = _checked("kms", lambda: _injected(region, client_for_region))
    if (client.meta.service_model.service_name, client.meta.region_name) != ("kms", region):
        raise InvalidArgument(f"client_for_region({region!r}) gave a client of another service or region", hint=_HINT)
    return client


def _injected(region: str, client_for_region: Callable[[str], Any]) -> Any:
    try:
        return client_for_region(region)
    except (BotoCoreError, EnvelopeError):
        raise
    except Exception as error:
        raise InvalidArgument(
            f"client_for_region({region!r}) raised {type(error).__name__}", hint="the exception is chained"
        ) from error


_HINT = 'for example lambda region: boto3.client("kms", region_name=region)'


def _checked(service: str, make: Callable[[], Any]) -> Any:
    redact_botocore_logs()
    client = call_service(make, {}, operation=f"making a client of {service}", resource="")
    if not hasattr(client, "meta"):
        raise InvalidArgument(f"client_for_region gave no boto3 client but {type(client).__name__}", hint=_HINT)
    check_transport(client)
    return client


def _config(session: boto3.Session, options: ClientOptions) -> Config:
    configured: Any = session._session.get_config_variable  # boto3 has no other way to ask
    attempts = options.max_attempts or configured("max_attempts") or DEFAULT_ATTEMPTS
    mode = "adaptive" if configured("retry_mode") == "adaptive" else "standard"
    retries: Any = {"mode": mode, "total_max_attempts": attempts}
    asked_for: dict[str, Any] = {"use_fips_endpoint": True} if options.use_fips_endpoint else {}
    return Config(
        connect_timeout=options.connect_timeout_s,
        read_timeout=options.read_timeout_s,
        retries=retries,
        user_agent_extra=f"envelope-kms/{version('envelope-kms')}",
        **asked_for,
    )
