"""The options that say how to reach AWS, shared by the commands that may call it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from envelope.aws.session import Aws

__all__ = ["AwsSettings", "aws_options", "aws_settings_of", "shared_aws"]

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class AwsSettings:
    """Region, endpoint and profile; None leaves it to the configuration that every program with boto3 reads."""

    region: str | None = None
    endpoint_url: str | None = None
    aws_profile: str | None = None


def aws_options(command: Command) -> Command:
    """Add ``--region``, ``--endpoint-url`` and ``--aws-profile``; `aws_settings_of` takes their values."""
    options = (
        click.option("--region", metavar="NAME", envvar="ENVELOPE_REGION", help="Region where no key ARN names one."),
        click.option(
            "--endpoint-url", metavar="URL", envvar="ENVELOPE_ENDPOINT_URL", help="One endpoint for all of AWS."
        ),
        click.option(
            "--aws-profile", metavar="NAME", envvar="ENVELOPE_AWS_PROFILE", help="Profile in the files of AWS."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def aws_settings_of(values: dict[str, Any]) -> AwsSettings:
    """Take the values of these options out of a command's keyword arguments."""
    return AwsSettings(values.pop("region"), values.pop("endpoint_url"), values.pop("aws_profile"))


@cache
def shared_aws(settings: AwsSettings) -> Aws:
    """The `Aws` of these settings: one for the whole run, because it keeps the clients.

    It imports no boto3 by itself, unless a profile is named.

    Raises:
        AwsMisconfigured: there is no such profile.
        InvalidArgument: an endpoint without TLS, and the like.
    """
    from envelope.aws.profiles import session_of_profile
    from envelope.aws.session import Aws

    session = None if settings.aws_profile is None else session_of_profile(settings.aws_profile)
    return Aws(session, region=settings.region, endpoint_url=settings.endpoint_url)
