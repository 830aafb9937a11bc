"""`envelope policy`: what it prints is enough for the calls of the keyrings, and for no others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from envelope import Client, EnvelopeError, KeyUnavailable, KmsKeyring, Suite
from envelope.cli.key_words import KeySettings, keyring_of, kms_keys_of
from envelope.cli.policy_statements import ContextRule, iam_policy, key_policy_statements
from envelope.testing import FakeKms
from tests.aws_environment import clean_aws_environment
from tests.cli_for_tests import run_cli
from tests.fake_kms_for_tests import ACCOUNT, OTHER_ACCOUNT, READER, STRANGER, new_key, policy, statement
from tests.moto_server import aws_of, moto_url
from tests.moto_server import new_key as new_moto_key

__all__ = ["clean_aws_environment"]

ADMIN = statement(principal={"AWS": f"arn:aws:iam::{ACCOUNT}:role/admin"})
SIGNED = Suite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384


def printed(*arguments: object) -> dict[str, Any]:
    ended = run_cli("policy", *arguments)
    assert (ended.status, ended.errors) == (0, "")
    shown: dict[str, Any] = json.loads(ended.out)
    return shown


class Account:
    """Two keys of a fake KMS, and a reader who may do what the printed policies say."""

    def __init__(self, *options: str, by_key_policy: bool) -> None:
        self.fake = FakeKms()
        self.arns = [new_key(self.fake), new_key(self.fake, "us-east-1")]
        shown = printed("-k", self.arns[0], "-k", self.arns[1], "--role", READER, *options)
        nothing: dict[str, Any] = {"Statement": []}
        self.fake.put_identity_policy(READER, nothing if by_key_policy else shown["IdentityPolicy"])
        if by_key_policy:
            for arn, statements in shown["KeyPolicyStatements"].items():
                text = json.dumps({"Version": "2012-10-17", "Statement": [ADMIN, *statements]})
                self.fake.client(arn.split(":")[3]).put_key_policy(
                    KeyId=arn, Policy=text, BypassPolicyLockoutSafetyCheck=True
                )

    def client(self, *, is_reader: bool = True) -> Client:
        aws = (
            self.fake.aws(principal=READER)
            if is_reader
            else self.fake.aws(principal=f"arn:aws:iam::{ACCOUNT}:role/admin")
        )
        return Client(KmsKeyring(*self.arns, aws=aws))

    def may_encrypt(self, context: dict[str, str], suite: Suite | None = None) -> bool:
        try:
            self.client().encrypt(b"plaintext", context, suite=suite)
        except KeyUnavailable:
            return False
        return True

    def may_decrypt(self, context: dict[str, str], suite: Suite | None = None) -> bool:
        message = self.client(is_reader=False).encrypt(b"plaintext", context, suite=suite)
        try:
            return self.client().decrypt(message) == b"plaintext"
        except KeyUnavailable:
            return False


EITHER = pytest.mark.parametrize("by_key_policy", [True, False])


@EITHER
@pytest.mark.parametrize("suite", [None, SIGNED])
def test_the_policy_allows_to_encrypt_and_decrypt(by_key_policy: bool, suite: Suite | None) -> None:
    account = Account(by_key_policy=by_key_policy)
    assert account.may_encrypt({"tenant": "42"}, suite)
    assert account.may_decrypt({}, suite)


@EITHER
@pytest.mark.parametrize("suite", [None, SIGNED])
def test_the_policy_asks_for_the_pairs_and_allows_no_others(by_key_policy: bool, suite: Suite | None) -> None:
    account = Account("--context", "tenant=42", "--context", "purpose", by_key_policy=by_key_policy)
    for may in (account.may_encrypt, account.may_decrypt):
        assert may({"tenant": "42", "purpose": "backup"}, suite)
        assert not may({"tenant": "43", "purpose": "backup"}, suite)
        assert not may({"tenant": "42"}, suite)
        assert not may({"tenant": "42", "purpose": "backup", "more": "x"}, suite)
        assert not may({}, suite)


@EITHER
def test_a_name_alone_may_have_any_value(by_key_policy: bool) -> None:
    account = Account("--context", "tenant", by_key_policy=by_key_policy)
    assert account.may_encrypt({"tenant": "1"})
    assert account.may_encrypt({"tenant": "2"})
    assert not account.may_encrypt({})


@EITHER
def test_more_pairs_are_allowed_if_asked(by_key_policy: bool) -> None:
    account = Account("--context", "tenant=42", "--any-other-context", by_key_policy=by_key_policy)
    assert account.may_encrypt({"tenant": "42", "more": "x"})
    assert not account.may_encrypt({"more": "x"})


@EITHER
@pytest.mark.parametrize(("option", "expected"), [("--decrypt-only", (False, True)), ("--encrypt-only", (True, False))])
def test_one_direction_is_allowed_if_asked(by_key_policy: bool, option: str, expected: tuple[bool, bool]) -> None:
    account = Account(option, by_key_policy=by_key_policy)
    assert (account.may_encrypt({}), account.may_decrypt({})) == expected


def test_the_first_key_generates_and_the_others_wrap_and_no_more() -> None:
    account = Account(by_key_policy=False)
    assert account.may_encrypt({})
    with pytest.raises(KeyUnavailable):
        Client(KmsKeyring(*reversed(account.arns), aws=account.fake.aws(principal=READER))).encrypt(b"plaintext")


def test_a_caller_of_another_account_needs_both_policies() -> None:
    fake = FakeKms()
    arn = new_key(fake)
    shown = printed("-k", arn, "--role", STRANGER)
    client = Client(KmsKeyring(arn, aws=fake.aws(principal=STRANGER)))
    fake.put_identity_policy(STRANGER, {"Statement": []})

    def may() -> bool:
        try:
            return client.decrypt(client.encrypt(b"plaintext")) == b"plaintext"
        except EnvelopeError:
            return False

    assert not may()
    fake.client().put_key_policy(KeyId=arn, Policy=policy(*shown["KeyPolicyStatements"][arn]))
    assert not may()
    fake.put_identity_policy(STRANGER, shown["IdentityPolicy"])
    assert may()
    assert OTHER_ACCOUNT in json.dumps(shown)


def test_without_a_role_there_is_only_the_identity_policy() -> None:
    arn = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/1234abcd"
    assert printed("-k", arn, "--decrypt-only") == {
        "IdentityPolicy": {
            "Version": "2012-10-17",
            "Statement": [{"Sid": "UnwrapDataKeys", "Effect": "Allow", "Action": "kms:Decrypt", "Resource": [arn]}],
        }
    }


def test_an_alias_is_resolved_to_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    arn = new_moto_key()
    aws_of().client("kms").create_alias(AliasName="alias/policy-test", TargetKeyId=arn)
    shown = printed("-k", "alias/policy-test", "--region", "eu-west-1", "--endpoint-url", moto_url())
    assert shown["IdentityPolicy"]["Statement"][0]["Resource"] == [arn]
    assert shown["IdentityPolicy"]["Statement"][-1]["Action"] == "kms:DescribeKey"


class _ByAlias:
    """A key that a reader of this account, or of another one, names by an alias; nothing is allowed yet."""

    def __init__(self, reader: str) -> None:
        self.fake, self.reader = FakeKms(), reader
        self.arn = new_key(self.fake)
        self.fake.client().create_alias(AliasName="alias/app", TargetKeyId=self.arn)
        self.fake.put_identity_policy(reader, {"Statement": []})
        word = self.arn.rpartition(":")[0] + ":alias/app"
        settings = KeySettings(aws=lambda: self.fake.aws(principal=f"arn:aws:iam::{ACCOUNT}:role/admin"))
        (self.key,) = kms_keys_of([word], settings=settings)
        self.word = word

    def may(self) -> bool:
        aws = self.fake.aws(principal=self.reader)
        try:
            keyring = keyring_of([self.word], settings=KeySettings(aws=lambda: aws), purpose="encrypt")
            return Client(keyring).decrypt(Client(keyring).encrypt(b"plaintext", PAIR)) == b"plaintext"
        except EnvelopeError:
            return False


PAIR = {"tenant": "42"}


def test_the_policy_for_an_alias_allows_to_resolve_it_in_each_run() -> None:
    place, rule = _ByAlias(READER), ContextRule(PAIR)
    place.fake.put_identity_policy(READER, iam_policy([place.arn], rule))
    assert not place.may()
    place.fake.put_identity_policy(READER, iam_policy([place.arn], rule, by_alias=[place.key.arn]))
    assert place.may()


def test_the_key_policy_allows_it_too() -> None:
    place, rule = _ByAlias(STRANGER), ContextRule(PAIR)
    place.fake.put_identity_policy(STRANGER, iam_policy([place.arn], rule, by_alias=[place.arn]))
    for is_alias in (False, True):
        statements = key_policy_statements(STRANGER, rule, is_first=True, is_alias=is_alias)
        place.fake.client().put_key_policy(
            KeyId=place.arn, Policy=policy(ADMIN, *statements), BypassPolicyLockoutSafetyCheck=True
        )
        assert place.may() is is_alias


def test_a_key_that_is_named_by_its_arn_needs_no_right_to_resolve_it() -> None:
    arn = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/1234abcd"
    assert "DescribeKey" not in json.dumps(printed("-k", arn, "--role", READER))


@pytest.mark.parametrize(
    "options",
    [
        ("--decrypt-only", "--encrypt-only"),
        ("--role", "admin"),
        ("--role", f"arn:aws:iam::{ACCOUNT}:role/*"),
        ("-c", "=42"),
        ("-c", "tenant="),
        ("-c", "aws-crypto-public-key"),
        ("-c", "tenant=1", "-c", "Tenant=2"),
        ("-c", "tenant=${aws:username}"),
        ("-c", "ten*nt=1"),
        ("-k", "local:app"),
    ],
)
def test_what_would_make_another_policy_than_asked_is_a_usage_error(options: tuple[str, ...], tmp_path: Path) -> None:
    ended = run_cli("policy", "-k", f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/1234abcd", *options)
    assert (ended.status, ended.out) == (2, b"")


def test_statements_are_made_for_both_directions_by_default() -> None:
    arn = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/1234abcd"
    assert [statement["Sid"] for statement in iam_policy([arn], ContextRule())["Statement"]] == [
        "GenerateDataKeys",
        "UnwrapDataKeys",
    ]
    (made,) = key_policy_statements(READER, ContextRule(), is_first=False)
    assert made["Action"] == ["kms:Encrypt", "kms:Decrypt"]


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:kms:eu-west-1:111122223333:key/*",
        "arn:aws:kms:eu-west-1:111122223333:key/1234?",
        "arn:aws:kms:eu-west-1:*:key/1234",
        "arn:aws:kms:eu-west-1:${aws:PrincipalAccount}:key/1234",
        "kms:arn:aws:kms:eu-west-1:111122223333:alias/*",
    ],
)
def test_a_pattern_is_no_key_of_a_policy(arn: str) -> None:
    ended = run_cli("policy", "-k", arn)
    assert (ended.status, ended.out) == (2, b"")
    assert "key 1 is not the ARN of a KMS key" in ended.errors
