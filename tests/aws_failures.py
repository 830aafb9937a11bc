"""What every test of a failing call to AWS does: make the call, and look at the form of the error."""

from __future__ import annotations

import pickle
import traceback
from typing import Any

import pytest

from envelope import (
    Aws,
    AwsError,
    AwsUnavailable,
    EnvelopeError,
)
from envelope.aws.arn import KeyArn
from envelope.aws.kms import KmsRequest, decrypt
from tests.aws_environment import made_up_session
from tests.strict_kms import arn_of

__all__ = ["KEY", "PLAINTEXT", "VALUE", "aws_at", "check_form", "check_shows_nothing", "failed_call"]

KEY = KeyArn.parse(arn_of("one"))
PLAINTEXT = b"the data key that nobody may see"
VALUE = "personal-data-of-a-person"


def aws_at(url: str, **options: Any) -> Aws:
    options = {"connect_timeout_s": 5, "read_timeout_s": 5, "max_attempts": 1, **options}
    return Aws(made_up_session(), endpoint_url=url, **options)


def failed_call(aws: Aws, error: type[AwsError] = AwsError) -> AwsError:
    with pytest.raises(error) as caught:
        decrypt(KmsRequest(aws, {"tenant": VALUE}), KEY, b"wrapped")
    assert type(caught.value) is error or error is AwsError
    return caught.value


def check_form(error: AwsError) -> None:
    assert str(error).startswith("kms:Decrypt on arn:aws:kms:eu-west-1:111122223333:key/one failed: ")
    assert error.operation == "kms:Decrypt"
    for text in (str(error), error.hint):
        assert text
        assert text.isprintable()
        assert not text.endswith(".")
        assert "{" not in text
        assert VALUE not in text
    assert error.can_retry is isinstance(error, AwsUnavailable)
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (type(again), str(again), again.__dict__) == (type(error), str(error), error.__dict__)


def check_shows_nothing(error: EnvelopeError) -> None:
    assert error.__cause__ is None
    assert error.__context__ is None
    shown = "".join(traceback.format_exception(error)) + repr(error.__dict__)
    for secret in (VALUE, PLAINTEXT.decode(), repr(PLAINTEXT)):
        assert secret not in shown
