"""The strict KMS keyring, over HTTP against a small strict KMS: which key is asked, in which order, with what."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest

from envelope import (
    Aws,
    AwsAccessDenied,
    AwsError,
    AwsUnavailable,
    Client,
    DiscoveryFilter,
    EncryptedDataKey,
    EncryptionContext,
    InvalidArgument,
    KeyUnavailable,
    KmsKeyring,
    KmsMrkKeyring,
    MultiKeyring,
    Suite,
    UnwrapFailed,
    UnwrappedBy,
    UnwrapRequest,
    WrapRequest,
    describe,
)
from envelope.aws.kms import kms_calls
from tests.aws_environment import clean_aws_environment
from tests.crafted_messages import Crafted, Key
from tests.http_answers import HttpAnswers, error_answer
from tests.keyrings_for_tests import ALL_SUITES, raw_aes, writing_client
from tests.strict_kms import ACCOUNT, OTHER_ACCOUNT, StrictKms, arn_of, asked, aws, kms, server

__all__ = ["aws", "clean_aws_environment", "kms", "server"]

CONTEXT = {"tenant": "42"}
DATA_KEY = bytes(range(32))
SUITE = Suite(0x0478)
REPLICA = "mrk-1234abcd"
OURS = DiscoveryFilter("aws", [ACCOUNT])


@pytest.mark.parametrize("suite_id", ALL_SUITES)
def test_a_message_of_every_suite_opens_again(kms: StrictKms, aws: Aws, suite_id: int) -> None:
    arn = kms.add("one")
    client = writing_client(suite_id, KmsKeyring(arn, aws=aws))
    message = client.encrypt(b"plaintext", CONTEXT, suite=Suite(suite_id))
    opened = client.decrypt_message(message, CONTEXT)
    assert opened.plaintext == b"plaintext"
    assert opened.unwrapped_by == UnwrappedBy(f"KmsKeyring('{arn}')", "aws-kms", arn)


def test_the_encrypted_data_key_names_the_key_arn_and_holds_what_kms_gave(kms: StrictKms, aws: Aws) -> None:
    arn = kms.add("one")
    (key,) = describe(Client(KmsKeyring(arn, aws=aws)).encrypt(b"")).encrypted_data_keys
    assert (key.provider_id, key.provider_info) == ("aws-kms", arn.encode())
    assert key.ciphertext.startswith(b"one|")


def test_the_first_key_generates_and_the_others_encrypt(kms: StrictKms, aws: Aws, server: HttpAnswers) -> None:
    arns = [kms.add("one"), kms.add("two", "us-east-1"), kms.add("three", account=OTHER_ACCOUNT)]
    message = Client(KmsKeyring(*arns, aws=aws)).encrypt(b"plaintext", CONTEXT)
    assert asked(server) == [("GenerateDataKey", arns[0]), ("Encrypt", arns[1]), ("Encrypt", arns[2])]
    assert [received.region for received in server.received] == ["eu-west-1", "us-east-1", "eu-west-1"]
    assert [received.body["EncryptionContext"] for received in server.received] == [CONTEXT] * 3
    assert server.received[0].body["NumberOfBytes"] == 32
    for arn in arns:
        assert Client(KmsKeyring(arn, aws=aws)).decrypt(message) == b"plaintext"


def test_a_given_data_key_is_encrypted_under_every_key(kms: StrictKms, aws: Aws, server: HttpAnswers) -> None:
    arns = [kms.add("one"), kms.add("two")]
    wrapped = KmsKeyring(*arns, aws=aws).wrap(WrapRequest(SUITE, EncryptionContext(CONTEXT), DATA_KEY))
    assert wrapped.plaintext == DATA_KEY
    assert asked(server) == [("Encrypt", arn) for arn in arns]
    assert base64.b64decode(server.received[0].body["Plaintext"]) == DATA_KEY
    assert [key.provider_info.decode() for key in wrapped.encrypted_data_keys] == arns


@pytest.mark.parametrize("failing", ["one", "two"])
def test_encryption_fails_when_one_of_the_keys_fails(kms: StrictKms, aws: Aws, failing: str) -> None:
    keyring = KmsKeyring(kms.add("one"), kms.add("two"), aws=aws)
    kms.refusals[arn_of(failing)] = error_answer("DisabledException")
    with pytest.raises(
        KeyUnavailable, match=r"could not wrap the data key: kms:\w+ on .* the key is disabled"
    ) as caught:
        Client(keyring).encrypt(b"")
    (cause,) = caught.value.errors
    assert isinstance(cause, AwsError)
    assert (cause.code, caught.value.__cause__, caught.value.hint) == ("DisabledException", cause, cause.hint)
    assert not caught.value.can_retry


def test_what_can_be_tried_again_says_so_in_both_directions(kms: StrictKms, aws: Aws) -> None:
    arn = kms.add("one")
    client = Client(KmsKeyring(arn, aws=aws))
    message = client.encrypt(b"")
    kms.refusals[arn] = error_answer("ThrottlingException")
    for attempt in (lambda: client.encrypt(b""), lambda: client.decrypt(message)):
        with pytest.raises(KeyUnavailable) as caught:
            attempt()
        assert caught.value.can_retry


def test_empty_options_are_not_sent_and_grant_tokens_are(kms: StrictKms, aws: Aws, server: HttpAnswers) -> None:
    arn = kms.add("one")
    for keyring in (KmsKeyring(arn, aws=aws), KmsKeyring(arn, aws=aws, grant_tokens=["token"])):
        request = WrapRequest(SUITE, EncryptionContext({}))
        wrapped = keyring.wrap(request)
        keyring.wrap(WrapRequest(SUITE, EncryptionContext({}), DATA_KEY))
        keyring.unwrap(UnwrapRequest(SUITE, EncryptionContext({}), wrapped.encrypted_data_keys))
    assert not any("EncryptionContext" in received.body for received in server.received)
    tokens = [received.body.get("GrantTokens") for received in server.received]
    assert tokens == [None] * 3 + [["token"]] * 3


def test_decryption_asks_the_keys_in_the_order_of_the_configuration(
    kms: StrictKms, aws: Aws, server: HttpAnswers
) -> None:
    one, two, three = kms.add("one"), kms.add("two"), kms.add("three")
    message = Client(KmsKeyring(one, two, three, aws=aws)).encrypt(b"plaintext")
    kms.refusals = {arn: error_answer("KMSInvalidStateException") for arn in (two, three)}
    server.received.clear()
    assert Client(KmsKeyring(three, two, one, aws=aws)).decrypt(message) == b"plaintext"
    assert asked(server) == [("Decrypt", three), ("Decrypt", two), ("Decrypt", one)]


def test_several_data_keys_under_one_key_are_tried_in_the_order_of_the_message(
    kms: StrictKms, aws: Aws, server: HttpAnswers
) -> None:
    keyring = KmsKeyring(kms.add("one"), kms.add("two"), aws=aws)
    request = WrapRequest(SUITE, EncryptionContext({}), DATA_KEY)
    one, two = keyring.wrap(request).encrypted_data_keys
    broken = [replace(one, ciphertext=one.ciphertext[:-1] + bytes([one.ciphertext[-1] ^ bit])) for bit in (1, 2)]
    unwrapped = keyring.unwrap(UnwrapRequest(SUITE, EncryptionContext({}), (two, *broken, one)))
    assert unwrapped.plaintext == DATA_KEY
    tried = [base64.b64decode(received.body["CiphertextBlob"]) for received in server.received[2:]]
    assert tried == [key.ciphertext for key in (*broken, one)]


def test_only_configured_keys_areasked(kms: StrictKms, aws: Aws, server: HttpAnswers) -> None:
    one, two = kms.add("one"), kms.add("two")
    message = Client(KmsKeyring(two, aws=aws)).encrypt(b"")
    server.received.clear()
    with pytest.raises(KeyUnavailable) as caught:
        Client(KmsKeyring(one, aws=aws)).decrypt(message)
    assert server.received == []
    assert caught.value.hint == f"the message names aws-kms:{two}; this keyring is configured with {one}"


@pytest.mark.parametrize(
    "key",
    [
        Key(b"aws-kms", b"", b"x"),
        Key(b"aws-kms", b"alias/app", b"x"),
        Key(b"aws-kms", arn_of("one").replace("key/", "alias/").encode(), b"x"),
        Key(b"aws-kms", b"\xff\xfe", b"x"),
        Key(b"aws-kms-", arn_of("one").encode(), b"x"),
        Key(b"AWS-KMS", arn_of("one").encode(), b"x"),
        Key(b"aws-kms", arn_of("one").encode() + b"\0", b"x"),
        Key(b"aws-kms", arn_of("one").encode() + b"/", b"x"),
        Key(b"aws-kms", arn_of("ONE").encode(), b"x"),
    ],
)
@pytest.mark.parametrize("kind", [KmsKeyring, KmsMrkKeyring])
def test_a_data_key_that_names_no_configured_key_is_passed_over(
    kms: StrictKms, aws: Aws, server: HttpAnswers, key: Key, kind: Any
) -> None:
    """Also one that names no key ARN at all, which the specification fails the message for."""
    keyring = kind(kms.add("one"), aws=aws)
    request = WrapRequest(SUITE, EncryptionContext({}), Crafted().data_key)
    (good,) = keyring.wrap(request).encrypted_data_keys
    server.received.clear()
    keys = (key, Key(good.provider_id.encode(), good.provider_info, good.ciphertext))
    assert Client(keyring).decrypt(Crafted(keys=keys).serialize()) == Crafted().plaintext
    assert len(server.received) == 1
    with pytest.raises(KeyUnavailable) as caught:
        Client(keyring).decrypt(Crafted(keys=(key,)).serialize())
    (cause,) = caught.value.errors
    assert isinstance(cause, UnwrapFailed)
    assert cause.errors == ()
    assert len(server.received) == 1


def test_the_decrypted_key_has_the_length_of_the_suite_or_the_next_is_tried(kms: StrictKms, aws: Aws) -> None:
    keyring = KmsKeyring(kms.add("one"), kms.add("two"), aws=aws)
    short = keyring.wrap(WrapRequest(SUITE, EncryptionContext({}), bytes(16))).encrypted_data_keys[0]
    good = keyring.wrap(WrapRequest(SUITE, EncryptionContext({}), DATA_KEY)).encrypted_data_keys[1]
    unwrapped = keyring.unwrap(UnwrapRequest(SUITE, EncryptionContext({}), (short, good)))
    assert unwrapped.plaintext == DATA_KEY
    with pytest.raises(KeyUnavailable) as caught:
        keyring.unwrap(UnwrapRequest(SUITE, EncryptionContext({}), (short,)))
    assert "not a data key of the suite's length" in str(caught.value.errors[0])


def test_a_response_that_names_another_key_is_refused(kms: StrictKms, aws: Aws) -> None:
    """Whoever answers under another key would choose who else can read."""
    one, two = kms.add("one"), kms.add("two")
    client = Client(KmsKeyring(one, aws=aws))
    message = client.encrypt(b"")
    kms.changes = {"KeyId": two}
    with pytest.raises(KeyUnavailable, match=f"names {two} where {one} was asked for"):
        client.encrypt(b"")
    with pytest.raises(KeyUnavailable) as caught:
        client.decrypt(message)
    assert f"names {two} where {one} was asked for" in str(caught.value.errors[0])


def test_every_failed_call_is_a_cause_with_its_aws_error(kms: StrictKms, aws: Aws) -> None:
    one, two = kms.add("one"), kms.add("two")
    client = Client(KmsKeyring(one, two, aws=aws))
    message = client.encrypt(b"")
    denied = f"User: arn:aws:iam::{ACCOUNT}:user/app is not authorized to perform: kms:Decrypt on resource: {one}"
    kms.refusals = {one: error_answer("AccessDeniedException", denied), two: error_answer("KMSInternalException")}
    with pytest.raises(KeyUnavailable, match=r"\(2 tried\)") as caught:
        client.decrypt(message)
    first, second = caught.value.errors
    assert isinstance(first, UnwrapFailed)
    assert isinstance(second, UnwrapFailed)
    assert isinstance(first.errors[0], AwsAccessDenied)
    assert isinstance(second.errors[0], AwsUnavailable)
    assert (first.__cause__, first.hint) == (first.errors[0], first.errors[0].hint)
    assert first.key_name == one
    assert caught.value.hint.startswith(
        f"the message names aws-kms:{one}, aws-kms:{two}; arn:aws:iam::{ACCOUNT}:user/app"
    )
    assert caught.value.can_retry


def test_the_hint_is_that_of_the_call_that_failed_not_of_a_foreign_keyring(kms: StrictKms, aws: Aws) -> None:
    one, two = kms.add("one"), kms.add("two")
    message = Client(KmsKeyring(two, aws=aws)).encrypt(b"")
    kms.refusals[two] = error_answer("DisabledException")
    keyring = MultiKeyring(KmsKeyring(one, aws=aws), [raw_aes(), KmsKeyring(two, aws=aws)])
    with pytest.raises(KeyUnavailable) as caught:
        Client(keyring).decrypt(message)
    assert caught.value.hint == f"the message names aws-kms:{two}; enable {two}, or use another key"


def test_another_encryption_context_does_not_open(kms: StrictKms, aws: Aws) -> None:
    keyring = KmsKeyring(kms.add("one"), aws=aws)
    keys = keyring.wrap(WrapRequest(SUITE, EncryptionContext(CONTEXT), DATA_KEY)).encrypted_data_keys
    with pytest.raises(KeyUnavailable) as caught:
        keyring.unwrap(UnwrapRequest(SUITE, EncryptionContext({"tenant": "43"}), keys))
    assert "usually the encryption context" in caught.value.hint


def test_unstored_pairs_are_sent_to_kms_too(kms: StrictKms, aws: Aws, server: HttpAnswers) -> None:
    client = Client(KmsKeyring(kms.add("one"), aws=aws))
    message = client.encrypt(b"plaintext", {"a": "1", "b": "2"}, unstored_context_keys=["b"])
    assert client.decrypt(message, {"b": "2"}) == b"plaintext"
    assert [received.body["EncryptionContext"] for received in server.received] == [{"a": "1", "b": "2"}] * 2
    with pytest.raises(KeyUnavailable):
        client.decrypt(message)


def test_messages_written_before_a_rotation_open_after_it(kms: StrictKms, aws: Aws) -> None:
    arn = kms.add("one")
    client = Client(KmsKeyring(arn, aws=aws))
    before = client.encrypt(b"before", CONTEXT)
    kms.rotate(arn)
    after = client.encrypt(b"after", CONTEXT)
    assert (client.decrypt(before), client.decrypt(after)) == (b"before", b"after")


def test_an_empty_context_value_is_refused_before_kms_is_called(kms: StrictKms, aws: Aws, server: HttpAnswers) -> None:
    keyring = KmsKeyring(kms.add("one"), aws=aws)
    with pytest.raises(InvalidArgument, match="name or value is empty: 'tenant'"):
        Client(keyring).encrypt(b"", {"tenant": ""})
    keys = (EncryptedDataKey("aws-kms", arn_of("one").encode(), b"wrapped"),)
    with pytest.raises(KeyUnavailable) as caught:
        keyring.unwrap(UnwrapRequest(SUITE, EncryptionContext({"tenant": ""}), keys))
    assert "name or value is empty" in str(caught.value.errors[0])
    assert "leave the pair out" in caught.value.hint
    assert server.received == []


@pytest.mark.parametrize("size", [0, 6_145])
def test_a_wrapped_data_key_that_kms_would_not_take_is_a_refusal(
    kms: StrictKms, aws: Aws, server: HttpAnswers, size: int
) -> None:
    keyring = KmsKeyring(kms.add("one"), aws=aws)
    keys = (EncryptedDataKey("aws-kms", arn_of("one").encode(), bytes(size)),)
    with pytest.raises(KeyUnavailable) as caught:
        keyring.unwrap(UnwrapRequest(SUITE, EncryptionContext({}), keys))
    assert f"has {size:,} bytes; KMS takes 1 to 6,144" in str(caught.value.errors[0])
    assert server.received == []


def test_a_block_counts_its_calls_of_kms(kms: StrictKms, aws: Aws) -> None:
    client = Client(KmsKeyring(kms.add("one"), kms.add("two"), aws=aws))
    with kms_calls() as outer:
        message = client.encrypt(b"")
        with kms_calls() as inner:
            client.decrypt(message)
        kms.refusals = {arn: error_answer("DisabledException") for arn in kms.arns}
        with pytest.raises(KeyUnavailable):
            client.decrypt(message)
    client_made_outside = aws.client("kms", "eu-west-1")
    assert (outer.count, inner.count) == (5, 1)
    assert client_made_outside is aws.client("kms", "eu-west-1")
