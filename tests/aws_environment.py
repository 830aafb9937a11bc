"""An environment without any configuration of AWS, for a test to begin with."""

from __future__ import annotations

import os
from functools import cache

import boto3
import pytest

__all__ = ["clean_aws_environment", "made_up_session"]


@pytest.fixture(autouse=True)
def clean_aws_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable, file, proxy or metadata service of the machine says anything. Import it to use it."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower() in (
            "http_proxy",
            "https_proxy",
            "all_proxy",
            "no_proxy",
            "requests_ca_bundle",
        ):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@cache
def made_up_session() -> boto3.Session:
    """A session with credentials that nobody checks; one for all tests, because making one takes a while."""
    return boto3.Session(aws_access_key_id="AKIDTESTING", aws_secret_access_key="testing")
