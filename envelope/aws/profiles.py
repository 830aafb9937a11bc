"""A boto3 session of a named profile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envelope.aws.calls import call_service

if TYPE_CHECKING:
    import boto3

__all__ = ["session_of_profile"]


def session_of_profile(profile: str) -> boto3.Session:
    """A session with the settings and credentials of a profile in the files of AWS.

    Raises:
        AwsMisconfigured: there is no such profile, or the files do not hold together.
    """
    import boto3

    return call_service(
        boto3.Session,
        {"profile_name": profile},
        operation="reading the AWS configuration",
        resource=f"profile {profile!r:.200}",
    )
