"""What the fake KMS is asked with is checked, and refused by errors of the package."""

from __future__ import annotations

from typing import Any

import pytest

from envelope import InvalidArgument
from envelope.testing import FakeKms
from tests.fake_kms_for_tests import READER, new_key


@pytest.fixture(name="fake")
def _fake() -> FakeKms:
    return FakeKms()


@pytest.mark.parametrize("region", ["EU west", "s3", "", None, 5, "eu-west-1\n"])
def test_a_region_must_be_named_like_one(fake: FakeKms, region: Any) -> None:
    for make in (fake.client, fake.client_for()):
        with pytest.raises(InvalidArgument, match="region must be the name of a region"):
            make(region)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"account": 111122223333}, "account must be text, not int"),
        ({"account": 0}, "account must be text, not int"),
        ({"max_attempts": "2"}, "max_attempts must be a whole number, not str"),
        ({"max_attempts": 21}, "max_attempts must be 1 to 20, not 21"),
    ],
)
def test_options_of_a_client_are_checked(fake: FakeKms, options: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidArgument, match=text):
        fake.client(**options)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"clock": 5}, "clock must be a FakeClock, not int"),
        ({"grant_delay_s": "5"}, "grant_delay_s must be a number of seconds"),
        ({"grant_delay_s": True}, "grant_delay_s must be a number of seconds"),
        ({"grant_delay_s": float("nan")}, "grant_delay_s must be a number of seconds"),
        ({"random_bytes": 5}, "random_bytes must be a function, not int"),
    ],
)
def test_options_of_the_fake_are_checked(options: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidArgument, match=text):
        FakeKms(**options)


@pytest.mark.parametrize("latency_s", ["1", float("nan"), lambda operation, region: None])
def test_a_latency_that_is_no_number_is_said_so_by_the_call(fake: FakeKms, latency_s: Any) -> None:
    fake.latency_s = latency_s
    with pytest.raises(InvalidArgument, match="must be a number of seconds"):
        fake.client().list_keys()


def _deep() -> dict[str, Any]:
    nested: dict[str, Any] = {}
    nested["Statement"] = [nested]
    return nested


@pytest.mark.parametrize("policy", [{"Statement": object()}, {b"Statement": []}, object(), _deep()])
def test_an_identity_policy_is_json(fake: FakeKms, policy: Any) -> None:
    with pytest.raises(InvalidArgument, match="the identity policy is no JSON"):
        fake.put_identity_policy(READER, policy)


def test_an_identity_policy_is_of_a_principal(fake: FakeKms) -> None:
    principal: Any = 5
    with pytest.raises(InvalidArgument, match="principal must be text, not int"):
        fake.put_identity_policy(principal, {"Statement": []})


@pytest.mark.parametrize(
    ("material", "options", "text"),
    [
        ("x" * 32, {}, "key material must be bytes, not str"),
        (None, {}, "key material must be bytes, not NoneType"),
        (bytes(32), {"valid_to_s": "1"}, "valid_to_s must be a number of seconds, not str"),
        (bytes(32), {"valid_to_s": True}, "valid_to_s must be a number of seconds, not bool"),
    ],
)
def test_imported_material_is_bytes_that_expire_at_a_time(
    fake: FakeKms, material: Any, options: dict[str, Any], text: str
) -> None:
    with pytest.raises(InvalidArgument, match=text):
        fake.import_key_material(new_key(fake, Origin="EXTERNAL"), material, **options)
