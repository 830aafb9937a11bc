"""The fake KMS encrypts as the service does."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ParamValidationError

from envelope.testing import FakeKms
from tests.fake_kms_for_tests import OTHER_ACCOUNT, STRANGER, new_key, policy, refused, statement

CONTEXT = {"tenant": "42", "purpose": "tests"}
NO_KEY = "arn:aws:kms:eu-west-1:111122223333:key/00000000-0000-4000-8000-000000000000"


@pytest.fixture(name="fake")
def _fake() -> FakeKms:
    return FakeKms()


@pytest.fixture(name="kms")
def _kms(fake: FakeKms) -> Any:
    return fake.client()


@pytest.fixture(name="key_arn")
def _key_arn(fake: FakeKms) -> str:
    return new_key(fake)


def test_a_data_key_is_decrypted_with_its_context_in_any_order(kms: Any, key_arn: str) -> None:
    data_key = kms.generate_data_key(KeyId=key_arn, NumberOfBytes=24, EncryptionContext=CONTEXT)
    opened = kms.decrypt(
        CiphertextBlob=data_key["CiphertextBlob"], EncryptionContext=dict(reversed(list(CONTEXT.items())))
    )
    assert opened["Plaintext"] == data_key["Plaintext"]
    assert len(data_key["Plaintext"]) == 24
    assert data_key["KeyId"] == opened["KeyId"] == key_arn
    assert opened["EncryptionAlgorithm"] == "SYMMETRIC_DEFAULT"
    material = kms.describe_key(KeyId=key_arn)["KeyMetadata"]["CurrentKeyMaterialId"]
    assert data_key["KeyMaterialId"] == opened["KeyMaterialId"] == material


@pytest.mark.parametrize(("spec", "length_bytes"), [("AES_256", 32), ("AES_128", 16)])
def test_a_data_key_can_be_asked_for_by_its_spec(kms: Any, key_arn: str, spec: str, length_bytes: int) -> None:
    assert len(kms.generate_data_key(KeyId=key_arn, KeySpec=spec)["Plaintext"]) == length_bytes


@pytest.mark.parametrize("size", [{}, {"KeySpec": "AES_256", "NumberOfBytes": 32}])
def test_a_data_key_needs_either_a_spec_or_a_length(kms: Any, key_arn: str, size: dict[str, Any]) -> None:
    with refused("ValidationException", "either number of bytes or key spec"):
        kms.generate_data_key(KeyId=key_arn, **size)


def test_every_data_key_is_another(kms: Any, key_arn: str) -> None:
    keys = [kms.generate_data_key(KeyId=key_arn, NumberOfBytes=32) for _ in range(3)]
    assert len({key["Plaintext"] for key in keys}) == len({key["CiphertextBlob"] for key in keys}) == 3


def test_a_data_key_without_plaintext_opens_like_any_other(kms: Any, key_arn: str) -> None:
    data_key = kms.generate_data_key_without_plaintext(KeyId=key_arn, KeySpec="AES_256")
    assert "Plaintext" not in data_key
    assert len(kms.decrypt(CiphertextBlob=data_key["CiphertextBlob"])["Plaintext"]) == 32


def test_what_is_encrypted_is_decrypted(kms: Any, key_arn: str) -> None:
    encrypted = kms.encrypt(KeyId=key_arn, Plaintext=b"x" * 4_096, EncryptionContext=CONTEXT)
    assert (encrypted["KeyId"], encrypted["EncryptionAlgorithm"]) == (key_arn, "SYMMETRIC_DEFAULT")
    opened = kms.decrypt(KeyId=key_arn, CiphertextBlob=encrypted["CiphertextBlob"], EncryptionContext=CONTEXT)
    assert opened["Plaintext"] == b"x" * 4_096


@pytest.mark.parametrize("context", [{}, {"tenant": "43", "purpose": "tests"}, {**CONTEXT, "more": "x"}])
def test_another_context_is_refused_without_a_word(kms: Any, key_arn: str, context: dict[str, str]) -> None:
    blob = kms.encrypt(KeyId=key_arn, Plaintext=b"x", EncryptionContext=CONTEXT)["CiphertextBlob"]
    with pytest.raises(kms.exceptions.InvalidCiphertextException) as caught:
        kms.decrypt(CiphertextBlob=blob, EncryptionContext=context)
    assert caught.value.response["Error"]["Message"] == ""


@pytest.mark.parametrize("key_is_named", [True, False])
def test_any_changed_or_missing_byte_is_an_invalid_ciphertext(kms: Any, key_arn: str, *, key_is_named: bool) -> None:
    blob = kms.encrypt(KeyId=key_arn, Plaintext=b"x")["CiphertextBlob"]
    named = {"KeyId": key_arn} if key_is_named else {}
    changed = [blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :] for at in range(len(blob))]
    for wrong in [*changed, *(blob[:at] for at in range(1, len(blob))), blob + b"x"]:
        with refused("InvalidCiphertextException"):
            kms.decrypt(CiphertextBlob=wrong, **named)


def test_another_key_than_that_of_the_ciphertext_is_an_incorrect_key(fake: FakeKms, kms: Any, key_arn: str) -> None:
    blob = kms.encrypt(KeyId=key_arn, Plaintext=b"x")["CiphertextBlob"]
    with refused("IncorrectKeyException", "does not identify a CMK"):
        kms.decrypt(KeyId=new_key(fake), CiphertextBlob=blob)


def test_a_ciphertext_of_another_region_says_no_more_than_that_access_is_denied(fake: FakeKms, key_arn: str) -> None:
    blob = fake.client("eu-west-1").encrypt(KeyId=key_arn, Plaintext=b"x")["CiphertextBlob"]
    with refused("AccessDeniedException", "associated with this ciphertext because the resource does not exist in"):
        fake.client("us-east-1").decrypt(CiphertextBlob=blob)


@pytest.mark.parametrize(
    ("call", "parameters"),
    [
        ("encrypt", {"Plaintext": b"x" * 4_097}),
        ("encrypt", {"Plaintext": b""}),
        ("encrypt", {"Plaintext": b"x", "EncryptionContext": {"name": ""}}),
        ("encrypt", {"Plaintext": b"x", "EncryptionContext": {"": "value"}}),
        ("encrypt", {"Plaintext": b"x", "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}),
        ("generate_data_key", {"NumberOfBytes": 1_025}),
        ("generate_data_key", {"KeySpec": "AES_512"}),
        ("generate_data_key", {"NumberOfBytes": 32, "GrantTokens": ["x"] * 11}),
        ("decrypt", {"CiphertextBlob": b"x" * 6_145}),
        ("decrypt", {}),
    ],
)
def test_what_is_out_of_its_range_is_a_validation_error(
    kms: Any, key_arn: str, call: str, parameters: dict[str, Any]
) -> None:
    with pytest.raises((ParamValidationError, kms.exceptions.ClientError)) as caught:
        getattr(kms, call)(KeyId=key_arn, **parameters)
    answered = getattr(caught.value, "response", {"Error": {"Code": "ValidationException"}})  # botocore checks some
    assert answered["Error"]["Code"] == "ValidationException"


def test_a_dry_run_goes_as_far_as_the_answer(kms: Any, key_arn: str) -> None:
    blob = kms.encrypt(KeyId=key_arn, Plaintext=b"x")["CiphertextBlob"]
    calls = [
        lambda: kms.generate_data_key(KeyId=key_arn, NumberOfBytes=32, DryRun=True),
        lambda: kms.encrypt(KeyId=key_arn, Plaintext=b"x", DryRun=True),
        lambda: kms.decrypt(CiphertextBlob=blob, DryRun=True),
        lambda: kms.re_encrypt(CiphertextBlob=blob, DestinationKeyId=key_arn, DryRun=True),
    ]
    for call in calls:
        with refused("DryRunOperationException", "would have succeeded"):
            call()
    with refused("InvalidCiphertextException"):
        kms.decrypt(CiphertextBlob=blob, EncryptionContext=CONTEXT, DryRun=True)


def test_re_encryption_changes_key_and_context(fake: FakeKms, kms: Any, key_arn: str) -> None:
    other_arn = new_key(fake)
    blob = kms.encrypt(KeyId=key_arn, Plaintext=b"x", EncryptionContext=CONTEXT)["CiphertextBlob"]
    moved = kms.re_encrypt(
        CiphertextBlob=blob,
        SourceEncryptionContext=CONTEXT,
        DestinationKeyId=other_arn,
        DestinationEncryptionContext={"tenant": "43"},
    )
    assert (moved["SourceKeyId"], moved["KeyId"]) == (key_arn, other_arn)
    assert moved["SourceEncryptionAlgorithm"] == moved["DestinationEncryptionAlgorithm"] == "SYMMETRIC_DEFAULT"
    assert moved["SourceKeyMaterialId"] != moved["DestinationKeyMaterialId"]
    opened = kms.decrypt(KeyId=other_arn, CiphertextBlob=moved["CiphertextBlob"], EncryptionContext={"tenant": "43"})
    assert opened["Plaintext"] == b"x"


def test_re_encryption_refuses_another_source_key(fake: FakeKms, kms: Any, key_arn: str) -> None:
    blob = kms.encrypt(KeyId=key_arn, Plaintext=b"x")["CiphertextBlob"]
    with refused("IncorrectKeyException"):
        kms.re_encrypt(CiphertextBlob=blob, SourceKeyId=new_key(fake), DestinationKeyId=key_arn)


def test_random_bytes_are_random_and_as_many_as_asked_for(kms: Any) -> None:
    first, second = (kms.generate_random(NumberOfBytes=20)["Plaintext"] for _ in range(2))
    assert len(first) == 20
    assert first != second
    with refused("ValidationException", "NumberOfBytes is required"):
        kms.generate_random()


@pytest.mark.parametrize("usage", [("GENERATE_VERIFY_MAC", "HMAC_256"), ("SIGN_VERIFY", "ECC_NIST_P256")])
def test_a_key_for_something_else_does_not_encrypt(fake: FakeKms, kms: Any, usage: tuple[str, str]) -> None:
    key_arn = new_key(fake, KeyUsage=usage[0], KeySpec=usage[1])
    with refused("InvalidKeyUsageException", f"usage is {usage[0]}"):
        kms.encrypt(KeyId=key_arn, Plaintext=b"x")


def test_a_key_can_be_named_in_four_ways_and_answers_by_its_arn(kms: Any, key_arn: str) -> None:
    kms.create_alias(AliasName="alias/mine", TargetKeyId=key_arn)
    alias_arn = "arn:aws:kms:eu-west-1:111122223333:alias/mine"
    for name in (key_arn, key_arn.split("/")[1], "alias/mine", alias_arn):
        assert kms.generate_data_key(KeyId=name, NumberOfBytes=32)["KeyId"] == key_arn


@pytest.mark.parametrize(
    ("name", "code", "text"),
    [
        (NO_KEY, "NotFoundException", "Key 'arn:aws:kms:eu-west-1:111122223333:key/0"),
        ("alias/none", "NotFoundException", "Alias 'arn:aws:kms:eu-west-1:111122223333:alias/none'"),
        ("no-key", "NotFoundException", "Invalid keyId"),
        (NO_KEY.replace("eu-west-1", "us-east-1"), "NotFoundException", "Invalid arn us-east-1"),
        (NO_KEY.replace("111122223333", OTHER_ACCOUNT), "AccessDeniedException", "does not exist in this Region"),
        ("arn:aws:s3:::bucket", "InvalidArnException", "Invalid arn arn:aws:s3"),
        ("arn:aws:kms:eu-west-1:111122223333:grant/1", "InvalidArnException", "Invalid arn"),
        ("arn:aws:s3", "InvalidArnException", "Invalid arn"),
        ("x" * 2_049, "ValidationException", "keyId"),
    ],
)
def test_a_name_that_names_no_key_is_refused(kms: Any, name: str, code: str, text: str) -> None:
    with refused(code, text):
        kms.encrypt(KeyId=name, Plaintext=b"x")


def test_a_key_id_of_another_account_is_not_found(fake: FakeKms, key_arn: str) -> None:
    with refused("NotFoundException", f"arn:aws:kms:eu-west-1:{OTHER_ACCOUNT}:key/"):
        fake.client(principal=STRANGER).describe_key(KeyId=key_arn.split("/")[1])


def test_a_ciphertext_tells_its_key_to_another_account_that_may_use_it(fake: FakeKms) -> None:
    key_arn = new_key(fake, Policy=policy(statement(principal={"AWS": STRANGER}, action="kms:Decrypt")))
    blob = fake.client().encrypt(KeyId=key_arn, Plaintext=b"x")["CiphertextBlob"]
    opened = fake.client(principal=STRANGER).decrypt(CiphertextBlob=blob)
    assert (opened["KeyId"], opened["Plaintext"]) == (key_arn, b"x")


@pytest.mark.parametrize(
    ("call", "parameters"),
    [
        ("sign", {"Message": b"x", "SigningAlgorithm": "ECDSA_SHA_256"}),
        ("get_public_key", {}),
        ("decrypt", {"CiphertextBlob": b"x", "Recipient": {"AttestationDocument": b"x"}}),
    ],
)
def test_what_the_fake_does_not_have_it_refuses(kms: Any, key_arn: str, call: str, parameters: dict[str, Any]) -> None:
    with refused("UnsupportedOperationException", "FakeKms does not have"):
        getattr(kms, call)(KeyId=key_arn, **parameters)
