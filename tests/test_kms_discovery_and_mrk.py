"""Discovery and multi-Region keyrings, over HTTP against a small strict KMS: which keys are asked, and which never."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from envelope import (
    Aws,
    Client,
    DiscoveryFilter,
    InvalidArgument,
    Keyring,
    KeyUnavailable,
    KmsDiscoveryKeyring,
    KmsKeyring,
    KmsMrkDiscoveryKeyring,
    KmsMrkKeyring,
    Suite,
    UnwrappedBy,
)
from tests.aws_environment import clean_aws_environment
from tests.crafted_messages import Crafted, Key
from tests.http_answers import HttpAnswers, error_answer
from tests.strict_kms import ACCOUNT, OTHER_ACCOUNT, StrictKms, arn_of, asked, aws, kms, server

__all__ = ["aws", "clean_aws_environment", "kms", "server"]

CONTEXT = {"tenant": "42"}
DATA_KEY = bytes(range(32))
SUITE = Suite(0x0478)
REPLICA = "mrk-1234abcd"
OURS = DiscoveryFilter("aws", [ACCOUNT])


def test_a_discovery_keyring_opens_what_any_key_of_the_account_wrapped(
    kms: StrictKms, aws: Aws, server: HttpAnswers
) -> None:
    keyring = KmsDiscoveryKeyring(OURS, aws=aws, grant_tokens=["token"])
    for arn in (kms.add("one"), kms.add("two", "us-east-1")):
        message = Client(KmsKeyring(arn, aws=aws)).encrypt(b"plaintext", CONTEXT)
        opened = Client(keyring).decrypt_message(message)
        assert opened.unwrapped_by == UnwrappedBy(f"KmsDiscoveryKeyring(aws {ACCOUNT})", "aws-kms", arn)
        assert (server.received[-1].body["KeyId"], server.received[-1].body["GrantTokens"]) == (arn, ["token"])


@pytest.mark.parametrize(
    ("arn", "text"),
    [
        (arn_of("one", account=OTHER_ACCOUNT), "a key that the filter does not admit"),
        (arn_of("one").replace("arn:aws:", "arn:aws-cn:"), "a key that the filter does not admit"),
        (arn_of("one", "us-east-1"), "a key of another region"),
        ("alias/app", "not the ARN of a KMS key"),
        (arn_of("app").replace("key/", "alias/"), "not the ARN of a KMS key"),
        (arn_of("one", "s3"), "not the ARN of a KMS key"),
    ],
)
def test_a_discovery_keyring_asks_only_admitted_keys(aws: Aws, server: HttpAnswers, arn: str, text: str) -> None:
    keyring = KmsDiscoveryKeyring(OURS, aws=aws, regions=["eu-west-1", "eu-west-2"])
    message = Crafted(keys=(Key(b"aws-kms", arn.encode(), b"x"),)).serialize()
    with pytest.raises(KeyUnavailable) as caught:
        Client(keyring).decrypt(message)
    assert text in str(caught.value.errors[0])
    assert server.received == []


@pytest.mark.parametrize("arn", [arn_of("app").replace("key/", "alias/"), arn_of("one", "s3-accelerate")])
@pytest.mark.parametrize("name", ["discovery", "mrk discovery", "filtered"])
def test_no_keyring_asks_an_alias_or_leads_to_another_service(
    aws: Aws, server: HttpAnswers, name: str, arn: str
) -> None:
    """An alias can be pointed at another key; ``kms.s3-accelerate.amazonaws.com`` is no endpoint of KMS."""
    keyring = KmsDiscoveryKeyring(OURS, aws=aws) if name == "filtered" else WITHOUT_FILTER[name](aws)
    message = Crafted(keys=(Key(b"aws-kms", arn.encode(), b"x"),)).serialize()
    with pytest.raises(KeyUnavailable) as caught:
        Client(keyring).decrypt(message)
    assert "not the ARN of a KMS key" in str(caught.value.errors[0])
    assert server.received == []


def test_discovery_passes_over_what_fails_and_tries_the_next(kms: StrictKms, aws: Aws, server: HttpAnswers) -> None:
    one, two = kms.add("one"), kms.add("two")
    message = Client(KmsKeyring(one, two, aws=aws)).encrypt(b"plaintext")
    kms.refusals[one] = error_answer("AccessDeniedException")
    assert Client(KmsDiscoveryKeyring(OURS, aws=aws)).decrypt(message) == b"plaintext"
    assert asked(server)[2:] == [("Decrypt", one), ("Decrypt", two)]


WITHOUT_FILTER: dict[str, Callable[[Aws], Keyring]] = {
    "discovery": lambda aws: KmsDiscoveryKeyring.with_keys_of_any_account(aws=aws),
    "discovery in regions": lambda aws: KmsDiscoveryKeyring.with_keys_of_any_account(aws=aws, regions=["eu-west-1"]),
    "mrk discovery": lambda aws: KmsMrkDiscoveryKeyring.with_keys_of_any_account("eu-west-1", aws=aws),
}


@pytest.mark.parametrize("name", WITHOUT_FILTER)
def test_keys_of_any_account_are_asked_only_by_a_longer_name(kms: StrictKms, aws: Aws, name: str) -> None:
    keyring = WITHOUT_FILTER[name](aws)
    message = Client(KmsKeyring(kms.add("one", account=OTHER_ACCOUNT), aws=aws)).encrypt(b"plaintext")
    assert Client(keyring).decrypt(message) == b"plaintext"
    assert "any account" in repr(keyring)


@pytest.mark.parametrize(
    "keyring", [KmsDiscoveryKeyring(OURS), KmsMrkDiscoveryKeyring("eu-west-1", OURS)], ids=["discovery", "mrk"]
)
def test_a_discovery_keyring_does_not_encrypt(keyring: Keyring) -> None:
    with pytest.raises(InvalidArgument, match="cannot wrap data keys") as caught:
        Client(keyring).encrypt(b"")
    assert "KmsKeyring(key_arn)" in caught.value.hint


# --- multi-Region keys


def test_a_replica_opens_what_another_region_wrapped(kms: StrictKms, aws: Aws, server: HttpAnswers) -> None:
    here, there = kms.add(REPLICA), kms.add(REPLICA, "us-east-1")
    message = Client(KmsMrkKeyring(there, aws=aws)).encrypt(b"plaintext", CONTEXT)
    opened = Client(KmsMrkKeyring(here, aws=aws)).decrypt_message(message)
    assert opened.plaintext == b"plaintext"
    assert opened.unwrapped_by == UnwrappedBy(f"KmsMrkKeyring('{here}')", "aws-kms", there)
    assert asked(server)[-1] == ("Decrypt", here)
    assert server.received[-1].region == "eu-west-1"
    with pytest.raises(KeyUnavailable):
        Client(KmsKeyring(here, aws=aws)).decrypt(message)


@pytest.mark.parametrize(
    "other",
    [
        arn_of("mrk-other", "us-east-1"),
        arn_of(REPLICA, "us-east-1", OTHER_ACCOUNT),
        arn_of(REPLICA, "us-east-1").replace("arn:aws:", "arn:aws-cn:"),
        arn_of(REPLICA, "us-east-1").replace("key/", "alias/"),
    ],
)
def test_keys_that_are_no_replicas_do_not_match(kms: StrictKms, aws: Aws, server: HttpAnswers, other: str) -> None:
    keyring = KmsMrkKeyring(kms.add(REPLICA), aws=aws)
    with pytest.raises(KeyUnavailable):
        Client(keyring).decrypt(Crafted(keys=(Key(b"aws-kms", other.encode(), b"x"),)).serialize())
    assert server.received == []


def test_a_single_region_key_matches_in_its_own_region_only(kms: StrictKms, aws: Aws, server: HttpAnswers) -> None:
    here, there = kms.add("one"), kms.add("one", "us-east-1")
    message = Client(KmsMrkKeyring(there, aws=aws)).encrypt(b"plaintext")
    assert Client(KmsMrkKeyring(there, aws=aws)).decrypt(message) == b"plaintext"
    server.received.clear()
    with pytest.raises(KeyUnavailable):
        Client(KmsMrkKeyring(here, aws=aws)).decrypt(message)
    assert server.received == []


def test_mrk_keyrings_ask_in_the_order_of_the_configuration(kms: StrictKms, aws: Aws, server: HttpAnswers) -> None:
    single, replica, there = kms.add("one"), kms.add(REPLICA), kms.add(REPLICA, "us-east-1")
    message = Client(KmsMrkKeyring(there, single, aws=aws)).encrypt(b"plaintext")
    kms.refusals[single] = error_answer("DisabledException")
    server.received.clear()
    assert Client(KmsMrkKeyring(single, replica, aws=aws)).decrypt(message) == b"plaintext"
    assert asked(server) == [("Decrypt", single), ("Decrypt", replica)]


def test_replicas_of_one_key_are_not_configured_together() -> None:
    arns = [arn_of(REPLICA), arn_of("one"), arn_of(REPLICA, "us-east-1"), arn_of("mrk-a"), arn_of("mrk-a", "us-west-2")]
    with pytest.raises(InvalidArgument, match="replicas of one multi-Region key") as caught:
        KmsMrkKeyring(*arns)
    for arn in arns:
        assert (arn in str(caught.value)) is (arn != arn_of("one"))


def test_mrk_discovery_asks_the_replica_in_its_region(kms: StrictKms, aws: Aws, server: HttpAnswers) -> None:
    here, there, single = kms.add(REPLICA), kms.add(REPLICA, "us-east-1"), kms.add("one")
    keyring = KmsMrkDiscoveryKeyring("eu-west-1", OURS, aws=aws, grant_tokens=["token"])
    for wrapping, expected in ((there, here), (here, here), (single, single)):
        message = Client(KmsKeyring(wrapping, aws=aws)).encrypt(b"plaintext")
        assert Client(keyring).decrypt(message) == b"plaintext"
        assert asked(server)[-1] == ("Decrypt", expected)
        assert server.received[-1].body["GrantTokens"] == ["token"]


@pytest.mark.parametrize(
    ("arn", "text"),
    [
        (arn_of("one", "us-east-1"), "a key of another region"),
        (arn_of(REPLICA, "us-east-1", OTHER_ACCOUNT), "does not admit"),
    ],
)
def test_mrk_discovery_asks_no_key_elsewhere(aws: Aws, server: HttpAnswers, arn: str, text: str) -> None:
    message = Crafted(keys=(Key(b"aws-kms", arn.encode(), b"x"),)).serialize()
    with pytest.raises(KeyUnavailable) as caught:
        Client(KmsMrkDiscoveryKeyring("eu-west-1", OURS, aws=aws)).decrypt(message)
    assert text in str(caught.value.errors[0])
    assert server.received == []
