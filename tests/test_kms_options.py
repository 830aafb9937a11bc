"""What the keyrings of AWS KMS may be configured with."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from envelope import (
    Aws,
    DiscoveryFilter,
    InvalidArgument,
    Keyring,
    KmsDiscoveryKeyring,
    KmsKeyring,
    KmsMrkDiscoveryKeyring,
    KmsMrkKeyring,
    Suite,
)
from tests.aws_environment import clean_aws_environment
from tests.strict_kms import ACCOUNT, OTHER_ACCOUNT, arn_of, aws, kms, server

__all__ = ["aws", "clean_aws_environment", "kms", "server"]

CONTEXT = {"tenant": "42"}
DATA_KEY = bytes(range(32))
SUITE = Suite(0x0478)
REPLICA = "mrk-1234abcd"
OURS = DiscoveryFilter("aws", [ACCOUNT])


class Broken:
    """What can be read, and cannot."""

    def __iter__(self) -> Iterator[str]:
        raise OSError


@pytest.mark.parametrize(
    "key_arn",
    [
        "alias/app",
        "1234abcd-12ab-34cd-56ef-1234567890ab",
        "mrk-1234abcd",
        arn_of("app").replace("key/", "alias/"),
        arn_of("one").replace("kms", "s3"),
        arn_of(""),
        arn_of("one").replace(ACCOUNT, ""),
        arn_of("one") + "\n",
        "arn:aws:kms",
        "",
        None,
        b"arn",
        42,
    ],
)
@pytest.mark.parametrize("kind", [KmsKeyring, KmsMrkKeyring])
def test_a_key_is_named_by_its_arn_only(kind: Any, key_arn: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"not the ARN of a KMS key|must be text") as caught:
        kind(arn_of("other"), key_arn)
    assert "resolve_key_arn" in caught.value.hint


@pytest.mark.parametrize("kind", [KmsKeyring, KmsMrkKeyring])
def test_a_key_is_not_named_twice(kind: Any) -> None:
    with pytest.raises(InvalidArgument, match="given twice: arn:aws:kms:eu-west-1:111122223333:key/one"):
        kind(arn_of("one"), arn_of("two"), arn_of("one"))


KINDS: dict[str, Callable[..., Any]] = {
    "strict": lambda **options: KmsKeyring(arn_of("one"), **options),
    "mrk": lambda **options: KmsMrkKeyring(arn_of("one"), **options),
    "discovery": lambda **options: KmsDiscoveryKeyring(OURS, **options),
    "mrk discovery": lambda **options: KmsMrkDiscoveryKeyring("eu-west-1", OURS, **options),
    "any account": KmsDiscoveryKeyring.with_keys_of_any_account,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "options",
    [
        {"aws": "eu-west-1"},
        {"aws": Aws},
        {"grant_tokens": "token"},
        {"grant_tokens": None},
        {"grant_tokens": [""]},
        {"grant_tokens": [b"token"]},
        {"grant_tokens": ["t"] * 11},
        {"grant_tokens": itertools.repeat("t")},
        {"grant_tokens": Broken()},
        {"grant_tokens": ["t" * 8_193]},
    ],
)
def test_options_are_checked_where_they_are_made(kind: str, options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(InvalidArgument, match=name):
        KINDS[kind](**options)


@pytest.mark.parametrize("kind", KINDS)
def test_a_keyring_shows_neither_its_grant_tokens_nor_lets_itself_be_changed(kind: str) -> None:
    keyring: Any = KINDS[kind](grant_tokens=["secret-token"])
    assert "secret-token" not in f"{keyring!r} {keyring}"
    with pytest.raises(AttributeError):
        keyring.anything = 1
    assert isinstance(keyring, Keyring)


@pytest.mark.parametrize("value", [None, "aws", ("aws", [ACCOUNT]), DiscoveryFilter])
def test_no_filter_is_an_error_that_names_the_way_without(value: Any) -> None:
    for make in (lambda: KmsDiscoveryKeyring(value), lambda: KmsMrkDiscoveryKeyring("eu-west-1", value)):
        with pytest.raises(InvalidArgument, match="discovery_filter must be") as caught:
            make()
        assert "with_keys_of_any_account" in caught.value.hint


@pytest.mark.parametrize(
    ("partition", "account_ids"),
    [
        ("", [ACCOUNT]),
        (None, [ACCOUNT]),
        ("aws:cn", [ACCOUNT]),
        ("aws", []),
        ("aws", ACCOUNT),
        ("aws", None),
        ("aws", 111122223333),
        ("aws", [111122223333]),
        ("aws", [ACCOUNT, "1111-2222-3333"]),
        ("aws", ["11112222333"]),
        ("aws", ["1111222233334"]),
        ("aws", Broken()),
        ("aws", itertools.repeat(ACCOUNT)),
        ("aws", ["١١١١٢٢٢٢٣٣٣٣"]),
    ],
)
def test_a_filter_names_a_partition_and_accounts(partition: Any, account_ids: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"partition|account_ids"):
        DiscoveryFilter(partition, account_ids)


def test_filters_are_values() -> None:
    assert DiscoveryFilter("aws", [OTHER_ACCOUNT, ACCOUNT]) == DiscoveryFilter("aws", iter((ACCOUNT, OTHER_ACCOUNT)))
    assert len({DiscoveryFilter("aws", [ACCOUNT]), DiscoveryFilter("aws", (ACCOUNT, ACCOUNT))}) == 1
    with pytest.raises(AttributeError):
        OURS.partition = "aws-cn"  # type: ignore[misc]


@pytest.mark.parametrize(
    "regions", ["eu-west-1", 1, [], [""], [None], ["eu-west-1\n"], itertools.repeat("eu-west-1"), Broken()]
)
def test_regions_are_names_of_regions(regions: Any) -> None:
    for make in (
        lambda: KmsDiscoveryKeyring(OURS, regions=regions),
        lambda: KmsDiscoveryKeyring.with_keys_of_any_account(regions=regions),
    ):
        with pytest.raises(InvalidArgument, match="regions"):
            make()


@pytest.mark.parametrize("region", ["", None, 1, b"eu-west-1"])
def test_mrk_discovery_needs_a_region(region: Any) -> None:
    for make in (
        lambda: KmsMrkDiscoveryKeyring(region, OURS),
        lambda: KmsMrkDiscoveryKeyring.with_keys_of_any_account(region),
    ):
        with pytest.raises(InvalidArgument, match="region must be"):
            make()
