"""What the tests of the fake KMS share."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from envelope.testing import FakeKms

ACCOUNT = "111122223333"
OTHER_ACCOUNT = "444455556666"
APPLICATION = f"arn:aws:iam::{ACCOUNT}:role/application"
READER = f"arn:aws:iam::{ACCOUNT}:role/reader"
STRANGER = f"arn:aws:iam::{OTHER_ACCOUNT}:role/stranger"


@contextlib.contextmanager
def refused(code: str, text: str = "") -> Iterator[None]:
    """The block ends with this error code, and a message that has this text."""
    with pytest.raises(ClientError) as caught:
        yield
    error = caught.value.response["Error"]
    assert error["Code"] == code, error
    assert text in error["Message"]


def new_key(fake: FakeKms, region: str = "eu-west-1", **options: Any) -> str:
    """Create a key; return its ARN."""
    return fake.client(region).create_key(**options)["KeyMetadata"]["Arn"]


def statement(effect: str = "Allow", principal: Any = "*", action: Any = "kms:*", **elements: Any) -> dict[str, Any]:
    return {"Effect": effect, "Principal": principal, "Action": action, "Resource": "*", **elements}


def policy(*statements: dict[str, Any]) -> str:
    """A key policy that leaves the account what it had, and has these statements too."""
    of_account = statement(principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"})
    return json.dumps({"Version": "2012-10-17", "Statement": [of_account, *statements]})
