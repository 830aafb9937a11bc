"""Key ARNs as the specification reads them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envelope.aws.arn import KeyArn

KEY = "arn:aws:kms:us-west-2:658956600833:key/b3537ef1-d8dc-4780-9f5a-55776cbb2f7f"
MRK = "arn:aws:kms:us-west-2:658956600833:key/mrk-80bd8ecdcd4342aebd84b7dc9da498a7"


@pytest.mark.parametrize(
    "text",
    [
        KEY,
        MRK,
        KEY.replace("key/", "alias/"),
        "arn:aws-us-gov:kms:us-gov-west-1:1:key/x",
        "arn:aws:kms:us-east-1:a:key/with/slashes",
        "arn:aws:kms:us-east-1:a:key/with:colons",
        *(f"arn:aws:kms:{region}:1:key/x" for region in ("ap-southeast-7", "us-isob-east-1", "eusc-de-east-1")),
    ],
)
def test_an_arn_is_read_and_written(text: str) -> None:
    assert str(KeyArn.parse(text)) == text


def test_its_parts() -> None:
    arn = KeyArn.parse(KEY)
    assert (arn.partition, arn.region, arn.account) == ("aws", "us-west-2", "658956600833")
    assert (arn.resource_type, arn.resource_id) == ("key", "b3537ef1-d8dc-4780-9f5a-55776cbb2f7f")
    assert KeyArn.parse("arn:aws:kms:us-east-1:a:key/b/c:d").resource_id == "b/c:d"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "arn",
        ":::::",
        "key/b3537ef1",
        "alias/app",
        KEY.replace("arn:", "ARN:"),
        KEY.replace(":aws:", "::"),
        KEY.replace(":kms:", ":dynamodb:"),
        KEY.replace(":kms:", "::"),
        KEY.replace("us-west-2", ""),
        KEY.replace("658956600833", ""),
        KEY.replace("key/", "/"),
        KEY.replace("key/", "key:"),
        KEY.replace("key/", "Key/"),
        KEY.replace("key/", "kms-key/"),
        KEY.replace("b3537ef1", "*"),
        KEY.replace("b3537ef1", "?3537ef1"),
        KEY.replace("658956600833", "*"),
        KEY.replace("658956600833", "${aws:PrincipalAccount}"),
        KEY.replace(":aws:", ":aws*:"),
        KEY.partition("/")[0],
        KEY.partition("/")[0] + "/",
        KEY.replace(":key/", ":"),
        KEY.replace("us-west-2:", ""),
        " " + KEY,
        KEY + "\n",
        KEY + "\0",
        KEY + "\u202e",
        KEY + "x" * 2_048,
    ],
)
def test_what_is_no_key_arn(text: str) -> None:
    with pytest.raises(ValueError, match="not an ARN"):
        KeyArn.parse(text)


@pytest.mark.parametrize(
    "region",
    [
        "s3",
        "s3-accelerate",
        "s3-eu-west-1",
        "aws-global",
        "us-east",
        "us-east-1-fips",
        "us-east-1.example.com",
        "us-east-1/",
        "us-east-1#",
        "user@us-east-1",
        "169.254.169.254",
        "US-EAST-1",
        "us--1",
        "-us-east-1",
        "us-east-1-",
        "us-east-1111",
        f"us-{'e' * 60}-1",
    ],
)
def test_a_region_that_leads_to_another_host_than_that_of_kms_is_none(region: str) -> None:
    """A message names the key, and the region of the key is part of the host that is called."""
    with pytest.raises(ValueError, match="its region is not named like one"):
        KeyArn.parse(f"arn:aws:kms:{region}:111122223333:key/one")


@given(st.text(max_size=80))
def test_any_text_is_an_arn_or_a_value_error(text: str) -> None:
    for candidate in (text, f"arn:aws:kms:{text}", f"arn:aws:kms:us-east-1:a:key/{text}"):
        with contextlib.suppress(ValueError):
            assert str(KeyArn.parse(candidate)) == candidate


def test_a_multi_region_key_is_known_by_its_id() -> None:
    assert KeyArn.parse(MRK).is_mrk
    assert not KeyArn.parse(KEY).is_mrk
    assert not KeyArn.parse(MRK.replace("key/", "alias/")).is_mrk
    assert not KeyArn.parse(MRK.replace("key/mrk-", "key/MRK-")).is_mrk
    assert KeyArn.parse(KEY).is_key
    assert not KeyArn.parse(KEY.replace("key/", "alias/")).is_key


def test_its_replica_is_the_same_in_another_region() -> None:
    replica = KeyArn.parse(MRK).in_region("eu-west-1")
    assert str(replica) == MRK.replace("us-west-2", "eu-west-1")


@pytest.mark.parametrize(
    ("one", "other", "related"),
    [
        (KEY, KEY, True),
        (MRK, MRK, True),
        (MRK, MRK.replace("us-west-2", "eu-west-1"), True),
        (KEY, KEY.replace("us-west-2", "eu-west-1"), False),
        (MRK, MRK.replace("aws", "aws-cn"), False),
        (MRK, MRK.replace("658956600833", "658956600834"), False),
        (MRK, MRK.replace("mrk-8", "mrk-9"), False),
        (MRK, MRK.replace("key/", "alias/"), False),
        (MRK, KEY, False),
        (MRK.replace("key/", "alias/"), MRK.replace("key/", "alias/").replace("us-west-2", "eu-west-1"), False),
    ],
)
def test_the_match_rule_of_multi_region_keys(one: str, other: str, related: bool) -> None:
    assert KeyArn.parse(one).is_related(KeyArn.parse(other)) is related
    assert KeyArn.parse(other).is_related(KeyArn.parse(one)) is related
