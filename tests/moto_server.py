"""moto's KMS and STS behind HTTP on loopback, in two accounts and two regions."""

from __future__ import annotations

import logging
from functools import cache

import boto3
from moto.server import ThreadedMotoServer

from envelope import Aws

__all__ = ["FIRST_ACCOUNT", "REGIONS", "SECOND_ACCOUNT", "aws_of", "moto_url", "new_key"]

REGIONS = ("eu-west-1", "us-east-1")
FIRST_ACCOUNT = "123456789012"
"""moto's default: the account of any credentials that STS did not give."""
SECOND_ACCOUNT = "222233334444"


@cache
def moto_url() -> str:
    """Where it listens; started by the first call, and gone with the process."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    return f"http://{host}:{port}"


@cache
def session_of(account: str) -> boto3.Session:
    """A session in an account: through a role that was assumed there, for the second one."""
    first = boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing")
    if account == FIRST_ACCOUNT:
        return first
    role = f"arn:aws:iam::{account}:role/app"
    sts = first.client("sts", region_name=REGIONS[0], endpoint_url=moto_url())
    given = sts.assume_role(RoleArn=role, RoleSessionName="tests")["Credentials"]
    return boto3.Session(
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )


@cache
def aws_of(account: str = FIRST_ACCOUNT) -> Aws:
    return Aws(session_of(account), region=REGIONS[0], endpoint_url=moto_url())


def new_key(region: str = REGIONS[0], account: str = FIRST_ACCOUNT) -> str:
    """The ARN of a fresh key."""
    arn: str = aws_of(account).client("kms", region).create_key()["KeyMetadata"]["Arn"]
    return arn
